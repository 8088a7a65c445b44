//! udp_upper_client - sends each typed line in one datagram and prints the one that comes back.
//!
//! Usage: `udp_upper_client [-i SERVER] [-p PORT] [--timeout SECONDS [--tries N]]`
//! Follows: Kurose & Ross 2.7.1, `UDPClient.py`. The loop and the arguments are those of
//! its interactive variant.
//! C twin: `udp_upper_client.c`. Its server: `udp_upper_server.rs`.

mod common;

use common::{DATAGRAM_IPV6, Input, addresses, answer_from, deadline::no_answer, die};
use common::{die_if_alone, number, parse, print, prompt, show};
use sockstep::{error::*, netdb::*, socket::*}; // <errno.h>, <netdb.h>, <sys/socket.h>
use std::{io, io::IsTerminal, os::fd::OwnedFd};

const SERVER_PORT: u16 = 12000; // the book's
const PATIENCE: u32 = 1; // seconds for each address but the last, without --timeout

/// Step 1, for one of the server's addresses: the next, if this machine does not have its family.
fn socket_to(servers: &[AddrInfo], server: &mut usize) -> Result<OwnedFd> {
    loop {
        // 1. Create a UDP socket.
        let address = &servers[*server];
        match socket(address.ai_family, address.ai_socktype, address.ai_protocol) {
            Err(_) if *server + 1 < servers.len() => *server += 1,
            client_socket => return client_socket,
        }
    }
}

/// Steps 2 and 3, as often as `--tries` says.
fn ask(
    client_socket: &OwnedFd,
    server: &AnyAddr,
    message: &[u8],
    modified_message: &mut [u8],
    (timeout, mut tries): (Option<u32>, u32),
) -> Result<usize> {
    loop {
        // 2. Send a message to the server's address.
        sendto(client_socket, message, 0, server)?;

        // 3. Receive it in upper case.
        let received = match (server.v4(), server.v6()) {
            (Some(v4), _) => answer_from(&v4, client_socket, modified_message, timeout),
            (_, Some(v6)) => answer_from(&v6, client_socket, modified_message, timeout),
            _ => answer_from(server, client_socket, modified_message, timeout),
        };
        match received {
            Err(error) if error == Errno::EAGAIN && tries > 1 => tries -= 1, // lost: send it again
            received => return received,
        }
    }
}

/// All steps, for each sentence.
fn converse(args: &Args) -> Result<()> {
    let mut modified_message = vec![0; DATAGRAM_IPV6]; // the longest possible datagram fits
    let servers = addresses(&args.ipaddress, args.port, SOCK_DGRAM)?;
    let servers: Vec<AddrInfo> = servers.iter().collect();
    let mut server = 0; // the one to ask; without an answer the next
    let typing = io::stdin().is_terminal();
    let mut input = Input::new();

    while typing || !input.has_ended() {
        let mut client_socket = socket_to(&servers, &mut server)?;
        if typing {
            prompt();
        }
        let Some(message) = input.line() else {
            print(b"\n"); // after the prompt
            return close(client_socket);
        };

        let len = loop {
            let last = server + 1 == servers.len();
            let timeout = args.timeout.or(if last { None } else { Some(PATIENCE) });
            let address = &servers[server].ai_addr;
            let patience = (timeout, args.tries);
            match ask(
                &client_socket,
                address,
                &message,
                &mut modified_message,
                patience,
            ) {
                Err(_) if !last => {
                    close(client_socket)?; // try its next address
                    server += 1;
                    client_socket = socket_to(&servers, &mut server)?;
                }
                Err(error) if error == Errno::EAGAIN => {
                    let seconds = u64::from(args.timeout.unwrap_or_default());
                    die(no_answer(seconds * u64::from(args.tries), false));
                }
                answered => break answered?,
            }
        };
        let reply = unpadded(&modified_message[..len], message.len());
        if reply == message {
            let heard = &servers[server].ai_addr;
            die_if_alone(&client_socket, heard, heard)?;
        }
        show("From Server: ", reply);

        // 4. Close the socket.
        close(client_socket)?;
    }
    Ok(())
}

/// A reply without the zero bytes beyond the message's length: Java's server sends back its whole
/// buffer.
fn unpadded(reply: &[u8], message_len: usize) -> &[u8] {
    let padding = reply
        .iter()
        .skip(message_len)
        .rev()
        .take_while(|&&byte| byte == 0)
        .count();
    &reply[..reply.len() - padding]
}

// ---- Arguments ----

/// Send each typed line in one datagram and print the one that comes back
#[derive(clap::Parser)]
#[command(
    version,
    after_help = "If a name has several addresses, they are asked in turn until one answers: \
                  each for SECONDS (--timeout, or 1) a try, except that the last one has no \
                  limit without --timeout.\n
Examples:\n  udp_upper_client -i localhost -p 12000
  udp_upper_client -i 127.0.0.1 --timeout 1 --tries 3"
)]
struct Args {
    /// Send to the server of this name or address (also: -ip)
    #[arg(short, long, value_name = "SERVER", default_value = "127.0.0.1")]
    ipaddress: String,
    /// Send to this port
    #[arg(short, long, default_value_t = SERVER_PORT, value_parser = number::<u16>(0, u16::MAX))]
    port: u16,
    /// Wait at most SECONDS for the answer [default: without end]
    #[arg(long, value_name = "SECONDS", value_parser = number::<u32>(1, u32::MAX))]
    timeout: Option<u32>,
    /// Send at most N times
    #[arg(long, value_name = "N", default_value_t = 1, requires = "timeout")]
    #[arg(value_parser = number::<u32>(1, u32::MAX))]
    tries: u32,
}

fn main() {
    converse(&parse()).unwrap_or_else(|error| die(error));
}
