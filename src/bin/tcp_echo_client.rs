//! tcp_echo_client - sends a word to an echo server and prints what comes back.
//!
//! Usage: `tcp_echo_client SERVER WORD [PORT]`
//! Follows: the Princeton deck, "Example - Echo using stream socket", the client's column.
//! C twin: `tcp_echo_client.c`. Its server: `tcp_echo_server.rs`.

mod common;

use common::{deadline::Deadline, die, die_alone, dotted, parse, show};
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <arpa/inet.h>, <sys/socket.h>
use std::{ffi::OsString, os::unix::ffi::OsStrExt};

const ECHO_PORT: u16 = 7; // the well-known port of the echo service

fn talk(args: &Args) -> Result<()> {
    // 1. Create a TCP socket.
    let client_sock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;

    // 2. Establish the connection.
    let mut echo_serv_addr = sockaddr_in::zeroed();
    echo_serv_addr.sin_family = AF_INET; // Internet address family
    echo_serv_addr.sin_addr.s_addr = inet_addr(&args.server)?; // Server IP address
    echo_serv_addr.sin_port = htons(args.port); // Server port
    connect(&client_sock, &echo_serv_addr)?;

    // Not on the slide: if no server listens, the kernel may give the client that port.
    if getsockname::<sockaddr_in>(&client_sock)? == echo_serv_addr {
        die_alone(&echo_serv_addr);
    }

    // 3. Communicate.
    let echo_string = args.word.as_bytes();
    let echo_string_len = echo_string.len(); // Determine input length
    let mut echo_buffer = vec![0; echo_string_len];
    let (mut sent, mut received) = (0, 0);

    // One recv is not one message: the bytes come back in pieces of any size. Those of a long word
    // arrive while it is still being sent.
    while received < echo_string_len {
        Deadline::NEVER.send_until_answered(&client_sock, echo_string, &mut sent)?;
        match recv(&client_sock, &mut echo_buffer[received..], 0) {
            Ok(0) => die("recv() failed: connection closed prematurely"),
            Err(error) if error == Errno::EINTR => {} // a signal came
            n => received += n?,
        }
    }
    show("Received: ", &echo_buffer);

    // 4. Close the connection.
    close(client_sock)
}

// ---- Arguments ----

/// Send a word to an echo server and print what comes back
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_client 127.0.0.1 hello 7000")]
struct Args {
    /// Connect to this address, in dotted form
    #[arg(value_parser = dotted)]
    server: String,
    /// Send this word
    word: OsString,
    /// Connect to this port
    #[arg(default_value_t = ECHO_PORT)]
    port: u16,
}

fn main() {
    talk(&parse()).unwrap_or_else(|error| die(error));
}
