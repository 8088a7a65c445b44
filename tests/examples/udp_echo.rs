//! Sends each datagram back.

mod example;

use example::*;
use sockstep::*;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let sock = bound(SOCK_DGRAM, port)?;
    loop {
        let mut buf = [0; 512];
        let (n, peer) = recvfrom::<sockaddr_in>(&sock, &mut buf, 0)?;
        sendto(&sock, &buf[..n], 0, &peer)?;
    }
}
