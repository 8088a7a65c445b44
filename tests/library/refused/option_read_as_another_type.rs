//! `getsockopt` returns what the option is, and makes room for no less.

use sockstep::{AF_INET, SO_LINGER, SOCK_STREAM, SOL_SOCKET, getsockopt, linger, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _: i32 = getsockopt(&sock, SOL_SOCKET, SO_LINGER).unwrap(); //~ E0308
    //~ instead: let _: linger = getsockopt(&sock, SOL_SOCKET, SO_LINGER).unwrap();
}
