//! `sockstep run`: a server on a free port of this machine, and its client against it.

mod clients;
mod fault;
mod plan;
mod step;
mod watch;

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Instant;

use crate::draw::call::Payload;
use crate::draw::export;
use crate::draw::json::KEYS;
use crate::draw::ladder::Calls;
use crate::draw::page;
use crate::draw::terminal::{Color, Side, remark};
use crate::lectures::pairs::{Choice, Pair};
use crate::lectures::programs::Implementation;
use crate::run::clients::{Clients, Servers};
use crate::run::fault::{Fault, Faults};
use crate::run::plan::Plan;
use crate::run::watch::View;
use crate::sides::keeper::{begin, leave};
use crate::sides::process::{PATIENCE, Process, STUCK, Start};
use crate::sides::ready::{Ready, State};
use crate::sides::signals::Signals;
use crate::sides::trouble::Trouble;

/// How long a client of ours keeps its connection, in milliseconds.
const THINK: u32 = 100;

const EXAMPLE: &str = "Example: sockstep run tcp_echo --impl c -- hello";

/// Run a server on a free port, and its client against it
///
/// Standard input goes to the client. When the client has ended, the server gets up to 3 s to wait for the next one; then it gets
/// SIGTERM, and 2 s later SIGKILL.
///
/// Exit status: 1 if there was trouble, 2 if an argument is bad; else the client's, or 128 + N if signal N ended it.
#[derive(clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = EXAMPLE,
    after_long_help = format!("{EXAMPLE}\n\n{KEYS}")
)]
pub struct Args {
    /// Run this pair; with --clients any of the TCP echo servers, or several to compare
    #[arg(required_unless_present_any = ["server", "client"], conflicts_with_all = ["server", "client"], value_parser = Choice::parser())]
    pair: Vec<Choice>,
    /// Run N clients at once and draw which of them waits, in which call, for how long
    #[arg(long, value_name = "N", conflicts_with_all = ["plain", "keep", "print_command", "calls", "payload"], value_parser = clap::value_parser!(u8).range(1..=9))]
    clients: Option<u8>,
    /// Let each of these clients keep its connection for MS milliseconds after the answer (default: 100)
    #[arg(long, value_name = "MS", requires = "clients", conflicts_with = "server", value_parser = clap::value_parser!(u32).range(10..=60_000))]
    think: Option<u32>,
    /// Run this command as the server, as a shell would: './my_server {port}'
    ///
    /// {port} becomes a free port, the same in both commands.
    #[arg(long, value_name = "COMMAND", requires = "client")]
    server: Option<OsString>,
    /// Run this command as the client: './my_client 127.0.0.1 {port}'
    ///
    /// With --clients, {client} becomes the client's number.
    #[arg(long, value_name = "COMMAND", requires = "server")]
    client: Option<OsString>,
    /// Use this file as the server's standard input (default: empty)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["clients", "print_command"])]
    server_input: Option<PathBuf>,
    /// Take both programs in this language
    #[arg(long = "impl", value_name = "LANGUAGE", default_value = "rust")]
    implementation: Implementation,
    /// Take the server in this language
    #[arg(long, value_name = "LANGUAGE")]
    server_impl: Option<Implementation>,
    /// Take the client in this language
    #[arg(long, value_name = "LANGUAGE")]
    client_impl: Option<Implementation>,
    /// Show only the output of client and server, not their calls
    #[arg(long)]
    plain: bool,
    /// Show these calls
    #[arg(long, value_name = "WHICH", default_value = "network")]
    calls: Calls,
    /// Show the bytes that a call carries in this form
    #[arg(long, value_name = "HOW", default_value = "text")]
    payload: Payload,
    /// Keep strace's recordings in this directory, as client.strace and server.strace
    #[arg(long, value_name = "DIR", conflicts_with = "plain")]
    keep: Option<PathBuf>,
    /// Print the events as JSON, one per line, instead of the ladder
    #[arg(long, conflicts_with = "plain")]
    json: bool,
    /// Use colours; auto does on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
    /// Show next to each call its source line, from debug information (adds 1 ms to a call, 10 ms in an interpreter)
    #[arg(long, conflicts_with_all = ["plain", "clients", "json"])]
    source: bool,
    /// Hold each call on a socket until a key is pressed: space lets the next call of either side go, c the client's, s the server's,
    /// g all the rest; PageUp pages back. On x86-64 the last row names the source line too
    #[arg(long, conflicts_with_all = ["plain", "clients", "json", "print_command"])]
    step: bool,
    /// Hold each call on a socket for MS milliseconds; with --step, at most that long
    #[arg(long, value_name = "MS", conflicts_with_all = ["plain", "clients", "print_command"], value_parser = clap::value_parser!(u32).range(1..=60_000))]
    slow: Option<u32>,
    /// Make a call of one side go wrong: 'server recv error=ECONNRESET when=2'; repeat it for several faults
    ///
    /// After the side and the call comes the fault: error=NAME (the call is not made), signal=NAME, delay=300ms, or short=1 (a send or
    /// a receive of at most 1 byte). when= says which of a task's calls: 2, 2+ (from the second on), 2..5, 1+3 (every third from the
    /// first on); without it the first. read, write and close are counted on files too, except for short=.
    #[arg(long, value_name = "FAULT", conflicts_with_all = ["plain", "print_command"], value_parser = Fault::of)]
    fault: Vec<Fault>,
    #[command(flatten)]
    page: page::Options,
    #[command(flatten)]
    exports: export::Options,
    #[command(flatten)]
    sources: page::SourceOptions,
    /// Print the strace commands without running them
    #[arg(long)]
    print_command: bool,
    /// Pass these arguments to the client
    #[arg(last = true, value_name = "CLIENT ARGUMENTS")]
    client_arguments: Vec<OsString>,
}

