//! `sockstep explain`: what ffi-notes.md has on a call, on the terminal.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use crate::common::{note, print};
use crate::draw::terminal::fold;

const NOTES: &str = include_str!("../../../ffi-notes.md");

/// Explain a call: its C prototype, its Rust signature, its step of the slides, who owns what, its errors
#[derive(clap::Args)]
#[command(after_help = "Example: sockstep explain accept")]
pub struct Args {
    /// The call, as in accept; without it, which calls there are
    call: Option<String>,
}

/// Columns that a page has at most.
const WIDTH: usize = 80;

pub fn explain(args: &Args) -> ExitCode {
    let Some(call) = &args.call else {
        print(contents().as_bytes());
        return ExitCode::SUCCESS;
    };
    let wanted = call.trim_end_matches("()").to_lowercase();
    let Some((heading, text)) =
        sections().find(|(heading, _)| heading.split(", ").any(|name| name == wanted))
    else {
        note(format_args!(
            "sockstep: nothing on {call}. All that there is: sockstep explain"
        ));
        return ExitCode::from(2);
    };
    print(page(heading, text).as_bytes());
    ExitCode::SUCCESS
}

/// The sections of the notes that are about calls: those that begin with a prototype.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    let sections = NOTES
        .split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'));
    sections.filter(|(_, text)| text.trim_start().starts_with("```c"))
}

/// Each name, and where the slides have it.
fn contents() -> String {
    let mut out = String::new();
    for (heading, text) in sections() {
        let slides = text.split_once("\n- **Slides.** ").map_or("", |it| it.1);
        let place = match slides.strip_prefix('"') {
            Some(title) => title.split('"').next(),
            None if slides.starts_with("None") => Some("not in the slides"),
            None => slides.split([':', '.', '\n']).next(),
        };
        for name in heading.split(", ") {
            let _ = writeln!(out, "{name:14}{}", place.unwrap_or_default()); // into memory
        }
    }
    out
}

/// A section without what only a renderer or a compiler needs.
fn page(heading: &str, text: &str) -> String {
    let bold = if io::stdout().is_terminal() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    let mut out = format!("{}{heading}{}\n", bold.0, bold.1);
    let (mut code, mut item) = (false, String::new());
    for line in text.lines() {
        if !item.is_empty() && (line.starts_with("- ") || line.trim().is_empty()) {
            fill(&item, &mut out);
            item.clear();
        }
        if let Some(fence) = line.strip_prefix("```") {
            code = !code;
            if fence.contains("compile_fail") {
                out += "    // does not compile:\n";
            }
        } else if code && (line == "#" || line.starts_with("# ")) {
            // for the compiler alone
        } else if code {
            out += "    ";
            out += line;
            out += "\n";
        } else if line.starts_with("- ") || !item.is_empty() {
            item += &line.replace("**", "");
            item += "\n";
        } else {
            out += line;
            out += "\n";
        }
    }
    fill(&item, &mut out);
    out.trim_end().to_owned() + "\n"
}

/// Appends an item of a list, its words filled into lines.
fn fill(item: &str, out: &mut String) {
    let words: Vec<&str> = item.split_whitespace().collect();
    if let Some((mark, words)) = words.split_first() {
        let rows = fold(&words.join(" "), WIDTH - 2);
        let _ = writeln!(out, "{mark} {}", rows.join("\n  ")); // into memory
    }
}
