//! Remarks on descriptors: closed too early, too often, too late.

use super::seen::Seen;
use super::{Remark, error, remark, socket};
use crate::strace::calls::{self, Does};
use crate::strace::line::Call;
use crate::world::events::Event;
use crate::world::sockets::{Kind, State};
use crate::world::tasks::TaskId;
use crate::world::{Side, World};

pub(super) fn no_descriptor_left(
    seen: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let makes = matches!(calls::does(&call.name), Does::Accepts | Does::MakesSocket);
    if !makes || error(call) != "EMFILE" {
        return None;
    }
    let pid = world.task(event.task).pid.filter(|_| seen.live);
    let open = world.descriptors(event.task).count();
    let limit = match pid.and_then(limit_of) {
        Some(limit) => format!("ulimit -n is {limit}, and {open} sockets are open"),
        None => format!("the limit of open files (ulimit -n) is reached, with {open} sockets open"),
    };
    remark(
        format!("{limit}. Close finished connections; the client stays in the queue"),
        "EMFILE",
    )
}

/// The limit of descriptors of a process.
fn limit_of(pid: u32) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The first process ends while a child of it still has the socket.
pub(super) fn daemon(seen: &Seen, world: &World, event: &Event, end: &str) -> Option<Remark> {
    let task = world.task(event.task);
    if event.side != Side::Server
        || task.thread
        || end != "exited with 0"
        || seen.asked_to_end[event.side as usize]
    {
        return None;
    }
    let serves = |id: TaskId| {
        world.descriptors(id).any(|(_, socket)| {
            socket.has_listened()
                || (socket.kind == Kind::Datagram && socket.counts && socket.local.is_some())
        })
    };
    let goes_on = world.tasks().iter().any(|child| {
        child.parent == Some(task.id)
            && !child.ended
            && !child.thread
            && child.program.is_none()
            && serves(child.id)
    });
    if !goes_on {
        return None;
    }
    remark("the server goes on in the background: a daemon", "daemon")
}

pub(super) fn closed_already(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let socket = socket(world, event)?;
    let again = calls::does(&call.name) == Does::Closes && error(call) == "EBADF";
    if !again || socket.has_listened() {
        return None;
    }
    remark(
        "closed already: close each descriptor once, as the next socket may get this number",
        "double close",
    )
}

pub(super) fn listening_socket_closed(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let socket = socket(world, event)?;
    let gone = calls::does(&call.name) == Does::Accepts && error(call) == "EBADF";
    if !gone || !socket.has_listened() {
        return None;
    }
    remark(
        "the listening socket was closed: close the one that accept returned instead",
        "wrong socket closed",
    )
}

pub(super) fn listen_is_missing(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let socket = socket(world, event)?;
    let refused = calls::does(&call.name) == Does::Accepts && error(call) == "EINVAL";
    if !refused || !matches!(socket.state, State::Created | State::Bound) || socket.has_listened() {
        return None;
    }
    remark(
        "listen() is missing: call it between bind() and accept()",
        "listen",
    )
}
