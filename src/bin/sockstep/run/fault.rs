//! `--fault 'server recv error=ECONNRESET when=2'`: makes a call of one side fail, come late, be
//! interrupted or move fewer bytes. strace injects errors, signals and delays; a shared object of
//! ours (the shim), loaded before the program, makes sends and receives short.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::sync::Arc;

use nix::sys::signal::Signal;
use sockstep::Errno;

use crate::draw::terminal::Side;
use crate::lectures::steps::Sockets;
use crate::lectures::words::nearest_of;
use crate::sides::force::Force;
use crate::strace::calls::{self, number};
use crate::strace::line::{Call, Entry, What};

/// The calls that can be named, by C's names, and whether the shim can make the call short.
const CALLS: &[(&str, bool)] = &[
    ("socket", false),
    ("bind", false),
    ("listen", false),
    ("accept", false),
    ("connect", false),
    ("send", true),
    ("sendto", true),
    ("sendmsg", false),
    ("write", true),
    ("recv", true),
    ("recvfrom", true),
    ("recvmsg", false),
    ("read", true),
    ("shutdown", false),
    ("close", false),
    ("setsockopt", false),
    ("getsockopt", false),
    ("getsockname", false),
    ("getpeername", false),
    ("poll", false),
    ("select", false),
    ("epoll_create1", false),
    ("epoll_ctl", false),
    ("epoll_wait", false),
    ("fcntl", false),
    ("fork", false),
    ("wait", false),
];

/// How long a call may be held up.
const LONGEST: u64 = 60_000_000; // microseconds

/// What is injected.
#[derive(Clone, Debug)]
pub struct Fault {
    /// As the user wrote it.
    text: String,
    pub side: Side,
    /// C's name of the call; `send` also of `sendto`.
    call: &'static str,
    calls: Vec<&'static str>,
    error: Option<String>,
    signal: Option<String>,
    /// In microseconds.
    delay: Option<u64>,
    short: Option<u64>,
    when: When,
}

/// Which of a task's calls, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
struct When {
    first: u64,
    last: u64,
    step: u64,
}

impl When {
    const MOST: u64 = 65_534; // strace 6.1 refuses 65535 as the last

    /// `2`, `2+`, `2..5`, `1+3`: the second, from there on, up to the fifth, every third.
    fn of(text: &str) -> Option<When> {
        // A number without a sign.
        let number_of = |text: &str| text.parse().ok().filter(|_| !text.starts_with('+'));
        let (range, step) = match text.split_once('+') {
            Some((range, "")) => (range, Some(1)),
            Some((range, step)) => (range, Some(number_of(step)?)),
            None => (text, None),
        };
        let (first, last) = if let Some((first, last)) = range.split_once("..") {
            (number_of(first)?, number_of(last)?)
        } else {
            let first = number_of(range)?;
            (first, if step.is_some() { When::MOST } else { first })
        };
        let step = step.unwrap_or(1);
        let sound =
            1 <= first && first <= last && last <= When::MOST && (1..=When::MOST).contains(&step);
        sound.then_some(When { first, last, step })
    }

    fn has(self, count: u64) -> bool {
        (self.first..=self.last).contains(&count) && (count - self.first) % self.step == 0
    }
}

