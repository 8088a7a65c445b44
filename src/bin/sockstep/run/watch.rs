//! The output of a run for the user.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::diff::normalise::sin_port;
use crate::draw::export::Exports;
use crate::draw::json::Json;
use crate::draw::ladder::{Calls, Ladder};
use crate::draw::page::Page;
use crate::draw::source;
use crate::draw::terminal::{Lanes, Side, Style, remark};
use crate::run::Args;
use crate::run::fault::Faults;
use crate::run::step::{self, Steps};
use crate::sides::end::{End, LAST_WORDS, is_ours};
use crate::sides::process::{Process, Source, TICK, listen};
use crate::sides::ready;
use crate::sides::signals::Signals;
use crate::sides::trouble::Trouble;
use crate::strace::calls::{self, Does, Row};
use crate::strace::clock::now;
use crate::strace::command::{self, Trace};
use crate::strace::line::{Begun, Entry, What};

/// After this time a terminal shows what the run is waiting for.
const UNEASY: Duration = Duration::from_secs(1);

/// A silence of this length means that a call's stack is complete.
const STACKED: Duration = Duration::from_millis(200);

/// The view of the two processes.
pub struct View {
    /// The strace of each side, if the two run under it.
    options: Option<Vec<String>>,
    faults: Faults,
    /// The calls that are held, with --step or --slow.
    steps: Option<Steps>,
    has_stacks: bool,
    picture: Picture,
    page: Option<Page>,
    exports: Option<Exports>,
    lanes: [Recording; 2],
    /// The server's output, in which the line `listening on` is looked for.
    pub server_said: Vec<u8>,
    pub server_is_ready: bool,
    /// Waiting for the server to listen has been given up.
    pub given_up: bool,
    waiting: Option<(Instant, String)>,
    /// The message already shown to the user.
    hinted_at_listen: Option<&'static str>,
}

/// The state of one side, from strace.
#[derive(Default)]
pub struct Recording {
    trace: Trace,
    kept: Option<File>,
    /// Its `listen`, or its `bind` of a datagram socket, has succeeded.
    pub listens: bool,
    /// A time-out is set: its calls may fail with EAGAIN.
    pub gives_up: bool,
    /// Tasks that a signal has stopped.
    pub stopped: HashSet<u32>,
    /// It has read its standard input to the end.
    found_no_input: bool,
    /// The result of its last `bind` to a port, and since when.
    bind: Option<(Bind, Instant)>,
}

#[derive(Clone, Copy)]
enum Bind {
    To,
    /// Another program has the port.
    InUse(u16),
}

impl Recording {
    /// Takes the next entry of the side's trace.
    fn follow(&mut self, entry: &Entry) {
        if let Some(pid) = entry.pid {
            match &entry.what {
                What::Signal(what) if what.starts_with("stopped by") => self.stopped.insert(pid),
                _ => self.stopped.remove(&pid),
            };
        }
        let What::Call(call) = &entry.what else {
            return;
        };
        match calls::does(&call.name) {
            Does::SetsOption => {
                let option = call.args.get(2);
                self.gives_up |= option.is_some_and(|option| option.starts_with("SO_RCVTIMEO"));
            }
            Does::Listens if call.result == "0" => self.listens = true,
            Does::Binds => {
                let port = call.args.get(1).and_then(|arg| sin_port(arg));
                let bind = match call.note.split(' ').next() {
                    Some("EADDRINUSE") => port.map(Bind::InUse),
                    _ => port.filter(|_| call.result == "0").map(|_| Bind::To),
                };
                self.bind = bind.map(|bind| (bind, Instant::now())).or(self.bind);
            }
            _ if call.result == "0" => {
                let on = call.args.first().map(String::as_str);
                self.found_no_input |= reads_input(&call.name, on);
            }
            _ => {}
        }
    }
}

