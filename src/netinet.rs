//! `<netinet/in.h>`, `<arpa/inet.h>`: Internet addresses, ports, and the order of their bytes.
//!
//! A number that goes on the wire is a [`Net16`] or a [`Net32`], and only [`htons`], [`htonl`], [`inet_addr`] and
//! [`inet_pton`] make one. A forgotten `htons` does not compile.

#![allow(non_camel_case_types, reason = "a type with a C name has C's layout")]
#![allow(
    unsafe_code,
    reason = "the promise that these types are what the kernel reads and fills in"
)]

use std::cmp::Ordering;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use libc::{c_int, socklen_t};

use crate::error::{Errno, Error, Result};
use crate::socket::{
    AF_INET, AF_INET6, AddressFamily, AnyAddr, OptValue, Protocol, SockOpt, Sockaddr, length_of,
    sealed as address,
};

/// A 16-bit number in network byte order (C's `in_port_t`). [`htons`] makes one, [`ntohs`] reads it.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Net16(pub(crate) u16);

/// A 32-bit number in network byte order (C's `in_addr_t`). [`htonl`] makes one, [`ntohl`] reads it.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Net32(pub(crate) u32);

/// `htons(hostshort)`: a port in network order, high byte first.
///
/// See [htons(3)](https://man7.org/linux/man-pages/man3/htons.3.html).
#[must_use]
pub const fn htons(hostshort: u16) -> Net16 {
    Net16(hostshort.to_be())
}

/// `ntohs(netshort)`: a port in this machine's order.
///
/// See [ntohs(3)](https://man7.org/linux/man-pages/man3/ntohs.3.html).
#[must_use]
pub const fn ntohs(netshort: Net16) -> u16 {
    u16::from_be(netshort.0)
}

/// `htonl(hostlong)`: an IPv4 address in network order, high byte first.
///
/// See [htonl(3)](https://man7.org/linux/man-pages/man3/htonl.3.html).
#[must_use]
pub const fn htonl(hostlong: u32) -> Net32 {
    Net32(hostlong.to_be())
}

/// `ntohl(netlong)`: an IPv4 address in this machine's order.
///
/// See [ntohl(3)](https://man7.org/linux/man-pages/man3/ntohl.3.html).
#[must_use]
pub const fn ntohl(netlong: Net32) -> u32 {
    u32::from_be(netlong.0)
}

/// `struct in_addr`: an IPv4 address. Prints in dotted form.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// `struct in6_addr`: an IPv6 address. Prints in the form with colons.
#[repr(C, align(4))] // C has a union here, of bytes and of larger numbers
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct in6_addr {
    /// The sixteen bytes, in network order: single bytes need no conversion.
    pub s6_addr: [u8; 16],
}

/// `struct sockaddr_in6`: an IPv6 address and a port, 28 bytes. Prints as `[::1]:80`, with a scope as `[fe80::1%2]:80`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct sockaddr_in6 {
    /// [`AF_INET6`], in host order: it never leaves this machine.
    pub sin6_family: AddressFamily,
    /// The port, in network order.
    pub sin6_port: Net16,
    /// A label that routers may look at, in network order. Zero.
    pub sin6_flowinfo: Net32,
    /// The address.
    pub sin6_addr: in6_addr,
    /// The number of the interface of a link-local address (`fe80::`), in host order. Zero for
    /// other addresses.
    pub sin6_scope_id: u32,
}

impl sockaddr_in6 {
    /// All bytes zero, as C's `memset(&addr, 0, sizeof(addr))` leaves it.
    #[must_use]
    pub const fn zeroed() -> sockaddr_in6 {
        sockaddr_in6 {
            sin6_family: AddressFamily(0),
            sin6_port: Net16(0),
            sin6_flowinfo: Net32(0),
            sin6_addr: IN6ADDR_ANY_INIT,
            sin6_scope_id: 0,
        }
    }
}

