//! The man pages in `src/man` and the completions in `src/completions`, made from the arguments of
//! each program. The unit tests check that the files are up to date; `UPDATE=1 cargo test --release
//! --bins` writes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap::builder::StyledStr;
use clap_complete::{Generator, Shell, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

const NAME: &str = env!("CARGO_BIN_NAME");
const VERSION: &str = concat!("sockstep ", env!("CARGO_PKG_VERSION"));
const SRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// A space at which no line is broken.
const NO_BREAK: &str = "\u{a0}";

/// Texts by their path in `src`.
type Files = BTreeMap<String, String>;

#[test]
fn man_pages_and_completions_are_what_the_arguments_say() {
    let programs = programs();
    let made = made(&programs).expect("memory takes it");
    // Our files, and those of programs that no longer exist.
    let (mut kept, others): (Files, Files) = kept()
        .into_iter()
        .partition(|(path, _)| owner(path) == NAME || !programs.contains(owner(path)));
    if std::env::var_os("UPDATE").is_some() {
        for (path, text) in &made {
            fs::write(Path::new(SRC).join(path), text).expect("src is writable");
            kept.remove(path);
        }
        for path in kept.keys() {
            fs::remove_file(Path::new(SRC).join(path)).expect("src is writable");
        }
        return;
    }
    for path in made.keys().chain(kept.keys()) {
        assert!(
            made.get(path) == kept.get(path),
            "src/{path} is stale: UPDATE=1 cargo test --release --bins rewrites it"
        );
    }
    for program in programs.iter().filter(|program| *program != NAME) {
        assert!(
            others.contains_key(&format!("man/{program}.1")),
            "{program} has no man page: UPDATE=1 cargo test --release --bins writes it"
        );
    }
}

/// All programs: `src/bin/NAME.rs` or `src/bin/NAME/main.rs`.
fn programs() -> BTreeSet<String> {
    let bin = Path::new(SRC).join("bin");
    let paths = fs::read_dir(bin).expect("src/bin is readable");
    paths
        .map(|entry| entry.expect("src/bin is readable").path())
        .filter(|path| {
            path.extension().is_some_and(|rs| rs == "rs") || path.join("main.rs").exists()
        })
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect()
}

/// The files as they are now, of all programs.
fn kept() -> Files {
    let mut files = Files::new();
    for directory in ["man", "completions"] {
        for entry in fs::read_dir(Path::new(SRC).join(directory)).expect("src is readable") {
            let entry = entry.expect("src is readable");
            let text = fs::read_to_string(entry.path()).expect("it is text");
            let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
            files.insert(path, text);
        }
    }
    files
}

/// The program that a file describes: `sockstep`, for `man/sockstep-run.1` and of
/// `completions/_sockstep`.
fn owner(path: &str) -> &str {
    let (_, name) = path.split_once('/').unwrap_or_default();
    let name = name.strip_prefix('_').unwrap_or(name);
    name.split(['-', '.']).next().unwrap_or_default()
}

/// The files of this program, made anew.
fn made(programs: &BTreeSet<String>) -> io::Result<Files> {
    let mut files = Files::new();
    let mut command = super::command::<crate::Args>();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut script = Vec::new();
        generate(shell, &mut command, NAME, &mut script);
        let mut script = text(script);
        if shell == Shell::Fish {
            script += &values_for_fish(&command);
        }
        files.insert(format!("completions/{}", shell.file_name(NAME)), script);
    }
    let mut command = super::command::<crate::Args>().disable_help_subcommand(true);
    command.build();
    for page in command.get_subcommands().chain([&command]) {
        let name = page.get_display_name().unwrap_or(NAME);
        files.insert(format!("man/{name}.1"), man_page(page, name, programs)?);
    }
    Ok(files)
}

/// What clap_complete leaves out for fish: the values of a positional argument.
fn values_for_fish(command: &Command) -> String {
    let mut script = String::new();
    for verb in command.get_subcommands().chain([command]) {
        let when = match verb.get_name() {
            NAME => String::new(),
            verb => format!("-n \"__fish_{NAME}_using_subcommand {verb}\" "),
        };
        for argument in verb.get_positionals() {
            let values = argument.get_possible_values();
            let values: Vec<String> = values
                .iter()
                .map(|value| {
                    let help = words(value.get_help()).replace('\'', "\\'");
                    format!("{}\\t'{help}'", value.get_name())
                })
                .collect();
            if !values.is_empty() {
                let values = values.join("\n");
                let _ = writeln!(script, "complete -c {NAME} {when}-f -a \"{values}\"");
            }
        }
    }
    script
}