/// Whether a call reads standard input.
fn reads_input(name: &str, on: Option<&str>) -> bool {
    let reads = |row: &Row| !row.proves && row.receives.is_some();
    calls::of(name).is_some_and(reads) && on == Some("0")
}

enum Picture {
    Lanes(Lanes),
    Ladder(Box<Ladder>),
    Json(Box<Json>),
}

impl Picture {
    /// Takes new entries of a side's trace, for the picture and for the files.
    fn traced(
        &mut self,
        side: Side,
        entry: Entry,
        page: Option<&mut Page>,
        exports: Option<&mut Exports>,
    ) {
        if let Some(exports) = exports {
            exports.traced(side as usize, side, &entry);
        }
        if let Some(page) = page {
            page.traced(side as usize, side, entry.clone());
        }
        match self {
            Picture::Ladder(ladder) => ladder.traced(side, entry),
            Picture::Json(json) => json.take(side as usize, side, entry),
            Picture::Lanes(_) => {}
        }
    }

    fn has_more(&self) -> bool {
        match self {
            Picture::Ladder(ladder) => ladder.has_more(),
            Picture::Json(json) => json.has_more(),
            Picture::Lanes(_) => false,
        }
    }
}

impl View {
    pub fn new(args: &Args, faults: Faults) -> Result<View, Trouble> {
        let style = Style::of_standard_output();
        let available = if args.plain {
            Err(None)
        } else {
            command::available().map_err(Some)
        };
        let picture = match available {
            Ok(()) if args.json => Picture::Json(Box::new(Json::begin()?)),
            Ok(()) => Picture::Ladder(Box::new(
                with_pages(
                    Ladder::new(style, args.calls, args.payload),
                    args.step || args.slow.is_some(),
                )
                .live()
                .with_source_lines(args.source),
            )),
            Err(Some(why)) if args.json => return Err(Trouble::Said(why)),
            Err(why) => {
                if let Some(why) = why {
                    remark(format_args!("no ladder: {why}"));
                }
                Picture::Lanes(Lanes::new(style))
            }
        };
        let mut options = (!matches!(picture, Picture::Lanes(_))).then(Vec::new);
        if let (Some(options), true) = (&mut options, args.source) {
            match source::option() {
                Ok(option) => {
                    options.push(option.to_owned());
                    if args.calls == Calls::Network {
                        options.push(command::known_calls());
                    }
                }
                Err(why) => remark(format_args!("no source lines: {why}")),
            }
        }
        let programs = match args.pair.first() {
            Some(choice) => [Some(choice.pair.client()), Some(choice.server)],
            None => [None, None],
        };
        if args.page.is_wanted() && matches!(picture, Picture::Lanes(_)) {
            return Err(Trouble::Said(
                "--html needs strace, and does not go with --plain".to_owned(),
            ));
        }
        if args.exports.are_wanted() && matches!(picture, Picture::Lanes(_)) {
            return Err(Trouble::Said(
                "files of a run need strace, and do not go with --plain".to_owned(),
            ));
        }
        let mut page = args.page.begin(title(args), None)?;
        let mut exports = args.exports.begin(None, page.as_ref())?;
        exports.run(title(args));
        if let Some(page) = &mut page {
            page.run(args.sources.read(programs)?);
        }
        let mut lanes: [Recording; 2] = Default::default();
        if let Some(directory) = &args.keep {
            let failed = |error| format!("{}: {error}", directory.display());
            fs::create_dir_all(directory).map_err(failed)?;
            lanes[Side::Client as usize].kept =
                Some(File::create(directory.join("client.strace")).map_err(failed)?);
            lanes[Side::Server as usize].kept =
                Some(File::create(directory.join("server.strace")).map_err(failed)?);
        }
        if options.is_none() && !args.fault.is_empty() {
            return Err(Trouble::Said("--fault needs strace".to_owned()));
        }
        let steps = match (&options, args.step || args.slow.is_some()) {
            (None, true) => return Err(Trouble::Said("--step and --slow need strace".to_owned())),
            (_, wanted) => {
                let pause = args.slow.map(|pause| Duration::from_millis(pause.into()));
                wanted.then(|| Steps::begin(args.step, pause)).transpose()?
            }
        };
        if args.step {
            remark(step::KEYS);
        }
        let has_stacks = options.as_ref().is_some_and(|options| !options.is_empty());
        if has_stacks {
            for lane in &mut lanes {
                lane.trace = Trace::with_stacks();
            }
        }
        Ok(View {
            options,
            faults,
            steps,
            has_stacks,
            picture,
            page,
            exports: Some(exports),
            lanes,
            server_said: Vec::new(),
            server_is_ready: false,
            given_up: false,
            waiting: None,
            hinted_at_listen: None,
        })
    }

