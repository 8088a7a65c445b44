//! One run for a page: its events, and their changes to the sockets, as JSON.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::fmt::Write; // writing into memory does not fail
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::draw::call::{Payload, brief, c_name};
use crate::draw::json::{array, object, shown as text};
use crate::draw::page::compared::Mark;
use crate::draw::page::keep::{Kept, Kind, Limits, Shown};
use crate::draw::page::source::{Files, Sources};
use crate::draw::source::Lines;
use crate::draw::story::{OPEN, Story, Told, bytes_of};
use crate::lectures::programs::ours_at;
use crate::lectures::words;
use crate::strace::calls::{self, Does, For};
use crate::strace::line::{Call, Entry, What};
use crate::strace::text::bytes;
use crate::world::Side;
use crate::world::events::{End, Event, Made, Moved, Movement};
use crate::world::sockets::{Address, Socket, SocketId, State};
use crate::world::tasks::TaskId;

/// The most bytes of a call in a page, and the most when the page is large already.
const BYTES: usize = 2048;
const FEW_BYTES: usize = 64;
/// The most characters of strace's line, and of a program's output.
const LINE: usize = 4096;
const FEW: usize = 400;
/// A send that takes this long, in nanoseconds, waits for room: the other side does not receive.
const FULL: u64 = 20_000_000;
/// The note of a call that a signal has ended.
const UNTIL: &str = "until the signal";
/// The most characters of a call in a box, with its bytes.
const ROW: usize = 72;

/// Side, pid and time.
type Beginning = (Side, Option<u32>, Option<u64>);

/// A run, as far as it has been read.
pub struct Scene {
    title: String,
    pub sources: Sources,
    story: Story,
    /// Finds a call's source line, if the recording has stacks.
    lines: Lines,
    kept: Kept,
    /// The state of each socket when it was last written, and whether it was the last: it was closed,
    /// and its peer had received all.
    known: HashMap<SocketId, (String, bool)>,
    /// The comparison's marks for entries still to come, by their start times.
    marks: HashMap<Beginning, VecDeque<Option<Mark>>>,
    /// The first sentences of the sections of `explain` that events have named.
    explained: Vec<String>,
    /// The index of the sentence about each call.
    named: HashMap<String, Option<usize>>,
}

impl Scene {
    pub fn new(title: String, sources: Sources, story: Story, limits: &'static Limits) -> Scene {
        Scene {
            title,
            sources,
            story,
            lines: Lines::default(),
            kept: Kept::new(limits),
            known: HashMap::new(),
            marks: HashMap::new(),
            explained: Vec::new(),
            named: HashMap::new(),
        }
    }

    /// Takes an entry of a side's trace.
    pub fn traced(&mut self, source: usize, side: Side, entry: Entry) {
        self.story.take(source, side, entry);
        while let Some(told) = self.story.next() {
            self.told(&told);
        }
    }

    /// Sets the comparison's mark for the next entry.
    pub fn mark(&mut self, side: Side, entry: &Entry, mark: Option<Mark>) {
        let key = (side, entry.pid, entry.start);
        self.marks.entry(key).or_default().push_back(mark);
    }

    /// Processes all remaining events.
    pub fn settle(&mut self) {
        while let Some(told) = self.story.rest() {
            self.told(&told);
        }
    }

    pub fn json(&mut self, files: &mut Files) -> String {
        self.settle();
        let tasks = self.story.world.tasks().iter().map(|task| {
            let mut pairs = vec![("side", text(task.side.name()))];
            if task.source > 0 {
                pairs.push(("source", task.source.to_string()));
            }
            if task.thread {
                pairs.push(("thread", "true".to_owned()));
            }
            if let Some(program) = &task.program {
                pairs.push(("program", text(cut(program, 80))));
            }
            object(&pairs)
        });
        let tasks: Vec<String> = tasks.collect();
        let steps = [Side::Client, Side::Server].map(|side| {
            let all = self.story.steps(side).into_iter();
            (side.name(), array(all.map(text)))
        });
        object(&[
            ("title", text(&self.title)),
            ("tasks", array(tasks.into_iter())),
            ("steps", object(&steps)),
            ("sources", self.sources.json(files)),
            ("explain", array(self.explained.iter().map(text))),
            ("events", array(self.kept.end().into_iter())),
        ])
    }

