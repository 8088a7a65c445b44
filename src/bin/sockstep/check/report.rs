//! What a check came to: for a person as it goes, and for programs and graders in their forms.

use std::ffi::OsStr;
use std::fmt::Write as _; // into memory, which does not fail
use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid};

use crate::check::blame::Found;
use crate::check::contract::Contract;
use crate::check::no_check;
use crate::check::outcome::{Failure, Stop};
use crate::check::page::page;
use crate::check::patience::{self, LOOK};
use crate::check::table::names;
use crate::draw::json::{array, number, object, text};
use crate::draw::page::BRIEF_RUN;
use crate::draw::terminal::{ERASE, Style, fold, put};
use crate::draw::xml::escape;
use crate::sides::shell::quoted;
use crate::sides::tasks::send;
use crate::sides::trouble::Trouble;

#[derive(clap::Args)]
pub struct Output {
    /// Print the outcomes as JSON, one object a line, as src/schema/check.json in the source describes it
    #[arg(long, conflicts_with = "tap")]
    pub json: bool,
    /// Print the outcomes in the Test Anything Protocol
    #[arg(long)]
    tap: bool,
    /// Print nothing; the exit status says whether all is right
    #[arg(short, long, conflicts_with_all = ["json", "tap", "faults"])]
    quiet: bool,
    /// Also write the outcomes as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write the outcomes as results.json for Gradescope
    #[arg(long, value_name = "FILE")]
    gradescope: Option<PathBuf>,
    /// Take each check's points from this file, a line each, as in 'half-close 5' (default: 1 point)
    #[arg(long, value_name = "FILE")]
    points: Option<PathBuf>,
    /// Also write the verdicts, and each failure with its picture, as an HTML page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// A check and its outcome.
pub struct Row {
    pub name: &'static str,
    pub question: &'static str,
    pub why: &'static str,
    pub word: &'static str,
    /// Whether it needs a server that it starts itself.
    pub alone: bool,
    pub outcome: Result<(), Stop>,
    pub took: Duration,
}

impl Row {
    fn outcome(&self) -> &'static str {
        match &self.outcome {
            Ok(()) => "ok",
            Err(Stop::Fail(_)) => "FAIL",
            Err(Stop::ByDesign(_)) => "by design",
            Err(Stop::Skipped(_) | Stop::Trouble(_)) => "skipped",
        }
    }

    /// What there is to say beside that.
    fn said(&self) -> &str {
        match &self.outcome {
            Ok(()) => "",
            Err(Stop::Fail(failure)) => &failure.said,
            Err(Stop::ByDesign(said) | Stop::Skipped(said) | Stop::Trouble(said)) => said,
        }
    }

    fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Err(Stop::Fail(failure)) => Some(failure),
            _ => None,
        }
    }
}

pub struct Report<'a> {
    output: &'a Output,
    style: Style,
    pub kind: &'static str,
    pub command: String,
    pub contract: Contract,
    /// It was not started here: `command` is its address.
    pub runs_already: bool,
    all: usize,
    pub rows: Vec<Kept>,
    points: Vec<(String, f64)>,
}

/// What of a row is needed at the end.
pub struct Kept {
    pub name: &'static str,
    pub question: &'static str,
    pub why: &'static str,
    pub word: &'static str,
    pub alone: bool,
    pub outcome: &'static str,
    pub said: String,
    pub bytes: Vec<String>,
    pub took: Duration,
    /// It was not made, and that was not the program's choice.
    pub trouble: bool,
    /// The line of the source that is to blame, if known.
    pub line: Option<String>,
    pub picture: Picture,
}

/// A failure, drawn.
#[derive(Default)]
pub struct Picture {
    pub svg: String,
    /// The page to step through it.
    pub page: String,
}

/// What pictures are made of.
pub struct Pictures<'a> {
    /// None is begun after this.
    pub until: Instant,
    /// Whether the program's source lines can be found.
    pub has_lines: bool,
    /// Makes the check of this name once more, under strace.
    pub again: &'a mut dyn FnMut(&str) -> Found,
}

impl Kept {
    /// The bytes expected and seen, and the line.
    pub fn facts(&self) -> Vec<String> {
        let line = self.line.as_ref().map(|line| format!("line     {line}"));
        self.bytes.iter().cloned().chain(line).collect()
    }
}

const WIDTH: usize = 80;
/// What files say until all checks have been made.
const UNFINISHED: &str = "The checks were not completed";
/// Bytes of a picture.
const MOST: u64 = 4 << 20;

