//! Which line of the program's source made the call that a failure is about: the check once more under strace, with stacks.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use crate::check::client::Visit;
use crate::check::contract::Contract;
use crate::check::outcome::{Failure, Stop};
use crate::check::server::Trial;
use crate::check::subject::Recording;
use crate::check::table::Check;
use crate::draw::call::c_name;
use crate::draw::source::{Lines, option};
use crate::strace::calls::{self, Does, descriptor, does, makes_task, number};
use crate::strace::command::{Trace, known_calls};
use crate::strace::line::{Call, Entry, What};

/// What is found about a failure.
#[derive(Default)]
pub struct Found {
    /// `my_server.c:62, send()`.
    pub line: Option<String>,
    /// What strace has written of the program alone.
    pub recording: Vec<u8>,
}

/// Checks in which a shared object of ours stands between the program and its calls; and the calls that it makes for itself.
const FORCED: [&str; 2] = ["short-calls", "interrupted"];
const OURS: [&str; 2] = ["fcntl", "getsockopt"];

/// What strace is told; with stacks where a line can come of it.
fn options(name: &str, has_lines: bool) -> Vec<String> {
    let mut calls = known_calls();
    if FORCED.contains(&name) {
        for ours in OURS {
            calls = calls.replace(&format!("?{ours},"), "");
        }
    }
    let stacks = option().ok().filter(|_| has_lines);
    let stacks = stacks.map(str::to_owned);
    [calls, "--string-limit=256".to_owned()]
        .into_iter()
        .chain(stacks)
        .collect()
}

pub fn of_server(check: &Check<Trial>, mut trial: Trial, has_lines: bool) -> Found {
    trial.stacks = Some(options(check.name, has_lines));
    let outcome = trial.ready().and_then(|()| (check.run)(&mut trial));
    trial.spoil();
    let echoes = trial.contract != Contract::Http;
    found(check.name, outcome, &trial.recording, echoes)
}

pub fn of_client(check: &Check<Visit>, visit: &mut Visit) -> Found {
    visit.stacks = Some(options(check.name, visit.has_lines.load(Ordering::Relaxed)));
    let outcome = (check.run)(visit);
    visit.stacks = None;
    found(check.name, outcome, &visit.last_recording(), false)
}

fn found(name: &str, outcome: Result<(), Stop>, recording: &Recording, echoes: bool) -> Found {
    let Err(Stop::Fail(failure)) = outcome else {
        return Found::default(); // not this time
    };
    let recording = recording.lock().unwrap_or_else(PoisonError::into_inner);
    let recording = recording.clone();
    Found {
        line: line(name, &failure, &recording, echoes),
        recording,
    }
}

fn line(name: &str, failure: &Failure, recording: &[u8], echoes: bool) -> Option<String> {
    let mut trace = Trace::with_stacks();
    let mut entries = trace.take(recording);
    entries.extend(trace.in_a_pause());
    entries.extend(trace.end());
    let found = failure.at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let history = History::of(&entries, found.as_nanos().try_into().ok()?);
    let call = history.blamed(name, failure, echoes)?;
    let place = Lines::default().of(call)?;
    // What is interrupted is not made: the one before it comes from the same line.
    Some(match name {
        "interrupted" => place.to_string(),
        _ => format!("{place}, {}()", c_name(call)),
    })
}

/// What the program did until the failure was found.
struct History<'a> {
    calls: Vec<&'a Call>,
    /// Those on the end of a connection, or on a socket of datagrams.
    on_endpoints: Vec<&'a Call>,
    died: bool,
}

fn sends(call: &Call) -> bool {
    calls::of(&call.name).is_some_and(|row| row.sends.is_some())
}

fn receives(call: &Call) -> bool {
    calls::of(&call.name).is_some_and(|row| row.receives.is_some() && row.sends.is_none())
}