// SAFETY: its whole size, whose fields leave no padding.
unsafe impl Sockaddr for sockaddr_in {
    fn addrlen(&self) -> socklen_t {
        length_of::<Self>()
    }
    fn family(&self) -> AddressFamily {
        self.sin_family
    }
}

// SAFETY: its whole size, whose fields leave no padding.
unsafe impl Sockaddr for sockaddr_in6 {
    fn addrlen(&self) -> socklen_t {
        length_of::<Self>()
    }
    fn family(&self) -> AddressFamily {
        self.sin6_family
    }
}

// SAFETY: numbers and bytes.
unsafe impl address::Out for sockaddr_in {
    type Room = Self;
    const EMPTY: Self = sockaddr_in::zeroed();
    fn filled_in(room: Self, addrlen: socklen_t) -> Option<Self> {
        let whole = addrlen == length_of::<Self>() && room.sin_family == AF_INET;
        (whole || addrlen == 0).then_some(room)
    }
}

// SAFETY: numbers and bytes.
unsafe impl address::Out for sockaddr_in6 {
    type Room = Self;
    const EMPTY: Self = sockaddr_in6::zeroed();
    fn filled_in(room: Self, addrlen: socklen_t) -> Option<Self> {
        let whole = addrlen == length_of::<Self>() && room.sin6_family == AF_INET6;
        (whole || addrlen == 0).then_some(room)
    }
}

impl AnyAddr {
    /// The address as an IPv4 one, judged by family and length.
    #[must_use]
    pub fn v4(&self) -> Option<sockaddr_in> {
        self.as_an()
    }

    /// The address as an IPv6 one, judged by family and length.
    #[must_use]
    pub fn v6(&self) -> Option<sockaddr_in6> {
        self.as_an()
    }
}

impl From<sockaddr_in> for AnyAddr {
    fn from(addr: sockaddr_in) -> AnyAddr {
        AnyAddr::of(&addr)
    }
}

impl From<sockaddr_in6> for AnyAddr {
    fn from(addr: sockaddr_in6) -> AnyAddr {
        AnyAddr::of(&addr)
    }
}

// ---- Numbers in network order compare as numbers; addresses compare as the standard library's do ----

impl Ord for Net16 {
    fn cmp(&self, other: &Net16) -> Ordering {
        ntohs(*self).cmp(&ntohs(*other))
    }
}

