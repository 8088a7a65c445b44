//! An option's value brings its length along; in C `setsockopt(.., &on, -1)` compiles.

use sockstep::{AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, setsockopt, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, &1, -1); //~ E0061
    //~ instead: let _ = setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, &1);
}
