//! `close` takes the descriptor: a second `close` would close another's.

use sockstep::{AF_INET, SOCK_STREAM, close, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = close(sock);
    let _ = close(sock); //~ E0382
}
