//! Bytes are not an address, whatever their length.

use sockstep::{AF_INET, SOCK_STREAM, bind, sockaddr_in, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = bind(&sock, &[0_u8; 16]); //~ E0277
    //~ instead: let _ = bind(&sock, &sockaddr_in::zeroed());
}
