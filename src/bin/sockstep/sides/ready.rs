//! Whether a server can be reached, from the kernel's tables: it listens, or has a datagram socket
//! with an address.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::unistd::{Pid, getpid};
use sockstep::{
    AF_INET, INADDR_ANY, IPPROTO_TCP, IPPROTO_UDP, PF_INET, SOCK_DGRAM, SOCK_STREAM, bind, htonl,
    htons, sockaddr_in, socket,
};

use crate::sides::process::Process;
use crate::sides::tasks::threads;

/// How long a server may take to listen before the user is told.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// The same for a server that is busy starting: an interpreter on a busy machine.
const SLOW: Duration = Duration::from_secs(10);
/// How long a server that is busy starting may take in all: a compiler, a virtual machine.
const STARTING: Duration = Duration::from_secs(30);

/// Where a server can be reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    /// A path, or a name in the abstract space, which begins with `@`.
    Unix(String),
}

/// A server that is starting.
pub struct Ready {
    since: Instant,
    /// Since when all its tasks have been idle.
    asleep: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It can be reached here.
    At(Vec<Place>),
    /// Not yet.
    Starting,
    /// Its time is over: all its tasks sleep, or it is busy without end.
    Idle,
}

impl Ready {
    pub fn begin() -> Ready {
        Ready {
            since: Instant::now(),
            asleep: None,
        }
    }

    /// Call it repeatedly.
    pub fn look(&mut self, server: &Process) -> State {
        let processes = server.processes();
        let places = places(&processes);
        if !places.is_empty() {
            return State::At(places);
        }
        if !processes.is_empty() && server.is_asleep() {
            self.asleep.get_or_insert_with(Instant::now);
        } else {
            self.asleep = None;
        }
        let sleeps = self
            .asleep
            .is_some_and(|since| since.elapsed() > PATIENCE / 3);
        if self.since.elapsed() >= PATIENCE && sleeps || self.since.elapsed() > STARTING {
            return State::Idle;
        }
        State::Starting
    }

    /// Whether to tell the user that a busy server has not listened yet.
    pub fn is_slow(&self) -> bool {
        self.since.elapsed() >= SLOW
    }
}

/// The addresses at which processes can be reached, with inherited sockets.
pub fn places(processes: &[Pid]) -> Vec<Place> {
    let sockets: HashSet<u64> = processes.iter().flat_map(|&pid| sockets_of(pid)).collect();
    let Some(first) = processes.first().filter(|_| !sockets.is_empty()) else {
        return Vec::new();
    };
    let mut places = Vec::new();
    for (table, stream) in [
        ("tcp", true),
        ("tcp6", true),
        ("udp", false),
        ("udp6", false),
    ] {
        for line in table_of(*first, table).lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, state, _, _, _, _, _, inode, ..] = fields.as_slice() else {
                continue;
            };
            let theirs = inode.parse().is_ok_and(|inode| sockets.contains(&inode));
            let open = if stream {
                *state == LISTEN
            } else {
                *state == UNCONNECTED
            };
            if let Some(address) = address(local).filter(|_| theirs && open) {
                places.push(if stream {
                    Place::Tcp(address)
                } else {
                    Place::Udp(address)
                });
            }
        }
    }
    for line in table_of(*first, "unix").lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, flags, kind, _, inode, path, ..] = fields.as_slice() else {
            continue; // a socket without a name
        };
        let theirs = inode.parse().is_ok_and(|inode| sockets.contains(&inode));
        if theirs && (*flags == ACCEPTS || *kind == DATAGRAMS) {
            places.push(Place::Unix((*path).to_owned()));
        }
    }
    places
}

/// States and flags, as the tables have them.
/// The other side has received our FIN and has not sent its own.
pub const FIN_WAIT2: &str = "05";
pub const CLOSE_WAIT: &str = "08";
const TIME_WAIT: &str = "06";
const LISTEN: &str = "0A";
const UNCONNECTED: &str = "07";
const ACCEPTS: &str = "00010000";
const DATAGRAMS: &str = "0002";

