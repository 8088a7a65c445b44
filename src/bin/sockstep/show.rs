//! `sockstep show`: the ladder of a recording, from `--keep` or from a student's own strace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sockstep::Errno;

use crate::draw::call::Payload;
use crate::draw::json::Json;
use crate::draw::ladder::{Calls, Ladder};
use crate::draw::terminal::{Color, Side, Style, remark};
use crate::strace::command::Trace;
use crate::strace::line::{Entry, What};
use crate::world::tasks::sides;

/// Show the ladder of a recording
///
/// A recording is what `strace -o FILE` wrote, best with `-ttt -T`, and `-s 4096` for whole messages (or, as `sockstep run --keep DIR`
/// leaves them, a directory of such files). A side that listens, or receives before it sends, is the server.
///
/// Exit status: 0 if it is shown, 1 if it cannot be read or is no recording, 2 if an argument is bad.
#[derive(clap::Args)]
#[command(
    after_help = "Example: strace -f -ttt -T -s 4096 -o trace.txt ./my_server 12000\n         sockstep show trace.txt"
)]
pub struct Args {
    /// The recording: a file, or a directory of them
    path: PathBuf,
    /// Which calls to show
    #[arg(long, value_name = "WHICH", default_value = "network")]
    calls: Calls,
    /// How to show the bytes that a call carries
    #[arg(long, value_name = "HOW", default_value = "text")]
    payload: Payload,
    /// Print the entries as JSON, one a line, instead of the ladder
    #[arg(long)]
    json: bool,
    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

pub fn show(args: &Args) -> ExitCode {
    args.color.choose();
    match draw(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) if words.is_empty() => ExitCode::SUCCESS, // nobody reads any more
        Err(words) => {
            remark(words);
            ExitCode::FAILURE
        }
    }
}

fn draw(args: &Args) -> Result<(), String> {
    let mut entries = Vec::new();
    let files = files(&args.path)?;
    let (mut others, mut sources) = (Vec::new(), 0);
    for file in &files {
        let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut trace = Trace::default();
        let mut lane = trace.take(&bytes);
        lane.extend(trace.take(b"\n")); // a last line without a newline
        let known = |entry: &Entry| !matches!(entry.what, What::Unknown(_));
        if !lane.iter().any(known) && trace.under_way().is_empty() {
            others.push(file);
            continue;
        }
        let sides = sides(&lane);
        let source = sources;
        sources += 1;
        entries.extend(lane.into_iter().map(|entry| {
            let side = sides.get(&entry.pid).copied().unwrap_or(Side::Client);
            (source, side, entry)
        }));
    }
    if others.len() == files.len() {
        return Err(format!(
            "{}: no line in it is strace's. To make a recording: strace -f -ttt -T -s 4096 -o FILE ./my_server 12000",
            args.path.display()
        ));
    }
    for file in others {
        remark(format_args!(
            "{}: left out, as no line in it is strace's",
            file.display()
        ));
    }
    let unknown = entries
        .iter()
        .filter(|(_, _, entry)| matches!(entry.what, What::Unknown(_)))
        .count();
    if unknown > 0 {
        remark(format_args!(
            "lines that are not strace's, shown as they are: {unknown}"
        ));
    }
    let written = if args.json {
        write_json(&entries)
    } else {
        draw_ladder(args, entries)
    };
    match written {
        Err(error) if error == Errno::EPIPE => Err(String::new()),
        written => written.map_err(|error| error.to_string()),
    }
}

fn write_json(entries: &[(usize, Side, Entry)]) -> sockstep::Result<()> {
    let mut json = Json::begin()?;
    entries
        .iter()
        .try_for_each(|(_, side, entry)| json.entry(*side, entry))
}

fn draw_ladder(args: &Args, entries: Vec<(usize, Side, Entry)>) -> sockstep::Result<()> {
    let mut ladder = Ladder::new(Style::of_standard_output(), args.calls, args.payload);
    for (source, side, entry) in entries {
        ladder.traced_by(source, side, entry);
    }
    ladder.end()
}

/// The recording's files, in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |error| format!("{}: {error}", path.display());
    let entries = fs::read_dir(path)
        .map_err(failed)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    if files.is_empty() {
        Err(format!("{}: no recording in it", path.display()))
    } else {
        Ok(files)
    }
}
