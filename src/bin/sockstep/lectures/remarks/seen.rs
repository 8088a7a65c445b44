//! What the rules need to know about earlier events.

use std::collections::{HashMap, HashSet};

use crate::strace::calls::{self, Does};
use crate::strace::line::{Call, What};
use crate::strace::text::bytes;
use crate::world::World;
use crate::world::events::{End, Event, EventId, Made, Movement};
use crate::world::sockets::{Socket, SocketId};
use crate::world::tasks::TaskId;

/// Remarks already made.
#[derive(Default)]
pub(super) struct Seen {
    /// The run is live: this machine's kernel can be asked about it.
    pub(super) live: bool,
    /// Numbers among the arguments of each side's programs: perhaps ports that the user asked for.
    pub(super) asked: [HashSet<u16>; 2],
    /// Sockets on which 0 was received, and how often.
    pub(super) zeros: Vec<(SocketId, u32)>,
    /// The messages that each socket has sent since it last received.
    pub(super) sends: HashMap<SocketId, Sends>,
    /// Sides that have got SIGTERM.
    pub(super) asked_to_end: [bool; 2],
    /// Tasks whose reads, and so also writes, are recorded; tasks with output in C's stdio buffer.
    pub(super) reads: HashSet<TaskId>,
    pub(super) buffers: HashSet<TaskId>,
    /// A task of that side has made a socket.
    pub(super) sockets: [bool; 2],
    /// Sockets that close() closed with unread messages.
    pub(super) closed: HashSet<SocketId>,
    /// The tasks that accepted a socket and that moved data on it.
    pub(super) uses: HashMap<SocketId, Uses>,
    /// When a task ended.
    pub(super) ends: HashMap<TaskId, u64>,
    /// The contents of the buffer into which a socket's bytes are received.
    pub(super) buffered: HashMap<SocketId, Buffered>,
    /// How many EAGAINs in a row a task has had, without a wait between them.
    pub(super) again: HashMap<TaskId, u32>,
    /// The descriptors that a task's last two calls closed, where they were a close.
    pub(super) closes: HashMap<TaskId, (Option<i32>, Option<i32>)>,
    /// The socket on which a task last met EPIPE.
    pub(super) pipes: HashMap<TaskId, SocketId>,
}

#[derive(Default)]
pub(super) struct Uses {
    pub(super) acceptor: Option<TaskId>,
    /// The listening socket that it was accepted from.
    pub(super) listener: Option<SocketId>,
    pub(super) users: HashSet<TaskId>,
}

/// A buffer's beginning: the bytes of the last receive, then the rest of earlier ones.
pub(super) struct Buffered {
    pub(super) bytes: Vec<u8>,
    /// The bytes of the last receive, and the room that it had.
    pub(super) length: u64,
    pub(super) room: u64,
}

/// The most sockets remembered.
const KEPT: usize = 1024;

/// Sends in a row.
pub(super) struct Sends {
    pub(super) number: u32,
    pub(super) last: EventId,
    /// When the last one had returned.
    pub(super) left: u64,
}

impl Seen {
    pub(super) fn take(&mut self, world: &World, event: &Event) {
        let call = match &event.what {
            What::Call(call) => call,
            What::Signal(signal) => {
                let asks = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"];
                let name = signal.split(' ').next().unwrap_or_default();
                self.asked_to_end[event.side as usize] |= asks.contains(&name);
                return;
            }
            What::End(_) => {
                self.ends.extend(event.entered.map(|at| (event.task, at)));
                return;
            }
            What::Unknown(_) => return,
        };
        self.take_words(event, call);
        self.take_sends(world, event);
        self.take_uses(event);
        self.take_buffer(event, call);
        self.take_again(event, call);
        let closes = calls::does(&call.name) == Does::Closes;
        let number = call.args.first().and_then(|arg| calls::descriptor(arg));
        let (before, last) = self.closes.entry(event.task).or_default();
        (*before, *last) = (*last, number.filter(|_| closes));
        let left = |id: &SocketId| {
            let socket = world.socket(*id);
            socket.is_some_and(|socket| !socket.is_open() && socket.unread_messages > 0)
        };
        self.closed.extend(event.socket.filter(left));
        if calls::does(&call.name) == Does::BecomesProgram {
            let words = call
                .args
                .get(1)
                .map(|arg| calls::items(arg))
                .unwrap_or_default();
            let ports = words.iter().filter_map(|word| {
                let (text, _) = bytes(word)?;
                String::from_utf8(text).ok()?.parse::<u16>().ok()
            });
            self.asked[event.side as usize].extend(ports);
        }
        let Some(id) = event.socket else { return };
        let zero = |movement: &Movement| *movement == Movement::MetEnd(End::Fin);
        if !call.failed() && event.moved.iter().any(|moved| zero(&moved.what)) {
            match self.zeros.iter_mut().find(|(known, _)| *known == id) {
                Some((_, times)) => *times += 1,
                None => self.zeros.push((id, 1)),
            }
            if self.zeros.len() > 64 {
                self.zeros.remove(0);
            }
        }
    }
}

