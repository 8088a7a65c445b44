//! web_server - sends the files of a directory to whoever asks for them by HTTP, each client by a thread of its own.
//!
//! Usage: `web_server [--root DIR] [OPTIONS] [PORT]`
//! Follows: Princeton deck, "Web Server": the five steps of "Handling a client request" are the five functions in the middle.
//! C twin: `web_server.c`, all but `--list`. Read it beside `tcp_echo_server_thread.rs`; what it has to understand of HTTP is
//! in `web/request.rs`.

mod common;
#[path = "web/request.rs"]
mod request;

use std::ffi::CStr;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread::{Builder, current, park};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use common::echo::{STACK, thread_error};
use common::text::escape;
use common::{die, give_up_after, go_on_after, parse, print, report};
use nix::dir::{Dir, Type};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::resource::{Resource::RLIMIT_NOFILE, getrlimit, setrlimit};
use nix::sys::sendfile::sendfile;
use nix::sys::stat::{Mode, SFlag, fstat};
use request::{
    LINE, Request, Status, content_type, escape_url, file_name, http_date, is_hidden, log_date,
};
use sockstep::{
    AF_INET, AF_INET6, AnyAddr, Errno, Error, IPPROTO_IPV6, IPPROTO_TCP, IPV6_V6ONLY, MSG_MORE,
    Result, SHUT_WR, SO_RCVTIMEO, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY, accept, bind,
    close, getsockname, htonl, htons, in6_addr, listen, recv, send, setsockopt, shutdown,
    sockaddr_in, sockaddr_in6, socket, timeval,
};

const MAXPENDING: i32 = 511; // connections the kernel may queue before accept takes them
const CHUNK: u64 = 128 * 1024; // bytes of a file that a client has --request-timeout to take
const DRAIN: Duration = Duration::from_secs(2); // for what a client still says after its last answer

/// Sends the files of a directory to whoever asks for them by HTTP
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: web_server --root public 8080\nThe C twin has all but --list."
)]
struct Args {
    /// Port to listen on; 0 takes a free one
    #[arg(default_value_t = 8080)]
    port: u16,
    /// Directory whose files are served
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Address to listen on, IPv4 or IPv6 [default: any]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,
    /// Connections that may wait to be accepted
    #[arg(long, value_name = "N", default_value_t = MAXPENDING, value_parser = clap::value_parser!(i32).range(0..))]
    backlog: i32,
    /// Connections at a time; more wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// End after N connections
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_clients: Option<u64>,
    /// For a whole request, for silence between two, and for each 128 KiB of an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86400))]
    request_timeout: u32,
    /// Only for who knows this; others on this machine see it in the list of processes
    #[arg(long, value_name = "NAME:PASSWORD", value_parser = name_and_password)]
    user: Option<String>,
    /// Show what is in a directory without index.html (not in the C twin)
    #[arg(long)]
    list: bool,
    /// No log
    #[arg(long)]
    quiet: bool,
}

fn name_and_password(text: &str) -> std::result::Result<String, &'static str> {
    match text.split_once(':') {
        Some(_) if text.len() <= 255 => Ok(text.to_owned()),
        _ => Err("not NAME:PASSWORD, of 255 bytes at most"),
    }
}

/// What all threads read.
struct Site {
    args: Args,
    /// The directory: nothing outside it is ever opened.
    root: OwnedFd,
    /// What a client must show, in base64.
    credentials: Option<Vec<u8>>,
    timeout: Duration,
}

/// A client, and memory that is used again for each of its requests.
struct Connection {
    site: &'static Site,
    sock: OwnedFd,
    client: AnyAddr,
    buffer: Box<[u8]>,
    /// Where in the buffer that is which has not been looked at.
    held: Range<usize>,
    /// How long `recv` waits, as `SO_RCVTIMEO` is set.
    patience: Duration,
    request: Request,
    /// The name of the file, relative to the root.
    name: Vec<u8>,
    /// The answer without its file; then the line for the log.
    answer: Vec<u8>,
}

