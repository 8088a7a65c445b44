//! The web server and its twin, from outside: what a client gets, what it may not have, and what it cannot do to the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{
    Outcome, Process, Program, Server, Talk, assert_bytes, at_this_load, converse, for_each, local,
    random_bytes, require, reset, run, scratch, until,
};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

const WEB: [&str; 1] = ["web_server"];
const CANARY: &str = "this is outside the root";
const BIG: usize = 1_000_000;

/// A directory for one test and one program: `root` in it is served, the rest never.
struct Site(PathBuf);

impl Site {
    fn new(name: &str, program: Program) -> Site {
        let name = format!("web-{name}-{:?}", program.lang);
        let site = Site(scratch(name));
        fs::create_dir_all(site.path("root/sub/deeper")).expect("a directory of our own");
        fs::create_dir_all(site.path("root/empty")).expect("a directory of our own");
        fs::create_dir_all(site.path("root/.hidden")).expect("a directory of our own");
        fs::create_dir_all(site.path("root-of-others")).expect("a directory of our own");
        site.write("canary.txt", CANARY);
        site.write("root-of-others/canary.txt", CANARY);
        site.write("root/index.html", "<h1>it works</h1>\n");
        site.write("root/hello.txt", "hello, web\n");
        site.write("root/sub/index.html", "sub\n");
        site.write("root/sub/page.html", "page\n");
        site.write("root/sub/deeper/x.css", "x {}\n");
        site.write("root/nothing", "");
        site.write("root/two words & more?.txt", "odd\n");
        site.write("root/é.txt", "accent\n");
        site.write("root/...", "three dots\n");
        site.write("root/.secret", CANARY);
        site.write("root/.hidden/file.txt", CANARY);
        fs::write(site.path("root/big.bin"), random_bytes(7, BIG)).expect("a file of our own");
        let link = |to: &str, name: &str| symlink(to, site.path(name)).expect("a link of our own");
        link("hello.txt", "root/inside.txt");
        link("../hello.txt", "root/sub/up.txt");
        link("sub", "root/link-to-sub");
        link("../canary.txt", "root/outside.txt");
        link("..", "root/parent");
        link("/", "root/slash");
        link("/etc/passwd", "root/passwd");
        link("loop", "root/loop");
        link("/proc/self/root", "root/magic");
        link("sub/../../canary.txt", "root/around");
        link("/dev/zero", "root/zero");
        mkfifo(&site.path("root/pipe"), Mode::S_IRWXU).expect("a pipe of our own");
        drop(UnixListener::bind(site.short("root/socket")).expect("a socket of our own"));
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A UNIX socket's name has room for 107 bytes.
    fn short(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let here = std::env::current_dir().expect("we are somewhere");
        path.strip_prefix(here).map_or(path.clone(), Path::to_owned)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file of our own");
    }

    fn serve(&self, program: Program, args: &[&str]) -> Server {
        let root = self.path("root");
        let root = root.to_str().expect("a path of ours is UTF-8");
        Server::start(program, &[&["--root", root], args].concat())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0); // or the next run does
        }
    }
}

// ---- Asking ----

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: here\r\n\r\n").into_bytes()
}

fn get_with(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: here\r\n{headers}\r\n\r\n").into_bytes()
}

/// An answer, taken apart.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut found = lines
            .filter_map(|line| line.split_once(": "))
            .filter(|(n, _)| *n == name);
        let value = found.next().map(|(_, value)| value);
        assert!(found.next().is_none(), "{name} twice");
        value
    }
}

/// Takes the answers to requests with these methods apart, each by its Content-Length.
fn answers(mut bytes: &[u8], heads: &[bool]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut heads = heads.iter();
    while !bytes.is_empty() {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a head");
        let head = String::from_utf8(bytes[..end + 2].to_vec()).expect("a head is text");
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok());
        let mut answer = Answer {
            status: status.expect("a status line"),
            head,
            body: Vec::new(),
        };
        assert!(
            !answer.head.contains('\n')
                || answer.head.matches('\n').count() == answer.head.matches("\r\n").count()
        );
        bytes = &bytes[end + 4..];
        let length = answer
            .header("Content-Length")
            .map_or(0, |n| n.parse().expect("a number"));
        if answer.status != 304 && !heads.next().unwrap_or(&false) {
            answer.body = bytes[..length].to_vec();
            bytes = &bytes[length..];
        }
        answers.push(answer);
    }
    answers
}

/// Says all this, and that it was all, and takes the only answer.
fn ask(server: &Server, request: &[u8]) -> Answer {
    let bytes = converse(&server.connect(), request);
    let heads = [request.starts_with(b"HEAD")];
    let mut answers = answers(&bytes, &heads);
    assert_eq!(answers.len(), 1, "{}", request.escape_ascii());
    answers.remove(0)
}

// ---- Files ----

#[test]
fn a_file_comes_whole_and_its_headers_say_what_it_is() {
    for_each(&WEB, |program| {
        let site = Site::new("files", program);
        let server = site.serve(program, &[]);
        for (target, content_type, file) in [
            ("/", "text/html; charset=utf-8", "index.html"),
            ("/hello.txt", "text/plain; charset=utf-8", "hello.txt"),
            ("/big.bin", "application/octet-stream", "big.bin"),
            ("/nothing", "application/octet-stream", "nothing"),
            ("/sub/", "text/html; charset=utf-8", "sub/index.html"),
            (
                "/sub/deeper/x.css",
                "text/css; charset=utf-8",
                "sub/deeper/x.css",
            ),
            ("/inside.txt", "text/plain; charset=utf-8", "hello.txt"),
            ("/sub/up.txt", "text/plain; charset=utf-8", "hello.txt"),
            (
                "/link-to-sub/page.html",
                "text/html; charset=utf-8",
                "sub/page.html",
            ),
            (
                "/two%20words%20%26%20more%3f.txt",
                "text/plain; charset=utf-8",
                "two words & more?.txt",
            ),
            ("/%C3%A9.txt", "text/plain; charset=utf-8", "é.txt"),
            ("/é.txt", "text/plain; charset=utf-8", "é.txt"),
            ("/hello.txt?a=b&c", "text/plain; charset=utf-8", "hello.txt"),
            (
                "//sub//.//deeper/../page.html",
                "text/html; charset=utf-8",
                "sub/page.html",
            ),
            (
                "http://here/hello.txt",
                "text/plain; charset=utf-8",
                "hello.txt",
            ),
            ("HTTP://here:80", "text/html; charset=utf-8", "index.html"),
        ] {
            let answer = ask(&server, &get(target));
            let file = site.path("root").join(file);
            assert_eq!(answer.status, 200, "{target}");
            assert_bytes(&answer.body, &fs::read(&file).expect("it is there"));
            assert_eq!(
                answer.header("Content-Type"),
                Some(content_type),
                "{target}"
            );
            assert_eq!(answer.header("Connection"), None, "{target}");
            assert!(
                answer
                    .header("Date")
                    .is_some_and(|date| date.ends_with(" GMT"))
            );
            assert!(
                answer
                    .header("Last-Modified")
                    .is_some_and(|date| date.ends_with(" GMT"))
            );
            assert!(
                answer
                    .header("Server")
                    .is_some_and(|name| name.starts_with("sockstep/"))
            );
            // HEAD: the same, without the body.
            let head = String::from_utf8(get(target))
                .expect("text")
                .replacen("GET", "HEAD", 1);
            let head = ask(&server, head.as_bytes());
            assert_eq!(
                without_date(&head.head),
                without_date(&answer.head),
                "{target}"
            );
        }
        server.stop();
    });
}

