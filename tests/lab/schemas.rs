//! What `--json` prints is as the JSON Schemas in `src/schema` have it.

use std::path::Path;
use std::process::Command;

use crate::support::{Outcome, Program, python3, require, run};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The kinds of line that a verb prints, each with their number, if all are as its schema says.
fn kinds(schema: &str, status: i32, arguments: &[&str]) -> String {
    require("strace", "what --json prints");
    let mut sockstep = Command::new(env!("CARGO_BIN_EXE_sockstep"));
    let printed = run(sockstep.args(arguments), b"");
    assert_eq!(printed.status.code(), Some(status), "{printed:?}");
    let read = read(schema, &printed.stdout);
    assert!(read.status.success(), "{arguments:?}: {read:?}");
    read.stdout().trim_end().to_owned()
}

fn read(schema: &str, json: &[u8]) -> Outcome {
    let reader = Path::new(ROOT).join("tests/lab/exports/schema.py");
    let schema = Path::new(ROOT).join("src/schema").join(schema);
    run(Command::new(python3()).arg(reader).arg(schema), json)
}

fn server(name: &'static str) -> String {
    Program::rust(name).at_the_port()
}

#[test]
fn what_a_run_does_is_as_its_schema_says() {
    let kinds_of = |arguments: &[&str]| kinds("events.json", 0, arguments);
    let pair = kinds_of(&["run", "tcp_echo", "--json", "--", "hello"]);
    assert!(pair.starts_with("call "), "{pair}");
    let clients = kinds_of(&["run", "tcp_echo_server_thread", "--clients", "2", "--json"]);
    assert!(clients.starts_with("call "), "{clients}");
    let recording = r#"10 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
10 connect(3, {sa_family=AF_INET, sin_port=htons(7), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 ECONNREFUSED (Connection refused)
10 --- SIGTERM {si_signo=SIGTERM} ---
no line of strace's
10 recvfrom(3,  <unfinished ...>
"#;
    let trace = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schema.strace");
    std::fs::write(&trace, recording).unwrap();
    let shown = kinds_of(&["show", "--json", trace.to_str().unwrap()]);
    assert_eq!(shown, "call 3, signal 1, sockstep 1, unknown 1");
}

#[test]
fn a_comparison_is_as_its_schema_says() {
    let twins = ["diff", "tcp_echo", "--scenario", "happy", "--json", "--raw"];
    assert_eq!(
        kinds("diff.json", 0, &twins),
        "conversation 1, sockstep 1, task 2, total 1"
    );
    let [one, other] = ["tcp_echo_server", "tcp_upper_server"].map(server);
    let any_two = [
        "diff",
        "--json",
        "--scenario",
        "word",
        "--server",
        &one,
        "--server",
        &other,
    ];
    assert_eq!(
        kinds("diff.json", 1, &any_two),
        "commands 1, conversation 1, sockstep 1, task 1, total 1"
    );
}

#[test]
fn a_check_is_as_its_schema_says() {
    let server = server("tcp_upper_server");
    let check = [
        "check",
        "--json",
        "--contract",
        "tcp-echo",
        "--server",
        &server,
        "--only",
    ];
    let checks = [&check[..], &["word", "--only", "starts"]].concat();
    assert_eq!(
        kinds("check.json", 1, &checks),
        "check 2, sockstep 1, total 1"
    );
    let faults = [
        "check",
        "--json",
        "--contract",
        "tcp-upper",
        "--server",
        &server,
        "--faults",
        "--only",
        "listen",
    ];
    assert_eq!(kinds("check.json", 0, &faults), "fault 2, sockstep 1");
}

#[test]
fn a_line_that_is_not_as_the_schema_says_is_found() {
    let good = r#"{"kind":"total","checks":2,"ok":1,"failed":1,"skipped":0}"#;
    assert_eq!(read("check.json", good.as_bytes()).stdout(), "total 1\n");
    for (from, to) in [
        ("\"ok\":1", "\"ok\":-1"),
        ("\"ok\":1", "\"ok\":true"),
        ("\"ok\":1,", ""),
        ("\"ok\":1", "\"ok\":1,\"right\":1"),
        ("total", "sum"),
    ] {
        let outcome = read("check.json", good.replace(from, to).as_bytes());
        assert!(!outcome.status.success(), "{to}: {outcome:?}");
    }
}
