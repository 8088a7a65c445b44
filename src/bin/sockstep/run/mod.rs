//! `sockstep run`: a server on a free port of this machine, and its client against it.

mod clients;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::common::print;
use crate::diff::normalise::sin_port;
use crate::draw::call::Payload;
use crate::draw::json::Json;
use crate::draw::ladder::{Calls, Ladder};
use crate::draw::terminal::{Lanes, Side, Style, remark};
use crate::lectures::pairs::{Choice, Pair};
use crate::lectures::programs::{Implementation, Programs};
use crate::lectures::steps::Sockets;
use crate::run::clients::Clients;
use crate::sides::process::{Process, Signals, Source, adopt, end_strays, listen, shell};
use crate::sides::trouble::Trouble;
use crate::strace::command::{self, Trace};
use crate::strace::line::{Begun, Entry, What};

/// Run a pair: its server on a free port, its client against it
///
/// Standard input goes to the client. The server is ended when the client is done.
///
/// Exit status: 1 if there was trouble, 2 if an argument is bad; else the client's, or 128 + N if signal N ended it.
#[derive(clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Example: sockstep run tcp_echo --impl c -- hello"
)]
pub struct Args {
    /// Which pair; with --clients any of the TCP echo servers, or several to compare
    #[arg(required_unless_present_any = ["server", "client"], conflicts_with_all = ["server", "client"], value_parser = Choice::parser())]
    pair: Vec<Choice>,
    /// Run so many clients at the same time, each with the word and its number, and draw who waits for what, and for how long
    #[arg(long, value_name = "N", conflicts_with_all = ["server", "plain", "keep", "print_command", "calls", "payload"], value_parser = clap::value_parser!(u8).range(1..=9))]
    clients: Option<u8>,
    /// How long each of them keeps its connection when it has its answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100, requires = "clients", value_parser = clap::value_parser!(u32).range(10..=60_000))]
    think: u32,
    /// Any server instead, as a shell has it: './my_server 12000'
    #[arg(long, value_name = "COMMAND", requires = "client")]
    server: Option<OsString>,
    /// Any client instead, as a shell has it: './my_client 127.0.0.1 12000'
    #[arg(long, value_name = "COMMAND", requires = "server")]
    client: Option<OsString>,
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
    /// Leave strace's own recordings in this directory, as client.strace and server.strace
    #[arg(long, value_name = "DIR", conflicts_with = "plain")]
    keep: Option<PathBuf>,
    /// Print the entries as JSON, one a line, instead of the ladder
    #[arg(long, conflicts_with = "plain")]
    json: bool,
    /// Print the strace commands, and run nothing
    #[arg(long)]
    print_command: bool,
    /// More arguments for the client
    #[arg(last = true, value_name = "CLIENT ARGUMENTS")]
    client_arguments: Vec<OsString>,
}

