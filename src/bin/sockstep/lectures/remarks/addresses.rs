//! Remarks on ports and addresses: bind, connect.

use super::seen::Seen;
use super::{Remark, error, given, other, remark, socket, swapped};
use std::net::IpAddr;

use crate::strace::calls::{self, Does, number};
use crate::strace::line::Call;
use crate::world::World;
use crate::world::events::Event;
use crate::world::sockets::{Address, Kind, Socket, State};

/// The other sockets at the address of a socket's bind.
fn others_at<'a>(
    world: &'a World,
    socket: &'a Socket,
    address: &'a Address,
) -> impl Iterator<Item = &'a Socket> {
    world.sockets().filter(move |other| {
        let meet = |local: &Address| local.is_reached_at(address) || address.is_reached_at(local);
        other.id != socket.id
            && other.kind == socket.kind
            && other.is_open()
            && other.local.as_ref().is_some_and(meet)
    })
}

/// The owner of the port: a socket in the recording, or else from the kernel's table.
pub(super) fn port_in_use(
    seen: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let does = calls::does(&call.name);
    if does != Does::Binds || error(call) != "EADDRINUSE" {
        return None;
    }
    let (socket, address) = (socket(world, event)?, given(call)?);
    let port = address.port()?;
    if let Some(other) = others_at(world, socket, &address).find(|other| !other.accepted) {
        let whose = other.side.name();
        let mend = if socket.reuses_address && other.state == State::Listening {
            "SO_REUSEADDR does not let two sockets listen there; SO_REUSEPORT on both does"
        } else {
            "close it first, or set SO_REUSEPORT on both"
        };
        return remark(
            format!("another socket of the {whose} has port {port}: {mend}"),
            "same port",
        );
    }
    if !seen.live {
        return None;
    }
    let states = states_at(port);
    if states.iter().any(|state| state == LISTEN) {
        return remark(
            format!("another socket listens at port {port}: ss -lntp 'sport = {port}' says whose"),
            "EADDRINUSE",
        );
    }
    if states.iter().any(|state| state == TIME_WAIT) {
        // SO_REUSEADDR must be set on the old socket too.
        let mend = if socket.reuses_address {
            "It had no SO_REUSEADDR: wait for a minute, or take another port"
        } else {
            "Set SO_REUSEADDR before bind()"
        };
        return remark(
            format!("no process has port {port}: an old connection is in TIME_WAIT. {mend}"),
            "TIME_WAIT",
        );
    }
    None
}

/// States, with the numbers of the kernel's tables.
const LISTEN: &str = "0A";

const TIME_WAIT: &str = "06";

/// The states of this machine's TCP sockets with that local port.
fn states_at(port: u16) -> Vec<String> {
    let mut states = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let local = fields.get(1).and_then(|local| local.rsplit_once(':'));
            let its = local.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
            if its == Some(port) {
                states.extend(fields.get(3).map(|state| (*state).to_owned()));
            }
        }
    }
    states
}

pub(super) fn port_shared(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    if calls::does(&call.name) != Does::Binds || call.failed() {
        return None;
    }
    let socket = socket(world, event).filter(|socket| socket.reuses_port)?;
    let address = given(call)?;
    let port = address.port().filter(|&port| port != 0)?;
    let others = others_at(world, socket, &address)
        .filter(|other| other.reuses_port)
        .count();
    if others == 0 {
        return None;
    }
    let all = others + 1;
    remark(
        format!("{all} sockets have port {port} now: each has set SO_REUSEPORT"),
        "SO_REUSEPORT",
    )
}