impl History<'_> {
    fn of(entries: &[Entry], until: u64) -> History<'_> {
        let mut before: Vec<&Entry> = entries
            .iter()
            .filter(|entry| entry.start.is_none_or(|start| start < until))
            .collect();
        before.sort_by_key(|entry| entry.start);
        let mut history = History {
            calls: Vec::new(),
            on_endpoints: Vec::new(),
            died: before
                .iter()
                .any(|entry| matches!(&entry.what, What::End(how) if !how.contains("SIGKILL"))), // that was ours
        };
        let mut endpoints = Vec::new();
        for entry in before {
            let What::Call(call) = &entry.what else {
                continue;
            };
            history.calls.push(call);
            let on = call.args.first().and_then(|arg| descriptor(arg));
            let result = descriptor(&call.result);
            match does(&call.name) {
                Does::MakesSocket | Does::Accepts => endpoints.extend(result),
                Does::Listens => endpoints.retain(|other| Some(*other) != on),
                Does::Neither | Does::Shuts | Does::Closes | Does::Connects
                    if on.is_some_and(|on| endpoints.contains(&on)) =>
                {
                    history.on_endpoints.push(call);
                }
                _ => {}
            }
        }
        history
    }

    /// The last call of these names on an endpoint.
    fn last(&self, wanted: impl Fn(&Call) -> bool) -> Option<&Call> {
        self.on_endpoints.iter().rfind(|call| wanted(call)).copied()
    }

    /// The last call that does this, on whatever.
    fn last_that(&self, wanted: impl Fn(&Call) -> bool) -> Option<&Call> {
        self.calls.iter().rfind(|call| wanted(call)).copied()
    }

    /// The call that a failure of this check is about.
    fn blamed(&self, name: &str, failure: &Failure, echoes: bool) -> Option<&Call> {
        let that = |what: &'static [Does]| self.last_that(|call| what.contains(&does(&call.name)));
        let anything = || that(&[Does::Listens]).or(that(&[Does::Binds]));
        let moves = |call: &Call| sends(call) || receives(call);
        let other = failure
            .bytes
            .as_ref()
            .is_some_and(|(expected, seen)| !expected.starts_with(seen));
        match name {
            "ends" | "both-ways" => None, // no call is to blame
            "byte-order" | "port-taken" | "restart" => that(&[Does::Binds]),
            "in-a-row" if !failure.said.contains("descriptors") => {
                self.last_that(|call| makes_task(call).is_some())
            }
            "in-a-row" | "no-descriptors" => that(&[Does::Accepts]),
            "largest" => self.last(receives),
            "nobody" => that(&[Does::Connects]).or(self.last(moves)),
            "address" | "head" | "not-found" | "traversal" => self.last(sends),
            "interrupted" => self.before_the_end(),
            _ if self.died => self.last(|_| true).or_else(anything),
            _ if other && echoes || name == "trailing" => self.last(sends),
            _ if echoes && self.owes() => self.last(sends),
            _ if echoes => self.last(|_| true).or_else(anything),
            _ => self.last(moves).or(that(&[Does::Connects])),
        }
    }

    /// Whether less was sent than received, and something was, on what was received from last.
    fn owes(&self) -> bool {
        let on = |call: &Call| call.args.first().and_then(|arg| descriptor(arg));
        let mut moved: HashMap<Option<i32>, [i64; 2]> = HashMap::new();
        for call in &self.on_endpoints {
            let bytes = number(&call.result).unwrap_or(0).max(0);
            let [received, sent] = moved.entry(on(call)).or_default();
            match () {
                () if sends(call) => *sent += bytes,
                () if receives(call) => *received += bytes,
                () if does(&call.name) == Does::Closes => (*received, *sent) = (0, 0),
                () => {}
            }
        }
        let last = self.last(|call| sends(call) || receives(call));
        last.and_then(|call| moved.get(&on(call)))
            .is_some_and(|[received, sent]| (1..*received).contains(sent))
    }

    /// The call before the one that ended a connection.
    fn before_the_end(&self) -> Option<&Call> {
        let ends = |call: &&Call| matches!(does(&call.name), Does::Closes | Does::Shuts);
        let to = self.calls.iter().rposition(ends);
        let before = &self.calls[..to.unwrap_or(self.calls.len())];
        let words = |call: &Call| {
            sends(call) && matches!(call.args.first().map(String::as_str), Some("1" | "2"))
        };
        before.iter().rfind(|call| !words(call)).copied()
    }
}
