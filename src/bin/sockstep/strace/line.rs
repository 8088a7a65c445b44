//! Reads strace's output: lines in, entries out. An unknown line comes out unchanged.
//!
//! It works on bytes; its output is text without control bytes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::common::text::escape;
pub use crate::strace::call::{Annotation, Call, UNSEEN};
use crate::strace::call::{DETACHED, UNFINISHED};
use crate::strace::calls::{self, Does};
use crate::strace::clock::{Clock, Kind};
use crate::strace::names::name_constants;
use crate::strace::prefix::{Prefix, nanoseconds, prefix};
use crate::strace::stack::Frame;
use crate::strace::text::{quoted, unescaped};

/// How much memory the unfinished calls may take.
const MOST_BEGUN: usize = 64 << 20; // bytes

/// How much is kept of a line that is not strace's.
const MOST_UNKNOWN: usize = 4096; // bytes

/// How many lines of a program's output may interrupt one of strace's lines.
const MOST_WORDS: usize = 64;

/// One line of a recording, or the two that an interrupted call was written in.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The task, if the recording names it.
    pub pid: Option<u32>,
    /// When it began, in nanoseconds of the recording's clock; never earlier than the end of the
    /// task's previous entry.
    pub start: Option<u64>,
    /// When it returned, if the recording has a line for that.
    pub until: Option<u64>,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Shared: a comparison keeps each call several times.
    Call(Arc<Call>),
    /// `SIGTERM {si_signo=SIGTERM, ...}`
    Signal(String),
    /// `exited with 0`, `killed by SIGTERM`
    End(String),
    Unknown(String),
}

/// A call that has begun and not returned: its process is in it now.
pub struct Begun {
    pub pid: Option<u32>,
    pub start: Option<u64>,
    pub name: String,
    /// The descriptor that it is on, if it names one first.
    pub descriptor: Option<String>,
}

/// Reads a recording from its first line on; it remembers the unfinished calls.
#[derive(Default)]
pub struct Reader {
    /// The task of the lines without a pid.
    pub own: Option<u32>,
    /// Keeps a call until the line after it has come, which may be its stack.
    pub waits_for_stacks: bool,
    clock: Clock,
    numbering: Numbering,
    begun: HashMap<Option<u32>, (Option<u64>, Vec<u8>)>,
    /// Their size in bytes.
    begun_bytes: usize,
    torn: Option<Torn>,
    held: Option<Entry>,
    /// Within a table of `-c` or `-C`.
    in_a_table: bool,
    /// Times are whole seconds since the line before.
    relative_seconds: bool,
    /// When the call that is read now was resumed; `true` if that is known in whole seconds only.
    until: Option<(u64, bool)>,
    lines: u64,
    last: Option<u32>,
}

/// A call's line that was interrupted by other output.
struct Torn {
    pid: Option<u32>,
    start: Option<u64>,
    line: Vec<u8>,
    /// From its name on.
    text: Vec<u8>,
    /// Lines since then that are not strace's.
    words: Vec<Vec<u8>>,
}

