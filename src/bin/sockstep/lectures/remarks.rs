//! Remarks: what a person should know of an event, one line each, in words that name the mend.
//!
//! A remark is a function in [`RULES`]: it looks at one event, with the world as that event has left it, and says something or
//! not. To add one, write the function, put it in the list, and test it on a recording of three lines, once where it holds and
//! once where it must not. It is said once for each socket. Its `explain` is a word of `words.rs` or of ffi-notes.md; a test
//! looks for that. A false remark is worse than none: where another reading of the event is possible, say nothing.

use std::collections::HashSet;

use crate::strace::calls::{self, Does, number};
use crate::strace::line::{Call, bytes};
use crate::world::events::{End, Event, Movement};
use crate::world::sockets::{Address, Kind, Socket, SocketId, State};
use crate::world::{Side, World};

/// A remark, and the word that `sockstep explain` has more on.
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

/// What earlier events have said.
#[derive(Default)]
struct Seen {
    /// The run is going on now: this machine's kernel can be asked about it.
    live: bool,
    /// Numbers among the arguments of each side's programs: ports that a person has asked for, it may be.
    asked: [HashSet<u16>; 2],
    /// Sockets on which 0 was received, and how often.
    zeros: Vec<(SocketId, u32)>,
}

type Rule = fn(&Seen, &World, &Event, &Call) -> Option<Remark>;

const RULES: &[Rule] = &[
    closed_already,
    listening_socket_closed,
    listen_is_missing,
    port_without_htons,
    nobody_there,
    address_too_short,
    port_in_use,
    nul_sent_along,
    sizeof_a_pointer,
    goes_on_after_the_end,
    answered_from_elsewhere,
];

impl Remarks {
    /// Of a run that is going on.
    pub fn live() -> Remarks {
        let mut remarks = Remarks::default();
        remarks.seen.live = true;
        remarks
    }

    /// What there is to say of an event.
    pub fn on(&mut self, world: &World, event: &Event) -> Vec<Remark> {
        let Some(call) = event.call() else {
            return Vec::new();
        };
        self.seen.take(event, call);
        let remarks = RULES
            .iter()
            .filter_map(|rule| rule(&self.seen, world, event, call));
        remarks
            .filter(|remark| self.said.insert((event.socket, remark.explain)))
            .collect()
    }

    /// Whether something has been said that `explain` has this word for.
    pub fn have_said(&self, explain: &str) -> bool {
        self.said.iter().any(|(_, said)| *said == explain)
    }
}

impl Seen {
    fn take(&mut self, event: &Event, call: &Call) {
        if calls::does(&call.name) == Does::BecomesProgram {
            let words = call
                .args
                .get(1)
                .map(|arg| calls::items(arg))
                .unwrap_or_default();
            let ports = words.iter().filter_map(|word| {
                let (text, _) = bytes(word)?;
                String::from_utf8(text).ok()?.parse::<u16>().ok()
            });
            self.asked[event.side as usize].extend(ports);
        }
        let Some(id) = event.socket else { return };
        let zero = |movement: &Movement| *movement == Movement::MetEnd(End::Fin);
        if !call.failed() && event.moved.iter().any(|moved| zero(&moved.what)) {
            match self.zeros.iter_mut().find(|(known, _)| *known == id) {
                Some((_, times)) => *times += 1,
                None => self.zeros.push((id, 1)),
            }
            if self.zeros.len() > 64 {
                self.zeros.remove(0);
            }
        }
    }
}

#[allow(clippy::unnecessary_wraps, reason = "each rule ends with it")]
fn remark(words: impl Into<String>, explain: &'static str) -> Option<Remark> {
    let words = words.into();
    Some(Remark { words, explain })
}

fn error(call: &Call) -> &str {
    call.note.split(' ').next().unwrap_or_default()
}

fn socket<'a>(world: &'a World, event: &Event) -> Option<&'a Socket> {
    world.socket(event.socket?)
}

