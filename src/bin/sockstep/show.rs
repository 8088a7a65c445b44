//! `sockstep show`: the ladder of a recording, from `--keep` or from a student's own strace.

use std::collections::HashMap;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sockstep::{Errno, Error};

use crate::draw::call::Payload;
use crate::draw::export;
use crate::draw::json::{Json, KEYS};
use crate::draw::ladder::{Calls, Ladder};
use crate::draw::page;
use crate::draw::terminal::{Color, Style, remark};
use crate::strace::line::What;
use crate::strace::recording::{Item, Recording};
use crate::world::Side;
use crate::world::tasks::Sides;

/// The most bytes of a recording from standard input.
const MOST: u64 = 2 << 30;

const EXAMPLE: &str = "Example: strace -f -ttt -T -s 4096 -o trace.txt ./my_server 12000\n         sockstep show trace.txt";

/// Show the ladder of a recording
///
/// Make a recording by `strace -o FILE`, best with `-ttt -T`, and `-s 4096` for whole messages; `sockstep run --keep DIR` leaves a
/// directory of recordings. The side that listens, or receives before it sends, is shown as the server.
///
/// Exit status: 0 if it is shown, 1 if it cannot be read or is not a recording, 2 if an argument is bad.
#[derive(clap::Args)]
#[command(
    after_help = EXAMPLE,
    after_long_help = format!("{EXAMPLE}\n\n{KEYS}")
)]
pub struct Args {
    /// Show this recording: a file, a directory of such files, or - for standard input
    path: PathBuf,
    /// Show these calls
    #[arg(long, value_name = "WHICH", default_value = "network")]
    calls: Calls,
    /// Show the bytes that a call carries in this form
    #[arg(long, value_name = "HOW", default_value = "text")]
    payload: Payload,
    /// Show next to each call its source line; needs a recording with stacks (strace -k), and the programs on this machine
    #[arg(long, conflicts_with = "json")]
    source: bool,
    /// Print the events as JSON, one per line, instead of the ladder
    #[arg(long)]
    json: bool,
    /// Use colours; auto does on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: Color,
    #[command(flatten)]
    page: page::Options,
    #[command(flatten)]
    exports: export::Options,
    #[command(flatten)]
    sources: page::SourceOptions,
}

pub fn show(args: &Args) -> ExitCode {
    args.color.choose();
    if let Some(words) = args
        .exports
        .conflict(&args.page, args.json.then_some("--json"))
    {
        remark(words);
        return ExitCode::from(2);
    }
    match draw(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) if words.is_empty() => ExitCode::SUCCESS, // the reader has closed standard output
        Err(words) => {
            remark(words);
            ExitCode::FAILURE
        }
    }
}

fn draw(args: &Args) -> Result<(), String> {
    if args.path != Path::new("-") {
        return draw_recording(args, &args.path, &args.path);
    }
    let kept = keep_standard_input().map_err(|words| format!("standard input: {words}"))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", kept.as_raw_fd()));
    draw_recording(args, &path, Path::new("standard input"))
        .map_err(|words| words.replace(&path.display().to_string(), "standard input"))
}

/// Copies standard input to an unnamed file, because a recording is read twice.
fn keep_standard_input() -> Result<File, String> {
    let input = io::stdin();
    if input.is_terminal() {
        return Err(
            "standard input is a terminal. Give it a recording: strace ... 2>&1 | sockstep show -"
                .to_owned(),
        );
    }
    let failed = |error: io::Error| error.to_string();
    let name = env::temp_dir().join(format!("sockstep-show-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    let mut file = options.open(&name).map_err(failed)?;
    fs::remove_file(&name).map_err(failed)?;
    let kept = io::copy(&mut input.lock().take(MOST + 1), &mut file).map_err(failed)?;
    if kept > MOST {
        return Err("it has more than 2 GiB".to_owned());
    }
    Ok(file)
}

/// Draws the recording at this path. `name` is shown for it.
fn draw_recording(args: &Args, path: &Path, name: &Path) -> Result<(), String> {
    let title = name.file_name().unwrap_or(name.as_os_str());
    let mut page = args
        .page
        .begin(title.to_string_lossy().into_owned(), Some(path))?;
    // Read twice: first to find which side each process is, then to draw.
    let mut recording = Recording::open(path)?;
    let mut exports = args.exports.begin(Some(path), page.as_ref())?;
    let mut finders: HashMap<usize, Sides> = HashMap::new();
    let mut unknown = 0;
    while let Some(Item { source, entry }) = recording.next()? {
        unknown += u64::from(matches!(entry.what, What::Unknown(_)));
        finders.entry(source).or_default().take(&entry);
    }
    for file in recording.others() {
        remark(format_args!(
            "{}: left out, as no line in it is strace's",
            file.display()
        ));
    }
    recording.remarks().into_iter().for_each(remark);
    if unknown > 0 {
        remark(format_args!(
            "lines that are not strace's, shown as they are: {unknown}"
        ));
    }
    let sides = finders
        .into_iter()
        .map(|(source, finder)| (source, finder.sides()));
    let sides: HashMap<_, _> = sides.collect();
    let side = |item: &Item| {
        let of_source = sides.get(&item.source);
        let side = of_source.and_then(|sides| sides.get(&item.entry.pid));
        side.copied().unwrap_or(Side::Client)
    };
    if page.is_some() || args.exports.are_wanted() {
        if let Some(page) = &mut page {
            page.run(args.sources.read([None, None])?);
        }
        exports.run(title.to_string_lossy().into_owned());
        let mut items = recording.again()?;
        while let Some(item) = items.next()? {
            exports.traced(item.source, side(&item), &item.entry);
            if let Some(page) = &mut page {
                page.traced(item.source, side(&item), item.entry);
            }
        }
    }
    // If one file cannot be written, the others are, and the picture is drawn.
    let files = page.map_or(Ok(()), page::Page::end).and(exports.end());
    if args.exports.take_standard_output(&args.page) {
        return files;
    }
    let mut items = recording.again()?;
    let written = if args.json {
        write_json(&mut items, side)
    } else {
        draw_ladder(args, &mut items, side)
    };
    match written {
        Err(Trouble::Output(error)) if error == Errno::EPIPE => Err(String::new()),
        Err(Trouble::Output(error)) => Err(error.to_string()),
        Err(Trouble::Reading(words)) => Err(words),
        Ok(()) => files,
    }
}

enum Trouble {
    Output(Error),
    Reading(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Output(error)
    }
}

impl From<String> for Trouble {
    fn from(words: String) -> Trouble {
        Trouble::Reading(words)
    }
}

fn write_json(items: &mut Recording, side: impl Fn(&Item) -> Side) -> Result<(), Trouble> {
    let mut json = Json::begin()?;
    while let Some(item) = items.next()? {
        json.take(item.source, side(&item), item.entry);
        json.make_way()?;
    }
    Ok(json.end()?)
}

fn draw_ladder(
    args: &Args,
    items: &mut Recording,
    side: impl Fn(&Item) -> Side,
) -> Result<(), Trouble> {
    let mut ladder = Ladder::new(Style::of_standard_output(), args.calls, args.payload)
        .with_source_lines(args.source);
    while let Some(item) = items.next()? {
        ladder.traced_by(item.source, side(&item), item.entry);
        ladder.make_way()?;
    }
    ladder.end()?;
    if let Some(words) = ladder.what_is_missing() {
        remark(words);
    }
    Ok(())
}
