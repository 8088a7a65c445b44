//! 3 may be any open file, or closed: a descriptor is owned, or borrowed from its owner.

use sockstep::{AF_INET, SOCK_STREAM, listen, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    drop(listen(3, 5)); //~ E0308
    //~ instead: drop(listen(&sock, 5));
    drop(sock);
}
