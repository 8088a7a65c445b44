//! udp_upper_client - sends each line that is typed to a server in one datagram and prints the one that comes back.
//!
//! Usage: `udp_upper_client [-i SERVER] [-p PORT] [--timeout SECONDS [--tries N]]`
//! Follows: Kurose & Ross 2.7.1, `UDPClient.py`; the loop and the arguments are its interactive variant's.
//! C twin: `udp_upper_client.c`. Its server: `udp_upper_server.rs`.

mod common;

use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;

use clap::Parser;
use common::{DATAGRAM_IPV6, Input, addresses, answer_from, die, parse, print, show};
use sockstep::{AddrInfo, Errno, Result, SOCK_DGRAM, close, sendto, socket};

const SERVER_PORT: u16 = 12000; // the book's
const PATIENCE: u32 = 1; // seconds for an address that is not the last, if nothing else is said

/// Sends each line that is typed to a server in one datagram and prints the one that comes back
#[derive(Parser)]
#[command(
    version,
    after_help = "Of a name's addresses the first that answers is used: each but the last has
--timeout SECONDS, or 1, for each of its tries; then the next is asked.\n
Examples:\n  udp_upper_client -i localhost -p 12000\n  udp_upper_client -i 127.0.0.1 --timeout 1 --tries 3"
)]
struct Args {
    /// The server's name or address (also: -ip)
    #[arg(short, long, value_name = "SERVER", default_value = "127.0.0.1")]
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
    let mut modified_message = vec![0; DATAGRAM_IPV6]; // none is longer, so none is cut
    let servers = addresses(&args.ipaddress, args.port, SOCK_DGRAM)?;
    let servers: Vec<AddrInfo> = servers.iter().collect();
    let mut server = 0; // the one to ask: the first, and once that has not answered the next
    let typing = io::stdin().is_terminal();
    let mut input = Input::new();

    while typing || !input.has_ended() {
        // 1. Create a UDP socket.
        let mut client_socket = socket_to(&servers, &mut server)?;

        // 2. Send a message to the server's address.
        if typing {
            print(b"Input lowercase sentence: ");
        }
        let Some(message) = input.line() else {
            print(b"\n"); // after the prompt
            return close(client_socket);
        };

        let mut tries = args.tries;
        let len = loop {
            let last = server + 1 == servers.len();
            let patience = if last { None } else { Some(PATIENCE) };
            let timeout = args.timeout.or(patience);
            match ask(
                &client_socket,
                &servers[server],
                &message,
                &mut modified_message,
                timeout,
            ) {
                Ok(len) => break len,
                Err(error) if error == Errno::EAGAIN && tries > 1 => tries -= 1, // lost: send it again
                Err(error) if last => return Err(error),
                Err(_) => {
                    close(client_socket)?; // it has another address
                    server += 1;
                    client_socket = socket_to(&servers, &mut server)?;
                    tries = args.tries;
                }
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

/// A socket to ask the server by: at its next address, if this machine does not have this one's family.
fn socket_to(servers: &[AddrInfo], server: &mut usize) -> Result<OwnedFd> {
    loop {
        let address = &servers[*server];
        match socket(address.ai_family, address.ai_socktype, address.ai_protocol) {
            Err(_) if *server + 1 < servers.len() => *server += 1,
            client_socket => return client_socket,
        }
    }
}

/// Sends the message, and receives the answer to it.
fn ask(
    client_socket: &OwnedFd,
    server: &AddrInfo,
    message: &[u8],
    answer: &mut [u8],
    timeout: Option<u32>,
) -> Result<usize> {
    let address = &server.ai_addr;
    sendto(client_socket, message, 0, address)?;

    // 3. Receive it in upper case.
    match (address.v4(), address.v6()) {
        (Some(v4), _) => answer_from(&v4, client_socket, answer, timeout),
        (_, Some(v6)) => answer_from(&v6, client_socket, answer, timeout),
        _ => answer_from(address, client_socket, answer, timeout),
    }
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
