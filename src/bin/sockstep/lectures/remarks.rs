//! Remarks: one line on an event that the user should understand, with the way to fix it.
//!
//! A remark is a function in [`RULES`]: it looks at one event, with the world as that event has left it, and says something or
//! not. To add one, write the function, put it in the list, and test it on a recording of three lines, once where it holds and
//! once where it must not. It is said once for each socket. Its `explain` is a word of `words.rs` or of ffi-notes.md; a test
//! looks for that. A false remark is worse than none: where another reading of the event is possible, say nothing.

use std::collections::{HashMap, HashSet};

use crate::strace::calls::{self, Does, number};
use crate::strace::line::{Call, What};
use crate::strace::text::bytes;
use crate::world::events::{End, Event, EventId, Movement};
use crate::world::sockets::{Address, Kind, Socket, SocketId, State};
use crate::world::tasks::TaskId;
use crate::world::{Side, World};

/// A remark, and the word for `sockstep explain`.
#[derive(Clone, Debug, PartialEq)]
pub struct Remark {
    pub words: String,
    pub explain: &'static str,
}

/// Makes the remarks on one run, event by event.
#[derive(Default)]
pub struct Remarks {
    seen: Seen,
    said: HashSet<(Option<SocketId>, &'static str)>,
}

/// Remarks already made.
#[derive(Default)]
struct Seen {
    /// The run is live: this machine's kernel can be asked about it.
    live: bool,
    /// Numbers among the arguments of each side's programs: perhaps ports that the user asked for.
    asked: [HashSet<u16>; 2],
    /// Sockets on which 0 was received, and how often.
    zeros: Vec<(SocketId, u32)>,
    /// The messages that each socket has sent since it last received.
    sends: HashMap<SocketId, Sends>,
    /// Sides that have got SIGTERM.
    asked_to_end: [bool; 2],
    /// Tasks whose reads, and so also writes, are recorded; tasks with output in C's stdio buffer.
    reads: HashSet<TaskId>,
    buffers: HashSet<TaskId>,
    /// A task of that side has made a socket.
    sockets: [bool; 2],
    /// Sockets that close() closed with unread messages.
    closed: HashSet<SocketId>,
}

/// Sends in a row.
struct Sends {
    number: u32,
    last: EventId,
    /// When the last one had returned.
    left: u64,
}

type Rule = fn(&Seen, &World, &Event, &Call) -> Option<Remark>;

type EndRule = fn(&Seen, &World, &Event, &str) -> Option<Remark>;

const RULES: &[Rule] = &[
    closed_already,
    listening_socket_closed,
    listen_is_missing,
    port_without_htons,
    nobody_there,
    address_too_short,
    port_in_use,
    nul_sent_along,
    sizeof_a_pointer,
    goes_on_after_the_end,
    answered_from_elsewhere,
    port_shared,
    no_descriptor_left,
    queue_is_full,
    nobody_has_the_port,
    datagram_met_nobody,
    stranger,
    small_sends,
    messages_left,
];

/// The rules for a task's end, with strace's text.
const ENDINGS: &[EndRule] = &[
    killed_by_a_send,
    daemon,
    words_lost,
    messages_left_at_the_end,
];

impl Remarks {
    /// The rules for an unfinished run.
    pub fn live() -> Remarks {
        let mut remarks = Remarks::default();
        remarks.seen.live = true;
        remarks
    }

