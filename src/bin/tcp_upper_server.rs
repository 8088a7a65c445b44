//! tcp_upper_server - answers each client in upper case, one client at a time.
//!
//! Usage: `tcp_upper_server [OPTIONS] [PORT]`
//! Follows: Kurose & Ross 2.7.2, `TCPServer.py`. `--announce` and the log are those of its
//! interactive variant.
//! C twin: `tcp_upper_server.c`. Its client: `tcp_upper_client.rs`.

mod common;

use common::{announce, die, dotted, log_request, number, parse, print_line};
use common::{recover_from, send_all, text::upper, warn};
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <arpa/inet.h>, <sys/socket.h>
use std::{os::fd::OwnedFd, time::Duration, time::Instant};

const SERVER_PORT: u16 = 12000; // the book's
const MAXPENDING: i32 = 1; // connections the kernel may queue before accept takes them
const RCVBUFSIZE: usize = 4096; // bytes asked of each recv
const GOODBYE: u8 = 1; // seconds that a client of --once may go on sending

fn serve(args: &Args) -> Result<()> {
    let mut buffers = Buffers::new();

    // 1. Create the welcoming socket.
    let server_socket = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;

    // Not in the book: a restarted server may bind while old connections are in TIME_WAIT.
    setsockopt(&server_socket, SOL_SOCKET, SO_REUSEADDR, &1)?;

    // 2. Bind it to the server's port.
    let mut server_addr = sockaddr_in::zeroed();
    server_addr.sin_family = AF_INET; // Internet address family
    server_addr.sin_addr.s_addr = htonl(INADDR_ANY); // Any incoming interface
    if let Some(address) = &args.bind {
        server_addr.sin_addr.s_addr = inet_addr(address)?; // --bind: this one only
    }
    server_addr.sin_port = htons(args.port); // Local port
    bind(&server_socket, &server_addr)?;

    // 3. Listen for clients that knock.
    listen(&server_socket, args.backlog)?;

    // Not in the book: print the address, with the port chosen for port 0.
    let server_addr: sockaddr_in = getsockname(&server_socket)?;
    print_line(format_args!("listening on {server_addr}"));
    if args.announce {
        announce(&server_addr);
    }

    // 4. Repeatedly: Run forever, or for --max-clients.
    for _ in 0..args.max_clients {
        // a. Accept a client: a new socket, the connection to it.
        let (connection_socket, addr) = loop {
            match accept::<sockaddr_in>(&server_socket) {
                Ok(client) => break client,
                Err(error) => recover_from(error)?,
            }
        };

        // b. Answer its sentences. An error ends this client only, not the server.
        if let Err(error) = answer(&connection_socket, &addr, args, &mut buffers) {
            warn(&addr, &error);
        }

        // c. Close the connection.
        close(connection_socket).unwrap_or_else(|error| warn(&addr, &error));
    }
    close(server_socket)
}

/// Answers each piece of the stream as it comes, until the client has sent all.
fn answer(
    connection_socket: &OwnedFd,
    addr: &sockaddr_in,
    args: &Args,
    buffers: &mut Buffers,
) -> Result<()> {
    let Buffers {
        sentence,
        reply,
        line,
    } = buffers;
    let mut held = 0; // bytes of an incomplete character
    loop {
        let received = match recv(connection_socket, &mut sentence[held..], 0) {
            Err(error) if error == Errno::EINTR => continue, // a signal came
            received => received?,
        };
        if received > 0 && !args.quiet {
            log_request(addr, &sentence[held..held + received], line);
        }

        let last = received == 0 || args.once;
        let have = held + received;
        let done = upper(&sentence[..have], args.unicode, last, reply);
        send_all(connection_socket, reply)?;
        if last {
            break;
        }
        sentence.copy_within(done..have, 0);
        held = have - done;
    }
    if args.once {
        see_off(connection_socket, sentence)
    } else {
        Ok(())
    }
}

/// Not in the book: a close with unread bytes resets the connection, and the reply is lost on its
/// way. So read them first.
fn see_off(connection_socket: &OwnedFd, sentence: &mut [u8]) -> Result<()> {
    let patience = timeval {
        tv_sec: GOODBYE.into(),
        tv_usec: 0,
    };
    let start = Instant::now();
    shutdown(connection_socket, SHUT_WR)?;
    setsockopt(connection_socket, SOL_SOCKET, SO_RCVTIMEO, &patience)?;
    while start.elapsed() < Duration::from_secs(GOODBYE.into()) {
        match recv(connection_socket, sentence, 0) {
            Ok(0) => break,
            Err(error) if error != Errno::EINTR => break, // EINTR: after SIGSTOP and SIGCONT
            _ => {}
        }
    }
    Ok(())
}

/// Buffers that are reused for each client.
struct Buffers {
    sentence: [u8; RCVBUFSIZE],
    reply: Vec<u8>,
    line: Vec<u8>,
}

impl Buffers {
    fn new() -> Buffers {
        Buffers {
            sentence: [0; RCVBUFSIZE],
            reply: Vec::new(),
            line: Vec::new(),
        }
    }
}

// ---- Arguments ----

/// Answer each client in upper case, one client at a time
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_upper_server --announce")]
struct Args {
    /// Listen on this port; 0 takes a free one
    #[arg(default_value_t = SERVER_PORT)]
    port: u16,
    /// Listen on this address only [default: any]
    #[arg(long, value_name = "ADDRESS", value_parser = dotted)]
    bind: Option<String>,
    /// Let N connections wait to be accepted
    #[arg(long, value_name = "N", default_value_t = MAXPENDING)]
    #[arg(value_parser = number::<i32>(0, i32::MAX))]
    backlog: i32,
    /// End after N clients [default: never]
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    #[arg(value_parser = number::<u64>(1, u64::MAX))]
    max_clients: u64,
    /// Receive and send once for each client, as in the book
    #[arg(long)]
    once: bool,
    /// Change all letters of Unicode to upper case, not only a to z
    #[arg(long)]
    unicode: bool,
    /// Print no log of the requests
    #[arg(long)]
    quiet: bool,
    /// Print the address at which other machines reach this server
    #[arg(long)]
    announce: bool,
}

fn main() {
    serve(&parse()).unwrap_or_else(|error| die(error));
}
