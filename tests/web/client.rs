//! web_client in both languages, against Web servers that these tests play byte by byte, and against Python's.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::{
    Outcome, Process, Program, abridged, accept, assert_bytes, for_each, listener, local, play,
    python, random_bytes, require, reset, resolver, run,
};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitPidFlag;

const CLIENT: [&str; 1] = ["web_client"];
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const CLOSED_EARLY: &str = "recv() failed: connection closed prematurely";

// ---- The session ----

#[test]
fn the_request_is_what_the_slide_types() {
    for_each(&CLIENT, |client| {
        for (url, options, expected) in [
            (
                "/index.html",
                &[][..],
                "GET /index.html HTTP/1.1\r\nHost: HERE\r\nConnection: close\r\n\r\n",
            ),
            (
                "",
                &[],
                "GET / HTTP/1.1\r\nHost: HERE\r\nConnection: close\r\n\r\n",
            ),
            (
                "?q=a/b",
                &[],
                "GET /?q=a/b HTTP/1.1\r\nHost: HERE\r\nConnection: close\r\n\r\n",
            ),
            (
                "/a/../b?c#part",
                &[],
                "GET /a/../b?c HTTP/1.1\r\nHost: HERE\r\nConnection: close\r\n\r\n",
            ),
            (
                "/caf\u{e9}",
                &[],
                "GET /caf%C3%A9 HTTP/1.1\r\nHost: HERE\r\nConnection: close\r\n\r\n",
            ),
            (
                "/",
                &["--head"],
                "HEAD / HTTP/1.1\r\nHost: HERE\r\nConnection: close\r\n\r\n",
            ),
            (
                "/",
                &["-H", "Accept: text/html", "--header", "host: elsewhere"],
                "GET / HTTP/1.1\r\nConnection: close\r\nAccept: text/html\r\nhost: elsewhere\r\n\r\n",
            ),
        ] {
            let (server, port) = serve(b"HTTP/1.1 204 No Content\r\n\r\n");
            let outcome = run(client.command().args(options).arg(here(port, url)), b"");
            assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""));
            let here = format!("127.0.0.1:{port}");
            assert_eq!(server.join().unwrap().replace(&here, "HERE"), expected);
        }
    });
}

#[test]
fn a_url_names_its_server_in_each_form() {
    for_each(&CLIENT, |client| {
        let listener = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)));
        let listener = listener.expect("this machine has IPv6 on its loopback");
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || answer(accept(&listener), &[b"HTTP/1.1 204 -\r\n\r\n"]));
        let outcome = run(client.command().arg(format!("HTTP://[::1]:0{port}/")), b"");
        assert_eq!(outcome, Outcome::done(""));
        assert!(
            server
                .join()
                .unwrap()
                .contains(&format!("\r\nHost: [::1]:{port}\r\n"))
        );

        let (server, port) = serve(b"HTTP/1.1 204 -\r\n\r\n");
        let outcome = run(
            client.command().arg(format!("http://localhost:{port}")),
            b"",
        );
        assert_eq!(outcome, Outcome::done(""));
        assert!(
            server
                .join()
                .unwrap()
                .contains(&format!("\r\nHost: localhost:{port}\r\n"))
        );
    });
}

#[test]
fn an_argument_that_makes_no_sense_is_refused() {
    for_each(&CLIENT, |client| {
        for url in [
            "",
            "/",
            "localhost",
            "http:/localhost/",
            "http//localhost",
            "https://localhost/",
            "ftp://localhost/",
            "http://",
            "http:///path",
            "http://:80/",
            "http://?",
            "http://#",
            "http://@localhost/",
            "http://user@localhost/",
            "http://user:password@localhost/",
            "http://localhost:x/",
            "http://localhost:-1/",
            "http://localhost:+1/",
            "http://localhost:65536/",
            "http://localhost:18446744073709551696/",
            "http://localhost:80:80/",
            "http://127.1/",
            "http://256.1.1.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.0.0.1./",
            "http://[::1/",
            "http://[::1]x/",
            "http://[]/",
            "http://[127.0.0.1]/",
            "http://[::1%lo]/",
            "http://::1/",
            "http://a b/",
            "http://localhost/a b",
            "http://localhost/\r\nX: y",
            "http://localhost/\u{7f}",
            "http://caf\u{e9}/",
            "http://a%20b/",
            "http://a\\b/",
            "http://a,b/",
            "http://localhost/\t",
        ] {
            let outcome = run(client.command().arg(url), b"");
            assert_eq!(
                (outcome.status.code(), &*outcome.stdout),
                (Some(2), &b""[..]),
                "{url:?} {outcome:?}"
            );
        }
        for options in [
            &["-H", "no colon"][..],
            &["-H", ": x"],
            &["-H", "a b: c"],
            &["-H", "A: b\r\nC: d"],
            &["-H", ""],
            &["-m", "0"],
            &["-m", "x"],
            &["--nothing"],
            &["http://localhost/"],
            &["-o"],
        ] {
            let outcome = run(client.command().args(options).arg("http://localhost/"), b"");
            assert_eq!(
                (outcome.status.code(), &*outcome.stdout),
                (Some(2), &b""[..]),
                "{options:?} {outcome:?}"
            );
        }
        let https = run(client.command().arg("https://localhost/"), b"");
        assert!(https.stderr.contains("https needs TLS"), "{https:?}");
        for (url, words) in [
            (
                "http://[fe80::1%eth0]/",
                "write an address that needs none, or a name",
            ),
            (
                "http://[fe80::1%25eth0]:80/",
                "write an address that needs none, or a name",
            ),
            (
                "http://m\u{fc}nchen.example/",
                "write its form that begins with xn--",
            ),
            (
                "http://\u{4f8b}\u{3048}.example:80/",
                "write its form that begins with xn--",
            ),
        ] {
            let outcome = run(client.command().arg(url), b"");
            assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
            assert!(outcome.stderr.contains(words), "{outcome:?}");
        }
    });
}

