//! Compares what two programs did, call by call: name, arguments, return value, bytes.
//!
//! What is set aside has a name and is counted, as has what forms.rs puts in another form first.

use std::fmt::Write;

use crate::diff::expected::EXPECTED;
use crate::diff::normalise::{Clock, Files, Form, Forms, Ports, plain, printed};
use crate::strace::line::{Call, Entry, What, bytes};

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

// ---- Streams ----

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

#[cfg(test)]
mod tests;
