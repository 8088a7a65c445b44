//! Which step of the slides a call belongs to.

use std::collections::HashMap;

use crate::lanes::Side;
use crate::read::{Begun, Call};

/// The Princeton deck's steps: for each call, in its words.
type Steps = [(&'static [&'static str], &'static str)];

const STREAM_SERVER: &Steps = &[
    (&["socket"], "Server 1. Create a TCP socket"),
    (&["bind"], "Server 2. Assign a port to the socket"),
    (&["listen"], "Server 3. Set the socket to listen"),
    (&["accept", "accept4"], "Server 4a. Accept a new connection"),
    (
        &[
            "recvfrom", "recvmsg", "read", "sendto", "sendmsg", "sendfile", "write",
        ],
        "Server 4b. Communicate",
    ),
    (&["close"], "Server 4c. Close the connection"),
];

const STREAM_CLIENT: &Steps = &[
    (&["socket"], "Client 1. Create a TCP socket"),
    (&["connect"], "Client 2. Establish the connection"),
    (
        &[
            "recvfrom", "recvmsg", "read", "sendto", "sendmsg", "write", "poll",
        ],
        "Client 3. Communicate",
    ),
    (&["close"], "Client 4. Close the connection"),
];

const DATAGRAM_SERVER: &Steps = &[
    (&["socket"], "Server 1. Create a UDP socket"),
    (&["bind"], "Server 2. Assign a port to the socket"),
    (
        &["recvfrom", "recvmsg", "sendto", "sendmsg"],
        "Server 3. Repeatedly communicate",
    ),
];

const DATAGRAM_CLIENT: &Steps = &[
    (&["socket"], "Client 1. Create a UDP socket"),
    (&["bind"], "Client 2. Assign a port to the socket"),
    (
        &["recvfrom", "recvmsg", "sendto", "sendmsg"],
        "Client 3. Communicate",
    ),
    (&["close"], "Client 4. Close the socket"),
];

/// The step that a call on a socket belongs to; `None` if the slides do not have it.
pub fn step(side: Side, stream: bool, call: &str) -> Option<&'static str> {
    let steps = match (side, stream) {
        (Side::Server, true) => STREAM_SERVER,
        (Side::Client, true) => STREAM_CLIENT,
        (Side::Server, false) => DATAGRAM_SERVER,
        (Side::Client, false) => DATAGRAM_CLIENT,
    };
    steps
        .iter()
        .find(|(calls, _)| calls.contains(&call))
        .map(|&(_, step)| step)
}

/// The step at which a server makes a process or a thread: for the client that it has, or beforehand for those to come.
pub fn step_of_a_new_one(shares_descriptors: bool, for_a_client: bool) -> &'static str {
    match (shares_descriptors, for_a_client) {
        (false, true) => "Server 4b. Communicate: a new process",
        (true, true) => "Server 4b. Communicate: a new thread",
        (false, false) => "Server. Processes made beforehand",
        (true, false) => "Server. Threads made beforehand",
    }
}

/// Whether a call waits for one of several descriptors.
pub fn waits_for_several(call: &str) -> bool {
    matches!(
        call,
        "poll" | "ppoll" | "select" | "pselect6" | "epoll_wait" | "epoll_pwait"
    )
}

/// Whether a call makes a process or a thread; if so, whether that shares its maker's descriptors.
pub fn makes(call: &Call) -> Option<bool> {
    matches!(call.name.as_str(), "fork" | "vfork" | "clone" | "clone3")
        .then(|| call.args.iter().any(|arg| arg.contains("CLONE_FILES")))
}

/// The process or thread that a call has made, and whether it shares its maker's descriptors.
pub fn made(call: &Call) -> Option<(u32, bool)> {
    Some((call.result.parse().ok()?, makes(call)?))
}

/// The sockets that a side has open, found from its calls.
#[derive(Default)]
pub struct Sockets {
    /// The descriptors of each process; threads share them.
    tables: HashMap<Option<u32>, usize>,
    open: HashMap<(usize, String), Socket>,
    /// Whether there has been one.
    pub begun: bool,
}

#[derive(Clone, Copy)]
struct Socket {
    /// Whether it carries a stream.
    stream: bool,
    listens: bool,
    accepted: bool,
}

impl Sockets {
    /// Whether one of those that are open carries datagrams.
    pub fn have_datagrams(&self) -> bool {
        self.open.values().any(|socket| !socket.stream)
    }

