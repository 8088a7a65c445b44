//! The order of events. Entries are returned in the order of time, but never an effect before its
//! cause, whatever the clocks say: a receive comes after the send of its bytes, a 0 after the
//! close, an accept after its connect, a task's calls after the task was made.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::strace::calls::{self, Does, For, Row, made_task, number};
use crate::strace::line::{Begun, Call, Entry, What};
use crate::world::events::{Event, Movement};
use crate::world::sockets::{Address, Kind, Socket, SocketId, State};
use crate::world::tasks::{Task, TaskId};
use crate::world::{Side, World};

/// Entries of a live run are reordered within this time, in nanoseconds.
pub const SETTLE: u64 = 20_000_000;

/// How long an entry waits for a cause that has not been read yet, in nanoseconds.
const PATIENCE: u64 = 200_000_000;
/// The same if an unfinished call may be the cause.
const LONG_PATIENCE: u64 = 1_500_000_000;

/// An entry that has been read, to be returned in its turn.
pub(super) struct Held {
    pub source: usize,
    pub side: Side,
    pub entry: Entry,
    at: u64,
    turn: u64,
}

type Key = (usize, Option<u32>);

/// A task that is in a call, and the descriptor that the call is on.
struct InCall {
    pid: Option<u32>,
    on: Option<i32>,
    row: &'static Row,
}

/// The waiting entries of each task, in its own order.
#[derive(Default)]
pub(super) struct Queue {
    tasks: HashMap<Key, VecDeque<Held>>,
    turn: u64,
    /// The latest time of each source, for entries that have none.
    latest: HashMap<usize, u64>,
    /// How many entries are held, and about how many bytes they take.
    held: usize,
    bytes: usize,
    /// Waiting entries that may be causes: sends and ends; connects and listens, by address; the
    /// making of tasks.
    sends: usize,
    ends: usize,
    accepts: usize,
    places: HashMap<(Does, String), usize>,
    making: HashSet<Key>,
    under_way: HashMap<usize, Vec<InCall>>,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub fn take(&mut self, source: usize, side: Side, entry: Entry) {
        let latest = self.latest.entry(source).or_default();
        // A call receives when it ends, and sends when it begins.
        let at = entry.start.map(|start| match &entry.what {
            What::Call(call) if brings(call) => {
                let took = call.took.map(|took| start.saturating_add(took));
                took.or(entry.until).unwrap_or(start)
            }
            _ => start,
        });
        let key = (source, entry.pid);
        let own = self.tasks.entry(key).or_default();
        let before = own.back().map_or(0, |held| held.at);
        let at = at.unwrap_or(*latest).max(before);
        *latest = at.max(*latest);
        let turn = self.turn;
        self.turn += 1;
        self.held += 1;
        self.bytes += size(&entry);
        own.push_back(Held {
            source,
            side,
            entry,
            at,
            turn,
        });
        let held = own.back().map(|held| &held.entry);
        if let Some(marks) = held.map(Marks::of) {
            self.count(source, marks, true);
        }
    }

    fn count(&mut self, source: usize, marks: Marks, more: bool) {
        let change = |number: &mut usize| {
            *number = if more {
                *number + 1
            } else {
                number.saturating_sub(1)
            }
        };
        if marks.sends {
            change(&mut self.sends);
        }
        if marks.ends {
            change(&mut self.ends);
        }
        if marks.accepts {
            change(&mut self.accepts);
        }
        if let Some(place) = marks.place {
            let number = self.places.entry(place.clone()).or_default();
            change(number);
            if *number == 0 {
                self.places.remove(&place);
            }
        }
        if let Some(pid) = marks.makes {
            let key = (source, Some(pid));
            if more {
                self.making.insert(key);
            } else {
                self.making.remove(&key);
            }
        }
    }

    /// Whether a task's first entry ended at its time: of a call without a duration, only the
    /// beginning is known.
    fn knows_when(&self, key: Key) -> bool {
        let first = self.tasks.get(&key).and_then(VecDeque::front);
        first.is_some_and(|held| match &held.entry.what {
            What::Call(call) => call.took.is_some() || !brings(call),
            _ => true,
        })
    }

    /// The first entry of each task, in the order of time.
    fn heads(&self) -> Vec<(u64, u64, Key)> {
        let mut heads: Vec<_> = self
            .tasks
            .iter()
            .filter_map(|(&key, own)| own.front().map(|held| (held.at, held.turn, key)))
            .collect();
        heads.sort_unstable();
        heads
    }

