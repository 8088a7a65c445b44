//! `--step`: each call on a socket waits for a key before it is made; `--slow`: it waits for a while.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use sockstep::{read, write};

use crate::draw::ladder::Next;
use crate::draw::pager::Turn;
use crate::draw::source::{Lines, Place};
use crate::draw::terminal::{Side, put};
use crate::sides::gate::Held;
use crate::sides::process::Process;
use crate::sides::terminal;
use crate::strace::line::{Begun, Entry, What};

/// The help line that lists the keys.
pub const KEYS: &str =
    "space: next call, c: the client's, s: the server's, g: all the rest, PageUp: back";

/// Which calls are let go next.
pub struct Steps {
    keys: Option<Keys>,
    /// How long a call is held if no key is pressed.
    pause: Option<Duration>,
    /// Every call is made at once from now on.
    goes_on: bool,
    made: Instant,
    lines: Lines,
    /// The gates that hold the calls.
    places: HashMap<u32, Option<Place>>,
    /// When each task's last call was let go, by strace's clock.
    let_go: HashMap<u32, u64>,
    /// The tasks whose calls are held.
    held: Vec<u32>,
    /// Typed text goes here while the client reads its input.
    input: Option<OwnedFd>,
    typed: usize,
}

impl Steps {
    /// With a key for each call, or (`pause`) without.
    pub fn begin(keys: bool, pause: Option<Duration>) -> Result<Steps, String> {
        let terminal = io::stdout().is_terminal();
        let taken = match (Keys::take().filter(|_| terminal), keys) {
            (None, true) => {
                return Err("--step needs a terminal to draw on and to read keys from".to_owned());
            }
            (keys, _) => keys,
        };
        Ok(Steps {
            keys: taken,
            pause: pause.or((!keys).then_some(Duration::ZERO)),
            goes_on: false,
            made: Instant::now(),
            lines: Lines::default(),
            places: HashMap::new(),
            let_go: HashMap::new(),
            held: Vec::new(),
            input: None,
            typed: 0,
        })
    }

    /// The client's standard input: ours, or a pipe for text typed while no call is held.
    pub fn input_of_the_client(&mut self) -> Result<Stdio, String> {
        if self.keys.is_none() || !io::stdin().is_terminal() {
            return Ok(Stdio::inherit());
        }
        let (ours, its) = terminal::open()?;
        self.input = Some(ours);
        Ok(its.into())
    }

    /// Whether a call waits to be let go.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether this is a call that is held: it has not been made.
    pub fn has_not_made(&self, entry: &Entry) -> bool {
        let held = entry.pid.is_some_and(|pid| self.held.contains(&pid));
        held && matches!(&entry.what, What::Call(call) if call.is_unfinished())
    }

    /// Lets calls go as keys or the time require. `reads`: the client waits for typed input.
    /// `pages`: the user has paged back. Returns the keys that are for the picture.
    pub fn let_calls_go(
        &mut self,
        processes: &[&mut Process],
        reads: bool,
        mut pages: bool,
    ) -> Vec<Turn> {
        let mut turns = Vec::new();
        let mut held = held(processes);
        let pressed = self.keys.as_ref().map(Keys::pressed).unwrap_or_default();
        let mut rest = &pressed[..];
        while let Some((&key, after)) = rest.split_first() {
            if let Some((turn, length)) = turn(rest) {
                turns.push(turn);
                pages |= matches!(turn, Turn::Back | Turn::First);
                rest = &rest[length..];
                continue;
            }
            rest = after;
            if key == b'q' && pages {
                turns.push(Turn::Leave);
                pages = false;
                continue;
            }
            if held.is_empty() && reads && !pages {
                self.type_in(key);
                continue;
            }
            let side = match key {
                b' ' => None,
                b'c' => Some(Side::Client),
                b's' => Some(Side::Server),
                b'g' => {
                    self.goes_on = true;
                    continue;
                }
                _ => continue,
            };
            let next = held
                .iter()
                .position(|(at, _)| side.is_none_or(|side| processes[*at].side == side));
            if let Some((at, call)) = next.map(|next| held.remove(next)) {
                self.let_go(processes[at], call);
            }
        }
        if self.goes_on {
            for (at, call) in held.drain(..) {
                self.let_go(processes[at], call);
            }
        } else if let (Some(pause), Some(&(at, call))) = (self.pause, held.first()) {
            if call.since.max(self.made).elapsed() >= pause {
                held.remove(0);
                self.let_go(processes[at], call);
            }
        }
        self.places
            .retain(|task, _| held.iter().any(|(_, call)| call.task == *task));
        self.held = held.iter().map(|(_, call)| call.task).collect();
        turns
    }

