//! `sockstep explain`: prints the section on a call from ffi-notes.md, or on an error, an option, a
//! state or an idea from lectures/words.md.

use std::fmt::Write; // writing into memory does not fail
use std::process::ExitCode;

use crate::common::print;
use crate::common::text::escape;
use crate::draw::terminal::{Color, Style, fold, remark};
use crate::lectures::words::{self, Section, calls};

/// Explain a call, an error, an option, a state, a signal, or a message
///
/// For a call, print its C prototype, its Rust signature, its step of the slides, which side owns which descriptor and memory, and
/// its errors. A message may be the whole line that a program printed. Without a word, list all words; 'questions' lists the
/// questions that students ask most.
///
/// Exit status: 0 if the word is known, 2 if it is not.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  sockstep explain accept\n  sockstep explain TIME_WAIT\n  sockstep explain 'bind() failed: Address already in use'"
)]
pub struct Args {
    /// Explain this word, as in accept, ECONNRESET or SO_REUSEADDR
    #[arg(num_args = 0.., value_name = "WORD")]
    word: Vec<String>,
    /// Use colours; auto does on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

/// The widest page, in columns.
const WIDTH: usize = 80;

pub fn explain(args: &Args) -> ExitCode {
    args.color.choose();
    if args.word.is_empty() {
        print(contents().as_bytes());
        return ExitCode::SUCCESS;
    }
    let asked = args.word.join(" ");
    let mut found = words::find(&asked);
    if let Some(error) = words::bare_error(&asked).filter(|_| found.is_empty()) {
        print(format!("{error}\n\nAn error of Linux that these lessons do not explain: see man 3 errno, and the call's own page.\n").as_bytes());
        return ExitCode::SUCCESS;
    }
    if found.is_empty() {
        found = words::among(&asked);
    }
    if found.is_empty() {
        let tip = words::nearest(&asked).map_or_else(
            || "All words: sockstep explain".to_owned(),
            |word| format!("Did you mean {word}? All words: sockstep explain"),
        );
        let mut shown = Vec::new();
        escape(asked.as_bytes(), &mut shown);
        let asked = String::from_utf8_lossy(&shown);
        remark(format_args!("no word {asked}. {tip}"));
        return ExitCode::from(2);
    }
    let pages: Vec<String> = found.iter().map(page).collect();
    print(pages.join("\n").as_bytes());
    ExitCode::SUCCESS
}

/// Each call with its place in the slides, then the other words.
fn contents() -> String {
    let mut out = String::from("Calls\n");
    for section in calls() {
        let slides = section
            .text
            .split_once("\n- **Slides.** ")
            .map_or("", |it| it.1);
        let place = match slides.strip_prefix('"') {
            Some(title) => title.split('"').next(),
            None if slides.starts_with("None") => Some("not in the slides"),
            None => slides.split([':', '.', '\n']).next(),
        };
        for name in section.names() {
            let _ = writeln!(out, "  {name:18}{}", place.unwrap_or_default());
        }
    }
    for (title, of_kind) in words::kinds() {
        let names: Vec<&str> = of_kind.iter().filter_map(|it| it.names().next()).collect();
        let rows = fold(&names.join(", "), WIDTH - 2);
        let _ = writeln!(out, "\n{title}\n  {}", rows.join("\n  "));
    }
    out
}

/// A section without the parts that only a renderer or a compiler needs.
fn page(section: &Section) -> String {
    let heading = Style::of_standard_output().paint("1", section.heading);
    let mut out = format!("{heading}\n");
    let (mut code, mut paragraph) = (false, String::new());
    for line in section.text.lines() {
        let begins = line.starts_with("- ") || line.starts_with(|c: char| c.is_ascii_digit());
        if line.trim().is_empty() || line.starts_with("```") || begins || code {
            fill(&paragraph, &mut out);
            paragraph.clear();
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
        } else if line.trim().is_empty() {
            out += "\n";
        } else {
            paragraph += &line.replace("**", "");
            paragraph += "\n";
        }
    }
    fill(&paragraph, &mut out);
    out.trim_end().to_owned() + "\n"
}

/// Appends a paragraph, or an item of a list, its words filled into lines.
fn fill(paragraph: &str, out: &mut String) {
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let mark = match words.first() {
        Some(&"-") => 2,
        Some(mark) if mark.ends_with('.') && mark.starts_with(|c: char| c.is_ascii_digit()) => {
            mark.len() + 1
        }
        Some(_) => 0,
        None => return,
    };
    let rows = fold(&words.join(" "), WIDTH - mark);
    let _ = writeln!(out, "{}", rows.join(&format!("\n{:mark$}", "")));
}