    fn pop(&mut self, key: Key) -> Option<Held> {
        let own = self.tasks.get_mut(&key)?;
        let held = own.pop_front();
        if own.is_empty() {
            self.tasks.remove(&key);
        }
        let held = held?;
        self.held -= 1;
        self.bytes -= size(&held.entry);
        self.count(held.source, Marks::of(&held.entry), false);
        Some(held)
    }

    /// The tasks of a source whose making was not seen, the first ones first.
    pub fn foundlings(&self, source: usize, known: impl Fn(Key) -> bool) -> Vec<Key> {
        let making = |row: &Row| row.does == Does::MakesTask;
        if self.is_under_way((source, None), making) {
            return Vec::new();
        }
        let heads = self.heads().into_iter().map(|(_, _, key)| key);
        heads
            .filter(|&key| key.0 == source && !known(key) && !self.making.contains(&key))
            .collect()
    }

    /// The task's entries on a descriptor, until it gets another one with that number.
    pub fn uses(&self, key: Key, descriptor: i32, wanted: impl Fn(&Row) -> bool) -> bool {
        let held = self.tasks.get(&key).into_iter().flatten();
        for held in held.take(AHEAD) {
            let What::Call(call) = &held.entry.what else {
                continue;
            };
            let Some(row) = calls::of(&call.name) else {
                continue;
            };
            let on = row.on.and_then(|at| calls::descriptor(call.args.get(at)?));
            if on == Some(descriptor) && wanted(row) {
                return true;
            }
            if row.does == Does::Accepts && calls::descriptor(&call.result) == Some(descriptor) {
                return false;
            }
        }
        false
    }

    fn is_under_way(&self, but: Key, wanted: impl Fn(&Row) -> bool) -> bool {
        self.under_way.iter().any(|(&source, calls)| {
            calls
                .iter()
                .any(|it| (source, it.pid) != but && wanted(it.row))
        })
    }
}

/// How many entries of a task are read to find out which side it is.
const AHEAD: usize = 1000;

/// A pause of this length counts as a wait.
const A_WHILE: u64 = 1_000_000_000;

/// A task that waits in a call.
#[derive(Clone, Debug)]
pub struct Waits {
    pub task: TaskId,
    pub side: Side,
    pub since: u64,
    pub call: String,
}

/// How much of a recording is held so that causes and effects meet.
const HELD: usize = 8192;
const HELD_BYTES: usize = 64 << 20;

fn size(entry: &Entry) -> usize {
    match &entry.what {
        What::Call(call) => call.args.iter().map(String::len).sum(),
        _ => 0,
    }
}

/// The effects that an entry may cause.
struct Marks {
    sends: bool,
    ends: bool,
    accepts: bool,
    place: Option<(Does, String)>,
    makes: Option<u32>,
}

impl Marks {
    fn of(entry: &Entry) -> Marks {
        let mut marks = Marks {
            sends: false,
            ends: matches!(entry.what, What::End(_)),
            accepts: false,
            place: None,
            makes: None,
        };
        let What::Call(call) = &entry.what else {
            return marks;
        };
        let Some(row) = calls::of(&call.name) else {
            return marks;
        };
        let address = || Some(Address::of(call.args.get(1)?)?.key());
        marks.sends = row.sends.is_some() && number(&call.result).is_some_and(|n| n > 0);
        marks.ends |= matches!(
            row.does,
            Does::Closes
                | Does::ClosesRange
                | Does::Shuts
                | Does::Duplicates
                | Does::BecomesProgram
        );
        marks.accepts = row.does == Does::Accepts && !call.failed();
        let connects =
            row.does == Does::Connects && (!call.failed() || call.note.starts_with("EINPROGRESS"));
        // After a bind to port 0 it is getsockname that tells the port.
        let binds = matches!(row.does, Does::Binds | Does::Names(false)) && !call.failed();
        if connects || binds {
            let does = if binds { Does::Binds } else { row.does };
            marks.place = address().map(|key| (does, key));
        }
        marks.makes = made_task(call).map(|(pid, _)| pid);
        marks
    }
}

/// Whether a call's row is placed at its end: it may have waited for what it receives.
fn brings(call: &Call) -> bool {
    let Some(row) = calls::of(&call.name) else {
        return false;
    };
    row.receives.is_some() || (row.waits.is_some() && row.sends.is_none())
}

