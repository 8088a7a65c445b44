//! The two processes of a run: starts them so that they do not outlive us, and reads their output.

use std::collections::HashSet;
use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use libc::c_uint;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, getpid, getppid};
use sockstep::{Errno, read};

use crate::draw::terminal::Side;
use crate::sides::gate::{Filter, Gate, Held};
use crate::sides::signals::{Interrupted, Signals};
use crate::sides::tasks::{CROWD, Family, MARK, is_asleep, send, waits, waits_without_end};
use crate::sides::terminal;
use crate::strace::command::{Pipe, strace};

/// How often to check whether a side is ready, done, idle or has ended, in milliseconds.
pub const TICK: u8 = 20;
/// How long a side may go on after the client is done.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// A side that has waited this long is idle; strace's output needs this time to arrive.
const SILENCE: Duration = Duration::from_millis(30);
/// A side that has waited this long without a time-out is stuck, if the other one is too.
pub const STUCK: Duration = Duration::from_secs(10);
/// How often processes are counted.
const COUNTING: Duration = Duration::from_millis(50);
/// After all processes of a side have ended, their last output arrives within this time.
const DRAINED: Duration = Duration::from_millis(200);

/// A running program and its output.
pub struct Process {
    pub side: Side,
    pub child: Child,
    /// The mark in the environment of its processes.
    mark: String,
    streams: Vec<Stream>,
    /// The time of its last output.
    heard: Instant,
    /// When its first process was seen to have ended.
    ended: Option<Instant>,
    /// When its processes were counted last, if they are counted.
    counted: Option<Instant>,
    gate: Option<Gate>,
}

struct Stream {
    source: Source,
    pipe: OwnedFd,
    /// The end of the pipe that strace opens. We hold it until then, or the pipe would seem to have
    /// ended.
    other_end: Option<OwnedFd>,
}

impl Stream {
    fn of(source: Source, pipe: OwnedFd) -> Stream {
        Stream {
            source,
            pipe,
            other_end: None,
        }
    }
}

/// The source of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    StandardOutput,
    StandardError,
    Strace,
}

/// How to start a program.
pub struct Start<'a> {
    pub side: Side,
    pub program: &'a Path,
    pub arguments: &'a [OsString],
    /// More options for strace; `None` runs the program without strace.
    pub trace: Option<&'a [String]>,
    pub input: Stdio,
    /// Its standard output is a terminal, instead of a pipe.
    pub terminal: bool,
    /// In a process group of its own, so that Ctrl-C and Ctrl-Z at our terminal do not reach it.
    pub apart: bool,
    /// A program that starts too many processes is ended.
    pub is_counted: bool,
    /// Holds each call on a socket before it is made.
    pub gated: bool,
    /// A limit lower than ours.
    pub limits: &'a [(Resource, rlim_t)],
}

impl<'a> Start<'a> {
    /// Under strace, without input. A server is in its own process group.
    pub fn of(side: Side, program: &'a Path, arguments: &'a [OsString]) -> Start<'a> {
        Start {
            side,
            program,
            arguments,
            trace: Some(&[]),
            input: Stdio::null(),
            terminal: false,
            apart: side == Side::Server,
            is_counted: true,
            gated: false,
            limits: &[],
        }
    }

    pub fn process(self) -> Result<Process, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}.{number}", getpid());

        let mut streams = Vec::new();
        let mut command = if let Some(options) = self.trace {
            let pipe = Pipe::new()?;
            let mut command = strace(&pipe.path(), options);
            command.arg(self.program);
            let Pipe { from, into } = pipe;
            streams.push(Stream {
                source: Source::Strace,
                pipe: from,
                other_end: Some(into),
            });
            command
        } else {
            Command::new(self.program)
        };
        command
            .args(self.arguments)
            .env(MARK, &mark)
            .env("PATH", search_path())
            .stdin(self.input)
            .stderr(Stdio::piped());
        if self.apart {
            command.process_group(0);
        }
        let terminal = if self.terminal {
            terminal::open().ok()
        } else {
            None
        };
        // Without a pseudo-terminal (sockstep doctor reports that), C's stdio buffers its output.
        if let Some((ours, its)) = terminal {
            command.stdout(its).env("TERM", terminal::KIND);
            streams.insert(0, Stream::of(Source::StandardOutput, ours));
        } else {
            command.stdout(Stdio::piped());
        }

        let (gate, filter) = if self.gated {
            let (gate, filter) = Gate::new()?;
            (Some(gate), Some(filter))
        } else {
            (None, None)
        };
        let parent = getpid();
        let limits = self.limits.to_vec();
        // It must not get our SIGWINCH, which would interrupt its calls; the other signals must not
        // stay blocked, as they are in us.
        let held: SigSet = self
            .terminal
            .then_some(Signal::SIGWINCH)
            .into_iter()
            .collect();
        let die_with_parent = move || {
            leave_descriptors();
            held.thread_set_mask()?;
            for &(resource, most) in &limits {
                setrlimit(resource, most, most)?;
            }
            set_pdeathsig(Signal::SIGKILL)?;
            if getppid() != parent {
                return Err(io::Error::from(Errno::ESRCH));
            }
            filter.as_ref().map_or(Ok(()), Filter::install)
        };
        #[allow(unsafe_code, reason = "around fork")]
        // SAFETY: between fork and exec the closure makes a few system calls, and no allocation.
        unsafe {
            command.pre_exec(die_with_parent)
        };
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
        let out = child.stdout.take().map(OwnedFd::from);
        let err = child.stderr.take().map(OwnedFd::from);
        let out = out.map(|pipe| Stream::of(Source::StandardOutput, pipe));
        let err = err.map(|pipe| Stream::of(Source::StandardError, pipe));
        streams.splice(0..0, out.into_iter().chain(err));
        Ok(Process {
            side: self.side,
            child,
            mark,
            streams,
            heard: Instant::now(),
            ended: None,
            counted: self.is_counted.then(Instant::now),
            gate,
        })
    }
}

