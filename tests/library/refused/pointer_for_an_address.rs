//! An address is there, and whole; in C `bind(sock, (struct sockaddr *)1, 16)` compiles.

use sockstep::{AF_INET, SOCK_STREAM, bind, sockaddr_in, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let addr = std::ptr::without_provenance::<sockaddr_in>(1);
    let _ = bind(&sock, addr); //~ E0308
    //~ instead: let _ = (addr, bind(&sock, &sockaddr_in::zeroed()));
}
