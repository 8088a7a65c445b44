//! Remarks: one line on an event that the user should understand, with the way to fix it.
//!
//! A remark is a function in [`RULES`]: it looks at one event, with the world as that event has
//! left it, and returns a remark or not. To add one, write the function in the file of its kind in
//! `remarks/`, put it in the list, and test it on a recording of three lines, once where it applies
//! and once where it must not. It is said once for each socket. Its `explain` is a word of
//! `words.rs` or of ffi-notes.md; a test looks for that. A false remark is worse than none: where
//! another reading of the event is possible, say nothing.

mod addresses;
mod bytes;
mod datagrams;
mod descriptors;
mod seen;

use std::collections::HashSet;

use crate::strace::calls;
use crate::strace::line::{Call, What};
use crate::world::events::Event;
use crate::world::sockets::{Address, Kind, Socket, SocketId};
use crate::world::{Side, World};

use self::seen::Seen;

/// A remark, and the word for `sockstep explain`.
#[derive(Clone, Debug, PartialEq)]
pub struct Remark {
    pub words: String,
    pub explain: &'static str,
}

/// Makes the remarks on one run, event by event.
#[derive(Default)]
pub struct Remarks {
    seen: Seen,
    said: HashSet<(Option<SocketId>, &'static str)>,
}

type Rule = fn(&Seen, &World, &Event, &Call) -> Option<Remark>;

type EndRule = fn(&Seen, &World, &Event, &str) -> Option<Remark>;

const RULES: &[Rule] = &[
    descriptors::closed_already,
    descriptors::listening_socket_closed,
    descriptors::used_after_close,
    descriptors::listen_is_missing,
    descriptors::datagrams_have_no_listener,
    descriptors::no_socket,
    descriptors::no_connection,
    descriptors::connected_twice,
    descriptors::left_open_by_the_parent,
    descriptors::child_goes_on,
    descriptors::daemon_listens,
    descriptors::set_is_too_small,
    descriptors::asks_without_waiting,
    addresses::port_without_htons,
    addresses::no_listener_there,
    addresses::address_too_short,
    addresses::no_room_for_the_address,
    addresses::not_of_this_machine,
    addresses::port_of_root,
    addresses::another_family,
    addresses::port_in_use,
    bytes::nul_sent_along,
    bytes::sizeof_a_pointer,
    bytes::goes_on_after_the_end,
    bytes::more_than_received,
    datagrams::answered_from_elsewhere,
    addresses::port_shared,
    descriptors::no_descriptor_left,
    addresses::queue_is_full,
    datagrams::no_socket_has_the_port,
    datagrams::datagram_met_no_socket,
    datagrams::stranger,
    bytes::small_sends,
    datagrams::too_long,
    datagrams::sent_to_no_address,
    datagrams::messages_left,
];

/// The rules for a task's end, with strace's text.
const ENDINGS: &[EndRule] = &[
    bytes::killed_by_a_send,
    descriptors::daemon,
    bytes::words_lost,
    datagrams::messages_left_at_the_end,
];

impl Remarks {
    /// The rules for an unfinished run.
    pub fn live() -> Remarks {
        let mut remarks = Remarks::default();
        remarks.seen.live = true;
        remarks
    }

    /// The remarks on an event.
    pub fn on(&mut self, world: &World, event: &Event) -> Vec<Remark> {
        self.seen.take(world, event);
        let seen = &self.seen;
        let remarks: Vec<Remark> = match &event.what {
            What::Call(call) => RULES
                .iter()
                .filter_map(|rule| rule(seen, world, event, call))
                .collect(),
            What::End(end) => ENDINGS
                .iter()
                .filter_map(|rule| rule(seen, world, event, end))
                .collect(),
            _ => Vec::new(),
        };
        let said = &mut self.said;
        remarks
            .into_iter()
            .filter(|remark| said.insert((event.socket, remark.explain)))
            .collect()
    }
}

#[allow(clippy::unnecessary_wraps, reason = "each rule ends with it")]
fn remark(words: impl Into<String>, explain: &'static str) -> Option<Remark> {
    let words = words.into();
    Some(Remark { words, explain })
}

/// The error of a call, unless it was injected (`INJECTED`).
fn error(call: &Call) -> &str {
    let met = !call.note.contains("(INJECTED");
    call.note
        .split(' ')
        .next()
        .filter(|_| met)
        .unwrap_or_default()
}

fn socket<'a>(world: &'a World, event: &Event) -> Option<&'a Socket> {
    world.socket(event.socket?)
}

fn datagram_socket<'a>(world: &'a World, event: &Event) -> Option<&'a Socket> {
    socket(world, event).filter(|socket| socket.kind == Kind::Datagram)
}

/// The address that a call was given.
fn given(call: &Call) -> Option<Address> {
    let address = calls::of(&call.name)?.address?;
    Address::of(call.args.get(address)?)
}

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

/// The remark, and its word, if one port is the other with its bytes swapped.
fn swapped(one: &Address, other: &Address) -> Option<(&'static str, &'static str)> {
    let (one, other) = (one.port()?, other.port()?);
    let words = ", the same port with its bytes swapped: one side has forgotten htons()";
    (one != other && one == other.swap_bytes()).then_some((words, "htons"))
}

#[cfg(test)]
mod tests;
