//! While a borrow of the descriptor is still to be used, its owner cannot close it.

use std::os::fd::AsFd;

use sockstep::{AF_INET, SOCK_STREAM, close, listen, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let borrowed = sock.as_fd();
    let _ = close(sock); //~ E0505
    let _ = listen(&borrowed, 5);
}