fn without_date(head: &str) -> String {
    let lines = head.lines().filter(|line| !line.starts_with("Date: "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_directory_without_its_slash_is_elsewhere() {
    for_each(&WEB, |program| {
        let site = Site::new("slash", program);
        fs::create_dir(site.path("root/a b")).expect("a directory of our own");
        let server = site.serve(program, &[]);
        for (target, location) in [
            ("/sub", "/sub/"),
            ("/sub?query", "/sub/"),
            ("//sub", "/sub/"), // and not //sub/, which would be another host
            ("/sub/deeper/../../sub", "/sub/"),
            ("/a%20b", "/a%20b/"),
        ] {
            let answer = ask(&server, &get(target));
            assert_eq!(
                (answer.status, answer.header("Location")),
                (301, Some(location)),
                "{target}"
            );
        }
        server.stop();
    });
}

#[test]
fn a_client_that_has_the_file_is_told_so() {
    for_each(&WEB, |program| {
        let site = Site::new("modified", program);
        let server = site.serve(program, &[]);
        let file = fs::File::options()
            .append(true)
            .open(site.path("root/hello.txt"));
        let time = std::time::UNIX_EPOCH + Duration::from_secs(784_111_777);
        file.and_then(|file| file.set_modified(time))
            .expect("it is ours");
        assert_eq!(
            ask(&server, &get("/hello.txt")).header("Last-Modified"),
            Some("Sun, 06 Nov 1994 08:49:37 GMT")
        );
        for (status, headers) in [
            (304, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"),
            (304, "if-modified-since:   Sunday, 06-Nov-94 08:49:37 GMT  "),
            (304, "If-Modified-Since: Sun Nov  6 08:49:37 1994"),
            (304, "If-Modified-Since: Tue, 29 Feb 2000 00:00:00 GMT"),
            (200, "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT"),
            (200, "If-Modified-Since: yesterday"),
            (
                200,
                "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\nIf-None-Match: \"tag\"",
            ),
            (
                206,
                "Range: bytes=0-0\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT",
            ),
            (
                200,
                "Range: bytes=0-0\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT",
            ),
            (200, "Range: bytes=0-0\r\nIf-Range: \"tag\""),
        ] {
            let answer = ask(&server, &get_with("/hello.txt", headers));
            assert_eq!(answer.status, status, "{headers}");
            if status == 304 {
                assert_eq!(answer.header("Content-Length"), None);
                assert_eq!(
                    answer.header("Last-Modified"),
                    Some("Sun, 06 Nov 1994 08:49:37 GMT")
                );
            }
        }
        server.stop();
    });
}

#[test]
fn a_part_of_a_file_can_be_had() {
    for_each(&WEB, |program| {
        let site = Site::new("ranges", program);
        site.write("root/ten", "0123456789");
        let server = site.serve(program, &[]);
        for (range, body, content_range) in [
            ("bytes=0-3", "0123", "bytes 0-3/10"),
            ("bytes=4-", "456789", "bytes 4-9/10"),
            ("bytes=-3", "789", "bytes 7-9/10"),
            ("bytes=-99", "0123456789", "bytes 0-9/10"),
            ("bytes=9-9", "9", "bytes 9-9/10"),
            ("bytes=5-99999999999999999999999", "56789", "bytes 5-9/10"),
            ("BYTES=0-0", "0", "bytes 0-0/10"),
        ] {
            let answer = ask(&server, &get_with("/ten", &format!("Range: {range}")));
            assert_eq!(answer.status, 206, "{range}");
            assert_eq!(answer.header("Content-Range"), Some(content_range));
            assert_bytes(&answer.body, body.as_bytes());
        }
        for range in [
            "bytes=10-",
            "bytes=10-20",
            "bytes=-0",
            "bytes=99999999999999999999-",
        ] {
            let answer = ask(&server, &get_with("/ten", &format!("Range: {range}")));
            assert_eq!(
                (answer.status, answer.header("Content-Range")),
                (416, Some("bytes */10")),
                "{range}"
            );
        }
        for range in [
            "bytes=0-1,3-4",
            "bytes=3-2",
            "bytes=a-b",
            "lines=0-1",
            "bytes=",
            "bytes=-",
            "bytes=1",
            "",
            "bytes=--1",
        ] {
            let answer = ask(&server, &get_with("/ten", &format!("Range: {range}")));
            assert_eq!((answer.status, answer.body.len()), (200, 10), "{range}");
        }
        let twice = "Range: bytes=0-1\r\nRange: bytes=2-3";
        assert_eq!(ask(&server, &get_with("/ten", twice)).status, 200);
        let head = b"HEAD /ten HTTP/1.1\r\nHost: here\r\nRange: bytes=0-3\r\n\r\n";
        assert_eq!(ask(&server, head).status, 200);
        let half = ask(&server, &get_with("/big.bin", "Range: bytes=500001-"));
        assert_bytes(&half.body, &random_bytes(7, BIG)[500_001..]);
        server.stop();
    });
}

// ---- Connections ----

#[test]
fn requests_in_a_row_are_answered_in_order() {
    for_each(&WEB, |program| {
        let site = Site::new("row", program);
        let server = site.serve(program, &[]);
        let targets = [
            "/hello.txt",
            "/nope",
            "/sub/",
            "/big.bin",
            "/.secret",
            "/nothing",
            "/",
        ];
        let statuses = [200, 404, 200, 200, 403, 200, 200];
        let requests: Vec<u8> = targets.iter().flat_map(|target| get(target)).collect();
        let all = answers(&converse(&server.connect(), &requests), &[]);
        assert_eq!(
            all.iter().map(|answer| answer.status).collect::<Vec<_>>(),
            statuses
        );
        assert_bytes(&all[3].body, &random_bytes(7, BIG));
        // The same a byte at a time, with empty lines before, and lines that end without CR.
        let mut client = server.connect();
        for byte in b"\r\n\nGET / HTTP/1.1\nHost: here\n\nHEAD / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n" {
            client.say(&[*byte]);
        }
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).expect("the server closes");
        let all = answers(&bytes, &[false, true]);
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].header("Connection"), Some("close"));
        // Many small answers that must not wait for the client's acknowledgement.
        let begun = Instant::now();
        let requests: Vec<u8> = (0..500).flat_map(|_| get("/hello.txt")).collect();
        assert_eq!(
            answers(&converse(&server.connect(), &requests), &[]).len(),
            500
        );
        assert!(begun.elapsed() < at_this_load(10), "{:?}", begun.elapsed());
        server.stop();
    });
}

#[test]
fn a_connection_stays_as_long_as_both_want_it() {
    for_each(&WEB, |program| {
        let site = Site::new("stay", program);
        let server = site.serve(program, &[]);
        let rest = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
        for (count, version, headers, connection) in [
            (2, "1.1", "Host: here\r\n", None),
            (
                1,
                "1.1",
                "Host: here\r\nConnection: close\r\n",
                Some("close"),
            ),
            (
                1,
                "1.1",
                "Host: here\r\nConnection: x, CLOSE\r\n",
                Some("close"),
            ),
            (2, "1.1", "Host: here\r\nConnection: keep-alive\r\n", None),
            (
                1,
                "1.1",
                "Host: here\r\nConnection: keep-alive\r\nConnection: close\r\n",
                Some("close"),
            ),
            (1, "1.0", "", Some("close")),
            (2, "1.0", "Connection: Keep-Alive\r\n", Some("keep-alive")),
            (1, "1.0", "Connection: close, keep-alive\r\n", Some("close")),
            // A body is not read: what follows could be a part of it.
            (
                1,
                "1.1",
                "Host: here\r\nContent-Length: 29\r\n",
                Some("close"),
            ),
            (
                1,
                "1.1",
                "Host: here\r\nTransfer-Encoding: chunked\r\n",
                Some("close"),
            ),
            (2, "1.1", "Host: here\r\nContent-Length: 0\r\n", None),
        ] {
            let requests = format!("GET /hello.txt HTTP/{version}\r\n{headers}\r\n{rest}");
            let all = answers(&converse(&server.connect(), requests.as_bytes()), &[]);
            assert_eq!(
                (all.len(), all[0].header("Connection")),
                (count, connection),
                "{version} {headers}"
            );
            assert_eq!(all[0].status, 200);
        }
        server.stop();
    });
}

#[test]
fn the_last_answer_is_not_lost_when_more_was_said() {
    for_each(&WEB, |program| {
        let site = Site::new("drain", program);
        let server = site.serve(program, &[]);
        for _ in 0..20 {
            // A megabyte that the server does not read: closing at once would reset the connection
            // and lose the answer.
            let mut request =
                b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n".to_vec();
            request.resize(1_000_000, b'x');
            let mut client = server.connect();
            client.say(&request);
            let mut bytes = Vec::new();
            client.read_to_end(&mut bytes).expect("no reset");
            let all = answers(&bytes, &[]);
            assert_eq!(
                (all[0].status, all[0].header("Allow")),
                (405, Some("GET, HEAD"))
            );
        }
        server.stop();
    });
}

#[test]
fn slow_and_silent_clients_cost_a_place_and_no_more() {
    for_each(&WEB, |program| {
        let site = Site::new("slow", program);
        let server = site.serve(program, &["--limit", "4", "--request-timeout", "1"]);
        // More than there are places: silent, half a line, half a head, a head that never ends, an answer not taken.
        let mut clients: Vec<TcpStream> = Vec::new();
        for i in 0..10 {
            let mut client = server.connect();
            client.say(
                [
                    &b""[..],
                    b"GET / HT",
                    b"GET / HTTP/1.1\r\nHos",
                    b"\r\n",
                    b"GET / HTTP/1.1\r\nHost: here\r\n",
                ][i % 5],
            );
            clients.push(client);
        }
        let mut greedy = server.connect();
        greedy.say(&get("/big.bin").repeat(50)); // and never receives
        let answer = ask(&server, &get("/hello.txt"));
        assert_eq!(answer.status, 200);
        for (i, client) in clients.iter_mut().enumerate() {
            let mut bytes = Vec::new();
            client.read_to_end(&mut bytes).expect("the server closes");
            let statuses: Vec<_> = answers(&bytes, &[])
                .iter()
                .map(|answer| answer.status)
                .collect();
            let expected: &[u16] = if matches!(i % 5, 0 | 3) { &[] } else { &[408] };
            assert_eq!(statuses, expected, "client {i}");
        }
        // One byte in good time after another is still too late in the end.
        let mut client = server.connect();
        let begun = Instant::now();
        let mut said = 0;
        while client.write_all(b"x").is_ok() && said < 300 {
            said += 1;
            let mut byte = [0];
            client
                .set_read_timeout(Some(Duration::from_millis(100)))
                .expect("not zero");
            if client.read(&mut byte).is_ok() {
                break;
            }
        }
        assert!(
            begun.elapsed() < at_this_load(10),
            "{said} bytes in {:?}",
            begun.elapsed()
        );
        server.stop();
    });
}

#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    for_each(&WEB, |program| {
        let site = Site::new("untaken", program);
        let mut server = site.serve(program, &["--request-timeout", "1"]);
        let mut client = server.connect();
        client.say(&get("/big.bin").repeat(50));
        let complaint = server.process.complaint();
        assert!(
            complaint.ends_with("sendfile() failed: Resource temporarily unavailable"),
            "{complaint}"
        );
        server.stop();
    });
}