    /// Whether a call that has begun waits for one of them.
    pub fn are_awaited(&self, call: &Begun) -> bool {
        let named = call.descriptor.as_ref();
        let named = named.is_some_and(|descriptor| self.named(call.pid, descriptor).is_some());
        named || (self.begun && waits_for_several(&call.name))
    }

    /// Whether the socket that a call is on is one for others to connect to.
    pub fn listens(&self, pid: Option<u32>, call: &Call) -> bool {
        let first = call.args.first();
        first.is_some_and(|it| self.named(pid, it).is_some_and(|socket| socket.listens))
    }

    /// Whether a process has accepted a connection that is still open.
    pub fn have_a_client(&self, pid: Option<u32>) -> bool {
        let table = self.tables.get(&pid);
        let mut open = self.open.iter();
        open.any(|((of, _), socket)| Some(of) == table && socket.accepted)
    }

    fn named(&self, pid: Option<u32>, descriptor: &str) -> Option<Socket> {
        let key = (*self.tables.get(&pid)?, descriptor.to_owned());
        self.open.get(&key).copied()
    }

    /// The table of a process. One whose making has not been seen has inherited what is there.
    fn table(&mut self, pid: Option<u32>) -> usize {
        match self.tables.get(&pid) {
            Some(&table) => table,
            None => self.inherit(pid, 0),
        }
    }

    /// Gives a process a copy of a table.
    fn inherit(&mut self, pid: Option<u32>, from: usize) -> usize {
        let new = self.tables.values().max().map_or(0, |last| last + 1);
        let inherited: Vec<_> = self
            .open
            .iter()
            .filter(|((table, _), _)| *table == from)
            .map(|((_, descriptor), socket)| ((new, descriptor.clone()), *socket))
            .collect();
        self.open.extend(inherited);
        self.tables.insert(pid, new);
        new
    }

    /// Takes the next call, and says whether it is on a socket; if so, whether that carries a stream.
    pub fn follow(&mut self, pid: Option<u32>, call: &Call) -> Option<bool> {
        let name = call.name.as_str();
        if name == "socket" && !is_the_resolvers(call) {
            let kind = call.args.get(1);
            let stream = kind.is_some_and(|kind| kind.contains("SOCK_STREAM"));
            self.begun = true;
            self.opened(
                pid,
                call,
                Socket {
                    stream,
                    listens: false,
                    accepted: false,
                },
            );
            return Some(stream);
        }
        if !self.begun {
            return None;
        }
        if waits_for_several(name) || matches!(name, "epoll_create" | "epoll_create1" | "epoll_ctl")
        {
            return Some(true);
        }
        let table = self.table(pid);
        match made(call) {
            Some((child, true)) => {
                self.tables.insert(Some(child), table);
            }
            Some((child, false)) if !self.tables.contains_key(&Some(child)) => {
                self.inherit(Some(child), table);
            }
            _ => {}
        }
        let key = (table, call.args.first()?.clone());
        let socket = *self.open.get(&key)?;
        match name {
            "close" => {
                self.open.remove(&key);
            }
            "listen" if !call.failed() => {
                self.open.insert(
                    key,
                    Socket {
                        listens: true,
                        ..socket
                    },
                );
            }
            "accept" | "accept4" => self.opened(
                pid,
                call,
                Socket {
                    listens: false,
                    accepted: true,
                    ..socket
                },
            ),
            "dup" | "dup2" | "dup3" => self.opened(pid, call, socket),
            "fcntl"
                if call
                    .args
                    .get(1)
                    .is_some_and(|command| command.starts_with("F_DUPFD")) =>
            {
                self.opened(pid, call, socket);
            }
            _ => {}
        }
        Some(socket.stream)
    }

    /// Files the socket that a call has made.
    fn opened(&mut self, pid: Option<u32>, call: &Call, socket: Socket) {
        if !call.failed() {
            let table = self.table(pid);
            self.open.insert((table, call.result.clone()), socket);
        }
    }
}

/// Whether getaddrinfo makes this socket, to look for a daemon that caches names or to ask what addresses there are.
fn is_the_resolvers(call: &Call) -> bool {
    let arg = |at| call.args.get(at).map_or("", String::as_str);
    arg(0) == "AF_NETLINK"
        || (arg(0) == "AF_UNIX" && arg(1) == "SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK")
}
