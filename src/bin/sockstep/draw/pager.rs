//! What a live picture has shown, to be paged through on the terminal's other screen while the picture goes on behind it.

use std::collections::VecDeque;

use sockstep::Result;

use crate::draw::terminal::{put, size_of_the_terminal};

/// Rows that are kept.
const MOST: usize = 20_000;

/// What a key asks for.
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
    /// The first row that is seen, while it is open.
    top: Option<usize>,
    /// What the picture has drawn meanwhile.
    unseen: String,
}

impl Pager {
    pub fn is_open(&self) -> bool {
        self.top.is_some()
    }

    /// Keeps what the picture shows from now on; the oldest rows go.
    pub fn keep(&mut self, text: &str) {
        self.rows.extend(text.lines().map(str::to_owned));
        let over = self.rows.len().saturating_sub(MOST);
        self.rows.drain(..over);
        if let Some(top) = &mut self.top {
            *top = top.saturating_sub(over);
            self.unseen += text;
        }
    }

    /// What the picture has drawn since the pager was opened.
    pub fn unseen(&mut self) -> String {
        std::mem::take(&mut self.unseen)
    }

    /// Turns the page. Going on beyond the last one leaves.
    pub fn turn(&mut self, turn: Turn) -> Result<()> {
        let (rows, _) = size_of_the_terminal()
            .filter(|(rows, _)| *rows > 0)
            .unwrap_or((24, 80));
        let page = rows.saturating_sub(1).max(1);
        let last = self.rows.len().saturating_sub(page);
        let top = match (turn, self.top) {
            (Turn::Leave, Some(_)) => return self.leave(),
            (Turn::On, Some(top)) if top >= last => return self.leave(),
            (Turn::Leave | Turn::On | Turn::Last, None) => return Ok(()),
            (Turn::Back, top) => top
                .unwrap_or(last + page)
                .min(last + page)
                .saturating_sub(page),
            (Turn::On, Some(top)) => (top + page).min(last),
            (Turn::First, _) => 0,
            (Turn::Last, _) => last,
        };
        let begin = if self.is_open() { "" } else { "\x1b[?1049h" };
        self.top = Some(top);
        let seen = self.rows.iter().skip(top).take(page);
        let rows: String = seen.flat_map(|row| [row.as_str(), "\r\n"]).collect();
        let to = (top + page).min(self.rows.len());
        let of = self.rows.len();
        let words = format!(
            "rows {} to {to} of {of}: PageUp PageDown Home End, q goes back",
            (top + 1).min(of)
        );
        put(format!("{begin}\x1b[H\x1b[2J\x1b[?7l{rows}\x1b[7m{words}\x1b[0m\x1b[?7h").as_bytes())
    }

    fn leave(&mut self) -> Result<()> {
        self.top = None;
        put(b"\x1b[?1049l")
    }
}