#[test]
fn help_and_version_are_answers() {
    for_each(&CLIENT, |client| {
        let help = run(client.command().arg("--help"), b"");
        assert_eq!(help.status.code(), Some(0));
        assert!(help.stdout().to_lowercase().contains("usage: web_client"));
        let version = format!("web_client {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(run(client.command().arg("-V"), b""), Outcome::done(version));
    });
}

// ---- Responses ----

/// A whole response: its headers, what comes after them, and what of that is the body.
type Whole = (&'static str, &'static [u8], &'static str);

const WHOLE: [Whole; 20] = [
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"hello",
        "hello",
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"hello, and more",
        "hello",
    ),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", ""),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 005, 5\r\ncontent-length:5\r\n\r\n",
        b"hello",
        "hello",
    ),
    ("HTTP/1.1 200 OK\r\n\r\n", b"to the end\n", "to the end\n"),
    ("HTTP/1.0 200 OK\r\n\r\n", b"", ""),
    ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n", b"ok", "ok"),
    ("HTTP/1.1 200 OK\nContent-Length: 2\n\n", b"ok", "ok"),
    (
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length:\r\n\t2\r\n\r\n",
        b"ok",
        "ok",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        "hello",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 1\r\n\r\n",
        b"2;a=b;c=\"d\"\r\nhe\r\n03 \t\r\nllo\r\n00;last\r\nX: y\r\nZ: 0\r\n\r\nmore",
        "hello",
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\n\r\n",
        "",
    ),
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        b"ok",
        "ok",
    ),
    (
        "HTTP/1.1 103 Early\r\nLink: x\r\nContent-Length: 9\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 404 -\r\nContent-Length: 2\r\n\r\n",
        b"no",
        "no",
    ),
    (
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        b"",
        "",
    ),
    ("HTTP/1.1 204 No Content\r\n\r\n", b"stray", ""),
    (
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        b"",
        "",
    ),
    (
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"",
        "",
    ),
    (
        "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 5\r\n\r\n",
        b"moved",
        "moved",
    ),
    (
        "HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\n",
        b"\xff\0\n",
        "\u{fffd}\0\n",
    ),
];

#[test]
fn every_kind_of_body_is_shown_as_it_is() {
    for_each(&CLIENT, |client| {
        for (head, rest, body) in WHOLE {
            let response = [head.as_bytes(), rest].concat();
            let get = |options: &[&str]| fetch(client, options, &response);
            let shown = get(&[]);
            assert_eq!(String::from_utf8_lossy(&shown.stdout), body, "{head}");
            assert_eq!(shown, Outcome::done(&shown.stdout), "{head}");
            let with_head = [head.as_bytes(), &shown.stdout].concat();
            assert_eq!(get(&["--include"]), Outcome::done(&with_head));
            assert_eq!(get(&["-I"]), Outcome::done(head));
            assert_eq!(get(&["-iI"]), Outcome::done(head));
        }
    });
}

#[test]
fn a_response_may_come_in_single_bytes() {
    for_each(&CLIENT, |client| {
        for (head, rest, body) in WHOLE.into_iter().filter(|(_, rest, _)| rest.is_ascii()) {
            let response = [head.as_bytes(), rest].concat();
            let (server, port) = play(move |stream| {
                let pieces: Vec<&[u8]> = response.chunks(1).collect();
                answer(stream, &pieces)
            });
            assert_eq!(
                run(client.command().arg(here(port, "/")), b""),
                Outcome::done(body)
            );
            server.join().unwrap();
        }
    });
}

