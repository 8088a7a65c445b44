//! tcp_upper_client - sends each line that is typed to a server and prints what it answers.
//!
//! Usage: `tcp_upper_client [-i SERVER] [-p PORT]`
//! Follows: Kurose & Ross 2.7.2, `TCPClient.py`; the loop and the arguments are its interactive variant's.
//! C twin: `tcp_upper_client.c`. Its server: `tcp_upper_server.rs`.

mod common;

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};

use clap::Parser;
use common::{Input, addresses, die, parse, print, show};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sockstep::{
    AddrInfo, Errno, Error, MSG_DONTWAIT, MsgFlags, Result, SOCK_STREAM, close, connect, recv,
    send, socket,
};

const SERVER_PORT: u16 = 12000; // the book's
const RCVBUFSIZE: usize = 4096; // bytes asked of each recv
const MORE: usize = 65536; // bytes that a reply may have beyond three for each byte of its sentence

/// Sends each line that is typed to a server and prints what it answers
#[derive(Parser)]
#[command(
    version,
    after_help = "Of a name's addresses the first that takes the connection is used.\n
Examples:\n  tcp_upper_client -i localhost -p 12000\n  tcp_upper_client -i 127.0.0.1"
)]
struct Args {
    /// The server's name or address (also: -ip)
    #[arg(short, long, value_name = "SERVER", default_value = "127.0.0.1")]
    ipaddress: String,
    /// The server's port
    #[arg(short, long, default_value_t = SERVER_PORT)]
    port: u16,
}

fn main() {
    if let Err(error) = converse(&parse()) {
        die(error);
    }
}

fn converse(args: &Args) -> Result<()> {
    let servers = addresses(&args.ipaddress, args.port, SOCK_STREAM)?;
    let servers: Vec<AddrInfo> = servers.iter().collect();
    let mut server = 0; // the one to try: the first, and once that has failed the next
    let typing = io::stdin().is_terminal();
    let mut input = Input::new();

    // Not in the book: input that is no person's ends without one more connection.
    while typing || !input.has_ended() {
        let client_socket = loop {
            // 1. Create a TCP socket.
            let address = &servers[server];
            let connected = socket(address.ai_family, address.ai_socktype, address.ai_protocol)
                .and_then(|client_socket| {
                    // 2. Connect it to the server.
                    connect(&client_socket, &address.ai_addr)?;
                    Ok(client_socket)
                });
            match connected {
                Err(_) if server + 1 < servers.len() => server += 1, // it has another address
                client_socket => break client_socket?,
            }
        };

        // 3. Send a sentence, receive it in upper case.
        if typing {
            print(b"Input lowercase sentence: ");
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
    // The answer to a line longer than all buffers comes while we still send. If we only sent, both sides would wait for ever.
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
                Err(error) if error == Errno::EAGAIN => {
                    if !has_received(client_socket)? {
                        continue;
                    }
                }
                Err(error) => return Err(error),
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
    let mut fds = [PollFd::new(
        socket.as_fd(),
        PollFlags::POLLIN | PollFlags::POLLOUT,
    )];
    poll(&mut fds, PollTimeout::NONE).map_err(|errno| Error::new("poll", errno))?;
    Ok(fds[0]
        .revents()
        .is_some_and(|events| events.contains(PollFlags::POLLIN)))
}
