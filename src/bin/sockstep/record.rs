//! Runs one scenario with one implementation under strace, and keeps what each program of it did.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::lanes::Side;
use crate::pairs::Pair;
use crate::peers::{Script, Stage};
use crate::process::{Interrupted, Process, Signals, Source, listen};
use crate::read::{Call, Entry, What};
use crate::scenarios::{Client, Play, Scenario};
use crate::trace::Trace;

/// How long a recording may take; many times what it does take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How often the deadline is looked at, in milliseconds.
const TICK: u8 = 100;

/// What the programs of one scenario did, from their first `socket` on.
pub struct Recording {
    pub lanes: Vec<Lane>,
    /// What went wrong around the programs: with a script, or with the time.
    pub trouble: Option<String>,
}

/// What one program did.
pub struct Lane {
    pub name: &'static str,
    pub entries: Vec<Entry>,
    /// The server's port, that there is a name for it wherever it appears.
    pub port: Option<u16>,
}

/// Where a recording takes place: what may interrupt it, and the two programs of the pair.
pub struct Studio<'a> {
    pub signals: &'a Signals,
    /// Set when the others are to give up too.
    pub stop: &'a AtomicBool,
    pub server: &'a Path,
    pub client: &'a Path,
}

impl Studio<'_> {
    /// Runs the scenario to its end.
    pub fn record(&self, pair: Pair, scenario: &Scenario) -> Result<Recording, Interrupted> {
        let mut take = Take {
            studio: self,
            pair,
            until: Instant::now() + DEADLINE,
            said: Vec::new(),
            complaints: Vec::new(),
            traces: [Trace::default(), Trace::default()],
            entries: [Vec::new(), Vec::new()],
            recording: Recording {
                lanes: Vec::new(),
                trouble: None,
            },
        };
        take.play(scenario)?;
        Ok(take.recording)
    }
}

/// A recording under way.
struct Take<'a> {
    studio: &'a Studio<'a>,
    pair: Pair,
    until: Instant,
    /// What the server has printed.
    said: Vec<u8>,
    complaints: Vec<u8>,
    traces: [Trace; 2],
    entries: [Vec<Entry>; 2],
    recording: Recording,
}