#[test]
fn a_page_of_any_length_comes_through_unchanged() {
    for_each(&CLIENT, |client| {
        for len in [1, 65535, 65536, 65537, 3_000_000] {
            let page = random_bytes(len as u64, len);
            let counted = [
                format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n").as_bytes(),
                &page,
            ]
            .concat();
            let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for (at, piece) in page.chunks(7919).enumerate() {
                chunked
                    .extend(format!("{:X}{}\r\n", piece.len(), ";x".repeat(at % 3)).into_bytes());
                chunked.extend_from_slice(piece);
                chunked.extend_from_slice(b"\r\n");
            }
            chunked.extend_from_slice(b"0\r\n\r\n");
            for response in [counted, chunked] {
                let outcome = fetch(client, &[], &response);
                assert_bytes(&outcome.stdout, &page);
                assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""));
            }
        }
    });
}

#[test]
fn a_response_that_ends_early_is_an_error_after_what_came() {
    for_each(&CLIENT, |client| {
        for (head, rest, body) in [
            ("", "", ""),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "", ""),
            ("HTTP/1.1 100 Continue\r\n\r\n", "", ""),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n",
                "hello",
                "hello",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
                "hello",
                "hello",
            ),
            (CHUNKED, "", ""),
            (CHUNKED, "5\r\nhel", "hel"),
            (CHUNKED, "5\r\nhello\r\n", "hello"),
            (CHUNKED, "5\r\nhello\r\n0\r\n", "hello"),
            (CHUNKED, "5\r\nhello\r\n0\r\nX: y\r\n", "hello"),
            (CHUNKED, "ffffffffffffffff\r\nhello", "hello"),
        ] {
            let response = format!("{head}{rest}");
            let outcome = fetch(client, &[], response.as_bytes());
            let expected = Outcome::new(1, body, &format!("{CLOSED_EARLY}\n"));
            assert_eq!(outcome, expected, "{response:?}");
        }
    });
}

#[test]
fn a_malformed_chunk_is_an_error_after_what_came() {
    for_each(&CLIENT, |client| {
        for (rest, body, problem) in [
            (
                "5\r\nhello\r\n10000000000000000\r\n",
                "hello",
                "a chunk's size is too large",
            ),
            ("5\r\nhello\r\nx\r\n", "hello", "a malformed chunk"),
            ("\r\n", "", "a malformed chunk"),
            ("-5\r\nhello", "", "a malformed chunk"),
            ("0x5\r\nhello", "", "a malformed chunk"),
            ("5\nhello", "", "a malformed chunk"),
            ("5 5\r\nhello", "", "a malformed chunk"),
            ("5;a\nhello", "", "a malformed chunk"),
            ("5\r\nhello!\r\n", "hello", "a malformed chunk"),
            ("5\r\nhello\n0\r\n\r\n", "hello", "a malformed chunk"),
        ] {
            let outcome = fetch(client, &[], format!("{CHUNKED}{rest}").as_bytes());
            let message = format!("the response makes no sense: {problem}\n");
            assert_eq!(outcome, Outcome::new(1, body, &message), "{rest:?}");
        }
    });
}

#[test]
fn headers_that_make_no_sense_are_one_line() {
    for_each(&CLIENT, |client| {
        for (headers, problem) in [
            (
                "Content-Length: 18446744073709551616",
                "a malformed Content-Length",
            ),
            ("Content-Length: -1", "a malformed Content-Length"),
            ("Content-Length: +5", "a malformed Content-Length"),
            ("Content-Length: 5x", "a malformed Content-Length"),
            ("Content-Length:", "a malformed Content-Length"),
            ("Content-Length: 5,", "a malformed Content-Length"),
            (
                "Content-Length: 5\r\nContent-Length: 4",
                "a malformed Content-Length",
            ),
            (
                "Transfer-Encoding: gzip, chunked",
                "a Transfer-Encoding other than chunked",
            ),
            (
                "Transfer-Encoding: chunked, chunked",
                "a Transfer-Encoding other than chunked",
            ),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
                "a Transfer-Encoding other than chunked",
            ),
            (
                "Transfer-Encoding:",
                "a Transfer-Encoding other than chunked",
            ),
            ("no colon", "malformed headers"),
            (": no name", "malformed headers"),
            ("Content-Length : 5", "malformed headers"),
            (" folded: too early", "malformed headers"),
            ("A: b\rC: d", "malformed headers"),
            ("A: \u{1b}[2J", "malformed headers"),
            ("A: \0", "malformed headers"),
        ] {
            let response = format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nhello");
            let outcome = fetch(client, &["-i"], response.as_bytes());
            let message = format!("the response makes no sense: {problem}");
            assert_eq!(outcome, Outcome::failed(&message), "{headers:?}");
        }
        for response in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 99 -\r\n\r\n",
            "HTTP/1.1 099 -\r\n\r\n",
            "HTTP/1.1 2000 -\r\n\r\n",
            "HTTP/1.1  200 -\r\n\r\n",
            "\r\nHTTP/1.1 200 -\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n\u{1}\n",
        ] {
            let outcome = fetch(client, &["-i"], response.as_bytes());
            let message = "the response makes no sense: not a response of HTTP/1";
            assert_eq!(outcome, Outcome::failed(message), "{response:?}");
        }
    });
}