impl World {
    /// The unfinished calls of a source's tasks: they may be causes of entries of others.
    pub fn is_in(&mut self, source: usize, calls: &[Begun]) {
        let rows = calls.iter().filter_map(|call| {
            let number = call
                .descriptor
                .as_ref()
                .and_then(|number| number.parse().ok());
            let row = calls::of(&call.name)?;
            Some(InCall {
                pid: call.pid,
                on: number,
                row,
            })
        });
        self.queue.under_way.insert(source, rows.collect());
    }

    /// The next event of those up to this time (in nanoseconds of the clock that the entries have); `u64::MAX` if no more will
    /// be taken.
    pub fn next(&mut self, settled: u64) -> Option<Event> {
        let heads = self.queue.heads();
        let mut first = None;
        for (at, _, key) in heads {
            if at > settled && first.is_none() {
                return None;
            }
            // An entry that is much later by the same clock does not overtake a waiting one whose
            // end is known.
            let later = |(waiting, its, _): (u64, Key, u64)| {
                its.0 == key.0 && at > waiting + LONG_PATIENCE && self.queue.knows_when(its)
            };
            if first.is_some_and(later) {
                continue;
            }
            match self.waits_for_a_cause(key) {
                None => {
                    let held = self.queue.pop(key)?;
                    return Some(self.happen(held));
                }
                Some(patience) if at <= settled => {
                    first.get_or_insert((at, key, patience));
                }
                Some(_) => {}
            }
        }
        // All wait for causes that have not been seen: after a while, and at the end, the first one
        // is returned without.
        let (at, key, patience) = first?;
        if settled != u64::MAX && at > settled.saturating_sub(patience) {
            return None;
        }
        let held = self.queue.pop(key)?;
        Some(self.happen(held))
    }

    /// Whether more is held than causes and effects need: then the first one is returned.
    pub fn is_full(&self) -> bool {
        self.queue.held > HELD || self.queue.bytes > HELD_BYTES
    }

    /// Whether a task's next entry is the effect of a cause that may still come, and how long to
    /// wait for it.
    fn waits_for_a_cause(&self, key: Key) -> Option<u64> {
        let entry = &self.queue.tasks.get(&key)?.front()?.entry;
        if !self.by_pid.contains_key(&key) {
            let making = |row: &Row| row.does == Does::MakesTask;
            if self.queue.making.contains(&key)
                || (self.knows(key.0) && self.queue.is_under_way(key, making))
            {
                return Some(PATIENCE);
            }
        }
        let What::Call(call) = &entry.what else {
            return None;
        };
        let row = calls::of(&call.name)?;
        let socket = self.held_socket(key, row, call);
        if row.does == Does::Connects && (!call.failed() || call.note.starts_with("EINPROGRESS")) {
            // A datagram socket has no listener.
            let meets = socket.is_none_or(Socket::is_connected_by_nature);
            return self.connect_waits(call).filter(|_| meets);
        }
        let socket = socket?;
        if row.does == Does::Accepts && !call.failed() {
            return self.accept_waits(key, socket);
        }
        let data = row.receives.or(row.sends)?;
        let ended = matches!(call.note.split(' ').next(), Some("ECONNRESET" | "EPIPE"))
            && !call.note.contains("(INJECTED"); // an injected error has no cause
        if !ended && (call.failed() || row.receives.is_none()) {
            return None;
        }
        let received = if ended {
            0
        } else {
            number(&call.result).and_then(|n| u64::try_from(n).ok())?
        };
        if !socket.is_connected_by_nature() {
            let may_come =
                self.queue.sends > 0 || self.queue.is_under_way(key, |row| row.sends.is_some());
            let known = socket.local.is_some() || socket.remote.is_some();
            return (known && !ended && !self.has_mail(socket) && may_come).then_some(PATIENCE);
        }
        let Some(peer) = socket.peer.and_then(|peer| self.socket(peer)) else {
            // It may not have been accepted yet.
            let queued = self.is_queued(socket.id) && self.queue.accepts > 0;
            return queued.then_some(PATIENCE);
        };
        if received == 0 && (ended || data.asked(call) != Some(0)) {
            let may_come = self.queue.ends > 0
                || self.queue.is_under_way(key, |row| {
                    matches!(row.does, Does::Closes | Does::Shuts | Does::Exits)
                });
            let own = socket.ended.is_some() && row.sends.is_some();
            return (peer.ended.is_none() && !own && may_come).then_some(PATIENCE);
        }
        if peer.sent >= socket.received + received {
            return None;
        }
        let sending = |row: &Row| row.sends.is_some();
        if self.queue.is_under_way(key, sending) {
            return Some(LONG_PATIENCE);
        }
        (self.queue.sends > 0).then_some(PATIENCE)
    }

