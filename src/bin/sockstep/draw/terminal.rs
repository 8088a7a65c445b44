//! The output of two processes, line by line, each marked with its side.

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

/// The columns that a picture needs.
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

/// The value of --color.
static COLOR: OnceLock<Color> = OnceLock::new();

impl Color {
    /// Sets this for all further output.
    pub fn choose(self) {
        let _ = COLOR.set(self); // once for each verb
    }
}

/// How to write to standard output.
#[derive(Clone, Copy)]
pub struct Style {
    pub terminal: bool,
    coloured: bool,
    /// Standard output is a terminal: rows can be erased.
    pub erasing: bool,
    /// Standard input is a terminal: Enter ends a prompt's line.
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

    /// The columns available for a picture. Warns if they are too few.
    pub fn columns(self, picture: &str) -> usize {
        let columns = self.columns_now();
        if columns < COLUMNS {
            remark(format_args!(
                "the {picture} needs {COLUMNS} columns, and this window has {columns}: make it wider, or its letters smaller"
            ));
        }
        columns.max(COLUMNS)
    }

    /// The same, without the warning.
    pub fn columns_now(self) -> usize {
        let columns = terminal_columns().filter(|_| self.terminal);
        columns.unwrap_or(COLUMNS)
    }

    /// Text in a colour (`31` red, `1` bold), if colours are used.
    pub fn paint(self, colour: &str, text: &str) -> String {
        if self.coloured && !colour.is_empty() && !text.is_empty() {
            let codes: Vec<&str> = colour.split(';').map(shade).collect();
            format!("\x1b[{}m{text}\x1b[0m", codes.join(";"))
        } else {
            text.to_owned()
        }
    }
}

/// A colour by its usual number, in the shade that can be read on white and on black: of the 256
/// terminal colours, these have a contrast of 4.5 or more with both. `2`, dim, is a grey.
fn shade(code: &str) -> &str {
    match code {
        "2" => "38;5;243",
        "31" => "38;5;131",
        "32" => "38;5;29",
        "33" => "38;5;98",
        "35" => "38;5;163",
        "34" | "36" => "38;5;63",
        other => other,
    }
}

fn terminal_columns() -> Option<usize> {
    size_of_the_terminal().map(|(_, columns)| columns)
}

/// What stty(1) says of the terminal that standard output goes to: its rows and columns.
pub fn size_of_the_terminal() -> Option<(usize, usize)> {
    let terminal = io::stdout().as_fd().try_clone_to_owned().ok()?;
    let stty = Command::new("stty")
        .arg("size")
        .stdin(terminal)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let size = String::from_utf8(stty.stdout).ok()?;
    let mut numbers = size.split_whitespace().flat_map(str::parse);
    let (rows, columns) = (numbers.next()?, numbers.next()?);
    (columns > 0).then_some((rows, columns))
}

/// A line of ours on standard error; on a terminal it is wrapped at spaces.
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
    /// The side with an incomplete line.
    open: Option<Side>,
}

impl Lanes {
    pub fn new(style: Style) -> Lanes {
        Lanes { style, open: None }
    }

    /// Shows a side's output, `wrong` if on standard error. A prompt stays open until the next
    /// output.
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

/// Appends text for a terminal: escaped, except tabs, and except backslashes of a program that has
/// already escaped it.
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

/// The same of text, line by line.
pub fn visible(text: &str) -> String {
    let mut shown = Vec::new();
    for line in text.split_inclusive('\n') {
        let content = line.strip_suffix('\n');
        harmless(content.unwrap_or(line).as_bytes(), &mut shown);
        shown.extend(content.map(|_| b'\n'));
    }
    String::from_utf8_lossy(&shown).into_owned()
}

/// Text in rows of `columns`, broken at spaces where it has any.
pub fn fold(text: &str, columns: usize) -> Vec<String> {
    let mut rest: Vec<char> = text.chars().collect();
    let mut rows = Vec::new();
    while rest.len() > columns {
        let words = rest.iter().position(|&c| c != ' ').unwrap_or(0); // after the indentation
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The brightness of a colour of the palette's cube or greys, from 0 to 1 (WCAG's relative
    /// luminance).
    fn luminance(code: &str) -> f64 {
        let number: u8 = code
            .strip_prefix("38;5;")
            .expect("one of 256")
            .parse()
            .expect("a number");
        let levels = [0, 95, 135, 175, 215, 255];
        let rgb = match number {
            16..=231 => {
                let cube = usize::from(number - 16);
                [cube / 36, cube / 6 % 6, cube % 6].map(|level| levels[level])
            }
            232.. => [8 + 10 * (number - 232); 3],
            _ => panic!("each terminal has its own {number}"),
        };
        let linear = rgb.map(|level| {
            let level = f64::from(level) / 255.0;
            if level <= 0.03928 {
                level / 12.92
            } else {
                ((level + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn each_colour_can_be_read_on_white_and_on_black() {
        for code in ["2", "31", "32", "33", "34", "35", "36"] {
            let light = luminance(shade(code)) + 0.05;
            assert!(1.05 / light >= 4.5 && light / 0.05 >= 4.5, "{code}");
        }
    }
}
