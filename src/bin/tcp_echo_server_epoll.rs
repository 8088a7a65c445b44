//! tcp_echo_server_epoll - sends each client its own bytes back, all from one loop around epoll.
//!
//! Usage: `tcp_echo_server_epoll [--limit N] [OPTIONS] PORT`
//! Follows: the Princeton deck, "Server: One Request at a Time?": "Alternate between servicing
//! different requests", here without a process or a thread for each.
//! C twin: `tcp_echo_server_epoll.c`. Compare `tcp_echo_server_poll.rs`.

mod common;

use common::{die, echo, needs_pause, parse, warn};
use sockstep::{epoll::*, error::*, netinet::*, socket::*}; // <sys/epoll.h>, <errno.h>, ...
use std::{os::fd::AsRawFd, os::fd::OwnedFd, time::Duration};

const EVENTS: usize = 64; // the most that one epoll_wait reports

/// A client and its socket, if there is one.
type Place = Option<(OwnedFd, echo::Client)>;

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    // As in tcp_echo_server.rs: socket(), bind() and listen() are in common/echo.rs.
    let serv_sock = echo::listening(&args.echo, SOCK_STREAM | SOCK_NONBLOCK)?;

    // The kernel keeps the list of what each socket waits for. The first on it is the listening
    // socket, which waits for a client.
    let epoll = epoll_create1(0)?;
    control(&epoll, EPOLL_CTL_ADD, &serv_sock, EPOLLIN)?;

    // 4. Repeatedly: Run forever, or for --max-clients.
    let mut clients: Vec<Place> = Vec::new(); // indexed by descriptor
    let mut echo_buffer = [0; echo::RCVBUFSIZE];
    let mut events = [epoll_event::zeroed(); EVENTS];
    let (mut count, mut accepted) = (0, 0);
    let (mut paused, mut accepting) = (false, true);
    let mut last_look = echo::now(&args.echo);
    while accepted < args.echo.max_clients || count > 0 {
        // While no client may be accepted, the listening socket is not watched.
        let full = count >= args.limit;
        let accept_more = accepted < args.echo.max_clients && !full && !paused;
        if accept_more != accepting {
            accepting = accept_more;
            let flags = if accepting {
                EPOLLIN
            } else {
                EpollEvents::empty()
            };
            control(&epoll, EPOLL_CTL_MOD, &serv_sock, flags)?;
        }

        // Wait for all of them together.
        let wait = echo::longest_wait(paused, &args.echo);
        let reported = match epoll_wait(&epoll, &mut events, wait) {
            Err(error) if error == Errno::EINTR => 0, // after SIGSTOP and SIGCONT
            reported => reported?,
        };
        let now = echo::now(&args.echo);
        paused = false;
        for ready in &events[..reported] {
            let number = usize::try_from({ ready.data }.u64).expect("it is a descriptor");
            // a. Accept a new connection.
            if number == number_of(&serv_sock) {
                // Set the size of the in-out parameter: its type has it.
                match accept::<sockaddr_in>(&serv_sock) {
                    Ok((clnt_sock, echo_clnt_addr)) => {
                        accepted += 1;
                        let client = echo::Client::new(echo_clnt_addr, now);
                        let number = number_of(&clnt_sock);
                        let added = make_place(&mut clients, number)
                            .and_then(|()| control(&epoll, EPOLL_CTL_ADD, &clnt_sock, EPOLLIN));
                        match added {
                            Ok(()) => {
                                clients[number] = Some((clnt_sock, client));
                                count += 1;
                            }
                            Err(error) => {
                                warn(&echo_clnt_addr, &error); // only this client is lost
                                client.close(clnt_sock);
                            }
                        }
                    }
                    Err(error) => paused = needs_pause(error)?,
                }
                continue;
            }

            // b. Communicate with a client that is ready; it may then wait for another event.
            let place = &mut clients[number];
            let Some((sock, client)) = place else {
                continue;
            };
            match client.echo_some(sock, &mut echo_buffer, now) {
                echo::Turn::Same => {}
                echo::Turn::Other => {
                    let events = if client.holds_bytes() {
                        EPOLLOUT
                    } else {
                        EPOLLIN
                    };
                    control(&epoll, EPOLL_CTL_MOD, sock, events)?;
                }

                // c. Close the connection, which also removes it from the list.
                echo::Turn::Done => {
                    count -= 1;
                    if let Some((sock, client)) = place.take() {
                        client.close(sock);
                    }
                }
            }
        }

        // Not on the slide: --idle-timeout. Checks all clients, at most once a second.
        if now
            .zip(last_look)
            .is_some_and(|(now, last)| now - last >= Duration::from_secs(1))
        {
            last_look = now;
            for place in &mut clients {
                let idle = place.take_if(|(_, client)| client.is_idle(now, &args.echo));
                if let Some((sock, client)) = idle {
                    client.close(sock);
                    count -= 1;
                }
            }
        }
    }
    close(serv_sock)?;
    close(epoll)
}

/// Sets the events to report for a socket, under its descriptor's number.
fn control(epoll: &OwnedFd, op: EpollOp, sock: &OwnedFd, events: EpollEvents) -> Result<()> {
    let data = epoll_data_t {
        u64: number_of(sock) as u64,
    };
    epoll_ctl(epoll, op, sock, Some(&epoll_event { events, data }))
}

/// Makes room for a client with this descriptor.
fn make_place(clients: &mut Vec<Place>, number: usize) -> Result<()> {
    let more = (number + 1).saturating_sub(clients.len());
    echo::make_room(clients, more)?;
    clients.extend((0..more).map(|_| None));
    Ok(())
}

fn number_of(sock: &OwnedFd) -> usize {
    usize::try_from(sock.as_raw_fd()).expect("an open descriptor is not negative")
}

// ---- Arguments ----

/// Send each client its own bytes back, all from one loop around epoll
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_server_epoll 7000")]
struct Args {
    #[command(flatten)]
    echo: echo::EchoArgs,
    /// Serve at most N clients at once; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = common::number::<u32>(1, u32::MAX))]
    limit: u32,
}

fn main() {
    serve(&parse()).unwrap_or_else(|error| die(error));
}