/// What comes out of a step, or the status to refuse the request with.
type Outcome<T> = std::result::Result<T, Status>;

/// What an answer is made of.
enum Resource {
    File {
        fd: OwnedFd,
        size: u64,
        modified: i64, // seconds since 1970
    },
    Listing(Vec<u8>),
}

fn main() {
    let args: Args = parse();
    if let Err(error) = serve(args) {
        die(error);
    }
}

/// Threads that serve a client now.
static THREADS: AtomicU32 = AtomicU32::new(0);

fn serve(args: Args) -> Result<()> {
    allow_descriptors(args.limit);
    let directory = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(&args.root, directory, Mode::empty()).map_err(|e| Error::new("open", e))?;
    // Threads borrow it for as long as they like: it stays until the program ends.
    let site: &'static Site = Box::leak(Box::new(Site {
        root,
        credentials: args.user.as_ref().map(|user| base64(user.as_bytes())),
        timeout: Duration::from_secs(args.request_timeout.into()),
        args,
    }));
    let serv_sock = listening(&site.args)?;

    let mut clients = 0;
    while site.args.max_clients != Some(clients) {
        wait_until_fewer_than(site.args.limit);
        let (sock, client) = match accept_connection(&serv_sock) {
            Ok(client) => client,
            Err(error) => {
                go_on_after(error)?;
                continue;
            }
        };
        THREADS.fetch_add(1, SeqCst);
        let acceptor = current();
        let thread = Builder::new().stack_size(STACK).spawn(move || {
            serve_client(site, sock, client);
            THREADS.fetch_sub(1, SeqCst);
            acceptor.unpark();
        });
        if let Err(error) = thread {
            THREADS.fetch_sub(1, SeqCst);
            report(&client, Err(thread_error(&error))); // this client's loss alone: its connection is closed
        }
        clients += 1;
    }
    close(serv_sock)?;
    wait_until_fewer_than(1);
    Ok(())
}

/// One connection: steps 2 to 5 for each request that comes through it.
fn serve_client(site: &'static Site, sock: OwnedFd, client: AnyAddr) {
    let mut conn = Connection {
        site,
        sock,
        client,
        buffer: vec![0; LINE + 2].into(), // a line and its end
        held: 0..0,
        patience: site.timeout,
        request: Request::default(),
        name: Vec::new(),
        answer: Vec::new(),
    };
    report(&client, serve_requests(&mut conn));

    // Close the connection.
    report(&client, close(conn.sock));
}

fn serve_requests(conn: &mut Connection) -> Result<()> {
    give_up_after(&conn.sock, Some(conn.site.args.request_timeout))?;
    setsockopt(&conn.sock, IPPROTO_TCP, TCP_NODELAY, &1)?; // a short answer waits for nothing
    while let Some(parsed) = read_request(conn)? {
        let found = parsed
            .and_then(|()| translate(conn))
            .and_then(|()| authorise(conn));
        if !respond(conn, found)? {
            let all_is_read = conn.request.whole && conn.held.is_empty();
            return if all_is_read { Ok(()) } else { hang_up(conn) };
        }
    }
    Ok(())
}

// ---- Handling a client request: the five steps ----

/// 1. Accept the connection.
fn accept_connection(serv_sock: &OwnedFd) -> Result<(OwnedFd, AnyAddr)> {
    let (sock, client) = accept(serv_sock)?;
    Ok((sock, in_its_own_family(client)))
}

