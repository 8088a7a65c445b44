//! Runs one scenario with one implementation under strace, and records the calls of each program.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::diff::compare::Lines;
use crate::diff::conversation;
use crate::diff::normalise::{Data, LONG, brief, sin_port};
use crate::diff::scenarios::{Client, Play, Scenario};
use crate::diff::scripts::{self, Place, Progress, Script, Settled};
use crate::diff::task::Task;
use crate::draw::terminal::Side;
use crate::lectures::pairs::{Choice, Pair};
use crate::lectures::steps::made;
use crate::sides::process::{Process, Source, Start, listen};
use crate::sides::signals::{Interrupted, Signals};
use crate::strace::calls::{self, Does, Row};
use crate::strace::command::Trace;
use crate::strace::line::{Call, Entry, What};
use crate::world::tasks::{Part, split};

/// How long a run may be silent: many times longer than normal. And how many times that it may take
/// in all.
const DEADLINE: Duration = Duration::from_secs(20);
const AT_MOST: u32 = 5;
/// How much of a side's output is kept.
const WORDS: usize = 4096;
/// How many bytes of a side's long arguments are kept whole; after that only their beginnings are.
const KEPT: usize = 1 << 20;
/// The byte that a keyboard sends for the end of input.
const CTRL_D: u8 = 4;
/// How often the deadline is checked, in milliseconds.
const TICK: u8 = 100;

/// The calls of one scenario's programs, from their first `socket` on.
#[derive(Default)]
pub struct Run {
    pub tasks: Vec<Task>,
    /// The bytes that crossed between them.
    pub conversation: Lines,
    /// Failures outside the programs: of a script, or of the time limit.
    pub trouble: Option<String>,
    /// Notes for the user.
    pub note: Option<String>,
}

/// Reasons to stop a recording.
pub struct Interrupts<'a> {
    pub signals: &'a Signals,
    /// Set when the others must stop too.
    pub stop: &'a AtomicBool,
}

/// The programs of a pair.
pub struct Pairing<'a> {
    pub pair: Choice,
    pub server: &'a Path,
    pub client: &'a Path,
    /// The directory for a Web server.
    pub site: &'a Path,
}

/// A recording under way.
pub struct Recorder<'a> {
    interrupts: &'a Interrupts<'a>,
    time: Duration,
    until: Instant,
    /// How long it may take in all, even if it is never silent.
    at_most: Instant,
    /// The output of the server, and of the client.
    said: Vec<u8>,
    pub printed: Data,
    pub complained: Data,
    pub complaints: Vec<u8>,
    pub traces: [Trace; 2],
    pub entries: [Vec<Entry>; 2],
    /// How many bytes of long arguments may still be kept.
    room: [usize; 2],
    /// All entries, with the time of their arrival.
    history: Vec<(Side, Entry)>,
    pub run: Run,
}

