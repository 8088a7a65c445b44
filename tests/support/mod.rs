//! What the black-box tests share: the programs in both languages, started, talked to and ended, each wait with a deadline.

#![allow(dead_code, unused_imports, reason = "each layer uses a part of it")]

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Once, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use sockstep::{
    AF_INET, INADDR_LOOPBACK, PF_INET, SO_LINGER, SO_REUSEADDR, SOCK_CLOEXEC, SOCK_STREAM,
    SOL_SOCKET, bind, connect, htonl, htons, linger, setsockopt, sockaddr_in, socket,
};

mod scratch;

pub use scratch::{place, scratch};

/// How long anything may take before its test fails: it is for work that hangs, not for a slow machine.
pub fn deadline() -> Duration {
    at_this_load(180)
}

/// The time for work that takes this many seconds on a quiet machine: longer by the number of
/// runnable processes for each processor.
pub fn at_this_load(seconds: u64) -> Duration {
    let load = fs::read_to_string("/proc/loadavg").expect("/proc is mounted");
    let load: u64 = load.split('.').next().unwrap().parse().unwrap();
    let processors = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    Duration::from_secs(seconds * (load / processors + 1))
}
/// The most that one UDP datagram over IPv4 carries.
pub const DATAGRAM: usize = 65507;

/// A server's arguments, if it needs no others.
pub const ON_A_FREE_PORT: [&str; 3] = ["--bind", "127.0.0.1", "0"];
/// The port of a server's first client from elsewhere: below those that the kernel picks.
pub const FIRST_PORT: u16 = 10_000;
/// Workers or threads that a server makes beforehand, if it is not told how many.
pub const CREW: usize = 8;

// ---- The programs ----

/// The servers of the lectures, each with its client.
pub const PAIRS: [(&str, &str); 4] = [
    ("tcp_echo_server", "tcp_echo_client"),
    ("udp_echo_server", "udp_echo_client"),
    ("tcp_upper_server", "tcp_upper_client"),
    ("udp_upper_server", "udp_upper_client"),
];
/// Those that serve one client at a time: the next one waits until the first leaves.
pub const ITERATIVE: [&str; 2] = ["tcp_echo_server", "tcp_upper_server"];
/// Those that serve several at a time.
pub const CONCURRENT: [&str; 7] = join(
    &[
        "tcp_echo_server_fork",
        "tcp_echo_server_thread",
        "tcp_echo_server_prefork",
        "tcp_echo_server_pool",
    ],
    &EVENT_LOOPS,
);
/// Those of them that have a single process with a single thread.
pub const EVENT_LOOPS: [&str; 3] = [
    "tcp_echo_server_select",
    "tcp_echo_server_poll",
    "tcp_echo_server_epoll",
];
pub const UDP_SERVERS: [&str; 2] = ["udp_echo_server", "udp_upper_server"];
pub const UPPER_SERVERS: [&str; 2] = ["tcp_upper_server", "udp_upper_server"];
pub const TCP_ECHO_SERVERS: [&str; 8] = join(&["tcp_echo_server"], &CONCURRENT);
pub const ECHO_SERVERS: [&str; 9] = join(&TCP_ECHO_SERVERS, &["udp_echo_server"]);
pub const TCP_SERVERS: [&str; 9] = join(&TCP_ECHO_SERVERS, &["tcp_upper_server"]);
pub const SERVERS: [&str; 11] = join(&TCP_SERVERS, &UDP_SERVERS);
pub const ECHO_CLIENTS: [&str; 2] = ["tcp_echo_client", "udp_echo_client"];
pub const UPPER_CLIENTS: [&str; 2] = ["tcp_upper_client", "udp_upper_client"];
pub const TCP_CLIENTS: [&str; 2] = ["tcp_echo_client", "tcp_upper_client"];
pub const UDP_CLIENTS: [&str; 2] = ["udp_echo_client", "udp_upper_client"];
pub const CLIENTS: [&str; 4] = join(&TCP_CLIENTS, &UDP_CLIENTS);
pub const PROGRAMS: [&str; 15] = join(&SERVERS, &CLIENTS);

/// Runs a program that Ctrl-C ends: a shell's background jobs ignore it.
pub const CTRL_C_WORKS: [&str; 2] = ["env", "--default-signal=INT"];

