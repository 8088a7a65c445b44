//! `sockstep diff` of any two servers or clients, and what `--json` says of a comparison.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::diff::patiently;
use crate::support::{Outcome, listener, local, python, python3, require, run};

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");

fn diff(args: &[&str], stdin: &str) -> Outcome {
    require("strace", "the tests of sockstep diff");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockstep"));
    patiently(command.arg("diff").args(args), stdin.as_bytes())
}

/// Two servers and the textbook's client, which says hello.
fn servers(left: &str, right: &str, port: u16) -> Outcome {
    let client = format!("{} '{PEERS}/textbook_client.py' {port}", python3());
    diff(
        &["--server", left, "--server", right, "--client", &client],
        "hello\n",
    )
}

fn textbook(arguments: &str) -> String {
    format!("{} '{PEERS}/textbook_server.py' -r {arguments}", python3())
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    listener().1
}

/// The word after a task's name and the number of its lines.
fn verdict<'a>(report: &'a str, task: &str) -> &'a str {
    report
        .lines()
        .find(|line| line.starts_with(&format!("    {task} ")))
        .and_then(|line| line.split_whitespace().nth(3))
        .unwrap_or_else(|| panic!("no task {task}:\n{report}"))
}

#[test]
fn a_server_agrees_with_itself() {
    let port = free_port();
    let server = textbook(&port.to_string());
    let outcome = servers(&server, &server, port);
    let report = outcome.stdout();
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    assert!(
        report.starts_with(&format!("server:   {server}\nclient:   {} ", python3())),
        "{report}"
    );
    assert!(
        report.contains("\n    same conversation, 7 lines\n"),
        "{report}"
    );
    for task in ["client", "server"] {
        let verdict = verdict(report, task);
        assert!(["identical", "equal"].contains(&verdict), "{report}");
    }
}

/// The second run finds the port in TIME_WAIT. Where that cannot be ended, each run waits for a minute.
#[test]
fn a_server_that_cannot_start_again_at_once_is_waited_for() {
    let port = free_port();
    let server = textbook(&port.to_string()).replace(" -r ", " ");
    let client = format!("tcp_echo_client 127.0.0.1 hello {port}");
    let args = [
        "diff", "--server", &server, "--server", &server, "--client", &client,
    ];
    let outcome = diff(&args[1..], "");
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
}

#[test]
fn servers_that_differ_by_one_call_diverge_there() {
    let port = free_port();
    let (one, two) = (
        textbook(&format!("{port} 1")),
        textbook(&format!("{port} 2")),
    );
    let outcome = servers(&one, &two, port);
    let report = outcome.stdout();
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(
        report.starts_with(&format!("server A: {one}\nserver B: {two}\n")),
        "{report}"
    );
    assert_eq!(
        (verdict(report, "client"), verdict(report, "server")),
        ("identical", "divergent")
    );
    let marked: Vec<&str> = marked(report).collect();
    assert_eq!(
        marked,
        ["- A      4 listen(a, 1) = 0", "+ B      4 listen(a, 2) = 0"]
    );
}

/// The lines that only one side has.
fn marked(report: &str) -> impl Iterator<Item = &str> {
    let lines = report
        .lines()
        .filter_map(|line| line.strip_prefix("      "));
    lines.filter(|line| line.starts_with("- ") || line.starts_with("+ "))
}

#[test]
fn a_port_that_a_server_names_itself_is_compared() {
    let (port, other) = (free_port(), free_port());
    let outcome = servers(
        &textbook(&port.to_string()),
        &textbook(&other.to_string()),
        port,
    );
    let report = outcome.stdout();
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(
        report.contains(&format!("+ B      3 bind(a, 0.0.0.0:{other}) = 0")),
        "{report}"
    );
    assert!(
        report.contains("\n    B: the client ended with status 1: ConnectionRefusedError"),
        "{report}"
    );
}