/// 2. Read and parse the request. `None`: there is none any more.
fn read_request(conn: &mut Connection) -> Result<Option<Outcome<()>>> {
    conn.request.clear();
    let mut heard = false;
    let mut deadline = None; // from the first bytes on, for all of it
    loop {
        while let Some(line) = conn.next_line() {
            match conn.request.take(&conn.buffer[line]) {
                Ok(false) => {}
                Ok(true) => return Ok(Some(Ok(()))),
                Err(status) => return Ok(Some(Err(status))),
            }
        }
        let unfinished = &conn.buffer[conn.held.clone()];
        if unfinished.len() == conn.buffer.len() {
            return Ok(Some(Err(conn.request.too_long(unfinished))));
        }
        let begun = !unfinished.is_empty() || !conn.request.line.is_empty();
        let now = Instant::now();
        if begun || heard {
            deadline.get_or_insert(now + conn.site.timeout);
        }
        let patience = deadline.map_or(conn.site.timeout, |deadline| deadline - now);
        match conn.receive(patience) {
            Ok(0) => return Ok(begun.then_some(Err(400))), // the end, in the middle of a request or between two
            Ok(_) => heard = true,
            Err(error) if error == Errno::EAGAIN => return Ok(begun.then_some(Err(408))),
            Err(error) if error == Errno::EINTR => {} // stopped and continued
            Err(error) if error == Errno::ECONNRESET && !begun => return Ok(None), // how some clients leave
            Err(error) => return Err(error),
        }
    }
}

/// 3. Translate the URL to a file name.
fn translate(conn: &mut Connection) -> Outcome<()> {
    file_name(conn.request.target(), &mut conn.name)
}

/// 4. Determine whether the request is authorised. If it is, the file is open.
fn authorise(conn: &mut Connection) -> Outcome<Resource> {
    if let Some(credentials) = &conn.site.credentials {
        if !are_shown(credentials, &conn.request.credentials) {
            return Err(401);
        }
    }
    if is_hidden(&conn.name) {
        return Err(403);
    }
    let is_directory = conn.name.is_empty() || conn.name.ends_with(b"/");
    let directory = conn.name.len();
    if is_directory {
        conn.name.extend_from_slice(b"index.html");
    }
    let fd = match open_beneath(conn, OFlag::empty()) {
        Err(404) if is_directory => {
            conn.name.truncate(directory);
            let fd = open_beneath(conn, OFlag::O_DIRECTORY)?;
            if conn.site.args.list {
                return Ok(Resource::Listing(listing(&conn.name, fd)));
            }
            close(fd).map_err(|error| conn.fail(error))?;
            return Err(403); // it is there, but what is in it is not told
        }
        outcome => outcome?,
    };
    let status = fstat(&fd).map_err(|errno| conn.fail(Error::new("fstat", errno)))?;
    let kind = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
    if kind == SFlag::S_IFREG {
        return Ok(Resource::File {
            fd,
            size: status.st_size.try_into().unwrap_or_default(),
            modified: status.st_mtime.min(seconds_since_1970()), // none is of the future
        });
    }
    close(fd).map_err(|error| conn.fail(error))?;
    if kind == SFlag::S_IFDIR && !is_directory {
        Err(301) // its name ends with a slash: what its pages link to is relative to that
    } else {
        Err(403) // a pipe, a device
    }
}

/// 5. Generate and transmit the response. Returns whether the client may go on asking.
fn respond(conn: &mut Connection, found: Outcome<Resource>) -> Result<bool> {
    let (status, part) = match &found {
        Err(status) => (*status, 0..0),
        Ok(Resource::Listing(_)) => (200, 0..0),
        Ok(Resource::File { size, modified, .. }) => conditional(&conn.request, *size, *modified),
    };
    let page = match &found {
        Ok(Resource::Listing(page)) => page.clone(),
        _ if matches!(status, 200 | 206 | 304) => Vec::new(),
        _ => error_page(status),
    };
    generate(conn, status, &found, &part, &page);
    let (mut part, mut sent) = (part, 0);
    if conn.request.head {
        part = 0..0;
    } else {
        conn.answer.extend_from_slice(&page);
        sent = page.len() as u64;
    }
    let more = if part.is_empty() { 0 } else { MSG_MORE }; // what follows leaves together with it
    let mut outcome = send_in_time(conn, more);
    if let Ok(Resource::File { fd, .. }) = found {
        if outcome.is_ok() {
            outcome = send_file_in_time(conn, &fd, part, &mut sent);
        }
        report(&conn.client, close(fd));
    }
    if !conn.site.args.quiet {
        log(conn, status, sent);
    }
    outcome?;
    Ok(conn.request.keep_alive)
}