const fn join<const N: usize>(some: &[&'static str], others: &[&'static str]) -> [&'static str; N] {
    assert!(some.len() + others.len() == N);
    let mut all = [""; N];
    let mut i = 0;
    while i < N {
        all[i] = if i < some.len() {
            some[i]
        } else {
            others[i - some.len()]
        };
        i += 1;
    }
    all
}

/// The programs that only show something.
pub const SHOWS: [&str; 2] = ["name_lookup", "byte_order"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    Rust,
    C,
}

/// One of the programs in one of its two languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    pub name: &'static str,
    pub lang: Lang,
}

/// Runs a test on each of the programs in both languages, side by side. A failure's thread bears the program's name.
pub fn for_each(names: &[&'static str], test: impl Fn(Program) + Sync) {
    let test = &test;
    let failed = thread::scope(|scope| {
        let runs: Vec<_> = names
            .iter()
            .flat_map(|name| Program::both(name))
            .map(|program| {
                thread::Builder::new()
                    .name(program.to_string())
                    .spawn_scoped(scope, move || test(program))
                    .expect("a thread starts")
            })
            .collect();
        runs.into_iter()
            .map(|run| run.join().is_err())
            .filter(|&failed| failed)
            .count()
    });
    assert_eq!(failed, 0, "programs that fail this test");
}

/// The same, one program after the other, where all together would take too much.
pub fn for_each_in_turn(names: &[&'static str], test: impl Fn(Program) + Sync) {
    for name in names {
        for_each(&[name], &test);
    }
}

impl Program {
    pub fn rust(name: &'static str) -> Program {
        Program {
            name,
            lang: Lang::Rust,
        }
    }

    pub fn c(name: &'static str) -> Program {
        Program {
            name,
            lang: Lang::C,
        }
    }

    pub fn both(name: &'static str) -> [Program; 2] {
        [Program::rust(name), Program::c(name)]
    }

    pub fn path(self) -> PathBuf {
        match self.lang {
            Lang::Rust => {
                Path::new(env!("CARGO_BIN_EXE_tcp_echo_server")).with_file_name(self.name)
            }
            Lang::C => Path::new(env!("SOCKSTEP_TWINS")).join(self.name),
        }
    }

    /// The command of a server, for --server: on this machine only, at the port that sockstep chooses.
    pub fn at_the_port(self) -> String {
        format!("{} --bind 127.0.0.1 {{port}}", self.path().display())
    }

    pub fn is_tcp(self) -> bool {
        self.name.starts_with("tcp")
    }

    pub fn is_upper(self) -> bool {
        self.name.contains("upper")
    }

    pub fn is_server(self) -> bool {
        self.name.contains("server")
    }

    /// The server of this client.
    pub fn server(self) -> &'static str {
        let pair = PAIRS.iter().find(|(_, client)| *client == self.name);
        pair.expect("a client").0
    }

    /// The client's arguments, and its standard input, to say this to a server on 127.0.0.1.
    pub fn saying(self, word: &str, port: u16) -> (Vec<String>, Vec<u8>) {
        let port = port.to_string();
        if self.is_upper() {
            (
                vec!["-p".to_owned(), port],
                format!("{word}\n").into_bytes(),
            )
        } else {
            (
                vec!["127.0.0.1".to_owned(), word.to_owned(), port],
                Vec::new(),
            )
        }
    }

    /// What a server receives of that.
    pub fn request(self, word: &str) -> String {
        let end = if self.is_upper() && self.is_tcp() {
            "\n"
        } else {
            ""
        };
        format!("{word}{end}")
    }

    /// Runs the client that it may say this to a server on 127.0.0.1.
    pub fn say(self, word: &str, port: u16) -> Outcome {
        self.say_by(&mut self.command(), word, port)
    }

    /// The same by a command of one's own that runs the client.
    pub fn say_by(self, command: &mut Command, word: &str, port: u16) -> Outcome {
        let (args, stdin) = self.saying(word, port);
        run(command.args(args), &stdin)
    }

    /// What the client prints of an answer.
    pub fn prints(self, answer: &str) -> String {
        let caption = if self.is_upper() {
            "From Server"
        } else {
            "Received"
        };
        format!("{caption}: {answer}\n")
    }

    /// The server's arguments for no log.
    pub fn quiet(self) -> &'static [&'static str] {
        if self.is_upper() { &["--quiet"] } else { &[] }
    }

    /// The option that ends the server after a number of clients or messages.
    pub fn limit(self) -> &'static str {
        if self.is_tcp() {
            "--max-clients"
        } else {
            "--max-messages"
        }
    }

    /// What the server answers to these bytes.
    pub fn reply_to(self, bytes: &[u8]) -> Vec<u8> {
        if self.is_upper() {
            bytes.to_ascii_uppercase()
        } else {
            bytes.to_vec()
        }
    }

    /// The command that runs the program.
    pub fn command(self) -> Command {
        self.under(&[])
    }

    /// The command that runs the program by way of another, as in `strace -f PROGRAM`.
    pub fn under(self, wrapper: &[&str]) -> Command {
        let Some((first, rest)) = wrapper.split_first() else {
            return Command::new(self.path());
        };
        let mut command = Command::new(first);
        command.args(rest).arg(self.path());
        command
    }

    /// The command that runs the program with a shell's redirections, as in `>&-`.
    pub fn redirected(self, redirections: &str) -> Command {
        self.under(&["sh", "-c", &format!("exec \"$@\" {redirections}"), "sh"])
    }

    /// The command that runs the program with faults put into its system calls, as in `accept:error=EINTR:when=1`.
    pub fn with_faults(self, faults: &[&str]) -> Command {
        require("strace", "the fault injection of these tests");
        let faults: Vec<_> = faults
            .iter()
            .map(|fault| format!("--inject={fault}"))
            .collect();
        let mut wrapper = vec!["strace", "-D", "-f", "-qq", "-o", "/dev/null"]; // -D: the child is the program itself
        wrapper.extend(faults.iter().map(String::as_str));
        self.under(&wrapper)
    }

    /// The command that runs the program under strace, which prints its calls on standard error: `-a1` without columns, and
    /// without signals.
    pub fn traced(self, options: &[&str]) -> Command {
        require("strace", "the calls that these tests look at");
        self.under(&[&["strace", "-D", "-qq", "-a1", "--signal=none"], options].concat())
    }

    /// How often such a call is made before the program does anything, by the dynamic loader for one.
    pub fn calls_of_the_start(self, call: &str) -> usize {
        let trace = format!("--trace={call}");
        let outcome = run(self.under(&["strace", "-qq", &trace]).arg("--version"), b"");
        outcome.stderr.lines().count()
    }
}

impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {:?}", self.name, self.lang)
    }
}

/// Fails the test with a word of advice when this machine lacks a tool.
pub fn require(tool: &str, purpose: &str) {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(tool).is_file()));
    assert!(found, "install {tool}: {purpose} need it");
}

// ---- Running them ----

/// How a program ended, and what it said.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Outcome {
    pub fn new(status: i32, stdout: impl AsRef<[u8]>, stderr: &str) -> Outcome {
        Outcome {
            status: ExitStatus::from_raw(status << 8),
            stdout: stdout.as_ref().to_vec(),
            stderr: stderr.to_owned(),
        }
    }

    /// Done: status 0, these bytes on standard output, and no complaint.
    pub fn done(stdout: impl AsRef<[u8]>) -> Outcome {
        Outcome::new(0, stdout, "")
    }

    /// A call failed: status 1, and one line that says which and why.
    pub fn failed(message: &str) -> Outcome {
        Outcome::new(1, "", &format!("{message}\n"))
    }

    /// Fails unless it succeeded and printed nothing on standard error.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.status.success() && self.stderr.is_empty(), "{self:?}");
    }

    pub fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("standard output is UTF-8")
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) = (abridged(&self.stdout), abridged(self.stderr.as_bytes()));
        write!(f, "{}, stdout {stdout}, stderr {stderr}", self.status)
    }
}

/// Bytes for a message: not all of a megabyte.
pub fn abridged(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(400)];
    format!("{} bytes \"{}\"", bytes.len(), shown.escape_ascii())
}

/// Asserts that bytes are as expected, and shows few of them when not.
#[track_caller]
pub fn assert_bytes(got: &[u8], expected: &[u8]) {
    if got != expected {
        let same = got.iter().zip(expected).take_while(|(a, b)| a == b).count();
        panic!(
            "from byte {same} on: got {}, expected {}",
            abridged(&got[same..]),
            abridged(&expected[same..])
        );
    }
}

