//! `--perfetto FILE`: trace events, in Chrome's JSON format, which ui.perfetto.dev and chrome://tracing open: a track for each
//! task, a slice for each call, a flow from the call that sends to the call that receives.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use crate::draw::history::{History, Moment};
use crate::draw::json::{array, object, shown as text};
use crate::strace::line::What;
use crate::world::events::EventId;
use crate::world::tasks::TaskId;

/// The distance between two events without times, in nanoseconds.
const STEP: u64 = 1000;

/// A call, in nanoseconds since the run's beginning.
struct Slice<'a> {
    moment: &'a Moment,
    from: u64,
    to: u64,
    track: Track,
}

/// The format's numbers of a process and a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Track {
    pid: u64,
    tid: u64,
}

pub fn draw(runs: &[History], _: &mut Vec<String>) -> Vec<u8> {
    let mut named = Vec::new();
    let mut events: Vec<(u64, String)> = Vec::new();
    let (mut numbers, mut flows) = (0, 0);
    let start = runs.iter().filter_map(History::start).min().unwrap_or(0);
    let mut all_have_times = true;
    for run in runs {
        let tracks = tracks(run, &mut numbers, &mut named, runs.len() > 1);
        let slices = slices(run, &tracks, start, &mut all_have_times);
        let by_event: HashMap<EventId, usize> = slices
            .iter()
            .enumerate()
            .map(|(at, slice)| (slice.moment.event.id, at))
            .collect();
        for slice in &slices {
            events.push((slice.from, slice.json(run)));
            for cause in &slice.moment.event.causes {
                let Some(cause) = by_event.get(cause).map(|at| &slices[*at]) else {
                    continue;
                };
                flows += 1;
                events.push((cause.from, cause.flow("s", cause.from, flows)));
                let at = slice.to.saturating_sub(1).max(slice.from);
                events.push((at, slice.flow("f", at, flows)));
            }
        }
    }
    events.sort_by_key(|(at, _)| *at);
    let events = named
        .into_iter()
        .chain(events.into_iter().map(|(_, event)| event));
    let mut other = vec![("made by", text("sockstep"))];
    if !all_have_times {
        other.push((
            "times",
            text("not all events have one: their order is right, their times are made up"),
        ));
    }
    let whole = object(&[
        ("displayTimeUnit", text("ns")),
        ("otherData", object(&other)),
        ("traceEvents", array(events)),
    ]);
    (whole + "\n").into_bytes()
}

/// A track for each task; a thread's track is shown with its process.
fn tracks(
    run: &History,
    numbers: &mut u64,
    named: &mut Vec<String>,
    several: bool,
) -> BTreeMap<TaskId, Track> {
    let mut tracks = BTreeMap::new();
    let mut processes: HashMap<usize, u64> = HashMap::new();
    for (id, doer) in &run.tasks {
        *numbers += 1;
        let tid = *numbers;
        let pid = match processes.get(&doer.source).filter(|_| doer.thread) {
            Some(pid) => *pid,
            None => tid,
        };
        processes.insert(doer.source, pid);
        let mut label = run.label(*id);
        if let Some(program) = &doer.program {
            let _ = write!(label, ": {program}"); // into memory, here and below
        }
        if let Some(number) = doer.pid {
            let _ = write!(label, " ({number})");
        }
        let process = if several {
            format!("{}: {label}", run.name)
        } else {
            label.clone()
        };
        let name = |kind: &str, name: &str| {
            object(&[
                ("name", text(kind)),
                ("ph", text("M")),
                ("pid", pid.to_string()),
                ("tid", tid.to_string()),
                ("args", object(&[("name", text(name))])),
            ])
        };
        if pid == tid {
            named.push(name("process_name", &process));
        }
        named.push(name("thread_name", &label));
        tracks.insert(*id, Track { pid, tid });
    }
    tracks
}