// ---- Beyond the slide: reading ----

impl Connection {
    /// Where in the buffer the next line is, if all of it is there. It ends with CR LF, or, as from a person, with LF.
    fn next_line(&mut self) -> Option<Range<usize>> {
        let start = self.held.start;
        let held = &self.buffer[self.held.clone()];
        let mut end = start + held.iter().position(|&byte| byte == b'\n')?;
        self.held.start = end + 1;
        if self.buffer[start..end].ends_with(b"\r") {
            end -= 1;
        }
        Some(start..end)
    }

    /// Receives behind what is held. Fails with `EAGAIN` when nothing comes for so long.
    fn receive(&mut self, patience: Duration) -> Result<usize> {
        if patience.as_micros() == 0 {
            return Err(Error::new("recv", Errno::EAGAIN)); // zero would mean for ever
        }
        if patience != self.patience {
            let value = timeval {
                tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
                tv_usec: patience.subsec_micros().into(),
            };
            setsockopt(&self.sock, SOL_SOCKET, SO_RCVTIMEO, &value)?;
            self.patience = patience;
        }
        self.buffer.copy_within(self.held.clone(), 0);
        self.held = 0..self.held.len();
        let n = recv(&self.sock, &mut self.buffer[self.held.end..], 0)?;
        self.held.end += n;
        Ok(n)
    }

    /// The server is at fault, and says why.
    fn fail(&self, error: Error) -> Status {
        report(&self.client, Err(error));
        500
    }
}

/// Before we close on a client that may not be done: says that no more will come, and takes in for a while what it still
/// sends. Closing at once would answer that with a reset, which can overtake our last words.
fn hang_up(conn: &mut Connection) -> Result<()> {
    match shutdown(&conn.sock, SHUT_WR) {
        Err(error) if error == Errno::ENOTCONN => return Ok(()), // it has gone already
        outcome => outcome?,
    }
    let (begun, mut left) = (Instant::now(), DRAIN);
    loop {
        conn.held = 0..0;
        match conn.receive(left) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error == Errno::EINTR => {}
            Err(_) => return Ok(()), // too late, or reset: it has had its answer, or never will
        }
        left = DRAIN.saturating_sub(begun.elapsed());
    }
}

// ---- Beyond the slide: who may have what ----

/// Opens the file of that name, or says why not. Not even a symbolic link leads out of the root.
fn open_beneath(conn: &Connection, flag: OFlag) -> Outcome<OwnedFd> {
    // Non-blocking, as a named pipe would wait for a writer.
    let flags = flag | OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let how = OpenHow::new()
        .flags(flags)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let name = if conn.name.is_empty() {
        b"."
    } else {
        conn.name.as_slice()
    };
    let mut tries = 0;
    loop {
        tries += 1;
        return match openat2(&conn.site.root, name, how) {
            Ok(fd) => Ok(fd),
            Err(Errno::EAGAIN) if tries < 10 => continue, // something was renamed in that moment
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG) => Err(404),
            // Not readable, outside the root, a loop of links, a socket or a device without a driver.
            Err(
                Errno::EACCES
                | Errno::EPERM
                | Errno::EXDEV
                | Errno::ELOOP
                | Errno::ENXIO
                | Errno::ENODEV,
            ) => Err(403),
            Err(errno) => Err(conn.fail(Error::new("openat2", errno))),
        };
    }
}

/// Whether a header's value is the word `Basic` and these. Takes as long for a good guess as for a bad one.
fn are_shown(credentials: &[u8], value: &[u8]) -> bool {
    let (scheme, given) = value.split_at_checked(6).unwrap_or_default();
    let differences = credentials
        .iter()
        .zip(given)
        .fold(0, |all, (a, b)| all | (a ^ b));
    scheme.eq_ignore_ascii_case(b"Basic ") && given.len() == credentials.len() && differences == 0
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| {
            bits << 8 | usize::from(*group.get(i).unwrap_or(&0))
        });
        for i in 0..4 {
            let digit = DIGITS[bits >> (18 - 6 * i) & 63];
            text.push(if i > group.len() { b'=' } else { digit });
        }
    }
    text
}