pub fn run(args: &Args) -> ExitCode {
    let unfit = args.pair.iter().find(|choice| choice.pair != Pair::TcpEcho);
    if let (Some(_), Some(other)) = (args.clients, unfit) {
        remark(format_args!(
            "--clients is for the TCP echo servers, not for {}",
            other.server
        ));
        return ExitCode::from(2);
    }
    if args.pair.len() > 1 && args.clients.is_none() {
        remark("several servers are compared with --clients N");
        return ExitCode::from(2);
    }
    let outcome = adopt()
        .map_err(Trouble::Said)
        .and_then(|()| match args.clients {
            Some(clients) => watch_many(args, clients),
            None => watch(args),
        });
    end_strays();
    match outcome {
        Ok(status) => {
            let code = status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Err(trouble) => trouble.end(1, 0),
    }
}

/// What is to be run.
struct Plan {
    /// One of our pairs, or else any two programs.
    pair: Option<Pair>,
    server: Command,
    client: Command,
    /// Keeps the twins until the end.
    _programs: Option<Programs>,
}

/// A program and its arguments.
type Command = (PathBuf, Vec<OsString>);

impl Plan {
    fn of(args: &Args) -> Result<Plan, String> {
        if let (Some(server), Some(client)) = (&args.server, &args.client) {
            let command = |words: &OsString| {
                if !args.print_command {
                    return shell(words);
                }
                let mut exec = OsString::from("exec ");
                exec.push(words);
                Ok((PathBuf::from("/bin/sh"), vec!["-c".into(), exec]))
            };
            return Ok(Plan {
                pair: None,
                server: command(server)?,
                client: command(client)?,
                _programs: None,
            });
        }
        let &[Choice { pair, server }] = &args.pair[..] else {
            return Err("one pair is to be named".to_owned());
        };
        let mut programs = Programs::find(&[
            (server, args.server_impl.unwrap_or(args.implementation)),
            (
                pair.client(),
                args.client_impl.unwrap_or(args.implementation),
            ),
        ])?;
        let mut on_a_free_port = ["--bind", "127.0.0.1", "0"].map(OsString::from).to_vec();
        if pair == Pair::Web && !args.print_command {
            on_a_free_port.extend(["--root".into(), programs.site()?.into()]);
        }
        let server = (programs.paths[0].clone(), on_a_free_port);
        let client = (programs.paths[1].clone(), Vec::new());
        Ok(Plan {
            pair: Some(pair),
            server,
            client,
            _programs: Some(programs),
        })
    }

    /// Tells the client of a pair where its server is.
    fn point_client_to(&mut self, address: &str, port: &str, given: &[OsString]) {
        if let Some(pair) = self.pair {
            self.client.1 = pair.client_arguments(address, port, given);
        }
    }

    /// The strace commands, to be typed elsewhere.
    fn print(mut self, given: &[OsString]) {
        self.point_client_to("127.0.0.1", "PORT", given);
        for ((program, arguments), file) in [
            (self.server, "server.strace"),
            (self.client, "client.strace"),
        ] {
            let mut strace = command::strace(file.as_ref(), &[]);
            strace.arg(program).args(arguments);
            let words = [strace.get_program()].into_iter().chain(strace.get_args());
            let words: Vec<String> = words.map(quoted).collect();
            print(format!("{}\n", words.join(" ")).as_bytes());
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+:,./%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// How long a server that is bound may take to listen before a person is told what is missing.
const PATIENCE: Duration = Duration::from_secs(3);

/// The calls in which a server, or a process or thread of it, waits for something to do.
const WAITS_FOR_ANYBODY: [&str; 10] = [
    "accept",
    "accept4",
    "select",
    "pselect6",
    "poll",
    "ppoll",
    "epoll_wait",
    "epoll_pwait",
    "futex",
    "wait4",
];

/// Runs each server with many clients, and shows what they do.
fn watch_many(args: &Args, clients: u8) -> Result<ExitStatus, Trouble> {
    clients::watch(&Clients {
        servers: args.pair.iter().map(|choice| choice.server).collect(),
        server_impl: args.server_impl.unwrap_or(args.implementation),
        client_impl: args.client_impl.unwrap_or(args.implementation),
        number: clients.into(),
        think: args.think,
        given: &args.client_arguments,
        json: args.json,
    })
}

/// Runs the pair to the client's end, and shows what both do and print meanwhile.
fn watch(args: &Args) -> Result<ExitStatus, Trouble> {
    let signals = Signals::collect()?;
    let mut plan = Plan::of(args)?;
    if args.print_command {
        plan.print(&args.client_arguments);
        return Ok(ExitStatus::default());
    }
    let mut view = View::new(args)?;

    let (program, arguments) = &plan.server;
    let mut server = Process::start(
        Side::Server,
        program,
        arguments,
        view.traces(),
        Stdio::null(),
    )?;
    while !view.server_is_ready {
        if !server.is_heard() {
            view.end()?;
            let status = server.child.wait().map_err(|error| error.to_string())?;
            let why = view.why_it_did_not_start(args.server.as_deref(), status);
            return Err(Trouble::Said(why));
        }
        view.watch(&signals, [&mut server])?;
        if let Some((address, port)) = listening_on(&view.server_said) {
            plan.point_client_to(&address, &port, &args.client_arguments);
            view.server_is_ready = true;
        } else if plan.pair.is_none() {
            view.server_is_ready = view.server().listens;
        }
        if !view.server_is_ready {
            view.hint_at_listen()?;
        }
    }

    let (program, arguments) = &plan.client;
    let mut client = Process::start(
        Side::Client,
        program,
        arguments,
        view.traces(),
        Stdio::inherit(),
    )?;
    while client.is_heard() {
        // The server first: it prints what it received before the client has the answer.
        view.watch(&signals, [&mut server, &mut client])?;
        if view.sends_datagrams() {
            view.hint_at_htons()?; // now: no answer will come, and the client may wait for ever
        }
    }
    let status = client.child.wait().map_err(|error| error.to_string())?;

    // The server may still have to notice that its client has gone.
    view.client_is_done = true;
    let mut last_heard = Instant::now();
    while server.is_heard() && last_heard.elapsed() < view.patience_with(&server) {
        if view.watch(&signals, [&mut server])? {
            last_heard = Instant::now();
        }
    }
    server.end();
    while server.is_heard() {
        view.watch(&signals, [&mut server])?;
    }
    view.end()?;
    view.hint_at_htons()?;
    Ok(status)
}

/// What the person sees of the two processes.
struct View {
    picture: Picture,
    lanes: [Recording; 2],
    /// What the server has printed, for the line that says where it listens.
    server_said: Vec<u8>,
    server_is_ready: bool,
    client_is_done: bool,
    /// What a person has been told already.
    hinted_at_listen: bool,
    hinted_at_htons: bool,
}

/// What strace says of one side.
#[derive(Default)]
struct Recording {
    trace: Trace,
    kept: Option<File>,
    sockets: Sockets,
    /// Its `listen`, or its `bind` of a datagram socket, has succeeded.
    listens: bool,
    /// What has become of its last `bind` to a port, and since when.
    bind: Option<(Bind, Instant)>,
    /// The port at which it was refused, or (then `true`) to which it sent a datagram.
    asked: Option<(u16, bool)>,
}

#[derive(Clone, Copy)]
enum Bind {
    To(u16),
    /// Somebody else has the port.
    InUse(u16),
}

impl Recording {
    /// Takes the next entry of the side's trace.
    fn follow(&mut self, entry: &Entry) {
        let What::Call(call) = &entry.what else {
            return;
        };
        let stream = self.sockets.follow(entry.pid, call);
        let port = |at: usize| call.args.get(at).and_then(|arg| sin_port(arg));
        let error = call.note.split(' ').next().unwrap_or_default();
        match (call.name.as_str(), stream, error) {
            ("listen", _, _) if call.result == "0" => self.listens = true,
            ("bind", Some(stream), _) if call.result == "0" => {
                self.listens |= !stream;
                self.bind = port(1).map(|port| (Bind::To(port), Instant::now()));
            }
            ("bind", Some(_), "EADDRINUSE") => {
                self.bind = port(1).map(|port| (Bind::InUse(port), Instant::now()));
            }
            ("connect", Some(true), "ECONNREFUSED") => {
                self.asked = port(1).map(|port| (port, false));
            }
            ("sendto", Some(false), _) => {
                self.asked = port(4).map(|port| (port, true)).or(self.asked);
            }
            _ => {}
        }
    }
}

enum Picture {
    Lanes(Lanes),
    Ladder(Box<Ladder>),
    Json(Json),
}

impl View {
    fn new(args: &Args) -> Result<View, Trouble> {
        let style = Style::of_standard_output();
        let available = if args.plain {
            Err(None)
        } else {
            command::available().map_err(Some)
        };
        let picture = match available {
            Ok(()) if args.json => Picture::Json(Json::begin()?),
            Ok(()) => Picture::Ladder(Box::new(Ladder::new(style, args.calls, args.payload))),
            Err(Some(why)) if args.json => return Err(Trouble::Said(why)),
            Err(why) => {
                if let Some(why) = why {
                    remark(format_args!("no ladder: {why}"));
                }
                Picture::Lanes(Lanes::new(style))
            }
        };
        let mut lanes: [Recording; 2] = Default::default();
        if let Some(directory) = &args.keep {
            let failed = |error| format!("{}: {error}", directory.display());
            fs::create_dir_all(directory).map_err(failed)?;
            lanes[Side::Client as usize].kept =
                Some(File::create(directory.join("client.strace")).map_err(failed)?);
            lanes[Side::Server as usize].kept =
                Some(File::create(directory.join("server.strace")).map_err(failed)?);
        }
        Ok(View {
            picture,
            lanes,
            server_said: Vec::new(),
            server_is_ready: false,
            client_is_done: false,
            hinted_at_listen: false,
            hinted_at_htons: false,
        })
    }

    /// Whether the processes are to run under strace.
    fn traces(&self) -> bool {
        !matches!(self.picture, Picture::Lanes(_))
    }

    /// Waits for what comes next, and shows it. Says whether anything came.
    fn watch<const N: usize>(
        &mut self,
        signals: &Signals,
        mut processes: [&mut Process; N],
    ) -> Result<bool, Trouble> {
        let patience = match &self.picture {
            Picture::Ladder(ladder) if ladder.has_more() => Some(10),
            _ if self.client_is_done => Some(10),
            _ if self.server_is_late().is_some() => Some(100),
            Picture::Ladder(ladder) if ladder.is_live() => Some(100),
            _ => None,
        };
        let (mut shown, mut kept, mut heard) = (Ok(()), Ok(()), false);
        listen(signals, &mut processes, patience, |side, source, bytes| {
            heard |= !bytes.is_empty();
            if (side, source) == (Side::Server, Source::StandardOutput) {
                self.server_said.extend_from_slice(bytes);
            }
            if source == Source::Strace {
                let lane = &mut self.lanes[side as usize];
                if let Some(file) = &mut lane.kept {
                    kept = std::mem::replace(&mut kept, Ok(())).and(file.write_all(bytes));
                }
                for entry in lane.trace.take(bytes) {
                    lane.follow(&entry);
                    match &mut self.picture {
                        Picture::Ladder(ladder) => ladder.traced(side, entry),
                        Picture::Json(json) => shown = shown.and(json.entry(side, &entry)),
                        Picture::Lanes(_) => {}
                    }
                }
                return;
            }
            let wrong = source == Source::StandardError;
            match &mut self.picture {
                Picture::Lanes(lanes) => shown = shown.and(lanes.show(side, wrong, bytes)),
                Picture::Ladder(ladder) if wrong => ladder.complained(side, bytes),
                _ => {} // what a program prints stands among its calls
            }
        })?;
        shown?;
        kept.map_err(|error| format!("--keep: {error}"))?;
        if let Picture::Ladder(ladder) = &mut self.picture {
            ladder.draw(&self.lanes.each_ref().map(|lane| lane.trace.under_way()))?;
        }
        Ok(heard)
    }

    /// How long the server may be silent before it has, as far as can be seen, nothing more to do.
    fn patience_with(&self, process: &Process) -> Duration {
        if !self.traces() {
            return Duration::from_millis(if process.is_asleep() { 0 } else { 300 });
        }
        let server = &self.lanes[Side::Server as usize];
        let calls = server.trace.under_way();
        let idle = |call: &Begun| match call.name.as_str() {
            "recvfrom" | "recvmsg" => server.sockets.have_datagrams(),
            name => WAITS_FOR_ANYBODY.contains(&name),
        };
        let idle = !calls.is_empty() && calls.iter().all(idle);
        Duration::from_millis(if idle { 30 } else { 300 })
    }

    fn server(&self) -> &Recording {
        &self.lanes[Side::Server as usize]
    }

    /// Since when the server could listen and does not.
    fn server_is_late(&self) -> Option<Instant> {
        let waits = !self.server_is_ready && !self.hinted_at_listen;
        let (_, since) = self.server().bind.filter(|_| waits)?;
        Some(since)
    }

    /// Tells a person who waits in vain what the server has not called.
    fn hint_at_listen(&mut self) -> sockstep::Result<()> {
        let late = self.server_is_late();
        if late.is_none_or(|since| since.elapsed() < PATIENCE) {
            return Ok(());
        }
        self.hinted_at_listen = true;
        let why = self.why_nobody_reaches_the_server();
        self.hint(&format!(
            "still waiting for the server to listen. {why}. Ctrl-C ends this"
        ))
    }

    /// What is known about a server that does not listen.
    fn why_nobody_reaches_the_server(&self) -> String {
        match self.server().bind {
            Some((Bind::InUse(port), _)) => {
                format!("Port {port} is in use. See by whom: ss -antup 'sport = {port}'")
            }
            Some((Bind::To(_), _)) if !self.server().listens => {
                "It has called bind(), and not listen()".to_owned()
            }
            _ => String::new(),
        }
    }

    fn sends_datagrams(&self) -> bool {
        let client = &self.lanes[Side::Client as usize];
        client.asked.is_some_and(|(_, datagram)| datagram)
    }

    /// Tells a person whose server is at another port what has become of the one that was meant.
    fn hint_at_htons(&mut self) -> sockstep::Result<()> {
        let asked = self.lanes[Side::Client as usize].asked;
        let (Some((asked, _)), Some((Bind::To(bound), _))) = (asked, self.server().bind) else {
            return Ok(());
        };
        if matches!(&self.picture, Picture::Ladder(ladder) if ladder.has_more()) {
            return Ok(()); // of what the words are about
        }
        if bound == asked || bound != asked.swap_bytes() || self.hinted_at_htons {
            return Ok(());
        }
        self.hinted_at_htons = true;
        self.hint(&format!(
            "the server is bound to {bound}, which is {asked} with its bytes swapped: htons() forgotten?"
        ))
    }

    fn hint(&mut self, words: &str) -> sockstep::Result<()> {
        if let Picture::Ladder(ladder) = &mut self.picture {
            ladder.make_room()?;
        }
        remark(words);
        Ok(())
    }

    /// Why a server has ended before anybody could reach it, and what a person can do about it.
    fn why_it_did_not_start(&self, command: Option<&OsStr>, status: ExitStatus) -> String {
        let command = command.map(OsStr::to_string_lossy).unwrap_or_default();
        let why = match command.split_whitespace().next() {
            Some(program) if status.code() == Some(127) && program.contains('/') => {
                format!("{program} was not found")
            }
            Some(program) if status.code() == Some(127) => {
                format!("{program} was not found. If it is in this directory: ./{program}")
            }
            _ => self.why_nobody_reaches_the_server(),
        };
        if why.is_empty() {
            format!("the server did not start: {status}")
        } else {
            format!("the server did not start: {status}. {why}")
        }
    }

    /// Shows what is still held back.
    fn end(&mut self) -> sockstep::Result<()> {
        match &mut self.picture {
            Picture::Ladder(ladder) => ladder.end(),
            Picture::Lanes(lanes) => lanes.end(),
            Picture::Json(_) => Ok(()),
        }
    }
}

/// The address and the port that a server's `listening on` line names, once that line is whole.
pub fn listening_on(said: &[u8]) -> Option<(String, String)> {
    let (whole, _) = said.split_at(said.iter().rposition(|&byte| byte == b'\n')?);
    let text = String::from_utf8_lossy(whole);
    let place = text
        .lines()
        .find_map(|line| line.strip_prefix("listening on "))?;
    let (address, port) = place.rsplit_once(':')?;
    Some((address.to_owned(), port.to_owned()))
}
