//! Compares what two programs did, call by call: name, arguments, return value, bytes.
//!
//! What is set aside has a name and is counted, as has what normalise.rs puts in another form first.

mod align;
pub mod vary;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use align::align;
use vary::{agree, kind};

use crate::diff::expected::{EXPECTED, Expected};
use crate::diff::normalise::{
    Clock, Data, Files, Form, Forms, LONG, Letters, On, Ports, brief, plain, printed,
};
use crate::diff::task::Task;
use crate::strace::calls::{self, Does, For, Place};
use crate::strace::line::{Call, Entry, What};

/// Which calls are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Calls {
    /// Those on a socket, and waits for one
    Network,
    /// All from the first socket() on
    All,
}

/// Why a line is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aside {
    Memory,
    Stdio,
    Threads,
    Elsewhere,
    Waits,
}

impl Aside {
    pub fn name(self) -> &'static str {
        match self {
            Aside::Memory => "memory",
            Aside::Stdio => "stdio",
            Aside::Threads => "threads",
            Aside::Elsewhere => "elsewhere",
            Aside::Waits => "waits",
        }
    }

    pub fn reason(self) -> &'static str {
        match self {
            Aside::Memory => "memory management: each runtime has its own calls",
            Aside::Stdio => {
                "at exit C's stdio moves standard input back to the first byte that it has not used"
            }
            Aside::Threads => "thread synchronisation and exit: each runtime has its own calls",
            Aside::Elsewhere => "not on a socket (--calls all compares them)",
            Aside::Waits => {
                "waits, and calls that find nothing yet (EAGAIN): their number varies between runs"
            }
        }
    }

    fn of(call: &Call, thread: bool) -> Option<Aside> {
        let first = call.args.first().map_or("", String::as_str);
        let second = call.args.get(1).map_or("", String::as_str);
        match call.name.as_str() {
            // The stack for signals is Rust's, and goes with its mapping.
            "brk" | "mmap" | "mmap2" | "munmap" | "mremap" | "madvise" | "mprotect"
            | "sigaltstack" => Some(Aside::Memory),
            "getrandom"
                if call
                    .args
                    .last()
                    .is_some_and(|flags| flags == "GRND_NONBLOCK") =>
            {
                Some(Aside::Memory)
            } // malloc's
            "lseek" if first == "0" => Some(Aside::Stdio),
            name if calls::waits(name) == Some(For::Task) => Some(Aside::Threads),
            // The end of a thread, which the end of the process may forestall: strace then has that here too, now and then.
            name if thread && calls::does(name) == Does::Exits => Some(Aside::Threads),
            "rt_sigprocmask" if thread && (first, second) == ("SIG_BLOCK", "~[RT_1]") => {
                Some(Aside::Threads)
            }
            _ => None,
        }
    }
}

/// What one task did, ready to be compared.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    pub lines: Vec<Line>,
    pub aside: Vec<(Aside, Arc<str>)>,
}

/// One call, signal or end. What is long in it is shared: each view has lines of its own, and a trace has many.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Its place in what the task did, from 1 on.
    pub number: usize,
    /// As strace wrote it, but for the time.
    pub raw: Arc<str>,
    /// As it is compared. What is long is in it by its beginning and a number that stands for the rest.
    pub text: Arc<str>,
    /// The call as it is compared, if it is one: of joined pieces, the first.
    call: Option<Arc<Call>>,
    pub forms: Forms,
    /// For each of its words which others have been seen in its place in other runs. None vary if it is empty.
    pub varies: Vec<Option<Vec<String>>>,
    /// What stands for the whole lines that have been seen in its place.
    also: Vec<u64>,
    /// Only some runs have it.
    pub optional: bool,
    /// The same number for the same text, and for the same letters of what strace wrote.
    hash: u64,
    letters: u64,
    /// A call that moved bytes of a stream.
    piece: Option<Arc<Piece>>,
    /// A non-blocking send that was not taken whole.
    part: Option<Partial>,
    /// Nothing came of it: it waited, or there was nothing yet.
    idle: bool,
    /// The socket that it is on, and when it had returned.
    pub socket: Option<u64>,
    pub left: u64,
}

