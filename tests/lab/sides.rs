//! How `sockstep run` starts two programs of any kind, knows when they are ready and done, and ends them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::support::{Outcome, Process, at_this_load, marked, python3, require, run, until};
use nix::sys::signal::{Signal, killpg};

const SOCKSTEP: &str = env!("CARGO_BIN_EXE_sockstep");
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");

/// `tests/peers/lives.c`.
fn lives() -> &'static str {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        require("cc", "tests/peers/lives.c");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lives");
        let mut cc = Command::new("cc");
        cc.args(["-pthread", "-o"])
            .arg(&program)
            .arg(format!("{PEERS}/lives.c"));
        let outcome = run(&mut cc, b"");
        assert!(outcome.status.success(), "{outcome:?}");
        program
    });
    program.to_str().expect("a path of text")
}

/// A run of two commands, in which LIVES is that program, and what is left of it.
fn sides(server: &str, client: &str, options: &[&str]) -> Outcome {
    require("strace", "the ladder");
    let mark = format!("{server} {client} {options:?} {}", std::process::id());
    let [server, client] = [server, client].map(|command| command.replace("LIVES", lives()));
    let mut command = Command::new(SOCKSTEP);
    command.args(["run", "--server", &server, "--client", &client]);
    let outcome = run(command.args(options).env("SOCKSTEP_TEST", &mark), b"");
    let left = marked(&format!("SOCKSTEP_TEST={mark}"));
    assert!(left.is_empty(), "left: {left:?}");
    outcome
}

fn arrows(outcome: &Outcome) -> usize {
    ["-->", "<--"]
        .iter()
        .map(|arrow| outcome.stdout().matches(arrow).count())
        .sum()
}

fn assert_served(outcome: &Outcome) {
    outcome.assert_clean();
    assert!(
        outcome.stdout().contains("| Received: hello"),
        "{outcome:?}"
    );
    assert_eq!(arrows(outcome), 4, "{}", outcome.stdout());
}

/// The words of a side in brackets: what we did to it.
fn aside(outcome: &Outcome) -> String {
    let rows = outcome.stdout().lines().map(str::trim);
    let words: Vec<&str> = rows
        .skip_while(|row| !row.contains("exited with 0"))
        .collect();
    words.join(" ")
}

#[test]
fn a_server_of_any_kind_is_ended_whole() {
    for server in [
        "LIVES plain {port}",
        "LIVES daemon {port}",
        "LIVES prefork {port}",
        "LIVES stopped {port}",
        "LIVES by-thread {port}",
        "LIVES plain {port} &",
        "LIVES plain {port} & wait",
        "LIVES plain {port} | cat",
        "trap 'true' TERM; LIVES plain {port} & wait",
    ] {
        eprintln!("{server}");
        assert_served(&sides(server, "LIVES client {port}", &[]));
    }
}

#[test]
fn commands_are_a_shells() {
    for server in [
        "cd / && LIVES plain {port}",
        "ulimit -n 20; LIVES plain {port}",
        "WORD=x LIVES plain {port} 2>&1",
        "if true; then LIVES plain {port}; fi",
    ] {
        eprintln!("{server}");
        assert_served(&sides(server, "LIVES client {port}", &[]));
    }
    let ours = sides(
        "tcp_echo_server {port}",
        "tcp_echo_client 127.0.0.1 hello {port}",
        &[],
    );
    assert_served(&ours);
}

#[test]
fn a_server_at_work_is_ended_three_seconds_after_its_client() {
    let start = Instant::now();
    let outcome = sides("LIVES busy {port}", "LIVES client {port}", &[]);
    assert_served(&outcome);
    assert!(start.elapsed() >= Duration::from_secs(3));
    let words = aside(&outcome);
    assert!(words.contains("not idle 3 s after its client"), "{words}");
}

#[test]
fn a_server_that_does_not_hear_sigterm_is_killed() {
    let outcome = sides("LIVES deaf {port}", "LIVES client {port}", &[]);
    assert_served(&outcome);
    let words = aside(&outcome);
    assert!(words.contains("SIGKILL"), "{words}");
    assert!(words.contains("killed by SIGKILL"), "{words}");
}

