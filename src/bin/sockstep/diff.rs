//! `sockstep diff`: the Rust pair and the C pair in the same scenarios, each lane compared call by call.

use std::collections::BTreeMap;
use std::fmt::Write; // into memory, which does not fail
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::align::{Aside, Comparison, Form, Forms, Row, Script, Verdict, compare};
use crate::expected::EXPECTED;
use crate::lanes::{Style, put};
use crate::pairs::Pair;
use crate::process::{Signals, adopt, end_strays};
use crate::programs::{Implementation, Programs};
use crate::record::{Recording, Studio};
use crate::scenarios::{self, Scenario};
use crate::trace;
use crate::trouble::Trouble;
use clap::ValueEnum;

/// Recordings at a time. They wait more than they work.
const WORKERS: usize = 8;
/// Lines shown before and after a difference.
const CONTEXT: usize = 2;
/// Columns of the output.
const COLUMNS: usize = 80;

/// Compare the system calls of a Rust pair and its C twins, scenario by scenario
///
/// Each program is recorded twice and compared with itself first, so that what varies by itself is known. What a program did
/// is then identical to the letter, equal after named normalisations, expected to differ for a reason that is given, or
/// divergent. Exit status: 0 if they agree, 1 if any diverge, 2 if there was trouble.
#[derive(clap::Args)]
#[command(after_help = "Example: sockstep diff tcp_echo")]
pub struct Args {
    /// Which pair
    #[arg(required_unless_present_any = ["all", "list"])]
    pair: Option<Pair>,
    /// This scenario only
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    scenario: Vec<String>,
    /// All scenarios; without PAIR, those of all pairs
    #[arg(long)]
    all: bool,
    /// List the scenarios, and do nothing
    #[arg(long)]
    list: bool,
    /// Show the lines that are set aside
    #[arg(long)]
    raw: bool,
    /// Take the C programs from this directory, instead of compiling the twins
    #[arg(long, value_name = "DIR")]
    c_programs: Option<PathBuf>,
}

pub fn diff(args: &Args) -> ExitCode {
    let outcome = adopt().map_err(Trouble::Said).and_then(|()| judge(args));
    end_strays();
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => trouble.end(2, 2), // even if only the reader has gone: that is no verdict
    }
}

