//! Compares what two programs did, call by call: name, arguments, return value, bytes.
//!
//! What is set aside, and what is put in another form first, has a name and is counted.

#[path = "../web/request.rs"]
#[allow(dead_code, reason = "only how it writes a time")]
mod request;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use request::{http_date, log_date};

use crate::expected::EXPECTED;
use crate::read::{Call, Entry, What, bytes};

/// Why a line is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aside {
    Memory,
    Stdio,
    Threads,
}

impl Aside {
    pub fn name(self) -> &'static str {
        match self {
            Aside::Memory => "memory",
            Aside::Stdio => "stdio",
            Aside::Threads => "threads",
        }
    }

    pub fn reason(self) -> &'static str {
        match self {
            Aside::Memory => "memory management: each language's own",
            Aside::Stdio => "C's stdio puts back, at exit, the standard input that it has not used",
            Aside::Threads => {
                "threads wait for each other, and take leave of their library: each language's own"
            }
        }
    }

    fn of(call: &Call, thread: bool) -> Option<Aside> {
        let first = call.args.first().map_or("", String::as_str);
        let second = call.args.get(1).map_or("", String::as_str);
        match call.name.as_str() {
            // The stack for signals is Rust's, and goes with its mapping.
            "brk" | "mmap" | "munmap" | "mremap" | "madvise" | "mprotect" | "sigaltstack" => {
                Some(Aside::Memory)
            }
            "getrandom"
                if call
                    .args
                    .last()
                    .is_some_and(|flags| flags == "GRND_NONBLOCK") =>
            {
                Some(Aside::Memory)
            } // malloc's
            "lseek" if first == "0" => Some(Aside::Stdio),
            "futex" => Some(Aside::Threads),
            // The end of a thread, which the end of the process may forestall: strace then has that here too, now and then.
            "exit" | "exit_group" if thread => Some(Aside::Threads),
            "rt_sigprocmask" if thread && (first, second) == ("SIG_BLOCK", "~[RT_1]") => {
                Some(Aside::Threads)
            }
            _ => None,
        }
    }
}

/// What is put in another form before two lines are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Port,
    Pid,
    Pointer,
    Pieces,
    Full,
    Children,
    Date,
    Left,
    File,
}

impl Form {
    pub fn name(self) -> &'static str {
        match self {
            Form::Port => "port",
            Form::Pid => "pid",
            Form::Pointer => "pointer",
            Form::Pieces => "pieces",
            Form::Full => "full",
            Form::Children => "children",
            Form::Date => "date",
            Form::Left => "left",
            Form::File => "file",
        }
    }

    pub fn meaning(self) -> &'static str {
        match self {
            Form::Port => {
                "the kernel picks it; each gets a letter, A the server's, the others as they appear"
            }
            Form::Pid => "which process or thread it is",
            Form::Pointer => "a place in memory",
            Form::Pieces => {
                "TCP cuts a stream anew in each run: consecutive pieces are compared joined"
            }
            Form::Full => {
                "how much a connection takes before it is full is the kernel's: non-blocking sends up to there are compared as one"
            }
            Form::Children => {
                "a child ends when it does: what SIGCHLD interrupts is compared as if it had not, what its handler does at the end"
            }
            Form::Date => {
                "the time of day, in an answer's Date: or a line of a log: right to some seconds"
            }
            Form::Left => {
                "what is left of a time-out that was set in whole seconds: right to the time that has passed"
            }
            Form::File => {
                "a file that a thread opens: its number depends on what others have open just then"
            }
        }
    }
}

pub type Forms = BTreeMap<Form, usize>;

/// One program's lines, ready to be compared.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub lines: Vec<Line>,
    pub aside: Vec<(Aside, String)>,
}

#[derive(Clone, Debug)]
pub struct Line {
    /// As strace wrote it, but for the time.
    pub raw: String,
    /// As it is compared.
    pub text: String,
    forms: Forms,
    /// A call that moved bytes of a stream.
    piece: Option<Piece>,
    /// A non-blocking send that was not taken whole.
    part: Option<Part>,
}