    /// The remarks on an event.
    pub fn on(&mut self, world: &World, event: &Event) -> Vec<Remark> {
        self.seen.take(world, event);
        let seen = &self.seen;
        let remarks: Vec<Remark> = match &event.what {
            What::Call(call) => RULES
                .iter()
                .filter_map(|rule| rule(seen, world, event, call))
                .collect(),
            What::End(end) => ENDINGS
                .iter()
                .filter_map(|rule| rule(seen, world, event, end))
                .collect(),
            _ => Vec::new(),
        };
        let said = &mut self.said;
        remarks
            .into_iter()
            .filter(|remark| said.insert((event.socket, remark.explain)))
            .collect()
    }
}

impl Seen {
    fn take(&mut self, world: &World, event: &Event) {
        let call = match &event.what {
            What::Call(call) => call,
            What::Signal(signal) => {
                let asks = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"];
                let name = signal.split(' ').next().unwrap_or_default();
                self.asked_to_end[event.side as usize] |= asks.contains(&name);
                return;
            }
            _ => return,
        };
        self.take_words(event, call);
        self.take_sends(world, event);
        let left = |id: &SocketId| {
            let socket = world.socket(*id);
            socket.is_some_and(|socket| !socket.is_open() && socket.unread_messages > 0)
        };
        self.closed.extend(event.socket.filter(left));
        if calls::does(&call.name) == Does::BecomesProgram {
            let words = call
                .args
                .get(1)
                .map(|arg| calls::items(arg))
                .unwrap_or_default();
            let ports = words.iter().filter_map(|word| {
                let (text, _) = bytes(word)?;
                String::from_utf8(text).ok()?.parse::<u16>().ok()
            });
            self.asked[event.side as usize].extend(ports);
        }
        let Some(id) = event.socket else { return };
        let zero = |movement: &Movement| *movement == Movement::MetEnd(End::Fin);
        if !call.failed() && event.moved.iter().any(|moved| zero(&moved.what)) {
            match self.zeros.iter_mut().find(|(known, _)| *known == id) {
                Some((_, times)) => *times += 1,
                None => self.zeros.push((id, 1)),
            }
            if self.zeros.len() > 64 {
                self.zeros.remove(0);
            }
        }
    }
}

impl Seen {
    /// The C library checks what standard output is at the first output: for a pipe or a file it
    /// buffers.
    fn take_words(&mut self, event: &Event, call: &Call) {
        self.sockets[event.side as usize] |= event.on_a_socket;
        let on = call.args.first().and_then(|arg| calls::descriptor(arg));
        match (call.name.as_str(), on) {
            ("read" | "close", _) => {
                self.reads.insert(event.task);
            }
            // Other languages check it at their start.
            ("fstat" | "fstat64" | "newfstatat" | "statx", Some(1)) => {
                let keeps = |arg: &String| {
                    arg.contains("st_mode=S_IFIFO") || arg.contains("st_mode=S_IFREG")
                };
                if self.sockets[event.side as usize] && call.args.iter().any(keeps) {
                    self.buffers.insert(event.task);
                }
            }
            ("write" | "writev", Some(1)) => {
                self.buffers.remove(&event.task);
            }
            _ if calls::does(&call.name) == Does::BecomesProgram => {
                self.buffers.remove(&event.task);
            }
            _ => {}
        }
    }

    fn take_sends(&mut self, world: &World, event: &Event) {
        for moved in &event.moved {
            match (&moved.what, event.left) {
                (Movement::Sent { .. }, Some(left)) => {
                    let own = self.sends.entry(moved.socket).or_insert(Sends {
                        number: 0,
                        last: event.id,
                        left,
                    });
                    (own.number, own.last, own.left) = (own.number + 1, event.id, left);
                }
                (Movement::Received { .. }, _) => {
                    self.sends.remove(&moved.socket);
                }
                _ => {}
            }
        }
        if self.sends.len() > 1024 {
            self.sends
                .retain(|id, _| world.socket(*id).is_some_and(Socket::is_open));
        }
    }
}

#[allow(clippy::unnecessary_wraps, reason = "each rule ends with it")]
fn remark(words: impl Into<String>, explain: &'static str) -> Option<Remark> {
    let words = words.into();
    Some(Remark { words, explain })
}

/// The error of a call, unless it was injected (`INJECTED`).
fn error(call: &Call) -> &str {
    let met = !call.note.contains("(INJECTED");
    call.note
        .split(' ')
        .next()
        .filter(|_| met)
        .unwrap_or_default()
}

fn socket<'a>(world: &'a World, event: &Event) -> Option<&'a Socket> {
    world.socket(event.socket?)
}

/// The address that a call was given.
fn given(call: &Call) -> Option<Address> {
    let address = calls::of(&call.name)?.address?;
    Address::of(call.args.get(address)?)
}

