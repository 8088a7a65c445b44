//! What two processes print, line by line, each marked with its side.

use std::env;
use std::io::{self, IsTerminal};

use sockstep::{Result, write};

use crate::common::text::escape;

/// One of the two processes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// Standard output, shared by the two sides.
pub struct Lanes {
    /// Whose line has been begun and not ended.
    open: Option<Side>,
    terminal: bool,
    coloured: bool,
    /// A person types, and the terminal ends a prompt's line when Enter is pressed.
    typing: bool,
}

impl Lanes {
    pub fn new() -> Lanes {
        let terminal = io::stdout().is_terminal();
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && env::var_os("TERM").is_none_or(|value| value != "dumb");
        Lanes {
            open: None,
            terminal,
            coloured: terminal && wanted,
            typing: terminal && io::stdin().is_terminal(),
        }
    }

    /// Shows what a side has printed, `wrong` if on standard error. A prompt stays open until the next output.
    pub fn show(&mut self, side: Side, wrong: bool, bytes: &[u8]) -> Result<()> {
        let mut text = Vec::new();
        if self.open == Some(Side::Client) && self.typing && bytes != b"\n" {
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
            if self.terminal {
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
            Side::Client => ("client", "\x1b[36m"),
            Side::Server => ("server", "\x1b[33m"),
        };
        let bar = if wrong { "!" } else { "|" };
        let mark = match (self.coloured, wrong) {
            (false, _) => format!("{name} {bar} "),
            (true, false) => format!("{colour}{name} {bar}\x1b[0m "),
            (true, true) => format!("{colour}{name} \x1b[31m{bar}\x1b[0m "),
        };
        text.extend_from_slice(mark.as_bytes());
    }
}

/// Appends text for a terminal: escaped, but for tabs, and for the backslashes of a program that has escaped it already.
fn harmless(line: &[u8], text: &mut Vec<u8>) {
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

fn put(text: &[u8]) -> Result<()> {
    let mut rest = text;
    while !rest.is_empty() {
        rest = &rest[write(io::stdout(), rest)?..];
    }
    Ok(())
}
