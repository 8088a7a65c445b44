//! The options of a socket: their names, their levels, and the types of their values.

use std::fmt;
use std::marker::PhantomData;

use libc::{c_int, c_long, gid_t, pid_t, uid_t};

use super::flag::Protocol;

/// The level of the socket itself, below any protocol: the type of [`SOL_SOCKET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SolSocket;

/// The level of the socket itself, below any protocol.
pub const SOL_SOCKET: SolSocket = SolSocket;

type Ip = Protocol<{ libc::IPPROTO_IP }>;
type Ipv6 = Protocol<{ libc::IPPROTO_IPV6 }>;
type Tcp = Protocol<{ libc::IPPROTO_TCP }>;

/// The level of an option: [`SOL_SOCKET`], or a [`Protocol`].
///
/// # Safety
///
/// `NUMBER` is that level's, since at another one an option's number is another option's. (Sealed: this is the library's own
/// promise.)
pub unsafe trait Level: sealed::Level {
    /// C's number.
    const NUMBER: c_int;
}

// SAFETY: the number that has this name.
unsafe impl Level for SolSocket {
    const NUMBER: c_int = libc::SOL_SOCKET;
}

// SAFETY: the protocol's own number.
unsafe impl<const NUMBER: c_int> Level for Protocol<NUMBER> {
    const NUMBER: c_int = NUMBER;
}

mod sealed {
    pub trait Level: Copy {}
    impl Level for super::SolSocket {}
    impl<const NUMBER: libc::c_int> Level for super::Protocol<NUMBER> {}
}

/// An option's name, at its level `L`, and the type `T` of its value: an `int`, a [`timeval`], a [`linger`] or others.
pub struct SockOpt<L, T> {
    pub(crate) name: c_int,
    of: PhantomData<fn() -> (L, T)>,
}

impl<L, T> SockOpt<L, T> {
    pub(crate) const fn new(name: c_int) -> Self {
        SockOpt {
            name,
            of: PhantomData,
        }
    }

    /// An option that has no name here, by C's number.
    ///
    /// ```
    /// # use sockstep::*;
    /// // SAFETY: SO_DOMAIN is read only and an int.
    /// let so_domain = unsafe { SockOpt::<SolSocket, i32>::from_raw(39) };
    /// let sock = socket(PF_INET, SOCK_STREAM, 0)?;
    /// assert_eq!(getsockopt(&sock, SOL_SOCKET, so_domain)?, 2);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Safety
    ///
    /// At this level the kernel reads and writes a `T` for it, follows no pointer in that, and uses no memory of this
    /// process after any call because of it. (`SO_ZEROCOPY` makes later sends do just that.)
    #[must_use]
    pub const unsafe fn from_raw(name: c_int) -> Self {
        SockOpt::new(name)
    }
}

impl<L, T> fmt::Debug for SockOpt<L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SockOpt").field(&self.name).finish()
    }
}

impl<L, T> Clone for SockOpt<L, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L, T> Copy for SockOpt<L, T> {}

/// A value that an option can have.
///
/// # Safety
///
/// Plain data: the kernel reads its bytes, so none is padding, and writes them, so any bytes are a value.
pub unsafe trait OptValue: Copy {}

// SAFETY: four bytes of a number.
unsafe impl OptValue for c_int {}
// SAFETY: one byte of a number.
unsafe impl OptValue for u8 {}
// SAFETY: bytes.
unsafe impl<const N: usize> OptValue for [u8; N] {}
// SAFETY: two numbers of one size.
unsafe impl OptValue for timeval {}
// SAFETY: two numbers of one size.
unsafe impl OptValue for linger {}

/// `struct timeval`: a span of time. As a time-out, zero is none.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct timeval {
    /// Whole seconds.
    pub tv_sec: c_long,
    /// Microseconds beyond, below 1,000,000.
    pub tv_usec: c_long,
}

/// `struct linger`: what `close` does with data that is still on its way.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct linger {
    /// Not zero: `close` waits for them.
    pub l_onoff: c_int,
    /// How many seconds. 0: it throws them away and resets the connection.
    pub l_linger: c_int,
}

/// `struct ucred`: who is at the other end of a UNIX socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ucred {
    /// The process.
    pub pid: pid_t,
    /// Its user.
    pub uid: uid_t,
    /// Its group.
    pub gid: gid_t,
}

// SAFETY: three numbers of one size.
unsafe impl OptValue for ucred {}

// ---- SOL_SOCKET ----