    /// strace's options for the client and for the server; `None` if they run without strace.
    pub fn options(&self) -> Result<[Option<Vec<String>>; 2], Trouble> {
        let of = |side| -> Result<Option<Vec<String>>, String> {
            let Some(options) = &self.options else {
                return Ok(None);
            };
            Ok(Some([options.clone(), self.faults.options(side)?].concat()))
        };
        Ok([of(Side::Client)?, of(Side::Server)?])
    }

    /// Whether a call of a side waits for a key or for its time.
    pub fn holds(&self) -> bool {
        self.steps.as_ref().is_some_and(Steps::holds)
    }

    /// Whether each call on a socket is held before it is made.
    pub fn steps(&self) -> bool {
        self.steps.is_some()
    }

    pub fn input_of_the_client(&mut self) -> Result<Stdio, String> {
        let steps = self.steps.as_mut();
        steps.map_or(Ok(Stdio::inherit()), Steps::input_of_the_client)
    }

    /// Prints the faults that have not happened.
    pub fn tell_of_faults(&self) {
        self.faults.missed().for_each(remark);
    }

    fn traces(&self) -> bool {
        self.options.is_some()
    }

    /// Waits for new output or entries, and shows them. Returns whether anything came.
    pub fn watch<const N: usize>(
        &mut self,
        signals: &Signals,
        mut processes: [&mut Process; N],
    ) -> Result<bool, Trouble> {
        self.tell_of_waiting()?;
        let patience = if self.picture.has_more() { 10 } else { TICK };
        let (mut shown, mut kept, mut heard) = (Ok(()), Ok(()), false);
        listen(
            signals,
            &mut processes,
            Some(patience),
            |side, source, bytes| {
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
                        self.traced(side, entry);
                    }
                    return;
                }
                let wrong = source == Source::StandardError;
                match &mut self.picture {
                    Picture::Lanes(lanes) => shown = shown.and(lanes.show(side, wrong, bytes)),
                    Picture::Ladder(ladder) if wrong => ladder.complained(side, bytes),
                    _ => {} // a program's output is shown as its write calls
                }
            },
        )?;
        for process in &processes {
            let lane = &mut self.lanes[process.side as usize];
            if process.silent_for() < STACKED && process.is_heard() {
                continue;
            }
            if let Some(entry) = lane.trace.in_a_pause() {
                self.traced(process.side, entry);
            }
        }
        if signals.has_resized() {
            for process in &processes {
                process.resize();
            }
            if let Picture::Ladder(ladder) = &mut self.picture {
                ladder.resize()?;
            }
        }
        shown?;
        kept.map_err(|error| format!("--keep: {error}"))?;
        let mut under_way = self.lanes.each_ref().map(|lane| lane.trace.under_way());
        if let Some(steps) = &mut self.steps {
            let reads = |call: &Begun| reads_input(&call.name, call.descriptor.as_deref());
            let reads = under_way[Side::Client as usize].iter().any(reads);
            let pages = matches!(&self.picture, Picture::Ladder(ladder) if ladder.is_paged());
            let turns = steps.let_calls_go(&processes, reads, pages);
            let next = steps.next(&processes, &mut under_way);
            if let Picture::Ladder(ladder) = &mut self.picture {
                for turn in turns {
                    ladder.turn(turn)?;
                }
                ladder.about_to(next);
            }
        }
        match &mut self.picture {
            Picture::Ladder(ladder) => ladder.draw(&under_way)?,
            Picture::Json(json) => json.settle(&under_way)?,
            Picture::Lanes(_) => {}
        }
        Ok(heard)
    }

    /// Takes new entries of a side's trace, and passes them to the picture and to the files.
    fn traced(&mut self, side: Side, mut entry: Entry) {
        if is_ours(&entry) {
            return;
        }
        if let Some(steps) = &mut self.steps {
            steps.correct(&mut entry);
        }
        self.lanes[side as usize].follow(&entry);
        self.faults.mark(side as usize, side, &mut entry);
        self.picture
            .traced(side, entry, self.page.as_mut(), self.exports.as_mut());
    }

    pub fn server(&self) -> &Recording {
        &self.lanes[Side::Server as usize]
    }

    /// Whether the server has had a port for some time without listening.
    pub fn is_bound_and_late(&self) -> bool {
        if self.steps.is_some() {
            return false; // its calls were held
        }
        let bind = self.server().bind;
        bind.is_some_and(|(_, since)| since.elapsed() >= ready::PATIENCE)
    }

    /// Tells the user that the server does not listen, and which call it has not made.
    pub fn hint_at_listen(&mut self, what_now: &'static str) -> sockstep::Result<()> {
        if self.hinted_at_listen == Some(what_now) {
            return Ok(());
        }
        self.hinted_at_listen = Some(what_now);
        let why = self.why_the_server_is_unreachable();
        let why = if why.is_empty() { why } else { why + ". " };
        self.hint(&format!("the server does not listen. {why}{what_now}"))
    }

    /// Stops waiting for the server to listen.
    pub fn give_up(&mut self) -> sockstep::Result<()> {
        self.given_up = true;
        self.hint_at_listen("The client starts anyway")
    }

    /// Describes a server that does not listen.
    fn why_the_server_is_unreachable(&self) -> String {
        match self.server().bind {
            Some((Bind::InUse(port), _)) if ready::is_in_time_wait(port) => format!(
                "Port {port} is in TIME_WAIT after an earlier connection, for a minute: set SO_REUSEADDR before bind(). See: sockstep explain TIME_WAIT"
            ),
            Some((Bind::InUse(port), _)) => {
                format!("Port {port} is in use")
            }
            Some((Bind::To, _)) if !self.server().listens => {
                "It has called bind(), but not listen()".to_owned()
            }
            _ => String::new(),
        }
    }

    /// Whether neither side will stop waiting by itself, as far as strace has seen.
    pub fn both_wait_without_end(&self) -> bool {
        self.traces() && !self.lanes.iter().any(|lane| lane.gives_up)
    }

    /// Sets what the run is waiting for; a terminal shows it if it takes long.
    pub fn waiting_for(&mut self, what: &str) {
        self.waiting = Some((Instant::now(), what.to_owned()));
    }

    /// Ends that wait: the picture shows the next one itself.
    pub fn waits_no_more(&mut self) {
        self.waiting = None;
    }

    fn tell_of_waiting(&mut self) -> sockstep::Result<()> {
        if self.steps.is_some() {
            return Ok(()); // the picture shows why
        }
        let long = self.waiting.take_if(|(since, _)| since.elapsed() >= UNEASY);
        match long.filter(|_| io::stderr().is_terminal()) {
            Some((_, what)) => self.hint(&format!("waiting for {what}")),
            None => Ok(()),
        }
    }

    /// Shows in the picture a signal that we send to a side.
    pub fn aside(&mut self, side: Side, words: &str) -> sockstep::Result<()> {
        if let Picture::Ladder(ladder) = &mut self.picture {
            ladder.aside(side, words);
            return Ok(());
        }
        self.hint(&format!("the {}: {words}", side.name()))
    }

    /// Ends a side, and shows how it ends.
    pub fn end_side(&mut self, signals: &Signals, process: &mut Process) -> Result<(), Trouble> {
        self.waiting_for(&format!(
            "the {} to end, after SIGTERM",
            process.side.name()
        ));
        process.open_gate();
        let mut end = End::begin(process);
        while !end.is_over(process) {
            self.watch(signals, [&mut *process])?;
        }
        if end.took_force() {
            let seconds = LAST_WORDS.as_secs();
            self.aside(
                process.side,
                &format!("SIGKILL: it has not ended within {seconds} s of SIGTERM"),
            )?;
        }
        Ok(())
    }

    fn hint(&mut self, words: &str) -> sockstep::Result<()> {
        if let Picture::Ladder(ladder) = &mut self.picture {
            ladder.make_room()?;
        }
        remark(words);
        Ok(())
    }

    /// Why a server ended before a client could reach it, and what to do.
    pub fn why_it_did_not_start(&self, command: Option<&OsStr>, status: ExitStatus) -> String {
        let command = command.map(OsStr::to_string_lossy).unwrap_or_default();
        let why = match command.split_whitespace().next() {
            Some(program) if status.code() == Some(127) && program.contains('/') => {
                format!("{program} was not found")
            }
            Some(program) if status.code() == Some(127) => {
                format!("{program} was not found. If it is in this directory: ./{program}")
            }
            _ if self.server().found_no_input => {
                "Its standard input is empty: give it one with --server-input FILE".to_owned()
            }
            _ => self.why_the_server_is_unreachable(),
        };
        if why.is_empty() {
            format!("the server did not start: {status}")
        } else {
            format!("the server did not start: {status}. {why}")
        }
    }

    /// Writes what has happened so far, and which calls have not returned: a signal ends us.
    pub fn write_what_is_known(&mut self) -> Result<(), Trouble> {
        for side in [Side::Client, Side::Server] {
            for mut entry in self.lanes[side as usize].trace.end() {
                entry.until = Some(now()); // it has waited until now
                let steps = self.steps.as_ref();
                if !steps.is_some_and(|steps| steps.has_not_made(&entry)) {
                    self.traced(side, entry);
                }
            }
        }
        let files = self.write_files();
        if let Picture::Json(json) = &mut self.picture {
            json.end()?;
        }
        Ok(files?)
    }

    /// Writes the page and the other files that are wanted.
    pub fn write_files(&mut self) -> Result<(), String> {
        let page = self.page.take().map_or(Ok(()), Page::end);
        page.and(self.exports.take().map_or(Ok(()), Exports::end))
    }

    /// Shows the entries that are still held back.
    pub fn end(&mut self) -> sockstep::Result<()> {
        match &mut self.picture {
            Picture::Ladder(ladder) => {
                ladder.end()?;
                if let Some(words) = ladder.missing_lines().filter(|_| self.has_stacks) {
                    remark(words);
                }
                Ok(())
            }
            Picture::Lanes(lanes) => lanes.end(),
            Picture::Json(json) => json.end(),
        }
    }
}

fn with_pages(ladder: Ladder, wanted: bool) -> Ladder {
    if wanted { ladder.with_pages() } else { ladder }
}

/// The command line, as the page's title.
pub fn title(args: &Args) -> String {
    let command = |command: &Option<std::ffi::OsString>| {
        command
            .as_deref()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let servers: Vec<&str> = args.pair.iter().map(|choice| choice.server).collect();
    match args.pair.first() {
        Some(choice) => format!("{} and {}", choice.pair.client(), servers.join(", ")),
        None => format!("{} and {}", command(&args.client), command(&args.server)),
    }
}
