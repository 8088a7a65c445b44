//! tcp_upper_client - sends each typed line to a server and prints what it answers.
//!
//! Usage: `tcp_upper_client [-i SERVER] [-p PORT] [--timeout SECONDS]`
//! Follows: Kurose & Ross 2.7.2, `TCPClient.py`. The loop and the arguments are those of
//! its interactive variant.
//! C twin: `tcp_upper_client.c`. Its server: `tcp_upper_server.rs`.

mod common;

use common::{Input, addresses, deadline::Deadline, die, die_if_alone};
use common::{number, parse, print, prompt, show};
use sockstep::{error::*, netdb::*, socket::*}; // <errno.h>, <netdb.h>, <sys/socket.h>
use std::{io, io::IsTerminal, os::fd::OwnedFd};

const SERVER_PORT: u16 = 12000; // the book's
const RCVBUFSIZE: usize = 4096; // bytes asked of each recv
const MORE: usize = 65536; // bytes of a reply beyond three for each byte of its sentence

/// Steps 1 and 2, at the first of these addresses of the server.
fn connect_to(servers: &[AddrInfo], deadline: Deadline) -> Result<OwnedFd> {
    let server = &servers[0];

    // 1. Create a TCP socket.
    let client_socket = socket(server.ai_family, server.ai_socktype, server.ai_protocol)?;

    // 2. Connect it to the server.
    deadline.connect(&client_socket, &server.ai_addr, servers.len())?;
    Ok(client_socket)
}

/// All steps, for each sentence.
fn converse(args: &Args) -> Result<()> {
    let servers = addresses(&args.ipaddress, args.port, SOCK_STREAM)?;
    let servers: Vec<AddrInfo> = servers.iter().collect();
    let mut server = 0; // the one to try; after a failure the next
    let typing = io::stdin().is_terminal();
    let mut input = Input::new();

    // Not in the book: at the end of a file or pipe, no further connection is made.
    while typing || !input.has_ended() {
        let deadline = Deadline::after(args.timeout);
        let client_socket = loop {
            match connect_to(&servers[server..], deadline) {
                Ok(connected) => break connected,
                Err(_) if server + 1 < servers.len() => server += 1, // try its next address
                Err(error) => die(deadline.reason(&error, false)),
            }
        };

        // 3. Send a sentence, receive it in upper case.
        if typing {
            prompt();
        }
        let Some(mut sentence) = input.line() else {
            print(b"\n"); // after the prompt
            return close(client_socket);
        };
        sentence.push(b'\n'); // TCP keeps no message boundaries: this is ours
        let modified_sentence = exchange(&client_socket, &sentence, Deadline::after(args.timeout));
        if sentence.strip_suffix(b"\n") == Some(&modified_sentence) {
            let heard = &servers[server].ai_addr;
            die_if_alone(&client_socket, heard, heard)?;
        }
        show("From Server: ", &modified_sentence);

        // 4. Close the connection.
        close(client_socket)?;
    }
    Ok(())
}

/// Sends a line, and receives to the end of the reply's line, or of the stream.
fn exchange(client_socket: &OwnedFd, sentence: &[u8], deadline: Deadline) -> Vec<u8> {
    let (mut sent, mut reply, mut chunk) = (0, Vec::new(), [0; RCVBUFSIZE]);
    loop {
        let received = deadline
            .send_until_answered(client_socket, sentence, &mut sent)
            .and_then(|()| deadline.recv(client_socket, &mut chunk))
            .unwrap_or_else(|error| die(deadline.reason(&error, !reply.is_empty())));
        match received {
            0 if reply.is_empty() => die("recv() failed: connection closed prematurely"),
            0 => return reply,
            n => match chunk[..n].iter().position(|&byte| byte == b'\n') {
                Some(end) => {
                    reply.extend_from_slice(&chunk[..end]);
                    return reply;
                }
                None => reply.extend_from_slice(&chunk[..n]),
            },
        }
        if reply.len() > 3 * sentence.len() + MORE {
            die(Error::new("recv", Errno::EMSGSIZE)); // not in the book: a limit
        }
    }
}

// ---- Arguments ----

/// Send each typed line to a server and print what it answers
#[derive(clap::Parser)]
#[command(
    version,
    after_help = "If a name has several addresses, they are tried in turn until one accepts \
                  the connection. With --timeout, they share the time.\n
Examples:\n  tcp_upper_client -i localhost -p 12000\n  tcp_upper_client -i 127.0.0.1 --timeout 5"
)]
struct Args {
    /// Connect to the server of this name or address (also: -ip)
    #[arg(short, long, value_name = "SERVER", default_value = "127.0.0.1")]
    ipaddress: String,
    /// Connect to this port
    #[arg(short, long, default_value_t = SERVER_PORT, value_parser = number::<u16>(0, u16::MAX))]
    port: u16,
    /// Wait at most SECONDS for a connection, and as long for each answer [default: without end]
    #[arg(long, value_name = "SECONDS", value_parser = number::<u32>(1, u32::MAX))]
    timeout: Option<u32>,
}

fn main() {
    converse(&parse()).unwrap_or_else(|error| die(error));
}
