//! Sockets for the tests, on which no call waits without end.

use std::os::fd::OwnedFd;

use sockstep::*;

const DEADLINE: timeval = timeval {
    tv_sec: 10,
    tv_usec: 0,
};

pub fn make(domain: AddressFamily, ty: SockType) -> OwnedFd {
    with_deadlines(socket(domain, ty, 0).unwrap())
}

pub fn with_deadlines(sock: OwnedFd) -> OwnedFd {
    for side in [SO_RCVTIMEO, SO_SNDTIMEO] {
        setsockopt(&sock, SOL_SOCKET, side, &DEADLINE).unwrap();
    }
    sock
}

pub fn tcp() -> OwnedFd {
    make(AF_INET, SOCK_STREAM)
}

pub fn udp() -> OwnedFd {
    make(AF_INET, SOCK_DGRAM)
}

/// Loopback, and a port that the kernel is to choose.
pub fn any_port() -> sockaddr_in {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr
}

pub fn bound(sock: OwnedFd) -> OwnedFd {
    bind(&sock, &any_port()).unwrap();
    sock
}

pub fn listening(sock: OwnedFd) -> OwnedFd {
    listen(&sock, 5).unwrap();
    sock
}

pub fn listener() -> OwnedFd {
    listening(bound(tcp()))
}

/// A listener and a client that it has still to accept.
pub fn pending() -> (OwnedFd, OwnedFd) {
    let (listener, client) = (listener(), tcp());
    connect(&client, &name(&listener)).unwrap();
    (listener, client)
}

/// The two ends of a connection, the client's and the server's.
pub fn pair() -> (OwnedFd, OwnedFd) {
    let (listener, client) = pending();
    let (server, ()) = accept(&listener).unwrap();
    (client, with_deadlines(server))
}

pub fn name(sock: &OwnedFd) -> sockaddr_in {
    getsockname(sock).unwrap()
}
