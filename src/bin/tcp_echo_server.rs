//! tcp_echo_server - sends each client its own bytes back, one client at a time.
//!
//! Usage: `tcp_echo_server [OPTIONS] PORT`
//! Follows: the Princeton deck, "Example - Echo using stream socket", the server's column.
//! C twin: `tcp_echo_server.c`. Its client: `tcp_echo_client.rs`.

mod common;

use common::echo::{EchoArgs, RCVBUFSIZE};
use common::{die, parse, print_line, recover_from, send_all, set_timeouts, warn};
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <arpa/inet.h>, <sys/socket.h>
use std::os::fd::OwnedFd;

fn serve(args: &EchoArgs) -> Result<()> {
    // 1. Create a TCP socket.
    let serv_sock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;

    // Not on the slide: a restarted server may bind while old connections are in TIME_WAIT.
    setsockopt(&serv_sock, SOL_SOCKET, SO_REUSEADDR, &1)?;

    // 2. Assign a port to the socket.
    let mut echo_serv_addr = sockaddr_in::zeroed();
    echo_serv_addr.sin_family = AF_INET; // Internet address family
    echo_serv_addr.sin_addr.s_addr = htonl(INADDR_ANY); // Any incoming interface
    if let Some(address) = &args.bind {
        echo_serv_addr.sin_addr.s_addr = inet_addr(address)?; // --bind: this one only
    }
    echo_serv_addr.sin_port = htons(args.port); // Local port
    bind(&serv_sock, &echo_serv_addr)?;

    // 3. Set the socket to listen.
    listen(&serv_sock, args.backlog)?; // MAXPENDING, unless --backlog is given

    // Not on the slide: print the address, with the port chosen for port 0.
    let echo_serv_addr: sockaddr_in = getsockname(&serv_sock)?;
    print_line(format_args!("listening on {echo_serv_addr}"));

    // 4. Repeatedly: Run forever, or for --max-clients.
    for _ in 0..args.max_clients {
        // a. Accept a new connection.
        // Set the size of the in-out parameter: its type has it.
        let (clnt_sock, echo_clnt_addr) = loop {
            match accept::<sockaddr_in>(&serv_sock) {
                Ok(client) => break client,
                Err(error) => recover_from(error)?,
            }
        };

        // b. Communicate. An error ends this client only, not the server.
        echo(&clnt_sock, args.idle_timeout).unwrap_or_else(|error| warn(&echo_clnt_addr, &error));

        // c. Close the connection.
        close(clnt_sock).unwrap_or_else(|error| warn(&echo_clnt_addr, &error));
    }
    close(serv_sock)
}

/// Sends back what comes, until the client has sent all.
fn echo(clnt_sock: &OwnedFd, idle_timeout: Option<u32>) -> Result<()> {
    let mut echo_buffer = [0; RCVBUFSIZE];
    set_timeouts(clnt_sock, idle_timeout)?; // not on the slide: --idle-timeout
    loop {
        let recv_msg_size = match recv(clnt_sock, &mut echo_buffer, 0) {
            Err(error) if error == Errno::EINTR => continue, // after SIGSTOP and SIGCONT
            received => received?,
        };
        if recv_msg_size == 0 {
            return Ok(()); // zero indicates end of transmission
        }
        send_all(clnt_sock, &echo_buffer[..recv_msg_size])?;
    }
}

// ---- Arguments ----

/// Send each client its own bytes back, one client at a time
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_server 7000")]
struct Args {
    #[command(flatten)]
    echo: EchoArgs,
}

fn main() {
    serve(&parse::<Args>().echo).unwrap_or_else(|error| die(error));
}
