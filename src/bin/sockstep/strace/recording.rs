//! Recordings: strace's output, read from a pipe, a file, or a directory of files.
//!
//! A file is read in pieces.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::strace::clock::Kind;
use crate::strace::line::{Begun, Entry, Reader, What};

/// The longest line that is kept whole.
const LONGEST_LINE: usize = 16 << 20; // bytes

/// The memory for all files of a recording together, without their longest lines.
const ROOM: usize = 32 << 20; // bytes

/// A file with this many lines and none of strace's is not a recording.
const ENOUGH_LINES: u64 = 100_000;

/// The data from a pipe or a file, parsed.
#[derive(Default)]
pub struct Trace {
    reader: Reader,
    /// A line whose end is still to come.
    rest: Vec<u8>,
    /// How far it has been searched for its end.
    looked: usize,
    /// It is too long: the rest of it is left out.
    too_long: bool,
    cut: u64,
}

impl Trace {
    /// Of a whole file. `own` is the task of the lines without a pid.
    fn of_a_file(own: Option<u32>) -> Trace {
        let mut trace = Trace::default();
        trace.reader.own = own;
        trace.reader.waits_for_stacks = true;
        trace
    }

    /// Of a strace that writes a call's stack below it (`-k`).
    pub fn with_stacks() -> Trace {
        let mut trace = Trace::default();
        trace.reader.waits_for_stacks = true;
        trace
    }

    /// The entry that was kept for its stack, if no line has come for a while.
    pub fn in_a_pause(&mut self) -> Option<Entry> {
        let mut entries = Vec::new();
        if self.reader.holds() {
            self.reader.let_go(&mut entries);
        }
        entries.pop()
    }

    /// The entries that these bytes complete.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.rest.extend_from_slice(bytes);
        let mut from = 0;
        let mut at = self.looked;
        while let Some(length) = self.rest[at..].iter().position(|&byte| byte == b'\n') {
            let end = at + length;
            if !std::mem::take(&mut self.too_long) {
                self.reader.take(&self.rest[from..end], &mut entries);
            }
            (from, at) = (end + 1, end + 1);
        }
        self.rest.drain(..from);
        if self.rest.len() > LONGEST_LINE {
            self.rest.clear();
            self.cut += u64::from(!self.too_long);
            self.too_long = true;
        }
        self.looked = self.rest.len();
        if self.rest.first().is_some_and(u8::is_ascii_digit) {
            self.reader.let_go(&mut entries); // another line has begun, which is no stack's
        }
        entries
    }

    /// The rest at the end: a line without an end, calls that have not returned.
    pub fn end(&mut self) -> Vec<Entry> {
        let mut entries = self.take(b"\n");
        self.reader.end(&mut entries);
        entries
    }

    /// The unfinished calls: the program is in them now.
    pub fn under_way(&self) -> Vec<Begun> {
        self.reader.under_way(&self.rest)
    }

    /// The guesses and omissions since the last call.
    pub fn remarks(&mut self) -> Vec<String> {
        let mut remarks = self.reader.remarks();
        if std::mem::take(&mut self.cut) > 0 {
            remarks.push(format!(
                "a line of more than {} MiB is left out",
                LONGEST_LINE >> 20
            ));
        }
        remarks
    }
}

/// An entry of a recording, and the part of it that one strace has written.
#[derive(Debug)]
pub struct Item {
    pub source: usize,
    pub entry: Entry,
}

/// A recording in files, read from its beginning on.
pub struct Recording {
    files: Vec<Source>,
    /// The next entry's time and file, for each file that has more.
    first: BinaryHeap<Reverse<(u64, usize)>>,
    /// Whether the files' times can be compared; otherwise the files are read one after the other.
    comparable: bool,
    /// How much of a file is read at once.
    piece: usize,
    /// The files that have no line of strace's.
    others: Vec<PathBuf>,
    remarks: Vec<String>,
}

/// One file, which is open only while a piece of it is read: there may be thousands.
struct Source {
    path: PathBuf,
    /// Which part of the recording it belongs to.
    part: usize,
    own: Option<u32>,
    trace: Trace,
    at: u64,
    ended: bool,
    ready: VecDeque<Entry>,
    /// The time of the last entry, for entries without a time.
    time: u64,
    /// Its first times are of the day after the other files' first.
    a_day_later: bool,
}

