//! tcp_echo_server_prefork - sends each client its own bytes back, by processes made beforehand.
//!
//! Usage: `tcp_echo_server_prefork [--workers N] [OPTIONS] PORT`
//! Follows: the Princeton deck, "Server: One Request at a Time?": "some hybrid of these two
//! approaches". N processes are made beforehand, and all of them accept.
//! C twin: `tcp_echo_server_prefork.c`. Compare `tcp_echo_server_fork.rs`.

mod common;

use common::{die, echo, note, parse, recover_from};
use nix::{sys::eventfd::*, unistd::ForkResult, unistd::Pid, unistd::fork}; // <sys/eventfd.h>
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <netinet/in.h>, <sys/socket.h>
use std::{os::fd::OwnedFd, process::exit, thread::sleep, time::Duration, time::Instant};

const EARLY: Duration = Duration::from_secs(1); // dying younger is no accident
const SETBACKS: u32 = 6; // early deaths in a row after which the server gives up

/// Starts the workers, and replaces those that die, until all clients are served.
fn supervise(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    // As in tcp_echo_server.rs: socket(), bind() and listen() are in common/echo.rs.
    let serv_sock = echo::listening(&args.echo, SOCK_STREAM)?;
    let tickets = tickets(args.echo.max_clients)?;

    // The workers, all of which do step 4.
    let start = || start_worker(&serv_sock, tickets.as_ref(), args);
    let mut workers = Vec::new();
    for _ in 0..args.workers {
        workers.push((start()?, Instant::now()));
    }

    let mut setbacks = 0;
    while !workers.is_empty() {
        let (pid, status) = match wait() {
            Err(error) if error == Errno::EINTR => continue, // after SIGSTOP and SIGCONT
            ended => ended?,
        };
        let Some(place) = workers.iter().position(|&(worker, _)| worker == pid) else {
            continue; // a child from before exec
        };
        let (_, started) = workers.swap_remove(place);
        if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 {
            continue; // no client is left to serve
        }
        if libc::WIFSIGNALED(status) {
            let signal = libc::WTERMSIG(status);
            note(format_args!("worker {pid}: killed by signal {signal}"));
        } else {
            let status = libc::WEXITSTATUS(status);
            note(format_args!("worker {pid}: exited with {status}"));
        }

        // Starts a new one: at once or, after an early death, after a growing pause.
        if started.elapsed() >= EARLY {
            setbacks = 0;
        } else {
            pause_after_setback(&mut setbacks, &mut workers);
        }
        while let Err(error) = start().map(|pid| workers.push((pid, Instant::now()))) {
            note(error);
            pause_after_setback(&mut setbacks, &mut workers);
        }
    }
    close(serv_sock)?;
    tickets.map_or(Ok(()), |tickets| close(tickets.into()))
}

/// Pauses after a setback, each time twice as long. Gives up after too many.
fn pause_after_setback(setbacks: &mut u32, workers: &mut [(Pid, Instant)]) {
    *setbacks += 1;
    if *setbacks == SETBACKS {
        die(format_args!(
            "{SETBACKS} workers in a row died early: giving up"
        ));
    }
    let pause = Duration::from_millis(50) * (1 << *setbacks); // 100, 200, ... 1600
    sleep(pause);
    for (_, started) in workers {
        *started += pause; // a worker that died during the pause counts as young
    }
}

/// A process that serves clients while there are tickets; without --max-clients, without end.
#[expect(unsafe_code, reason = "fork")]
fn start_worker(serv_sock: &OwnedFd, tickets: Option<&EventFd>, args: &Args) -> Result<Pid> {
    let server = Pid::this();
    // SAFETY: this process has one thread, so no lock is held in the child.
    match unsafe { fork() }.map_err(|errno| Error::new("fork", errno))? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            echo::end_with_parent(server);
            match work(serv_sock, tickets, args.echo.idle_timeout) {
                Ok(()) => exit(0),
                Err(error) => die(error),
            }
        }
    }
}

fn work(serv_sock: &OwnedFd, tickets: Option<&EventFd>, idle_timeout: Option<u32>) -> Result<()> {
    // 4. Repeatedly: Run forever, or for --max-clients.
    while take_one(tickets)? {
        // a. Accept a new connection: the kernel gives it to one of the waiting workers.
        let (clnt_sock, echo_clnt_addr) = loop {
            match accept::<sockaddr_in>(serv_sock) {
                Ok(client) => break client, // Set the size of the in-out parameter: by its type
                Err(error) => recover_from(error)?,
            }
        };

        // b. Communicate, c. close the connection.
        echo::serve_client(clnt_sock, &echo_clnt_addr, idle_timeout);
    }
    Ok(())
}

/// `--max-clients`, counted by all workers together: an eventfd, a number in the kernel that each
/// read lowers by one.
fn tickets(max_clients: u64) -> Result<Option<EventFd>> {
    if max_clients == u64::MAX {
        return Ok(None);
    }
    let tickets = EventFd::from_flags(EfdFlags::EFD_SEMAPHORE | EfdFlags::EFD_NONBLOCK)
        .map_err(|errno| Error::new("eventfd", errno))?;
    tickets
        .write(max_clients)
        .map_err(|errno| Error::new("write", errno))?;
    Ok(Some(tickets))
}

/// Whether one more client may be served.
fn take_one(tickets: Option<&EventFd>) -> Result<bool> {
    match tickets.map_or(Ok(1), EventFd::read) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN) => Ok(false),
        Err(errno) => Err(Error::new("read", errno)),
    }
}

/// The next child that ends, and how.
#[expect(unsafe_code, reason = "wait")]
fn wait() -> Result<(Pid, i32)> {
    let mut status = 0;
    // SAFETY: `status` is an int for the kernel to write. (nix's wait fails on a child that died
    // of a real-time signal.)
    match unsafe { libc::wait(&raw mut status) } {
        -1 => Err(Error::last("wait")),
        pid => Ok((Pid::from_raw(pid), status)),
    }
}

// ---- Arguments ----

/// Send each client its own bytes back, by processes made beforehand
#[derive(clap::Parser)]
#[command(
    version,
    after_help = "Example: tcp_echo_server_prefork --workers 4 7000"
)]
struct Args {
    #[command(flatten)]
    echo: echo::EchoArgs,
    /// Make N processes, each of which serves one client at a time
    #[arg(long, visible_alias = "limit", value_name = "N", default_value_t = 8)]
    #[arg(value_parser = common::number::<u32>(1, u32::MAX))]
    workers: u32,
}

fn main() {
    supervise(&parse()).unwrap_or_else(|error| die(error));
}
