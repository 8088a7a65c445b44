//! A 16-bit number and a 32-bit one do not mix: `htons` for a port, `htonl` for an address.

use sockstep::{INADDR_LOOPBACK, htonl, htons, sockaddr_in};

fn main() {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_port = htons(80);
    addr.sin_addr.s_addr = htons(80); //~ E0308
    //~ instead: addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}
