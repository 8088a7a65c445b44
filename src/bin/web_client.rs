//! web_client - asks a Web server for a page, and shows its response.
//!
//! Usage: `web_client [OPTIONS] URL`
//! Follows: the Princeton deck, "In Fact, Try This at a UNIX Prompt...", the telnet session, in the steps of "Example - Echo using
//! stream socket", the client's column.
//! C twin: `web_client.c`, which follows no redirects. What it has to understand is in `web/url.rs` and
//! `web/response.rs`. Its server: `web_server.rs`.

mod common;
#[path = "web/response.rs"]
mod response;
#[path = "web/url.rs"]
mod url;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::exit;
use std::time::{Duration, Instant};

use clap::Parser;
use clap::builder::{OsStringValueParser, TypedValueParser};
use common::{addresses, note, parse, print, send_all, text};
use response::{Response, is_of_a_name};
use sockstep::{
    AddrInfo, Errno, Error, Result, SO_RCVTIMEO, SO_SNDTIMEO, SOCK_STREAM, SOL_SOCKET, close,
    connect, recv, setsockopt, socket, timeval, write,
};
use url::Url;

const RCVBUFSIZE: usize = 65536; // bytes asked of each recv
const REFUSED: i32 = 22; // the status of --fail, as curl has it

/// Asks a Web server for a page, and shows its response
///
/// Exit status: 0 if all is done, 1 if not, 2 if an argument is bad, 22 by --fail.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:\n  web_client --include http://localhost:8080/index.html\n  web_client --location --output page.html http://www.example.com/"
)]
struct Args {
    /// The page: `http://HOST[:PORT][/PATH][?QUERY]`
    #[arg(value_parser = OsStringValueParser::new().try_map(|text| Url::parse(text.as_bytes())))]
    url: Url,
    /// Show the response's headers too
    #[arg(short, long)]
    include: bool,
    /// Ask for the headers alone, and show them
    #[arg(short = 'I', long)]
    head: bool,
    /// Write to FILE, not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show no page if the answer is 400 or more
    #[arg(short, long)]
    fail: bool,
    /// Send this header too, or instead of the usual one
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = OsStringValueParser::new().try_map(|line| header(&line)))]
    header: Vec<(String, Vec<u8>)>,
    /// How long it may take in all [default: for ever]
    #[arg(short = 'm', long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// Go where the server says that the page is (the C twin does not)
    #[arg(short = 'L', long)]
    location: bool,
    /// How often at most
    #[arg(long, value_name = "N", default_value_t = 50)]
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

/// Why it ends before it is done: a line, and the exit status.
struct Failure(String, i32);

impl<E: ToString> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.to_string(), 1)
    }
}

fn main() {
    let args: Args = parse();
    let mut page = Page::new(&args);
    let outcome = browse(&args, &mut page).and_then(|()| Ok(page.end()?));
    if let Err(Failure(mut line, status)) = outcome {
        if page.file.is_some() {
            line += "; the file has what came before";
        }
        note(line);
        exit(status);
    }
}

/// One telnet session, or, with --location, as many as it takes.
fn browse(args: &Args, page: &mut Page) -> std::result::Result<(), Failure> {
    let deadline = args
        .timeout
        .map(|seconds| Instant::now() + Duration::from_secs(seconds.into()));
    let mut url = args.url.clone();
    let mut followed = 0;
    while let Some(location) = converse(args, &url, deadline, page)? {
        if followed == args.max_redirs {
            return Err(format!("more than {followed} redirects").into());
        }
        followed += 1;
        url = url.resolve(&location).map_err(|wrong| {
            let mut line = b"cannot go to ".to_vec();
            text::escape(&location, &mut line);
            format!("{}: {wrong}", String::from_utf8_lossy(&line))
        })?;
    }
    Ok(())
}

