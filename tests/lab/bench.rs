//! `sockstep bench`: every server is really asked, its figures follow from its slices, and nothing is left when it is over.
//! How fast anything is, no test says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::{
    Outcome, Process, Program, Random, python, python3, require, run, scratch,
    wait_until_none_is_marked,
};
use nix::sys::signal::Signal;

/// The least that it measures.
const SHORT: [&str; 4] = ["--seconds", "0.1", "--slice", "5"];

const ONE_AT_A_TIME: [&str; 2] = ["tcp_echo_server", "tcp_upper_server"];
const MANY: [&str; 9] = [
    "tcp_echo_server_fork",
    "tcp_echo_server_thread",
    "tcp_echo_server_prefork",
    "tcp_echo_server_pool",
    "tcp_echo_server_select",
    "tcp_echo_server_poll",
    "tcp_echo_server_epoll",
    "udp_echo_server",
    "udp_upper_server",
];

fn bench(args: &[&str]) -> Outcome {
    run(
        Command::new(env!("CARGO_BIN_EXE_sockstep"))
            .arg("bench")
            .args(args),
        b"",
    )
}

/// Has Python check the object, all of whose figures follow from its slices, and returns what it prints.
fn checked(outcome: &Outcome) -> String {
    assert_eq!(outcome.stderr, "");
    let judged = run(&mut python("bench_check.py", &[]), &outcome.stdout);
    assert!(judged.status.success(), "{judged:?}\n{}", outcome.stdout());
    let void = !outcome.stdout().contains("\"void\":[]");
    assert_eq!(outcome.status.code(), Some(void.into()), "{outcome:?}");
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/bench.json");
    let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/exports/schema.py");
    let of_schema = run(
        Command::new(python3()).args([reader, schema]),
        &outcome.stdout,
    );
    assert!(of_schema.status.success(), "{of_schema:?}");
    judged.stdout().to_owned()
}

#[test]
fn every_server_is_measured_with_connections_that_stay_and_new_ones() {
    for server in ONE_AT_A_TIME.iter().chain(&MANY) {
        let several = MANY.contains(server);
        for (mode, reconnect) in [("--json", "False"), ("--reconnect", "True")] {
            let connections = if several || reconnect == "True" {
                "7"
            } else {
                "1"
            };
            let which = [
                &[server, "--json", mode, "--connections", connections][..],
                &SHORT,
            ]
            .concat();
            let expected = format!("{server} {connections} 64 {reconnect}\n");
            assert_eq!(checked(&bench(&which)), expected);
        }
    }
}

#[test]
fn the_least_and_the_most_of_a_message_come_back_whole() {
    for (server, most) in [
        ("tcp_echo_server", "4096"),
        ("tcp_upper_server", "4096"),
        ("udp_echo_server", "65507"),
        ("udp_upper_server", "65507"),
    ] {
        for size in ["1", most] {
            let which = [&[server, "--size", size, "--json"][..], &SHORT].concat();
            assert_eq!(
                checked(&bench(&which)),
                format!("{server} 1 {size} False\n")
            );
        }
    }
    let many = [
        &["udp_echo_server", "--connections", "180", "--json"][..],
        &SHORT,
    ]
    .concat();
    checked(&bench(&many));
}

#[test]
fn client_and_server_may_run_on_any_core() {
    let outcome = bench(&[&["tcp_echo_server", "--any-core", "--json"][..], &SHORT].concat());
    checked(&outcome);
    assert!(outcome.stdout().contains("\"core\":null"), "{outcome:?}");
}

#[test]
fn the_table_fits_and_its_command_does_the_same_again() {
    let outcome = bench(
        &[
            &["udp_echo_server", "--reconnect", "--connections", "3"][..],
            &SHORT,
        ]
        .concat(),
    );
    let table = outcome.stdout();
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    assert!(
        table.starts_with("udp_echo_server: 64 bytes, a new connection each, 3 at a time\n"),
        "{table}"
    );
    assert_eq!(
        outcome.status.code(),
        Some(table.contains("\nvoid: ").into()),
        "{table}"
    );
    let (_, again) = table
        .split_once("\nagain: sockstep bench ")
        .expect("the command");
    let again = again.replace("\\\n", "");
    let again: Vec<&str> = again.split_whitespace().chain(["--json"]).collect();
    let mut expected = vec!["udp_echo_server", "--connections", "3", "--size", "64"];
    expected.extend(["--seconds", "0.1", "--slice", "5", "--seed"]);
    assert_eq!(again[..expected.len()], expected);
    assert_eq!(checked(&bench(&again)), "udp_echo_server 3 64 True\n");
}

