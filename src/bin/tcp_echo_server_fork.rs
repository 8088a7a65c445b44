//! tcp_echo_server_fork - sends each client its own bytes back, each client by a process of its own.
//!
//! Usage: `tcp_echo_server_fork [--limit N] [OPTIONS] PORT`
//! Follows: "Server: one request at a time?", the answer "create a new process to handle each request".
//! C twin: `tcp_echo_server_fork.c`. Read it beside `tcp_echo_server.rs`.

mod common;

use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use clap::Parser;
use common::echo::{EchoArgs, end_with, listening, serve_client};
use common::{die, go_on_after, parse, report};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};
use nix::unistd::{ForkResult, Pid, fork};
use sockstep::{Errno, Error, Result, SOCK_STREAM, accept, close, sockaddr_in};

/// Sends each client its own bytes back, each client by a process of its own
#[derive(Parser)]
#[command(version, after_help = "Example: tcp_echo_server_fork 7000")]
struct Args {
    #[command(flatten)]
    echo: EchoArgs,
    /// Clients at a time; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Processes that serve a client now. Each that ends is counted by `reap`, whatever the rest is doing.
static CHILDREN: AtomicU32 = AtomicU32::new(0);

fn main() {
    if let Err(error) = serve(&parse()) {
        die(error);
    }
}

#[expect(unsafe_code, reason = "fork, and the handler of SIGCHLD")]
fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    let serv_sock = listening(&args.echo, SOCK_STREAM)?;
    let action = SigAction::new(SigHandler::Handler(reap), SaFlags::empty(), SigSet::empty());
    // SAFETY: `reap` does only what a signal handler may: a system call, an atomic variable, and errno as it was.
    unsafe { sigaction(Signal::SIGCHLD, &action) }
        .map_err(|errno| Error::new("sigaction", errno))?;

    // 4. Repeatedly:
    let mut clients = 0;
    while args.echo.max_clients != Some(clients) {
        wait_until_fewer_than(args.limit)?;

        // a. Accept a new connection.
        let (clnt_sock, echo_clnt_addr) = match accept::<sockaddr_in>(&serv_sock) {
            Ok(client) => client,
            Err(error) => {
                go_on_after(error)?; // EINTR: a child has ended
                continue;
            }
        };

        // b. Communicate: a new process does, beside this one.
        CHILDREN.fetch_add(1, SeqCst);
        let server = Pid::this();
        // SAFETY: this process has one thread, so the child finds no lock taken and no work half done.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                end_with(server);
                report(&echo_clnt_addr, close(serv_sock)); // new connections are the other's affair
                serve_client(clnt_sock, &echo_clnt_addr, args.echo.idle_timeout);
                // SAFETY: no pointer is passed. What `exit` would do besides is the parent's affair.
                unsafe { libc::_exit(0) }
            }
            Ok(ForkResult::Parent { .. }) => {}
            Err(errno) => {
                CHILDREN.fetch_sub(1, SeqCst);
                report(&echo_clnt_addr, Err(Error::new("fork", errno))); // this client's loss alone
            }
        }

        // c. Close the connection. The child has a descriptor of its own, and the connection lives until that is closed.
        report(&echo_clnt_addr, close(clnt_sock));
        clients += 1;
    }
    close(serv_sock)?;
    wait_until_fewer_than(1)
}

/// On SIGCHLD: takes leave of every child that has ended, so that none stays as a zombie. One signal may stand for several.
#[expect(unsafe_code, reason = "waitpid")]
extern "C" fn reap(_: i32) {
    let errno = Errno::last_raw();
    // SAFETY: no pointer is passed. (nix's waitpid fails on a child that died of a real-time signal.)
    while unsafe { libc::waitpid(-1, null_mut(), libc::WNOHANG) } > 0 {
        // Not below zero: whoever became this program may have left it a child.
        let _ = CHILDREN.fetch_update(SeqCst, SeqCst, |children| children.checked_sub(1));
    }
    Errno::set_raw(errno);
}

/// Waits until so many children are no longer there.
fn wait_until_fewer_than(limit: u32) -> Result<()> {
    if CHILDREN.load(SeqCst) < limit {
        return Ok(());
    }
    // Held back meanwhile, or the last child could end between the look and the wait.
    let failed = |errno| Error::new("sigprocmask", errno);
    let sigchld = SigSet::from(Signal::SIGCHLD);
    let before = sigchld
        .thread_swap_mask(SigmaskHow::SIG_BLOCK)
        .map_err(failed)?;
    while CHILDREN.load(SeqCst) >= limit {
        before
            .suspend()
            .map_err(|errno| Error::new("sigsuspend", errno))?;
    }
    before.thread_set_mask().map_err(failed)
}
