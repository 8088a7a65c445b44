//! A check's view of the server: its address, its processes, and a new one when the old one is spoilt.

use std::ffi::OsString;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::check::contract::Contract;
use crate::check::outcome::{Stop, fail, skip};
use crate::check::patience::{self, Pulse, Wait};
use crate::check::subject::{Counts, Options, Recording, Subject};
use crate::check::talk::Talk;
use crate::sides::force::{Force, Forced};
use crate::sides::ready::{Place, free_port};
use crate::sides::shell::with_port;
use crate::sides::signals::Signals;
use crate::sides::tasks::Busy;
use crate::world::Side;

/// How long a server may rest before it is up.
const UP: Duration = Duration::from_secs(5);

/// A server that listens sooner is started anew for each check, so that no check depends on an earlier one.
const QUICK: Duration = Duration::from_millis(200);

/// What a server is started with.
#[derive(Default)]
pub struct Limits {
    pub descriptors: Option<nix::sys::resource::rlim_t>,
    /// In which way the C library's calls are made to do less.
    pub forced: Option<&'static str>,
    /// Further options for strace; `None` runs without strace.
    pub trace: Option<Vec<String>>,
}

pub struct Trial {
    pub contract: Contract,
    /// Whether the server has to serve several clients at a time.
    pub concurrent: bool,
    /// The command that starts it; `None` if it runs already.
    command: Option<OsString>,
    signals: Arc<Signals>,
    force: Arc<Force>,
    seed: u64,
    /// What the user allows for an answer.
    timeout: Option<Duration>,
    /// How long a word took, there and back.
    pub pace: Duration,
    /// How long its start took.
    started: Duration,
    subject: Option<Subject>,
    port: Option<u16>,
    address: SocketAddr,
    any: bool,
    special: bool,
    /// The contract is still to be found out: a port of either kind will do.
    pub open: bool,
    /// More options for strace at each start, and what it has written of the last one.
    pub stacks: Option<Vec<String>>,
    pub recording: Recording,
}

pub enum Rest {
    Rests,
    Spins,
    Gone,
}

/// A second server, beside the first.
pub struct Second {
    pub status: Option<ExitStatus>,
    pub said: String,
}

pub struct Setting {
    pub contract: Contract,
    pub concurrent: bool,
    pub command: Option<OsString>,
    pub at: Option<SocketAddr>,
    pub signals: Arc<Signals>,
    pub force: Arc<Force>,
    pub seed: u64,
    pub timeout: Option<Duration>,
}

impl Trial {
    pub fn new(setting: Setting) -> Trial {
        Trial {
            contract: setting.contract,
            concurrent: setting.concurrent,
            command: setting.command,
            signals: setting.signals,
            force: setting.force,
            seed: setting.seed,
            timeout: setting.timeout,
            pace: Duration::from_millis(20),
            started: Duration::ZERO,
            subject: None,
            port: None,
            address: setting
                .at
                .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            any: setting.at.is_some_and(|at| at.ip().is_unspecified()),
            special: false,
            open: false,
            stacks: None,
            recording: Recording::default(),
        }
    }

    // ---- Starting and ending ----

    /// Sees to it that an ordinary server runs: a fresh one, unless each start takes long.
    pub fn ready(&mut self) -> Result<(), Stop> {
        if self.command.is_none() {
            return Ok(());
        }
        let kept = !self.special && self.started > QUICK;
        if kept && self.subject.as_ref().is_some_and(|it| it.death().is_none()) {
            return Ok(());
        }
        self.special = false;
        let began = Instant::now();
        self.start(&Limits::default(), None)?;
        self.started = began.elapsed();
        Ok(())
    }

    /// Whatever comes next gets a new server.
    pub fn spoil(&mut self) {
        if self.command.is_some() {
            self.subject = None;
        }
    }

    /// Ends the server, and starts one with these limits.
    pub fn start_with(&mut self, limits: &Limits) -> Result<(), Stop> {
        self.special = true;
        self.start(limits, None)
    }

    /// The same server again, on the same port.
    pub fn start_again(&mut self) -> Result<(), Stop> {
        self.special = true;
        self.start(&Limits::default(), self.port)
    }