impl PartialOrd for Net16 {
    fn partial_cmp(&self, other: &Net16) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Net32 {
    fn cmp(&self, other: &Net32) -> Ordering {
        ntohl(*self).cmp(&ntohl(*other))
    }
}

impl PartialOrd for Net32 {
    fn partial_cmp(&self, other: &Net32) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for sockaddr_in {
    fn cmp(&self, other: &sockaddr_in) -> Ordering {
        let key = |a: &sockaddr_in| (a.sin_family, a.sin_addr, a.sin_port, a.sin_zero);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for sockaddr_in {
    fn partial_cmp(&self, other: &sockaddr_in) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for sockaddr_in6 {
    fn cmp(&self, other: &sockaddr_in6) -> Ordering {
        let key = |a: &sockaddr_in6| {
            let rest = (a.sin6_flowinfo, a.sin6_scope_id);
            (a.sin6_family, a.sin6_addr, a.sin6_port, rest)
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for sockaddr_in6 {
    fn partial_cmp(&self, other: &sockaddr_in6) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

// ---- To and from the standard library's addresses ----

impl From<Ipv4Addr> for in_addr {
    fn from(address: Ipv4Addr) -> in_addr {
        in_addr {
            s_addr: htonl(address.to_bits()),
        }
    }
}

impl From<in_addr> for Ipv4Addr {
    fn from(address: in_addr) -> Ipv4Addr {
        Ipv4Addr::from_bits(ntohl(address.s_addr))
    }
}

impl From<Ipv6Addr> for in6_addr {
    fn from(address: Ipv6Addr) -> in6_addr {
        in6_addr {
            s6_addr: address.octets(),
        }
    }
}

impl From<in6_addr> for Ipv6Addr {
    fn from(address: in6_addr) -> Ipv6Addr {
        Ipv6Addr::from(address.s6_addr)
    }
}

impl From<SocketAddrV4> for sockaddr_in {
    fn from(addr: SocketAddrV4) -> sockaddr_in {
        sockaddr_in {
            sin_family: AF_INET,
            sin_port: htons(addr.port()),
            sin_addr: (*addr.ip()).into(),
            sin_zero: [0; 8],
        }
    }
}

impl From<SocketAddrV6> for sockaddr_in6 {
    fn from(addr: SocketAddrV6) -> sockaddr_in6 {
        sockaddr_in6 {
            sin6_family: AF_INET6,
            sin6_port: htons(addr.port()),
            sin6_flowinfo: Net32(addr.flowinfo()), // which the standard library passes on as it is
            sin6_addr: (*addr.ip()).into(),
            sin6_scope_id: addr.scope_id(),
        }
    }
}

impl From<SocketAddr> for AnyAddr {
    fn from(addr: SocketAddr) -> AnyAddr {
        match addr {
            SocketAddr::V4(addr) => sockaddr_in::from(addr).into(),
            SocketAddr::V6(addr) => sockaddr_in6::from(addr).into(),
        }
    }
}

/// Address and port; the family goes without saying.
impl From<sockaddr_in> for SocketAddrV4 {
    fn from(addr: sockaddr_in) -> SocketAddrV4 {
        SocketAddrV4::new(addr.sin_addr.into(), ntohs(addr.sin_port))
    }
}

/// Address, port, flow and scope; the family goes without saying.
impl From<sockaddr_in6> for SocketAddrV6 {
    fn from(addr: sockaddr_in6) -> SocketAddrV6 {
        let (ip, port) = (addr.sin6_addr.into(), ntohs(addr.sin6_port));
        SocketAddrV6::new(ip, port, addr.sin6_flowinfo.0, addr.sin6_scope_id)
    }
}

/// Fails with `EAFNOSUPPORT` for a family that is not the Internet's.
impl TryFrom<AnyAddr> for SocketAddr {
    type Error = Error;
    fn try_from(addr: AnyAddr) -> Result<SocketAddr> {
        match (addr.v4(), addr.v6()) {
            (Some(addr), _) => Ok(SocketAddr::V4(addr.into())),
            (_, Some(addr)) => Ok(SocketAddr::V6(addr.into())),
            _ => Err(Error::new("SocketAddr::try_from", Errno::EAFNOSUPPORT)),
        }
    }
}

// ---- Groups, and what comes with a datagram ----

/// `struct ip_mreq`: a multicast group, and by which interface.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ip_mreq {
    /// The group, 224.0.0.0 to 239.255.255.255.
    pub imr_multiaddr: in_addr,
    /// An address of the interface; [`INADDR_ANY`] lets the kernel choose.
    pub imr_interface: in_addr,
}

/// `struct ipv6_mreq`: a multicast group of version 6, and by which interface.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ipv6_mreq {
    /// The group, `ff00::/8`.
    pub ipv6mr_multiaddr: in6_addr,
    /// The interface's number ([`if_nametoindex`](crate::if_nametoindex)); 0 lets the kernel choose.
    pub ipv6mr_interface: u32,
}

/// `struct in_pktinfo`: where a datagram arrived, or where to send it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct in_pktinfo {
    /// The interface's number.
    pub ipi_ifindex: c_int,
    /// Our address: the one to send from.
    pub ipi_spec_dst: in_addr,
    /// The address that the datagram was sent to.
    pub ipi_addr: in_addr,
}

/// `struct in6_pktinfo`: the same for version 6.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct in6_pktinfo {
    /// Our address: the one that it was sent to, or the one to send from.
    pub ipi6_addr: in6_addr,
    /// The interface's number.
    pub ipi6_ifindex: u32,
}

// SAFETY: four bytes.
unsafe impl OptValue for in_addr {}
// SAFETY: eight bytes.
unsafe impl OptValue for ip_mreq {}
// SAFETY: sixteen bytes and a number of four, without padding.
unsafe impl OptValue for ipv6_mreq {}
// SAFETY: three times four bytes.
unsafe impl OptValue for in_pktinfo {}
// SAFETY: sixteen bytes and a number of four, without padding.
unsafe impl OptValue for in6_pktinfo {}

type Ip = Protocol<{ libc::IPPROTO_IP }>;
type Ipv6 = Protocol<{ libc::IPPROTO_IPV6 }>;

/// Take part in a group: its datagrams come in from now on.
pub const IP_ADD_MEMBERSHIP: SockOpt<Ip, ip_mreq> = SockOpt::new(libc::IP_ADD_MEMBERSHIP);
/// Leave a group.
pub const IP_DROP_MEMBERSHIP: SockOpt<Ip, ip_mreq> = SockOpt::new(libc::IP_DROP_MEMBERSHIP);
/// How many routers a datagram to a group may pass. 1, by default, keeps it on this network.
pub const IP_MULTICAST_TTL: SockOpt<Ip, c_int> = SockOpt::new(libc::IP_MULTICAST_TTL);
/// Whether members on this machine also get its datagrams to a group. By default they do.
pub const IP_MULTICAST_LOOP: SockOpt<Ip, c_int> = SockOpt::new(libc::IP_MULTICAST_LOOP);
/// The interface for datagrams to groups, given by one of its addresses.
pub const IP_MULTICAST_IF: SockOpt<Ip, in_addr> = SockOpt::new(libc::IP_MULTICAST_IF);
/// The type of service of sent packets, one byte of the IP header.
pub const IP_TOS: SockOpt<Ip, c_int> = SockOpt::new(libc::IP_TOS);
/// Report with each datagram, by a control message, the address and interface at which it arrived.
pub const IP_PKTINFO: SockOpt<Ip, c_int> = SockOpt::new(libc::IP_PKTINFO);
/// Take part in a group of version 6. C's older name is `IPV6_ADD_MEMBERSHIP`.
pub const IPV6_JOIN_GROUP: SockOpt<Ipv6, ipv6_mreq> = SockOpt::new(libc::IPV6_ADD_MEMBERSHIP);
/// Leave a group of version 6. C's older name is `IPV6_DROP_MEMBERSHIP`.
pub const IPV6_LEAVE_GROUP: SockOpt<Ipv6, ipv6_mreq> = SockOpt::new(libc::IPV6_DROP_MEMBERSHIP);
/// [`IP_MULTICAST_TTL`] of version 6.
pub const IPV6_MULTICAST_HOPS: SockOpt<Ipv6, c_int> = SockOpt::new(libc::IPV6_MULTICAST_HOPS);
/// [`IP_MULTICAST_LOOP`] of version 6.
pub const IPV6_MULTICAST_LOOP: SockOpt<Ipv6, c_int> = SockOpt::new(libc::IPV6_MULTICAST_LOOP);
/// The interface for datagrams to groups, given by its number.
pub const IPV6_MULTICAST_IF: SockOpt<Ipv6, c_int> = SockOpt::new(libc::IPV6_MULTICAST_IF);
/// [`IP_TTL`](crate::IP_TTL) of version 6.
pub const IPV6_UNICAST_HOPS: SockOpt<Ipv6, c_int> = SockOpt::new(libc::IPV6_UNICAST_HOPS);
/// [`IP_PKTINFO`] of version 6.
pub const IPV6_RECVPKTINFO: SockOpt<Ipv6, c_int> = SockOpt::new(libc::IPV6_RECVPKTINFO);

// ---- Constants ----

/// The protocol that the socket's type implies: TCP for a stream, UDP for datagrams.
pub const IPPROTO_IP: Protocol<{ libc::IPPROTO_IP }> = Protocol;
/// The Internet's control messages (`SOCK_RAW`).
pub const IPPROTO_ICMP: Protocol<{ libc::IPPROTO_ICMP }> = Protocol;
/// The Transmission Control Protocol (`SOCK_STREAM`).
pub const IPPROTO_TCP: Protocol<{ libc::IPPROTO_TCP }> = Protocol;
/// The User Datagram Protocol (`SOCK_DGRAM`).
pub const IPPROTO_UDP: Protocol<{ libc::IPPROTO_UDP }> = Protocol;
/// The Internet Protocol, version 6: the level of [`IPV6_V6ONLY`](crate::IPV6_V6ONLY).
pub const IPPROTO_IPV6: Protocol<{ libc::IPPROTO_IPV6 }> = Protocol;

/// The control messages of version 6 (`SOCK_RAW`).
pub const IPPROTO_ICMPV6: Protocol<{ libc::IPPROTO_ICMPV6 }> = Protocol;
/// Packets whose IP header the program writes itself (`SOCK_RAW`).
pub const IPPROTO_RAW: Protocol<{ libc::IPPROTO_RAW }> = Protocol;

/// 0.0.0.0, any address of this machine, in host order: it goes through [`htonl`].
pub const INADDR_ANY: u32 = libc::INADDR_ANY;
/// 127.0.0.1, this machine itself, in host order: it goes through [`htonl`].
pub const INADDR_LOOPBACK: u32 = libc::INADDR_LOOPBACK;
/// 255.255.255.255, everyone on this network, in host order: it goes through [`htonl`].
pub const INADDR_BROADCAST: u32 = libc::INADDR_BROADCAST;
/// 255.255.255.255 again: the value by which C's `inet_addr` reports a failure. Ours returns an
/// error instead.
pub const INADDR_NONE: u32 = libc::INADDR_NONE;

/// ::, any address of this machine. C's other name for it is `in6addr_any`.
pub const IN6ADDR_ANY_INIT: in6_addr = in6_addr { s6_addr: [0; 16] };
/// ::1, this machine itself. C's other name for it is `in6addr_loopback`.
pub const IN6ADDR_LOOPBACK_INIT: in6_addr = in6_addr {
    s6_addr: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
};

/// Bytes that the text of an IPv4 address may have, C's final 0 among them.
pub const INET_ADDRSTRLEN: usize = 16;
/// The same of an IPv6 address.
pub const INET6_ADDRSTRLEN: usize = 46;

/// `inet_aton(cp, &inp)`: the address that a dotted text names. Reads what [`inet_addr`] reads.
///
/// # Errors
///
/// - `EINVAL`: not an address. C returns 0 and sets no `errno`.
///
/// See [inet_aton(3)](https://man7.org/linux/man-pages/man3/inet_aton.3.html).
pub fn inet_aton(cp: &str) -> Result<in_addr> {
    let address = aton(cp).ok_or(Error::new("inet_aton", Errno::EINVAL))?;
    Ok(in_addr {
        s_addr: htonl(address),
    })
}

/// `inet_ntoa(in)`: an address in dotted form. C's result is in a static buffer that the next call
/// overwrites; this one is owned.
///
/// See [inet_ntoa(3)](https://man7.org/linux/man-pages/man3/inet_ntoa.3.html).
#[must_use]
pub fn inet_ntoa(r#in: in_addr) -> String {
    r#in.to_string()
}

/// `inet_addr(cp)`: the address that a dotted text names.
///
/// Reads what C's reads: one to four numbers, each decimal, octal (`010` is 8) or hexadecimal
/// (`0x7f`), the last one filling the remaining bytes (`127.1`); text after white space is ignored.
/// [`inet_pton`] takes only the plain form.
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

/// What [`inet_pton`] and [`inet_ntop`] turn into text and back: an [`in_addr`] or an [`in6_addr`].
pub trait InetAddr: sealed::InetAddr {}

impl InetAddr for in_addr {}
impl InetAddr for in6_addr {}

mod sealed {
    use super::{AF_INET, AF_INET6, AddressFamily, Ipv4Addr, Ipv6Addr, htonl, in_addr, in6_addr};

    pub trait InetAddr: std::fmt::Display + Sized {
        const FAMILY: AddressFamily;
        fn read(src: &str) -> Option<Self>;
    }

    impl InetAddr for in_addr {
        const FAMILY: AddressFamily = AF_INET;
        fn read(src: &str) -> Option<in_addr> {
            let address: Ipv4Addr = src.parse().ok()?;
            let s_addr = htonl(address.to_bits());
            Some(in_addr { s_addr })
        }
    }

    impl InetAddr for in6_addr {
        const FAMILY: AddressFamily = AF_INET6;
        fn read(src: &str) -> Option<in6_addr> {
            let address: Ipv6Addr = src.parse().ok()?;
            let s6_addr = address.octets();
            Some(in6_addr { s6_addr })
        }
    }
}

/// `inet_pton(af, src, &dst)`: the address that a text names ("presentation to network").
///
/// [`AF_INET`] and an [`in_addr`]: four decimal numbers of 0 to 255 without leading zeros, and nothing else. [`AF_INET6`]
/// and an [`in6_addr`]: hexadecimal numbers between colons, `::` for a run of zeros, the last four bytes perhaps as for IPv4.
///
/// ```
/// # use sockstep::*;
/// let addr: in6_addr = inet_pton(AF_INET6, "::1")?;
/// assert_eq!(addr, IN6ADDR_LOOPBACK_INIT);
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - `EAFNOSUPPORT`: `af` is not the family of an `A`.
/// - `EINVAL`: not an address. C returns 0 and sets no `errno`.
///
/// See [inet_pton(3)](https://man7.org/linux/man-pages/man3/inet_pton.3.html).
pub fn inet_pton<A: InetAddr>(af: AddressFamily, src: &str) -> Result<A> {
    if af != A::FAMILY {
        return Err(Error::new("inet_pton", Errno::EAFNOSUPPORT));
    }
    A::read(src).ok_or(Error::new("inet_pton", Errno::EINVAL))
}

/// `inet_ntop(af, &src, dst, size)`: an address as text ("network to presentation").
///
/// # Errors
///
/// - `EAFNOSUPPORT`: `af` is not the family of an `A`.
///
/// See [inet_ntop(3)](https://man7.org/linux/man-pages/man3/inet_ntop.3.html).
pub fn inet_ntop<A: InetAddr>(af: AddressFamily, src: &A) -> Result<String> {
    if af != A::FAMILY {
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

impl fmt::Display for in6_addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.s6_addr {
            // An IPv4 address behind twelve zeros, in the form that the C library gives it.
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, v4 @ ..] if v4[..2] != [0, 0] => {
                write!(f, "::{}", Ipv4Addr::from(v4))
            }
            bytes => Ipv6Addr::from(bytes).fmt(f),
        }
    }
}

impl fmt::Display for sockaddr_in6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (addr, port) = (self.sin6_addr, ntohs(self.sin6_port));
        match self.sin6_scope_id {
            0 => write!(f, "[{addr}]:{port}"),
            interface => write!(f, "[{addr}%{interface}]:{port}"),
        }
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

impl fmt::Debug for in6_addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inet_pton(AF_INET6, \"{self}\")")
    }
}

impl fmt::Debug for sockaddr_in6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{sa_family={:?}, sin6_port={:?}, sin6_flowinfo=htonl({}), inet_pton(AF_INET6, \"{}\", &sin6_addr), sin6_scope_id={}}}",
            self.sin6_family,
            self.sin6_port,
            ntohl(self.sin6_flowinfo),
            self.sin6_addr,
            self.sin6_scope_id
        )
    }
}
