//! Remarks on datagrams: receivers and senders.

use super::seen::Seen;
use super::{Remark, datagram_socket, error, other, remark, socket, swapped};
use crate::lectures::crossings::grouped;
use crate::strace::calls::{self, Does};
use crate::strace::line::Call;
use crate::world::events::{Event, Movement};
use crate::world::sockets::{Address, Kind, Socket, State};
use crate::world::{Side, World};

/// The other side's only port for datagrams.
fn port_of_the_other(world: &World, side: Side) -> Option<&Address> {
    let bound = world.sockets().filter(|socket| {
        socket.side != side && socket.kind == Kind::Datagram && socket.is_open() && socket.counts
    });
    let mut at = bound.filter_map(|socket| {
        socket
            .local
            .as_ref()
            .filter(|local| local.port().is_some_and(|port| port != 0))
    });
    at.next().filter(|_| at.next().is_none())
}

pub(super) fn no_socket_has_the_port(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let row = calls::of(&call.name)?;
    let moves = row.sends.is_some() || row.receives.is_some();
    let socket = datagram_socket(world, event)?;
    if !moves || error(call) != "ECONNREFUSED" {
        return None;
    }
    let to = socket.remote.as_ref().filter(|to| to.port() != Some(53))?;
    let there = port_of_the_other(world, event.side).filter(|local| !local.is_reached_at(to));
    let side = other(event.side).name();
    let there = there.map_or(String::new(), |local| format!("; the {side} has {local}"));
    remark(
        format!("no socket has {to}: an earlier datagram was refused (ICMP){there}"),
        "ICMP",
    )
}

/// The same if the sender gets no error: the kernel's table shows it.
pub(super) fn datagram_met_no_socket(
    seen: &Seen,
    world: &World,
    event: &Event,
    _: &Call,
) -> Option<Remark> {
    let socket =
        socket(world, event).filter(|socket| seen.live && socket.kind == Kind::Datagram)?;
    let to = event.moved.iter().find_map(|moved| match &moved.what {
        Movement::MessageSent { to, .. } => to.as_ref(),
        _ => None,
    })?;
    let Address::Inet { ip, port } = to else {
        return None;
    };
    let stream = |other: &Socket| {
        let local = other.local.as_ref();
        other.state == State::Listening && local.is_some_and(|local| local.is_reached_at(to))
    };
    if let Some(listener) = world.sockets().find(|other| stream(other)) {
        let side = listener.side.name();
        // The kernel's table is of now: the socket may have been closed since.
        let was_there = world.sockets().any(|other| {
            let local = other.local.as_ref();
            other.kind == Kind::Datagram && local.is_some_and(|local| local.is_reached_at(to))
        });
        return remark(
            format!(
                "the {side} listens at {to} with TCP, and no socket has that port for datagrams"
            ),
            "ICMP",
        )
        .filter(|_| ip.is_loopback() && !was_there && !has_port(*port));
    }
    let there = port_of_the_other(world, event.side)?;
    if !ip.is_loopback() || socket.remote.is_some() || there.is_reached_at(to) || has_port(*port) {
        return None;
    }
    let side = other(event.side).name();
    let (swapped, explain) = swapped(there, to).unwrap_or(("", "ICMP"));
    remark(
        format!("no socket has {to}: the datagram is lost; the {side} has {there}{swapped}"),
        explain,
    )
}

/// Whether a socket on this machine has this port for datagrams.
fn has_port(port: u16) -> bool {
    let at = format!(":{port:04X} ");
    ["/proc/net/udp", "/proc/net/udp6"].iter().any(|table| {
        let table = std::fs::read_to_string(table);
        table.is_err() || table.is_ok_and(|table| table.contains(&at))
    })
}