#[test]
fn what_never_ends_is_ended() {
    for_each(&CLIENT, |client| {
        let around = "the response makes no sense: more than 65536 bytes around a chunk";
        let headers = "the response makes no sense: more headers than 65536 bytes";
        for (begin, again, message) in [
            ("", "x", headers),
            ("HTTP/1.1 200 OK\r\n", "A: b\r\n", headers),
            ("HTTP/1.1 200 OK\r\nA: ", "b", headers),
            ("", "HTTP/1.1 100 Continue\r\n\r\n", headers),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "0",
                around,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;",
                "a",
                around,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                "A: b\r\n",
                around,
            ),
        ] {
            let (server, port) = play(move |mut stream| {
                ask(&mut stream);
                let _ = stream.write_all(begin.as_bytes());
                let more = again.repeat(1000);
                while stream.write_all(more.as_bytes()).is_ok() {} // until the client has disconnected
            });
            let outcome = run(client.command().arg(here(port, "/")), b"");
            assert_eq!(outcome, Outcome::failed(message), "{begin:?} {again:?}");
            server.join().unwrap();
        }
    });
}

#[test]
fn a_size_that_a_server_claims_costs_no_memory() {
    for_each(&CLIENT, |client| {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        ] {
            let page = random_bytes(7, 1_000_000);
            let response = [head.as_bytes(), &page].concat();
            let (server, port) = serve(&response);
            let mut small = client.under(&["sh", "-c", "ulimit -v 16384; exec \"$@\"", "sh"]);
            let outcome = run(small.arg(here(port, "/")), b"");
            assert_bytes(&outcome.stdout, &page);
            assert_eq!(outcome.stderr, format!("{CLOSED_EARLY}\n"));
            server.join().unwrap();
        }
    });
}

#[test]
fn a_reset_is_an_error_after_what_came() {
    for_each(&CLIENT, |client| {
        let (listener, port) = listener();
        let mut process = Process::start(client.command().arg(here(port, "/")));
        let mut stream = accept(&listener);
        ask(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\none\n")
            .expect("it reads");
        assert_eq!(process.line(), "one");
        reset(stream);
        assert_eq!(
            process.end(),
            Outcome::failed("recv() failed: Connection reset by peer")
        );
    });
}

#[test]
fn a_page_is_shown_as_it_comes() {
    for_each(&CLIENT, |client| {
        for (head, one, two) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n",
                "one\n",
                "two\n",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "4\r\none\n\r\n",
                "4\r\ntwo\n\r\n0\r\n\r\n",
            ),
        ] {
            let (listener, port) = listener();
            let mut process = Process::start(client.command().arg(here(port, "/")));
            let mut stream = accept(&listener);
            ask(&mut stream);
            stream
                .write_all(format!("{head}{one}").as_bytes())
                .expect("it reads");
            assert_eq!(process.line(), "one");
            stream.write_all(two.as_bytes()).expect("it reads");
            assert_eq!(process.end(), Outcome::done("two\n")); // though the connection is still open
        }
    });
}

// ---- Where it goes ----

#[test]
fn output_goes_to_a_file() {
    for_each(&CLIENT, |client| {
        let file = unused_path(client, "page");
        let name = file.to_str().expect("UTF-8");
        let page = random_bytes(3, 200_000);
        let response = [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"[..],
            &page,
        ]
        .concat();
        assert_eq!(
            fetch(client, &["--output", name], &response),
            Outcome::done("")
        );
        assert_bytes(&fs::read(&file).unwrap(), &page);
        assert_eq!(
            fetch(client, &["-o", name, "-i"], &response),
            Outcome::done("")
        );
        assert_bytes(&fs::read(&file).unwrap(), &response);
        assert_eq!(
            fetch(client, &["-o", name], b"HTTP/1.1 204 -\r\n\r\n"),
            Outcome::done("")
        );
        assert_bytes(&fs::read(&file).unwrap(), b"");
        let outcome = fetch(client, &["-o", "-"], &response);
        assert_bytes(&outcome.stdout, &page);
    });
}

