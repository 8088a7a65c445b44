//! udp_upper_server - answers each datagram with the same in upper case.
//!
//! Usage: `udp_upper_server [OPTIONS] [PORT]`
//! Follows: Kurose & Ross 2.7.1, `UDPServer.py`. `--announce` and the log are those of its
//! interactive variant.
//! C twin: `udp_upper_server.c`. Its client: `udp_upper_client.rs`.

mod common;

use common::{DATAGRAM, announce, die, dotted, log_request, may_answer, number, parse, print_line};
use common::{asked::answer_from_asked, recover_from, text::upper, warn};
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <arpa/inet.h>, <sys/socket.h>

const SERVER_PORT: u16 = 12000; // the book's

fn serve(args: &Args) -> Result<()> {
    let mut message = vec![0; DATAGRAM]; // the longest possible datagram fits
    let (mut modified_message, mut line) = (Vec::new(), Vec::new());

    // 1. Create a UDP socket.
    let server_socket = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)?;

    // Not in the book: with --from-asked each datagram says which of our addresses was asked.
    if args.from_asked {
        setsockopt(&server_socket, IPPROTO_IP, IP_PKTINFO, &1)?;
    }

    // 2. Bind it to the server's port.
    let mut server_addr = sockaddr_in::zeroed();
    server_addr.sin_family = AF_INET; // Internet address family
    server_addr.sin_addr.s_addr = htonl(INADDR_ANY); // Any incoming interface
    if let Some(address) = &args.bind {
        server_addr.sin_addr.s_addr = inet_addr(address)?; // --bind: this one only
    }
    server_addr.sin_port = htons(args.port); // Local port
    bind(&server_socket, &server_addr)?;

    // Not in the book: print the address, with the port chosen for port 0.
    let server_addr: sockaddr_in = getsockname(&server_socket)?;
    print_line(format_args!("listening on {server_addr}"));
    if args.announce {
        announce(&server_addr);
    }

    // Not in the book: the same with other calls.
    if args.from_asked {
        let in_upper_case = |client: &sockaddr_in, message: &[u8], reply: &mut Vec<u8>| {
            if !args.quiet {
                log_request(client, message, &mut line);
            }
            upper(message, args.unicode, true, reply);
        };
        answer_from_asked(
            &server_socket,
            &server_addr,
            args.max_messages,
            in_upper_case,
        )?;
        return close(server_socket);
    }

    // 3. Repeatedly: Run forever, or for --max-messages.
    let mut messages = 0;
    while messages < args.max_messages {
        // a. Receive a message, and the address it came from.
        let (len, client_addr) = loop {
            match recvfrom::<sockaddr_in>(&server_socket, &mut message, 0) {
                Ok(datagram) => break datagram,
                Err(error) => recover_from(error)?,
            }
        };

        // Not in the book: two servers must not answer each other without end.
        if !may_answer(&client_addr, &server_addr) {
            continue;
        }
        if !args.quiet {
            log_request(&client_addr, &message[..len], &mut line);
        }

        // b. Send it back in upper case. An error ends this client only, not the server.
        upper(&message[..len], args.unicode, true, &mut modified_message);
        if let Err(error) = sendto(&server_socket, &modified_message, 0, &client_addr) {
            warn(&client_addr, &error);
        }
        messages += 1;
    }
    close(server_socket)
}

// ---- Arguments ----

/// Answer each datagram with the same in upper case
#[derive(clap::Parser)]
#[command(version, after_help = "Example: udp_upper_server --announce")]
struct Args {
    /// Receive on this port; 0 takes a free one
    #[arg(default_value_t = SERVER_PORT)]
    port: u16,
    /// Receive on this address only [default: any]
    #[arg(long, value_name = "ADDRESS", value_parser = dotted)]
    bind: Option<String>,
    /// Answer from the address that was asked, on a machine with several
    #[arg(long)]
    from_asked: bool,
    /// End after N datagrams [default: never]
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    #[arg(value_parser = number::<u64>(1, u64::MAX))]
    max_messages: u64,
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