/// Runs a command to its end with these bytes on standard input.
pub fn run(command: &mut Command, stdin: &[u8]) -> Outcome {
    let mut process = Process::start(command);
    process.feed(stdin.to_vec());
    process.end()
}

/// A running program, whose words are collected as they come. It is ended and reaped when dropped.
pub struct Process {
    child: Child,
    pub stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

impl Process {
    pub fn start(command: &mut Command) -> Process {
        let mut process = Process::start_into(Stdio::piped(), command);
        process.stdout = Lines::of(process.child.stdout.take().expect("it is a pipe"));
        process
    }

    /// Starts it with its standard output in other hands.
    pub fn start_into(stdout: impl Into<Stdio>, command: &mut Command) -> Process {
        command
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
        Process {
            stdin: child.stdin.take(),
            stdout: Lines::of(io::empty()),
            stderr: Lines::of(child.stderr.take().expect("it is a pipe")),
            child,
        }
    }

    /// Puts these bytes on its standard input, and ends that.
    pub fn feed(&mut self, bytes: Vec<u8>) {
        let mut stdin = self.stdin.take().expect("it has not ended yet");
        thread::spawn(move || stdin.write_all(&bytes)); // it may leave before it has read all: no matter
    }

    /// Waits for the line `listening on ADDRESS:PORT`, and returns the port.
    pub fn port(&mut self) -> u16 {
        let ready = self.line();
        ready
            .strip_prefix("listening on ")
            .and_then(|address| address.rsplit_once(':'))
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or_else(|| panic!("not where it listens: {ready}"))
    }

    /// Its next line on standard output, without the newline.
    pub fn line(&mut self) -> String {
        self.stdout.next().unwrap_or_else(|error| {
            let complaints = self.stderr.so_far();
            panic!("standard output: {error}; standard error: {complaints}")
        })
    }

    /// Its next line on standard error, without the newline.
    pub fn complaint(&mut self) -> String {
        self.stderr.next().expect("another line")
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a process id is a pid_t"))
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is there");
    }

    /// Waits until it has stopped, continued or ended, and leaves it to be waited for again.
    pub fn wait_until(&self, event: WaitPidFlag) {
        let pid = self.pid();
        within(move || waitid(Id::Pid(pid), event | WaitPidFlag::WNOWAIT))
            .expect("it is our child");
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Waits for its end. The outcome has the output that was not taken as lines before.
    pub fn end(&mut self) -> Outcome {
        drop(self.stdin.take());
        self.wait_until(WaitPidFlag::WEXITED);
        Outcome {
            status: self.child.wait().expect("it is our child"),
            stdout: self.stdout.rest(),
            stderr: String::from_utf8(self.stderr.rest()).expect("standard error is UTF-8"),
        }
    }

    /// The process itself and all that it started, directly or not, and that have not been waited for.
    pub fn family(&self) -> Vec<Member> {
        let mut family: Vec<_> = Member::of(self.pid()).into_iter().collect();
        let mut asked = 0;
        while let Some(member) = family.get(asked) {
            let pid = member.pid;
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            let children = children.unwrap_or_default();
            let pids = children
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok());
            family.extend(pids.map(Pid::from_raw).filter_map(Member::of));
            asked += 1;
        }
        family
    }

    /// Stops it and its family, each of which waits for something, until it may go on.
    pub fn halt(&self) {
        self.be("S", None);
        self.be("T", Some(Signal::SIGSTOP));
    }

    pub fn go_on(&self) {
        self.be("SR", Some(Signal::SIGCONT));
    }

    /// Sends them all a signal, and waits until the state of each is one of these.
    fn be(&self, states: &str, signal: Option<Signal>) {
        let family = self.family();
        for member in &family {
            kill(member.pid, signal).expect("the process is there");
        }
        let is = |member: &Member| {
            member
                .stat()
                .is_some_and(|stat| states.contains(stat.state))
        };
        let all = until(|| family.iter().all(is).then_some(()));
        assert!(all.is_some(), "not all of them are {states}");
    }

