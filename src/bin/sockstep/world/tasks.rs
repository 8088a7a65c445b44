//! Tasks (processes and threads), and their sides.

use std::collections::{HashMap, HashSet};

use crate::strace::calls::{self, Does, made_task};
use crate::strace::line::{Call, Entry, What};
use crate::strace::text::bytes;
use crate::world::Side;
use crate::world::ids::TableId;
pub use crate::world::ids::TaskId;

/// It makes a process or a thread.
#[derive(Debug)]
pub struct Task {
    pub id: TaskId,
    pub side: Side,
    pub source: usize,
    pub pid: Option<u32>,
    pub parent: Option<TaskId>,
    /// It shares its maker's descriptor table.
    pub thread: bool,
    /// Its own program by execve, without directories; `None` if it runs its maker's.
    pub program: Option<String>,
    pub ended: bool,
    pub(super) table: TableId,
}

/// The name of the program that an execve begins.
pub(super) fn program_of(execve: &Call) -> Option<String> {
    let path = execve.args.iter().find_map(|arg| bytes(arg))?.0;
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// Finds the side of each process of a recording: a process that listens, or receives before it
/// sends, is a server; one that connects and never listens is a client. The tasks that a process
/// has made are on its side, unless their own calls show otherwise.
#[derive(Default)]
pub struct Sides {
    seen: HashMap<Option<u32>, Seen>,
    /// In the order in which they appeared.
    order: Vec<Option<u32>>,
    datagrams: HashSet<(Option<u32>, Option<i32>)>,
}

#[derive(Default)]
struct Seen {
    hints: Hints,
    sends: bool,
    /// Its maker.
    #[allow(clippy::option_option, reason = "the first process may have no number")]
    parent: Option<Option<u32>>,
    becomes_another: bool,
}

/// The evidence for a process's side.
#[derive(Clone, Copy, Default)]
struct Hints {
    listens: bool,
    connects: bool,
    receives_first: bool,
}

impl Hints {
    fn side(self) -> Option<Side> {
        match (self.listens, self.connects, self.receives_first) {
            (true, _, _) | (_, false, true) => Some(Side::Server),
            (_, true, _) => Some(Side::Client),
            _ => None,
        }
    }
}

impl Sides {
    fn know(&mut self, pid: Option<u32>) -> &mut Seen {
        self.seen.entry(pid).or_insert_with(|| {
            self.order.push(pid);
            Seen::default()
        })
    }

    pub fn take(&mut self, entry: &Entry) {
        let pid = entry.pid;
        self.know(pid);
        let What::Call(call) = &entry.what else {
            return;
        };
        let Some(row) = calls::of(&call.name) else {
            return;
        };
        let on = call.args.first().and_then(|arg| calls::descriptor(arg));
        match row.does {
            Does::Listens | Does::Accepts => self.know(pid).hints.listens = true,
            Does::MakesSocket => {
                let made = (pid, calls::descriptor(&call.result));
                self.datagrams.remove(&made);
                if call
                    .args
                    .get(1)
                    .is_some_and(|kind| kind.contains("SOCK_DGRAM"))
                {
                    self.datagrams.insert(made);
                }
            }
            Does::Connects => {
                // A connect of a datagram socket, for example by getaddrinfo, proves nothing yet.
                let resolves = self.datagrams.contains(&(pid, on))
                    || call.args.iter().any(|arg| arg.contains("nscd"));
                self.know(pid).hints.connects |= !resolves;
            }
            Does::BecomesProgram if !call.failed() => self.know(pid).becomes_another = true,
            Does::MakesTask => {
                if let Some((child, _)) = made_task(call) {
                    self.know(Some(child)).parent = Some(pid);
                }
            }
            _ if row.proves && row.sends.is_some() => self.know(pid).sends = true,
            _ if row.proves && row.receives.is_some() => {
                let own = self.know(pid);
                own.hints.receives_first |= !own.sends;
            }
            _ => {}
        }
    }

    /// The process that loaded a process's program.
    fn root(&self, mut pid: Option<u32>) -> Option<u32> {
        for _ in 0..self.seen.len() {
            let own = self.seen.get(&pid).filter(|own| !own.becomes_another);
            match own.and_then(|own| own.parent) {
                Some(parent) => pid = parent,
                None => break,
            }
        }
        pid
    }

    pub fn sides(&self) -> HashMap<Option<u32>, Side> {
        // Children of one program are on one side: evidence for one counts for all.
        let mut programs: HashMap<Option<u32>, Hints> = HashMap::new();
        for (pid, own) in &self.seen {
            let program = programs.entry(self.root(*pid)).or_default();
            program.listens |= own.hints.listens;
            program.connects |= own.hints.connects;
            program.receives_first |= own.hints.receives_first;
        }
        let known: Vec<Side> = programs.values().filter_map(|hints| hints.side()).collect();
        let only_servers = !known.is_empty() && known.iter().all(|side| *side == Side::Server);
        let others = if only_servers {
            Side::Server
        } else {
            Side::Client
        };
        let mut sides: HashMap<Option<u32>, Side> = HashMap::new();
        for &pid in &self.order {
            let root = self.root(pid);
            let own = programs.get(&root).and_then(|hints| hints.side());
            // It has no socket of its own: it is on its maker's side.
            let parent = self.seen.get(&root).and_then(|own| own.parent);
            let makers = parent.and_then(|parent| sides.get(&parent).copied());
            sides.insert(
                pid,
                own.or(makers.filter(|_| !only_servers)).unwrap_or(others),
            );
        }
        sides
    }
}

/// The calls of one process or thread.
pub struct Part {
    /// It is not the first thread of its process.
    pub thread: bool,
    pub entries: Vec<Entry>,
}

/// From the first `socket` on: first the process that made it; then the others in the order in
/// which they served clients, because which of them serves is chance; then those that served no
/// client. `None` if there is no socket.
///
/// Calls before the first process became its program are left out: a shell, or the script that
/// finds the right python3.
pub fn split(mut entries: Vec<Entry>) -> Option<Vec<Part>> {
    let started = entries.first().map(|entry| entry.pid);
    if let Some(becomes) = entries
        .iter()
        .rposition(|entry| Some(entry.pid) == started && becomes_a_program(entry))
    {
        entries.drain(..becomes);
    }
    let threads: HashSet<u32> = entries.iter().filter_map(new_thread).collect();
    let first = entries
        .iter()
        .position(|entry| does(entry) == Does::MakesSocket)?;
    let entries = entries.split_off(first);
    let main = entries[0].pid;

    let accepts = entries.iter().filter(|entry| does(entry) == Does::Accepts);
    let accepted: HashSet<&String> = accepts
        .filter_map(call_of)
        .filter(|call| !call.failed())
        .map(|call| &call.result)
        .collect();
    let mut pids: Vec<Option<u32>> = Vec::new();
    for entry in &entries {
        if !pids.contains(&entry.pid) {
            pids.push(entry.pid);
        }
    }
    let of = |pid| entries.iter().filter(move |entry| entry.pid == pid);
    // Entries come as their calls end.
    let turn = |pid| {
        let serves = |entry: &Entry| entry.pid == pid && serves_client(entry, &accepted);
        entries.iter().position(serves).unwrap_or(entries.len())
    };
    pids.sort_by_cached_key(|&pid| {
        let names: Vec<&str> = of(pid).map(name).collect();
        (pid != main, turn(pid), names)
    });
    let part = |pid: Option<u32>| Part {
        thread: pid.is_some_and(|pid| threads.contains(&pid)),
        entries: of(pid).cloned().collect(),
    };
    Some(pids.into_iter().map(part).collect())
}

fn call_of(entry: &Entry) -> Option<&Call> {
    match &entry.what {
        What::Call(call) => Some(call),
        _ => None,
    }
}

fn does(entry: &Entry) -> Does {
    call_of(entry).map_or(Does::Neither, |call| calls::does(&call.name))
}

fn name(entry: &Entry) -> &str {
    match &entry.what {
        What::Call(call) => &call.name,
        What::Signal(text) | What::End(text) | What::Unknown(text) => text,
    }
}

fn becomes_a_program(entry: &Entry) -> bool {
    does(entry) == Does::BecomesProgram && call_of(entry).is_some_and(|call| !call.failed())
}

/// The thread that this call has started.
fn new_thread(entry: &Entry) -> Option<u32> {
    let call = call_of(entry)?;
    let (task, _) = made_task(call)?;
    calls::has_flag(call, "CLONE_THREAD").then_some(task)
}

/// Whether this call got a connection, or did something with one.
fn serves_client(entry: &Entry, accepted: &HashSet<&String>) -> bool {
    let Some((call, row)) = call_of(entry).and_then(|call| Some((call, calls::of(&call.name)?)))
    else {
        return false;
    };
    let waited = call.note.starts_with("EAGAIN") || call.note.starts_with("ERESTART");
    match row.sends.or(row.receives) {
        Some(data) => {
            !waited
                && call
                    .args
                    .get(data.on)
                    .is_some_and(|fd| accepted.contains(fd))
        }
        None => row.does == Does::Accepts && !call.failed(),
    }
}