#[derive(Clone, Debug)]
struct Piece {
    /// The call with neither bytes nor counts: what pieces of one run have in common.
    kind: String,
    /// How many bytes the first call of a run asked for.
    asked: String,
    data: Data,
}

#[derive(Clone, Debug)]
struct Partial {
    fd: String,
    asked: usize,
    took: usize,
}

/// How finely two tasks are compared. The first that does not vary from run to run is the one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// Call by call.
    Calls,
    /// With consecutive pieces of a stream joined.
    Joined,
    /// The same without waits, and without calls that found nothing there yet.
    Busy,
    /// With the pieces of both directions of a stream joined.
    Exchanges,
}

impl View {
    pub const ALL: [View; 4] = [View::Calls, View::Joined, View::Busy, View::Exchanges];
}

impl Lines {
    /// Takes what a task did. The ports that it was started with are the first that get a letter. Of a `thread` that is not its
    /// process's first, the end is set aside.
    pub fn new(task: &Task, calls: Calls, letters: bool) -> Lines {
        let mut ports = Ports::default();
        for &port in &task.ports {
            ports.learn(port);
        }
        for entry in &task.entries {
            if let What::Call(call) = &entry.what {
                ports.learn_from(call);
            }
        }
        let thread = task.thread;
        let mut lines = Lines::default();
        let mut clock = Clock::default();
        let mut names = Names {
            ports,
            files: Files(if thread { Some(Vec::new()) } else { None }),
            sockets: letters.then(|| Letters(task.sockets.clone())),
        };
        let nothing = On::default();
        let (rest, children) = without_children(&task.entries);
        for at in rest {
            let entry = &task.entries[at];
            match &entry.what {
                What::Call(call) => {
                    clock.goes_on(entry.start);
                    let on = task.on.get(at).unwrap_or(&nothing);
                    if let Some(aside) = Aside::of(call, thread) {
                        lines.set_aside(aside, raw(call));
                    } else if calls == Calls::Network && !on.network {
                        lines.set_aside(Aside::Elsewhere, raw(call));
                    } else if calls == Calls::Network
                        && call.result == "?"
                        && calls::is_idle(&call.name)
                    {
                        // It ended in this wait: whether strace still writes that is chance.
                        lines.set_aside(Aside::Waits, raw(call));
                    } else {
                        let mut line = line_of(call, on, &mut names, &mut clock);
                        line.socket = on.socket;
                        line.left = entry.start.unwrap_or_default() + call.took.unwrap_or_default();
                        line.share(&lines.lines);
                        lines.lines.push(line);
                    }
                }
                // A signal that comes by itself, or a line that is not a call, belongs to no socket.
                What::Signal(text) if calls == Calls::Network && !text.starts_with("SIGPIPE ") => {
                    lines.set_aside(Aside::Elsewhere, format!("--- {text} ---"));
                }
                What::Signal(text) => lines.push(&format!("--- {text} ---"), &names.ports),
                What::End(_) if calls == Calls::Network && task.is_another => {}
                What::End(text) => lines.push(&format!("+++ {text} +++"), &names.ports),
                // So strace calls what the end of the process has kept a thread from.
                What::Unknown(text) if thread && text.contains(" ???") => {
                    lines.set_aside(Aside::Threads, "???() = ?");
                }
                What::Unknown(text) if calls == Calls::Network => {
                    lines.set_aside(Aside::Elsewhere, text.as_str());
                }
                What::Unknown(text) => lines.push(text, &names.ports),
            }
        }
        if calls == Calls::All {
            let children = children.iter().map(|&at| &task.entries[at]);
            let children: Vec<&Entry> = children.collect();
            lines.lines.extend(reaped(&children, &names.ports));
        }
        for (at, line) in lines.lines.iter_mut().enumerate() {
            line.number = at + 1;
        }
        lines
    }