impl Seen {
    /// The C library checks what standard output is at the first output: for a pipe or a file it
    /// buffers.
    fn take_words(&mut self, event: &Event, call: &Call) {
        self.sockets[event.side as usize] |= event.on_a_socket;
        let on = call.args.first().and_then(|arg| calls::descriptor(arg));
        match (call.name.as_str(), on) {
            ("read" | "close", _) => {
                self.reads.insert(event.task);
            }
            // Other languages check it at their start.
            ("fstat" | "fstat64" | "newfstatat" | "statx", Some(1)) => {
                let keeps = |arg: &String| {
                    arg.contains("st_mode=S_IFIFO") || arg.contains("st_mode=S_IFREG")
                };
                if self.sockets[event.side as usize] && call.args.iter().any(keeps) {
                    self.buffers.insert(event.task);
                }
            }
            ("write" | "writev", Some(1)) => {
                self.buffers.remove(&event.task);
            }
            _ if calls::does(&call.name) == Does::BecomesProgram => {
                self.buffers.remove(&event.task);
            }
            _ => {}
        }
    }

    fn take_sends(&mut self, world: &World, event: &Event) {
        for moved in &event.moved {
            match (&moved.what, event.left) {
                (Movement::Sent { .. }, Some(left)) => {
                    let own = self.sends.entry(moved.socket).or_insert(Sends {
                        number: 0,
                        last: event.id,
                        left,
                    });
                    (own.number, own.last, own.left) = (own.number + 1, event.id, left);
                }
                (Movement::Received { .. }, _) => {
                    self.sends.remove(&moved.socket);
                }
                _ => {}
            }
        }
        if self.sends.len() > 1024 {
            self.sends
                .retain(|id, _| world.socket(*id).is_some_and(Socket::is_open));
        }
    }

    fn take_uses(&mut self, event: &Event) {
        if self.uses.len() > KEPT {
            self.uses.clear();
        }
        let task = event.task;
        if let (Made::Socket(id), listener @ Some(_)) = (event.made, event.socket) {
            let accepts = event
                .call()
                .is_some_and(|call| calls::does(&call.name) == Does::Accepts);
            if accepts {
                let acceptor = Some(task);
                self.uses.insert(
                    id,
                    Uses {
                        acceptor,
                        listener,
                        ..Uses::default()
                    },
                );
            }
        }
        let moved = event.moved.iter().filter(|moved| {
            matches!(
                moved.what,
                Movement::Sent { .. } | Movement::Received { .. }
            )
        });
        for moved in moved {
            if let Some(uses) = self.uses.get_mut(&moved.socket) {
                uses.users.insert(task);
            }
        }
    }

    fn take_buffer(&mut self, event: &Event, call: &Call) {
        let Some((id, row)) = event.socket.zip(calls::of(&call.name)) else {
            return;
        };
        let Some(data) = row.receives.filter(|_| !call.failed()) else {
            return;
        };
        if self.buffered.len() > KEPT {
            self.buffered.clear();
        }
        let mut parcels = data.parcels(row, call);
        let parcel = parcels.pop().filter(|_| parcels.is_empty());
        let Some((parcel, room)) = parcel.and_then(|it| it.asked.map(|room| (it, room))) else {
            return;
        };
        let [(bytes, _)] = &parcel.pieces[..] else {
            return;
        };
        let own = self.buffered.entry(id).or_insert(Buffered {
            bytes: Vec::new(),
            length: 0,
            room,
        });
        if own.bytes.len() < bytes.len() {
            own.bytes.resize(bytes.len(), 0);
        }
        own.bytes[..bytes.len()].copy_from_slice(bytes);
        (own.length, own.room) = (parcel.length, room);
    }

    fn take_again(&mut self, event: &Event, call: &Call) {
        let error = call.note.split(' ').next().unwrap_or_default();
        let (task, id) = (event.task, event.socket);
        if error == "EPIPE" {
            self.pipes.extend(id.map(|id| (task, id)));
        }
        let nothing = error == "EAGAIN"
            && id.is_some()
            && calls::of(&call.name)
                .is_some_and(|row| row.receives.is_some() || row.does == Does::Accepts);
        if nothing {
            *self.again.entry(task).or_default() += 1;
        } else if call.name != "write" || id.is_some() {
            self.again.remove(&task);
        }
    }
}