impl Recording {
    /// Finds the files of a recording: one, or those of a directory. What `-ff` has written is one recording: `t.101` and
    /// `t.102` are two tasks of it.
    pub fn open(path: &Path) -> Result<Recording, String> {
        let mut names: Vec<PathBuf> = Vec::new();
        let (mut files, mut others, mut clocks) = (Vec::new(), Vec::new(), Vec::new());
        let paths = self::files(path)?;
        let piece = (ROOM / paths.len()).clamp(4096, 256 << 10);
        for path in paths {
            let (name, own) = name_and_pid(&path);
            let Some(clock) = Source::new(path.clone(), 0, own).sniff(piece)? else {
                others.push(path);
                continue;
            };
            clocks.push(clock);
            let known = names.iter().position(|known| *known == name);
            let source = known.unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            files.push(Source::new(path, source, own));
        }
        if files.is_empty() {
            return Err(format!(
                "{}: no line in it is strace's. To make a recording: strace -f -ttt -T -s 4096 -o FILE ./my_server 12000",
                path.display()
            ));
        }
        let mut remarks = Vec::new();
        let kinds = clocks.iter().filter_map(|(kind, _)| *kind);
        let kind = kinds.clone().next();
        let comparable = files.len() < 2
            || (kinds.clone().all(|each| Some(each) == kind) && kind != Some(Kind::Relative));
        if !comparable {
            remarks.push(
                "the files' times cannot be compared: they are shown one after the other"
                    .to_owned(),
            );
        }
        if kind == Some(Kind::Day) && comparable {
            let latest = clocks.iter().map(|(_, time)| *time).max().unwrap_or(0);
            for (file, (_, time)) in files.iter_mut().zip(&clocks) {
                file.a_day_later = time.saturating_add(crate::strace::clock::DAY / 2) < latest;
            }
        }
        let mut recording = Recording {
            files,
            first: BinaryHeap::new(),
            comparable,
            piece,
            others,
            remarks,
        };
        for number in 0..recording.files.len() {
            recording.line_up(number)?;
        }
        Ok(recording)
    }

    /// The same recording, from its beginning on.
    pub fn again(&self) -> Result<Recording, String> {
        let fresh = |file: &Source| Source {
            a_day_later: file.a_day_later,
            ..Source::new(file.path.clone(), file.part, file.own)
        };
        let mut recording = Recording {
            files: self.files.iter().map(fresh).collect(),
            first: BinaryHeap::new(),
            comparable: self.comparable,
            piece: self.piece,
            others: Vec::new(),
            remarks: Vec::new(),
        };
        for number in 0..recording.files.len() {
            recording.line_up(number)?;
        }
        Ok(recording)
    }

    /// Reads a file up to its next entry, and sorts it among the others.
    fn line_up(&mut self, number: usize) -> Result<(), String> {
        let several = self.files.len() > 1;
        let file = &mut self.files[number];
        file.fill(self.piece)?;
        let remarks = file.trace.remarks();
        if let Some(next) = file.ready.front() {
            file.time = time(next).unwrap_or_default().max(file.time);
            let time = if self.comparable { file.time } else { 0 };
            self.first.push(Reverse((time, number)));
        }
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        self.remarks.extend(remarks.into_iter().map(|remark| {
            if several {
                format!("{name}: {remark}")
            } else {
                remark
            }
        }));
        Ok(())
    }

    /// The files in it that have no line of strace's.
    pub fn others(&self) -> &[PathBuf] {
        &self.others
    }

    /// The next entry: in a file's own order, of several files by time.
    pub fn next(&mut self) -> Result<Option<Item>, String> {
        let Some(Reverse((_, number))) = self.first.pop() else {
            return Ok(None);
        };
        let file = &mut self.files[number];
        let source = file.part;
        let Some(entry) = file.ready.pop_front() else {
            return Ok(None);
        };
        self.line_up(number)?;
        Ok(Some(Item { source, entry }))
    }

    /// The guesses and omissions since the last call.
    pub fn remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }
}

impl Source {
    fn new(path: PathBuf, part: usize, own: Option<u32>) -> Source {
        Source {
            path,
            part,
            own,
            trace: Trace::of_a_file(own),
            at: 0,
            ended: false,
            ready: VecDeque::new(),
            time: 0,
            a_day_later: false,
        }
    }

    /// Reads until an entry is there, or the end.
    fn fill(&mut self, piece: usize) -> Result<(), String> {
        if self.at == 0 && self.a_day_later {
            self.trace.reader.a_day_later();
        }
        while self.ready.is_empty() && !self.ended {
            let bytes = self.read(piece)?;
            let entries = if bytes.is_empty() {
                self.ended = true;
                self.trace.end()
            } else {
                self.trace.take(&bytes)
            };
            self.ready.extend(entries);
        }
        Ok(())
    }

