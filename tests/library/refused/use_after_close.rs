//! `close` takes the descriptor: its number may soon be another file's.

use sockstep::{AF_INET, SOCK_STREAM, close, listen, socket};

fn main() {
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let _ = close(sock);
    let _ = listen(&sock, 5); //~ E0382
}
