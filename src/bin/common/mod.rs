//! What the programs share, so that each program shows its steps and little else. The C twins have
//! the same in `common.h`.

#![allow(dead_code, reason = "each program uses a part of it")]

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::{Command, CommandFactory, Parser};
use libc::c_long;
use sockstep::{error::*, netdb::*, netinet::*, poll::*, socket::*};

pub mod asked;
pub mod deadline;
pub mod echo;
#[cfg(test)]
mod pages;
pub mod text;

pub const DATAGRAM: usize = 65507; // bytes that a UDP datagram over IPv4 can carry at most
pub const DATAGRAM_IPV6: usize = 65527; // and over IPv6, whose length does not count its header
pub const PAUSE: Duration = Duration::from_millis(100); // until a server without memory retries

// ---- Output for the user ----

/// Ends the program over a failed call, as the lectures' `DieWithError` does.
pub fn die(error: impl Display) -> ! {
    note(error);
    exit(1);
}

/// Says what went wrong with one client, as the twins' `WarnWithError` does. The server goes on.
#[cold]
pub fn warn(client: &impl Display, error: &Error) {
    note(format_args!("{client}: {error}"));
}

/// One line on standard error, in one piece.
#[cold]
pub fn note(message: impl Display) {
    let line = format!("{message}\n");
    // If that fails too, there is nowhere to report it.
    let _ = write_all(&io::stderr(), line.as_bytes());
}

/// One line on standard output, in one piece.
pub fn print_line(line: impl Display) {
    print(format!("{line}\n").as_bytes());
}

/// Bytes on standard output, in one piece. If the reader has closed its end, the program ends
/// quietly.
pub fn print(bytes: &[u8]) {
    match write_all(&io::stdout(), bytes) {
        Err(error) if error == Errno::EPIPE => exit(0),
        written => written.unwrap_or_else(|error| die(error)),
    }
}

/// Writes all of `bytes`, and waits for room if the descriptor is non-blocking and full.
pub fn write_all(fd: &impl AsFd, bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match write(fd, rest) {
            Err(error) if error == Errno::EINTR => {}
            Err(error) if error == Errno::EAGAIN => {
                let mut fds = [pollfd::new(fd.as_fd(), POLLOUT)];
                let _ = poll(&mut fds, -1); // the next write reports an error
            }
            // A correct kernel never returns this.
            Ok(0) => return Err(Error::new("write", Errno::EIO)),
            taken => rest = &rest[taken?..],
        }
    }
    Ok(())
}

/// The book's prompt, without a newline: the user types the sentence after it.
pub fn prompt() {
    print(b"Input lowercase sentence: ");
}

// ---- Reading the arguments ----

/// Reads the program's arguments. If one is bad, the program ends with status 2.
pub fn parse<Args: Parser>() -> Args {
    // The lectures write `-ip ADDRESS`, one dash and two letters.
    let mut options = true;
    let lectures = |arg: OsString| {
        options &= arg != "--";
        if options && arg == "-ip" {
            "--ipaddress".into()
        } else {
            arg
        }
    };
    let matches = command::<Args>().try_get_matches_from(std::env::args_os().map(lectures));
    matches
        .and_then(|matches| Args::from_arg_matches(&matches))
        .unwrap_or_else(|answer| {
            // Help and version text arrive here too; writing them to standard output can fail.
            if answer.use_stderr() {
                let _ = answer.print();
            } else {
                print(answer.render().to_string().as_bytes());
            }
            exit(answer.exit_code());
        })
}

/// The command line of this program, built from `Args`.
fn command<Args: CommandFactory>() -> Command {
    // As with getopt_long(3), `--max` stands for `--max-clients`, and a later option overrides an
    // earlier one.
    Args::command()
        .name(env!("CARGO_BIN_NAME"))
        .max_term_width(100)
        .infer_long_args(true)
        .args_override_self(true)
        .mut_args(|arg| {
            let option = !arg.is_positional() && arg.get_action().takes_values();
            arg.allow_negative_numbers(option) // so that `-p -1` is reported as a bad number
        })
}

