//! tcp_echo_server_poll - sends each client its own bytes back, all from one loop around poll.
//!
//! Usage: `tcp_echo_server_poll [--limit N] [OPTIONS] PORT`
//! Follows: the Princeton deck, "Server: One Request at a Time?": "Alternate between servicing
//! different requests", here without a process or a thread for each.
//! C twin: `tcp_echo_server_poll.c`. Read it beside `tcp_echo_server_select.rs`.

mod common;

use common::{die, echo, needs_pause, parse};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll}; // <poll.h>
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <netinet/in.h>, <sys/socket.h>
use std::os::fd::AsFd;

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    // As in tcp_echo_server.rs: socket(), bind() and listen() stand in common/echo.rs.
    let serv_sock = echo::listening(&args.echo, SOCK_STREAM | SOCK_NONBLOCK)?;

    // 4. Repeatedly: Run forever, or for --max-clients.
    let mut clients: Vec<echo::Client> = Vec::new();
    let mut memory = Vec::new();
    let (mut accepted, mut paused) = (0, false);
    while accepted < args.echo.max_clients || !clients.is_empty() {
        // What each waits for: the listening socket for a client, a client for bytes to come or, if
        // it holds some, to go.
        let mut fds: Vec<PollFd> = memory;
        let full = clients.len() >= args.limit as usize;
        let accepting = accepted < args.echo.max_clients && !full && !paused;
        let events = if accepting {
            PollFlags::POLLIN
        } else {
            PollFlags::empty()
        };
        fds.push(PollFd::new(serv_sock.as_fd(), events));
        for client in &clients {
            let events = if client.holds_bytes() {
                PollFlags::POLLOUT
            } else {
                PollFlags::POLLIN
            };
            fds.push(PollFd::new(client.sock.as_fd(), events));
        }

        // Wait for all of them together.
        match poll(
            &mut fds,
            PollTimeout::from(echo::longest_wait(paused, &args.echo)),
        ) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::new("poll", errno)),
        }
        let can_go_on = |fd: &PollFd| fd.any() != Some(false);
        let client_came = can_go_on(&fds[0]);
        for (client, fd) in clients.iter().zip(&fds[1..]) {
            client.ready.set(can_go_on(fd));
        }
        memory = emptied(fds);
        let now = echo::now(&args.echo);

        // a. Accept a new connection.
        paused = false;
        if client_came {
            match accept::<sockaddr_in>(&serv_sock) {
                Ok(connection) => {
                    accepted += 1;
                    clients.push(echo::Client::new(connection, now));
                }
                Err(error) => paused = needs_pause(error)?,
            }
        }

        // b. Communicate with those that can, c. close the connection of those that are done.
        echo::serve_ready(&mut clients, now, &args.echo);
    }
    close(serv_sock)
}

/// The memory for the next round. What is in it borrows the sockets, and must go before one of them
/// can be closed; an empty collection is made in the same memory, so a round allocates nothing.
fn emptied<'next>(fds: Vec<PollFd<'_>>) -> Vec<PollFd<'next>> {
    fds.into_iter().map_while(|_| None).collect()
}

// ---- Arguments ----

/// Send each client its own bytes back, all from one loop around poll
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_server_poll 7000")]
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