    // ---- Which task waits for which ----

    /// Two tasks that are each in a receive from the other with no bytes under way, or each in a
    /// send that the other does not receive, for at least a second, while no other task makes a
    /// call. `under_way`: each source's unfinished calls.
    pub fn deadlock(&self, under_way: &[Vec<Begun>; 2], now: u64) -> Option<[Waits; 2]> {
        let mut waits: Vec<(Waits, SocketId, bool)> = Vec::new();
        for (source, calls) in under_way.iter().enumerate() {
            for call in calls {
                let row = calls::of(&call.name)?;
                if !matches!(
                    row.waits?,
                    For::Peer | For::Child | For::Task | For::Anybody
                ) {
                    return None; // it may be doing other work
                }
                let number = call
                    .descriptor
                    .as_ref()
                    .and_then(|number| number.parse().ok());
                let socket = number.and_then(|number| self.descriptor(source, call.pid, number));
                let (Some(socket), Some(since)) = (socket, call.start) else {
                    if row.receives.is_some() {
                        return None; // the bytes may come from a user or from an untraced program
                    }
                    continue;
                };
                let long = now.saturating_sub(since) >= A_WHILE && !socket.gives_up;
                if long && (row.receives.is_some() || row.sends.is_some()) {
                    let task = self.task_of(source, call.pid)?;
                    let call = format!("{}({})", call.name, call.descriptor.as_deref()?);
                    let waiting = Waits {
                        task: task.id,
                        side: task.side,
                        since,
                        call,
                    };
                    waits.push((waiting, socket.id, row.receives.is_some()));
                }
            }
        }
        for (at, (one, socket, receives)) in waits.iter().enumerate() {
            let peer = self.socket(*socket)?.peer;
            let other = waits[at + 1..]
                .iter()
                .find(|(_, other, others)| Some(*other) == peer && others == receives);
            let Some((other, of_other, _)) = other else {
                continue;
            };
            let quiet = [socket, of_other]
                .iter()
                .all(|id| self.under_way(**id) == Some(0));
            if !*receives || quiet {
                return Some([one.clone(), other.clone()]);
            }
        }
        None
    }

    /// A task that has waited for a second at least to receive from the other side, of which nothing is on its way, and of which no
    /// task will send: all of them wait for a new client, or have ended (then there is no word of what they wait in).
    pub fn waits_in_vain(
        &self,
        under_way: &[Vec<Begun>; 2],
        now: u64,
    ) -> Option<(Waits, Option<String>)> {
        under_way.iter().enumerate().find_map(|(source, calls)| {
            let call = calls.iter().find(|call| {
                let receives = calls::of(&call.name).is_some_and(|row| row.receives.is_some());
                let since = call.start.map_or(0, |start| now.saturating_sub(start));
                receives && since >= A_WHILE
            })?;
            let number = call.descriptor.as_ref()?;
            let socket = self.descriptor(source, call.pid, number.parse().ok()?)?;
            let theirs = &under_way[1 - source];
            let its = |task: &&Task| task.source != source && !task.ended;
            let alive = self.tasks.iter().filter(its).count();
            let of_the_other = self.tasks.iter().any(|task| task.source != source);
            let waits = |it: &Begun| match calls::of(&it.name) {
                Some(row) if row.does == Does::Accepts => true,
                Some(row) => matches!(row.waits, Some(For::Child | For::Signal)),
                None => false,
            };
            let accepts = theirs
                .iter()
                .find(|it| calls::does(&it.name) == Does::Accepts);
            let comes = socket.gives_up
                || socket.paired
                || self.has_mail(socket) && socket.kind == Kind::Datagram
                || socket
                    .peer
                    .is_some_and(|peer| self.under_way(peer) != Some(0));
            if comes || !of_the_other || theirs.len() != alive || !theirs.iter().all(waits) {
                return None;
            }
            let other = match accepts {
                Some(it) => Some(format!("{}({})", it.name, it.descriptor.as_deref()?)),
                None if alive == 0 => None,
                None => return None,
            };
            let task = self.task_of(source, call.pid)?;
            let waits = Waits {
                task: task.id,
                side: task.side,
                since: call.start?,
                call: format!("{}({number})", call.name),
            };
            Some((waits, other))
        })
    }