    fn told(&mut self, told: &Told) {
        let event = &told.event;
        if let Some(program) = event.call().and_then(program_of_ours) {
            self.sources.is(event.side, &program);
        }
        let key = (
            event.side,
            self.story.world.task(event.task).pid,
            event.entered,
        );
        let mark = self
            .marks
            .get_mut(&key)
            .and_then(|marks| marks.pop_front()?);
        let sockets = self.changed();
        if !told.is_shown {
            self.kept.sockets(sockets);
            return;
        }
        let kind = kind(told);
        let room = if self.kept.are_many() {
            FEW_BYTES
        } else {
            BYTES
        };
        let mut pairs = vec![
            ("id", event.id.0.to_string()),
            ("task", event.task.0.to_string()),
            ("kind", text(kind)),
            ("short", text(short(told))),
            (
                "line",
                text(cut(
                    &line(&event.what),
                    if room == BYTES { LINE } else { FEW },
                )),
            ),
        ];
        if let Some(call) = event.call() {
            self.of_call(event, call, told.step.as_deref(), &mut pairs);
            if let Some((digits, more)) = hex(call, room) {
                pairs.push(("hex", text(digits)));
                if more > 0 {
                    pairs.push(("more", more.to_string()));
                }
            }
        }
        let mut put = |key, value: Option<String>| pairs.extend(value.map(|value| (key, value)));
        put("step", told.step.as_deref().map(text));
        put("entered", event.entered.map(|it| it.to_string()));
        put("left", event.left.map(|it| it.to_string()));
        put("socket", event.socket.map(|id| id.0.to_string()));
        let name = event
            .socket
            .and_then(|id| Some(self.story.world.socket(id)?.name()));
        put(
            "plain",
            name.filter(|name| ["TCP", "UDP"].contains(name))
                .map(|_| "true".to_owned()),
        );
        let list = |values: Vec<String>| (!values.is_empty()).then(|| array(values.into_iter()));
        let causes = event.causes.iter().map(|cause| cause.0.to_string());
        put("causes", list(causes.collect()));
        let moved = event.moved.iter().map(|moved| self.moved(moved));
        put("moved", list(moved.collect()));
        put("remarks", list(told.notes.iter().map(text).collect()));
        put("diff", mark.map(|mark| mark.json()));
        put(
            "deadlock",
            self.story
                .world
                .is_deadlocked(event)
                .then(|| "true".to_owned()),
        );
        if let Made::Task(task) = event.made {
            put("made", Some(task.0.to_string()));
        }
        let name = event.call().map_or(kind, |call| call.name.as_str());
        let task = self.story.world.task(event.task);
        let what = Kind {
            side: event.side,
            thread: task.thread,
            name: name.to_owned(),
            error: event.call().map_or("", error).to_owned(),
        };
        let sent = sent(event);
        let at = event.left.or(event.entered);
        self.kept.take(Shown {
            kind: what,
            sent,
            at,
            pairs,
            sockets,
        });
    }

