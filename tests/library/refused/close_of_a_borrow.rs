//! Who only borrows a descriptor does not close it.

use sockstep::{AF_INET, SOCK_STREAM, close, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = close(&sock); //~ E0308
    //~ instead: let _ = close(sock);
}
