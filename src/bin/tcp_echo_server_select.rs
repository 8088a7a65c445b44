//! tcp_echo_server_select - sends each client its own bytes back, all from one loop around select.
//!
//! Usage: `tcp_echo_server_select [--limit N] [OPTIONS] PORT`
//! Follows: the Princeton deck, "Server: One Request at a Time?": "Alternate between servicing
//! different requests", here without a process or a thread for each.
//! C twin: `tcp_echo_server_select.c`. Read it beside `tcp_echo_server.rs`.

mod common;

use common::{die, echo, needs_pause, note, parse};
use nix::{sys::select::*, sys::time::TimeVal, sys::time::TimeValLike}; // <sys/select.h>
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <netinet/in.h>, <sys/socket.h>
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

const TOO_HIGH: &str = "select() failed: the descriptor is not below FD_SETSIZE, 1024";

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    // As in tcp_echo_server.rs: socket(), bind() and listen() stand in common/echo.rs.
    let serv_sock = echo::listening(&args.echo, SOCK_STREAM | SOCK_NONBLOCK)?;
    if !has_room_for(&serv_sock) {
        die(TOO_HIGH);
    }

    // 4. Repeatedly: Run forever, or for --max-clients.
    let mut clients: Vec<echo::Client> = Vec::new();
    let (mut accepted, mut paused) = (0, false);
    while accepted < args.echo.max_clients || !clients.is_empty() {
        // What each waits for: the listening socket for a client, a client for bytes to come or, if
        // it holds some, to go.
        let (mut readable, mut writable) = (FdSet::new(), FdSet::new());
        let full = clients.len() >= args.limit as usize;
        if accepted < args.echo.max_clients && !full && !paused {
            readable.insert(serv_sock.as_fd());
        }
        let mut highest = serv_sock.as_raw_fd();
        for client in &clients {
            if client.holds_bytes() {
                writable.insert(client.sock.as_fd());
            } else {
                readable.insert(client.sock.as_fd());
            }
            highest = highest.max(client.sock.as_raw_fd());
        }

        // Wait for all of them together. Those that select leaves in the sets can go on.
        let mut timeout =
            echo::longest_wait(paused, &args.echo).map(|ms| TimeVal::milliseconds(ms.into()));
        match select(
            highest + 1,
            &mut readable,
            &mut writable,
            None,
            timeout.as_mut(),
        ) {
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(Error::new("select", errno)),
            Ok(_) => {}
        }
        let client_came = readable.contains(serv_sock.as_fd());
        for client in &clients {
            let sock = client.sock.as_fd();
            client
                .ready
                .set(readable.contains(sock) || writable.contains(sock));
        }
        let now = echo::now(&args.echo);
        paused = false;

        // a. Accept a new connection.
        if client_came {
            match accept::<sockaddr_in>(&serv_sock) {
                Ok(connection) => {
                    accepted += 1;
                    let client = echo::Client::new(connection, now);
                    if has_room_for(&client.sock) {
                        clients.push(client);
                    } else {
                        note(format_args!("{}: {TOO_HIGH}", client.addr)); // its loss alone
                        client.close();
                    }
                }
                Err(error) => paused = needs_pause(error)?,
            }
        }

        // b. Communicate with those that can, c. close the connection of those that are done.
        echo::serve_ready(&mut clients, now, &args.echo);
    }
    close(serv_sock)
}

/// Whether a set can hold this descriptor. C writes beside the set if it cannot.
fn has_room_for(sock: &OwnedFd) -> bool {
    usize::try_from(sock.as_raw_fd()).is_ok_and(|number| number < FD_SETSIZE)
}

// ---- Arguments ----

/// Send each client its own bytes back, all from one loop around select
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_server_select 7000")]
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