// ---- Beyond the slide: answering ----

/// The status and the part of a file that a request wants, who may have it already.
fn conditional(request: &Request, size: u64, modified: i64) -> (Status, Range<u64>) {
    if request
        .if_modified_since
        .is_some_and(|since| modified <= since)
    {
        return (304, 0..0);
    }
    match request.range {
        Some(range) if !request.head && request.if_range.is_none_or(|date| date == modified) => {
            range.within(size).map_or((416, 0..0), |part| (206, part))
        }
        _ => (200, 0..size),
    }
}

/// Everything before the body. Nothing that a client sent gets into it but the name of a directory, and that is escaped.
fn generate(
    conn: &mut Connection,
    status: Status,
    found: &Outcome<Resource>,
    part: &Range<u64>,
    page: &[u8],
) {
    let head = &mut conn.answer;
    head.clear();
    let _ = write!(head, "HTTP/1.1 {status} {}\r\nDate: ", reason(status)); // into memory, here and below
    http_date(seconds_since_1970(), head);
    let _ = write!(
        head,
        "\r\nServer: sockstep/{}\r\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut length = page.len() as u64;
    match found {
        Ok(Resource::File { size, modified, .. }) if matches!(status, 200 | 206 | 304) => {
            if status != 304 {
                let _ = write!(head, "Content-Type: {}\r\n", content_type(&conn.name));
            }
            head.extend_from_slice(b"Last-Modified: ");
            http_date(*modified, head);
            head.extend_from_slice(b"\r\nAccept-Ranges: bytes\r\n");
            if status == 206 {
                let (first, last) = (part.start, part.end - 1);
                let _ = write!(head, "Content-Range: bytes {first}-{last}/{size}\r\n");
            }
            length = part.end - part.start;
        }
        _ => head.extend_from_slice(b"Content-Type: text/html; charset=utf-8\r\n"),
    }
    if status != 304 {
        let _ = write!(head, "Content-Length: {length}\r\n");
    }
    match (status, found) {
        (301, _) => {
            head.extend_from_slice(b"Location: /");
            escape_url(&conn.name, head);
            head.extend_from_slice(b"/\r\n");
        }
        (401, _) => head.extend_from_slice(b"WWW-Authenticate: Basic realm=\"files\"\r\n"),
        (405, _) => head.extend_from_slice(b"Allow: GET, HEAD\r\n"),
        (416, Ok(Resource::File { size, .. })) => {
            let _ = write!(head, "Content-Range: bytes */{size}\r\n");
        }
        _ => {}
    }
    if !conn.request.keep_alive {
        head.extend_from_slice(b"Connection: close\r\n");
    } else if conn.request.old {
        head.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    head.extend_from_slice(b"\r\n");
}

fn reason(status: Status) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}

fn error_page(status: Status) -> Vec<u8> {
    let title = format!("{status} {}", reason(status));
    format!("<!DOCTYPE html>\n<title>{title}</title>\n<h1>{title}</h1>\n").into_bytes()
}

/// A page with the names in a directory, but for the hidden ones.
fn listing(name: &[u8], fd: OwnedFd) -> Vec<u8> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for entry in Dir::from_fd(fd)
        .into_iter()
        .flat_map(Dir::into_iter)
        .flatten()
    {
        let mut name = CStr::to_bytes(entry.file_name()).to_vec();
        if !is_hidden(&name) {
            if entry.file_type() == Some(Type::Directory) {
                name.push(b'/');
            }
            names.push(name);
        }
    }
    names.sort_unstable();
    let mut title = b"/".to_vec();
    escape_html(name, &mut title);
    let title = String::from_utf8_lossy(&title);
    let mut page = format!("<!DOCTYPE html>\n<title>{title}</title>\n<h1>{title}</h1>\n<ul>\n");
    if !name.is_empty() {
        page += "<li><a href=\"../\">../</a>\n";
    }
    let mut page = page.into_bytes();
    for name in names {
        page.extend_from_slice(b"<li><a href=\"./");
        escape_url(&name, &mut page);
        page.extend_from_slice(b"\">");
        escape_html(&name, &mut page);
        page.extend_from_slice(b"</a>\n");
    }
    page.extend_from_slice(b"</ul>\n");
    page
}