impl Fault {
    /// Reads one. If it is malformed, the error lists the possible forms.
    pub fn of(text: &str) -> Result<Fault, String> {
        let mut words = text.split_whitespace();
        let side = match words.next() {
            Some("client") => Side::Client,
            Some("server") => Side::Server,
            word => return Err(no("side", word, &["client", "server"])),
        };
        let names: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
        let word = words.next();
        let known = CALLS.iter().find(|(name, _)| Some(*name) == word);
        let &(name, can_be_short) = known.ok_or_else(|| no("call", word, &names))?;
        let mut fault = Fault {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            side,
            call: calls::of(name).map_or(name, |row| row.in_c),
            calls: calls::alike(name),
            error: None,
            signal: None,
            delay: None,
            short: None,
            when: When {
                first: 1,
                last: 1,
                step: 1,
            },
        };
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "error" => fault.error = Some(errno(value)?),
                "signal" => fault.signal = Some(signal(value)?),
                "delay" => fault.delay = Some(delay(value)?),
                "short" if !can_be_short => {
                    return Err(format!("{name} cannot be short: {}", list(&shortened())));
                }
                "short" => {
                    let bytes = value
                        .parse()
                        .ok()
                        .filter(|bytes| (1..=1 << 20).contains(bytes));
                    fault.short = Some(bytes.ok_or_else(|| {
                        format!("short={value} is not a number of bytes from 1 to 1048576, as in short=1")
                    })?);
                }
                "when" => {
                    fault.when = When::of(value).ok_or_else(|| {
                        format!("when={value} is not one of 2 (the second of a task's calls), 2+ (from there on), 2..5, 1+3 (every third)")
                    })?;
                }
                _ => {
                    let keys = ["error", "signal", "delay", "short", "when"];
                    return Err(no("fault", Some(key), &keys)
                        + ", as in error=ECONNRESET, signal=SIGCHLD, delay=300ms, short=1, when=2");
                }
            }
        }
        match (&fault.error, fault.short) {
            (None, None) if fault.signal.is_none() && fault.delay.is_none() => Err(format!(
                "say what happens to {name}: error=ECONNRESET, signal=SIGCHLD, delay=300ms{}",
                if can_be_short { " or short=1" } else { "" }
            )),
            (Some(_), Some(_)) => {
                Err("a failed call moves no bytes: give error= or short=, not both".to_owned())
            }
            _ => Ok(fault),
        }
    }

    /// The option for strace, if strace injects this fault.
    fn injection(&self) -> Option<String> {
        let mut what = String::new();
        if let Some(error) = &self.error {
            let _ = write!(what, ":error={error}");
        }
        if let Some(signal) = &self.signal {
            let _ = write!(what, ":signal={signal}");
        }
        if let Some(delay) = self.delay {
            let _ = write!(what, ":delay_enter={delay}");
        }
        let names: Vec<String> = self.calls.iter().map(|name| format!("?{name}")).collect();
        let When { first, last, step } = self.when;
        let when = format!("when={first}..{last}+{step}");
        (!what.is_empty()).then(|| format!("--inject={}{what}:{when}", names.join(",")))
    }

    /// The setting for the shim, if the shim makes this fault.
    fn at(&self) -> Option<String> {
        let When { first, last, step } = self.when;
        self.short
            .map(|bytes| format!(" {} {bytes} {first} {last} {step}", self.call))
    }

    /// The text shown in the picture.
    fn what(&self) -> String {
        let mut all = Vec::new();
        all.extend(self.error.as_ref().map(|error| format!("error={error}")));
        all.extend(
            self.signal
                .as_ref()
                .map(|signal| format!("signal={signal}")),
        );
        all.extend(self.delay.map(|delay| match delay {
            delay if delay % 1000 == 0 => format!("delay={} ms", delay / 1000),
            delay => format!("delay={delay} us"),
        }));
        all.extend(self.short.map(|bytes| format!("short={bytes}")));
        all.join(", ")
    }
}

/// The calls that the shim can make short.
fn shortened() -> Vec<&'static str> {
    let all = CALLS.iter().filter(|(_, short)| *short);
    all.map(|(name, _)| *name).collect()
}

fn list(words: &[&str]) -> String {
    format!("there are {}", words.join(", "))
}

/// The error text for an unknown word: a similar known word, and the list of all.
fn no(what: &str, word: Option<&str>, known: &[&str]) -> String {
    let all = list(known);
    let Some(word) = word.filter(|word| !word.is_empty()) else {
        return format!("a {what} is missing: {all}");
    };
    match nearest_of(word, known.iter().copied()) {
        Some(meant) => format!("no {what} {word:?}: {meant}? ({all})"),
        None => format!("no {what} {word:?}: {all}"),
    }
}