pub fn run(args: &Args) -> ExitCode {
    args.color.choose();
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
    let shown = if args.json { "--json" } else { "the ladder" };
    if let Some(words) = args.exports.conflict(&args.page, Some(shown)) {
        remark(words);
        return ExitCode::from(2);
    }
    let faults = match Faults::of(&args.fault) {
        Ok(faults) => faults,
        Err(words) => {
            remark(words);
            return ExitCode::from(2);
        }
    };
    let outcome = begin()
        .map_err(Trouble::Said)
        .and_then(|()| match args.clients {
            Some(clients) => watch_many(args, clients, faults),
            None => watch(args, faults),
        });
    leave();
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

/// Runs each server with many clients, and draws their calls.
fn watch_many(args: &Args, clients: u8, faults: Faults) -> Result<ExitStatus, Trouble> {
    let servers = match (&args.server, &args.client) {
        (Some(server), Some(client)) => Servers::Commands([server, client]),
        _ => Servers::Ours {
            names: args.pair.iter().map(|choice| choice.server).collect(),
            server_impl: args.server_impl.unwrap_or(args.implementation),
            client_impl: args.client_impl.unwrap_or(args.implementation),
            think: args.think.unwrap_or(THINK),
            given: &args.client_arguments,
        },
    };
    let page = args.page.begin(watch::title(args), None)?;
    let exports = args.exports.begin(None, page.as_ref())?;
    clients::watch(Clients {
        servers,
        number: clients.into(),
        json: args.json,
        faults,
        page,
        sources: &args.sources,
        exports,
    })
}

/// Runs the pair until the client has ended, and shows the calls and output of both sides.
fn watch(args: &Args, faults: Faults) -> Result<ExitStatus, Trouble> {
    let signals = Signals::collect()?;
    let mut plan = Plan::of(args)?;
    if args.print_command {
        let options = args.source.then_some("-k".to_owned());
        plan.print(&args.client_arguments, options.as_slice());
        return Ok(ExitStatus::default());
    }
    let mut view = View::new(args, faults)?;
    let outcome = play(args, &mut plan, &signals, &mut view);
    if let Err(Trouble::Signal(_)) = outcome {
        view.write_what_is_known()?;
    }
    outcome
}

/// Runs both sides.
fn play(
    args: &Args,
    plan: &mut Plan,
    signals: &Signals,
    view: &mut View,
) -> Result<ExitStatus, Trouble> {
    let [client_options, server_options] = view.options()?;
    let (program, arguments) = &plan.server;
    let mut server = Start {
        trace: server_options.as_deref(),
        gated: view.steps(),
        terminal: true,
        input: input_of_the_server(args)?,
        ..Start::of(Side::Server, program, arguments)
    }
    .process()?;
    let mut ready = Ready::begin();
    let mut reached = true;
    view.waiting_for("the server to listen");
    while !view.server_is_ready {
        if server.has_ended() {
            view.end()?;
            view.write_files()?;
            let status = server.child.wait().map_err(|error| error.to_string())?;
            let why = view.why_it_did_not_start(args.server.as_deref(), status);
            return Err(Trouble::Said(why));
        }
        view.watch(signals, [&mut server])?;
        if let Some((address, port)) = listening_on(&view.server_said) {
            plan.point_client_to(&address, &port, &args.client_arguments);
            view.server_is_ready = true;
        } else if view.holds() {
            ready = Ready::begin(); // its time starts again
        } else if plan.pair.is_none() {
            reached = view.server().listens || is_reached(&mut ready, &server, view)?;
            view.server_is_ready = reached || view.given_up;
        }
    }

    view.waits_no_more();

    let (program, arguments) = &plan.client;
    let mut client = Start {
        trace: client_options.as_deref(),
        gated: view.steps(),
        terminal: true,
        input: view.input_of_the_client()?,
        ..Start::of(Side::Client, program, arguments)
    }
    .process()?;
    while !client.is_done() {
        // The server first: it prints what it received before the client has the answer.
        view.watch(signals, [&mut server, &mut client])?;
        if !view.holds() && view.both_wait_without_end() && client.is_stuck() && server.waits() {
            let seconds = STUCK.as_secs();
            let words = if server.is_stuck() {
                format!("each side has waited for the other for {seconds} s: ended")
            } else {
                format!("it has waited for {seconds} s for what does not come: ended")
            };
            view.aside(Side::Client, &words)?;
            break;
        }
    }
    if !client.has_ended() {
        if matches!(client.child.try_wait(), Ok(Some(_))) {
            view.aside(Side::Client, "the processes that it left are ended")?;
        }
        view.end_side(signals, &mut client)?;
    }
    let status = client.child.wait().map_err(|error| error.to_string())?;

    // The server may not yet have noticed that its client has disconnected.
    let mut done = Instant::now();
    view.waiting_for("the server to become idle");
    while reached
        && !server.has_ended()
        && (view.holds() || !server.is_idle_but_for(&view.server().stopped))
    {
        if view.holds() {
            done = Instant::now(); // its time starts again
        }
        if done.elapsed() >= PATIENCE {
            let seconds = PATIENCE.as_secs();
            view.aside(
                Side::Server,
                &format!("not idle {seconds} s after its client: ended"),
            )?;
            break;
        }
        view.watch(signals, [&mut server])?;
    }
    view.end_side(signals, &mut server)?;
    view.end()?;
    view.write_files()?;
    view.tell_of_faults();
    Ok(status)
}

/// The file of `--server-input`, or an empty input.
fn input_of_the_server(args: &Args) -> Result<Stdio, String> {
    let Some(path) = &args.server_input else {
        return Ok(Stdio::null());
    };
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(file.into())
}

/// Whether the kernel says that a socket listens. After too long a wait, the view stops waiting for
/// it.
fn is_reached(ready: &mut Ready, server: &Process, view: &mut View) -> Result<bool, Trouble> {
    match ready.look(server) {
        State::At(_) => return Ok(true),
        State::Starting if !view.is_bound_and_late() => {
            if ready.is_slow() {
                view.hint_at_listen("It is still at work; waiting for it")?;
            }
        }
        State::Starting | State::Idle => view.give_up()?,
    }
    Ok(false)
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