    /// The JSON fields that only a call has.
    fn of_call(
        &mut self,
        event: &Event,
        call: &Call,
        step: Option<&str>,
        pairs: &mut Vec<(&'static str, String)>,
    ) {
        let name = c_name(call);
        pairs.push(("name", text(name)));
        let open = call.is_unfinished();
        if open {
            pairs.push(("note", text(OPEN)));
        } else if call.failed() {
            let interrupted = call.note.starts_with("ERESTART");
            if !interrupted {
                pairs.push(("failed", "true".to_owned()));
            }
            let note = if interrupted {
                UNTIL
            } else {
                meaning(&call.note)
            };
            pairs.push(("note", text(note)));
        }
        let row = calls::of(&call.name);
        let waits = row
            .and_then(|row| row.waits)
            .filter(|waits| event.socket.is_some() || event.on_a_socket || *waits == For::Child);
        // A send waits only for room, which is rarely missing.
        let sends = row.is_some_and(|row| row.sends.is_some());
        let full = || open || call.took.is_some_and(|took| took >= FULL);
        if let Some(waits) = waits.filter(|_| !sends || full()) {
            if open {
                pairs.push(("open", "true".to_owned()));
            }
            pairs.push(("waits", text(waits_for(waits))));
            let peers = event.socket.map(|id| self.holders_of_the_peer(id));
            let peers = peers
                .unwrap_or_default()
                .into_iter()
                .map(|task| task.0.to_string());
            pairs.push(("whom", array(peers)));
        }
        let place = self.lines.of(call);
        let lines = self
            .sources
            .lines(event.side, call, step, name, place.as_ref());
        if let Some(lines) = lines {
            pairs.push(("lines", lines));
        }
        let at = match self.named.get(name) {
            Some(known) => *known,
            None => self.explain(name),
        };
        pairs.extend(at.map(|at| ("explain", at.to_string())));
    }

    /// The index of the sentence about a call, if `explain` has one.
    fn explain(&mut self, name: &str) -> Option<usize> {
        let words = words::find(name).first().map(|it| sentence(it.text));
        let at = words.map(|words| {
            let known = self.explained.iter().position(|it| *it == words);
            known.unwrap_or_else(|| {
                self.explained.push(words);
                self.explained.len() - 1
            })
        });
        self.named.insert(name.to_owned(), at);
        at
    }

    /// The tasks that have a descriptor of the peer's socket.
    fn holders_of_the_peer(&self, id: SocketId) -> Vec<TaskId> {
        let Some(peer) = self.story.world.socket(id).and_then(|socket| socket.peer) else {
            return Vec::new();
        };
        let tasks = self.story.world.tasks().iter().filter(|task| !task.ended);
        let holds = |task: &TaskId| {
            let mut own = self.story.world.descriptors(*task);
            own.any(|(_, socket)| socket.id == peer)
        };
        tasks.map(|task| task.id).filter(holds).take(9).collect()
    }

    /// The sockets that have changed since they were last written.
    fn changed(&mut self) -> Vec<(SocketId, String)> {
        let mut sockets: Vec<&Socket> = self.story.world.sockets().collect();
        sockets.retain(|socket| {
            let over = self.known.get(&socket.id).is_some_and(|(_, over)| *over);
            (!over || socket.is_open()) && !socket.is_the_systems()
        });
        sockets.sort_by_key(|socket| socket.id);
        let mut numbers: HashMap<SocketId, Vec<(TaskId, i32)>> = HashMap::new();
        let tasks = self.story.world.tasks().iter();
        for task in tasks.filter(|task| !task.ended && !task.thread) {
            for (number, socket) in self.story.world.descriptors(task.id) {
                numbers
                    .entry(socket.id)
                    .or_default()
                    .push((task.id, number));
            }
        }
        let mut changed = Vec::new();
        for socket in sockets {
            let mut open = numbers.remove(&socket.id).unwrap_or_default();
            open.sort_unstable();
            let now = self.look(socket, &open);
            if self
                .known
                .get(&socket.id)
                .is_none_or(|(known, _)| *known != now)
            {
                changed.push((socket.id, now.clone()));
                let over = !socket.is_open() && !self.is_still_read(socket);
                self.known.insert(socket.id, (now, over));
            }
        }
        if self.known.len() > 1024 {
            let world = &self.story.world;
            self.known
                .retain(|id, (_, over)| !*over || world.socket(*id).is_some());
        }
        changed
    }

    /// Whether its peer can still receive bytes that it has sent.
    fn is_still_read(&self, socket: &Socket) -> bool {
        let world = &self.story.world;
        let peer = socket.peer.and_then(|peer| world.socket(peer));
        let unread = world.under_way(socket.id).unwrap_or(socket.sent);
        unread > 0 && peer.is_none_or(Socket::is_open)
    }

    /// A socket's present state, with the descriptors that refer to it.
    fn look(&self, socket: &Socket, open: &[(TaskId, i32)]) -> String {
        let open = open
            .iter()
            .map(|(task, number)| format!("[{},{number}]", task.0));
        let mut pairs = vec![
            ("id", socket.id.0.to_string()),
            ("side", text(socket.side.name())),
            ("fds", array(open)),
            ("kind", text(socket.name())),
            ("state", text(state(socket.state))),
        ];
        let mut put = |key, value: Option<String>| pairs.extend(value.map(|value| (key, value)));
        let address = |address: &Option<Address>| address.as_ref().map(|it| text(it.to_string()));
        put("local", address(&socket.local));
        put("remote", address(&socket.remote));
        put("peer", socket.peer.map(|peer| peer.0.to_string()));
        let amount = |amount: u64| (amount > 0).then(|| amount.to_string());
        put("sent", amount(socket.sent));
        put("received", amount(socket.received));
        // Bytes that came before the connection was accepted cannot have been received.
        let queued = || {
            self.story
                .world
                .sockets()
                .any(|it| it.queue.iter().any(|it| it.socket == socket.id))
        };
        let unread = self.story.world.under_way(socket.id);
        let unread = unread.or_else(|| (socket.sent > 0 && queued()).then_some(socket.sent));
        put("unread", unread.and_then(amount));
        put("counts", socket.counts.then(|| "true".to_owned()));
        if socket.state == State::Listening {
            let waiting = socket.queue.iter().map(|it| it.socket.0.to_string());
            put("queue", Some(array(waiting)));
            put("backlog", socket.backlog.map(|it| it.to_string()));
        }
        object(&pairs)
    }

    /// The data that crossed, named by its stream: the sending socket, if that is known.
    fn moved(&self, moved: &Moved) -> String {
        let peer = self
            .story
            .world
            .socket(moved.socket)
            .and_then(|socket| socket.peer);
        let own = format!("\"s{}\"", moved.socket.0);
        let others = peer.map_or(format!("\"r{}\"", moved.socket.0), |id| {
            format!("\"s{}\"", id.0)
        });
        let yes = || "true".to_owned();
        object(&match &moved.what {
            Movement::Sent { range, asked } => vec![
                ("stream", own),
                ("sent", yes()),
                ("from", range.start.to_string()),
                ("length", (range.end - range.start).to_string()),
                ("asked", asked.to_string()),
            ],
            Movement::Received { range, asked, .. } => vec![
                ("stream", others),
                ("from", range.start.to_string()),
                ("length", (range.end - range.start).to_string()),
                ("asked", asked.to_string()),
            ],
            Movement::MessageSent { length, .. } => {
                vec![("sent", yes()), ("length", length.to_string())]
            }
            Movement::MessageReceived { length, sent, .. } => vec![
                ("length", length.to_string()),
                ("whole", sent.unwrap_or(*length).to_string()),
            ],
            Movement::Ended(end) => vec![("ends", text(ending(*end)))],
            Movement::MetEnd(end) => vec![("meets", text(ending(*end)))],
        })
    }
}

/// The program of ours that a call begins.
fn program_of_ours(call: &Call) -> Option<String> {
    if calls::does(&call.name) != Does::BecomesProgram || call.failed() {
        return None;
    }
    let (path, _) = call.args.iter().find_map(|arg| bytes(arg))?;
    let path = PathBuf::from(OsString::from_vec(path));
    ours_at(&path).map(str::to_owned)
}

fn ending(end: End) -> &'static str {
    match end {
        End::Fin => "fin",
        End::Reset { .. } => "reset",
    }
}

