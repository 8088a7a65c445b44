//! A slice has its own length, so a wrong one cannot be passed.

use sockstep::{AF_INET, SOCK_STREAM, recv, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = recv(&sock, &mut [0; 16], 4096, 0); //~ E0061
    //~ instead: let _ = recv(&sock, &mut [0; 16], 0);
}