    /// The same of several tasks as one: what each socket went through, one after the other.
    pub fn by_socket(tasks: &Task, calls: Calls) -> Lines {
        let mut lines = Lines::new(tasks, calls, true);
        let mut sockets: Vec<u64> = Vec::new();
        for socket in lines.lines.iter().filter_map(|line| line.socket) {
            if !sockets.contains(&socket) {
                sockets.push(socket);
            }
        }
        let is_wait = |line: &Line| line.socket.is_none() && line.idle;
        let waits = lines.lines.iter().filter(|line| is_wait(line));
        lines
            .aside
            .extend(waits.map(|line| (Aside::Waits, line.raw.clone())));
        lines.lines.retain(|line| !is_wait(line));
        let place = |line: &Line| {
            let of = |socket| sockets.iter().position(|&known| known == socket);
            line.socket.and_then(of).unwrap_or(sockets.len())
        };
        lines.lines.sort_by_cached_key(place);
        lines
    }

    fn set_aside(&mut self, why: Aside, line: impl Into<Arc<str>>) {
        self.aside.push((why, line.into()));
    }

    fn push(&mut self, text: &str, ports: &Ports) {
        self.lines.push(line(text, ports));
    }

    /// As they are compared.
    pub fn seen(&self, view: View) -> Lines {
        let mut lines = match view {
            View::Calls => self.clone(),
            View::Joined => self.joined(),
            View::Busy => self.busy().joined(),
            View::Exchanges => self.busy().exchanges(),
        };
        lines.fold();
        lines
    }

    /// The same with consecutive pieces of a stream joined.
    fn joined(&self) -> Lines {
        let mut lines = Lines {
            lines: Vec::new(),
            aside: self.aside.clone(),
        };
        for next in &self.lines {
            if let (Some(last), Some(next_part)) = (lines.lines.last_mut(), &next.part) {
                if last
                    .part
                    .as_ref()
                    .is_some_and(|part| part.goes_on(next_part))
                {
                    last.part = Some(next_part.clone());
                    last.adds(next, Form::Full);
                    continue;
                }
            }
            if let (Some(last), Some(piece)) = (lines.lines.last_mut(), &next.piece) {
                let goes_on = |run: &&mut Arc<Piece>| {
                    run.kind == piece.kind && !run.data.partial && !piece.data.partial
                };
                if let Some(run) = last.piece.as_mut().filter(goes_on) {
                    Arc::make_mut(run).data.extend(&piece.data);
                    last.adds(next, Form::Pieces);
                    continue;
                }
            }
            let mut line = next.clone();
            if line.part.is_some() {
                let call = line.text.rsplit_once(" = ").map_or("", |(call, _)| call);
                line.say(format!("{call}, not complete"));
            }
            lines.lines.push(line);
        }
        for line in &mut lines.lines {
            if line.piece.as_ref().is_some_and(|run| !run.data.partial) {
                line.say_piece();
            }
        }
        lines
    }

    /// The same without what came to nothing.
    fn busy(&self) -> Lines {
        let mut lines = self.clone();
        let idle = self.lines.iter().filter(|line| line.idle);
        lines
            .aside
            .extend(idle.map(|line| (Aside::Waits, line.raw.clone())));
        lines.lines.retain(|line| !line.idle);
        lines
    }

    /// The same with each exchange of pieces in one line for each call and socket.
    fn exchanges(&self) -> Lines {
        let mut lines = Lines {
            lines: Vec::new(),
            aside: self.aside.clone(),
        };
        let mut exchange: Vec<Line> = Vec::new();
        for next in &self.lines {
            if let Some(piece) = &next.piece {
                let same = |line: &&mut Line| {
                    line.piece
                        .as_ref()
                        .is_some_and(|run| run.kind == piece.kind)
                };
                if let Some(line) = exchange.iter_mut().find(same) {
                    if let Some(run) = &mut line.piece {
                        Arc::make_mut(run).data.extend(&piece.data);
                    }
                    line.adds(next, Form::Pieces);
                } else {
                    exchange.push(next.clone());
                }
            } else {
                lines.end_exchange(&mut exchange);
                lines.lines.push(next.clone());
            }
        }
        lines.end_exchange(&mut exchange);
        lines.lines.iter_mut().for_each(Line::say_piece);
        lines
    }

