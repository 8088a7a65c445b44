//! Remarks on descriptors: closed too early, too often, too late.

use super::seen::Seen;
use super::{Remark, datagram_socket, error, remark, socket};
use crate::strace::calls::{self, By, Does, number};
use crate::strace::line::Call;
use crate::world::events::Event;
use crate::world::sockets::{Kind, Socket, State};
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
    remark(DAEMON, "daemon")
}

const DAEMON: &str = "the server goes on in the background: a daemon";

/// The same where the first process has ended before the socket was there.
pub(super) fn daemon_listens(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let socket = socket(world, event)?;
    let serves = match calls::does(&call.name) {
        Does::Listens => true,
        Does::Binds => socket.kind == Kind::Datagram,
        _ => false,
    };
    let task = world.task(event.task);
    if !serves || call.failed() || event.side != Side::Server || task.thread {
        return None;
    }
    let mut parent = task.parent.filter(|_| task.program.is_none());
    parent?;
    while let Some(above) = parent.map(|id| world.task(id)) {
        if !above.ended {
            return None;
        }
        parent = above.parent.filter(|&id| world.task(id).side == event.side);
    }
    remark(DAEMON, "daemon")
}

pub(super) fn closed_already(
    seen: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let socket = socket(world, event)?;
    let again = calls::does(&call.name) == Does::Closes && error(call) == "EBADF";
    // A program that closes all its descriptors, one after the other, does not know which are open.
    let number = calls::descriptor(call.args.first()?)?;
    let before = seen.closes.get(&event.task).and_then(|(before, _)| *before);
    let sweeps = before.is_some_and(|before| before.abs_diff(number) == 1);
    if !again || socket.has_listened() || sweeps {
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

pub(super) fn used_after_close(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    socket(world, event).filter(|socket| !socket.has_listened())?;
    let row = calls::of(&call.name).filter(|row| row.does != Does::Closes)?;
    if !row.proves && row.sends.is_none() && row.receives.is_none() || error(call) != "EBADF" {
        return None;
    }
    remark("closed before: close() comes after the last use", "EBADF")
}

pub(super) fn listen_is_missing(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let socket = socket(world, event)?;
    let accepts = calls::does(&call.name) == Does::Accepts;
    match error(call) {
        "EINVAL" if !accepts || socket.has_listened() => None,
        "EINVAL" if socket.accepted => remark(
            "this is a connection: call accept() on the listening socket",
            "EINVAL",
        ),
        "EINVAL" if matches!(socket.state, State::Created | State::Bound) => remark(
            "listen() is missing: call it between bind() and accept()",
            "listen",
        ),
        _ => None,
    }
}

pub(super) fn datagrams_have_no_listener(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    datagram_socket(world, event)?;
    let listens = matches!(calls::does(&call.name), Does::Listens | Does::Accepts);
    if !listens || error(call) != "EOPNOTSUPP" {
        return None;
    }
    remark(
        "a socket for datagrams has no connections: call recvfrom() instead, or make it of SOCK_STREAM",
        "EOPNOTSUPP",
    )
}

/// A socket call on a descriptor that was never a socket, or no longer is.
pub(super) fn no_socket(seen: &Seen, _: &World, event: &Event, call: &Call) -> Option<Remark> {
    let row = calls::of(&call.name)?;
    let wants = matches!(
        row.does,
        Does::Binds | Does::Listens | Does::Accepts | Does::Connects
    );
    if !wants || error(call) != "ENOTSOCK" || !seen.sockets[event.side as usize] {
        return None;
    }
    let number = calls::descriptor(call.args.get(row.on?)?)?;
    let first = matches!(row.does, Does::Binds | Does::Connects);
    let why = match number {
        0 | 1 if first => ": in C, write if ((s = socket(...)) < 0), or s is what < says",
        _ => "",
    };
    remark(format!("descriptor {number} is no socket{why}"), "ENOTSOCK")
}

/// Data on a socket that has no connection.
pub(super) fn no_connection(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let row = calls::of(&call.name)?;
    let socket = socket(world, event)?;
    if (row.sends.is_none() && row.receives.is_none())
        || !socket.is_connected_by_nature()
        || !matches!(error(call), "ENOTCONN" | "EPIPE")
    {
        return None;
    }
    let words = match &socket.refused {
        _ if socket.state == State::Listening => {
            "this is the listening socket: use the one that accept() returned"
        }
        Some((_, why)) if socket.remote.is_none() && why.starts_with('E') => {
            "connect() has failed: look at what it returns"
        }
        None if matches!(socket.state, State::Created | State::Bound) => {
            "not connected: call connect() first"
        }
        _ => return None,
    };
    remark(words, "ENOTCONN")
}

pub(super) fn connected_twice(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    // Some programs call connect again to learn the result of the first call.
    let socket = socket(world, event).filter(|socket| !socket.nonblocking)?;
    let again = calls::does(&call.name) == Does::Connects && error(call) == "EISCONN";
    if !again || socket.state == State::Connecting {
        return None;
    }
    remark(
        "connected already: a socket connects once, another connection takes another socket",
        "EISCONN",
    )
}

/// The parent goes on to the next client, and has the last descriptor of a connection that a child has served.
pub(super) fn left_open_by_the_parent(
    seen: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    if calls::does(&call.name) != Does::Accepts {
        return None;
    }
    // What SIGCHLD interrupts: its handler, or the code after accept, may still close it.
    let interrupted = call.result == "?" || error(call) == "EINTR";
    let had_ended = |user: &TaskId| {
        let times = event.entered.zip(seen.ends.get(user));
        times.is_some_and(|(entered, &end)| end <= entered)
    };
    let is_left = |socket: &Socket| {
        let uses = seen.uses.get(&socket.id)?;
        let served = !uses.users.is_empty() && uses.acceptor == Some(event.task);
        let by_others = uses.users.iter().all(|&user| {
            let task = world.task(user);
            let ended = task.ended && (!interrupted || had_ended(&user));
            task.parent == Some(event.task) && !task.thread && ended
        });
        (socket.references == 1 && socket.ended.is_none() && served && by_others).then_some(())
    };
    let mut open: Vec<i32> = world
        .descriptors(event.task)
        .filter(|(_, socket)| is_left(socket).is_some())
        .map(|(number, _)| number)
        .collect();
    open.sort_unstable();
    let number = open.first()?;
    remark(
        format!(
            "the parent still has connection {number}, and its child has ended: the client sees no end. close({number}) in the parent too"
        ),
        "fork",
    )
}

/// A child that was made for one client accepts another.
pub(super) fn child_goes_on(
    seen: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let task = world.task(event.task);
    if calls::does(&call.name) != Does::Accepts || task.thread || task.program.is_some() {
        return None;
    }
    let parent = task.parent?;
    let served = seen
        .uses
        .values()
        .filter(|uses| uses.acceptor == Some(parent) && uses.listener == event.socket)
        .any(|uses| uses.users.contains(&event.task));
    if !served {
        return None;
    }
    remark(
        "this child was made for one client and goes on to accept(): end it with exit()",
        "fork",
    )
}

/// The size of the C library's fd_set.
const FD_SETSIZE: i64 = 1024;

pub(super) fn set_is_too_small(_: &Seen, _: &World, _: &Event, call: &Call) -> Option<Remark> {
    let sets = matches!(calls::does(&call.name), Does::Watches(By::Sets));
    // The first argument may be getdtablesize().
    let within = call.args.iter().skip(1).take(3).flat_map(|set| {
        let set = set.trim_start_matches('[').trim_end_matches(']');
        set.split(' ').filter_map(number)
    });
    let last = within.max().filter(|&last| sets && last >= FD_SETSIZE)?;
    remark(
        format!(
            "descriptor {last} is beyond an fd_set of the C library (FD_SETSIZE, 1024): use poll()"
        ),
        "FD_SETSIZE",
    )
}

/// From this many on, repeated EAGAIN is not a coincidence.
const BUSY: u32 = 200;

pub(super) fn asks_without_waiting(
    seen: &Seen,
    _: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    if error(call) != "EAGAIN" || seen.again.get(&event.task) != Some(&BUSY) {
        return None;
    }
    remark(
        format!(
            "asked {BUSY} times with nothing there: wait with poll() between, or let the call wait"
        ),
        "EAGAIN",
    )
}
