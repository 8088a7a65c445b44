//! Matches bytes: two ends become one connection, and each send and receive a range of its stream.
//! Datagrams are matched by address, length and order.

use crate::strace::calls::Parcel;
use crate::strace::line::Call;
use crate::world::World;
use crate::world::events::{End, Event, EventId, Movement};
use crate::world::sockets::{Address, Kind, Sending, Socket, SocketId, State, Waiting};

/// How many datagrams may be under way before the oldest counts as lost.
const IN_FLIGHT: usize = 1024;

/// A datagram under way.
pub(super) struct Message {
    from: SocketId,
    /// The sender's address, if it is known.
    source: Option<Address>,
    to: Option<Address>,
    length: u64,
    /// Its first bytes, as far as strace shows them.
    start: Vec<u8>,
    event: EventId,
}

/// The attempt of a failed call.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Direction {
    Sends,
    Receives,
}

/// How many of a datagram's bytes are compared.
const LOOKED_AT: usize = 64;

impl World {
    // ---- Connections ----

    /// A connect: its socket waits in the listener's queue.
    pub(super) fn connect(&mut self, call: &Call, event: &mut Event) {
        let Some(id) = event.socket else { return };
        let to = call.args.get(1).and_then(|arg| Address::of(arg));
        let error = call.note.split(' ').next().unwrap_or_default();
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let by_nature = socket.is_connected_by_nature();
        socket.counts |= by_nature;
        if call.is_unfinished() {
            (socket.state, socket.remote) = (State::Connecting, to);
            return;
        }
        let begun = error == "EINPROGRESS";
        if call.failed() && !begun {
            if let Some(to) = to {
                if !matches!(error, "EALREADY" | "EISCONN" | "EINTR") {
                    socket.refused = Some((to, error.to_owned()));
                    if socket.state == State::Connecting {
                        (socket.state, socket.remote) = (State::Created, None);
                        self.leave_queue(id);
                    }
                }
            }
            return;
        }
        if !by_nature {
            // AF_UNSPEC ends the connection of datagrams.
            socket.remote = to.filter(|to| !matches!(to, Address::Other(_)));
            socket.connected = event.left;
            socket.state = match (&socket.remote, &socket.local) {
                (Some(_), _) => State::Connected,
                (None, Some(_)) => State::Bound,
                (None, None) => State::Created,
            };
            return;
        }
        if matches!(&to, Some(Address::Other(family)) if family == "AF_UNSPEC") {
            (socket.state, socket.remote) = (State::Created, None); // it ends a connection, or does nothing
            return;
        }
        let again = socket.state == State::Connecting;
        socket.state = if begun {
            State::Connecting
        } else {
            State::Connected
        };
        socket.remote = to.or(socket.remote.take());
        if again || socket.peer.is_some() {
            return;
        }
        let Some(to) = socket.remote.clone() else {
            return;
        };
        // Probably accepted already: the recordings' clocks differ.
        let orphan = self.sockets.values().find(|other| {
            other.accepted
                && other.peer.is_none()
                && other
                    .local
                    .as_ref()
                    .is_some_and(|local| local.is_reached_at(&to))
                && other.id != id
        });
        if let Some(orphan) = orphan.map(|orphan| orphan.id) {
            self.join(id, orphan);
            return;
        }
        let listener = self.listener_at(&to);
        if let Some(listener) = listener.and_then(|id| self.sockets.get_mut(&id)) {
            let event = event.id;
            listener.queue.push_back(Waiting { socket: id, event });
        }
    }

    /// The listener that a connect reaches.
    pub fn listener_at(&self, to: &Address) -> Option<SocketId> {
        let listens = |socket: &&Socket| {
            socket.state == State::Listening
                && socket
                    .local
                    .as_ref()
                    .is_some_and(|local| local.is_reached_at(to))
        };
        let found = self.sockets.values().filter(listens);
        // Of several (SO_REUSEPORT) it is not known which: the one with the shorter queue is taken.
        found
            .min_by_key(|socket| (socket.queue.len(), socket.id))
            .map(|socket| socket.id)
    }

