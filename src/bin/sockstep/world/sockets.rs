//! Sockets, as in the kernel.

use std::collections::VecDeque;
use std::fmt::{Display, Formatter};
use std::net::IpAddr;
use std::ops::Range;

use crate::strace::calls::field;
use crate::strace::text::bytes;
use crate::world::Side;
use crate::world::ids::EventId;
pub use crate::world::ids::SocketId;

#[derive(Clone, Debug)]
pub struct Socket {
    pub id: SocketId,
    /// Its side: that of the task that made it.
    pub side: Side,
    /// `AF_INET`; empty if its creation was not seen and no address shows it.
    pub family: String,
    pub kind: Kind,
    pub protocol: String,
    pub state: State,
    pub local: Option<Address>,
    /// The peer's address, from connect, accept or getpeername.
    pub remote: Option<Address>,
    /// The target of its last datagram.
    pub asked: Option<Address>,
    /// The peer, if it is traced too.
    pub peer: Option<SocketId>,
    /// accept made it; otherwise socket or socketpair.
    pub accepted: bool,
    pub paired: bool,
    /// It is more than a probe: it listens, connects, has a chosen port, or moves data.
    pub counts: bool,
    /// Bytes sent and received since it was made.
    pub sent: u64,
    pub received: u64,
    /// The backlog given to listen.
    pub backlog: Option<i64>,
    /// Connections that have not been accepted yet.
    pub queue: VecDeque<Waiting>,
    /// Sent data that the peer has not received, in order. Empty if the peer is not traced.
    pub under_way: VecDeque<Sending>,
    /// The program has shut down its receiving direction: a 0 is its own.
    pub receives_no_more: bool,
    /// How this socket's stream has ended, and by which event.
    pub ended: Option<(End, EventId)>,
    /// Why a connect failed, and its address.
    pub refused: Option<(Address, String)>,
    pub nonblocking: bool,
    /// It has a time-out (SO_RCVTIMEO, SO_SNDTIMEO).
    pub gives_up: bool,
    /// SO_LINGER of 0: a close resets.
    pub lingers_not: bool,
    /// SO_REUSEADDR, SO_REUSEPORT and TCP_NODELAY are set.
    pub reuses_address: bool,
    pub reuses_port: bool,
    pub nodelay: bool,
    /// For datagrams: since when it is connected; how many it had not received when it was closed.
    pub(super) connected: Option<u64>,
    /// An accepted socket whose `accept` gave no address: the connect that it seems to belong to, until the first bytes prove
    /// it.
    pub(super) guess: Option<EventId>,
    /// The first bytes that a connecting socket has sent.
    pub(super) start: Vec<u8>,
    pub unread_messages: usize,
    /// Descriptors that refer to it, in all tables, and messages that carry one.
    pub references: usize,
    /// Sockets whose descriptors have been sent over this one (SCM_RIGHTS).
    pub(super) carried: VecDeque<Option<SocketId>>,
}

/// A connection in a listening socket's queue.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub socket: SocketId,
    /// Its connect.
    pub event: EventId,
}

/// A send whose bytes are under way.
#[derive(Clone, Debug)]
pub struct Sending {
    pub range: Range<u64>,
    pub event: EventId,
}

/// How one direction of a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// After all that was sent has been delivered: the receiver gets 0.
    Fin,
    /// At once. `unread` bytes had come and were never read (0 if it was SO_LINGER, or data after the end).
    Reset { unread: u64 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Stream,
    Datagram,
    Seqpacket,
    Raw,
    Other,
}

/// The state of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Created,
    Bound,
    Listening,
    /// A connect that does not block is under way.
    Connecting,
    Connected,
    /// It sends no more; the peer may.
    WriteShut,
    /// The peer sends no more.
    PeerShut,
    Closed,
    /// It closed first: its port is kept for a minute.
    TimeWait,
    Reset,
}

impl Socket {
    pub(super) fn new(id: SocketId, side: Side, family: &str, kind: Kind) -> Socket {
        Socket {
            id,
            side,
            family: family.to_owned(),
            kind,
            protocol: String::new(),
            state: State::Created,
            local: None,
            remote: None,
            asked: None,
            peer: None,
            accepted: false,
            paired: false,
            counts: false,
            sent: 0,
            received: 0,
            backlog: None,
            queue: VecDeque::new(),
            under_way: VecDeque::new(),
            receives_no_more: false,
            ended: None,
            refused: None,
            nonblocking: false,
            gives_up: false,
            lingers_not: false,
            reuses_address: false,
            reuses_port: false,
            nodelay: false,
            connected: None,
            guess: None,
            start: Vec::new(),
            unread_messages: 0,
            references: 0,
            carried: VecDeque::new(),
        }
    }

