//! `<sys/socket.h>` and the three calls of `<unistd.h>` that sockets share with files.
//!
//! One function is one system call: no retry, no added flag, no second call. `EINTR` and similar
//! errors are returned unchanged; the program decides what to do about them. Lengths come from the
//! types, so no pointer and no length can be wrong.

#![allow(non_camel_case_types, reason = "a type with a C name has C's layout")]
#![allow(
    unsafe_code,
    reason = "the calls themselves; each block says what makes it sound"
)]

mod addr;
mod flag;
mod option;

use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::{mem::MaybeUninit, ptr};

use libc::{c_int, socklen_t};

pub use addr::*;
pub(crate) use addr::{filled_in, length_of, sealed};
pub(crate) use flag::family;
pub use flag::*;
pub use option::*;

use crate::error::{Errno, Error, Result, check, count};

// ---- The calls, in the order of the lectures ----

/// `socket(domain, type, protocol)`: makes a socket, an endpoint that is not connected yet.
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
/// - `ENOBUFS`, `ENOMEM`: no memory is left in the kernel.
/// - `EPERM`: a raw socket without `CAP_NET_RAW`.
/// - `EMFILE`, `ENFILE`: no descriptor is left in this process, on this machine.
///
/// See [socket(2)](https://man7.org/linux/man-pages/man2/socket.2.html).
pub fn socket(domain: AddressFamily, ty: SockType, protocol: impl Into<c_int>) -> Result<OwnedFd> {
    let (domain, protocol) = (domain.0.into(), protocol.into());
    // SAFETY: three integers, no memory.
    let fd = check("socket", unsafe { libc::socket(domain, ty.0, protocol) })?;
    // SAFETY: the kernel made `fd` for this call alone, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `socketpair(domain, type, protocol, sv)`: makes two sockets that are connected to each other.
///
/// ```
/// # use sockstep::*;
/// let [one, other] = socketpair(AF_UNIX, SOCK_STREAM, 0)?;
/// send(&one, b"hello", 0)?;
/// assert_eq!(recv(&other, &mut [0; 16], 0)?, 5);
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - `EOPNOTSUPP`: another family. Linux has pairs only for [`AF_UNIX`].
/// - `EAFNOSUPPORT`, `ESOCKTNOSUPPORT`, `EPROTONOSUPPORT`, `EMFILE`, `ENFILE`: as for [`socket`](socket()).
///
/// See [socketpair(2)](https://man7.org/linux/man-pages/man2/socketpair.2.html).
pub fn socketpair(
    domain: AddressFamily,
    ty: SockType,
    protocol: impl Into<c_int>,
) -> Result<[OwnedFd; 2]> {
    let (domain, protocol) = (domain.0.into(), protocol.into());
    let mut sv: [c_int; 2] = [-1; 2];
    // SAFETY: `sv` is writable for two descriptors.
    check("socketpair", unsafe {
        libc::socketpair(domain, ty.0, protocol, sv.as_mut_ptr())
    })?;
    // SAFETY: the kernel made both for this call alone, so nothing else owns them.
    Ok(sv.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// `bind(sockfd, &addr, addrlen)`: assigns an address and a port of this machine to a socket.
///
/// Port 0 asks for any free port; [`getsockname`] returns it.
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
pub fn bind(sockfd: &impl AsFd, addr: &impl Sockaddr) -> Result<()> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    // SAFETY: `addr` is readable for `addrlen` bytes.
    check("bind", unsafe {
        libc::bind(sockfd, (&raw const *addr).cast(), addr.addrlen())
    })?;
    Ok(())
}

/// `listen(sockfd, backlog)`: makes a socket accept connections; the kernel queues up to `backlog` of them.
///
/// A negative backlog, or one above `net.core.somaxconn`, means that limit.
///
/// # Errors
///
/// - `EADDRINUSE`: another socket listens on that port already.
/// - `EINVAL`: the socket is connected.
/// - `EOPNOTSUPP`: not a stream socket.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [listen(2)](https://man7.org/linux/man-pages/man2/listen.2.html).
pub fn listen(sockfd: &impl AsFd, backlog: c_int) -> Result<()> {
    // SAFETY: two integers, no memory.
    check("listen", unsafe {
        libc::listen(sockfd.as_fd().as_raw_fd(), backlog)
    })?;
    Ok(())
}

/// `accept(sockfd, &addr, &addrlen)`: takes the next connection off a listening socket's queue.
///
/// Blocks until there is one. Returns a new descriptor for that connection and the client's address; `sockfd` goes on
/// listening. The client may have left already: the first `recv` reports it. `accept::<()>` asks for no address, C's
/// `accept(sockfd, NULL, NULL)`.
///
/// # Errors
///
/// - `EINTR`: a signal handler ran while we waited. Call again.
/// - `ECONNABORTED`, and on Linux the network's own errors (`EPROTO`, `ENETDOWN`, ...): that connection is lost. Call again.
/// - `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`: no descriptor or no memory is left; the connection stays queued.
/// - `EAGAIN`: nothing is queued, and the socket does not wait (or waited `SO_RCVTIMEO`).
/// - `EINVAL`, `EOPNOTSUPP`: the socket does not listen, or never can.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
/// - `EAFNOSUPPORT`: the client's address is not an `A`. That connection is closed.
///
/// See [accept(2)](https://man7.org/linux/man-pages/man2/accept.2.html).
#[inline]
pub fn accept<A: AddrOut>(sockfd: &impl AsFd) -> Result<(OwnedFd, A)> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let (mut addr, mut addrlen) = (A::EMPTY, length_of::<A::Room>());
    let (addr_at, len_at) = out::<A>(&mut addr, &mut addrlen);
    // SAFETY: both pointers are NULL, or `addr` is writable for `addrlen` bytes, any bytes are a value of it, and both outlive the call.
    let fd = check("accept", unsafe { libc::accept(sockfd, addr_at, len_at) })?;
    // SAFETY: the kernel made `fd` for this call alone, so nothing else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok((fd, filled_in("accept", addr, addrlen)?))
}

/// `accept4(sockfd, &addr, &addrlen, flags)`: [`accept`], with flags for the new descriptor: [`SOCK_NONBLOCK`], [`SOCK_CLOEXEC`].
///
/// # Errors
///
/// - As for [`accept`].
///
/// See [accept4(2)](https://man7.org/linux/man-pages/man2/accept.2.html).
#[inline]
pub fn accept4<A: AddrOut>(sockfd: &impl AsFd, flags: SockFlag) -> Result<(OwnedFd, A)> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let (mut addr, mut addrlen) = (A::EMPTY, length_of::<A::Room>());
    let (addr_at, len_at) = out::<A>(&mut addr, &mut addrlen);
    // SAFETY: both pointers are NULL, or `addr` is writable for `addrlen` bytes, any bytes are a value of it, and both outlive the call.
    let fd = check("accept4", unsafe {
        libc::accept4(sockfd, addr_at, len_at, flags.0)
    })?;
    // SAFETY: the kernel made `fd` for this call alone, so nothing else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok((fd, filled_in("accept4", addr, addrlen)?))
}

