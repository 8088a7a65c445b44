//! `sockstep diff`: chooses programs and scenarios. verdict.rs judges, report.rs shows.

mod any_two;
mod compare;
mod conversation;
mod expected;
pub mod normalise;
mod page;
mod play;
mod report;
mod scenarios;
mod scripts;
mod task;
mod verdict;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write; // writing into memory does not fail
use std::io::{IsTerminal, Read, stdin};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::diff::any_two::{Client, PROBES, Probe};
use crate::diff::compare::Calls;
use crate::diff::play::{Interrupts, Pairing, Recorder, Run};
use crate::diff::report::Report;
use crate::diff::report::json::ReportJson;
use crate::diff::scenarios::Scenario;
use crate::diff::verdict::{Case, Judged, Rules, Sides, Totals, judge};
use crate::draw::page::Page;
use crate::draw::terminal::{Color, put, remark};
use crate::lectures::pairs::{Choice, Pair};
use crate::lectures::programs::{Implementation, Programs};
use crate::sides::keeper::{begin, directory, leave};
use crate::sides::process::listen_to_all as listen;
use crate::sides::signals::Signals;
use crate::sides::trouble::Trouble;
use crate::strace::command;

macro_rules! examples {
    () => {
        "Examples:\n  sockstep diff tcp_echo\n  sockstep diff --server './mine {port}' --server 'tcp_echo_server {port}'\n  sockstep diff --server './mine 12000' --server './other 12000' --client './client 12000'"
    };
}
const EXAMPLES: &str = examples!();

macro_rules! json {
    () => {
        "With --json, each line is an object of one of these kinds, with pair, scenario and about. SIDE
is Rust or C, or A or B:
  commands      commands: for each SIDE its server and client; only for commands, comes first
  conversation  verdict (same, different), lines for each SIDE, varies, differences
  task          task (its name), verdict, lines (their number for each SIDE), normalised,
                expected, set_aside, runs (of each SIDE), varies, differences; together, if
                several tasks are compared as one
  trouble, note side, text
  total         tasks, verdicts, cases, different_conversations, normalised, expected,
                set_aside; comes last
An item of varies has side, line, text (with * for the varying parts) and optional (not in all
runs). An item of differences has, for each SIDE, line, text and raw (before normalisation).
Its JSON Schema is src/schema/diff.json in the source."
    };
}

/// Cases run at once. They wait more than they work.
const WORKERS: usize = 8;
/// How often to check for signals while two runs are compared.
const TICK: Duration = Duration::from_millis(50);

/// Compare the system calls of a Rust pair and its C twins, or of any two servers or clients
///
/// Run each program at least twice and compare it with itself first. Lines that vary between its own runs are counted and shown, but
/// not compared. The rest is identical byte for byte, equal after named normalisations, expected to differ for a stated reason, or
/// divergent.
///
/// Exit status: 0 if the two agree, 1 if they diverge anywhere, 2 if there was trouble. With --conversation: 0 if the
/// conversations are the same, 1 if they differ, 2 if there was trouble.
///
/// A pair is run in every built-in scenario. Two other servers are run one after the other with the same client: each is
/// started, given time to listen, and ended when the client is done. Without --client a built-in client talks to them in
/// six scenarios: word, two-messages, half-close, leaves, reset, big. With --client, standard input (unless it is a terminal) is
/// read first and given to each run of the client. If an old connection in TIME_WAIT keeps a port from a server without
/// SO_REUSEADDR, that connection is ended.
///
/// For such programs the report first says whether they have the same conversation: the same connections, the same bytes in
/// each direction before each answer, the same ends (FIN or reset), and the same outcome for the client and the server,
/// whichever calls were used.
#[derive(clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = EXAMPLES,
    after_long_help = concat!(examples!(), "\n\n", json!())
)]
pub struct Args {
    /// Compare this pair
    #[arg(required_unless_present_any = ["all", "list", "server", "client"], value_parser = Choice::parser())]
    pair: Option<Choice>,
    /// Run this scenario only
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    scenario: Vec<String>,
    /// Run all scenarios; without PAIR, those of all pairs
    #[arg(long)]
    all: bool,
    /// List the scenarios without running them
    #[arg(long)]
    list: bool,
    /// Compare the server of this command; give it twice. {port} becomes a free port
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["pair", "all", "list"])]
    server: Vec<OsString>,
    /// Run the client of this command; give it once for both servers, or twice to compare two clients
    #[arg(long, value_name = "COMMAND", requires = "server")]
    client: Vec<OsString>,
    /// Compare these calls; by default network for commands, all for a pair
    #[arg(long, value_name = "WHICH")]
    calls: Option<Calls>,
    /// Exit with 0 if the conversations are the same, whichever calls were used
    #[arg(long)]
    conversation: bool,
    /// Show the lines that were set aside
    #[arg(long)]
    raw: bool,
    /// Print the verdicts as JSON, one object per line; --help describes it
    #[arg(long)]
    json: bool,
    /// Use colours; auto does on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
    #[command(flatten)]
    page: crate::draw::page::Options,
    #[command(flatten)]
    exports: crate::draw::export::Options,
    /// Take the C programs from this directory, instead of compiling the twins
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    c_programs: Option<PathBuf>,
}