    pub(super) fn leave_queue(&mut self, id: SocketId) {
        for socket in self.sockets.values_mut() {
            socket.queue.retain(|waiting| waiting.socket != id);
        }
    }

    /// Matches an accepted socket with its client: by the address from accept, or else the first in
    /// the queue.
    pub(super) fn meet(&mut self, accepted: SocketId, event: &mut Event) {
        let remote = self
            .sockets
            .get(&accepted)
            .and_then(|socket| socket.remote.clone());
        let Some(listener) = event.socket.and_then(|id| self.sockets.get(&id)) else {
            return;
        };
        let place = {
            let is_at = |waiting: &Waiting, known: bool| {
                let socket = self.sockets.get(&waiting.socket);
                match (socket.and_then(|socket| socket.local.as_ref()), &remote) {
                    (Some(local), Some(remote)) if local.port() != Some(0) => {
                        known && local.is(remote)
                    }
                    _ => !known,
                }
            };
            let queue = &listener.queue;
            let exact = queue.iter().position(|waiting| is_at(waiting, true));
            exact.or_else(|| queue.iter().position(|waiting| is_at(waiting, false)))
        };
        let listener = listener.id;
        let met = place.and_then(|place| self.sockets.get_mut(&listener)?.queue.remove(place));
        if let Some(Waiting {
            socket,
            event: connect,
        }) = met
        {
            event.causes.push(connect);
            self.join(socket, accepted);
            if let Some(accepted) = self.sockets.get_mut(&accepted) {
                accepted.guess = remote.is_none().then_some(connect);
            }
        }
    }

    /// The first bytes on a socket whose `accept` gave no address. If its supposed peer has sent others, and one connection that is
    /// as uncertain begins with these, that one is its peer.
    fn prove(&mut self, id: SocketId, bytes: &[u8]) {
        let Some(accepted) = self.sockets.get_mut(&id) else {
            return;
        };
        let (Some(connect), Some(supposed)) = (accepted.guess.take(), accepted.peer) else {
            return;
        };
        let accepted = accepted.clone();
        let begins = |socket: &Socket| {
            let common = socket.start.len().min(bytes.len());
            common > 0 && socket.start[..common] == bytes[..common]
        };
        if self.sockets.get(&supposed).is_none_or(begins) {
            return;
        }
        let place = accepted.local.as_ref().and_then(Address::port);
        let same = |socket: &Socket| match (&socket.remote, &accepted.local) {
            (Some(Address::Inet { port, .. }), _) => place == Some(*port),
            (remote, local) => remote == local,
        };
        let uncertain = |socket: &Socket| match socket.peer {
            Some(peer) => self.sockets.get(&peer).is_some_and(|it| it.guess.is_some()),
            None => true,
        };
        let mut others = self
            .sockets
            .values()
            .filter(|other| !other.accepted && same(other) && begins(other) && uncertain(other));
        let (Some(right), None) = (others.next(), others.next()) else {
            return; // it is not known
        };
        let (right, theirs) = (right.id, right.peer);
        if theirs.is_none() {
            let queues = self.sockets.values_mut().flat_map(|it| it.queue.iter_mut());
            let Some(waiting) = queues.into_iter().find(|it| it.socket == right) else {
                return;
            };
            (waiting.socket, waiting.event) = (supposed, connect);
        }
        for socket in [Some(id), Some(supposed), theirs].into_iter().flatten() {
            if let Some(socket) = self.sockets.get_mut(&socket) {
                socket.peer = None;
                socket.remote = socket.remote.take().filter(|_| !socket.accepted);
            }
        }
        self.join(right, id);
        if let Some(theirs) = theirs {
            self.join(supposed, theirs);
        }
    }