impl Reader {
    /// Reads a line without its newline. An unfinished call gives no entry until its end has come.
    pub fn take(&mut self, line: &[u8], entries: &mut Vec<Entry>) {
        self.lines += 1;
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line); // a byte order mark
        let line = uncoloured(unquoted(line.strip_suffix(b"\r").unwrap_or(line)));
        let line = &*line;
        if line.trim_ascii().is_empty() || self.is_in_a_table(line) {
            return;
        }
        if let Some(below) = below(line) {
            if let Some(Entry {
                what: What::Call(call),
                ..
            }) = &mut self.held
            {
                let stack = &mut Arc::make_mut(call).stack;
                stack.extend(below.strip_prefix(b"> ").map(text));
                if stack.last().is_some_and(|frame| Frame::is_the_last(frame)) {
                    entries.extend(self.held.take());
                }
            }
            return;
        }
        if line == b"     0" || line.starts_with(b"     0 ") {
            self.relative_seconds = true; // 0 is no pid
        }
        let read = prefix(line, self.relative_seconds);
        if self.is_straces_own(read.body) {
            return;
        }
        let kind = kind(read.body);
        if matches!(kind, Kinds::Words) && self.is_mended_by(line, entries) {
            return;
        }
        self.give_up_torn(entries);
        if matches!(kind, Kinds::Words) {
            return self.unknown(line, entries);
        }
        let pid = match (&read, read.pid) {
            (
                Prefix {
                    bracketed: true, ..
                },
                Some(pid),
            ) => self.numbered(pid, &kind),
            (_, Some(pid)) => Some(pid),
            (_, None) => self.numbering.unnumbered().or(self.own),
        };
        let start = self.clock.read(read.stamp, pid, self.lines);
        self.last = pid;
        match kind {
            Kinds::Signal(words) => self.give(pid, start, What::Signal(text(words)), entries),
            Kinds::End(words) => self.ended(pid, start, words, entries),
            Kinds::Resumed(name, rest) => {
                let (began, beginning) = self.take_begun(pid).unwrap_or_else(|| {
                    let mut beginning = [name, b"("].concat();
                    beginning.extend_from_slice(UNSEEN.as_bytes());
                    if !matches!(rest.trim_ascii_start().first(), Some(b')' | b',')) {
                        beginning.extend_from_slice(b", ");
                    }
                    (None, beginning)
                });
                let call = [&beginning, rest].concat();
                self.until = start.map(|until| (until, read.stamp.coarse));
                self.call(pid, began, line, call, entries);
                self.until = None;
            }
            Kinds::Call => self.call(pid, start, line, read.body.to_vec(), entries),
            Kinds::Words => {}
        }
    }

    /// The same for a test, whose lines have an entry or none.
    #[cfg(test)]
    pub fn read(&mut self, line: &str) -> Option<Entry> {
        let mut entries = Vec::new();
        self.take(line.as_bytes(), &mut entries);
        entries.pop()
    }

    /// Whether a call is kept for lines that belong to it.
    pub fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// Returns the kept call: no more lines of it will come.
    pub fn let_go(&mut self, entries: &mut Vec<Entry>) {
        entries.extend(self.held.take());
    }

    /// Returns the entries that are still open at the end of the recording.
    pub fn end(&mut self, entries: &mut Vec<Entry>) {
        if let Some(torn) = self.torn.take() {
            if torn.words.is_empty() {
                // The recording ends within the line.
                let text = untorn(&torn.text).to_vec();
                self.begin(torn.pid, torn.start, text, entries);
            } else {
                self.torn = Some(torn);
                self.give_up_torn(entries);
            }
        }
        let mut begun: Vec<_> = self.begun.drain().collect();
        begun.sort_by_key(|(pid, (start, _))| (*start, *pid));
        for (pid, (start, text)) in begun {
            self.unfinished(pid, start, &text, UNFINISHED, entries);
        }
        entries.extend(self.held.take());
    }

    /// The unfinished calls; `rest` is a line whose end is still to come.
    pub fn under_way(&self, rest: &[u8]) -> Vec<Begun> {
        let read = prefix(rest, false);
        let earlier = self.begun.iter();
        earlier
            .map(|(&pid, (start, text))| (pid, *start, text.as_slice()))
            .chain([(read.pid, read.stamp.absolute, read.body)])
            .filter_map(|(pid, start, text)| {
                let (name, inside) = call_name(text)?;
                let digits = inside
                    .iter()
                    .take_while(|byte| byte.is_ascii_digit())
                    .count();
                let (number, after) = inside.split_at(digits);
                let descriptor = matches!(after.first(), Some(b',' | b')' | b'<')) && digits > 0;
                Some(Begun {
                    pid,
                    start,
                    name: self::text(name),
                    descriptor: descriptor.then(|| self::text(number)),
                })
            })
            .collect()
    }

    /// The guesses since the last call.
    pub fn remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.clock.remarks)
    }

    /// The kind of times in it, from the lines read so far.
    pub fn kind_of_clock(&self) -> Option<Kind> {
        self.clock.kind
    }

    /// All its times are of the day after.
    pub fn a_day_later(&mut self) {
        self.clock.a_day_later();
    }

    fn give(
        &mut self,
        pid: Option<u32>,
        mut start: Option<u64>,
        mut what: What,
        entries: &mut Vec<Entry>,
    ) {
        entries.extend(self.held.take());
        let until = match (self.until, &mut what) {
            (Some((until, coarse)), What::Call(call)) => {
                // Each of the three times follows from the other two.
                let began = until.saturating_sub(call.took.unwrap_or_default());
                let began = *start.get_or_insert(began);
                if !coarse && call.took.is_none() {
                    Arc::make_mut(call).took = Some(until.saturating_sub(began));
                }
                Some(until)
            }
            _ => None,
        };
        start = start.map(|start| self.clock.not_before(pid, start));
        if let Some(start) = start {
            let took = match &what {
                What::Call(call) => call.took.unwrap_or_default(),
                _ => 0,
            };
            self.clock.ended(pid, start.saturating_add(took));
        }
        let keeps = self.waits_for_stacks && matches!(what, What::Call(_));
        let entry = Entry {
            pid,
            start,
            until,
            what,
        };
        if keeps {
            self.held = Some(entry);
        } else {
            entries.push(entry);
        }
    }

    fn unknown(&mut self, line: &[u8], entries: &mut Vec<Entry>) {
        if self.is_being_written(line) {
            return;
        }
        let start = self.clock.read(
            crate::strace::clock::Stamp::default(),
            self.last,
            self.lines,
        );
        let what = What::Unknown(text(&line[..line.len().min(MOST_UNKNOWN)]));
        self.give(self.last, start, what, entries);
    }

    fn call(
        &mut self,
        pid: Option<u32>,
        start: Option<u64>,
        line: &[u8],
        call: Vec<u8>,
        entries: &mut Vec<Entry>,
    ) {
        match parse(&call) {
            Parsed::Call(call) => {
                if let Some(child) = calls::made_task(&call).map(|(pid, _)| pid) {
                    self.numbering.children.insert(child);
                }
                self.give(pid, start, What::Call(call), entries);
            }
            Parsed::Begun(end) => self.begin(pid, start, call[..end].to_vec(), entries),
            Parsed::Detached(end) => {
                self.unfinished(pid, start, &call[..end], DETACHED, entries);
            }
            Parsed::Open => {
                self.torn = Some(Torn {
                    pid,
                    start,
                    line: line.to_vec(),
                    text: call,
                    words: Vec::new(),
                });
            }
        }
    }

    fn begin(
        &mut self,
        pid: Option<u32>,
        start: Option<u64>,
        call: Vec<u8>,
        entries: &mut Vec<Entry>,
    ) {
        if self.begun_bytes.saturating_add(call.len()) > MOST_BEGUN {
            return self.unfinished(pid, start, &call, UNFINISHED, entries);
        }
        self.begun_bytes += call.len();
        if let Some((_, before)) = self.begun.insert(pid, (start, call)) {
            self.begun_bytes -= before.len();
        }
    }

    fn take_begun(&mut self, pid: Option<u32>) -> Option<(Option<u64>, Vec<u8>)> {
        let begun = self.begun.remove(&pid)?;
        self.begun_bytes -= begun.1.len();
        Some(begun)
    }

    /// A call of which only the beginning was recorded.
    fn unfinished(
        &mut self,
        pid: Option<u32>,
        start: Option<u64>,
        beginning: &[u8],
        note: &str,
        entries: &mut Vec<Entry>,
    ) {
        let whole = [beginning, b") = ? ", note.as_bytes()].concat();
        if let Parsed::Call(call) = parse(&whole) {
            self.give(pid, start, What::Call(call), entries);
        } else {
            self.unknown(beginning, entries);
        }
    }

    fn ended(
        &mut self,
        pid: Option<u32>,
        start: Option<u64>,
        words: &[u8],
        entries: &mut Vec<Entry>,
    ) {
        if let Some(thread) = words.strip_prefix(b"superseded by execve in pid ") {
            // Another thread takes over this pid, in the execve that it has begun.
            let thread = std::str::from_utf8(thread)
                .ok()
                .and_then(|pid| pid.parse().ok());
            self.take_begun(pid);
            if let Some((start, call)) = thread.and_then(|thread| self.take_begun(Some(thread))) {
                self.begin(pid, start, call, entries);
            }
            return;
        }
        self.take_begun(pid);
        self.numbering.ended(pid);
        self.give(pid, start, What::End(text(words)), entries);
        self.clock.forget(pid);
    }
}