    fn end_exchange(&mut self, exchange: &mut Vec<Line>) {
        let kind = |line: &Line| line.piece.as_ref().map(|piece| piece.kind.clone());
        exchange.sort_by_cached_key(kind);
        self.lines.append(exchange);
    }

    /// Replaces what is repeated: some lines, then how often.
    fn fold(&mut self) {
        let mut folded: Vec<Line> = Vec::new();
        let lines = std::mem::take(&mut self.lines);
        let mut at = 0;
        let hashes: Vec<u64> = lines.iter().map(|line| line.hash).collect();
        while at < lines.len() {
            let Some((period, times)) = repeated(&hashes[at..]) else {
                folded.push(lines[at].clone());
                at += 1;
                continue;
            };
            let end = at + period * (times + 1);
            folded.extend_from_slice(&lines[at..at + period]);
            let which = if period == 1 {
                "the last line".to_owned()
            } else {
                format!("the last {period} lines")
            };
            let mut more = Line {
                number: at + period + 1,
                ..Line::default()
            };
            more.say(format!("... {which} {times} times more"));
            more.raw.clone_from(&more.text);
            more.letters = 0;
            for line in &lines[at + period..end] {
                more.letters = mixed(more.letters, line.letters);
                more.forms.add_all(&line.forms);
            }
            folded.push(more);
            at = end;
        }
        self.lines = folded;
    }

    fn forms(&self) -> Forms {
        let mut forms = Forms::default();
        for line in &self.lines {
            forms.add_all(&line.forms);
        }
        forms
    }
}

/// How many lines back a line like another one is looked for.
const RECENT: usize = 16;

/// Lines are folded if they are repeated at least this often, and are no more than this many.
const FOLDED_FROM: usize = 8;
const LONGEST_PERIOD: usize = 8;

/// How many of the first lines are repeated at once, and how often.
pub fn repeated(lines: &[u64]) -> Option<(usize, usize)> {
    let repeats = |period: usize| {
        let again = lines[period..].iter().zip(lines);
        again.take_while(|(a, b)| a == b).count() / period
    };
    (1..=LONGEST_PERIOD.min(lines.len()))
        .map(|period| (period, repeats(period)))
        .find(|(_, times)| *times >= FOLDED_FROM)
}

pub fn number_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn mixed(one: u64, other: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (one, other).hash(&mut hasher);
    hasher.finish()
}

impl Line {
    /// Something that is no call.
    pub fn of_words(words: &str) -> Line {
        line(words, &Ports::default())
    }

    /// Bytes that one side sends.
    pub fn of_data(kind: String, data: Data) -> Line {
        let text = format!("{kind} {} bytes: {data}", data.len);
        Line {
            piece: Some(Arc::new(Piece {
                kind,
                asked: String::new(),
                data,
            })),
            ..Line::of_words(&text)
        }
    }

    /// Keeps what one of the last lines says too only once: a bulk transfer repeats itself.
    fn share(&mut self, before: &[Line]) {
        let is_same = |line: &&Line| (line.hash, line.letters) == (self.hash, self.letters);
        if let Some(same) = before.iter().rev().take(RECENT).find(is_same) {
            self.raw.clone_from(&same.raw);
            self.text.clone_from(&same.text);
            self.call.clone_from(&same.call);
            self.piece.clone_from(&same.piece);
        }
    }

    fn say(&mut self, text: String) {
        self.hash = number_of(&text);
        self.text = text.into();
    }

