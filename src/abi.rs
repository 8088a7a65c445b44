//! Compares the library's types and constants with those of the target's headers, at compile time.
//!
//! [`header`] contains what `build.rs` has read from the object file of `abi.c`.
#![cfg(abi_probe)]
#![allow(
    clippy::cast_possible_wrap,
    reason = "a constant is small, whatever its type"
)]
#![allow(dead_code, reason = "rustc 1.85 sees no use in an unnamed constant")]

use std::mem::offset_of;
use std::os::fd::OwnedFd;

#[allow(
    non_upper_case_globals,
    clippy::unreadable_literal,
    clippy::zero_prefixed_literal,
    reason = "as abi.c writes them"
)]
mod header {
    include!(concat!(env!("OUT_DIR"), "/abi.rs"));
}

/// Whether a number, or each number of an array, is signed.
trait Number {
    const SIGNED: bool;
}

macro_rules! numbers {
    ($($number:ty)*) => { $(impl Number for $number { const SIGNED: bool = <$number>::MIN != 0; })* };
}
numbers!(u8 u16 u32 u64 i8 i16 i32 i64 isize);

impl<N: Number, const L: usize> Number for [N; L] {
    const SIGNED: bool = N::SIGNED;
}

/// The size of the numbers that a getter reads out of a `T`, and whether they are signed.
const fn numbers_of<T, N: Number>(_getter: fn(T) -> N) -> (usize, bool) {
    (size_of::<N>(), N::SIGNED)
}

macro_rules! same {
    ($what:expr, $header:expr, $ours:expr, $name:expr) => {
        assert!(
            $header == $ours,
            concat!($name, ": the header has another ", $what)
        )
    };
}

macro_rules! scalar {
    ($c:ident is $rust:ty, $getter:expr) => {
        const _: () = {
            let (size, align, signed) = header::$c;
            same!("size", size, size_of::<$rust>(), stringify!($c));
            same!("alignment", align, align_of::<$rust>(), stringify!($c));
            same!(
                "sign",
                signed,
                numbers_of::<$rust, _>($getter).1,
                stringify!($c)
            );
        };
    };
}

macro_rules! structure {
    ($c:ident $fields:tt) => {
        structure!($c is crate::$c, $fields);
    };
    ($c:ident is $rust:ty, { $($field:ident = $getter:expr),* }) => {
        $(const _: () = {
            let (offset, size, signed) = header::$c::$field;
            let (our_size, our_sign) = numbers_of::<$rust, _>($getter);
            same!("offset", offset, offset_of!($rust, $field), concat!(stringify!($c), ".", stringify!($field)));
            same!("size", size, our_size, concat!(stringify!($c), ".", stringify!($field)));
            same!("sign", signed, our_sign, concat!(stringify!($c), ".", stringify!($field)));
        };)*
        const _: () = {
            let (size, align) = header::$c::LAYOUT;
            same!("size", size, size_of::<$rust>(), stringify!($c));
            same!("alignment", align, align_of::<$rust>(), stringify!($c));
        };
    };
}

macro_rules! constants {
    ($($name:ident $(. $number:tt)?),*) => {
        $(const _: () = same!("value", header::$name, crate::$name$(. $number)? as i64, stringify!($name));)*
    };
}

scalar!(socklen_t is libc::socklen_t, |n| n);
scalar!(ssize_t is libc::ssize_t, |n| n);
scalar!(sa_family_t is crate::AddressFamily, |family| family.0);
scalar!(in_port_t is crate::Net16, |port| port.0);
scalar!(in_addr_t is crate::Net32, |address| address.0);