/// The task of a line in recordings with `[pid 7]`, which strace leaves out while there is only one
/// task. The first task's number may never be given.
#[derive(Default)]
struct Numbering {
    /// The first one's number, once it is known.
    first: Option<u32>,
    /// The first task has had lines.
    seen: bool,
    first_has_ended: bool,
    children: HashSet<u32>,
}

impl Numbering {
    fn unnumbered(&mut self) -> Option<u32> {
        self.seen = true;
        self.children
            .iter()
            .max()
            .copied()
            .filter(|_| self.first_has_ended)
    }

    fn attached(&mut self, pid: u32) {
        if !self.seen && self.first.is_none() && self.children.is_empty() {
            self.first = Some(pid); // by -p
        } else if self.first != Some(pid) {
            self.children.insert(pid);
        }
    }

    fn ended(&mut self, pid: Option<u32>) {
        match pid {
            Some(pid) => {
                self.children.remove(&pid);
            }
            None => self.first_has_ended = true,
        }
    }
}

impl Reader {
    /// The task of a line with `[pid 7]`.
    fn numbered(&mut self, pid: u32, kind: &Kinds) -> Option<u32> {
        let numbering = &self.numbering;
        if numbering.first.is_none() && numbering.seen && !numbering.children.contains(&pid) {
            let unnumbered = self
                .begun
                .get(&self.own)
                .and_then(|(_, text)| call_name(text));
            let is_the_first = match (unnumbered, kind) {
                (Some((begun, _)), Kinds::Resumed(name, _)) => begun == *name,
                (Some((begun, _)), _) => calls::does(&text(begun)) != Does::MakesTask,
                (None, _) => true,
            };
            if is_the_first && !numbering.first_has_ended {
                self.numbering.first = Some(pid);
            }
        }
        if self.numbering.first == Some(pid) {
            return self.own;
        }
        self.numbering.children.insert(pid);
        Some(pid)
    }

