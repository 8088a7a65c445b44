//! Finds the source line of a call: from the stack that `strace -k` writes, with addr2line(1) and
//! the program's debug information. Frames in the C library, in this crate's library and in the
//! languages' own libraries are skipped.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::strace::command::stacks;
use crate::strace::line::Call;
use crate::strace::stack::Frame;

/// How long addr2line may take for an answer: for a large program it reads hundreds of megabytes
/// first.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of a source; a longer one is generated.
const LONGEST: u64 = 1 << 20;

/// The query sent to addr2line after each question: its answer marks the end of the previous one.
const NOWHERE: &str = "0xffffffffffffffff";

/// A line of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The source's path from the debug information, perhaps with directories.
    pub file: String,
    pub line: usize,
}

impl Place {
    /// The source's name without directories.
    pub fn name(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or(&self.file)
    }

    /// The source's text, if the file is where the debug information says and is a text.
    pub fn read(&self) -> Option<String> {
        let metadata = fs::metadata(&self.file).ok()?;
        if !metadata.is_file() || metadata.len() > LONGEST {
            return None;
        }
        fs::read_to_string(&self.file).ok()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}", self.name(), self.line)
    }
}

/// Finds source lines and caches them.
#[derive(Default)]
pub struct Lines {
    objects: HashMap<String, Object>,
    /// A line was found for at least one call.
    found: bool,
    /// At least one call had a stack.
    stacks: bool,
}

/// A program or a library.
struct Object {
    known: HashMap<u64, Vec<Place>>,
    source: Result<Addr2line, String>,
}

impl Lines {
    /// The line that made a call: the innermost one in the program itself. A line in our programs'
    /// shared files is used only if there is no other.
    pub fn of(&mut self, call: &Call) -> Option<Place> {
        self.stacks |= !call.stack.is_empty();
        let mut shared = None;
        let frames = call.stack.iter().filter_map(|line| Frame::of(line));
        for frame in frames.filter(|frame| !frame.is_the_systems()) {
            for place in self.places(&frame).into_iter().filter(is_the_programs) {
                self.found = true;
                if !is_shared(&place) {
                    return Some(place);
                }
                shared.get_or_insert(place);
            }
        }
        shared
    }

    /// The line in which a task is about to make a call, from its stack: the innermost return
    /// address in the program itself.
    pub fn at_entry(&mut self, task: u32) -> Option<Place> {
        if cfg!(not(target_arch = "x86_64")) {
            return None; // on other machines the first return address is in a register
        }
        let call = fs::read_to_string(format!("/proc/{task}/syscall")).ok()?;
        let mut words = call.split_whitespace().rev();
        let mut word = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
        let (instruction, stack) = (word()?, word()?);
        let maps = fs::read_to_string(format!("/proc/{task}/maps")).ok()?;
        let programs: Vec<Mapping> = maps.lines().filter_map(Mapping::of).collect();
        let memory = File::open(format!("/proc/{task}/mem")).ok()?;
        let mut bytes = [0; STACK];
        let n = memory.read_at(&mut bytes, stack).ok()?;
        let words = bytes[..n]
            .chunks_exact(8)
            .filter_map(|word| word.try_into().ok());
        let words = words.map(u64::from_le_bytes);
        let mut shared = None;
        for (at, address) in [instruction].into_iter().chain(words).enumerate() {
            let mut programs = programs.iter();
            let Some(program) = programs.find(|it| (it.start..it.end).contains(&address)) else {
                continue;
            };
            if at > 0 && !is_behind_a_call(&memory, address) {
                continue;
            }
            let frame = Frame {
                object: program.path,
                address: address - program.start + program.offset,
                place: None,
            };
            for place in self.places(&frame).into_iter().filter(is_the_programs) {
                if !is_shared(&place) {
                    return Some(place);
                }
                shared.get_or_insert(place);
            }
        }
        shared
    }

    /// The lines of a frame, the innermost first: a frame with inlined functions has several.
    fn places(&mut self, frame: &Frame) -> Vec<Place> {
        if let Some((file, line)) = frame.place {
            let file = file.to_owned();
            return vec![Place { file, line }];
        }
        let object = self
            .objects
            .entry(frame.object.to_owned())
            .or_insert_with(|| Object {
                known: HashMap::new(),
                source: Addr2line::of(frame.object),
            });
        if let Some(known) = object.known.get(&frame.address) {
            return known.clone();
        }
        let answer = match &mut object.source {
            Ok(source) => source.ask(frame.address),
            Err(_) => return Vec::new(),
        };
        match answer {
            Ok(places) => {
                object.known.insert(frame.address, places.clone());
                places
            }
            Err(why) => {
                object.source = Err(why);
                Vec::new()
            }
        }
    }

