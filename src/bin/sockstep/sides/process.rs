//! The two processes of a run: started so that they do not outlive us, and what comes from them.

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

/// How long to listen at most, in milliseconds, before it is looked at whether a side is ready, done, idle or has ended.
pub const TICK: u8 = 20;
/// How long a side goes on when the client is done, whatever it does.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// From then on a side that waits is idle: strace's own words take a moment.
const SILENCE: Duration = Duration::from_millis(30);
/// From then on a side that waits without a limit is stuck, if the other one is too.
pub const STUCK: Duration = Duration::from_secs(10);
/// How often they are counted.
const COUNTING: Duration = Duration::from_millis(50);
/// When all processes of a side have ended, the last of what they wrote has come by then.
const DRAINED: Duration = Duration::from_millis(200);

/// A running program and what comes from it.
pub struct Process {
    pub side: Side,
    pub child: Child,
    /// What its processes have in their environment.
    mark: String,
    streams: Vec<Stream>,
    /// When something came from it last.
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
    /// The end that strace is to open: ours until it has done so, for otherwise the pipe would seem to have ended.
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

/// Where bytes came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    StandardOutput,
    StandardError,
    Strace,
}

/// How a program is to be started.
pub struct Start<'a> {
    pub side: Side,
    pub program: &'a Path,
    pub arguments: &'a [OsString],
    /// More options for strace; without strace if there are none, not even an empty list.
    pub trace: Option<&'a [String]>,
    pub input: Stdio,
    /// Its standard output is a terminal, instead of a pipe.
    pub terminal: bool,
    /// In a process group of its own: what is typed at our terminal (Ctrl-C, Ctrl-Z) does not reach it.
    pub apart: bool,
    /// One that starts more processes than a sound program does is ended.
    pub is_counted: bool,
    /// Each call on a socket is held before it is made.
    pub gated: bool,
    /// What it may have less of than we do.
    pub limits: &'a [(Resource, rlim_t)],
}

impl<'a> Start<'a> {
    /// Under strace, without any input. A server is apart.
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
        // Where there are no terminals (sockstep doctor says so), C keeps back what it prints.
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
        // Of ours it is not to hear that it has another size: that would interrupt its calls. Else ours holds back what is to end it.
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
    /// Whether something may still come.
    pub fn is_heard(&self) -> bool {
        !self.streams.is_empty()
    }

    /// For how long nothing has come.
    pub fn silent_for(&self) -> Duration {
        self.heard.elapsed()
    }

    /// The process that was started.
    pub fn first(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap_or(i32::MAX))
    }

    /// All processes of this side that have not ended: what it started, daemons too. strace is none of them.
    pub fn processes(&self) -> Vec<Pid> {
        self.family().processes()
    }

    fn family(&self) -> Family<'_> {
        Family {
            first: self.first(),
            mark: &self.mark,
        }
    }

    /// Whether a program that ends by itself is done: its first process has ended, and all that this one has left behind; or
    /// what is left has been silent for [`PATIENCE`].
    pub fn is_done(&mut self) -> bool {
        if self.is_heard() && matches!(self.child.try_wait(), Ok(Some(_))) {
            let ended = *self.ended.get_or_insert_with(Instant::now);
            let silent_for = self.silent_for().min(ended.elapsed()); // before that it was silent because it waited
            if silent_for > PATIENCE {
                return true;
            }
            if silent_for > DRAINED && self.processes().is_empty() {
                self.hang_up(); // another process has the other ends of the pipes
            }
        }
        self.has_ended()
    }

    /// Whether all of it has ended, and is heard.
    pub fn has_ended(&self) -> bool {
        !self.is_heard() && self.processes().is_empty()
    }

    /// Whether each of its tasks waits for another program, and all its output has been read.
    pub fn is_idle(&self) -> bool {
        self.is_idle_but_for(&HashSet::new())
    }

    /// The same, if these of its tasks are stopped: strace says so, and the kernel says of whatever strace looks at that it is.
    pub fn is_idle_but_for(&self, stopped: &HashSet<u32>) -> bool {
        let is_stopped =
            |process: Pid| u32::try_from(process.as_raw()).is_ok_and(|pid| stopped.contains(&pid));
        let is_idle = |process| is_stopped(process) || waits(process);
        self.silent_for() >= SILENCE && self.processes().into_iter().all(is_idle)
    }

    /// Whether all of it has waited for a while, some of it for bytes, and nothing but another process ends that.
    pub fn is_stuck(&self) -> bool {
        let mut receives = false;
        self.silent_for() >= STUCK
            && self
                .processes()
                .into_iter()
                .all(|process| waits_without_end(process, &mut receives))
            && receives
    }

    /// Whether all of its tasks wait.
    pub fn is_asleep(&self) -> bool {
        self.processes().into_iter().all(is_asleep)
    }

    /// Fails if it has started more processes than a sound program does.
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

    /// Asks its first process to end, as Ctrl-C would. [`End`](crate::sides::end::End) sees to it that all of it does.
    pub fn end(&self) {
        send(self.first(), Signal::SIGTERM);
    }

    /// Sends a signal to all of it.
    pub fn signal(&self, signal: Signal) {
        for process in self.processes() {
            send(process, signal);
        }
    }

    /// Tells it that the person's terminal has another size now.
    pub fn resize(&self) {
        let output = self
            .streams
            .iter()
            .find(|stream| stream.source == Source::StandardOutput);
        if let Some(stream) = output.filter(|stream| stream.pipe.is_terminal()) {
            terminal::resize(&stream.pipe);
        }
    }

    /// The calls that are held before they are made, the first ones first.
    pub fn held(&self) -> Vec<Held> {
        self.gate.as_ref().map(Gate::held).unwrap_or_default()
    }

    /// Has a call be made that is held.
    pub fn let_go(&self, call: Held) {
        if let Some(gate) = &self.gate {
            gate.let_go(call);
        }
    }

    /// Holds no call any more.
    pub fn open_gate(&self) {
        if let Some(gate) = &self.gate {
            gate.open();
        }
    }

    /// Hears no more of it.
    pub fn hang_up(&mut self) {
        self.streams.clear();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its strace goes first: while that holds a program back, even a killed one stays.
        let family = self.family();
        let (processes, tracers) = (family.processes(), family.tracers());
        for strace in tracers {
            send(strace, Signal::SIGKILL);
        }
        for process in processes {
            send(process, Signal::SIGKILL);
        }
        let _ = self.child.kill();
        self.streams.clear(); // strace may be writing into a full pipe, and holds the program until it is done
        let _ = self.child.wait();
    }
}

/// Has `exec` close what a terminal, an editor or a script has left open in us: a program's first socket is to be 3.
fn leave_descriptors() {
    #[allow(unsafe_code, reason = "around fork")]
    // SAFETY: closes nothing now, and integers are no memory. Where the kernel does not know the flag nothing happens.
    unsafe {
        libc::syscall(
            libc::SYS_close_range, // musl has no function for it
            c_uint::from(3_u8),
            c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

/// Where programs are looked for: last of all where this one is.
fn search_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or("/usr/bin:/bin".into());
    let this = env::current_exe();
    if let Some(beside) = this.ok().as_deref().and_then(Path::parent) {
        path.push(":");
        path.push(beside);
    }
    path
}

/// Waits up to `patience` milliseconds until something comes from the processes, and hands it on.
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

/// The same with any number of processes, each known by its place among them.
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
        // A program that could not be started has no strace that would write.
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