impl Take<'_> {
    fn play(&mut self, scenario: &Scenario) -> Result<(), Interrupted> {
        match &scenario.play {
            Play::Both(messages, clients) => {
                let mut server = self.server(scenario, *messages)?;
                let Some(address) = self.ready(&mut server)? else {
                    return self.keep(Side::Server, "server", None);
                };
                for (client, name) in clients.iter().zip(["client", "client 2"]) {
                    let mut process = self.client(client, address)?;
                    while process.is_heard() {
                        self.watch([&mut server, &mut process])?;
                    }
                    self.keep(Side::Client, name, Some(address.port()))?;
                }
                self.follow(&mut server)?;
                self.keep(Side::Server, "server", Some(address.port()))
            }
            Play::Server(messages, script) => {
                let mut server = self.server(scenario, *messages)?;
                let Some(address) = self.ready(&mut server)? else {
                    return self.keep(Side::Server, "server", None);
                };
                let script = *script;
                let peer = thread::spawn(move || script(address));
                self.follow(&mut server)?;
                self.keep(Side::Server, "server", Some(address.port()))?;
                self.leave(peer)
            }
            Play::Alone(stage) => {
                let Stage { address, script } = set(*stage)?;
                let arguments = [
                    "--bind".into(),
                    address.ip().to_string(),
                    address.port().to_string(),
                ];
                let arguments = arguments.map(OsString::from);
                let mut server = Process::start(
                    Side::Server,
                    self.studio.server,
                    &arguments,
                    true,
                    Stdio::null(),
                )?;
                let peer = thread::spawn(script);
                if self.ready(&mut server)?.is_some() {
                    server.end(); // it should have failed, and would wait for clients that do not come
                }
                self.follow(&mut server)?;
                self.leave(peer)?;
                self.keep(
                    Side::Server,
                    "server",
                    Some(address.port()).filter(|&port| port != 0),
                )
            }
            Play::Client(stage, client) => {
                let Stage { address, script } = set(*stage)?;
                let mut process = self.client(client, address)?;
                self.beside(script, &mut process)?;
                self.keep(Side::Client, "client", Some(address.port()))
            }
        }
    }

    fn server(&self, scenario: &Scenario, messages: u32) -> Result<Process, Interrupted> {
        let limit = match self.pair {
            Pair::TcpEcho | Pair::TcpUpper => "--max-clients",
            Pair::UdpEcho | Pair::UdpUpper => "--max-messages",
        };
        let messages = messages.to_string();
        let mut arguments = vec!["--bind", "127.0.0.1", limit, &messages];
        arguments.extend(scenario.server);
        arguments.push("0");
        let arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
        Ok(Process::start(
            Side::Server,
            self.studio.server,
            &arguments,
            true,
            Stdio::null(),
        )?)
    }

    fn client(&self, client: &Client, server: SocketAddrV4) -> Result<Process, Interrupted> {
        let text = client.text.bytes();
        let options = client.options.iter().map(OsString::from);
        let (given, stdin): (Vec<OsString>, _) = match self.pair {
            Pair::TcpEcho | Pair::UdpEcho => {
                let word = String::from_utf8_lossy(&text).into_owned();
                (
                    std::iter::once(word.into()).chain(options).collect(),
                    Stdio::null(),
                )
            }
            Pair::TcpUpper | Pair::UdpUpper => {
                (options.collect(), file_of(&[&text[..], b"\n"].concat())?)
            }
        };
        let (address, port) = (server.ip().to_string(), server.port().to_string());
        let arguments = self.pair.client_arguments(&address, &port, &given);
        Ok(Process::start(
            Side::Client,
            self.studio.client,
            &arguments,
            true,
            stdin,
        )?)
    }

    /// Waits until the server has said where it listens; `None` if it ended instead.
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

    /// Watches a program to its end.
    fn follow(&mut self, process: &mut Process) -> Result<(), Interrupted> {
        while process.is_heard() {
            self.watch([process])?;
        }
        Ok(())
    }

    /// Lets a script run beside a program, to the program's end.
    fn beside(&mut self, script: Script, process: &mut Process) -> Result<(), Interrupted> {
        let peer = thread::spawn(script);
        self.follow(process)?;
        self.leave(peer)
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
        self.recording.trouble.get_or_insert(words);
    }

    fn watch<const N: usize>(
        &mut self,
        mut processes: [&mut Process; N],
    ) -> Result<(), Interrupted> {
        if self.studio.stop.load(Ordering::Relaxed) {
            return Err(Interrupted::Failed("stopped".to_owned()));
        }
        if Instant::now() > self.until {
            self.trouble(format!("not done after {} seconds", DEADLINE.as_secs()));
            for process in &mut processes {
                let _ = process.child.kill(); // strace writes that down, and the pipes end
            }
        }
        let Take {
            said,
            complaints,
            traces,
            entries,
            ..
        } = self;
        listen(
            self.studio.signals,
            &mut processes,
            Some(TICK),
            |side, source, bytes| match source {
                Source::Strace => entries[side as usize].extend(traces[side as usize].take(bytes)),
                Source::StandardOutput if side == Side::Server => said.extend_from_slice(bytes),
                Source::StandardOutput => {}
                Source::StandardError => complaints.extend_from_slice(bytes),
            },
        )
    }

    /// Files what a side has done since it began.
    fn keep(
        &mut self,
        side: Side,
        name: &'static str,
        port: Option<u16>,
    ) -> Result<(), Interrupted> {
        let mut entries = std::mem::take(&mut self.entries[side as usize]);
        let first = entries.iter().position(|entry| is_call(entry, "socket"));
        let Some(first) = first else {
            let words = String::from_utf8_lossy(&self.complaints).trim().to_owned();
            return Err(Interrupted::Failed(format!(
                "the {name} made no socket: {words}"
            )));
        };
        self.recording.lanes.push(Lane {
            name,
            entries: entries.split_off(first),
            port,
        });
        Ok(())
    }
}

fn set(stage: fn() -> std::io::Result<Stage>) -> Result<Stage, Interrupted> {
    stage().map_err(|error| Interrupted::Failed(format!("a socket of our own: {error}")))
}

fn is_call(entry: &Entry, wanted: &str) -> bool {
    matches!(&entry.what, What::Call(Call { name, .. }) if name == wanted)
}

/// Standard input with these bytes: a file, so that each `read` brings what it asks for.
fn file_of(bytes: &[u8]) -> Result<Stdio, Interrupted> {
    let fill = || {
        let mut file = File::from(memfd_create(c"input", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(bytes)?;
        file.rewind()?;
        std::io::Result::Ok(file.into())
    };
    fill().map_err(|error| Interrupted::Failed(format!("memfd_create: {error}")))
}