/// `connect(sockfd, &addr, addrlen)`: connects a stream socket to a server, or sets the peer of a datagram socket.
///
/// # Errors
///
/// - `ECONNREFUSED`: no server listens there.
/// - `ETIMEDOUT`, `EHOSTUNREACH`, `ENETUNREACH`: no answer, no route to the host, no route to the network.
/// - `EISCONN`: the socket is connected, or listens.
/// - `EINPROGRESS`, then `EALREADY`: a non-blocking socket connects in the background.
/// - `EINTR`: a signal handler ran; the socket connects in the background. Wait until it is writable, then ask `SO_ERROR`.
/// - `EADDRNOTAVAIL`: every port of this machine is taken.
/// - `EACCES`: a broadcast address without `SO_BROADCAST`.
/// - `EAFNOSUPPORT`: the address is of another family than the socket.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [connect(2)](https://man7.org/linux/man-pages/man2/connect.2.html).
pub fn connect(sockfd: &impl AsFd, addr: &impl Sockaddr) -> Result<()> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    // SAFETY: `addr` is readable for `addrlen` bytes.
    check("connect", unsafe {
        libc::connect(sockfd, (&raw const *addr).cast(), addr.addrlen())
    })?;
    Ok(())
}

/// `send(sockfd, buf, len, flags)`: sends bytes through a connected socket, and returns their number.
///
/// A stream may take fewer than `buf.len()`; send the rest with another call. A datagram is sent whole or not at all. Success
/// does not mean that the bytes have arrived.
///
/// # Errors
///
/// - `EPIPE`: the connection is closed, by us or by the peer. Outside Rust programs `SIGPIPE` comes first.
/// - `ECONNRESET`: the peer reset the connection.
/// - `EAGAIN`: no room now, and the call does not wait (or waited `SO_SNDTIMEO`).
/// - `EMSGSIZE`: longer than a datagram can be, 65507 bytes over IPv4.
/// - `EDESTADDRREQ`: a datagram socket without a peer.
/// - `ECONNREFUSED`: no program had the port of an earlier datagram.
/// - `EINTR`: a signal handler ran before a byte was sent. Call again.
/// - `EOPNOTSUPP`: a flag that this type of socket does not have.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [send(2)](https://man7.org/linux/man-pages/man2/send.2.html).
#[inline]
pub fn send(sockfd: &impl AsFd, buf: &[u8], flags: impl Into<MsgFlags>) -> Result<usize> {
    let (sockfd, flags) = (sockfd.as_fd().as_raw_fd(), flags.into().0);
    // SAFETY: `buf` is readable for `buf.len()` bytes, and no flag keeps it longer than the call.
    let sent = unsafe { libc::send(sockfd, buf.as_ptr().cast(), buf.len(), flags) };
    count("send", sent, buf.len())
}

