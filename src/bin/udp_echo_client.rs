//! udp_echo_client - sends a word in one datagram and prints the one that comes back.
//!
//! Usage: `udp_echo_client [--client-port PORT] [--timeout SECONDS [--tries N]] SERVER WORD [PORT]`
//! Follows: the Princeton deck, "Example - Echo using datagram socket", the client's column.
//! C twin: `udp_echo_client.c`. Its server: `udp_echo_server.rs`.

mod common;

use common::{DATAGRAM, answer_from, deadline::no_answer, die, die_if_alone};
use common::{dotted, number, parse, show};
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <arpa/inet.h>, <sys/socket.h>
use std::{ffi::OsString, os::unix::ffi::OsStrExt};

const ECHO_PORT: u16 = 7; // the well-known port of the echo service

fn talk(args: &Args) -> Result<()> {
    let mut echo_buffer = vec![0; DATAGRAM]; // the longest possible datagram fits

    // 1. Create a UDP socket.
    let client_sock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)?;

    // 2. Assign a port to the socket.
    let mut echo_client_addr = sockaddr_in::zeroed();
    echo_client_addr.sin_family = AF_INET; // Internet address family
    echo_client_addr.sin_addr.s_addr = htonl(INADDR_ANY); // Any incoming interface
    echo_client_addr.sin_port = htons(args.client_port); // Local port
    bind(&client_sock, &echo_client_addr)?;

    // 3. Communicate.
    let mut echo_serv_addr = sockaddr_in::zeroed();
    echo_serv_addr.sin_family = AF_INET; // Internet address family
    echo_serv_addr.sin_addr.s_addr = inet_addr(&args.server)?; // Server IP address
    echo_serv_addr.sin_port = htons(args.port); // Server port

    // Send the string to the server, again if no answer comes in time, and receive it back.
    let echo_string = args.word.as_bytes();
    let mut tries = args.tries;
    let recv_msg_size = loop {
        sendto(&client_sock, echo_string, 0, &echo_serv_addr)?;
        match answer_from(
            &echo_serv_addr,
            &client_sock,
            &mut echo_buffer,
            args.timeout,
        ) {
            Err(error) if error == Errno::EAGAIN && tries > 1 => tries -= 1,
            Err(error) if error == Errno::EAGAIN => {
                let seconds = u64::from(args.timeout.unwrap_or_default());
                die(no_answer(seconds * u64::from(args.tries), false));
            }
            answer => break answer?,
        }
    };
    let received = &echo_buffer[..recv_msg_size];
    if received == echo_string {
        die_if_alone(&client_sock, &echo_serv_addr, &echo_serv_addr)?;
    }
    show("Received: ", received);

    // 4. Close the socket.
    close(client_sock)
}

// ---- Arguments ----

/// Send a word in one datagram and print the one that comes back
#[derive(clap::Parser)]
#[command(
    version,
    after_help = "Example: udp_echo_client --timeout 1 --tries 3 127.0.0.1 hello 7000"
)]
struct Args {
    /// Send to this address, in dotted form
    #[arg(value_parser = dotted)]
    server: String,
    /// Send this word
    word: OsString,
    /// Send to this port
    #[arg(default_value_t = ECHO_PORT)]
    port: u16,
    /// Send from this port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    #[arg(value_parser = number::<u16>(0, u16::MAX))]
    client_port: u16,
    /// Wait at most SECONDS for the answer [default: without end]
    #[arg(long, value_name = "SECONDS", value_parser = number::<u32>(1, u32::MAX))]
    timeout: Option<u32>,
    /// Send at most N times
    #[arg(long, value_name = "N", default_value_t = 1, requires = "timeout")]
    #[arg(value_parser = number::<u32>(1, u32::MAX))]
    tries: u32,
}

fn main() {
    talk(&parse()).unwrap_or_else(|error| die(error));
}
