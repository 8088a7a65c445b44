//! A socket's type is one of the constants; in C `socket(AF_INET, 75, 0)` compiles.

use sockstep::{AF_INET, SOCK_STREAM, SockType, socket};

fn main() {
    let _ = socket(AF_INET, SockType(75), 0); //~ E0423
    //~ instead: let _: SockType = SOCK_STREAM;
}
