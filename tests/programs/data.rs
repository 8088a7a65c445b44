//! What goes through the programs: bytes of every kind and number come back whole, in upper case where that is the service.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::process::Command;

use crate::support::{
    CLIENTS, DATAGRAM, ECHO_CLIENTS, ON_A_FREE_PORT, Outcome, Program, Random, Server, TCP_SERVERS,
    Talk, UDP_CLIENTS, UDP_SERVERS, UPPER_CLIENTS, UPPER_SERVERS, abridged, assert_bytes, converse,
    for_each, local, python, random_bytes, run, udp,
};

const MEGABYTES: usize = 10_000_000;
const DATAGRAM_SIZES: [usize; 6] = [0, 1, 255, 256, 2048, DATAGRAM];

/// Bytes that a program which thinks of text would harm.
fn odd_messages() -> [Vec<u8>; 8] {
    [
        b"first line\nsecond line\n".to_vec(), // in one segment
        b"\n".to_vec(),
        b"\0".to_vec(),
        b"nul \0 amid".to_vec(),
        (0..=255).collect(),
        b"cut \xc3".to_vec(),
        b"\xff\xfe \xc0\x80 \xed\xa0\x80 \xf5\x80\x80\x80".to_vec(), // never UTF-8
        "\u{df} \u{e9} \u{3c9} \u{131}".into(),                      // not for ASCII to change
    ]
}

// ---- Any bytes ----

