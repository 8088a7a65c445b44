//! tcp_echo_server_epoll - sends each client its own bytes back, all clients by one process that waits in epoll.
//!
//! Usage: `tcp_echo_server_epoll [--limit N] [OPTIONS] PORT`
//! Follows: "Server: one request at a time?": several, without a process or a thread for each.
//! C twin: `tcp_echo_server_epoll.c`. Read it beside `tcp_echo_server_poll.rs`.

mod common;

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use clap::Parser;
use common::echo::{Client, EchoArgs, listening, now, patience};
use common::{die, parse, pause_after, report};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use sockstep::{Errno, Error, Result, SOCK_NONBLOCK, SOCK_STREAM, accept, close, sockaddr_in};

const EVENTS: usize = 64; // that one epoll_wait may report

/// Sends each client its own bytes back, all clients by one process that waits in epoll
#[derive(Parser)]
#[command(version, after_help = "Example: tcp_echo_server_epoll 7000")]
struct Args {
    #[command(flatten)]
    echo: EchoArgs,
    /// Clients at a time; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

fn main() {
    if let Err(error) = serve(&parse()) {
        die(error);
    }
}

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    let serv_sock = listening(&args.echo, SOCK_STREAM | SOCK_NONBLOCK)?;

    // The kernel keeps the list of who waits for what. The first on it is the listening socket, which waits for a client.
    let epoll = Epoll::new(EpollCreateFlags::empty()).map_err(failed("epoll_create1"))?;
    epoll
        .add(&serv_sock, event(&serv_sock, EpollFlags::EPOLLIN))
        .map_err(failed("epoll_ctl"))?;

    // 4. Repeatedly:
    let mut clients: Vec<Option<Client>> = Vec::new(); // each at the number of its descriptor
    let mut events = [EpollEvent::empty(); EVENTS];
    let (mut count, mut accepted) = (0, 0);
    let (mut paused, mut accepting) = (false, true);
    let mut last_look = now(&args.echo);
    while args.echo.max_clients != Some(accepted) || count > 0 {
        // While nobody else is to be accepted, the listening socket waits for nothing.
        let full = count >= args.limit;
        let accept_more = args.echo.max_clients != Some(accepted) && !full && !paused;
        if accept_more != accepting {
            accepting = accept_more;
            let flags = if accepting {
                EpollFlags::EPOLLIN
            } else {
                EpollFlags::empty()
            };
            epoll
                .modify(&serv_sock, &mut event(&serv_sock, flags))
                .map_err(failed("epoll_ctl"))?;
        }

        // Wait for all of them together.
        let reported = match epoll.wait(&mut events, patience(paused, &args.echo)) {
            Err(Errno::EINTR) => 0,
            reported => reported.map_err(failed("epoll_wait"))?,
        };
        let now = now(&args.echo);
        paused = false;
        for ready in &events[..reported] {
            let place = usize::try_from(ready.data()).expect("it is a descriptor");
            // a. Accept a new connection.
            if place == number(&serv_sock) {
                match accept::<sockaddr_in>(&serv_sock) {
                    Ok(connection) => {
                        let client = Client::new(connection, now);
                        let place = number(&client.sock);
                        match epoll.add(&client.sock, event(&client.sock, EpollFlags::EPOLLIN)) {
                            Ok(()) => {
                                clients.resize_with(clients.len().max(place + 1), || None);
                                clients[place] = Some(client);
                                count += 1;
                            }
                            Err(errno) => {
                                report(&client.addr, Err(failed("epoll_ctl")(errno))); // this client's loss alone
                                client.close();
                            }
                        }
                        accepted += 1;
                    }
                    Err(error) => paused = pause_after(error)?,
                }
                continue;
            }

            // b. Communicate with one that can go on: it may then wait for something else.
            let Some(client) = &mut clients[place] else {
                continue;
            };
            let held = client.holds_bytes();
            let more = client.go_on(now);
            if more && client.holds_bytes() != held {
                let flags = if held {
                    EpollFlags::EPOLLIN
                } else {
                    EpollFlags::EPOLLOUT
                };
                epoll
                    .modify(&client.sock, &mut event(&client.sock, flags))
                    .map_err(failed("epoll_ctl"))?;
            }

            // c. Close the connection. That takes it off the list.
            if let Some(done) = clients[place].take_if(|_| !more) {
                done.close();
                count -= 1;
            }
        }

        // Not on the slide: an end to silence. A look at all clients, and so not more than once a second.
        if now
            .zip(last_look)
            .is_some_and(|(now, last)| now - last >= Duration::from_secs(1))
        {
            last_look = now;
            for place in &mut clients {
                if let Some(idle) = place.take_if(|client| client.is_idle(now, &args.echo)) {
                    idle.close();
                    count -= 1;
                }
            }
        }
    }
    close(serv_sock)?;
    close(epoll.0)
}

/// What is to be reported of a socket, under its own number.
fn event(sock: &OwnedFd, flags: EpollFlags) -> EpollEvent {
    EpollEvent::new(flags, number(sock) as u64)
}

fn number(sock: &OwnedFd) -> usize {
    usize::try_from(sock.as_raw_fd()).expect("an open descriptor is not negative")
}

fn failed(call: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::new(call, errno)
}
