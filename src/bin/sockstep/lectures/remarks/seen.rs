//! What the rules need to know of earlier events.

use std::collections::{HashMap, HashSet};

use crate::strace::calls::{self, Does};
use crate::strace::line::{Call, What};
use crate::strace::text::bytes;
use crate::world::World;
use crate::world::events::{End, Event, EventId, Movement};
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
}

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
            _ => return,
        };
        self.take_words(event, call);
        self.take_sends(world, event);
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
}
