//! A domain is no type. In C both are `int`, and swapped they make another socket or none.

use sockstep::{AF_INET, SOCK_STREAM, socket};

fn main() {
    let _ = socket(SOCK_STREAM, AF_INET, 0); //~ E0308
    //~ instead: let _ = socket(AF_INET, SOCK_STREAM, 0);
}