fn errno(name: &str) -> Result<String, String> {
    let names = || (1..=133).map(|number| format!("{:?}", Errno::from_raw(number)));
    if names().any(|known| known == name) && name != "UnknownErrno" {
        return Ok(name.to_owned());
    }
    let all: Vec<String> = names().collect();
    let meant = nearest_of(name, all.iter().map(String::as_str));
    let meant = meant.map_or(String::new(), |meant| format!(" {meant}?"));
    Err(format!(
        "no error {name:?}:{meant} Errors have names as in ECONNRESET, EINTR, EMFILE (sockstep explain CALL lists a call's)"
    ))
}

fn signal(name: &str) -> Result<String, String> {
    if name.parse::<Signal>().is_ok() {
        return Ok(name.to_owned());
    }
    let all: Vec<&str> = Signal::iterator().map(Signal::as_str).collect();
    Err(no("signal", Some(name), &all))
}

fn delay(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "us" => Some(1),
        "ms" => Some(1000),
        "s" => Some(1_000_000),
        _ => None,
    };
    let delay = number.parse::<u64>().ok().zip(unit);
    let delay = delay.and_then(|(number, unit)| number.checked_mul(unit));
    delay
        .filter(|delay| (1..=LONGEST).contains(delay))
        .ok_or_else(|| {
            format!("delay={text} is not a time of up to 60 s, as in 300ms, 2s or 500us")
        })
}

/// The faults of a run, and which of them have happened.
#[derive(Default)]
pub struct Faults {
    all: Vec<(Fault, u64)>,
    counts: HashMap<(usize, Option<u32>, String), u64>,
    sockets: HashMap<usize, Sockets>,
    force: Force,
}

impl Faults {
    /// Fails if two faults are for the same call of a side: strace takes one for each.
    pub fn of(faults: &[Fault]) -> Result<Faults, String> {
        for (at, fault) in faults.iter().enumerate() {
            let same = |other: &&Fault| other.side == fault.side && other.call == fault.call;
            if let Some(other) = faults[..at].iter().find(same) {
                return Err(format!(
                    "two faults are about the same call of the {}: {:?} and {:?}. Put them into one, or use when=1..3",
                    fault.side.name(),
                    other.text,
                    fault.text
                ));
            }
        }
        Ok(Faults {
            all: faults.iter().map(|fault| (fault.clone(), 0)).collect(),
            ..Faults::default()
        })
    }

    /// The options for strace for a side.
    pub fn options(&self, side: Side) -> Result<Vec<String>, String> {
        let ours = || {
            self.all
                .iter()
                .map(|(fault, _)| fault)
                .filter(|fault| fault.side == side)
        };
        let mut options: Vec<String> = ours().filter_map(Fault::injection).collect();
        let short: Vec<String> = ours().filter_map(Fault::at).collect();
        if !short.is_empty() {
            let environment = self.force.environment(&format!("at{}", short.concat()))?;
            for (name, value) in environment {
                let mut pair: OsString = name;
                pair.push("=");
                pair.push(value);
                options.push(format!("--env={}", pair.to_string_lossy()));
            }
        }
        Ok(options)
    }

    /// Marks the call that a fault has been injected into. `source` is which strace has seen it.
    pub fn mark(&mut self, source: usize, side: Side, entry: &mut Entry) {
        if self.all.is_empty() {
            return;
        }
        // The shim counts calls on sockets only: it does not see the loader's calls.
        let short = |(fault, _): &(Fault, u64)| fault.short.is_some();
        let on_a_socket = match &entry.what {
            What::Call(call) if self.all.iter().any(short) => {
                let sockets = self.sockets.entry(source).or_default();
                sockets.follow(entry.pid, call).is_some()
            }
            _ => false,
        };
        let What::Call(call) = &mut entry.what else {
            return;
        };
        let about = |fault: &Fault| fault.side == side && fault.calls.contains(&call.name.as_str());
        let Some((fault, happened)) = self.all.iter_mut().find(|(fault, _)| about(fault)) else {
            return;
        };
        if fault.short.is_some() && fault.injection().is_none() && !on_a_socket {
            return;
        }
        let count = self
            .counts
            .entry((source, entry.pid, call.name.clone()))
            .or_default();
        *count += 1;
        if !fault.when.has(*count) || !is_so(fault, call) {
            return;
        }
        *happened += 1;
        let note = call
            .note
            .replace(" (INJECTED)", "")
            .replace("(DELAYED)", "");
        let space = if note.is_empty() { "" } else { " " };
        let note = format!("{}{space}(INJECTED: {})", note.trim_end(), fault.what());
        Arc::make_mut(call).note = note;
    }

