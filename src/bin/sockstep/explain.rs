//! `sockstep explain`: what ffi-notes.md has on a call, on the terminal.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use crate::common::{note, print};

const NOTES: &str = include_str!("../../../ffi-notes.md");

/// Explain a call: its C prototype, its Rust signature, who owns what, its errors, its line under strace
#[derive(clap::Args)]
#[command(after_help = "Example: sockstep explain accept")]
pub struct Args {
    /// The call, as in accept; without it, which calls there are
    call: Option<String>,
}

pub fn explain(args: &Args) -> ExitCode {
    let Some(call) = args.call.as_deref().map(|call| call.trim_end_matches("()")) else {
        let names: Vec<&str> = sections()
            .flat_map(|(heading, _)| heading.split(", "))
            .collect();
        print(format!("{}\n", names.join("\n")).as_bytes());
        return ExitCode::SUCCESS;
    };
    let Some((heading, text)) =
        sections().find(|(heading, _)| heading.split(", ").any(|name| name == call))
    else {
        note(format_args!(
            "sockstep: no section on {call}. Those there are: sockstep explain"
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

/// A section without what only a renderer or a compiler needs.
fn page(heading: &str, text: &str) -> String {
    let bold = if io::stdout().is_terminal() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    let mut out = format!("{}{heading}{}\n", bold.0, bold.1);
    let mut code = false;
    for line in text.lines() {
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
        } else {
            out += &line.replace("**", "");
            out += "\n";
        }
    }
    out.trim_end().to_owned() + "\n"
}