/// The man page of this program, or of one of its verbs. Text in backticks becomes bold.
fn man_page(command: &Command, name: &str, programs: &BTreeSet<String>) -> io::Result<String> {
    let mut head = Roff::new();
    let title = name.to_uppercase();
    head.control("TH", [&title, "1", "\"\"", VERSION, "sockstep"]);
    head.control("nh", []).control("ad", ["l"]); // a command keeps its hyphens and spaces
    let about = words(command.get_about());
    section(&mut head, "NAME", [format!("{name} - {about}")]);
    section(&mut head, "SYNOPSIS", [synopsis(command)]);
    let help = words(command.get_long_about().or(command.get_about()));
    let (exit_status, mut description): (Vec<_>, Vec<_>) = help
        .split("\n\n")
        .map(str::to_owned)
        .partition(|paragraph| paragraph.starts_with("Exit status: "));
    if !description[0].ends_with('.') {
        description[0].push('.'); // clap removes it
    }
    description.extend(follows(name));
    section(&mut head, "DESCRIPTION", description);

    let mut tail = Roff::new();
    let exit_status = match exit_status.first() {
        Some(paragraph) => paragraph.trim_start_matches("Exit status: "),
        None if command.has_subcommands() => "The command's own; 2 if an argument is bad.",
        None => "0 if all is done, 1 if a call failed, 2 if an argument is bad.",
    };
    section(&mut tail, "EXIT STATUS", [exit_status.to_owned()]);
    let examples = words(command.get_after_help());
    if !examples.is_empty() {
        let lines = examples.trim_start_matches("Example: ").lines();
        section(
            &mut tail,
            "EXAMPLES",
            lines.map(|line| line.trim().to_owned()),
        );
    }
    section(&mut tail, "SEE ALSO", see_also(name, programs));

    let arguments = command
        .clone()
        .subcommand_help_heading("COMMANDS")
        .mut_args(|argument| {
            if argument.is_positional() {
                argument.help_heading("Arguments")
            } else {
                argument
            }
        });
    let arguments = Man::new(arguments);
    let mut page = Vec::new();
    head.to_writer(&mut page)?;
    if command.has_subcommands() {
        arguments.render_subcommands_section(&mut page)?;
    }
    arguments.render_options_section(&mut page)?;
    tail.to_writer(&mut page)?;

    let preamble = Roff::new().render(); // each piece begins with it; keep one
    let mut page = preamble.clone() + &text(page).replace(&preamble, "");
    page = page.replace(NO_BREAK, "\\ ");
    page = page.replace(".br\n\n.br\n", ".sp\n"); // mandoc warns about these
    while page.contains('`') {
        page = page.replacen('`', "\\fB", 1).replacen('`', "\\fR", 1);
    }
    Ok(page)
}

/// A section of paragraphs.
fn section(page: &mut Roff, heading: &str, paragraphs: impl IntoIterator<Item = String>) {
    page.control("SH", [heading]);
    for (i, paragraph) in paragraphs.into_iter().enumerate() {
        if i > 0 {
            page.control("PP", []);
        }
        page.text([roman(paragraph)]);
    }
}

/// The usage line of the help, with `[OPTIONS]` replaced by the options.
fn synopsis(command: &Command) -> String {
    let called = command.get_bin_name().unwrap_or(NAME);
    let options: Vec<String> = command
        .get_arguments()
        .filter(|argument| !argument.is_positional() && !argument.is_required_set())
        .filter(|option| !["help", "version"].contains(&option.get_id().as_str()))
        .map(|option| format!("[{option}]"))
        .collect();
    let usage = command.clone().render_usage().to_string();
    usage
        .replace("[OPTIONS]", &options.join(" "))
        .replace(&format!("Usage: {called}"), &format!("`{called}`"))
        .replace(' ', NO_BREAK)
        .replace(&format!("]{NO_BREAK}"), "] ")
        .replace(&format!(">{NO_BREAK}"), "> ")
}

/// The sentence in the head of a program's source that names the lecture.
fn follows(name: &str) -> Option<String> {
    let source = fs::read_to_string(Path::new(SRC).join(format!("bin/{name}.rs"))).ok()?;
    let head = source.lines().map_while(|line| line.strip_prefix("//!"));
    let head: String = head.collect();
    let (_, follows) = head.split_once(" Follows: ")?;
    let (follows, _) = follows.split_once(" C twin: ")?;
    Some(format!("It follows {follows}"))
}

/// The programs of the other side, `sockstep`, and the twin.
fn see_also(name: &str, programs: &BTreeSet<String>) -> Vec<String> {
    // Of tcp_echo_client and of tcp_echo_server_fork: tcp_echo.
    let cut = |program: &str| {
        let (lecture, _) = program
            .split_once("_client")
            .or(program.split_once("_server"))?;
        Some((lecture.to_owned(), program.contains("_client")))
    };
    let other_side = cut(name).map(|(lecture, client)| (lecture, !client));
    let pages: Vec<String> = programs
        .iter()
        .map(String::as_str)
        .filter(|program| other_side.is_some() && cut(program) == other_side)
        .chain(["sockstep", "strace"])
        .filter(|page| *page != name)
        .map(|page| format!("`{page}`(1)"))
        .collect();
    let mut paragraphs = vec![pages.join(", ")];
    if Path::new(SRC).join(format!("bin/{name}.c")).exists() {
        paragraphs.push(format!(
            "The program is `src/bin/{name}.rs` of sockstep's sources; its C twin, \
             `src/bin/{name}.c`, takes the same steps."
        ));
    }
    paragraphs
}

fn words(help: Option<&StyledStr>) -> String {
    help.map(ToString::to_string).unwrap_or_default()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("it is text")
}
