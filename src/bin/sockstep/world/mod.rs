//! The kernel's view: tasks, descriptors, sockets, streams, causes.
//!
//! A [`World`] takes entries of traces, of live runs and of recordings, in any order:
//! [`World::take`]. It returns events, never an effect before its cause: [`World::next`]. It
//! remembers only what is open now; events belong to the caller.
//!
//! ```text
//! world.take(source, side, entry);
//! while let Some(event) = world.next(settled) {
//!     let task = world.task(event.task);
//!     let socket = event.socket.map(|id| world.socket(id));     // as it is after this event
//! }
//! ```
//!
//! `tasks.rs` has processes and threads, `descriptors.rs` their descriptors, `sockets.rs` the
//! sockets, `streams.rs` the bytes between them, `causes.rs` the order of events, `effects.rs` the
//! changes that calls make. The meaning of each call is in `strace/calls.rs`.

pub mod causes;
pub mod descriptors;
pub mod events;
pub mod ids;
pub mod sockets;
pub mod streams;
pub mod tasks;

mod effects;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use crate::strace::line::Entry;
use causes::Queue;
use descriptors::{Table, TableId};
use events::EventId;
use sockets::{Socket, SocketId};
use streams::Message;
use tasks::{Task, TaskId};

/// One of the two sides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}

/// How many closed sockets are remembered.
const KEPT: usize = 256;

/// The present state.
#[derive(Default)]
pub struct World {
    queue: Queue,
    tasks: Vec<Task>,
    by_pid: HashMap<(usize, Option<u32>), TaskId>,
    tables: HashMap<TableId, Table>,
    sockets: HashMap<SocketId, Socket>,
    /// The closed ones among them, in order.
    closed: VecDeque<SocketId>,
    /// Tasks whose making was not seen.
    foundlings: usize,
    /// Datagrams that have not been received.
    messages: VecDeque<Message>,
    numbers: u64,
}

impl World {
    /// Takes an entry of a source: an strace or a recording, in its own order. `side` is the side
    /// of its calls.
    pub fn take(&mut self, source: usize, side: Side, entry: Entry) {
        self.queue.take(source, side, entry);
    }

    /// Whether entries are waiting to be returned as events.
    pub fn has_more(&self) -> bool {
        !self.queue.is_empty()
    }

    pub fn task(&self, id: TaskId) -> &Task {
        &self.tasks[id.0]
    }

    /// Tasks whose making was not seen: their descriptors are a guess.
    pub fn foundlings(&self) -> usize {
        self.foundlings
    }

    /// The task that has this number in a source now.
    pub fn task_of(&self, source: usize, pid: Option<u32>) -> Option<&Task> {
        self.by_pid.get(&(source, pid)).map(|task| self.task(*task))
    }

    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// A socket as it is now. A socket closed long ago is forgotten.
    pub fn socket(&self, id: SocketId) -> Option<&Socket> {
        self.sockets.get(&id)
    }

    /// The sockets that are open, and those that have just been closed.
    pub fn sockets(&self) -> impl Iterator<Item = &Socket> {
        self.sockets.values()
    }

    /// What a descriptor of a task refers to now, if it is a socket.
    pub fn descriptor(&self, source: usize, pid: Option<u32>, descriptor: i32) -> Option<&Socket> {
        let task = self.by_pid.get(&(source, pid))?;
        let table = self.tables.get(&self.tasks[task.0].table)?;
        self.socket(table.socket(descriptor)?)
    }

    /// Whether what a task writes to a descriptor is printed; `true`: as standard error.
    pub fn prints(&self, task: TaskId, descriptor: i32) -> Option<bool> {
        let table = self.tables.get(&self.tasks[task.0].table)?;
        match table.open.get(&descriptor)?.thing {
            descriptors::Thing::Output(wrong) => Some(wrong),
            _ => None,
        }
    }

    /// The descriptors by which a task knows its sockets.
    pub fn descriptors(&self, task: TaskId) -> impl Iterator<Item = (i32, &Socket)> {
        let table = self.tables.get(&self.tasks[task.0].table);
        let open = table.into_iter().flat_map(|table| &table.open);
        open.filter_map(|(&number, open)| match open.thing {
            descriptors::Thing::Socket(id) => Some((number, self.sockets.get(&id)?)),
            _ => None,
        })
    }

    /// Bytes that a socket has sent and that its peer has not received; `None` where the peer is not traced.
    pub fn under_way(&self, id: SocketId) -> Option<u64> {
        let socket = self.socket(id)?;
        let peer = self.socket(socket.peer?)?;
        Some(socket.sent.saturating_sub(peer.received))
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn next_event(&mut self) -> EventId {
        EventId(self.number())
    }
}
