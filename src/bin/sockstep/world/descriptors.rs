//! Descriptors: what each number refers to in the table of each process.

use std::collections::HashMap;

use crate::world::ids::SocketId;
pub use crate::world::ids::TableId;

#[derive(Default)]
pub(super) struct Table {
    pub open: HashMap<i32, Open>,
    /// The sockets of closed descriptors, until their numbers are reused: a call on one of them is
    /// a mistake to be shown.
    pub was: HashMap<i32, SocketId>,
    /// The tasks that share this table.
    pub users: usize,
}

/// An open descriptor.
#[derive(Clone, Copy)]
pub(super) struct Open {
    pub thing: Thing,
    pub close_on_exec: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    Socket(SocketId),
    /// A process, by pidfd_open.
    Process(u32),
    /// A descriptor for output: standard output, or (`true`) standard error, or the terminal.
    Output(bool),
    /// A file, a pipe, an epoll instance.
    Another,
}

impl Table {
    pub fn socket(&self, descriptor: i32) -> Option<SocketId> {
        match self.open.get(&descriptor)?.thing {
            Thing::Socket(socket) => Some(socket),
            _ => None,
        }
    }

    pub fn sockets(&self) -> impl Iterator<Item = SocketId> {
        self.open.values().filter_map(|open| match open.thing {
            Thing::Socket(socket) => Some(socket),
            _ => None,
        })
    }
}