impl<'a> Recorder<'a> {
    pub fn begin(interrupts: &'a Interrupts) -> Recorder<'a> {
        Recorder {
            interrupts,
            time: DEADLINE,
            until: Instant::now() + DEADLINE,
            at_most: Instant::now() + AT_MOST * DEADLINE,
            said: Vec::new(),
            printed: Data::default(),
            complained: Data::default(),
            complaints: Vec::new(),
            traces: Default::default(),
            entries: Default::default(),
            room: [KEPT; 2],
            history: Vec::new(),
            run: Run::default(),
        }
    }

    /// Runs the scenario to its end.
    pub fn play(mut self, pairing: &Pairing, scenario: &Scenario) -> Result<Run, Interrupted> {
        self.go(pairing, scenario)?;
        Ok(self.end())
    }

    /// The result, once all sides are recorded.
    pub fn end(mut self) -> Run {
        let mut known = conversation::of(std::mem::take(&mut self.history));
        for task in &mut self.run.tasks {
            let pid = task.entries.first().and_then(|entry| entry.pid);
            if let Some(on) = known.on.remove(&(task.side, pid)) {
                let before = on.len().saturating_sub(task.entries.len());
                task.on = on[before..].to_vec();
            }
            task.sockets = known.sockets.get(&task.side).cloned().unwrap_or_default();
        }
        // A built-in client's record is the better source.
        let is_seen = self.run.tasks.iter().any(|task| task.side == Side::Client);
        if is_seen || self.run.conversation.lines.is_empty() {
            let own = std::mem::replace(&mut self.run.conversation, known.conversation);
            self.run.conversation.lines.extend(own.lines);
        }
        self.run
    }

    fn go(&mut self, pairing: &Pairing, scenario: &Scenario) -> Result<(), Interrupted> {
        match &scenario.play {
            Play::Both(messages, clients) => {
                let mut server = server(pairing, scenario, *messages)?;
                let Some(address) = self.ready(&mut server)? else {
                    return self.keep(Side::Server, "server", &[]);
                };
                for (client, name) in clients.iter().zip(["client", "client 2"]) {
                    let (mut process, ports, _terminal) = self::client(pairing, client, address)?;
                    while process.is_heard() {
                        self.watch([&mut server, &mut process])?;
                    }
                    self.keep(Side::Client, name, &ports)?;
                }
                if clients.len() < *messages as usize {
                    while server.is_heard()
                        && !(self.is_blocked(Side::Server, false) && server.is_asleep())
                    {
                        self.watch([&mut server])?;
                    }
                    server.end();
                }
                self.follow(&mut server)?;
                self.keep(Side::Server, "server", &[address.port()])
            }
            Play::Server(messages, script) => {
                let mut server = server(pairing, scenario, *messages)?;
                let Some(address) = self.ready(&mut server)? else {
                    return self.keep(Side::Server, "server", &[]);
                };
                let script = *script;
                let peer = thread::spawn(move || script(address));
                self.follow(&mut server)?;
                self.keep(Side::Server, "server", &[address.port()])?;
                self.leave(peer)
            }
            Play::Several(messages, script) => {
                let script = *script;
                self.several(pairing, scenario, *messages, script)
            }
            Play::Requests(pieces) => {
                let pieces = *pieces;
                self.several(pairing, scenario, 1, move |server, settled| {
                    scripts::says(server, settled, pieces)
                })
            }
            Play::Ended(script) => {
                let mut server = server(pairing, scenario, 2)?;
                let Some(address) = self.ready(&mut server)? else {
                    return self.keep(Side::Server, "server", &[]);
                };
                let script = *script;
                let peer = thread::spawn(move || script(address));
                // The kernel must report them asleep too: while strace delays one thread before its
                // call, another would get the signal.
                while server.is_heard()
                    && !(peer.is_finished() && self.waits_after_an_answer() && server.is_asleep())
                {
                    self.watch([&mut server])?;
                }
                server.end();
                self.follow(&mut server)?;
                self.leave(peer)?;
                self.keep(Side::Server, "server", &[address.port()])
            }
            Play::Alone(place) => {
                let Place { address, script } = set(*place)?;
                let arguments = [
                    "--bind".into(),
                    address.ip().to_string(),
                    address.port().to_string(),
                ];
                let arguments = arguments.map(OsString::from);
                let mut server = Start::of(Side::Server, pairing.server, &arguments).process()?;
                let peer = thread::spawn(script);
                if self.ready(&mut server)?.is_some() {
                    server.end(); // it should have failed, and now waits for clients that never come
                }
                self.follow(&mut server)?;
                self.leave(peer)?;
                self.keep(Side::Server, "server", &[address.port()])
            }
            Play::Client(place, client) => {
                let Place { address, script } = set(*place)?;
                let (mut process, ports, _terminal) = self::client(pairing, client, address)?;
                self.beside(script, &mut process)?;
                self.keep(Side::Client, "client", &ports)
            }
        }
    }

    fn several(
        &mut self,
        pairing: &Pairing,
        scenario: &Scenario,
        messages: u32,
        script: impl FnOnce(SocketAddrV4, &Settled) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), Interrupted> {
        let mut server = server(pairing, scenario, messages)?;
        let Some(address) = self.ready(&mut server)? else {
            return self.keep(Side::Server, "server", &[]);
        };
        let ((ask, asked), (answers, answer)) = (channel(), channel());
        let peer = thread::spawn(move || script(address, &Settled { ask, answer }));
        let mut wanted = None;
        while server.is_heard() {
            self.watch([&mut server])?;
            wanted = wanted.or_else(|| asked.try_recv().ok());
            if wanted.is_some_and(|progress| self.has_come_to(progress)) {
                wanted = None;
                let _ = answers.send(()); // the script may have failed
            }
        }
        self.leave(peer)?;
        self.keep(Side::Server, "server", &[address.port()])
    }

    /// Waits for the server's `listening on` line; `None` if it ended instead.
    fn ready(&mut self, server: &mut Process) -> Result<Option<SocketAddrV4>, Interrupted> {
        loop {
            if let Some(address) = crate::run::listening_on(&self.said) {
                let (_, port) = address;
                return Ok(port
                    .parse()
                    .ok()
                    .map(|port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)));
            }
            if !server.is_heard() {
                return Ok(None);
            }
            self.watch([server])?;
        }
    }