/// A word of the page's table.
fn waits_for(whom: For) -> &'static str {
    match whom {
        For::Peer => "peer",
        For::Anybody => "anybody",
        For::Child => "child",
        For::Task => "task",
        For::Signal => "signal",
        For::Time => "time",
    }
}

/// A word of the page's table.
fn state(state: State) -> &'static str {
    match state {
        State::Created => "created",
        State::Bound => "bound",
        State::Listening => "listening",
        State::Connecting => "connecting",
        State::Connected => "connected",
        State::WriteShut => "write_shut",
        State::PeerShut => "peer_shut",
        State::Closed => "closed",
        State::TimeWait => "time_wait",
        State::Reset => "reset",
    }
}

fn error(call: &Call) -> &str {
    call.note.split(' ').next().unwrap_or_default()
}

/// `Connection refused` of `ECONNREFUSED (Connection refused)`: the page shows the name separately.
fn meaning(note: &str) -> &str {
    let words = note
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    words.unwrap_or(note)
}

/// A word of the page's script.
fn kind(told: &Told) -> &'static str {
    match &told.event.what {
        What::Call(_) if told.words.is_some() => "words",
        What::Call(_) => "call",
        What::Signal(_) => "signal",
        What::End(_) => "end",
        What::Unknown(_) => "unknown",
    }
}

