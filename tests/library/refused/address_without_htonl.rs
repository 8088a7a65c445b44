//! So is an address, and `INADDR_ANY` is in host order, as in C.

use sockstep::{INADDR_ANY, htonl, sockaddr_in};

fn main() {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_addr.s_addr = INADDR_ANY; //~ E0308
    //~ instead: addr.sin_addr.s_addr = htonl(INADDR_ANY);
}