/// The telnet session. Returns where to go instead, if --location is given and the server says so.
fn converse(
    args: &Args,
    url: &Url,
    deadline: Option<Instant>,
    page: &mut Page,
) -> std::result::Result<Option<Vec<u8>>, Failure> {
    let servers = addresses(&url.host, url.port, SOCK_STREAM)?;
    let mut servers = servers.iter().peekable();
    let sock = loop {
        // 1. Create a TCP socket.
        // 2. Establish the connection, with the first of the server's addresses that takes it.
        let server = servers.next().expect("the list has an address");
        match establish(&server, deadline) {
            Ok(sock) => break sock,
            Err(error) if servers.peek().is_none() => return Err(error.into()),
            Err(_) => {}
        }
    };

    // 3. Communicate: send the request, receive the response.
    let method = if args.head { "HEAD" } else { "GET" };
    send_all(&sock, &request(method, url, args))?;
    let mut response = Response::to(method);
    let mut buffer = vec![0; RCVBUFSIZE];
    let mut shown = false;
    while !response.is_done() {
        let received = receive(&sock, &mut buffer, deadline)?;
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
                close(sock)?; // what stands there does not matter
                return Ok(Some(location.to_vec()));
            }
            if args.fail && response.status >= 400 {
                let line = format!("the server answered {}", response.status);
                return Err(Failure(line, REFUSED));
            }
        }
        page.show(&buffer[..body])?;
        if let Some(problem) = response.problem() {
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

/// What the person at the telnet prompt types. `Connection: close` says that it is all.
fn request(method: &str, url: &Url, args: &Args) -> Vec<u8> {
    let mut request = format!("{method} {} HTTP/1.1\r\n", url.target).into_bytes();
    // What is meant for one server is not told to another one.
    let own = if url.same_server(&args.url) {
        &args.header[..]
    } else {
        &[]
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

/// Where the server says that the page is.
fn moved(response: &Response) -> Option<&[u8]> {
    match response.status {
        301 | 302 | 303 | 307 | 308 => response.header("Location"),
        _ => None,
    }
}

/// Steps 1 and 2 with one address.
fn establish(server: &AddrInfo, deadline: Option<Instant>) -> Result<OwnedFd> {
    let sock = socket(server.ai_family, server.ai_socktype, server.ai_protocol)?;
    loop {
        wait_until(deadline, &sock, "connect")?;
        match connect(&sock, &server.ai_addr) {
            Ok(()) => return Ok(sock),
            Err(error) if error == Errno::EINTR => {} // stopped and continued, with a time-out set: it goes on
            Err(error) if error == Errno::EINPROGRESS => {
                return Err(Error::new("connect", Errno::ETIMEDOUT));
            }
            Err(error) => return Err(error),
        }
    }
}

/// A recv that ends at the deadline.
fn receive(sock: &OwnedFd, buffer: &mut [u8], deadline: Option<Instant>) -> Result<usize> {
    loop {
        wait_until(deadline, sock, "recv")?;
        match recv(sock, buffer, 0) {
            Err(error) if error == Errno::EINTR => {} // stopped and continued, with a time-out set
            Err(error) if error == Errno::EAGAIN => {
                return Err(Error::new("recv", Errno::ETIMEDOUT));
            }
            outcome => return outcome,
        }
    }
}

/// From now on no call on the socket waits longer than that.
fn wait_until(deadline: Option<Instant>, sock: &OwnedFd, call: &'static str) -> Result<()> {
    let Some(deadline) = deadline else {
        return Ok(());
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.as_micros() == 0 {
        return Err(Error::new(call, Errno::ETIMEDOUT)); // a time-out of 0 would be none
    }
    let value = timeval {
        tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
        tv_usec: left.subsec_micros().into(),
    };
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &value)?;
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &value)
}

/// Where the page goes: a file, or standard output, which may be a terminal.
struct Page<'a> {
    path: Option<&'a PathBuf>,
    file: Option<OwnedFd>,
    terminal: bool,
    /// The beginning of a character, for the terminal.
    held: Vec<u8>,
}

impl Page<'_> {
    fn new(args: &Args) -> Page<'_> {
        let path = args.output.as_ref().filter(|path| path.as_os_str() != "-");
        Page {
            path,
            file: None,
            terminal: path.is_none() && io::stdout().is_terminal(),
            held: Vec::new(),
        }
    }

    /// Writes the next piece. Whatever comes from the network does nothing to a terminal.
    fn show(&mut self, bytes: &[u8]) -> Result<()> {
        if self.terminal {
            self.held.extend_from_slice(bytes);
            self.show_held(false);
            return Ok(());
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if self.path.is_none() {
            print(bytes);
            return Ok(());
        }
        let file = self.open()?;
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = &rest[write(file, rest)?..];
        }
        Ok(())
    }

    /// Writes what is left. A page of no bytes is a file of no bytes.
    fn end(&mut self) -> Result<()> {
        self.show_held(true);
        if self.path.is_some() {
            self.open()?;
        }
        self.file.take().map_or(Ok(()), close)
    }

    /// The file, made when there is something to write: before that, an older one is not lost.
    fn open(&mut self) -> Result<&OwnedFd> {
        if let (None, Some(path)) = (&self.file, self.path) {
            let file = File::create(path).map_err(|error| {
                Error::new(
                    "open",
                    Errno::from_raw(error.raw_os_error().unwrap_or_default()),
                )
            })?;
            self.file = Some(file.into());
        }
        Ok(self.file.as_ref().expect("just opened"))
    }

    fn show_held(&mut self, last: bool) {
        let mut text = Vec::new();
        let done = text::escape_page(&self.held, last, &mut text);
        self.held.drain(..done);
        print(&text);
    }
}
