//! The part of a long run that a page keeps: its beginning, its end, and for the repetitions
//! between them their number and the last of them.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::draw::json::{array, object, shown as text};
use crate::world::Side;
use crate::world::sockets::SocketId;

/// After this many events of few kinds, further ones of these kinds are counted.
const WINDOW: usize = 240;
const KINDS: usize = 16;
/// A kind counts as one of them if it has occurred this often.
const OFTEN: usize = 4;
/// The most events of other kinds among them.
const OTHERS: usize = 8;
/// The last events of a counted stretch are kept; a stretch is counted if it has at least this many more.
const TAIL: usize = 24;
const WORTH_IT: usize = 40;

/// How much of a run a page keeps.
pub struct Limits {
    /// From this many events and bytes on, all events are only counted.
    events: usize,
    bytes: usize,
    /// From this many bytes of events on, a page is large.
    much: usize,
}

pub const WHOLE: Limits = Limits {
    events: 3000,
    bytes: 3 << 20,
    much: 1 << 20,
};
/// A page that stands within another.
pub const BRIEF: Limits = Limits {
    events: 120,
    bytes: 96 << 10,
    much: 24 << 10,
};

/// An event that the page may show.
pub struct Shown {
    pub kind: Kind,
    pub sent: u64,
    pub at: Option<u64>,
    pub pairs: Vec<(&'static str, String)>,
    /// The sockets that the event has changed.
    pub sockets: Vec<(SocketId, String)>,
}

/// The kind of an event, regardless of its task, its socket and its bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Kind {
    pub side: Side,
    pub thread: bool,
    pub name: String,
    pub error: String,
}

/// The events of a page.
pub struct Kept {
    limits: &'static Limits,
    events: Vec<String>,
    bytes: usize,
    /// The kinds of the last events, and how often each occurs.
    window: VecDeque<Kind>,
    often: HashMap<Kind, usize>,
    counting: Option<Counting>,
    /// Sockets that an event that is not shown has changed.
    pending: BTreeMap<SocketId, String>,
}

#[derive(Default)]
struct Counting {
    count: usize,
    /// The number of each call of each side.
    names: BTreeMap<(&'static str, String), usize>,
    /// The bytes that each side has sent.
    sent: [u64; 2],
    from: Option<u64>,
    until: Option<u64>,
    /// The state of the sockets after the counted events.
    sockets: BTreeMap<SocketId, String>,
    last: VecDeque<Shown>,
    /// The page is full: all further events are counted.
    full: bool,
}

impl Kept {
    pub fn new(limits: &'static Limits) -> Kept {
        Kept {
            limits,
            events: Vec::new(),
            bytes: 0,
            window: VecDeque::new(),
            often: HashMap::new(),
            counting: None,
            pending: BTreeMap::new(),
        }
    }

    /// Whether the kept events make a large page.
    pub fn are_many(&self) -> bool {
        self.bytes > self.limits.much
    }

    /// Sockets were changed by an event that is not shown.
    pub fn sockets(&mut self, sockets: Vec<(SocketId, String)>) {
        self.pending.extend(sockets);
    }

    pub fn take(&mut self, mut shown: Shown) {
        let mut sockets = std::mem::take(&mut self.pending);
        sockets.extend(std::mem::take(&mut shown.sockets));
        shown.sockets = sockets.into_iter().collect();
        let repeats = self.repeats(&shown.kind);
        self.remember(&shown.kind);
        let full = self.events.len() >= self.limits.events || self.bytes >= self.limits.bytes;
        if !repeats && !full && !self.counting.as_ref().is_some_and(|it| it.full) {
            self.stop_counting();
            return self.put(shown);
        }
        let counting = self.counting.get_or_insert_default();
        counting.full |= full;
        counting.last.push_back(shown);
        if counting.last.len() > TAIL + WORTH_IT {
            let surplus = counting.last.len() - TAIL;
            let gone: Vec<Shown> = counting.last.drain(..surplus).collect();
            for shown in gone {
                counting.count(shown);
            }
        }
    }

    fn repeats(&self, kind: &Kind) -> bool {
        if self.window.len() < WINDOW || self.often.get(kind).is_none_or(|times| *times < OFTEN) {
            return false;
        }
        let frequent = self.often.values().filter(|times| **times >= OFTEN);
        let (kinds, events) = frequent.fold((0, 0), |(kinds, all), times| (kinds + 1, all + times));
        kinds <= KINDS && events + OTHERS >= WINDOW
    }

    fn remember(&mut self, kind: &Kind) {
        self.window.push_back(kind.clone());
        *self.often.entry(kind.clone()).or_default() += 1;
        if self.window.len() <= WINDOW {
            return;
        }
        if let Some(gone) = self.window.pop_front() {
            let times = self.often.entry(gone).or_default();
            *times -= 1;
            if *times == 0 {
                self.often.retain(|_, times| *times > 0);
            }
        }
    }

    fn put(&mut self, mut shown: Shown) {
        if !shown.sockets.is_empty() {
            let sockets = shown.sockets.into_iter().map(|(_, json)| json);
            shown.pairs.push(("sockets", array(sockets)));
        }
        let event = object(&shown.pairs);
        self.bytes += event.len();
        self.events.push(event);
    }

    fn stop_counting(&mut self) {
        let Some(counting) = self.counting.take() else {
            return;
        };
        if counting.count > 0 {
            let event = counting.json();
            self.bytes += event.len();
            self.events.push(event);
        }
        counting.last.into_iter().for_each(|shown| self.put(shown));
    }

    /// The events, each as an object.
    pub fn end(&mut self) -> Vec<String> {
        self.stop_counting();
        std::mem::take(&mut self.events)
    }
}

impl Counting {
    fn count(&mut self, shown: Shown) {
        self.count += 1;
        let key = (shown.kind.side.name(), shown.kind.name);
        *self.names.entry(key).or_default() += 1;
        self.sent[shown.kind.side as usize] += shown.sent;
        self.from = self.from.or(shown.at);
        self.until = shown.at.or(self.until);
        self.sockets.extend(shown.sockets);
        // A page does not need sockets after they are closed.
        if self.sockets.len() > 64 {
            self.sockets.retain(|_, json| !json.contains("\"fds\":[]"));
        }
    }

    fn json(&self) -> String {
        let names = self
            .names
            .iter()
            .map(|((side, name), times)| format!("[{},{},{times}]", text(side), text(name)));
        let mut pairs = vec![
            ("kind", text(if self.full { "left" } else { "fold" })),
            ("count", self.count.to_string()),
            ("names", array(names)),
            ("sent", format!("[{},{}]", self.sent[0], self.sent[1])),
            ("sockets", array(self.sockets.values().cloned())),
        ];
        let mut put = |key, value: Option<u64>| {
            pairs.extend(value.map(|value| (key, value.to_string())));
        };
        put("entered", self.from);
        put("left", self.until);
        object(&pairs)
    }
}
