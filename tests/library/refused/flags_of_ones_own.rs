//! Flags come from the constants; a number in their type would be MSG_ZEROCOPY as well as another.

use sockstep::{AF_INET, MSG_DONTWAIT, MsgFlags, SOCK_STREAM, send, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = send(&sock, b"x", MsgFlags(0x400_0000)); //~ E0423
    //~ instead: let _: (MsgFlags, _) = (MSG_DONTWAIT, send(&sock, b"x", MSG_DONTWAIT));
}
