//! A whole run, for pictures that need all of it: its moments in the world's order, its tasks and
//! its sockets. Each picture in a file is a function from such runs to bytes.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use crate::draw::call::{Payload, brief, c_name};
use crate::draw::story::{OPEN, Story, Told};
use crate::lectures::steps::Step;
use crate::strace::calls::{self, Does, For};
use crate::strace::line::{Call, Entry, What};
use crate::world::Side;
use crate::world::events::{Event, Made};
use crate::world::sockets::{Address, Kind, SocketId};
use crate::world::tasks::TaskId;

/// The most events and bytes of a run that are kept. Later events are only counted.
const MOST: usize = 100_000;
const MOST_BYTES: usize = 128 << 20;
/// The same of a run whose picture is one of many in a page.
const FEW: usize = 160;
const FEW_BYTES: usize = 96 << 10;

/// A run, as far as it has been read.
pub struct History {
    /// The programs that were run.
    pub name: String,
    story: Story,
    pub moments: Vec<Moment>,
    /// The sockets that moments name, in their last state.
    pub sockets: BTreeMap<SocketId, Endpoint>,
    pub tasks: BTreeMap<TaskId, Doer>,
    /// The number of events that were not kept.
    pub left_out: u64,
    /// The waits of its tasks for each other, for children and for signals, which are not moments.
    pub idle: Vec<Wait>,
    /// It has many clients, each a source of its own: the picture shows their waits.
    pub of_clients: bool,
    /// The most events and bytes.
    most: [usize; 2],
    bytes: usize,
    steps: HashMap<(usize, Side), Step>,
}

/// An event that a picture shows.
pub struct Moment {
    pub event: Event,
    /// The step that begins with this event.
    pub heading: Option<Step>,
    /// The step of this event.
    pub step: Option<Step>,
    pub notes: Vec<String>,
    /// The text that a program prints, instead of a call; `true`: to standard error.
    pub words: Option<(bool, String)>,
}

/// A call in which a task is idle.
pub struct Wait {
    pub task: TaskId,
    pub call: String,
    pub from: u64,
    /// `None` if it has not returned.
    pub to: Option<u64>,
}

/// It makes a process or a thread.
pub struct Doer {
    pub side: Side,
    pub source: usize,
    pub pid: Option<u32>,
    pub thread: bool,
    pub program: Option<String>,
    /// Its number on its side, or within its client, in order of appearance.
    pub number: usize,
}

/// A socket in its last known state.
#[derive(Clone)]
pub struct Endpoint {
    /// The task that used it last.
    pub source: usize,
    pub side: Side,
    pub kind: Kind,
    /// `TCP`, `UDP`, `Unix-domain`
    pub name: &'static str,
    pub local: Option<Address>,
    pub remote: Option<Address>,
    pub peer: Option<SocketId>,
}

impl History {
    /// `brief` keeps only its beginning.
    pub fn new(name: String, brief: bool) -> History {
        History {
            name,
            story: Story::default(),
            moments: Vec::new(),
            sockets: BTreeMap::new(),
            tasks: BTreeMap::new(),
            left_out: 0,
            idle: Vec::new(),
            of_clients: false,
            most: if brief {
                [FEW, FEW_BYTES]
            } else {
                [MOST, MOST_BYTES]
            },
            bytes: 0,
            steps: HashMap::new(),
        }
    }

    /// A run of a server with many clients. Of these, `source` is the number; of the server it is 0.
    pub fn of_clients(name: String) -> History {
        History {
            story: Story::of_clients(),
            of_clients: true,
            ..History::new(name, false)
        }
    }

    /// Takes an entry of a trace.
    pub fn take(&mut self, source: usize, side: Side, entry: Entry) {
        self.story.take(source, side, entry);
        while let Some(told) = self.story.next() {
            self.told(told);
        }
    }

    /// The end of the run: the rest of the events is processed.
    pub fn end(&mut self) {
        while let Some(told) = self.story.rest() {
            self.told(told);
        }
    }

    fn told(&mut self, told: Told) {
        let Told {
            event,
            step,
            mut notes,
            words,
            is_shown,
        } = told;
        if !is_shown {
            if self.of_clients {
                self.note_a_wait(&event);
            }
            return;
        }
        let size = event.call().map_or(0, |call| {
            call.args.iter().map(String::len).sum::<usize>() + 512
        });
        let [events, bytes] = self.most;
        if self.moments.len() >= events || self.bytes + size > bytes {
            self.left_out += 1;
            return;
        }
        self.bytes += size;
        if event.call().is_some_and(Call::is_unfinished) {
            notes.insert(0, OPEN.to_owned());
        }
        self.know(&event);
        let column = (event.source, event.side);
        let known = self.steps.get(&column);
        let heading = step.clone().filter(|step| known != Some(step));
        if let Some(step) = &step {
            self.steps.insert(column, step.clone());
        }
        self.moments.push(Moment {
            event,
            heading,
            step,
            notes,
            words,
        });
    }

