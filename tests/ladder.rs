//! The ladder: which calls `sockstep run` and `sockstep show` draw, on which side, under which step.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Program, listener, require, run, without_ports};

const SOCKSTEP: &str = env!("CARGO_BIN_EXE_sockstep");

/// Where the server's side begins.
const SERVERS_COLUMN: usize = 42;

/// The rows of the client's side and of the server's, arrows and waiting times aside, ports replaced.
fn sides(picture: &str) -> [Vec<String>; 2] {
    let mut sides = [Vec::new(), Vec::new()];
    for row in picture.lines() {
        assert!(row.chars().count() <= 80, "wider than 80 columns: {row}");
        let left: String = row.chars().take(38).collect();
        let right: String = row.chars().skip(SERVERS_COLUMN).collect();
        for (side, text) in sides.iter_mut().zip([left, right]) {
            if !text.trim().is_empty() && !text.trim_start().starts_with("(waited ") {
                side.push(without_ports(text.trim_end()));
            }
        }
    }
    sides
}

fn ladder(arguments: &[&str], stdin: &[u8]) -> [Vec<String>; 2] {
    require("strace", "the ladder");
    let outcome = run(Command::new(SOCKSTEP).args(arguments), stdin);
    assert!(
        outcome.status.success() && outcome.stderr.is_empty(),
        "{outcome:?}"
    );
    sides(outcome.stdout())
}

const TCP_CLIENT: &[&str] = &[
    "Client 1. Create a TCP socket",
    "  socket(AF_INET, SOCK_STREAM,",
    "      IPPROTO_TCP) = 3",
    "Client 2. Establish the connection",
    "  connect(3, 127.0.0.1:PORT) = 0",
    "Client 3. Communicate",
    "  sendto(3, \"hello\", 5, 0) = 5",
    "  recvfrom(3, \"hello\", 5, 0) = 5",
    "| Received: hello",
    "Client 4. Close the connection",
    "  close(3) = 0",
    "  +++ exited with 0 +++",
];

const TCP_SERVER: &[&str] = &[
    "Server 1. Create a TCP socket",
    "  socket(AF_INET, SOCK_STREAM,",
    "      IPPROTO_TCP) = 3",
    "  setsockopt(3, SOL_SOCKET,",
    "      SO_REUSEADDR, [1], 4) = 0",
    "Server 2. Assign a port to the socket",
    "  bind(3, 127.0.0.1:0) = 0",
    "Server 3. Set the socket to listen",
    "  listen(3, 5) = 0",
    "  getsockname(3, 127.0.0.1:PORT) = 0",
    "| listening on 127.0.0.1:PORT",
    "Server 4a. Accept a new connection",
    "  accept(3, 127.0.0.1:PORT) = 4",
    "Server 4b. Communicate",
    "  recvfrom(4, \"hello\", 4096, 0) = 5",
    "  sendto(4, \"hello\", 5, 0) = 5",
];

const UDP_CLIENT: &[&str] = &[
    "Client 1. Create a UDP socket",
    "  socket(AF_INET, SOCK_DGRAM,",
    "      IPPROTO_UDP) = 3",
    "Client 2. Assign a port to the socket",
    "  bind(3, 0.0.0.0:0) = 0",
    "Client 3. Communicate",
    "  sendto(3, \"hello\", 5, 0,",
    "      127.0.0.1:PORT) = 5",
    "  recvfrom(3, \"hello\", 65507, 0,",
    "      127.0.0.1:PORT) = 5",
    "| Received: hello",
    "Client 4. Close the socket",
    "  close(3) = 0",
    "  +++ exited with 0 +++",
];

#[test]
fn each_call_stands_on_its_side_under_its_step_in_both_languages() {
    for implementation in ["rust", "c"] {
        let [client, server] = ladder(&["run", "tcp_echo", "--impl", implementation], b"");
        let client: Vec<_> = client
            .into_iter()
            .filter(|row| !row.contains("sigaltstack"))
            .collect();
        assert_eq!(client, TCP_CLIENT, "{implementation}");
        assert_eq!(server[..TCP_SERVER.len()], *TCP_SERVER, "{implementation}");
        let [client, _] = ladder(&["run", "udp_echo", "--impl", implementation], b"");
        assert_eq!(client, UDP_CLIENT, "{implementation}");
    }
}

#[test]
fn arrows_point_the_way_that_bytes_cross() {
    require("strace", "the ladder");
    let outcome = run(Command::new(SOCKSTEP).args(["run", "tcp_echo"]), b"");
    let gap = |row: &&str| row.chars().skip(38).take(4).collect::<String>();
    let row = |start: &str, call: &str| {
        let found = outcome
            .stdout()
            .lines()
            .find(|row| row.trim_start().starts_with(start) && row.contains(call));
        found.unwrap_or_else(|| panic!("no {call}: {}", outcome.stdout()))
    };
    assert_eq!(gap(&row("sendto(3", "hello")), " -->");
    assert_eq!(gap(&row("-->", "recvfrom(4")), " -->");
    assert_eq!(gap(&row("<--", "sendto(4")), " <--");
    assert_eq!(gap(&row("recvfrom(3", "hello")), " <--");
}

#[test]
fn a_recording_shows_what_the_run_has_shown() {
    require("strace", "the ladder");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kept");
    let kept = kept.to_str().expect("a path of text");
    let live = ladder(
        &["run", "udp_upper", "--impl", "c", "--keep", kept],
        b"a long line of input\n",
    );
    assert_eq!(ladder(&["show", kept], b""), live);
    let client = format!("{kept}/client.strace");
    assert_eq!(
        ladder(&["show", &client], b""),
        [live[0].clone(), Vec::new()]
    );
}

