//! The rows that a live picture has shown. The user can page through them on the terminal's
//! alternate screen while the picture goes on.

use std::collections::VecDeque;

use sockstep::Result;

use crate::draw::terminal::{COLUMNS, put, size_of_the_terminal};

/// The most rows kept.
const MOST: usize = 20_000;

/// The action of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Back,
    On,
    First,
    Last,
    Leave,
}

#[derive(Default)]
pub struct Pager {
    rows: VecDeque<String>,
    /// The first visible line, while the pager is open: a row, and the number of the line within
    /// it.
    top: Option<(usize, usize)>,
    /// The picture's output since the pager was opened.
    unseen: String,
}

/// The kept rows as a window of some width has them, and how many it has at once.
struct Pages {
    lines: Vec<((usize, usize), String)>,
    page: usize,
    columns: usize,
}

impl Pages {
    /// The first line of the last page.
    fn last(&self) -> usize {
        self.lines.len().saturating_sub(self.page)
    }

    fn find(&self, place: (usize, usize)) -> usize {
        self.lines.partition_point(|(own, _)| *own < place)
    }
}

impl Pager {
    pub fn is_open(&self) -> bool {
        self.top.is_some()
    }

    /// Keeps the rows that the picture shows from now on, without the oldest.
    pub fn keep(&mut self, text: &str) {
        self.rows.extend(text.lines().map(str::to_owned));
        let over = self.rows.len().saturating_sub(MOST);
        self.rows.drain(..over);
        if let Some((row, _)) = &mut self.top {
            *row = row.saturating_sub(over);
            self.unseen += text;
        }
    }

    /// The picture's output since the pager was opened.
    pub fn unseen(&mut self) -> String {
        std::mem::take(&mut self.unseen)
    }

    fn pages(&self) -> Pages {
        let (rows, columns) = size_of_the_terminal().unwrap_or((0, COLUMNS));
        let rows = if rows == 0 { 24 } else { rows };
        let lines = self.rows.iter().enumerate().flat_map(|(row, text)| {
            let parts = wrapped(text, columns).into_iter().enumerate();
            parts.map(move |(part, text)| ((row, part), text))
        });
        Pages {
            lines: lines.collect(),
            page: rows.saturating_sub(1).max(1),
            columns,
        }
    }

    /// Turns the page. Going beyond the last one closes the pager.
    pub fn turn(&mut self, turn: Turn) -> Result<()> {
        let pages = self.pages();
        let last = pages.last();
        let top = match (turn, self.top) {
            (Turn::Leave, Some(_)) => return self.leave(),
            (Turn::Leave | Turn::On | Turn::Last, None) => return Ok(()),
            (Turn::Back, None) => last.saturating_sub(pages.page),
            (Turn::Back, Some(place)) => pages.find(place).saturating_sub(pages.page),
            (Turn::On, Some(place)) if pages.find(place) >= last => return self.leave(),
            (Turn::On, Some(place)) => (pages.find(place) + pages.page).min(last),
            (Turn::First, _) => 0,
            (Turn::Last, _) => last,
        };
        self.show(&pages, top)
    }

    /// Draws the page anew, in a window of another size.
    pub fn resize(&mut self) -> Result<()> {
        let Some(place) = self.top else {
            return Ok(());
        };
        let pages = self.pages();
        self.show(&pages, pages.find(place).min(pages.last()))
    }

    fn show(&mut self, pages: &Pages, top: usize) -> Result<()> {
        let begin = if self.is_open() { "" } else { "\x1b[?1049h" };
        let seen = &pages.lines[top..];
        let seen = &seen[..pages.page.min(seen.len())];
        self.top = Some(seen.first().map_or((0, 0), |(place, _)| *place));
        let rows: String = seen.iter().flat_map(|(_, row)| [row, "\r\n"]).collect();
        let row = |line: Option<&((usize, usize), String)>| line.map_or(0, |((row, _), _)| row + 1);
        let (from, to, of) = (row(seen.first()), row(seen.last()), self.rows.len());
        let words = [
            format!("rows {from} to {to} of {of}: PageUp PageDown Home End, q goes back"),
            format!("{from}-{to} of {of}: PageUp PageDown, q back"),
            format!("{from}-{to}/{of} q"),
        ];
        let fits = |words: &&String| words.len() < pages.columns;
        let words = words.iter().find(fits).unwrap_or(&words[2]);
        put(format!("{begin}\x1b[H\x1b[2J\x1b[?7l{rows}\x1b[7m{words}\x1b[0m\x1b[?7h").as_bytes())
    }

    fn leave(&mut self) -> Result<()> {
        self.top = None;
        put(b"\x1b[?1049l")
    }
}

/// A row in lines of `columns`, each in the colour that it has there.
fn wrapped(row: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let (mut colour, mut used) = (String::new(), 0);
    let mut rest = row;
    while let Some(c) = rest.chars().next() {
        let code = rest.starts_with("\x1b[").then(|| rest.find('m')).flatten();
        let length = code.map_or(c.len_utf8(), |end| end + 1);
        let piece = &rest[..length];
        rest = &rest[length..];
        if code.is_some() {
            match piece {
                "\x1b[0m" => colour.clear(),
                _ => colour += piece,
            }
        } else if used == columns {
            if !colour.is_empty() {
                lines
                    .last_mut()
                    .into_iter()
                    .for_each(|line| *line += "\x1b[0m");
            }
            lines.push(colour.clone());
            used = 1;
        } else {
            used += 1;
        }
        lines.last_mut().into_iter().for_each(|line| *line += piece);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_goes_on_in_its_colour() {
        assert_eq!(wrapped("", 3), [""]);
        assert_eq!(wrapped("abc", 3), ["abc"]);
        assert_eq!(
            wrapped("a\x1b[31mbcd\u{e9}\x1b[0mf", 2),
            [
                "a\x1b[31mb\x1b[0m",
                "\x1b[31mcd\x1b[0m",
                "\x1b[31m\u{e9}\x1b[0mf"
            ]
        );
    }
}