impl<'a> Report<'a> {
    pub fn begin(
        output: &'a Output,
        kind: &'static str,
        command: &str,
        contract: Contract,
        all: usize,
    ) -> Result<Report<'a>, Trouble> {
        let points = match &output.points {
            Some(file) => points(file)?,
            None => Vec::new(),
        };
        let report = Report {
            output,
            style: Style::of_standard_output(),
            kind,
            command: command.to_owned(),
            contract,
            runs_already: false,
            all,
            rows: Vec::new(),
            points,
        };
        report.write_files(UNFINISHED)?; // in case we do not come back
        if output.json {
            crate::draw::json::version()?;
        } else if output.tap {
            put(format!("TAP version 13\n1..{all}\n").as_bytes())?;
        } else {
            let line = format!("{kind} {command}, as {}\n", contract.name());
            let mut shown = Vec::new();
            crate::draw::terminal::harmless(line.trim_end().as_bytes(), &mut shown);
            shown.extend_from_slice(b"\n\n");
            report.print(&shown)?;
        }
        report.progress()?;
        Ok(report)
    }

    fn print(&self, text: &[u8]) -> sockstep::Result<()> {
        if self.output.quiet {
            return Ok(());
        }
        put(text)
    }

    /// Says on a terminal how far it is.
    fn progress(&self) -> Result<(), Trouble> {
        if self.style.erasing && !self.output.json && !self.output.tap && self.rows.len() < self.all
        {
            self.print(format!("{} of {} ...", self.rows.len() + 1, self.all).as_bytes())?;
        }
        Ok(())
    }

    pub fn row(&mut self, row: &Row, verbose: bool) -> Result<(), Trouble> {
        let failed = row.failure();
        let bytes = failed.map_or_else(Vec::new, Failure::rows);
        let line = if self.output.json {
            Report::json_of(row)
        } else if self.output.tap {
            self.tap_of(row, &bytes)
        } else {
            self.text_of(row, verbose)
        };
        let erased = if self.style.erasing && !self.output.json && !self.output.tap {
            ERASE
        } else {
            ""
        };
        self.print(format!("{erased}{line}").as_bytes())?;
        self.rows.push(Kept {
            name: row.name,
            question: row.question,
            why: row.why,
            word: row.word,
            alone: row.alone,
            outcome: row.outcome(),
            said: row.said().to_owned(),
            bytes,
            took: row.took,
            trouble: matches!(row.outcome, Err(Stop::Trouble(_))),
            line: None,
            picture: Picture::default(),
        });
        self.write_files(UNFINISHED)?;
        self.progress()
    }

    fn text_of(&self, row: &Row, verbose: bool) -> String {
        let outcome = row.outcome();
        let colour = match outcome {
            "ok" => "32",
            "FAIL" => "31;1",
            _ => "33",
        };
        let padded = self.style.paint(colour, &format!("{outcome:9}"));
        let mut words = row.question.to_owned();
        if matches!(outcome, "by design" | "skipped") {
            words = format!("{words} {}", row.said());
        }
        let mut text = String::new();
        for (at, part) in fold(&words, WIDTH - 31).iter().enumerate() {
            if at == 0 {
                let _ = writeln!(text, "{padded} {:20} {part}", row.name);
            } else {
                let _ = writeln!(text, "{:31}{part}", "");
            }
        }
        if verbose {
            let why = format!("{} ({} ms)", row.why, row.took.as_millis());
            for part in fold(&why, WIDTH - 33) {
                let _ = writeln!(text, "{:33}{part}", "");
            }
        }
        text
    }

    fn tap_of(&self, row: &Row, bytes: &[String]) -> String {
        let number = self.rows.len() + 1;
        let said = row.said();
        match row.outcome() {
            "FAIL" => {
                let mut text = format!(
                    "not ok {number} - {}\n  ---\n  message: {}\n",
                    row.name,
                    text(said)
                );
                // `expected 5 bytes: "hello"` becomes a pair: a name and a quoted text.
                for (name, shown) in bytes.iter().filter_map(|line| line.split_once(' ')) {
                    let _ = writeln!(text, "  {name}: {}", self::text(shown.trim_start()));
                }
                text + "  ...\n"
            }
            "skipped" => format!("ok {number} - {} # SKIP {said}\n", row.name),
            "by design" => format!("ok {number} - {} # by design: {said}\n", row.name),
            _ => format!("ok {number} - {}\n", row.name),
        }
    }

    fn json_of(row: &Row) -> String {
        let hex = |bytes: &[u8]| {
            let mut digits = String::new();
            for byte in bytes.iter().take(4096) {
                let _ = write!(digits, "{byte:02x}");
            }
            text(digits)
        };
        let bytes = row.failure().and_then(|failure| failure.bytes.as_ref());
        let mut pairs = vec![
            ("kind", text("check")),
            ("name", text(row.name)),
            ("question", text(row.question)),
            ("outcome", text(row.outcome())),
            ("said", text(row.said())),
            ("why", text(row.why)),
            ("explain", text(row.word)),
            ("took_ns", number(Some(row.took.as_nanos()))),
        ];
        if let Some((expected, seen)) = bytes {
            pairs.push(("expected_hex", hex(expected)));
            pairs.push(("seen_hex", hex(seen)));
        }
        object(&pairs) + "\n"
    }

    /// `27 of 29, 1 skipped`.
    pub fn sum(&self) -> String {
        let [right, failed, unmade] = self.counts();
        let skipped = match unmade {
            0 => String::new(),
            unmade => format!(", {unmade} skipped"),
        };
        format!("{right} of {}{skipped}", right + failed)
    }

    /// How many were right, failed, and were not made.
    fn counts(&self) -> [usize; 3] {
        let count = |of: &[&str]| {
            self.rows
                .iter()
                .filter(|row| of.contains(&row.outcome))
                .count()
        };
        [
            count(&["ok", "by design"]),
            count(&["FAIL"]),
            count(&["skipped"]),
        ]
    }

    /// Says what failed, and how many did not.
    pub fn end(
        mut self,
        command: Option<&OsStr>,
        pictures: Option<Pictures>,
    ) -> Result<bool, Trouble> {
        let shows = !self.output.json && !self.output.tap && !self.output.quiet;
        let files = [
            &self.output.html,
            &self.output.junit,
            &self.output.gradescope,
        ];
        let wanted = shows || files.iter().any(|file| file.is_some());
        let draws = shows || self.output.html.is_some();
        let mut pictures =
            pictures.filter(|_| wanted && crate::strace::command::available().is_ok());
        let [right, failed, unmade] = self.counts();
        let for_a_person = !self.output.json && !self.output.tap;
        if self.output.json {
            let pairs = [
                ("kind", text("total")),
                ("checks", self.rows.len().to_string()),
                ("ok", right.to_string()),
                ("failed", failed.to_string()),
                ("skipped", unmade.to_string()),
            ];
            put((object(&pairs) + "\n").as_bytes())?;
        }
        for at in 0..self.rows.len() {
            let row = &self.rows[at];
            if row.outcome != "FAIL" {
                continue;
            }
            let pictures = pictures.as_mut().filter(|it| Instant::now() < it.until);
            let has_lines = pictures.as_ref().is_some_and(|it| it.has_lines);
            let in_time = pictures.is_some();
            let run = command.filter(|_| !row.alone);
            let found = match pictures {
                Some(it) if has_lines || run.is_none() && draws => (it.again)(row.name),
                _ => Found::default(),
            };
            self.rows[at].line = found.line;
            let row = &self.rows[at];
            if for_a_person {
                self.print(self.explained(row).as_bytes())?;
            }
            let picture = match run {
                _ if !in_time || !draws => None,
                Some(command) => self.run_again(row, command, has_lines),
                None => shown(row.name, &found.recording),
            };
            if let Some((text, picture)) = picture {
                if for_a_person {
                    self.print(text.as_bytes())?;
                }
                self.rows[at].picture = picture;
            }
            self.write_files(UNFINISHED)?;
        }
        if for_a_person {
            self.print(format!("\n{}\n", self.sum()).as_bytes())?;
        }
        self.write_files("")?;
        match self.rows.iter().find(|row| row.trouble) {
            Some(row) if failed == 0 => Err(Trouble::Said(format!("{}: {}", row.name, row.said))),
            _ => Ok(failed == 0),
        }
    }

    /// A failure, for its author.
    fn explained(&self, row: &Kept) -> String {
        let name = self.style.paint("31;1", row.name);
        let mut text = format!("\n{name}\n");
        let mut line = |words: &str, indent: usize| {
            for part in fold(words, WIDTH - indent) {
                let mut shown = Vec::new();
                crate::draw::terminal::harmless(part.as_bytes(), &mut shown);
                let _ = writeln!(text, "{:indent$}{}", "", String::from_utf8_lossy(&shown));
            }
        };
        line(&row.said, 2);
        for bytes in &row.bytes {
            line(bytes, 4);
        }
        if let Some(place) = &row.line {
            line(&format!("line   {place}"), 2);
        }
        line(&format!("why    {}", row.why), 2);
        // Commands stay in one piece, to be copied.
        for (what, command) in self.commands(row) {
            let mut shown = Vec::new();
            crate::draw::terminal::harmless(command.as_bytes(), &mut shown);
            let _ = writeln!(text, "  {what:6} {}", String::from_utf8_lossy(&shown));
        }
        text
    }

    /// What can be typed about a failure: its word, the same again, and how to see it.
    pub fn commands(&self, row: &Kept) -> Vec<(&'static str, String)> {
        let (contract, name) = (self.contract.name(), row.name);
        let side = if self.runs_already { "at" } else { self.kind };
        let command = quoted(self.command.as_ref());
        let mut commands = vec![
            ("word", format!("sockstep explain '{}'", row.word)),
            (
                "again",
                format!("sockstep check --{side} {command} --contract {contract} --only {name} -v"),
            ),
        ];
        if self.kind == "server" && !row.alone && !self.runs_already {
            let client = format!(
                "sockstep check --at 127.0.0.1:{{port}} --contract {contract} --only {name} -q"
            );
            let see = format!("sockstep run --server {command} --client '{client}'");
            commands.push(("see", see));
        }
        commands
    }

    /// The ladder of a check that failed: the server once more, with that check as its client.
    fn run_again(&self, row: &Kept, command: &OsStr, has_lines: bool) -> Option<(String, Picture)> {
        let this = std::env::current_exe().ok()?;
        let asked = format!(
            "check --at 127.0.0.1:{{port}} --contract {} --only {} -q",
            self.contract.name(),
            row.name
        );
        let program = quoted(this.as_os_str());
        let client = format!("{program} {asked}");
        let mut run = Command::new(&this);
        run.args(["run", "--server"])
            .arg(command)
            .args(["--client", &client])
            .args(has_lines.then_some("--source"))
            .stdin(Stdio::null());
        let (text, mut picture) = drawn(run)?;
        let name = escape(&program);
        picture.svg = picture.svg.replace(&name, "sockstep");
        Some((text, picture))
    }

    // ---- For graders ----

    fn write_files(&self, unfinished: &str) -> Result<(), Trouble> {
        let write = |file: &Option<PathBuf>, content: String| match file {
            Some(file) => fs::write(file, content)
                .map_err(|error| Trouble::Said(format!("{}: {error}", file.display()))),
            None => Ok(()),
        };
        if self.output.html.is_some() {
            write(&self.output.html, page(self, unfinished))?;
        }
        write(&self.output.junit, self.junit(unfinished))?;
        write(&self.output.gradescope, self.gradescope(unfinished))
    }

    fn junit(&self, unfinished: &str) -> String {
        let failed = self.rows.iter().filter(|row| row.outcome == "FAIL").count();
        let skipped = self
            .rows
            .iter()
            .filter(|row| row.outcome == "skipped")
            .count();
        let errors = usize::from(!unfinished.is_empty());
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"sockstep check {}\" tests=\"{}\" failures=\"{failed}\" errors=\"{errors}\" skipped=\"{skipped}\">\n",
            self.contract.name(),
            self.rows.len() + errors,
        );
        for row in &self.rows {
            let _ = write!(
                xml,
                "  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
                self.contract.name(),
                row.name,
                row.took.as_secs_f64()
            );
            let _ = match row.outcome {
                "FAIL" => writeln!(
                    xml,
                    ">\n    <failure message=\"{}\">{}</failure>\n  </testcase>",
                    escape(&row.said),
                    escape(&row.facts().join("\n"))
                ),
                "skipped" => writeln!(
                    xml,
                    ">\n    <skipped message=\"{}\"/>\n  </testcase>",
                    escape(&row.said)
                ),
                _ => writeln!(xml, "/>"),
            };
        }
        if !unfinished.is_empty() {
            let _ = writeln!(
                xml,
                "  <testcase classname=\"{}\" name=\"all\">\n    <error message=\"{unfinished}\"/>\n  </testcase>",
                self.contract.name()
            );
        }
        xml + "</testsuite>\n"
    }

    fn gradescope(&self, unfinished: &str) -> String {
        let tests = self.rows.iter().map(|row| {
            let most = self.points_of(row.name);
            let score = if matches!(row.outcome, "ok" | "by design") {
                most
            } else {
                0.0
            };
            let mut output = match row.said.as_str() {
                "" => row.question.to_owned(),
                said => format!("{}\n{said}", row.question),
            };
            for line in row.facts() {
                let _ = write!(output, "\n{line}");
            }
            if row.outcome == "FAIL" {
                let _ = write!(output, "\n{}\nsockstep explain '{}'", row.why, row.word);
            }
            object(&[
                ("name", text(row.name)),
                ("score", score.to_string()),
                ("max_score", most.to_string()),
                (
                    "status",
                    text(if score > 0.0 || most == 0.0 {
                        "passed"
                    } else {
                        "failed"
                    }),
                ),
                ("output", text(output)),
            ])
        });
        let output = if unfinished.is_empty() {
            format!("sockstep check, {}", self.contract.name())
        } else {
            unfinished.to_owned()
        };
        let score = if self.rows.is_empty() {
            vec![("score", "0".to_owned())]
        } else {
            Vec::new()
        };
        let pairs = [
            vec![("output", text(output))],
            score,
            vec![("tests", array(tests))],
        ]
        .concat();
        object(&pairs) + "\n"
    }

    fn points_of(&self, name: &str) -> f64 {
        let named = self.points.iter().find(|(other, _)| other == name);
        named.map_or(1.0, |(_, points)| *points)
    }
}

