//! The clients of `sockstep bench`, all on one thread: a message to each server socket, then the answer of each.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use sockstep::{
    AF_INET, Errno, IPPROTO_TCP, IPPROTO_UDP, PF_INET, SO_RCVTIMEO, SO_SNDTIMEO, SOCK_DGRAM,
    SOCK_STREAM, SOL_SOCKET, bind, close, connect, htonl, htons, recv, setsockopt, sockaddr_in,
    socket, timeval,
};

use crate::common::{send_all, timeval_of};
use crate::sides::process::listen;
use crate::sides::signals::Signals;
use crate::sides::trouble::Trouble;

/// How long the server may take to answer, or to receive.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a call waits before we check for a signal.
const ATTENTION: timeval = timeval {
    tv_sec: 0,
    tv_usec: 100_000,
};

/// The message, the expected answer, and the times that it took.
pub struct Talk<'a> {
    signals: &'a Signals,
    tcp: bool,
    request: Vec<u8>,
    answer: Vec<u8>,
    buffer: Vec<u8>,
    begun: Vec<Instant>,
    /// Connections made so far.
    pub connections: u32,
    /// The time of each round trip since the last reading, in nanoseconds.
    pub times: Vec<u32>,
}

impl Talk<'_> {
    pub fn new(signals: &Signals, tcp: bool, upper: bool, size: usize) -> Talk<'_> {
        let request: Vec<u8> = (b'a'..=b'z').cycle().take(size).collect();
        let answer = if upper {
            request.to_ascii_uppercase()
        } else {
            request.clone()
        };
        Talk {
            signals,
            tcp,
            buffer: vec![0; size],
            request,
            answer,
            begun: Vec::new(),
            connections: 0,
            times: Vec::new(),
        }
    }

    /// A socket that is connected to a server on this machine.
    ///
    /// With TCP each connection has another source address, 127.0.0.1 to 127.0.63.1: a closed
    /// connection keeps its port for a minute, and an address has 28,000 ports. With UDP all have
    /// the server's address, so that no client can get the server's port: the server would not
    /// answer such a client.
    pub fn connect(&mut self, port: u16) -> sockstep::Result<OwnedFd> {
        let sock = if self.tcp {
            socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?
        } else {
            socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)?
        };
        setsockopt(&sock, SOL_SOCKET, SO_RCVTIMEO, &ATTENTION)?;
        setsockopt(&sock, SOL_SOCKET, SO_SNDTIMEO, &timeval_of(PATIENCE))?; // of connect too
        let address = |address: u32, port| {
            let mut addr = sockaddr_in::zeroed();
            addr.sin_family = AF_INET;
            addr.sin_addr.s_addr = htonl(address);
            addr.sin_port = htons(port);
            addr
        };
        let server = Ipv4Addr::LOCALHOST.to_bits();
        let network = if self.tcp { self.connections % 64 } else { 0 };
        bind(&sock, &address(server + network * 256, 0))?;
        self.connections += 1;
        connect(&sock, &address(server, port))?;
        Ok(sock)
    }

    /// One round trip over each socket, all under way at the same time.
    pub fn over(&mut self, socks: &[OwnedFd]) -> Result<(), Trouble> {
        self.begun.clear();
        for sock in socks {
            self.begun.push(Instant::now());
            send_all(sock, &self.request).map_err(failed)?;
        }
        for (at, sock) in socks.iter().enumerate() {
            self.hear(sock)?;
            self.note_time(at);
        }
        Ok(())
    }

    /// One round trip over each of `count` new connections, closed again. The time counts from before `connect`.
    pub fn over_new(&mut self, port: u16, count: usize) -> Result<(), Trouble> {
        self.begun.clear();
        let mut socks = Vec::with_capacity(count);
        for _ in 0..count {
            self.begun.push(Instant::now());
            socks.push(self.connect(port).map_err(failed)?);
        }
        for sock in &socks {
            send_all(sock, &self.request).map_err(failed)?;
        }
        for (at, sock) in socks.into_iter().enumerate() {
            self.hear(&sock)?;
            self.note_time(at);
            close(sock).map_err(failed)?; // at once: the server may serve one client at a time
        }
        Ok(())
    }

    /// Receives an answer and checks it.
    fn hear(&mut self, sock: &OwnedFd) -> Result<(), Trouble> {
        let mut have = 0;
        let mut since = None;
        while have < self.answer.len() {
            match recv(sock, &mut self.buffer[have..], 0) {
                Ok(0) => return Err("the server closed a connection".to_owned().into()),
                Ok(n) => have += n,
                Err(error) if error == Errno::EAGAIN || error == Errno::EINTR => {
                    listen(self.signals, &mut [], Some(0), |_, _, _| {})?;
                    let waited = since.get_or_insert_with(Instant::now).elapsed();
                    if waited >= PATIENCE {
                        return Err(format!("no answer in {} s", waited.as_secs()).into());
                    }
                }
                Err(error) => return Err(failed(error)),
            }
        }
        if self.buffer == self.answer {
            Ok(())
        } else {
            Err("the server's answer is wrong".to_owned().into())
        }
    }

    fn note_time(&mut self, at: usize) {
        let time = self.begun[at].elapsed().as_nanos();
        self.times.push(u32::try_from(time).unwrap_or(u32::MAX));
    }
}

fn failed(error: sockstep::Error) -> Trouble {
    Trouble::Said(error.to_string())
}