#[test]
fn thousands_of_half_open_requests_do_not_stop_the_next() {
    for_each(&WEB, |program| {
        let site = Site::new("thousands", program);
        let server = site.serve(program, &["--limit", "4000"]);
        let clients: Vec<TcpStream> = (0..2000)
            .map(|_| {
                let mut client = server.connect();
                client.say(b"GET / HTTP/1.1\r\nX: ");
                client
            })
            .collect();
        assert_eq!(ask(&server, &get("/hello.txt")).status, 200);
        clients.into_iter().for_each(reset);
        assert_eq!(ask(&server, &get("/hello.txt")).status, 200);
        server.stop();
    });
}

#[test]
fn endless_requests_end() {
    for_each(&WEB, |program| {
        let site = Site::new("endless", program);
        let server = site.serve(program, &["--request-timeout", "2"]);
        for (begin, more, status) in [
            ("GET /", "x", 414),
            ("", "A", 414),
            ("GET / HTTP/1.1\r\n", "X: y\r\n", 431),
            ("GET / HTTP/1.1\r\nX: ", "y", 431),
            ("POST / HTTP/1.1\r\n", "y", 431),
        ] {
            let client = server.connect();
            let mut writer = client.try_clone().expect("a descriptor is free");
            let writing = std::thread::spawn(move || {
                let _ = writer.write_all(begin.as_bytes()); // until the server has had enough
                let piece = more.repeat(1 << 16);
                while writer.write_all(piece.as_bytes()).is_ok() {}
            });
            // The server drains for two seconds: an answer read before that is not lost.
            let mut bytes = [0; 12];
            (&client).read_exact(&mut bytes).expect("an answer");
            assert_eq!(
                std::str::from_utf8(&bytes),
                Ok(&*format!("HTTP/1.1 {status}")),
                "{begin}{more}..."
            );
            let _ = client.shutdown(Shutdown::Both);
            writing.join().expect("it ends");
        }
        assert_eq!(ask(&server, &get("/hello.txt")).status, 200);
        server.stop();
    });
}

// ---- Hostile requests ----