#[test]
fn the_same_seed_gives_the_same_order() {
    // As many rounds as there was time for: one at least.
    let order = |seed| {
        let outcome = bench(&[&["tcp_echo_server", "--json", "--seed", seed][..], &SHORT].concat());
        let order = run(&mut python("bench_check.py", &["order"]), &outcome.stdout);
        let rounds: Vec<String> = order.stdout().lines().map(String::from).collect();
        assert!(!rounds.is_empty(), "{outcome:?}");
        rounds
    };
    let (one, again, other) = (order("1"), order("1"), order("2"));
    assert!(one.iter().zip(&again).all(|(one, again)| one == again));
    assert_ne!(one[0], other[0]);
}

/// A directory with a program in the place of `tcp_echo_server`.
fn in_its_place(name: &str, what: &str) -> PathBuf {
    require("python3", "the servers of these tests");
    let directory = scratch(Path::new("bench").join(name));
    let program = directory.join("tcp_echo_server");
    let text = format!(
        "#!/usr/bin/env python3
import os, socket, sys
log = os.open('{}', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
listener = socket.create_server(('127.0.0.1', 0))
print('listening on %s:%d' % listener.getsockname(), flush=True)
client, _ = listener.accept()
while message := client.recv(4096):
    {what}
",
        directory.join("log").display()
    );
    fs::write(&program, text).expect("the directory is ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    directory
}

fn against(directory: &Path) -> Outcome {
    let directory = directory.to_str().expect("UTF-8");
    bench(
        &[
            &["tcp_echo_server", "--json", "--c-programs", directory][..],
            &SHORT,
        ]
        .concat(),
    )
}

#[test]
fn what_it_counts_are_the_messages_that_a_server_has_had() {
    let directory = in_its_place("counted", "os.write(log, b'.'); client.sendall(message)");
    let outcome = against(&directory);
    checked(&outcome);
    let counted = fs::metadata(directory.join("log"))
        .expect("it counts")
        .len();
    let (_, c) = outcome
        .stdout()
        .split_once("\"c\":{\"round_trips\":")
        .expect("C");
    let said: u64 = c[..c.find(',').expect("more")].parse().expect("a number");
    assert_eq!(counted, said + 2, "one to try each copy, then those");
}

#[test]
fn a_server_that_fails_is_named_with_its_words() {
    for (name, what, words) in [
        (
            "wrong",
            "client.sendall(message.upper())",
            "c 1: the server's answer is wrong",
        ),
        (
            "leaving",
            "sys.exit('that was \\x1b[31m all')",
            r"c 1: the server closed a connection. It printed: that was \x1b[31m all",
        ),
        ("silent", "pass", "c 1: no answer in 5 s"),
    ] {
        let outcome = against(&in_its_place(name, what));
        assert_eq!(
            outcome,
            Outcome::new(2, "", &format!("sockstep: {words}\n"))
        );
    }
    let empty = scratch("bench/empty");
    let outcome = against(&empty);
    let words = format!(
        "sockstep: {} does not exist\n",
        empty.join("tcp_echo_server").display()
    );
    assert_eq!(outcome, Outcome::new(2, "", &words));

    let mute = in_its_place("mute", "pass");
    fs::write(
        mute.join("tcp_echo_server"),
        "#!/bin/sh\necho no such luck >&2\n",
    )
    .expect("it is ours");
    let outcome = against(&mute);
    let program = mute.join("tcp_echo_server");
    let words = format!(
        "sockstep: c 1: {} did not start. It printed: no such luck\n",
        program.display()
    );
    assert_eq!(outcome, Outcome::new(2, "", &words));
}

#[test]
fn any_server_is_measured_beside_the_pair() {
    require("python3", "the servers of these tests");
    let peer = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/echo.py");
    let one = format!("cd / && python3 {peer} {{port}} thread");
    let other = Program::rust("tcp_echo_server_poll").at_the_port();
    for (mode, reconnect) in [("--json", "False"), ("--reconnect", "True")] {
        let which = [
            "tcp_echo_server_epoll",
            "--json",
            mode,
            "--connections",
            "3",
            "--against",
            &one,
        ];
        let outcome = bench(&[&which[..], &["--against", &other], &SHORT].concat());
        assert_eq!(
            checked(&outcome),
            format!("tcp_echo_server_epoll 3 64 {reconnect}\n")
        );
    }
    let peer = Program::rust("udp_echo_server").at_the_port();
    let outcome = bench(
        &[
            &["udp_echo_server", "--json", "--against", &peer][..],
            &SHORT,
        ]
        .concat(),
    );
    assert_eq!(checked(&outcome), "udp_echo_server 1 64 False\n");

    // As a table, whose command does the same again.
    let other = format!("{other} # it's mine");
    let outcome = bench(&[&["tcp_echo_server", "--against", &other][..], &SHORT].concat());
    let table = outcome.stdout();
    for row in [
        "Rust  ",
        "C  ",
        "peer 1  ",
        "Rust / C  ",
        "Rust / peer 1  ",
        "peer 1 / peer 1  ",
    ] {
        assert!(table.contains(&format!("\n{row}")), "{table}");
    }
    assert!(table.contains(&format!("\npeer 1: {other}\n")), "{table}");
    let (_, again) = table.split_once("\nagain: ").expect("the command");
    let (sockstep, json) = (env!("CARGO_BIN_EXE_sockstep"), " --json");
    let again = again.trim_end().replacen("sockstep", sockstep, 1) + json;
    let outcome = run(Command::new("sh").args(["-c", &again]), b"");
    assert_eq!(checked(&outcome), "tcp_echo_server 1 64 False\n");
}

#[test]
fn all_designs_and_a_peer_are_drawn() {
    require("python3", "the reader of these tests");
    let directory = scratch("bench/plot");
    let file = directory.join("designs.svg");
    let file = file.to_str().expect("UTF-8");
    let peer = Program::rust("tcp_echo_server_epoll").at_the_port() + " # <script>&\"]]>";
    let outcome = bench(&[&["--plot", file, "--against", &peer][..], &SHORT].concat());
    let table = outcome.stdout();
    let void = table.contains("\nvoid at ");
    assert_eq!(outcome.status.code(), Some(void.into()), "{outcome:?}");
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    assert!(
        table.ends_with(&format!("\nthe picture: {file}\n")),
        "{table}"
    );
    for design in [
        "iterative",
        "fork",
        "thread",
        "prefork",
        "pool",
        "select",
        "poll",
        "epoll",
        "peer 1",
    ] {
        let rows: Vec<_> = table
            .lines()
            .filter(|line| line.starts_with(&format!("{design}  ")))
            .collect();
        assert_eq!(rows.len(), 2, "{design}: {table}"); // of round trips, and of memory
        let columns = rows[0].replace("peer 1", "peer").split_whitespace().count();
        assert_eq!(columns, 5, "{design}: {table}");
    }
    let read = "import sys, xml.dom.minidom as dom
svg = dom.parse(sys.argv[1]).documentElement
assert not svg.getElementsByTagName('script')
print(*(text.firstChild.data for text in svg.getElementsByTagName('text')), sep='\\n')";
    let texts = run(Command::new("python3").args(["-c", read, file]), b"");
    let texts = texts.stdout();
    for label in ["fork", "thread", "peer 1", "iterative at 1"] {
        let count = texts
            .lines()
            .filter(|text| text.starts_with(&format!("{label}  ")))
            .count();
        assert_eq!(count, 2, "{label}: {texts}");
    }
    assert!(texts.contains("<script>&\"]]>"), "{texts}");
    assert_eq!(texts.contains("\nvoid: "), void, "{texts}");

    // A file that cannot be written is reported before the work, and a failure leaves no file.
    let outcome = bench(&["--plot", "/proc/none.svg"]);
    assert_eq!(
        outcome,
        Outcome::new(
            2,
            "",
            "sockstep: /proc/none.svg: No such file or directory (os error 2)\n"
        )
    );
    let other = directory.join("other.svg");
    let outcome = bench(&[
        "--plot",
        other.to_str().expect("UTF-8"),
        "--against",
        "exit # {port}",
    ]);
    assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
    assert!(!other.exists());
    let outcome = bench(&["tcp_echo_server", "--plot", file]);
    assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
}

#[test]
fn hundreds_of_processes_are_measured() {
    let which = ["tcp_echo_server_fork", "--connections", "450", "--json"];
    checked(&bench(&[&which[..], &SHORT].concat()));
}

#[test]
fn a_peer_that_fails_is_named_with_its_words() {
    for (command, words) in [
        (
            "echo no {port} such\x1b luck >&2",
            r"echo no {port} such\x1b luck >&2 does not listen at port N. It printed: no N such\x1b luck",
        ),
        (
            "python3 tests/peers/echo.py {port} nul",
            "the server's answer is wrong",
        ),
        (
            "sleep 1000 # {port}",
            "sleep 1000 # {port} does not listen at port N",
        ),
    ] {
        let outcome = bench(
            &[
                &["tcp_echo_server", "--json", "--against", command][..],
                &SHORT,
            ]
            .concat(),
        );
        let said = without_numbers(&outcome.stderr).replace("peer1 2:", "peer1 1:"); // either copy
        assert_eq!(said, format!("sockstep: peer1 1: {words}\n"));
        assert_eq!((outcome.status.code(), outcome.stdout()), (Some(2), ""));
    }
    let outcome = bench(&["tcp_echo_server", "--against", "./mine 7000"]);
    assert_eq!(outcome.status.code(), Some(2));
    assert!(
        outcome
            .stderr
            .contains("the command needs a {port}, as in './my_server {port}'"),
        "{outcome:?}"
    );
}

/// A text with N in the place of each port.
fn without_numbers(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_ascii_digit());
    let mut end = String::new();
    for word in words {
        let digits = word.chars().take_while(char::is_ascii_digit).count();
        if digits == 5 {
            end.push('N');
            end.push_str(&word[digits..]);
        } else {
            end.push_str(word);
        }
    }
    end
}

#[test]
fn what_cannot_be_measured_is_refused_with_a_reason() {
    for (args, words) in [
        (
            ["tcp_echo_server", "--connections", "2"],
            "tcp_echo_server serves one client at a time.",
        ),
        (
            ["tcp_upper_server", "--size", "4097"],
            "--size 4096 at most: ",
        ),
        (
            ["udp_echo_server", "--connections", "1000"],
            "--connections 184 at most: ",
        ),
    ] {
        let outcome = bench(&args);
        assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
        assert!(
            outcome.stderr.starts_with(&format!("sockstep: {words}")),
            "{outcome:?}"
        );
        assert_eq!(outcome.stdout, b"");
    }
    for args in [
        &["tcp_echo_client"][..],
        &["tcp_echo_server", "--connections", "0"],
        &["tcp_echo_server", "--connections", "1001"],
        &["tcp_echo_server", "--size", "0"],
        &["udp_echo_server", "--size", "65508"],
        &["tcp_echo_server", "--seconds", "61"],
        &["tcp_echo_server", "--seconds", "nan"],
        &["tcp_echo_server", "--slice", "4"],
        &["tcp_echo_server", "--slice", "101"],
        &["tcp_echo_server", "--seed", "-1"],
    ] {
        let outcome = bench(args);
        assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
        assert!(outcome.stderr.starts_with("error: "), "{outcome:?}");
    }
}

#[test]
fn ended_at_any_moment_it_leaves_nothing() {
    let mut random = Random(13);
    let signals = [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGKILL,
    ];
    for (round, server) in ONE_AT_A_TIME
        .iter()
        .chain(&MANY)
        .cycle()
        .take(22)
        .enumerate()
    {
        let signal = signals[round % signals.len()];
        let temporary = scratch("bench/interrupted");
        let mark = format!("bench-{}-{round}", std::process::id());
        let mut command = Command::new(env!("CARGO_BIN_EXE_sockstep"));
        command.args(["bench", server, "--seconds", "60"]);
        if round % 8 > 3 {
            command.arg("--reconnect");
        }
        let mut process = Process::start(
            command
                .env("SOCKSTEP_TEST", &mark)
                .env("TMPDIR", &temporary),
        );
        thread::sleep(Duration::from_millis(random.below(700) as u64)); // a random moment, not a wait for anything
        process.signal(signal);
        let outcome = process.end();
        assert_eq!(outcome.status.signal(), Some(signal as i32), "{outcome:?}");

        wait_until_none_is_marked(&format!("SOCKSTEP_TEST={mark}"));
        // What SIGKILL ends cannot remove the twin.
        let left = fs::read_dir(&temporary).expect("it is there").count();
        assert!(
            left == 0 || signal == Signal::SIGKILL,
            "{signal} left files"
        );
    }
}
