//! tcp_echo_server_pool - sends each client its own bytes back, by threads that are there before the clients.
//!
//! Usage: `tcp_echo_server_pool [--threads N] [--queue N] [OPTIONS] PORT`
//! Follows: "Server: one request at a time?", the answer "or some hybrid": one thread accepts, N serve, a queue between them.
//! C twin: `tcp_echo_server_pool.c`. Read it beside `tcp_echo_server_thread.rs`.

mod common;

use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::Builder;

use clap::Parser;
use common::echo::{EchoArgs, STACK, listening, serve_client, thread_error};
use common::{die, go_on_after, note, parse};
use sockstep::{Result, SOCK_STREAM, accept, close, sockaddr_in};

/// Sends each client its own bytes back, by threads that are there before the clients
#[derive(Parser)]
#[command(version, after_help = "Example: tcp_echo_server_pool --threads 4 7000")]
struct Args {
    #[command(flatten)]
    echo: EchoArgs,
    /// Threads, each of which serves one client at a time
    #[arg(long, visible_alias = "limit", value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Accepted clients that may wait for a thread; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    queue: u16,
}

/// An accepted connection, on its way to a thread.
type Client = (OwnedFd, sockaddr_in);

fn main() {
    if let Err(error) = serve(&parse()) {
        die(error);
    }
}

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    let serv_sock = listening(&args.echo, SOCK_STREAM)?;

    // The threads, and the queue that they take their clients from.
    let (queue, waiting) = sync_channel(args.queue.into());
    let waiting = Arc::new(Mutex::new(waiting));
    let mut threads = Vec::new();
    for _ in 0..args.threads {
        let (waiting, idle_timeout) = (Arc::clone(&waiting), args.echo.idle_timeout);
        let thread = Builder::new().stack_size(STACK).spawn(move || {
            while let Some((clnt_sock, echo_clnt_addr)) = next(&waiting) {
                // b. Communicate, c. close the connection.
                serve_client(clnt_sock, &echo_clnt_addr, idle_timeout);
            }
        });
        threads.push(thread.map_err(|error| thread_error(&error))?);
    }

    // 4. Repeatedly:
    let (mut clients, mut said) = (0, false);
    while args.echo.max_clients != Some(clients) {
        // a. Accept a new connection.
        let client = match accept::<sockaddr_in>(&serv_sock) {
            Ok(client) => client,
            Err(error) => {
                go_on_after(error)?;
                continue;
            }
        };

        // It moves into the queue, and out of it into a thread. While the queue is full, nobody else is accepted.
        if let Err(TrySendError::Full(client)) = queue.try_send(client) {
            if !said {
                note(format_args!(
                    "the queue of {} is full: accepting pauses",
                    args.queue
                ));
            }
            said = true;
            queue
                .send(client)
                .expect("the threads are there until the queue is closed");
        }
        clients += 1;
    }
    close(serv_sock)?;
    drop(queue); // closed: the threads serve what is left, and end
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    Ok(())
}

/// The client that has waited longest. Waits for one; `None` if the queue is empty and closed.
fn next(waiting: &Mutex<Receiver<Client>>) -> Option<Client> {
    waiting
        .lock()
        .expect("no thread panics while it waits")
        .recv()
        .ok()
}