#[test]
fn a_file_keeps_what_came_and_an_older_one_is_not_lost_for_nothing() {
    for_each(&CLIENT, |client| {
        let file = unused_path(client, "part");
        let name = file.to_str().expect("UTF-8");
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello";
        let outcome = fetch(client, &["-o", name], short);
        assert_eq!(
            outcome,
            Outcome::failed(&format!(
                "{CLOSED_EARLY}; the file holds the part that came before"
            ))
        );
        assert_bytes(&fs::read(&file).unwrap(), b"hello");

        let refused = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
        let outcome = fetch(client, &["-f", "-o", name], refused);
        assert_eq!(outcome, Outcome::new(22, "", "the server answered 404\n"));
        assert_eq!(
            fetch(client, &["-o", name], b""),
            Outcome::failed(CLOSED_EARLY)
        );
        assert_bytes(&fs::read(&file).unwrap(), b"hello");
    });
}

#[test]
fn what_cannot_be_written_is_said() {
    for_each(&CLIENT, |client| {
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        for (path, message) in [
            (
                "/dev/full",
                "write() failed: No space left on device; the file holds the part that came before",
            ),
            ("/nowhere/page", "open() failed: No such file or directory"),
            ("/", "open() failed: Is a directory"),
        ] {
            let outcome = fetch(client, &["-o", path], response);
            assert_eq!(outcome, Outcome::failed(message));
        }
        let (_server, port) = serve(response);
        let outcome = run(client.redirected(">/dev/full").arg(here(port, "/")), b"");
        assert_eq!(
            outcome,
            Outcome::failed("write() failed: No space left on device")
        );
    });
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    for_each(&CLIENT, |client| {
        let page = "line\n".repeat(1_000_000);
        let (_server, port) = play(move |mut stream| {
            ask(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            let _ = stream.write_all(page.as_bytes()); // the client goes before it has all
        });
        let script = "set -o pipefail; \"$@\" | head -1";
        let outcome = run(
            client
                .under(&["bash", "-c", script, "bash"])
                .arg(here(port, "/")),
            b"",
        );
        assert_eq!(outcome, Outcome::done("line\n"));
    });
}

#[test]
fn a_terminal_sees_the_page_escaped_but_in_its_lines() {
    for_each(&CLIENT, |client| {
        let page = "<p>caf\u{e9}\t\\\u{1b}[31m\r\n\rred\u{202e}\n\u{7}last \u{e2}".as_bytes();
        let mut response = b"HTTP/1.1 200 OK\r\nServer: \xff\r\n\r\n".to_vec();
        response.extend_from_slice(&page[..page.len() - 1]); // amid a character
        let (server, port) = play(move |stream| {
            let pieces: Vec<&[u8]> = response.chunks(1).collect();
            answer(stream, &pieces)
        });
        let path = client.path();
        let args = [path.to_str().expect("UTF-8"), "-i", &here(port, "/")];
        let outcome = run(&mut python("terminal.py", &args), b"");
        let shown = "HTTP/1.1 200 OK\nServer: \\xff\n\n<p>caf\u{e9}\t\\\\\\x1b[31m\n\\rred\\xe2\\x80\\xae\n\\x07last \\xc3";
        assert_eq!(outcome, Outcome::done(shown));
        server.join().unwrap();
    });
}

// ---- --fail and --location ----

#[test]
fn fail_shows_no_page_and_leaves_with_22() {
    for_each(&CLIENT, |client| {
        for (status, fails) in [
            (200, false),
            (302, false),
            (399, false),
            (400, true),
            (404, true),
            (500, true),
            (999, true),
        ] {
            let head = format!("HTTP/1.1 {status} -\r\nContent-Length: 4\r\n\r\n");
            let response = format!("{head}page");
            let line = format!("the server answered {status}\n");
            let outcome = fetch(client, &["--fail"], response.as_bytes());
            assert_eq!(
                outcome,
                if fails {
                    Outcome::new(22, "", &line)
                } else {
                    Outcome::done("page")
                }
            );
            let outcome = fetch(client, &["-fi"], response.as_bytes());
            assert_eq!(
                outcome,
                if fails {
                    Outcome::new(22, &head, &line)
                } else {
                    Outcome::done(&response)
                }
            );
            let outcome = fetch(client, &["-fI"], response.as_bytes());
            assert_eq!(
                outcome,
                if fails {
                    Outcome::new(22, &head, &line)
                } else {
                    Outcome::done(&head)
                }
            );
        }
    });
}

#[test]
fn location_follows_each_form_of_reference() {
    let client = Program::rust("web_client");
    for (reference, target) in [
        ("http://HERE/b?c#d", "/b?c"),
        ("HTTP://HERE", "/"),
        ("//HERE/b", "/b"),
        ("/b", "/b"),
        ("b", "/x/b"),
        ("./b/", "/x/b/"),
        ("../b", "/b"),
        ("../../b/.", "/b/"),
        ("b/../c/..", "/x/"),
        ("?b=:/", "/x/y?b=:/"),
        ("#d", "/x/y?q"),
        ("", "/x/y?q"),
        ("b:c/d", ""),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let (requests, port) = serve_each(|port| {
                let reference = reference.replace("HERE", &format!("127.0.0.1:{port}"));
                let moved = format!(
                    "HTTP/1.1 {status} -\r\nLocation: {reference}\r\nContent-Length: 9\r\n\r\nnot here"
                );
                let there = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere";
                vec![moved, there.to_owned()]
            });
            let outcome = run(client.command().args(["-L", &here(port, "/x/y?q")]), b"");
            if target.is_empty() {
                let message =
                    "cannot go to b:c/d: not a URL like http://www.example.com/index.html";
                assert_eq!(outcome, Outcome::failed(message));
                let _ =
                    TcpStream::connect(local(port)).map(|mut stream| stream.write_all(b"\r\n\r\n")); // its second client
            } else {
                assert_eq!(outcome, Outcome::done("there"), "{reference}");
            }
            let requests = requests.join().unwrap();
            assert!(
                target.is_empty() || requests[1].starts_with(&format!("GET {target} HTTP/1.1\r\n")),
                "{requests:?}"
            );
        }
    }
}