    /// Takes strace's own messages, which are not events: `strace: Process 7 attached`, `[ Process
    /// PID=7 runs in 32 bit mode. ]`, `???( <detached ...>`.
    fn is_straces_own(&mut self, body: &[u8]) -> bool {
        if body.starts_with(b"???") || body.starts_with(b"[ Process PID=") {
            return true;
        }
        let said = after_own_name(body).unwrap_or(body);
        if said.starts_with(b"[ Process PID=") {
            return true;
        }
        match attached(said) {
            Some((pid, attached)) => {
                if attached {
                    self.numbering.attached(pid);
                }
                true
            }
            None => false,
        }
    }

    /// Whether a line belongs to a summary, from its heading to its total.
    fn is_in_a_table(&mut self, line: &[u8]) -> bool {
        let line = line.trim_ascii();
        let is_ruled = line.starts_with(b"------") && line.iter().all(|byte| b"- ".contains(byte));
        if is_ruled || (line.starts_with(b"% time ") && line.ends_with(b"syscall")) {
            self.in_a_table = true;
            return true;
        }
        let is_row = || {
            let mut words = line
                .split(|&byte| byte == b' ')
                .filter(|word| !word.is_empty());
            words.next().is_some_and(|word| nanoseconds(word).is_some())
                && words.next().is_some_and(|word| nanoseconds(word).is_some())
                && !line.contains(&b'(')
        };
        if self.in_a_table && is_row() {
            self.in_a_table = !line.ends_with(b" total");
            return true;
        }
        self.in_a_table = false;
        false
    }

    /// Whether a call that has begun writes this line to a terminal: its words are shown as that call's.
    fn is_being_written(&self, line: &[u8]) -> bool {
        self.begun.values().any(|(_, text)| {
            written_to_a_terminal(text).is_some_and(|words| {
                words
                    .split(|&byte| byte == b'\n')
                    .any(|words| words == line)
            })
        })
    }

    /// Whether this line continues an interrupted call, or belongs to the output that interrupted
    /// it.
    fn is_mended_by(&mut self, line: &[u8], entries: &mut Vec<Entry>) -> bool {
        let Some(mut torn) = self.torn.take() else {
            return false;
        };
        let rest = line.trim_ascii_start();
        let ends = [&b")"[..], b",", b"<unfinished ...>"];
        let goes_on =
            ends.iter().any(|end| rest.starts_with(end)) || own_words(&torn.text).is_some();
        let whole = [untorn(&torn.text), line].concat();
        if goes_on && !matches!(parse(&whole), Parsed::Open) {
            let written = written_to_a_terminal(&torn.text);
            let foreign = &torn.text[untorn(&torn.text).len()..];
            if written.is_none() && own_words(&torn.text).is_none() && !foreign.is_empty() {
                self.unknown(foreign, entries);
            }
            let written = written.unwrap_or_default();
            for words in torn.words {
                if !written
                    .split(|&byte| byte == b'\n')
                    .any(|line| line == words)
                {
                    self.unknown(&words, entries);
                }
            }
            self.call(torn.pid, torn.start, line, whole, entries);
            return true;
        }
        let room = torn.words.len() < MOST_WORDS;
        if room {
            torn.words
                .push(line[..line.len().min(MOST_UNKNOWN)].to_vec());
        }
        self.torn = Some(torn);
        room
    }

    /// Returns an interrupted call's lines unchanged.
    fn give_up_torn(&mut self, entries: &mut Vec<Entry>) {
        if let Some(torn) = self.torn.take() {
            self.unknown(&torn.line, entries);
            for words in torn.words {
                self.unknown(&words, entries);
            }
        }
    }
}