/// Appends a name as text of a page: control characters escaped, and what would begin a tag or an entity.
fn escape_html(name: &[u8], page: &mut Vec<u8>) {
    let mut text = Vec::new();
    escape(name, &mut text);
    for byte in text {
        match byte {
            b'<' => page.extend_from_slice(b"&lt;"),
            b'&' => page.extend_from_slice(b"&amp;"),
            b'"' => page.extend_from_slice(b"&quot;"),
            byte => page.push(byte),
        }
    }
}

/// Sends the answer that is ready. A client that does not take it loses it.
fn send_in_time(conn: &Connection, flags: i32) -> Result<()> {
    let mut rest = conn.answer.as_slice();
    let begun = Instant::now();
    while !rest.is_empty() {
        match send(&conn.sock, rest, flags) {
            Ok(0) => return Err(Error::new("send", Errno::EIO)), // not from a sound kernel, and no way on
            Ok(n) => rest = &rest[n..],
            Err(error) if error == Errno::EINTR => {}
            Err(error) => return Err(error),
        }
        if !rest.is_empty() && begun.elapsed() >= conn.site.timeout {
            return Err(Error::new("send", Errno::EAGAIN));
        }
    }
    Ok(())
}

/// The same for a part of a file, straight from the kernel's memory of it: each chunk has the time that a request has.
fn send_file_in_time(
    conn: &Connection,
    fd: &OwnedFd,
    mut part: Range<u64>,
    sent: &mut u64,
) -> Result<()> {
    let failed = |errno| Error::new("sendfile", errno);
    while !part.is_empty() {
        let chunk = part.end.min(part.start + CHUNK);
        let begun = Instant::now();
        while part.start < chunk {
            let mut offset = part.start.try_into().unwrap_or(i64::MAX);
            let left = (chunk - part.start).try_into().unwrap_or(usize::MAX);
            match sendfile(&conn.sock, fd, Some(&mut offset), left) {
                Ok(0) => return Err(failed(Errno::EIO)), // the file has become shorter: only a close can say so
                Ok(n) => {
                    part.start += n as u64;
                    *sent += n as u64;
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
            if part.start < chunk && begun.elapsed() >= conn.site.timeout {
                return Err(failed(Errno::EAGAIN));
            }
        }
    }
    Ok(())
}

/// A line in the form that web servers have in common: who, when, the request, the status, how many bytes.
fn log(conn: &mut Connection, status: Status, sent: u64) {
    static WHOLE: Mutex<()> = Mutex::new(()); // a pipe would mix long ones
    let line = &mut conn.answer;
    line.clear();
    let _ = match (conn.client.v4(), conn.client.v6()) {
        (Some(addr), _) => write!(line, "{}", addr.sin_addr), // into memory, here and below
        (_, Some(addr)) => write!(line, "{}", addr.sin6_addr),
        _ => write!(line, "-"),
    };
    let credentials = conn.site.credentials.as_ref();
    let is_known = credentials.is_some_and(|own| are_shown(own, &conn.request.credentials));
    let user = conn.site.args.user.as_ref().filter(|_| is_known);
    let name = user
        .and_then(|user| user.split_once(':'))
        .map_or("-", |(name, _)| name);
    line.extend_from_slice(b" - ");
    escape(name.as_bytes(), line);
    line.extend_from_slice(b" [");
    log_date(seconds_since_1970(), line);
    line.extend_from_slice(b"] \"");
    for (i, piece) in conn.request.line.split(|&byte| byte == b'"').enumerate() {
        if i > 0 {
            line.extend_from_slice(b"\\\""); // one of the client's does not end the field
        }
        escape(piece, line);
    }
    if conn.request.line.is_empty() {
        line.push(b'-');
    }
    let _ = match sent {
        0 => writeln!(line, "\" {status} -"),
        sent => writeln!(line, "\" {status} {sent}"),
    };
    let _whole = WHOLE.lock();
    print(line);
}

fn seconds_since_1970() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs().try_into().unwrap_or(i64::MAX))
}

