//! `--svg`, `--mermaid`, `--perfetto`, `--pcapng` and `--csv`: runs in files, for other tools.

use std::path::{Path, PathBuf};

use crate::draw::history::History;
use crate::draw::page::compared::Marked;
use crate::draw::page::{self, Page};
use crate::draw::target::{STANDARD_OUTPUT, Target};
use crate::draw::terminal::remark;
use crate::draw::{csv, mermaid, pcapng, perfetto, svg};
use crate::strace::line::Entry;
use crate::world::Side;

#[derive(clap::Args)]
#[group(id = "exports")] // a page has options of this name too
pub struct Options {
    /// Write the picture as SVG, light or dark as its reader prefers; - is standard output
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write a Mermaid sequence diagram
    #[arg(long, value_name = "FILE")]
    mermaid: Option<PathBuf>,
    /// Write trace events for ui.perfetto.dev: a track for each task, a flow for each message
    #[arg(long, value_name = "FILE")]
    perfetto: Option<PathBuf>,
    /// Write the packets of these calls for Wireshark, each with its call as a comment
    #[arg(long, value_name = "FILE")]
    pcapng: Option<PathBuf>,
    /// Write a table, one row for each event
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// Makes the bytes of a file from runs, and a message about what the file cannot show.
type Draw = fn(&[History], &mut Vec<String>) -> Vec<u8>;

/// The requested files, opened before anything is run.
pub struct Exports {
    targets: Vec<(Target, Draw)>,
    runs: Vec<History>,
    brief: bool,
}

impl Options {
    fn all(&self) -> impl Iterator<Item = (&'static str, &Path, Draw)> {
        let all: [(_, _, Draw); 5] = [
            ("--svg", &self.svg, svg::draw),
            ("--mermaid", &self.mermaid, mermaid::draw),
            ("--perfetto", &self.perfetto, perfetto::draw),
            ("--pcapng", &self.pcapng, pcapng::draw),
            ("--csv", &self.csv, csv::draw),
        ];
        let wanted = all.into_iter();
        wanted.filter_map(|(option, path, draw)| Some((option, path.as_deref()?, draw)))
    }

    pub fn are_wanted(&self) -> bool {
        self.all().next().is_some()
    }

    /// Whether one of them is standard output, which then gets nothing else.
    pub fn take_standard_output(&self, page: &page::Options) -> bool {
        !self.those_on_standard_output(page).is_empty()
    }

    fn those_on_standard_output(&self, page: &page::Options) -> Vec<&'static str> {
        let all = self.all().map(|(option, path, _)| (option, path));
        let all = all.chain(page.path().map(|path| (page::OPTION, path)));
        let out = all.filter(|(_, path)| *path == Path::new(STANDARD_OUTPUT));
        out.map(|(option, _)| option).collect()
    }

    /// The conflict between the options, if there is one. `taken`: standard output is already in
    /// use.
    pub fn conflict(&self, page: &page::Options, taken: Option<&str>) -> Option<String> {
        let mut out = self.those_on_standard_output(page).into_iter().chain(taken);
        match (out.next(), out.next()) {
            (Some(one), Some(other)) => Some(format!(
                "{one} and {other} cannot both be written to standard output"
            )),
            _ => None,
        }
    }

    /// Opens the files. Fails before the run if one cannot be written, and then leaves all
    /// untouched. None may be `input`, which is being read, or the page.
    pub fn begin(&self, input: Option<&Path>, page: Option<&Page>) -> Result<Exports, String> {
        let mut exports = Exports {
            targets: Vec::new(),
            runs: Vec::new(),
            brief: page.is_some_and(Page::is_brief),
        };
        for (option, path, draw) in self.all() {
            let mut target = Target::open(option, path, input)?;
            let others = exports.targets.iter().map(|(other, _)| other);
            for other in others.chain(page.map(Page::target)) {
                target.differs(other)?;
            }
            exports.targets.push((target, draw));
        }
        Ok(exports)
    }
}

impl Exports {
    /// Begins a run.
    pub fn run(&mut self, name: String) {
        if !self.targets.is_empty() {
            self.runs.push(History::new(name, self.brief));
        }
    }

    /// Begins a run of many clients.
    pub fn run_of_clients(&mut self, name: String) {
        if !self.targets.is_empty() {
            self.runs.push(History::of_clients(name));
        }
    }

    /// Takes two compared runs, one after the other.
    pub fn compare(&mut self, title: &str, names: [&str; 2], runs: &[Marked; 2]) {
        for (name, run) in names.into_iter().zip(runs) {
            self.run(format!("{title}, {name}"));
            for (side, entry, _) in run {
                self.traced(*side as usize, *side, entry);
            }
        }
    }

    /// Takes an entry of the run that was begun last.
    pub fn traced(&mut self, source: usize, side: Side, entry: &Entry) {
        if let Some(run) = self.runs.last_mut() {
            run.take(source, side, entry.clone());
        }
    }

    /// Writes the files.
    pub fn end(mut self) -> Result<(), String> {
        self.runs.iter_mut().for_each(History::end);
        let left_out: u64 = self.runs.iter().map(|run| run.left_out).sum();
        if left_out > 0 {
            let kept: usize = self.runs.iter().map(|run| run.moments.len()).sum();
            remark(format_args!(
                "the files have the first {kept} events; left out: {left_out}"
            ));
        }
        for (target, draw) in self.targets {
            let mut words = Vec::new();
            let bytes = draw(&self.runs, &mut words);
            for words in words {
                remark(format_args!("{}: {words}", target.option));
            }
            target.write(&bytes)?;
        }
        Ok(())
    }
}