/// A datagram to a socket that is connected to another: the kernel drops it.
pub(super) fn stranger(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let socket = datagram_socket(world, event)?;
    let (length, to) = event.moved.iter().find_map(|moved| match &moved.what {
        Movement::MessageSent { length, to } => Some((length, to.as_ref()?)),
        _ => None,
    })?;
    let Address::Inet { ip, .. } = to else {
        return None;
    };
    if !ip.is_loopback()
        || calls::has_flag(call, "IP_PKTINFO")
        || calls::has_flag(call, "IPV6_PKTINFO")
    {
        return None;
    }
    let mut there = world
        .sockets()
        .filter(|it| it.id != socket.id && it.kind == Kind::Datagram && it.is_open())
        .filter(|it| {
            it.local
                .as_ref()
                .is_some_and(|local| local.is_reached_at(to))
        });
    let target = there.next().filter(|_| there.next().is_none())?;
    let before = target.connected_before(event.entered?);
    let only = target.remote.as_ref().filter(|_| before)?;
    let from = source(socket, *ip, *length)?;
    if from.as_ref().is_some_and(|from| only.is(from)) {
        return None;
    }
    if let (Some(from), Side::Server, Side::Client) = (&from, event.side, target.side) {
        return remark(
            format!(
                "answered from {from}, but the client is connected to {only}: the kernel drops it"
            ),
            "answered from another address",
        );
    }
    let side = target.side.name();
    remark(
        format!("the {side}'s socket is connected to {only}: the kernel drops what others send"),
        "connected UDP",
    )
}

/// The source of a socket's datagrams to an address of this machine: `Some(None)` if the port is
/// not known yet, because this datagram, of that length, is its first.
#[allow(clippy::option_option, reason = "unknown, new, known")]
fn source(socket: &Socket, to: std::net::IpAddr, length: u64) -> Option<Option<Address>> {
    let Some(Address::Inet { ip, port }) = &socket.local else {
        let new = socket.local.is_none() && socket.sent <= length;
        return new.then_some(None);
    };
    if *port == 0 {
        return None;
    }
    let ip = match to {
        _ if !ip.is_unspecified() => *ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => return None,
    };
    Some(Some(Address::Inet { ip, port: *port }))
}

pub(super) fn messages_left(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let socket = socket(world, event).filter(|socket| !socket.is_open())?;
    let closes = calls::does(&call.name) == Does::Closes && !call.failed();
    left(socket.unread_messages).filter(|_| closes)
}

pub(super) fn messages_left_at_the_end(
    seen: &Seen,
    world: &World,
    event: &Event,
    _: &str,
) -> Option<Remark> {
    let its = world.sockets().filter(|socket| {
        socket.side == event.side && !socket.is_open() && !seen.closed.contains(&socket.id)
    });
    left(its.map(|socket| socket.unread_messages).sum())
}

fn left(messages: usize) -> Option<Remark> {
    match messages {
        0 => None,
        1 => remark(
            "1 datagram arrived and was never received: it is lost",
            "datagram",
        ),
        more => remark(
            format!("{more} datagrams arrived and were never received: they are lost"),
            "datagram",
        ),
    }
}

pub(super) fn answered_from_elsewhere(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let socket = datagram_socket(world, event)?;
    if event.side != Side::Client || call.failed() {
        return None;
    }
    let asked = socket.asked.as_ref()?;
    let from = event.moved.iter().find_map(|moved| match &moved.what {
        Movement::MessageReceived { from, .. } => from.clone(),
        _ => None,
    })?;
    let (
        Address::Inet { ip, port },
        Address::Inet {
            ip: other,
            port: same,
        },
    ) = (asked, &from)
    else {
        return None;
    };
    if ip == other || port != same || ip.is_unspecified() || ip.is_multicast() || !ip.is_loopback()
    {
        return None;
    }
    remark(
        format!("answered from {from}, but {asked} was asked"),
        "answered from another address",
    )
}

/// The most bytes in one datagram: 65,535 without the headers of IPv4 (IPv6 does not count its own)
/// and UDP.
const LARGEST: [u64; 2] = [65_507, 65_527];

pub(super) fn too_long(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let socket = datagram_socket(world, event)?;
    let asked = calls::of(&call.name)?.sends?.asked(call)?;
    if error(call) != "EMSGSIZE" || socket.family == "AF_UNIX" {
        return None;
    }
    let largest = LARGEST[usize::from(socket.family == "AF_INET6")];
    if asked <= largest {
        return None;
    }
    let (asked, largest) = (grouped(asked), grouped(largest));
    remark(
        format!(
            "{asked} bytes are more than a datagram holds ({largest}): send several, or use TCP"
        ),
        "EMSGSIZE",
    )
}

pub(super) fn sent_to_no_address(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    datagram_socket(world, event)?;
    calls::of(&call.name)?.sends?;
    if error(call) != "EDESTADDRREQ" && error(call) != "ENOTCONN" {
        return None;
    }
    remark(
        "no address: call sendto() with one, or connect() first",
        "EDESTADDRREQ",
    )
}
