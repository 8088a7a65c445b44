//! udp_echo_server - sends each datagram back to where it came from.
//!
//! Usage: `udp_echo_server [--bind ADDRESS] [--from-asked | --batch N] [--max-messages N] PORT`
//! Follows: the Princeton deck, "Example - Echo using datagram socket", the server's column.
//! C twin: `udp_echo_server.c`. Its client: `udp_echo_client.rs`.

mod common;

use common::asked::answer_from_asked;
use common::{DATAGRAM, die, dotted, may_answer, number, parse, print_line, recover_from, warn};
use sockstep::{error::*, msg::*, netinet::*, socket::*}; // <errno.h>, <arpa/inet.h>, <sys/socket.h>
use std::{io::IoSlice, io::IoSliceMut, os::fd::OwnedFd};

fn serve(args: &Args) -> Result<()> {
    let mut echo_buffer = vec![0; DATAGRAM]; // the longest possible datagram fits

    // 1. Create a UDP socket.
    let serv_sock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)?;

    // Not on the slide: with --from-asked each datagram says which of our addresses was asked.
    if args.from_asked {
        setsockopt(&serv_sock, IPPROTO_IP, IP_PKTINFO, &1)?;
    }

    // 2. Assign a port to the socket.
    let mut echo_serv_addr = sockaddr_in::zeroed();
    echo_serv_addr.sin_family = AF_INET; // Internet address family
    echo_serv_addr.sin_addr.s_addr = htonl(INADDR_ANY); // Any incoming interface
    if let Some(address) = &args.bind {
        echo_serv_addr.sin_addr.s_addr = inet_addr(address)?; // --bind: this one only
    }
    echo_serv_addr.sin_port = htons(args.port); // Local port
    bind(&serv_sock, &echo_serv_addr)?;

    // Not on the slide: print the address, with the port chosen for port 0.
    let echo_serv_addr: sockaddr_in = getsockname(&serv_sock)?;
    print_line(format_args!("listening on {echo_serv_addr}"));

    // Not on the slide: the same with other calls.
    if args.from_asked {
        let same = |_: &sockaddr_in, message: &[u8], reply: &mut Vec<u8>| message.clone_into(reply);
        answer_from_asked(&serv_sock, &echo_serv_addr, args.max_messages, same)?;
        return close(serv_sock);
    }
    if let Some(batch) = args.batch {
        answer_in_batches(&serv_sock, &echo_serv_addr, args.max_messages, batch)?;
        return close(serv_sock);
    }

    // 3. Repeatedly communicate: Run forever, or for --max-messages.
    let mut messages = 0;
    while messages < args.max_messages {
        // Block until a message is received from a client. One of zero bytes is a message too.
        // Set the size of the in-out parameter: its type has it.
        let (recv_msg_size, echo_client_addr) = loop {
            match recvfrom::<sockaddr_in>(&serv_sock, &mut echo_buffer, 0) {
                Ok(datagram) => break datagram,
                Err(error) => recover_from(error)?,
            }
        };

        // Not on the slide: two servers must not answer each other without end.
        if !may_answer(&echo_client_addr, &echo_serv_addr) {
            continue;
        }

        // Send it back. An error ends this client only, not the server.
        let received = &echo_buffer[..recv_msg_size];
        if let Err(error) = sendto(&serv_sock, received, 0, &echo_client_addr) {
            warn(&echo_client_addr, &error);
        }
        messages += 1;
    }
    close(serv_sock)
}

/// Not on the slide: step 3 for --batch. One call receives all datagrams that have arrived, and one
/// sends all answers: under load, two calls serve many datagrams.
fn answer_in_batches(
    serv_sock: &OwnedFd,
    echo_serv_addr: &sockaddr_in,
    max_messages: u64,
    batch: u16,
) -> Result<()> {
    let mut echo_buffers = vec![0; usize::from(batch) * DATAGRAM];
    let mut messages = 0;
    while messages < max_messages {
        let most = u16::try_from(max_messages - messages).map_or(batch, |left| left.min(batch));
        let buffers = echo_buffers.chunks_exact_mut(DATAGRAM).take(most.into());
        let mut buffers: Vec<_> = buffers.map(IoSliceMut::new).collect();
        let received = loop {
            // Waits for the first datagram, and takes all others that have arrived.
            match recvmmsg::<sockaddr_in>(serv_sock, &mut buffers, MSG_WAITFORONE, None) {
                Ok(received) => break received,
                Err(error) => recover_from(error)?,
            }
        };

        let answers: Vec<_> = received
            .iter()
            .zip(echo_buffers.chunks_exact(DATAGRAM))
            .filter(|(message, _)| may_answer(&message.msg_name, echo_serv_addr))
            .map(|(message, buffer)| (message.msg_name, [IoSlice::new(&buffer[..message.len])]))
            .collect();
        let headers: Vec<_> = answers
            .iter()
            .map(|(client, bytes)| MsgHdr::to(client, bytes))
            .collect();
        let mut sent = 0;
        while sent < headers.len() {
            match sendmmsg(serv_sock, &headers[sent..], 0) {
                Ok(n) if n > 0 => sent += n,
                failed => {
                    let nothing = Error::new("sendmmsg", Errno::EIO); // no correct kernel does
                    warn(&answers[sent].0, &failed.err().unwrap_or(nothing));
                    sent += 1;
                }
            }
        }
        messages += headers.len() as u64;
    }
    Ok(())
}

// ---- Arguments ----

/// Send each datagram back to where it came from
#[derive(clap::Parser)]
#[command(version, after_help = "Example: udp_echo_server 7000")]
struct Args {
    /// Receive on this port; 0 takes a free one
    port: u16,
    /// Receive on this address only [default: any]
    #[arg(long, value_name = "ADDRESS", value_parser = dotted)]
    bind: Option<String>,
    /// Answer from the address that was asked, on a machine with several
    #[arg(long)]
    from_asked: bool,
    /// Receive and send up to N datagrams with one call
    #[arg(long, value_name = "N", conflicts_with = "from_asked")]
    #[arg(value_parser = number::<u16>(1, 1024))]
    batch: Option<u16>,
    /// End after N datagrams [default: never]
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    #[arg(value_parser = number::<u64>(1, u64::MAX))]
    max_messages: u64,
}

fn main() {
    serve(&parse()).unwrap_or_else(|error| die(error));
}
