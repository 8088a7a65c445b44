//! `sockstep check`: is a program right? The checks stand in table.rs, what they do in tcp.rs, udp.rs, http.rs and client.rs.

mod blame;
mod client;
mod contract;
mod faults;
mod http;
mod outcome;
mod page;
mod patience;
mod report;
mod server;
mod subject;
mod table;
mod talk;
mod tcp;
mod udp;

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::check::blame::Found;
use crate::check::client::Visit;
use crate::check::contract::Contract;
use crate::check::outcome::Stop;
use crate::check::report::{Pictures, Report, Row};
use crate::check::server::{Setting, Trial};
use crate::check::table::{Check, Needs};
use crate::draw::terminal::Color;
use crate::sides::force::Force;
use crate::sides::keeper;
use crate::sides::shell::with_port;
use crate::sides::signals::Signals;
use crate::sides::trouble::Trouble;

/// Check whether a server or a client is right
///
/// Start the program, talk to it as a lecture's clients (or servers) do, and report for each check: ok, FAIL, by design, or skipped.
/// Each {port} in the command becomes a free port; without it the kernel is asked which port the server has. In a client's command
/// {word} becomes the word to send. With strace installed, failures are shown with their picture.
///
/// Exit status: 0 if no check fails, 1 if one does, 2 if there was trouble.
#[derive(clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  sockstep check --server './my_server {port}'\n  sockstep check --client './my_client 127.0.0.1 {word} {port}'\n  sockstep check --server './my_server {port}' --only half-close"
)]
pub struct Args {
    /// Start the server to check with this command
    #[arg(long, value_name = "COMMAND", required_unless_present_any = ["client", "at", "list"], conflicts_with_all = ["client", "at"])]
    server: Option<OsString>,
    /// Start the client to check with this command, which contains {port}
    #[arg(long, value_name = "COMMAND", conflicts_with = "at")]
    client: Option<OsString>,
    /// Check the server that already runs at this address
    #[arg(long, value_name = "ADDRESS:PORT")]
    at: Option<SocketAddr>,
    /// Hold the program to this contract; without it, find out which one it keeps
    #[arg(long)]
    contract: Option<Contract>,
    /// Make this check only; repeat it for several
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Leave this check out; repeat it for several
    #[arg(long, value_name = "NAME")]
    skip: Vec<String>,
    /// List the checks, and start nothing
    #[arg(long)]
    list: bool,
    /// Fail a server that serves one client at a time
    #[arg(long)]
    concurrent: bool,
    /// Instead of the checks, make each call fail, once and from then on, with each error that it can have, and report what that does
    /// to the program and its clients; --only and --skip then name calls
    #[arg(long, conflicts_with_all = ["at", "list", "concurrent", "html", "tap", "junit", "gradescope", "points"])]
    faults: bool,
    /// Give the reason for each check
    #[arg(long, short)]
    verbose: bool,
    /// Wait at most this long for an answer, in seconds (default: many times what the first answer took)
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=60))]
    timeout: Option<u32>,
    /// Make N checks at a time, each with its own server
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// Seed the random bytes of long messages with this number
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Leave the pictures of failures out
    #[arg(long)]
    no_pictures: bool,
    /// Use colours; auto does on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
    #[command(flatten)]
    output: report::Output,
}

/// After this no check is begun, so that a class does not wait.
const BUDGET: Duration = Duration::from_secs(42);
/// After this no check is waited for.
const END: Duration = Duration::from_secs(52);

pub fn check(args: &Args) -> ExitCode {
    args.color.choose();
    let outcome = keeper::begin()
        .map_err(Trouble::Said)
        .and_then(|()| checked(args));
    keeper::leave();
    match goes_on().and(outcome) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => trouble.end(2, 2),
    }
}

/// The signal that has asked us to end; 0 if there is none.
static INTERRUPTED: AtomicI32 = AtomicI32::new(0);

fn interrupt(signal: Signal) {
    INTERRUPTED.store(signal as i32, Ordering::Relaxed);
}

fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed) != 0
}

/// Fails if a signal has asked us to end.
fn goes_on() -> Result<(), Trouble> {
    match Signal::try_from(INTERRUPTED.load(Ordering::Relaxed)) {
        Ok(signal) => Err(Trouble::Signal(signal)),
        Err(_) => Ok(()),
    }
}

