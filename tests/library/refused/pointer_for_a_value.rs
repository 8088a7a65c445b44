//! An option's value is there; in C `setsockopt(.., NULL, 4)` compiles.

use sockstep::{AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, setsockopt, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, std::ptr::null::<i32>()); //~ E0308
    //~ instead: let _ = setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, &0);
}
