//! web_client - asks a Web server for a page, and shows its response.
//!
//! Usage: `web_client [OPTIONS] URL`
//! Follows: the Princeton deck, "In Fact, Try This at a UNIX Prompt...", the telnet session, in the
//! steps of "Example - Echo using stream socket", the client's column.
//! C twin: `web_client.c`, which follows no redirects. Its server: `web_server.rs`.
//!
//! `web/` has the parts beyond the slides: `url` and `response` parse HTTP, `page` is for --output
//! and terminals. `common/deadline` is for --timeout.

mod common;
mod web;

use common::{addresses, deadline::Deadline, die_if_alone, note, number, parse, text};
use sockstep::{error::*, netdb::*, socket::*}; // <errno.h>, <netdb.h>, <sys/socket.h>
use std::{ffi::OsStr, os::fd::OwnedFd, os::unix::ffi::OsStrExt, path::PathBuf, process::exit};
use web::{page::Page, response::Response, response::is_of_a_name, url::Url};

const RCVBUFSIZE: usize = 65536; // bytes asked of each recv
const REFUSED: i32 = 22; // the status of --fail, as in curl

/// Steps 1 and 2, at one of the addresses of the server.
fn establish(server: &AddrInfo, deadline: Deadline, left: usize) -> Result<OwnedFd> {
    // 1. Create a TCP socket.
    let sock = socket(server.ai_family, server.ai_socktype, server.ai_protocol)?;

    // 2. Establish the connection.
    deadline.connect(&sock, &server.ai_addr, left)?;
    Ok(sock)
}

/// The same with each of its addresses, until one takes the connection.
fn first_to_connect(servers: &AddrInfoList, deadline: Deadline) -> Result<(OwnedFd, AnyAddr)> {
    let mut outcome = Err(Error::new("connect", Errno::EADDRNOTAVAIL)); // the list is never empty
    let mut left = servers.iter().count();
    for server in servers {
        outcome = establish(&server, deadline, left).map(|sock| (sock, server.ai_addr));
        if outcome.is_ok() {
            break;
        }
        left -= 1;
    }
    outcome
}

/// The telnet session. Returns the URL to ask next, if --location is given and there is one.
fn talk(args: &Args, url: &Url, deadline: Deadline, page: &mut Page) -> Outcome<Option<Url>> {
    let servers = addresses(&url.host, url.port, SOCK_STREAM)?;
    let (sock, server) =
        first_to_connect(&servers, deadline).map_err(|error| deadline.reason(&error, false))?;

    // 3. Communicate: send the request, receive the response.
    let request = request(url, args);
    let mut response = Response::new(args.head);
    let mut buffer = vec![0; RCVBUFSIZE];
    let (mut sent, mut shown) = (0, false);
    while !response.is_done() {
        let received = deadline
            .send_until_answered(&sock, &request, &mut sent)
            .and_then(|()| deadline.recv(&sock, &mut buffer))
            .map_err(|error| deadline.reason(&error, response.has_begun()))?;
        if received == 0 && !response.may_end() {
            return Err("recv() failed: connection closed prematurely".into());
        }
        let body = response.take(&mut buffer[..received]);
        if response.has_head && !shown {
            shown = true;
            if args.include || args.head {
                page.show(&response.head)?;
            }
            if let Some(location) = moved(&response).filter(|_| args.location) {
                close(sock)?; // the rest of the response does not matter
                return Ok(Some(follow(url, location)?));
            }
            if args.fail && response.status >= 400 {
                let line = format!("the server answered {}", response.status);
                return Err(Failure(line, REFUSED));
            }
        }
        page.show(&buffer[..body])?;
        if let Some(problem) = response.problem() {
            die_if_alone(&sock, &server, &server)?; // the answer is our own request
            return Err(format!("the response makes no sense: {problem}").into());
        }
        if received == 0 {
            break;
        }
    }

    // 4. Close the connection.
    close(sock)?;
    Ok(None)
}