pub(super) fn queue_is_full(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let connects = calls::does(&call.name) == Does::Connects;
    let socket =
        socket(world, event).filter(|socket| connects && socket.is_connected_by_nature())?;
    let in_vain = match error(call) {
        "EINPROGRESS" => socket.gives_up && !socket.nonblocking,
        "EAGAIN" => socket.family == "AF_UNIX",
        error => error == "ETIMEDOUT",
    };
    let listener = world
        .socket(world.listener_at(&given(call)?)?)
        .filter(|_| in_vain)?;
    let waiting = listener
        .queue
        .iter()
        .filter(|it| it.socket != socket.id)
        .count();
    let room = u64::try_from(listener.backlog?).ok()? + 1;
    if u64::try_from(waiting).ok()? < room {
        return None;
    }
    let side = listener.side.name();
    remark(
        format!(
            "the {side}'s listen queue is full: {waiting} connected, and accept() is not called"
        ),
        "backlog",
    )
}

pub(super) fn port_without_htons(
    seen: &Seen,
    _: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    if !matches!(calls::does(&call.name), Does::Binds | Does::Connects)
        && calls::of(&call.name)?.sends.is_none()
    {
        return None;
    }
    let port = given(call)?.port()?;
    let meant = port.swap_bytes();
    let asked = &seen.asked[event.side as usize];
    // The user may have asked for both, or the number may be a coincidence.
    if port == meant || asked.contains(&port) || !asked.contains(&meant) {
        return None;
    }
    let side = event.side.name();
    remark(
        format!("port {port} is {meant} with its bytes swapped: the {side} has forgotten htons()"),
        "htons",
    )
}

pub(super) fn no_listener_there(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    if calls::does(&call.name) != Does::Connects || error(call) != "ECONNREFUSED" {
        return None;
    }
    let to = given(call)?;
    let mine = socket(world, event)?.kind;
    let mut theirs: Vec<&Socket> = world
        .sockets()
        .filter(|socket| socket.side != event.side && socket.is_open() && !socket.accepted)
        .filter(|socket| socket.counts && !socket.paired && !socket.is_the_systems())
        .collect();
    theirs.sort_unstable_by_key(|socket| socket.id);
    let there = |socket: &&&Socket| {
        let local = socket.local.as_ref();
        local.is_some_and(|local| local.is_reached_at(&to))
    };
    let side = other(event.side).name();
    let listening: Vec<&Socket> = theirs
        .iter()
        .copied()
        .filter(|socket| socket.state == State::Listening)
        .collect();
    let [one] = listening[..] else {
        let one = theirs.iter().find(there).filter(|_| listening.is_empty())?;
        let words = match one.kind {
            Kind::Datagram if mine == Kind::Stream => {
                format!("the {side}'s socket at {to} is of UDP: connect with SOCK_DGRAM too")
            }
            kind if kind == mine && one.state == State::Bound => {
                format!("the {side} has {to}, but has not called listen()")
            }
            _ => return None,
        };
        return remark(words, "ECONNREFUSED");
    };
    let Some(local) = &one.local else {
        let words = format!(
            "no socket listens at {to}: the {side} has not called bind(), so the kernel chose its port"
        );
        return remark(words, "ECONNREFUSED");
    };
    if local.is_reached_at(&to) || local.port() == Some(0) {
        return None;
    }
    let loopback = match to {
        Address::Inet { ip, .. } => turned(ip),
        _ => None,
    };
    let (swapped, explain) = match loopback {
        Some(meant) if local.port() == to.port() => (
            format!(": {meant} with its bytes swapped, so htonl() is missing"),
            "byte order",
        ),
        _ => {
            let (words, explain) = swapped(local, &to).unwrap_or(("", "ECONNREFUSED"));
            (words.to_owned(), explain)
        }
    };
    remark(
        format!("no socket listens at {to}; the server listens at {local}{swapped}"),
        explain,
    )
}

/// A length of 0, or one that no address has.
pub(super) fn address_too_short(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    let row = calls::of(&call.name)?;
    let place = row.address?;
    let asks = matches!(row.does, Does::Binds | Does::Connects);
    if !asks || error(call) != "EINVAL" {
        return None;
    }
    let length = number(call.args.get(place + 1)?)?;
    let family = match given(call) {
        Some(Address::Inet { ip, .. }) if ip.is_ipv4() => "AF_INET",
        Some(Address::Inet { .. }) => "AF_INET6",
        Some(_) => return None,
        None => socket(world, event)?.family.as_str(),
    };
    let (family, whole) = match family {
        "AF_INET" => ("sockaddr_in", 16),
        "AF_INET6" => ("sockaddr_in6", 28),
        _ => return None,
    };
    if length >= whole {
        return None;
    }
    remark(
        format!(
            "the address length is {length}, but a {family} has {whole} bytes: use sizeof of the address"
        ),
        "address length",
    )
}

