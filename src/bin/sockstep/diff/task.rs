//! What one task did in a play, with what is needed to compare it.

use crate::diff::normalise::On;
use crate::draw::terminal::Side;
use crate::strace::line::{Entry, What};

/// What one process or thread did.
pub struct Task {
    pub name: String,
    pub side: Side,
    pub entries: Vec<Entry>,
    /// For each entry what it has to do with sockets; empty where their numbers are compared as they are.
    pub on: Vec<On>,
    /// The sockets of its side, in the order in which they appear: so they get their letters.
    pub sockets: Vec<u64>,
    /// The ports that it was made with, the server's first, that there is a name for each wherever it appears.
    pub ports: Vec<u16>,
    /// Not the first thread of its process.
    pub thread: bool,
    /// Not the first of its side.
    pub is_another: bool,
}

impl Task {
    /// What several did on sockets, in the order in which it was done, and how the first of them ended.
    pub fn together(tasks: &[&Task]) -> Task {
        let mut all = Vec::new();
        for (at, task) in tasks.iter().enumerate() {
            for (entry, on) in task.entries.iter().zip(&task.on) {
                let took = match &entry.what {
                    What::Call(call) if on.network => call.took.unwrap_or_default(),
                    What::End(_) if at == 0 => 0,
                    _ => continue,
                };
                all.push((entry.start.unwrap_or_default() + took, entry, on));
            }
        }
        all.sort_by_key(|(left, ..)| *left);
        let first = tasks.first();
        Task {
            name: String::new(),
            side: first.map_or(Side::Server, |task| task.side),
            entries: all.iter().map(|(_, entry, _)| (*entry).clone()).collect(),
            on: all.iter().map(|(.., on)| (*on).clone()).collect(),
            sockets: first.map(|task| task.sockets.clone()).unwrap_or_default(),
            ports: first.map(|task| task.ports.clone()).unwrap_or_default(),
            thread: false,
            is_another: false,
        }
    }
}