#[test]
fn location_has_a_limit_and_stays_with_http() {
    let client = Program::rust("web_client");
    for (max, times) in [("0", 1), ("1", 2), ("5", 6)] {
        let (requests, port) =
            serve_each(|_| vec!["HTTP/1.1 302 -\r\nLocation: /\r\n\r\n".to_owned(); times]);
        let outcome = run(
            client
                .command()
                .args(["-L", "--max-redirs", max, &here(port, "/")]),
            b"",
        );
        assert_eq!(
            outcome,
            Outcome::failed(&format!("more than {max} redirects"))
        );
        assert_eq!(requests.join().unwrap().len(), times);
    }
    for (location, words) in [
        (
            "https://127.0.0.1/",
            "cannot go to https://127.0.0.1/: https needs TLS, which this client does not have: only http",
        ),
        (
            "file:///etc/passwd",
            "cannot go to file:///etc/passwd: not a URL like http://www.example.com/index.html",
        ),
        (
            "/\u{202e}x y",
            "cannot go to /\\xe2\\x80\\xaex y: a URL has neither spaces (write %20) nor control characters",
        ),
    ] {
        let response = format!("HTTP/1.1 301 -\r\nLocation: {location}\r\n\r\n");
        assert_eq!(
            fetch(client, &["-L"], response.as_bytes()),
            Outcome::failed(words)
        );
    }
    let nowhere = b"HTTP/1.1 301 -\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(fetch(client, &["-L"], nowhere), Outcome::done("ok"));
}

#[test]
fn another_server_is_not_told_what_was_meant_for_the_first() {
    let client = Program::rust("web_client");
    let (second, second_port) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let (requests, port) = serve_each(|_| {
        vec![
            "HTTP/1.1 302 -\r\nLocation: /again\r\n\r\n".to_owned(),
            format!(
                "HTTP/1.1 302 -\r\nLocation: {}\r\n\r\n",
                here(second_port, "/")
            ),
        ]
    });
    let secret = ["-L", "-H", "Authorization: secret"];
    assert_eq!(
        run(client.command().args(secret).arg(here(port, "/")), b""),
        Outcome::done("ok")
    );
    let requests = requests.join().unwrap();
    assert!(
        requests
            .iter()
            .all(|request| request.contains("Authorization: secret\r\n")),
        "{requests:?}"
    );
    assert!(!second.join().unwrap().contains("secret"));
}

#[test]
fn the_twin_refuses_what_is_the_rust_program_s_alone() {
    for option in ["-L", "--location", "--max-redirs=3"] {
        let outcome = run(
            Program::c("web_client")
                .command()
                .args([option, "http://localhost/"]),
            b"",
        );
        assert_eq!(outcome.status.code(), Some(2));
        assert!(
            outcome
                .stderr
                .contains("--location is the Rust program's alone"),
            "{outcome:?}"
        );
    }
}

// ---- Connections ----

