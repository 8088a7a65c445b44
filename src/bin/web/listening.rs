//! A socket that listens for IPv4 and IPv6. The C twin has the same in `web/listening.h`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use sockstep::{
    AF_INET, AF_INET6, AnyAddr, Errno, IPPROTO_IPV6, IPPROTO_TCP, IPV6_V6ONLY, Result,
    SO_REUSEADDR, SO_SNDTIMEO, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY, bind, getsockname, htonl,
    htons, in6_addr, listen, setsockopt, sockaddr_in, sockaddr_in6, socket,
};

use crate::common::{print_line, timeval_of};

/// The echo server's steps 1 to 3, and the line `listening on`. A send on a connection waits at
/// most `timeout`.
pub fn open(
    address: Option<IpAddr>,
    port: u16,
    backlog: i32,
    timeout: Duration,
) -> Result<OwnedFd> {
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED); // a socket for this address accepts IPv4 too
    let mut serv_addr = socket_address(address.unwrap_or(any), port);
    let serv_sock = match socket(serv_addr.family(), SOCK_STREAM, IPPROTO_TCP) {
        Err(error) if error == Errno::EAFNOSUPPORT && address.is_none() => {
            // No IPv6 on this machine.
            serv_addr = socket_address(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
            socket(serv_addr.family(), SOCK_STREAM, IPPROTO_TCP)?
        }
        outcome => outcome?,
    };
    setsockopt(&serv_sock, SOL_SOCKET, SO_REUSEADDR, &1)?;
    if serv_addr.family() == AF_INET6 {
        setsockopt(&serv_sock, IPPROTO_IPV6, IPV6_V6ONLY, &0)?;
    }
    // Connections inherit these options. TCP_NODELAY: short responses are sent at once.
    setsockopt(&serv_sock, SOL_SOCKET, SO_SNDTIMEO, &timeval_of(timeout))?;
    setsockopt(&serv_sock, IPPROTO_TCP, TCP_NODELAY, &1)?;
    bind(&serv_sock, &serv_addr)?;
    listen(&serv_sock, backlog)?;
    let serv_addr: AnyAddr = getsockname(&serv_sock)?;
    print_line(format_args!("listening on {serv_addr}"));
    Ok(serv_sock)
}

fn socket_address(address: IpAddr, port: u16) -> AnyAddr {
    match address {
        IpAddr::V4(address) => {
            let mut serv_addr = sockaddr_in::zeroed();
            serv_addr.sin_family = AF_INET;
            serv_addr.sin_addr.s_addr = htonl(address.to_bits());
            serv_addr.sin_port = htons(port);
            serv_addr.into()
        }
        IpAddr::V6(address) => {
            let mut serv_addr = sockaddr_in6::zeroed();
            serv_addr.sin6_family = AF_INET6;
            serv_addr.sin6_addr = in6_addr {
                s6_addr: address.octets(),
            };
            serv_addr.sin6_port = htons(port);
            serv_addr.into()
        }
    }
}

/// An IPv6 socket gives an IPv4 client's address as `::ffff:127.0.0.1`. This turns it into an IPv4
/// address.
pub fn in_its_own_family(client: AnyAddr) -> AnyAddr {
    let mapped = client.v6().and_then(|addr| {
        let address = Ipv6Addr::from(addr.sin6_addr.s6_addr).to_ipv4_mapped()?;
        let mut v4 = sockaddr_in::zeroed();
        v4.sin_family = AF_INET;
        v4.sin_addr.s_addr = htonl(address.to_bits());
        v4.sin_port = addr.sin6_port;
        Some(v4.into())
    });
    mapped.unwrap_or(client)
}
