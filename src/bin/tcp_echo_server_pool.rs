//! tcp_echo_server_pool - sends each client its own bytes back, by threads made beforehand.
//!
//! Usage: `tcp_echo_server_pool [--threads N] [--queue N] [OPTIONS] PORT`
//! Follows: the Princeton deck, "Server: One Request at a Time?": "some hybrid of these two
//! approaches". One thread accepts, N serve, and a queue is between them.
//! C twin: `tcp_echo_server_pool.c`. Read it beside `tcp_echo_server_thread.rs`.

mod common;

use common::{die, echo, note, parse, recover_from};
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <netinet/in.h>, <sys/socket.h>
use std::sync::{Arc, Mutex, mpsc::Receiver, mpsc::TrySendError, mpsc::sync_channel};
use std::{os::fd::OwnedFd, thread::Builder};

/// An accepted connection, on its way to a thread.
type Client = (OwnedFd, sockaddr_in);

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    // As in tcp_echo_server.rs: socket(), bind() and listen() stand in common/echo.rs.
    let serv_sock = echo::listening(&args.echo, SOCK_STREAM)?;

    // The threads, and the queue that they take their clients from.
    let (queue, waiting) = sync_channel(args.queue.into());
    let waiting = Arc::new(Mutex::new(waiting));
    let mut threads = Vec::new();
    for _ in 0..args.threads {
        let (waiting, idle_timeout) = (Arc::clone(&waiting), args.echo.idle_timeout);
        let thread = Builder::new().stack_size(echo::STACK).spawn(move || {
            while let Some((clnt_sock, echo_clnt_addr)) = next(&waiting) {
                // b. Communicate, c. close the connection.
                echo::serve_client(clnt_sock, &echo_clnt_addr, idle_timeout);
            }
        });
        threads.push(thread.map_err(|error| echo::thread_error(&error))?);
    }

    // 4. Repeatedly: Run forever, or for --max-clients.
    let mut said = false;
    for _ in 0..args.echo.max_clients {
        // a. Accept a new connection.
        let client = loop {
            match accept::<sockaddr_in>(&serv_sock) {
                Ok(client) => break client,
                Err(error) => recover_from(error)?,
            }
        };

        // It moves into the queue, and out of it into a thread. While the queue is full, no other
        // client is accepted.
        if let Err(TrySendError::Full(client)) = queue.try_send(client) {
            if !said {
                let size = args.queue;
                note(format_args!(
                    "the queue of {size} is full: accepting pauses"
                ));
            }
            said = true;
            queue
                .send(client)
                .expect("the threads are there until the queue is closed");
        }
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

// ---- Arguments ----

/// Send each client its own bytes back, by threads made beforehand
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_server_pool --threads 4 7000")]
struct Args {
    #[command(flatten)]
    echo: echo::EchoArgs,
    /// Make N threads, each of which serves one client at a time
    #[arg(long, visible_alias = "limit", value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Let N accepted clients wait for a thread; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    queue: u16,
}

fn main() {
    serve(&parse()).unwrap_or_else(|error| die(error));
}