    /// Why no call has a line, if that is so.
    pub fn what_is_missing(&self) -> Option<String> {
        if self.found {
            return None;
        }
        if !self.stacks {
            return Some("no source lines: the recording has no stacks (strace -k)".to_owned());
        }
        let why = |(path, object): (&String, &Object)| match &object.source {
            Err(why) => why.clone(),
            Ok(_) => has_none(path),
        };
        let whys = self.objects.iter().map(why);
        let why = whys
            .min()
            .unwrap_or("the stacks name no program".to_owned());
        Some(format!("no source lines: {why}"))
    }
}

/// The most bytes of a stack that are searched.
const STACK: usize = 2048;

/// The executable mapping of a program's file.
struct Mapping<'a> {
    start: u64,
    end: u64,
    offset: u64,
    path: &'a str,
}

impl Mapping<'_> {
    /// Reads a line of `/proc/PID/maps`; `None` if it belongs to the system or is not executable.
    fn of(line: &str) -> Option<Mapping<'_>> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let run = words.next()?.contains('x');
        let number = |text| u64::from_str_radix(text, 16).ok();
        let offset = number(words.next()?)?;
        let path = line.find('/').map(|at| &line[at..])?;
        let frame = Frame {
            object: path,
            address: 0,
            place: None,
        };
        (run && !frame.is_the_systems()).then_some(Mapping {
            start: number(start)?,
            end: number(end)?,
            offset,
            path,
        })
    }
}

/// Whether the instruction before an address is a call: relative, or through a register or memory.
fn is_behind_a_call(memory: &File, address: u64) -> bool {
    let mut code = [0; 7];
    let read = memory.read_exact_at(&mut code, address.saturating_sub(7));
    let by = |at: usize| code[at] == 0xff && code[at + 1] >> 3 & 7 == 2;
    read.is_ok() && (code[2] == 0xe8 || [0, 1, 3, 4, 5].into_iter().any(by))
}

/// Whether a line belongs to the program itself.
fn is_the_programs(place: &Place) -> bool {
    const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
    const FOREIGN: [&str; 8] = [
        "/rustc/",
        "/rustlib/",
        "/registry/src/",
        "/usr/include/",
        "/usr/src/",
        "/usr/lib/",
        "/usr/local/go/",
        "/toolchains/",
    ];
    match place.file.strip_prefix(OURS) {
        Some(ours) => ours.starts_with("bin/"),
        None => !FOREIGN.iter().any(|part| place.file.contains(part)),
    }
}

/// Whether a line is in one of our shared sources.
fn is_shared(place: &Place) -> bool {
    ["mod.rs", "common.h", "deadline.rs", "deadline.h"]
        .iter()
        .any(|name| place.file.ends_with(&format!("common/{name}")))
}

/// A program's debug information, and the addr2line process that reads it.
struct Addr2line {
    segments: Vec<Segment>,
    child: Child,
    ask: ChildStdin,
    answer: ChildStdout,
}

/// The executable segments of a file, and their addresses.
struct Segment {
    offset: u64,
    length: u64,
    address: u64,
}

impl Addr2line {
    fn of(object: &str) -> Result<Addr2line, String> {
        let name = Path::new(object)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let metadata = fs::metadata(object).map_err(|error| format!("{object}: {error}"))?;
        if !metadata.is_file() {
            return Err(format!("{object} is not a program"));
        }
        let file = File::open(object).map_err(|error| format!("{object}: {error}"))?;
        let elf = Elf::of(file).ok_or(format!("{name} is not a program"))?;
        if !elf.has_lines() {
            return Err(has_none(object));
        }
        let mut child = Command::new("addr2line")
            .args(["--addresses", "--inlines", "-e", object])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|_| MISSING.to_owned())?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(ask), Some(answer)) => Ok(Addr2line {
                segments: elf.segments(),
                child,
                ask,
                answer,
            }),
            _ => Err(MISSING.to_owned()),
        }
    }

    /// The source lines of a return address: the byte before it belongs to the call instruction.
    fn ask(&mut self, returns_to: u64) -> Result<Vec<Place>, String> {
        let failed = |_| "addr2line has ended".to_owned();
        let at = returns_to.saturating_sub(1);
        let mut segments = self.segments.iter();
        let found = segments
            .find(|segment| (segment.offset..segment.offset + segment.length).contains(&at));
        let at = found.map_or(at, |segment| at - segment.offset + segment.address);
        writeln!(self.ask, "{at:#x}\n{NOWHERE}").map_err(failed)?;

        let limit = Instant::now() + PATIENCE;
        let mut text = Vec::new();
        let end = format!("{NOWHERE}\n");
        loop {
            let said = String::from_utf8_lossy(&text);
            let places = said
                .split_once(&end)
                .filter(|(_, rest)| rest.ends_with('\n'));
            if let Some((places, _)) = places {
                return Ok(places.lines().filter_map(place).collect());
            }
            let left = limit.saturating_duration_since(Instant::now());
            let patience = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let mut fds = [PollFd::new(self.answer.as_fd(), PollFlags::POLLIN)];
            if left.is_zero() || poll(&mut fds, patience) == Ok(0) {
                return Err(format!(
                    "addr2line gives no answer in {} s",
                    PATIENCE.as_secs()
                ));
            }
            let mut piece = [0; 4096];
            match self.answer.read(&mut piece) {
                Ok(n @ 1..) => text.extend_from_slice(&piece[..n]),
                _ => return Err("addr2line has ended".to_owned()),
            }
        }
    }
}