/// The other sockets at the address of a socket's bind.
fn others_at<'a>(
    world: &'a World,
    socket: &'a Socket,
    address: &'a Address,
) -> impl Iterator<Item = &'a Socket> {
    world.sockets().filter(move |other| {
        let meet = |local: &Address| local.is_reached_at(address) || address.is_reached_at(local);
        other.id != socket.id
            && other.kind == socket.kind
            && other.is_open()
            && other.local.as_ref().is_some_and(meet)
    })
}

/// The owner of the port: a socket in the recording, or else from the kernel's table.
fn port_in_use(seen: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let does = calls::does(&call.name);
    if does != Does::Binds || error(call) != "EADDRINUSE" {
        return None;
    }
    let (socket, address) = (socket(world, event)?, given(call)?);
    let port = address.port()?;
    if let Some(other) = others_at(world, socket, &address).find(|other| !other.accepted) {
        let whose = other.side.name();
        let mend = if socket.reuses_address && other.state == State::Listening {
            "SO_REUSEADDR does not let two sockets listen there; SO_REUSEPORT on both does"
        } else {
            "close it first, or set SO_REUSEPORT on both"
        };
        return remark(
            format!("another socket of the {whose} has port {port}: {mend}"),
            "same port",
        );
    }
    if !seen.live {
        return None;
    }
    let states = states_at(port);
    if states.iter().any(|state| state == LISTEN) {
        return remark(
            format!("another socket listens at port {port}: ss -lntp 'sport = {port}' says whose"),
            "EADDRINUSE",
        );
    }
    if states.iter().any(|state| state == TIME_WAIT) {
        // SO_REUSEADDR must be set on the old socket too.
        let mend = if socket.reuses_address {
            "It had no SO_REUSEADDR: wait for a minute, or take another port"
        } else {
            "Set SO_REUSEADDR before bind()"
        };
        return remark(
            format!("no process has port {port}: an old connection is in TIME_WAIT. {mend}"),
            "TIME_WAIT",
        );
    }
    None
}

/// States, with the numbers of the kernel's tables.
const LISTEN: &str = "0A";
const TIME_WAIT: &str = "06";

/// The states of this machine's TCP sockets with that local port.
fn states_at(port: u16) -> Vec<String> {
    let mut states = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let local = fields.get(1).and_then(|local| local.rsplit_once(':'));
            let its = local.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
            if its == Some(port) {
                states.extend(fields.get(3).map(|state| (*state).to_owned()));
            }
        }
    }
    states
}

fn port_shared(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    if calls::does(&call.name) != Does::Binds || call.failed() {
        return None;
    }
    let socket = socket(world, event).filter(|socket| socket.reuses_port)?;
    let address = given(call)?;
    let port = address.port().filter(|&port| port != 0)?;
    let others = others_at(world, socket, &address)
        .filter(|other| other.reuses_port)
        .count();
    if others == 0 {
        return None;
    }
    let all = others + 1;
    remark(
        format!("{all} sockets have port {port} now: each has set SO_REUSEPORT"),
        "SO_REUSEPORT",
    )
}