    /// Takes in one more call.
    fn adds(&mut self, next: &Line, form: Form) {
        if self.raw.len() < 16 * LONG {
            self.raw = format!("{}; {}", self.raw, next.raw).into();
        }
        self.letters = mixed(self.letters, next.letters);
        self.forms.add(form, 1);
    }

    /// The call as it is compared, with the bytes of all pieces, if it is one.
    pub fn call(&self) -> Option<Call> {
        let mut call = Call::clone(self.call.as_deref()?);
        if let Some(Piece { data, .. }) = self.piece.as_deref().filter(|run| !run.data.partial) {
            if let Some(arg) = call.args.get_mut(1) {
                *arg = format!("\"{}\"", data.kept.escape_ascii());
            }
            call.result = data.len.to_string();
        }
        Some(call)
    }

    /// Says what has been joined.
    fn say_piece(&mut self) {
        let Some(Piece { kind, asked, data }) = self.piece.as_deref() else {
            return;
        };
        let asked = if asked.is_empty() {
            String::new()
        } else {
            format!(", asked {asked},")
        };
        let text = format!("{kind}{asked} {} bytes: {data}", data.len);
        self.say(text);
    }
}

/// How two programs' lines lie beside each other, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    Both(usize, usize),
    /// Only the left one has it, as expected for the reason of this number.
    Expected(usize, usize),
    /// Only one has it, and not in all its runs.
    Varies(usize, usize),
    Left(usize),
    Right(usize),
}

