//! tcp_echo_server_select - sends each client its own bytes back, all clients by one process that waits in select.
//!
//! Usage: `tcp_echo_server_select [--limit N] [OPTIONS] PORT`
//! Follows: "Server: one request at a time?": several, without a process or a thread for each.
//! C twin: `tcp_echo_server_select.c`. Read it beside `tcp_echo_server.rs`.

mod common;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use clap::Parser;
use common::echo::{Client, EchoArgs, listening, now, patience, serve_ready};
use common::{die, note, parse, pause_after};
use libc::FD_SETSIZE;
use nix::sys::select::{FdSet, select};
use nix::sys::time::{TimeVal, TimeValLike};
use sockstep::{Errno, Error, Result, SOCK_NONBLOCK, SOCK_STREAM, accept, close, sockaddr_in};

const TOO_HIGH: &str = "select() failed: the descriptor is not below FD_SETSIZE, 1024";

/// Sends each client its own bytes back, all clients by one process that waits in select
#[derive(Parser)]
#[command(version, after_help = "Example: tcp_echo_server_select 7000")]
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
    if !has_room_for(&serv_sock) {
        die(TOO_HIGH);
    }

    // 4. Repeatedly:
    let mut clients: Vec<Client> = Vec::new();
    let (mut accepted, mut paused) = (0, false);
    while args.echo.max_clients != Some(accepted) || !clients.is_empty() {
        // Who waits for what: the listening socket for a client, a client for bytes to come or, if it holds some, to go.
        let (mut readable, mut writable) = (FdSet::new(), FdSet::new());
        let full = clients.len() >= args.limit as usize;
        if args.echo.max_clients != Some(accepted) && !full && !paused {
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
        let mut timeout = patience(paused, &args.echo).map(|ms| TimeVal::milliseconds(ms.into()));
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
        let somebody_came = readable.contains(serv_sock.as_fd());
        for client in &clients {
            let sock = client.sock.as_fd();
            client
                .ready
                .set(readable.contains(sock) || writable.contains(sock));
        }
        let now = now(&args.echo);
        paused = false;

        // a. Accept a new connection.
        if somebody_came {
            match accept::<sockaddr_in>(&serv_sock) {
                Ok(connection) => {
                    accepted += 1;
                    let client = Client::new(connection, now);
                    if has_room_for(&client.sock) {
                        clients.push(client);
                    } else {
                        note(format_args!("{}: {TOO_HIGH}", client.addr)); // this client's loss alone
                        client.close();
                    }
                }
                Err(error) => paused = pause_after(error)?,
            }
        }

        // b. Communicate with those that can go on. c. Close the connections of those that are done.
        serve_ready(&mut clients, now, &args.echo);
    }
    close(serv_sock)
}

/// Whether a set can hold this descriptor. C writes beside the set if it cannot.
fn has_room_for(sock: &OwnedFd) -> bool {
    usize::try_from(sock.as_raw_fd()).is_ok_and(|number| number < FD_SETSIZE)
}