pub fn diff(args: &Args) -> ExitCode {
    args.color.choose();
    let shown = if args.json { "--json" } else { "the report" };
    if let Some(words) = args.exports.conflict(&args.page, Some(shown)) {
        remark(words);
        return ExitCode::from(2);
    }
    let outcome = begin().map_err(Trouble::Said).and_then(|()| {
        if args.server.is_empty() {
            twins(args)
        } else {
            two_of_any(args)
        }
    });
    leave();
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => trouble.end(2, 2), // even if only the reader has closed standard output: there is no verdict then
    }
}

/// How often each side is run at first, and at most. A difference between two programs counts only
/// if it appears between all their runs; a program that varies may need several to show it.
const RUNS: usize = 2;
const MOST_RUNS_OF_TWINS: usize = 4;
const MOST_RUNS: usize = 6;
/// Once the runs have more calls than this together, no further run is made: they show well enough what varies.
const ENOUGH: usize = 50_000;

/// Compares our pairs in the built-in scenarios. Returns whether all agree.
fn twins(args: &Args) -> Result<bool, Trouble> {
    let cases = cases(args)?;
    if args.list {
        list(&cases)?;
        return Ok(true);
    }
    command::available()?;
    let signals = Signals::collect()?;
    let programs = Found::new(&cases, args)?;
    let sides = Sides {
        names: ["Rust", "C"],
        twins: true,
        commands: None,
    };
    let names: Vec<Case> = cases
        .iter()
        .map(|(pair, scenario)| Case {
            pair: pair.name(),
            scenario: scenario.name.to_owned(),
            about: scenario.about.to_owned(),
        })
        .collect();
    let comparing = Comparing {
        args,
        sides: &sides,
        cases: &names,
        signals: &signals,
        workers: WORKERS,
        most: MOST_RUNS_OF_TWINS,
        calls: args.calls.unwrap_or(Calls::All),
    };
    comparing.all(|case, side, stop| {
        let (pair, scenario) = cases[case];
        let implementation = [Implementation::Rust, Implementation::C][side];
        let (server, client) = programs.of(pair, implementation);
        let pairing = Pairing {
            pair,
            server,
            client,
            site: &programs.site,
        };
        let interrupts = Interrupts {
            signals: &signals,
            stop,
        };
        Recorder::begin(&interrupts)
            .play(&pairing, scenario)
            .map_err(|interrupted| Trouble::from(interrupted).with(&names[case]))
    })
}

