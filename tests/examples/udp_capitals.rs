//! Ten bytes of each datagram in capitals, to an address of any family.

mod example;

use example::*;
use sockstep::*;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let sock = bound(SOCK_DGRAM, port)?;
    loop {
        let mut buf = [0; 10];
        let (n, peer) = recvfrom::<AnyAddr>(&sock, &mut buf, 0)?;
        buf[..n].make_ascii_uppercase();
        sendto(&sock, &buf[..n], 0, &peer)?;
    }
}