#[derive(Clone, Debug)]
struct Piece {
    /// The call with neither bytes nor counts: what pieces of one run have in common.
    kind: String,
    /// How many bytes the first call of a run asked for.
    asked: String,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Part {
    fd: String,
    asked: usize,
    took: usize,
}

impl Script {
    /// Takes a recording from its first `socket`. The ports that the recording was made with are the first that get a letter.
    /// Of a `thread` that is not its process's first, the end is set aside.
    pub fn new(entries: &[Entry], known: &[u16], thread: bool) -> Script {
        let mut ports = Ports::default();
        for &port in known {
            ports.learn(port);
        }
        for entry in entries {
            if let What::Call(call) = &entry.what {
                ports.learn_from(call);
            }
        }
        let (rest, children) = without_children(entries);
        let mut script = Script::default();
        let mut clock = Clock::default();
        let mut files = Files(if thread { Some(Vec::new()) } else { None });
        for entry in rest {
            match &entry.what {
                What::Call(call) => {
                    clock.goes_on(entry.start);
                    if let Some(aside) = Aside::of(call, thread) {
                        script.aside.push((aside, raw(call)));
                    } else {
                        let line = line_of(call, &ports, &mut clock, &mut files);
                        script.lines.push(line);
                    }
                }
                What::Signal(text) => script.lines.push(line(&format!("--- {text} ---"), &ports)),
                What::End(text) => script.lines.push(line(&format!("+++ {text} +++"), &ports)),
                // So strace calls what the end of the process has kept a thread from.
                What::Unknown(text) if thread && text.contains(" ???") => {
                    script.aside.push((Aside::Threads, "???() = ?".to_owned()));
                }
                What::Unknown(text) => script.lines.push(line(text, &ports)),
            }
        }
        script.lines.extend(reaped(&children, &ports));
        script
    }

    /// The same with consecutive pieces of a stream joined.
    fn joined(&self) -> Script {
        let mut script = Script {
            lines: Vec::new(),
            aside: self.aside.clone(),
        };
        for next in &self.lines {
            if let (Some(last), Some(next_part)) = (script.lines.last_mut(), &next.part) {
                if last
                    .part
                    .as_ref()
                    .is_some_and(|part| part.goes_on(next_part))
                {
                    last.part = Some(next_part.clone());
                    let _ = write!(last.raw, "; {}", next.raw); // into memory
                    *last.forms.entry(Form::Full).or_default() += 1;
                    continue;
                }
            }
            if let (
                Some(Line {
                    raw,
                    text,
                    forms,
                    piece: Some(run),
                    ..
                }),
                Some(piece),
            ) = (script.lines.last_mut(), &next.piece)
            {
                if run.kind == piece.kind {
                    run.bytes.extend_from_slice(&piece.bytes);
                    *text = format!(
                        "{}, asked {}, {} bytes: {}",
                        run.kind,
                        run.asked,
                        run.bytes.len(),
                        run.bytes.escape_ascii()
                    );
                    let _ = write!(raw, "; {}", next.raw); // into memory
                    *forms.entry(Form::Pieces).or_default() += 1;
                    continue;
                }
            }
            let mut line = next.clone();
            if line.part.is_some() {
                let call = line.text.rsplit_once(" = ").map_or("", |(call, _)| call);
                line.text = format!("{call}, as far as it goes");
            } else if let Some(run) = &line.piece {
                line.text = format!(
                    "{}, asked {}, {} bytes: {}",
                    run.kind,
                    run.asked,
                    run.bytes.len(),
                    run.bytes.escape_ascii()
                );
            }
            script.lines.push(line);
        }
        script
    }

    fn forms(&self) -> Forms {
        let mut forms = Forms::new();
        for (form, count) in self.lines.iter().flat_map(|line| &line.forms) {
            *forms.entry(*form).or_default() += count;
        }
        forms
    }
}

/// How two programs' lines lie beside each other, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    Both(usize, usize),
    /// Only the left one has it, as expected for the reason of this number.
    Expected(usize, usize),
    Left(usize),
    Right(usize),
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
    pub left: Script,
    pub right: Script,
    pub rows: Vec<Row>,
}

impl Comparison {
    pub fn diverges(&self) -> bool {
        self.verdict == Verdict::Divergent
    }

    /// How many pieces of a stream had to be joined, to be received or sent.
    pub fn pieces(&self) -> usize {
        let joined = |form| self.forms.get(form).copied().unwrap_or_default();
        [Form::Pieces, Form::Full].iter().map(joined).sum()
    }

    /// How many lines only one side has, without a reason.
    fn differences(&self) -> usize {
        let differs = |row: &&Row| matches!(row, Row::Left(_) | Row::Right(_));
        self.rows.iter().filter(differs).count()
    }