fn memory() -> Option<fs::File> {
    let file = memfd_create(c"picture", MFdFlags::MFD_CLOEXEC);
    file.map(fs::File::from).ok()
}

/// The ladder of a program's own calls.
fn shown(name: &str, recording: &[u8]) -> Option<(String, Picture)> {
    if recording.is_empty() {
        return None;
    }
    let mut input = memory()?;
    input.write_all(recording).ok()?;
    input.rewind().ok()?;
    let mut show = Command::new(std::env::current_exe().ok()?);
    show.args(["show", "-", "--source"]).stdin(input);
    let (text, mut picture) = drawn(show)?;
    // Its title.
    picture.svg = picture.svg.replacen("standard input", name, 2);
    picture.page = picture.page.replacen(
        "\"title\":\"standard input\"",
        &format!("\"title\":\"{name}\""),
        2,
    );
    Some((text, picture))
}

/// What this command draws: as text, as SVG and as a page.
fn drawn(mut command: Command) -> Option<(String, Picture)> {
    let (text, svg, page) = (memory()?, memory()?, memory()?);
    let place = |file: &fs::File| format!("/proc/{}/fd/{}", getpid(), file.as_raw_fd());
    let mut run = command
        .args(["--svg", &place(&svg), "--html", &place(&page)])
        .env(BRIEF_RUN, "1")
        .stdout(text.try_clone().ok()?)
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    while run.try_wait().ok()?.is_none() {
        if patience::is_up() {
            send(Pid::from_raw(run.id().try_into().ok()?), Signal::SIGTERM); // it ends what it has started
        }
        thread::sleep(LOOK);
    }
    let read = |mut file: fs::File| {
        let mut bytes = Vec::new();
        file.rewind().ok()?;
        file.take(MOST).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut shown = String::from("\n");
    for line in read(text)?.lines().take(120) {
        let _ = writeln!(shown, "{line}");
    }
    // One that is cut is no picture.
    let whole = |file, end| read(file).filter(|it| it.trim_end().ends_with(end));
    let picture = Picture {
        svg: whole(svg, "</svg>").unwrap_or_default(),
        page: whole(page, "</html>").unwrap_or_default(),
    };
    Some((shown, picture))
}

/// `NAME POINTS` in each line.
fn points(file: &PathBuf) -> Result<Vec<(String, f64)>, Trouble> {
    let name = file.display();
    let text =
        fs::read_to_string(file).map_err(|error| Trouble::Said(format!("{name}: {error}")))?;
    let mut points = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let of = line.split_once(char::is_whitespace);
        let of = of.and_then(|(name, points)| Some((name.to_owned(), points.trim().parse().ok()?)));
        let of = of.filter(|(_, points): &(String, f64)| points.is_finite() && *points >= 0.0);
        let of = of.ok_or_else(|| {
            Trouble::Said(format!(
                "{name}, line {}: a line is a check's name and its points",
                at + 1
            ))
        })?;
        if !names().any(|known| known == of.0) {
            let why = no_check(&of.0, names());
            return Err(Trouble::Said(format!("{name}, line {}: {why}", at + 1)));
        }
        points.push(of);
    }
    Ok(points)
}