/// `recv(sockfd, buf, len, flags)`: receives bytes through a connected socket, and returns their number.
///
/// A stream returns the bytes that are there, from one to `buf.len()`, without regard to messages. 0 is its end. A datagram comes
/// whole or cut to the buffer. The result always counts the bytes in `buf`; [`recvmsg`](crate::recvmsg) with its `MSG_TRUNC`
/// says whether a datagram was cut, and how long it was.
///
/// # Errors
///
/// - `ECONNRESET`: the peer reset the connection.
/// - `EAGAIN`: nothing is there, and the call does not wait (or waited `SO_RCVTIMEO`).
/// - `ENOTCONN`: the socket is not connected.
/// - `ECONNREFUSED`: no program had the port of an earlier datagram.
/// - `EINTR`: a signal handler ran before a byte came. Call again.
/// - `EINVAL`: [`MSG_OOB`] without urgent data.
/// - `EOVERFLOW`: the kernel claims more bytes than `buf` holds.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [recv(2)](https://man7.org/linux/man-pages/man2/recv.2.html).
#[inline]
pub fn recv(sockfd: &impl AsFd, buf: &mut [u8], flags: impl Into<MsgFlags>) -> Result<usize> {
    let (sockfd, flags) = (sockfd.as_fd().as_raw_fd(), flags.into().0);
    // SAFETY: `buf` is writable for `buf.len()` bytes.
    let received = unsafe { libc::recv(sockfd, buf.as_mut_ptr().cast(), buf.len(), flags) };
    count("recv", received, buf.len())
}

/// `sendto(sockfd, buf, len, flags, &dest_addr, addrlen)`: sends one datagram to an address.
///
/// # Errors
///
/// - `EMSGSIZE`: longer than a datagram can be, 65507 bytes over IPv4.
/// - `EINVAL`: to port 0.
/// - `EACCES`: to a broadcast address without `SO_BROADCAST`.
/// - `ENETUNREACH`: no route to that network.
/// - `EPIPE`: a stream socket that is not connected.
/// - `EAGAIN`, `EINTR`, `ECONNREFUSED`, `EOPNOTSUPP`, `ENOTSOCK`, `EBADF`: as for [`send`].
/// - `EAFNOSUPPORT`: the address is of another family than the socket.
///
/// See [sendto(2)](https://man7.org/linux/man-pages/man2/sendto.2.html).
#[allow(
    clippy::inline_always,
    reason = "behind a server's first calls, each of which may fail, the compiler takes its loop for unlikely"
)]
#[inline(always)]
pub fn sendto(
    sockfd: &impl AsFd,
    buf: &[u8],
    flags: impl Into<MsgFlags>,
    dest_addr: &impl Sockaddr,
) -> Result<usize> {
    let (sockfd, flags) = (sockfd.as_fd().as_raw_fd(), flags.into().0);
    let (addr, addrlen) = ((&raw const *dest_addr).cast(), dest_addr.addrlen());
    // SAFETY: `buf` is readable for `buf.len()` bytes, `addr` for `addrlen`, and no flag keeps `buf` longer than the call.
    let sent =
        unsafe { libc::sendto(sockfd, buf.as_ptr().cast(), buf.len(), flags, addr, addrlen) };
    count("sendto", sent, buf.len())
}