#[test]
fn nobody_there_is_one_line() {
    for_each(&CLIENT, |client| {
        let (listener, port) = listener();
        drop(listener);
        let file = unused_path(client, "never");
        let mut command = client.command();
        command.arg("-o").arg(&file).arg(here(port, "/"));
        assert_eq!(
            run(&mut command, b""),
            Outcome::failed("connect() failed: Connection refused")
        );
        assert!(!file.exists());
        let unknown = format!("http://{}/", "a".repeat(64));
        let outcome = run(client.command().arg(unknown), b"");
        assert_eq!(
            outcome,
            Outcome::failed("getaddrinfo() failed: Name or service not known")
        );
    });
}

#[test]
fn each_address_is_tried_in_turn() {
    let resolver = resolver();
    for_each(&CLIENT, |client| {
        let (server, port) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let by_name = |addresses: &str| {
            let mut command = client.command();
            command
                .env("LD_PRELOAD", &resolver)
                .env("ADDRESSES", addresses);
            run(command.arg(format!("http://several.test:{port}/")), b"")
        };
        assert_eq!(
            by_name("127.0.0.2 255.255.255.255 ::ffff:127.0.0.1 127.0.0.3"),
            Outcome::done("ok")
        );
        server.join().unwrap();
        let outcome = by_name("127.0.0.2 255.255.255.255");
        assert_eq!(
            outcome,
            Outcome::failed("connect() failed: Network is unreachable")
        );
    });
}

#[test]
fn an_interrupted_call_goes_on() {
    for_each(&CLIENT, |client| {
        let (server, port) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let faults = ["connect:error=EINTR:when=1", "recvfrom:error=EINTR:when=1"];
        let outcome = run(client.with_faults(&faults).arg(here(port, "/")), b"");
        assert_eq!(outcome, Outcome::done("ok"));
        server.join().unwrap();
    });
}

#[test]
fn a_stop_and_a_continue_do_not_end_a_wait_with_a_deadline() {
    for_each(&CLIENT, |client| {
        let (listener, port) = listener();
        let mut process = Process::start(client.command().args(["-m", "50", &here(port, "/")]));
        let mut stream = accept(&listener);
        ask(&mut stream);
        process.signal(Signal::SIGSTOP);
        process.wait_until(WaitPidFlag::WSTOPPED);
        kill(process.pid(), Signal::SIGCONT).expect("it is there");
        process.wait_until(WaitPidFlag::WCONTINUED);
        stream
            .write_all(b"HTTP/1.1 204 -\r\n\r\n")
            .expect("it reads");
        assert_eq!(process.end(), Outcome::done(""));
    });
}

#[test]
fn a_deadline_is_for_all_of_it() {
    for_each(&CLIENT, |client| {
        let start = Instant::now();
        let (server, port) = play(|mut stream| {
            ask(&mut stream);
            stream
                .set_read_timeout(Some(Duration::from_millis(50)))
                .expect("not zero");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            // A byte now and then, so that each recv has what it waits for.
            while stream.write_all(b"x").is_ok() && !matches!(stream.read(&mut [0]), Ok(0)) {}
        });
        let outcome = run(
            client.command().args(["--timeout", "1", &here(port, "/")]),
            b"",
        );
        assert_eq!(
            (outcome.status.code(), &*outcome.stderr),
            (Some(1), "no whole answer within 1 second\n")
        );
        assert!(
            start.elapsed() >= Duration::from_secs(1) && !outcome.stdout.is_empty(),
            "{outcome:?}"
        );
        server.join().unwrap();
    });
}

#[test]
fn a_connection_that_is_not_answered_has_the_same_deadline() {
    for_each(&CLIENT, |client| {
        // A queue of one, and full: the kernel drops what comes then.
        let listener = sockstep::socket(sockstep::PF_INET, sockstep::SOCK_STREAM, 0).unwrap();
        let mut addr = sockstep::sockaddr_in::zeroed();
        addr.sin_family = sockstep::AF_INET;
        addr.sin_addr.s_addr = sockstep::htonl(sockstep::INADDR_LOOPBACK);
        sockstep::bind(&listener, &addr).unwrap();
        sockstep::listen(&listener, 0).unwrap();
        let addr: sockstep::sockaddr_in = sockstep::getsockname(&listener).unwrap();
        let port = sockstep::ntohs(addr.sin_port);
        let _first = TcpStream::connect(local(port)).expect("there is room for one");
        let outcome = run(client.command().args(["-m", "1", &here(port, "/")]), b"");
        assert_eq!(outcome, Outcome::failed("no answer within 1 second"));
    });
}

// ---- The same calls ----

