//! `sockstep bench`: a server's Rust program and its C twin under the same load, in turns.
//!
//! Two copies of each run, and only one of all copies is asked at a time, for a slice of some
//! milliseconds. A slice of each, in random order, is a round, and gives one ratio of Rust to C;
//! the figure is the median of all rounds. Peers (`--against`) are two copies more each, and one
//! ratio of Rust to each of them. The same ratio is taken between the two copies of one program. It
//! should be 1; its distance from 1 is the smallest difference that this machine can show. CPU time
//! is that of the server's processes and threads, without the clients'.
//!
//! `--json` prints one object:
//!
//! | key | value |
//! | --- | --- |
//! | `sockstep` | 1, the version of this shape |
//! | `server`, `connections`, `size`, `seconds`, `slice_ms`, `seed`, `reconnect`, `against` | what was asked for |
//! | `core` | the one that client and server ran on, or `null` for any |
//! | `machine` | a text: kernel and processor |
//! | `rounds`, `void` | how many, and an array of the `ratios` for which the same program twice differs too much |
//! | `rust`, `c`, `peer1`, `peer2`, ... | an object each: `round_trips`, `per_second`, `cpu_us` (of the server, for each), `p50_us`, `p99_us`, and in KiB `private_kib` (`Private_Dirty`), `pss_kib` (at rest, without a connection) and `open_private_kib`, `open_pss_kib` (with all connections, or after the first with `--reconnect`) |
//! | `ratios` | `per_second` and `cpu`; in each `rust_c`, `rust_rust`, `c_c`, `rust_peer1`, `peer1_peer1`, ...; in each `median`, `p10`, `p90` (`null` if only the whole run has a ratio: what ended children had is known in ticks of 10 ms) |
//! | `slices` | an array for each: who (`"rust 1"`, `"rust 2"`, `"c 1"`, `"c 2"`, `"peer1 1"`, ...), when since the start, round trips, how long, the server's CPU time; all in nanoseconds |

mod cost;
mod figures;
mod load;
mod picture;
mod plot;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::mem::take;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::builder::PossibleValuesParser;
use clap::value_parser;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use crate::bench::cost::Memory;
use crate::bench::figures::{Conditions, Program, Report, Round, Slice};
use crate::bench::load::Talk;
use crate::common::note;
use crate::draw::terminal::{Side, harmless, put};
use crate::lectures::programs::{Implementation, Programs};
use crate::run::listening_on;
use crate::sides::keeper::{begin, directory, leave};
use crate::sides::process::{Process, Start, listen};
use crate::sides::ready::{Place, Ready, State, free_port};
use crate::sides::shell::replaced;
use crate::sides::shell::shell;
use crate::sides::signals::{Interrupted, Signals};
use crate::sides::tasks::descendants;
use crate::sides::trouble::Trouble;

/// Bytes that the TCP servers ask of each recv.
const RCVBUFSIZE: u32 = 4096;
/// The most connections that `--reconnect` makes: each keeps a port in use for a minute.
const MAX_CONNECTIONS: u32 = 60_000;
/// How long a server may take to start and to become idle.
const PATIENCE: Duration = Duration::from_secs(10);
/// The placeholder for a free port in a peer's command.
const PORT: &str = "{port}";

/// The argument that a server needs for many connections.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Design {
    /// The server serves one at a time.
    Iterative,
    /// UDP: it has no connections.
    Datagrams,
    /// As many as the value of this option.
    Concurrent(&'static str),
}

const SERVERS: [(&str, Design); 11] = [
    ("tcp_echo_server", Design::Iterative),
    ("tcp_echo_server_fork", Design::Concurrent("--limit")),
    ("tcp_echo_server_thread", Design::Concurrent("--limit")),
    ("tcp_echo_server_prefork", Design::Concurrent("--workers")),
    ("tcp_echo_server_pool", Design::Concurrent("--threads")),
    ("tcp_echo_server_select", Design::Concurrent("--limit")),
    ("tcp_echo_server_poll", Design::Concurrent("--limit")),
    ("tcp_echo_server_epoll", Design::Concurrent("--limit")),
    ("tcp_upper_server", Design::Iterative),
    ("udp_echo_server", Design::Datagrams),
    ("udp_upper_server", Design::Datagrams),
];

