//! `<sys/socket.h>` and the three calls of `<unistd.h>` that sockets share with files.
//!
//! One function is one system call: no retry, no added flag, no second call. `EINTR` and its like come back as they are;
//! what to do about them is the program's business. Lengths come from the types, so no pointer and no length can be wrong.

#![allow(non_camel_case_types, reason = "a type with a C name has C's layout")]
#![allow(
    unsafe_code,
    reason = "the calls themselves; each block says what makes it sound"
)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::BitOr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::slice;

use libc::{c_int, c_long, c_ulong, socklen_t, ssize_t};

use crate::error::{Errno, Error, Result};
use crate::netinet::{sockaddr_in, sockaddr_in6};

// ---- The three arguments of socket() ----

/// An address family (C's `sa_family_t`): what kind of address a socket has.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressFamily(pub(crate) u16);

/// No family in particular. `connect` to such an address undoes an earlier `connect`.
pub const AF_UNSPEC: AddressFamily = AddressFamily(family(libc::AF_UNSPEC));
/// This machine alone, by file name.
pub const AF_UNIX: AddressFamily = AddressFamily(family(libc::AF_UNIX));
/// The Internet, version 4: a `sockaddr_in`.
pub const AF_INET: AddressFamily = AddressFamily(family(libc::AF_INET));
/// The Internet, version 6: a `sockaddr_in6`.
pub const AF_INET6: AddressFamily = AddressFamily(family(libc::AF_INET6));
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

/// A flag beside a [`SockType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SockFlag(pub(crate) c_int);

/// A reliable stream of bytes, without message boundaries: TCP.
pub const SOCK_STREAM: SockType = SockType(libc::SOCK_STREAM);
/// Messages of limited size that may be lost or arrive in another order: UDP.
pub const SOCK_DGRAM: SockType = SockType(libc::SOCK_DGRAM);
/// Packets as the network layer has them. Needs `CAP_NET_RAW`.
pub const SOCK_RAW: SockType = SockType(libc::SOCK_RAW);
/// A reliable sequence of messages. The Internet has none.
pub const SOCK_SEQPACKET: SockType = SockType(libc::SOCK_SEQPACKET);
/// The descriptor does not survive `execve`.
pub const SOCK_CLOEXEC: SockFlag = SockFlag(libc::SOCK_CLOEXEC);
/// Calls that would wait fail with `EAGAIN` instead.
pub const SOCK_NONBLOCK: SockFlag = SockFlag(libc::SOCK_NONBLOCK);

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

impl BitOr<SockFlag> for SockType {
    type Output = SockType;
    fn bitor(self, flag: SockFlag) -> SockType {
        SockType(self.0 | flag.0)
    }
}

// ---- Addresses ----

/// An address that the kernel reads and fills in: [`sockaddr_in`], [`sockaddr_in6`], or an [`AnyAddr`] of whatever family.
///
/// Its length comes from its type. Sealed: the kernel writes into it, so each is plain data in which any bytes are a value.
pub trait Sockaddr: sealed::Sockaddr {
    /// How many bytes the kernel is to read, C's third argument beside the address.
    fn addrlen(&self) -> socklen_t;

    /// Those bytes, C's `(unsigned char *)&addr`.
    fn as_bytes(&self) -> &[u8] {
        let bytes = (&raw const *self).cast();
        // SAFETY: no address has padding, and each is readable for `addrlen` bytes, the size of its type at most.
        unsafe { slice::from_raw_parts(bytes, self.addrlen() as usize) }
    }
}

impl Sockaddr for sockaddr_in {
    fn addrlen(&self) -> socklen_t {
        length_of::<Self>()
    }
}

impl Sockaddr for sockaddr_in6 {
    fn addrlen(&self) -> socklen_t {
        length_of::<Self>()
    }
}

impl Sockaddr for AnyAddr {
    fn addrlen(&self) -> socklen_t {
        self.addrlen
    }
}

impl sealed::Sockaddr for sockaddr_in {
    type Room = Self;
    const EMPTY: Self = sockaddr_in::zeroed();
    fn filled_in(room: Self, addrlen: socklen_t) -> Option<Self> {
        let whole = addrlen == length_of::<Self>() && room.sin_family == AF_INET;
        (whole || addrlen == 0).then_some(room)
    }
    fn family(&self) -> AddressFamily {
        self.sin_family
    }
}

impl sealed::Sockaddr for sockaddr_in6 {
    type Room = Self;
    const EMPTY: Self = sockaddr_in6::zeroed();
    fn filled_in(room: Self, addrlen: socklen_t) -> Option<Self> {
        let whole = addrlen == length_of::<Self>() && room.sin6_family == AF_INET6;
        (whole || addrlen == 0).then_some(room)
    }
    fn family(&self) -> AddressFamily {
        self.sin6_family
    }
}