/// As many of these as a test needs, each with the status that it must get.
#[allow(clippy::too_many_lines, reason = "a table")]
fn hostile() -> Vec<(Vec<u8>, u16)> {
    let mut all: Vec<(Vec<u8>, u16)> = Vec::new();
    // URLs.
    for (target, status) in [
        ("/..", 400),
        ("/../", 400),
        ("/../canary.txt", 400),
        ("/../root/hello.txt", 400),
        ("/../../../../../../etc/passwd", 400),
        ("/sub/../../canary.txt", 400),
        ("/sub/deeper/../../../canary.txt", 400),
        ("/./../canary.txt", 400),
        ("//../canary.txt", 400),
        ("/sub//../../canary.txt", 400),
        ("/.././hello.txt", 400),
        ("/%2e%2e/canary.txt", 400),
        ("/%2E%2E/canary.txt", 400),
        ("/.%2e/canary.txt", 400),
        ("/%2e./canary.txt", 400),
        ("/..%2fcanary.txt", 400),
        ("/%2e%2e%2fcanary.txt", 400),
        ("/sub%2f..%2f..%2fcanary.txt", 400),
        ("/sub/%2e%2e/%2e%2e/canary.txt", 400),
        ("/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd", 400),
        ("http://here/../canary.txt", 400),
        ("http://here/%2e%2e/canary.txt", 400),
        ("/%252e%252e/canary.txt", 404), // decoded once: %2e%2e is a name like any other
        ("/%252e%252e%252fcanary.txt", 404),
        ("/..%252fcanary.txt", 403), // so is ..%2fcanary.txt, but it begins with a dot
        ("/..%5ccanary.txt", 403),
        ("/..\\canary.txt", 403),
        ("/sub\\..\\..\\canary.txt", 404),
        ("/....//canary.txt", 403),
        ("/.../", 403),
        ("/...", 403),
        ("/..;/canary.txt", 403),
        ("/%c0%ae%c0%ae/canary.txt", 404), // an overlong dot is no dot
        ("/%e0%80%ae/canary.txt", 404),
        ("/%uff0e%uff0e/canary.txt", 400),
        ("/\u{ff0e}\u{ff0e}/canary.txt", 404),
        ("/../root-of-others/canary.txt", 400),
        ("/-of-others/canary.txt", 404),
        ("/%00", 400),
        ("/hello.txt%00", 400),
        ("/hello.txt%00.html", 400),
        ("/%00/../hello.txt", 400),
        ("/hello.txt%0a", 400),
        ("/hello.txt%0d%0aX-Injected:%20yes", 400),
        ("/sub%0d%0aX-Injected:%20yes", 400),
        ("/%1b[2J", 400),
        ("/%7f", 400),
        ("/%", 400),
        ("/%2", 400),
        ("/%zz", 400),
        ("/%2z", 400),
        ("/%-1", 400),
        ("/%+1", 400),
        ("/% 1", 400),
        ("/%%32%65", 400),
        ("/hello.txt#", 400),
        ("/hello.txt#fragment", 400),
        ("/.secret", 403),
        ("/%2esecret", 403),
        ("/sub/../.secret", 403),
        ("/.hidden/file.txt", 403),
        ("/.hidden/", 403),
        ("/.hidden", 403),
        ("/sub/.nothing", 403),
        ("/.git/config", 403),
        ("/.well", 403),
        ("/outside.txt", 403), // links that leave the root
        ("/parent/canary.txt", 403),
        ("/parent/root/hello.txt", 403),
        ("/parent/", 403),
        ("/parent", 403),
        ("/slash/etc/passwd", 403),
        ("/slash", 403),
        ("/passwd", 403),
        ("/around", 403),
        ("/magic/etc/passwd", 403),
        ("/loop", 403),
        ("/loop/x", 403),
        ("/zero", 403),
        ("/pipe", 403),
        ("/pipe/", 404),
        ("/socket", 403),
        ("/empty/", 403),
        ("/empty", 301),
        ("/hello.txt/", 404),
        ("/hello.txt/x", 404),
        ("/hello.txt/..", 200),
        ("/nope/../hello.txt", 200), // by its name alone, as a browser has it
        ("/nope", 404),
        ("/nope/", 404),
        ("/HELLO.TXT", 404),
        ("/hello.txt.", 404),
        ("/hello.txt%20", 404),
        ("/~root", 404),
        ("/con", 404),
        ("/%2f%2fetc/passwd", 404),
        ("//etc/passwd", 404),
        ("/proc/self/environ", 404),
        ("http://here", 200),
        ("http://", 400),
        ("http:///hello.txt", 400),
        ("http:/hello.txt", 400),
        ("https://here/hello.txt", 400),
        ("ftp://here/hello.txt", 400),
        ("file:///etc/passwd", 400),
        ("http://user@here/hello.txt", 400),
        ("http://here:80/hello.txt", 200),
        ("http://[::1]:80/hello.txt", 200),
        ("http://:80/hello.txt", 400),
        ("http://here:x/hello.txt", 400),
        ("http://[::1/hello.txt", 400),
        ("hello.txt", 400),
        ("../canary.txt", 400),
        ("*", 400),
        ("?", 400),
        ("\\", 400),
        ("here:80", 400),
    ] {
        all.push((get(target), status));
    }
    all.push((get(&format!("/{}", "a".repeat(255))), 404));
    all.push((get(&format!("/{}", "a".repeat(256))), 404));
    all.push((get(&format!("/{}", "a/".repeat(4000))), 404));
    all.push((get(&"/sub/..".repeat(1000)), 200));
    all.push((get(&"/..".repeat(2000)), 400));
    all.push((get(&"/".repeat(8000)), 200));
    all.push((get(&format!("/?{}", "%00../".repeat(1000))), 200));
    let line = "GET / HTTP/1.1".len();
    all.push((get(&format!("/?{}", "a".repeat(8192 - line - 1))), 200)); // a line of 8192 bytes
    all.push((get(&format!("/?{}", "a".repeat(8192 - line))), 414));
    all.push((get(&format!("/{}", "a".repeat(100_000))), 414));
    // Request lines.
    for (line, status) in [
        (&b"GET / HTTP/1.1"[..], 200),
        (b"GET / HTTP/1.0", 200),
        (b"GET /", 400),
        (b"GET", 400),
        (b" ", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET /  HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET\t/\tHTTP/1.1", 400),
        (b"GET /a b HTTP/1.1", 400),
        (b"GET /\x00 HTTP/1.1", 400),
        (b"GET /\x01 HTTP/1.1", 400),
        (b"GET /\x7f HTTP/1.1", 400),
        (b"GET /\x80\xff HTTP/1.1", 404),
        (b"GET /\r HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r", 400),
        (b"GET / HTTP/1.1\x00", 400),
        (b"G\x00T / HTTP/1.1", 400),
        (b"(GET) / HTTP/1.1", 400),
        (b"get / HTTP/1.1", 501),
        (b"GETS / HTTP/1.1", 501),
        (b"BREW /pot HTTP/1.1", 501),
        (b"PROPFIND / HTTP/1.1", 501),
        (b"POST / HTTP/1.1", 405),
        (b"PUT /new HTTP/1.1", 405),
        (b"DELETE /hello.txt HTTP/1.1", 405),
        (b"OPTIONS * HTTP/1.1", 405),
        (b"TRACE / HTTP/1.1", 405),
        (b"PATCH / HTTP/1.1", 405),
        (b"CONNECT here:443 HTTP/1.1", 405),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1", 400),
        (b"GET / HTTP/1.", 400),
        (b"GET / HTTP/1.10", 400),
        (b"GET / HTTP/01.1", 400),
        (b"GET / HTTP/-1.1", 400),
        (b"GET / HTTP/a.b", 400),
        (b"GET / HTTPS/1.1", 400),
        (b"GET / ICY/1.1", 400),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/1.2", 505),
        (b"GET / HTTP/2.0", 505),
        (b"PRI * HTTP/2.0", 505),
        (b"GET / HTTP/9.9", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400), // TLS
        (b"\xff\xfe", 400),
        (b"SSH-2.0-OpenSSH_9.2", 400),
    ] {
        all.push(([line, b"\r\nHost: here\r\n\r\n"].concat(), status));
    }
    // A method that is refused, in a request whose end or whose host is in doubt.
    for (headers, status) in [
        ("Host: here\r\nContent-Length: 0", 405),
        ("Host: here\r\nContent-Length: 3", 405),
        ("Host: here\r\nTransfer-Encoding: chunked", 405),
        ("Content-Length: 3", 400),
        ("Host: here\r\nHost: here", 400),
        ("Host: here\r\nContent-Length: 3\r\nContent-Length: 4", 400),
        ("Host: here\r\nContent-Length: -3", 400),
        (
            "Host: here\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
            400,
        ),
        ("Host: here\r\nTransfer-Encoding: gzip", 501),
        ("Host: here\r\nX: a\r\n b", 400),
        ("Host: here\r\nno colon", 400),
    ] {
        all.push((
            format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n").into_bytes(),
            status,
        ));
    }
    // Headers.
    for (headers, status) in [
        (&b""[..], 400), // no Host
        (b"Host: here", 200),
        (b"HOST:here", 200),
        (b"Host:", 200),
        (b"Host: [::1]:8080", 200),
        (b"Host: [::1]", 200),
        (b"Host: [::ffff:127.0.0.1]:", 200),
        (b"Host: 127.0.0.1:8080", 200),
        (b"Host: here:", 200),
        (b"Host: h%65re:80", 200),
        (b"Host: here;a=b,c", 200),
        (b"Host: :80", 200),
        (b"Host: here:80:80", 400),
        (b"Host: here:http", 400),
        (b"Host: here:-1", 400),
        (b"Host: ::1", 400),
        (b"Host: [", 400),
        (b"Host: []", 400),
        (b"Host: [::1", 400),
        (b"Host: ::1]", 400),
        (b"Host: [::1]8080", 400),
        (b"Host: [::1]:x", 400),
        (b"Host: [::g]", 400),
        (b"Host: [1::2::3]", 400),
        (b"Host: [here]", 400),
        (b"Host: [127.0.0.1]", 400),
        (b"Host: [fe80::1%25lo]", 400),
        (b"Host: [[::1]]", 400),
        (b"Host: he[re]", 400),
        (b"Host: he%re", 400),
        (b"Host: he%4", 400),
        (
            b"Host: here\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic YTpi",
            400,
        ),
        (
            b"Host: here\r\nAuthorization: Basic YTpi\r\nauthorization: Bearer x",
            400,
        ),
        (b"Host: here\r\nHost: here", 400),
        (b"Host: here\r\nhost: there", 400),
        (b"Host: here there", 400),
        (b"Host: here/there", 400),
        (b"Host: me@here", 400),
        (b"Host: \"here\"", 400),
        (b"Host: h\xc3\xa9re", 400),
        (b"Host : here", 400),
        (b" Host: here", 400),
        (b"\tHost: here", 400),
        (b"Host", 400),
        (b": here\r\nHost: here", 400),
        (b"Host: here\r\nno colon", 400),
        (b"Host: here\r\n folded: yes", 400),
        (b"Host: here\r\nX: a\r\n\tb", 400),
        (b"Host: here\r\nX: \x00", 400),
        (b"Host: here\r\nX: a\rb", 400),
        (b"Host: here\r\nX: \x1b[31m", 400),
        (b"Host: here\r\nX\x00: a", 400),
        (b"Host: here\r\nX Y: a", 400),
        (b"Host: here\r\nX(Y): a", 400),
        (b"Host: here\r\nX: \xff\xfe", 200),
        (b"Host: here\r\nX:", 200),
        (b"Host: here\r\nContent-Length: 0", 200),
        (b"Host: here\r\nContent-Length: 5", 200),
        (
            b"Host: here\r\nContent-Length: 99999999999999999999999999",
            200,
        ),
        (b"Host: here\r\nContent-Length: -1", 400),
        (b"Host: here\r\nContent-Length: +1", 400),
        (b"Host: here\r\nContent-Length: 0x10", 400),
        (b"Host: here\r\nContent-Length: 1 2", 400),
        (b"Host: here\r\nContent-Length: 5, 5", 400),
        (b"Host: here\r\nContent-Length:", 400),
        (b"Host: here\r\nContent-Length: five", 400),
        (b"Host: here\r\nContent-Length: 5\r\nContent-Length: 5", 400),
        (b"Host: here\r\nContent-Length: 5\r\ncontent-length: 6", 400),
        (
            b"Host: here\r\nContent-Length: 0\r\nTransfer-Encoding: chunked",
            400,
        ),
        (
            b"Host: here\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
            400,
        ),
        (b"Host: here\r\nTransfer-Encoding: chunked", 200),
        (
            b"Host: here\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            400,
        ),
        (b"Host: here\r\nTransfer-Encoding: gzip, chunked", 501),
        (b"Host: here\r\nTransfer-Encoding: xchunked", 501),
        (b"Host: here\r\nTransfer-Encoding: \x0bchunked", 400),
        (b"Host: here\r\nTransfer-Encoding : chunked", 400),
        (b"Host: here\r\nExpect: 100-continue", 200),
        (b"Host: here\r\nRange: bytes=0-0,-1", 200),
        (b"Host: here\r\nRange: bytes=9999-", 416),
        (b"Host: here\r\nConnection: \xff, , ,", 200),
    ] {
        all.push((
            [b"GET / HTTP/1.1\r\n", headers, b"\r\n\r\n"].concat(),
            status,
        ));
    }
    let many = |count: usize| "X: y\r\n".repeat(count - 1).trim_end().to_owned();
    all.push((get_with("/", &many(100)), 200));
    all.push((get_with("/", &many(101)), 431));
    all.push((get_with("/", &format!("X: {}", "y".repeat(8192 - 3))), 200));
    all.push((get_with("/", &format!("X: {}", "y".repeat(8192 - 2))), 431));
    all.push((
        get_with("/", &format!("Range: bytes={}", "0-0,".repeat(1500))),
        200,
    ));
    all.push((get_with("/", &"X: y".repeat(100_000)), 431));
    // What ends too early.
    all.push((b"GET / HTTP/1.1\r\nHost: here\r\n".to_vec(), 400));
    all.push((b"GET / HTTP/1.1\r\nHost: he".to_vec(), 400));
    all.push((b"G".to_vec(), 400));
    // HTTP/1.0 has no chunks, and needs no host.
    all.push((b"GET / HTTP/1.0\r\n\r\n".to_vec(), 200));
    all.push((
        b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        400,
    ));
    all.push((
        b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(),
        400,
    ));
    all.push((b"GET / HTTP/1.0\n\n".to_vec(), 200));
    all
}

#[test]
fn a_hostile_request_gets_a_status_and_nothing_from_outside() {
    assert!(hostile().len() >= 120, "{}", hostile().len());
    for_each(&WEB, |program| {
        let site = Site::new("hostile", program);
        let server = site.serve(program, &["--quiet"]);
        let wrong: Vec<String> = hostile()
            .into_iter()
            .filter_map(|(request, status)| {
                let answer = ask(&server, &request);
                let text = String::from_utf8_lossy(&answer.body);
                assert!(
                    !text.contains(CANARY) && !text.contains("root:"),
                    "{}",
                    request.escape_ascii()
                );
                assert!(
                    !answer.head.to_lowercase().contains("injected"),
                    "{}",
                    answer.head
                );
                let shown = request[..request.len().min(100)].escape_ascii().to_string();
                (answer.status != status)
                    .then(|| format!("{shown}: {} instead of {status}", answer.status))
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        // Not one of them left a thread, a descriptor or a connection behind.
        assert_eq!(ask(&server, &get("/hello.txt")).status, 200);
        let outcome = server.stop();
        assert_eq!(outcome.stderr, "");
    });
}

#[test]
fn both_languages_answer_the_same_bytes() {
    let site = Site::new("same", Program::rust("web_server"));
    let servers = Program::both("web_server").map(|program| site.serve(program, &["--quiet"]));
    for (request, _) in hostile() {
        let [rust, c] = [&servers[0], &servers[1]].map(|server| {
            let answer = ask(server, &request);
            (without_date(&answer.head), answer.body)
        });
        assert_eq!(rust, c, "{}", request.escape_ascii());
    }
    for server in servers {
        server.stop();
    }
}

/// What chance makes of the table: the C twin, built so that it stops at the first byte out of place.
#[test]
fn random_requests_find_no_fault_in_the_twins_memory() {
    let rounds = std::env::var("SOCKSTEP_WEB_FUZZ").map_or(5_000, |n| n.parse().expect("a number"));
    let program = Program::c("web_server");
    let site = Site::new("fuzz", program);
    let path = site.path("web_server");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/web_server.c");
    let sanitized = [
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        "-g",
        "-O1",
        "-std=gnu11",
    ];
    let built = run(
        Command::new("cc")
            .args(sanitized)
            .arg("-o")
            .arg(&path)
            .arg(source),
        b"",
    );
    assert!(built.status.success(), "{built:?}");
    let root = site.path("root");
    let mut command = Command::new(&path);
    command
        .args(["--bind", "127.0.0.1", "--quiet", "--user", "a:b", "--root"])
        .arg(root)
        .arg("0");
    let mut server = Server::start_by(program, &mut command);

    let seeds = hostile();
    let mut random = crate::support::Random(0x5eed);
    let pieces: [&[u8]; 14] = [
        b"\r\n",
        b"%2e",
        b"%",
        b"../",
        b"/",
        b" HTTP/1.1",
        b"\0",
        b"Range: bytes=-",
        b"If-Modified-Since: Sun Nov  6",
        b"Authorization: Basic YTpi\r\n",
        b",",
        b"GET ",
        b":",
        b"99999999999999999999",
    ];
    for round in 0..rounds {
        let (seed, _) = &seeds[random.below(seeds.len())];
        let mut request = seed[..seed.len().min(9000)].to_vec();
        for _ in 0..random.below(6) {
            let at = random.below(request.len() + 1);
            match random.below(4) {
                0 => _ = request.splice(at..at, pieces[random.below(pieces.len())].iter().copied()),
                1 if at < request.len() => request[at] = random.next().to_le_bytes()[0],
                2 => request.truncate(at),
                _ => request.extend_from_within(at..),
            }
        }
        let client = server.connect();
        let answer = converse(&client, &request);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 "),
            "{}",
            request.escape_ascii()
        );
        assert!(
            !answer
                .windows(CANARY.len())
                .any(|bytes| bytes == CANARY.as_bytes()),
            "{}",
            request.escape_ascii()
        );
        assert!(
            server.process.is_running(),
            "after request {round}: {}",
            request.escape_ascii()
        );
    }
    assert_eq!(server.stop().stderr, "");
}

// ---- Who may have what ----

#[test]
fn with_a_password_only_those_who_know_it_are_served() {
    for_each(&WEB, |program| {
        let site = Site::new("user", program);
        let mut server = site.serve(program, &["--user", "anna:open sesame"]);
        for (status, headers) in [
            (200, "Authorization: Basic YW5uYTpvcGVuIHNlc2FtZQ=="),
            (200, "authorization: bAsIc YW5uYTpvcGVuIHNlc2FtZQ=="),
            (401, "X: y"),
            (401, "Authorization:"),
            (401, "Authorization: Basic"),
            (401, "Authorization: Basic YW5uYTpvcGVuIHNlc2FtZQ="),
            (401, "Authorization: Basic YW5uYTpvcGVuIHNlc2FtZR=="),
            (401, "Authorization: Basic YW5uYTpvcGVuIHNlc2FtZQ==="),
            (401, "Authorization: Bearer YW5uYTpvcGVuIHNlc2FtZQ=="),
            (401, "Authorization: anna:open sesame"),
        ] {
            let answer = ask(&server, &get_with("/hello.txt", headers));
            assert_eq!(answer.status, status, "{headers}");
            let challenge = (status == 401).then_some("Basic realm=\"files\"");
            assert_eq!(answer.header("WWW-Authenticate"), challenge);
            let name = if status == 200 { "anna" } else { "-" };
            let line = server.process.line();
            assert!(line.starts_with(&format!("127.0.0.1 - {name} [")), "{line}");
        }
        assert_eq!(ask(&server, &get("/nope")).status, 401); // whether a file exists is not told to others
        server.stop();
    });
}

#[test]
fn a_list_shows_what_is_there_and_escapes_it() {
    let program = Program::rust("web_server"); // beyond the twin
    let site = Site::new("list", program);
    site.write("root/empty/<b>&\"\u{202e}", "");
    site.write("root/empty/javascript:x", "");
    site.write("root/empty/.hidden", "");
    fs::create_dir(site.path("root/empty/directory")).expect("ours");
    let server = site.serve(program, &["--list"]);
    let answer = ask(&server, &get("/empty/"));
    assert_eq!(answer.status, 200);
    let page = "<!DOCTYPE html>\n<title>/empty/</title>\n<h1>/empty/</h1>\n<ul>\n\
        <li><a href=\"../\">../</a>\n\
        <li><a href=\"./%3Cb%3E%26%22%E2%80%AE\">&lt;b>&amp;&quot;\\xe2\\x80\\xae</a>\n\
        <li><a href=\"./directory/\">directory/</a>\n\
        <li><a href=\"./javascript%3Ax\">javascript:x</a>\n</ul>\n";
    assert_eq!(String::from_utf8_lossy(&answer.body), page);
    assert_eq!(ask(&server, &get("/")).body, b"<h1>it works</h1>\n"); // index.html comes first
    assert_eq!(ask(&server, &get("/nope/")).status, 404);
    assert_eq!(ask(&server, &get("/parent/")).status, 403);
    server.stop();
}

// ---- The log and the start ----

#[test]
fn the_log_has_a_line_for_each_answer_and_does_nothing_to_a_terminal() {
    for_each(&WEB, |program| {
        let site = Site::new("log", program);
        let mut server = site.serve(program, &[]);
        for (request, line) in [
            (get("/hello.txt"), "\"GET /hello.txt HTTP/1.1\" 200 11"),
            (get("/nothing"), "\"GET /nothing HTTP/1.1\" 200 -"),
            (
                get("/\u{202e}\\"),
                "\"GET /\\xe2\\x80\\xae\\\\ HTTP/1.1\" 404 68",
            ),
            (get("/\" 200 1"), "\"GET /\\\" 200 1 HTTP/1.1\" 400 72"),
            (b"\x1b[31mred\n\n".to_vec(), "\"\\x1b[31mred\" 400 72"),
            (b"HEAD / HTTP/1.0\n\n".to_vec(), "\"HEAD / HTTP/1.0\" 200 -"),
            (b"half a li".to_vec(), "\"-\" 400 72"),
        ] {
            ask(&server, &request);
            let logged = server.process.line();
            let (start, rest) =
                logged.split_at("127.0.0.1 - - [25/Nov/2026:00:41:09 +0000] ".len());
            assert_eq!(rest, line);
            assert!(
                start.starts_with("127.0.0.1 - - [") && start.ends_with(" +0000] "),
                "{start}"
            );
        }
        server.stop();
    });
}

#[test]
fn it_serves_both_families_at_once() {
    for_each(&WEB, |program| {
        let site = Site::new("families", program);
        let root = site.path("root");
        let mut process = Process::start(program.command().arg("--root").arg(root).args([
            "--max-clients",
            "2",
            "0",
        ]));
        let ready = process.line();
        let port = ready
            .strip_prefix("listening on [::]:")
            .expect("any address");
        let port = port.parse().expect("a port");
        for (address, shown) in [
            (local(port), "127.0.0.1"),
            (([0, 0, 0, 0, 0, 0, 0, 1], port).into(), "::1"),
        ] {
            let client = TcpStream::connect(address).expect("it listens");
            assert_eq!(answers(&converse(&client, &get("/")), &[])[0].status, 200);
            assert!(process.line().starts_with(&format!("{shown} - - [")));
        }
        assert_eq!(process.end(), Outcome::done(""));
    });
}

#[test]
fn bad_arguments_and_failed_calls_are_one_line() {
    for_each(&WEB, |program| {
        for args in [
            &["65536"][..],
            &["80", "80"],
            &["--bind", "here", "0"],
            &["--bind", "1.2.3", "0"],
            &["--limit", "0", "0"],
            &["--user", "nocolon", "0"],
            &["--request-timeout", "0", "0"],
            &["--nonsense"],
            &["--max-clients", "0"],
        ] {
            let outcome = run(program.command().args(args), b"");
            assert_eq!(
                (outcome.status.code(), outcome.stdout()),
                (Some(2), ""),
                "{args:?}"
            );
        }
        let outcome = run(program.command().args(["--root", "/nonexistent", "0"]), b"");
        assert_eq!(
            outcome,
            Outcome::failed("open() failed: No such file or directory")
        );
        let outcome = run(program.command().args(["--root", "/dev/null", "0"]), b"");
        assert_eq!(outcome, Outcome::failed("open() failed: Not a directory"));
        let outcome = run(program.command().args(["--bind", "192.0.2.1", "0"]), b"");
        assert_eq!(
            outcome,
            Outcome::failed("bind() failed: Cannot assign requested address")
        );
    });
}

#[test]
fn without_descriptors_a_client_waits_and_is_served() {
    for_each(&WEB, |program| {
        let site = Site::new("descriptors", program);
        let root = site.path("root");
        let mut command = program.with_faults(&[
            "accept:error=EMFILE:when=1..2",
            "openat2:error=ENFILE:when=1",
        ]);
        command
            .args(["--bind", "127.0.0.1", "--root"])
            .arg(root)
            .arg("0");
        let mut server = Server::start_by(program, &mut command);
        let requests = get("/").repeat(2); // strace counts in each thread
        let all = answers(&converse(&server.connect(), &requests), &[]);
        assert_eq!((all[0].status, all[1].status), (500, 200));
        assert_eq!(
            server.process.complaint(),
            "accept() failed: Too many open files"
        );
        let complaint = server.process.complaint();
        assert!(
            complaint.ends_with("openat2() failed: Too many open files in system"),
            "{complaint}"
        );
        server.stop();
    });
}

#[test]
fn a_request_whose_end_is_known_is_followed_by_the_next() {
    for_each(&WEB, |program| {
        let site = Site::new("follow", program);
        let server = site.serve(program, &[]);
        let row = [
            &b"OPTIONS * HTTP/1.1\r\nHost: here\r\n\r\n"[..],
            b"BREW /pot HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n",
            &get("/hello.txt"),
            b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 31\r\n\r\n",
            &get("/hello.txt"), // the body
        ];
        let all = answers(&converse(&server.connect(), &row.concat()), &[]);
        let statuses: Vec<u16> = all.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [405, 501, 200, 405]);
        assert_eq!(all[0].header("Connection"), None);
        assert_eq!(all[3].header("Connection"), Some("close"));
        server.stop();
    });
}

#[test]
fn no_more_clients_are_accepted_than_the_descriptors_can_serve() {
    for_each(&WEB, |program| {
        let site = Site::new("few", program);
        let few = ["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"];
        let mut command = program.under(&few);
        command
            .args(["--bind", "127.0.0.1", "--root"])
            .arg(site.path("root"))
            .arg("0");
        let mut server = Server::start_by(program, &mut command);
        assert_eq!(
            server.process.complaint(),
            "only 24 connections at a time: this process may have 64 descriptors"
        );
        let mut clients: Vec<TcpStream> = (0..60)
            .map(|_| {
                let mut client = server.connect();
                client.say(&get("/hello.txt"));
                client
            })
            .collect();
        // Each that is served leaves its place to the next.
        for client in &mut clients {
            hear_answer(client, false);
            let _ = client.shutdown(Shutdown::Both);
        }
        let outcome = server.stop();
        assert_eq!(outcome.stderr, "");
    });
}

// ---- Threads ----

/// The threads of a server, and whether all of them wait for something.
fn threads(server: &Server) -> (BTreeSet<u32>, bool) {
    let tasks = format!("/proc/{}/task", server.process.pid());
    let names = fs::read_dir(tasks).expect("it runs");
    let ids = names.map(|name| name.expect("it runs").file_name());
    let ids: BTreeSet<u32> = ids
        .map(|id| {
            id.to_str()
                .and_then(|id| id.parse().ok())
                .expect("a number")
        })
        .collect();
    let asleep = ids.iter().all(|id| {
        let stat = format!("/proc/{}/task/{id}/stat", server.process.pid());
        let stat = fs::read_to_string(stat).unwrap_or_default(); // it may have ended
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('S'))
    });
    (ids, asleep)
}