    /// What it and its family hold at this moment.
    pub fn holdings(&self) -> Holdings {
        let mut all = Holdings::default();
        for member in self.family() {
            let Some(stat) = member.stat() else { continue };
            if stat.state == 'Z' {
                all.zombies += 1;
                continue;
            }
            all.processes += 1;
            all.threads += stat.threads;
            let files = fs::read_dir(format!("/proc/{}/fd", member.pid));
            let files = files.into_iter().flatten().flatten();
            for target in files.filter_map(|file| fs::read_link(file.path()).ok()) {
                all.sockets += usize::from(target.to_string_lossy().starts_with("socket:"));
                all.files += 1;
            }
        }
        all
    }
}

/// What a server and the processes that it started hold.
#[derive(Debug, Default)]
pub struct Holdings {
    pub processes: usize,
    pub threads: usize,
    pub zombies: usize,
    pub sockets: usize,
    pub files: usize,
}

/// A process that need not be our child.
pub struct Member {
    pub pid: Pid,
    stat: File, // of this process, even if its pid is reused later
}

/// What the kernel says of a process, from proc(5).
pub struct Stat {
    pub state: char,
    /// Time on a processor.
    pub busy: Duration,
    pub threads: usize,
}

impl Member {
    pub fn of(pid: Pid) -> Option<Member> {
        let stat = File::open(format!("/proc/{pid}/stat")).ok()?;
        Some(Member { pid, stat })
    }

    /// `None` when it has ended.
    pub fn stat(&self) -> Option<Stat> {
        let mut text = [0; 1024];
        let len = self.stat.read_at(&mut text, 0).ok()?;
        let text = String::from_utf8_lossy(&text[..len]);
        let (_, fields) = text.rsplit_once(") ")?; // the name before may have blanks
        let fields: Vec<_> = fields.split(' ').collect();
        let number = |nth: usize| fields.get(nth - 3)?.parse::<usize>().ok();
        let ticks = number(14)? + number(15)?;
        Some(Stat {
            state: fields[0].chars().next()?,
            busy: Duration::from_millis(u64::try_from(ticks * 10).ok()?), // 100 ticks a second
            threads: number(20)?,
        })
    }

    /// Whether it runs no longer, waited for or not.
    pub fn has_ended(&self) -> bool {
        self.stat().is_none_or(|stat| stat.state == 'Z')
    }
}

/// Waits until all these processes have ended.
pub fn wait_for_the_end_of(family: &[Member]) {
    let ended = until(|| family.iter().all(Member::has_ended).then_some(()));
    assert!(ended.is_some(), "a process that it started runs on");
}

/// Polls until `look` returns something. `None` when the deadline passes.
pub fn until<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + deadline();
    loop {
        let seen = look();
        if seen.is_some() || Instant::now() > deadline {
            return seen;
        }
        thread::park_timeout(Duration::from_millis(1)); // the others have the processor
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // already ended, if all went well
        let _ = self.child.wait();
    }
}

/// A stream's lines, collected on a thread so that the writer never waits.
struct Lines(Receiver<Vec<u8>>);

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Lines {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    break; // the receiver is dropped: the pipe closes, as after `| head -1`
                }
            }
        });
        Lines(receiver)
    }

    fn next(&mut self) -> Result<String, RecvTimeoutError> {
        let line = self.0.recv_timeout(deadline())?;
        let line = String::from_utf8(line).expect("a line of UTF-8");
        Ok(line.strip_suffix('\n').expect("a whole line").to_owned())
    }

    /// What has come, and what comes while it does not pause.
    fn so_far(&mut self) -> String {
        let lines = iter::from_fn(|| self.0.recv_timeout(Duration::from_millis(100)).ok());
        String::from_utf8_lossy(&lines.flatten().collect::<Vec<_>>()).into_owned()
    }

    fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.0.recv_timeout(deadline()) {
                Ok(line) => all.extend(line),
                Err(RecvTimeoutError::Disconnected) => return all,
                Err(RecvTimeoutError::Timeout) => panic!("somebody still has it open"),
            }
        }
    }
}

/// Every process that was started with this mark in its environment.
pub fn marked(mark: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let marked = entries.filter(|entry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|variable| variable == mark.as_bytes())
    });
    let command = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("cmdline")).ok();
    marked
        .filter_map(command)
        .filter(|command| !command.is_empty())
        .collect()
}

