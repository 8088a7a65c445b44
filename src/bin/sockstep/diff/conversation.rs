//! The conversation of client and server without its calls: connections, whose turn it was, the bytes of each direction,
//! how each end closed, and how each side ended.

use std::collections::HashMap;

use crate::diff::compare::{Line, Lines};
use crate::diff::normalise::{Data, On};
use crate::strace::calls::{self, Does, Parcel};
use crate::strace::line::{Call, Entry};
use crate::world::events::{End, Event, Made, Movement};
use crate::world::sockets::{Address, Socket, SocketId};
use crate::world::{Side, World};

/// What each task had to do with sockets, call by call, and what crossed.
#[derive(Default)]
pub struct Known {
    pub on: HashMap<(Side, Option<u32>), Vec<On>>,
    /// The sockets of each side, in the order in which they appear.
    pub sockets: HashMap<Side, Vec<u64>>,
    pub conversation: Lines,
}

/// Works it out from all that has been seen. The conversation is the client's if that was traced, else the server's.
pub fn of(history: Vec<(Side, Entry)>) -> Known {
    let traced = |wanted| history.iter().any(|(side, _)| *side == wanted);
    let mut conversation = Conversation {
        of: if traced(Side::Client) {
            Side::Client
        } else {
            Side::Server
        },
        connections: Vec::new(),
        places: HashMap::new(),
        asked: Vec::new(),
    };
    let mut known = Known::default();
    let mut idle: HashMap<u64, bool> = HashMap::new();
    let mut world = World::default();
    for (side, entry) in history {
        world.take(side as usize, side, entry);
    }
    while let Some(event) = world.next(u64::MAX) {
        let on = on(&world, &event);
        for id in on.socket.iter().chain(&on.made) {
            let is_idle = |socket: &Socket| socket.is_the_systems() || !socket.counts;
            idle.insert(*id, world.socket(SocketId(*id)).is_some_and(is_idle));
        }
        let sockets = known.sockets.entry(event.side).or_default();
        for id in on.socket.iter().chain(&on.made) {
            if !sockets.contains(id) {
                sockets.push(*id);
            }
        }
        let key = (event.side, world.task(event.task).pid);
        known.on.entry(key).or_default().push(on);
        if event.side == conversation.of {
            conversation.take(&world, &event);
        }
    }
    // What was made to ask the system, or never used.
    for on in known.on.values_mut().flatten() {
        let of_one = on.socket.filter(|_| on.several.is_empty());
        if of_one.is_some_and(|id| idle.get(&id) == Some(&true)) {
            on.network = false;
        }
    }
    for sockets in known.sockets.values_mut() {
        sockets.retain(|id| idle.get(id) != Some(&true));
    }
    for (at, connection) in conversation.connections.into_iter().enumerate() {
        let name = format!("connection {}: ", at + 1);
        for turn in connection {
            let line = match turn {
                Turn::Says(side, data) => Line::of_data(format!("{name}{} says", word(side)), data),
                Turn::Told(words) => Line::of_words(&format!("{name}{words}")),
            };
            known.conversation.lines.push(line);
        }
    }
    known
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

fn on(world: &World, event: &Event) -> On {
    let mut on = On {
        network: event.on_a_socket,
        socket: event.socket.map(|id| id.0),
        ..On::default()
    };
    on.made = match event.made {
        Made::Socket(id) => vec![id.0],
        Made::Pair(one, other) => vec![one.0, other.0],
        _ => Vec::new(),
    };
    if let Some(call) = event.call() {
        match calls::does(&call.name) {
            Does::Duplicates => on.made.extend(on.socket),
            Does::Controls if call.args.iter().any(|arg| arg.starts_with("F_DUPFD")) => {
                on.made.extend(on.socket);
            }
            Does::Watches(_) => {
                let open = world.descriptors(event.task);
                on.several = open.map(|(number, socket)| (number, socket.id.0)).collect();
            }
            _ => {}
        }
    }
    on
}

/// One thing that happened on a connection.
enum Turn {
    Says(Side, Data),
    Told(String),
}

struct Conversation {
    /// Through whose eyes.
    of: Side,
    connections: Vec<Vec<Turn>>,
    places: HashMap<SocketId, usize>,
    /// Where datagrams went.
    asked: Vec<Address>,
}

impl Conversation {
    fn on(&mut self, id: SocketId) -> &mut Vec<Turn> {
        let next = self.connections.len();
        let place = *self.places.entry(id).or_insert(next);
        if place == next {
            self.connections.push(Vec::new());
        }
        &mut self.connections[place]
    }

    fn take(&mut self, world: &World, event: &Event) {
        let systems = |id: SocketId| world.socket(id).is_some_and(Socket::is_the_systems);
        if let Some(call) = event.call() {
            self.opens(world, event, call);
        }
        let mut parcels = event.call().map(parcels).unwrap_or_default().into_iter();
        let own = self.of;
        let other = match own {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        };
        for moved in &event.moved {
            let id = moved.socket;
            if systems(id) {
                continue;
            }
            match &moved.what {
                Movement::Sent { range, .. } => {
                    let data = data(event, parcels.next(), range.end - range.start);
                    self.says(id, own, data);
                }
                Movement::Received { range, peeked, .. } => {
                    let data = data(event, parcels.next(), range.end - range.start);
                    if !peeked {
                        self.says(id, other, data);
                    }
                }
                Movement::MessageSent { length, to } => {
                    let data = data(event, parcels.next(), *length);
                    self.asked.extend(to.clone());
                    let words = format!("{} sends {} bytes: {data}", word(own), data.len);
                    self.on(id).push(Turn::Told(words));
                }
                Movement::MessageReceived { length, from, .. } => {
                    let data = data(event, parcels.next(), *length);
                    let stranger = own == Side::Client
                        && from.as_ref().is_some_and(|from| !self.asked.contains(from));
                    let who = if stranger { "a stranger" } else { word(other) };
                    let words = format!("{who} sends {} bytes: {data}", data.len);
                    self.on(id).push(Turn::Told(words));
                }
                Movement::Ended(end) => self.ends(id, own, *end),
                Movement::MetEnd(end) => self.ends(id, other, *end),
            }
        }
    }

    /// A connection, or the reason why it failed.
    fn opens(&mut self, world: &World, event: &Event, call: &Call) {
        let does = calls::does(&call.name);
        let Some(id) = event.socket else { return };
        let socket = world.socket(id);
        let is_one = socket
            .is_some_and(|socket| socket.is_connected_by_nature() && !socket.is_the_systems());
        if does == Does::Connects && is_one {
            let error = call.note.split(' ').next().unwrap_or_default();
            let words = if call.failed() && error != "EINPROGRESS" && error != "EINTR" {
                format!("client cannot connect: {error}")
            } else {
                "client connects".to_owned()
            };
            self.on(id).push(Turn::Told(words));
        } else if let (Does::Accepts, Made::Socket(made)) = (does, event.made) {
            self.on(made).push(Turn::Told("client connects".to_owned()));
        }
    }

    fn says(&mut self, id: SocketId, who: Side, data: Data) {
        let turns = self.on(id);
        match turns.last_mut() {
            Some(Turn::Says(last, said)) if *last == who => said.extend(&data),
            _ => turns.push(Turn::Says(who, data)),
        }
    }

    fn ends(&mut self, id: SocketId, who: Side, end: End) {
        let Some(&place) = self.places.get(&id) else {
            return; // it never was a connection
        };
        let words = match end {
            End::Fin => format!("{} ends", word(who)),
            End::Reset { .. } => format!("{} resets", word(who)),
        };
        let turns = &mut self.connections[place];
        let said = |turn: &Turn| matches!(turn, Turn::Told(told) if *told == words);
        if !turns.iter().any(said) {
            turns.push(Turn::Told(words));
        }
    }
}

fn parcels(call: &Call) -> Vec<Parcel> {
    let Some(row) = calls::of(&call.name) else {
        return Vec::new();
    };
    let data = row.sends.or(row.receives);
    data.map(|data| data.parcels(row, call)).unwrap_or_default()
}

/// The bytes of a movement, as far as they are known.
fn data(event: &Event, parcel: Option<Parcel>, length: u64) -> Data {
    let whole = event.call().and_then(|call| {
        let mut long = call.args.iter().filter_map(|arg| Data::of_argument(arg));
        long.find(|data| data.len == length)
    });
    if let Some(whole) = whole {
        return whole;
    }
    let pieces = parcel.map(|parcel| parcel.pieces).unwrap_or_default();
    let mut bytes: Vec<u8> = pieces.into_iter().flat_map(|(bytes, _)| bytes).collect();
    bytes.truncate(length.try_into().unwrap_or(usize::MAX));
    Data::partly(&bytes, length)
}