fn wait_until_all_threads_wait(server: &Server) {
    until(|| threads(server).1.then_some(())).expect("each waits for a client");
}

#[test]
fn a_thread_that_is_done_takes_the_next_client() {
    for_each(&WEB, |program| {
        let site = Site::new("threads", program);
        let server = site.serve(program, &[]);
        let mut seen = BTreeSet::new();
        for _ in 0..20 {
            let mut client = server.connect();
            client.say(&get("/hello.txt"));
            hear_answer(&mut client, false);
            seen.extend(threads(&server).0);
            drop(client);
            wait_until_all_threads_wait(&server);
        }
        // The first of all, and the two that take turns; on a busy machine one may be made while another is on its way back.
        assert!((3..=6).contains(&seen.len()), "{seen:?}");
        // As many as there are clients, and not without end.
        let clients: Vec<TcpStream> = (0..60)
            .map(|_| {
                let mut client = server.connect();
                client.say(&get("/hello.txt"));
                hear_answer(&mut client, false);
                client
            })
            .collect();
        assert!(threads(&server).0.len() > 60);
        drop(clients);
        let few = until(|| (threads(&server).0.len() <= 1 + 32).then_some(()));
        assert!(few.is_some(), "{:?}", threads(&server));
        assert_eq!(ask(&server, &get("/hello.txt")).status, 200);
        server.stop();
    });
}

