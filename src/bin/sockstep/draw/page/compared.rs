//! Two runs side by side: each event with its mark from the comparison.

use crate::draw::json::{object, shown as text};
use crate::strace::line::Entry;
use crate::world::Side;

/// The events of a run in the order of time, with their marks.
pub type Marked = Entries;
pub type Entries = Vec<(Side, Entry, Option<Mark>)>;

/// The mark of an event in a comparison. Events in the same row have the same number.
#[derive(Clone, Debug)]
pub struct Mark {
    pub sort: Sort,
    pub why: String,
    pub row: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Same,
    Normalised,
    Expected,
    Varies,
    Different,
    Only,
}

impl Mark {
    pub fn json(&self) -> String {
        let sort = match self.sort {
            Sort::Same => "same",
            Sort::Normalised => "normalised",
            Sort::Expected => "expected",
            Sort::Varies => "varies",
            Sort::Different => "different",
            Sort::Only => "only",
        };
        let mut pairs = vec![("kind", text(sort)), ("row", self.row.to_string())];
        if !self.why.is_empty() {
            let why: String = self.why.chars().take(400).collect();
            pairs.push(("why", text(why)));
        }
        object(&pairs)
    }
}
