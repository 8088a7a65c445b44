//! udp_upper_client - sends each line that is typed to a server in one datagram and prints the one that comes back.
//!
//! Usage: `udp_upper_client [-i SERVER] [-p PORT] [--timeout SECONDS [--tries N]]`
//! Follows: Kurose & Ross 2.7.1, `UDPClient.py`; the loop and the arguments are its interactive variant's.
//! C twin: `udp_upper_client.c`. Its server: `udp_upper_server.rs`.

mod common;

use std::io::{self, IsTerminal};

use clap::Parser;
use common::{DATAGRAM, Input, answer_from, die, dotted, parse, print, show};
use sockstep::{
    AF_INET, Errno, IPPROTO_UDP, PF_INET, Result, SOCK_DGRAM, close, htons, inet_addr, sendto,
    sockaddr_in, socket,
};

const SERVER_PORT: u16 = 12000; // the book's

/// Sends each line that is typed to a server in one datagram and prints the one that comes back
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: udp_upper_client -i 127.0.0.1 -p 12000 --timeout 1 --tries 3"
)]
struct Args {
    /// The server's address in dotted form (also: -ip)
    #[arg(short, long, value_name = "SERVER", default_value = "127.0.0.1", value_parser = dotted)]
    ipaddress: String,
    /// The server's port
    #[arg(short, long, default_value_t = SERVER_PORT)]
    port: u16,
    /// How long to wait for the answer [default: for ever]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// How often to send
    #[arg(long, value_name = "N", default_value_t = 1, requires = "timeout", value_parser = clap::value_parser!(u32).range(1..))]
    tries: u32,
}

fn main() {
    if let Err(error) = converse(&parse()) {
        die(error);
    }
}

fn converse(args: &Args) -> Result<()> {
    let mut modified_message = vec![0; DATAGRAM]; // none is longer, so none is cut
    let typing = io::stdin().is_terminal();
    let mut input = Input::new();

    while typing || !input.has_ended() {
        // 1. Create a UDP socket.
        let client_socket = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)?;

        // 2. Send a message to the server's address.
        if typing {
            print(b"Input lowercase sentence: ");
        }
        let Some(message) = input.line() else {
            print(b"\n"); // after the prompt
            return close(client_socket);
        };
        let mut server_addr = sockaddr_in::zeroed();
        server_addr.sin_family = AF_INET;
        server_addr.sin_addr.s_addr = inet_addr(&args.ipaddress)?;
        server_addr.sin_port = htons(args.port);

        let mut tries = args.tries;
        let len = loop {
            sendto(&client_socket, &message, 0, &server_addr)?;

            // 3. Receive it in upper case.
            match answer_from(
                &server_addr,
                &client_socket,
                &mut modified_message,
                args.timeout,
            ) {
                Err(error) if error == Errno::EAGAIN && tries > 1 => tries -= 1, // lost: send it again
                answer => break answer?,
            }
        };
        show(
            "From Server: ",
            unpadded(&modified_message[..len], message.len()),
        );

        // 4. Close the socket.
        close(client_socket)?;
    }
    Ok(())
}

/// A reply without the zero bytes beyond the message's length: Java's server sends back its whole buffer.
fn unpadded(reply: &[u8], message_len: usize) -> &[u8] {
    let padding = reply
        .iter()
        .skip(message_len)
        .rev()
        .take_while(|&&byte| byte == 0)
        .count();
    &reply[..reply.len() - padding]
}
