//! `--source`: which line of a program's source made a call.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Outcome, require, run, scratch, within};

const SOCKSTEP: &str = env!("CARGO_BIN_EXE_sockstep");

fn sockstep(arguments: &[&str]) -> Outcome {
    require("addr2line", "source lines");
    crate::sockstep(arguments)
}

/// Every call of a picture that has a place: its name, the source and the line.
fn places(picture: &str) -> Vec<(String, String, usize)> {
    let mut calls = [String::new(), String::new()];
    let mut found = Vec::new();
    for row in picture.lines() {
        assert!(row.chars().count() <= 80, "wider than 80 columns: {row}");
        let left: String = row.chars().take(38).collect();
        let right: String = row.chars().skip(42).collect();
        for (call, text) in calls.iter_mut().zip([left, right]) {
            let row = text.strip_prefix("  ").unwrap_or_default();
            if let Some((name, _)) = row.split_once('(').filter(|(name, _)| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            }) {
                name.clone_into(call);
            }
            let last = text.split_whitespace().last().unwrap_or_default();
            if let Some((file, line)) = last.split_once(':') {
                if matches!(file.rsplit('.').next(), Some("rs" | "c" | "h")) {
                    let line = line.parse().expect("a number");
                    found.push((call.clone(), file.to_owned(), line));
                }
            }
        }
    }
    found
}

/// Each line makes the call shown next to it, by name or through a helper that repeats it until all
/// is done.
fn assert_lines(found: &[(String, String, usize)], directory: &Path) {
    for (call, file, number) in found {
        let source = fs::read_to_string(directory.join(file)).expect("it is readable");
        let line = source
            .lines()
            .nth(number - 1)
            .expect("the file has the line");
        let name = match call.as_str() {
            "sendto" => "send",
            "recvfrom" => "recv",
            name => name,
        };
        let helper = ["answer_from", "alone", "Alone"] // which make the call and look at what came of it
            .iter()
            .any(|name| line.contains(name));
        assert!(
            line.contains(name) || helper,
            "{call} at {file}:{number}: {line}"
        );
    }
}

#[test]
fn each_call_has_its_line_beside_it_in_both_languages() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    for (implementation, ending) in [("rust", ".rs"), ("c", ".c")] {
        for pair in ["tcp_echo", "udp_echo"] {
            let outcome = sockstep(&["run", pair, "--source", "--impl", implementation]);
            outcome.assert_clean();
            let found = places(outcome.stdout());
            for call in ["socket", "bind", "sendto", "recvfrom", "close"] {
                let found = found.iter().find(|(name, ..)| name == call);
                let (_, file, _) = found.unwrap_or_else(|| panic!("{call}: {}", outcome.stdout()));
                assert!(file.ends_with(ending), "{file}");
            }
            assert_lines(&found, &sources);
        }
    }
}

const SERVER: &str = r"
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
static int waits(int s) { return accept(s, 0, 0); }
int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    bind(s, (void *)&a, sizeof a);
    listen(s, 5);
    for (;;) {
        char b[100];
        int k = waits(s);
        ssize_t n = recv(k, b, sizeof b, 0);
        send(k, b, n, 0);
        close(k);
    }
}
";

/// A server of a student, compiled so.
fn server(directory: &Path, name: &str, options: &[&str]) -> PathBuf {
    let source = directory.join(format!("{name}.c"));
    fs::write(&source, SERVER).expect("it is writable");
    let program = directory.join(name);
    let mut compiler = Command::new("cc");
    compiler.args(options).arg(&source).arg("-o").arg(&program);
    let outcome = run(&mut compiler, b"");
    assert!(outcome.status.success(), "{outcome:?}");
    program
}

const CLIENT: &str = "tcp_echo_client 127.0.0.1 hello {port}";