/// The kind of a line, from the text after its prefix.
enum Kinds<'a> {
    Call,
    Resumed(&'a [u8], &'a [u8]),
    Signal(&'a [u8]),
    End(&'a [u8]),
    /// Not strace's, or the rest of an interrupted line.
    Words,
}

fn kind(body: &[u8]) -> Kinds<'_> {
    let whole = body.trim_ascii_end();
    let between = |before: &[u8], after: &[u8]| whole.strip_prefix(before)?.strip_suffix(after);
    if let Some(words) = between(b"--- ", b" ---") {
        Kinds::Signal(words)
    } else if let Some(words) = between(b"+++ ", b" +++") {
        Kinds::End(words)
    } else if let Some((name, rest)) = resumed(body) {
        Kinds::Resumed(name, rest)
    } else if call_name(body).is_some() {
        Kinds::Call
    } else {
        Kinds::Words
    }
}

/// The name in `<... accept resumed>`, and what follows.
fn resumed(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = body.strip_prefix(b"<... ")?;
    let end = rest.iter().position(|&byte| byte == b' ')?;
    let (name, rest) = rest.split_at(end);
    let rest = rest.strip_prefix(b" resumed>")?;
    is_name(name).then_some((name, rest))
}

/// A call's name, and what follows its parenthesis.
fn call_name(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = body.iter().position(|&byte| byte == b'(')?;
    is_name(&body[..end]).then(|| (&body[..end], &body[end + 1..]))
}

fn is_name(text: &[u8]) -> bool {
    text.first()
        .is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'_')
        && text
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A line without the `> ` of a quotation.
fn unquoted(mut line: &[u8]) -> &[u8] {
    let is_a_frame = |line: &[u8]| line.ends_with(b"]") && find(line, b" [0x").is_some();
    while let Some(rest) = line.strip_prefix(b">") {
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        if is_a_frame(line) && !rest.trim_ascii_start().starts_with(b"> ") {
            break; // the `>` belongs to the stack line
        }
        line = rest;
    }
    line
}

/// A line without the colours of strace and grep. A sequence without an end is not a colour.
fn uncoloured(line: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if find(line, b"\x1b[0m").is_none() && find(line, b"\x1b[m").is_none() {
        return line.into();
    }
    let (mut plain, mut rest) = (Vec::with_capacity(line.len()), line);
    while let Some(at) = find(rest, b"\x1b[") {
        plain.extend_from_slice(&rest[..at]);
        let end = rest[at + 2..]
            .iter()
            .position(|byte| !byte.is_ascii_digit() && *byte != b';');
        rest = match end.map(|end| at + 2 + end) {
            Some(end) if matches!(rest[end], b'm' | b'K') => &rest[end + 1..],
            _ => {
                plain.push(rest[at]);
                &rest[at + 1..]
            }
        };
    }
    plain.extend_from_slice(rest);
    plain.into()
}

/// A line that belongs to the call before it, without its indentation: of a stack (`-k`) or a dump
/// (`-e read=all`).
fn below(line: &[u8]) -> Option<&[u8]> {
    let set_in = line.trim_ascii_start();
    let is_frame = || {
        set_in.starts_with(b"> ") && (line.starts_with(b" > ") || find(set_in, b" [0x").is_some())
    };
    let is_dump = || {
        let digits = set_in.strip_prefix(b"| ")?.get(..5)?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(())
    };
    let is_buffer = || set_in.starts_with(b"* ") && find(set_in, b" bytes in buffer ").is_some();
    let is_unfetched = || set_in.starts_with(b"| <Cannot fetch ");
    (is_frame() || is_dump().is_some() || is_buffer() || is_unfetched()).then_some(set_in)
}

/// What follows `strace: `, or `/usr/bin/strace: `.
fn after_own_name(body: &[u8]) -> Option<&[u8]> {
    let end = find(body, b": ")?;
    let name = &body[..end];
    let is_it = name == b"strace" || name.ends_with(b"/strace") && !name.contains(&b'(');
    is_it.then(|| &body[end + 2..])
}

/// The task in `Process 7 attached` or, with `false`, `detached`.
fn attached(said: &[u8]) -> Option<(u32, bool)> {
    let rest = said.strip_prefix(b"Process ")?;
    let end = rest.iter().position(|&byte| byte == b' ')?;
    let pid = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    let what = &rest[end + 1..];
    (what.starts_with(b"attached")
        || what.starts_with(b"detached")
        || what.starts_with(b"suspended")
        || what.starts_with(b"resumed"))
    .then(|| (pid, what.starts_with(b"attached")))
}

