//! Connects to each sender for its answer, and undoes it.

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
        connect(&sock, &peer)?;
        send(&sock, &buf[..n], 0)?;
        connect(&sock, &sockaddr_in::zeroed())?; // AF_UNSPEC: to nobody again
    }
}