/// One pair in one scenario.
type Case = (Pair, &'static Scenario);

/// Who is recorded for each case, in this order.
const RUNS: [Implementation; 4] = [
    Implementation::Rust,
    Implementation::Rust,
    Implementation::C,
    Implementation::C,
];

/// Says whether all agree.
fn judge(args: &Args) -> Result<bool, Trouble> {
    let cases = cases(args)?;
    if args.list {
        list(&cases)?;
        return Ok(true);
    }
    trace::available()?;
    let signals = Signals::collect()?;
    let programs = Found::new(&cases, args)?;
    let mut report = Report::new(args.raw);
    let stop = AtomicBool::new(false);
    let next = AtomicUsize::new(0);
    let outcome = thread::scope(|scope| {
        let (sender, receiver) = channel();
        for _ in 0..WORKERS {
            let sender = sender.clone();
            let (cases, programs, signals) = (&cases, &programs, &signals);
            let (next, stop) = (&next, &stop);
            scope.spawn(move || work(cases, programs, signals, next, stop, &sender));
        }
        drop(sender);
        let mut done: BTreeMap<usize, Recording> = BTreeMap::new();
        let mut shown = 0;
        let outcome: Result<(), Trouble> = receiver.iter().try_for_each(|(job, recording)| {
            done.insert(job, recording?);
            while (0..RUNS.len()).all(|run| done.contains_key(&(shown * RUNS.len() + run))) {
                let first = shown * RUNS.len();
                let recordings: Vec<Recording> = (first..first + RUNS.len())
                    .filter_map(|job| done.remove(&job))
                    .collect();
                report.case(cases[shown], &recordings)?;
                shown += 1;
            }
            Ok(())
        });
        stop.store(true, Ordering::Relaxed); // on failure: the others give up too
        outcome
    });
    outcome?;
    report.end()
}

/// Records what is next, until nothing is.
fn work(
    cases: &[Case],
    programs: &Found,
    signals: &Signals,
    next: &AtomicUsize,
    stop: &AtomicBool,
    sender: &Sender<(usize, Result<Recording, Trouble>)>,
) {
    loop {
        let job = next.fetch_add(1, Ordering::Relaxed);
        let Some(&(pair, scenario)) = cases.get(job / RUNS.len()) else {
            break;
        };
        let (server, client) = programs.of(pair, RUNS[job % RUNS.len()]);
        let studio = Studio {
            signals,
            stop,
            server,
            client,
        };
        let recording =
            studio
                .record(pair, scenario)
                .map_err(|interrupted| match Trouble::from(interrupted) {
                    Trouble::Said(words) => {
                        Trouble::Said(format!("{}, {}: {words}", name(pair), scenario.name))
                    }
                    other => other,
                });
        let failed = recording.is_err();
        if sender.send((job, recording)).is_err() || failed {
            break;
        }
    }
}

/// The pairs and scenarios that are asked for.
fn cases(args: &Args) -> Result<Vec<Case>, String> {
    let pairs = args
        .pair
        .map_or_else(|| Pair::value_variants().to_vec(), |pair| vec![pair]);
    let cases: Vec<Case> = pairs
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

fn list(cases: &[Case]) -> sockstep::Result<()> {
    let mut text = String::new();
    for (pair, scenario) in cases {
        let _ = writeln!(
            text,
            "{:10} {:18} {}",
            name(*pair),
            scenario.name,
            scenario.about
        );
    }
    put(text.as_bytes())
}

fn name(pair: Pair) -> String {
    pair.to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The programs of all pairs that are asked for.
struct Found {
    pairs: Vec<Pair>,
    rust: Programs,
    c: Programs,
}

impl Found {
    fn new(cases: &[Case], args: &Args) -> Result<Found, String> {
        let pairs: Vec<Pair> = Pair::value_variants().to_vec();
        let pairs: Vec<Pair> = pairs
            .into_iter()
            .filter(|pair| cases.iter().any(|(other, _)| other == pair))
            .collect();
        let names = pairs.iter().flat_map(|pair| [pair.server(), pair.client()]);
        let wanted = |implementation| {
            names
                .clone()
                .map(|name| (name, implementation))
                .collect::<Vec<_>>()
        };
        let rust = Programs::find(&wanted(Implementation::Rust))?;
        let c = match &args.c_programs {
            Some(directory) => Programs::in_directory(directory, names)?,
            None => Programs::find(&wanted(Implementation::C))?,
        };
        Ok(Found { pairs, rust, c })
    }

    fn of(&self, pair: Pair, implementation: Implementation) -> (&PathBuf, &PathBuf) {
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

// ---- What the person sees ----

/// The verdicts as they come, and what they have in common.
struct Report {
    style: Style,
    raw: bool,
    pair: Option<String>,
    lanes: usize,
    verdicts: [usize; 4],
    forms: Forms,
    /// For each kind of call set aside: how often Rust and C made it.
    aside: BTreeMap<(Aside, String), [usize; 2]>,
    expected: BTreeMap<usize, usize>,
    varying: usize,
    trouble: Vec<String>,
}

impl Report {
    fn new(raw: bool) -> Report {
        Report {
            style: Style::of_standard_output(),
            raw,
            pair: None,
            lanes: 0,
            verdicts: [0; 4],
            forms: Forms::new(),
            aside: BTreeMap::new(),
            expected: BTreeMap::new(),
            varying: 0,
            trouble: Vec::new(),
        }
    }

    /// Judges one case by its four recordings, and says so.
    fn case(&mut self, (pair, scenario): Case, recordings: &[Recording]) -> sockstep::Result<()> {
        let mut text = String::new();
        if self.pair.as_ref() != Some(&name(pair)) {
            if self.pair.is_some() {
                text.push('\n');
            }
            text += &self.style.paint("1", &name(pair));
            text.push('\n');
            self.pair = Some(name(pair));
        }
        let _ = writeln!(text, "  {}: {}", scenario.name, scenario.about);
        let names: Vec<&str> = recordings[0].lanes.iter().map(|lane| lane.name).collect();
        for name in names {
            let scripts: Vec<Option<Script>> = recordings
                .iter()
                .map(|recording| {
                    let lane = recording.lanes.iter().find(|lane| lane.name == name)?;
                    Some(Script::new(&lane.entries, lane.port))
                })
                .collect();
            if let [Some(rust), Some(again), Some(c), Some(c_again)] = scripts.as_slice() {
                self.lane(name, [rust, again, c, c_again], &mut text);
            } else {
                self.lanes += 1;
                self.verdicts[Verdict::Divergent as usize] += 1;
                let word = self.style.paint("31", "divergent");
                let _ = writeln!(
                    text,
                    "    {name:8} {word}: it did not run in each recording"
                );
            }
        }
        for (recording, implementation) in recordings.iter().zip(RUNS) {
            if let Some(words) = &recording.trouble {
                let language = language(implementation);
                let _ = writeln!(text, "    {}: {words}", self.style.paint("31", language));
                self.trouble.push(format!(
                    "{} {}, {language}: {words}",
                    name(pair),
                    scenario.name
                ));
            }
        }
        put(text.as_bytes())
    }

    fn lane(&mut self, name: &str, [rust, again, c, c_again]: [&Script; 4], text: &mut String) {
        let comparison = compare(rust, c, true);
        self.lanes += 1;
        self.verdicts[comparison.verdict as usize] += 1;
        for (form, count) in &comparison.forms {
            *self.forms.entry(*form).or_default() += count;
        }
        for reason in comparison.expected() {
            *self.expected.entry(reason).or_default() += 1;
        }
        for (side, script) in [rust, c].into_iter().enumerate() {
            for (aside, line) in &script.aside {
                let call = line.split('(').next().unwrap_or_default().to_owned();
                self.aside.entry((*aside, call)).or_default()[side] += 1;
            }
        }

        let calls = format!("{} lines", comparison.left.lines.len());
        let colour = match comparison.verdict {
            Verdict::Divergent => "31",
            _ => "32",
        };
        let mut words = Vec::new();
        let expected: Vec<String> = comparison.expected().map(letter).collect();
        if !expected.is_empty() {
            words.push(expected.join(", "));
        }
        if comparison.verdict != Verdict::Divergent && !comparison.forms.is_empty() {
            words.push(forms(&comparison.forms));
        }
        let aside = rust.aside.len() + c.aside.len();
        if aside > 0 {
            words.push(format!("{aside} aside"));
        }
        let word = format!("{:9}", comparison.verdict.word());
        *text += format!(
            "    {name:8} {calls:>9}  {} {}",
            self.style.paint(colour, &word),
            words.join("; ")
        )
        .trim_end();
        text.push('\n');

        // What varies by itself, before anyone is blamed for it.
        for (language, one, other) in [("Rust", rust, again), ("C", c, c_again)] {
            let own = compare(one, other, false);
            if let Some(count) = own.forms.get(&Form::Pieces) {
                *self.forms.entry(Form::Pieces).or_default() += count;
                let _ = writeln!(text, "      {language} varies by itself, by its pieces");
            } else if own.verdict == Verdict::Divergent {
                self.varying += 1;
                let _ = writeln!(
                    text,
                    "      {}",
                    self.style.paint(
                        "31",
                        &format!("{language} varies by itself, run 1 and run 2:")
                    )
                );
                self.hunks(&own, ["1", "2"], text);
            }
        }
        if comparison.verdict == Verdict::Divergent {
            self.hunks(&comparison, ["Rust", "C"], text);
        }
        if self.raw {
            for (language, script) in [("Rust", rust), ("C", c)] {
                for (aside, line) in &script.aside {
                    let aside = if *aside == Aside::Memory {
                        "memory"
                    } else {
                        "stdio"
                    };
                    let _ = writeln!(text, "      {language:4} {aside}: {line}");
                }
            }
        }
    }

    /// The differences, numbered as the lines are, with a few lines around each.
    fn hunks(&self, comparison: &Comparison, names: [&str; 2], text: &mut String) {
        let Comparison {
            left, right, rows, ..
        } = comparison;
        let differs = |row: &Row| matches!(row, Row::Left(_) | Row::Right(_));
        let near = |at: usize| {
            rows[at.saturating_sub(CONTEXT)..rows.len().min(at + CONTEXT + 1)]
                .iter()
                .any(differs)
        };
        let mut gap = false;
        for (at, row) in rows.iter().enumerate() {
            if !near(at) {
                gap = true;
                continue;
            }
            if std::mem::take(&mut gap) {
                *text += "      ...\n";
            }
            // A line that stands for another: the two may differ far behind what is shown of them.
            let other = if differs(row) {
                comparison.counterpart(at)
            } else {
                None
            };
            let (mark, colour, number, line) = match *row {
                Row::Both(l, _) => ("  ", "", l, &left.lines[l].text),
                Row::Expected(l, reason) => (
                    ["a ", "b ", "c "][reason.min(2)],
                    "33",
                    l,
                    &left.lines[l].text,
                ),
                Row::Left(l) => ("- ", "31", l, &left.lines[l].text),
                Row::Right(r) => ("+ ", "32", r, &right.lines[r].text),
            };
            let name = match row {
                Row::Both(..) => "",
                Row::Left(_) | Row::Expected(..) => names[0],
                Row::Right(_) => names[1],
            };
            let start = format!("      {mark}{name:4} {:>3} ", number + 1);
            let line = window(
                line,
                other.map_or(0, |other| first_difference(line, &other.text)),
                COLUMNS - start.len(),
            );
            *text += self
                .style
                .paint(colour, &format!("{start}{line}"))
                .trim_end();
            text.push('\n');
        }
    }

    /// What all verdicts have in common, and whether they are good.
    fn end(self) -> Result<bool, Trouble> {
        let divergent = self.verdicts[Verdict::Divergent as usize];
        let mut text = String::from("\n");
        if !self.forms.is_empty() {
            text += "Normalised before the comparison:\n";
            for (form, count) in &self.forms {
                wrap(
                    &format!("  {:8} {count:>5}  {}", form.name(), form.meaning()),
                    17,
                    &mut text,
                );
            }
        }
        if !self.expected.is_empty() {
            text += "Expected, in Rust alone:\n";
            for (&reason, count) in &self.expected {
                let expected = &EXPECTED[reason];
                let _ = writeln!(
                    text,
                    "  {} {count:>5} x  {}...{}",
                    letter(reason),
                    expected.call,
                    expected.end
                );
                wrap(&format!("             {}", expected.reason), 13, &mut text);
            }
        }
        if !self.aside.is_empty() {
            text += "Set aside, not compared (--raw shows them):\n";
            for ((aside, call), [rust, c]) in &self.aside {
                wrap(
                    &format!(
                        "  {call:12} {rust:>5} in Rust {c:>5} in C  {}",
                        aside.reason()
                    ),
                    38,
                    &mut text,
                );
            }
        }
        let verdicts = Verdict::ALL.map(|verdict| {
            let count = self.verdicts[verdict as usize];
            format!("{count} {}", verdict.word())
        });
        let summary = format!("{} lanes: {}", self.lanes, verdicts.join(", "));
        text += &self
            .style
            .paint(if divergent == 0 { "1;32" } else { "1;31" }, &summary);
        text.push('\n');
        put(text.as_bytes())?;
        if divergent == 0 {
            if let Some(words) = self.trouble.first() {
                return Err(Trouble::Said(words.clone()));
            }
        }
        Ok(divergent == 0 && self.varying == 0)
    }
}

fn language(implementation: Implementation) -> &'static str {
    match implementation {
        Implementation::Rust => "Rust",
        Implementation::C => "C",
    }
}

/// `port 3, pointer 1`
fn forms(forms: &Forms) -> String {
    let forms: Vec<String> = forms
        .iter()
        .map(|(form, count)| format!("{} {count}", form.name()))
        .collect();
    forms.join(", ")
}

/// The letter of an expected difference.
fn letter(reason: usize) -> String {
    char::from(b'a' + u8::try_from(reason).unwrap_or_default()).to_string()
}

fn first_difference(one: &str, other: &str) -> usize {
    one.chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count()
}

/// What fits of a line, its beginning and the neighbourhood of one character.
fn window(line: &str, around: usize, columns: usize) -> String {
    let characters: Vec<char> = line.chars().collect();
    let head = columns / 3;
    if characters.len() <= columns {
        return line.to_owned();
    }
    if around + 10 < columns {
        return characters[..columns - 3].iter().collect::<String>() + "...";
    }
    let room = columns - head - 6;
    let from = (around - room / 3).min(characters.len() - room);
    let tail: String = characters[from..from + room].iter().collect();
    let more = if from + room < characters.len() {
        "..."
    } else {
        ""
    };
    format!(
        "{}...{tail}{more}",
        characters[..head].iter().collect::<String>()
    )
}

/// Appends text in lines of 80 columns, the later ones indented.
fn wrap(words: &str, indent: usize, text: &mut String) {
    let start = words.len() - words.trim_start().len();
    let mut column = indent.min(start);
    text.push_str(&words[..start]);
    column = column.max(start);
    let mut first = true;
    for word in words[start..].split(' ') {
        let len = word.chars().count();
        if !first && column + 1 + len > COLUMNS {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if !first {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += len;
        first = false;
    }
    text.push('\n');
}
