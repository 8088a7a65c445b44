//! `sockstep run`: a server on a free port of this machine, and its client against it.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpid, getppid};
use sockstep::{Errno, Error, read};

use crate::common::note;
use crate::lanes::{Lanes, Side};
use crate::pairs::Pair;
use crate::programs::{Implementation, Programs};

/// Run a pair: its server on a free port, its client against it
///
/// Standard input goes to the client. The server is ended when the client is done, and the client's exit status is returned.
#[derive(clap::Args)]
#[command(after_help = "Example: sockstep run tcp_echo --impl c -- hello")]
pub struct Args {
    /// Which pair
    pair: Pair,
    /// Both programs in this language
    #[arg(long = "impl", value_name = "LANGUAGE", default_value = "rust")]
    implementation: Implementation,
    /// The server in this language
    #[arg(long, value_name = "LANGUAGE")]
    server_impl: Option<Implementation>,
    /// The client in this language
    #[arg(long, value_name = "LANGUAGE")]
    client_impl: Option<Implementation>,
    /// More arguments for the client
    #[arg(last = true, value_name = "CLIENT ARGUMENTS")]
    client_arguments: Vec<OsString>,
}

/// How a run ended other than by its client.
enum Trouble {
    /// Our own words, for standard error.
    Said(String),
    /// A signal to us, from Ctrl-C or `kill`.
    Signal(Signal),
    /// Standard output is full, or nobody reads it.
    Output(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Output(error)
    }
}

impl From<String> for Trouble {
    fn from(words: String) -> Trouble {
        Trouble::Said(words)
    }
}

