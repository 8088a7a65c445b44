//! tcp_upper_server - answers each client in upper case, one client at a time.
//!
//! Usage: `tcp_upper_server [--bind ADDRESS] [--backlog N] [--max-clients N] [--once] [--unicode] [--quiet] [--announce] [PORT]`
//! Follows: Kurose & Ross 2.7.2, `TCPServer.py`; `--announce` and the log are its interactive variant's.
//! C twin: `tcp_upper_server.c`. Its client: `tcp_upper_client.rs`.

mod common;

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use clap::Parser;
use common::text::upper;
use common::{announce, die, dotted, go_on_after, log_request, parse, print, report, send_all};
use sockstep::{
    AF_INET, Errno, INADDR_ANY, IPPROTO_TCP, PF_INET, Result, SHUT_WR, SO_RCVTIMEO, SO_REUSEADDR,
    SOCK_STREAM, SOL_SOCKET, accept, bind, close, getsockname, htonl, htons, inet_addr, listen,
    recv, setsockopt, shutdown, sockaddr_in, socket, timeval,
};

const SERVER_PORT: u16 = 12000; // the book's
const MAXPENDING: i32 = 1; // connections the kernel may queue before accept takes them
const RCVBUFSIZE: usize = 4096; // bytes asked of each recv
const GOODBYE: u8 = 1; // seconds that a client of --once may go on sending

/// Answers each client in upper case, one client at a time
#[derive(Parser)]
#[command(version, after_help = "Example: tcp_upper_server --announce")]
struct Args {
    /// Port to listen on; 0 takes a free one
    #[arg(default_value_t = SERVER_PORT)]
    port: u16,
    /// Address to listen on [default: any]
    #[arg(long, value_name = "ADDRESS", value_parser = dotted)]
    bind: Option<String>,
    /// Connections that may wait to be accepted
    #[arg(long, value_name = "N", default_value_t = MAXPENDING, value_parser = clap::value_parser!(i32).range(0..))]
    backlog: i32,
    /// End after N clients
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_clients: Option<u64>,
    /// One recv and one send for each client, as in the book
    #[arg(long)]
    once: bool,
    /// Upper case as Unicode has it, not only of a to z
    #[arg(long)]
    unicode: bool,
    /// Do not log the requests
    #[arg(long)]
    quiet: bool,
    /// Say where clients on other machines find this server
    #[arg(long)]
    announce: bool,
}

fn main() {
    if let Err(error) = serve(&parse()) {
        die(error);
    }
}

fn serve(args: &Args) -> Result<()> {
    // 1. Create the welcoming socket.
    let server_socket = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;

    // Not in the book: a restarted server need not wait until its old connections have faded away.
    setsockopt(&server_socket, SOL_SOCKET, SO_REUSEADDR, &1)?;

    // 2. Bind it to the server's port.
    let mut server_addr = sockaddr_in::zeroed();
    server_addr.sin_family = AF_INET;
    server_addr.sin_addr.s_addr = match &args.bind {
        Some(address) => inet_addr(address)?,
        None => htonl(INADDR_ANY),
    };
    server_addr.sin_port = htons(args.port);
    bind(&server_socket, &server_addr)?;

    // 3. Listen for clients that knock.
    listen(&server_socket, args.backlog)?;

    // Not in the book: say so, with the port that port 0 became.
    let server_addr: sockaddr_in = getsockname(&server_socket)?;
    print(format!("listening on {server_addr}\n").as_bytes());
    if args.announce {
        announce(&server_addr);
    }

    // 4. Repeatedly:
    let mut buffers = Buffers {
        sentence: [0; RCVBUFSIZE],
        reply: Vec::new(),
        line: Vec::new(),
    };
    let mut clients = 0;
    while args.max_clients != Some(clients) {
        // a. Accept a client: a new socket, the connection to it.
        let (connection_socket, addr) = match accept::<sockaddr_in>(&server_socket) {
            Ok(client) => client,
            Err(error) => {
                go_on_after(error)?;
                continue;
            }
        };

        // b. Answer its sentences. What goes wrong with one client is that client's loss alone.
        report(&addr, answer(&connection_socket, &addr, args, &mut buffers));

        // c. Close the connection.
        report(&addr, close(connection_socket));
        clients += 1;
    }
    close(server_socket)
}

/// Room that serves one client after the other.
struct Buffers {
    sentence: [u8; RCVBUFSIZE],
    reply: Vec<u8>,
    line: Vec<u8>,
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
    let mut held = 0; // bytes of a character whose rest is still to come
    loop {
        let received = recv(connection_socket, &mut sentence[held..], 0)?;
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

/// Not in the book: a close with unread bytes resets the connection, and the reply on its way is lost. Take them first.
fn see_off(connection_socket: &OwnedFd, sentence: &mut [u8]) -> Result<()> {
    let patience = timeval {
        tv_sec: GOODBYE.into(),
        tv_usec: 0,
    };
    let start = Instant::now();
    shutdown(connection_socket, SHUT_WR)?;
    setsockopt(connection_socket, SOL_SOCKET, SO_RCVTIMEO, &patience)?;
    while match recv(connection_socket, sentence, 0) {
        Ok(received) => received > 0,
        Err(error) => error == Errno::EINTR, // stopped and continued, with a time-out set
    } && start.elapsed() < Duration::from_secs(GOODBYE.into())
    {}
    Ok(())
}
