//! What the echo servers over TCP share: their arguments and, for the concurrent ones, steps 1 to 3
//! and serving one client. The C twins have the same in `echo.h`.

#![allow(dead_code, reason = "each server uses a part of it")]

use std::os::fd::OwnedFd;
use std::process::exit;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use sockstep::{error::*, netinet::*, pthread::*, socket::*};

use super::{PAUSE, dotted, print_line, send_all, set_timeouts, warn};

pub const MAXPENDING: i32 = 5; // connections the kernel may queue before accept takes them
pub const RCVBUFSIZE: usize = 4096; // bytes asked of each recv
pub type Buffer = [u8; RCVBUFSIZE];

/// The arguments of every echo server.
#[derive(clap::Args)]
pub struct EchoArgs {
    /// Listen on this port; 0 takes a free one
    pub port: u16,
    /// Listen on this address only [default: any]
    #[arg(long, value_name = "ADDRESS", value_parser = dotted)]
    pub bind: Option<String>,
    /// Let N connections wait to be accepted
    #[arg(
        long,
        value_name = "N",
        default_value_t = MAXPENDING,
        value_parser = super::number::<i32>(0, i32::MAX)
    )]
    pub backlog: i32,
    /// End after N clients [default: never]
    #[arg(
        long,
        value_name = "N",
        default_value_t = u64::MAX,
        hide_default_value = true,
        value_parser = super::number::<u64>(1, u64::MAX)
    )]
    pub max_clients: u64,
    /// Give up a client after SECONDS without a byte [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = super::number::<u32>(1, u32::MAX))]
    pub idle_timeout: Option<u32>,
}

// ---- Steps 1 to 3 ----

/// The same as in `tcp_echo_server.rs`: a listening socket, and the line `listening on`.
pub fn listening(args: &EchoArgs, ty: SockType) -> Result<OwnedFd> {
    // 1. Create a TCP socket.
    let serv_sock = socket(PF_INET, ty, IPPROTO_TCP)?;
    setsockopt(&serv_sock, SOL_SOCKET, SO_REUSEADDR, &1)?;

    // 2. Assign a port to the socket.
    let mut echo_serv_addr = sockaddr_in::zeroed();
    echo_serv_addr.sin_family = AF_INET; // Internet address family
    echo_serv_addr.sin_addr.s_addr = htonl(INADDR_ANY); // Any incoming interface
    if let Some(address) = &args.bind {
        echo_serv_addr.sin_addr.s_addr = inet_addr(address)?; // --bind: this one alone
    }
    echo_serv_addr.sin_port = htons(args.port); // Local port
    bind(&serv_sock, &echo_serv_addr)?;

    // 3. Set the socket to listen.
    listen(&serv_sock, args.backlog)?;
    let echo_serv_addr: sockaddr_in = getsockname(&serv_sock)?;
    print_line(format_args!("listening on {echo_serv_addr}"));
    Ok(serv_sock)
}

// ---- One client that has a process or a thread to itself ----

/// Attributes of a thread with a stack of 64 KiB, more than enough to serve a client.
pub fn small_stack() -> Result<pthread_attr_t> {
    let mut attr = pthread_attr_init()?;
    pthread_attr_setstacksize(&mut attr, 64 * 1024)?;
    Ok(attr)
}

/// Steps 4b and 4c: echoes until the client has sent all, then closes the connection.
pub fn serve_client(clnt_sock: OwnedFd, echo_clnt_addr: &sockaddr_in, idle_timeout: Option<u32>) {
    communicate(&clnt_sock, idle_timeout).unwrap_or_else(|error| warn(echo_clnt_addr, &error));
    close(clnt_sock).unwrap_or_else(|error| warn(echo_clnt_addr, &error));
}

fn communicate(clnt_sock: &OwnedFd, idle_timeout: Option<u32>) -> Result<()> {
    let mut echo_buffer = [0; RCVBUFSIZE];
    set_timeouts(clnt_sock, idle_timeout)?;
    loop {
        let recv_msg_size = match recv(clnt_sock, &mut echo_buffer, 0) {
            // After SIGSTOP and SIGCONT, with a time-out set.
            Err(error) if error == Errno::EINTR => continue,
            received => received?,
        };
        if recv_msg_size == 0 {
            return Ok(()); // zero indicates end of transmission
        }
        send_all(clnt_sock, &echo_buffer[..recv_msg_size])?;
    }
}

/// To be called in a new child process: it ends when the server ends, for whatever reason.
pub fn end_with_parent(parent: Pid) {
    if set_pdeathsig(Signal::SIGTERM).is_err() || getppid() != parent {
        exit(1); // too late: the server has ended already
    }
}

// ---- Several clients, served by a single thread ----

/// The state of a connection that never makes the others wait, without its socket. It holds in
/// memory only the bytes that its client has not yet taken. While it holds some, nothing more is
/// received from the client.
pub struct Client {
    pub addr: sockaddr_in,
    held: Box<[u8]>,
    /// How many of the held bytes have been sent.
    sent: usize,
    /// When a byte last moved, if there is an idle time-out.
    last_moved: Option<Instant>,
}