impl sealed::Sockaddr for AnyAddr {
    type Room = sockaddr_storage;
    const EMPTY: sockaddr_storage = sockaddr_storage::zeroed();
    fn filled_in(room: sockaddr_storage, addrlen: socklen_t) -> Option<Self> {
        (addrlen <= length_of::<sockaddr_storage>()).then_some(AnyAddr {
            storage: room,
            addrlen,
        })
    }
    fn family(&self) -> AddressFamily {
        self.storage.ss_family
    }
}

mod sealed {
    use super::{AddressFamily, socklen_t};

    pub trait Sockaddr: Copy {
        /// What the kernel fills in, from its first byte on: plain data, in which any bytes are a value.
        type Room;
        const EMPTY: Self::Room;
        /// What it filled in, if that is a whole address of this type, or none at all.
        fn filled_in(room: Self::Room, addrlen: socklen_t) -> Option<Self>;
        fn family(&self) -> AddressFamily;
    }
    pub trait OptValue: Copy {
        const ZERO: Self;
    }
}

/// The size of `T` as C passes it.
#[allow(clippy::cast_possible_truncation, reason = "asserted")]
pub(crate) const fn length_of<T>() -> socklen_t {
    const { assert!(size_of::<T>() <= socklen_t::MAX as usize) };
    size_of::<T>() as socklen_t
}

/// What the kernel filled in, if it is an `A`. No address at all (a TCP socket's `recvfrom`) is a zeroed one.
fn filled_in<A: Sockaddr>(call: &'static str, room: A::Room, addrlen: socklen_t) -> Result<A> {
    A::filled_in(room, addrlen).ok_or(Error::new(call, Errno::EAFNOSUPPORT))
}

/// `struct sockaddr_storage`: room for an address of any family, 128 bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockaddr_storage {
    /// Which family's address this is, in host order.
    pub ss_family: AddressFamily,
    rest: [u8; 126],
    aligned: [c_ulong; 0], // as any family's address needs it
}

impl sockaddr_storage {
    /// All bytes zero, as C's `memset(&addr, 0, sizeof(addr))` leaves it.
    #[must_use]
    pub const fn zeroed() -> sockaddr_storage {
        sockaddr_storage {
            ss_family: AF_UNSPEC,
            rest: [0; 126],
            aligned: [],
        }
    }
}

/// An address of any family: a [`sockaddr_storage`], and the length that the kernel gave with it.
///
/// C keeps the two in variables of their own. As [`Sockaddr`] it takes whatever comes, which then is an IPv4 address
/// ([`v4`](AnyAddr::v4)), an IPv6 one ([`v6`](AnyAddr::v6)), or neither. Prints as the one that it is.
///
/// ```
/// # use sockstep::*;
/// let sock = socket(PF_INET6, SOCK_DGRAM, IPPROTO_UDP)?;
/// let addr: AnyAddr = getsockname(&sock)?;
/// assert_eq!((addr.family(), addr.addrlen()), (AF_INET6, 28));
/// assert_eq!(addr.v6(), Some(getsockname(&sock)?));
/// assert_eq!(addr.v4(), None);
/// # Ok::<(), Error>(())
/// ```
#[repr(C)] // ours, but the storage stands first, which is what the kernel reads
#[derive(Clone, Copy)]
pub struct AnyAddr {
    storage: sockaddr_storage,
    addrlen: socklen_t, // 128 at most
}

impl AnyAddr {
    /// Which family's address it is.
    #[must_use]
    pub const fn family(&self) -> AddressFamily {
        self.storage.ss_family
    }

    /// The IPv4 address that it is, by family and length.
    #[must_use]
    pub fn v4(&self) -> Option<sockaddr_in> {
        let address = (&raw const self.storage).cast::<sockaddr_in>();
        let is_one = self.family() == AF_INET && self.addrlen == length_of::<sockaddr_in>();
        // SAFETY: the storage is longer and no less aligned, and any bytes are a `sockaddr_in`.
        is_one.then(|| unsafe { address.read() })
    }

    /// The IPv6 address that it is, by family and length.
    #[must_use]
    pub fn v6(&self) -> Option<sockaddr_in6> {
        let address = (&raw const self.storage).cast::<sockaddr_in6>();
        let is_one = self.family() == AF_INET6 && self.addrlen == length_of::<sockaddr_in6>();
        // SAFETY: the storage is longer and no less aligned, and any bytes are a `sockaddr_in6`.
        is_one.then(|| unsafe { address.read() })
    }

