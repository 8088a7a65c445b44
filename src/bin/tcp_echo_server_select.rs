//! tcp_echo_server_select - sends each client its own bytes back, all from one loop around select.
//!
//! Usage: `tcp_echo_server_select [--limit N] [OPTIONS] PORT`
//! Follows: the Princeton deck, "Server: One Request at a Time?": "Alternate between servicing
//! different requests", here without a process or a thread for each.
//! C twin: `tcp_echo_server_select.c`. Compare `tcp_echo_server.rs`.

mod common;

use common::{die, echo, needs_pause, note, parse, timeval_of};
use sockstep::{error::*, netinet::*, select::*, socket::*}; // <errno.h>, ..., <sys/select.h>, ...
use std::{os::fd::AsRawFd, os::fd::OwnedFd, time::Duration};

const TOO_HIGH: &str = "select() failed: the descriptor is not below FD_SETSIZE, 1024";

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    // As in tcp_echo_server.rs: socket(), bind() and listen() are in common/echo.rs.
    let serv_sock = echo::listening(&args.echo, SOCK_STREAM | SOCK_NONBLOCK)?;

    // The event that each waits for: the listening socket for a client; a client until it can
    // receive or, if it holds bytes, send.
    let (mut to_read, mut to_write) = (fd_set::zeroed(), fd_set::zeroed());
    let mut highest = serv_sock.as_raw_fd();
    if FD_SET(&serv_sock, &mut to_read).is_err() {
        die(TOO_HIGH);
    }
    let mut clients: Vec<(Option<OwnedFd>, echo::Client)> = Vec::with_capacity(FD_SETSIZE);
    let mut echo_buffer = [0; echo::RCVBUFSIZE];

    // 4. Repeatedly: Run forever, or for --max-clients.
    let (mut accepted, mut paused) = (0, false);
    while accepted < args.echo.max_clients || !clients.is_empty() {
        let full = clients.len() >= args.limit as usize;
        if accepted < args.echo.max_clients && !full && !paused {
            FD_SET(&serv_sock, &mut to_read)?;
        } else {
            FD_CLR(&serv_sock, &mut to_read);
        }

        // Wait for all of them together. select leaves the ready ones in the sets.
        let (mut readable, mut writable) = (to_read, to_write);
        let wait = u64::try_from(echo::longest_wait(paused, &args.echo)).map(Duration::from_millis);
        let mut timeout = wait.ok().map(timeval_of);
        match select(
            highest + 1,
            Some(&mut readable),
            Some(&mut writable),
            None,
            timeout.as_mut(),
        ) {
            Err(error) if error == Errno::EINTR => continue, // after SIGSTOP and SIGCONT
            ready => ready?,
        };
        let now = echo::now(&args.echo);
        paused = false;

        // a. Accept a new connection.
        if FD_ISSET(&serv_sock, &readable) {
            // Set the size of the in-out parameter: its type has it.
            match accept::<sockaddr_in>(&serv_sock) {
                Ok((clnt_sock, echo_clnt_addr)) => {
                    accepted += 1;
                    let client = echo::Client::new(echo_clnt_addr, now);
                    if FD_SET(&clnt_sock, &mut to_read).is_ok() {
                        highest = highest.max(clnt_sock.as_raw_fd());
                        clients.push((Some(clnt_sock), client));
                    } else {
                        note(format_args!("{echo_clnt_addr}: {TOO_HIGH}")); // this client is lost
                        client.close(clnt_sock);
                    }
                }
                Err(error) => paused = needs_pause(error)?,
            }
        }

        // b. Communicate with those that can, c. close the connection of those that are done.
        let mut gone = false;
        for (fd, client) in &mut clients {
            let Some(sock) = fd else { continue };
            let mut turn = echo::Turn::Same;
            if FD_ISSET(sock, &readable) || FD_ISSET(sock, &writable) {
                turn = client.echo_some(sock, &mut echo_buffer, now);
            }
            if turn == echo::Turn::Done || client.is_idle(now, &args.echo) {
                FD_CLR(sock, &mut to_read);
                FD_CLR(sock, &mut to_write);
                fd.take().into_iter().for_each(|sock| client.close(sock));
                gone = true;
            } else if turn == echo::Turn::Other && client.holds_bytes() {
                FD_CLR(sock, &mut to_read);
                FD_SET(sock, &mut to_write)?;
            } else if turn == echo::Turn::Other {
                FD_CLR(sock, &mut to_write);
                FD_SET(sock, &mut to_read)?;
            }
        }

        // The last ones move into the places of the closed ones.
        let mut place = 0;
        while gone && place < clients.len() {
            if clients[place].0.is_none() {
                clients.swap_remove(place);
            } else {
                place += 1;
            }
        }
    }
    close(serv_sock)
}

// ---- Arguments ----

/// Send each client its own bytes back, all from one loop around select
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_server_select 7000")]
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