fn checked(args: &Args) -> Result<bool, Trouble> {
    if args.list {
        return list(args);
    }
    let signals = Arc::new(Signals::collect()?);
    if let Some(command) = &args.client {
        return client_checked(args, command, &signals);
    }
    let force = Arc::new(Force::default());
    let named = args.server.as_deref().is_some_and(|it| with_port(it, 0).1);
    let trial = |contract| {
        Trial::new(Setting {
            contract,
            concurrent: args.concurrent,
            command: args.server.clone(),
            at: args.at,
            signals: Arc::clone(&signals),
            force: Arc::clone(&force),
            seed: args.seed,
            timeout: args
                .timeout
                .map(|seconds| Duration::from_secs(seconds.into())),
        })
    };
    let contract = match args.contract {
        Some(contract) => contract,
        None => Contract::of(&trial),
    };
    if args.faults {
        crate::strace::command::available()?;
        return faults::server(|| trial(contract), args);
    }
    let checks = chosen(table::of_server(contract), args)?;
    let words = args.server.as_deref().map_or_else(
        || args.at.map(|at| at.to_string()).unwrap_or_default(),
        |command| command.to_string_lossy().into_owned(),
    );
    let mut report = Report::begin(&args.output, "server", &words, contract, checks.len())?;
    report.runs_already = args.at.is_some();
    let began = Instant::now();
    patience::ends_at(began + END);
    // The first two alone: without them the others mean nothing, and they say how fast a word is answered here.
    let first = checks
        .iter()
        .take_while(|check| FIRST.contains(&check.name));
    let first = first.count();
    let mut pace = None;
    let mut broken = false;
    let mut apart = named; // each server has a port of its own
    let mut has_lines = None;
    for check in &checks[..first] {
        let mut trial = trial(contract);
        let outcome = if broken {
            skipped(BROKEN)
        } else {
            made(check, &mut trial)
        };
        broken |= matches!(outcome.0, Err(Stop::Fail(_)));
        pace = Some(trial.pace);
        has_lines = Some(trial.has_lines());
        apart &= trial.asked_port() == Some(trial.address().port());
        report.row(&row(check, outcome), args.verbose)?;
    }
    let all = &checks;
    let checks = &checks[first..];
    let jobs = if apart { usize::from(args.jobs) } else { 1 };
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        for _ in 0..jobs.min(checks.len()) {
            let (sender, next, trial) = (sender.clone(), &next, &trial);
            scope.spawn(move || {
                let mut trial = trial(contract);
                trial.pace = pace.unwrap_or(trial.pace);
                work(trial, checks, next, broken, began, &sender);
            });
        }
        drop(sender);
        in_order(&receiver, |at: usize, outcome: Outcome| {
            report.row(&row(checks[at], outcome), args.verbose)
        })
    })?;
    goes_on()?;
    let failed = report.rows.iter().any(|row| row.outcome == "FAIL");
    let has_lines = has_lines.unwrap_or_else(|| {
        let mut trial = trial(contract);
        failed && (trial.ready().is_err() || trial.has_lines())
    });
    let mut again = |name: &str| {
        let check = all.iter().find(|check| check.name == name);
        check.map_or_else(Found::default, |check| {
            blame::of_server(check, trial(contract), has_lines)
        })
    };
    let pictures = (!args.no_pictures && named).then_some(Pictures {
        until: began + BUDGET,
        has_lines,
        again: &mut again,
    });
    report.end(args.server.as_deref(), pictures)
}

/// What has to succeed before anything else can be asked.
const FIRST: [&str; 3] = ["starts", "word", "get"];
const LATE: &str = "the time is up: this program takes too long";
const BROKEN: &str = "an earlier check that this one depends on has failed";

type Outcome = (Result<(), Stop>, Duration);

fn skipped(why: impl Into<String>) -> Outcome {
    (Err(Stop::Skipped(why.into())), Duration::ZERO)
}

fn late() -> Outcome {
    (Err(Stop::Trouble(LATE.to_owned())), Duration::ZERO)
}

fn made(check: &Check<Trial>, trial: &mut Trial) -> Outcome {
    let since = Instant::now();
    let outcome = trial.ready().and_then(|()| (check.run)(trial));
    if let Err(Stop::Fail(_)) = &outcome {
        trial.spoil();
        if patience::is_up() {
            return late(); // its waits were cut short
        }
    }
    (outcome, since.elapsed())
}

/// Makes the checks one after the other, to the last.
fn work(
    mut trial: Trial,
    checks: &[&'static Check<Trial>],
    next: &AtomicUsize,
    broken: bool,
    began: Instant,
    sender: &Sender<(usize, Outcome)>,
) {
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(check) = checks.get(at) else {
            return;
        };
        let outcome = if is_interrupted() {
            skipped("interrupted")
        } else if broken {
            skipped(BROKEN)
        } else if began.elapsed() > BUDGET {
            late()
        } else {
            made(check, &mut trial)
        };
        if sender.send((at, outcome)).is_err() {
            return;
        }
    }
}

/// Hands on what comes from several threads in the order of the checks.
fn in_order<T, E>(
    receiver: &std::sync::mpsc::Receiver<(usize, T)>,
    mut hand_on: impl FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    let mut waiting = std::collections::BTreeMap::new();
    let mut next = 0;
    for (at, outcome) in receiver {
        waiting.insert(at, outcome);
        while let Some(outcome) = waiting.remove(&next) {
            hand_on(next, outcome)?;
            next += 1;
        }
    }
    Ok(())
}

fn row<T>(check: &Check<T>, (outcome, took): Outcome) -> Row {
    Row {
        name: check.name,
        question: check.question,
        why: check.why,
        word: check.word,
        alone: check.needs != Needs::Address,
        outcome,
        took,
    }
}