/// Measure a server's Rust program against its C twin
///
/// Give both the same load in turns, in many short slices, in random order. Trust the ratio, the median of all rounds: times
/// and rates depend on the machine. Memory is given as the pages that the server alone has written to (private), and as its share
/// of all its pages (PSS).
///
/// Two copies of each program run. The figures are void if a program differs from its own copy by more than 2 % in half of the
/// rounds.
///
/// Exit status: 0 if the figures hold, 1 if one is void, 2 if there was trouble.
#[derive(clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  sockstep bench tcp_echo_server_epoll --connections 64\n  sockstep bench tcp_echo_server_epoll --against './my_server {port}'\n  sockstep bench --plot designs.svg"
)]
#[derive(Clone)]
pub struct Args {
    /// Measure this server
    #[arg(required_unless_present = "plot", value_parser = PossibleValuesParser::new(SERVERS.map(|server| server.0)))]
    server: Option<String>,
    /// Open N connections to each copy, with a message under way on each; with UDP, N sockets
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u16).range(1..=1000))]
    pub connections: u16,
    /// Send messages of this size; over TCP 4096 at most
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = value_parser!(u16).range(1..=65507))]
    pub size: u16,
    /// Measure for S seconds, 0.1 to 60
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub seconds: f64,
    /// Switch to another copy every MS milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = value_parser!(u8).range(5..=100))]
    pub slice: u8,
    /// Make a new connection for each message (60,000 at most)
    #[arg(long)]
    pub reconnect: bool,
    /// Let client and server run on any core, instead of the same one
    #[arg(long)]
    pub any_core: bool,
    /// Repeat the order of slices of an earlier run
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u32>,
    /// Print JSON, as src/schema/bench.json in the source describes it
    #[arg(long)]
    pub json: bool,
    /// Take the C program from this directory, instead of compiling the twin
    #[arg(long, value_name = "DIR")]
    pub c_programs: Option<PathBuf>,
    /// Measure this server too, started as a shell would: './my_server {port}'; repeat it for several
    ///
    /// {port} becomes a free port. The server must answer like the measured one: with the same bytes, or with their upper case.
    #[arg(long, value_name = "COMMAND", value_parser = with_a_port)]
    pub against: Vec<OsString>,
    /// Draw a picture of all designs of the TCP echo server, over 1, 8, 64 and 512 connections
    ///
    /// It has two curves for each design, and for each server of --against: round trips a second, relative to the epoll server's, and
    /// private memory. --seconds is the time for each number of connections.
    #[arg(long, value_name = "FILE.svg", conflicts_with_all = ["server", "connections", "reconnect", "json", "c_programs"])]
    pub plot: Option<PathBuf>,
}

impl Args {
    pub fn server(&self) -> &str {
        self.server.as_deref().unwrap_or_default()
    }
}

fn with_a_port(command: &str) -> Result<OsString, String> {
    if command.contains(PORT) {
        Ok(command.into())
    } else {
        Err("the command needs a {port}, as in './my_server {port}'".to_owned())
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("not a number from 0.1 to 60".to_owned()),
    }
}

pub fn bench(args: &Args) -> ExitCode {
    let outcome = begin().map_err(Trouble::Said).and_then(|()| {
        let bench = Bench::new(args)?;
        match &args.plot {
            Some(file) => plot::plot(&bench, args, file),
            None => measure(&bench, args),
        }
    });
    leave();
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => trouble.end(2, 2),
    }
}

/// The core on which everything runs.
pub struct Bench {
    signals: Signals,
    core: Option<usize>,
    seed: u32,
}

impl Bench {
    fn new(args: &Args) -> Result<Bench, String> {
        let signals = Signals::collect()?;
        // Impossible requests are refused first.
        if args.plot.is_none() {
            design(args)?;
        } else if u32::from(args.size) > RCVBUFSIZE {
            return Err(format!("--size {RCVBUFSIZE} at most with --plot"));
        }
        if cfg!(debug_assertions) {
            note("sockstep: this is a debug build. Measure one of: cargo build --release");
        }
        Ok(Bench {
            signals,
            core: if args.any_core {
                None
            } else {
                Some(stay_on_one_core()?)
            },
            seed: args.seed.unwrap_or_else(any_seed),
        })
    }
}