    fn note_a_wait(&mut self, event: &Event) {
        let waits = event.call().and_then(|call| calls::waits(&call.name));
        let (Some(call), Some(from)) = (event.call(), event.entered) else {
            return;
        };
        if matches!(waits, Some(For::Task | For::Child | For::Signal)) && self.idle.len() < MOST {
            let (task, to) = (event.task, call.took.map(|took| from + took));
            let call = call.name.clone();
            self.idle.push(Wait {
                task,
                call,
                from,
                to,
            });
        }
    }

    /// Records the event's task, and the present state of its sockets.
    fn know(&mut self, event: &Event) {
        let made = match event.made {
            Made::Task(task) => Some(task),
            _ => None,
        };
        for id in [Some(event.task), made].into_iter().flatten() {
            let task = self.story.world.task(id);
            let alike = |doer: &&Doer| doer.side == task.side && doer.source == task.source;
            let number = self.tasks.values().filter(alike).count() + 1;
            let known = self.tasks.entry(id).or_insert_with(|| Doer {
                side: task.side,
                source: task.source,
                pid: task.pid,
                thread: task.thread,
                program: None,
                number,
            });
            known.program.clone_from(&task.program);
        }
        let mut ids: Vec<SocketId> = event.socket.into_iter().collect();
        ids.extend(event.moved.iter().map(|moved| moved.socket));
        match event.made {
            Made::Socket(id) => ids.push(id),
            Made::Pair(one, other) => ids.extend([one, other]),
            _ => {}
        }
        let peers = ids
            .iter()
            .filter_map(|id| self.story.world.socket(*id)?.peer);
        let peers: Vec<SocketId> = peers.collect();
        ids.extend(peers);
        for id in ids {
            if let Some(socket) = self.story.world.socket(id) {
                let known = self.sockets.get(&id).map(|own| own.source);
                let own_event = event.socket == Some(id) || event.made == Made::Socket(id);
                let source = known.filter(|_| !own_event).unwrap_or(event.source);
                let own = Endpoint {
                    source,
                    side: socket.side,
                    kind: socket.kind,
                    name: socket.name(),
                    local: socket.local.clone(),
                    remote: socket.remote.clone().or(socket.asked.clone()),
                    peer: socket.peer,
                };
                self.sockets.insert(id, own);
            }
        }
    }

    /// The name of a task: `client`, `server`, `client 2`, `server, thread 3`.
    pub fn label(&self, id: TaskId) -> String {
        let Some(doer) = self.tasks.get(&id) else {
            return "task".to_owned();
        };
        let clients = self.tasks.values().filter(|doer| doer.side == Side::Client);
        let several = clients.map(|doer| doer.source).any(|source| source > 1);
        let mut label = doer.side.name().to_owned();
        if several && doer.side == Side::Client {
            let _ = write!(label, " {}", doer.source); // into memory
        }
        match (doer.number, doer.thread) {
            (1, _) => label,
            (number, true) => format!("{label}, thread {number}"),
            (number, false) => format!("{label}, process {number}"),
        }
    }

    /// The client at the other end of a server's socket.
    pub fn client_of(&self, socket: SocketId) -> Option<usize> {
        let peer = self.sockets.get(&self.sockets.get(&socket)?.peer?)?;
        (peer.side == Side::Client).then_some(peer.source)
    }

    /// The time of its first event.
    pub fn start(&self) -> Option<u64> {
        let times = self.moments.iter().filter_map(|it| it.event.entered);
        times.min()
    }
}

impl Moment {
    /// The event in short form, in one row.
    pub fn short(&self, most: usize) -> String {
        if let Some((_, words)) = &self.words {
            return words.clone();
        }
        match &self.event.what {
            What::Call(call) => brief(call, Payload::Text, most).join(" "),
            What::Signal(words) => words.split(" {").next().unwrap_or(words).to_owned(),
            What::End(words) | What::Unknown(words) => words.clone(),
        }
    }

    /// The call in C's form, or a description of another event.
    pub fn name(&self) -> &str {
        match &self.event.what {
            _ if self.words.is_some() => "words",
            What::Call(call) => c_name(call),
            What::Signal(_) => "signal",
            What::End(_) => "end",
            What::Unknown(_) => "unknown",
        }
    }

    pub fn failed(&self) -> bool {
        self.event.call().is_some_and(Call::failed)
    }

    /// Whether it begins a connection.
    pub fn connects(&self) -> bool {
        let call = self.event.call();
        let row = call.and_then(|call| calls::of(&call.name));
        row.is_some_and(|row| row.does == Does::Connects)
            && call.is_some_and(|call| !call.failed() || call.note.starts_with("EINPROGRESS"))
    }

    /// How long a call that can wait has waited, in nanoseconds.
    pub fn waited(&self) -> Option<u64> {
        let call = self.event.call()?;
        calls::waits(&call.name)?;
        let took = call.took.or_else(|| {
            let (entered, left) = (self.event.entered?, self.event.left?);
            Some(left.saturating_sub(entered))
        });
        took.filter(|_| self.words.is_none())
    }
}
