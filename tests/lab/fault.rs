//! `run --fault`: what goes wrong on purpose stands in the picture, and nothing else does.

use std::fs;
use std::process::Command;

use crate::support::{Outcome, run, scratch};

fn sockstep(arguments: &[&str]) -> Outcome {
    crate::sockstep(&[&["run"], arguments].concat())
}

/// The rows of a side of the picture, without what it waited.
fn rows(outcome: &Outcome, server: bool) -> Vec<String> {
    let side = |row: &str| -> String {
        let (skip, take) = if server { (42, 38) } else { (0, 38) };
        let text: String = row.chars().skip(skip).take(take).collect();
        text.trim().to_owned()
    };
    let rows = outcome.stdout().lines().map(side);
    rows.filter(|row| !row.is_empty() && !row.starts_with("(waited"))
        .collect()
}

/// Asserts that these rows follow each other.
fn assert_follow(rows: &[String], expected: &[&str]) {
    let found = rows
        .windows(expected.len())
        .any(|window| window == expected);
    assert!(found, "{expected:#?} not in {rows:#?}");
}

#[test]
fn an_error_is_reported_by_the_program_and_comes_from_nobody() {
    for implementation in ["rust", "c"] {
        let fault = "server recv error=ECONNRESET";
        let outcome = sockstep(&["tcp_echo", "--impl", implementation, "--fault", fault]);
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        let rows = rows(&outcome, true);
        let injected = rows.iter().filter(|row| row.contains("injected"));
        assert_eq!(injected.count(), 1, "{rows:#?}");
        assert_follow(&rows, &["0) = ECONNRESET", "(injected: error=ECONNRESET)"]);
        let call = outcome
            .stdout()
            .lines()
            .find(|row| row.contains("recvfrom(4, ..., 4096,"));
        let call = call.unwrap_or_else(|| panic!("{}", outcome.stdout()));
        assert!(!call.contains("RST"), "nobody has reset it: {call}");
    }
}

#[test]
fn every_call_from_one_on_is_late() {
    let outcome = sockstep(&["tcp_echo", "--fault", "server recv delay=1ms when=1+"]);
    outcome.assert_clean();
    let server = rows(&outcome, true);
    let late = server.iter().filter(|row| row.contains("delay=1 ms"));
    assert_eq!(late.count(), 2, "{server:#?}");
}

#[test]
fn short_calls_are_continued_by_both_languages() {
    for implementation in ["rust", "c"] {
        let faults = [
            "--fault",
            "client recv short=2 when=1+",
            "--fault",
            "server send short=3",
        ];
        let mut arguments = vec!["tcp_echo", "--impl", implementation];
        arguments.extend(faults);
        let outcome = sockstep(&arguments);
        outcome.assert_clean();
        let client = rows(&outcome, false);
        assert_follow(
            &client,
            &["recvfrom(3, \"he\", 2, 0) = 2", "(injected: short=2)"],
        );
        assert!(
            client.contains(&"| Received: hello".to_owned()),
            "{client:#?}"
        );
        let server = rows(&outcome, true);
        assert_follow(
            &server,
            &[
                "sendto(4, \"hel\", 3, 0) = 3",
                "(injected: short=3)",
                "sendto(4, \"lo\", 2, 0) = 2",
            ],
        );
    }
}

#[test]
fn a_delay_and_a_signal_come_at_the_call_that_is_meant() {
    let outcome = sockstep(&[
        "tcp_echo",
        "--fault",
        "server accept delay=100ms",
        "--fault",
        "server recv signal=SIGCHLD when=2",
    ]);
    outcome.assert_clean();
    let server = rows(&outcome, true);
    assert_follow(
        &server,
        &["accept(3, 127.0.0.1:PORT) = 4", "(injected: delay=100 ms)"].map(|row| {
            let call = server.iter().find(|row| row.starts_with("accept("));
            if row.contains("PORT") {
                call.expect("it accepts").as_str()
            } else {
                row
            }
        }),
    );
    let at = |text: &str| server.iter().position(|row| row.contains(text));
    let injected = at("signal=SIGCHLD").expect("it is marked");
    assert!(server[injected - 1].starts_with("recvfrom("), "{server:#?}");
    assert!(
        at("--- SIGCHLD ---").is_some_and(|signal| signal > injected),
        "{server:#?}"
    );
}

