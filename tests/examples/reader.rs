//! Says a word, if it has one, and reads to the end of the answer.

mod example;

use std::io::stdout;

use example::*;
use sockstep::*;

fn main() {
    run(ask);
}

fn ask(port: u16) -> Result<()> {
    let sock = socket(AF_INET, SOCK_STREAM, 0)?;
    connect(&sock, &address(port, INADDR_LOOPBACK))?;
    if let Some(word) = std::env::args().nth(2) {
        send(&sock, word.as_bytes(), 0)?;
    }
    let mut buf = [0; 100];
    loop {
        let n = recv(&sock, &mut buf, 0)?;
        if n == 0 {
            return close(sock);
        }
        write(&stdout(), &buf[..n])?;
    }
}
