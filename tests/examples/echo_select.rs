//! Many clients by select, with a set that is copied for each round.

mod example;

use example::*;
use sockstep::*;
use std::os::fd::{AsRawFd, OwnedFd};

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let listener = listening(port)?;
    let mut highest = listener.as_raw_fd();
    let mut master = fd_set::zeroed();
    FD_SET(&listener, &mut master)?;
    let mut clients: Vec<OwnedFd> = Vec::new();
    loop {
        let mut readfds = master;
        select(highest + 1, Some(&mut readfds), None, None, None)?;
        if FD_ISSET(&listener, &readfds) {
            let (client, ()) = accept(&listener)?;
            FD_SET(&client, &mut master)?;
            highest = highest.max(client.as_raw_fd());
            clients.push(client);
        }
        let mut place = 0;
        while place < clients.len() {
            let client = &clients[place];
            place += 1;
            if !FD_ISSET(client, &readfds) {
                continue;
            }
            let mut buf = [0; 512];
            match recv(client, &mut buf, 0) {
                Ok(n @ 1..) => _ = send(client, &buf[..n], 0)?,
                _ => {
                    FD_CLR(client, &mut master);
                    place -= 1;
                    close(clients.remove(place))?;
                }
            }
        }
    }
}