    /// Joins two ends into one connection.
    fn join(&mut self, connecting: SocketId, accepted: SocketId) {
        let (mut local, mut remote, mut named) = (None, None, None);
        if let Some(socket) = self.sockets.get_mut(&connecting) {
            socket.peer = Some(accepted);
            local = socket.local.clone().filter(|local| local.port() != Some(0));
            remote.clone_from(&socket.remote);
        }
        if let Some(socket) = self.sockets.get_mut(&accepted) {
            socket.peer = Some(connecting);
            socket.remote = socket.remote.take().or(local);
            if matches!(&remote, Some(Address::Inet { ip, .. }) if !ip.is_unspecified()) {
                socket.local = remote; // the listener has 0.0.0.0, the connection one address
            }
            named.clone_from(&socket.remote);
        }
        if let Some(socket) = self.sockets.get_mut(&connecting) {
            socket.local = named.or(socket.local.take());
        }
    }

    // ---- Streams ----

    pub(super) fn send(&mut self, id: SocketId, parcel: &Parcel, event: &mut Event) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        if socket.state == State::Connecting {
            socket.state = State::Connected;
        }
        let range = socket.sent..socket.sent + parcel.length;
        socket.sent = range.end;
        if range.start == 0 && !socket.accepted {
            socket.start = start_of(parcel);
        }
        // Kept for the receiver: the peer, or the socket that accept will make.
        let waits = socket
            .remote
            .as_ref()
            .is_some_and(|_| socket.peer.is_none() && !socket.accepted);
        if socket.peer.is_some() || (waits && socket.under_way.len() < IN_FLIGHT) {
            let event = event.id;
            let range = range.clone();
            if !range.is_empty() {
                socket.under_way.push_back(Sending { range, event });
            }
        }
        // Bytes for a closed end are answered with a reset.
        if let Some(peer) = socket.peer.and_then(|peer| self.sockets.get_mut(&peer)) {
            let closed = peer.references == 0
                && peer.kind == Kind::Stream
                && !peer.paired
                && parcel.length > 0;
            let ended = peer.ended.filter(|(end, _)| closed && *end == End::Fin);
            if let Some((_, cause)) = ended {
                peer.ended = Some((End::Reset { unread: 0 }, cause));
            }
        }
        let asked = parcel.asked.unwrap_or(parcel.length);
        World::moved(event, id, Movement::Sent { range, asked });
    }

    pub(super) fn receive(
        &mut self,
        id: SocketId,
        parcel: &Parcel,
        peeked: bool,
        event: &mut Event,
    ) {
        if parcel.length == 0 && parcel.asked != Some(0) {
            self.meets_the_end(id, None, event);
            return;
        }
        self.prove(id, &start_of(parcel));
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        if socket.state == State::Connecting {
            socket.state = State::Connected;
        }
        let range = socket.received..socket.received + parcel.length;
        if !peeked {
            socket.received = range.end;
        }
        let peer = socket.peer;
        let asked = parcel.asked.unwrap_or(parcel.length);
        if let Some(peer) = peer.and_then(|peer| self.sockets.get_mut(&peer)) {
            let of_it = peer.under_way.iter().filter(|sending| {
                sending.range.start < range.end && sending.range.end > range.start
            });
            event.causes.extend(of_it.map(|sending| sending.event));
            if !peeked {
                while peer
                    .under_way
                    .front()
                    .is_some_and(|sending| sending.range.end <= range.end)
                {
                    peer.under_way.pop_front();
                }
            }
        }
        World::moved(
            event,
            id,
            Movement::Received {
                range,
                asked,
                peeked,
            },
        );
    }

    /// The cause of a receive of 0, ECONNRESET or EPIPE.
    pub(super) fn meets_the_end(
        &mut self,
        id: SocketId,
        failed: Option<Direction>,
        event: &mut Event,
    ) {
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        let peers = socket.peer.and_then(|peer| self.sockets.get(&peer)?.ended);
        // A send after its own shutdown fails as well, without a cause at the peer.
        if let Some((_, shutdown)) = socket
            .ended
            .filter(|_| failed == Some(Direction::Sends) && peers.is_none())
        {
            event.causes.push(shutdown);
            return;
        }
        let end = match peers {
            Some((end, cause)) => {
                event.causes.push(cause);
                // A reset fails the call that meets it: a receive of 0 has met the end before it.
                if failed.is_none() && socket.state != State::Reset {
                    End::Fin
                } else {
                    end
                }
            }
            None if failed.is_none() && socket.receives_no_more => return,
            None if failed.is_some() && socket.kind == Kind::Stream && !socket.paired => {
                End::Reset { unread: 0 }
            }
            None => End::Fin,
        };
        World::moved(event, id, Movement::MetEnd(end));
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.state = match (socket.state, end) {
                (State::WriteShut, End::Fin) => State::TimeWait,
                (State::Connected | State::PeerShut, End::Fin) => State::PeerShut,
                (State::Connected | State::PeerShut | State::WriteShut, End::Reset { .. }) => {
                    State::Reset
                }
                (state, _) => state,
            };
        }
    }

    /// Ends a socket's stream.
    pub(super) fn end(&mut self, id: SocketId, end: End, event: &mut Event) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let connected = socket.is_connected_by_nature()
            && matches!(
                socket.state,
                State::Connected | State::PeerShut | State::WriteShut | State::Connecting
            );
        let again = socket.ended.is_some() && end == End::Fin;
        if !connected || again {
            return;
        }
        socket.ended = Some((end, event.id));
        socket.state = match (socket.state, end) {
            (_, End::Reset { .. }) => State::Reset,
            (State::PeerShut, End::Fin) => State::Closed,
            (_, End::Fin) => State::WriteShut,
        };
        World::moved(event, id, Movement::Ended(end));
    }

    /// The last descriptor of a socket is closed.
    pub(super) fn last_close(&mut self, id: SocketId, event: &mut Event) {
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        let peer = socket.peer.and_then(|peer| self.sockets.get(&peer));
        let unread = peer.map_or(0, |peer| peer.sent.saturating_sub(socket.received));
        let peer_is_reset =
            peer.is_some_and(|peer| matches!(peer.ended, Some((End::Reset { .. }, _))));
        let end = if unread > 0 || socket.lingers_not {
            End::Reset { unread }
        } else {
            End::Fin
        };
        let peers_fin = peer.is_some_and(|peer| peer.ended.is_some());
        let queue: Vec<Waiting> = socket.queue.iter().cloned().collect();
        if !peer_is_reset && (socket.remote.is_some() || socket.peer.is_some() || socket.accepted) {
            self.end(id, end, event);
        }
        for Waiting { socket, .. } in queue {
            // They were connected, to a queue that no longer exists.
            if let Some(connected) = self.sockets.get_mut(&socket) {
                connected.peer = Some(id);
            }
        }
        let unread = self.mail(id);
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.unread_messages = unread;
            if !socket.queue.is_empty() {
                socket.ended = Some((End::Reset { unread: 0 }, event.id));
                socket.queue.clear();
            }
            socket.state = match socket.state {
                State::Reset => State::Reset,
                State::WriteShut if !peers_fin && socket.kind == Kind::Stream && !socket.paired => {
                    State::TimeWait
                }
                State::TimeWait => State::TimeWait,
                _ => State::Closed,
            };
        }
    }

    // ---- Datagrams ----

    pub(super) fn send_message(&mut self, id: SocketId, parcel: &Parcel, event: &mut Event) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let to = parcel
            .address
            .as_deref()
            .and_then(Address::of)
            .or(socket.remote.clone());
        socket.sent += parcel.length;
        socket.asked.clone_from(&to);
        let message = Message {
            from: id,
            source: socket.local.clone(),
            to: to.clone(),
            length: parcel.length,
            start: start_of(parcel),
            event: event.id,
        };
        if self.messages.len() == IN_FLIGHT {
            self.messages.pop_front();
        }
        self.messages.push_back(message);
        let length = parcel.length;
        World::moved(event, id, Movement::MessageSent { length, to });
    }

    pub(super) fn receive_message(
        &mut self,
        id: SocketId,
        parcel: &Parcel,
        peeked: bool,
        event: &mut Event,
    ) {
        let from = parcel.address.as_deref().and_then(Address::of);
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        let start = start_of(parcel);
        let fits = |message: &Message| {
            let peers = socket.peer.is_some() && socket.peer == Some(message.from);
            let here = match (&socket.local, &message.to) {
                (Some(local), Some(to)) => local.port() == Some(0) || local.is_reached_at(to),
                _ => socket.peer.is_none(), // its port is unknown
            };
            let theirs = match (&message.source, &from) {
                (Some(source), Some(from)) => {
                    matches!(source.port(), None | Some(0)) || source.port() == from.port()
                }
                _ => true,
            };
            let common = start.len().min(message.start.len());
            message.from != id
                && (peers || (here && theirs))
                && message.length >= parcel.length
                && start[..common] == message.start[..common]
        };
        let place = self.messages.iter().position(fits);
        let message = match place {
            Some(place) if peeked => self
                .messages
                .get(place)
                .map(|message| (message.length, message.event, message.from)),
            Some(place) => self
                .messages
                .remove(place)
                .map(|message| (message.length, message.event, message.from)),
            None => None,
        };
        if let Some((_, cause, sender)) = message {
            event.causes.push(cause);
            // The receiver's recvfrom shows its address.
            if let (Some(sender), Some(from)) = (self.sockets.get_mut(&sender), &from) {
                if sender
                    .local
                    .as_ref()
                    .is_none_or(|local| local.port() == Some(0))
                {
                    sender.local = Some(from.clone());
                }
            }
        }
        if let Some(socket) = self.sockets.get_mut(&id) {
            if !peeked {
                socket.received += parcel.length;
            }
        }
        let length = parcel.length;
        let sent = match message {
            // What MSG_PEEK leaves is not lost.
            _ if peeked => Some(length),
            Some((sent, ..)) => Some(sent),
            None if parcel.cut => Some(length + 1),
            None => None,
        };
        World::moved(event, id, Movement::MessageReceived { length, sent, from });
    }

    /// How many unread datagrams a closing socket leaves, of those that only it could receive.
    fn mail(&mut self, id: SocketId) -> usize {
        let Some(socket) = self
            .sockets
            .get(&id)
            .filter(|socket| socket.kind == Kind::Datagram)
        else {
            return 0;
        };
        let (Some(local), None, None) = (&socket.local, &socket.remote, socket.peer) else {
            return 0;
        };
        let others = |to: &Address| {
            let at = |other: &&Socket| {
                other.id != id
                    && other.kind == Kind::Datagram
                    && other.is_open()
                    && other
                        .local
                        .as_ref()
                        .is_some_and(|local| local.is_reached_at(to))
            };
            self.sockets.values().any(|other| at(&other))
        };
        let its = |message: &Message| {
            message.from != id && message.to.as_ref().is_some_and(|to| {
                let group = matches!(to, Address::Inet { ip, .. } if ip.is_multicast() || !ip.is_loopback());
                !group && local.is_reached_at(to) && !others(to)
            })
        };
        let its: Vec<EventId> = self
            .messages
            .iter()
            .filter(|message| its(message))
            .map(|message| message.event)
            .collect();
        self.messages
            .retain(|message| !its.contains(&message.event));
        its.len()
    }

    /// Whether a datagram for this socket is under way.
    pub(super) fn has_mail(&self, socket: &Socket) -> bool {
        self.messages.iter().any(|message| {
            message.from != socket.id
                && match (&socket.local, &message.to) {
                    (Some(local), Some(to)) => local.port() == Some(0) || local.is_reached_at(to),
                    _ => true,
                }
        })
    }
}

fn start_of(parcel: &Parcel) -> Vec<u8> {
    let pieces = parcel.pieces.iter().flat_map(|(bytes, _)| bytes);
    pieces.copied().take(LOOKED_AT).collect()
}