    fn start(&mut self, limits: &Limits, port: Option<u16>) -> Result<(), Stop> {
        let Some(command) = &self.command else {
            return skip("the server is not started here");
        };
        self.subject = None; // the old one first: it may have the port
        let port = match port {
            Some(port) => port,
            None => free_port().map_err(Stop::Trouble)?,
        };
        let (command, named) = with_port(command, port);
        self.port = named.then_some(port);
        let environment: Vec<(OsString, OsString)> = match limits.forced {
            Some(how) => self.force.environment(how).or_else(skip)?,
            None => Vec::new(),
        };
        let options = Options {
            descriptors: limits.descriptors,
            environment: &environment,
            input: None,
            trace: limits.trace.as_deref().or(self.stacks.as_deref()),
            gently: self.stacks.is_some(),
        };
        let subject = Subject::start(Side::Server, &command, &self.signals, &options)
            .map_err(Stop::Trouble)?;
        self.recording = subject.recording();
        let pulse = subject.pulse();
        let mut wait = Wait::begin(&pulse, UP);
        let mut beat = 1;
        loop {
            if let Some(address) = self.place(&subject.places()) {
                self.address = address;
                break;
            }
            if let Some(how) = subject.death() {
                self.subject = Some(subject); // it may still be asked for its last words
                return fail(format!("it is not up: {how}"));
            }
            if wait.is_over() {
                let kind = if self.contract.is_udp() {
                    "is bound to a UDP port"
                } else {
                    "listens at a TCP port"
                };
                return fail(format!(
                    "no process of it {kind} within {} seconds",
                    UP.as_secs()
                ));
            }
            if crate::check::is_interrupted() {
                return Err(Stop::Trouble("interrupted".to_owned()));
            }
            thread::sleep(Duration::from_millis(beat));
            beat = (beat + 1).min(20); // most are up at once, and who is not makes the machine busy
        }
        self.subject = Some(subject);
        Ok(())
    }

