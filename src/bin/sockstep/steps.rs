//! Which step of the slides a call belongs to.

use crate::lanes::Side;

/// The Princeton deck's steps: for each call, in its words.
type Steps = [(&'static [&'static str], &'static str)];

const STREAM_SERVER: &Steps = &[
    (&["socket"], "Server 1. Create a TCP socket"),
    (&["bind"], "Server 2. Assign a port to the socket"),
    (&["listen"], "Server 3. Set the socket to listen"),
    (&["accept", "accept4"], "Server 4a. Accept a new connection"),
    (
        &["recvfrom", "recvmsg", "read", "sendto", "sendmsg", "write"],
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
