//! Which step of a program, or of the slides, a call belongs to.

use std::collections::HashMap;

use crate::draw::terminal::Side;
use crate::strace::line::{Begun, Call, bytes};

/// The steps of a program: for each call the one that it belongs to.
type Steps = [(&'static [&'static str], &'static str)];

// The Princeton deck's, in its words: those of any program that has none of its own below.

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

/// The programs that follow other slides: the words of their own comments.
const OWN: [(&str, &Steps); 5] = [
    (
        "tcp_upper_server",
        &[
            (&["socket"], "Server 1. Create the welcoming socket"),
            (&["bind"], "Server 2. Bind it to the server's port"),
            (&["listen"], "Server 3. Listen for clients that knock"),
            (&["accept"], "Server 4a. Accept a client"),
            (&["recvfrom", "sendto"], "Server 4b. Answer its sentences"),
            (&["close"], "Server 4c. Close the connection"),
        ],
    ),
    (
        "tcp_upper_client",
        &[
            (&["socket"], "Client 1. Create a TCP socket"),
            (&["connect"], "Client 2. Connect it to the server"),
            (
                &["recvfrom", "sendto", "poll"],
                "Client 3. Send a sentence, receive it in upper case",
            ),
            (&["close"], "Client 4. Close the connection"),
        ],
    ),
    (
        "udp_upper_server",
        &[
            (&["socket"], "Server 1. Create a UDP socket"),
            (&["bind"], "Server 2. Bind it to the server's port"),
            (
                &["recvfrom"],
                "Server 3a. Receive a message, and the address it came from",
            ),
            (&["sendto"], "Server 3b. Send it back in upper case"),
        ],
    ),
    (
        "udp_upper_client",
        &[
            (&["socket"], "Client 1. Create a UDP socket"),
            (
                &["sendto"],
                "Client 2. Send a message to the server's address",
            ),
            (&["recvfrom"], "Client 3. Receive it in upper case"),
            (&["close"], "Client 4. Close the socket"),
        ],
    ),
    (
        "web_server",
        &[
            (
                &["socket", "bind", "listen"],
                "Server. A socket that listens",
            ),
            (&["accept"], "Server 1. Accept the connection"),
            (&["recvfrom"], "Server 2. Read and parse the request"),
            // The third step makes no call, and the fourth none on a socket.
            (
                &["openat2"],
                "Server 4. Determine whether the request is authorised",
            ),
            (
                &["sendto", "sendfile"],
                "Server 5. Generate and transmit the response",
            ),
            (&["shutdown", "close"], "Server. Close the connection"),
        ],
    ),
];

fn step_in(steps: &Steps, call: &str) -> Option<&'static str> {
    let mut steps = steps.iter();
    steps
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
    /// The program's own steps, if it is one that has them.
    own: Option<&'static Steps>,
}

#[derive(Clone, Copy)]
struct Socket {
    /// Whether it carries a stream.
    stream: bool,
    listens: bool,
    accepted: bool,
    /// No more will be sent.
    shut: bool,
}

impl Sockets {
    /// Takes the next call of a side, and says whether it is on a socket, and which step it belongs to.
    pub fn take(
        &mut self,
        side: Side,
        pid: Option<u32>,
        call: &Call,
    ) -> (bool, Option<&'static str>) {
        let first = call.args.first();
        let before = first.and_then(|descriptor| self.named(pid, descriptor));
        let stream = self.follow(pid, call);
        let steps = match (self.own, side, stream) {
            (Some(own), _, _) => own,
            (_, Side::Server, Some(true)) => STREAM_SERVER,
            (_, Side::Client, Some(true)) => STREAM_CLIENT,
            (_, Side::Server, Some(false)) => DATAGRAM_SERVER,
            (_, Side::Client, Some(false)) => DATAGRAM_CLIENT,
            (_, _, None) => &[],
        };
        let name = call.name.as_str();
        let closing = before.is_some_and(|socket| socket.shut);
        let step = match before {
            Some(socket) if socket.listens && name == "close" => None, // no connection's end
            None if stream.is_none() && name != "openat2" => None,
            _ if closing => step_in(steps, "shutdown").or(step_in(steps, name)),
            _ => step_in(steps, name),
        };
        (stream.is_some(), step)
    }

