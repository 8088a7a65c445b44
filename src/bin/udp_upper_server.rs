//! udp_upper_server - answers each datagram with the same in upper case.
//!
//! Usage: `udp_upper_server [--bind ADDRESS] [--max-messages N] [--unicode] [--quiet] [--announce] [PORT]`
//! Follows: Kurose & Ross 2.7.1, `UDPServer.py`; `--announce` and the log are its interactive variant's.
//! C twin: `udp_upper_server.c`. Its client: `udp_upper_client.rs`.

mod common;

use clap::Parser;
use common::text::upper;
use common::{
    DATAGRAM, announce, die, dotted, go_on_after, log_request, may_answer, parse, print, report,
};
use sockstep::{
    AF_INET, INADDR_ANY, IPPROTO_UDP, PF_INET, Result, SOCK_DGRAM, bind, close, getsockname, htonl,
    htons, inet_addr, recvfrom, sendto, sockaddr_in, socket,
};

const SERVER_PORT: u16 = 12000; // the book's

/// Answers each datagram with the same in upper case
#[derive(Parser)]
#[command(version, after_help = "Example: udp_upper_server --announce")]
struct Args {
    /// Port to receive on; 0 takes a free one
    #[arg(default_value_t = SERVER_PORT)]
    port: u16,
    /// Address to receive on [default: any]
    #[arg(long, value_name = "ADDRESS", value_parser = dotted)]
    bind: Option<String>,
    /// End after N datagrams
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_messages: Option<u64>,
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
    let mut message = vec![0; DATAGRAM]; // none is longer, so none is cut
    let (mut modified_message, mut line) = (Vec::new(), Vec::new());

    // 1. Create a UDP socket.
    let server_socket = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)?;

    // 2. Bind it to the server's port.
    let mut server_addr = sockaddr_in::zeroed();
    server_addr.sin_family = AF_INET;
    server_addr.sin_addr.s_addr = match &args.bind {
        Some(address) => inet_addr(address)?,
        None => htonl(INADDR_ANY),
    };
    server_addr.sin_port = htons(args.port);
    bind(&server_socket, &server_addr)?;

    // Not in the book: say so, with the port that port 0 became.
    let server_addr: sockaddr_in = getsockname(&server_socket)?;
    print(format!("listening on {server_addr}\n").as_bytes());
    if args.announce {
        announce(&server_addr);
    }

    // 3. Repeatedly:
    let mut messages = 0;
    while args.max_messages != Some(messages) {
        // a. Receive a message, and the address it came from.
        let (len, client_addr) = match recvfrom::<sockaddr_in>(&server_socket, &mut message, 0) {
            Ok(datagram) => datagram,
            Err(error) => {
                go_on_after(error)?;
                continue;
            }
        };
        // Not in the book: no answer that could set two servers on each other.
        if !may_answer(&client_addr, &server_addr) {
            continue;
        }
        if !args.quiet {
            log_request(&client_addr, &message[..len], &mut line);
        }

        // b. Send it back in upper case. What goes wrong with one client is that client's loss alone.
        upper(&message[..len], args.unicode, true, &mut modified_message);
        let sent = sendto(&server_socket, &modified_message, 0, &client_addr);
        report(&client_addr, sent.map(drop));
        messages += 1;
    }
    close(server_socket)
}
