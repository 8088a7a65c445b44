//! `<netinet/in.h>`, `<arpa/inet.h>`: Internet addresses, ports, and the order of their bytes.
//!
//! A number that goes on the wire is a [`Net16`] or a [`Net32`], and only [`htons`], [`htonl`], [`inet_addr`] and
//! [`inet_pton`] make one. A forgotten `htons` does not compile.

#![allow(non_camel_case_types, reason = "a type with a C name has C's layout")]

use std::fmt;
use std::net::Ipv4Addr;

use libc::c_int;

use crate::error::{Errno, Error, Result};
use crate::socket::{AF_INET, AddressFamily};

/// A 16-bit number in network byte order (C's `in_port_t`). [`htons`] makes one, [`ntohs`] reads it.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Net16(pub(crate) u16);

/// A 32-bit number in network byte order (C's `in_addr_t`). [`htonl`] makes one, [`ntohl`] reads it.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Net32(pub(crate) u32);

/// `htons(hostshort)`: a port as the wire has it, high byte first.
///
/// See [htons(3)](https://man7.org/linux/man-pages/man3/htons.3.html).
#[must_use]
pub const fn htons(hostshort: u16) -> Net16 {
    Net16(hostshort.to_be())
}

/// `ntohs(netshort)`: a port as this machine counts.
///
/// See [ntohs(3)](https://man7.org/linux/man-pages/man3/ntohs.3.html).
#[must_use]
pub const fn ntohs(netshort: Net16) -> u16 {
    u16::from_be(netshort.0)
}

/// `htonl(hostlong)`: an IPv4 address as the wire has it, high byte first.
///
/// See [htonl(3)](https://man7.org/linux/man-pages/man3/htonl.3.html).
#[must_use]
pub const fn htonl(hostlong: u32) -> Net32 {
    Net32(hostlong.to_be())
}

/// `ntohl(netlong)`: an IPv4 address as this machine counts.
///
/// See [ntohl(3)](https://man7.org/linux/man-pages/man3/ntohl.3.html).
#[must_use]
pub const fn ntohl(netlong: Net32) -> u32 {
    u32::from_be(netlong.0)
}

/// `struct in_addr`: an IPv4 address. Prints in dotted form.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct in_addr {
    /// The four bytes, in network order.
    pub s_addr: Net32,
}

/// `struct sockaddr_in`: an IPv4 address and a port, 16 bytes. Prints as `127.0.0.1:80`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct sockaddr_in {
    /// [`AF_INET`], in host order: it never leaves this machine.
    pub sin_family: AddressFamily,
    /// The port, in network order.
    pub sin_port: Net16,
    /// The address, in network order.
    pub sin_addr: in_addr,
    /// Padding up to the size of C's `struct sockaddr`. Zero.
    pub sin_zero: [u8; 8],
}

impl sockaddr_in {
    /// All bytes zero, as C's `memset(&addr, 0, sizeof(addr))` leaves it.
    #[must_use]
    pub const fn zeroed() -> sockaddr_in {
        sockaddr_in {
            sin_family: AddressFamily(0),
            sin_port: Net16(0),
            sin_addr: in_addr { s_addr: Net32(0) },
            sin_zero: [0; 8],
        }
    }
}

/// The protocol that the socket's type implies: TCP for a stream, UDP for datagrams.
pub const IPPROTO_IP: c_int = libc::IPPROTO_IP;
/// The Internet's control messages (`SOCK_RAW`).
pub const IPPROTO_ICMP: c_int = libc::IPPROTO_ICMP;
/// The Transmission Control Protocol (`SOCK_STREAM`).
pub const IPPROTO_TCP: c_int = libc::IPPROTO_TCP;
/// The User Datagram Protocol (`SOCK_DGRAM`).
pub const IPPROTO_UDP: c_int = libc::IPPROTO_UDP;

/// 0.0.0.0, any address of this machine, in host order: it goes through [`htonl`].
pub const INADDR_ANY: u32 = libc::INADDR_ANY;
/// 127.0.0.1, this machine itself, in host order: it goes through [`htonl`].
pub const INADDR_LOOPBACK: u32 = libc::INADDR_LOOPBACK;
/// 255.255.255.255, everyone on this network, in host order: it goes through [`htonl`].
pub const INADDR_BROADCAST: u32 = libc::INADDR_BROADCAST;
/// 255.255.255.255 again: how C's `inet_addr` says no. Ours returns an error instead.
pub const INADDR_NONE: u32 = libc::INADDR_NONE;

