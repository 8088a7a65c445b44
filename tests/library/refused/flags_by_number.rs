//! `0x4000000` is MSG_ZEROCOPY, by which the kernel reads `buffer` after the borrow has ended; only 0 is a flag by number.

use sockstep::{AF_INET, SOCK_STREAM, send, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let flags: i32 = 0x400_0000;
    let _ = send(&sock, b"x", flags); //~ E0277
    //~ instead: let _ = (flags, send(&sock, b"x", 0));
}
