//! Remarks on what a stream carries, and on its end.

use super::seen::Seen;
use super::{Remark, remark, socket};
use crate::strace::calls;
use crate::strace::line::Call;
use crate::world::World;
use crate::world::events::{Event, Movement};
use crate::world::sockets::{Kind, Socket};

/// The delay of the acknowledgement of a single small segment, in nanoseconds: 40 ms, and more on a
/// busy machine.
const DELAYED: std::ops::Range<u64> = 35_000_000..120_000_000;

const SEGMENT: u64 = 1400;

/// A send waited for the acknowledgement of the previous one (Nagle), which the receiver delayed.
pub(super) fn small_sends(seen: &Seen, world: &World, event: &Event, _: &Call) -> Option<Remark> {
    let socket =
        socket(world, event).filter(|socket| socket.kind == Kind::Stream && !socket.paired)?;
    let small = event.moved.iter().any(|moved| {
        matches!(&moved.what, Movement::Received { range, .. } if range.end - range.start < SEGMENT)
    });
    let peer = world
        .socket(socket.peer?)
        .filter(|peer| small && !peer.nodelay && peer.family != "AF_UNIX")?;
    let sends = seen.sends.get(&peer.id).filter(|sends| sends.number >= 2)?;
    let (entered, left) = (event.entered?, event.left?);
    let late = left.saturating_sub(sends.left.max(entered));
    if event.causes != [sends.last] || !DELAYED.contains(&late) {
        return None;
    }
    let side = peer.side.name();
    let late = late / 1_000_000;
    remark(
        format!(
            "the {side}'s second small send came {late} ms late: it waited until the first was acknowledged. Send all at once, or set TCP_NODELAY"
        ),
        "TCP_NODELAY",
    )
}

pub(super) fn killed_by_a_send(
    seen: &Seen,
    world: &World,
    event: &Event,
    end: &str,
) -> Option<Remark> {
    if !end.starts_with("killed by SIGPIPE") {
        return None;
    }
    let socket = seen.pipes.get(&event.task).and_then(|&id| world.socket(id));
    let words = match socket {
        Some(socket) if socket.has_listened() => "it sent on the listening socket",
        Some(socket)
            if socket.is_connected_by_nature()
                && !socket.accepted
                && socket.remote.is_none()
                && !socket.paired =>
        {
            "it sent on a socket that is not connected"
        }
        Some(socket)
            if socket
                .peer
                .is_some_and(|peer| world.socket(peer).is_some_and(Socket::is_open))
                && socket.ended.is_some() =>
        {
            "it sent after its own shutdown()"
        }
        _ => {
            "it sent on a closed connection: ignore SIGPIPE, or send with MSG_NOSIGNAL, and handle EPIPE"
        }
    };
    remark(words, "SIGPIPE")
}

/// Killed with output in C's stdio buffer.
pub(super) fn words_lost(seen: &Seen, _: &World, event: &Event, end: &str) -> Option<Remark> {
    let lost = seen.buffers.contains(&event.task) && seen.reads.contains(&event.task);
    if !lost || !end.starts_with("killed by") {
        return None;
    }
    remark(
        "its output was still in its buffer and is lost: standard output is not a terminal. Call fflush() or setvbuf()",
        "flush",
    )
}

/// The bytes that a call has sent, not to its own side, if they are in one piece and complete.
fn sent(world: &World, event: &Event, call: &Call) -> Option<(Vec<u8>, u64)> {
    socket(world, event).filter(|socket| !socket.paired)?;
    let row = calls::of(&call.name)?;
    let mut parcels = row.sends?.parcels(row, call);
    let parcel = parcels.pop().filter(|_| parcels.is_empty())?;
    match &parcel.pieces[..] {
        [(bytes, false)] => Some((bytes.clone(), parcel.asked?)),
        _ => None,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let printable = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    bytes.len() > 1 && bytes.iter().all(printable)
}

/// Whether these bytes were just received here: whoever sent them first wrote the NUL.
fn is_echo(seen: &Seen, event: &Event, bytes: &[u8]) -> bool {
    let had = event.socket.and_then(|id| seen.buffered.get(&id));
    had.is_some_and(|had| had.bytes.starts_with(bytes))
}

pub(super) fn nul_sent_along(
    seen: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let (bytes, _) = sent(world, event, call)?;
    let (last, text) = bytes.split_last()?;
    if *last != 0 || !is_text(text) || is_echo(seen, event, &bytes) {
        return None;
    }
    let length = text.len();
    remark(
        format!(
            "the NUL at its end was sent too: strlen() is {length}, not {}",
            length + 1
        ),
        "NUL",
    )
}

pub(super) fn sizeof_a_pointer(
    seen: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let (bytes, asked) = sent(world, event, call)?;
    let nul = bytes.iter().position(|&byte| byte == 0)?;
    if asked != 8 || nul + 1 >= bytes.len() || !is_text(&bytes[..nul]) {
        return None;
    }
    // A number of eight bytes may begin with letters too: 12345 is "90".
    let number = nul < 5 && bytes[nul..].iter().all(|&byte| byte == 0);
    if number || is_echo(seen, event, &bytes) {
        return None;
    }
    remark(
        "8 bytes of a shorter text were sent: that is sizeof of a pointer; use strlen()",
        "sizeof",
    )
}

pub(super) fn goes_on_after_the_end(
    seen: &Seen,
    _: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    calls::of(&call.name)?.receives?;
    let id = event.socket?;
    let (_, times) = seen.zeros.iter().find(|(known, _)| *known == id)?;
    // A library may check twice.
    if *times < 3 {
        return None;
    }
    let side = event.side.name();
    remark(
        format!(
            "the {side} goes on after the end: 0 means that the peer has closed, so leave the loop"
        ),
        "recv 0",
    )
}

/// Whether the bytes repeat their beginning: a part of such a message looks like the message.
fn repeats(bytes: &[u8]) -> bool {
    (1..=bytes.len() / 2).any(|period| bytes[period..] == bytes[..bytes.len() - period])
}

/// More is sent than was received: earlier contents of the buffer, or its zeros.
pub(super) fn more_than_received(
    seen: &Seen,
    _: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let row = calls::of(&call.name)?;
    let had = seen.buffered.get(&event.socket?)?;
    let mut parcels = row.sends?.parcels(row, call);
    let parcel = parcels
        .pop()
        .filter(|_| parcels.is_empty() && !call.failed())?;
    let [(bytes, _)] = &parcel.pieces[..] else {
        return None;
    };
    let asked = parcel.asked?;
    let length = usize::try_from(had.length)
        .ok()
        .filter(|&length| length > 0)?;
    let (same, more) = bytes.split_at_checked(length)?;
    if asked <= had.length || more.is_empty() || had.bytes.get(..length) != Some(same) {
        return None;
    }
    if repeats(bytes) {
        return None;
    }
    let old = had.bytes.get(length..).unwrap_or_default();
    let common = old.len().min(more.len());
    // The program may add the newline itself.
    let is_old = old[..common].trim_ascii().len() >= 2 && old[..common] == more[..common];
    let is_unused = asked == had.room && more.iter().all(|&byte| byte == 0);
    if !is_old && !is_unused {
        return None;
    }
    remark(
        format!(
            "{asked} bytes are sent, but only {length} had been received: send as many as recv() returned"
        ),
        "more than received",
    )
}
