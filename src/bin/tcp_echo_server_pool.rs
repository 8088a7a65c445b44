//! tcp_echo_server_pool - sends each client its own bytes back, by threads made beforehand.
//!
//! Usage: `tcp_echo_server_pool [--threads N] [--queue N] [OPTIONS] PORT`
//! Follows: the Princeton deck, "Server: One Request at a Time?": "some hybrid of these two
//! approaches". One thread accepts, N serve, and a queue is between them.
//! C twin: `tcp_echo_server_pool.c`. Compare `tcp_echo_server_thread.rs`.

mod common;

use common::{die, echo, note, parse, recover_from};
use sockstep::{error::*, netinet::*, pthread::*, socket::*}; // <errno.h>, <netinet/in.h>, ...
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::{collections::VecDeque, mem::take, os::fd::OwnedFd};

/// An accepted connection, on its way to a thread.
type Client = (OwnedFd, sockaddr_in);

fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    // As in tcp_echo_server.rs: socket(), bind() and listen() are in common/echo.rs.
    let serv_sock = echo::listening(&args.echo, SOCK_STREAM)?;

    // The threads, and the queue that they take their clients from.
    make_queue(args.queue)?;
    let attr = echo::small_stack()?;
    let mut threads = Vec::new();
    for _ in 0..args.threads {
        let idle_timeout = args.echo.idle_timeout;
        threads.push(pthread_create(Some(&attr), move || {
            while let Some((clnt_sock, echo_clnt_addr)) = next() {
                // b. Communicate, c. close the connection.
                echo::serve_client(clnt_sock, &echo_clnt_addr, idle_timeout);
            }
        })?);
    }

    // 4. Repeatedly: Run forever, or for --max-clients.
    for _ in 0..args.echo.max_clients {
        // a. Accept a new connection.
        let client = loop {
            match accept::<sockaddr_in>(&serv_sock) {
                Ok(client) => break client, // Set the size of the in-out parameter: by its type
                Err(error) => recover_from(error)?,
            }
        };

        // The connection moves into the queue, and from there to a thread. While the queue is full,
        // no further client is accepted.
        put(client, args.queue);
    }
    close(serv_sock)?;
    close_queue(); // the threads serve the remaining clients, and end
    threads.into_iter().try_for_each(pthread_join)
}

// ---- The queue: the longest waiting first ----

struct Queue {
    waiting: VecDeque<Client>,
    idle: u32,  // threads that wait for a client
    full: bool, // and the accepting thread waits for room
    said: bool,
    closed: bool,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    waiting: VecDeque::new(),
    idle: 0,
    full: false,
    said: false,
    closed: false,
});
static NOT_EMPTY: Condvar = Condvar::new();
static NOT_FULL: Condvar = Condvar::new();

fn make_queue(size: u16) -> Result<()> {
    let reserved = queue().waiting.try_reserve_exact(size.into());
    reserved.map_err(|_| Error::new("realloc", Errno::ENOMEM))
}

fn put(client: Client, size: u16) {
    let mut queue = queue();
    queue.full = queue.waiting.len() == size.into();
    if queue.full && !queue.said {
        note(format_args!(
            "the queue of {size} is full: accepting pauses"
        ));
        queue.said = true;
    }
    queue = NOT_FULL
        .wait_while(queue, |queue| queue.full)
        .unwrap_or_else(PoisonError::into_inner);
    queue.waiting.push_back(client);
    let wake = queue.idle > 0;
    drop(queue);
    if wake {
        NOT_EMPTY.notify_one();
    }
}

/// The client that has waited longest. Waits for one; `None` if the queue is empty and closed.
fn next() -> Option<Client> {
    let mut queue = queue();
    queue.idle += 1;
    queue = NOT_EMPTY
        .wait_while(queue, |queue| queue.waiting.is_empty() && !queue.closed)
        .unwrap_or_else(PoisonError::into_inner);
    queue.idle -= 1;
    let client = queue.waiting.pop_front();
    let wake = take(&mut queue.full);
    drop(queue);
    if wake {
        NOT_FULL.notify_one();
    }
    client
}

fn close_queue() {
    queue().closed = true;
    NOT_EMPTY.notify_all();
}

/// The queue is consistent even after a panic of a thread that had locked it.
fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

// ---- Arguments ----

/// Send each client its own bytes back, by threads made beforehand
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_server_pool --threads 4 7000")]
struct Args {
    #[command(flatten)]
    echo: echo::EchoArgs,
    /// Make N threads, each of which serves one client at a time
    #[arg(long, visible_alias = "limit", value_name = "N", default_value_t = 8)]
    #[arg(value_parser = common::number::<u32>(1, u32::MAX))]
    threads: u32,
    /// Let N accepted clients wait for a thread; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    queue: u16,
}

fn main() {
    serve(&parse()).unwrap_or_else(|error| die(error));
}
