//! `--svg`, `--mermaid`, `--perfetto`, `--pcapng` and `--csv`: runs in files, for other tools.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::draw::history::History;
use crate::draw::page::compared::Marked;
use crate::draw::terminal::{put, remark};
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

/// From runs to the bytes of a file, and words on what cannot be shown in it.
type Draw = fn(&[History], &mut Vec<String>) -> Vec<u8>;

/// The files that are asked for, open before anything is run.
pub struct Exports {
    targets: Vec<Target>,
    runs: Vec<History>,
}

struct Target {
    option: &'static str,
    draw: Draw,
    /// `None`: standard output.
    file: Option<(PathBuf, File)>,
    /// It was not there before.
    new: bool,
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

    /// Whether one of them is written to standard output, where nothing else may stand then.
    pub fn take_standard_output(&self) -> bool {
        self.all().any(|(_, path, _)| path == Path::new("-"))
    }

    /// What does not fit together, if something does not. `taken`: standard output has something else already.
    pub fn conflict(&self, taken: Option<&str>) -> Option<String> {
        let out = self.all().filter(|(_, path, _)| *path == Path::new("-"));
        let mut out = out.map(|(option, ..)| option).chain(taken);
        match (out.next(), out.next()) {
            (Some(one), Some(other)) => Some(format!(
                "{one} and {other} cannot both be written to standard output"
            )),
            _ => None,
        }
    }

    /// Opens the files. Fails now if one cannot be written, and not after the run; then none has been touched. `input` is read
    /// meanwhile.
    pub fn begin(&self, input: Option<&Path>) -> Result<Exports, String> {
        let mut exports = Exports {
            targets: Vec::new(),
            runs: Vec::new(),
        };
        for (option, path, draw) in self.all() {
            if path == Path::new("-") {
                exports.targets.push(Target {
                    option,
                    draw,
                    file: None,
                    new: false,
                });
                continue;
            }
            let failed = |error| format!("{option}: {}: {error}", path.display());
            let new = !path.exists();
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).open(path);
            let file = file.map_err(failed)?;
            let place = |file: &File| {
                let data = file.metadata().ok().filter(fs::Metadata::is_file)?;
                Some((data.dev(), data.ino()))
            };
            let own = place(&file);
            let same = |other: &Target| {
                let theirs = other.file.as_ref().and_then(|(_, file)| place(file));
                own.is_some() && theirs == own
            };
            let other = exports.targets.iter().find(|target| same(target));
            let other = other.map(|target| target.option);
            exports.targets.push(Target {
                option,
                draw,
                file: Some((path.to_owned(), file)),
                new: new && other.is_none(),
            });
            if let Some(other) = other {
                return Err(format!(
                    "{other} and {option} are the same file: {}",
                    path.display()
                ));
            }
            let read = input.and_then(|input| place(&File::open(input).ok()?));
            if own.is_some() && read == own {
                return Err(format!("{option}: {} is the recording", path.display()));
            }
        }
        Ok(exports)
    }
}

impl Exports {
    /// Begins a run.
    pub fn run(&mut self, name: String) {
        if !self.targets.is_empty() {
            self.runs.push(History::new(name));
        }
    }

    /// Begins a run of many clients.
    pub fn run_of_clients(&mut self, name: String) {
        if !self.targets.is_empty() {
            self.runs.push(History::of_clients(name));
        }
    }

    /// Takes two runs that have been compared, one behind the other.
    pub fn compare(&mut self, title: &str, names: [&str; 2], runs: &[Marked; 2]) {
        for (name, run) in names.into_iter().zip(runs) {
            self.run(format!("{title}, {name}"));
            for (side, entry, _) in run {
                self.traced(*side as usize, *side, entry);
            }
        }
    }

    /// Takes what strace has seen of the run that was begun last.
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
        for target in &mut self.targets {
            let mut words = Vec::new();
            let bytes = (target.draw)(&self.runs, &mut words);
            for words in words {
                remark(format_args!("{}: {words}", target.option));
            }
            target.new = false;
            match &mut target.file {
                None => put(&bytes).map_err(|error| error.to_string())?,
                Some((path, file)) => write(file, &bytes)
                    .map_err(|error| format!("{}: {}: {error}", target.option, path.display()))?,
            }
        }
        Ok(())
    }
}

fn write(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    if file.metadata()?.is_file() {
        file.rewind()?;
        file.set_len(0)?;
    }
    file.write_all(bytes)
}

impl Drop for Target {
    /// Leaves no empty file, if nothing has come of the run.
    fn drop(&mut self) {
        if let (Some((path, _)), true) = (&self.file, self.new) {
            let _ = fs::remove_file(path); // it may have gone already
        }
    }
}
