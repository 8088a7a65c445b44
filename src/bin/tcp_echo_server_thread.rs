//! tcp_echo_server_thread - sends each client its own bytes back, each by a thread of its own.
//!
//! Usage: `tcp_echo_server_thread [--limit N] [OPTIONS] PORT`
//! Follows: the Princeton deck, "Server: One Request at a Time?": "use multi-threading".
//! C twin: `tcp_echo_server_thread.c`. Compare `tcp_echo_server.rs`.

mod common;

use common::{die, echo, parse, recover_from, warn};
use sockstep::{error::*, netinet::*, pthread::*, socket::*}; // <errno.h>, <netinet/in.h>, ...
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread::{current, park};

/// The number of threads that serve a client.
static THREADS: AtomicU32 = AtomicU32::new(0);

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    // As in tcp_echo_server.rs: socket(), bind() and listen() are in common/echo.rs.
    let serv_sock = echo::listening(&args.echo, SOCK_STREAM)?;
    let attr = echo::small_stack()?;

    // 4. Repeatedly: Run forever, or for --max-clients.
    for _ in 0..args.echo.max_clients {
        wait_until_fewer_than(args.limit);

        // a. Accept a new connection.
        let (clnt_sock, echo_clnt_addr) = loop {
            match accept::<sockaddr_in>(&serv_sock) {
                Ok(client) => break client, // Set the size of the in-out parameter: by its type
                Err(error) => recover_from(error)?,
            }
        };

        // b. Communicate, c. close the connection: in a new thread. From now on it owns the
        // connection.
        THREADS.fetch_add(1, SeqCst);
        let (acceptor, idle_timeout) = (current(), args.echo.idle_timeout);
        let thread = pthread_create(Some(&attr), move || {
            echo::serve_client(clnt_sock, &echo_clnt_addr, idle_timeout);
            THREADS.fetch_sub(1, SeqCst);
            acceptor.unpark();
        });
        if let Err(error) = thread.and_then(pthread_detach) {
            THREADS.fetch_sub(1, SeqCst);
            // Only this client is lost: dropping the closure closes its connection.
            warn(&echo_clnt_addr, &error);
        }
    }
    close(serv_sock)?;
    wait_until_fewer_than(1);
    Ok(())
}

/// Waits until there are fewer than `limit` threads. Each thread that ends wakes us.
fn wait_until_fewer_than(limit: u32) {
    while THREADS.load(SeqCst) >= limit {
        park();
    }
}

// ---- Arguments ----

/// Send each client its own bytes back, each by a thread of its own
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_server_thread 7000")]
struct Args {
    #[command(flatten)]
    echo: echo::EchoArgs,
    /// Serve at most N clients at once; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = common::number::<u32>(1, u32::MAX))]
    limit: u32,
}

fn main() {
    serve(&parse()).unwrap_or_else(|error| die(error));
}