/// Says whether the figures hold.
fn measure(bench: &Bench, args: &Args) -> Result<bool, Trouble> {
    let design = design(args)?;
    let name = args.server();
    let rust = Programs::find(&[(name, Implementation::Rust)], directory)?;
    let c = match &args.c_programs {
        Some(directory) => Programs::in_directory(directory, [name].into_iter())?,
        None => Programs::find(&[(name, Implementation::C)], directory)?,
    };
    let &Bench { core, seed, .. } = bench;
    let conditions = Conditions { args, core, seed };
    if !args.json {
        put(conditions.heading().as_bytes())?; // printed first, so that the user sees what is running
    }

    let arguments = arguments(args, design);
    let ours = |key: &str, name: &str, programs: &Programs| {
        let launch = Launch::Program(programs.paths[0].clone(), arguments.clone());
        Subject::new(key, name, launch)
    };
    let mut subjects = vec![ours("rust", "Rust", &rust), ours("c", "C", &c)];
    for (number, command) in (1..).zip(&args.against) {
        let launch = Launch::Command(command.clone());
        subjects.push(Subject::new(
            &format!("peer{number}"),
            &format!("peer {number}"),
            launch,
        ));
    }
    let mut copies = Vec::new();
    for subject in &subjects {
        for copy in 0..2 {
            let who = subject.copy(copy);
            copies.push(Server::start(&bench.signals, who, &subject.launch)?);
        }
    }
    let rounds = rounds(bench, &mut copies, args, &mut Random::new(seed))?;
    let ticks = copies
        .iter()
        .any(|copy| copy.cpu_of_ended_children > copy.of_ended_at_first);
    let programs = copies.chunks_mut(2).map(program).collect();
    let report = Report::new(&subjects, programs, rounds, ticks, args.connections);
    let text = if args.json {
        report.json(&conditions)
    } else {
        report.table(&conditions)
    };
    put(text.as_bytes())?;
    Ok(!report.is_void())
}

/// Asks all copies in turns, for the time requested.
fn rounds(
    bench: &Bench,
    copies: &mut [Server],
    args: &Args,
    random: &mut Random,
) -> Result<Vec<Round>, Trouble> {
    let signals = &bench.signals;
    raise_limit_of_files();
    let (udp, upper) = (
        args.server().contains("udp"),
        args.server().contains("upper"),
    );
    let mut talk = Talk::new(signals, !udp, upper, args.size.into());
    for copy in &mut *copies {
        copy.prepare(signals, &mut talk, args)
            .map_err(|trouble| copy.complain(signals, trouble))?;
    }

    let mut rounds: Vec<Round> = Vec::new();
    let start = Instant::now();
    while rounds.is_empty() || start.elapsed().as_secs_f64() < args.seconds {
        if args.reconnect && talk.connections > MAX_CONNECTIONS {
            break;
        }
        let mut round = vec![Slice::default(); copies.len()];
        for at in random.order(copies.len()) {
            let copy = &mut copies[at];
            let start_of_slice = start.elapsed();
            round[at] = copy
                .slice(signals, &mut talk, args)
                .map_err(|trouble| copy.complain(signals, trouble))?;
            round[at].start = start_of_slice;
        }
        rounds.push(round);
    }
    Ok(rounds)
}

/// A server to be measured.
pub struct Subject {
    /// Its name in JSON.
    pub key: String,
    pub name: String,
    launch: Launch,
}

/// How it is started.
enum Launch {
    /// A program of ours, which takes a free port and prints it.
    Program(PathBuf, Vec<OsString>),
    /// Any command, with a `{port}`.
    Command(OsString),
}

impl Subject {
    fn new(key: &str, name: &str, launch: Launch) -> Subject {
        Subject {
            key: key.to_owned(),
            name: name.to_owned(),
            launch,
        }
    }

    /// The name of a copy.
    pub fn copy(&self, number: usize) -> String {
        format!("{} {}", self.key, number + 1)
    }
}

/// The measurements of both copies of a program.
fn program(copies: &mut [Server]) -> Program {
    // The kernel may give one copy a huge page and the other only the pages that it needs.
    let of_less = usize::from(copies[1].at_rest.private < copies[0].at_rest.private);
    Program {
        at_rest: copies[of_less].at_rest,
        with_connections: copies[of_less].with_connections,
        times: copies
            .iter_mut()
            .flat_map(|copy| take(&mut copy.times))
            .collect(),
    }
}

/// The arguments that the server needs, or why it cannot do what is asked.
fn design(args: &Args) -> Result<Design, String> {
    let name = args.server();
    let design = SERVERS
        .iter()
        .find(|server| server.0 == name)
        .map_or(Design::Iterative, |server| server.1);
    let (connections, size) = (u32::from(args.connections), u32::from(args.size));
    if design == Design::Iterative && connections > 1 && !args.reconnect {
        return Err(format!(
            "{name} serves one client at a time. For several: sockstep bench tcp_echo_server_epoll"
        ));
    }
    if design != Design::Datagrams && size > RCVBUFSIZE {
        return Err(format!(
            "--size {RCVBUFSIZE} at most: {name} answers a longer message in parts, and Nagle's algorithm delays the second one by 40 ms"
        ));
    }
    // A datagram that finds no room is lost. It takes up to twice its size, and what the kernel notes about it.
    let room = fs::read_to_string("/proc/sys/net/core/rmem_default").unwrap_or_default();
    let room = room.trim().parse().unwrap_or(212_992) / (2 * (size + 512));
    if design == Design::Datagrams && connections > room.max(1) {
        return Err(format!(
            "--connections {room} at most: a UDP socket has no room for more messages of {size} bytes, so some would be lost"
        ));
    }
    Ok(design)
}