/// The state of a client after its turn.
#[derive(PartialEq)]
pub enum Turn {
    /// It waits for the same event as before.
    Same,
    /// It waits for the other event: it has begun to hold bytes, or holds no more.
    Other,
    Done,
}

/// The current time, if there is an idle time-out.
pub fn now(args: &EchoArgs) -> Option<Instant> {
    args.idle_timeout.map(|_| Instant::now())
}

/// The longest time to wait for any client, in milliseconds: a second if there is an idle time-out,
/// else -1 (no limit).
pub fn longest_wait(paused: bool, args: &EchoArgs) -> i32 {
    match args.idle_timeout {
        _ if paused => PAUSE.as_millis().try_into().unwrap_or(i32::MAX),
        Some(_) => 1000,
        None => -1,
    }
}

impl Client {
    pub fn new(addr: sockaddr_in, now: Option<Instant>) -> Client {
        Client {
            addr,
            held: Box::default(),
            sent: 0,
            last_moved: now,
        }
    }

    /// Whether the server has bytes that this client must take. Otherwise it waits for bytes from
    /// the client.
    pub fn holds_bytes(&self) -> bool {
        !self.held.is_empty()
    }

    /// Step 4b, as far as possible without waiting: receives what has arrived and sends back what
    /// the client takes. All clients use one buffer in turn.
    #[inline]
    pub fn echo_some(&mut self, sock: &OwnedFd, buffer: &mut Buffer, now: Option<Instant>) -> Turn {
        if now.is_some() {
            self.last_moved = now;
        }
        let turn = if self.holds_bytes() {
            self.send_held(sock)
        } else {
            self.receive_and_send(sock, buffer)
        };
        match turn {
            Ok(turn) => turn,
            // Not ready after all, or a signal came.
            Err(error) if error == Errno::EAGAIN || error == Errno::EINTR => Turn::Same,
            Err(error) => {
                warn(&self.addr, &error);
                Turn::Done
            }
        }
    }

    fn receive_and_send(&mut self, sock: &OwnedFd, echo_buffer: &mut Buffer) -> Result<Turn> {
        let recv_msg_size = recv(sock, echo_buffer, MSG_DONTWAIT)?;
        if recv_msg_size == 0 {
            return Ok(Turn::Done); // zero indicates end of transmission
        }
        let message = &echo_buffer[..recv_msg_size];
        let sent = match send(sock, message, MSG_DONTWAIT) {
            Ok(sent) if sent == recv_msg_size => return Ok(Turn::Same),
            Err(error) if error == Errno::EAGAIN || error == Errno::EINTR => 0,
            sent => some(sent?)?,
        };
        self.hold(&message[sent..])
    }

    fn send_held(&mut self, sock: &OwnedFd) -> Result<Turn> {
        self.sent += some(send(sock, &self.held[self.sent..], MSG_DONTWAIT)?)?;
        if self.sent < self.held.len() {
            return Ok(Turn::Same);
        }
        (self.held, self.sent) = (Box::default(), 0);
        Ok(Turn::Other)
    }

    /// Keeps the bytes that the client has not taken. Without memory for them, the client is lost.
    #[cold]
    fn hold(&mut self, rest: &[u8]) -> Result<Turn> {
        let mut held = Vec::new();
        held.try_reserve_exact(rest.len())
            .map_err(|_| Error::new("malloc", Errno::ENOMEM))?;
        held.extend_from_slice(rest);
        self.held = held.into();
        Ok(Turn::Other)
    }

    /// Whether no byte has moved for too long. Reports it.
    #[inline]
    pub fn is_idle(&self, now: Option<Instant>, args: &EchoArgs) -> bool {
        now.is_some_and(|now| self.is_idle_at(now, args))
    }

    #[inline(never)] // most servers have no idle time-out
    fn is_idle_at(&self, now: Instant, args: &EchoArgs) -> bool {
        let (Some(moved), Some(seconds)) = (self.last_moved, args.idle_timeout) else {
            return false;
        };
        let idle = now - moved >= Duration::from_secs(seconds.into());
        if idle {
            let call = if self.holds_bytes() { "send" } else { "recv" };
            warn(&self.addr, &Error::new(call, Errno::EAGAIN));
        }
        idle
    }

    /// Step 4c: closes the connection.
    pub fn close(&self, sock: OwnedFd) {
        close(sock).unwrap_or_else(|error| warn(&self.addr, &error));
    }
}

/// The number of bytes that `send` took, which must not be 0.
fn some(sent: usize) -> Result<usize> {
    match sent {
        0 => Err(Error::new("send", Errno::EIO)), // a correct kernel never returns this
        sent => Ok(sent),
    }
}

/// Makes room in a list for more clients. If memory runs out, only the new client is lost.
pub fn make_room<T>(list: &mut Vec<T>, more: usize) -> Result<()> {
    list.try_reserve(more)
        .map_err(|_| Error::new("realloc", Errno::ENOMEM))
}