structure!(in_addr { s_addr = |a| a.s_addr.0 });
structure!(sockaddr_in {
    sin_family = |a| a.sin_family.0,
    sin_port = |a| a.sin_port.0,
    sin_addr = |a| a.sin_addr.s_addr.0,
    sin_zero = |a| a.sin_zero
});
structure!(in6_addr { s6_addr = |a| a.s6_addr });
structure!(sockaddr_in6 {
    sin6_family = |a| a.sin6_family.0,
    sin6_port = |a| a.sin6_port.0,
    sin6_flowinfo = |a| a.sin6_flowinfo.0,
    sin6_addr = |a| a.sin6_addr.s6_addr,
    sin6_scope_id = |a| a.sin6_scope_id
});
structure!(sockaddr_storage { ss_family = |a| a.ss_family.0 });
structure!(sockaddr_un {
    sun_family = |a| a.sun_family.0,
    sun_path = |_| [0 as libc::c_char; 108] // whose sign is the machine's
});
structure!(pollfd is crate::pollfd<OwnedFd>, {
    fd = |_| -1_i32, // an `Option<OwnedFd>`, whose layout is the standard library's promise
    events = |p| p.events.0,
    revents = |p| p.revents.0
});
structure!(epoll_data_t { u64 = |d| d.u64 });
structure!(epoll_event { events = |e| e.events.0, data = |e| e.data.u64 });
structure!(fd_set {});
structure!(ucred { pid = |c| c.pid, uid = |c| c.uid, gid = |c| c.gid });
structure!(ip_mreq {
    imr_multiaddr = |m| m.imr_multiaddr.s_addr.0,
    imr_interface = |m| m.imr_interface.s_addr.0
});
structure!(ipv6_mreq {
    ipv6mr_multiaddr = |m| m.ipv6mr_multiaddr.s6_addr,
    ipv6mr_interface = |m| m.ipv6mr_interface
});
structure!(in_pktinfo {
    ipi_ifindex = |i| i.ipi_ifindex,
    ipi_spec_dst = |i| i.ipi_spec_dst.s_addr.0,
    ipi_addr = |i| i.ipi_addr.s_addr.0
});
structure!(in6_pktinfo {
    ipi6_addr = |i| i.ipi6_addr.s6_addr,
    ipi6_ifindex = |i| i.ipi6_ifindex
});
structure!(timespec { tv_sec = |t| t.tv_sec, tv_nsec = |t| t.tv_nsec });
structure!(timeval { tv_sec = |t| t.tv_sec, tv_usec = |t| t.tv_usec });
structure!(linger { l_onoff = |l| l.l_onoff, l_linger = |l| l.l_linger });

