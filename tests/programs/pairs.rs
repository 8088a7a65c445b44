//! Each client against each server, Rust and C in all four combinations: they cannot be told apart.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use crate::support::{DATAGRAM, Outcome, PAIRS, Program, Server, run};

/// What the clients of an echo pair send, a word each.
const WORDS: [&[u8]; 6] = [
    b"hello",
    b"",
    b"two words and\na second line",
    "d\u{e9}j\u{e0} vu \u{1f600}".as_bytes(),
    b"not UTF-8: \xff\xc3",
    &[b'w'; DATAGRAM],
];

/// What the client of an uppercase pair reads, a line each, and what it is to print.
const LINES: &[u8] = b"tcp is friendly, udp is lazy\n\nMixed CASE, 123 {}\nd\xc3\xa9j\xc3\xa0 vu\n\xff\x00\x1b[0m\nthe last one, without an end";
const LINES_IN_UPPER_CASE: &[u8] = b"From Server: TCP IS FRIENDLY, UDP IS LAZY\nFrom Server: \nFrom Server: MIXED CASE, 123 {}\nFrom Server: D\xc3\xa9J\xc3\xa0 VU\nFrom Server: \xff\x00\x1b[0M\nFrom Server: THE LAST ONE, WITHOUT AN END\n";
const LOG: &str = "\
Received from 127.0.0.1#PORT: tcp is friendly, udp is lazy
Received from 127.0.0.1#PORT: 
Received from 127.0.0.1#PORT: Mixed CASE, 123 {}
Received from 127.0.0.1#PORT: d\u{e9}j\u{e0} vu
Received from 127.0.0.1#PORT: \\xff\\x00\\x1b[0m
Received from 127.0.0.1#PORT: the last one, without an end
";

#[test]
fn the_same_happens_in_every_combination() {
    for (server, client) in PAIRS {
        let expected = (
            expected_of_clients(client),
            Outcome::done(expected_log(server)),
        );
        for server in Program::both(server) {
            for client in Program::both(client) {
                assert_eq!(dialogue(server, client), expected, "{client} with {server}");
            }
        }
    }
}

/// Runs a server and all clients of a pair: how the clients ended, and how the server did.
fn dialogue(server: Program, client: Program) -> (Vec<Outcome>, Outcome) {
    let mut server = Server::start(server, &[server.limit(), "6"]);
    let port = server.port.to_string();
    let clients = if client.is_upper() {
        vec![run(client.command().args(["-p", &port]), LINES)]
    } else {
        WORDS
            .iter()
            .map(|word| run(&mut echo(client, word, &port), b""))
            .collect()
    };
    let mut outcome = server.process.end(); // by itself, after six
    outcome.stdout = without_ports(outcome.stdout());
    (clients, outcome)
}

fn echo(client: Program, word: &[u8], port: &str) -> Command {
    let mut command = client.command();
    command
        .arg("127.0.0.1")
        .arg(OsStr::from_bytes(word))
        .arg(port);
    command
}

fn expected_of_clients(client: &str) -> Vec<Outcome> {
    if client.contains("upper") {
        vec![Outcome::done(LINES_IN_UPPER_CASE)]
    } else {
        WORDS.map(received).to_vec()
    }
}

fn received(word: &[u8]) -> Outcome {
    Outcome::done([b"Received: ", word, b"\n"].concat())
}

fn expected_log(server: &str) -> &'static str {
    if server.contains("upper") { LOG } else { "" }
}

/// A log with `#PORT` for each client's port: the kernel picks them.
fn without_ports(log: &str) -> Vec<u8> {
    let lines = log.lines().map(|line| match line.split_once('#') {
        Some((address, rest)) => {
            let (_, rest) = rest.split_once(':').expect("a port ends in a colon");
            format!("{address}#PORT:{rest}\n")
        }
        None => format!("{line}\n"),
    });
    lines.collect::<String>().into_bytes()
}
