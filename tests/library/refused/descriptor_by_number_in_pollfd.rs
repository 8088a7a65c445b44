//! A `pollfd` owns its descriptor or borrows it; in C any number will do, also one that was closed.

use sockstep::{AF_INET, POLLIN, SOCK_STREAM, pollfd, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = pollfd::new(3, POLLIN); //~ E0277 E0277
    //~ instead: let _ = (pollfd::new(sock, POLLIN), 3);
}