/// Waits until all of them have ended.
#[track_caller]
pub fn wait_until_none_is_marked(mark: &str) {
    let gone = until(|| marked(mark).is_empty().then_some(()));
    assert!(gone.is_some(), "left: {:?}", marked(mark));
}

/// A text with `PORT` for the digits that follow a colon or a `#`, but for 0.
pub fn without_ports(text: &str) -> String {
    let mut pieces = text.split_inclusive([':', '#']);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        out += if piece.len() - rest.len() > 1 {
            "PORT"
        } else {
            &piece[..piece.len() - rest.len()]
        };
        out += rest;
    }
    out
}

/// Does it on another thread, and fails when the deadline passes.
pub fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(deadline()).expect("it ends in time")
}

/// Lets this process, and the servers that it starts, open as many files as a thousand connections take.
pub fn allow_many_files() {
    const MANY: u64 = 4096;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("it has a limit");
    assert!(
        hard >= MANY,
        "raise the limit of open files (ulimit -Hn) to {MANY}"
    );
    if soft < MANY {
        setrlimit(Resource::RLIMIT_NOFILE, MANY, hard).expect("it is below the hard limit");
    }
}

// ---- Servers ----

/// One of our servers, ready on 127.0.0.1.
pub struct Server {
    pub program: Program,
    pub process: Process,
    pub port: u16,
    /// Workers or threads made beforehand.
    pub crew: usize,
    /// The port that the next client from elsewhere has.
    pub next: AtomicU16,
}

impl Server {
    /// Starts it on a free port.
    pub fn start(program: Program, args: &[&str]) -> Server {
        Server::start_by(program, program.command().args(ON_A_FREE_PORT).args(args))
    }

    /// Starts it with faults in its system calls. They are counted in each process and thread, so there is one worker.
    pub fn faulty(program: Program, faults: &[&str]) -> Server {
        let one_worker: &[&str] = match program.name {
            "tcp_echo_server_prefork" | "tcp_echo_server_pool" => &["--limit", "1"],
            _ => program.quiet(),
        };
        let mut command = program.with_faults(faults);
        Server::start_by(program, command.args(ON_A_FREE_PORT).args(one_worker))
    }

    /// Starts it by a command of one's own.
    pub fn start_by(program: Program, command: &mut Command) -> Server {
        let mut process = Process::start(command);
        let port = process.port();
        let mut words = command.get_args().skip_while(|word| *word != "--limit");
        let crew = words.nth(1).and_then(|n| n.to_str()?.parse().ok());
        Server {
            program,
            process,
            port,
            crew: crew.unwrap_or(CREW),
            next: FIRST_PORT.into(),
        }
    }

    /// A TCP connection to it, with deadlines and without Nagle's delays.
    pub fn connect(&self) -> TcpStream {
        patient(TcpStream::connect(local(self.port)).expect("it listens"))
    }

