//! A buffer is there, as long as it says; in C `recv(sock, (void *)1, 16, 0)` compiles.

use sockstep::{AF_INET, SOCK_STREAM, recv, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let buffer = std::ptr::without_provenance_mut::<[u8; 16]>(1);
    let _ = recv(&sock, buffer, 0); //~ E0308
    //~ instead: let _ = (buffer, recv(&sock, &mut [0; 16], 0));
}