    /// Whether an event is a receive that has not returned or that a signal has ended, while the other end was in a receive as
    /// well, or a send while the other was in a send: neither would have gone on.
    pub fn is_deadlocked(&self, event: &Event) -> bool {
        let socket = event.socket.and_then(|id| self.socket(id));
        let peer = socket.and_then(|socket| Some((socket, socket.peer?)));
        let (Some(call), Some((socket, peer))) = (event.call(), peer) else {
            return false;
        };
        let Some(row) = calls::of(&call.name) else {
            return false;
        };
        let sends = row.sends.is_some();
        // For an unfinished send, the kernel says how many bytes it has taken.
        let waits =
            !socket.nonblocking && !socket.gives_up && !calls::has_flag(call, "MSG_DONTWAIT");
        let cut_short = event.moved.iter().any(
            |moved| matches!(&moved.what, Movement::Sent { range, asked } if range.end - range.start < *asked),
        );
        let open = call.is_unfinished();
        let interrupted = call.note.starts_with("ERESTART") || open || (waits && cut_short);
        let data = |row: &Row| if sends { row.sends } else { row.receives };
        let quiet = [socket.id, peer]
            .iter()
            .all(|id| self.under_way(*id) == Some(0));
        let ended = |id| self.socket(id).is_none_or(|socket| socket.ended.is_some());
        let blocked = data(row).is_some() && (quiet || sends);
        if !interrupted || !blocked || ended(socket.id) || ended(peer) {
            return false;
        }
        let waits = |(key, own): (&Key, &VecDeque<Held>)| {
            let Some(Held { entry, .. }) = own.front() else {
                return false;
            };
            let What::Call(other) = &entry.what else {
                return false;
            };
            let number = calls::of(&other.name)
                .and_then(data)
                .and_then(|data| calls::descriptor(other.args.get(data.on)?));
            let on = number.and_then(|number| self.descriptor(key.0, key.1, number));
            let meanwhile = if open {
                other.is_unfinished()
            } else {
                entry.start < event.left
            };
            on.is_some_and(|on| on.id == peer) && meanwhile
        };
        let is_in = |(&source, calls): (&usize, &Vec<InCall>)| {
            calls.iter().any(|it| {
                let on = it
                    .on
                    .and_then(|number| self.descriptor(source, it.pid, number));
                data(it.row).is_some() && on.is_some_and(|on| on.id == peer)
            })
        };
        self.queue.tasks.iter().any(waits) || self.queue.under_way.iter().any(is_in)
    }

    fn knows(&self, source: usize) -> bool {
        self.tasks.iter().any(|task| task.source == source)
    }

    /// The socket of an entry that is still waiting.
    fn held_socket(&self, key: Key, row: &Row, call: &Call) -> Option<&Socket> {
        let at = match row.receives {
            Some(data) => data.on,
            None => row.on?,
        };
        let number = calls::descriptor(call.args.get(at)?)?;
        self.descriptor(key.0, key.1, number)
    }

    fn is_queued(&self, id: SocketId) -> bool {
        self.sockets
            .values()
            .any(|socket| socket.queue.iter().any(|waiting| waiting.socket == id))
    }

    /// A connect that succeeded had a listener.
    fn connect_waits(&self, call: &Call) -> Option<u64> {
        let to = Address::of(call.args.get(1)?)?;
        if self.listener_at(&to).is_some() {
            return None;
        }
        let bound = self.sockets.values().any(|socket| {
            socket.state == State::Bound
                && socket
                    .local
                    .as_ref()
                    .is_some_and(|local| local.is_reached_at(&to))
        });
        let may_come = bound || self.queue.places.contains_key(&(Does::Binds, to.key()));
        may_come.then_some(PATIENCE)
    }

    /// An accepted connection has a connect.
    fn accept_waits(&self, key: Key, listener: &Socket) -> Option<u64> {
        if !listener.queue.is_empty() {
            return None;
        }
        let local = listener.local.as_ref()?;
        let held = self
            .queue
            .places
            .contains_key(&(Does::Connects, local.key()));
        let connecting = |row: &Row| row.does == Does::Connects;
        if !held && self.queue.is_under_way(key, connecting) {
            return Some(LONG_PATIENCE);
        }
        held.then_some(PATIENCE)
    }
}
