//! A port is in network byte order, and only `htons` makes one.

use sockstep::{htons, sockaddr_in};

fn main() {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_port = 80; //~ E0308
    //~ instead: addr.sin_port = htons(80);
}
