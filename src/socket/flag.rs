//! The small arguments of the calls: families, types, protocols, flags.

use std::fmt;
use std::ops::BitOr;

use libc::c_int;

use crate::flags::flags;

// ---- The three arguments of socket() ----

/// An address family (C's `sa_family_t`): the kind of a socket's addresses.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressFamily(pub(crate) u16);

/// No family in particular. `connect` to such an address undoes an earlier `connect`.
pub const AF_UNSPEC: AddressFamily = AddressFamily(family(libc::AF_UNSPEC));
/// This machine only, by file name: a `sockaddr_un`.
pub const AF_UNIX: AddressFamily = AddressFamily(family(libc::AF_UNIX));
/// POSIX's name for [`AF_UNIX`], which Linux has too.
pub const AF_LOCAL: AddressFamily = AF_UNIX;
/// The Internet, version 4: a `sockaddr_in`.
pub const AF_INET: AddressFamily = AddressFamily(family(libc::AF_INET));
/// The Internet, version 6: a `sockaddr_in6`.
pub const AF_INET6: AddressFamily = AddressFamily(family(libc::AF_INET6));
/// [`AF_UNSPEC`] under the name that older examples use.
pub const PF_UNSPEC: AddressFamily = AF_UNSPEC;
/// [`AF_INET`] under the name that the lectures use for `socket()`.
pub const PF_INET: AddressFamily = AF_INET;
/// [`AF_INET6`] likewise.
pub const PF_INET6: AddressFamily = AF_INET6;
/// [`AF_UNIX`] likewise.
pub const PF_UNIX: AddressFamily = AF_UNIX;

/// C's headers define the families as `int` and store them in 16 bits. So does `struct addrinfo`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "asserted"
)]
pub(crate) const fn family(domain: c_int) -> u16 {
    assert!(domain >= 0 && domain <= 0xffff);
    domain as u16
}

impl AddressFamily {
    /// A family that has no name here, by C's number.
    ///
    /// # Safety
    ///
    /// On a socket of this family the kernel uses the memory that it is given during a call alone.
    #[must_use]
    pub const unsafe fn from_raw(number: u16) -> AddressFamily {
        AddressFamily(number)
    }

    /// C's number.
    #[must_use]
    pub const fn as_raw(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            AF_UNSPEC => f.write_str("AF_UNSPEC"),
            AF_UNIX => f.write_str("AF_UNIX"),
            AF_INET => f.write_str("AF_INET"),
            AF_INET6 => f.write_str("AF_INET6"),
            AddressFamily(other) => write!(f, "{other:#x}"),
        }
    }
}

/// A socket type: what the bytes sent through it mean. Takes flags by `|`, as in C.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SockType(pub(crate) c_int);

/// A reliable stream of bytes, without message boundaries: TCP.
pub const SOCK_STREAM: SockType = SockType(libc::SOCK_STREAM);
/// Messages of limited size that may be lost or arrive in another order: UDP.
pub const SOCK_DGRAM: SockType = SockType(libc::SOCK_DGRAM);
/// Packets as the network layer has them. Needs `CAP_NET_RAW`.
pub const SOCK_RAW: SockType = SockType(libc::SOCK_RAW);
/// A reliable sequence of messages. The Internet has none; [`AF_UNIX`] has.
pub const SOCK_SEQPACKET: SockType = SockType(libc::SOCK_SEQPACKET);

impl fmt::Debug for SockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            SOCK_STREAM => f.write_str("SOCK_STREAM"),
            SOCK_DGRAM => f.write_str("SOCK_DGRAM"),
            SOCK_RAW => f.write_str("SOCK_RAW"),
            SOCK_SEQPACKET => f.write_str("SOCK_SEQPACKET"),
            SockType(other) => write!(f, "{other:#x}"),
        }
    }
}

flags! {
    /// A flag beside a [`SockType`], and of [`accept4`](crate::accept4).
    SockFlag: c_int;
    /// The descriptor does not survive `execve`.
    SOCK_CLOEXEC
    /// Calls that would wait fail with `EAGAIN` instead.
    SOCK_NONBLOCK
}