    /// Whether its kind has connections, whose end the peer sees.
    pub fn is_connected_by_nature(&self) -> bool {
        matches!(self.kind, Kind::Stream | Kind::Seqpacket)
    }

    /// Talks to the kernel, or to a daemon of the C library: not the program's own work.
    pub fn is_the_systems(&self) -> bool {
        let daemon = |address: &Address| matches!(address, Address::Unix(path) if path.ends_with("/nscd/socket"));
        matches!(self.family.as_str(), "AF_NETLINK" | "AF_ALG")
            || self
                .refused
                .as_ref()
                .is_some_and(|(address, _)| daemon(address))
            || self.remote.as_ref().is_some_and(daemon)
    }

    /// It listens, or did so until it was closed.
    pub fn has_listened(&self) -> bool {
        self.state == State::Listening || self.backlog.is_some()
    }

    /// Whether it was a connected datagram socket at that time.
    pub fn connected_before(&self, time: u64) -> bool {
        self.connected.is_some_and(|since| since < time)
    }

    pub fn is_open(&self) -> bool {
        self.references > 0
    }

    /// Its name in headings: `TCP`, `UDP`, `Unix-domain`, `SEQPACKET`.
    pub fn name(&self) -> &'static str {
        match (self.family.as_str(), self.kind) {
            ("AF_UNIX" | "AF_LOCAL" | "PF_LOCAL", Kind::Datagram) => "Unix-domain datagram",
            (_, Kind::Seqpacket) if self.protocol.contains("SCTP") => "SCTP",
            (_, Kind::Seqpacket) => "SEQPACKET",
            ("AF_UNIX" | "AF_LOCAL" | "PF_LOCAL", _) => "Unix-domain",
            ("AF_VSOCK", _) => "VSOCK",
            ("AF_BLUETOOTH", _) => "Bluetooth",
            (_, Kind::Raw) => "RAW",
            (_, Kind::Stream) if self.protocol.contains("SCTP") => "SCTP",
            (_, Kind::Stream) => "TCP",
            (_, Kind::Datagram) if self.protocol.contains("ICMP") => "ICMP",
            (_, Kind::Datagram) => "UDP",
            (_, Kind::Other) => "new",
        }
    }
}

impl Kind {
    /// Parses socket's second argument: `SOCK_STREAM|SOCK_CLOEXEC`.
    pub fn of(argument: &str) -> Kind {
        match argument
            .split('|')
            .find(|flag| !matches!(*flag, "SOCK_CLOEXEC" | "SOCK_NONBLOCK"))
        {
            Some("SOCK_STREAM") => Kind::Stream,
            Some("SOCK_DGRAM") => Kind::Datagram,
            Some("SOCK_SEQPACKET") => Kind::Seqpacket,
            Some("SOCK_RAW") => Kind::Raw,
            _ => Kind::Other,
        }
    }
}

/// The address that a socket is bound or connected to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    Inet {
        ip: IpAddr,
        port: u16,
    },
    /// A path; `@name` in the abstract space. Empty if unbound.
    Unix(String),
    /// Of another family, or `AF_UNSPEC`.
    Other(String),
}

impl Address {
    /// Of strace's `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}`.
    pub fn of(arg: &str) -> Option<Address> {
        let family = field(arg, "sa_family")?;
        if matches!(family, "AF_UNIX" | "AF_LOCAL") {
            let path = field(arg, "sun_path").unwrap_or("");
            let (mark, quoted) = path
                .strip_prefix('@')
                .map_or(("", path), |rest| ("@", rest));
            let (path, _) = bytes(quoted).unwrap_or_default();
            return Some(Address::Unix(
                mark.to_owned() + &String::from_utf8_lossy(&path),
            ));
        }
        let inet = || {
            let (_, rest) = arg.split_once("_port=htons(")?;
            let (port, rest) = rest.split_once(')')?;
            let (_, rest) = rest.split_once('"')?;
            let (text, _) = rest.split_once('"')?;
            let (text, _) = bytes(&format!("\"{text}\""))?;
            let ip = String::from_utf8_lossy(&text).parse().ok()?;
            Some(Address::Inet {
                ip,
                port: port.parse().ok()?,
            })
        };
        // For an address that is too short, strace shows only its bytes.
        let short = || {
            let (data, _) = bytes(field(arg, "sa_data").filter(|_| family == "AF_INET")?)?;
            let (port, rest) = data.split_first_chunk::<2>()?;
            let ip = IpAddr::from(*rest.first_chunk::<4>()?);
            let port = u16::from_be_bytes(*port);
            Some(Address::Inet { ip, port })
        };
        let known = inet().or_else(short);
        Some(known.unwrap_or_else(|| Address::Other(family.to_owned())))
    }

