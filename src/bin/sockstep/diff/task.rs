//! The calls of one task in a run, with the data to compare them.

use crate::diff::normalise::On;
use crate::draw::terminal::Side;
use crate::strace::line::{Entry, What};

/// The calls of one process or thread.
pub struct Task {
    pub name: String,
    pub side: Side,
    pub entries: Vec<Entry>,
    /// The sockets of each entry; empty if their numbers are compared unchanged.
    pub on: Vec<On>,
    /// The sockets of its side, in order of appearance: this gives their letters.
    pub sockets: Vec<u64>,
    /// Known ports, the server's first, so that each can be replaced by a letter.
    pub ports: Vec<u16>,
    /// It is not the first thread of its process.
    pub thread: bool,
    /// It is not the first task of its side.
    pub is_another: bool,
}

impl Task {
    /// The socket calls of several tasks, in order of time, and the end of the first of them.
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
