//! With MSG_TRUNC the count is no longer one of bytes in the buffer, and `&buf[..n]` would end the program.

use sockstep::{AF_INET, CmsgBuf, MSG_TRUNC, SOCK_DGRAM, recv, recvmsg, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let _ = recv(&sock, &mut [0; 4], MSG_TRUNC); //~ E0277
    //~ instead: let _ = (recvmsg::<()>(&sock, &mut [], &mut CmsgBuf::none(), MSG_TRUNC), recv(&sock, &mut [0; 4], 0));
}