/// Bind to a port although connections of an earlier server still fade away on it (`TIME_WAIT`).
pub const SO_REUSEADDR: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_REUSEADDR);
/// Several sockets share one port, and the kernel deals connections out among them.
pub const SO_REUSEPORT: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_REUSEPORT);
/// Ask a silent peer from time to time whether it is still there.
pub const SO_KEEPALIVE: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_KEEPALIVE);
/// Allow datagrams to broadcast addresses.
pub const SO_BROADCAST: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_BROADCAST);
/// Bytes of the kernel's buffer for sending. It doubles what it is told.
pub const SO_SNDBUF: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_SNDBUF);
/// Bytes of the kernel's buffer for receiving. It doubles what it is told.
pub const SO_RCVBUF: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_RCVBUF);
/// Give `SO_RCVBUF` beyond the limit. Needs `CAP_NET_ADMIN`.
pub const SO_RCVBUFFORCE: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_RCVBUFFORCE);
/// The queue that packets wait in, 0 to 6; above that it needs `CAP_NET_ADMIN`.
pub const SO_PRIORITY: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_PRIORITY);
/// A mark for the firewall. Needs `CAP_NET_ADMIN`.
pub const SO_MARK: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_MARK);
/// The error that waits on the socket, an `errno`; reading clears it. Read only.
pub const SO_ERROR: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_ERROR);
/// The socket's type, as given to `socket()`. Read only.
pub const SO_TYPE: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_TYPE);
/// Whether the socket listens. Read only.
pub const SO_ACCEPTCONN: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_ACCEPTCONN);
/// How long a receiving call waits before it fails with `EAGAIN`.
pub const SO_RCVTIMEO: SockOpt<SolSocket, timeval> = SockOpt::new(libc::SO_RCVTIMEO);
/// How long a sending call waits before it fails with `EAGAIN`.
pub const SO_SNDTIMEO: SockOpt<SolSocket, timeval> = SockOpt::new(libc::SO_SNDTIMEO);
/// What `close` does with data that is still on its way.
pub const SO_LINGER: SockOpt<SolSocket, linger> = SockOpt::new(libc::SO_LINGER);
/// The interface by which packets come and go, by its name with zeros behind it. Zeros alone: any.
pub const SO_BINDTODEVICE: SockOpt<SolSocket, [u8; 16]> = SockOpt::new(libc::SO_BINDTODEVICE);
/// Urgent data stay in the stream, in their place: see [`sockatmark`](crate::sockatmark).
pub const SO_OOBINLINE: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_OOBINLINE);
/// How many bytes must have come before a receiving call, `select` or `poll` says so.
pub const SO_RCVLOWAT: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_RCVLOWAT);
/// Who is at the other end of a UNIX socket, as of its `connect` or `socketpair`. Read only.
pub const SO_PEERCRED: SockOpt<SolSocket, ucred> = SockOpt::new(libc::SO_PEERCRED);
/// Each message that comes in says who sent it, by a control message.
pub const SO_PASSCRED: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_PASSCRED);
/// The socket's family, as given to `socket()`. Read only.
pub const SO_DOMAIN: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_DOMAIN);
/// The socket's protocol, as given to `socket()`. Read only.
pub const SO_PROTOCOL: SockOpt<SolSocket, c_int> = SockOpt::new(libc::SO_PROTOCOL);

// ---- IPPROTO_TCP ----

/// Send small segments at once (no Nagle algorithm).
pub const TCP_NODELAY: SockOpt<Tcp, c_int> = SockOpt::new(libc::TCP_NODELAY);
/// Bytes of the largest segment.
pub const TCP_MAXSEG: SockOpt<Tcp, c_int> = SockOpt::new(libc::TCP_MAXSEG);
/// Seconds of silence before the first keep-alive question.
pub const TCP_KEEPIDLE: SockOpt<Tcp, c_int> = SockOpt::new(libc::TCP_KEEPIDLE);
/// Seconds between keep-alive questions.
pub const TCP_KEEPINTVL: SockOpt<Tcp, c_int> = SockOpt::new(libc::TCP_KEEPINTVL);
/// How many keep-alive questions go unanswered before the end.
pub const TCP_KEEPCNT: SockOpt<Tcp, c_int> = SockOpt::new(libc::TCP_KEEPCNT);
/// How often `connect` asks before it gives up.
pub const TCP_SYNCNT: SockOpt<Tcp, c_int> = SockOpt::new(libc::TCP_SYNCNT);
/// Milliseconds that sent data may go unacknowledged.
pub const TCP_USER_TIMEOUT: SockOpt<Tcp, c_int> = SockOpt::new(libc::TCP_USER_TIMEOUT);
/// Hold back segments that are not full, until this is set to 0 again.
pub const TCP_CORK: SockOpt<Tcp, c_int> = SockOpt::new(libc::TCP_CORK);
/// Acknowledge at once. The kernel sets it back by itself.
pub const TCP_QUICKACK: SockOpt<Tcp, c_int> = SockOpt::new(libc::TCP_QUICKACK);
/// Seconds for which a listening socket keeps a connection back that has sent nothing.
pub const TCP_DEFER_ACCEPT: SockOpt<Tcp, c_int> = SockOpt::new(libc::TCP_DEFER_ACCEPT);
/// How the speed of sending is found, by a name with zeros behind it, as in `cubic`.
pub const TCP_CONGESTION: SockOpt<Tcp, [u8; 16]> = SockOpt::new(libc::TCP_CONGESTION);

// ---- IPPROTO_IPV6, IPPROTO_IP ----

/// An IPv6 socket takes no IPv4 clients, so another may have that port there.
pub const IPV6_V6ONLY: SockOpt<Ipv6, c_int> = SockOpt::new(libc::IPV6_V6ONLY);
/// How many routers a packet may pass, 1 to 255.
pub const IP_TTL: SockOpt<Ip, c_int> = SockOpt::new(libc::IP_TTL);