fn client_checked(args: &Args, command: &OsStr, signals: &Arc<Signals>) -> Result<bool, Trouble> {
    if !with_port(command, 0).1 {
        return Err(Trouble::Said(
            "the client's command needs a {port}: './my_client 127.0.0.1 {word} {port}'".to_owned(),
        ));
    }
    let contract = args.contract.unwrap_or(Contract::TcpEcho);
    if contract == Contract::Http && !args.faults {
        return Err(Trouble::Said(
            "there are no checks of a Web client, only --faults".to_owned(),
        ));
    }
    let words = command.to_string_lossy();
    let mut visit = Visit {
        contract,
        command: command.to_owned(),
        signals: Arc::clone(signals),
        timeout: args
            .timeout
            .map(|seconds| Duration::from_secs(seconds.into())),
        happy: None,
        stacks: None,
        recording: Mutex::default(),
        has_lines: AtomicBool::new(false),
    };
    if args.faults {
        crate::strace::command::available()?;
        return faults::client(&visit, args);
    }
    let checks = chosen(table::of_client(contract), args)?;
    let mut report = Report::begin(&args.output, "client", &words, contract, checks.len())?;
    let began = Instant::now();
    patience::ends_at(began + END);
    let mut broken = false;
    for (at, check) in checks.iter().enumerate() {
        let since = Instant::now();
        let outcome = if broken {
            Err(Stop::Skipped(BROKEN.to_owned()))
        } else if began.elapsed() > BUDGET {
            Err(Stop::Trouble(LATE.to_owned()))
        } else {
            match (check.run)(&mut visit) {
                Err(Stop::Fail(_)) if patience::is_up() => Err(Stop::Trouble(LATE.to_owned())),
                outcome => outcome,
            }
        };
        goes_on()?;
        broken |= at == 0 && check.name == "word" && matches!(outcome, Err(Stop::Fail(_)));
        report.row(&row(check, (outcome, since.elapsed())), args.verbose)?;
    }
    let has_lines = visit.has_lines.load(Ordering::Relaxed);
    let mut again = |name: &str| {
        let check = checks.iter().find(|check| check.name == name);
        check.map_or_else(Found::default, |check| blame::of_client(check, &mut visit))
    };
    let pictures = (!args.no_pictures).then_some(Pictures {
        until: began + BUDGET,
        has_lines,
        again: &mut again,
    });
    report.end(None, pictures)
}

/// The checks that are asked for.
fn chosen<T>(all: &'static [Check<T>], args: &Args) -> Result<Vec<&'static Check<T>>, String> {
    let unknown = args
        .only
        .iter()
        .chain(&args.skip)
        .find(|name| !all.iter().any(|check| check.name == **name));
    if let Some(unknown) = unknown {
        return Err(no_check(unknown, all.iter().map(|check| check.name)));
    }
    let wanted = |check: &&Check<T>| {
        let named = |names: &[String]| names.iter().any(|name| name == check.name);
        (args.only.is_empty() || named(&args.only)) && !named(&args.skip)
    };
    let chosen: Vec<_> = all.iter().filter(wanted).collect();
    if chosen.is_empty() {
        return Err("--only and --skip leave no check to make".to_owned());
    }
    Ok(chosen)
}

/// What to say of a name that no check has.
fn no_check(name: &str, names: impl Iterator<Item = &'static str>) -> String {
    let tip = crate::lectures::words::nearest_of(name, names)
        .map_or_else(String::new, |near| format!(" Did you mean {near}?"));
    format!("no check {name}.{tip} See them with: sockstep check --list")
}

fn list(args: &Args) -> Result<bool, Trouble> {
    fn rows<T>(title: &str, checks: &[Check<T>]) -> String {
        let rows = checks.iter().map(|check| {
            format!(
                "  {:20} {}\n  {:20} explain {}\n",
                check.name, check.question, "", check.word
            )
        });
        format!("{title}\n{}", rows.collect::<String>())
    }
    let of = |contract: Contract| {
        let name = contract.name();
        let server = rows(&format!("server, {name}"), table::of_server(contract));
        let client = match contract {
            Contract::Http => String::new(),
            _ => rows(&format!("\nclient, {name}"), table::of_client(contract)),
        };
        server + &client
    };
    let text = match args.contract {
        Some(contract) => of(contract),
        None => [Contract::TcpEcho, Contract::UdpEcho, Contract::Http]
            .map(of)
            .join("\n"),
    };
    crate::draw::terminal::put(text.as_bytes())?;
    Ok(true)
}

impl Contract {
    /// What a server seems to promise: the kind of its port, and what it makes of a word in mixed case.
    fn of(trial: &impl Fn(Contract) -> Trial) -> Contract {
        let mut trial = trial(Contract::TcpEcho);
        trial.open = true;
        match trial.ready() {
            Ok(()) => trial.tried(),
            Err(_) => trial.contract, // the first check says what is wrong
        }
    }
}
