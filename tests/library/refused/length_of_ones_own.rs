//! An address brings its length along; in C `bind(sock, addr, 1000)` compiles.

use sockstep::{AF_INET, SOCK_STREAM, bind, sockaddr_in, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let addr = sockaddr_in::zeroed();
    let _ = bind(&sock, &addr, 1000); //~ E0061
    //~ instead: let _ = bind(&sock, &addr);
}