    /// A copy of an address as C has it, through a pointer.
    ///
    /// # Safety
    ///
    /// `addr` is readable for `addrlen` bytes.
    pub(crate) unsafe fn copied(addr: *const libc::sockaddr, addrlen: socklen_t) -> AnyAddr {
        let mut storage = sockaddr_storage::zeroed();
        let addrlen = addrlen.min(length_of::<sockaddr_storage>()); // no family has a longer one
        let bytes = (&raw mut storage).cast::<u8>();
        // SAFETY: the caller's word, and `storage` is writable for `addrlen` bytes.
        unsafe { bytes.copy_from_nonoverlapping(addr.cast(), addrlen as usize) };
        AnyAddr { storage, addrlen }
    }
}

impl From<sockaddr_in> for AnyAddr {
    fn from(addr: sockaddr_in) -> AnyAddr {
        // SAFETY: `addr` is readable for the size of its type.
        unsafe { AnyAddr::copied((&raw const addr).cast(), addr.addrlen()) }
    }
}

impl From<sockaddr_in6> for AnyAddr {
    fn from(addr: sockaddr_in6) -> AnyAddr {
        // SAFETY: `addr` is readable for the size of its type.
        unsafe { AnyAddr::copied((&raw const addr).cast(), addr.addrlen()) }
    }
}

impl PartialEq for AnyAddr {
    fn eq(&self, other: &AnyAddr) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for AnyAddr {}

impl fmt::Display for AnyAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.v4(), self.v6()) {
            (Some(addr), _) => addr.fmt(f),
            (_, Some(addr)) => addr.fmt(f),
            _ => write!(f, "{:?}", self.family()),
        }
    }
}

impl fmt::Debug for AnyAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.v4(), self.v6()) {
            (Some(addr), _) => addr.fmt(f),
            (_, Some(addr)) => addr.fmt(f),
            _ => write!(f, "{{sa_family={:?}, ...}}", self.family()),
        }
    }
}

impl fmt::Debug for sockaddr_storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{sa_family={:?}, ...}}", self.ss_family)
    }
}

// ---- Results ----

/// A call that returns -1 or something else.
#[inline]
fn check(call: &'static str, ret: c_int) -> Result<c_int> {
    if ret < 0 {
        Err(Error::last(call))
    } else {
        Ok(ret)
    }
}

/// A call that returns -1 or a count of bytes, at most `room`.
#[inline]
fn count(call: &'static str, ret: ssize_t, room: usize) -> Result<usize> {
    match usize::try_from(ret) {
        Err(_) => Err(Error::last(call)),
        Ok(n) if n > room => Err(Error::new(call, Errno::EOVERFLOW)), // no sound kernel says so
        Ok(n) => Ok(n),
    }
}

/// How many bytes a receiving call may report: with `MSG_TRUNC` a datagram's own length, whatever the buffer's.
#[inline]
fn room(buf: &[u8], flags: c_int) -> usize {
    if flags & MSG_TRUNC == 0 {
        buf.len()
    } else {
        usize::MAX
    }
}

// ---- The calls, in the order of the lectures ----

/// `socket(domain, type, protocol)`: makes a socket, the end of a connection that is still to be made.
///
/// ```
/// # use sockstep::*;
/// let serv_sock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - `EAFNOSUPPORT`, `ESOCKTNOSUPPORT`, `EPROTONOSUPPORT`: no such family, type in it, or protocol for that type.
/// - `EINVAL`: the protocol is out of range.
/// - `EPERM`: a raw socket without `CAP_NET_RAW`.
/// - `EMFILE`, `ENFILE`: no descriptor is left in this process, on this machine.
///
/// See [socket(2)](https://man7.org/linux/man-pages/man2/socket.2.html).
pub fn socket(domain: AddressFamily, ty: SockType, protocol: c_int) -> Result<OwnedFd> {
    // SAFETY: three integers, no memory.
    let fd = check("socket", unsafe {
        libc::socket(c_int::from(domain.0), ty.0, protocol)
    })?;
    // SAFETY: the kernel made `fd` for this call alone, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `bind(sockfd, &addr, addrlen)`: assigns an address and a port of this machine to a socket.
///
/// Port 0 asks for any free port; [`getsockname`] tells which.
///
/// # Errors
///
/// - `EADDRINUSE`: another socket has that port.
/// - `EADDRNOTAVAIL`: this machine does not have that address.
/// - `EACCES`: a port below 1024 without `CAP_NET_BIND_SERVICE`.
/// - `EINVAL`: the socket has an address already.
/// - `EAFNOSUPPORT`: the address is of another family than the socket.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [bind(2)](https://man7.org/linux/man-pages/man2/bind.2.html).
pub fn bind(sockfd: impl AsFd, addr: &impl Sockaddr) -> Result<()> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    // SAFETY: `addr` is readable for `addrlen` bytes, the size of its type at most.
    check("bind", unsafe {
        libc::bind(sockfd, (&raw const *addr).cast(), addr.addrlen())
    })?;
    Ok(())
}