#[test]
fn standard_input_goes_to_the_client_in_every_run() {
    let port = free_port();
    let outcome = servers(
        &textbook(&format!("{port} 1 upper")),
        &textbook(&format!("{port} 1 title")),
        port,
    );
    let report = outcome.stdout();
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(
        report.contains(r#"sendto(b, "HELLO", 5, 0) = 5"#),
        "{report}"
    );
    assert!(
        report.contains(r#"sendto(b, "Hello", 5, 0) = 5"#),
        "{report}"
    );
    assert!(!report.contains(" varies in "), "{report}");
    assert!(
        report.contains("- A        connection 1: server says 5 bytes: HELLO\n"),
        "{report}"
    );
}

#[test]
fn our_programs_are_found_by_name_and_a_client_may_be_named_twice() {
    let port = free_port();
    for pair in ["tcp_echo", "udp_echo"] {
        let twin = format!("{}/{pair}_server {port}", env!("SOCKSTEP_TWINS"));
        let client = format!("{pair}_client 127.0.0.1 hello {port}");
        let outcome = diff(
            &[
                "--server",
                &format!("{pair}_server {port}"),
                "--server",
                &twin,
                "--client",
                &client,
            ],
            "",
        );
        assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");

        let other = client.replace("hello", "hallo");
        let outcome = diff(
            &["--server", &twin, "--client", &client, "--client", &other],
            "",
        );
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        assert!(
            outcome
                .stdout()
                .contains(&format!("\nclient A: {client}\nclient B: {other}\n")),
            "{outcome:?}"
        );
    }
}

/// As `python3` is itself in some places: a script that looks around, sockets and other processes and all, before it becomes
/// the program.
#[test]
fn what_a_wrapper_does_before_it_becomes_the_program_is_not_compared() {
    require("bash", "a wrapper script");
    let port = free_port();
    let server = textbook(&port.to_string());
    let wrapper = r#"exec 9<>/dev/udp/127.0.0.1/9 9<&-; now=$(date +%N); : "$now"; exec "$@""#;
    let outcome = servers(&format!("bash -c '{wrapper}' - {server}"), &server, port);
    let report = outcome.stdout();
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    assert!(report.ends_with(" 0 divergent\n"), "{report}");
}

#[test]
fn a_server_that_does_not_start_is_trouble() {
    let port = free_port();
    let outcome = servers(&textbook(&port.to_string()), "./no-such-server", port);
    assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "sockstep: B: the server ended before listen(), or bind() for datagrams: sh: 1: exec: ./no-such-server: not found\n"
    );
}

#[test]
fn a_port_that_somebody_else_has_is_trouble() {
    let taken = TcpListener::bind(local(0)).expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port();
    let server = textbook(&port.to_string());
    let outcome = servers(&server, &server, port);
    assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        format!(
            "sockstep: A: port {port} is in use. This shows by which process: ss -lntup 'sport = {port}'\n"
        )
    );
}

#[test]
fn one_server_alone_is_no_comparison() {
    let outcome = diff(&["--server", "a", "--client", "b"], "");
    assert_eq!(outcome.status.code(), Some(2));
    assert_eq!(
        outcome.stderr,
        "sockstep: name two servers to compare, or two clients: --server A --server B --client C\n"
    );
}

// ---- The same conversation ----

/// `tests/peers/echo.py`, on a free port.
fn echo(how: &str) -> String {
    format!("{} '{PEERS}/echo.py' {{port}} {how}", python3())
}

const OURS: &str = "tcp_echo_server --bind 127.0.0.1 {port}";

#[test]
fn a_sound_server_in_another_language_has_the_same_conversation() {
    for how in ["", "thread"] {
        let outcome = diff(
            &["--conversation", "--server", &echo(how), "--server", OURS],
            "",
        );
        let report = outcome.stdout();
        assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
        assert_eq!(
            report.matches("    same conversation, ").count(),
            6,
            "{report}"
        );
    }
    // Its calls are others.
    let args = [
        "--server",
        &echo(""),
        "--server",
        OURS,
        "--scenario",
        "word",
    ];
    assert_eq!(diff(&args, "").status.code(), Some(1));
}

#[test]
fn a_fault_is_another_conversation_where_it_shows() {
    for (how, scenario, line) in [
        (
            "once",
            "two-messages",
            "+ B        connection 1: server says 4 bytes: two\\n",
        ),
        (
            "once",
            "big",
            "+ B        connection 1: server says 50000 bytes: ",
        ),
        (
            "nul",
            "word",
            "- A        connection 1: server says 7 bytes: hello\\n\\x00",
        ),
        (
            "dies",
            "reset",
            "- A        connection 2: client cannot connect: ECONNREFUSED",
        ),
    ] {
        let server = echo(how);
        let args = [
            "--conversation",
            "--server",
            &server,
            "--server",
            OURS,
            "--scenario",
            scenario,
        ];
        let outcome = diff(&args, "");
        assert_eq!(outcome.status.code(), Some(1), "{how}: {outcome:?}");
        let mut marked = marked(outcome.stdout());
        assert!(
            marked.any(|row| row.starts_with(line)),
            "{how}: {}",
            outcome.stdout()
        );
    }
    let args = [
        "--conversation",
        "--server",
        &echo("dies"),
        "--server",
        OURS,
        "--scenario",
        "word",
    ];
    assert_eq!(diff(&args, "").status.code(), Some(0), "it has no reset");
}