    /// The same from another address of this machine, one for each server. A port that is in use there, or was a minute ago
    /// (TIME_WAIT), is free for the other tests. Each client has the next port: to look for a free one among thousands that are
    /// not takes the kernel longer than all the rest.
    pub fn connect_from_elsewhere(&self) -> TcpStream {
        let [high, low] = self.port.to_be_bytes();
        let mut elsewhere = sockaddr_in::zeroed();
        elsewhere.sin_family = AF_INET;
        elsewhere.sin_addr.s_addr = htonl(u32::from_be_bytes([127, 1, high, low]));
        let sock = socket(PF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0).expect("a descriptor is free");
        setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, &1).expect("a socket can");
        let bound = (0..10).any(|_| {
            elsewhere.sin_port = htons(self.next.fetch_add(1, SeqCst));
            bind(&sock, &elsewhere).is_ok() // not if a server of this machine has the port
        });
        assert!(bound, "a port is free");
        let mut server = elsewhere;
        server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        server.sin_port = htons(self.port);
        connect(&sock, &server).expect("it listens");
        patient(sock.into())
    }

    /// A UDP socket that sends to it, and receives from it only.
    pub fn udp(&self) -> UdpSocket {
        let socket = udp();
        socket
            .connect(local(self.port))
            .expect("a UDP socket connects at once");
        socket
    }

    /// A client of the right kind.
    pub fn client(&self) -> Box<dyn Talk> {
        if self.program.is_tcp() {
            Box::new(self.connect())
        } else {
            Box::new(self.udp())
        }
    }

    /// Serves one more client well: that says something, has its answer, and leaves.
    pub fn serves(&self) {
        let word = b"next, please";
        let answer = if self.program.is_tcp() {
            converse(&self.connect(), word)
        } else {
            self.udp().ask(word, word.len())
        };
        assert_bytes(&answer, &self.program.reply_to(word));
    }

    /// Waits until it has nobody to serve: it has the processes and threads that it started with, and in each process no
    /// socket but the one that receives clients. Returns how many files they have open.
    pub fn rests(&self) -> usize {
        let crew = |name| usize::from(self.program.name == name) * self.crew;
        let processes = 1 + crew("tcp_echo_server_prefork");
        let threads = processes + crew("tcp_echo_server_pool");
        let mut seen = Holdings::default();
        let files = until(|| {
            seen = self.process.holdings();
            let rests = seen.processes == processes
                && seen.threads == threads
                && seen.sockets == processes
                && seen.zombies == 0;
            rests.then_some(seen.files)
        });
        files.unwrap_or_else(|| panic!("it does not come to rest: {seen:?}"))
    }

    /// Sends it a signal and waits for its end, and for that of the processes that it started.
    pub fn end_by(mut self, signal: Signal) -> Outcome {
        let family = self.process.family();
        self.process.signal(signal);
        let outcome = self.process.end();
        wait_for_the_end_of(&family);
        outcome
    }

    /// Ends it by SIGTERM, which is how it should end, and returns what it said.
    pub fn stop(self) -> Outcome {
        let outcome = self.end_by(Signal::SIGTERM);
        assert_eq!(
            outcome.status.signal(),
            Some(Signal::SIGTERM as i32),
            "{outcome:?}"
        );
        outcome
    }
}

pub fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

// ---- Raw clients and servers ----

/// Somebody else's server: a socket that listens on a free port.
pub fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(local(0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

/// Plays a TCP server for one client, on a thread of its own.
pub fn play<T: Send + 'static>(
    role: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (JoinHandle<T>, u16) {
    let (listener, port) = listener();
    (thread::spawn(move || role(accept(&listener))), port)
}

/// The next connection to it.
pub fn accept(listener: &TcpListener) -> TcpStream {
    let listener = listener.try_clone().expect("a descriptor is free");
    let (stream, _) = within(move || listener.accept()).expect("a client comes");
    patient(stream)
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("TCP can");
    stream.set_read_timeout(Some(deadline())).expect("not zero");
    stream
        .set_write_timeout(Some(deadline()))
        .expect("not zero");
    stream
}

/// A UDP socket on a free port, with a deadline.
pub fn udp() -> UdpSocket {
    let socket = UdpSocket::bind(local(0)).expect("a port is free");
    socket.set_read_timeout(Some(deadline())).expect("not zero");
    socket
}

/// What is said and heard over a socket, TCP or UDP alike.
pub trait Talk {
    fn say(&mut self, bytes: &[u8]);

    /// Receives this many bytes; from a UDP socket one datagram of any length.
    fn hear(&mut self, len: usize) -> Vec<u8>;

    fn address(&self) -> SocketAddr;

    fn ask(&mut self, bytes: &[u8], answer_len: usize) -> Vec<u8> {
        self.say(bytes);
        self.hear(answer_len)
    }
}

impl Talk for TcpStream {
    fn say(&mut self, bytes: &[u8]) {
        self.write_all(bytes).expect("the peer takes it");
    }

    fn hear(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.read_exact(&mut bytes).expect("the peer says so much");
        bytes
    }

    fn address(&self) -> SocketAddr {
        self.local_addr().expect("it is connected")
    }
}

impl Talk for UdpSocket {
    fn say(&mut self, bytes: &[u8]) {
        self.send(bytes).expect("it leaves");
    }

    fn hear(&mut self, _: usize) -> Vec<u8> {
        hear_from(self).0
    }

    fn address(&self) -> SocketAddr {
        self.local_addr().expect("it is bound")
    }
}

/// Receives one datagram, and the port it came from.
pub fn hear_from(socket: &UdpSocket) -> (Vec<u8>, u16) {
    let mut bytes = vec![0; DATAGRAM];
    let (len, from) = loop {
        match socket.recv_from(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {} // as it may be with a deadline
            datagram => break datagram.expect("somebody says something"),
        }
    };
    bytes.truncate(len);
    (bytes, from.port())
}

/// Sends all, as `nc` does its input, says that this was all, and receives to the end.
pub fn converse(stream: &TcpStream, bytes: &[u8]) -> Vec<u8> {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut sending = stream;
            sending.write_all(bytes).expect("the server takes it");
            sending.shutdown(Shutdown::Write).expect("it is connected");
        });
        let (mut receiving, mut answer) = (stream, Vec::new());
        receiving
            .read_to_end(&mut answer)
            .expect("the server closes");
        answer
    })
}

