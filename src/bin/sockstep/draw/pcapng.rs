//! `--pcapng FILE`: the packets that these calls cause, for Wireshark and tshark. They are not
//! captured: addresses, bytes and ends are taken from the calls, and sequence numbers begin at 0.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::draw::history::{Endpoint, History, Moment};
use crate::draw::story::bytes_of;
use crate::draw::terminal::visible;
use crate::strace::calls::{self, Does};
use crate::world::events::{End, Made, Movement};
use crate::world::sockets::{Address, Kind, SocketId};

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;
/// The most bytes of a stream in one packet: 65,535 without the headers of IPv6 and TCP.
const SEGMENT: usize = 65_000;
/// The window that each end announces, at its SYN's scale: 2 GiB, because the room is not known.
const SCALE: u8 = 14;
const TCP: u8 = 6;
const UDP: u8 = 17;

pub fn draw(runs: &[History], words: &mut Vec<String>) -> Vec<u8> {
    let mut packets = Packets::new();
    for run in runs {
        let mut wire = Wire {
            run,
            packets: &mut packets,
            connections: HashMap::new(),
            comment: String::new(),
            unseen: 0,
            no_port: false,
        };
        wire.all();
        if wire.unseen > 0 {
            let unseen = wire.unseen;
            words.push(format!("left out, as they are neither TCP nor UDP: {unseen} sends and ends on other sockets"));
        }
        if wire.no_port {
            words.push("a port or an address that no call mentions is 0".to_owned());
        }
    }
    if packets.have_no_times {
        words.push("not all calls have a time: the packets' times are made up".to_owned());
    }
    packets.blocks
}

/// The file, block by block.
struct Packets {
    blocks: Vec<u8>,
    now: u64,
    have_no_times: bool,
}

impl Packets {
    fn new() -> Packets {
        let mut packets = Packets {
            blocks: Vec::new(),
            now: 0,
            have_no_times: false,
        };
        let mut section = Vec::new();
        section.extend(0x1a2b_3c4d_u32.to_le_bytes());
        section.extend([1, 0, 0, 0]); // version 1.0
        section.extend(u64::MAX.to_le_bytes()); // of any length
        option(4, b"sockstep", &mut section);
        option(0, &[], &mut section);
        packets.block(0x0a0d_0d0a, &section);
        let mut interface = Vec::new();
        interface.extend([101, 0, 0, 0]); // packets begin with their IP header
        interface.extend(0_u32.to_le_bytes()); // of any length
        option(2, b"lo", &mut interface);
        option(9, &[9], &mut interface); // nanoseconds
        option(0, &[], &mut interface);
        packets.block(1, &interface);
        packets
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = small(12 + body.len() + padding);
        self.blocks.extend(kind.to_le_bytes());
        self.blocks.extend(length.to_le_bytes());
        self.blocks.extend(body);
        self.blocks.extend(&[0; 3][..padding]);
        self.blocks.extend(length.to_le_bytes());
    }

    /// The next packet's time is at least this.
    fn at(&mut self, time: Option<u64>) {
        self.have_no_times |= time.is_none();
        self.now = time.unwrap_or(self.now + 1000).max(self.now);
    }

    /// Writes a packet. It has `missing` more bytes that the recording does not have.
    fn packet(&mut self, bytes: &[u8], missing: usize, comment: &str) {
        self.now += 1; // no two packets have the same time
        let mut body = Vec::new();
        body.extend(0_u32.to_le_bytes());
        body.extend(small(usize::try_from(self.now >> 32).unwrap_or(0)).to_le_bytes());
        body.extend(small(usize::try_from(self.now & 0xffff_ffff).unwrap_or(0)).to_le_bytes());
        body.extend(small(bytes.len()).to_le_bytes());
        body.extend(small(bytes.len() + missing).to_le_bytes());
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        if !comment.is_empty() {
            option(1, visible(comment).as_bytes(), &mut body);
            option(0, &[], &mut body);
        }
        self.block(6, &body);
    }
}