fn no_descriptor_left(seen: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
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

fn queue_is_full(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let connects = calls::does(&call.name) == Does::Connects;
    let socket =
        socket(world, event).filter(|socket| connects && socket.is_connected_by_nature())?;
    let in_vain = match error(call) {
        "EINPROGRESS" => socket.gives_up && !socket.nonblocking,
        "EAGAIN" => socket.family == "AF_UNIX",
        error => error == "ETIMEDOUT",
    };
    let listener = world
        .socket(world.listener_at(&given(call)?)?)
        .filter(|_| in_vain)?;
    let waiting = listener
        .queue
        .iter()
        .filter(|it| it.socket != socket.id)
        .count();
    let room = u64::try_from(listener.backlog?).ok()? + 1;
    if u64::try_from(waiting).ok()? < room {
        return None;
    }
    let side = listener.side.name();
    remark(
        format!(
            "the {side}'s listen queue is full: {waiting} connected, and accept() is not called"
        ),
        "backlog",
    )
}

/// The other side's only port for datagrams.
fn port_of_the_other(world: &World, side: Side) -> Option<&Address> {
    let bound = world.sockets().filter(|socket| {
        socket.side != side && socket.kind == Kind::Datagram && socket.is_open() && socket.counts
    });
    let mut at = bound.filter_map(|socket| {
        socket
            .local
            .as_ref()
            .filter(|local| local.port().is_some_and(|port| port != 0))
    });
    at.next().filter(|_| at.next().is_none())
}

fn nobody_has_the_port(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let row = calls::of(&call.name)?;
    let moves = row.sends.is_some() || row.receives.is_some();
    let socket = socket(world, event).filter(|socket| socket.kind == Kind::Datagram)?;
    if !moves || error(call) != "ECONNREFUSED" {
        return None;
    }
    let to = socket.remote.as_ref().filter(|to| to.port() != Some(53))?;
    let there = port_of_the_other(world, event.side).filter(|local| !local.is_reached_at(to));
    let side = other(event.side).name();
    let there = there.map_or(String::new(), |local| format!("; the {side} has {local}"));
    remark(
        format!("no socket has {to}: an earlier datagram was refused (ICMP){there}"),
        "ICMP",
    )
}

/// The same if the sender gets no error: the kernel's table shows it.
fn datagram_met_nobody(seen: &Seen, world: &World, event: &Event, _: &Call) -> Option<Remark> {
    let socket =
        socket(world, event).filter(|socket| seen.live && socket.kind == Kind::Datagram)?;
    let to = event.moved.iter().find_map(|moved| match &moved.what {
        Movement::MessageSent { to, .. } => to.as_ref(),
        _ => None,
    })?;
    let Address::Inet { ip, port } = to else {
        return None;
    };
    let there = port_of_the_other(world, event.side)?;
    if !ip.is_loopback() || socket.remote.is_some() || there.is_reached_at(to) || has_port(*port) {
        return None;
    }
    let side = other(event.side).name();
    let (swapped, explain) = swapped(there, to).unwrap_or(("", "ICMP"));
    remark(
        format!("no socket has {to}: the datagram is lost; the {side} has {there}{swapped}"),
        explain,
    )
}

/// Whether a socket on this machine has this port for datagrams.
fn has_port(port: u16) -> bool {
    let at = format!(":{port:04X} ");
    ["/proc/net/udp", "/proc/net/udp6"].iter().any(|table| {
        let table = std::fs::read_to_string(table);
        table.is_err() || table.is_ok_and(|table| table.contains(&at))
    })
}

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

/// A datagram to a socket that is connected to another: the kernel drops it.
fn stranger(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let socket = socket(world, event).filter(|socket| socket.kind == Kind::Datagram)?;
    let (length, to) = event.moved.iter().find_map(|moved| match &moved.what {
        Movement::MessageSent { length, to } => Some((length, to.as_ref()?)),
        _ => None,
    })?;
    let Address::Inet { ip, .. } = to else {
        return None;
    };
    if !ip.is_loopback()
        || calls::has_flag(call, "IP_PKTINFO")
        || calls::has_flag(call, "IPV6_PKTINFO")
    {
        return None;
    }
    let mut there = world
        .sockets()
        .filter(|it| it.id != socket.id && it.kind == Kind::Datagram && it.is_open())
        .filter(|it| {
            it.local
                .as_ref()
                .is_some_and(|local| local.is_reached_at(to))
        });
    let target = there.next().filter(|_| there.next().is_none())?;
    let before = target.connected_before(event.entered?);
    let only = target.remote.as_ref().filter(|_| before)?;
    let from = source(socket, *ip, *length)?;
    if from.as_ref().is_some_and(|from| only.is(from)) {
        return None;
    }
    if let (Some(from), Side::Server, Side::Client) = (&from, event.side, target.side) {
        return remark(
            format!(
                "answered from {from}, but the client is connected to {only}: the kernel drops it"
            ),
            "answered from another address",
        );
    }
    let side = target.side.name();
    remark(
        format!("the {side}'s socket is connected to {only}: the kernel drops what others send"),
        "connected UDP",
    )
}

/// The source of a socket's datagrams to an address of this machine: `Some(None)` if the port is
/// not known yet, because this datagram, of that length, is its first.
#[allow(clippy::option_option, reason = "unknown, new, known")]
fn source(socket: &Socket, to: std::net::IpAddr, length: u64) -> Option<Option<Address>> {
    let Some(Address::Inet { ip, port }) = &socket.local else {
        let new = socket.local.is_none() && socket.sent <= length;
        return new.then_some(None);
    };
    if *port == 0 {
        return None;
    }
    let ip = match to {
        _ if !ip.is_unspecified() => *ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => return None,
    };
    Some(Some(Address::Inet { ip, port: *port }))
}

/// The delay of the acknowledgement of a single small segment, in nanoseconds: 40 ms, and more on a
/// busy machine.
const DELAYED: std::ops::Range<u64> = 35_000_000..120_000_000;
const SEGMENT: u64 = 1400;

/// A send waited for the acknowledgement of the previous one (Nagle), which the receiver delayed.
fn small_sends(seen: &Seen, world: &World, event: &Event, _: &Call) -> Option<Remark> {
    let socket =
        socket(world, event).filter(|socket| socket.kind == Kind::Stream && !socket.paired)?;
    let small = event.moved.iter().any(|moved| {
        matches!(&moved.what, Movement::Received { range, .. } if range.end - range.start < SEGMENT)
    });
    let peer = world
        .socket(socket.peer?)
        .filter(|peer| small && !peer.nodelay && peer.family != "AF_UNIX")?;
    let sends = seen.sends.get(&peer.id).filter(|sends| sends.number >= 2)?;
    let (entered, left) = (event.entered?, event.left?);
    let late = left.saturating_sub(sends.left.max(entered));
    if event.causes != [sends.last] || !DELAYED.contains(&late) {
        return None;
    }
    let side = peer.side.name();
    let late = late / 1_000_000;
    remark(
        format!(
            "the {side}'s second small send came {late} ms late: it waited until the first was acknowledged. Send all at once, or set TCP_NODELAY"
        ),
        "TCP_NODELAY",
    )
}

fn messages_left(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let socket = socket(world, event).filter(|socket| !socket.is_open())?;
    let closes = calls::does(&call.name) == Does::Closes && !call.failed();
    left(socket.unread_messages).filter(|_| closes)
}

fn messages_left_at_the_end(seen: &Seen, world: &World, event: &Event, _: &str) -> Option<Remark> {
    let its = world.sockets().filter(|socket| {
        socket.side == event.side && !socket.is_open() && !seen.closed.contains(&socket.id)
    });
    left(its.map(|socket| socket.unread_messages).sum())
}

fn left(messages: usize) -> Option<Remark> {
    match messages {
        0 => None,
        1 => remark(
            "1 datagram arrived and was never received: it is lost",
            "datagram",
        ),
        more => remark(
            format!("{more} datagrams arrived and were never received: they are lost"),
            "datagram",
        ),
    }
}

fn killed_by_a_send(_: &Seen, _: &World, _: &Event, end: &str) -> Option<Remark> {
    if !end.starts_with("killed by SIGPIPE") {
        return None;
    }
    remark(
        "it sent on a closed connection: ignore SIGPIPE, or send with MSG_NOSIGNAL, and handle EPIPE",
        "SIGPIPE",
    )
}

/// The first process ends while a child of it still has the socket.
fn daemon(seen: &Seen, world: &World, event: &Event, end: &str) -> Option<Remark> {
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

/// Killed with output in C's stdio buffer.
fn words_lost(seen: &Seen, _: &World, event: &Event, end: &str) -> Option<Remark> {
    let lost = seen.buffers.contains(&event.task) && seen.reads.contains(&event.task);
    if !lost || !end.starts_with("killed by") {
        return None;
    }
    remark(
        "its output was still in its buffer and is lost: standard output is not a terminal. Call fflush() or setvbuf()",
        "flush",
    )
}

fn closed_already(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
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

fn listening_socket_closed(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
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

fn listen_is_missing(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
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

fn port_without_htons(seen: &Seen, _: &World, event: &Event, call: &Call) -> Option<Remark> {
    if !matches!(calls::does(&call.name), Does::Binds | Does::Connects)
        && calls::of(&call.name)?.sends.is_none()
    {
        return None;
    }
    let port = given(call)?.port()?;
    let meant = port.swap_bytes();
    let asked = &seen.asked[event.side as usize];
    // The user may have asked for both, or the number may be a coincidence.
    if port == meant || asked.contains(&port) || !asked.contains(&meant) {
        return None;
    }
    let side = event.side.name();
    remark(
        format!("port {port} is {meant} with its bytes swapped: the {side} has forgotten htons()"),
        "htons",
    )
}

fn nobody_there(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    if calls::does(&call.name) != Does::Connects || error(call) != "ECONNREFUSED" {
        return None;
    }
    let to = given(call)?;
    let mut listening: Vec<&Socket> = world
        .sockets()
        .filter(|socket| {
            socket.state == State::Listening && socket.side != event.side && socket.is_open()
        })
        .collect();
    listening.sort_unstable_by_key(|socket| socket.id);
    let [one] = listening[..] else { return None };
    let local = one.local.as_ref()?;
    if local.is_reached_at(&to) || local.port() == Some(0) {
        return None;
    }
    let (swapped, explain) = swapped(local, &to).unwrap_or(("", "ECONNREFUSED"));
    remark(
        format!("no socket listens at {to}; the server listens at {local}{swapped}"),
        explain,
    )
}

/// The remark, and its word, if one port is the other with its bytes swapped.
fn swapped(one: &Address, other: &Address) -> Option<(&'static str, &'static str)> {
    let (one, other) = (one.port()?, other.port()?);
    let words = ", the same port with its bytes swapped: one side has forgotten htons()";
    (one != other && one == other.swap_bytes()).then_some((words, "htons"))
}

fn address_too_short(_: &Seen, _: &World, _: &Event, call: &Call) -> Option<Remark> {
    let row = calls::of(&call.name)?;
    if !matches!(row.does, Does::Binds | Does::Connects) || error(call) != "EINVAL" {
        return None;
    }
    let length = number(call.args.get(row.address? + 1)?)?;
    let (family, whole) = match given(call)? {
        Address::Inet { ip, .. } if ip.is_ipv4() => ("sockaddr_in", 16),
        Address::Inet { .. } => ("sockaddr_in6", 28),
        _ => return None,
    };
    if length >= whole {
        return None;
    }
    remark(
        format!(
            "the address length is {length}, but a {family} has {whole} bytes: use sizeof of the address"
        ),
        "address length",
    )
}

/// The bytes that a call has sent, if they are in one piece and complete.
fn sent(call: &Call) -> Option<(Vec<u8>, u64)> {
    let row = calls::of(&call.name)?;
    let mut parcels = row.sends?.parcels(row, call);
    let parcel = parcels.pop().filter(|_| parcels.is_empty())?;
    match &parcel.pieces[..] {
        [(bytes, false)] => Some((bytes.clone(), parcel.asked?)),
        _ => None,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let printable = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    bytes.len() > 1 && bytes.iter().all(printable)
}

fn nul_sent_along(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    if socket(world, event)?.paired {
        return None;
    }
    let (bytes, _) = sent(call)?;
    let (last, text) = bytes.split_last()?;
    if *last != 0 || !is_text(text) {
        return None;
    }
    let length = text.len();
    remark(
        format!(
            "the NUL at its end was sent too: strlen() is {length}, not {}",
            length + 1
        ),
        "NUL",
    )
}

fn sizeof_a_pointer(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    if socket(world, event)?.paired {
        return None;
    }
    let (bytes, asked) = sent(call)?;
    let nul = bytes.iter().position(|&byte| byte == 0)?;
    if asked != 8 || nul + 1 >= bytes.len() || !is_text(&bytes[..nul]) {
        return None;
    }
    remark(
        "8 bytes of a shorter text were sent: that is sizeof of a pointer; use strlen()",
        "sizeof",
    )
}

fn goes_on_after_the_end(seen: &Seen, _: &World, event: &Event, call: &Call) -> Option<Remark> {
    calls::of(&call.name)?.receives?;
    let id = event.socket?;
    let (_, times) = seen.zeros.iter().find(|(known, _)| *known == id)?;
    // A library may check twice.
    if *times < 3 {
        return None;
    }
    let side = event.side.name();
    remark(
        format!(
            "the {side} goes on after the end: 0 means that the peer has closed, so leave the loop"
        ),
        "recv 0",
    )
}

fn answered_from_elsewhere(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let socket = socket(world, event).filter(|socket| socket.kind == Kind::Datagram)?;
    if event.side != Side::Client || call.failed() {
        return None;
    }
    let asked = socket.asked.as_ref()?;
    let from = event.moved.iter().find_map(|moved| match &moved.what {
        Movement::MessageReceived { from, .. } => from.clone(),
        _ => None,
    })?;
    let (
        Address::Inet { ip, port },
        Address::Inet {
            ip: other,
            port: same,
        },
    ) = (asked, &from)
    else {
        return None;
    };
    if ip == other || port != same || ip.is_unspecified() || ip.is_multicast() || !ip.is_loopback()
    {
        return None;
    }
    remark(
        format!("answered from {from}, but {asked} was asked"),
        "answered from another address",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lectures::words;
    use crate::strace::recording::Trace;
    use crate::world::tasks::Sides;

    /// The remarks on a recording, each by its word for `explain`.
    fn remarks(text: &str) -> Vec<Remark> {
        let mut trace = Trace::default();
        let mut entries = trace.take(text.as_bytes());
        entries.extend(trace.end());
        let mut sides = Sides::default();
        for entry in &entries {
            sides.take(entry);
        }
        let sides = sides.sides();
        let mut world = World::default();
        for entry in entries {
            world.take(0, sides[&entry.pid], entry);
        }
        let mut remarks = Remarks::default();
        let mut all = Vec::new();
        while let Some(event) = world.next(u64::MAX) {
            all.extend(remarks.on(&world, &event));
        }
        for remark in &all {
            let known = words::calls()
                .chain(words::others())
                .any(|section| section.names().any(|name| name == remark.explain));
            assert!(known, "explain has no {}", remark.explain);
        }
        all
    }

    fn words_of(text: &str) -> Vec<&'static str> {
        remarks(text)
            .into_iter()
            .map(|remark| remark.explain)
            .collect()
    }

    const SOCKET: &str = "7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n";

    fn with(text: &str) -> Vec<&'static str> {
        words_of(&(SOCKET.to_owned() + text))
    }

    #[test]
    fn a_second_close_and_the_wrong_one() {
        let twice = "7 listen(3, 5) = 0\n7 accept(3, NULL, NULL) = 4\n7 close(4) = 0\n7 close(4) = -1 EBADF (Bad file descriptor)\n";
        assert_eq!(with(twice), ["double close"]);
        let wrong = "7 listen(3, 5) = 0\n7 close(3) = 0\n7 accept(3, NULL, NULL) = -1 EBADF (Bad file descriptor)\n7 accept(3, NULL, NULL) = -1 EBADF (Bad file descriptor)\n";
        assert_eq!(with(wrong), ["wrong socket closed"]);
        assert!(with("7 close(9) = -1 EBADF (Bad file descriptor)\n").is_empty());
    }

    #[test]
    fn no_listen() {
        let bind = r#"7 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 accept(3, NULL, NULL) = -1 EINVAL (Invalid argument)
"#;
        assert_eq!(with(bind), ["listen"]);
        assert!(
            with("7 listen(3, 5) = 0\n7 accept(3, NULL, NULL) = -1 EINVAL (Invalid argument)\n")
                .is_empty()
        );
    }

    #[test]
    fn no_htons_by_whom() {
        let run = |side: &str, port: u16, call: &str| {
            let text = format!(
                "7 execve(\"./{side}\", [\"./{side}\", \"7801\"], 0x7ffd /* 1 var */) = 0\n{SOCKET}7 {call}(3, {{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr(\"127.0.0.1\")}}, 16) = 0\n"
            );
            remarks(
                &(text
                    + if call == "bind" {
                        "7 listen(3, 5) = 0\n"
                    } else {
                        ""
                    }),
            )
        };
        let server = run("server", 7801u16.swap_bytes(), "bind");
        assert!(
            server[0]
                .words
                .ends_with("the server has forgotten htons()"),
            "{server:?}"
        );
        let client = run("client", 7801u16.swap_bytes(), "connect");
        assert!(
            client[0]
                .words
                .ends_with("the client has forgotten htons()"),
            "{client:?}"
        );
        assert!(
            run("server", 7801, "bind").is_empty() && run("client", 4000, "connect").is_empty()
        );
    }

    #[test]
    fn nobody_listens_where_the_client_asks() {
        let both = |at: &str, port: u16| {
            words_of(&format!(
                r#"7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
7 bind(3, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.2")}}, 16) = 0
7 listen(3, 5) = 0
9 execve("./client", ["./client"], 0x7ffd /* 1 var */) = 0
9 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
9 connect(3, {{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("{at}")}}, 16) = -1 ECONNREFUSED (Connection refused)
"#
            ))
        };
        assert_eq!(both("127.0.0.1", 80), ["ECONNREFUSED"]);
        assert_eq!(both("127.0.0.1", 20480), ["htons"]);
        assert!(both("127.0.0.2", 80).is_empty());
    }

    #[test]
    fn lengths_that_are_a_pointers() {
        let bind = |length: u8, error: &str| {
            with(&format!(
                "7 bind(3, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"127.0.0.1\")}}, {length}) = -1 {error}\n"
            ))
        };
        assert_eq!(bind(8, "EINVAL (Invalid argument)"), ["address length"]);
        assert!(bind(16, "EINVAL (Invalid argument)").is_empty());
        let send = |bytes: &str, length: u8| {
            with(&format!(
                "7 sendto(3, \"{bytes}\", {length}, 0, NULL, 0) = {length}\n"
            ))
        };
        assert_eq!(send(r"hello\0", 6), ["NUL"]);
        assert_eq!(send(r"hello\0\1x", 8), ["sizeof"]);
        assert!(send("hello", 5).is_empty() && send(r"\1\0\0\0\5\0\0\0", 8).is_empty());
    }

    #[test]
    fn a_loop_that_takes_0_for_a_message() {
        let zero = "7 recvfrom(4, \"\", 99, 0, NULL, NULL) = 0\n";
        let served = "7 listen(3, 5) = 0\n7 accept(3, NULL, NULL) = 4\n";
        assert_eq!(with(&(served.to_owned() + &zero.repeat(9))), ["recv 0"]);
        assert!(with(&(served.to_owned() + &zero.repeat(2))).is_empty());
    }

    /// At the close, and not again at the process's end.
    #[test]
    fn messages_that_nobody_received() {
        let sends = r#"9 execve("./client", ["./client"], 0x7ffd /* 1 var */) = 0
9 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
9 sendto(3, "hello", 5, 0, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 5
"#;
        let bound = r#"7 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
7 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
"#;
        for close in ["", "7 close(3) = 0\n"] {
            let text = format!("{bound}{sends}{close}7 +++ exited with 0 +++\n");
            assert_eq!(words_of(&text), ["datagram"]);
        }
    }

    #[test]
    fn an_answer_from_another_address() {
        let ask = |from: &str| {
            words_of(&format!(
                r#"9 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
9 sendto(3, "hello", 5, 0, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.2")}}, 16) = 5
9 recvfrom(3, "hello", 99, 0, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("{from}")}}, [16]) = 5
"#
            ))
        };
        assert_eq!(ask("127.0.0.1"), ["answered from another address"]);
        assert!(ask("127.0.0.2").is_empty());
    }
}
