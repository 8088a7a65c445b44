//! An address has C's layout; the standard library's has not.

use std::net::{Ipv4Addr, SocketAddr};

use sockstep::{AF_INET, SOCK_STREAM, connect, sockaddr_in, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    let _ = connect(&sock, &addr); //~ E0277
    //~ instead: let _ = connect(&sock, &sockaddr_in::zeroed());
}
