//! A domain is not a type. In C both are `int`, and if they are swapped C makes another socket or
//! fails.

use sockstep::{AF_INET, SOCK_STREAM, socket};

fn main() {
    let _ = socket(SOCK_STREAM, AF_INET, 0); //~ E0308
    //~ instead: let _ = socket(AF_INET, SOCK_STREAM, 0);
}
