//! Runs any server, with any client that has its address, or with a built-in client.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream, UdpSocket,
};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use sockstep::{
    AF_INET, IPPROTO_TCP, PF_INET, SO_LINGER, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, bind, connect,
    htonl, htons, linger, setsockopt, sockaddr_in, socket,
};

use crate::common::note;
use crate::diff::compare::Line;
use crate::diff::normalise::{Data, sin_port};
use crate::diff::play::{Interrupts, Recorder, Run, file_of};
use crate::draw::terminal::Side;
use crate::sides::end::End;
use crate::sides::process::{PATIENCE, Process, Start, TICK};
use crate::sides::ready::{Place, Ready, State, free_port};
use crate::sides::shell::{shell, with_port};
use crate::sides::signals::Interrupted;
use crate::strace::calls::{self, Does};
use crate::strace::line::What;

/// How long a client may be silent. Some clients wait for answers that do not come, and report it.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long a port stays in TIME_WAIT, and a little more.
const TIME_WAIT: Duration = Duration::from_secs(65);
/// How often a server is started again before the user is told about the delay, and the pause
/// between.
const SILENT_TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);
/// After this time a waiting server has handled all that was sent: a busy machine delivers late.
const QUIET: Duration = Duration::from_millis(100);
/// The placeholder for a free port in a command.
pub const PORT: &str = "{port}";

/// The client of the server.
#[derive(Clone, Copy)]
pub enum Client<'a> {
    /// A command, with this standard input. Its output is compared if the two servers have the same
    /// client.
    Command {
        command: &'a OsStr,
        input: &'a [u8],
        prints: bool,
    },
    /// A built-in client.
    Probe(&'static Probe),
}

/// The steps of a built-in client.
pub struct Probe {
    pub name: &'static str,
    pub about: &'static str,
    steps: &'static [Step],
}