    /// The faults that have not happened, a line for each.
    pub fn missed(&self) -> impl Iterator<Item = String> {
        let missed = self.all.iter().filter(|(_, happened)| *happened == 0);
        missed.map(|(fault, _)| {
            let why = if fault.short.is_some() {
                ": it made no such call of more bytes through the C library (static and Go programs call the kernel themselves)"
            } else {
                ": none of its tasks made that many of these calls"
            };
            format!("--fault '{}' did not happen to the {}{why}", fault.text, fault.side.name())
        })
    }

    /// The faults that have happened, a line for each.
    pub fn happened(&self) -> impl Iterator<Item = String> {
        let happened = self.all.iter().filter(|(_, happened)| *happened > 0);
        happened.map(|(fault, times)| format!("injected, {times} in all: {}", fault.text))
    }

    /// Whether a side's call of this name has a fault.
    pub fn concern(&self, side: Side, name: &str) -> bool {
        let mut all = self.all.iter().map(|(fault, _)| fault);
        all.any(|fault| fault.side == side && fault.calls.contains(&name))
    }
}

/// Whether the call's line says that it was injected.
fn is_so(fault: &Fault, call: &Call) -> bool {
    if let Some(bytes) = fault.short {
        let row = calls::of(&call.name);
        let length = row.and_then(|row| row.sends.or(row.receives)).map(|_| 2);
        let asked = length
            .and_then(|at| call.args.get(at))
            .and_then(|arg| number(arg));
        return asked.is_some_and(|asked| u64::try_from(asked) == Ok(bytes));
    }
    fault.error.is_none() || call.note.contains("(INJECTED)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_calls_is_said_as_strace_has_it() {
        for (text, hits) in [
            ("1", &[1][..]),
            ("2", &[2]),
            ("4+", &[4, 5, 6, 7]),
            ("2..3", &[2, 3]),
            ("1+3", &[1, 4, 7]),
            ("2..6+2", &[2, 4, 6]),
        ] {
            let when = When::of(text).unwrap_or_else(|| panic!("{text}"));
            let found: Vec<u64> = (0..8).filter(|&count| when.has(count)).collect();
            assert_eq!(found, hits, "{text}");
        }
        for text in [
            "", "0", "x", "3..2", "1..", "..", "+", "1+0", "70000", "1++2", "-1",
        ] {
            assert_eq!(When::of(text), None, "{text}");
        }
    }

    #[test]
    fn a_misspelt_word_has_a_tip_and_all_that_there_are() {
        for (text, words) in [
            (
                "servr recv error=EIO",
                "no side \"servr\": server? (there are client, server)",
            ),
            ("", "a side is missing: there are client, server"),
            ("server", "a call is missing: there are socket, bind"),
            ("server rcv error=EIO", "no call \"rcv\": recv? (there are"),
            (
                "server recv error=ECONRESET",
                "no error \"ECONRESET\": ECONNRESET?",
            ),
            ("server recv error=", "no error \"\":"),
            ("server recv eror=EIO", "no fault \"eror\": error?"),
            (
                "server recv signal=SIGCLD",
                "no signal \"SIGCLD\": SIGCHLD?",
            ),
            ("server recv delay=300", "delay=300 is not a time"),
            ("server recv delay=2h", "delay=2h is not a time"),
            ("server recv delay=0ms", "delay=0ms is not a time"),
            ("server recv delay=99999999999999999999s", "is not a time"),
            ("server recv short=0", "short=0 is not a number of bytes"),
            (
                "server accept short=1",
                "accept cannot be short: there are send, sendto, write, recv",
            ),
            ("server recv short=1 error=EIO", "error= or short="),
            ("server recv when=2", "say what happens to recv:"),
            ("server recv error=EIO when=0", "when=0 is not one of"),
        ] {
            let said = Fault::of(text).map(|fault| fault.text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