    /// Whether the program has steps of its own.
    pub fn have_own_steps(&self) -> bool {
        self.own.is_some()
    }

    /// Whether a call that has begun waits for one of them.
    pub fn are_awaited(&self, call: &Begun) -> bool {
        let named = call.descriptor.as_ref();
        let named = named.is_some_and(|descriptor| self.named(call.pid, descriptor).is_some());
        named || (self.begun && waits_for_several(&call.name))
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
        if name == "execve" && !self.begun && !call.failed() {
            self.own = own_steps(call);
        }
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
                    shut: false,
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
            "shutdown" if !call.failed() => {
                self.open.insert(
                    key,
                    Socket {
                        shut: true,
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

/// The steps of the program that this call begins, if it has its own.
fn own_steps(execve: &Call) -> Option<&'static Steps> {
    let (path, _) = bytes(execve.args.first()?)?;
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    let mut own = OWN.iter();
    own.find(|(program, _)| program.as_bytes() == name)
        .map(|&(_, steps)| steps)
}

/// Whether getaddrinfo makes this socket, to look for a daemon that caches names or to ask what addresses there are.
fn is_the_resolvers(call: &Call) -> bool {
    let arg = |at| call.args.get(at).map_or("", String::as_str);
    arg(0) == "AF_NETLINK"
        || (arg(0) == "AF_UNIX" && arg(1) == "SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A program, its steps, and where else its comments are.
    fn programs() -> Vec<(&'static str, &'static Steps, &'static [&'static str])> {
        let mut programs: Vec<(_, _, &[&str])> = vec![
            ("tcp_echo_server", STREAM_SERVER, &[]),
            ("tcp_echo_client", STREAM_CLIENT, &[]),
            ("udp_echo_server", DATAGRAM_SERVER, &[]),
            ("udp_echo_client", DATAGRAM_CLIENT, &[]),
            ("web_client", STREAM_CLIENT, &[]),
        ];
        for kind in [
            "fork", "thread", "prefork", "pool", "select", "poll", "epoll",
        ] {
            let name = format!("tcp_echo_server_{kind}").leak();
            programs.push((name, STREAM_SERVER, &["common/echo.rs", "common/echo.h"]));
        }
        programs.extend(OWN.map(|(name, steps)| (name, steps, &[][..])));
        programs
    }

    /// The lines of a source file that have comments, in lower case.
    fn comments(file: &str) -> String {
        let path = format!("{}/src/bin/{file}", env!("CARGO_MANIFEST_DIR"));
        let source = fs::read_to_string(path).expect("it is there");
        let lines = source.lines().filter(|line| {
            line.contains("//") || line.contains("/*") || line.trim_start().starts_with("* ")
        });
        lines.collect::<Vec<_>>().join("\n").to_lowercase()
    }

    #[test]
    fn each_heading_stands_in_its_programs_comments() {
        for (program, steps, others) in programs() {
            for language in ["rs", "c"] {
                let shared: String = others.iter().map(|file| comments(file)).collect();
                let comments = shared + &comments(&format!("{program}.{language}"));
                for (_, heading) in steps {
                    let (number, words) = heading.split_once(". ").expect("it has a number");
                    let number = number.trim_start_matches(|c: char| !c.is_ascii_digit());
                    let letter = number.trim_start_matches(|c: char| c.is_ascii_digit());
                    let step = match (number, letter) {
                        ("", _) => words.to_owned(), // beside the slide
                        (_, "") => format!("{number}. {words}"),
                        _ => format!("{letter}. {words}"),
                    };
                    assert!(
                        comments.contains(&step.to_lowercase()),
                        "{program}.{language} has no step {step:?}"
                    );
                }
            }
        }
    }
}
