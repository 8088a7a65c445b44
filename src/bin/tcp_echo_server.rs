//! tcp_echo_server - sends each client its own bytes back, one client at a time.
//!
//! Usage: `tcp_echo_server [--bind ADDRESS] [--backlog N] [--max-clients N] [--idle-timeout SECONDS] PORT`
//! Follows: the Princeton deck, "Example - Echo using stream socket", the server's column.
//! C twin: `tcp_echo_server.c`. Its client: `tcp_echo_client.rs`.

mod common;

use std::os::fd::OwnedFd;

use clap::Parser;
use common::{die, dotted, give_up_after, go_on_after, parse, print, report, send_all};
use sockstep::{
    AF_INET, Errno, INADDR_ANY, IPPROTO_TCP, PF_INET, Result, SO_REUSEADDR, SOCK_STREAM,
    SOL_SOCKET, accept, bind, close, getsockname, htonl, htons, inet_addr, listen, recv,
    setsockopt, sockaddr_in, socket,
};

const MAXPENDING: i32 = 5; // connections the kernel may queue before accept takes them
const RCVBUFSIZE: usize = 4096; // bytes asked of each recv

/// Sends each client its own bytes back, one client at a time
#[derive(Parser)]
#[command(version, after_help = "Example: tcp_echo_server 7000")]
struct Args {
    /// Port to listen on; 0 takes a free one
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
    /// Give up a client after so long without a byte [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    idle_timeout: Option<u32>,
}

fn main() {
    if let Err(error) = serve(&parse()) {
        die(error);
    }
}

fn serve(args: &Args) -> Result<()> {
    let mut echo_buffer = [0; RCVBUFSIZE];

    // 1. Create a TCP socket.
    let serv_sock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;

    // Not on the slide: a restarted server need not wait until its old connections have faded away.
    setsockopt(&serv_sock, SOL_SOCKET, SO_REUSEADDR, &1)?;

    // 2. Assign a port to the socket.
    let mut echo_serv_addr = sockaddr_in::zeroed();
    echo_serv_addr.sin_family = AF_INET;
    echo_serv_addr.sin_addr.s_addr = match &args.bind {
        Some(address) => inet_addr(address)?,
        None => htonl(INADDR_ANY),
    };
    echo_serv_addr.sin_port = htons(args.port);
    bind(&serv_sock, &echo_serv_addr)?;

    // 3. Set the socket to listen.
    listen(&serv_sock, args.backlog)?;

    // Not on the slide: say so, with the port that port 0 became.
    let echo_serv_addr: sockaddr_in = getsockname(&serv_sock)?;
    print(format!("listening on {echo_serv_addr}\n").as_bytes());

    // 4. Repeatedly:
    let mut clients = 0;
    while args.max_clients != Some(clients) {
        // a. Accept a new connection.
        let (clnt_sock, echo_clnt_addr) = match accept::<sockaddr_in>(&serv_sock) {
            Ok(client) => client,
            Err(error) => {
                go_on_after(error)?;
                continue;
            }
        };

        // Not on the slide: an end to silence.
        report(
            &echo_clnt_addr,
            give_up_after(&clnt_sock, args.idle_timeout),
        );

        // b. Communicate. What goes wrong with one client is that client's loss alone.
        report(&echo_clnt_addr, echo(&clnt_sock, &mut echo_buffer));

        // c. Close the connection.
        report(&echo_clnt_addr, close(clnt_sock));
        clients += 1;
    }
    close(serv_sock)
}

/// Sends back what comes, until the client has sent all.
fn echo(clnt_sock: &OwnedFd, echo_buffer: &mut [u8]) -> Result<()> {
    loop {
        let recv_msg_size = match recv(clnt_sock, echo_buffer, 0) {
            Err(error) if error == Errno::EINTR => continue, // stopped and continued, with a time-out set
            received => received?,
        };
        if recv_msg_size == 0 {
            return Ok(()); // zero indicates end of transmission
        }
        send_all(clnt_sock, &echo_buffer[..recv_msg_size])?;
    }
}
