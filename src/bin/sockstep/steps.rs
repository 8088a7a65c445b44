//! Which step of the slides a call belongs to.

use std::collections::HashMap;

use crate::lanes::Side;
use crate::read::Call;

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

/// The sockets that a side has open, found from its calls.
#[derive(Default)]
pub struct Sockets {
    /// By process and descriptor: whether it carries a stream.
    open: HashMap<(Option<u32>, String), bool>,
    /// Threads, each with the process whose descriptors it shares.
    threads: HashMap<Option<u32>, Option<u32>>,
    /// Whether there has been one.
    pub begun: bool,
}

impl Sockets {
    /// Whether one of those that are open carries datagrams.
    pub fn have_datagrams(&self) -> bool {
        self.open.values().any(|&stream| !stream)
    }

    /// Takes the next call, and says whether it is on a socket; if so, whether that carries a stream.
    pub fn follow(&mut self, pid: Option<u32>, call: &Call) -> Option<bool> {
        let name = call.name.as_str();
        let thread = pid;
        let pid = self.threads.get(&pid).copied().unwrap_or(pid);
        match name {
            "clone" | "clone3" => {
                let shares = call.args.iter().any(|arg| arg.contains("CLONE_FILES"));
                if let (true, Ok(new)) = (shares, call.result.parse()) {
                    self.threads.insert(Some(new), pid);
                }
                None
            }
            "exit" => {
                self.threads.remove(&thread); // its number may come again
                None
            }
            "socket" => {
                let stream = call
                    .args
                    .get(1)
                    .is_some_and(|ty| ty.contains("SOCK_STREAM"));
                self.begun = true;
                if !call.failed() {
                    self.open.insert((pid, call.result.clone()), stream);
                }
                Some(stream)
            }
            "poll" | "ppoll" | "select" | "pselect6" | "epoll_wait" if self.begun => Some(true),
            _ => {
                let key = (pid, call.args.first()?.clone());
                let stream = self.open.get(&key).copied();
                if name == "close" {
                    self.open.remove(&key);
                }
                if name.starts_with("accept") && !call.failed() {
                    self.open.insert((pid, call.result.clone()), true);
                }
                stream
            }
        }
    }
}
