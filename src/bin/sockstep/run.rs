//! `sockstep run`: a server on a free port of this machine, and its client against it.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus, Stdio};

use nix::sys::signal::{SigSet, Signal, raise};
use sockstep::{Errno, Error};

use crate::common::note;
use crate::ladder::{Calls, Ladder, Payload};
use crate::lanes::{Lanes, Side, Style};
use crate::pairs::Pair;
use crate::process::{Interrupted, Process, Signals, Source, listen};
use crate::programs::{Implementation, Programs};
use crate::trace::{self, Trace};

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
    /// Only what the two print, without the ladder of their calls
    #[arg(long)]
    plain: bool,
    /// Which calls the ladder shows
    #[arg(long, value_name = "WHICH", default_value = "network")]
    calls: Calls,
    /// How the ladder shows the bytes that a call carries
    #[arg(long, value_name = "HOW", default_value = "text")]
    payload: Payload,
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

impl From<Interrupted> for Trouble {
    fn from(interrupted: Interrupted) -> Trouble {
        match interrupted {
            Interrupted::Signal(signal) => Trouble::Signal(signal),
            Interrupted::Failed(words) => Trouble::Said(words),
        }
    }
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

/// Runs the pair to the client's end, and shows what both do and print meanwhile.
fn watch(args: &Args) -> Result<ExitStatus, Trouble> {
    let pair = args.pair;
    let signals = Signals::collect()?;
    let mut view = View::new(args);
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

    let on_a_free_port = ["--bind", "127.0.0.1", "0"].map(OsString::from);
    let (server, client) = (&programs.paths[0], &programs.paths[1]);
    let mut server = Process::start(
        Side::Server,
        server,
        &on_a_free_port,
        view.traces(),
        Stdio::null(),
    )?;

    let (address, port) = loop {
        if let Some(place) = listening_on(&view.server_said) {
            break place;
        }
        if !server.is_heard() {
            view.end()?;
            let status = server.child.wait().map_err(|error| error.to_string())?;
            return Err(Trouble::Said(format!(
                "{} did not start: {status}",
                pair.server()
            )));
        }
        view.watch(&signals, [&mut server])?;
    };

    let arguments = pair.client_arguments(&address, &port, &args.client_arguments);
    let mut client = Process::start(
        Side::Client,
        client,
        &arguments,
        view.traces(),
        Stdio::inherit(),
    )?;
    while client.is_heard() {
        // The server first: it prints what it received before the client has the answer.
        view.watch(&signals, [&mut server, &mut client])?;
    }
    let status = client.child.wait().map_err(|error| error.to_string())?;

    server.end();
    while server.is_heard() {
        view.watch(&signals, [&mut server])?;
    }
    view.end()?;
    Ok(status)
}

/// What the person sees of the two processes.
struct View {
    picture: Picture,
    traces: [Trace; 2],
    /// What the server has printed, for the line that says where it listens.
    server_said: Vec<u8>,
}

enum Picture {
    Lanes(Lanes),
    Ladder(Box<Ladder>),
}

impl View {
    fn new(args: &Args) -> View {
        let style = Style::of_standard_output();
        let available = if args.plain {
            Err(None)
        } else {
            trace::available().map_err(Some)
        };
        if let Err(Some(why)) = &available {
            note(format_args!("sockstep: no ladder: {why}"));
        }
        let picture = match available {
            Ok(()) => Picture::Ladder(Box::new(Ladder::new(style, args.calls, args.payload))),
            Err(_) => Picture::Lanes(Lanes::new(style)),
        };
        View {
            picture,
            traces: Default::default(),
            server_said: Vec::new(),
        }
    }

    /// Whether the processes are to run under strace.
    fn traces(&self) -> bool {
        matches!(self.picture, Picture::Ladder(_))
    }

    /// Waits for what comes next, and shows it.
    fn watch<const N: usize>(
        &mut self,
        signals: &Signals,
        mut processes: [&mut Process; N],
    ) -> Result<(), Trouble> {
        let patience = match &self.picture {
            Picture::Ladder(ladder) if ladder.has_more() => Some(10),
            _ => None,
        };
        let mut shown = Ok(());
        listen(signals, &mut processes, patience, |side, source, bytes| {
            if (side, source) == (Side::Server, Source::StandardOutput) {
                self.server_said.extend_from_slice(bytes);
            }
            match (&mut self.picture, source) {
                (Picture::Ladder(ladder), Source::Strace) => {
                    for entry in self.traces[side as usize].take(bytes) {
                        ladder.traced(side, entry);
                    }
                }
                (Picture::Ladder(ladder), Source::StandardError) => ladder.complained(side, bytes),
                (Picture::Lanes(lanes), _) if shown.is_ok() => {
                    shown = lanes.show(side, source == Source::StandardError, bytes);
                }
                _ => {} // in a ladder, what a program prints stands among its calls
            }
        })?;
        shown?;
        if let Picture::Ladder(ladder) = &mut self.picture {
            ladder.draw(false)?;
        }
        Ok(())
    }

    /// Shows what is still held back.
    fn end(&mut self) -> sockstep::Result<()> {
        match &mut self.picture {
            Picture::Ladder(ladder) => ladder.draw(true),
            Picture::Lanes(lanes) => lanes.end(),
        }
    }
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
