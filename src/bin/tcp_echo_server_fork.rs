//! tcp_echo_server_fork - sends each client its own bytes back, each by a process of its own.
//!
//! Usage: `tcp_echo_server_fork [--limit N] [OPTIONS] PORT`
//! Follows: the Princeton deck, "Server: One Request at a Time?": "start a new process to handle
//! each request".
//! C twin: `tcp_echo_server_fork.c`. Compare `tcp_echo_server.rs`.

mod common;

use common::{die, echo, parse, recover_from, warn};
use nix::{sys::signal::*, unistd::ForkResult, unistd::Pid, unistd::fork}; // <signal.h>, <unistd.h>
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <netinet/in.h>, <sys/socket.h>
use std::{ptr::null_mut, sync::atomic::Ordering::SeqCst, sync::atomic::*};

/// The number of processes that serve a client. A signal handler, `reap`, lowers it.
static CHILDREN: AtomicU32 = AtomicU32::new(0);
/// Whether `reap` was called since this was last asked.
static ENDED: AtomicBool = AtomicBool::new(false);

#[expect(unsafe_code, reason = "fork, and the handler of SIGCHLD")]
fn serve(args: &Args) -> Result<()> {
    // 1. Create a TCP socket. 2. Assign a port to the socket. 3. Set the socket to listen.
    // As in tcp_echo_server.rs: socket(), bind() and listen() are in common/echo.rs.
    let serv_sock = echo::listening(&args.echo, SOCK_STREAM)?;

    // Not on the slide: a child that has ended stays as a zombie until it is waited for.
    let action = SigAction::new(SigHandler::Handler(reap), SaFlags::empty(), SigSet::empty());
    // SAFETY: `reap` does only what a signal handler may: a system call and an atomic variable, and
    // it restores errno.
    unsafe { sigaction(Signal::SIGCHLD, &action) }
        .map_err(|errno| Error::new("sigaction", errno))?;

    // 4. Repeatedly: Run forever, or for --max-clients.
    for _ in 0..args.echo.max_clients {
        wait_until_fewer_than(args.limit)?;

        // a. Accept a new connection.
        let (clnt_sock, echo_clnt_addr) = loop {
            match accept::<sockaddr_in>(&serv_sock) {
                Ok(client) => break client, // Set the size of the in-out parameter: by its type
                // Not an error: a child has ended.
                Err(error) if error == Errno::EINTR && ENDED.swap(false, SeqCst) => {}
                Err(error) => recover_from(error)?,
            }
        };

        // b. Communicate, in a new process.
        CHILDREN.fetch_add(1, SeqCst);
        let server = Pid::this();
        // SAFETY: this process has one thread, so no lock is held in the child.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                echo::end_with_parent(server);
                // Only the parent accepts.
                close(serv_sock).unwrap_or_else(|error| warn(&echo_clnt_addr, &error));
                echo::serve_client(clnt_sock, &echo_clnt_addr, args.echo.idle_timeout);
                // SAFETY: no pointer is passed. The rest of `exit` is for the parent only.
                unsafe { libc::_exit(0) }
            }
            Ok(ForkResult::Parent { .. }) => {}
            Err(errno) => {
                CHILDREN.fetch_sub(1, SeqCst);
                warn(&echo_clnt_addr, &Error::new("fork", errno)); // only this client is lost
            }
        }

        // c. Close the connection. The child has a descriptor of its own, and the connection lives
        // until that is closed.
        close(clnt_sock).unwrap_or_else(|error| warn(&echo_clnt_addr, &error));
    }
    close(serv_sock)?;
    wait_until_fewer_than(1)
}

/// On SIGCHLD: waits for every child that has ended. One signal may stand for several.
#[expect(unsafe_code, reason = "waitpid")]
extern "C" fn reap(_: i32) {
    let errno = Errno::last_raw();
    ENDED.store(true, SeqCst);
    // SAFETY: no pointer is passed. (nix's waitpid fails on one that died of a real-time signal.)
    while unsafe { libc::waitpid(-1, null_mut(), libc::WNOHANG) } > 0 {
        // Not below zero: this process may have had a child before exec.
        let _ = CHILDREN.fetch_update(SeqCst, SeqCst, |children| children.checked_sub(1));
    }
    Errno::set_raw(errno);
}

/// Waits until there are fewer than `limit` children.
fn wait_until_fewer_than(limit: u32) -> Result<()> {
    if CHILDREN.load(SeqCst) < limit {
        return Ok(());
    }
    // Blocked until sigsuspend: otherwise the last child could end before the wait begins.
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

// ---- Arguments ----

/// Send each client its own bytes back, each by a process of its own
#[derive(clap::Parser)]
#[command(version, after_help = "Example: tcp_echo_server_fork 7000")]
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
