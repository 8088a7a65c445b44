//! All flags but one are also those that must not be sent; in C `~MSG_OOB` compiles.

use sockstep::{AF_INET, MSG_OOB, SOCK_STREAM, send, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = send(&sock, b"x", !MSG_OOB); //~ E0600
    //~ instead: let _ = send(&sock, b"x", MSG_OOB);
}