    /// Waits for a program's end.
    fn follow(&mut self, process: &mut Process) -> Result<(), Interrupted> {
        while process.is_heard() {
            self.watch([process])?;
        }
        Ok(())
    }

    /// Runs a script together with a program, until the program ends.
    fn beside(&mut self, script: Script, process: &mut Process) -> Result<(), Interrupted> {
        let peer = thread::spawn(script);
        self.follow(process)?;
        self.leave(peer)
    }

    /// Whether the server has answered, and all its tasks wait for the next message.
    fn waits_after_an_answer(&self) -> bool {
        let entries = &self.entries[Side::Server as usize];
        let answers = |row: &Row| row.proves && row.sends.is_some();
        entries.iter().any(|entry| is_call(entry, answers)) && self.is_blocked(Side::Server, true)
    }

    /// Whether the server has come this far, and all its tasks wait.
    fn has_come_to(&self, Progress(accepted, received, ended): Progress) -> bool {
        let calls = self.entries[Side::Server as usize]
            .iter()
            .filter_map(|entry| match &entry.what {
                What::Call(call) => Some(call),
                _ => None,
            });
        let count =
            |wanted: &dyn Fn(&Call) -> bool| calls.clone().filter(|call| wanted(call)).count();
        let forks = count(&|call| {
            made(call).is_some() && !call.args.iter().any(|arg| arg.contains("CLONE_THREAD"))
        });
        let came = |call: &Call| -> Option<usize> {
            let result = call.result.parse().ok();
            result.filter(|_| receives(&call.name))
        };
        let reaped = count(&|call| {
            calls::does(&call.name) == Does::ReapsTask && !call.failed() && call.result != "0"
        });
        count(&|call| calls::does(&call.name) == Does::Accepts && !call.failed()) >= accepted
            && count(&|call| came(call).is_some_and(|bytes| bytes > 0)) >= received
            && count(&|call| came(call) == Some(0)) >= ended
            && (forks == 0 || reaped >= ended)
            && self.is_blocked(Side::Server, true)
    }

    /// Whether each task of a side waits for other tasks, or (`or_receives`) for its peer.
    fn is_blocked(&self, side: Side, or_receives: bool) -> bool {
        let under_way = self.traces[side as usize].under_way();
        self.alive(side).iter().all(|&pid| {
            under_way.iter().any(|call| {
                call.pid == Some(pid)
                    && (calls::is_idle(&call.name) || (or_receives && receives(&call.name)))
            })
        })
    }

    /// Waits for the end of a script. Each of its waits has a deadline.
    fn leave<T>(
        &mut self,
        peer: thread::JoinHandle<std::io::Result<T>>,
    ) -> Result<(), Interrupted> {
        match peer.join() {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => self.trouble(format!("the script that plays the peer: {error}")),
            Err(_) => return Err(Interrupted::Failed("a script panicked".to_owned())),
        }
        Ok(())
    }

    fn trouble(&mut self, words: String) {
        self.run.trouble.get_or_insert(words);
    }

    /// Restarts the time limit for silence.
    pub fn allow(&mut self, time: Duration) {
        (self.time, self.until) = (time, Instant::now() + time);
        self.at_most = Instant::now() + AT_MOST * time;
    }

    pub fn watch<const N: usize>(
        &mut self,
        processes: [&mut Process; N],
    ) -> Result<(), Interrupted> {
        self.watch_for(TICK, processes).map(drop)
    }

