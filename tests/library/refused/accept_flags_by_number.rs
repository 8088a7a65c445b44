//! The flags of a new descriptor are two constants; in C `accept4(sock, NULL, NULL, -1)` compiles.

use sockstep::{AF_INET, SOCK_NONBLOCK, SOCK_STREAM, accept4, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = accept4::<()>(&sock, -1); //~ E0308
    //~ instead: let _ = accept4::<()>(&sock, SOCK_NONBLOCK);
}
