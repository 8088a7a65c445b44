//! Connections that do not wait, each waited for by poll with a time-out.

mod example;

use example::*;
use sockstep::*;
use std::os::fd::AsFd;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let listener = listening(port)?;
    loop {
        let (client, ()) = accept4(&listener, SOCK_NONBLOCK | SOCK_CLOEXEC)?;
        let mut buf = [0; 512];
        loop {
            poll(&mut [pollfd::new(client.as_fd(), POLLIN)], 10_000)?;
            let n = recv(&client, &mut buf, 0)?;
            if n == 0 {
                break;
            }
            send(&client, &buf[..n], MSG_NOSIGNAL)?;
        }
        close(client)?;
    }
}