/// `listen(sockfd, backlog)`: makes a socket accept connections, of which the kernel queues up to `backlog`.
///
/// A negative backlog, and one above `net.core.somaxconn`, mean that limit.
///
/// # Errors
///
/// - `EADDRINUSE`: another socket listens on that port already.
/// - `EINVAL`: the socket is connected.
/// - `EOPNOTSUPP`: not a stream socket.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [listen(2)](https://man7.org/linux/man-pages/man2/listen.2.html).
pub fn listen(sockfd: impl AsFd, backlog: c_int) -> Result<()> {
    // SAFETY: two integers, no memory.
    check("listen", unsafe {
        libc::listen(sockfd.as_fd().as_raw_fd(), backlog)
    })?;
    Ok(())
}

/// `accept(sockfd, &addr, &addrlen)`: takes the next connection off a listening socket's queue.
///
/// Blocks until there is one. Returns a new descriptor for that connection and the client's address; `sockfd` goes on
/// listening. The client may have gone again: its first `recv` tells.
///
/// # Errors
///
/// - `EINTR`: a signal handler ran while we waited. Call again.
/// - `ECONNABORTED`, and on Linux the network's own errors (`EPROTO`, `ENETDOWN`, ...): that connection is lost. Call again.
/// - `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`: nothing is left to make it with; the connection stays queued.
/// - `EAGAIN`: nothing is queued, and the socket does not wait (or waited `SO_RCVTIMEO`).
/// - `EINVAL`, `EOPNOTSUPP`: the socket does not listen, or never can.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
/// - `EAFNOSUPPORT`: the client's address is no `A`. That connection is closed.
///
/// See [accept(2)](https://man7.org/linux/man-pages/man2/accept.2.html).
#[inline]
pub fn accept<A: Sockaddr>(sockfd: impl AsFd) -> Result<(OwnedFd, A)> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let mut addr = A::EMPTY;
    let mut addrlen = length_of::<A::Room>();
    // SAFETY: `addr` is writable for `addrlen` bytes, any bytes are a value of it, and both outlive the call.
    let fd = check("accept", unsafe {
        libc::accept(sockfd, (&raw mut addr).cast(), &raw mut addrlen)
    })?;
    // SAFETY: the kernel made `fd` for this call alone, so nothing else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok((fd, filled_in("accept", addr, addrlen)?))
}

/// `connect(sockfd, &addr, addrlen)`: connects a stream socket to a server; names a datagram socket's one peer.
///
/// # Errors
///
/// - `ECONNREFUSED`: nobody listens there.
/// - `ETIMEDOUT`, `EHOSTUNREACH`, `ENETUNREACH`: no answer, no such host, no way to that network.
/// - `EISCONN`: the socket is connected, or listens.
/// - `EINPROGRESS`, then `EALREADY`: a non-blocking socket connects in the background.
/// - `EINTR`: a signal handler ran; the connection goes on being made. Wait until it is writable, then ask `SO_ERROR`.
/// - `EADDRNOTAVAIL`: every port of this machine is taken.
/// - `EACCES`: a broadcast address without `SO_BROADCAST`.
/// - `EAFNOSUPPORT`: the address is of another family than the socket.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [connect(2)](https://man7.org/linux/man-pages/man2/connect.2.html).
pub fn connect(sockfd: impl AsFd, addr: &impl Sockaddr) -> Result<()> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    // SAFETY: `addr` is readable for `addrlen` bytes, the size of its type at most.
    check("connect", unsafe {
        libc::connect(sockfd, (&raw const *addr).cast(), addr.addrlen())
    })?;
    Ok(())
}

/// `send(sockfd, buf, len, flags)`: sends bytes through a connected socket, and returns how many went.
///
/// A stream may take fewer than `buf.len()`; the rest is still to be sent. A datagram goes whole or not at all. That bytes
/// went does not say that they arrived.
///
/// # Errors
///
/// - `EPIPE`: the connection is closed, by us or by the peer. Outside Rust programs `SIGPIPE` comes first.
/// - `ECONNRESET`: the peer broke the connection off.
/// - `EAGAIN`: no room now, and the call does not wait (or waited `SO_SNDTIMEO`).
/// - `EMSGSIZE`: longer than a datagram can be, 65507 bytes over IPv4.
/// - `EDESTADDRREQ`: a datagram socket without a peer.
/// - `ECONNREFUSED`: an earlier datagram found nobody.
/// - `EINTR`: a signal handler ran before anything went. Call again.
/// - `EOPNOTSUPP`: a flag that this type of socket does not have.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [send(2)](https://man7.org/linux/man-pages/man2/send.2.html).
#[inline]
pub fn send(sockfd: impl AsFd, buf: &[u8], flags: c_int) -> Result<usize> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    // SAFETY: `buf` is readable for `buf.len()` bytes.
    let sent = unsafe { libc::send(sockfd, buf.as_ptr().cast(), buf.len(), flags) };
    count("send", sent, buf.len())
}