    fn read(&mut self, piece: usize) -> Result<Vec<u8>, String> {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.at))?;
            let mut bytes = Vec::new();
            file.take(piece as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error| format!("{}: {error}", self.path.display()))?;
        self.at += bytes.len() as u64;
        Ok(bytes)
    }

    /// Checks whether it is a recording, and finds its clock and its first time.
    fn sniff(&mut self, piece: usize) -> Result<Option<(Option<Kind>, u64)>, String> {
        let mut lines = 0;
        loop {
            self.fill(piece)?;
            let Some(entry) = self.ready.pop_front() else {
                return Ok(None);
            };
            if !matches!(entry.what, What::Unknown(_)) {
                let clock = self.trace.reader.kind_of_clock();
                return Ok(Some((clock, entry.start.unwrap_or_default())));
            }
            lines += 1;
            if lines > ENOUGH_LINES {
                return Ok(None);
            }
        }
    }
}

/// When an entry is over.
fn time(entry: &Entry) -> Option<u64> {
    let took = match &entry.what {
        What::Call(call) => call.took.unwrap_or_default(),
        _ => 0,
    };
    Some(entry.start?.saturating_add(took))
}

/// The name and the task of a file of `-ff`: `t` and 101 for `t.101`.
fn name_and_pid(path: &Path) -> (PathBuf, Option<u32>) {
    let pid = path
        .extension()
        .and_then(|extension| extension.to_str()?.parse().ok());
    match pid {
        Some(_) => (path.with_extension(""), pid),
        None => (path.to_owned(), None),
    }
}

/// The files of a recording, in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error| format!("{}: {error}", path.display());
    let kind = fs::metadata(path).map_err(failed)?.file_type();
    if kind.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !kind.is_dir() {
        let what = if kind.is_fifo() { "a pipe" } else { "no file" };
        return Err(format!(
            "{}: it is {what}, which may never end: save it in a file first",
            path.display()
        ));
    }
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
        return Err(format!("{}: no recording in it", path.display()));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/recordings");

    /// A generator of Marsaglia's (xorshift64*).
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
            usize::try_from(number).expect("31 bits") % limit.max(1)
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_entries() {
        let bytes = fs::read(Path::new(RECORDINGS).join("fork-stderr.txt")).expect("it is there");
        let mut whole = Trace::of_a_file(None);
        let mut expected = whole.take(&bytes);
        expected.extend(whole.end());
        for piece in [1, 2, 7, 100] {
            let mut trace = Trace::of_a_file(None);
            let mut entries: Vec<Entry> = bytes
                .chunks(piece)
                .flat_map(|piece| trace.take(piece))
                .collect();
            entries.extend(trace.end());
            assert_eq!(entries, expected, "{piece}");
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic_fall_back_in_time_or_pass_on_what_acts_on_a_terminal() {
        let seeds: Vec<Vec<u8>> = files(Path::new(RECORDINGS))
            .expect("they are there")
            .iter()
            .map(|path| fs::read(path).expect("it is readable"))
            .collect();
        let marks: [&[u8]; 16] = [
            b"\xff",
            b"\x1b[2J",
            b"\xc3\xa7",
            b"\0",
            b"\n",
            b"\"",
            b"\\",
            b"<",
            b">",
            b"(",
            b")",
            b"[",
            b"]",
            b" = ",
            b" <unfinished ...>",
            b"99999999999999999999",
        ];
        let mut random = Random(7);
        for _ in 0..4000 {
            let mut bytes = seeds[random.below(seeds.len())].clone();
            for _ in 0..=random.below(6) {
                let at = random.below(bytes.len());
                let until = (at + random.below(30)).min(bytes.len());
                match random.below(4) {
                    0 => drop(bytes.drain(at..until)),
                    1 => bytes.extend_from_within(at..until),
                    _ => {
                        drop(
                            bytes.splice(at..at, marks[random.below(marks.len())].iter().copied()),
                        );
                    }
                }
            }
            let mut trace = Trace::of_a_file(None);
            let mut entries = trace.take(&bytes);
            trace.under_way();
            entries.extend(trace.end());
            let mut ends = std::collections::HashMap::new();
            for entry in entries {
                let words = format!("{:?}", entry.what);
                assert!(!words.contains("\\u{"), "{words}");
                let before = ends.insert(entry.pid, time(&entry)).flatten();
                if let (Some(before), Some(start)) = (before, entry.start) {
                    assert!(start >= before, "{entry:?} after {before}");
                }
                if matches!(entry.what, What::End(_)) {
                    ends.remove(&entry.pid); // its pid may be reused
                }
            }
        }
    }
}