/// The address that a call was given.
fn given(call: &Call) -> Option<Address> {
    let address = calls::of(&call.name)?.address?;
    Address::of(call.args.get(address)?)
}

/// Who has the port, by the kernel's own table.
fn port_in_use(seen: &Seen, _: &World, _: &Event, call: &Call) -> Option<Remark> {
    let does = calls::does(&call.name);
    if !seen.live || does != Does::Binds || error(call) != "EADDRINUSE" {
        return None;
    }
    let port = given(call)?.port()?;
    let states = states_at(port);
    if states.iter().any(|state| state == LISTEN) {
        return remark(
            format!("another socket listens at port {port}: ss -lntp 'sport = {port}' says whose"),
            "EADDRINUSE",
        );
    }
    if states.iter().any(|state| state == TIME_WAIT) {
        return remark(
            format!(
                "no process has port {port}: an old connection is in TIME_WAIT. Set SO_REUSEADDR before bind()"
            ),
            "TIME_WAIT",
        );
    }
    None
}

/// States, as the kernel's tables have them.
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

fn closed_already(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let socket = socket(world, event)?;
    let again = calls::does(&call.name) == Does::Closes && error(call) == "EBADF";
    if !again || socket.has_listened() {
        return None;
    }
    remark(
        "closed already: close each descriptor once, the next socket may have this number",
        "double close",
    )
}

fn listening_socket_closed(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let socket = socket(world, event)?;
    let gone = calls::does(&call.name) == Does::Accepts && error(call) == "EBADF";
    if !gone || !socket.has_listened() {
        return None;
    }
    remark(
        "the listening socket was closed: close what accept returned instead",
        "wrong socket closed",
    )
}

fn listen_is_missing(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let socket = socket(world, event)?;
    let refused = calls::does(&call.name) == Does::Accepts && error(call) == "EINVAL";
    if !refused || !matches!(socket.state, State::Created | State::Bound) || socket.has_listened() {
        return None;
    }
    remark(
        "listen() is missing: call it between bind() and accept()",
        "listen",
    )
}

fn port_without_htons(seen: &Seen, _: &World, event: &Event, call: &Call) -> Option<Remark> {
    if !matches!(calls::does(&call.name), Does::Binds | Does::Connects)
        && calls::of(&call.name)?.sends.is_none()
    {
        return None;
    }
    let port = given(call)?.port()?;
    let meant = port.swap_bytes();
    let asked = &seen.asked[event.side as usize];
    // Both may have been asked for, or be a number by chance.
    if port == meant || asked.contains(&port) || !asked.contains(&meant) {
        return None;
    }
    let side = event.side.name();
    remark(
        format!("port {port} is {meant} with its bytes swapped: the {side} has forgotten htons()"),
        "htons",
    )
}

fn nobody_there(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    if calls::does(&call.name) != Does::Connects || error(call) != "ECONNREFUSED" {
        return None;
    }
    let to = given(call)?;
    let mut listening: Vec<&Socket> = world
        .sockets()
        .filter(|socket| {
            socket.state == State::Listening && socket.side != event.side && socket.is_open()
        })
        .collect();
    listening.sort_unstable_by_key(|socket| socket.id);
    let [one] = listening[..] else { return None };
    let local = one.local.as_ref()?;
    if local.is_reached_at(&to) || local.port() == Some(0) {
        return None;
    }
    remark(
        format!("nobody listens at {to}; the server listens at {local}"),
        "ECONNREFUSED",
    )
}

fn address_too_short(_: &Seen, _: &World, _: &Event, call: &Call) -> Option<Remark> {
    let row = calls::of(&call.name)?;
    if !matches!(row.does, Does::Binds | Does::Connects) || error(call) != "EINVAL" {
        return None;
    }
    let length = number(call.args.get(row.address? + 1)?)?;
    let (family, whole) = match given(call)? {
        Address::Inet { ip, .. } if ip.is_ipv4() => ("sockaddr_in", 16),
        Address::Inet { .. } => ("sockaddr_in6", 28),
        _ => return None,
    };
    if length >= whole {
        return None;
    }
    remark(
        format!(
            "the address length is {length}, and a {family} has {whole} bytes: sizeof a pointer?"
        ),
        "address length",
    )
}