    /// The place to ask at: the port that was meant, before any other.
    fn place(&mut self, places: &[Place]) -> Option<SocketAddr> {
        let is_udp = |place: &Place| matches!(place, Place::Udp(_));
        if self.open && !places.is_empty() && places.iter().all(is_udp) {
            self.contract = Contract::UdpEcho;
        }
        let udp = self.contract.is_udp();
        let fits = places.iter().filter_map(|place| match place {
            Place::Tcp(address) if !udp => Some(*address),
            Place::Udp(address) if udp => Some(*address),
            _ => None,
        });
        let mut fits: Vec<SocketAddr> = fits.collect();
        fits.sort_by_key(|address| Some(address.port()) != self.port);
        let address = *fits.first()?;
        self.any = address.ip().is_unspecified();
        let host = match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                // One that takes both families is asked as most clients ask.
                let only = fs_only_v6();
                if only {
                    Ipv6Addr::LOCALHOST.into()
                } else {
                    Ipv4Addr::LOCALHOST.into()
                }
            }
            other => other,
        };
        Some(SocketAddr::new(host, address.port()))
    }

    /// A second server with the same command, on the same port.
    pub fn second(&mut self) -> Result<Second, Stop> {
        let Some(command) = &self.command else {
            return skip("the server is not started here");
        };
        let (command, _) = with_port(command, self.port.unwrap_or(0));
        let second = Subject::start(Side::Server, &command, &self.signals, &Options::default())
            .map_err(Stop::Trouble)?;
        let status = second.wait(self.patience());
        Ok(Second {
            status,
            said: second.said(),
        })
    }

    /// Kills the server.
    pub fn end(&mut self) {
        if let Some(subject) = &self.subject {
            subject.asked_to_end();
        }
        self.subject = None;
    }

    pub fn asked_to_end(&mut self) -> usize {
        let left = self.subject.as_ref().map_or(0, Subject::asked_to_end);
        self.subject = None;
        left
    }

    // ---- Asking ----

    pub fn connect(&self) -> Result<Talk, Stop> {
        self.connect_patiently(self.patience())
    }

    pub fn connect_patiently(&self, patience: Duration) -> Result<Talk, Stop> {
        Talk::connect(self.address, patience, &self.pulse(), None)
    }

    /// One with so little room for what comes back that the server has to wait until it is read.
    pub fn connect_narrow(&self) -> Result<Talk, Stop> {
        Talk::connect(self.address, self.patience(), &self.pulse(), Some(4096))
    }

    /// Nothing if the queue of listen is full for so long.
    pub fn connect_within(&self, time: Duration) -> Result<Option<Talk>, Stop> {
        Talk::connect_within(self.address, time, &self.pulse(), None)
    }

    pub fn pulse(&self) -> Pulse {
        self.subject
            .as_ref()
            .map_or_else(Pulse::default, Subject::pulse)
    }

    pub fn answer(&self, asked: &[u8]) -> Vec<u8> {
        self.contract.answer(asked)
    }

    /// Text of which no two places look alike, the same for the same seed.
    pub fn bytes(&self, number: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(number + 16);
        let mut at = self.seed;
        while text.len() < number {
            let _ = write!(text, "piece {at}, "); // into memory
            at += 1;
        }
        text.truncate(number);
        text
    }

    /// How long an answer may take: many times what a word took.
    pub fn patience(&self) -> Duration {
        self.timeout.unwrap_or_else(|| {
            (100 * self.pace).clamp(Duration::from_secs(2), Duration::from_secs(6))
        })
    }

    /// How long an answer takes for certain, if one is to come.
    pub fn moment(&self) -> Duration {
        (30 * self.pace).clamp(Duration::from_millis(300), Duration::from_secs(2))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn asked_port(&self) -> Option<u16> {
        self.port
    }

    pub fn bound_to_any(&self) -> bool {
        self.any
    }

    /// What it seems to promise: what comes back to a word in mixed case, or to a request.
    pub fn tried(&mut self) -> Contract {
        const MIXED: &[u8] = b"Mixed Case 1";
        let shouted = MIXED.to_ascii_uppercase();
        if self.contract.is_udp() {
            let asked = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
                socket.set_read_timeout(Some(Duration::from_secs(2)))?;
                socket.send_to(MIXED, self.address)?;
                let mut buffer = [0; 64];
                let n = socket.recv(&mut buffer)?;
                Ok(buffer[..n].starts_with(&shouted))
            });
            return if asked.unwrap_or(false) {
                Contract::UdpUpper
            } else {
                Contract::UdpEcho
            };
        }
        let heard = |asked: &[u8]| {
            let mut talk = self.connect().ok()?;
            talk.say(asked).ok()?;
            Some(talk.more_within(Duration::from_millis(500)))
        };
        let word = heard(MIXED).unwrap_or_default();
        if word.starts_with(&shouted) {
            return Contract::TcpUpper;
        }
        if !word.starts_with(MIXED)
            && heard(b"GET / HTTP/1.0\r\n\r\n").is_some_and(|it| it.starts_with(b"HTTP/"))
        {
            return Contract::Http;
        }
        Contract::TcpEcho
    }

    // ---- Its processes ----

    /// Whether the lines of its source can be found, as far as that is known.
    pub fn has_lines(&self) -> bool {
        self.subject.as_ref().is_none_or(Subject::has_lines)
    }

    pub fn death(&self) -> Option<String> {
        self.subject.as_ref()?.death()
    }

    pub fn status(&self) -> Option<ExitStatus> {
        self.subject.as_ref()?.status()
    }

    pub fn trace(&self) -> String {
        self.subject
            .as_ref()
            .map_or_else(String::new, Subject::trace)
    }

    /// How many lines strace has written.
    pub fn traced(&self) -> usize {
        self.subject.as_ref().map_or(0, Subject::traced)
    }

    /// Whether it has a process or a thread for each client, or has had.
    pub fn serves_by_tasks(&self) -> bool {
        let trace = self.trace();
        ["clone(", "clone3(", "fork("]
            .iter()
            .any(|call| trace.contains(call))
    }

    pub fn said(&self) -> String {
        self.subject
            .as_ref()
            .map_or_else(String::new, Subject::said)
    }

    pub fn memory(&self) -> u64 {
        self.subject.as_ref().map_or(0, Subject::memory)
    }

    /// Its counts once they hold still.
    pub fn settled(&self) -> Counts {
        let counts = || {
            self.subject.as_ref().map_or(
                Counts {
                    descriptors: 0,
                    threads: 0,
                    processes: 0,
                    zombies: 0,
                },
                Subject::counts,
            )
        };
        let mut last = counts();
        for _ in 0..50 {
            thread::sleep(Duration::from_millis(20));
            let now = counts();
            if now.descriptors == last.descriptors && now.processes == last.processes {
                return now;
            }
            last = now;
        }
        last
    }

    /// Whether it rests: each thread of it waits for something else than a processor. One that spins has had a processor for a
    /// while, however long that takes on a busy machine.
    pub fn rest(&self) -> Rest {
        const LOOK: Duration = Duration::from_millis(250);
        const LOOKS: usize = 8;
        const WORKED: u64 = 500_000_000; // nanoseconds
        let Some(subject) = &self.subject else {
            return Rest::Rests;
        };
        Wait::begin(&self.pulse(), LOOK / 10).out(); // it has come to its loop
        let (first, since) = (subject.busy(), Instant::now());
        let mut before = first.clone(); // of those that have not been seen at rest
        let mut began = since;
        for look in 1..=5 * LOOKS {
            thread::sleep(LOOK);
            let (mut after, now) = (subject.busy(), Instant::now());
            if after.is_empty() || subject.death().is_some() {
                return Rest::Gone;
            }
            after.retain(|thread, busy| {
                let earlier = before.get(thread);
                earlier.is_some_and(|it| busy.runs || busy.works_since(it, now - began))
            });
            if after.is_empty() {
                return Rest::Rests; // it may have had something to do in an earlier look
            }
            let spins = |(thread, busy): (&PathBuf, &Busy)| {
                let long = busy.worked.saturating_sub(first[thread].worked) > WORKED;
                long && busy.works_since(&first[thread], now - since)
            };
            if patience::is_up() {
                break;
            }
            if look >= LOOKS && after.iter().any(spins) {
                return Rest::Spins;
            }
            (before, began) = (after, now);
        }
        Rest::Rests
    }

    pub fn forced(&self) -> Forced {
        self.force.counts()
    }
}

/// Whether an IPv6 socket takes IPv6 clients alone here, if it is not told otherwise.
fn fs_only_v6() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|text| text.trim() == "1")
}