    /// For a row that only one side has, the line of the other that stands in its place, if there is one.
    pub fn counterpart(&self, at: usize) -> Option<&Line> {
        let same =
            |row: &&Row| matches!(row, Row::Left(_)) == matches!(self.rows[at], Row::Left(_));
        let differs = |row: &&Row| matches!(row, Row::Left(_) | Row::Right(_));
        let before = self.rows[..at].iter().rev().take_while(differs).count();
        let block: Vec<&Row> = self.rows[at - before..]
            .iter()
            .take_while(differs)
            .collect();
        let place = block[..before].iter().copied().filter(same).count();
        match block.iter().copied().filter(|row| !same(row)).nth(place)? {
            Row::Left(l) => self.left.lines.get(*l),
            Row::Right(r) => self.right.lines.get(*r),
            Row::Both(..) | Row::Expected(..) => None,
        }
    }

    /// The numbers of the expected differences that were met.
    pub fn expected(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().filter_map(|row| match row {
            Row::Expected(_, reason) => Some(*reason),
            _ => None,
        })
    }
}

/// Compares two lanes. With `twins`, left is Rust and right is C, and some differences are expected.
pub fn compare(left: &Script, right: &Script, twins: bool) -> Comparison {
    let plain = judge(left.clone(), right.clone(), twins);
    if plain.verdict == Verdict::Divergent {
        let joined = judge(left.joined(), right.joined(), twins);
        // Where they diverge anyway, what is left of the differences is what counts.
        if joined.differences() < plain.differences() {
            return joined;
        }
    }
    plain
}

