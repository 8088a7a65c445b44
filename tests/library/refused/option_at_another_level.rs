//! An option is asked for at its own level; in C `SOL_SOCKET, TCP_MAXSEG` sets SO_REUSEADDR.

use sockstep::{AF_INET, IPPROTO_TCP, SOCK_STREAM, SOL_SOCKET, TCP_MAXSEG, setsockopt, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = setsockopt(&sock, SOL_SOCKET, TCP_MAXSEG, &1); //~ E0308
    //~ instead: let _ = (SOL_SOCKET, setsockopt(&sock, IPPROTO_TCP, TCP_MAXSEG, &1));
}
