//! Which half to end is one of three constants; in C `shutdown(sock, 3)` compiles.

use sockstep::{AF_INET, SHUT_WR, SOCK_STREAM, shutdown, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = shutdown(&sock, 1); //~ E0308
    //~ instead: let _ = shutdown(&sock, SHUT_WR);
}