#[test]
fn both_languages_make_the_same_calls() {
    require("strace", "the tests of what a student sees");
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n go\r\n0\r\n\r\n";
    for options in [&[][..], &["-i"], &["-I"], &["-o", "/dev/null"], &["-f"]] {
        let [rust, c] = Program::both("web_client").map(|client| {
            let (server, port) = serve(chunked);
            let mut strace = client.under(&[
                "strace",
                "-qq",
                "-a1",
                "-e",
                "trace=!%memory,sigaltstack,getrandom",
            ]);
            let outcome = run(strace.args(options).arg(here(port, "/")), b"");
            server.join().unwrap();
            let calls = outcome.stderr.replace(&port.to_string(), "PORT");
            let from = calls.find("socket(").expect("it makes a socket");
            (calls[from..].to_owned(), outcome.stdout)
        });
        assert_eq!(rust, c, "{options:?}");
        assert!(rust.0.lines().count() >= 6, "{rust:?}");
        assert!(
            rust.0
                .starts_with("socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)"),
            "{rust:?}"
        );
    }
}

// ---- Somebody else's server ----

#[test]
fn python_s_server_is_understood() {
    require("python3", "these tests");
    let root = unused_path(Program::rust("web_client"), "root");
    fs::create_dir_all(root.join("folder")).unwrap();
    let page = random_bytes(11, 300_000);
    fs::write(root.join("page"), &page).unwrap();
    let mut command = Command::new("python3");
    command.args([
        "-u",
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        "--directory",
    ]);
    let mut python = Process::start(command.arg(&root).arg("0"));
    let line = python.line(); // Serving HTTP on 127.0.0.1 port 46111 (http://127.0.0.1:46111/) ...
    let port = line.split(' ').nth(5).and_then(|port| port.parse().ok());
    let port: u16 = port.unwrap_or_else(|| panic!("not where it listens: {line}"));
    for_each(&CLIENT, |client| {
        let get =
            |options: &[&str], path| run(client.command().args(options).arg(here(port, path)), b"");
        let outcome = get(&[], "/page");
        assert_bytes(&outcome.stdout, &page);
        let head = get(&["-I"], "/page");
        assert!(
            head.stdout().contains("Content-Length: 300000\r\n"),
            "{head:?}"
        );
        assert!(get(&[], "/").stdout().contains("folder/"));
        assert_eq!(
            get(&["-f"], "/nothing"),
            Outcome::new(22, "", "the server answered 404\n")
        );
        let moved = get(&["-i"], "/folder");
        assert!(
            moved.stdout().starts_with("HTTP/1.0 301 "),
            "{}",
            abridged(&moved.stdout)
        );
    });
    let follow = run(
        Program::rust("web_client")
            .command()
            .args(["-L", &here(port, "/folder")]),
        b"",
    );
    assert!(
        follow.stdout().contains("Directory listing for /folder/"),
        "{follow:?}"
    );
}

// ---- Helpers ----

fn here(port: u16, target: &str) -> String {
    format!("http://127.0.0.1:{port}{target}")
}

/// Takes in a request, to its empty line.
fn ask(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a whole request comes");
        request.push(byte[0]);
    }
    String::from_utf8(request).expect("ASCII")
}

/// Answers a request with these pieces, and closes. Returns the request.
fn answer(mut stream: TcpStream, pieces: &[&[u8]]) -> String {
    let request = ask(&mut stream);
    for piece in pieces {
        if stream.write_all(piece).is_err() {
            return request; // the client has seen enough
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0]); // a close before the client's own could reset what is on its way
    request
}

/// A server for one client. Returns the request in the end.
fn serve(response: &[u8]) -> (JoinHandle<String>, u16) {
    let response = response.to_vec();
    play(move |stream| answer(stream, &[&response]))
}

/// A server with a response for each of its clients, made for its port.
fn serve_each(responses: impl FnOnce(u16) -> Vec<String>) -> (JoinHandle<Vec<String>>, u16) {
    let (listener, port) = listener();
    let responses = responses(port);
    let clients = move || {
        responses
            .iter()
            .map(|response| answer(accept(&listener), &[response.as_bytes()]))
            .collect()
    };
    (thread::spawn(clients), port)
}

/// Lets a client have this response.
fn fetch(client: Program, options: &[&str], response: &[u8]) -> Outcome {
    let (server, port) = serve(response);
    let outcome = run(client.command().args(options).arg(here(port, "/")), b"");
    server.join().expect("the server plays its part");
    outcome
}

/// A path that no other test uses, where nothing is yet.
fn unused_path(client: Program, name: &str) -> PathBuf {
    let path =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("web_client_{name}_{:?}", client.lang));
    let _ = fs::remove_file(&path); // of the run before
    path
}