#[derive(Clone, Copy)]
enum Step {
    Connect,
    Says(&'static str),
    /// This many letters, and a newline.
    Letters(usize),
    /// Waits until the server is idle, or has ended the connection.
    Waits,
    ShutsDown,
    Resets,
    Closes,
}

use Step::{Closes, Connect, Letters, Resets, Says, ShutsDown, Waits};

/// The scenarios for any server.
pub const PROBES: &[Probe] = &[
    Probe {
        name: "word",
        about: "a word, and its answer",
        steps: &[Connect, Says("hello\n"), Waits, Closes, Waits],
    },
    Probe {
        name: "two-messages",
        about: "a second message after the first answer",
        steps: &[
            Connect,
            Says("one\n"),
            Waits,
            Says("two\n"),
            Waits,
            Closes,
            Waits,
        ],
    },
    Probe {
        name: "half-close",
        about: "the client sends everything, then receives to the end",
        steps: &[Connect, Says("hello\n"), ShutsDown, Waits, Closes, Waits],
    },
    Probe {
        name: "leaves",
        about: "a client that sends nothing, then one that does",
        steps: &[
            Connect,
            Closes,
            Waits,
            Connect,
            Says("hello\n"),
            Waits,
            Closes,
            Waits,
        ],
    },
    Probe {
        name: "reset",
        about: "a client resets in mid-exchange, then another comes",
        steps: &[
            Connect,
            Says("hello\n"),
            Waits,
            Resets,
            Waits,
            Connect,
            Says("again\n"),
            Waits,
            Closes,
            Waits,
        ],
    },
    Probe {
        name: "big",
        about: "a message larger than any buffer",
        steps: &[
            Connect,
            Letters(50_000),
            Waits,
            ShutsDown,
            Waits,
            Closes,
            Waits,
        ],
    },
];

/// Runs the server and the client; ends the server when both are idle.
pub fn record(interrupts: &Interrupts, server: &OsStr, client: Client) -> Result<Run, Interrupted> {
    let start = Instant::now();
    let mut tries = 0;
    loop {
        tries += 1;
        let port = free_port()?;
        let given = server
            .as_bytes()
            .windows(PORT.len())
            .any(|part| part == PORT.as_bytes());
        let ports = if given { vec![port] } else { Vec::new() };
        let mut recorder = Recorder::begin(interrupts);
        recorder.allow(DEADLINE);
        let (program, arguments) = shell(&with_port(server, port).0);
        let mut process = Start::of(Side::Server, &program, &arguments).process()?;
        let places = recorder.listens(&mut process)?;
        if !places.is_empty() {
            match client {
                Client::Command {
                    command,
                    input,
                    prints,
                } => {
                    let (command, _) = with_port(command, port);
                    recorder.converse(&mut process, &command, input, prints, &ports)?;
                }
                Client::Probe(probe) => recorder.probe(&mut process, probe, &places)?,
            }
            recorder.dismiss(process, &ports)?;
            return Ok(recorder.end());
        }
        let Some(port) = recorder.port_in_use() else {
            return Err(Interrupted::Failed(if process.has_ended() {
                let words = recorder.last_words();
                format!("the server ended before listen(), or bind() for datagrams: {words}")
            } else {
                "the server does not listen, and has nothing more to do".to_owned()
            }));
        };
        let waits = ends_time_wait(port);
        if !waits && tries > 1 || start.elapsed() > TIME_WAIT {
            return Err(Interrupted::Failed(format!(
                "port {port} is in use. This shows by which process: ss -lntup 'sport = {port}'"
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
    /// Waits until a server can be reached, and returns its addresses: an empty list if it has ended or
    /// does not listen.
    fn listens(&mut self, server: &mut Process) -> Result<Vec<Place>, Interrupted> {
        let mut ready = Ready::begin();
        loop {
            match ready.look(server) {
                State::At(places) => return Ok(places),
                State::Idle => return Ok(Vec::new()),
                State::Starting if server.has_ended() => return Ok(Vec::new()),
                State::Starting => drop(self.watch_for(TICK, [server])?),
            }
        }
    }

    fn converse(
        &mut self,
        server: &mut Process,
        client: &OsStr,
        input: &[u8],
        prints: bool,
        ports: &[u16],
    ) -> Result<(), Interrupted> {
        let (program, arguments) = shell(client);
        let stdin = file_of(input)?;
        let mut client = Start {
            input: stdin,
            ..Start::of(Side::Client, &program, &arguments)
        }
        .process()?;
        while !client.is_done() {
            self.watch_for(TICK, [server, &mut client])?;
        }
        let status = client.child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            let words = self.last_words();
            self.run.note = Some(format!("the client {}: {words}", how(status)));
        }
        self.keep(Side::Client, "client", ports)?;
        if prints {
            for (said, word) in [(&self.printed, "prints"), (&self.complained, "complains")] {
                if said.len > 0 {
                    let words = format!("client {word} {} bytes: {said}", said.len);
                    self.run.conversation.lines.push(Line::of_words(&words));
                }
            }
        }
        self.tell(&format!("client {}", how(status)));
        // The server may not yet have noticed that its client has disconnected.
        self.settle(server)
    }

    /// Waits until the server is idle, but not without limit.
    fn settle(&mut self, server: &mut Process) -> Result<(), Interrupted> {
        let start = Instant::now();
        let rests = |server: &Process| server.is_idle() && server.silent_for() > QUIET;
        while !server.has_ended() && !rests(server) && start.elapsed() < PATIENCE {
            self.watch_for(TICK, [server])?;
        }
        Ok(())
    }

    /// Ends the server, and records its calls.
    fn dismiss(&mut self, mut server: Process, ports: &[u16]) -> Result<(), Interrupted> {
        if server.has_ended() {
            let status = server.child.wait().map_err(|error| error.to_string())?;
            self.tell(&format!("server {}", how(status)));
        } else {
            self.tell("server goes on");
        }
        let mut end = End::begin(&server);
        while !end.is_over(&mut server) {
            self.watch_for(TICK, [&mut server])?;
        }
        self.keep(Side::Server, "server", ports)
    }

    fn tell(&mut self, words: &str) {
        self.run.conversation.lines.push(Line::of_words(words));
    }

    fn last_words(&self) -> String {
        let words = String::from_utf8_lossy(&self.complaints);
        words
            .trim()
            .lines()
            .last()
            .unwrap_or("it printed nothing")
            .to_owned()
    }

    /// The port that the server could not bind.
    fn port_in_use(&self) -> Option<u16> {
        let mut entries = self.entries[Side::Server as usize].iter().rev();
        entries.find_map(|entry| match &entry.what {
            What::Call(call)
                if calls::does(&call.name) == Does::Binds
                    && call.note.starts_with("EADDRINUSE") =>
            {
                sin_port(call.args.get(1)?)
            }
            _ => None,
        })
    }

    /// Runs a built-in client, and records what it sees.
    fn probe(
        &mut self,
        server: &mut Process,
        probe: &Probe,
        places: &[Place],
    ) -> Result<(), Interrupted> {
        let mut connection: Option<Connection> = None;
        let mut count = 0;
        for &step in probe.steps {
            if let Connect = step {
                count += 1;
                let name = format!("connection {count}: ");
                match Connection::to(places) {
                    Ok(link) => {
                        if !matches!(link, Link::Datagrams(_)) {
                            self.tell(&format!("{name}client connects"));
                        }
                        connection = Some(Connection::new(name, link));
                    }
                    Err(error) => {
                        self.tell(&format!("{name}client cannot connect: {}", reason(&error)));
                        connection = None;
                    }
                }
                continue;
            }
            let Some(open) = &mut connection else {
                self.settle(server)?;
                continue;
            };
            match step {
                Says(words) => open.says(words.bytes()),
                Letters(count) => {
                    let letters = (b'a'..=b'z').cycle().take(count - 1);
                    open.says(letters.chain([b'\n']));
                }
                Waits => {
                    let start = Instant::now();
                    loop {
                        let moved = open.goes_on();
                        let over = open.ended || server.has_ended();
                        let quiet = server.silent_for().min(start.elapsed()) > QUIET;
                        let at_rest = server.is_idle() && quiet || start.elapsed() > PATIENCE;
                        if !moved && (over || at_rest && !open.goes_on()) {
                            break;
                        }
                        let patience = if moved { 0 } else { TICK };
                        self.watch_for(patience, [server])?;
                    }
                }
                ShutsDown => open.shuts_down(),
                Resets | Closes => {
                    open.goes_on();
                    if let Some(open) = connection.take() {
                        let lines = open.closes(matches!(step, Resets));
                        self.run.conversation.lines.extend(lines);
                    }
                }
                Connect => {}
            }
        }
        self.settle(server)
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (_, signal) => {
            let signal = Signal::try_from(signal.unwrap_or_default());
            let name = signal.map_or("a signal", Signal::as_str);
            format!("was killed by {name}")
        }
    }
}

fn reason(error: &io::Error) -> String {
    let errno = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or_default());
    format!("{errno:?}")
}

/// A connection of a built-in client.
struct Connection {
    name: String,
    link: Link,
    lines: Vec<Line>,
    /// Bytes still to be sent.
    unsent: Vec<u8>,
    shuts: bool,
    /// The server has ended the connection.
    ended: bool,
    /// The direction of the last bytes, and the lines recorded.
    speaker: Option<(Side, Data)>,
}

enum Link {
    Tcp(TcpStream),
    Unix(UnixStream),
    Datagrams(UdpSocket),
}

impl Connection {
    /// Connects to the first place that can be reached.
    fn to(places: &[Place]) -> io::Result<Link> {
        let here = |mut address: SocketAddr| {
            if address.ip().is_unspecified() {
                address.set_ip(match address.ip() {
                    IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                    IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
                });
            }
            address
        };
        let mut outcome = Err(ErrorKind::AddrNotAvailable.into());
        for place in places {
            outcome = match place {
                Place::Tcp(address) => TcpStream::connect(here(*address)).and_then(|stream| {
                    stream.set_nonblocking(true)?;
                    Ok(Link::Tcp(stream))
                }),
                Place::Unix(path) => UnixStream::connect(path).and_then(|stream| {
                    stream.set_nonblocking(true)?;
                    Ok(Link::Unix(stream))
                }),
                Place::Udp(address) => {
                    let to = here(*address);
                    let own: IpAddr = match to.ip() {
                        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                    };
                    UdpSocket::bind((own, 0)).and_then(|socket| {
                        socket.connect(to)?;
                        socket.set_nonblocking(true)?;
                        Ok(Link::Datagrams(socket))
                    })
                }
            };
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn new(name: String, link: Link) -> Connection {
        Connection {
            name,
            link,
            lines: Vec::new(),
            unsent: Vec::new(),
            shuts: false,
            ended: false,
            speaker: None,
        }
    }

    /// The client leaves with the next step: an answer may come before that, or not.
    fn says(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.unsent.extend(bytes);
    }

    fn shuts_down(&mut self) {
        if let Link::Datagrams(_) = self.link {
            return;
        }
        self.shuts = true;
        self.goes_on();
    }

    /// Sends and receives without waiting. Returns whether any byte moved.
    fn goes_on(&mut self) -> bool {
        let mut moved = false;
        while !self.unsent.is_empty() {
            let sent = match &mut self.link {
                Link::Tcp(stream) => stream.write(&self.unsent),
                Link::Unix(stream) => stream.write(&self.unsent),
                Link::Datagrams(socket) => socket.send(&self.unsent),
            };
            match sent {
                Ok(count) => {
                    let sent: Vec<u8> = self.unsent.drain(..count).collect();
                    self.said(Side::Client, &sent);
                    moved = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.unsent.clear(), // the next receive tells why
            }
        }
        if self.unsent.is_empty() && std::mem::take(&mut self.shuts) {
            let _ = match &self.link {
                Link::Tcp(stream) => stream.shutdown(Shutdown::Write),
                Link::Unix(stream) => stream.shutdown(Shutdown::Write),
                Link::Datagrams(_) => Ok(()),
            };
            self.told("client ends");
            moved = true;
        }
        let mut buffer = vec![0; 65536]; // the longest possible datagram fits
        while !self.ended {
            let received = match &mut self.link {
                Link::Tcp(stream) => stream.read(&mut buffer),
                Link::Unix(stream) => stream.read(&mut buffer),
                Link::Datagrams(socket) => match socket.recv(&mut buffer) {
                    Ok(count) => {
                        let data = Data::of(&buffer[..count]);
                        self.told(&format!("server sends {count} bytes: {data}"));
                        moved = true;
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match received {
                Ok(0) => {
                    self.told("server ends");
                    self.ended = true;
                }
                Ok(count) => self.said(Side::Server, &buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    self.told("server resets");
                    self.ended = true;
                }
                Err(error) => {
                    self.told(&format!("client cannot receive: {}", reason(&error)));
                    self.ended = true;
                }
            }
            moved = true;
        }
        moved
    }

    fn said(&mut self, who: Side, bytes: &[u8]) {
        let data = Data::of(bytes);
        match &mut self.speaker {
            Some((last, said)) if *last == who => said.extend(&data),
            _ => {
                self.falls_silent();
                self.speaker = Some((who, data));
            }
        }
    }

    fn told(&mut self, words: &str) {
        self.falls_silent();
        self.lines
            .push(Line::of_words(&format!("{}{words}", self.name)));
    }

    fn falls_silent(&mut self) {
        if let Some((who, data)) = self.speaker.take() {
            let kind = format!("{}{} says", self.name, who.name());
            self.lines.push(Line::of_data(kind, data));
        }
    }

    /// Ends it, and returns all lines recorded.
    fn closes(mut self, by_reset: bool) -> Vec<Line> {
        if let Link::Tcp(stream) = &self.link {
            if by_reset {
                let at_once = linger {
                    l_onoff: 1,
                    l_linger: 0,
                };
                let _ = setsockopt(stream, SOL_SOCKET, SO_LINGER, &at_once);
            }
        }
        match self.link {
            Link::Datagrams(_) => self.falls_silent(),
            Link::Tcp(_) if by_reset => self.told("client resets"),
            _ => self.told("client closes"),
        }
        self.lines
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
                let _ = end_time_wait(server, client); // if that fails, it ends by itself within a minute
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

/// A connection attempt from the old client's address: the waiting end answers with its own
/// numbers, this end does not know that connection and resets it, and the reset ends TIME_WAIT (RFC
/// 1337).
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
    connect(&sock, &address(server)) // EINPROGRESS: the connection is never accepted
}
