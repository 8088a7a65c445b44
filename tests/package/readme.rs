//! README.md shows what its commands print, and ffi-notes.md how long the programs are. This looks whether they still do;
//! `UPDATE=1 cargo test --release --test package` writes both anew.
//!
//! A `console` block is a session: after `$ ` a command for `sh`, then its output. A command that ends in `&` is a server, and
//! `kill %1` ends it, as whoever types the whole page needs that port again. Port 7000 stands for a free one, and what differs from run to run (ports, times,
//! which of two processes comes first, every figure of `bench`) is not compared.

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const PORT: &str = "7000";

/// What stands left of a server's row in a ladder.
const SERVERS_SIDE: &str = "                                      ";

#[test]
fn every_output_in_the_readme_is_what_its_command_prints() {
    let page = fs::read_to_string(README).expect("README.md is readable");
    let mut now = String::new();
    let mut sessions = 0;
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        now += line;
        now += "\n";
        if line == "```console" {
            let mut block = Vec::new();
            while let Some(line) = lines.next_if(|line| *line != "```") {
                block.push(line);
            }
            now += &session(&block);
            sessions += 1;
        }
    }
    assert!(sessions >= 3, "README.md shows only {sessions} sessions");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(README, now).expect("README.md is writable");
    } else {
        let (page, now) = (comparable(&page), comparable(&now));
        let same = page.iter().zip(&now).take_while(|(a, b)| a == b).count();
        assert_eq!(
            page.get(same),
            now.get(same),
            "README.md is stale: UPDATE=1 cargo test --release --test package"
        );
    }
}

#[test]
fn the_pair_that_the_readme_compares_says_what_its_table_says() {
    let source = |name| {
        fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("src/bin")
                .join(name),
        )
    };
    let c = source("tcp_echo_server.c").expect("the twin is readable");
    let rust = source("tcp_echo_server.rs").expect("the program is readable");
    let page = fs::read_to_string(README).expect("README.md is readable");
    let mut rows = 0;
    let table = page
        .lines()
        .skip_while(|line| !line.starts_with("| the slide |"))
        .skip(2);
    for row in table.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        assert!(c.contains(cells[2]), "tcp_echo_server.c lacks {}", cells[2]);
        assert!(
            rust.contains(cells[3]),
            "tcp_echo_server.rs lacks {}",
            cells[3]
        );
        rows += 1;
    }
    assert!(rows >= 7, "the table has {rows} rows");
}

#[test]
fn the_notes_say_how_many_lines_each_program_has() {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    let lines = |file: &str| {
        let text =
            fs::read_to_string(bin.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        text.lines().count()
    };
    let mut table = "| program | Rust | C |\n| --- | --- | --- |\n".to_owned();
    let files = fs::read_dir(&bin).expect("src/bin is readable").flatten();
    let mut names: Vec<String> = files
        .filter_map(|file| {
            file.file_name()
                .to_str()?
                .strip_suffix(".c")
                .map(str::to_owned)
        })
        .collect();
    names.sort();
    for name in names {
        let (rust, c) = (lines(&format!("{name}.rs")), lines(&format!("{name}.c")));
        let _ = writeln!(table, "| `{name}` | {rust} | {c} |");
    }
    let (rust, c) = (
        lines("common/mod.rs") + lines("common/text.rs"),
        lines("common/common.h") + lines("common/text.h"),
    );
    let _ = writeln!(
        table,
        "| shared by all: `common/mod.rs`, `common.h`, and `text` | {rust} | {c} |"
    );
    let (rust, c) = (lines("common/deadline.rs"), lines("common/deadline.h"));
    let _ = writeln!(
        table,
        "| shared by the clients: `common/deadline.rs`, `deadline.h` | {rust} | {c} |"
    );
    let (rust, c) = (lines("common/asked.rs"), lines("common/asked.h"));
    let _ = writeln!(
        table,
        "| shared by the UDP servers: `common/asked.rs`, `asked.h` | {rust} | {c} |"
    );
    let (rust, c) = (lines("common/echo.rs"), lines("common/echo.h"));
    let _ = writeln!(
        table,
        "| shared by the concurrent servers: `common/echo.rs`, `echo.h` | {rust} | {c} |"
    );
    let in_web = |ending: &str| -> usize {
        let files = fs::read_dir(bin.join("web"))
            .expect("it is readable")
            .flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        let names = names.filter(|name| name.ends_with(ending));
        names.map(|name| lines(&format!("web/{name}"))).sum()
    };
    let (rust, c) = (in_web(".rs"), in_web(".h"));
    let _ = writeln!(
        table,
        "| of the Web programs alone: `web/` | {rust} | {c} |"
    );

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ffi-notes.md");
    let notes = fs::read_to_string(&path).expect("ffi-notes.md is readable");
    let (before, _) = notes
        .split_once("| program | Rust | C |")
        .expect("the notes have the table");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, before.to_owned() + &table).expect("ffi-notes.md is writable");
    } else {
        assert!(
            notes.ends_with(&table),
            "ffi-notes.md is stale; its last table is to be:\n{table}"
        );
    }
}

