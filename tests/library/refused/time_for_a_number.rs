//! An option that is on or off is an `int`.

use sockstep::{AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, setsockopt, socket, timeval};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let second = timeval { tv_sec: 1, tv_usec: 0 };
    let _ = setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, &second); //~ E0308
    //~ instead: let _ = setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, &1);
}