impl Row {
    pub fn differs(&self) -> bool {
        matches!(self, Row::Left(_) | Row::Right(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To the letter.
    Identical,
    /// After named forms.
    Equal,
    /// But for differences that have a reason.
    Expected,
    Divergent,
}

impl Verdict {
    pub const ALL: [Verdict; 4] = [
        Verdict::Identical,
        Verdict::Equal,
        Verdict::Expected,
        Verdict::Divergent,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Verdict::Identical => "identical",
            Verdict::Equal => "equal",
            Verdict::Expected => "expected",
            Verdict::Divergent => "divergent",
        }
    }
}

pub struct Comparison {
    pub verdict: Verdict,
    /// Which lines were put in another form, on the left side.
    pub forms: Forms,
    /// The lines compared: those recorded, or with pieces joined.
    pub left: Lines,
    pub right: Lines,
    pub rows: Vec<Row>,
}

impl Comparison {
    pub fn diverges(&self) -> bool {
        self.verdict == Verdict::Divergent
    }

    /// The line of a row; the left one if both have it.
    pub fn line(&self, row: Row) -> &Line {
        match row {
            Row::Both(l, _) | Row::Expected(l, _) | Row::Left(l) | Row::Varies(0, l) => {
                &self.left.lines[l]
            }
            Row::Right(r) | Row::Varies(_, r) => &self.right.lines[r],
        }
    }

    /// For each row that only one side has, the row of the other's line that stands in its place, if there is one.
    pub fn counterparts(&self) -> Vec<Option<usize>> {
        let mut found = vec![None; self.rows.len()];
        let mut at = 0;
        while at < self.rows.len() {
            let len = self.rows[at..].iter().take_while(|row| row.differs());
            let block = at..at + len.count().max(1);
            at = block.end;
            let of = |left: bool| {
                let rows = block.clone().filter(move |&at| match self.rows[at] {
                    Row::Left(_) => left,
                    Row::Right(_) => !left,
                    _ => false,
                });
                rows.collect::<Vec<usize>>()
            };
            let (lefts, rights) = (of(true), of(false));
            let text = |at: usize| self.line(self.rows[at]).text.as_ref();
            // The same call on the same thing; else what stands in the same place.
            let same = align([lefts.len(), rights.len()], &NEVER, |l, r| {
                kind(text(lefts[l])).0 == kind(text(rights[r])).0
            });
            let in_place = (0..lefts.len().min(rights.len())).map(|at| (at, at));
            for (l, r) in same.into_iter().chain(in_place) {
                let (l, r) = (lefts[l], rights[r]);
                if found[l].is_none() && found[r].is_none() {
                    found[l] = Some(r);
                    found[r] = Some(l);
                }
            }
        }
        found
    }

    /// The numbers of the expected differences that were met.
    pub fn expected(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().filter_map(|row| match row {
            Row::Expected(_, reason) => Some(*reason),
            _ => None,
        })
    }
}

static NEVER: AtomicBool = AtomicBool::new(false);

/// Compares two tasks. With `twins`, left is Rust and right is C, and some differences are expected.
pub fn compare(left: Lines, right: Lines, twins: bool, stop: &AtomicBool) -> Comparison {
    let mut rows = rows(&left.lines, &right.lines, stop);
    for row in &mut rows {
        match *row {
            Row::Left(at) if left.lines[at].optional => *row = Row::Varies(0, at),
            Row::Right(at) if right.lines[at].optional => *row = Row::Varies(1, at),
            Row::Left(at) if twins => {
                let next = left.lines.get(at + 1).map_or("", |line| &line.text);
                let covers = |expected: &Expected| expected.covers(&left.lines[at].text, next);
                if let Some(reason) = EXPECTED.iter().position(covers) {
                    *row = Row::Expected(at, reason);
                }
            }
            _ => {}
        }
    }
    let mut forms = left.forms();
    let varying = left.varying() + right.varying();
    forms.add(Form::Varies, varying);
    // What was done about children is no longer in its place.
    let in_place = |line: &Line| !line.forms.has(Form::Children);
    let letter = |row: &Row| matches!(*row, Row::Both(l, r) if left.lines[l].letters == right.lines[r].letters && in_place(&left.lines[l]));
    let verdict = if rows.iter().any(Row::differs) {
        Verdict::Divergent
    } else if rows.iter().any(|row| matches!(row, Row::Expected(..))) {
        Verdict::Expected
    } else if varying == 0 && rows.iter().all(letter) {
        Verdict::Identical
    } else {
        Verdict::Equal
    };
    Comparison {
        verdict,
        forms,
        left,
        right,
        rows,
    }
}

/// What two sequences of lines have in common, and what is between that: first the left one's.
fn rows(left: &[Line], right: &[Line], stop: &AtomicBool) -> Vec<Row> {
    let ends = (left.len(), right.len());
    let pairs = align([ends.0, ends.1], stop, |l, r| {
        agree(&left[l], &right[r], false)
    });
    let (mut l, mut r, mut rows) = (0, 0, Vec::new());
    for (next_l, next_r) in pairs.into_iter().chain([ends]) {
        rows.extend((l..next_l).map(Row::Left));
        rows.extend((r..next_r).map(Row::Right));
        if (next_l, next_r) != ends {
            rows.push(Row::Both(next_l, next_r));
        }
        (l, r) = (next_l + 1, next_r + 1);
    }
    rows
}

// ---- Lines ----

fn raw(call: &Call) -> String {
    let note = if call.note.is_empty() {
        String::new()
    } else {
        format!(" {}", call.note)
    };
    format!(
        "{}({}) = {}{note}",
        call.name,
        call.args.join(", "),
        call.result
    )
}

fn line(raw: &str, ports: &Ports) -> Line {
    let mut forms = Forms::default();
    let text = plain(raw, ports, &mut forms);
    let mut line = Line {
        raw: raw.into(),
        forms,
        letters: number_of(raw),
        ..Line::default()
    };
    line.say(text);
    line
}

/// What is known of a task's own names for things.
struct Names {
    ports: Ports,
    files: Files,
    sockets: Option<Letters>,
}

fn line_of(call: &Call, on: &On, names: &mut Names, clock: &mut Clock) -> Line {
    let mut forms = Forms::default();
    // A port in what a program prints may have fewer digits in another run; the counts then follow.
    let mut missing = 0;
    let mut args = Vec::new();
    for arg in &call.args {
        args.push(if arg.starts_with('"') {
            match calls::of(&call.name) {
                Some(row) if row.sends.is_some() && !row.proves => {
                    let text = clock.told(arg, call, &mut forms);
                    let (text, digits) = printed(&text, &names.ports, &mut forms);
                    missing = digits;
                    text
                }
                Some(row) if row.sends.or(row.receives).is_some() => {
                    clock.told(arg, call, &mut forms)
                }
                _ => arg.clone(),
            }
        } else {
            plain(arg, &names.ports, &mut forms)
        });
    }
    if clock.is_left(call) {
        forms.add(Form::Left, 1);
        "LEFT".clone_into(&mut args[3]);
    }
    let mut result = call.result.clone();
    names.files.name(call, &mut args, &mut result, &mut forms);
    if let Some(sockets) = &mut names.sockets {
        sockets.name(call, on, &mut args, &mut result, &mut forms);
    }
    let pids = |text: &mut String, forms: &mut Forms| {
        if text.parse::<u32>().is_ok_and(|pid| pid > 0) {
            forms.add(Form::Pid, 1);
            "PID".clone_into(text);
        }
    };
    let of_a_task = matches!(calls::does(&call.name), Does::MakesTask | Does::ReapsTask);
    let own = ["getpid", "getppid", "gettid", "set_tid_address"].contains(&call.name.as_str());
    if of_a_task || own {
        pids(&mut result, &mut forms);
    }
    let with_pids = match call.name.as_str() {
        "kill" | "tkill" | "wait4" | "sched_getaffinity" => 0..1,
        "tgkill" => 0..2,
        "waitid" => 1..2,
        _ => 0..0,
    };
    for arg in args.get_mut(with_pids).into_iter().flatten() {
        pids(arg, &mut forms);
    }
    if missing > 0 {
        for count in args.last_mut().into_iter().chain([&mut result]) {
            if let Ok(number) = count.parse::<usize>() {
                *count = (number + missing).to_string();
            }
        }
    }
    let mut note = call.note.clone();
    if let Some(sockets) = names.sockets.as_mut().filter(|_| note.contains('[')) {
        note = sockets.within(&note, &on.several).0; // which are ready
    }
    let same = Call {
        args,
        result,
        note,
        name: call.name.clone(),
        ..Call::default()
    };
    let short = Call {
        args: same.args.iter().map(|arg| brief(arg)).collect(),
        ..same.clone()
    };
    let waits = calls::is_idle(&call.name);
    let own = raw(call);
    let mut line = Line {
        letters: number_of(&own),
        raw: own.into(),
        forms,
        piece: piece(&same, on).map(Arc::new),
        part: part(call),
        idle: on.network
            && (waits && calls::does(&call.name) != Does::Accepts
                || call.note.starts_with("EAGAIN")),
        call: Some(Arc::new(same)),
        ..Line::default()
    };
    line.say(raw(&short));
    line
}

// ---- Children ----

/// What a task did of its own accord, by number, and apart from that each SIGCHLD with what its handler did.
fn without_children(entries: &[Entry]) -> (Vec<usize>, Vec<usize>) {
    let (mut rest, mut children): (Vec<usize>, Vec<usize>) = Default::default();
    let mut at = 0;
    while let Some(entry) = entries.get(at) {
        if !is_sigchld(entry) {
            rest.push(at);
            at += 1;
            continue;
        }
        let end = handler_end(entries, at).unwrap_or(at);
        children.extend(at..=end);
        at = end + 1;
        // The call that was interrupted, if it is made again.
        let call = |entry: &Entry| match &entry.what {
            What::Call(call) => Some(call.clone()),
            _ => None,
        };
        let next = entries[at..].iter().find(|entry| !is_sigchld(entry));
        let last = rest.last().and_then(|&last| call(&entries[last]));
        if let (Some(call), Some(again)) = (last, next.and_then(call)) {
            let same = call.name == again.name && call.args.first() == again.args.first();
            if same && call.note.starts_with("ERESTART") {
                rest.pop();
            }
        }
    }
    (rest, children)
}

fn is_sigchld(entry: &Entry) -> bool {
    matches!(&entry.what, What::Signal(text) if text.starts_with("SIGCHLD "))
}

/// Where the handler returns that a signal starts, if it has one.
fn handler_end(entries: &[Entry], signal: usize) -> Option<usize> {
    let mut at = signal + 1;
    loop {
        match &entries.get(at)?.what {
            What::Call(call) if call.name == "rt_sigreturn" => return Some(at),
            What::Signal(_) => at = handler_end(entries, at)? + 1,
            _ => at += 1,
        }
    }
}

/// What was done about children, however many of them one signal stood for: each child, and one of everything else.
fn reaped(children: &[&Entry], ports: &Ports) -> Vec<Line> {
    let reaps = |call: &Call| calls::does(&call.name) == Does::ReapsTask;
    let mut lines: Vec<Line> = Vec::new();
    for entry in children {
        let mut line = match &entry.what {
            What::Call(call) if call.name == "rt_sigreturn" => line(&call.name, ports),
            What::Call(call) if reaps(call) && (call.result == "0" || call.failed()) => line(
                &format!("{}({}) = no more", call.name, call.args.join(", ")),
                ports,
            ),
            What::Call(call) => {
                let mut names = Names {
                    ports: ports.clone(),
                    files: Files(None),
                    sockets: None,
                };
                line_of(call, &On::default(), &mut names, &mut Clock::default())
            }
            What::Signal(text) => line(&format!("--- {text} ---"), ports),
            What::End(text) | What::Unknown(text) => line(text, ports),
        };
        let is_child =
            matches!(&entry.what, What::Call(call) if reaps(call)) && line.text.ends_with(" = PID");
        if is_child || lines.iter().all(|other| other.text != line.text) {
            line.forms.add(Form::Children, 1);
            lines.push(line);
        }
    }
    lines.sort_by(|one, other| one.text.cmp(&other.text));
    lines
}

// ---- Streams ----

/// A call's part in a stream: bytes that came or went without an address.
fn piece(call: &Call, on: &On) -> Option<Piece> {
    let row = calls::of(&call.name)?;
    let place = row.sends.or(row.receives)?.place;
    let [fd, data, asked, ..] = call.args.as_slice() else {
        return None;
    };
    let address = row.address.and_then(|at| call.args.get(at));
    let is_stream = row.proves || on.socket.is_some();
    if place != Place::Buffer(1) || !is_stream || address.is_some_and(|it| it != "NULL") {
        return None;
    }
    let kind = match row.flags.and_then(|at| call.args.get(at)) {
        Some(flags) => format!("{}({fd}, {flags})", call.name),
        None => format!("{}({fd})", call.name),
    };
    let moved: u64 = call.result.parse().ok().filter(|&moved| moved > 0)?;
    let data = match Data::of_argument(data) {
        Some(data) if data.len == moved => data,
        Some(data) => {
            let taken = data.kept.get(..usize::try_from(moved).ok()?);
            Data::partly(taken.unwrap_or_default(), moved)
        }
        None if data.starts_with('"') => Data::partly(&[], moved),
        None => return None,
    };
    Some(Piece {
        kind,
        asked: asked.clone(),
        data,
    })
}

impl Partial {
    /// Whether the next one sends what this one has left.
    fn goes_on(&self, next: &Partial) -> bool {
        self.fd == next.fd && self.asked - self.took == next.asked
    }
}

fn part(call: &Call) -> Option<Partial> {
    calls::of(&call.name)?.sends?;
    let [fd, _, asked, flags, ..] = call.args.as_slice() else {
        return None;
    };
    let took = if call.note.starts_with("EAGAIN") {
        0
    } else {
        call.result.parse().ok()?
    };
    let asked = asked.parse().ok().filter(|&asked: &usize| asked > took)?;
    flags.contains("MSG_DONTWAIT").then(|| Partial {
        fd: fd.clone(),
        asked,
        took,
    })
}

#[cfg(test)]
mod tests;
