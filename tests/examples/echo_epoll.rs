//! Many clients by epoll, edge-triggered, with sockets that do not wait.

mod example;

use example::*;
use sockstep::*;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let listener = listening(port)?;
    let epfd = epoll_create1(0)?;
    let mut ev = epoll_event {
        events: EPOLLIN,
        data: epoll_data_t::of_fd(&listener),
    };
    let mut events = [epoll_event::zeroed(); 10];
    epoll_ctl(&epfd, EPOLL_CTL_ADD, &listener, Some(&ev))?;
    let mut clients: BTreeMap<i32, OwnedFd> = BTreeMap::new(); // each by its number
    loop {
        let ready = epoll_wait(&epfd, &mut events, -1)?;
        for event in &events[..ready] {
            let Some(client) = clients.get(&{ event.data }.fd()) else {
                let (client, ()) = accept(&listener)?;
                let flags = fcntl(&client, F_GETFL, 0)?;
                fcntl(&client, F_SETFL, flags | O_NONBLOCK)?;
                ev.events = EPOLLIN | EPOLLET;
                ev.data = epoll_data_t::of_fd(&client);
                epoll_ctl(&epfd, EPOLL_CTL_ADD, &client, Some(&ev))?;
                clients.insert(ev.data.fd(), client);
                continue;
            };
            let mut buf = [0; 512];
            loop {
                match recv(client, &mut buf, 0) {
                    Ok(n @ 1..) => _ = send(client, &buf[..n], 0)?,
                    Ok(_) => break clients.remove(&{ event.data }.fd()).map_or(Ok(()), close)?,
                    Err(_) => break,
                }
            }
        }
    }
}
