//! Many clients by poll, in an array that lives as long as the server.

mod example;

use example::*;
use sockstep::*;
use std::os::fd::OwnedFd;

fn main() {
    run(serve);
}

const OPEN: usize = 8;

fn serve(port: u16) -> Result<()> {
    let mut fds = [const { nobody() }; OPEN];
    fds[0].fd = Some(listening(port)?);
    loop {
        poll(&mut fds, -1)?;
        if let (Some(listener), true) = (&fds[0].fd, fds[0].revents.has(POLLIN)) {
            let (client, ()) = accept(listener)?;
            if let Some(place) = fds.iter_mut().find(|place| place.fd.is_none()) {
                *place = pollfd::new(client, POLLIN); // or else it is closed
            }
        }
        for place in &mut fds[1..] {
            let Some(client) = place.fd.as_ref().filter(|_| !place.revents.is_empty()) else {
                continue;
            };
            let mut buf = [0; 512];
            match recv(client, &mut buf, 0) {
                Ok(n @ 1..) => _ = send(client, &buf[..n], 0)?,
                _ => place.fd = None, // and it is closed
            }
        }
    }
}

const fn nobody() -> pollfd<OwnedFd> {
    pollfd {
        fd: None,
        events: POLLIN,
        revents: PollEvents::empty(),
    }
}