/// `recvfrom(sockfd, buf, len, flags, &src_addr, &addrlen)`: receives one datagram and its sender's address.
///
/// 0 bytes are an empty datagram, not an end. A datagram longer than `buf` is cut, and the rest is lost;
/// [`recvmsg`](crate::recvmsg) reports that. A stream socket gives no address: the result is zeroed. `recvfrom::<()>` asks for
/// none, C's two `NULL`s.
///
/// # Errors
///
/// - `EAGAIN`, `EINTR`, `ECONNREFUSED`, `ECONNRESET`, `ENOTCONN`, `EOVERFLOW`, `ENOTSOCK`, `EBADF`: as for [`recv`].
/// - `EAFNOSUPPORT`: the sender's address is not an `A`. That datagram is lost.
///
/// See [recvfrom(2)](https://man7.org/linux/man-pages/man2/recvfrom.2.html).
#[inline]
pub fn recvfrom<A: AddrOut>(
    sockfd: &impl AsFd,
    buf: &mut [u8],
    flags: impl Into<MsgFlags>,
) -> Result<(usize, A)> {
    let (sockfd, flags) = (sockfd.as_fd().as_raw_fd(), flags.into().0);
    let (mut src_addr, mut addrlen) = (A::EMPTY, length_of::<A::Room>());
    let (addr_at, len_at) = out::<A>(&mut src_addr, &mut addrlen);
    let (at, len) = (buf.as_mut_ptr().cast(), buf.len());
    // SAFETY: `buf` is writable for its length; `addr_at` and `len_at` are NULL, or `src_addr` is writable for `addrlen` bytes, any bytes are a value of it, and both outlive the call.
    let received = unsafe { libc::recvfrom(sockfd, at, len, flags, addr_at, len_at) };
    let received = count("recvfrom", received, len)?;
    Ok((received, filled_in("recvfrom", src_addr, addrlen)?))
}

/// `sockatmark(sockfd)`: whether the stream has been read up to the mark of urgent data ([`MSG_OOB`]).
///
/// # Errors
///
/// - `ENOTTY`, `EBADF`: not a stream socket, an `O_PATH` descriptor.
///
/// See [sockatmark(3)](https://man7.org/linux/man-pages/man3/sockatmark.3.html).
pub fn sockatmark(sockfd: &impl AsFd) -> Result<bool> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    // SAFETY: an integer, no memory.
    let at_mark = check("sockatmark", unsafe { sockatmark_of_libc(sockfd) })?;
    Ok(at_mark != 0)
}