fn option(code: u16, value: &[u8], out: &mut Vec<u8>) {
    let mut end = value.len().min(4000);
    while value.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1; // within a character
    }
    let value = &value[..end];
    out.extend(code.to_le_bytes());
    out.extend(u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

struct Wire<'a> {
    run: &'a History,
    packets: &'a mut Packets,
    /// The connections, by the smaller of the two socket numbers.
    connections: HashMap<SocketId, Connection>,
    /// The call that causes the next packet.
    comment: String,
    unseen: usize,
    no_port: bool,
}

/// A connection, from the end whose socket has the smaller number and from the other.
#[derive(Clone, Copy, Default)]
struct Connection {
    begun: bool,
    /// The peer has answered the SYN.
    answered: bool,
    /// The number of bytes that each end has sent.
    sent: [u64; 2],
    ended: [bool; 2],
    reset: bool,
}

impl Wire<'_> {
    fn all(&mut self) {
        for moment in &self.run.moments {
            self.packets.at(moment.event.entered);
            self.comment = format!(
                "{}: {}",
                self.run.label(moment.event.task),
                moment.short(200)
            );
            self.connects(moment);
            let mut messages = moment
                .event
                .call()
                .map(bytes_of)
                .unwrap_or_default()
                .into_iter();
            for moved in &moment.event.moved {
                let bytes = match moved.what {
                    Movement::Ended(_) | Movement::MetEnd(_) => Vec::new(),
                    _ => messages.next().unwrap_or_default(),
                };
                self.moved(moment, moved.socket, &moved.what, &bytes);
            }
        }
    }

    /// The beginning of a connection, if this event is one.
    fn connects(&mut self, moment: &Moment) {
        let Some(call) = moment.event.call() else {
            return;
        };
        let does = calls::of(&call.name).map(|row| row.does);
        let made = match (moment.event.made, does) {
            (Made::Socket(made), Some(Does::Accepts)) => made,
            (_, Some(Does::Connects)) => {
                if let Some(socket) = moment.event.socket.filter(|id| self.is(*id, Kind::Stream)) {
                    self.connect(socket, call.note.split(' ').next().unwrap_or_default());
                }
                return;
            }
            _ => return,
        };
        if self.is(made, Kind::Stream) {
            // Its client's connect was not recorded: it has connected by now.
            let (id, own) = self.of(made);
            self.begin(id, 1 - own);
            self.answer(id, 1 - own);
        }
    }

    fn connect(&mut self, socket: SocketId, error: &str) {
        let (id, own) = self.of(socket);
        match error {
            "" | "EINPROGRESS" | "EINTR" => {
                self.begin(id, own);
                if error.is_empty() {
                    self.answer(id, own);
                }
            }
            "ECONNREFUSED" => {
                self.begin(id, own);
                self.tcp(id, 1 - own, RST | ACK, &[], 0);
                self.connections.insert(id, Connection::default());
            }
            "ETIMEDOUT" => {
                self.begin(id, own);
                self.connections.insert(id, Connection::default());
            }
            _ => {}
        }
    }

    fn begin(&mut self, id: SocketId, from: usize) {
        let connection = self.connections.entry(id).or_default();
        if !connection.begun {
            connection.begun = true;
            self.tcp(id, from, SYN, &[], 0);
        }
    }

    fn answer(&mut self, id: SocketId, from: usize) {
        let connection = self.connections.entry(id).or_default();
        if !connection.answered {
            connection.answered = true;
            self.tcp(id, 1 - from, SYN | ACK, &[], 0);
            self.tcp(id, from, ACK, &[], 0);
        }
    }

    fn moved(&mut self, moment: &Moment, socket: SocketId, what: &Movement, bytes: &[u8]) {
        let kind = match what {
            Movement::MessageSent { .. } | Movement::MessageReceived { .. } => Kind::Datagram,
            _ => Kind::Stream,
        };
        if !self.is(socket, kind) {
            let crosses = matches!(
                what,
                Movement::Sent { .. } | Movement::MessageSent { .. } | Movement::Ended(_)
            );
            self.unseen += usize::from(crosses);
            return;
        }
        let (id, own) = self.of(socket);
        match what {
            Movement::Sent { range, .. } => self.stream(id, own, range.end, bytes, range.start),
            Movement::Received { range, .. } => {
                self.stream(id, 1 - own, range.end, bytes, range.start);
            }
            Movement::Ended(end) => self.end(id, own, *end),
            Movement::MetEnd(end) => self.end(id, 1 - own, *end),
            Movement::MessageSent { length, to } => {
                let end = self.run.sockets.get(&socket);
                let local = end.and_then(|end| end.local.clone());
                let remote = to.clone().or(end.and_then(|end| end.remote.clone()));
                self.udp(&[local, remote], bytes, *length);
            }
            Movement::MessageReceived { length, from, .. } if moment.event.causes.is_empty() => {
                let end = self.run.sockets.get(&socket);
                let local = end.and_then(|end| end.local.clone());
                let remote = from.clone().or(end.and_then(|end| end.remote.clone()));
                self.udp(&[remote, local], bytes, *length);
            }
            Movement::MessageReceived { .. } => {}
        }
    }

    /// Sends the bytes of a stream up to here that no packet has carried yet. `start` is the
    /// position of `bytes`.
    fn stream(&mut self, id: SocketId, from: usize, end: u64, bytes: &[u8], start: u64) {
        let connection = *self.connections.entry(id).or_default();
        if connection.reset || connection.ended[from] {
            return;
        }
        if connection.begun && !connection.answered {
            self.answer(id, from); // it was connecting and is now connected
        }
        let mut at = connection.sent[from].max(start);
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(SEGMENT).min(SEGMENT);
            let begin = usize::try_from(at - start)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let known = &bytes[begin..(begin + length).min(bytes.len())];
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.sent[from] = at; // the earlier bytes were not recorded
            }
            self.tcp(id, from, PSH | ACK, known, length - known.len());
            at += length as u64;
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.sent[from] = at;
            }
            self.tcp(id, 1 - from, ACK, &[], 0);
        }
    }

    fn end(&mut self, id: SocketId, from: usize, end: End) {
        let connection = *self.connections.entry(id).or_default();
        if connection.reset || (connection.begun && !connection.answered) {
            return;
        }
        match end {
            End::Fin if !connection.ended[from] => {
                self.tcp(id, from, FIN | ACK, &[], 0);
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.ended[from] = true;
                }
                self.tcp(id, 1 - from, ACK, &[], 0);
            }
            End::Fin => {}
            End::Reset { .. } => {
                self.tcp(id, from, RST | ACK, &[], 0);
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.reset = true;
                }
            }
        }
    }

    /// The connection of a socket, and which end it is.
    fn of(&self, socket: SocketId) -> (SocketId, usize) {
        let peer = self.run.sockets.get(&socket).and_then(|own| own.peer);
        match peer {
            Some(peer) if peer < socket => (peer, 1),
            _ => (socket, 0),
        }
    }

    /// Whether it is an Internet socket of this kind.
    fn is(&self, socket: SocketId, kind: Kind) -> bool {
        let own = self.run.sockets.get(&socket);
        let inet = |own: &Endpoint| {
            matches!(
                (&own.local, &own.remote),
                (Some(Address::Inet { .. }), _) | (_, Some(Address::Inet { .. }))
            )
        };
        own.is_some_and(|own| own.kind == kind && matches!(own.name, "TCP" | "UDP") && inet(own))
    }

    fn tcp(&mut self, id: SocketId, from: usize, flags: u8, bytes: &[u8], missing: usize) {
        let connection = self.connections.get(&id).copied().unwrap_or_default();
        let own = self.run.sockets.get(&id);
        let peer = own.and_then(|own| self.run.sockets.get(&own.peer?));
        let local = inet(own.and_then(|own| own.local.as_ref()));
        let local = local.filter(|it| !it.0.is_unspecified() && it.1 != 0);
        let local = local.or_else(|| inet(peer.and_then(|peer| peer.remote.as_ref())));
        let local = local.or_else(|| inet(own.and_then(|own| own.local.as_ref())));
        let remote = inet(own.and_then(|own| own.remote.as_ref()));
        let remote = remote.or_else(|| inet(peer.and_then(|peer| peer.local.as_ref())));
        let mut ends = self.addresses(local, remote);
        if from == 1 {
            ends.reverse();
        }
        let number = |end: usize| {
            // SYN and FIN each take one sequence number.
            let sent = connection.sent[end] + 1 + u64::from(connection.ended[end]);
            small(usize::try_from(sent & 0xffff_ffff).unwrap_or(0))
        };
        let syn = flags & SYN != 0;
        let sequence = if syn { 0 } else { number(from) };
        let acknowledged = match flags {
            SYN => 0,
            _ if syn || flags == RST | ACK && !connection.answered => 1,
            _ => number(1 - from),
        };
        let mut segment = Vec::new();
        segment.extend(ends[0].1.to_be_bytes());
        segment.extend(ends[1].1.to_be_bytes());
        segment.extend(sequence.to_be_bytes());
        segment.extend(acknowledged.to_be_bytes());
        segment.push(if syn { 6 << 4 } else { 5 << 4 });
        segment.push(flags);
        let window: u16 = if flags & RST == 0 { u16::MAX } else { 0 };
        segment.extend(window.to_be_bytes());
        segment.extend([0; 4]); // checksum, urgent pointer
        if syn {
            segment.extend([1, 3, 3, SCALE]);
        }
        segment.extend(bytes);
        self.ip(TCP, ends, segment, missing, 16);
    }

    fn udp(&mut self, ends: &[Option<Address>; 2], bytes: &[u8], length: u64) {
        let [from, to] = ends.each_ref().map(|end| inet(end.as_ref()));
        let ends = self.addresses(from, to);
        let length = usize::try_from(length).unwrap_or(0).min(65_507);
        let known = &bytes[..bytes.len().min(length)];
        let mut datagram = Vec::new();
        datagram.extend(ends[0].1.to_be_bytes());
        datagram.extend(ends[1].1.to_be_bytes());
        datagram.extend(u16::try_from(8 + length).unwrap_or(u16::MAX).to_be_bytes());
        datagram.extend([0; 2]);
        datagram.extend(known);
        self.ip(UDP, ends, datagram, length - known.len(), 6);
    }

    /// Both ends, in one version of IP. The any-address stands for this machine.
    fn addresses(
        &mut self,
        from: Option<(IpAddr, u16)>,
        to: Option<(IpAddr, u16)>,
    ) -> [(IpAddr, u16); 2] {
        let unknown = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        self.no_port |= from.is_none_or(|from| from.1 == 0) || to.is_none_or(|to| to.1 == 0);
        let mut ends = [from.unwrap_or(unknown), to.unwrap_or(unknown)];
        for at in 0..2 {
            let other = ends[1 - at].0;
            if ends[at].0.is_unspecified() && other.is_loopback() {
                ends[at].0 = other;
            }
        }
        if ends[0].0.is_ipv4() != ends[1].0.is_ipv4() {
            for end in &mut ends {
                if let IpAddr::V4(ip) = end.0 {
                    end.0 = IpAddr::V6(ip.to_ipv6_mapped());
                }
            }
        }
        ends
    }

    /// A packet of these bytes, after its header; their checksum goes to `place`.
    fn ip(
        &mut self,
        protocol: u8,
        ends: [(IpAddr, u16); 2],
        mut bytes: Vec<u8>,
        missing: usize,
        place: usize,
    ) {
        let length = bytes.len() + missing;
        let octets = ends.map(|end| match end.0 {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        });
        let mut summed = octets.concat();
        summed.extend(small(length).to_be_bytes());
        summed.extend([0, 0, 0, protocol]);
        summed.extend(&bytes);
        let sum = match checksum(&summed) {
            0 if protocol == UDP => 0xffff, // 0 would mean no checksum
            sum => sum,
        };
        bytes[place..place + 2].copy_from_slice(&sum.to_be_bytes());
        let mut packet = Vec::new();
        if ends[0].0.is_ipv4() {
            packet.extend([0x45, 0]);
            packet.extend(u16::try_from(20 + length).unwrap_or(u16::MAX).to_be_bytes());
            packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            packet.extend(octets.concat());
            let sum = checksum(&packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
            packet.extend([protocol, 64]);
            packet.extend(octets.concat());
        }
        packet.extend(bytes);
        self.packets.packet(&packet, missing, &self.comment);
        self.comment.clear();
    }
}

fn inet(address: Option<&Address>) -> Option<(IpAddr, u16)> {
    match address {
        Some(Address::Inet { ip, port }) => Some((ip.to_canonical(), *port)),
        _ => None,
    }
}

/// The Internet checksum: the ones' complement of the sum of all 16-bit numbers.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    let mut sum = sum;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