#[test]
fn reads_on_sockets_alone_are_short() {
    let script = scratch("fault").join("server.py");
    let source = "import os, socket, sys\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', int(sys.argv[1])))\n\
        s.listen()\n\
        c, _ = s.accept()\n\
        while d := os.read(c.fileno(), 100): os.write(c.fileno(), d)\n";
    fs::write(&script, source).expect("it is writable");
    let server = format!("/usr/bin/python3 {} {{port}}", script.display());
    let client = "tcp_echo_client 127.0.0.1 hello {port}";
    let arguments = [
        "--server",
        &server,
        "--client",
        client,
        "--fault",
        "server read short=2 when=1..2",
    ];
    let outcome = sockstep(&arguments);
    outcome.assert_clean();
    let server = rows(&outcome, true);
    assert_follow(&server, &["read(4, \"he\", 2) = 2", "(injected: short=2)"]);
    assert_follow(&server, &["read(4, \"ll\", 2) = 2", "(injected: short=2)"]);
    assert!(
        server.contains(&"read(4, \"o\", 100) = 1".to_owned()),
        "{server:#?}"
    );
}

#[test]
fn with_many_clients_each_has_its_fault() {
    let outcome = sockstep(&[
        "tcp_echo_server",
        "--clients",
        "2",
        "--fault",
        "client recv short=1",
    ]);
    outcome.assert_clean();
    let last = outcome.stdout().lines().last().unwrap_or_default();
    assert_eq!(last, "injected, 2 in all: client recv short=1");
    let outcome = sockstep(&[
        "tcp_echo",
        "--clients",
        "2",
        "--fault",
        "client socket error=EMFILE",
    ]);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("strace holds the clients in these calls"),
        "{outcome:?}"
    );
}

#[test]
fn what_has_not_happened_is_said_and_why() {
    let program = scratch("static").join("echo");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/tcp_echo_server.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-static", source, "-o"]).arg(&program);
    assert!(run(&mut compiler, b"").status.success());
    let server = format!("{} --bind 127.0.0.1 {{port}}", program.display());
    let client = "tcp_echo_client 127.0.0.1 hello {port}";
    let arguments = [
        "--server",
        &server,
        "--client",
        client,
        "--fault",
        "server recv short=2",
    ];
    let outcome = sockstep(&arguments);
    assert!(outcome.status.success(), "{outcome:?}");
    assert!(
        outcome.stderr.contains("did not happen to the server"),
        "{outcome:?}"
    );
    assert!(
        outcome.stderr.contains("static and Go programs"),
        "{outcome:?}"
    );
    let outcome = sockstep(&["tcp_echo", "--fault", "client socket error=EMFILE when=7"]);
    assert!(outcome.status.success(), "{outcome:?}");
    assert!(
        outcome.stderr.contains("none of its tasks made that many"),
        "{outcome:?}"
    );
}

#[test]
fn what_is_no_fault_is_refused_with_what_there_is() {
    for (arguments, words) in [
        (&["--fault", "servr recv error=EIO"][..], "server?"),
        (&["--fault", "server rcv error=EIO"], "recv?"),
        (&["--fault", "server recv error=ECONRESET"], "ECONNRESET?"),
        (&["--fault", ""], "a side is missing"),
        (&["--fault", "server recv error=EIO", "--plain"], "--plain"),
        (
            &[
                "--fault",
                "server recv error=EIO",
                "--fault",
                "server recvfrom delay=1s",
            ],
            "two faults are about the same call",
        ),
    ] {
        let mut all = vec!["tcp_echo"];
        all.extend(arguments);
        let outcome = sockstep(&all);
        assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(words), "{words}: {outcome:?}");
        assert!(outcome.stdout().is_empty(), "{outcome:?}");
    }
}