/// `recv(sockfd, buf, len, flags)`: receives bytes through a connected socket, and returns how many came.
///
/// A stream gives what is there, from one byte to `buf.len()`: that is no message boundary. 0 is its end. A datagram comes
/// whole or cut to the buffer; with [`MSG_TRUNC`] its real length is returned, which may be more than `buf` holds.
///
/// # Errors
///
/// - `ECONNRESET`: the peer broke the connection off.
/// - `EAGAIN`: nothing is there, and the call does not wait (or waited `SO_RCVTIMEO`).
/// - `ENOTCONN`: the socket is not connected.
/// - `ECONNREFUSED`: an earlier datagram found nobody.
/// - `EINTR`: a signal handler ran before anything came. Call again.
/// - `EINVAL`: [`MSG_OOB`] without urgent data.
/// - `EOVERFLOW`: the kernel claims more bytes than `buf` holds.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [recv(2)](https://man7.org/linux/man-pages/man2/recv.2.html).
#[inline]
pub fn recv(sockfd: impl AsFd, buf: &mut [u8], flags: c_int) -> Result<usize> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    // SAFETY: `buf` is writable for `buf.len()` bytes.
    let received = unsafe { libc::recv(sockfd, buf.as_mut_ptr().cast(), buf.len(), flags) };
    count("recv", received, room(buf, flags))
}

/// `sendto(sockfd, buf, len, flags, &dest_addr, addrlen)`: sends one datagram to an address.
///
/// # Errors
///
/// - `EMSGSIZE`: longer than a datagram can be, 65507 bytes over IPv4.
/// - `EINVAL`: to port 0.
/// - `EACCES`: to a broadcast address without `SO_BROADCAST`.
/// - `ENETUNREACH`: no way to that network.
/// - `EPIPE`: a stream socket that is not connected.
/// - `EAGAIN`, `EINTR`, `ECONNREFUSED`, `EOPNOTSUPP`, `ENOTSOCK`, `EBADF`: as for [`send`].
/// - `EAFNOSUPPORT`: the address is of another family than the socket.
///
/// See [sendto(2)](https://man7.org/linux/man-pages/man2/sendto.2.html).
#[inline]
pub fn sendto(
    sockfd: impl AsFd,
    buf: &[u8],
    flags: c_int,
    dest_addr: &impl Sockaddr,
) -> Result<usize> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let (addr, addrlen) = ((&raw const *dest_addr).cast(), dest_addr.addrlen());
    // SAFETY: `buf` is readable for `buf.len()` bytes, and `addr` for `addrlen`.
    let sent =
        unsafe { libc::sendto(sockfd, buf.as_ptr().cast(), buf.len(), flags, addr, addrlen) };
    count("sendto", sent, buf.len())
}

/// `recvfrom(sockfd, buf, len, flags, &src_addr, &addrlen)`: receives one datagram, and the address it came from.
///
/// 0 bytes are a datagram too, not an end. One that is longer than `buf` is cut, and the rest is lost: with
/// [`MSG_TRUNC`] among the flags the count is its real length, so `n > buf.len()` says that it was cut.
/// From a stream socket no address comes: it is zeroed.
///
/// # Errors
///
/// - `EAGAIN`, `EINTR`, `ECONNREFUSED`, `ECONNRESET`, `ENOTCONN`, `EOVERFLOW`, `ENOTSOCK`, `EBADF`: as for [`recv`].
/// - `EAFNOSUPPORT`: the sender's address is no `A`. That datagram is lost.
///
/// See [recvfrom(2)](https://man7.org/linux/man-pages/man2/recvfrom.2.html).
#[inline]
pub fn recvfrom<A: Sockaddr>(
    sockfd: impl AsFd,
    buf: &mut [u8],
    flags: c_int,
) -> Result<(usize, A)> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let mut src_addr = A::EMPTY;
    let mut addrlen = length_of::<A::Room>();
    let (addr, len) = ((&raw mut src_addr).cast(), &raw mut addrlen);
    // SAFETY: `buf` is writable for `buf.len()` bytes, `addr` for `addrlen`, any bytes are a value of it, and all outlive the call.
    let received =
        unsafe { libc::recvfrom(sockfd, buf.as_mut_ptr().cast(), buf.len(), flags, addr, len) };
    let received = count("recvfrom", received, room(buf, flags))?;
    Ok((received, filled_in("recvfrom", src_addr, addrlen)?))
}

/// `read(fd, buf, count)`: reads bytes from any descriptor, and returns how many came. 0 is the end.
///
/// On a socket it is [`recv`] without flags.
///
/// # Errors
///
/// - Those of [`recv`] on a socket; `EISDIR` on a directory; `EBADF` on a descriptor open for writing only.
///
/// See [read(2)](https://man7.org/linux/man-pages/man2/read.2.html).
pub fn read(fd: impl AsFd, buf: &mut [u8]) -> Result<usize> {
    // SAFETY: `buf` is writable for `buf.len()` bytes.
    let received =
        unsafe { libc::read(fd.as_fd().as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) };
    count("read", received, buf.len())
}