/// What a call has sent, if it is in one piece and none of it is left out.
fn sent(call: &Call) -> Option<(Vec<u8>, u64)> {
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

fn nul_sent_along(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    if socket(world, event)?.paired {
        return None;
    }
    let (bytes, _) = sent(call)?;
    let (last, text) = bytes.split_last()?;
    if *last != 0 || !is_text(text) {
        return None;
    }
    let length = text.len();
    remark(
        format!(
            "the NUL at its end was sent along: strlen() is {length}, not {}",
            length + 1
        ),
        "NUL",
    )
}

fn sizeof_a_pointer(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    if socket(world, event)?.paired {
        return None;
    }
    let (bytes, asked) = sent(call)?;
    let nul = bytes.iter().position(|&byte| byte == 0)?;
    if asked != 8 || nul + 1 >= bytes.len() || !is_text(&bytes[..nul]) {
        return None;
    }
    remark(
        "8 bytes of a shorter text were sent: sizeof of a pointer, where strlen() was meant?",
        "sizeof",
    )
}

fn goes_on_after_the_end(seen: &Seen, _: &World, event: &Event, call: &Call) -> Option<Remark> {
    calls::of(&call.name)?.receives?;
    let id = event.socket?;
    let (_, times) = seen.zeros.iter().find(|(known, _)| *known == id)?;
    // A library may look twice.
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

fn answered_from_elsewhere(_: &Seen, world: &World, event: &Event, call: &Call) -> Option<Remark> {
    let socket = socket(world, event).filter(|socket| socket.kind == Kind::Datagram)?;
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
        format!("answered from {from}, and {asked} was asked"),
        "answered from another address",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lectures::words;
    use crate::strace::recording::Trace;
    use crate::world::tasks::Sides;

    /// The remarks on a recording: of each, the word that explains it.
    fn remarks(text: &str) -> Vec<Remark> {
        let mut trace = Trace::default();
        let mut entries = trace.take(text.as_bytes());
        entries.extend(trace.end());
        let mut sides = Sides::default();
        for entry in &entries {
            sides.take(entry);
        }
        let sides = sides.sides();
        let mut world = World::default();
        for entry in entries {
            world.take(0, sides[&entry.pid], entry);
        }
        let mut remarks = Remarks::default();
        let mut all = Vec::new();
        while let Some(event) = world.next(u64::MAX) {
            all.extend(remarks.on(&world, &event));
        }
        for remark in &all {
            let known = words::calls()
                .chain(words::others())
                .any(|section| section.names().any(|name| name == remark.explain));
            assert!(known, "explain has no {}", remark.explain);
        }
        all
    }

    fn words_of(text: &str) -> Vec<&'static str> {
        remarks(text)
            .into_iter()
            .map(|remark| remark.explain)
            .collect()
    }

    const SOCKET: &str = "7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n";

    fn with(text: &str) -> Vec<&'static str> {
        words_of(&(SOCKET.to_owned() + text))
    }

    #[test]
    fn a_second_close_and_the_wrong_one() {
        let twice = "7 listen(3, 5) = 0\n7 accept(3, NULL, NULL) = 4\n7 close(4) = 0\n7 close(4) = -1 EBADF (Bad file descriptor)\n";
        assert_eq!(with(twice), ["double close"]);
        let wrong = "7 listen(3, 5) = 0\n7 close(3) = 0\n7 accept(3, NULL, NULL) = -1 EBADF (Bad file descriptor)\n7 accept(3, NULL, NULL) = -1 EBADF (Bad file descriptor)\n";
        assert_eq!(with(wrong), ["wrong socket closed"]);
        assert!(with("7 close(9) = -1 EBADF (Bad file descriptor)\n").is_empty());
    }

    #[test]
    fn no_listen() {
        let bind = r#"7 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 accept(3, NULL, NULL) = -1 EINVAL (Invalid argument)
"#;
        assert_eq!(with(bind), ["listen"]);
        assert!(
            with("7 listen(3, 5) = 0\n7 accept(3, NULL, NULL) = -1 EINVAL (Invalid argument)\n")
                .is_empty()
        );
    }

    #[test]
    fn no_htons_by_whom() {
        let run = |side: &str, port: u16, call: &str| {
            let text = format!(
                "7 execve(\"./{side}\", [\"./{side}\", \"7801\"], 0x7ffd /* 1 var */) = 0\n{SOCKET}7 {call}(3, {{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr(\"127.0.0.1\")}}, 16) = 0\n"
            );
            remarks(
                &(text
                    + if call == "bind" {
                        "7 listen(3, 5) = 0\n"
                    } else {
                        ""
                    }),
            )
        };
        let server = run("server", 7801u16.swap_bytes(), "bind");
        assert!(
            server[0]
                .words
                .ends_with("the server has forgotten htons()"),
            "{server:?}"
        );
        let client = run("client", 7801u16.swap_bytes(), "connect");
        assert!(
            client[0]
                .words
                .ends_with("the client has forgotten htons()"),
            "{client:?}"
        );
        assert!(
            run("server", 7801, "bind").is_empty() && run("client", 4000, "connect").is_empty()
        );
    }

    #[test]
    fn nobody_listens_where_the_client_asks() {
        let both = |at: &str| {
            words_of(&format!(
                r#"7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
7 bind(3, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.2")}}, 16) = 0
7 listen(3, 5) = 0
9 execve("./client", ["./client"], 0x7ffd /* 1 var */) = 0
9 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
9 connect(3, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("{at}")}}, 16) = -1 ECONNREFUSED (Connection refused)
"#
            ))
        };
        assert_eq!(both("127.0.0.1"), ["ECONNREFUSED"]);
        assert!(both("127.0.0.2").is_empty());
    }

    #[test]
    fn lengths_that_are_a_pointers() {
        let bind = |length: u8, error: &str| {
            with(&format!(
                "7 bind(3, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"127.0.0.1\")}}, {length}) = -1 {error}\n"
            ))
        };
        assert_eq!(bind(8, "EINVAL (Invalid argument)"), ["address length"]);
        assert!(bind(16, "EINVAL (Invalid argument)").is_empty());
        let send = |bytes: &str, length: u8| {
            with(&format!(
                "7 sendto(3, \"{bytes}\", {length}, 0, NULL, 0) = {length}\n"
            ))
        };
        assert_eq!(send(r"hello\0", 6), ["NUL"]);
        assert_eq!(send(r"hello\0\1x", 8), ["sizeof"]);
        assert!(send("hello", 5).is_empty() && send(r"\1\0\0\0\5\0\0\0", 8).is_empty());
    }

    #[test]
    fn a_loop_that_takes_0_for_a_message() {
        let zero = "7 recvfrom(4, \"\", 99, 0, NULL, NULL) = 0\n";
        let served = "7 listen(3, 5) = 0\n7 accept(3, NULL, NULL) = 4\n";
        assert_eq!(with(&(served.to_owned() + &zero.repeat(9))), ["recv 0"]);
        assert!(with(&(served.to_owned() + &zero.repeat(2))).is_empty());
    }

    #[test]
    fn an_answer_from_another_address() {
        let ask = |from: &str| {
            words_of(&format!(
                r#"9 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
9 sendto(3, "hello", 5, 0, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.2")}}, 16) = 5
9 recvfrom(3, "hello", 99, 0, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("{from}")}}, [16]) = 5
"#
            ))
        };
        assert_eq!(ask("127.0.0.1"), ["answered from another address"]);
        assert!(ask("127.0.0.2").is_empty());
    }
}
