//! An answer leaves from the address that was asked, by IP_PKTINFO.

mod example;

use example::*;
use sockstep::*;
use std::io::{IoSlice, IoSliceMut};

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let sock = bound(SOCK_DGRAM, port)?;
    setsockopt(&sock, IPPROTO_IP, IP_PKTINFO, &1)?;
    let mut room = CmsgBuf::with_space(CMSG_SPACE(size_of::<in_pktinfo>()));
    loop {
        let mut buf = [0; 512];
        let msg = recvmsg::<sockaddr_in>(&sock, &mut [IoSliceMut::new(&mut buf)], &mut room, 0)?;
        let [CmsgIn::Pktinfo(info)] = msg.msg_control[..] else {
            continue;
        };
        let from = in_pktinfo {
            ipi_spec_dst: info.ipi_addr,
            ..info
        };
        let control = CmsgBuf::of(&[Cmsg::Pktinfo(from)]);
        let iov = [IoSlice::new(&buf[..msg.len])];
        sendmsg(&sock, &MsgHdr::to(&msg.msg_name, &iov).with(&control), 0)?;
    }
}