/// A block's commands with what they print now.
fn session(block: &[&str]) -> String {
    // Not one of the kernel's own, which it may give to any client before the server has it.
    let start = 20_000 + u16::try_from(std::process::id() % 12_000).expect("it is small");
    let free = (start..32_768)
        .chain(20_000..start)
        .find(|&port| TcpListener::bind(("0.0.0.0", port)).is_ok());
    let free = free.expect("a port is free").to_string();
    let mut running = None;
    let mut text = String::new();
    for command in block.iter().filter_map(|line| line.strip_prefix("$ ")) {
        text += "$ ";
        text += command;
        text += "\n";
        let command = command.replace(PORT, &free);
        let output = match command.strip_suffix(" &") {
            Some(server) => {
                assert!(running.is_none(), "{block:?} starts a second server");
                let (child, line) = Server::start(server);
                running = Some(child);
                line
            }
            None if command == "kill %1" => {
                drop(running.take().expect("a server to end"));
                String::new()
            }
            None => output_of(&command),
        };
        text += &output.replace(&free, PORT);
    }
    assert!(running.is_none(), "{block:?} leaves its server running");
    text
}

fn shell(command: &str) -> Command {
    // The page says where `cargo build --release` puts the programs; here they are where this test was built.
    let programs = Path::new(env!("CARGO_BIN_EXE_sockstep"))
        .parent()
        .expect("a file is in a directory");
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            &command.replace("target/release", &programs.to_string_lossy()),
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    shell
}

fn output_of(command: &str) -> String {
    let output = shell(&format!("{{ {command}; }} 2>&1"))
        .output()
        .expect("sh runs");
    String::from_utf8(output.stdout).expect("the page shows text")
}

/// A server that a session starts, ended with it.
struct Server(Child);

impl Server {
    fn start(command: &str) -> (Server, String) {
        let mut child = shell(&format!("exec {command}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("it is piped");
        BufReader::new(out.by_ref())
            .read_line(&mut line)
            .expect("the server says where it listens");
        (Server(child), line)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The page without what may differ: ports, how long a call or a client waited, the order in which the two sides came, how many
/// calls manage memory, and what `bench` measured, where, and whether it held.
fn comparable(page: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut servers = Vec::new();
    let mut measures = false;
    for line in page
        .lines()
        .filter(|line| !line.trim_start().starts_with("(waited "))
        .filter(|line| !line.contains(" in Rust ")) // one C library's memory management is not another's
        .filter(|line| !is_axis(line) && !is_legend(line))
        .map(|line| line.rsplit_once("; ").map_or(line, |(line, _aside)| line))
        .map(|line| without_ports(&shape(line)))
    {
        if line.starts_with("server |") || line.starts_with(SERVERS_SIDE) {
            servers.push(line);
            continue;
        }
        if line == "```" {
            lines.append(&mut servers);
        }
        measures =
            line.contains("sockstep bench ") && line.starts_with("$ ") || measures && line != "```";
        if !measures || line.starts_with("$ ") {
            lines.push(line);
        } else if !["Linux ", "void: ", "In half ", "Measure "]
            .iter()
            .any(|start| line.starts_with(start))
        {
            lines.push(without_figures(&line));
        }
    }
    lines
}

/// Whether these are the times over a chart, whose scale is that of the longest wait.
fn is_axis(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    let number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    words.peek().is_some() && words.all(|word| word == "|" || word == "ms" || number(word))
}

/// Whether this says what the signs of a chart mean: those that a busy machine brings in have their place there.
fn is_legend(line: &str) -> bool {
    let mut start = line.chars();
    let sign = start.next().is_some_and(|sign| ".:=1-*_".contains(sign));
    let text = start.as_str();
    sign && (text.starts_with(" client ") || text.starts_with(" server "))
}

/// A chart's row without its times: a task's activities in order, without pauses and unexplained
/// waits, as a busy machine adds them.
fn shape(line: &str) -> String {
    let is_row = ["client ", "server ", "process ", "thread "]
        .iter()
        .any(|name| line.starts_with(name));
    let (before, after) = match line.split_once(" ms") {
        Some((before, after)) => (
            before.trim_end_matches(|c: char| c.is_ascii_digit()),
            format!(" ms{after}"),
        ),
        None => (line, String::new()),
    };
    if !is_row || after.is_empty() || line.len() < 47 {
        return format!("{before}{after}");
    }
    let (label, row) = before.split_at(10);
    let (signs, words) = row.split_at(37);
    let mut kept: Vec<char> = signs.chars().filter(|&sign| sign != ' ').collect();
    if !after.contains("server with") {
        kept.retain(|&sign| sign != '.' && sign != ':');
    }
    if kept.iter().any(char::is_ascii_digit) {
        kept.retain(char::is_ascii_digit);
    }
    kept.dedup();
    let signs: String = kept.into_iter().collect();
    format!("{label}{signs} {}{after}", words.trim_end())
}

/// A line with the digits after `:`, `#` and `htons(` replaced where they are a port that the kernel chose.
fn without_ports(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(start) = rest.find([':', '#', '(']) {
        let (before, after) = rest.split_at(start + 1);
        text += before;
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        text += if digits == 5 {
            "PORT"
        } else {
            &after[..digits]
        };
        rest = &after[digits..];
    }
    text + rest
}

/// A line with `N` for each number, and one space between its words.
fn without_figures(line: &str) -> String {
    let word = |word: &str| {
        let figure = word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".-,".contains(&byte));
        if figure {
            "N".to_owned()
        } else {
            word.to_owned()
        }
    };
    line.split_whitespace()
        .map(word)
        .collect::<Vec<_>>()
        .join(" ")
}
