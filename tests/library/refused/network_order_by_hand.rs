//! No number becomes one in network order without `htons`.

use sockstep::{Net16, htons, sockaddr_in};

fn main() {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_port = Net16(80); //~ E0423
    //~ instead: addr.sin_port = htons(80);
}