#[test]
fn a_students_program_has_its_lines_wherever_it_is_loaded_and_however_it_is_optimized() {
    let directory = scratch("source");
    for (name, options) in [
        ("pie", &["-g"][..]),
        ("fixed", &["-g", "-no-pie"]),
        ("fast", &["-g", "-O2"]),
    ] {
        let program = server(&directory, name, options);
        let command = format!("{} {{port}}", program.display());
        let arguments = ["run", "--source", "--server", &command, "--client", CLIENT];
        let outcome = sockstep(&arguments);
        assert!(outcome.status.success(), "{outcome:?}");
        let mut found = places(outcome.stdout());
        let source = format!("{name}.c");
        found.retain(|(_, file, _)| *file == source);
        let calls: Vec<&str> = found.iter().map(|(call, ..)| call.as_str()).collect();
        for call in [
            "socket", "bind", "listen", "accept", "recvfrom", "sendto", "close",
        ] {
            assert!(
                calls.contains(&call),
                "{name}: {call}: {}",
                outcome.stdout()
            );
        }
        assert_lines(&found, &directory);
    }
}

#[test]
fn without_debug_information_a_line_says_so_and_the_run_goes_on() {
    let directory = scratch("no_source");
    let program = server(&directory, "bare", &["-s"]);
    let command = format!("{} {{port}}", program.display());
    let client = format!("{command}; true").replace("bare", "none");
    let arguments = ["run", "--source", "--server", &command, "--client", &client];
    let outcome = sockstep(&arguments);
    assert!(outcome.status.success(), "{outcome:?}");
    assert!(outcome.stdout().contains("listen(3, 5) = 0"), "{outcome:?}");
    let said = &outcome.stderr;
    let words = "sockstep: no source lines: bare has no debug information (compile it with -g)";
    assert!(said.lines().any(|line| line == words), "{said}");
}

#[test]
fn a_recording_with_stacks_has_lines_too() {
    let directory = scratch("stacks");
    let kept = directory.join("kept");
    let kept = kept.to_str().expect("it is text");
    let outcome = sockstep(&["run", "tcp_echo", "--source", "--keep", kept]);
    assert!(outcome.status.success(), "{outcome:?}");
    let live = places(outcome.stdout());
    let outcome = sockstep(&["show", "--source", kept]);
    outcome.assert_clean();
    let shown = places(outcome.stdout());
    assert!(live.len() > 10, "{live:?}");
    // The two sides may come in another order.
    let sorted = |mut all: Vec<_>| {
        all.sort();
        all
    };
    assert_eq!(sorted(shown), sorted(live));
    let outcome = sockstep(&["show", kept]);
    assert!(places(outcome.stdout()).is_empty(), "{outcome:?}");
}

#[test]
fn stacks_that_lead_nowhere_hold_nothing_up() {
    let directory = scratch("nowhere");
    let fifo = directory.join("fifo");
    let outcome = run(Command::new("mkfifo").arg(&fifo), b"");
    assert!(outcome.status.success(), "{outcome:?}");
    let torn = directory.join("torn");
    let mut elf = fs::read(SOCKSTEP).expect("it is readable");
    elf.truncate(3000);
    fs::write(&torn, &elf).expect("it is writable");
    let endless = directory.join("endless");
    elf[0x28..0x40].fill(0xff);
    fs::write(&endless, &elf).expect("it is writable");
    let mut recording = String::from("1 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3\n");
    for object in [
        fifo.display().to_string(),
        torn.display().to_string(),
        endless.display().to_string(),
        directory.display().to_string(),
        "/dev/zero".to_owned(),
        "-e".to_owned(),
        "/nowhere".to_owned(),
        "\\33[2J".to_owned(),
    ] {
        let frames = [
            "(main+0x22) [0xffffffffffffffff]",
            "() [0x0]",
            "(main [0x12",
        ];
        for frame in frames {
            recording.extend([" > ", &object, frame, "\n"]);
        }
    }
    recording += "1 listen(3, 5) = 0\n";
    let file = directory.join("trace");
    fs::write(&file, recording).expect("it is writable");
    let outcome = within(move || sockstep(&["show", "--source", file.to_str().expect("text")]));
    assert!(outcome.status.success(), "{outcome:?}");
    assert!(outcome.stdout().contains("listen(3, 5) = 0"), "{outcome:?}");
    let said = &outcome.stderr;
    assert!(
        said.contains("sockstep: no source lines: ") && !said.contains('\x1b'),
        "{said}"
    );
}