#[test]
fn without_another_thread_a_client_waits_and_is_served() {
    for_each(&WEB, |program| {
        let site = Site::new("no-thread", program);
        // strace counts in each thread: the first that serves makes one other, and no more.
        let mut command = program.with_faults(&["clone3:error=EAGAIN:when=2+"]);
        command
            .args(["--bind", "127.0.0.1", "--root"])
            .arg(site.path("root"))
            .arg("0");
        let mut server = Server::start_by(program, &mut command);
        let mut client = server.connect();
        // Clients are served in the order in which they wait: the second must wait before the first
        // is done.
        let both = || {
            let (threads, asleep) = threads(&server);
            (threads.len() == 3 && asleep).then_some(())
        };
        until(both).expect("the second thread waits");
        client.say(&get("/hello.txt"));
        hear_answer(&mut client, false);
        drop(client);
        wait_until_all_threads_wait(&server);
        let mut of_the_second = server.connect();
        of_the_second.say(&get("/hello.txt"));
        hear_answer(&mut of_the_second, false);
        let mut of_the_first = server.connect();
        assert_eq!(
            server.process.complaint(),
            "pthread_create() failed: Resource temporarily unavailable"
        );
        of_the_first.say(&get("/hello.txt"));
        hear_answer(&mut of_the_first, false);
        let mut waiting = server.connect();
        waiting.say(&get("/hello.txt"));
        drop(of_the_first);
        hear_answer(&mut waiting, false);
        server.stop();
    });
}

