//! A member of a multicast group, which tells the group and the sender.

mod example;

use example::*;
use sockstep::*;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let sock = bound(SOCK_DGRAM, port)?;
    let mreq = ip_mreq {
        imr_multiaddr: in_addr {
            s_addr: inet_addr("239.255.77.7")?,
        },
        imr_interface: in_addr {
            s_addr: htonl(INADDR_LOOPBACK),
        },
    };
    setsockopt(&sock, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq)?;
    setsockopt(&sock, IPPROTO_IP, IP_MULTICAST_IF, &mreq.imr_interface)?;
    setsockopt(&sock, IPPROTO_IP, IP_MULTICAST_TTL, &1)?;
    setsockopt(&sock, IPPROTO_IP, IP_MULTICAST_LOOP, &0)?;
    let group = address(9, 0xefff_4d07);
    loop {
        let mut buf = [0; 512];
        let (n, peer) = recvfrom::<sockaddr_in>(&sock, &mut buf, 0)?;
        sendto(&sock, &buf[..n], 0, &group)?;
        sendto(&sock, &buf[..n], 0, &peer)?;
    }
}