constants! {
    AF_UNSPEC.0, AF_UNIX.0, AF_LOCAL.0, AF_INET.0, AF_INET6.0, PF_UNSPEC.0, PF_UNIX.0, PF_INET.0, PF_INET6.0, SOCK_STREAM.0,
    SOCK_DGRAM.0, SOCK_RAW.0, SOCK_SEQPACKET.0, SOCK_CLOEXEC.0, SOCK_NONBLOCK.0,
    INADDR_ANY, INADDR_LOOPBACK, INADDR_BROADCAST,
    INADDR_NONE, SHUT_RD.0, SHUT_WR.0, SHUT_RDWR.0, MSG_DONTWAIT.0, MSG_OOB.0, MSG_PEEK.0, MSG_MORE.0,
    MSG_WAITALL.0, MSG_ERRQUEUE.0, MSG_NOSIGNAL.0, MSG_DONTROUTE.0, MSG_EOR.0, MSG_CONFIRM.0, SOMAXCONN, SO_REUSEADDR.name,
    SO_REUSEPORT.name, SO_KEEPALIVE.name, SO_BROADCAST.name, SO_SNDBUF.name, SO_RCVBUF.name,
    SO_RCVBUFFORCE.name, SO_PRIORITY.name, SO_MARK.name, SO_ERROR.name, SO_TYPE.name,
    SO_ACCEPTCONN.name, SO_RCVTIMEO.name, SO_SNDTIMEO.name, SO_LINGER.name, SO_BINDTODEVICE.name, TCP_CONGESTION.name, TCP_NODELAY.name,
    TCP_MAXSEG.name, TCP_KEEPIDLE.name, TCP_KEEPINTVL.name, TCP_KEEPCNT.name, TCP_SYNCNT.name,
    TCP_USER_TIMEOUT.name, IPV6_V6ONLY.name, IP_TTL.name,
    SO_OOBINLINE.name, SO_RCVLOWAT.name, SO_PEERCRED.name, SO_PASSCRED.name, SO_DOMAIN.name,
    SO_PROTOCOL.name, TCP_CORK.name, TCP_QUICKACK.name, TCP_DEFER_ACCEPT.name,
    IP_ADD_MEMBERSHIP.name, IP_DROP_MEMBERSHIP.name, IP_MULTICAST_TTL.name, IP_MULTICAST_LOOP.name,
    IP_MULTICAST_IF.name, IP_TOS.name, IP_PKTINFO.name, IPV6_JOIN_GROUP.name, IPV6_LEAVE_GROUP.name,
    IPV6_MULTICAST_HOPS.name, IPV6_MULTICAST_LOOP.name, IPV6_MULTICAST_IF.name,
    IPV6_UNICAST_HOPS.name, IPV6_RECVPKTINFO.name, MSG_TRUNC.0, MSG_CTRUNC.0, MSG_CMSG_CLOEXEC.0,
    MSG_WAITFORONE.0, INET_ADDRSTRLEN, INET6_ADDRSTRLEN, IF_NAMESIZE,
    POLLIN.0, POLLPRI.0, POLLOUT.0, POLLRDHUP.0, POLLERR.0, POLLHUP.0, POLLNVAL.0, EPOLLIN.0,
    EPOLLPRI.0, EPOLLOUT.0, EPOLLRDHUP.0, EPOLLERR.0, EPOLLHUP.0, EPOLLET.0, EPOLLONESHOT.0,
    EPOLLEXCLUSIVE.0, EPOLL_CLOEXEC.0, EPOLL_CTL_ADD.0, EPOLL_CTL_MOD.0, EPOLL_CTL_DEL.0,
    O_NONBLOCK.0, O_APPEND.0, O_RDWR.0, O_WRONLY.0, FD_CLOEXEC.0, F_GETFL.number, F_SETFL.number,
    F_GETFD.number, F_SETFD.number, FD_SETSIZE,
    AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST,
    AI_NUMERICSERV, AI_V4MAPPED, AI_ALL, AI_ADDRCONFIG, NI_NUMERICHOST, NI_NUMERICSERV, NI_NOFQDN,
    NI_NAMEREQD, NI_DGRAM, EAI_ADDRFAMILY.0, EAI_AGAIN.0, EAI_BADFLAGS.0, EAI_FAIL.0, EAI_FAMILY.0,
    EAI_MEMORY.0, EAI_NODATA.0, EAI_NONAME.0, EAI_OVERFLOW.0, EAI_SERVICE.0, EAI_SOCKTYPE.0
}

/// The number of a level.
const fn number_of<L: crate::Level>(_: &L) -> i64 {
    L::NUMBER as i64
}

macro_rules! levels {
    ($($name:ident),*) => {
        $(const _: () = same!("value", header::$name, number_of(&crate::$name), stringify!($name));)*
    };
}

levels! {
    SOL_SOCKET, IPPROTO_IP, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6, IPPROTO_ICMPV6, IPPROTO_RAW
}

/// Whether two addresses are the same bytes.
const fn same_bytes(a: [u8; 16], b: [u8; 16]) -> bool {
    u128::from_ne_bytes(a) == u128::from_ne_bytes(b)
}

macro_rules! addresses {
    ($($name:ident),*) => {
        $(const _: () = same!("value", true, same_bytes(header::$name, crate::$name.s6_addr), stringify!($name));)*
    };
}

addresses!(IN6ADDR_ANY_INIT, IN6ADDR_LOOPBACK_INIT);
