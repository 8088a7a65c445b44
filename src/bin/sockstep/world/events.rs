//! Events: a call, a signal or an end, with its effects on sockets and its causes.

use std::ops::Range;

use crate::strace::line::{Call, What};
use crate::world::Side;
pub use crate::world::ids::EventId;
use crate::world::ids::{SocketId, TaskId};
use crate::world::sockets::Address;
pub use crate::world::sockets::End;

/// One call, or a signal, or a task's end, or a line that is not strace's.
///
/// Its fields describe the socket at the call; `World::socket` has the state after it, until the
/// next event is asked for. (A page or a comparison that needs the states of all moments copies
/// them then.)
#[derive(Debug)]
pub struct Event {
    pub id: EventId,
    pub side: Side,
    /// The recording or strace that it comes from: the number given to `World::take`.
    pub source: usize,
    pub task: TaskId,
    /// When the call began and when it had returned, in nanoseconds; `None` where the recording has no times.
    pub entered: Option<u64>,
    pub left: Option<u64>,
    pub what: What,
    /// The socket that the call is on: the one its descriptor referred to at that time. For a
    /// closed descriptor (EBADF), its last socket.
    pub socket: Option<SocketId>,
    /// The call is about sockets, even if about several, or about one that could not be made.
    pub on_a_socket: bool,
    /// The data that crossed, in order: several items for sendmmsg, a process's end, or splice.
    pub moved: Vec<Moved>,
    pub made: Made,
    /// Its causes: the sends of the bytes that it received, the close that it saw as 0 or as a
    /// reset, the connect that it accepted.
    pub causes: Vec<EventId>,
}

impl Event {
    pub fn call(&self) -> Option<&Call> {
        match &self.what {
            What::Call(call) => Some(call),
            _ => None,
        }
    }
}

/// The object that a call made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made {
    Nothing,
    /// A process, or a thread that shares its maker's descriptors.
    Task(TaskId),
    Socket(SocketId),
    Pair(SocketId, SocketId),
}

/// Data that crossed from one end to the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moved {
    pub socket: SocketId,
    pub what: Movement,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Movement {
    /// These bytes of the stream, counted from its first; `asked` is more if the kernel took a part.
    Sent { range: Range<u64>, asked: u64 },
    /// These bytes of the stream; `peeked` if they stay in the buffer.
    Received {
        range: Range<u64>,
        asked: u64,
        peeked: bool,
    },
    /// A message with an end: a datagram, or one of a SOCK_SEQPACKET.
    MessageSent { length: u64, to: Option<Address> },
    /// `sent` is its whole length if the send has been seen, or more than `length` if the kernel
    /// says that it was cut.
    MessageReceived {
        length: u64,
        sent: Option<u64>,
        from: Option<Address>,
    },
    /// The end of this socket's stream.
    Ended(End),
    /// The call has met the end of the peer's stream: 0, ECONNRESET, EPIPE.
    MetEnd(End),
}