/// Where a message of strace begins that has been written at the end of a line.
fn own_words(line: &[u8]) -> Option<usize> {
    let at = rfind(line, b"strace: Process ")?;
    attached(&line[at + 8..])?;
    // The path by which it was called: `/usr/bin/`.
    let is_of_a_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._+-".contains(byte);
    let path = line[..at]
        .iter()
        .rev()
        .take_while(|byte| is_of_a_path(byte))
        .count();
    let path = &line[at - path..at];
    let slash = path
        .ends_with(b"/")
        .then(|| path.iter().position(|&byte| byte == b'/'))
        .flatten();
    Some(slash.map_or(at, |slash| at - path.len() + slash))
}

/// The beginning of an interrupted line, without the other output.
fn untorn(line: &[u8]) -> &[u8] {
    if let Some(at) = own_words(line) {
        return &line[..at];
    }
    let Some(words) = written_to_a_terminal(line) else {
        return before_foreign_words(line);
    };
    // The program's output follows the number of bytes: `write(2, "5 is\n", 55 is`.
    let Some(end) = end_of_data(line) else {
        return line;
    };
    let digits = line[end..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let said = |at: &usize| {
        let said = &line[end + at..];
        !said.is_empty() && words.starts_with(said)
    };
    (1..=digits).find(said).map_or(line, |at| &line[..end + at])
}

/// A line up to the number after which other output begins: `poll([...], 1, -1a client's words`.
fn before_foreign_words(line: &[u8]) -> &[u8] {
    let Some(at) = rfind(line, b", ") else {
        return line;
    };
    let last = &line[at + 2..];
    let number = last.strip_prefix(b"-").unwrap_or(last);
    let digits = number
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let is_torn = digits > 0
        && number.get(digits).is_some_and(u8::is_ascii_alphabetic)
        && !number.starts_with(b"0x");
    if is_torn {
        &line[..line.len() - number.len() + digits]
    } else {
        line
    }
}

/// The bytes that a call's line writes to standard output or standard error, as far as strace shows
/// them.
fn written_to_a_terminal(line: &[u8]) -> Option<Vec<u8>> {
    let (name, inside) = call_name(line)?;
    if !calls::writes(&text(name)) || !inside.starts_with(b"1") && !inside.starts_with(b"2") {
        return None;
    }
    let end = end_of_data(line)?;
    let (mut words, mut rest) = (Vec::new(), &line[..end]);
    while let Some(at) = rest.iter().position(|&byte| byte == b'"') {
        let length = quoted(&rest[at..])?;
        words.extend(unescaped(&rest[at + 1..at + length - 1], usize::MAX)?);
        rest = &rest[at + length..];
    }
    Some(words)
}

/// Where the number of bytes begins, after the data of write or writev.
fn end_of_data(line: &[u8]) -> Option<usize> {
    let (name, inside) = call_name(line)?;
    let mut at = name.len() + 1 + find(inside, b", ")? + 2;
    let mut depth = 0;
    loop {
        match line.get(at)? {
            b'"' => {
                at += quoted(&line[at..])?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => return line[at..].starts_with(b", ").then_some(at + 2),
            _ => {}
        }
        at += 1;
    }
}

enum Parsed {
    Call(Arc<Call>),
    /// It ends where `<unfinished ...>` stands.
    Begun(usize),
    Detached(usize),
    /// It has no end.
    Open,
}

/// Parses a call.
fn parse(line: &[u8]) -> Parsed {
    let Some((name, inside)) = call_name(line) else {
        return Parsed::Open;
    };
    let mut args = Vec::new();
    let mut pieces = Pieces::default();
    let (mut depth, mut at) = (0usize, 0);
    loop {
        let rest = &inside[at..];
        match rest.first() {
            None => return Parsed::Open,
            Some(b'<')
                if rest.starts_with(b"<unfinished ...>") || rest.starts_with(b"<detached ...>") =>
            {
                let length = rest.iter().take_while(|&&byte| byte != b'>').count() + 1;
                let up_to = line.len() - rest.len();
                let end = line[..up_to].trim_ascii_end().len();
                if rest[length..].trim_ascii().is_empty() {
                    return if rest.starts_with(b"<unf") {
                        Parsed::Begun(end)
                    } else {
                        Parsed::Detached(end)
                    };
                }
                at += length; // `<... read resumed> <unfinished ...>) = ?`
                continue;
            }
            Some(b')') if depth == 0 => break,
            Some(b',') if depth == 0 => {
                args.push(pieces.argument(name));
                at += 1;
                continue;
            }
            Some(0x1b) if matches!(rest.get(1), Some(b'[' | b']')) => {
                pieces.byte(0x1b); // a terminal's sequence: its bracket is not C's
                pieces.byte(rest[1]);
                at += 2;
                continue;
            }
            Some(b'(' | b'[' | b'{') => depth += 1,
            Some(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        pieces.arg = Some(args.len());
        match pieces.take(rest) {
            Some(length) => at += length,
            None => return Parsed::Open,
        }
    }
    let last = pieces.argument(name);
    if !args.is_empty() || !last.is_empty() {
        args.push(last);
    }
    args.shrink_to_fit(); // a comparison keeps many
    pieces.arg = None;
    let Some((result, mut note, took)) = returned(&inside[at + 1..], &mut pieces) else {
        return Parsed::Open;
    };
    let name = text(name);
    name_constants(&name, &mut args, &mut note);
    if calls::writes(&name) {
        if let [_, _, length] = &mut args[..] {
            // `write(1, "? ", 2? ) = 2`: its output stands in the line.
            let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
            let whole = untorn(&line[..name.len() + 1 + at]);
            if let Some(end) = end_of_data(whole).filter(|_| !is_number) {
                *length = text(&whole[end..]);
            }
        }
    }
    Parsed::Call(Arc::new(Call {
        name,
        args,
        result,
        note,
        took,
        annotations: pieces.annotations,
        stack: Vec::new(),
    }))
}

/// A value begins after one of these.
const DELIMITERS: &[u8] = b" ,([{=|&!";

/// strace's output, piece by piece, in its default form.
#[derive(Default)]
struct Pieces {
    out: Vec<u8>,
    /// Where in `out` the last value begins.
    value: usize,
    /// Where the last string begins.
    string: usize,
    arg: Option<usize>,
    annotations: Vec<Annotation>,
}

impl Pieces {
    /// Takes the next piece: a byte, a string, an annotation or a comment. Returns its length;
    /// `None` if it has no end.
    fn take(&mut self, rest: &[u8]) -> Option<usize> {
        match rest[0] {
            b'"' => {
                let length = quoted(rest)?;
                let string = &rest[..length];
                self.string = self.out.len();
                let hexadecimal = find(string, b"\\x").is_some();
                let inside = Some(&string[1..length - 1]).filter(|_| hexadecimal);
                match inside.and_then(|inside| unescaped(inside, usize::MAX)) {
                    Some(bytes) => quote(&bytes, &mut self.out),
                    None => self.out.extend_from_slice(string),
                }
                Some(length)
            }
            b'<' if self.is_annotated() && !rest.starts_with(b"<<") => {
                let length = annotation(rest)?;
                self.annotations.push(Annotation {
                    arg: self.arg,
                    number: text(&self.out[self.value..]),
                    text: text(&rest[1..length - 1]),
                });
                let deleted = rest[length..].starts_with(b"(deleted)");
                Some(length + if deleted { 9 } else { 0 })
            }
            b'/' if rest.starts_with(b"/*") => {
                let length = find(rest, b"*/")? + 2;
                self.comment(&rest[..length]);
                Some(length)
            }
            b' ' if rest.starts_with(b" [") && self.out.len() > self.value => {
                // A security context.
                let end = rest.iter().position(|&byte| byte == b']')?;
                let context = &rest[2..end];
                let parts = context.split(|&byte| byte == b':').count();
                let is_one = parts > 2
                    && !context.iter().any(|byte| b" \"{<[".contains(byte))
                    && context.first().is_some_and(u8::is_ascii_alphabetic);
                if is_one {
                    return Some(end + 1);
                }
                self.byte(b' ');
                Some(1)
            }
            byte => {
                self.byte(byte);
                Some(1)
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        self.out.push(byte);
        if DELIMITERS.contains(&byte) {
            self.value = self.out.len();
        }
    }

    /// Whether the text that follows, in `<>`, is an annotation of a number.
    fn is_annotated(&self) -> bool {
        let value = &self.out[self.value..];
        value == b"AT_FDCWD" || value.last().is_some_and(u8::is_ascii_digit)
    }

    /// `0x2 /* AF_INET */` becomes `AF_INET`; `5 /* 105 in strace's PID NS */` the number that the lines begin with.
    fn comment(&mut self, comment: &[u8]) {
        let said = comment[2..comment.len().saturating_sub(2).max(2)].trim_ascii();
        let before = self.out.trim_ascii_end().len();
        let value = if self.out[..before].ends_with(b"\"") {
            self.string.min(before)
        } else {
            let ends = |byte: &u8| DELIMITERS.contains(byte);
            self.out[..before]
                .iter()
                .rposition(ends)
                .map_or(0, |at| at + 1)
        };
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_|".contains(byte);
        let is_name = said.first().is_some_and(u8::is_ascii_uppercase) && said.iter().all(is_word);
        let is_call = [&b"htons("[..], b"htonl(", b"inet_addr(", b"inet_pton("]
            .iter()
            .any(|name| said.starts_with(name));
        let other = said.strip_suffix(b" in strace's PID NS");
        if is_name || is_call || other.is_some() {
            self.out.truncate(value);
            let mut inside = Pieces::default();
            let mut rest = other.unwrap_or(said);
            while !rest.is_empty() {
                match inside.take(rest) {
                    Some(length) => rest = &rest[length..],
                    None => break,
                }
            }
            self.out.append(&mut inside.out);
        } else {
            self.out.extend_from_slice(comment);
        }
    }

    /// The argument that ends here, without its name (`-N`). clone's arguments always have names.
    fn argument(&mut self, call: &[u8]) -> String {
        let whole = self.out.trim_ascii();
        let name = whole
            .iter()
            .take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || **byte == b'_')
            .count();
        let named = name > 0 && call != b"clone" && whole.get(name) == Some(&b'=');
        let argument = text(if named { &whole[name + 1..] } else { whole });
        self.out.clear();
        self.value = 0;
        argument
    }
}

/// Where a descriptor's annotation that begins here ends: `<TCP:[127.0.0.1:1->127.0.0.1:2]>`, `</dev/null<char 1:3>>`.
fn annotation(text: &[u8]) -> Option<usize> {
    let (mut angles, mut brackets, mut at) = (0, 0, 0);
    loop {
        match text.get(at)? {
            b'"' => at += quoted(&text[at..])? - 1,
            b'[' => brackets += 1,
            b']' => brackets -= 1,
            b'<' if brackets == 0 => angles += 1,
            b'>' if brackets == 0 => angles -= 1,
            _ => {}
        }
        at += 1;
        if angles == 0 {
            return Some(at);
        }
    }
}

/// ` = -1 EAGAIN (Resource temporarily unavailable) <0.000012>` in its parts.
fn returned(after: &[u8], pieces: &mut Pieces) -> Option<(String, String, Option<u64>)> {
    let mut rest = after.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    let mut took = None;
    if let Some(inside) = rest.strip_suffix(b">") {
        let at = inside.iter().rposition(|&byte| byte == b'<')?;
        if let Some(time) = nanoseconds(&inside[at + 1..]).filter(|_| inside[..at].ends_with(b" "))
        {
            (rest, took) = (inside[..at].trim_ascii_end(), Some(time));
        }
    }
    while !rest.is_empty() {
        let length = pieces.take(rest).unwrap_or_else(|| {
            pieces.byte(rest[0]);
            1
        });
        rest = &rest[length..];
    }
    let whole = std::mem::take(&mut pieces.out);
    let end = whole
        .iter()
        .position(|&byte| byte == b' ')
        .unwrap_or(whole.len());
    let result = text(&whole[..end]);
    (!result.is_empty()).then(|| (result, text(whole[end..].trim_ascii()), took))
}

/// Bytes as text without control bytes. Backslashes stay, because strace has written them.
fn text(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut out = Vec::with_capacity(bytes.len());
    for piece in bytes.split_inclusive(|&byte| byte == b'\\') {
        let backslash = piece.ends_with(b"\\");
        escape(&piece[..piece.len() - usize::from(backslash)], &mut out);
        out.extend(backslash.then_some(b'\\'));
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

fn rfind(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .rposition(|window| window == wanted)
}

/// Appends a string in strace's default form.
fn quote(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for (at, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => Some(byte),
            b'\n' => Some(b'n'),
            b'\r' => Some(b'r'),
            b'\t' => Some(b't'),
            0x0b => Some(b'v'),
            0x0c => Some(b'f'),
            _ => None,
        };
        match short {
            Some(short) => out.extend_from_slice(&[b'\\', short]),
            None if (b' '..=b'~').contains(&byte) => out.push(byte),
            None => {
                // Three octal digits if a digit follows.
                let digit_follows = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
                let number = if digit_follows {
                    format!("\\{byte:03o}")
                } else {
                    format!("\\{byte:o}")
                };
                out.extend_from_slice(number.as_bytes());
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