/// The room for an address that the kernel fills in, as the program passed it.
pub(super) fn no_room_for_the_address(
    _: &Seen,
    _: &World,
    _: &Event,
    call: &Call,
) -> Option<Remark> {
    let row = calls::of(&call.name)?;
    let place = row.address?;
    let fills =
        row.does == Does::Accepts || row.receives.is_some() || matches!(row.does, Does::Names(_));
    let (address, length) = (call.args.get(place)?, call.args.get(place + 1)?);
    if !fills || address == "NULL" {
        return None;
    }
    if length.starts_with("[0 => ") && !length.starts_with("[0 => 0]") {
        return remark(
            "the address length was 0, so no address was stored: set it to sizeof of the address before the call",
            "address length",
        );
    }
    let negative = length.starts_with("[-") && error(call) == "EINVAL";
    remark(
        "the address length is negative: set it to sizeof of the address before the call",
        "address length",
    )
    .filter(|_| negative)
}

/// The address to bind or to connect to belongs to another machine.
pub(super) fn not_of_this_machine(_: &Seen, _: &World, _: &Event, call: &Call) -> Option<Remark> {
    if calls::does(&call.name) != Does::Binds || error(call) != "EADDRNOTAVAIL" {
        return None;
    }
    let Address::Inet { ip, .. } = given(call)? else {
        return None;
    };
    let why = if turned(ip).is_some() {
        "it is 127.0.0.1 with its bytes swapped: htonl(INADDR_LOOPBACK)"
    } else {
        "bind to INADDR_ANY, or to one of its own"
    };
    let explain = if turned(ip).is_some() {
        "byte order"
    } else {
        "EADDRNOTAVAIL"
    };
    remark(
        format!("{ip} is no address of this machine: {why}"),
        explain,
    )
}

/// 127.0.0.1, if the address with its bytes swapped is that.
fn turned(ip: IpAddr) -> Option<IpAddr> {
    let loopback = IpAddr::from([1, 0, 0, 127]);
    (ip == loopback).then_some(IpAddr::from([127, 0, 0, 1]))
}

pub(super) fn port_of_root(_: &Seen, _: &World, _: &Event, call: &Call) -> Option<Remark> {
    let port = given(call).and_then(|address| address.port())?;
    let binds = calls::does(&call.name) == Does::Binds && error(call) == "EACCES";
    if !binds || !(1..1024).contains(&port) {
        return None;
    }
    remark(
        format!("port {port} is below 1024, so only root may have it: take one of 1024 or more"),
        "EACCES",
    )
}

/// The address is of another family than the socket, or its family is not set.
pub(super) fn another_family(
    _: &Seen,
    world: &World,
    event: &Event,
    call: &Call,
) -> Option<Remark> {
    if !matches!(calls::does(&call.name), Does::Binds | Does::Connects) {
        return None;
    }
    let socket = socket(world, event).filter(|socket| socket.family.starts_with("AF_INET"))?;
    let address = call.args.get(1)?;
    let family = calls::field(address, "sa_family")?;
    if family == socket.family {
        return None;
    }
    let own = &socket.family;
    let never = call.result == "0"
        && family == "AF_UNSPEC"
        && socket.is_connected_by_nature()
        && socket.peer.is_none()
        && calls::does(&call.name) == Does::Connects;
    if error(call) != "EAFNOSUPPORT" && !(never && socket.sent + socket.received == 0) {
        return None;
    }
    remark(
        format!("the address is of {family}, the socket of {own}: set sin_family"),
        "address family",
    )
}
