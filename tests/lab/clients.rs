//! `sockstep run --clients`: who waits for whom, as the chart shows it.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::support::{Process, at_this_load, python3, require, run, wait_until_none_is_marked};
use nix::sys::signal::Signal;

const SOCKSTEP: &str = env!("CARGO_BIN_EXE_sockstep");

/// How long each client thinks, in milliseconds: much longer than the delays of a loaded machine.
const THINK: u64 = 600;

/// A server's part of the picture.
#[derive(Debug)]
struct Chart {
    server: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    label: String,
    /// What it does, column by column.
    signs: String,
    words: String,
}

impl Chart {
    fn row(&self, label: &str) -> &Row {
        let row = self.rows.iter().find(|row| row.label == label);
        row.unwrap_or_else(|| panic!("{} has no {label}", self.server))
    }

    /// The columns of a client in which it has no answer yet.
    fn waiting(&self, client: usize) -> usize {
        let row = self.row(&format!("client {client}"));
        row.signs.matches('.').count()
    }

    /// The columns in which two clients have their answers and think, both at the same time.
    fn think_together(&self, one: usize, other: usize) -> usize {
        let [one, other] = [one, other].map(|client| &self.row(&format!("client {client}")).signs);
        let columns = one.chars().zip(other.chars());
        columns.filter(|both| *both == ('=', '=')).count()
    }

    /// Whether the server's first process is in accept in a column in which another one, or a thread, is there for a client.
    fn accepts_while_another_serves(&self) -> bool {
        let first = &self.row("server").signs;
        let others = self
            .rows
            .iter()
            .filter(|row| row.label.starts_with(['p', 't']));
        let mut columns = others.flat_map(|row| first.chars().zip(row.signs.chars()));
        columns.any(|(first, other)| first == '-' && other.is_ascii_digit())
    }

    /// How long a client waited for its answer, in milliseconds: `waited 102 ms`.
    fn waited(&self, client: usize) -> u64 {
        let words = &self.row(&format!("client {client}")).words;
        let number = words.split_whitespace().nth(1);
        number
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("no time in {words}"))
    }
}

fn charts(arguments: &[&str]) -> Vec<Chart> {
    require("strace", "the chart");
    let think = THINK.to_string();
    let mut command = Command::new(SOCKSTEP);
    command.arg("run").args(arguments).args(["--think", &think]);
    let outcome = run(&mut command, b"");
    outcome.assert_clean();
    let legend = "= client has its answer, and thinks";
    assert!(outcome.stdout().contains(legend), "{outcome:?}");
    let mut charts: Vec<Chart> = Vec::new();
    for row in outcome.stdout().lines() {
        assert!(row.chars().count() <= 80, "wider than 80 columns: {row}");
        let cut = |from: usize, to: usize| {
            row.get(from..to.min(row.len()))
                .unwrap_or_default()
                .trim_end()
        };
        let (label, signs, words) = (cut(0, 10), cut(10, 47), cut(47, 80));
        if words.contains("clients, done in") {
            let server = cut(0, 47).to_owned();
            charts.push(Chart {
                server,
                rows: Vec::new(),
            });
        } else if let (Some(chart), false) = (
            charts.last_mut(),
            words.is_empty() || label.starts_with(['.', '=', '1', '_', '*', '-']),
        ) {
            let [label, signs, words] = [label, signs, words].map(str::to_owned);
            chart.rows.push(Row {
                label,
                signs,
                words,
            });
        }
    }
    charts
}

#[test]
fn an_iterative_server_makes_the_others_wait_and_concurrent_ones_do_not() {
    for implementation in ["rust", "c"] {
        let servers = [
            "tcp_echo_server",
            "tcp_echo_server_fork",
            "tcp_echo_server_thread",
        ];
        let [clients, language] = [["--clients", "3"], ["--impl", implementation]];
        let charts = charts(&[&servers[..], &clients, &language].concat());
        let names: Vec<&str> = charts.iter().map(|chart| chart.server.as_str()).collect();
        assert_eq!(names, servers);
        let [iterative, concurrent @ ..] = &charts[..] else {
            panic!("no chart");
        };

        assert!(
            iterative.waiting(2) > 0 && iterative.waiting(3) > iterative.waiting(2),
            "{iterative:?}"
        );
        assert!(iterative.waited(2) >= THINK / 2, "{iterative:?}"); // it may have come late
        // Where one ends and the next begins, a column may be both's.
        assert!(
            iterative.think_together(1, 2) < 2 && iterative.think_together(2, 3) < 2,
            "{iterative:?}"
        );
        assert!(iterative.row("client 2").words.ends_with("server with 1"));
        assert!(iterative.row("client 3").words.ends_with("server with 1-2"));
        let mut served: Vec<char> = iterative.row("server").signs.chars().collect();
        served.retain(char::is_ascii_digit); // it may pause in between
        served.dedup();
        assert_eq!(served, ['1', '2', '3']);

        for chart in concurrent {
            assert!(chart.accepts_while_another_serves(), "{chart:?}");
            let waits = |row: &Row| row.words.contains("server with");
            assert!(!chart.rows.iter().any(waits), "{chart:?}");
            let others = chart
                .rows
                .iter()
                .filter(|row| row.label.starts_with(['p', 't']));
            let mut served: Vec<_> = others.flat_map(|row| row.signs.chars()).collect();
            served.retain(char::is_ascii_digit);
            served.sort_unstable();
            served.dedup();
            assert_eq!(
                served,
                ['1', '2', '3'],
                "{}: one for each client",
                chart.server
            );
        }
    }
}

