//! tcp_upper_client - sends each typed line to a server and prints what it answers.
//!
//! Usage: `tcp_upper_client [-i SERVER] [-p PORT]`
//! Follows: Kurose & Ross 2.7.2, `TCPClient.py`. The loop and the arguments are those of
//! its interactive variant.
//! C twin: `tcp_upper_client.c`. Its server: `tcp_upper_server.rs`.

mod common;

use common::{Input, addresses, die, number, parse, print, prompt, show};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sockstep::{error::*, netdb::*, socket::*}; // <errno.h>, <netdb.h>, <sys/socket.h>
use std::{io, io::IsTerminal, os::fd::AsFd, os::fd::OwnedFd};

const SERVER_PORT: u16 = 12000; // the book's
const RCVBUFSIZE: usize = 4096; // bytes asked of each recv
const MORE: usize = 65536; // bytes of a reply beyond three for each byte of its sentence

/// Steps 1 and 2, at one of the server's addresses.
fn connect_to(server: &AddrInfo) -> Result<OwnedFd> {
    // 1. Create a TCP socket.
    let client_socket = socket(server.ai_family, server.ai_socktype, server.ai_protocol)?;

    // 2. Connect it to the server.
    connect(&client_socket, &server.ai_addr)?;
    Ok(client_socket)
}

/// All steps, for each sentence.
fn converse(args: &Args) -> Result<()> {
    let servers = addresses(&args.ipaddress, args.port, SOCK_STREAM)?;
    let servers: Vec<AddrInfo> = servers.iter().collect();
    let mut server = 0; // to try: the first, and once that has failed the next
    let typing = io::stdin().is_terminal();
    let mut input = Input::new();

    // Not in the book: a file or pipe as input ends without one more connection.
    while typing || !input.has_ended() {
        let client_socket = loop {
            match connect_to(&servers[server]) {
                Err(_) if server + 1 < servers.len() => server += 1, // it has another address
                connected => break connected?,
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
        let modified_sentence = exchange(&client_socket, &sentence)?;
        show("From Server: ", &modified_sentence);

        // 4. Close the connection.
        close(client_socket)?;
    }
    Ok(())
}

/// Sends a line, and receives to the end of the reply's line, or of the stream.
fn exchange(client_socket: &OwnedFd, sentence: &[u8]) -> Result<Vec<u8>> {
    // The answer to a line longer than all buffers comes while we still send. If we only sent, both
    // sides would wait for each other without end.
    let flags = if sentence.len() > RCVBUFSIZE {
        MSG_DONTWAIT
    } else {
        MsgFlags::empty()
    };
    let (mut sent, mut reply, mut chunk) = (0, Vec::new(), [0; RCVBUFSIZE]);
    loop {
        if sent < sentence.len() {
            match send(client_socket, &sentence[sent..], flags) {
                Ok(n) => {
                    sent += n;
                    continue;
                }
                Err(error) if error != Errno::EAGAIN => return Err(error),
                Err(_) if !has_received(client_socket)? => continue,
                Err(_) => {}
            }
        }
        match recv(client_socket, &mut chunk, 0)? {
            0 if reply.is_empty() => die("recv() failed: connection closed prematurely"),
            0 => return Ok(reply),
            n => match chunk[..n].iter().position(|&byte| byte == b'\n') {
                Some(end) => {
                    reply.extend_from_slice(&chunk[..end]);
                    return Ok(reply);
                }
                None => reply.extend_from_slice(&chunk[..n]),
            },
        }
        if reply.len() > 3 * sentence.len() + MORE {
            return Err(Error::new("recv", Errno::EMSGSIZE)); // not in the book: memory has an end
        }
    }
}

/// Waits until the socket can send or has received something, and says whether it has.
fn has_received(socket: &OwnedFd) -> Result<bool> {
    let events = PollFlags::POLLIN | PollFlags::POLLOUT;
    let mut fds = [PollFd::new(socket.as_fd(), events)];
    poll(&mut fds, PollTimeout::NONE).map_err(|errno| Error::new("poll", errno))?;
    let revents = fds[0].revents();
    Ok(revents.is_some_and(|revents| revents.contains(PollFlags::POLLIN)))
}

// ---- Arguments ----

/// Send each typed line to a server and print what it answers
#[derive(clap::Parser)]
#[command(
    version,
    after_help = "The first of a name's addresses that accepts the connection is used.\n
Examples:\n  tcp_upper_client -i localhost -p 12000\n  tcp_upper_client -i 127.0.0.1"
)]
struct Args {
    /// Connect to the server of this name or address (also: -ip)
    #[arg(short, long, value_name = "SERVER", default_value = "127.0.0.1")]
    ipaddress: String,
    /// Connect to this port
    #[arg(short, long, default_value_t = SERVER_PORT, value_parser = number::<u16>(0, u16::MAX))]
    port: u16,
}

fn main() {
    converse(&parse()).unwrap_or_else(|error| die(error));
}