/// The server's arguments.
fn arguments(args: &Args, design: Design) -> Vec<OsString> {
    let connections = args.connections.to_string();
    let mut arguments = vec!["--bind", "127.0.0.1", "0"];
    if design != Design::Datagrams {
        arguments.extend(["--backlog", &connections]);
    }
    if let Design::Concurrent(option) = design {
        arguments.extend([option, &connections]);
    }
    if args.server().contains("upper") {
        arguments.push("--quiet"); // no log
    }
    arguments.into_iter().map(OsString::from).collect()
}

/// Pins this process, and those it starts from now on, to the last core allowed.
fn stay_on_one_core() -> Result<usize, String> {
    let this = Pid::from_raw(0);
    let may = sched_getaffinity(this).map_err(|errno| format!("sched_getaffinity: {errno}"))?;
    let last = (0..CpuSet::count()).rfind(|&core| may.is_set(core) == Ok(true));
    let core = last.ok_or("no core is allowed")?;
    let mut only = CpuSet::new();
    only.set(core)
        .and_then(|()| sched_setaffinity(this, &only))
        .map_err(|errno| format!("sched_setaffinity: {errno}"))?;
    Ok(core)
}

/// Raises our limit of sockets to the maximum. Called after the servers have started, so that they
/// keep the normal limit.
fn raise_limit_of_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard); // if it is too low, socket() fails with EMFILE
    }
}

fn any_seed() -> u32 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    1000 + now.map_or(0, |now| now.subsec_micros() % 9000)
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn new(seed: u32) -> Random {
        Random(u64::from(seed) + 1)
    }

    /// The copies in random order.
    fn order(&mut self, copies: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..copies).collect();
        for last in (1..order.len()).rev() {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let random = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
            let other = usize::try_from(random).unwrap_or_default() % (last + 1);
            order.swap(last, other);
        }
        order
    }
}

/// A running copy, and its clients.
struct Server {
    who: String,
    process: Process,
    port: u16,
    /// Its output, without the line `listening on`.
    said: Vec<u8>,
    socks: Vec<OwnedFd>,
    family: Vec<Pid>,
    /// Its totals so far.
    cpu: Duration,
    cpu_of_ended_children: Duration,
    of_ended_at_first: Duration,
    at_rest: Memory,
    with_connections: Memory,
    /// How long each round trip took, in nanoseconds.
    times: Vec<u32>,
}

impl Server {
    fn start(signals: &Signals, who: String, launch: &Launch) -> Result<Server, Trouble> {
        let (program, arguments, chosen) = match launch {
            Launch::Program(program, arguments) => (program.clone(), arguments.clone(), None),
            Launch::Command(command) => {
                let port = free_port()?;
                let (program, arguments) = shell(&replaced(command, PORT, &port.to_string()));
                (program, arguments, Some(port))
            }
        };
        let process = Start {
            trace: None,
            is_counted: false, // counting the processes of many clients takes time
            ..Start::of(Side::Server, &program, &arguments)
        }
        .process()?;
        let pid = i32::try_from(process.child.id()).unwrap_or_default();
        let mut server = Server {
            who,
            process,
            port: 0,
            said: Vec::new(),
            socks: Vec::new(),
            family: vec![Pid::from_raw(pid)],
            cpu: Duration::ZERO,
            cpu_of_ended_children: Duration::ZERO,
            of_ended_at_first: Duration::ZERO,
            at_rest: Memory::default(),
            with_connections: Memory::default(),
            times: Vec::new(),
        };
        if let (Some(port), Launch::Command(command)) = (chosen, launch) {
            server.port = port;
            server.await_at(signals, command)?;
            return Ok(server);
        }
        let start = Instant::now();
        while server.port == 0 {
            if !server.process.is_heard() || start.elapsed() > PATIENCE {
                let words = format!("{} did not start", program.display());
                return Err(server.complain(signals, words.into()));
            }
            server.listen(signals, 100)?;
            if let Some((_, port)) = listening_on(&server.said) {
                server.port = port.parse().unwrap_or_default();
            }
        }
        server.said.clear();
        Ok(server)
    }

