//! The notes on the bytes and ends that a call moves: how much the kernel took, what was lost, how
//! a stream ended. Unlike remarks they are repeated each time.

use crate::strace::calls::{self, Does};
use crate::strace::line::Call;
use crate::world::World;
use crate::world::events::{End, Event, Movement};
use crate::world::sockets::{Kind, Socket, State};

/// The text that the ladder shows below a call, and a page next to it.
pub fn notes(world: &World, event: &Event) -> Vec<String> {
    let mut notes = Vec::new();
    for moved in &event.moved {
        let note = match &moved.what {
            Movement::Sent { asked: 0, .. } => {
                let socket = world.socket(moved.socket);
                let goes_on = socket.is_some_and(|socket| {
                    socket.kind == Kind::Stream && socket.state == State::Connected
                });
                goes_on.then(|| "0 bytes: nothing is sent".to_owned())
            }
            Movement::Sent { range, asked } if range.end - range.start < *asked => {
                let taken = grouped(range.end - range.start);
                Some(format!("partial: {taken} of {} taken", grouped(*asked)))
            }
            Movement::Sent { .. }
                if world
                    .socket(moved.socket)
                    .is_some_and(|it| has_gone(world, it)) =>
            {
                Some("the peer has closed: a reset comes back".to_owned())
            }
            Movement::Received { .. } if event.causes.len() > 1 => {
                Some(format!("{} sends, 1 recv", event.causes.len()))
            }
            Movement::MessageReceived {
                length,
                sent: Some(sent),
                ..
            } if sent > length => Some(if event.causes.is_empty() {
                "cut: the rest of the message is lost".to_owned()
            } else {
                let lost = grouped(sent - length);
                format!("cut: {lost} of {} bytes lost", grouped(*sent))
            }),
            Movement::MessageReceived {
                length: 0,
                sent: Some(0),
                ..
            } => Some("an empty datagram, not an end: datagrams have none".to_owned()),
            Movement::Ended(End::Reset { unread }) => Some(match unread {
                0 => "SO_LINGER of 0: a reset, not an end; bytes that have not arrived are lost"
                    .to_owned(),
                1 => "1 byte unread: a reset, not an end".to_owned(),
                unread => format!("{} bytes unread: a reset, not an end", grouped(*unread)),
            }),
            Movement::MetEnd(End::Reset { unread }) => {
                if *unread > 0 {
                    let unread = grouped(*unread);
                    notes.push(format!("the peer has closed with {unread} bytes unread"));
                }
                let receives = event
                    .call()
                    .and_then(|call| calls::of(&call.name)?.receives);
                let lost =
                    receives.and_then(|_| world.under_way(world.socket(moved.socket)?.peer?));
                let lost = lost.filter(|&lost| lost > 0);
                lost.map(|lost| format!("{} bytes that the peer had sent are lost", grouped(lost)))
            }
            _ => None,
        };
        notes.extend(note);
    }
    notes.dedup();
    notes.extend(event.call().and_then(|call| of_outcome(world, event, call)));
    if world.is_deadlocked(event) {
        notes.push("the other side waits as well: a deadlock".to_owned());
    }
    notes
}

/// Whether a socket's peer has been closed and has answered later bytes with a reset.
fn has_gone(world: &World, socket: &Socket) -> bool {
    let peer = socket.peer.and_then(|peer| world.socket(peer));
    peer.is_some_and(|peer| {
        let reset = matches!(peer.ended, Some((End::Reset { unread: 0 }, _))) && !peer.lingers_not;
        reset && !peer.is_open()
    })
}

/// A call that took this long has waited, in nanoseconds.
const WAITED: u64 = 1_000_000;

/// The meaning of a call's result, if it is not an error.
fn of_outcome(world: &World, event: &Event, call: &Call) -> Option<String> {
    let row = calls::of(&call.name)?;
    let socket = world.socket(event.socket?)?;
    if call.note.contains("(INJECTED") {
        return None;
    }
    let error = call.note.split(' ').next().unwrap_or_default();
    let in_vain = socket.gives_up && call.took.is_some_and(|took| took >= WAITED);
    let words = match (error, row.does) {
        ("EAGAIN" | "EWOULDBLOCK", Does::Accepts) => "no client has connected yet",
        ("EAGAIN" | "EWOULDBLOCK", _) if in_vain && row.receives.is_some() => {
            "nothing came in time"
        }
        ("EAGAIN" | "EWOULDBLOCK", _) if row.receives.is_some() => "nothing there yet",
        ("EAGAIN" | "EWOULDBLOCK", _) if row.sends.is_some() => "no room in the buffer yet",
        ("EINPROGRESS", Does::Connects) if in_vain => "not connected in time",
        ("EINPROGRESS", Does::Connects) => "not connected yet",
        ("EPIPE", _)
            if socket.ended.is_some() && socket.kind == Kind::Stream && event.moved.is_empty() =>
        {
            "this side has shut it down"
        }
        ("", Does::Accepts) => {
            return match socket.queue.len() {
                0 => None,
                1 => Some("1 more waits in the queue".to_owned()),
                more => Some(format!("{more} more wait in the queue")),
            };
        }
        _ => return None,
    };
    Some(words.to_owned())
}

/// A number with commas: `3,919,467`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
