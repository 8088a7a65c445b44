//! udp_echo_client - sends a word to an echo server in one datagram and prints the one that comes back.
//!
//! Usage: `udp_echo_client [--client-port PORT] [--timeout SECONDS [--tries N]] SERVER WORD [PORT]`
//! Follows: the Princeton deck, "Example - Echo using datagram socket", the client's column.
//! C twin: `udp_echo_client.c`. Its server: `udp_echo_server.rs`.

mod common;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Parser;
use common::{DATAGRAM, answer_from, die, dotted, parse, show};
use sockstep::{
    AF_INET, Errno, INADDR_ANY, IPPROTO_UDP, PF_INET, Result, SOCK_DGRAM, bind, close, htonl,
    htons, inet_addr, sendto, sockaddr_in, socket,
};

const ECHO_PORT: u16 = 7; // the well-known port of the echo service

/// Sends a word to an echo server in one datagram and prints the one that comes back
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: udp_echo_client --timeout 1 --tries 3 127.0.0.1 hello 7000"
)]
struct Args {
    /// The server's address in dotted form
    #[arg(value_parser = dotted)]
    server: String,
    /// What to send
    word: OsString,
    /// The server's port
    #[arg(default_value_t = ECHO_PORT)]
    port: u16,
    /// Our own port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    client_port: u16,
    /// How long to wait for the answer [default: for ever]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// How often to send
    #[arg(long, value_name = "N", default_value_t = 1, requires = "timeout", value_parser = clap::value_parser!(u32).range(1..))]
    tries: u32,
}

fn main() {
    if let Err(error) = talk(&parse()) {
        die(error);
    }
}

fn talk(args: &Args) -> Result<()> {
    let mut echo_buffer = vec![0; DATAGRAM]; // none is longer, so none is cut

    // 1. Create a UDP socket.
    let clnt_sock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)?;

    // 2. Assign a port to the socket.
    let mut echo_client_addr = sockaddr_in::zeroed();
    echo_client_addr.sin_family = AF_INET;
    echo_client_addr.sin_addr.s_addr = htonl(INADDR_ANY);
    echo_client_addr.sin_port = htons(args.client_port);
    bind(&clnt_sock, &echo_client_addr)?;

    // 3. Communicate.
    let mut echo_serv_addr = sockaddr_in::zeroed();
    echo_serv_addr.sin_family = AF_INET;
    echo_serv_addr.sin_addr.s_addr = inet_addr(&args.server)?;
    echo_serv_addr.sin_port = htons(args.port);
    let echo_string = args.word.as_bytes();

    let mut tries = args.tries;
    let recv_msg_size = loop {
        sendto(&clnt_sock, echo_string, 0, &echo_serv_addr)?;
        match answer_from(&echo_serv_addr, &clnt_sock, &mut echo_buffer, args.timeout) {
            Err(error) if error == Errno::EAGAIN && tries > 1 => tries -= 1, // lost: send it again
            answer => break answer?,
        }
    };
    show("Received: ", &echo_buffer[..recv_msg_size]);

    // 4. Close the socket.
    close(clnt_sock)
}
