//! The two processes of a run: started so that they do not outlive us, and what comes from them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getppid};
use sockstep::{Errno, read};

use crate::draw::terminal::Side;
use crate::strace::command::{Pipe, strace};

/// A running program and what comes from it.
pub struct Process {
    pub side: Side,
    pub child: Child,
    traced: bool,
    streams: Vec<Stream>,
}

struct Stream {
    source: Source,
    pipe: OwnedFd,
    /// The end that strace is to open: ours until it has done so, for otherwise the pipe would seem to have ended.
    other_end: Option<OwnedFd>,
}

/// Where bytes came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    StandardOutput,
    StandardError,
    Strace,
}

impl Process {
    /// Starts a program, under strace if it is to be traced.
    pub fn start(
        side: Side,
        program: &Path,
        arguments: &[OsString],
        traced: bool,
        stdin: Stdio,
    ) -> Result<Process, String> {
        let options: Option<&[String]> = if traced { Some(&[]) } else { None };
        Process::start_under(side, program, arguments, options, stdin)
    }

    /// The same, with options for strace if it is to be traced.
    pub fn start_under(
        side: Side,
        program: &Path,
        arguments: &[OsString],
        options: Option<&[String]>,
        stdin: Stdio,
    ) -> Result<Process, String> {
        let mut streams = Vec::new();
        let mut command = if let Some(options) = options {
            let pipe = Pipe::new()?;
            let mut command = strace(&pipe.path(), options);
            command.arg(program);
            let Pipe { from, into } = pipe;
            streams.push(Stream {
                source: Source::Strace,
                pipe: from,
                other_end: Some(into),
            });
            command
        } else {
            Command::new(program)
        };
        command
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());

        let parent = getpid();
        let die_with_parent = move || {
            leave_descriptors();
            SigSet::empty().thread_set_mask()?; // ours holds back what is to end it
            set_pdeathsig(Signal::SIGKILL)?;
            if getppid() == parent {
                Ok(())
            } else {
                Err(io::Error::from(Errno::ESRCH))
            }
        };
        #[allow(unsafe_code, reason = "around fork")]
        // SAFETY: between fork and exec the closure makes four system calls, and no allocation.
        unsafe {
            command.pre_exec(die_with_parent)
        };
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
        let out = child
            .stdout
            .take()
            .map(|pipe| (Source::StandardOutput, pipe.into()));
        let err = child
            .stderr
            .take()
            .map(|pipe| (Source::StandardError, pipe.into()));
        let own = out.into_iter().chain(err);
        streams.splice(
            0..0,
            own.map(|(source, pipe)| Stream {
                source,
                pipe,
                other_end: None,
            }),
        );
        Ok(Process {
            side,
            child,
            traced: options.is_some(),
            streams,
        })
    }

    /// Whether something may still come.
    pub fn is_heard(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Whether all of it waits for somebody or something.
    pub fn is_asleep(&self) -> bool {
        self.child
            .id()
            .try_into()
            .is_ok_and(|id| is_asleep(Pid::from_raw(id)))
    }

    /// Asks it to end, as Ctrl-C would.
    pub fn end(&self) {
        self.signal(Signal::SIGTERM);
    }

    pub fn signal(&self, signal: Signal) {
        if let Ok(id) = self.child.id().try_into() {
            let _ = kill(Pid::from_raw(id), signal); // it may have ended already
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its strace goes first: while that holds a program back, even a killed one stays.
        if let (true, Ok(None)) = (self.traced, self.child.try_wait()) {
            let _ = tracer_of(self.child.id()).map(|strace| kill(strace, Signal::SIGKILL));
        }
        let _ = self.child.kill();
        self.streams.clear(); // strace may be writing into a full pipe, and holds the program until it is done
        let _ = self.child.wait();
    }
}

/// Has `exec` close what a terminal, an editor or a script has left open in us: a program's first socket is to be 3.
fn leave_descriptors() {
    let Ok(flags) = libc::CLOSE_RANGE_CLOEXEC.try_into() else {
        return; // it does fit
    };
    #[allow(unsafe_code, reason = "around fork")]
    // SAFETY: closes nothing now, and three integers are no memory. Where the kernel does not know the flag nothing happens.
    unsafe {
        libc::close_range(3, libc::c_uint::MAX, flags)
    };
}

/// Who traces a process of ours.
fn tracer_of(process: u32) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"))?;
    let tracer = tracer.trim().parse().ok()?;
    (tracer > 0).then(|| Pid::from_raw(tracer))
}