fn judge(left: Script, right: Script, twins: bool) -> Comparison {
    let mut rows = align(&left.lines, &right.lines);
    if twins {
        for row in &mut rows {
            let Row::Left(at) = *row else { continue };
            let next = left.lines.get(at + 1).map_or("", |line| &line.text);
            if let Some(reason) = EXPECTED
                .iter()
                .position(|expected| expected.covers(&left.lines[at].text, next))
            {
                *row = Row::Expected(at, reason);
            }
        }
    }
    let forms = left.forms();
    // What was done about children is no longer in its place.
    let in_place = |line: &Line| !line.forms.contains_key(&Form::Children);
    let letter = |row: &Row| matches!(*row, Row::Both(l, r) if left.lines[l].raw == right.lines[r].raw && in_place(&left.lines[l]));
    let any = |kind: fn(&Row) -> bool| rows.iter().any(kind);
    let verdict = if any(|row| matches!(row, Row::Left(_) | Row::Right(_))) {
        Verdict::Divergent
    } else if any(|row| matches!(row, Row::Expected(..))) {
        Verdict::Expected
    } else if rows.iter().all(letter) {
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

/// The longest common subsequence, and what is between its lines.
fn align(left: &[Line], right: &[Line]) -> Vec<Row> {
    let mut common = vec![vec![0u32; right.len() + 1]; left.len() + 1];
    for l in (0..left.len()).rev() {
        for r in (0..right.len()).rev() {
            common[l][r] = if left[l].text == right[r].text {
                common[l + 1][r + 1] + 1
            } else {
                common[l + 1][r].max(common[l][r + 1])
            };
        }
    }
    let (mut l, mut r, mut rows) = (0, 0, Vec::new());
    while l < left.len() || r < right.len() {
        if l < left.len() && r < right.len() && left[l].text == right[r].text {
            rows.push(Row::Both(l, r));
            (l, r) = (l + 1, r + 1);
        } else if r == right.len() || (l < left.len() && common[l + 1][r] >= common[l][r + 1]) {
            rows.push(Row::Left(l));
            l += 1;
        } else {
            rows.push(Row::Right(r));
            r += 1;
        }
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
    let mut forms = Forms::new();
    let text = plain(raw, ports, &mut forms);
    Line {
        raw: raw.to_owned(),
        text,
        forms,
        piece: None,
        part: None,
    }
}

fn line_of(call: &Call, ports: &Ports, clock: &mut Clock, files: &mut Files) -> Line {
    let mut forms = Forms::new();
    // A port in what a program prints may have fewer digits in another run; the counts then follow.
    let mut missing = 0;
    let mut args = Vec::new();
    for arg in &call.args {
        args.push(if arg.starts_with('"') {
            match call.name.as_str() {
                "write" => {
                    let text = clock.told(arg, call, &mut forms);
                    let (text, digits) = printed(&text, ports, &mut forms);
                    missing = digits;
                    text
                }
                "sendto" | "recvfrom" => clock.told(arg, call, &mut forms),
                _ => arg.clone(),
            }
        } else {
            plain(arg, ports, &mut forms)
        });
    }
    if clock.is_left(call) {
        *forms.entry(Form::Left).or_default() += 1;
        "LEFT".clone_into(&mut args[3]);
    }
    let mut result = call.result.clone();
    files.name(call, &mut args, &mut result, &mut forms);
    let pids = |text: &mut String, forms: &mut Forms| {
        if text.parse::<u32>().is_ok_and(|pid| pid > 0) {
            *forms.entry(Form::Pid).or_default() += 1;
            "PID".clone_into(text);
        }
    };
    if let "clone" | "clone3" | "fork" | "vfork" | "wait4" | "waitid" | "getpid" | "getppid"
    | "gettid" | "set_tid_address" = call.name.as_str()
    {
        pids(&mut result, &mut forms);
    }
    let named = match call.name.as_str() {
        "kill" | "tkill" | "wait4" | "sched_getaffinity" => 0..1,
        "tgkill" => 0..2,
        "waitid" => 1..2,
        _ => 0..0,
    };
    for arg in args.get_mut(named).into_iter().flatten() {
        pids(arg, &mut forms);
    }
    if missing > 0 {
        for count in args.last_mut().into_iter().chain([&mut result]) {
            if let Ok(number) = count.parse::<usize>() {
                *count = (number + missing).to_string();
            }
        }
    }
    let same = Call {
        args,
        result,
        ..call.clone()
    };
    Line {
        raw: raw(call),
        text: raw(&same),
        forms,
        piece: piece(&same),
        part: part(call),
    }
}

// ---- Children ----

/// What a lane did of its own accord, and apart from that each SIGCHLD with what its handler did.
fn without_children(entries: &[Entry]) -> (Vec<&Entry>, Vec<&Entry>) {
    let (mut rest, mut children): (Vec<&Entry>, Vec<&Entry>) = Default::default();
    let mut at = 0;
    while let Some(entry) = entries.get(at) {
        if !is_sigchld(entry) {
            rest.push(entry);
            at += 1;
            continue;
        }
        let end = handler_end(entries, at).unwrap_or(at);
        children.extend(&entries[at..=end]);
        at = end + 1;
        // The call that was interrupted, if it is made again.
        let next = entries[at..].iter().find(|entry| !is_sigchld(entry));
        if let (
            Some(Entry {
                what: What::Call(call),
                ..
            }),
            Some(Entry {
                what: What::Call(again),
                ..
            }),
        ) = (rest.last(), next)
        {
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
    let mut lines: Vec<Line> = Vec::new();
    for entry in children {
        let mut line = match &entry.what {
            What::Call(call) if call.name == "rt_sigreturn" => line(&call.name, ports),
            What::Call(call) if call.name == "wait4" && (call.result == "0" || call.failed()) => {
                line(
                    &format!("{}({}) = no more", call.name, call.args.join(", ")),
                    ports,
                )
            }
            What::Call(call) => line_of(call, ports, &mut Clock::default(), &mut Files(None)),
            What::Signal(text) => line(&format!("--- {text} ---"), ports),
            What::End(text) | What::Unknown(text) => line(text, ports),
        };
        let is_child = matches!(&entry.what, What::Call(call) if call.name == "wait4")
            && line.text.ends_with(" = PID");
        if is_child || lines.iter().all(|other| other.text != line.text) {
            *line.forms.entry(Form::Children).or_default() += 1;
            lines.push(line);
        }
    }
    lines.sort_by(|one, other| one.text.cmp(&other.text));
    lines
}

// ---- Times ----

/// How long ago may be what a program calls now, in seconds: as long as a recording takes.
const NOW: u64 = 20;

/// How programs say what time it is. What stands for it is as long.
struct Time {
    before: &'static str,
    form: &'static str,
    after: &'static str,
    write: fn(i64, &mut Vec<u8>),
}

const TIMES: [Time; 2] = [
    Time {
        before: r"\r\nDate: ",
        form: "Www, DD Mmm YYYY hh:mm:ss GMT",
        after: r"\r\n",
        write: http_date,
    },
    Time {
        before: " [",
        form: "DD/Mmm/YYYY:hh:mm:ss +0000",
        after: r#"] \""#,
        write: log_date,
    },
];

/// What time it is for a lane, in nanoseconds.
#[derive(Default)]
struct Clock {
    /// When the call before began, and when this one did.
    before: Option<u64>,
    now: Option<u64>,
    /// For each descriptor the last time-out in whole seconds: since when at the earliest, and how many microseconds.
    timeouts: HashMap<String, (u64, u64)>,
}

impl Clock {
    fn goes_on(&mut self, start: Option<u64>) {
        self.before = std::mem::replace(&mut self.now, start);
    }

    /// What a program says, with the time of day by its form. Another time than that stays.
    fn told(&self, arg: &str, call: &Call, forms: &mut Forms) -> String {
        let mut text = arg.to_owned();
        let Some(start) = self.now else { return text };
        let end = (start + call.took.unwrap_or_default()) / 1_000_000_000;
        for time in &TIMES {
            if !text.contains(time.before) {
                continue;
            }
            for second in end.saturating_sub(NOW)..=end {
                let mut words = Vec::new();
                (time.write)(second.try_into().unwrap_or(i64::MAX), &mut words);
                let around = |words: &str| [time.before, words, time.after].concat();
                let words = around(&String::from_utf8_lossy(&words));
                let found = text.matches(&words).count();
                if found > 0 {
                    *forms.entry(Form::Date).or_default() += found;
                    text = text.replace(&words, &around(time.form));
                }
            }
        }
        text
    }

    /// Whether the call sets a time-out to what is left of an earlier one.
    fn is_left(&mut self, call: &Call) -> bool {
        let ("setsockopt", [fd, _, option, value, _]) = (call.name.as_str(), call.args.as_slice())
        else {
            return false;
        };
        let (Some(micros), Some(now)) = (timeval(value), self.now) else {
            return false;
        };
        if !option.starts_with("SO_RCVTIMEO") {
            return false;
        }
        if micros % 1_000_000 == 0 {
            let since = self.before.unwrap_or(now);
            self.timeouts.insert(fd.clone(), (since, micros));
            return false;
        }
        self.timeouts.get(fd).is_some_and(|&(since, whole)| {
            micros < whole && micros + now.saturating_sub(since) / 1000 >= whole
        })
    }
}

/// How many microseconds the bytes of a timeval stand for.
fn timeval(arg: &str) -> Option<u64> {
    let (bytes, _) = bytes(arg)?;
    let (seconds, micros) = bytes.split_first_chunk()?;
    let micros = u64::from_ne_bytes(micros.try_into().ok()?);
    u64::from_ne_bytes(*seconds)
        .checked_mul(1_000_000)?
        .checked_add(micros)
}

/// The descriptors of the files that a thread has opened, in order; those that are closed are `None`. Others' are as they are.
struct Files(Option<Vec<Option<String>>>);

impl Files {
    fn name(&mut self, call: &Call, args: &mut [String], result: &mut String, forms: &mut Forms) {
        let Some(files) = &mut self.0 else { return };
        let mut named = |place: usize, text: &mut String| {
            *forms.entry(Form::File).or_default() += 1;
            *text = format!("FILE{}", place + 1);
        };
        if call.name.starts_with("open") && !call.failed() {
            files.push(Some(result.clone()));
            return named(files.len() - 1, result);
        }
        let descriptors = if call.name == "sendfile" { 2 } else { 1 };
        for arg in args.iter_mut().take(descriptors) {
            let place = files.iter().position(|file| file.as_ref() == Some(arg));
            if let Some(place) = place {
                if call.name == "close" {
                    files[place] = None;
                }
                named(place, arg);
            }
        }
    }
}

/// A call's part in a stream: bytes that came or went without an address.
fn piece(call: &Call) -> Option<Piece> {
    let ("recvfrom" | "sendto", [fd, data, asked, flags, address, _]) =
        (call.name.as_str(), call.args.as_slice())
    else {
        return None;
    };
    let moved: usize = call.result.parse().ok().filter(|&moved| moved > 0)?;
    let (bytes, cut) = bytes(data)?;
    if address != "NULL" || cut {
        return None;
    }
    let bytes = bytes.get(..moved)?.to_vec();
    Some(Piece {
        kind: format!("{}({fd}, {flags})", call.name),
        asked: asked.clone(),
        bytes,
    })
}

impl Part {
    /// Whether the next one sends what this one has left.
    fn goes_on(&self, next: &Part) -> bool {
        self.fd == next.fd && self.asked - self.took == next.asked
    }
}

fn part(call: &Call) -> Option<Part> {
    let ("sendto", [fd, _, asked, flags, ..]) = (call.name.as_str(), call.args.as_slice()) else {
        return None;
    };
    let took = if call.note.starts_with("EAGAIN") {
        0
    } else {
        call.result.parse().ok()?
    };
    let asked = asked.parse().ok().filter(|&asked: &usize| asked > took)?;
    flags.contains("MSG_DONTWAIT").then(|| Part {
        fd: fd.clone(),
        asked,
        took,
    })
}

/// The ports that the kernel picked, in the order in which they get their letters.
#[derive(Default)]
struct Ports {
    known: Vec<u16>,
    /// Those that the program named itself, before anybody told it: they are compared as they are.
    own: Vec<u16>,
}

impl Ports {
    fn learn(&mut self, port: u16) {
        if port != 0 && !self.known.contains(&port) && !self.own.contains(&port) {
            self.known.push(port);
        }
    }

    fn learn_from(&mut self, call: &Call) {
        for port in call.args.iter().filter_map(|arg| sin_port(arg)) {
            match call.name.as_str() {
                "bind" | "connect" | "sendto" | "sendmsg" if !self.known.contains(&port) => {
                    self.own.push(port);
                }
                _ => self.learn(port),
            }
        }
    }

    /// `A`, `B`, ... `Z`, `A1`, ...
    fn letter(&self, port: u16) -> Option<String> {
        let place = self.known.iter().position(|&known| known == port)?;
        let letter = char::from(b'A' + u8::try_from(place % 26).unwrap_or_default());
        Some(if place < 26 {
            letter.to_string()
        } else {
            format!("{letter}{}", place / 26)
        })
    }
}

/// The port in a socket address, as strace writes it.
pub fn sin_port(arg: &str) -> Option<u16> {
    let (_, rest) = arg
        .split_once("_port=htons(") // sin_port, sin6_port
        .filter(|_| !arg.starts_with('"'))?;
    rest.split_once(')')?.0.parse().ok()
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// A number that is another in each run.
struct Number {
    text: &'static str,
    word: &'static str,
    form: Form,
}

const NUMBERS: [Number; 5] = [
    Number {
        text: "si_pid=",
        word: "PID",
        form: Form::Pid,
    },
    Number {
        text: "parent_tid=[",
        word: "PID",
        form: Form::Pid,
    },
    Number {
        text: "stack_size=",
        word: "SIZE",
        form: Form::Pointer,
    },
    Number {
        text: "si_utime=",
        word: "TIME",
        form: Form::Children,
    },
    Number {
        text: "si_stime=",
        word: "TIME",
        form: Form::Children,
    },
];

/// What stands outside of strings, with ports, pids and pointers by name.
fn plain(arg: &str, ports: &Ports, forms: &mut Forms) -> String {
    let mut text = String::new();
    let mut rest = arg;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("htons(") {
            let end = digits(after);
            if let Some(letter) = after[..end]
                .parse()
                .ok()
                .and_then(|port| ports.letter(port))
            {
                *forms.entry(Form::Port).or_default() += 1;
                let _ = write!(text, "htons({letter}");
                rest = &after[end..];
                continue;
            }
        } else if let Some((key, after)) = NUMBERS
            .iter()
            .find_map(|key| Some((key, rest.strip_prefix(key.text)?)))
        {
            *forms.entry(key.form).or_default() += 1;
            text += key.text;
            text += key.word;
            rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == 'x');
            continue;
        } else if let Some(after) = rest.strip_prefix("0x") {
            let end = after.bytes().take_while(u8::is_ascii_hexdigit).count();
            if end >= 8 {
                *forms.entry(Form::Pointer).or_default() += 1;
                text += "POINTER";
                rest = &after[end..];
                continue;
            }
        }
        text.push(first);
        rest = &rest[first.len_utf8()..];
    }
    text
}

/// What a program prints, with known ports by name where they follow an address, `127.0.0.1:PORT` or `127.0.0.1#PORT`, or
/// end a line of their own, `serverPort:\tPORT`. Also how many digits they lack to five each.
fn printed(arg: &str, ports: &Ports, forms: &mut Forms) -> (String, usize) {
    let (mut text, mut missing, mut rest) = (String::new(), 0, arg);
    while let Some(first) = rest.chars().next() {
        let follows = text.ends_with([':', '#'])
            && text[..text.len() - 1].ends_with(|c: char| c.is_ascii_digit());
        let len = digits(rest);
        if len > 0 && (follows || text.ends_with("serverPort:\\t")) {
            if let Some(letter) = rest[..len].parse().ok().and_then(|port| ports.letter(port)) {
                *forms.entry(Form::Port).or_default() += 1;
                text += &letter;
                missing += 5 - len;
                rest = &rest[len..];
                continue;
            }
        }
        text.push(first);
        rest = &rest[first.len_utf8()..];
    }
    (text, missing)
}
