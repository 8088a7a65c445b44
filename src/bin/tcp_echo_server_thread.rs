//! tcp_echo_server_thread - sends each client its own bytes back, each client by a thread of its own.
//!
//! Usage: `tcp_echo_server_thread [--limit N] [OPTIONS] PORT`
//! Follows: "Server: one request at a time?", the answer "create a new thread to handle each request".
//! C twin: `tcp_echo_server_thread.c`. Read it beside `tcp_echo_server.rs`.

mod common;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread::{Builder, current, park};

use clap::Parser;
use common::echo::{EchoArgs, STACK, listening, serve_client, thread_error};
use common::{die, go_on_after, parse, report};
use sockstep::{Result, SOCK_STREAM, accept, close, sockaddr_in};

/// Sends each client its own bytes back, each client by a thread of its own
#[derive(Parser)]
#[command(version, after_help = "Example: tcp_echo_server_thread 7000")]
struct Args {
    #[command(flatten)]
    echo: EchoArgs,
    /// Clients at a time; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Threads that serve a client now.
static THREADS: AtomicU32 = AtomicU32::new(0);

fn main() {
    if let Err(error) = serve(&parse()) {
        die(error);
    }
}

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    let serv_sock = listening(&args.echo, SOCK_STREAM)?;
    let idle_timeout = args.echo.idle_timeout;

    // 4. Repeatedly:
    let mut clients = 0;
    while args.echo.max_clients != Some(clients) {
        wait_until_fewer_than(args.limit);

        // a. Accept a new connection.
        let (clnt_sock, echo_clnt_addr) = match accept::<sockaddr_in>(&serv_sock) {
            Ok(client) => client,
            Err(error) => {
                go_on_after(error)?;
                continue;
            }
        };

        // b. Communicate, c. close the connection: a new thread does, beside this one. The connection moves into it.
        THREADS.fetch_add(1, SeqCst);
        let acceptor = current();
        let thread = Builder::new().stack_size(STACK).spawn(move || {
            serve_client(clnt_sock, &echo_clnt_addr, idle_timeout);
            THREADS.fetch_sub(1, SeqCst);
            acceptor.unpark();
        });
        if let Err(error) = thread {
            THREADS.fetch_sub(1, SeqCst);
            report(&echo_clnt_addr, Err(thread_error(&error))); // this client's loss alone: its connection is closed
        }
        clients += 1;
    }
    close(serv_sock)?;
    wait_until_fewer_than(1);
    Ok(())
}

/// Waits until so many threads are no longer there. Each that ends wakes us.
fn wait_until_fewer_than(limit: u32) {
    while THREADS.load(SeqCst) >= limit {
        park();
    }
}
