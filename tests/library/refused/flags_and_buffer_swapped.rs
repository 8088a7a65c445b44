//! A flag is no buffer.

use sockstep::{AF_INET, MSG_NOSIGNAL, SOCK_STREAM, send, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = send(&sock, MSG_NOSIGNAL, b"x"); //~ E0308 E0277
    //~ instead: let _ = send(&sock, b"x", MSG_NOSIGNAL);
}