/// The bytes that an event has sent.
fn sent(event: &Event) -> u64 {
    let moved = event.moved.iter();
    let sent = moved.map(|moved| match &moved.what {
        Movement::Sent { range, .. } => range.end - range.start,
        Movement::MessageSent { length, .. } => *length,
        _ => 0,
    });
    sent.sum()
}

/// The event in short form.
fn short(told: &Told) -> String {
    if let Some((_, words)) = &told.words {
        return cut(words, FEW);
    }
    match &told.event.what {
        What::Call(call) => {
            let rows = brief(call, Payload::Text, ROW);
            let rows: Vec<&str> = rows.iter().map(|row| row.trim()).collect();
            rows.join(" ")
        }
        What::Signal(words) => cut(words.split(" {").next().unwrap_or(words), FEW),
        What::End(words) | What::Unknown(words) => cut(words, FEW),
    }
}

/// strace's own line, put together from its parts.
fn line(what: &What) -> String {
    match what {
        What::Call(call) => {
            let note = if call.note.is_empty() {
                String::new()
            } else {
                format!(" {}", call.note)
            };
            let took = call.took.map_or(String::new(), |took| {
                format!(
                    " <{}.{:06}>",
                    took / 1_000_000_000,
                    took % 1_000_000_000 / 1000
                )
            });
            format!(
                "{}({}) = {}{note}{took}",
                call.name,
                call.args.join(", "),
                call.result
            )
        }
        What::Signal(words) => format!("--- {words} ---"),
        What::End(words) => format!("+++ {words} +++"),
        What::Unknown(words) => words.clone(),
    }
}

fn cut(words: &str, most: usize) -> String {
    match words.char_indices().nth(most) {
        Some((at, _)) => format!("{}...", &words[..at]),
        None => words.to_owned(),
    }
}

/// The first bytes of a call, and how many more there are.
fn hex(call: &Call, room: usize) -> Option<(String, usize)> {
    let bytes = bytes_of(call).concat();
    let mut digits = String::new();
    for byte in bytes.iter().take(room) {
        let _ = write!(digits, "{byte:02x}");
    }
    (!bytes.is_empty()).then(|| (digits, bytes.len().saturating_sub(room)))
}

/// A section's first sentence, or that of its item about the slides.
fn sentence(section: &str) -> String {
    let slides = section.split_once("- **Slides.** ").map(|(_, rest)| rest);
    let prose = slides.unwrap_or(section).trim_start();
    let prose = prose.strip_prefix("None. ").unwrap_or(prose);
    let prose = prose.split("\n\n").next().unwrap_or(prose);
    let prose = prose.split("\n- ").next().unwrap_or(prose);
    let words: Vec<&str> = prose.split_whitespace().collect();
    words.join(" ").replace('`', "")
}
