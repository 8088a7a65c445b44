//! A family is one of the constants; in C `socket(-1, SOCK_STREAM, 0)` compiles.

use sockstep::{AF_INET, SOCK_STREAM, socket};

fn main() {
    let _ = socket(-1, SOCK_STREAM, 0); //~ E0308
    //~ instead: let _ = socket(AF_INET, SOCK_STREAM, 0);
}