/// Compares any two servers, or clients, or pairs of them. Returns whether they agree.
fn two_of_any(args: &Args) -> Result<bool, Trouble> {
    let (servers, clients) = (&args.server, &args.client);
    if servers.len().max(clients.len()) != 2 {
        return Err(Trouble::Said(
            "name two servers to compare, or two clients: --server A --server B --client C"
                .to_owned(),
        ));
    }
    let probes: Vec<&Probe> = if clients.is_empty() {
        let names = PROBES.iter().map(|probe| probe.name);
        chosen(PROBES.iter(), names.collect(), &args.scenario)?
    } else if args.scenario.is_empty() {
        Vec::new()
    } else {
        return Err(Trouble::Said(
            "a scenario has a client of its own: leave --client out, or --scenario".to_owned(),
        ));
    };
    command::available()?;
    let mut input = Vec::new();
    if !clients.is_empty() && !stdin().is_terminal() {
        stdin()
            .read_to_end(&mut input)
            .map_err(|error| format!("standard input: {error}"))?;
    }
    let signals = Signals::collect()?;
    let of = |commands: &[OsString], side: usize| {
        let last = commands.len().checked_sub(1);
        last.map_or_else(OsString::new, |last| commands[side.min(last)].clone())
    };
    let commands = [0, 1].map(|side| [of(servers, side), of(clients, side)]);
    let words = |command: &OsString| command.to_string_lossy().into_owned();
    let sides = Sides {
        names: ["A", "B"],
        twins: false,
        commands: Some(commands.each_ref().map(|own| own.each_ref().map(words))),
    };
    let of_probe = |probe: &&Probe| Case {
        scenario: probe.name.to_owned(),
        about: probe.about.to_owned(),
        ..Case::default()
    };
    let mut cases: Vec<Case> = probes.iter().map(of_probe).collect();
    if cases.is_empty() {
        cases.push(Case::default());
    }
    // One after the other if they use the same port.
    let any_port = sides
        .commands
        .iter()
        .flatten()
        .all(|[server, _]| server.contains(any_two::PORT));
    let comparing = Comparing {
        args,
        sides: &sides,
        cases: &cases,
        signals: &signals,
        workers: if any_port { WORKERS } else { 1 },
        most: MOST_RUNS,
        calls: args.calls.unwrap_or(Calls::Network),
    };
    comparing.all(|case, side, stop| {
        let interrupts = Interrupts {
            signals: &signals,
            stop,
        };
        let [server, client] = &commands[side];
        let client = match probes.get(case) {
            Some(probe) => Client::Probe(probe),
            None => Client::Command {
                command: client,
                input: &input,
                prints: clients.len() == 1,
            },
        };
        any_two::record(&interrupts, server, client).map_err(|interrupted| {
            Trouble::from(interrupted).with(format_args!("{}: ", sides.names[side]))
        })
    })
}

/// The scenarios requested by name; all if there is no name.
fn chosen<T>(
    all: impl Iterator<Item = T>,
    names: Vec<&str>,
    wanted: &[String],
) -> Result<Vec<T>, String> {
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!(
            "no scenario {unknown}. The scenarios are: {}",
            names.join(", ")
        ));
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|other| other == name);
    let found = all.zip(names).filter(|(_, name)| is_wanted(name));
    Ok(found.map(|(one, _)| one).collect())
}

enum Output<'a> {
    Text(Report<'a>),
    Json(ReportJson<'a>),
}

/// What to compare, and how.
struct Comparing<'a> {
    args: &'a Args,
    sides: &'a Sides,
    cases: &'a [Case],
    signals: &'a Signals,
    workers: usize,
    /// The most runs of each side.
    most: usize,
    calls: Calls,
}