pub fn run(args: &Args) -> ExitCode {
    match watch(args) {
        Ok(status) => {
            let code = status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Err(Trouble::Output(error)) if error == Errno::EPIPE => ExitCode::SUCCESS,
        Err(Trouble::Output(error)) => fail(&error.to_string()),
        Err(Trouble::Said(words)) => fail(&words),
        Err(Trouble::Signal(signal)) => {
            SigSet::from(signal)
                .thread_unblock()
                .and_then(|()| raise(signal))
                .ok();
            ExitCode::FAILURE // the signal has ended us
        }
    }
}

fn fail(words: &str) -> ExitCode {
    note(format_args!("sockstep: {words}"));
    ExitCode::FAILURE
}

/// Runs the pair to the client's end, and shows what both print meanwhile.
fn watch(args: &Args) -> Result<ExitStatus, Trouble> {
    let pair = args.pair;
    let signals = Signals::collect()?;
    let programs = Programs::find(&[
        (
            pair.server(),
            args.server_impl.unwrap_or(args.implementation),
        ),
        (
            pair.client(),
            args.client_impl.unwrap_or(args.implementation),
        ),
    ])?;
    let mut lanes = Lanes::new();

    let mut server_command = Command::new(&programs.paths[0]);
    server_command
        .args(["--bind", "127.0.0.1", "0"])
        .stdin(Stdio::null());
    let mut server = Process::start(Side::Server, server_command)?;

    // The server says where it is. What comes before and with that is shown as the rest is.
    let mut said = Vec::new();
    let (address, port) = loop {
        if let Some(place) = listening_on(&said) {
            break place;
        }
        if !server.prints() {
            let status = server.child.wait().map_err(|error| error.to_string())?;
            return Err(Trouble::Said(format!(
                "{} did not start: {status}",
                pair.server()
            )));
        }
        next(&signals, [&mut server], |side, wrong, bytes| {
            said.extend_from_slice(bytes);
            lanes.show(side, wrong, bytes)
        })?;
    };

    let mut client_command = Command::new(&programs.paths[1]);
    client_command.args(pair.client_arguments(&address, &port, &args.client_arguments));
    let mut client = Process::start(Side::Client, client_command)?;
    drop(programs);

    while client.prints() {
        // The server first: it prints what it received before the client has the answer.
        next(
            &signals,
            [&mut server, &mut client],
            |side, wrong, bytes| lanes.show(side, wrong, bytes),
        )?;
    }
    let status = client.child.wait().map_err(|error| error.to_string())?;

    server.end();
    while server.prints() {
        next(&signals, [&mut server], |side, wrong, bytes| {
            lanes.show(side, wrong, bytes)
        })?;
    }
    lanes.end()?;
    Ok(status)
}

/// The address and the port that a server's `listening on` line names, once that line is whole.
fn listening_on(said: &[u8]) -> Option<(String, String)> {
    let (whole, _) = said.split_at(said.iter().rposition(|&byte| byte == b'\n')?);
    let text = String::from_utf8_lossy(whole);
    let place = text
        .lines()
        .find_map(|line| line.strip_prefix("listening on "))?;
    let (address, port) = place.rsplit_once(':')?;
    Some((address.to_owned(), port.to_owned()))
}

/// Waits for what the processes print next, and hands it on.
fn next<const N: usize>(
    signals: &Signals,
    mut processes: [&mut Process; N],
    mut show: impl FnMut(Side, bool, &[u8]) -> sockstep::Result<()>,
) -> Result<(), Trouble> {
    let mut fds = vec![PollFd::new(signals.0.as_fd(), PollFlags::POLLIN)];
    let streams = processes.iter().flat_map(|process| &process.streams);
    fds.extend(streams.map(|stream| PollFd::new(stream.pipe.as_fd(), PollFlags::POLLIN)));
    poll(&mut fds, PollTimeout::NONE).map_err(|errno| format!("poll: {errno}"))?;
    let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
    let mut ready = ready.into_iter();

    if ready.next() == Some(true) {
        signals.take()?;
    }
    let mut buffer = [0; 16384];
    for process in &mut processes {
        let mut outcome = Ok(());
        process.streams.retain(|stream| {
            if outcome.is_err() || ready.next() != Some(true) {
                return true;
            }
            let n = read(&stream.pipe, &mut buffer).unwrap_or(0);
            outcome = show(process.side, stream.wrong, &buffer[..n]);
            n > 0
        });
        outcome?;
    }
    Ok(())
}

/// A running program and the pipes that it prints into. It does not outlive this.
struct Process {
    side: Side,
    child: Child,
    streams: Vec<Stream>,
}

struct Stream {
    pipe: OwnedFd,
    wrong: bool,
}

impl Process {
    fn start(side: Side, mut command: Command) -> Result<Process, String> {
        let parent = getpid();
        let die_with_parent = move || {
            SigSet::empty().thread_set_mask()?; // ours holds back what is to end it
            set_pdeathsig(Signal::SIGKILL)?;
            if getppid() == parent {
                Ok(())
            } else {
                Err(io::Error::from(Errno::ESRCH))
            }
        };
        #[allow(unsafe_code, reason = "around fork")]
        // SAFETY: between fork and exec the closure makes three system calls, and no allocation.
        unsafe {
            command.pre_exec(die_with_parent)
        };
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
        let out = child.stdout.take().map(|pipe| Stream {
            pipe: pipe.into(),
            wrong: false,
        });
        let err = child.stderr.take().map(|pipe| Stream {
            pipe: pipe.into(),
            wrong: true,
        });
        Ok(Process {
            side,
            child,
            streams: out.into_iter().chain(err).collect(),
        })
    }

    /// Whether it may still print.
    fn prints(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Asks it to end, as Ctrl-C would.
    fn end(&self) {
        if let Ok(id) = self.child.id().try_into() {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM); // it may have ended already
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The signals that end us, held back until they are asked for, so that what we started and made goes first.
struct Signals(SignalFd);

impl Signals {
    fn collect() -> Result<Signals, String> {
        let set: SigSet = [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ]
        .into_iter()
        .collect();
        set.thread_block()
            .and_then(|()| {
                SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            })
            .map(Signals)
            .map_err(|errno| format!("signalfd: {errno}"))
    }

    /// Fails with the signal that came, if one did.
    fn take(&self) -> Result<(), Trouble> {
        match self.0.read_signal() {
            Ok(Some(info)) => {
                let number = i32::try_from(info.ssi_signo).unwrap_or_default();
                Err(Signal::try_from(number)
                    .map_or(Trouble::Said(format!("signal {number}")), Trouble::Signal))
            }
            _ => Ok(()),
        }
    }
}