/// `inet_addr(cp)`: the address that a dotted text names.
///
/// Reads what C's reads: one to four numbers, each decimal, octal (`010` is 8) or hexadecimal (`0x7f`), the last filling
/// the bytes that are left (`127.1`); what follows white space is not looked at. [`inet_pton`] takes only the plain form.
///
/// # Errors
///
/// - `EINVAL`: not an address. C returns `INADDR_NONE`, which is also 255.255.255.255, and sets no `errno`.
///
/// See [inet_addr(3)](https://man7.org/linux/man-pages/man3/inet_addr.3.html).
pub fn inet_addr(cp: &str) -> Result<Net32> {
    aton(cp)
        .map(htonl)
        .ok_or(Error::new("inet_addr", Errno::EINVAL))
}

/// The address in host order, or `None`.
fn aton(cp: &str) -> Option<u32> {
    let text = cp.split([' ', '\t', '\n', '\x0b', '\x0c', '\r']).next()?;
    let mut parts = text.split('.').rev();
    let mut address = number(parts.next()?)?;
    let leading: Vec<u32> = parts.rev().map(number).collect::<Option<_>>()?;
    // The last number fills what the leading ones, a byte each, have left.
    let room = 32 - 8 * u32::try_from(leading.len()).ok().filter(|&n| n < 4)?;
    if room < 32 && address >> room != 0 {
        return None;
    }
    for (i, &byte) in leading.iter().enumerate() {
        address |= u32::from(u8::try_from(byte).ok()?) << (24 - 8 * i);
    }
    Some(address)
}

/// A number as `strtoul(.., 0)` reads one that begins with a digit.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    u32::from_str_radix(digits, radix).ok().filter(|_| plain) // from_str_radix alone would take "+1"
}

/// `inet_pton(af, src, &dst)`: the address that a text in the plain dotted form names ("presentation to network").
///
/// Four decimal numbers of 0 to 255 without leading zeros, and nothing else.
///
/// # Errors
///
/// - `EAFNOSUPPORT`: `af` is not [`AF_INET`].
/// - `EINVAL`: not an address. C returns 0 and sets no `errno`.
///
/// See [inet_pton(3)](https://man7.org/linux/man-pages/man3/inet_pton.3.html).
pub fn inet_pton(af: AddressFamily, src: &str) -> Result<in_addr> {
    if af != AF_INET {
        return Err(Error::new("inet_pton", Errno::EAFNOSUPPORT));
    }
    match src.parse::<Ipv4Addr>() {
        Ok(address) => Ok(in_addr {
            s_addr: htonl(address.to_bits()),
        }),
        Err(_) => Err(Error::new("inet_pton", Errno::EINVAL)),
    }
}

/// `inet_ntop(af, &src, dst, size)`: an address as text ("network to presentation").
///
/// # Errors
///
/// - `EAFNOSUPPORT`: `af` is not [`AF_INET`].
///
/// See [inet_ntop(3)](https://man7.org/linux/man-pages/man3/inet_ntop.3.html).
pub fn inet_ntop(af: AddressFamily, src: &in_addr) -> Result<String> {
    if af != AF_INET {
        return Err(Error::new("inet_ntop", Errno::EAFNOSUPPORT));
    }
    Ok(src.to_string())
}

impl fmt::Display for in_addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ipv4Addr::from_bits(ntohl(self.s_addr)).fmt(f)
    }
}

impl fmt::Display for sockaddr_in {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sin_addr, ntohs(self.sin_port))
    }
}

// As strace shows them.

impl fmt::Debug for Net16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "htons({})", ntohs(*self))
    }
}

impl fmt::Debug for Net32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "htonl({:#010x})", ntohl(*self))
    }
}

impl fmt::Debug for in_addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inet_addr(\"{self}\")")
    }
}

impl fmt::Debug for sockaddr_in {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{sa_family={:?}, sin_port={:?}, sin_addr={:?}}}",
            self.sin_family, self.sin_port, self.sin_addr
        )
    }
}
