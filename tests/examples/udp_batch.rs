//! Many datagrams in and out, by two calls.

mod example;

use example::*;
use sockstep::*;
use std::io::{IoSlice, IoSliceMut};

fn main() {
    run(serve);
}

const MANY: usize = 8;

fn serve(port: u16) -> Result<()> {
    let sock = bound(SOCK_DGRAM, port)?;
    let mut bufs = [[0; 64]; MANY];
    loop {
        let mut iov = bufs.each_mut().map(|buf| IoSliceMut::new(buf));
        let came = recvmmsg::<sockaddr_in>(&sock, &mut iov, MSG_WAITFORONE, None)?;
        let iov: Vec<_> = came
            .iter()
            .zip(&bufs)
            .map(|(msg, buf)| [IoSlice::new(&buf[..msg.len])])
            .collect();
        let msgs: Vec<_> = came
            .iter()
            .zip(&iov)
            .map(|(msg, iov)| MsgHdr::to(&msg.msg_name, iov))
            .collect();
        sendmmsg(&sock, &msgs, 0)?;
    }
}