/// Whether only old connections keep a port: then a bind without `SO_REUSEADDR` fails.
pub fn is_in_time_wait(port: u16) -> bool {
    let tables = ["tcp", "tcp6"].map(|table| table_of(getpid(), table));
    let mut waits = false;
    for line in tables.iter().flat_map(|table| table.lines().skip(1)) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, ..] = fields.as_slice() else {
            continue;
        };
        if address(local).is_some_and(|address| address.port() == port) {
            if *state == LISTEN {
                return false;
            }
            waits |= *state == TIME_WAIT;
        }
    }
    waits
}

/// The state of the end of a connection that is at `own`, if it is on this machine. A server with an IPv6 socket has it in
/// another table than its IPv4 client.
pub fn state_of(own: SocketAddr, peer: SocketAddr) -> Option<String> {
    let plain = |field: &str| {
        let address = address(field)?;
        Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
    };
    ["tcp", "tcp6"].iter().find_map(|name| {
        let table = table_of(getpid(), name);
        table.lines().skip(1).find_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let ends = [plain(fields.next()?)?, plain(fields.next()?)?];
            let state = fields.next()?;
            (ends == [own, peer]).then(|| state.to_owned())
        })
    })
}

/// A table of sockets in the network namespace of a process.
pub fn table_of(process: Pid, name: &str) -> String {
    let tables = threads(process).map(|thread| thread.join("net").join(name));
    let bytes = tables.flat_map(fs::read).next().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The inodes of the sockets that a process has open.
fn sockets_of(process: Pid) -> Vec<u64> {
    // Read from a thread that has not ended; the first one may have.
    let descriptors = threads(process).find_map(|thread| fs::read_dir(thread.join("fd")).ok());
    descriptors
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let inode = target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?;
            inode.parse().ok()
        })
        .collect()
}

/// An address of the tables, `0100007F:2EE0`: groups of four bytes, each an integer in this
/// machine's byte order.
pub fn address(field: &str) -> Option<SocketAddr> {
    let (host, port) = field.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let group = |at: usize| {
        let digits = host.get(8 * at..8 * at + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let host: IpAddr = match host.len() {
        8 => Ipv4Addr::from(group(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[4 * at..4 * at + 4].copy_from_slice(&group(at)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(host, port))
}

/// How many ports are reserved.
const HELD: usize = 32;
static PORTS: Mutex<VecDeque<UnixListener>> = Mutex::new(VecDeque::new());

/// A port that is free now, for TCP and for UDP, outside the kernel's ephemeral range. Its two
/// bytes differ, so that a missing htons names another port. The last [`HELD`] ports are not given
/// out again, not even by another `sockstep`.
pub fn free_port() -> Result<u16, String> {
    let mut random = [0; 2];
    for _ in 0..1000 {
        let source = fs::File::open("/dev/urandom");
        source
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut random))
            .map_err(|error| format!("/dev/urandom: {error}"))?;
        let port = 20_000 + u16::from_ne_bytes(random) % 10_000;
        let [high, low] = port.to_be_bytes();
        // Reserve its name first: a process that has reserved it may be about to bind, and a trial
        // bind would get in its way.
        let name = UnixAddr::from_abstract_name(format!("sockstep port {port}"));
        let Ok(name) = name.and_then(|name| UnixListener::bind_addr(&name)) else {
            continue;
        };
        if high == low {
            continue;
        }
        let mut place = sockaddr_in::zeroed();
        place.sin_family = AF_INET;
        place.sin_addr.s_addr = htonl(INADDR_ANY);
        place.sin_port = htons(port);
        // Without SO_REUSEADDR: a port with an earlier run's connection in TIME_WAIT is not taken.
        let free = |kind, protocol| {
            socket(PF_INET, kind, protocol)
                .and_then(|sock| bind(&sock, &place))
                .is_ok()
        };
        if free(SOCK_STREAM, IPPROTO_TCP.number()) && free(SOCK_DGRAM, IPPROTO_UDP.number()) {
            let mut held = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
            held.push_back(name);
            if held.len() > HELD {
                held.pop_front();
            }
            return Ok(port);
        }
    }
    Err("no port is free from 20000 to 29999".to_owned())
}