#[test]
fn a_tcp_server_returns_1_byte_to_10_megabytes() {
    for_each(&TCP_SERVERS, |program| {
        let server = Server::start(program, program.quiet());
        for len in [1, 2, 4095, 4096, 4097, 100_000, MEGABYTES] {
            let bytes = random_bytes(7, len);
            assert_bytes(
                &converse(&server.connect(), &bytes),
                &program.reply_to(&bytes),
            );
        }
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn a_tcp_server_answers_one_byte_at_a_time() {
    for_each(&TCP_SERVERS, |program| {
        let server = Server::start(program, &[]);
        let mut stream = server.connect();
        for byte in 0..=255 {
            assert_bytes(&stream.ask(&[byte], 1), &program.reply_to(&[byte]));
        }
    });
}

#[test]
fn a_tcp_server_returns_odd_bytes() {
    for_each(&TCP_SERVERS, |program| {
        let server = Server::start(program, &[]);
        for bytes in odd_messages() {
            assert_bytes(
                &converse(&server.connect(), &bytes),
                &program.reply_to(&bytes),
            );
        }
    });
}

#[test]
fn a_udp_server_returns_datagrams_of_every_size_and_odd_bytes() {
    for_each(&UDP_SERVERS, |program| {
        let server = Server::start(program, &[]);
        let mut socket = server.udp();
        let datagrams = DATAGRAM_SIZES
            .map(|len| random_bytes(8, len))
            .into_iter()
            .chain(odd_messages());
        for bytes in datagrams {
            assert_bytes(&socket.ask(&bytes, bytes.len()), &program.reply_to(&bytes));
        }
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn the_udp_clients_send_and_print_datagrams_of_every_size() {
    for_each(&UDP_CLIENTS, |client| {
        let server = Server::start(Program::rust(client.server()), &[]);
        for len in DATAGRAM_SIZES {
            assert_passes(client, &server, &"w".repeat(len));
        }
    });
}

#[test]
fn the_echo_clients_send_a_word_as_long_as_arguments_can_be() {
    for_each(&ECHO_CLIENTS, |client| {
        let server = Server::start(Program::c(client.server()), &[]);
        let longest = if client.is_tcp() {
            128 * 1024 - 1
        } else {
            DATAGRAM
        };
        assert_passes(client, &server, &"w".repeat(longest));
    });
}

#[test]
fn a_line_of_10_megabytes_passes_through_the_tcp_client() {
    for_each(&["tcp_upper_client"], |client| {
        let server = Server::start(Program::rust("tcp_upper_server"), &["--quiet"]);
        let line = random_bytes(9, MEGABYTES)
            .iter()
            .map(|byte| byte % 90 + 32)
            .collect::<Vec<u8>>(); // no newline
        let outcome = run(&mut upper_client(client, &server), &line);
        assert_bytes(
            &outcome.stdout,
            &[b"From Server: ", &*line.to_ascii_uppercase(), b"\n"].concat(),
        );
        assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""));
    });
}

#[test]
fn the_uppercase_clients_read_lines() {
    for_each(&UPPER_CLIENTS, |client| {
        let server = Server::start(Program::c(client.server()), &[]);
        for (input, output) in [
            ("", ""),
            ("one\n", "From Server: ONE\n"),
            (
                "one\ntwo\n\nfour\n",
                "From Server: ONE\nFrom Server: TWO\nFrom Server: \nFrom Server: FOUR\n",
            ),
            (
                "one\nwithout an end",
                "From Server: ONE\nFrom Server: WITHOUT AN END\n",
            ),
            ("\n", "From Server: \n"),
            ("carriage\r\n", "From Server: CARRIAGE\r\n"),
            ("nul \0 amid\n", "From Server: NUL \0 AMID\n"),
        ] {
            let outcome = run(&mut upper_client(client, &server), input.as_bytes());
            assert_eq!(outcome, Outcome::done(output));
        }
    });
}

// ---- Upper case ----

#[test]
fn without_unicode_only_ascii_letters_change_and_no_length_does() {
    for_each(&UPPER_SERVERS, |program| {
        let server = Server::start(program, &["--quiet"]);
        let sharp_s = "stra\u{df}e \u{e9}\u{3c9}\u{131}\u{fb03}".as_bytes();
        let expected = "STRA\u{df}E \u{e9}\u{3c9}\u{131}\u{fb03}".as_bytes();
        assert_bytes(&server.client().ask(sharp_s, expected.len()), expected);
    });
}

#[test]
fn unicode_gives_what_one_character_for_one_cannot_say() {
    for_each(&UPPER_SERVERS, |program| {
        let server = Server::start(program, &["--unicode", "--quiet"]);
        for (text, upper) in [
            ("stra\u{df}e", "STRASSE"),
            ("d\u{e9}j\u{e0} vu", "D\u{c9}J\u{c0} VU"),
            ("\u{fb03}", "FFI"),
            ("\u{3c2}\u{3c3}", "\u{3a3}\u{3a3}"),
            ("\u{1fb7}", "\u{391}\u{342}\u{399}"),
            ("\u{10428}", "\u{10400}"),
            ("i\u{131}", "II"), // in no language but Turkish otherwise
        ] {
            assert_bytes(
                &server.client().ask(text.as_bytes(), upper.len()),
                upper.as_bytes(),
            );
        }
    });
}

#[test]
fn unicode_passes_what_is_no_utf8_unchanged() {
    for_each(&UPPER_SERVERS, |program| {
        let server = Server::start(program, &["--unicode", "--quiet"]);
        for (bytes, upper) in [
            (&b"a\xffb"[..], &b"A\xffB"[..]),
            (b"overlong \xc0\xa1 a", b"OVERLONG \xc0\xa1 A"),
            (b"a surrogate \xed\xa0\x80 a", b"A SURROGATE \xed\xa0\x80 A"),
            (b"beyond \xf4\x90\x80\x80 a", b"BEYOND \xf4\x90\x80\x80 A"),
            (b"broken off \xe2\x82 a", b"BROKEN OFF \xe2\x82 A"),
            (b"\xc3\xc3\xa9", b"\xc3\xc3\x89"),
            (b"at the end \xf0\x9f\x98", b"AT THE END \xf0\x9f\x98"),
        ] {
            let answer = if program.is_tcp() {
                converse(&server.connect(), bytes) // the last bytes come when it is sure that no more will
            } else {
                server.client().ask(bytes, upper.len())
            };
            assert_bytes(&answer, upper);
        }
    });
}

#[test]
fn unicode_joins_characters_that_were_split_at_any_boundary() {
    let text = "a\u{df} \u{3c9}\u{2d00}-\u{10428}\u{1f600}\u{149}z".as_bytes();
    let upper = "ASS \u{3a9}\u{10a0}-\u{10400}\u{1f600}\u{2bc}NZ".as_bytes();
    for_each(&["tcp_upper_server"], |program| {
        let mut server = Server::start(program, &["--unicode"]);
        for cut in 1..text.len() {
            let mut stream = server.connect();
            stream.write_all(&text[..cut]).expect("the server takes it");
            server.process.line(); // the log: it has received just this
            stream.write_all(&text[cut..]).expect("the server takes it");
            server.process.line();
            assert_bytes(&converse(&stream, b""), upper);
        }

        let mut stream = server.connect();
        for byte in text {
            stream.write_all(&[*byte]).expect("the server takes it");
            server.process.line();
        }
        assert_bytes(&converse(&stream, b""), upper);
    });
}

#[test]
fn unicode_agrees_with_python_on_every_code_point() {
    let table = run(&mut python("upper_table.py", &[]), b"");
    assert_eq!((table.status.code(), &*table.stderr), (Some(0), ""));
    let (mut lower, mut expected) = (Vec::new(), Vec::new());
    for line in table.stdout().lines() {
        let (character, upper) = line.split_once('\t').expect("two columns");
        lower.push(character);
        expected.push(upper);
    }
    assert!(lower.len() > 100_000, "only {} characters", lower.len());

    for_each(&UPPER_SERVERS, |program| {
        let server = Server::start(program, &["--unicode", "--quiet"]);
        let reply = if program.is_tcp() {
            converse(&server.connect(), lower.join("\n").as_bytes())
        } else {
            let batches = lower.chunks(8000).map(|batch| batch.join("\n"));
            let mut socket = server.udp();
            batches
                .map(|batch| socket.ask(batch.as_bytes(), 0))
                .collect::<Vec<_>>()
                .join(&b'\n')
        };
        let reply = String::from_utf8(reply).expect("upper case is UTF-8 too");
        let reply: Vec<_> = reply.split('\n').collect();
        assert_eq!(reply.len(), expected.len());
        let differences: Vec<_> = (0..reply.len())
            .filter(|&i| {
                reply[i] != expected[i] && !is_younger(reply[i]) && !is_younger(expected[i])
            })
            .map(|i| (lower[i], reply[i], expected[i]))
            .collect();
        assert_eq!(differences, [], "character, from the server, from Python");
    });
}

/// Capital letters that came after Unicode 14 for small ones, some of those far older. One side may not know them yet.
fn is_younger(upper: &str) -> bool {
    const YOUNGER: [RangeInclusive<char>; 9] = [
        '\u{1c89}'..='\u{1c89}',
        '\u{a7cb}'..='\u{a7cc}',
        '\u{a7ce}'..='\u{a7ce}',
        '\u{a7d2}'..='\u{a7d2}',
        '\u{a7d4}'..='\u{a7d4}',
        '\u{a7da}'..='\u{a7da}',
        '\u{a7dc}'..='\u{a7dc}',
        '\u{10d50}'..='\u{10d65}',
        '\u{16ea0}'..='\u{16eb8}',
    ];
    upper
        .chars()
        .any(|c| YOUNGER.iter().any(|range| range.contains(&c)))
}

// ---- The log ----

#[test]
fn a_request_is_logged_with_what_acts_on_a_terminal_escaped() {
    for_each(&UPPER_SERVERS, |program| {
        let mut server = Server::start(program, &[]);
        for (request, logged) in [
            (&b"udp is lazy"[..], "udp is lazy"),
            (b"with its newline\n", "with its newline"),
            (b"two\nlines\n\n", r"two\nlines\n"),
            (
                b"tab\t return\r nul\0 bell\x07 delete\x7f",
                r"tab\t return\r nul\x00 bell\x07 delete\x7f",
            ),
            (b"\x1b[31mred", r"\x1b[31mred"),
            (b"back\\slash", r"back\\slash"),
            (
                "d\u{e9}j\u{e0} \u{1f600}".as_bytes(),
                "d\u{e9}j\u{e0} \u{1f600}",
            ),
            (
                "\u{202e}right to left".as_bytes(),
                r"\xe2\x80\xaeright to left",
            ),
            ("zero\u{200b}width".as_bytes(), r"zero\xe2\x80\x8bwidth"),
            ("C1 \u{9b}31m".as_bytes(), r"C1 \xc2\x9b31m"),
            (b"\xff\xc3\xa9\xc3", "\\xff\u{e9}\\xc3"),
        ] {
            let mut client = server.client();
            client.ask(request, request.len());
            let port = client.address().port();
            assert_eq!(
                server.process.line(),
                format!("Received from 127.0.0.1#{port}: {logged}")
            );
        }
    });
}

#[test]
fn both_languages_log_the_same_of_random_requests() {
    let requests: Vec<_> = (1..=500).map(random_request).collect();
    let mut socket = udp(); // one for both, so that its port is the same
    let [rust, c] = Program::both("udp_upper_server").map(|program| {
        let server = Server::start(program, &[]);
        socket.connect(local(server.port)).expect("it can");
        for request in &requests {
            assert_bytes(&socket.ask(request, 0), &program.reply_to(request));
        }
        server.stop()
    });
    assert_bytes(&rust.stdout, &c.stdout);
    assert_eq!(
        String::from_utf8(rust.stdout)
            .expect("escaped")
            .lines()
            .count(),
        requests.len()
    );
}

/// Pieces that an escape must tell apart, and random bytes between them.
fn random_request(seed: u64) -> Vec<u8> {
    const PIECES: [&[u8]; 12] = [
        b"plain",
        b"\\",
        b"\x1b[2J",
        b"\n",
        b"\xe2\x80\xae",
        b"\xe2\x80\x8b",
        b"\xe2\x80",
        b"\xf0\x9f\x98\x80",
        b"\xf0\x9f\x98",
        b"\xed\xa0\x80",
        b"\xc2\x85",
        b"\xf3\xa0\x80\x81",
    ];
    let mut random = Random(seed);
    let mut request = Vec::new();
    for _ in 0..random.below(40) {
        match random.below(3) {
            0 => request.extend(random_bytes(random.next() + 1, 4)),
            _ => request.extend(PIECES[random.below(PIECES.len())]),
        }
    }
    request
}

#[test]
fn quiet_servers_log_nothing() {
    for_each(&UPPER_SERVERS, |program| {
        let server = Server::start(program, &["--quiet"]);
        server.serves();
        assert_eq!(server.stop().stdout(), "");
    });
}

// ---- Options that change the dialogue ----

#[test]
fn announce_says_where_clients_find_the_server() {
    for_each(&UPPER_SERVERS, |program| {
        let mut server = Server::start(program, &["--announce"]);
        let address = announced_address(&mut server);
        let offline = address.starts_with("unknown (connect() failed: ");
        assert!(address.parse::<Ipv4Addr>().is_ok() || offline, "{address}");
        server.serves();
    });
}

#[test]
fn announce_offline_says_so_and_goes_on() {
    for_each(&UPPER_SERVERS, |program| {
        let mut offline = program.with_faults(&["connect:error=ENETUNREACH"]);
        let offline = offline.args(ON_A_FREE_PORT).arg("--announce");
        let mut server = Server::start_by(program, offline);
        assert_eq!(
            announced_address(&mut server),
            "unknown (connect() failed: Network is unreachable)"
        );
        server.serves();
    });
}

/// Takes the three lines of `--announce`.
fn announced_address(server: &mut Server) -> String {
    let [address, port, hint] = [(); 3].map(|()| server.process.line());
    assert_eq!(port, format!("serverPort:\t{}", server.port));
    assert_eq!(hint, "Press Ctrl+C to quit. Listening...");
    let address = address.strip_prefix("serverIP:\t");
    address.expect("the first line").to_owned()
}

#[test]
fn once_is_one_recv_one_send_and_a_close() {
    for_each(&["tcp_upper_server"], |program| {
        let mut server = Server::start(program, &["--once"]);
        let mut stream = server.connect();
        stream.write_all(b"one").expect("the server takes it");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .expect("the server says that this is all"); // though we have not
        assert_bytes(&answer, b"ONE");
        let _ = stream.write_all(b"two"); // to deaf ears
        drop(stream);
        server.serves();
        assert!(server.process.line().ends_with(": one"));
        assert!(server.process.line().ends_with(": next, please"));
        let outcome = server.stop();
        assert_eq!((outcome.stdout(), &*outcome.stderr), ("", ""));
    });
}

#[test]
fn once_does_not_reset_a_client_that_sends_more_than_one_recv_takes() {
    for_each(&["tcp_upper_server"], |program| {
        // The second recv is the first that takes the rest: it may be interrupted, as any with a time-out.
        let mut interrupted = program.with_faults(&["recvfrom:error=EINTR:when=2"]);
        for command in [&mut program.command(), &mut interrupted] {
            let command = command.args(ON_A_FREE_PORT).args(["--once", "--quiet"]);
            let server = Server::start_by(program, command);
            let mut client = server.connect();
            client.say(&vec![b'a'; 60_000]);
            let mut answer = Vec::new();
            client
                .read_to_end(&mut answer)
                .expect("the server says that this is all");
            assert!((1..=4096).contains(&answer.len()), "{}", abridged(&answer));
            assert_bytes(&answer, &vec![b'A'; answer.len()]);

            server.serves(); // after its patience with the first, who has not said goodbye
            let error = client.take_error().expect("a socket has that option");
            assert!(error.is_none(), "{error:?}");
            assert_eq!(server.stop().stderr, "");
        }
    });
}

// ---- A person's terminal ----

#[test]
fn a_person_is_prompted_and_sees_what_came_escaped() {
    for_each(&UPPER_CLIENTS, |client| {
        let server = Server::start(Program::c(client.server()), &[]);
        let path = client.path();
        let args = [
            path.to_str().expect("UTF-8"),
            "-p",
            &server.port.to_string(),
        ];
        let outcome = run(&mut python("terminal.py", &args), b"hello\nred \x1b[31m\n");
        let shown = r"Input lowercase sentence: From Server: HELLO
Input lowercase sentence: From Server: RED \x1b[31M
Input lowercase sentence: 
";
        assert_eq!(outcome, Outcome::done(shown));
    });
    for_each(&ECHO_CLIENTS, |client| {
        let server = Server::start(Program::c(client.server()), &[]);
        let path = client.path();
        let port = server.port.to_string();
        let args = [
            path.to_str().expect("UTF-8"),
            "127.0.0.1",
            "red \x1b[31m",
            &port,
        ];
        let outcome = run(&mut python("terminal.py", &args), b"");
        assert_eq!(outcome, Outcome::done("Received: red \\x1b[31m\n"));
    });
}

#[test]
fn a_line_is_written_at_once() {
    for_each(&CLIENTS, |client| {
        let server = Server::start(Program::c(client.server()), &[]);
        let mut strace = client.under(&["strace", "-qq", "-a1", "--trace=write"]);
        let outcome = client.say_by(&mut strace, "HELLO", server.port);
        let line = client.prints("HELLO");
        let write = format!("write(1, {line:?}, {len}) = {len}\n", len = line.len());
        assert_eq!(outcome, Outcome::new(0, line, &write));
    });
}

// ---- Helpers ----

fn upper_client(client: Program, server: &Server) -> Command {
    let mut command = client.command();
    command.args(["-p", &server.port.to_string()]);
    command
}

/// Lets a client say this, and looks at what it prints.
fn assert_passes(client: Program, server: &Server, word: &str) {
    let answer = String::from_utf8(client.reply_to(word.as_bytes())).expect("ASCII");
    assert_eq!(
        client.say(word, server.port),
        Outcome::done(client.prints(&answer))
    );
}