#[test]
fn what_varies_by_itself_is_counted_and_shown_and_not_compared() {
    let server = echo("random");
    let args = [
        "--server",
        &server,
        "--server",
        &server,
        "--scenario",
        "word",
    ];
    let outcome = diff(&args, "");
    let report = outcome.stdout();
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    assert!(report.contains("varies 2"), "{report}");
    // Two runs, or three if two of them were alike by chance.
    assert!(report.contains(" varies in "), "{report}");
    assert!(
        report.contains(" runs; * and ? are not compared:\n      ~ A "),
        "{report}"
    );
    let (_, told) = both(&args, 0, "");
    assert!(told.contains("varies in "), "{told}");
}

#[test]
fn a_scenario_of_servers_that_is_not_there_is_trouble() {
    let outcome = diff(
        &["--server", OURS, "--server", OURS, "--scenario", "nonsense"],
        "",
    );
    assert_eq!(outcome.status.code(), Some(2));
    assert_eq!(
        outcome.stderr,
        "sockstep: no scenario nonsense. The scenarios are: word, two-messages, half-close, leaves, reset, big\n"
    );
}

#[test]
fn datagrams_have_a_conversation_too() {
    let twin = format!("{}/udp_echo_server {{port}}", env!("SOCKSTEP_TWINS"));
    let outcome = diff(
        &["--server", "udp_echo_server {port}", "--server", &twin],
        "",
    );
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    assert_eq!(
        outcome.stdout().matches("    same conversation, ").count(),
        6
    );
}

/// Ten million bytes there and back, four times.
#[test]
fn what_is_long_takes_little_memory() {
    let line: Vec<u8> = (0..10_000_000u32)
        .map(|at| b'a' + (at / 7 % 26) as u8)
        .chain([b'\n'])
        .collect();
    let program = concat!(
        "import resource, subprocess, sys\n",
        "done = subprocess.run(sys.argv[1:])\n",
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n",
        "sys.exit(done.returncode)"
    );
    let mut command = Command::new(python3());
    command.args(["-c", program, env!("CARGO_BIN_EXE_sockstep"), "diff"]);
    for server in ["tcp_upper_server --quiet {port}"; 2] {
        command.args(["--server", server]);
    }
    command.args(["--client", "tcp_upper_client -p {port}"]);
    let outcome = patiently(&mut command, &line);
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    let report = outcome.stdout();
    assert!(report.contains("    same conversation, "), "{report}");
    let most: u64 = report
        .lines()
        .last()
        .and_then(|line| line.parse().ok())
        .expect("a number");
    assert!(most < 300_000, "{most} KiB");
}

/// A server that waits before each call differs from one that does not, message for message.
#[test]
fn a_difference_that_is_there_in_each_message_is_shown_a_few_times() {
    let talks = concat!(
        "import socket, sys\n",
        "with socket.create_connection((\"127.0.0.1\", sys.argv[1])) as peer:\n",
        "    for number in range(300):\n",
        "        peer.sendall(b\"message %d\" % number)\n",
        "        peer.recv(100)\n"
    );
    let client = format!("{} -c '{talks}' {{port}}", python3());
    let servers = ["tcp_echo_server {port}", "tcp_echo_server_select {port}"];
    let [left, right] = servers;
    let args = [
        "--server", left, "--server", right, "--client", &client, "--calls", "all",
    ];
    let outcome = diff(&args, "");
    let report = outcome.stdout();
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(report.contains(" times more, with other bytes"), "{report}");
    assert!(report.contains("message 0"), "{report}");
    assert!(report.lines().count() < 120, "{report}");
}

// ---- Several processes and threads ----

/// `tests/peers/concurrent.c`, compiled with these options.
fn concurrent(options: &[&str]) -> PathBuf {
    require("cc", "tests/peers/concurrent.c");
    let name = format!("concurrent{}", options.concat());
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-pthread", "-o"])
        .arg(&program)
        .args(options);
    let outcome = run(cc.arg(format!("{PEERS}/concurrent.c")), b"");
    assert!(outcome.status.success(), "{outcome:?}");
    program
}

/// Two servers, and a client that is two clients at the same time.
fn with_two_clients(left: &str, right: &str, port: u16) -> Outcome {
    let client = format!("{} '{PEERS}/two_at_a_time.py' {port}", python3());
    diff(
        &["--server", left, "--server", right, "--client", &client],
        "",
    )
}