// ---- The same calls ----

#[test]
fn program_and_twin_make_the_same_calls() {
    require("strace", "the traces of these tests");
    let traces = Program::both("web_server").map(|program| {
        let site = Site::new("calls", program);
        let traces = site.path("traces");
        fs::create_dir(&traces).expect("ours");
        let output = format!("--output={}/t", traces.display());
        let root = site.path("root");
        // Memory and threads are each language's own.
        let calls = "--trace=%network,openat2,fstat,newfstatat,sendfile,write,close";
        let mut command = program.under(&["strace", "-ff", "-qq", &output, calls]);
        command
            .args(["--bind", "127.0.0.1", "--max-clients", "2", "--root"])
            .arg(root)
            .arg("0");
        let mut server = Server::start_by(program, &mut command);
        let row = [
            get("/hello.txt"),
            b"HEAD /big.bin HTTP/1.1\r\nHost: here\r\n\r\n".to_vec(),
            get("/big.bin"),
            get("/sub"),
            get("/empty/"),
        ];
        let mut client = server.connect();
        for (request, heads) in row.iter().zip([false, true, false, false, false]) {
            client.say(request);
            hear_answer(&mut client, heads);
        }
        drop(client);
        let mut client = server.connect();
        client.say(b"POST / HTTP/1.0\r\n\r\n");
        hear_answer(&mut client, false);
        assert_eq!(client.read(&mut [0]).expect("it closes"), 0);
        drop(client);
        assert_eq!(server.process.end().status.code(), Some(0));
        let mut files: Vec<_> = fs::read_dir(&traces)
            .expect("ours")
            .map(|entry| entry.expect("ours").path())
            .collect();
        files.sort();
        let lanes = files
            .iter()
            .map(|file| lane(&fs::read_to_string(file).expect("text")));
        lanes.collect::<Vec<_>>()
    });
    assert_eq!(traces[0].len(), 3);
    for (rust, c) in traces[0].iter().zip(&traces[1]) {
        assert_eq!(rust, c);
    }
    assert!(
        traces[0][1]
            .iter()
            .any(|call| call.starts_with("sendfile(")),
        "{:?}",
        traces[0]
    );
}