    /// Of what strace says with -yy: `127.0.0.1:80`, `[::1]:80`.
    pub fn of_words(words: &str) -> Option<Address> {
        let (host, port) = words.rsplit_once(':')?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        Some(Address::Inet {
            ip: host.parse().ok()?,
            port: port.parse().ok()?,
        })
    }

    pub fn port(&self) -> Option<u16> {
        match self {
            Address::Inet { port, .. } => Some(*port),
            _ => None,
        }
    }

    /// The part that all addresses that reach this one share: its port, or its path.
    pub(super) fn key(&self) -> String {
        match self {
            Address::Inet { port, .. } => port.to_string(),
            Address::Unix(path) => format!("unix {path}"),
            Address::Other(words) => format!("other {words}"),
        }
    }

    /// Whether data for `target` reaches a socket bound to this address.
    pub fn is_reached_at(&self, target: &Address) -> bool {
        match (self, target) {
            (
                Address::Inet { ip, port },
                Address::Inet {
                    ip: wanted,
                    port: asked,
                },
            ) => {
                // 0.0.0.0 as a target is this machine.
                port == asked
                    && (plain(*ip) == plain(*wanted)
                        || ip.is_unspecified()
                        || wanted.is_unspecified() && ip.is_loopback())
            }
            _ => self == target,
        }
    }

    /// Whether the two name one endpoint: equal, except for IPv6's form of IPv4.
    pub fn is(&self, other: &Address) -> bool {
        match (self, other) {
            (
                Address::Inet { ip, port },
                Address::Inet {
                    ip: wanted,
                    port: asked,
                },
            ) => port == asked && plain(*ip) == plain(*wanted),
            _ => self == other,
        }
    }
}

/// `127.0.0.1` for `::ffff:127.0.0.1`.
fn plain(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Inet {
                ip: IpAddr::V6(ip),
                port,
            } => write!(f, "[{ip}]:{port}"),
            Address::Inet { ip, port } => write!(f, "{ip}:{port}"),
            Address::Unix(path) if path.is_empty() => write!(f, "unnamed"),
            Address::Unix(path) | Address::Other(path) => write!(f, "{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (arg, words) in [
            (
                r#"{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}"#,
                "127.0.0.1:80",
            ),
            (
                r#"{sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}"#,
                "[::1]:80",
            ),
            (
                r#"{sa_family=AF_INET, sin_port=htons(7), sin_addr=inet_addr("\x31\x2e\x32\x2e\x33\x2e\x34")}"#,
                "1.2.3.4:7",
            ),
            (r#"{sa_family=AF_UNIX, sun_path="u.sock"}"#, "u.sock"),
            (r#"{sa_family=AF_UNIX, sun_path=@"hidden"}"#, "@hidden"),
            (
                r#"{sa_family=AF_INET, sa_data="\36\335\177\0\0\1"}"#,
                "127.0.0.1:7901",
            ),
            ("{sa_family=AF_UNIX}", "unnamed"),
            ("{sa_family=AF_UNSPEC, sa_data=\"\"}", "AF_UNSPEC"),
        ] {
            assert_eq!(Address::of(arg).unwrap().to_string(), words, "{arg}");
        }
        assert_eq!(Address::of("NULL"), None);
        assert_eq!(
            Address::of_words("[::1]:80").unwrap().to_string(),
            "[::1]:80"
        );
    }

    #[test]
    fn a_socket_is_reached_at_its_own_address_or_at_any_if_it_has_none() {
        let at = |words: &str| Address::of_words(words).unwrap();
        assert!(at("0.0.0.0:80").is_reached_at(&at("127.0.0.2:80")));
        assert!(at("[::]:80").is_reached_at(&at("127.0.0.1:80")));
        assert!(at("127.0.0.1:80").is_reached_at(&at("[::ffff:127.0.0.1]:80")));
        assert!(!at("127.0.0.2:80").is_reached_at(&at("127.0.0.1:80")));
        assert!(!at("127.0.0.1:80").is_reached_at(&at("127.0.0.1:81")));
    }
}