    fn let_go(&mut self, process: &Process, call: Held) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.let_go.insert(call.task, now);
        self.made = Instant::now();
        process.let_go(call);
    }

    fn type_in(&mut self, key: u8) {
        let Some(input) = &self.input else { return };
        let echo: &[u8] = match key {
            b'\r' | b'\n' => {
                self.typed = 0;
                b"\n"
            }
            0x7f | 0x08 if self.typed > 0 => {
                self.typed -= 1;
                b"\x08 \x08"
            }
            b' '..=b'~' => {
                self.typed += 1;
                &[key]
            }
            0x80.. => &[key],
            _ => b"",
        };
        let key = if key == b'\r' { b'\n' } else { key };
        let _ = write(input, &[key]).and_then(|_| put(echo)); // the client may have ended
    }

    /// Subtracts from an entry the time for which its call was held: the program did not cause that
    /// wait.
    pub fn correct(&mut self, entry: &mut Entry) {
        let (Some(pid), Some(start), What::Call(call)) = (entry.pid, entry.start, &mut entry.what)
        else {
            return;
        };
        let end = match call.took {
            None if call.is_unfinished() => u64::MAX,
            took => start.saturating_add(took.unwrap_or_default()),
        };
        let let_go = self.let_go.get(&pid).copied();
        if let Some(let_go) = let_go.filter(|let_go| (start..=end).contains(let_go)) {
            self.let_go.remove(&pid);
            entry.start = Some(let_go);
            let call = Arc::make_mut(call);
            call.took = call.took.map(|_| end - let_go);
        }
    }

    /// The calls that each side is about to make, without the held ones.
    pub fn next(
        &mut self,
        processes: &[&mut Process],
        under_way: &mut [Vec<Begun>; 2],
    ) -> [Option<Next>; 2] {
        let mut next = [const { None::<Next> }; 2];
        for (at, held) in held(processes) {
            let side = processes[at].side as usize;
            let calls = &mut under_way[side];
            // The end of the task's previous call may not have reached us yet.
            let let_go = self.let_go.get(&held.task).copied();
            let is_it = |call: &Begun| {
                let new = call
                    .start
                    .zip(let_go)
                    .is_none_or(|(start, let_go)| start > let_go);
                call.pid == Some(held.task) && new
            };
            let place = calls.iter().position(is_it);
            let Some(call) = place.map(|place| calls.remove(place)) else {
                continue; // strace will name the call in a moment
            };
            if next[side].is_some() {
                continue;
            }
            let lines = &mut self.lines;
            let place = self
                .places
                .entry(held.task)
                .or_insert_with(|| lines.at_entry(held.task));
            next[side] = Some(Next {
                task: call.pid,
                call: format!("{}({}...", call.name, call.descriptor.unwrap_or_default()),
                place: place.clone(),
            });
        }
        next
    }
}

/// The held calls with their sides, the longest held first.
fn held(processes: &[&mut Process]) -> Vec<(usize, Held)> {
    let all = processes.iter().enumerate();
    let mut held: Vec<_> = all
        .flat_map(|(at, process)| process.held().into_iter().map(move |call| (at, call)))
        .collect();
    held.sort_by_key(|(_, call)| call.since);
    held
}

/// A key sequence that pages, and its length.
fn turn(keys: &[u8]) -> Option<(Turn, usize)> {
    const TURNS: [(&[u8], Turn); 10] = [
        (b"\x1b[5~", Turn::Back),
        (b"\x1b[6~", Turn::On),
        (b"\x1b[H", Turn::First),
        (b"\x1b[1~", Turn::First),
        (b"\x1bOH", Turn::First),
        (b"\x1b[7~", Turn::First),
        (b"\x1b[F", Turn::Last),
        (b"\x1b[4~", Turn::Last),
        (b"\x1bOF", Turn::Last),
        (b"\x1b[8~", Turn::Last),
    ];
    let found = TURNS.iter().find(|(key, _)| keys.starts_with(key));
    found.map(|(key, turn)| (*turn, key.len()))
}

/// The keys of our terminal, one by one, until this is dropped.
struct Keys {
    terminal: OwnedFd,
    before: Termios,
}

impl Keys {
    fn take() -> Option<Keys> {
        // Opened anew, so that flags set on it do not affect others. Standard output's terminal, if
        // standard input is not one.
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let number = u8::from(!io::stdin().is_terminal());
        let path = format!("/proc/self/fd/{number}");
        let terminal = open(path.as_str(), flags, Mode::empty()).ok()?;
        let before = tcgetattr(&terminal).ok()?;
        let mut raw = before.clone();
        raw.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO);
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(&terminal, SetArg::TCSANOW, &raw).ok()?;
        Some(Keys { terminal, before })
    }

    fn pressed(&self) -> Vec<u8> {
        let mut keys = [0; 256];
        let n = read(&self.terminal, &mut keys).unwrap_or(0);
        keys[..n].to_vec()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before); // it may no longer exist
    }
}
