//! udp_echo_server - sends each datagram back to where it came from.
//!
//! Usage: `udp_echo_server [--bind ADDRESS] [--max-messages N] PORT`
//! Follows: the Princeton deck, "Example - Echo using datagram socket", the server's column.
//! C twin: `udp_echo_server.c`. Its client: `udp_echo_client.rs`.

mod common;

use clap::Parser;
use common::{DATAGRAM, die, dotted, go_on_after, may_answer, parse, print, report};
use sockstep::{
    AF_INET, INADDR_ANY, IPPROTO_UDP, PF_INET, Result, SOCK_DGRAM, bind, close, getsockname, htonl,
    htons, inet_addr, recvfrom, sendto, sockaddr_in, socket,
};

/// Sends each datagram back to where it came from
#[derive(Parser)]
#[command(version, after_help = "Example: udp_echo_server 7000")]
struct Args {
    /// Port to receive on; 0 takes a free one
    port: u16,
    /// Address to receive on [default: any]
    #[arg(long, value_name = "ADDRESS", value_parser = dotted)]
    bind: Option<String>,
    /// End after N datagrams
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_messages: Option<u64>,
}

fn main() {
    if let Err(error) = serve(&parse()) {
        die(error);
    }
}

fn serve(args: &Args) -> Result<()> {
    let mut echo_buffer = vec![0; DATAGRAM]; // none is longer, so none is cut

    // 1. Create a UDP socket.
    let serv_sock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)?;

    // 2. Assign a port to the socket.
    let mut echo_serv_addr = sockaddr_in::zeroed();
    echo_serv_addr.sin_family = AF_INET;
    echo_serv_addr.sin_addr.s_addr = match &args.bind {
        Some(address) => inet_addr(address)?,
        None => htonl(INADDR_ANY),
    };
    echo_serv_addr.sin_port = htons(args.port);
    bind(&serv_sock, &echo_serv_addr)?;

    // Not on the slide: say so, with the port that port 0 became.
    let echo_serv_addr: sockaddr_in = getsockname(&serv_sock)?;
    print(format!("listening on {echo_serv_addr}\n").as_bytes());

    // 3. Repeatedly communicate:
    let mut messages = 0;
    while args.max_messages != Some(messages) {
        // Block until a datagram comes. Zero bytes are one too.
        let (recv_msg_size, echo_client_addr) =
            match recvfrom::<sockaddr_in>(&serv_sock, &mut echo_buffer, 0) {
                Ok(datagram) => datagram,
                Err(error) => {
                    go_on_after(error)?;
                    continue;
                }
            };

        // Not on the slide: no answer that could set two servers on each other.
        if !may_answer(&echo_client_addr, &echo_serv_addr) {
            continue;
        }

        // Send it back. What goes wrong with one client is that client's loss alone.
        let sent = sendto(
            &serv_sock,
            &echo_buffer[..recv_msg_size],
            0,
            &echo_client_addr,
        );
        report(&echo_client_addr, sent.map(drop));
        messages += 1;
    }
    close(serv_sock)
}