impl Process {
    /// Whether more output may come.
    pub fn is_heard(&self) -> bool {
        !self.streams.is_empty()
    }

    /// How long it has been silent.
    pub fn silent_for(&self) -> Duration {
        self.heard.elapsed()
    }

    /// The process started first.
    pub fn first(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap_or(i32::MAX))
    }

    /// All processes of this side that have not ended, with daemons and without strace.
    pub fn processes(&self) -> Vec<Pid> {
        self.family().processes()
    }

    fn family(&self) -> Family<'_> {
        Family {
            first: self.first(),
            mark: &self.mark,
        }
    }

    /// Whether a program that ends by itself is done: all its processes have ended, or the first
    /// one has and the rest have been silent for [`PATIENCE`].
    pub fn is_done(&mut self) -> bool {
        if self.is_heard() && matches!(self.child.try_wait(), Ok(Some(_))) {
            let ended = *self.ended.get_or_insert_with(Instant::now);
            let silent_for = self.silent_for().min(ended.elapsed()); // earlier silence does not count: it was waiting
            if silent_for > PATIENCE {
                return true;
            }
            if silent_for > DRAINED && self.processes().is_empty() {
                self.hang_up(); // another process holds the other ends of the pipes
            }
        }
        self.has_ended()
    }

    /// Whether all its processes have ended and their output is read.
    pub fn has_ended(&self) -> bool {
        !self.is_heard() && self.processes().is_empty()
    }

    /// Whether each of its tasks waits for another program, and all its output has been read.
    pub fn is_idle(&self) -> bool {
        self.is_idle_but_for(&HashSet::new())
    }

    /// The same, if these of its tasks are stopped. strace knows that; the kernel reports every
    /// task as stopped while strace inspects it.
    pub fn is_idle_but_for(&self, stopped: &HashSet<u32>) -> bool {
        let is_stopped =
            |process: Pid| u32::try_from(process.as_raw()).is_ok_and(|pid| stopped.contains(&pid));
        let is_idle = |process| is_stopped(process) || waits(process);
        self.silent_for() >= SILENCE && self.processes().into_iter().all(is_idle)
    }

    /// Whether all its tasks have waited for a while, some for bytes, in waits that only another
    /// process can end.
    pub fn is_stuck(&self) -> bool {
        let mut receives = false;
        self.silent_for() >= STUCK
            && self
                .processes()
                .into_iter()
                .all(|process| waits_without_end(process, &mut receives))
            && receives
    }

    /// Whether all of it has waited for a while for others, for bytes or not, or has ended.
    pub fn waits(&self) -> bool {
        let waits = |process| waits_without_end(process, &mut false);
        self.has_ended() || (self.silent_for() >= STUCK && self.processes().into_iter().all(waits))
    }

    /// Whether all of its tasks wait.
    pub fn is_asleep(&self) -> bool {
        self.processes().into_iter().all(is_asleep)
    }

    /// Fails if it has started too many processes.
    fn count(&mut self) -> Result<(), String> {
        if self.counted.is_none_or(|last| last.elapsed() < COUNTING) {
            return Ok(());
        }
        self.counted = Some(Instant::now());
        if self.processes().len() <= CROWD {
            return Ok(());
        }
        self.kill_all();
        Err(format!(
            "the {} has started more than {CROWD} processes: fork() in an endless loop? All of them were killed",
            self.side.name()
        ))
    }

    /// Kills all of it.
    pub fn kill_all(&self) {
        self.family().kill();
    }

    /// Sends SIGINT to its first process, as Ctrl-C would. [`End`](crate::sides::end::End) ends the
    /// others.
    pub fn end(&self) {
        send(self.first(), Signal::SIGTERM);
    }

    /// Sends a signal to all of it.
    pub fn signal(&self, signal: Signal) {
        for process in self.processes() {
            send(process, signal);
        }
    }

    /// Sets its terminal to the user's new terminal size.
    pub fn resize(&self) {
        let output = self
            .streams
            .iter()
            .find(|stream| stream.source == Source::StandardOutput);
        if let Some(stream) = output.filter(|stream| stream.pipe.is_terminal()) {
            terminal::resize(&stream.pipe);
        }
    }

    /// The held calls, the first ones first.
    pub fn held(&self) -> Vec<Held> {
        self.gate.as_ref().map(Gate::held).unwrap_or_default()
    }

    /// Lets a held call be made.
    pub fn let_go(&self, call: Held) {
        if let Some(gate) = &self.gate {
            gate.let_go(call);
        }
    }

    /// Stops holding calls.
    pub fn open_gate(&self) {
        if let Some(gate) = &self.gate {
            gate.open();
        }
    }

    /// Stops reading from it.
    pub fn hang_up(&mut self) {
        self.streams.clear();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its strace is killed first: a program that strace holds stays even when killed.
        let family = self.family();
        let (processes, tracers) = (family.processes(), family.tracers());
        for strace in tracers {
            send(strace, Signal::SIGKILL);
        }
        for process in processes {
            send(process, Signal::SIGKILL);
        }
        let _ = self.child.kill();
        self.streams.clear(); // strace may be blocked on a full pipe while it holds the program
        let _ = self.child.wait();
    }
}