    /// Waits at most `patience` milliseconds for the next entry. Returns whether any came.
    pub fn watch_for<const N: usize>(
        &mut self,
        patience: u8,
        mut processes: [&mut Process; N],
    ) -> Result<bool, Interrupted> {
        if self.interrupts.stop.load(Ordering::Relaxed) {
            return Err(Interrupted::Failed("stopped".to_owned()));
        }
        let now = Instant::now();
        if now > self.until || now > self.at_most {
            self.trouble(format!("not done after {} seconds", self.time.as_secs()));
            for process in &mut processes {
                let _ = process.child.kill(); // strace records that, and the pipes end
                self.signal(process.side, Signal::SIGKILL);
            }
        }
        let Recorder {
            said,
            complaints,
            printed,
            complained,
            traces,
            entries,
            room,
            ..
        } = self;
        let mut anything = false;
        listen(
            self.interrupts.signals,
            &mut processes,
            Some(patience),
            |side, source, bytes| {
                anything |= !bytes.is_empty();
                match source {
                    Source::Strace => {
                        for mut entry in traces[side as usize].take(bytes) {
                            abridge(&mut entry, &mut room[side as usize]);
                            entries[side as usize].push(entry);
                        }
                    }
                    Source::StandardOutput if side == Side::Server => {
                        said.extend_from_slice(
                            &bytes[..bytes.len().min(WORDS.saturating_sub(said.len()))],
                        );
                    }
                    Source::StandardOutput => printed.extend(&Data::of(bytes)),
                    Source::StandardError => {
                        if side == Side::Client {
                            complained.extend(&Data::of(bytes));
                        }
                        complaints.extend_from_slice(bytes);
                        let surplus = complaints.len().saturating_sub(WORDS);
                        complaints.drain(..surplus);
                    }
                }
            },
        )?;
        if anything {
            self.until = now + self.time;
        }
        Ok(anything)
    }

    /// The processes of a side that have not ended according to strace, with those that have made
    /// no call yet.
    fn alive(&self, side: Side) -> Vec<u32> {
        let (mut alive, mut ended) = (Vec::new(), Vec::new());
        for entry in &self.entries[side as usize] {
            match &entry.what {
                What::End(_) => ended.extend(entry.pid),
                What::Call(call) => {
                    let started = made(call).map(|(pid, _)| pid);
                    alive.extend([entry.pid, started].into_iter().flatten());
                }
                _ => alive.extend(entry.pid),
            }
        }
        alive.sort_unstable();
        alive.dedup();
        alive.retain(|pid| !ended.contains(pid));
        alive
    }

    /// Sends a signal to the remaining processes of a side.
    pub fn signal(&self, side: Side, signal: Signal) {
        for pid in self.alive(side) {
            if let Ok(pid) = pid.try_into() {
                let _ = kill(Pid::from_raw(pid), signal); // it may have ended meanwhile
            }
        }
    }

    /// Records the calls of a side since its start.
    pub fn keep(&mut self, side: Side, name: &str, ports: &[u16]) -> Result<(), Interrupted> {
        let entries = std::mem::take(&mut self.entries[side as usize]);
        // A client's port appears in the accept of the server, and in the output of the task that
        // serves it.
        let mut ports = ports.to_vec();
        for entry in &entries {
            if let What::Call(call) = &entry.what {
                let accepts = calls::does(&call.name) == Does::Accepts;
                ports.extend(
                    call.args
                        .iter()
                        .filter(|_| accepts)
                        .filter_map(|arg| sin_port(arg)),
                );
            }
        }
        self.history
            .extend(entries.iter().map(|entry| (side, entry.clone())));
        let Some(own) = split(entries) else {
            let words = String::from_utf8_lossy(&self.complaints).trim().to_owned();
            return Err(Interrupted::Failed(format!(
                "the {name} made no socket: {words}"
            )));
        };
        // The first is process 1, and its thread 1.
        let (mut processes, mut threads) = (1, 1);
        for (at, Part { thread, entries }) in own.into_iter().enumerate() {
            let (kind, number) = if thread {
                ("thread", &mut threads)
            } else {
                ("process", &mut processes)
            };
            *number += i32::from(at > 0);
            self.run.tasks.push(Task {
                name: match (at, side) {
                    (0, _) => name.to_owned(),
                    (_, Side::Server) => format!("{kind} {number}"),
                    (_, Side::Client) => format!("{name}'s {kind} {number}"),
                },
                side,
                entries,
                on: Vec::new(),
                sockets: Vec::new(),
                ports: ports.clone(),
                thread,
                is_another: at > 0,
            });
        }
        Ok(())
    }
}

fn server(pairing: &Pairing, scenario: &Scenario, messages: u32) -> Result<Process, Interrupted> {
    let limit = match pairing.pair.pair {
        Pair::TcpEcho | Pair::TcpUpper | Pair::Web => "--max-clients",
        Pair::UdpEcho | Pair::UdpUpper => "--max-messages",
    };
    let messages = messages.to_string();
    let mut arguments = vec!["--bind", "127.0.0.1", limit, &messages];
    let site = pairing.site.to_string_lossy();
    if pairing.pair.pair == Pair::Web {
        arguments.extend(["--root", &site]);
    }
    arguments.extend(scenario.server);
    match pairing.pair.server {
        "tcp_echo_server_prefork" => arguments.extend(["--workers", "2"]),
        "tcp_echo_server_pool" => arguments.extend(["--threads", "2"]),
        _ => {}
    }
    arguments.push("0");
    let arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
    Ok(Start::of(Side::Server, pairing.server, &arguments).process()?)
}

