//! `--step` and `--slow`: a call on a socket waits before it is made, and the programs see nothing of it but the time.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

use crate::ladder::Terminal;
use crate::support::{require, run, wait_until_none_is_marked, without_ports};

const SOCKSTEP: &str = env!("CARGO_BIN_EXE_sockstep");

/// The rows of a picture without waits, each side's in order.
fn sides(picture: &str) -> [Vec<String>; 2] {
    [0, 42].map(|from| {
        let rows = picture.lines().map(|row| {
            let text: String = row.chars().skip(from).take(38).collect();
            without_ports(text.trim())
        });
        let shown = |row: &String| !row.is_empty() && !row.starts_with("(waited");
        rows.filter(shown).collect()
    })
}

/// What is about to be done, in the last row: the call and the place, of both sides the server's.
fn next(row: &str) -> Option<(String, String)> {
    let (_, words) = row.rsplit_once("> ")?;
    let (call, rest) = words.split_once("... ")?;
    let (call, _) = call.split_once('(')?;
    let place = rest.split_whitespace().next()?;
    Some((call.to_owned(), place.to_owned()))
}

#[test]
fn each_call_waits_for_a_key_and_its_line_stands_there_before() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    for (implementation, ending) in [("rust", "rs"), ("c", "c")] {
        let mut terminal =
            Terminal::of_known_size(80, &["tcp_echo", "--step", "--impl", implementation]);
        let mut seen = Vec::new();
        let first = terminal.wait_for(|screen| screen.contains("> socket("));
        assert!(!terminal.contents().contains("socket(AF_INET"), "{first}");
        let mut row = first;
        while seen.len() < 30
            && let Some(call) = next(&row)
        {
            seen.push(call);
            terminal.types(" ");
            let before = row;
            row = terminal.wait_for(|screen| {
                let last = screen.lines().last().unwrap_or_default();
                last.contains("killed by SIGTERM") || next(last).is_some() && last != before
            });
        }
        let calls: Vec<&str> = seen.iter().map(|(call, _)| call.as_str()).collect();
        for call in [
            "socket", "bind", "listen", "accept", "connect", "sendto", "recvfrom", "close",
        ] {
            assert!(calls.contains(&call), "{call}: {calls:?}");
        }
        for (call, place) in &seen {
            let Some((file, line)) = place.split_once(':') else {
                continue; // a side's half has room for the line alone
            };
            let Ok(source) = fs::read_to_string(sources.join(file)) else {
                continue; // what the programs share makes the call
            };
            assert!(file.ends_with(&format!(".{ending}")), "{file}");
            let line = source
                .lines()
                .nth(line.parse::<usize>().expect("a number") - 1);
            let name = call.trim_end_matches("from").trim_end_matches("to");
            assert!(
                line.is_some_and(|line| line.contains(name)),
                "{call} at {place}: {line:?}"
            );
        }
        let (status, screen) = terminal.end();
        assert!(status.success(), "{screen}");
    }
}

#[test]
fn what_has_been_seen_can_be_paged_and_the_rest_goes_on() {
    let mut terminal = Terminal::of_known_size(80, &["udp_echo", "--step"]);
    terminal.wait_for(|screen| screen.contains("> socket("));
    terminal.types("s");
    terminal.wait_for(|screen| screen.contains("> bind("));
    terminal.types("s");
    terminal.wait_for(|screen| screen.contains("> getsockname("));
    terminal.types("s");
    let shown = |screen: &str| screen.contains("| listening on") && screen.contains("> recvfrom(");
    terminal.wait_for(shown);
    terminal.types("\x1b[5~");
    let row = terminal.wait_for(|screen| screen.contains("PageUp PageDown"));
    assert!(row.contains("rows 1 to "), "{row}");
    assert!(
        terminal.contents().starts_with("    "),
        "{}",
        terminal.contents()
    );
    // In a narrower window the same rows take more lines.
    terminal.has_columns(45);
    let row = terminal.wait_for(|screen| screen.contains("1-"));
    assert!(row.contains(": PageUp PageDown, q back"), "{row}");
    let screen = terminal.contents();
    assert!(screen.contains("Ser\nver 1. "), "{screen}");
    terminal.has_columns(80);
    terminal.wait_for(|screen| screen.contains("PageUp PageDown Home"));
    terminal.types("q");
    terminal.wait_for(|screen| screen.contains("> recvfrom(") && !screen.contains("PageDown"));
    terminal.types("g");
    terminal.wait_for(|screen| screen.contains("| Received: hello"));
    let (status, screen) = terminal.end();
    assert!(status.success(), "{screen}");
}

#[test]
fn an_interrupt_ends_all_and_gives_the_terminal_back() {
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interrupted.svg");
    let svg = picture.to_str().expect("text");
    let mut terminal = Terminal::of_known_size(80, &["tcp_upper", "--step", "--svg", svg]);
    terminal.wait_for(|screen| screen.contains("> socket("));
    let pid = terminal.child.id();
    kill(
        Pid::from_raw(i32::try_from(pid).expect("a pid")),
        Signal::SIGINT,
    )
    .expect("it runs");
    terminal.child.wait().expect("it is our child");
    wait_until_none_is_marked(&format!("SOCKSTEP_SIDE={pid}.1"));
    let drawn = fs::read_to_string(&picture).expect("what has happened so far");
    assert!(drawn.starts_with("<svg "), "{drawn}");
    fs::remove_file(picture).expect("it is there");
    let settings = tcgetattr(&terminal.keyboard).expect("it is a terminal");
    assert!(
        settings
            .local_flags
            .contains(LocalFlags::ICANON | LocalFlags::ECHO)
    );
}

#[test]
fn a_slow_run_makes_the_same_calls_of_threads_and_processes_too() {
    require("strace", "slow runs");
    for pair in [
        "tcp_echo",
        "tcp_echo_server_fork",
        "tcp_echo_server_thread",
        "tcp_echo_server_epoll",
    ] {
        let outcome = |options: &[&str]| {
            let outcome = run(
                Command::new(SOCKSTEP).args(["run", pair]).args(options),
                b"",
            );
            outcome.assert_clean();
            outcome
        };
        let start = Instant::now();
        let slow = outcome(&["--slow", "10"]);
        assert!(
            start.elapsed() >= Duration::from_millis(15 * 10),
            "{:?}",
            start.elapsed()
        );
        let [client, _] = sides(slow.stdout());
        let [expected, _] = sides(outcome(&[]).stdout());
        assert_eq!(client, expected, "{pair}");
        // To be held is not to wait.
        let row = slow
            .stdout()
            .lines()
            .skip_while(|row| !row.contains("listen(3"))
            .nth(1);
        assert!(
            row.is_some_and(|row| !row.contains("waited")),
            "{}",
            slow.stdout()
        );
    }
}

#[test]
fn without_a_terminal_a_line_says_what_is_wanted() {
    require("strace", "steps");
    let outcome = run(
        Command::new(SOCKSTEP).args(["run", "tcp_echo", "--step"]),
        b"",
    );
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains("--step needs a terminal"),
        "{outcome:?}"
    );
    assert!(outcome.stdout().is_empty(), "{outcome:?}");
}