/// `write(fd, buf, count)`: writes bytes to any descriptor, and returns how many went; the rest is still to be written.
///
/// On a socket it is [`send`] without flags.
///
/// # Errors
///
/// - Those of [`send`] on a socket; `ENOSPC` on a full disk; `EPIPE` where no one reads; `EBADF` on a descriptor open for
///   reading only.
///
/// See [write(2)](https://man7.org/linux/man-pages/man2/write.2.html).
pub fn write(fd: impl AsFd, buf: &[u8]) -> Result<usize> {
    // SAFETY: `buf` is readable for `buf.len()` bytes.
    let sent = unsafe { libc::write(fd.as_fd().as_raw_fd(), buf.as_ptr().cast(), buf.len()) };
    count("write", sent, buf.len())
}

/// Which half of a connection [`shutdown`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct How(pub(crate) c_int);

/// We receive no more.
pub const SHUT_RD: How = How(libc::SHUT_RD);
/// We send no more: the peer's `recv` gives 0 once it has read everything.
pub const SHUT_WR: How = How(libc::SHUT_WR);
/// Neither.
pub const SHUT_RDWR: How = How(libc::SHUT_RDWR);

/// `shutdown(sockfd, how)`: ends one half of a connection, or both. The descriptor stays open.
///
/// # Errors
///
/// - `ENOTCONN`: the socket is not connected.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [shutdown(2)](https://man7.org/linux/man-pages/man2/shutdown.2.html).
pub fn shutdown(sockfd: impl AsFd, how: How) -> Result<()> {
    // SAFETY: two integers, no memory.
    check("shutdown", unsafe {
        libc::shutdown(sockfd.as_fd().as_raw_fd(), how.0)
    })?;
    Ok(())
}

/// `close(fd)`: gives a descriptor back, and with its last one the socket.
///
/// Takes the descriptor, so that it cannot be used or closed again. On Linux it is gone even when `close` fails, so there
/// is nothing to retry. Data that the peer sent and nobody read turns the goodbye into a reset.
///
/// # Errors
///
/// - `EIO`, `ENOSPC`, `EDQUOT`: a file's last bytes could not be stored. A socket has none of these.
///
/// See [close(2)](https://man7.org/linux/man-pages/man2/close.2.html).
pub fn close(fd: OwnedFd) -> Result<()> {
    // SAFETY: `into_raw_fd` gives up ownership, so nothing else closes it.
    check("close", unsafe { libc::close(fd.into_raw_fd()) })?;
    Ok(())
}

/// `getsockname(sockfd, &addr, &addrlen)`: the address that a socket itself has. Unbound, it is `0.0.0.0:0`.
///
/// # Errors
///
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
/// - `EAFNOSUPPORT`: the address is no `A`.
///
/// See [getsockname(2)](https://man7.org/linux/man-pages/man2/getsockname.2.html).
pub fn getsockname<A: Sockaddr>(sockfd: impl AsFd) -> Result<A> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let mut addr = A::EMPTY;
    let mut addrlen = length_of::<A::Room>();
    // SAFETY: `addr` is writable for `addrlen` bytes, any bytes are a value of it, and both outlive the call.
    check("getsockname", unsafe {
        libc::getsockname(sockfd, (&raw mut addr).cast(), &raw mut addrlen)
    })?;
    filled_in("getsockname", addr, addrlen)
}

/// `getpeername(sockfd, &addr, &addrlen)`: the address at the other end of a connected socket.
///
/// # Errors
///
/// - `ENOTCONN`: the socket is not connected, or no longer.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
/// - `EAFNOSUPPORT`: the address is no `A`.
///
/// See [getpeername(2)](https://man7.org/linux/man-pages/man2/getpeername.2.html).
pub fn getpeername<A: Sockaddr>(sockfd: impl AsFd) -> Result<A> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let mut addr = A::EMPTY;
    let mut addrlen = length_of::<A::Room>();
    // SAFETY: `addr` is writable for `addrlen` bytes, any bytes are a value of it, and both outlive the call.
    check("getpeername", unsafe {
        libc::getpeername(sockfd, (&raw mut addr).cast(), &raw mut addrlen)
    })?;
    filled_in("getpeername", addr, addrlen)
}

// ---- Options ----

/// An option's name, and the type `T` of its value: an `int`, a [`timeval`] or a [`linger`].
#[derive(Debug)]
pub struct SockOpt<T> {
    pub(crate) name: c_int,
    value: PhantomData<T>,
}

