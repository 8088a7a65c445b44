//! An IPv6 address does not fit where an IPv4 one belongs, however it was read.

use sockstep::{AF_INET6, inet_pton, sockaddr_in};

fn main() {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_addr = inet_pton::<sockstep::in6_addr>(AF_INET6, "::1").unwrap(); //~ E0308
    //~ instead: addr.sin_addr = inet_pton(AF_INET6, "::1").unwrap();
}