/// A value parser: a whole number from `min` to `max` in plain digits, as the twins' `number()`.
pub fn number<T>(
    min: impl Into<i128>,
    max: impl Into<i128>,
) -> impl Fn(&str) -> std::result::Result<T, String> + Clone
where
    T: TryFrom<i128>,
{
    let (min, max): (i128, i128) = (min.into(), max.into());
    move |text| {
        let digits = Some(text).filter(|text| !text.starts_with('-'));
        let value = digits.and_then(|digits| digits.parse().ok());
        let value = value.filter(|value| (min..=max).contains(value));
        let value = value.and_then(|value: i128| value.try_into().ok());
        value.ok_or_else(|| format!("not a number from {min} to {max}"))
    }
}

/// A value parser: an IPv4 address in the dotted form, which `inet_addr` then reads.
pub fn dotted(text: &str) -> std::result::Result<String, &'static str> {
    match inet_pton::<in_addr>(AF_INET, text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("not an IPv4 address in dotted form, like 127.0.0.1 \
             (name_lookup finds those of a name)"),
    }
}

// ---- Names ----

/// The addresses of a server, in the order in which to try them. A numeric address, like 127.0.0.1,
/// needs no system call.
pub fn addresses(server: &str, port: u16, socktype: SockType) -> Result<AddrInfoList> {
    let mut hints = Hints::zeroed();
    hints.ai_flags = AI_NUMERICSERV;
    hints.ai_socktype = socktype;
    getaddrinfo(Some(server), Some(&port.to_string()), Some(&hints))
}

// ---- Standard input ----

/// Standard input, read with the same calls as C's `stdin`. Rust's own `Stdin` treats a failed read
/// (EBADF) as end of file.
pub struct Input(BufReader<Keyboard>);

struct Keyboard;

impl Read for Keyboard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match read(&io::stdin(), buffer) {
                Err(error) if error == Errno::EINTR => {}
                taken => return taken.map_err(io::Error::from),
            }
        }
    }
}

impl Input {
    pub fn new() -> Input {
        Input(BufReader::with_capacity(8192, Keyboard))
    }

    /// Whether standard input has ended. Waits for the next byte if necessary.
    pub fn has_ended(&mut self) -> bool {
        self.0
            .fill_buf()
            .unwrap_or_else(|error| die_reading(&error))
            .is_empty()
    }

    /// The next line without its newline, or `None` at the end.
    pub fn line(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        match self
            .0
            .read_until(b'\n', &mut line)
            .unwrap_or_else(|error| die_reading(&error))
        {
            0 => return None,
            _ if line.ends_with(b"\n") => line.truncate(line.len() - 1),
            _ => {}
        }
        Some(line)
    }
}

fn die_reading(error: &io::Error) -> ! {
    die(Error::new(
        "read",
        Errno::from_raw(error.raw_os_error().unwrap_or_default()),
    ))
}

// ---- Calls that need more than one try ----

/// Sends all of `bytes`: the kernel may take them in parts.
pub fn send_all(sock: &impl AsFd, bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match send(sock, rest, 0) {
            // After SIGSTOP and SIGCONT, with a time-out set.
            Err(error) if error == Errno::EINTR => {}
            // A correct kernel never returns this.
            Ok(0) => return Err(Error::new("send", Errno::EIO)),
            taken => rest = &rest[taken?..],
        }
    }
    Ok(())
}

/// Makes `recv` and `send` fail with `EAGAIN` after `seconds` without a byte.
pub fn set_timeouts(sock: &impl AsFd, seconds: Option<u32>) -> Result<()> {
    let Some(seconds) = seconds else {
        return Ok(());
    };
    let limit = timeval_of(Duration::from_secs(seconds.into()));
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit)?;
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit)
}

/// A duration as a C timeval. Where seconds have 32 bits, a longer duration is cut to the maximum.
pub fn timeval_of(span: Duration) -> timeval {
    timeval {
        tv_sec: span.as_secs().try_into().unwrap_or(c_long::MAX),
        tv_usec: (span.as_micros() % 1_000_000).try_into().unwrap_or(0),
    }
}

/// To be called after `accept` or `recvfrom` failed. Returns `Ok`, at once or after `PAUSE`, if the
/// server can try again. An error that would occur again without end is returned, and ends the
/// server.
pub fn recover_from(error: Error) -> Result<()> {
    if needs_pause(error)? {
        sleep(PAUSE);
    }
    Ok(())
}