/// Starts a client. Also returns the ports in its arguments, and its terminal, if it has one.
fn client(
    pairing: &Pairing,
    client: &Client,
    server: SocketAddrV4,
) -> Result<(Process, Vec<u16>, Option<PtyMaster>), Interrupted> {
    let text = client.text.bytes();
    let mut ports = vec![server.port()];
    let mut options = Vec::new();
    for option in client.options {
        options.push(OsString::from(match *option {
            "SERVER-PORT" => server.port().to_string(),
            "FREE-PORT" => {
                let port = free_port()?;
                ports.push(port);
                port.to_string()
            }
            other => other.to_owned(),
        }));
    }
    let (mut stdin, mut terminal) = (Stdio::null(), None);
    match pairing.pair.pair {
        Pair::TcpEcho | Pair::UdpEcho | Pair::Web => {
            options.insert(0, String::from_utf8_lossy(&text).into_owned().into());
        }
        Pair::TcpUpper | Pair::UdpUpper => {
            let lines = [&text[..], b"\n"].concat();
            if client.typed {
                let (keyboard, screen) = typed(&lines)?;
                (stdin, terminal) = (screen, Some(keyboard));
            } else {
                stdin = file_of(&lines)?;
            }
        }
    }
    let (address, port) = (server.ip().to_string(), server.port().to_string());
    let arguments = pairing
        .pair
        .pair
        .client_arguments(&address, &port, &options);
    let process = Start {
        input: stdin,
        ..Start::of(Side::Client, pairing.client, &arguments)
    }
    .process()?;
    Ok((process, ports, terminal))
}

/// A UDP port that is free now, outside the kernel's ephemeral range.
fn free_port() -> Result<u16, Interrupted> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 10_000).unwrap_or_default();
    for _ in 0..1000 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Interrupted::Failed("no UDP port is free".to_owned()))
}

/// A terminal at which these lines, and then Ctrl-D, are already typed. Returns the end that must
/// stay open, and the program's end.
fn typed(lines: &[u8]) -> Result<(PtyMaster, Stdio), Interrupted> {
    let open = || {
        // Programs started at the same time must not inherit it.
        let mut keyboard = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
        grantpt(&keyboard)?;
        unlockpt(&keyboard)?;
        let place = ptsname_r(&keyboard)?;
        let mut open = File::options();
        open.read(true).write(true);
        let screen = open.custom_flags(libc::O_NOCTTY).open(place)?;
        keyboard.write_all(lines)?;
        keyboard.write_all(&[CTRL_D])?;
        std::io::Result::Ok((keyboard, screen.into()))
    };
    open().map_err(|error| Interrupted::Failed(format!("a terminal: {error}")))
}

fn set(place: fn() -> std::io::Result<Place>) -> Result<Place, Interrupted> {
    place().map_err(|error| Interrupted::Failed(format!("a socket of our own: {error}")))
}

/// Shortens a long argument to the compared part, when there is no more room for all of it.
fn abridge(entry: &mut Entry, room: &mut usize) {
    let What::Call(call) = &mut entry.what else {
        return;
    };
    if call.args.iter().all(|arg| arg.len() <= LONG) {
        return;
    }
    let args = Arc::make_mut(call).args.iter_mut();
    for arg in args.filter(|arg| arg.len() > LONG) {
        match room.checked_sub(arg.len()) {
            Some(left) => *room = left,
            None => *arg = brief(arg),
        }
    }
}

fn is_call(entry: &Entry, wanted: impl Fn(&Row) -> bool) -> bool {
    matches!(&entry.what, What::Call(call) if calls::of(&call.name).is_some_and(wanted))
}

/// Whether it is a receiving call that only a socket can have.
fn receives(name: &str) -> bool {
    calls::of(name).is_some_and(|row| row.proves && row.receives.is_some())
}

/// Standard input with these bytes: a file, so that each `read` brings what it asks for.
pub fn file_of(bytes: &[u8]) -> Result<Stdio, Interrupted> {
    let fill = || {
        let mut file = File::from(memfd_create(c"input", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(bytes)?;
        file.rewind()?;
        std::io::Result::Ok(file.into())
    };
    fill().map_err(|error| Interrupted::Failed(format!("memfd_create: {error}")))
}
