//! tcp_echo_server_poll - sends each client its own bytes back, all from one loop around poll.
//!
//! Usage: `tcp_echo_server_poll [--limit N] [OPTIONS] PORT`
//! Follows: the Princeton deck, "Server: One Request at a Time?": "Alternate between servicing
//! different requests", here without a process or a thread for each.
//! C twin: `tcp_echo_server_poll.c`. Compare `tcp_echo_server_select.rs`.

mod common;

use common::{die, echo, needs_pause, parse, warn};
use sockstep::{error::*, netinet::*, poll::*, socket::*}; // <errno.h>, <poll.h>, ...

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    // As in tcp_echo_server.rs: socket(), bind() and listen() are in common/echo.rs.
    let serv_sock = echo::listening(&args.echo, SOCK_STREAM | SOCK_NONBLOCK)?;

    // The event that each waits for. The first is the listening socket, which waits for a client; a
    // client waits until it can receive or, if it holds bytes, send.
    let mut fds = vec![pollfd::new(serv_sock, POLLIN)];
    let mut clients: Vec<echo::Client> = Vec::new(); // of the others in `fds`, in the same order
    let mut echo_buffer = [0; echo::RCVBUFSIZE];

    // 4. Repeatedly: Run forever, or for --max-clients.
    let (mut accepted, mut paused) = (0, false);
    while accepted < args.echo.max_clients || !clients.is_empty() {
        let full = clients.len() >= args.limit as usize;
        let accepting = accepted < args.echo.max_clients && !full && !paused;
        fds[0].events = if accepting {
            POLLIN
        } else {
            PollEvents::empty()
        };

        // Wait for all of them together.
        match poll(&mut fds, echo::longest_wait(paused, &args.echo)) {
            Err(error) if error == Errno::EINTR => continue, // after SIGSTOP and SIGCONT
            ready => ready?,
        };
        let now = echo::now(&args.echo);
        paused = false;

        // a. Accept a new connection.
        if let (Some(serv_sock), true) = (&fds[0].fd, !fds[0].revents.is_empty()) {
            // Set the size of the in-out parameter: its type has it.
            match accept::<sockaddr_in>(serv_sock) {
                Ok((clnt_sock, echo_clnt_addr)) => {
                    accepted += 1;
                    let room = echo::make_room(&mut clients, 1);
                    match room.and_then(|()| echo::make_room(&mut fds, 1)) {
                        Ok(()) => {
                            fds.push(pollfd::new(clnt_sock, POLLIN));
                            clients.push(echo::Client::new(echo_clnt_addr, now));
                        }
                        Err(error) => warn(&echo_clnt_addr, &error), // only this client is lost
                    }
                }
                Err(error) => paused = needs_pause(error)?,
            }
        }

        // b. Communicate with those that can, c. close the connection of those that are done.
        let mut gone = false;
        for (
            pollfd {
                fd,
                events,
                revents,
            },
            client,
        ) in fds[1..].iter_mut().zip(&mut clients)
        {
            let mut turn = echo::Turn::Same;
            if let (false, Some(sock)) = (revents.is_empty(), &fd) {
                turn = client.echo_some(sock, &mut echo_buffer, now);
            }
            if turn == echo::Turn::Done || client.is_idle(now, &args.echo) {
                fd.take().into_iter().for_each(|sock| client.close(sock));
                gone = true;
            } else if turn == echo::Turn::Other {
                *events = if client.holds_bytes() {
                    POLLOUT
                } else {
                    POLLIN
                };
            }
        }

        // The last ones move into the places of the closed ones.
        let mut place = 0;
        while gone && place < clients.len() {
            if fds[place + 1].fd.is_none() {
                clients.swap_remove(place);
                fds.swap_remove(place + 1);
            } else {
                place += 1;
            }
        }
    }
    fds.swap_remove(0).fd.map_or(Ok(()), close)
}

// ---- Arguments ----

/// Send each client its own bytes back, all from one loop around poll
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_server_poll 7000")]
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
