//! tcp_echo_server_thread - sends each client its own bytes back, each client by a thread of its own.
//!
//! Usage: `tcp_echo_server_thread [--limit N] [OPTIONS] PORT`
//! Follows: "Server: one request at a time?", the answer "create a new thread to handle each request".
//! C twin: `tcp_echo_server_thread.c`. Read it beside `tcp_echo_server.rs`.

mod common;

use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread::Builder;

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

/// Threads that serve a client now, and what they signal when they are done.
static THREADS: Mutex<u32> = Mutex::new(0);
static DONE: Condvar = Condvar::new();

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
        *threads() += 1;
        let thread = Builder::new().stack_size(STACK).spawn(move || {
            serve_client(clnt_sock, &echo_clnt_addr, idle_timeout);
            *threads() -= 1;
            DONE.notify_one();
        });
        if let Err(error) = thread {
            *threads() -= 1;
            report(&echo_clnt_addr, Err(thread_error(&error))); // this client's loss alone: its connection is closed
        }
        clients += 1;
    }
    close(serv_sock)?;
    wait_until_fewer_than(1);
    Ok(())
}

fn threads() -> MutexGuard<'static, u32> {
    THREADS.lock().expect("no thread panics while it counts")
}

/// Waits until so many threads are no longer there.
fn wait_until_fewer_than(limit: u32) {
    let mut threads = threads();
    while *threads >= limit {
        threads = DONE
            .wait(threads)
            .expect("no thread panics while it counts");
    }
}