#[test]
fn more_processes_than_a_sound_program_has_are_killed() {
    for option in [&[][..], &["--plain"]] {
        let outcome = sides("LIVES crowd {port}", "sleep 30", option);
        assert_eq!(outcome.status.code(), Some(1));
        assert!(
            outcome.stderr.contains("the server has started more than"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn a_client_that_leaves_others_behind_is_done_when_they_are() {
    let outcome = sides(
        "LIVES plain {port}",
        "(sleep 0.3; LIVES client {port}) &",
        &[],
    );
    assert_served(&outcome);
    let start = Instant::now();
    let outcome = sides("LIVES plain {port}", "sleep 50 & LIVES client {port}", &[]);
    assert_served(&outcome);
    assert!(start.elapsed() < at_this_load(30));
}

#[test]
fn without_strace_the_kernel_says_when_a_server_listens() {
    for server in [
        "LIVES plain {port}",
        "LIVES daemon {port}",
        "LIVES prefork {port}",
        "LIVES by-thread {port}",
    ] {
        let outcome = sides(server, "LIVES client {port}", &["--plain"]);
        assert!(outcome.status.success(), "{outcome:?}");
        let lines: Vec<&str> = outcome.stdout().lines().collect();
        assert!(lines.contains(&"server | got 5 bytes"), "{lines:?}");
        assert!(lines.contains(&"client | Received: hello"), "{lines:?}");
    }
    // Over UDP, IPv6 and a path.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sides.sock");
    let path = path.to_str().expect("a path of text");
    for (family, address) in [
        ("AF_INET", "(\"127.0.0.1\", {port})"),
        ("AF_INET6", "(\"::1\", {port})"),
        ("AF_UNIX", &format!("\"{path}\"")),
    ] {
        let _ = fs::remove_file(path); // of an earlier run
        let python = python3();
        let start =
            format!("'{python}' -c 'import socket as s; t = s.socket(s.{family}, s.SOCK_DGRAM);");
        let server = format!("{start} t.bind({address}); print(t.recv(9))'");
        let client = format!("{start} t.sendto(b\"hello\", {address})'");
        let outcome = sides(&server, &client, &["--plain"]);
        assert!(outcome.status.success(), "{family}: {outcome:?}");
        assert_eq!(outcome.stdout(), "server | b'hello'\n", "{family}");
    }
}

#[test]
fn a_server_that_never_listens_is_named() {
    for option in [&[][..], &["--plain"]] {
        let start = Instant::now();
        let outcome = sides("sleep 50", "exit 7", option);
        assert_eq!(outcome.status.code(), Some(7));
        assert_eq!(
            outcome.stderr,
            "sockstep: the server does not listen. The client starts anyway\n"
        );
        assert!(start.elapsed() >= Duration::from_secs(3));
    }
}

#[test]
fn a_servers_standard_input_is_a_file_or_nothing() {
    let outcome = sides("LIVES needs-input {port}", "LIVES client {port}", &[]);
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(
        outcome.stderr,
        "sockstep: the server did not start: exit status: 4. Its standard input is empty: give it one with --server-input FILE\n"
    );
    let input = Path::new(env!("CARGO_TARGET_TMPDIR")).join("servers-input");
    fs::write(&input, "go\n").expect("it is writable");
    let input = input.to_str().expect("a path of text");
    assert_served(&sides(
        "LIVES needs-input {port}",
        "LIVES client {port}",
        &["--server-input", input],
    ));
}

#[test]
fn what_c_prints_is_drawn_when_it_is_printed() {
    let outcome = sides("LIVES prints {port}", "LIVES client {port}", &[]);
    assert_served(&outcome);
    let at = |words: &str| {
        let place = outcome.stdout().find(words);
        place.unwrap_or_else(|| panic!("no {words}: {}", outcome.stdout()))
    };
    assert!(at("listen(3, 5)") < at("| waiting"));
    assert!(at("| waiting") < at("| got 5 bytes"));
    assert!(at("| got 5 bytes") < at("| Received: hello"));
}

#[test]
fn several_clients_of_any_server() {
    let client = ["--clients", "3"];
    let outcome = sides("LIVES prefork {port}", "LIVES client {port}", &client);
    outcome.assert_clean();
    assert!(
        outcome.stdout().contains("3 clients, done in"),
        "{outcome:?}"
    );
    for row in ["client 1 ", "client 2 ", "client 3 ", "server "] {
        let found = outcome.stdout().lines().any(|line| line.starts_with(row));
        assert!(found, "no {row}: {}", outcome.stdout());
    }
}

/// Whether a process has this command line.
fn is_running(command: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("it is there").flatten();
    let lines = processes.filter_map(|it| fs::read(it.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line == command.as_bytes())
}

#[test]
fn killed_with_its_whole_group_it_leaves_no_process() {
    use std::os::unix::process::CommandExt;
    require("strace", "the ladder");
    for option in [&[][..], &["--plain"]] {
        let mark = format!("group {option:?} {}", std::process::id());
        // It has neither our environment nor our session; no other process waits for exactly this
        // time.
        let time = format!("60.{}{}", std::process::id(), option.len());
        let stranger = format!("env -i setsid sleep {time}");
        let server = format!("{stranger} & {} daemon {{port}}", lives());
        let mut command = Command::new(SOCKSTEP);
        command.args([
            "run",
            "--server",
            &server,
            "--client",
            "echo ready; sleep 50",
        ]);
        command
            .args(option)
            .env("SOCKSTEP_TEST", &mark)
            .process_group(0);
        let mut process = Process::start(&mut command);
        while !process.line().contains("| ready") {}
        let sleeps = || is_running(&format!("sleep\0{time}\0"));
        assert!(until(|| sleeps().then_some(())).is_some(), "no {stranger}");
        killpg(process.pid(), Signal::SIGKILL).expect("the group is there");
        let mark = format!("SOCKSTEP_TEST={mark}");
        let left = until(|| (marked(&mark).is_empty() && !sleeps()).then_some(()));
        assert!(left.is_some(), "left: {:?} {}", marked(&mark), sleeps());
    }
}

#[test]
fn colours_are_on_a_terminal_or_as_asked() {
    let escapes = |when: &str| {
        let arguments = ["run", "tcp_echo", "--plain", "--color", when];
        let outcome = run(Command::new(SOCKSTEP).args(arguments), b"");
        outcome.stdout().contains('\x1b')
    };
    assert!(escapes("always"));
    assert!(!escapes("never") && !escapes("auto"));
}
