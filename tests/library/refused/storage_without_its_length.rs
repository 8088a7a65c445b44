//! How long an address is cannot be read off a sockaddr_storage: its length comes with it, or it is no address.

use sockstep::{AF_INET, AnyAddr, SOCK_STREAM, getsockname, sockaddr_storage, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = getsockname::<sockaddr_storage>(&sock); //~ E0277
    //~ instead: let _ = getsockname::<AnyAddr>(&sock);
}
