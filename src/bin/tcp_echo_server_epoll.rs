//! tcp_echo_server_epoll - sends each client its own bytes back, all from one loop around epoll.
//!
//! Usage: `tcp_echo_server_epoll [--limit N] [OPTIONS] PORT`
//! Follows: the Princeton deck, "Server: One Request at a Time?": "Alternate between servicing
//! different requests", here without a process or a thread for each.
//! C twin: `tcp_echo_server_epoll.c`. Read it beside `tcp_echo_server_poll.rs`.

mod common;

use common::{die, echo, needs_pause, parse, warn};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags}; // <sys/epoll.h>
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <netinet/in.h>, <sys/socket.h>
use std::{os::fd::AsRawFd, os::fd::OwnedFd, time::Duration};

const EVENTS: usize = 64; // that one epoll_wait may report at most

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    // As in tcp_echo_server.rs: socket(), bind() and listen() stand in common/echo.rs.
    let serv_sock = echo::listening(&args.echo, SOCK_STREAM | SOCK_NONBLOCK)?;

    // The kernel keeps the list of what each socket waits for. The first on it is the listening
    // socket, which waits for a client.
    let epoll = Epoll::new(EpollCreateFlags::empty()).map_err(failed("epoll_create1"))?;
    epoll
        .add(&serv_sock, event(&serv_sock, EpollFlags::EPOLLIN))
        .map_err(failed("epoll_ctl"))?;

    // 4. Repeatedly: Run forever, or for --max-clients.
    let mut clients: Vec<Option<echo::Client>> = Vec::new(); // each at the number of its descriptor
    let mut events = [EpollEvent::empty(); EVENTS];
    let (mut count, mut accepted) = (0, 0);
    let (mut paused, mut accepting) = (false, true);
    let mut last_look = echo::now(&args.echo);
    while accepted < args.echo.max_clients || count > 0 {
        // While no more clients are to be accepted, the listening socket waits for nothing.
        let full = count >= args.limit;
        let accept_more = accepted < args.echo.max_clients && !full && !paused;
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
        let reported = match epoll.wait(&mut events, echo::longest_wait(paused, &args.echo)) {
            Err(Errno::EINTR) => 0,
            reported => reported.map_err(failed("epoll_wait"))?,
        };
        let now = echo::now(&args.echo);
        paused = false;
        for ready in &events[..reported] {
            let place = usize::try_from(ready.data()).expect("it is a descriptor");
            // a. Accept a new connection.
            if place == number(&serv_sock) {
                match accept::<sockaddr_in>(&serv_sock) {
                    Ok(connection) => {
                        let client = echo::Client::new(connection, now);
                        let place = number(&client.sock);
                        match epoll.add(&client.sock, event(&client.sock, EpollFlags::EPOLLIN)) {
                            Ok(()) => {
                                clients.resize_with(clients.len().max(place + 1), || None);
                                clients[place] = Some(client);
                                count += 1;
                            }
                            Err(errno) => {
                                warn(&client.addr, &Error::new("epoll_ctl", errno));
                                client.close();
                            }
                        }
                        accepted += 1;
                    }
                    Err(error) => paused = needs_pause(error)?,
                }
                continue;
            }

            // b. Communicate with one that can go on: it may then wait for something else.
            let Some(client) = &mut clients[place] else {
                continue;
            };
            let held = client.holds_bytes();
            let more = client.echo_some(now);
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

        // Not on the slide: an end to silence. It looks at all clients, at most once a second.
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

// ---- Arguments ----

/// Send each client its own bytes back, all from one loop around epoll
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_server_epoll 7000")]
struct Args {
    #[command(flatten)]
    echo: echo::EchoArgs,
    /// Serve at most N clients at once; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

fn main() {
    serve(&parse()).unwrap_or_else(|error| die(error));
}