#[test]
fn a_server_of_several_processes_or_threads_agrees_with_itself() {
    let port = free_port();
    let c = |option| format!("'{}' {port}", concurrent(&[option]).display());
    // By threads: to fork, newer Pythons look into /proc/self/stat, in which each run has figures of its own.
    let python = format!("{} '{PEERS}/concurrent_server.py' {port}", python3());
    for (server, tasks) in [
        (c("-DFORK"), ["process 2", "process 3"]),
        (c("-DTHREAD"), ["thread 2", "thread 3"]),
        (python, ["thread 2", "thread 3"]),
    ] {
        let outcome = with_two_clients(&server, &server, port);
        assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
        for task in tasks {
            let line = outcome
                .stdout()
                .lines()
                .find(|line| line.starts_with(&format!("    {task}")));
            assert!(
                line.is_some_and(|line| line.contains(" equal ") || line.contains(" identical ")),
                "{outcome:?}"
            );
        }
    }
}

#[test]
fn a_child_that_keeps_the_listening_socket_is_caught() {
    let port = free_port();
    let [sound, leaks] = [&["-DFORK"][..], &["-DFORK", "-DLEAK"]]
        .map(|options| format!("'{}' {port}", concurrent(options).display()));
    let outcome = with_two_clients(&sound, &leaks, port);
    let report = outcome.stdout();
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert_eq!(verdict(report, "server"), "identical");
    let marked: Vec<&str> = marked(report).collect();
    assert_eq!(marked.len(), 2, "{report}");
    for line in marked {
        // Behind what the C library's fork does in the child.
        assert!(
            line.starts_with("- A ") && line.ends_with(" close(a) = 0"),
            "{report}"
        );
    }
    assert!(report.ends_with(" 2 divergent\n"), "{report}");
}

#[test]
fn processes_and_threads_have_no_counterpart_in_a_server_of_another_kind() {
    let port = free_port();
    let [forks, threads] = ["-DFORK", "-DTHREAD"]
        .map(|option| format!("'{}' {port}", concurrent(&[option]).display()));
    let outcome = with_two_clients(&forks, &threads, port);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    for (task, side) in [
        ("process 2", "A"),
        ("process 3", "A"),
        ("thread 2", "B"),
        ("thread 3", "B"),
    ] {
        let mut lines = outcome.stdout().lines();
        let line = lines.find(|line| line.starts_with(&format!("    {task}")));
        assert!(
            line.is_some_and(|line| line.contains(&format!("divergent only in {side}"))),
            "{outcome:?}"
        );
    }
}

// ---- --json ----

/// The same words, with single spaces.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the text report and its JSON both say.
fn both(args: &[&str], status: i32, stdin: &str) -> (String, String) {
    let text = diff(args, stdin);
    let json = diff(&[args, &["--json"]].concat(), stdin);
    for outcome in [&text, &json] {
        assert_eq!(outcome.status.code(), Some(status), "{outcome:?}");
    }
    let told = run(
        &mut python("report_from_json.py", &[]),
        json.stdout().as_bytes(),
    );
    assert!(told.status.success(), "{told:?}");
    (text.stdout().to_owned(), told.stdout().to_owned())
}

#[test]
fn json_has_what_the_text_report_has() {
    for args in [
        &["tcp_echo", "--scenario", "happy"][..],
        &["udp_upper", "--all"],
    ] {
        let (text, told) = both(args, 0, "");
        assert_eq!(words(&told), words(&text));
    }
}

#[test]
fn json_has_the_lines_that_are_set_aside() {
    let (text, told) = both(&["tcp_upper", "--scenario", "happy", "--raw"], 0, "");
    // The addresses in them, and their order, are another run's.
    let calls = |report: &str| {
        let mut calls: Vec<String> = report
            .lines()
            .filter_map(|line| {
                Some(
                    line.split_once(" memory: ")?
                        .1
                        .split('(')
                        .next()?
                        .to_owned(),
                )
            })
            .collect();
        calls.sort();
        calls
    };
    assert_eq!(calls(&told), calls(&text));
    assert!(!calls(&text).is_empty());
}

#[test]
fn json_has_the_differences() {
    let port = free_port();
    let (one, two) = (
        textbook(&format!("{port} 1")),
        textbook(&format!("{port} 2")),
    );
    let client = format!("{} '{PEERS}/textbook_client.py' {port}", python3());
    let args = ["--server", &one, "--server", &two, "--client", &client];
    let (text, told) = both(&args, 1, "hello\n");
    // But for the lines around a difference.
    let (tasks, rest) = text.split_once("\n\n").expect("two parts");
    let context = |line: &&str| line.starts_with("        ") || *line == "      ...";
    let tasks: Vec<&str> = tasks.lines().filter(|line| !context(line)).collect();
    assert_eq!(words(&told), words(&format!("{} {rest}", tasks.join(" "))));
}
