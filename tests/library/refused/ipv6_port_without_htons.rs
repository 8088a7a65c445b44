//! An IPv6 address has its port in network byte order too.

use sockstep::{htons, sockaddr_in6};

fn main() {
    let mut addr = sockaddr_in6::zeroed();
    addr.sin6_port = 80; //~ E0308
    //~ instead: addr.sin6_port = htons(80);
}
