//! Takes the recording of one side apart: what each of its processes and threads did.

use std::collections::HashSet;

use crate::strace::line::{Call, Entry, What};

/// What one process or thread did.
pub struct Part {
    /// Not the first thread of its process.
    pub thread: bool,
    pub entries: Vec<Entry>,
}

/// From the first `socket` on: first the process that made it; then the others in the order in which they served clients,
/// for which of them does is chance; then those that served none. `None` if there is no socket.
///
/// What came before the first process became its program is left out: a shell, or the script that finds the right python3.
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
        .position(|entry| matches!(&entry.what, What::Call(call) if call.name == "socket"))?;
    let entries = entries.split_off(first);
    let main = entries[0].pid;

    let accepted: HashSet<&String> = calls(&entries)
        .filter(|call| call.name.starts_with("accept") && !call.failed())
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

fn calls(entries: &[Entry]) -> impl Iterator<Item = &Call> {
    entries.iter().filter_map(|entry| match &entry.what {
        What::Call(call) => Some(call),
        _ => None,
    })
}

fn name(entry: &Entry) -> &str {
    match &entry.what {
        What::Call(call) => &call.name,
        What::Signal(text) | What::End(text) | What::Unknown(text) => text,
    }
}

fn becomes_a_program(entry: &Entry) -> bool {
    matches!(&entry.what, What::Call(call) if call.name == "execve" && !call.failed())
}

/// The thread that this call has started.
fn new_thread(entry: &Entry) -> Option<u32> {
    match &entry.what {
        What::Call(call) if call.name.starts_with("clone") => {
            let thread = call.args.iter().any(|arg| arg.contains("CLONE_THREAD"));
            call.result.parse().ok().filter(|_| thread)
        }
        _ => None,
    }
}

/// Whether this call got a connection, or something done with one.
fn serves_client(entry: &Entry, accepted: &HashSet<&String>) -> bool {
    let What::Call(call) = &entry.what else {
        return false;
    };
    let waited = call.note.starts_with("EAGAIN") || call.note.starts_with("ERESTART");
    match call.name.as_str() {
        "accept" | "accept4" => !call.failed(),
        "recvfrom" | "recvmsg" | "read" | "sendto" | "sendmsg" | "write" => {
            !waited && call.args.first().is_some_and(|fd| accepted.contains(fd))
        }
        _ => false,
    }
}