/// `read(fd, buf, count)`: reads bytes from any descriptor, and returns their number. 0 is the end.
///
/// On a socket it is [`recv`] without flags.
///
/// # Errors
///
/// - Those of [`recv`] on a socket; `EISDIR` on a directory; `EBADF` on a descriptor open for writing only.
///
/// See [read(2)](https://man7.org/linux/man-pages/man2/read.2.html).
pub fn read(fd: &impl AsFd, buf: &mut [u8]) -> Result<usize> {
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
/// - Those of [`send`] on a socket; `ENOSPC` on a full disk; `EPIPE` on a pipe without a reader; `EBADF` on a descriptor open for
///   reading only.
///
/// See [write(2)](https://man7.org/linux/man-pages/man2/write.2.html).
pub fn write(fd: &impl AsFd, buf: &[u8]) -> Result<usize> {
    // SAFETY: `buf` is readable for `buf.len()` bytes.
    let sent = unsafe { libc::write(fd.as_fd().as_raw_fd(), buf.as_ptr().cast(), buf.len()) };
    count("write", sent, buf.len())
}

/// `shutdown(sockfd, how)`: ends one half of a connection, or both. The descriptor stays open.
///
/// # Errors
///
/// - `ENOTCONN`: the socket is not connected.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [shutdown(2)](https://man7.org/linux/man-pages/man2/shutdown.2.html).
pub fn shutdown(sockfd: &impl AsFd, how: How) -> Result<()> {
    // SAFETY: two integers, no memory.
    check("shutdown", unsafe {
        libc::shutdown(sockfd.as_fd().as_raw_fd(), how.0)
    })?;
    Ok(())
}

/// `close(fd)`: closes a descriptor, and with the last one the socket.
///
/// Takes the descriptor, so that it cannot be used or closed again. On Linux it is gone even when `close` fails, so there
/// is nothing to retry. If bytes from the peer are unread, it sends a reset instead of a FIN.
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

/// `getsockname(sockfd, &addr, &addrlen)`: a socket's own address; `0.0.0.0:0` if it is unbound.
///
/// # Errors
///
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
/// - `EAFNOSUPPORT`: the address is no `A`.
///
/// See [getsockname(2)](https://man7.org/linux/man-pages/man2/getsockname.2.html).
pub fn getsockname<A: Sockaddr>(sockfd: &impl AsFd) -> Result<A> {
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
pub fn getpeername<A: Sockaddr>(sockfd: &impl AsFd) -> Result<A> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let mut addr = A::EMPTY;
    let mut addrlen = length_of::<A::Room>();
    // SAFETY: `addr` is writable for `addrlen` bytes, any bytes are a value of it, and both outlive the call.
    check("getpeername", unsafe {
        libc::getpeername(sockfd, (&raw mut addr).cast(), &raw mut addrlen)
    })?;
    filled_in("getpeername", addr, addrlen)
}

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
pub fn setsockopt<L: Level, T: OptValue>(
    sockfd: &impl AsFd,
    _level: L,
    optname: SockOpt<L, T>,
    optval: &T,
) -> Result<()> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let (value, optlen) = ((&raw const *optval).cast(), length_of::<T>());
    // SAFETY: `value` is readable for `optlen` bytes, and the option keeps no pointer.
    check("setsockopt", unsafe {
        libc::setsockopt(sockfd, L::NUMBER, optname.name, value, optlen)
    })?;
    Ok(())
}

/// `getsockopt(sockfd, level, optname, &optval, &optlen)`: the value of an option.
///
/// # Errors
///
/// - `ENOPROTOOPT`: no such option at that level.
/// - `EOPNOTSUPP`: no such level.
/// - `EOVERFLOW`: the kernel's value is not of this option's size.
/// - `ENOTSOCK`, `EBADF`: a file, an `O_PATH` descriptor.
///
/// See [getsockopt(2)](https://man7.org/linux/man-pages/man2/getsockopt.2.html).
pub fn getsockopt<L: Level, T: OptValue>(
    sockfd: &impl AsFd,
    _level: L,
    optname: SockOpt<L, T>,
) -> Result<T> {
    let sockfd = sockfd.as_fd().as_raw_fd();
    let mut optval = MaybeUninit::<T>::zeroed();
    let mut optlen = length_of::<T>();
    let (value, len) = (optval.as_mut_ptr().cast(), &raw mut optlen);
    // SAFETY: `value` is writable for `optlen` bytes, and both outlive the call.
    check("getsockopt", unsafe {
        libc::getsockopt(sockfd, L::NUMBER, optname.name, value, len)
    })?;
    if optlen == length_of::<T>() {
        // SAFETY: any bytes are a `T`, and these were zeroed before the kernel wrote.
        Ok(unsafe { optval.assume_init() })
    } else {
        Err(Error::new("getsockopt", Errno::EOVERFLOW))
    }
}

/// The pointers for the kernel's address and length: NULL if the caller asked for no address.
#[inline]
fn out<A: AddrOut>(
    room: &mut A::Room,
    addrlen: &mut socklen_t,
) -> (*mut libc::sockaddr, *mut socklen_t) {
    if A::NULL {
        (ptr::null_mut(), ptr::null_mut())
    } else {
        ((&raw mut *room).cast(), &raw mut *addrlen)
    }
}

#[allow(
    unsafe_code,
    reason = "a C library call that the libc crate does not have"
)]
unsafe extern "C" {
    #[link_name = "sockatmark"]
    fn sockatmark_of_libc(sockfd: c_int) -> c_int;
}