/// The text typed at the telnet prompt. `Connection: close`: this is the only request.
fn request(url: &Url, args: &Args) -> Vec<u8> {
    let method = if args.head { "HEAD" } else { "GET" };
    let mut request = format!("{method} {} HTTP/1.1\r\n", url.target).into_bytes();
    let own = if url.same_server(&args.url) {
        &args.header[..]
    } else {
        &[] // meant for another server
    };
    for (name, value) in [("Host", url.authority()), ("Connection", "close".into())] {
        if !own.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
            request.extend(format!("{name}: {value}\r\n").into_bytes());
        }
    }
    for (_, line) in own {
        request.extend([line, &b"\r\n"[..]].concat());
    }
    request.extend(b"\r\n");
    request
}

// ---- Rust alone: redirects ----

/// One telnet session or, with --location, several in turn.
fn browse(args: &Args, page: &mut Page) -> Outcome<()> {
    let deadline = Deadline::after(args.timeout);
    let mut url = args.url.clone();
    let mut followed = 0;
    while let Some(next) = talk(args, &url, deadline, page)? {
        if followed == args.max_redirs {
            return Err(format!("more than {followed} redirects").into());
        }
        followed += 1;
        url = next;
    }
    Ok(page.end()?)
}

/// The URL that the server redirects to, if it does.
fn moved(response: &Response) -> Option<&[u8]> {
    match response.status {
        301 | 302 | 303 | 307 | 308 => response.header("Location"),
        _ => None,
    }
}

fn follow(url: &Url, location: &[u8]) -> Outcome<Url> {
    url.resolve(location).map_err(|wrong| {
        let mut line = Vec::new();
        text::escape(location, &mut line);
        format!("cannot go to {}: {wrong}", String::from_utf8_lossy(&line)).into()
    })
}

// ---- Arguments ----

use clap::builder::{OsStringValueParser, TypedValueParser};

/// Ask a Web server for a page and show its response
///
/// Exit status: 0 if the response is complete, 1 if a call failed or the response makes no sense, 2
/// if an argument is bad, 22 if --fail applies.
#[derive(clap::Parser)]
#[command(
    version,
    after_help = "Examples:\n  web_client --include http://localhost:8080/index.html
  web_client --location --output page.html http://www.example.com/"
)]
struct Args {
    /// Ask for this page: `http://HOST[:PORT][/PATH][?QUERY]`
    #[arg(value_parser = OsStringValueParser::new().try_map(|text| Url::parse(text.as_bytes())))]
    url: Url,
    /// Show the headers of the response too
    #[arg(short, long)]
    include: bool,
    /// Ask for the headers only, and show them
    #[arg(short = 'I', long)]
    head: bool,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show no page if the status is 400 or more; exit with 22
    #[arg(short, long)]
    fail: bool,
    /// Add this header, or replace the default one of that name
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    #[arg(value_parser = OsStringValueParser::new().try_map(|line| header(&line)))]
    header: Vec<(String, Vec<u8>)>,
    /// Give up after SECONDS in all [default: never]
    #[arg(short = 'm', long, value_name = "SECONDS", value_parser = number::<u32>(1, u32::MAX))]
    timeout: Option<u32>,
    /// Follow redirects (Rust only)
    #[arg(short = 'L', long)]
    location: bool,
    /// Follow at most N redirects (Rust only)
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = number::<u32>(0, u32::MAX))]
    max_redirs: u32,
}

/// A value parser: a header, as in `Accept: text/html`. Returns its name, and the line.
fn header(line: &OsStr) -> std::result::Result<(String, Vec<u8>), &'static str> {
    let line = line.as_bytes();
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    let named = !name.is_empty() && name.iter().all(|&byte| is_of_a_name(byte));
    if !named || name.len() == line.len() {
        return Err("not a header like 'Accept: text/html'");
    }
    if line.iter().any(|&b| b != b'\t' && b.is_ascii_control()) {
        return Err("a header has no control characters");
    }
    Ok((String::from_utf8_lossy(name).into_owned(), line.to_vec()))
}

/// An early end of the program: a line, and the exit status.
struct Failure(String, i32);
type Outcome<T> = std::result::Result<T, Failure>;

impl<E: ToString> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.to_string(), 1)
    }
}

fn main() {
    let args: Args = parse();
    let mut page = Page::new(args.output.clone());
    if let Err(Failure(mut line, status)) = browse(&args, &mut page) {
        if page.has_file() {
            line += "; the file holds the part that came before";
        }
        note(line);
        exit(status);
    }
}