/// Makes `exec` close descriptors that a terminal, an editor or a script has left open in us, so
/// that a program's first socket is 3.
fn leave_descriptors() {
    #[allow(unsafe_code, reason = "around fork")]
    // SAFETY: closes nothing now and takes only integers. A kernel that does not know the flag does
    // nothing.
    unsafe {
        libc::syscall(
            libc::SYS_close_range, // musl has no function for it
            c_uint::from(3_u8),
            c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

/// The directories in which programs are looked for; the last one is this program's own.
fn search_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or("/usr/bin:/bin".into());
    let this = env::current_exe();
    if let Some(beside) = this.ok().as_deref().and_then(Path::parent) {
        path.push(":");
        path.push(beside);
    }
    path
}

/// Waits up to `patience` milliseconds for output of the processes, and passes it on.
pub fn listen<const N: usize>(
    signals: &Signals,
    processes: &mut [&mut Process; N],
    patience: Option<u8>,
    mut heard: impl FnMut(Side, Source, &[u8]),
) -> Result<(), Interrupted> {
    let sides = processes.each_ref().map(|process| process.side);
    listen_to_all(signals, processes, patience, |at, source, bytes| {
        heard(sides[at], source, bytes);
    })
}

/// The same with any number of processes, each known by its index.
pub fn listen_to_all(
    signals: &Signals,
    processes: &mut [&mut Process],
    patience: Option<u8>,
    mut heard: impl FnMut(usize, Source, &[u8]),
) -> Result<(), Interrupted> {
    let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    let streams = processes.iter().flat_map(|process| &process.streams);
    fds.extend(streams.map(|stream| PollFd::new(stream.pipe.as_fd(), PollFlags::POLLIN)));
    let patience = patience.map_or(PollTimeout::NONE, PollTimeout::from);
    poll(&mut fds, patience).map_err(|errno| Interrupted::Failed(format!("poll: {errno}")))?;
    let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
    let mut ready = ready.into_iter();

    if ready.next() == Some(true) {
        signals.take()?;
    }
    let mut buffer = [0; 16384];
    for (at, process) in processes.iter_mut().enumerate() {
        process.count()?;
        let mut last = process.heard;
        process.streams.retain_mut(|stream| {
            if ready.next() != Some(true) {
                return true;
            }
            let n = read(&stream.pipe, &mut buffer).unwrap_or(0);
            stream.other_end = None;
            if n > 0 {
                last = Instant::now();
            }
            heard(at, stream.source, &buffer[..n]);
            n > 0
        });
        process.heard = last;
        // A program that could not be started has no strace that writes.
        if process
            .streams
            .iter()
            .all(|stream| stream.other_end.is_some())
        {
            process.streams.clear();
        }
    }
    Ok(())
}