#[test]
fn servers_that_have_many_clients_at_once_say_in_which_call_they_wait() {
    let servers = [
        "tcp_echo_server_select",
        "tcp_echo_server_poll",
        "tcp_echo_server_epoll",
    ];
    for chart in charts(&[&servers[..], &["--clients", "2"]].concat()) {
        let row = chart.row("server");
        assert!(row.signs.contains('*'), "{chart:?}");
        assert!(
            row.words.contains("select") || row.words.contains("poll"),
            "{}",
            row.words
        );
    }
    let servers = ["tcp_echo_server_prefork", "tcp_echo_server_pool"];
    for chart in charts(&[&servers[..], &["--clients", "2"]].concat()) {
        assert!(
            chart.rows.iter().any(|row| row.label.ends_with(" others")),
            "{}",
            chart.server
        );
    }
}

#[test]
fn its_entries_say_whose_they_are() {
    require("strace", "the chart");
    let read = "import json, sys
lines = [json.loads(line) for line in sys.stdin][1:]
sent = [(e['run'], e['client'], e['args'][1], e['step']) for e in lines if e['side'] == 'client' and e.get('name') == 'sendto']
print(sorted(sent))
print(all('client' not in e for e in lines if e['side'] == 'server'))
";
    let json = run(
        Command::new(SOCKSTEP).args([
            "run",
            "tcp_echo",
            "--clients",
            "2",
            "--think",
            "10",
            "--json",
            "--",
            "a word",
        ]),
        b"",
    );
    assert!(json.status.success() && json.stderr.is_empty(), "{json:?}");
    let seen = run(
        Command::new(python3()).args(["-c", read]),
        json.stdout().as_bytes(),
    );
    let expected = r#"[('tcp_echo_server', 1, '"a word 1"', 'Client 3. Communicate'), ('tcp_echo_server', 2, '"a word 2"', 'Client 3. Communicate')]
True
"#;
    assert_eq!(seen.stdout(), expected, "{seen:?}");
}

#[test]
fn a_client_that_fails_is_named_and_its_status_returned() {
    require("strace", "the chart");
    let mut command = Command::new(SOCKSTEP);
    command.args([
        "run",
        "tcp_echo",
        "--clients",
        "2",
        "--",
        "word",
        "one too many",
    ]);
    let outcome = run(&mut command, b"");
    assert_eq!(outcome.status.code(), Some(2));
    assert!(outcome.stdout.is_empty(), "nobody connected: {outcome:?}");
    for number in 1..=2 {
        let words = format!("sockstep: client {number}: exit status: 2: ");
        assert!(outcome.stderr.contains(&words), "{outcome:?}");
    }
}

#[test]
fn a_signal_ends_it_while_strace_holds_its_clients_back() {
    require("strace", "the chart");
    let mark = format!("clients-{}", std::process::id());
    let mut command = Command::new(SOCKSTEP);
    command.args([
        "run",
        "tcp_echo_server_fork",
        "--clients",
        "2",
        "--think",
        "60000",
        "--json",
    ]);
    let mut process = Process::start(command.env("SOCKSTEP_TEST", &mark));
    while !process.line().contains("Received: hello") {}
    let start = Instant::now();
    process.signal(Signal::SIGTERM);
    let outcome = process.end();
    assert_eq!(outcome.status.signal(), Some(Signal::SIGTERM as i32));
    wait_until_none_is_marked(&format!("SOCKSTEP_TEST={mark}"));
    assert!(
        start.elapsed() < at_this_load(30),
        "it waited for its clients"
    );
}

#[test]
fn without_strace_it_says_so() {
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nowhere");
    let outcome = run(
        Command::new(SOCKSTEP)
            .args(["run", "tcp_echo", "--clients", "2"])
            .env("PATH", nowhere),
        b"",
    );
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(
        outcome.stderr,
        "sockstep: --clients needs strace: strace is not installed: apt-get install strace\n"
    );
    assert!(outcome.stdout.is_empty());
}