/// The same for a server that must not sleep: returns whether to wait for `PAUSE` before the next
/// try.
#[cold]
pub fn needs_pause(error: Error) -> Result<bool> {
    static SAID: AtomicBool = AtomicBool::new(false);
    let pause = match error.errno() {
        // The descriptor is not a usable socket, or (EOVERFLOW) the kernel returned an impossible
        // length.
        Errno::EBADF | Errno::EFAULT | Errno::EINVAL | Errno::ENOTSOCK | Errno::EOVERFLOW => {
            return Err(error);
        }
        // A signal came, or no client waits after all; or one client is lost (accept(2) lists these
        // errors). No pause, unless the failure is frequent.
        Errno::EINTR
        | Errno::EAGAIN
        | Errno::ECONNABORTED
        | Errno::EPROTO
        | Errno::EPERM
        | Errno::ENETDOWN
        | Errno::EHOSTDOWN
        | Errno::ENONET
        | Errno::EHOSTUNREACH
        | Errno::ENETUNREACH
        | Errno::ENOPROTOOPT
        | Errno::EOPNOTSUPP
        | Errno::ECONNREFUSED => is_frequent(),
        _ => true, // EMFILE, ENFILE, ENOBUFS, ENOMEM: no descriptor or memory for a client
    };
    if pause && !SAID.swap(true, Ordering::Relaxed) {
        note(error);
    }
    Ok(pause)
}

/// Whether this failure is at least the eleventh within a second.
fn is_frequent() -> bool {
    static RECENT: Mutex<Option<(Instant, u32)>> = Mutex::new(None);
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    let (since, count) = recent.get_or_insert((Instant::now(), 0));
    if since.elapsed() >= Duration::from_secs(1) {
        (*since, *count) = (Instant::now(), 0);
    }
    *count += 1;
    *count > 10
}

/// Whether a datagram may be answered. Its source address can be forged: if it names another server
/// that answers every datagram, the two servers answer each other without end (CVE-1999-0103). So a
/// datagram from a port below 1024, or from our own port number, is not answered. Neither is one
/// from an address that no host has (0.x.x.x, multicast, broadcast).
#[inline]
pub fn may_answer(sender: &sockaddr_in, server: &sockaddr_in) -> bool {
    let port = ntohs(sender.sin_port);
    let network = ntohl(sender.sin_addr.s_addr) >> 24;
    let may = port >= 1024 && sender.sin_port != server.sin_port && (1..=223).contains(&network);
    if !may {
        say_not_answered(sender);
    }
    may
}

/// Prints this once only: forged datagrams could otherwise fill the log.
#[cold]
fn say_not_answered(sender: &sockaddr_in) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        note(format_args!(
            "{sender}: not answered: it may be a server too"
        ));
    }
}

/// Receives the next datagram from `server` and ignores datagrams from other addresses. Fails with
/// `EAGAIN` after `timeout` seconds in all.
pub fn answer_from<A: Sockaddr + Display + Into<AnyAddr>>(
    server: &A,
    sock: &impl AsFd,
    buffer: &mut [u8],
    timeout: Option<u32>,
) -> Result<usize> {
    let time_allowed = timeout.map(|seconds| Duration::from_secs(seconds.into()));
    let start = Instant::now();
    let mut left = time_allowed;
    loop {
        if let Some(left) = left {
            setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &timeval_of(left))?;
        }
        match recvfrom::<A>(sock, buffer, 0) {
            Ok((n, from)) if are_same(&from.into(), &(*server).into()) => return Ok(n),
            Ok((_, from)) => {
                let advice = advice(&from.into(), &(*server).into());
                if !advice.is_empty() {
                    die_if_alone(sock, &from, server)?;
                }
                note(format_args!(
                    "ignored a datagram from {from}: {server} was asked{advice}"
                ));
            }
            // After SIGSTOP and SIGCONT, with a time-out set.
            Err(error) if error == Errno::EINTR => {}
            Err(error) => return Err(error),
        }
        left = match time_allowed.map(|allowed| allowed.saturating_sub(start.elapsed())) {
            Some(left) if left.as_micros() == 0 => {
                return Err(Error::new("recvfrom", Errno::EAGAIN));
            }
            more => more,
        };
    }
}

