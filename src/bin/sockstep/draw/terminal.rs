//! What two processes print, line by line, each marked with its side.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use clap::ValueEnum;
use sockstep::{Result, write};

use crate::common::note;
use crate::common::text::escape;

/// Columns that a picture needs.
pub const COLUMNS: usize = 80;

/// Erases the row that the cursor is in, and begins it again.
pub const ERASE: &str = "\r\x1b[K";

pub use crate::world::Side;

/// Whether a picture has colours.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// In a file or a pipe too
    Always,
    /// Nowhere
    Never,
}

/// What was asked for.
static COLOR: OnceLock<Color> = OnceLock::new();

impl Color {
    /// Has all that is drawn from now on follow this.
    pub fn choose(self) {
        let _ = COLOR.set(self); // once for each verb
    }
}

/// How standard output is to be written.
#[derive(Clone, Copy)]
pub struct Style {
    pub terminal: bool,
    coloured: bool,
    /// A row can be erased again.
    pub erasing: bool,
    /// A person types, and the terminal ends a prompt's line when Enter is pressed.
    pub typing: bool,
}

impl Style {
    pub fn of_standard_output() -> Style {
        let terminal = io::stdout().is_terminal();
        let able = env::var_os("TERM").is_none_or(|value| value != "dumb");
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Style {
            terminal,
            coloured: match COLOR.get() {
                None | Some(Color::Auto) => terminal && able && wanted,
                Some(Color::Always) => true,
                Some(Color::Never) => false,
            },
            erasing: terminal && able,
            typing: terminal && io::stdin().is_terminal(),
        }
    }

    /// The columns that there are for a picture. Says so if they are too few.
    pub fn columns(self, picture: &str) -> usize {
        let columns = self.columns_now();
        if columns < COLUMNS {
            remark(format_args!(
                "the {picture} needs {COLUMNS} columns, and this window has {columns}: make it wider, or its letters smaller"
            ));
        }
        columns.max(COLUMNS)
    }

    /// The same, without a word.
    pub fn columns_now(self) -> usize {
        let columns = terminal_columns().filter(|_| self.terminal);
        columns.unwrap_or(COLUMNS)
    }

    /// Text in a colour (`31` red, `1` bold), where colour is wanted.
    pub fn paint(self, colour: &str, text: &str) -> String {
        if self.coloured && !colour.is_empty() && !text.is_empty() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// What stty(1) says of the terminal that standard output goes to.
fn terminal_columns() -> Option<usize> {
    let terminal = io::stdout().as_fd().try_clone_to_owned().ok()?;
    let stty = Command::new("stty")
        .arg("size")
        .stdin(terminal)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let size = String::from_utf8(stty.stdout).ok()?;
    let columns = size.split_whitespace().nth(1)?.parse().ok()?;
    (columns > 0).then_some(columns)
}

/// A line of ours on standard error; on a terminal in as many as it takes without breaking a word.
pub fn remark(words: impl Display) {
    let line = format!("sockstep: {words}");
    if !io::stderr().is_terminal() {
        return note(line);
    }
    let columns = terminal_columns().unwrap_or(COLUMNS);
    let rows: Vec<String> = line.lines().flat_map(|line| fold(line, columns)).collect();
    note(rows.join("\n"));
}

/// Standard output, shared by the two sides.
pub struct Lanes {
    style: Style,
    /// Whose line has been begun and not ended.
    open: Option<Side>,
}

impl Lanes {
    pub fn new(style: Style) -> Lanes {
        Lanes { style, open: None }
    }

    /// Shows what a side has printed, `wrong` if on standard error. A prompt stays open until the next output.
    pub fn show(&mut self, side: Side, wrong: bool, bytes: &[u8]) -> Result<()> {
        let mut text = Vec::new();
        if self.open == Some(Side::Client) && self.style.typing && bytes != b"\n" {
            self.open = None;
        }
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.open.is_some_and(|open| open != side) {
                text.push(b'\n');
                self.open = None;
            }
            if self.open.is_none() {
                self.mark(side, wrong, &mut text);
            }
            let content = line.strip_suffix(b"\n");
            if self.style.terminal {
                harmless(content.unwrap_or(line), &mut text);
            } else {
                text.extend_from_slice(content.unwrap_or(line));
            }
            self.open = match content {
                Some(_) => {
                    text.push(b'\n');
                    None
                }
                None => Some(side),
            };
        }
        put(&text)
    }

    /// Ends a line that is still open.
    pub fn end(&mut self) -> Result<()> {
        if self.open.take().is_some() {
            put(b"\n")
        } else {
            Ok(())
        }
    }

    /// `client | ` or `server | `, with `!` for standard error.
    fn mark(&self, side: Side, wrong: bool, text: &mut Vec<u8>) {
        let (name, colour) = match side {
            Side::Client => ("client", "36"),
            Side::Server => ("server", "33"),
        };
        let mark = if wrong {
            format!(
                "{} {} ",
                self.style.paint(colour, name),
                self.style.paint("31", "!")
            )
        } else {
            self.style.paint(colour, &format!("{name} |")) + " "
        };
        text.extend_from_slice(mark.as_bytes());
    }
}

/// Appends text for a terminal: escaped, but for tabs, and for the backslashes of a program that has escaped it already.
pub fn harmless(line: &[u8], text: &mut Vec<u8>) {
    for piece in line.split_inclusive(|byte| matches!(byte, b'\\' | b'\t')) {
        match piece {
            [before @ .., kept @ (b'\\' | b'\t')] => {
                escape(before, text);
                text.push(*kept);
            }
            _ => escape(piece, text),
        }
    }
}

/// Text in rows of so many columns, broken at spaces where it has any.
pub fn fold(text: &str, columns: usize) -> Vec<String> {
    let mut rest: Vec<char> = text.chars().collect();
    let mut rows = Vec::new();
    while rest.len() > columns {
        let words = rest.iter().position(|&c| c != ' ').unwrap_or(0); // behind what sets the text in
        let space = rest[..=columns].iter().rposition(|&c| c == ' ');
        let space = space.filter(|&at| at > words);
        rows.push(rest.drain(..space.unwrap_or(columns)).collect());
        rest.drain(..usize::from(space.is_some()));
    }
    rows.push(rest.into_iter().collect());
    rows
}

pub fn put(text: &[u8]) -> Result<()> {
    let mut rest = text;
    while !rest.is_empty() {
        rest = &rest[write(&io::stdout(), rest)?..];
    }
    Ok(())
}