/// Receives one answer and no byte more.
fn hear_answer(client: &mut TcpStream, is_head: bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(client.hear(1));
    }
    let head = String::from_utf8(head).expect("text");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .expect("a length");
    if !is_head {
        client.hear(length.parse().expect("a number"));
    }
}

/// The calls of one thread, from the first `socket(` on in the one that accepts, without what varies.
fn lane(trace: &str) -> Vec<String> {
    // `???( <detached ...>` is what strace writes when it misses a thread's end.
    let lines = trace.lines().filter(|line| !line.starts_with("???"));
    let lines: Vec<&str> = lines.collect();
    let start = lines
        .iter()
        .position(|line| line.starts_with("socket("))
        .unwrap_or_default();
    // The descriptors' numbers are random: another thread may have opened something in between.
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    lines[start..]
        .iter()
        .map(|line| {
            let mut line = (*line).to_owned();
            for (number, name) in &names {
                for (before, after) in [("(", ","), ("(", ") "), ("(SOCKET, ", ",")] {
                    let call = format!("{before}{number}{after}");
                    line = line.replacen(&call, &format!("{before}{name}{after}"), 1);
                }
            }
            let name = match line.split('(').next() {
                Some("accept") => Some("SOCKET"),
                Some("openat2") => Some("FILE"),
                _ => None,
            };
            if let (Some(name), Some((call, number))) = (name, line.clone().rsplit_once(" = ")) {
                names.retain(|_, other| *other != name);
                names.insert(number.to_owned(), name);
                line = format!("{call} = {name}");
            }
            let line = line.as_str();
            let line = line.split("\\r\\nDate: ").next().unwrap_or_default(); // and the time of the file
            let line = line.split("st_mtime").next().unwrap_or_default();
            let line = line.split(" - - [").next().unwrap_or_default(); // so has the log
            let words = line.split("htons(").enumerate().map(|(i, word)| {
                if i == 0 {
                    word
                } else {
                    word.trim_start_matches(|c: char| c.is_ascii_digit())
                }
            });
            crate::support::without_ports(&words.collect::<Vec<_>>().join("htons(PORT"))
        })
        .collect()
}

// ---- Real clients ----

#[test]
fn curl_is_served() {
    require("curl", "the web server's tests");
    for_each(&WEB, |program| {
        let site = Site::new("curl", program);
        let server = site.serve(program, &["--user", "me:pass"]);
        let url = |path: &str| format!("http://127.0.0.1:{}{path}", server.port);
        let curl = |args: &[&str]| {
            run(
                Command::new("curl")
                    .args(["-sS", "-m", "30", "-u", "me:pass"])
                    .args(args),
                b"",
            )
        };
        let said = curl(&[
            &url("/hello.txt"),
            &url("/sub/"),
            "-w",
            "%{http_code} %{num_connects}\n",
        ]);
        assert_eq!(said.stdout(), "hello, web\n200 1\nsub\n200 0\n"); // the second over the first one's connection
        assert_eq!(curl(&["-L", &url("/sub")]).stdout(), "sub\n");
        assert_bytes(&curl(&[&url("/big.bin")]).stdout, &random_bytes(7, BIG));
        assert_bytes(
            &curl(&["-r", "1000-1999", &url("/big.bin")]).stdout,
            &random_bytes(7, BIG)[1000..2000],
        );
        let same = site.path("root/hello.txt");
        let same = same.to_str().expect("text");
        let file = site.path("half");
        fs::write(&file, &random_bytes(7, BIG)[..300_000]).expect("ours");
        let file = file.to_str().expect("text");
        assert_eq!(
            curl(&["-C", "-", "-o", file, &url("/big.bin")]),
            Outcome::done("")
        );
        assert_bytes(&fs::read(file).expect("ours"), &random_bytes(7, BIG));
        assert_eq!(
            curl(&["-z", same, "-w", "%{http_code}", &url("/hello.txt")]).stdout(),
            "304"
        );
        assert_eq!(
            curl(&[
                "-d",
                "x=y",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                &url("/")
            ])
            .stdout(),
            "405"
        );
        assert_eq!(
            curl(&["--http1.0", &url("/hello.txt")]).stdout(),
            "hello, web\n"
        );
        server.stop();
    });
}

#[test]
fn pythons_http_client_is_served() {
    for_each(&WEB, |program| {
        let site = Site::new("python", program);
        let server = site.serve(program, &[]);
        let said = run(
            &mut crate::support::python("http_client.py", &[&server.port.to_string()]),
            b"",
        );
        let expected = "200 OK 11 b'hello, web\\n'\n200 OK 11 b''\n404 Not Found 68\n206 Partial Content b'web'\n405 Method Not Allowed close\n";
        assert_eq!(said, Outcome::done(expected));
        server.stop();
    });
}
