//! tcp_echo_client - sends a word to an echo server and prints what comes back.
//!
//! Usage: `tcp_echo_client SERVER WORD [PORT]`
//! Follows: the Princeton deck, "Example - Echo using stream socket", the client's column.
//! C twin: `tcp_echo_client.c`. Its server: `tcp_echo_server.rs`.

mod common;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Parser;
use common::{die, dotted, parse, send_all, show};
use sockstep::{
    AF_INET, IPPROTO_TCP, PF_INET, Result, SOCK_STREAM, close, connect, htons, inet_addr, recv,
    sockaddr_in, socket,
};

const ECHO_PORT: u16 = 7; // the well-known port of the echo service

/// Sends a word to an echo server and prints what comes back
#[derive(Parser)]
#[command(version, after_help = "Example: tcp_echo_client 127.0.0.1 hello 7000")]
struct Args {
    /// The server's address in dotted form
    #[arg(value_parser = dotted)]
    server: String,
    /// What to send
    word: OsString,
    /// The server's port
    #[arg(default_value_t = ECHO_PORT)]
    port: u16,
}

fn main() {
    if let Err(error) = talk(&parse()) {
        die(error);
    }
}

fn talk(args: &Args) -> Result<()> {
    // 1. Create a TCP socket.
    let clnt_sock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;

    // 2. Establish the connection.
    let mut echo_serv_addr = sockaddr_in::zeroed();
    echo_serv_addr.sin_family = AF_INET;
    echo_serv_addr.sin_addr.s_addr = inet_addr(&args.server)?;
    echo_serv_addr.sin_port = htons(args.port);
    connect(&clnt_sock, &echo_serv_addr)?;

    // 3. Communicate.
    let echo_string = args.word.as_bytes();
    send_all(&clnt_sock, echo_string)?;

    // One recv is not one message: as many bytes come back as went, in whatever pieces.
    let mut echo_buffer = vec![0; echo_string.len()];
    let mut received = 0;
    while received < echo_buffer.len() {
        match recv(&clnt_sock, &mut echo_buffer[received..], 0)? {
            0 => die("recv() failed: connection closed prematurely"),
            n => received += n,
        }
    }
    show("Received: ", &echo_buffer);

    // 4. Close the connection.
    close(clnt_sock)
}