impl Drop for Addr2line {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

fn has_none(object: &str) -> String {
    let name = object.rsplit('/').next().unwrap_or(object);
    format!("{name} has no debug information (compile it with -g)")
}

/// What to do about it.
const MISSING: &str = "addr2line is not installed: apt-get install binutils";

/// The strace option for finding lines, or what is missing on this machine.
pub fn option() -> Result<&'static str, String> {
    let version = Command::new("addr2line")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    stacks(version.is_err())
}

/// Whether a program's file says, or says where to find, which line is where.
pub fn has_lines(program: &Path) -> bool {
    let file = File::open(program).ok();
    file.and_then(Elf::of).is_some_and(|elf| elf.has_lines())
}

/// `/home/student/server.c:62 (discriminator 1)`, but not `??:0`.
fn place(answer: &str) -> Option<Place> {
    let answer = answer.split(" (").next().unwrap_or(answer);
    let (file, line) = answer.rsplit_once(':')?;
    let line = line.parse().ok().filter(|&line| line > 0)?;
    let file = file.to_owned();
    (file != "??").then_some(Place { file, line })
}

/// The parts of a program's file that are needed here.
struct Elf {
    file: File,
    wide: bool,
    little: bool,
}

impl Elf {
    fn of(file: File) -> Option<Elf> {
        let mut start = [0; 6];
        file.read_exact_at(&mut start, 0).ok()?;
        let (wide, little) = (start[4] == 2, start[5] == 1);
        (start[..4] == *b"\x7fELF").then_some(Elf { file, wide, little })
    }

    /// An integer of `length` bytes at a place in the file.
    fn number(&self, at: u64, length: usize) -> Option<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes[..length], at).ok()?;
        if !self.little {
            bytes[..length].reverse();
        }
        Some(u64::from_le_bytes(bytes))
    }

    /// The same for an address or an offset.
    fn word(&self, at: u64) -> Option<u64> {
        self.number(at, if self.wide { 8 } else { 4 })
    }

    fn segments(&self) -> Vec<Segment> {
        const LOADED: Option<u64> = Some(1);
        const RUN: u64 = 1;
        let header = |wide, narrow| if self.wide { wide } else { narrow };
        let table = self.word(header(0x20, 0x1c)).unwrap_or(0);
        let size = self.number(header(0x36, 0x2a), 2).unwrap_or(0);
        let count = self.number(header(0x38, 0x2c), 2).unwrap_or(0);
        let segment = |number: u64| {
            let at = table.checked_add(number * size)?;
            let flags = self.number(at.saturating_add(header(4, 0x18)), 4)?;
            (self.number(at, 4) == LOADED && flags & RUN != 0).then_some(())?;
            let offset = self.word(at.saturating_add(header(8, 4)))?;
            let length = self.word(at.saturating_add(header(0x20, 0x10)))?;
            offset.checked_add(length)?;
            Some(Segment {
                offset,
                length,
                address: self.word(at.saturating_add(header(0x10, 8)))?,
            })
        };
        (0..count).filter_map(segment).collect()
    }

    /// Whether it has line tables, or a separate file of debug information may have them.
    fn has_lines(&self) -> bool {
        self.sections()
            .iter()
            .any(|name| [".debug_line", ".zdebug_line", ".gnu_debuglink"].contains(&name.as_str()))
    }

    fn sections(&self) -> Vec<String> {
        let header = |wide, narrow| if self.wide { wide } else { narrow };
        let all = || {
            let table = self.word(header(0x28, 0x20))?;
            let size = self.number(header(0x3a, 0x2e), 2)?;
            let count = self.number(header(0x3c, 0x30), 2)?;
            let names = self.number(header(0x3e, 0x32), 2)?;
            let offset = |number: u64| {
                self.word(
                    table
                        .checked_add(number * size)?
                        .checked_add(header(0x18, 0x10))?,
                )
            };
            let names = offset(names)?;
            let name = |number: u64| {
                let at = self.number(table.checked_add(number * size)?, 4)?;
                let mut bytes = [0; 16];
                let n = self.file.read_at(&mut bytes, names.checked_add(at)?).ok()?;
                let name = bytes[..n].split(|&byte| byte == 0).next()?;
                Some(String::from_utf8_lossy(name).into_owned())
            };
            Some((0..count).filter_map(name).collect())
        };
        all().unwrap_or_default()
    }
}
