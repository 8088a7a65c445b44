//! A number is no descriptor, and a descriptor no number. In C both are `int`.

use sockstep::{AF_INET, SOCK_STREAM, listen, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = listen(5, &sock); //~ E0308
    //~ instead: let _ = listen(&sock, 5);
}