    /// Waits until a peer can be reached at the port that it was given.
    fn await_at(&mut self, signals: &Signals, command: &OsStr) -> Result<(), Trouble> {
        let (mut ready, start) = (Ready::begin(), Instant::now());
        loop {
            let is_there = |place: &Place| matches!(place, Place::Tcp(at) | Place::Udp(at) if at.port() == self.port);
            let waits = match ready.look(&self.process) {
                State::At(places) if places.iter().any(is_there) => return Ok(()),
                State::At(_) => start.elapsed() < PATIENCE,
                State::Starting => true, // `Ready` limits this
                State::Idle => false,
            };
            if waits && self.process.is_heard() {
                self.listen(signals, 20)?;
                continue;
            }
            let mut words = Vec::new();
            harmless(command.as_encoded_bytes(), &mut words);
            let words = String::from_utf8_lossy(&words).into_owned();
            let words = format!("{words} does not listen at port {}", self.port);
            return Err(self.complain(signals, words.into()));
        }
    }

    /// Takes its output, and waits up to `patience` milliseconds for it.
    fn listen(&mut self, signals: &Signals, patience: u8) -> Result<(), Interrupted> {
        let said = &mut self.said;
        listen(
            signals,
            &mut [&mut self.process],
            Some(patience),
            |_, _, bytes| {
                said.extend_from_slice(bytes);
            },
        )
    }

    /// An error text that names the copy and quotes its output.
    fn complain(&mut self, signals: &Signals, trouble: Trouble) -> Trouble {
        let Trouble::Said(mut words) = trouble else {
            return trouble;
        };
        if let Err(Interrupted::Signal(signal)) = self.listen(signals, 100) {
            return Trouble::Signal(signal);
        }
        words = format!("{}: {words}", self.who);
        if !self.said.is_empty() {
            let mut said = Vec::new();
            harmless(self.said.trim_ascii(), &mut said);
            words = format!("{words}. It printed: {}", String::from_utf8_lossy(&said));
        }
        Trouble::Said(words)
    }

    /// Memory without and with connections, and a first round trip over each, which is not counted.
    fn prepare(&mut self, signals: &Signals, talk: &mut Talk, args: &Args) -> Result<(), Trouble> {
        self.settle(signals)?;
        self.of_ended_at_first = self.cpu_of_ended_children;
        self.at_rest = cost::memory(&self.family)?;
        if args.reconnect {
            talk.over_new(self.port, args.connections.into())?;
        } else {
            for _ in 0..args.connections {
                let sock = talk.connect(self.port).map_err(|error| error.to_string())?;
                self.socks.push(sock);
            }
            talk.over(&self.socks)?;
        }
        self.settle(signals)?;
        self.with_connections = cost::memory(&self.family)?;
        talk.times.clear();
        Ok(())
    }

    /// Waits until all its processes and threads have started and are idle.
    fn settle(&mut self, signals: &Signals) -> Result<(), Trouble> {
        let start = Instant::now();
        loop {
            let before = (self.cpu, self.family.len());
            self.listen(signals, 20)?;
            self.family = descendants(vec![self.family[0]]);
            self.read_cpu_time();
            if before == (self.cpu, self.family.len()) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err("it uses CPU time though it has no client".to_owned().into());
            }
        }
    }

    fn read_cpu_time(&mut self) {
        self.cpu_of_ended_children = cost::cpu_time_of_ended_children(self.family[0]);
        self.cpu = cost::cpu_time(&self.family) + self.cpu_of_ended_children;
    }

    /// Asks it for the time of a slice.
    fn slice(&mut self, signals: &Signals, talk: &mut Talk, args: &Args) -> Result<Slice, Trouble> {
        let wanted = Duration::from_millis(args.slice.into());
        let start = Instant::now();
        let mut time = Duration::ZERO;
        while time < wanted {
            if args.reconnect {
                talk.over_new(self.port, args.connections.into())?;
            } else {
                talk.over(&self.socks)?;
            }
            time = start.elapsed();
        }
        // The server's work after the slice, such as waiting for an ended child, belongs to the
        // slice.
        self.listen(signals, 0)?;
        if args.reconnect {
            self.family = descendants(vec![self.family[0]]);
        }
        let before = self.cpu;
        self.read_cpu_time();
        let slice = Slice {
            start: Duration::ZERO, // set by the caller
            round_trips: u32::try_from(talk.times.len()).unwrap_or(u32::MAX),
            time,
            cpu: self.cpu.saturating_sub(before),
        };
        self.times.append(&mut talk.times);
        Ok(slice)
    }
}
