//! A call that uses a socket borrows it: `listen(sock, 5)` would close it at its end.

use sockstep::{AF_INET, SOCK_STREAM, listen, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = listen(sock, 5); //~ E0308
    //~ instead: let _ = listen(&sock, 5);
}
