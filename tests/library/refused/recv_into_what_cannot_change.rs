//! `recv` writes into its buffer, so it must be one that may change.

use sockstep::{AF_INET, SOCK_STREAM, recv, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let mut buffer = [0; 16];
    let _ = recv(&sock, &buffer, 0); //~ E0308
    //~ instead: let _ = recv(&sock, &mut buffer, 0);
}
