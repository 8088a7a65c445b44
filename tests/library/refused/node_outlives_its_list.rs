//! What a node borrows of the list cannot be used once the list is given back.

use sockstep::{freeaddrinfo, getaddrinfo};

fn main() {
    let list = getaddrinfo(Some("127.0.0.1"), None, None).unwrap();
    let node = list.iter().next().unwrap();
    freeaddrinfo(list); //~ E0505
    println!("{:?}", node.ai_canonname);
}