// ---- Beyond the slide: a server for both kinds of addresses ----

/// A socket that listens, and a line that says so: the echo server's steps 1 to 3.
fn listening(args: &Args) -> Result<OwnedFd> {
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED); // a socket for that takes IPv4 as well
    match listening_on(args.bind.unwrap_or(any), args) {
        Err(error) if error == Errno::EAFNOSUPPORT && args.bind.is_none() => {
            listening_on(IpAddr::V4(Ipv4Addr::UNSPECIFIED), args) // no IPv6 on this machine
        }
        outcome => outcome,
    }
}

fn listening_on(address: IpAddr, args: &Args) -> Result<OwnedFd> {
    let serv_addr: AnyAddr = match address {
        IpAddr::V4(address) => {
            let mut serv_addr = sockaddr_in::zeroed();
            serv_addr.sin_family = AF_INET;
            serv_addr.sin_addr.s_addr = htonl(address.to_bits());
            serv_addr.sin_port = htons(args.port);
            serv_addr.into()
        }
        IpAddr::V6(address) => {
            let mut serv_addr = sockaddr_in6::zeroed();
            serv_addr.sin6_family = AF_INET6;
            serv_addr.sin6_addr = in6_addr {
                s6_addr: address.octets(),
            };
            serv_addr.sin6_port = htons(args.port);
            serv_addr.into()
        }
    };
    let serv_sock = socket(serv_addr.family(), SOCK_STREAM, IPPROTO_TCP)?;
    setsockopt(&serv_sock, SOL_SOCKET, SO_REUSEADDR, &1)?;
    if serv_addr.family() == AF_INET6 {
        setsockopt(&serv_sock, IPPROTO_IPV6, IPV6_V6ONLY, &0)?;
    }
    bind(&serv_sock, &serv_addr)?;
    listen(&serv_sock, args.backlog)?;
    let serv_addr: AnyAddr = getsockname(&serv_sock)?;
    print(format!("listening on {serv_addr}\n").as_bytes());
    Ok(serv_sock)
}

/// An IPv4 client at an IPv6 socket has its address behind `::ffff:`. Here it is an IPv4 client.
fn in_its_own_family(client: AnyAddr) -> AnyAddr {
    let mapped = client.v6().and_then(|addr| {
        let address = Ipv6Addr::from(addr.sin6_addr.s6_addr).to_ipv4_mapped()?;
        let mut v4 = sockaddr_in::zeroed();
        v4.sin_family = AF_INET;
        v4.sin_addr.s_addr = htonl(address.to_bits());
        v4.sin_port = addr.sin6_port;
        Some(v4.into())
    });
    mapped.unwrap_or(client)
}

// ---- Beyond the slide: threads and descriptors ----

/// Waits until so many threads are no longer there. Each that ends wakes us.
fn wait_until_fewer_than(limit: u32) {
    while THREADS.load(SeqCst) >= limit {
        park();
    }
}

/// A client needs two descriptors, for its connection and for its file. Asks for as many as there may be, if that is more.
fn allow_descriptors(limit: u32) {
    let wanted = u64::from(limit) * 2 + 16;
    if let Ok((soft, hard)) = getrlimit(RLIMIT_NOFILE) {
        if soft < wanted {
            let _ = setrlimit(RLIMIT_NOFILE, wanted.min(hard), hard); // or a client may have to wait
        }
    }
}