impl BitOr<SockFlag> for SockType {
    type Output = SockType;
    fn bitor(self, flag: SockFlag) -> SockType {
        SockType(self.0 | flag.0)
    }
}

/// A protocol of the Internet: the third argument of [`socket`](crate::socket()), and the level of the protocol's options.
///
/// Each is a type of its own, by its number, so that an option at another level does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol<const NUMBER: c_int>;

impl<const NUMBER: c_int> Protocol<NUMBER> {
    /// C's number, as `struct addrinfo` has it.
    #[must_use]
    pub const fn number(self) -> c_int {
        NUMBER
    }
}

impl<const NUMBER: c_int> From<Protocol<NUMBER>> for c_int {
    #[inline]
    fn from(_: Protocol<NUMBER>) -> c_int {
        NUMBER
    }
}

impl<const NUMBER: c_int> PartialEq<Protocol<NUMBER>> for c_int {
    fn eq(&self, _: &Protocol<NUMBER>) -> bool {
        *self == NUMBER
    }
}

// ---- Flags of the sending and receiving calls ----

flags! {
    /// How to send or receive, this once. The slides' plain `0` is none.
    ///
    /// A flag that is not here is not for safe code: with `MSG_ZEROCOPY` the kernel reads the buffer after the call. A
    /// literal number has eight bits, in which C has no such flag, and so it stays what it is in C.
    ///
    /// ```
    /// # use sockstep::*;
    /// # let sock = socket(PF_INET, SOCK_DGRAM, 0)?;
    /// # bind(&sock, &sockaddr_in::zeroed())?;
    /// let flags = MSG_PEEK | MSG_DONTWAIT;
    /// assert_eq!(recv(&sock, &mut [0; 16], flags).unwrap_err(), Errno::EAGAIN);
    /// # Ok::<(), Error>(())
    /// ```
    MsgFlags: c_int;
    /// Do not wait, this once.
    MSG_DONTWAIT
    /// Urgent data, one byte outside the stream.
    MSG_OOB
    /// Look at what came, and leave it there.
    MSG_PEEK
    /// More follows at once: a stream waits for it, so that both leave together.
    MSG_MORE
    /// Receive until the buffer is full, or the stream ends.
    MSG_WAITALL
    /// Ask for the errors that came back for earlier datagrams.
    MSG_ERRQUEUE
    /// No `SIGPIPE` when the connection is closed; only `EPIPE`.
    MSG_NOSIGNAL
    /// Only to a machine on this network, past no router.
    MSG_DONTROUTE
    /// The end of a record, where the socket's type has records.
    MSG_EOR
    /// The peer answers: what an ARP entry waits to hear.
    MSG_CONFIRM
}

impl MsgFlags {
    /// Flags that have no name here, by C's number.
    ///
    /// # Safety
    ///
    /// With them the kernel uses the buffer during the call alone, or the buffer stays as it is until the kernel has said
    /// that it is done. (`MSG_ZEROCOPY` on a socket with `SO_ZEROCOPY`.)
    #[must_use]
    pub const unsafe fn from_raw(bits: c_int) -> MsgFlags {
        MsgFlags(bits)
    }
}

impl From<u8> for MsgFlags {
    #[inline]
    fn from(bits: u8) -> MsgFlags {
        MsgFlags(bits.into())
    }
}

/// The largest backlog that a kernel promises to take seriously.
pub const SOMAXCONN: c_int = libc::SOMAXCONN;

// ---- What shutdown ends ----

/// Which half of a connection [`shutdown`](crate::shutdown) ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct How(pub(crate) c_int);

/// We receive no more.
pub const SHUT_RD: How = How(libc::SHUT_RD);
/// We send no more: the peer's `recv` gives 0 once it has read everything.
pub const SHUT_WR: How = How(libc::SHUT_WR);
/// Both halves.
pub const SHUT_RDWR: How = How(libc::SHUT_RDWR);
