//! Clients and servers that are not ours, in the manner of the lectures' Python and Java, and as netcat talks.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use crate::support::{
    ECHO_SERVERS, Outcome, Process, Program, SERVERS, Server, TCP_CLIENTS, TCP_SERVERS, Talk,
    UPPER_SERVERS, accept, assert_bytes, converse, for_each, hear_from, listener, local, play,
    python, run, udp,
};

const LINES: &str = "tcp is friendly\nudp is lazy\nd\u{e9}j\u{e0} vu, 123\n";
const LINES_IN_ASCII_UPPER_CASE: &str = "TCP IS FRIENDLY\nUDP IS LAZY\nD\u{e9}J\u{e0} VU, 123\n";

// ---- Their clients, our servers ----

#[test]
fn a_client_that_sends_no_newline_and_receives_once_is_served() {
    for_each(&["tcp_upper_server"], |program| {
        for args in [&[][..], &["--once"]] {
            let server = Server::start(program, args);
            assert_replies("tcp_client.py", &server, LINES_IN_ASCII_UPPER_CASE);
        }
    });
}

#[test]
fn a_client_that_reads_lines_is_served() {
    for_each(&["tcp_upper_server"], |program| {
        for args in [&[][..], &["--once"]] {
            let server = Server::start(program, args);
            assert_replies("tcp_line_client.py", &server, LINES_IN_ASCII_UPPER_CASE);
        }
    });
}

#[test]
fn a_client_that_sends_datagrams_is_served() {
    for_each(&["udp_upper_server"], |program| {
        let server = Server::start(program, &[]);
        assert_replies("udp_client.py", &server, LINES_IN_ASCII_UPPER_CASE);
    });
}

#[test]
fn python_and_our_server_agree_with_unicode() {
    for_each(&UPPER_SERVERS, |program| {
        let server = Server::start(program, &["--unicode"]);
        assert_replies(python_client(program), &server, &LINES.to_uppercase());
    });
}

#[test]
fn the_echo_servers_serve_python_as_well() {
    for_each(&ECHO_SERVERS, |program| {
        let server = Server::start(program, &[]);
        assert_replies(python_client(program), &server, LINES);
    });
}

#[test]
fn a_client_that_sends_a_file_and_half_closes_gets_all_of_it_back() {
    for_each(&TCP_SERVERS, |program| {
        let server = Server::start(program, &[]);
        assert_bytes(
            &converse(&server.connect(), LINES.as_bytes()),
            &program.reply_to(LINES.as_bytes()),
        );
    });
}

#[test]
fn a_client_that_types_line_by_line_gets_each_answer_at_once() {
    for_each(&SERVERS, |program| {
        let server = Server::start(program, &[]);
        let mut client = server.client();
        for line in LINES.split_inclusive('\n') {
            let answer = client.ask(line.as_bytes(), line.len());
            assert_bytes(&answer, &program.reply_to(line.as_bytes()));
        }
    });
}

fn python_client(server: Program) -> &'static str {
    if server.is_tcp() {
        "tcp_client.py"
    } else {
        "udp_client.py"
    }
}

/// Runs a Python client, which prints what came back.
fn assert_replies(client: &str, server: &Server, replies: &str) {
    let outcome = run(
        &mut python(client, &[&server.port.to_string()]),
        LINES.as_bytes(),
    );
    let printed = each_line_after("Reply: ", replies);
    assert_eq!(outcome, Outcome::done(printed));
}

/// Puts a caption before each line.
fn each_line_after(caption: &str, lines: &str) -> String {
    lines
        .split_inclusive('\n')
        .flat_map(|line| [caption, line])
        .collect()
}

// ---- Our clients, their servers ----

#[test]
fn the_tcp_client_talks_to_a_server_that_receives_once_and_closes() {
    for_each(&["tcp_upper_client"], |client| {
        assert_prints(client, "tcp_server.py", &LINES.to_uppercase());
    });
}

#[test]
fn the_tcp_client_talks_to_a_server_that_answers_a_line_and_never_closes() {
    for_each(&["tcp_upper_client"], |client| {
        assert_prints(client, "tcp_line_server.py", &LINES.to_uppercase());
    });
}

#[test]
fn the_udp_client_talks_to_a_server_that_answers_datagrams() {
    for_each(&["udp_upper_client"], |client| {
        assert_prints(client, "udp_server.py", &LINES.to_uppercase());
    });
}

#[test]
fn the_udp_client_prints_no_padding_of_a_server_that_answers_with_its_whole_buffer() {
    for_each(&["udp_upper_client"], |client| {
        assert_prints(
            client,
            "udp_whole_buffer_server.py",
            LINES_IN_ASCII_UPPER_CASE,
        );
    });
}

/// Runs our client against a Python server.
fn assert_prints(client: Program, server: &str, replies: &str) {
    let mut server = Process::start(&mut python(server, &[]));
    let outcome = run(
        client
            .command()
            .args(["-ip", "127.0.0.1", "-p", &server.port().to_string()]),
        LINES.as_bytes(),
    );
    let printed = each_line_after("From Server: ", replies);
    assert_eq!(outcome, Outcome::done(printed));
}

#[test]
fn the_tcp_clients_take_an_answer_in_pieces() {
    for_each(&TCP_CLIENTS, |client| {
        let (server, port) = play(move |mut stream| {
            for byte in stream.hear(client.request("pieces").len()) {
                stream.say(&[byte]);
            }
        });
        let outcome = client.say("pieces", port);
        assert_eq!(outcome, Outcome::done(client.prints("pieces")));
        server.join().expect("the server is content");
    });
}

#[test]
fn the_tcp_client_asks_each_line_on_a_connection_of_its_own() {
    for_each(&["tcp_upper_client"], |client| {
        let (listener, port) = listener();
        let server = thread::spawn(move || {
            LINES
                .lines()
                .map(|_| request(&listener))
                .collect::<String>()
        });
        let outcome = run(
            client.command().args(["-p", &port.to_string()]),
            LINES.as_bytes(),
        );
        assert_eq!(
            outcome,
            Outcome::done("From Server: yes\n".repeat(LINES.lines().count()))
        );
        assert_eq!(server.join().expect("the server is content"), LINES);
    });
}

/// Accepts a client, reads its line, and answers with more than a line.
fn request(listener: &TcpListener) -> String {
    let mut stream = accept(listener);
    let mut line = String::new();
    BufReader::new(&stream)
        .read_line(&mut line)
        .expect("a line comes");
    stream
        .write_all(b"yes\nand no")
        .expect("the client takes it");
    line
}

#[test]
fn the_udp_echo_client_sends_just_the_word() {
    for_each(&["udp_echo_client"], |client| {
        let server = udp();
        let port = server.address().port();
        let answering = thread::spawn(move || {
            let (datagram, port) = hear_from(&server);
            server
                .send_to(b"another word", local(port))
                .expect("it leaves");
            datagram
        });
        assert_eq!(
            client.say("a word", port),
            Outcome::done("Received: another word\n")
        );
        assert_bytes(&answering.join().expect("the server is content"), b"a word");
    });
}
