//! A time-out is a `timeval`. In C `&1` compiles, and the kernel reads beyond it.

use sockstep::{AF_INET, SO_RCVTIMEO, SOCK_STREAM, SOL_SOCKET, setsockopt, socket, timeval};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let second = timeval { tv_sec: 1, tv_usec: 0 };
    let _ = setsockopt(&sock, SOL_SOCKET, SO_RCVTIMEO, &1); //~ E0308
    //~ instead: let _ = setsockopt(&sock, SOL_SOCKET, SO_RCVTIMEO, &second);
}