/// A command as a shell has it: what to start, and its arguments. Our own programs are found beside this one.
pub fn shell(command: &OsStr) -> Result<(PathBuf, Vec<OsString>), String> {
    let this = std::env::current_exe().map_err(|error| format!("where am I? {error}"))?;
    let beside = this.parent().unwrap_or(Path::new("/"));
    let mut script = OsString::from("PATH=${PATH:+$PATH:}$1; exec ");
    script.push(command);
    Ok((
        PathBuf::from("/bin/sh"),
        vec!["-c".into(), script, "sh".into(), beside.into()],
    ))
}

/// Makes the children of our children ours when their parents end, so that [`end_strays`] finds them.
pub fn adopt() -> Result<(), String> {
    set_child_subreaper(true).map_err(|errno| format!("prctl: {errno}"))
}

/// Ends whatever is left of what we started. strace's `-D` waits for ever when its program is killed before it has attached.
pub fn end_strays() {
    loop {
        let children = children(getpid());
        for &child in &children {
            let _ = kill(child, Signal::SIGKILL);
        }
        let patience = if children.is_empty() {
            Some(WaitPidFlag::WNOHANG)
        } else {
            None
        };
        match waitpid(None, patience) {
            Err(Errno::EINTR) => {}
            Err(_) | Ok(WaitStatus::StillAlive) => return, // no child is left
            Ok(_) => {}
        }
    }
}

/// Whether no thread of a process, and of those that it started, has anything to do now.
fn is_asleep(process: Pid) -> bool {
    let sleeps = |stat: String| {
        let state = stat.rsplit_once(") "); // behind the name, in which anything may stand
        state.is_some_and(|(_, state)| !state.starts_with(['R', 'D', 't'])) // t: strace is about to let it go on
    };
    of_threads(process, "stat").all(sleeps) && children(process).into_iter().all(is_asleep)
}

/// What the kernel says of each thread of a process in a file of that name.
fn of_threads(process: Pid, file: &str) -> impl Iterator<Item = String> {
    let threads = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    threads.filter_map(move |thread| fs::read_to_string(thread.path().join(file)).ok())
}

/// The children of a process, whichever of its threads started them.
pub fn children(process: Pid) -> Vec<Pid> {
    of_threads(process, "children")
        .flat_map(|list| {
            list.split_whitespace()
                .flat_map(str::parse)
                .map(Pid::from_raw)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Why waiting ended without anything to hear.
pub enum Interrupted {
    Signal(Signal),
    Failed(String),
}

impl From<String> for Interrupted {
    fn from(words: String) -> Interrupted {
        Interrupted::Failed(words)
    }
}

/// Waits until something comes from the processes, or so many milliseconds have passed, and hands it on.
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
    let mut fds = vec![PollFd::new(signals.0.as_fd(), PollFlags::POLLIN)];
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
        process.streams.retain_mut(|stream| {
            if ready.next() != Some(true) {
                return true;
            }
            let n = read(&stream.pipe, &mut buffer).unwrap_or(0);
            stream.other_end = None;
            heard(at, stream.source, &buffer[..n]);
            n > 0
        });
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

/// The signals that end us, held back until they are asked for, so that what we started and made goes first.
pub struct Signals(SignalFd);

impl Signals {
    pub fn collect() -> Result<Signals, String> {
        let ends_us = [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ];
        let set: SigSet = ends_us.into_iter().collect();
        set.thread_block()
            .and_then(|()| {
                SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            })
            .map(Signals)
            .map_err(|errno| format!("signalfd: {errno}"))
    }

    /// Fails with the signal that came, if one did.
    fn take(&self) -> Result<(), Interrupted> {
        match self.0.read_signal() {
            Ok(Some(info)) => {
                let number = i32::try_from(info.ssi_signo).unwrap_or_default();
                let unknown = |_| Interrupted::Failed(format!("signal {number}"));
                Err(Signal::try_from(number).map_or_else(unknown, Interrupted::Signal))
            }
            _ => Ok(()),
        }
    }
}