#[test]
fn the_resolvers_own_sockets_are_not_taken_for_a_step_and_ipv6_is_short() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("by-name.strace");
    let trace = r#"1 socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0) = 3
1 connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (No such file or directory)
1 close(3) = 0
1 socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 3
1 bind(3, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 0
1 close(3) = 0
1 socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) = 3
1 connect(3, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = 0
1 close(3) = 0
"#;
    fs::write(&file, trace).unwrap();
    let [client, _] = ladder(&["show", file.to_str().unwrap()], b"");
    assert_eq!(
        client,
        [
            "Client 1. Create a TCP socket",
            "  socket(AF_INET6, SOCK_STREAM,",
            "      IPPROTO_TCP) = 3",
            "Client 2. Establish the connection",
            "  connect(3, [::1]:PORT) = 0",
            "Client 4. Close the connection",
            "  close(3) = 0",
        ]
    );
}

#[test]
fn what_is_no_strace_is_shown_and_counted() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("odd.strace");
    fs::write(
        &file,
        "what is this?\nsocket(AF_INET, SOCK_STREAM, 0) = 3\nclose(3 = 0",
    )
    .expect("it is writable");
    let outcome = run(Command::new(SOCKSTEP).arg("show").arg(&file), b"");
    assert!(outcome.status.success());
    assert_eq!(
        outcome.stderr,
        "sockstep: lines that are not strace's, shown as they are: 2\n"
    );
    assert!(
        outcome.stdout().contains("? what is this?") && outcome.stdout().contains("? close(3 = 0")
    );

    let outcome = run(Command::new(SOCKSTEP).args(["show", "/no/such/file"]), b"");
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(
        outcome.stderr,
        "sockstep: /no/such/file: No such file or directory (os error 2)\n"
    );
}

#[test]
fn any_two_programs_can_be_run() {
    let (free, port) = listener();
    drop(free);
    let command = |program: &'static str| Program::c(program).path().display().to_string();
    let server = format!("'{}' --bind 127.0.0.1 {port}", command("tcp_echo_server"));
    let client = format!("'{}' 127.0.0.1 hello {port}", command("tcp_echo_client"));
    let [client, _] = ladder(&["run", "--server", &server, "--client", &client], b"");
    assert_eq!(client, TCP_CLIENT);
}

#[test]
fn payload_and_calls_are_shown_as_asked() {
    let row = |arguments: &[&str], call: &str| {
        let [client, _] = ladder(&[&["run", "tcp_echo"], arguments].concat(), b"");
        client
            .into_iter()
            .find(|row| row.contains(call))
            .unwrap_or_default()
    };
    assert_eq!(
        row(&["--payload", "hex"], "sendto"),
        "  sendto(3, \"68656c6c6f\", 5, 0) = 5"
    );
    assert_eq!(
        row(&["--payload", "none"], "sendto"),
        "  sendto(3, ..., 5, 0) = 5"
    );
    assert_eq!(row(&[], "ioctl"), "");
    assert_eq!(
        row(&["--calls", "all"], "ioctl"),
        "  ioctl(1, TCGETS, ...) = ENOTTY"
    );
}

#[test]
fn without_strace_it_says_so_and_runs_the_pair() {
    let nowhere: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nowhere");
    let outcome = run(
        Command::new(SOCKSTEP)
            .args(["run", "tcp_echo"])
            .env("PATH", nowhere),
        b"",
    );
    assert!(outcome.status.success());
    assert_eq!(
        outcome.stderr,
        "sockstep: no ladder: strace is not installed: apt-get install strace\n"
    );
    assert!(
        outcome.stdout().ends_with("client | Received: hello\n"),
        "{outcome:?}"
    );
}

#[test]
fn the_command_that_is_printed_records_the_same() {
    require("strace", "the ladder");
    let outcome = run(
        Command::new(SOCKSTEP).args(["run", "--print-command", "tcp_echo", "--", "two words"]),
        b"",
    );
    let commands: Vec<&str> = outcome.stdout().lines().collect();
    assert!(
        commands.len() == 2
            && commands
                .iter()
                .all(|command| command.starts_with("strace -D -f ")),
        "{outcome:?}"
    );
    assert!(commands[0].contains(" -o server.strace -- "), "{outcome:?}");
    assert!(
        commands[1].ends_with("tcp_echo_client -- 127.0.0.1 'two words' PORT"),
        "{outcome:?}"
    );
}

#[test]
fn json_is_one_object_a_line_that_python_reads() {
    require("strace", "the ladder");
    require("python3", "reading JSON");
    let read = "import json, sys
lines = [json.loads(line) for line in sys.stdin]
assert lines[0] == {'sockstep': 1}, lines[0]
for e in lines[1:]:
    if e['kind'] == 'call' and e['step'] and e['side'] == 'client':
        print(e['step'], '|', e['name'], '|', e['args'][1] if e['name'] == 'sendto' else '', '|', e['result'])
assert any(e['kind'] == 'end' and e['text'] == 'exited with 0' for e in lines[1:])
";
    let json = run(
        Command::new(SOCKSTEP).args(["run", "tcp_echo", "--json", "--", "a\"\\\x1bb"]),
        b"",
    );
    assert!(json.status.success() && json.stderr.is_empty(), "{json:?}");
    let seen = run(
        Command::new("python3").args(["-c", read]),
        json.stdout().as_bytes(),
    );
    assert!(seen.status.success(), "{seen:?}");
    let expected = r#"Client 1. Create a TCP socket | socket |  | 3
Client 2. Establish the connection | connect |  | 0
Client 3. Communicate | sendto | "a\"\\\33b" | 5
Client 3. Communicate | recvfrom |  | 5
Client 4. Close the connection | close |  | 0
"#;
    assert_eq!(seen.stdout(), expected);
}