impl Comparing<'_> {
    /// Runs each case, several at a time, and shows the verdicts in order. Returns whether all
    /// agree. `record` gets the case and the side.
    fn all(
        &self,
        record: impl Fn(usize, usize, &AtomicBool) -> Result<Run, Trouble> + Sync,
    ) -> Result<bool, Trouble> {
        let Comparing {
            args, sides, cases, ..
        } = self;
        let mut report = if args.json {
            Output::Json(ReportJson::begin(sides, args.raw)?)
        } else {
            Output::Text(Report::begin(sides, args.raw)?)
        };
        let mut page = args.page.begin(self.title(), None)?;
        let mut exports = args.exports.begin(None, page.as_ref())?;
        let mut totals = Totals::default();
        let mut trouble = None;
        let stop = AtomicBool::new(false);
        let next = AtomicUsize::new(0);
        let outcome = thread::scope(|scope| {
            let (sender, receiver) = channel();
            for _ in 0..self.workers {
                let (sender, record, next, stop) = (sender.clone(), &record, &next, &stop);
                scope.spawn(move || {
                    loop {
                        let case = next.fetch_add(1, Ordering::Relaxed);
                        if case >= cases.len() {
                            break;
                        }
                        let judged = self.one(case, record, stop);
                        let failed = judged.is_err();
                        if sender.send((case, judged)).is_err() || failed {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut done: BTreeMap<usize, Judged> = BTreeMap::new();
            let mut shown = 0;
            let mut show = || -> Result<(), Trouble> {
                loop {
                    match receiver.recv_timeout(TICK) {
                        Ok((case, judged)) => {
                            let judged = judged.or_else(|first| {
                                // Ctrl-C ends our programs too: then the signal is the reason.
                                self.signals.take()?;
                                stop.store(true, Ordering::Relaxed);
                                let mut others =
                                    receiver.iter().filter_map(|(_, judged)| judged.err());
                                let is_signal =
                                    |trouble: &Trouble| matches!(trouble, Trouble::Signal(_));
                                Err(others.find(is_signal).unwrap_or(first))
                            })?;
                            done.insert(case, judged);
                        }
                        Err(RecvTimeoutError::Timeout) => {
                            listen(self.signals, &mut [], Some(0), |_, _, _| {})?;
                        }
                        Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    }
                    while let Some(mut judged) = done.remove(&shown) {
                        totals.add(&judged);
                        if let Some(runs) = judged.marked.take() {
                            let title = page::title(&judged);
                            exports.compare(&title, sides.names, &runs);
                            if let Some(page) = &mut page {
                                page.compare(&title, sides.names, programs_of(&judged.case), runs);
                            }
                        }
                        match &mut report {
                            Output::Text(report) => report.case(&judged)?,
                            Output::Json(report) => report.case(&judged)?,
                        }
                        if let Some((side, words)) = judged.trouble.first() {
                            let name = sides.names[*side];
                            trouble.get_or_insert(format!("{}{name}: {words}", judged.case));
                        }
                        shown += 1;
                    }
                }
            };
            let outcome = show();
            stop.store(true, Ordering::Relaxed); // on failure: the others stop too
            outcome
        });
        outcome?;
        let files = page.map_or(Ok(()), Page::end).and(exports.end());
        match report {
            Output::Text(report) => report.end(&totals)?,
            Output::Json(report) => report.end(&totals)?,
        }
        files?;
        let same = if args.conversation {
            totals.conversations == 0
        } else {
            !totals.diverge() && totals.conversations == 0
        };
        match trouble {
            Some(words) if same => Err(Trouble::Said(words)),
            _ => Ok(same),
        }
    }

    /// Runs one case, both sides in turns, until the verdict is certain.
    fn one(
        &self,
        case: usize,
        record: &(impl Fn(usize, usize, &AtomicBool) -> Result<Run, Trouble> + Sync),
        stop: &AtomicBool,
    ) -> Result<Judged, Trouble> {
        let rules = Rules {
            twins: self.sides.twins,
            calls: self.calls,
            stop,
        };
        let mut runs: [Vec<Run>; 2] = Default::default();
        loop {
            for (side, runs) in runs.iter_mut().enumerate() {
                runs.push(record(case, side, stop)?);
            }
            let count = runs[0].len();
            if count < RUNS {
                continue;
            }
            let mut judged = judge(self.cases[case].clone(), rules, &runs);
            let tasks = runs.iter().flatten().flat_map(|run| &run.tasks);
            let seen: usize = tasks.map(|task| task.entries.len()).sum();
            let enough = count >= self.most || seen > ENOUGH;
            if !judged.diverges() || !judged.trouble.is_empty() || enough {
                if self.args.page.is_wanted() || self.args.exports.are_wanted() {
                    judged.marked = Some(page::marked(&judged, [&runs[0][0], &runs[1][0]]));
                }
                return Ok(judged);
            }
        }
    }

    /// The page's title: the programs compared.
    fn title(&self) -> String {
        match (&self.sides.commands, self.args.pair) {
            (Some([one, other]), _) => {
                let words = |own: &[String; 2]| own.join(" ").trim().to_owned();
                format!("A: {}, B: {}", words(one), words(other))
            }
            (None, Some(pair)) => format!("{}: {}", pair.name(), self.sides.names.join(", ")),
            (None, None) => self.sides.names.join(", "),
        }
    }
}

/// The client and the server of a case, if they are ours.
fn programs_of(case: &Case) -> [Option<&'static str>; 2] {
    let mut all = Choice::all();
    let choice = all.find(|choice| choice.name() == case.pair);
    choice.map_or([None, None], |choice| {
        [Some(choice.pair.client()), Some(choice.server)]
    })
}

/// The requested pairs and scenarios.
fn cases(args: &Args) -> Result<Vec<(Choice, &'static Scenario)>, String> {
    let pairs = args
        .pair
        .map_or_else(|| Choice::all().collect(), |pair| vec![pair]);
    let cases: Vec<_> = pairs
        .iter()
        .flat_map(|&pair| scenarios::of(pair).map(move |scenario| (pair, scenario)))
        .collect();
    if let Some(unknown) = args
        .scenario
        .iter()
        .find(|&wanted| !cases.iter().any(|(_, scenario)| scenario.name == wanted))
    {
        return Err(format!(
            "no scenario {unknown}. See them with: sockstep diff --list"
        ));
    }
    let wanted = |scenario: &Scenario| {
        args.scenario.is_empty() || args.scenario.iter().any(|name| name == scenario.name)
    };
    Ok(cases
        .into_iter()
        .filter(|(_, scenario)| wanted(scenario))
        .collect())
}

fn list(cases: &[(Choice, &Scenario)]) -> sockstep::Result<()> {
    let mut text = String::new();
    for (pair, scenario) in cases {
        let _ = writeln!(
            text,
            "{:23} {:18} {}",
            pair.name(),
            scenario.name,
            scenario.about
        );
    }
    put(text.as_bytes())
}

/// The programs of all requested pairs.
struct Found {
    pairs: Vec<Choice>,
    rust: Programs,
    c: Programs,
    /// The pages that the Web servers serve.
    site: PathBuf,
}

impl Found {
    fn new(cases: &[(Choice, &Scenario)], args: &Args) -> Result<Found, String> {
        let pairs: Vec<Choice> = Choice::all()
            .filter(|pair| cases.iter().any(|(other, _)| other == pair))
            .collect();
        let names = pairs
            .iter()
            .flat_map(|choice| [choice.server, choice.pair.client()]);
        let wanted = |implementation| {
            names
                .clone()
                .map(|name| (name, implementation))
                .collect::<Vec<_>>()
        };
        let mut rust = Programs::find(&wanted(Implementation::Rust), directory)?;
        let c = match &args.c_programs {
            Some(directory) => Programs::in_directory(directory, names)?,
            None => Programs::find(&wanted(Implementation::C), directory)?,
        };
        let site = if pairs.iter().any(|choice| choice.pair == Pair::Web) {
            rust.large_site()?
        } else {
            PathBuf::new()
        };
        Ok(Found {
            pairs,
            rust,
            c,
            site,
        })
    }

    fn of(&self, pair: Choice, implementation: Implementation) -> (&PathBuf, &PathBuf) {
        let programs = match implementation {
            Implementation::Rust => &self.rust,
            Implementation::C => &self.c,
        };
        let place = self
            .pairs
            .iter()
            .position(|&other| other == pair)
            .unwrap_or_default();
        (&programs.paths[2 * place], &programs.paths[2 * place + 1])
    }
}