/// Sends until nothing is taken for a while. Returns how many bytes were. The stream has its deadline again after that.
pub fn fill(stream: &mut TcpStream) -> usize {
    const TOO_MUCH: usize = 128_000_000; // no buffers hold as much
    let enough = Some(Duration::from_millis(300));
    stream.set_write_timeout(enough).expect("not zero");
    let bytes = vec![b'x'; 1_000_000];
    let mut taken = 0;
    let error = loop {
        match stream.write(&bytes) {
            Ok(n) => taken += n,
            Err(error) => break error,
        }
        assert!(taken < TOO_MUCH, "there is no end to what it takes");
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    stream
        .set_write_timeout(Some(deadline()))
        .expect("not zero");
    taken
}

/// Whether nothing comes within this time. The stream has its deadline again after that.
pub fn is_silent_for(time: Duration, stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(time)).expect("not zero");
    let outcome = stream.peek(&mut [0]);
    stream.set_read_timeout(Some(deadline())).expect("not zero");
    outcome.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Whether nothing has come so far.
pub fn has_heard_nothing(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket can");
    let outcome = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a socket can");
    outcome.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Closes at once with a reset, even if bytes are still under way.
pub fn reset(stream: TcpStream) {
    let now = linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, SOL_SOCKET, SO_LINGER, &now).expect("a socket can");
    drop(stream);
}

// ---- Data ----

/// The same bytes in every run, without any pattern.
pub fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed);
    (0..len).map(|_| random.next().to_le_bytes()[0]).collect()
}

/// Marsaglia's xorshift, mixed as in xorshift64*.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).expect("32 bits") % limit
    }
}

/// A getaddrinfo that answers for the name `several.test`, in the order of the variable ADDRESSES.
pub fn resolver() -> PathBuf {
    const SOURCE: &str = r#"
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <netdb.h>
        #include <stdlib.h>
        #include <string.h>
        int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
        {
            int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
                dlsym(RTLD_NEXT, "getaddrinfo");
            if (node == NULL || strcmp(node, "several.test") != 0)
                return real(node, service, hints, res);
            char *addresses = strdup(getenv("ADDRESSES"));
            for (char *address = strtok(addresses, " "); address != NULL; address = strtok(NULL, " ")) {
                if (real(address, service, hints, res) != 0)
                    abort();
                while (*res != NULL)
                    res = &(*res)->ai_next;
            }
            free(addresses);
            return 0;
        }
    "#;
    static ONCE: Once = Once::new();
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("resolver.so");
    ONCE.call_once(|| {
        let mut cc = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
        cc.args(["-shared", "-fPIC", "-x", "c", "-o"])
            .arg(&library)
            .arg("-");
        let outcome = run(&mut cc, SOURCE.as_bytes());
        assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    });
    library
}

/// The interpreter itself: `python3` may be a script that looks for it, which takes time, under strace above all.
pub fn python3() -> &'static str {
    static PYTHON3: OnceLock<String> = OnceLock::new();
    PYTHON3.get_or_init(|| {
        require("python3", "the programs in tests/peers");
        let script = "import sys; print(sys.executable, end='')";
        let outcome = run(Command::new("python3").args(["-c", script]), b"");
        outcome.stdout().to_owned()
    })
}

/// Runs one of the Python programs in `tests/peers`.
pub fn python(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new(python3());
    command
        .arg("-u")
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/peers")
                .join(script),
        )
        .args(args);
    command
}
