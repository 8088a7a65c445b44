//! web_server - sends the files of a directory by HTTP, each client by a thread of its own.
//!
//! Usage: `web_server [--root DIR] [OPTIONS] [PORT]`
//! Follows: Princeton deck, "Web Server": the five steps of "Handling a client request".
//! C twin: `web_server.c`, all but `--list`. Compare `tcp_echo_server_thread.rs`.
//!
//! `web/` has the parts beyond the slide: `request` parses HTTP, `connection` receives and sends
//! with time limits, `access` checks passwords, `files` opens files, `generate` writes a response,
//! `log` a line about it, `listening` listens for IPv4 and IPv6, `threads` starts threads.

mod common;
mod web;

use common::{die, number, parse, recover_from, warn};
use sockstep::{error::*, socket::*}; // <errno.h>, <sys/socket.h>
use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration, time::Instant};
use web::{access, connection::*, files, files::*, generate, listening, log, request, threads::*};

const MAXPENDING: i32 = 511; // connections the kernel may queue before accept takes them

fn serve(args: &Args) -> Result<()> {
    let limit = allow_descriptors(args.limit);
    // Leaked on purpose: the threads use it until the program ends.
    let site: &Site = Box::leak(Box::new(Site {
        root: files::open_root(&args.root)?,
        credentials: args.user.as_deref().map(access::Credentials::new),
        timeout: Duration::from_secs(args.request_timeout.into()),
        list: args.list,
        quiet: args.quiet,
    }));
    // A socket that listens.
    let serv_sock = listening::open(args.bind, args.port, args.backlog, site.timeout)?;
    let crew = Crew {
        serv_sock,
        site,
        work: serve_clients,
        limit,
    };
    close(run(crew, args.max_clients)?)
}

/// One of several threads.
fn serve_clients(crew: &Arc<Crew>) -> Result<()> {
    loop {
        // 1. Accept the connection.
        let (clnt_sock, clnt_addr) = loop {
            match accept(&crew.serv_sock) {
                Ok(client) => break client,
                Err(error) => recover_from(error)?,
            }
        };
        have_a_client(crew); // another thread waits for the next client

        // 2 to 5, for each request. An error ends this client only, not the server.
        let clnt_addr = listening::in_its_own_family(clnt_addr);
        let mut conn = Connection::new(crew.site, clnt_sock, clnt_addr);
        serve_requests(&mut conn).unwrap_or_else(|error| warn(&clnt_addr, &error));

        // Close the connection.
        close(conn.sock).unwrap_or_else(|error| warn(&clnt_addr, &error));
        if !take_another() {
            return Ok(());
        }
    }
}

fn serve_requests(conn: &mut Connection) -> Result<()> {
    loop {
        // 2. Read and parse the request.
        let Some(parsed) = read_request(conn)? else {
            return Ok(()); // no further request
        };

        // 3. Translate the URL to a file name.
        let named = parsed.and_then(|()| translate(conn));

        // 4. Determine whether the request is authorised.
        let found = named.and_then(|()| authorise(conn));

        // 5. Generate and transmit the response.
        respond(conn, found)?;
        if !conn.request.keep_alive {
            let all_is_read = conn.request.whole && conn.unread().is_empty();
            return if all_is_read { Ok(()) } else { conn.hang_up() };
        }
    }
}

/// Step 2. `None`: the client has no more requests.
fn read_request(conn: &mut Connection) -> Result<Option<Outcome<()>>> {
    conn.request.clear();
    let mut heard = false;
    let mut deadline = None; // set at the first bytes, for the whole request
    loop {
        while let Some(taken) = conn.take_line() {
            match taken {
                Ok(false) => {}
                Ok(true) => return Ok(Some(Ok(()))),
                Err(status) => return Ok(Some(Err(status))),
            }
        }
        if let Some(status) = conn.too_long() {
            return Ok(Some(Err(status)));
        }
        let begun = !conn.unread().is_empty() || !conn.request.line.is_empty();
        let now = Instant::now();
        if begun || heard {
            deadline.get_or_insert(now + conn.site.timeout);
        }
        let patience = deadline.map_or(conn.site.timeout, |deadline| deadline - now);
        match conn.receive(patience) {
            Ok(0) => return Ok(begun.then_some(Err(400))), // the end
            Ok(_) => heard = true,
            Err(error) if error == Errno::EAGAIN => return Ok(begun.then_some(Err(408))),
            Err(error) if error == Errno::EINTR => {} // after SIGSTOP and SIGCONT
            Err(error) if error == Errno::ECONNRESET && !begun => return Ok(None), // it has left
            Err(error) => return Err(error),
        }
    }
}

/// Step 3. The name is relative to the root and cannot leave it.
fn translate(conn: &mut Connection) -> Outcome<()> {
    request::file_name(conn.request.target(), &mut conn.name)
}

/// Step 4. If the request is authorised, opens the file.
fn authorise(conn: &mut Connection) -> Outcome<Resource> {
    if let Some(credentials) = &conn.site.credentials {
        if !credentials.are_in(&conn.request.credentials) {
            return Err(401);
        }
    }
    if request::is_hidden(&conn.name) {
        return Err(403);
    }
    files::open_resource(conn)
}

/// Step 5. Sends the headers and a page of our own, then the file.
fn respond(conn: &mut Connection, found: Outcome<Resource>) -> Result<()> {
    let (status, body) = generate::response(conn, &found);
    let alone = body.part.is_empty();
    let more = if alone { 0.into() } else { MSG_MORE }; // sent together with the data that follows
    let mut sent = body.page;
    let mut outcome = conn.send_response(more);
    if let Ok(Resource::File { fd, .. }) = found {
        if outcome.is_ok() {
            outcome = conn.send_file(&fd, &body.part, &mut sent);
        }
        close(fd).unwrap_or_else(|error| warn(&conn.client, &error));
    }
    if !conn.site.quiet {
        log::response(conn, status, sent);
    }
    outcome
}

// ---- Arguments ----

/// Send the files of a directory by HTTP
#[derive(clap::Parser)]
#[command(
    version,
    after_help = "Example: web_server --root public 8080\nThe C twin has all options but --list."
)]
struct Args {
    /// Listen on this port; 0 takes a free one
    #[arg(default_value_t = 8080, value_parser = number::<u16>(0, u16::MAX))]
    port: u16,
    /// Serve the files of this directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Listen on this address, IPv4 or IPv6 [default: any]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,
    /// Let at most N connections wait to be accepted
    #[arg(long, value_name = "N", default_value_t = MAXPENDING)]
    #[arg(value_parser = number::<i32>(0, i32::MAX))]
    backlog: i32,
    /// Serve at most N connections at a time; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = number::<u32>(1, u32::MAX))]
    limit: u32,
    /// End after N connections [default: never]
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    #[arg(value_parser = number::<u64>(1, u64::MAX))]
    max_clients: u64,
    /// Time limit for a request, for an idle connection, and for every 128 KiB of a response
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    #[arg(value_parser = number::<u32>(1, 86400_u32))]
    request_timeout: u32,
    /// Require this name and password (HTTP Basic; visible in ps)
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = access::name_and_password)]
    user: Option<String>,
    /// List a directory that has no index.html (Rust only)
    #[arg(long)]
    list: bool,
    /// Write no log
    #[arg(long)]
    quiet: bool,
}

fn main() {
    if let Err(error) = serve(&parse()) {
        die(error);
    }
}
