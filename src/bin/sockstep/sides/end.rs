//! How a side is ended.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::sides::process::Process;
use crate::sides::tasks::send;
use crate::strace::line::{Entry, What};

/// How long the first process may take to end its own children, before they are asked too.
const FIRST: Duration = Duration::from_millis(100);
/// How long a side that was asked to end may take.
pub const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long strace may take to say that all have been killed.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A side that is being ended: SIGTERM to its first process, a moment later to every other one, SIGKILL after [`LAST_WORDS`].
pub struct End {
    since: Instant,
    /// How long it may take.
    last_words: Duration,
    /// Who has been asked to end.
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

    /// Whether all of it has ended and all is heard. To be asked again and again, as it does what comes next.
    pub fn is_over(&mut self, process: &mut Process) -> bool {
        let now = Instant::now();
        let left = process.processes();
        if left.is_empty() {
            let gone = *self.gone.get_or_insert(now);
            // Whoever still has the other ends of the pipes has nothing to do with it.
            if now - gone > LAST_LINES {
                process.hang_up();
            }
        } else if let Some(killed) = self.killed {
            process.kill_all();
            if now - killed > LAST_LINES {
                process.hang_up();
                return true; // a call that nothing interrupts: to drop it is all that can still be done
            }
        } else if now - self.since >= self.last_words {
            self.killed = Some(now);
            process.kill_all();
        } else if now - self.since >= FIRST {
            self.ask(&left);
        }
        left.is_empty() && !process.is_heard()
    }

    /// It may take so long.
    pub fn wait_for(&mut self, time: Duration) {
        self.last_words = time;
    }

    /// Whether it took SIGKILL.
    pub fn took_force(&self) -> bool {
        self.killed.is_some()
    }

    fn ask(&mut self, processes: &[Pid]) {
        for &process in processes {
            if !self.asked.contains(&process) {
                self.asked.push(process);
                send(process, Signal::SIGTERM);
                send(process, Signal::SIGCONT); // a stopped one gets it then
            }
        }
    }
}