impl<T> SockOpt<T> {
    const fn new(name: c_int) -> Self {
        SockOpt {
            name,
            value: PhantomData,
        }
    }
}

impl<T> Clone for SockOpt<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SockOpt<T> {}

/// A value that an option can have. Sealed: the kernel writes into it, so each is plain data in which any bytes are a value.
pub trait OptValue: sealed::OptValue {}

impl OptValue for c_int {}
impl OptValue for timeval {}
impl OptValue for linger {}

impl sealed::OptValue for c_int {
    const ZERO: Self = 0;
}
impl sealed::OptValue for timeval {
    const ZERO: Self = timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
}
impl sealed::OptValue for linger {
    const ZERO: Self = linger {
        l_onoff: 0,
        l_linger: 0,
    };
}

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
    /// For so many seconds. 0: it throws them away and resets the connection.
    pub l_linger: c_int,
}

/// The level of the socket itself, below any protocol.
pub const SOL_SOCKET: c_int = libc::SOL_SOCKET;

/// Bind to a port although connections of an earlier server still fade away on it (`TIME_WAIT`).
pub const SO_REUSEADDR: SockOpt<c_int> = SockOpt::new(libc::SO_REUSEADDR);
/// Several sockets share one port, and the kernel deals connections out among them.
pub const SO_REUSEPORT: SockOpt<c_int> = SockOpt::new(libc::SO_REUSEPORT);
/// Ask a silent peer from time to time whether it is still there.
pub const SO_KEEPALIVE: SockOpt<c_int> = SockOpt::new(libc::SO_KEEPALIVE);
/// Allow datagrams to broadcast addresses.
pub const SO_BROADCAST: SockOpt<c_int> = SockOpt::new(libc::SO_BROADCAST);
/// Bytes of the kernel's buffer for sending. It doubles what it is told.
pub const SO_SNDBUF: SockOpt<c_int> = SockOpt::new(libc::SO_SNDBUF);
/// Bytes of the kernel's buffer for receiving. It doubles what it is told.
pub const SO_RCVBUF: SockOpt<c_int> = SockOpt::new(libc::SO_RCVBUF);
/// Give `SO_RCVBUF` beyond the limit. Needs `CAP_NET_ADMIN`.
pub const SO_RCVBUFFORCE: SockOpt<c_int> = SockOpt::new(libc::SO_RCVBUFFORCE);
/// The queue that packets wait in, 0 to 6; above that it needs `CAP_NET_ADMIN`.
pub const SO_PRIORITY: SockOpt<c_int> = SockOpt::new(libc::SO_PRIORITY);
/// A mark for the firewall. Needs `CAP_NET_ADMIN`.
pub const SO_MARK: SockOpt<c_int> = SockOpt::new(libc::SO_MARK);
/// The error that waits on the socket, an `errno`; reading clears it. Read only.
pub const SO_ERROR: SockOpt<c_int> = SockOpt::new(libc::SO_ERROR);
/// The socket's type, as given to `socket()`. Read only.
pub const SO_TYPE: SockOpt<c_int> = SockOpt::new(libc::SO_TYPE);
/// Whether the socket listens. Read only.
pub const SO_ACCEPTCONN: SockOpt<c_int> = SockOpt::new(libc::SO_ACCEPTCONN);
/// How long a receiving call waits before it fails with `EAGAIN`.
pub const SO_RCVTIMEO: SockOpt<timeval> = SockOpt::new(libc::SO_RCVTIMEO);
/// How long a sending call waits before it fails with `EAGAIN`.
pub const SO_SNDTIMEO: SockOpt<timeval> = SockOpt::new(libc::SO_SNDTIMEO);
/// What `close` does with data that is still on its way.
pub const SO_LINGER: SockOpt<linger> = SockOpt::new(libc::SO_LINGER);