/// Ends the program if `heard` is the address of its own socket. If no server has the port, the
/// kernel may give that port to the client.
pub fn die_if_alone<A: Sockaddr + Display + Into<AnyAddr>>(
    sock: &impl AsFd,
    heard: &A,
    server: &A,
) -> Result<()> {
    let heard: AnyAddr = (*heard).into();
    let own: AnyAddr = getsockname(sock)?;
    if port_of(&own) == port_of(&heard) && (are_same(&own, &heard) || is_ours(&heard)) {
        die_alone(server);
    }
    Ok(())
}

/// Whether this is an address of this machine with a port in use: then our own socket uses it.
fn is_ours(addr: &AnyAddr) -> bool {
    let another = socket(addr.family(), SOCK_DGRAM, IPPROTO_UDP);
    another.is_ok_and(|sock| bind(&sock, addr).is_err_and(|error| error == Errno::EADDRINUSE))
}

pub fn die_alone(server: &impl Display) -> ! {
    die(format_args!(
        "the socket is connected to itself: no server is at {server}"
    ))
}

fn port_of(addr: &AnyAddr) -> Option<Net16> {
    let v6 = addr.v6().map(|addr| addr.sin6_port);
    addr.v4().map(|addr| addr.sin_port).or(v6)
}

/// Whether two addresses name the same socket. A scope that only one of them gives is not compared.
fn are_same(one: &AnyAddr, other: &AnyAddr) -> bool {
    let (Some(one), Some(other)) = (one.v6(), other.v6()) else {
        return one == other;
    };
    let scopes = [one.sin6_scope_id, other.sin6_scope_id];
    (one.sin6_addr, one.sin6_port) == (other.sin6_addr, other.sin6_port)
        && (scopes[0] == scopes[1] || scopes.contains(&0))
}

/// A hint for the case that the server was asked at one of its addresses and answers from another.
fn advice(from: &AnyAddr, server: &AnyAddr) -> String {
    match (from.v4(), server.v4()) {
        (Some(from), Some(server)) if from.sin_port == server.sin_port => {
            let address = from.sin_addr;
            format!(". Ask {address}, or start the server with --bind or --from-asked")
        }
        _ => String::new(),
    }
}

/// The greeting of the book's interactive variant: the address that clients on other machines use.
pub fn announce(serv_addr: &sockaddr_in) {
    let address = match own_address() {
        Ok(own) => own.sin_addr.to_string(),
        Err(error) => format!("unknown ({error})"),
    };
    let port = ntohs(serv_addr.sin_port);
    let hint = "Press Ctrl+C to quit. Listening...";
    print_line(format_args!(
        "serverIP:\t{address}\nserverPort:\t{port}\n{hint}"
    ));
}

/// The address that this machine sends from. Connecting a UDP socket sends nothing; the kernel only
/// chooses a route.
fn own_address() -> Result<sockaddr_in> {
    let sock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)?;
    let mut far_away = sockaddr_in::zeroed();
    far_away.sin_family = AF_INET;
    far_away.sin_addr.s_addr = inet_addr("8.8.8.8")?;
    far_away.sin_port = htons(80);
    connect(&sock, &far_away)?;
    getsockname(&sock)
}

// ---- Text from the network ----

/// Prints a caption and bytes from the network as one line. On a terminal the bytes are escaped.
pub fn show(caption: &str, bytes: &[u8]) {
    let mut line = caption.as_bytes().to_vec();
    if io::stdout().is_terminal() {
        text::escape(bytes, &mut line);
    } else {
        line.extend_from_slice(bytes);
    }
    line.push(b'\n');
    print(&line);
}

/// Prints a request as the book's interactive variant does, `Received from 192.168.67.1#56855: udp
/// is lazy`. `line` is a buffer that the caller keeps for reuse.
pub fn log_request(client: &sockaddr_in, request: &[u8], line: &mut Vec<u8>) {
    let request = request.strip_suffix(b"\n").unwrap_or(request);
    let (address, port) = (client.sin_addr, ntohs(client.sin_port));
    line.clear();
    let _ = write!(line, "Received from {address}#{port}: "); // into memory
    text::escape(request, line);
    line.push(b'\n');
    print(line);
}
