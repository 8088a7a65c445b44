//! Records any server and any client, which know where to find each other.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use sockstep::{
    AF_INET, IPPROTO_TCP, PF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, bind, connect, htonl,
    htons, setsockopt, sockaddr_in, socket,
};

use crate::common::note;
use crate::diff::normalise::sin_port;
use crate::diff::play::{Interrupts, Recorder, Run, file_of};
use crate::draw::terminal::Side;
use crate::lectures::steps::Sockets;
use crate::sides::process::{Process, Start};
use crate::sides::shell::shell;
use crate::sides::signals::Interrupted;
use crate::strace::line::What;

/// How long a client may take. Some wait for answers that do not come, and say so.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long a port stays in TIME_WAIT, and a little more.
const TIME_WAIT: Duration = Duration::from_secs(65);
/// How often a server is started anew before a person is told why it takes so long, and the pause between.
const SILENT_TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);
/// How long a server that has been asked to end may take, before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs the server, and the client with this standard input; ends the server when both have nothing more to do.
pub fn record(
    interrupts: &Interrupts,
    server: &OsStr,
    client: &OsStr,
    input: &[u8],
) -> Result<Run, Interrupted> {
    let start = Instant::now();
    let mut tries = 0;
    loop {
        tries += 1;
        let mut recorder = Recorder::begin(interrupts);
        let (program, arguments) = shell(server);
        let mut process = Start::of(Side::Server, &program, &arguments).process()?;
        if recorder.listens(&mut process)? {
            recorder.converse(process, client, input)?;
            return Ok(recorder.end());
        }
        let Some(port) = recorder.port_in_use() else {
            let words = recorder
                .run
                .trouble
                .take()
                .unwrap_or_else(|| recorder.last_words());
            return Err(Interrupted::Failed(format!(
                "the server ended before listen(), or bind() for datagrams: {words}"
            )));
        };
        let waits = ends_time_wait(port);
        if !waits && tries > 1 || start.elapsed() > TIME_WAIT {
            return Err(Interrupted::Failed(format!(
                "port {port} is in use. See by whom: ss -lntup 'sport = {port}'"
            )));
        }
        if tries == SILENT_TRIES {
            note(format_args!(
                "sockstep: port {port} is in TIME_WAIT after an earlier run; waiting for it, a minute at most"
            ));
        }
        thread::sleep(PAUSE);
    }
}

impl Recorder<'_> {
    /// Waits until a server can be reached; says whether it got so far.
    fn listens(&mut self, server: &mut Process) -> Result<bool, Interrupted> {
        let (mut sockets, mut seen) = (Sockets::default(), 0);
        loop {
            for entry in &self.entries[Side::Server as usize][seen..] {
                let What::Call(call) = &entry.what else {
                    continue;
                };
                let datagrams = sockets.follow(entry.pid, call) == Some(false);
                if (call.name == "listen" || (call.name == "bind" && datagrams)) && !call.failed() {
                    return Ok(true);
                }
            }
            seen = self.entries[Side::Server as usize].len();
            if !server.is_heard() {
                return Ok(false);
            }
            self.watch([server])?;
        }
    }

    fn converse(
        &mut self,
        mut server: Process,
        client: &OsStr,
        input: &[u8],
    ) -> Result<(), Interrupted> {
        self.allow(DEADLINE);
        let (program, arguments) = shell(client);
        let stdin = file_of(input)?;
        let mut client = Start {
            input: stdin,
            ..Start::of(Side::Client, &program, &arguments)
        }
        .process()?;
        while client.is_heard() {
            self.watch([&mut server, &mut client])?;
        }
        let status = client.child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            let how = match (status.code(), status.signal()) {
                (Some(code), _) => format!("ended with status {code}"),
                (_, signal) => format!("was killed by signal {}", signal.unwrap_or_default()),
            };
            let words = self.last_words();
            self.run.note = Some(format!("the client {how}: {words}"));
        }
        self.keep(Side::Client, "client", &[])?;

        // The server may still have to notice that its client has gone.
        let mut last_heard = Instant::now();
        while server.is_heard() && last_heard.elapsed() < self.patience_with(&server) {
            if self.watch_for(10, [&mut server])? {
                last_heard = Instant::now();
            }
        }
        server.end();
        let asked = Instant::now();
        let mut signal = Signal::SIGTERM;
        while server.is_heard() {
            // Its own children, which it may have left behind.
            if !self.watch_for(100, [&mut server])? {
                self.signal(Side::Server, signal);
            }
            if asked.elapsed() > LAST_WORDS {
                signal = Signal::SIGKILL;
            }
        }
        self.keep(Side::Server, "server", &[])
    }

    /// How long the server may be silent before it has, as far as can be seen, nothing more to do.
    fn patience_with(&self, server: &Process) -> Duration {
        let idle = self.waits(Side::Server) && server.is_asleep();
        Duration::from_millis(if idle { 30 } else { 300 })
    }

    fn last_words(&self) -> String {
        let words = String::from_utf8_lossy(&self.complaints);
        words
            .trim()
            .lines()
            .last()
            .unwrap_or("it said nothing")
            .to_owned()
    }

    /// The port that the server could not have.
    fn port_in_use(&self) -> Option<u16> {
        let mut entries = self.entries[Side::Server as usize].iter().rev();
        entries.find_map(|entry| match &entry.what {
            What::Call(call) if call.name == "bind" && call.note.starts_with("EADDRINUSE") => {
                sin_port(call.args.get(1)?)
            }
            _ => None,
        })
    }
}

/// Whether old connections in TIME_WAIT keep a port from a server without `SO_REUSEADDR`. Ends them if it can.
fn ends_time_wait(port: u16) -> bool {
    let mut waiting = false;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, remote, state, ..] = fields.as_slice() else {
                continue;
            };
            if port_of(local) != Some(port) || *state != "06" {
                continue;
            }
            waiting = true;
            if let (Some(server), Some(client)) = (address(local), address(remote)) {
                let _ = end_time_wait(server, client); // then it ends by itself, in a minute
            }
        }
    }
    waiting
}

fn port_of(field: &str) -> Option<u16> {
    u16::from_str_radix(field.split_once(':')?.1, 16).ok()
}

/// An address of `/proc/net/tcp`, `0100007F:2EE0`.
fn address(field: &str) -> Option<SocketAddrV4> {
    let (host, _) = field.split_once(':').filter(|(host, _)| host.len() == 8)?;
    let host = Ipv4Addr::from(u32::from_str_radix(host, 16).ok()?.to_ne_bytes());
    Some(SocketAddrV4::new(host, port_of(field)?))
}

/// A connection attempt from the old client's address: the waiting end answers by where it stands, this end does not know
/// that connection and resets it, and a reset ends TIME_WAIT (RFC 1337).
fn end_time_wait(server: SocketAddrV4, client: SocketAddrV4) -> sockstep::Result<()> {
    let address = |place: SocketAddrV4| {
        let mut address = sockaddr_in::zeroed();
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(place.ip().to_bits());
        address.sin_port = htons(place.port());
        address
    };
    let sock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;
    setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, &1)?;
    let _ = fcntl(&sock, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
    bind(&sock, &address(client))?;
    connect(&sock, &address(server)) // EINPROGRESS: nobody will accept it
}