/// At level [`IPPROTO_TCP`](crate::IPPROTO_TCP): send small segments at once (no Nagle algorithm).
pub const TCP_NODELAY: SockOpt<c_int> = SockOpt::new(libc::TCP_NODELAY);
/// At level [`IPPROTO_TCP`](crate::IPPROTO_TCP): bytes of the largest segment.
pub const TCP_MAXSEG: SockOpt<c_int> = SockOpt::new(libc::TCP_MAXSEG);
/// At level [`IPPROTO_TCP`](crate::IPPROTO_TCP): seconds of silence before the first keep-alive question.
pub const TCP_KEEPIDLE: SockOpt<c_int> = SockOpt::new(libc::TCP_KEEPIDLE);
/// At level [`IPPROTO_TCP`](crate::IPPROTO_TCP): seconds between keep-alive questions.
pub const TCP_KEEPINTVL: SockOpt<c_int> = SockOpt::new(libc::TCP_KEEPINTVL);
/// At level [`IPPROTO_TCP`](crate::IPPROTO_TCP): how many keep-alive questions go unanswered before the end.
pub const TCP_KEEPCNT: SockOpt<c_int> = SockOpt::new(libc::TCP_KEEPCNT);
/// At level [`IPPROTO_TCP`](crate::IPPROTO_TCP): how often `connect` asks before it gives up.
pub const TCP_SYNCNT: SockOpt<c_int> = SockOpt::new(libc::TCP_SYNCNT);
/// At level [`IPPROTO_TCP`](crate::IPPROTO_TCP): milliseconds that sent data may go unacknowledged.
pub const TCP_USER_TIMEOUT: SockOpt<c_int> = SockOpt::new(libc::TCP_USER_TIMEOUT);
/// At level [`IPPROTO_IPV6`](crate::IPPROTO_IPV6): an IPv6 socket takes no IPv4 clients, so another may have that port there.
pub const IPV6_V6ONLY: SockOpt<c_int> = SockOpt::new(libc::IPV6_V6ONLY);
/// At level [`IPPROTO_IP`](crate::IPPROTO_IP): how many routers a packet may pass, 1 to 255.
pub const IP_TTL: SockOpt<c_int> = SockOpt::new(libc::IP_TTL);

/// `setsockopt(sockfd, level, optname, &optval, optlen)`: sets an option.
///
/// ```
/// # use sockstep::*;
/// # let serv_sock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;
/// setsockopt(&serv_sock, SOL_SOCKET, SO_REUSEADDR, &1)?;
/// setsockopt(&serv_sock, SOL_SOCKET, SO_RCVTIMEO, &timeval { tv_sec: 1, tv_usec: 0 })?;
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - `ENOPROTOOPT`: no such option at that level, or it is read only.
/// - `EINVAL`: not a value of this option.
/// - `EDOM`: microseconds outside 0 to 999,999.
/// - `EPERM`: an option for the superuser.
/// - `EOPNOTSUPP`: not for this family of sockets.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [setsockopt(2)](https://man7.org/linux/man-pages/man2/setsockopt.2.html).
pub fn setsockopt<T: OptValue>(
    sockfd: impl AsFd,
    level: c_int,
    optname: SockOpt<T>,
    optval: &T,
) -> Result<()> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let (value, optlen) = ((&raw const *optval).cast(), length_of::<T>());
    // SAFETY: `value` is readable for `optlen` bytes.
    check("setsockopt", unsafe {
        libc::setsockopt(sockfd, level, optname.name, value, optlen)
    })?;
    Ok(())
}

/// `getsockopt(sockfd, level, optname, &optval, &optlen)`: what an option is set to.
///
/// # Errors
///
/// - `ENOPROTOOPT`: no such option at that level.
/// - `EOPNOTSUPP`: no such level.
/// - `EOVERFLOW`: the kernel's value is not of this option's size.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [getsockopt(2)](https://man7.org/linux/man-pages/man2/getsockopt.2.html).
pub fn getsockopt<T: OptValue>(sockfd: impl AsFd, level: c_int, optname: SockOpt<T>) -> Result<T> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let mut optval = T::ZERO;
    let mut optlen = length_of::<T>();
    let (value, len) = ((&raw mut optval).cast(), &raw mut optlen);
    // SAFETY: `value` is writable for `optlen` bytes, any bytes are a `T`, and both outlive the call.
    check("getsockopt", unsafe {
        libc::getsockopt(sockfd, level, optname.name, value, len)
    })?;
    if optlen == length_of::<T>() {
        Ok(optval)
    } else {
        Err(Error::new("getsockopt", Errno::EOVERFLOW))
    }
}

// ---- Flags of the sending and receiving calls ----

/// Do not wait, this once.
pub const MSG_DONTWAIT: c_int = libc::MSG_DONTWAIT;
/// Urgent data, one byte outside the stream.
pub const MSG_OOB: c_int = libc::MSG_OOB;
/// Look at what came, and leave it there.
pub const MSG_PEEK: c_int = libc::MSG_PEEK;
/// More follows at once: a stream waits for it, so that both leave together.
pub const MSG_MORE: c_int = libc::MSG_MORE;
/// Receive until the buffer is full, or the stream ends.
pub const MSG_WAITALL: c_int = libc::MSG_WAITALL;
/// Return a datagram's real length, even when the buffer is smaller.
pub const MSG_TRUNC: c_int = libc::MSG_TRUNC;
/// Ask for the errors that came back for earlier datagrams.
pub const MSG_ERRQUEUE: c_int = libc::MSG_ERRQUEUE;
/// No `SIGPIPE` when the connection is closed; only `EPIPE`.
pub const MSG_NOSIGNAL: c_int = libc::MSG_NOSIGNAL;
/// The largest backlog that a kernel promises to take seriously.
pub const SOMAXCONN: c_int = libc::SOMAXCONN;
