//! How a side is ended.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::sides::process::Process;
use crate::sides::tasks::send;
use crate::strace::line::{Entry, What};

/// How long the first process may take to end its own children before they get SIGTERM too.
const FIRST: Duration = Duration::from_millis(100);
/// How long a side may take to end after SIGTERM.
pub const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long strace may take to report that all have been killed.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A side that is being ended: SIGTERM to its first process, a moment later to every other one, SIGKILL after [`LAST_WORDS`].
pub struct End {
    since: Instant,
    /// The time from SIGTERM to SIGKILL.
    last_words: Duration,
    /// The processes that have got SIGTERM.
    asked: Vec<Pid>,
    killed: Option<Instant>,
    gone: Option<Instant>,
}

/// Whether an entry is that of a SIGCONT which came along with a SIGTERM of ours.
pub fn is_ours(entry: &Entry) -> bool {
    let us = format!("si_pid={},", std::process::id());
    matches!(&entry.what, What::Signal(what) if what.starts_with("SIGCONT ") && what.contains(&us))
}

impl End {
    pub fn begin(process: &Process) -> End {
        let mut end = End {
            since: Instant::now(),
            last_words: LAST_WORDS,
            asked: Vec::new(),
            killed: None,
            gone: None,
        };
        let all = process.processes();
        if all.contains(&process.first()) {
            end.ask(&[process.first()]);
        } else {
            end.ask(&all);
        }
        end
    }

    /// Whether all of it has ended and all its output is read. Call it repeatedly: each call takes
    /// the next step.
    pub fn is_over(&mut self, process: &mut Process) -> bool {
        let now = Instant::now();
        let left = process.processes();
        if left.is_empty() {
            let gone = *self.gone.get_or_insert(now);
            // Another process that still holds the pipes' other ends does not belong to this side.
            if now - gone > LAST_LINES {
                process.hang_up();
            }
        } else if let Some(killed) = self.killed {
            process.kill_all();
            if now - killed > LAST_LINES {
                process.hang_up();
                return true; // it is in a call that cannot be interrupted: give it up
            }
        } else if now - self.since >= self.last_words {
            self.killed = Some(now);
            process.kill_all();
        } else if now - self.since >= FIRST {
            self.ask(&left);
        }
        left.is_empty() && !process.is_heard()
    }

    /// The time that it may still take.
    pub fn wait_for(&mut self, time: Duration) {
        self.last_words = time;
    }

    /// Whether SIGKILL was needed.
    pub fn took_force(&self) -> bool {
        self.killed.is_some()
    }

    fn ask(&mut self, processes: &[Pid]) {
        for &process in processes {
            if !self.asked.contains(&process) {
                self.asked.push(process);
                send(process, Signal::SIGTERM);
                send(process, Signal::SIGCONT); // a stopped process receives it only then
            }
        }
    }
}