/// The calls. In each track a call ends before the next one begins, and an effect ends after its
/// cause has begun.
fn slices<'a>(
    run: &'a History,
    tracks: &BTreeMap<TaskId, Track>,
    start: u64,
    all: &mut bool,
) -> Vec<Slice<'a>> {
    let mut slices: Vec<Slice> = Vec::new();
    let mut last: HashMap<TaskId, usize> = HashMap::new();
    let mut begins: HashMap<EventId, u64> = HashMap::new();
    let mut now = 0;
    for moment in &run.moments {
        let event = &moment.event;
        let Some(track) = tracks.get(&event.task) else {
            continue;
        };
        let time = event.entered.map(|time| time.saturating_sub(start));
        *all &= time.is_some();
        let mut from = time.unwrap_or(now + STEP);
        if let Some(before) = last.get(&event.task).map(|at| &mut slices[*at]) {
            let open = before
                .moment
                .event
                .call()
                .is_some_and(|call| call.result == "?");
            if open {
                before.to = before.to.max(from); // it waited until this call began
            }
            from = from.max(before.to);
        }
        let took = event.call().and_then(|call| call.took);
        let left = took.map(|took| from + took);
        let left = left.or(event.left.map(|left| left.saturating_sub(start)));
        let after = event
            .causes
            .iter()
            .filter_map(|cause| begins.get(cause))
            .max();
        let to = left
            .unwrap_or(from)
            .max(from + 1)
            .max(after.map_or(0, |begun| begun + 2));
        now = now.max(to);
        begins.insert(event.id, from);
        last.insert(event.task, slices.len());
        slices.push(Slice {
            moment,
            from,
            to,
            track: *track,
        });
    }
    slices
}

impl Slice<'_> {
    fn json(&self, run: &History) -> String {
        let moment = self.moment;
        let mut args = vec![
            ("event", moment.event.id.0.to_string()),
            ("text", text(moment.short(200))),
        ];
        let mut put = |key, words: Option<&str>| args.extend(words.map(|words| (key, text(words))));
        put("step", moment.step.as_deref());
        put(
            "error",
            moment
                .event
                .call()
                .filter(|call| call.failed())
                .map(|call| call.note.as_str()),
        );
        put(
            "remarks",
            Some(moment.notes.join("; ").as_str()).filter(|words| !words.is_empty()),
        );
        if let Some(id) = moment.event.socket {
            args.push(("socket", id.0.to_string()));
            if let Some(socket) = run.sockets.get(&id) {
                args.push(("protocol", text(socket.name)));
            }
        }
        let kind = match moment.event.what {
            What::Call(_) if moment.words.is_some() => "words",
            What::Call(_) => "call",
            _ => "task",
        };
        let mut pairs = vec![
            (
                "name",
                text(if kind == "task" {
                    moment.short(80)
                } else {
                    moment.name().to_owned()
                }),
            ),
            ("cat", text(kind)),
            ("ph", text(if kind == "task" { "i" } else { "X" })),
            ("pid", self.track.pid.to_string()),
            ("tid", self.track.tid.to_string()),
            ("ts", microseconds(self.from)),
        ];
        if kind == "task" {
            pairs.push(("s", text("t")));
        } else {
            pairs.push(("dur", microseconds(self.to - self.from)));
        }
        pairs.push(("args", object(&args)));
        object(&pairs)
    }

    /// One end of a flow. It belongs to the slice at that time.
    fn flow(&self, phase: &str, at: u64, id: u64) -> String {
        let mut pairs = vec![
            ("name", text("bytes")),
            ("cat", text("flow")),
            ("ph", text(phase)),
            ("id", id.to_string()),
            ("pid", self.track.pid.to_string()),
            ("tid", self.track.tid.to_string()),
            ("ts", microseconds(at)),
        ];
        if phase == "f" {
            pairs.push(("bp", text("e")));
        }
        object(&pairs)
    }
}

/// The format uses microseconds.
fn microseconds(nanoseconds: u64) -> String {
    format!("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000)
}
