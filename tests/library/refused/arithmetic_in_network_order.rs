//! A number in network order is not one to count with: 80 + 1 there is no 81.

use sockstep::{htons, ntohs};

fn main() {
    let port = htons(80);
    let _ = port + 1; //~ E0369
    //~ instead: let _ = htons(ntohs(port) + 1);
}
