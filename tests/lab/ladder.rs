//! The ladder: which calls `sockstep run` and `sockstep show` draw, on which side, under which step.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Process, Program, deadline, hear_from, listener, python3, require, run, udp, without_ports,
};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
    outcome.assert_clean();
    sides(outcome.stdout())
}

const TCP_CLIENT: &[&str] = &[
    "Client 1. Create a TCP socket",
    "  socket(AF_INET, SOCK_STREAM,",
    "      IPPROTO_TCP) = 3",
    "Client 2. Establish the connection",
    "  connect(3, 127.0.0.1:PORT) = 0",
    "  getsockname(3, 127.0.0.1:PORT) = 0",
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
    "  getsockname(3, 0.0.0.0:PORT) = 0",
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
fn a_programs_first_socket_is_3_whatever_is_open_around_it() {
    require("strace", "the ladder");
    let script = r#"exec "$0" run udp_echo 3</dev/null 4</dev/null 9</dev/null"#;
    let outcome = run(Command::new("sh").args(["-c", script, SOCKSTEP]), b"");
    assert_eq!(sides(outcome.stdout())[0], UDP_CLIENT);
}

#[test]
fn rows_come_while_it_happens() {
    require("strace", "the ladder");
    let start = Instant::now();
    let mut run = Process::start(Command::new(SOCKSTEP).args(["run", "tcp_upper"]));
    let rows = |row: &str, run: &mut Process| while run.line().trim() != row {};
    rows("Server 1. Create the welcoming socket", &mut run);
    eprintln!("the first row after {:?}", start.elapsed());
    let stdin = run.stdin.as_mut().expect("it is a pipe");
    stdin.write_all(b"now\n").expect("the client reads");
    rows("| From Server: NOW", &mut run); // the input goes on
    assert!(run.end().status.success());
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
        "sockstep: lines that are not strace's, shown as they are: 1\n"
    );
    assert!(outcome.stdout().contains("? what is this?"));

    let outcome = run(Command::new(SOCKSTEP).args(["show", "/no/such/file"]), b"");
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(
        outcome.stderr,
        "sockstep: /no/such/file: No such file or directory (os error 2)\n"
    );
}

/// Writes what a recording may be.
fn written(name: &str, content: &str) -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, content).expect("it is writable");
    file.to_str().expect("a path of text").to_owned()
}

#[test]
fn a_file_without_a_line_of_straces_is_no_recording() {
    let how = "To make a recording: strace -f -ttt -T -s 4096 -o FILE ./my_server 12000";
    for (name, content) in [("prose.txt", "# A title\n\nfn main() {}\n"), ("empty", "")] {
        let file = written(name, content);
        for option in [&[][..], &["--json"]] {
            let show = ["show", &file];
            let outcome = run(Command::new(SOCKSTEP).args(show).args(option), b"");
            assert_eq!(outcome.status.code(), Some(1));
            assert_eq!(
                outcome.stderr,
                format!("sockstep: {file}: no line in it is strace's. {how}\n")
            );
            assert!(outcome.stdout().is_empty(), "{outcome:?}");
        }
    }

    // In a directory, files that are not recordings are named.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mixed");
    fs::create_dir_all(&directory).expect("it is writable");
    written("mixed/notes.txt", "what I did\n");
    written("mixed/server.strace", LISTENING);
    let outcome = run(Command::new(SOCKSTEP).arg("show").arg(&directory), b"");
    assert!(outcome.status.success());
    assert_eq!(
        outcome.stderr,
        format!(
            "sockstep: {}/notes.txt: left out, as no line in it is strace's\n",
            directory.display()
        )
    );
    assert!(outcome.stdout().contains("listen(3, 5) = 0"));
}

#[test]
fn an_unknown_line_is_cut_in_the_picture_and_whole_in_json() {
    let long = format!("\x1b[31m{}", "no strace's, ".repeat(20));
    let file = written("long.strace", &format!("{long}\n{LISTENING}"));
    let outcome = run(Command::new(SOCKSTEP).args(["show", &file]), b"");
    let expected = r"  ? \x1b[31mno strace's, no strace'...";
    assert_eq!(sides(outcome.stdout())[1][0], expected);
    let outcome = run(Command::new(SOCKSTEP).args(["show", "--json", &file]), b"");
    let escaped = long.replace('\x1b', r"\\x1b"); // the reader escapes it, and JSON its backslash
    assert!(outcome.stdout().contains(&escaped), "{outcome:?}");
}

#[test]
fn what_strace_has_left_out_of_words_is_said() {
    let rows = servers_rows(
        "cut.strace",
        &(LISTENING.to_owned()
            + "\
100 1.3 write(2, \"connect() failed: Connection ref\"..., 38) = 38
100 1.4 recvfrom(4, \"0123456789abcdef0123456789abcdef\"..., 4096, 0, NULL, NULL) = 38
"),
    );
    let expected = [
        "! connect() failed: Connection ref...",
        "Server 4b. Communicate",
        "  recvfrom(4,",
        "      \"0123456789abcdef012345\"...,",
        "      4096, 0) = 38",
    ];
    assert_eq!(rows[7..], expected);
}

#[test]
fn payloads_are_cut_between_their_units() {
    let rows = |payload: &str| {
        let bytes = r"\1\2\3\4\5\6\7\303\244";
        let call = format!("100 1.3 recvfrom(4, \"{bytes}\", 4096, 0, NULL, NULL) = 9\n");
        let file = written(
            &format!("units-{payload}.strace"),
            &(LISTENING.to_owned() + &call),
        );
        let shown = run(
            Command::new(SOCKSTEP).args(["show", "--payload", payload, &file]),
            b"",
        );
        sides(shown.stdout())[1][8..].join(" ")
    };
    let text = rows("text");
    assert!(
        text.contains(r#" "\x01\x02\x03\x04\x05"..., 4096,"#),
        "{text}"
    );
    let hex = rows("hex");
    assert!(hex.contains(r#"(4, "01020304050607c3a4","#), "{hex}");
}

#[test]
fn accept4_is_as_short_as_accept_and_a_time_is_in_seconds() {
    let rows = servers_rows(
        "brief.strace",
        &(LISTENING.to_owned()
            + r#"100 1.3 accept4(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, [16], SOCK_CLOEXEC) = 5
100 1.4 accept4(3, NULL, NULL, SOCK_CLOEXEC) = 6
100 1.5 setsockopt(5, SOL_SOCKET, SO_RCVTIMEO_OLD, "\n\0\0\0\0\0\0\0\220\320\3\0\0\0\0\0", 16) = 0
100 1.6 setsockopt(5, SOL_SOCKET, SO_SNDTIMEO_OLD, {tv_sec=10, tv_usec=0}, 16) = 0
"#),
    );
    let expected = [
        "  accept4(3, 127.0.0.1:PORT,",
        "      SOCK_CLOEXEC) = 5",
        "  accept4(3, SOCK_CLOEXEC) = 6",
        "  setsockopt(5, SOL_SOCKET,",
        "      SO_RCVTIMEO, {10.25 s}, 16) = 0",
        "  setsockopt(5, SOL_SOCKET,",
        "      SO_SNDTIMEO, {10 s}, 16) = 0",
    ];
    assert_eq!(rows[7..], expected);
}

#[test]
fn what_a_server_says_in_pieces_is_one_line_broken_at_spaces() {
    let rows = servers_rows(
        "pieces.strace",
        &(LISTENING.to_owned()
            + "\
100 1.3 write(2, \"/bin/sh: 1: \", 12) = 12
100 1.4 write(2, \"exec: ./nope: not found\", 23) = 23
100 1.5 write(2, \"\\n    and a longer one, which has to go on\\nno end\", 48) = 48
100 1.6 close(4) = 0
"),
    );
    let expected = [
        "! /bin/sh: 1: exec: ./nope: not found",
        "!     and a longer one, which has to",
        "! go on",
        "! no end",
        "Server 4c. Close the connection",
        "  close(4) = 0",
    ];
    assert_eq!(rows[7..], expected);
}

/// A server in Python, as a shell has it. What it does comes after its stream socket `s` has been made.
fn in_python(what: &str) -> String {
    let python = python3();
    format!("'{python}' -c 'import signal, socket, sys\ns = socket.socket()\n{what}'")
}

#[test]
fn a_server_that_does_not_start_says_why() {
    require("strace", "the ladder");
    let (taken, port) = listener();
    let bind = format!("s.bind((\"127.0.0.1\", {port}))");
    let failed = "sockstep: the server did not start: exit status: ";
    for (server, last) in [
        (
            "./nope 1".to_owned(),
            "127. ./nope was not found".to_owned(),
        ),
        (
            "nope 1".to_owned(),
            "127. nope was not found. If it is in this directory: ./nope".to_owned(),
        ),
        (in_python(&bind), format!("1. Port {port} is in use")),
        (
            in_python("s.bind((\"127.0.0.1\", 0)); sys.exit(3)"),
            "3. It has called bind(), but not listen()".to_owned(),
        ),
    ] {
        let arguments = ["run", "--server", &server, "--client", "true"];
        let outcome = run(Command::new(SOCKSTEP).args(arguments), b"");
        assert_eq!(outcome.status.code(), Some(1));
        assert_eq!(outcome.stderr, format!("{failed}{last}\n"));
    }
    drop(taken);
}

#[test]
fn a_server_that_forgets_to_listen_is_told_of_and_its_client_starts() {
    require("strace", "the ladder");
    let server = in_python("s.bind((\"127.0.0.1\", 0)); signal.pause()");
    let arguments = ["run", "--server", &server, "--client", "exit 7"];
    let outcome = run(Command::new(SOCKSTEP).args(arguments), b"");
    assert_eq!(
        outcome.stderr,
        "sockstep: the server does not listen. It has called bind(), but not listen(). The client starts anyway\n"
    );
    assert_eq!(outcome.status.code(), Some(7));
}

#[test]
fn a_port_without_htons_is_told_of() {
    require("strace", "the ladder");
    let (port, swapped) = loop {
        let (_free, port) = listener();
        let swapped = port.swap_bytes();
        if swapped > 1023 && swapped != port && TcpListener::bind(("127.0.0.1", swapped)).is_ok() {
            break (port, swapped);
        }
    };
    let address = format!("s.bind((\"127.0.0.1\", {swapped}))");
    let stream = in_python(&format!("{address}; s.listen(); s.accept()"));
    let datagram = in_python(&format!(
        "s = socket.socket(type=socket.SOCK_DGRAM); {address}; s.recv(9)"
    ));
    for (server, client) in [
        (stream, ("tcp_echo_client", "")),
        (datagram, ("udp_echo_client", "--timeout 1")),
    ] {
        let (program, options) = client;
        let client = format!(
            "'{}' {options} 127.0.0.1 hello {port}",
            Program::rust(program).path().display()
        );
        let arguments = ["run", "--server", &server, "--client", &client];
        let outcome = run(Command::new(SOCKSTEP).args(arguments), b"");
        assert_eq!(outcome.status.code(), Some(1));
        let picture: String = outcome.stdout().split_whitespace().collect();
        let words = "the same port with its bytes swapped: one side has forgotten htons()";
        assert!(
            picture.contains(&words.replace(' ', "")),
            "{}",
            outcome.stdout()
        );
    }
}

#[test]
fn the_headings_are_the_programs_own_steps() {
    let headings = |rows: &[String]| {
        let mut headings: Vec<String> = Vec::new();
        for row in rows {
            if row.starts_with("Client ") || row.starts_with("Server") {
                headings.push(row.clone());
            } else if let Some(rest) = row.strip_prefix("          ") {
                let last = headings.last_mut().expect("this is its end");
                *last = format!("{last} {}", rest.trim_start());
            }
        }
        headings
    };
    for implementation in ["rust", "c"] {
        let run = |pair, input: &[u8]| ladder(&["run", pair, "--impl", implementation], input);
        let [client, server] = run("udp_upper", b"hi\n").map(|rows| headings(&rows));
        assert_eq!(
            client,
            [
                "Client 1. Create a UDP socket",
                "Client 2. Send a message to the server's address",
                "Client 3. Receive it in upper case",
                "Client 4. Close the socket",
            ]
        );
        let receive = "Server 3a. Receive a message, and the address it came from";
        assert_eq!(
            server,
            [
                "Server 1. Create a UDP socket",
                "Server 2. Bind it to the server's port",
                receive,
                "Server 3b. Send it back in upper case",
                receive,
            ]
        );
        let [_, server] = run("web", b"").map(|rows| headings(&rows));
        // Whether the next accept is the main thread's, and drawn to its end, is chance.
        assert_eq!(
            server[..5],
            [
                "Server. A socket that listens",
                "Server 1. Accept the connection",
                "Server 2. Read and parse the request",
                "Server 5. Generate and transmit the response",
                "Server. Close the connection",
            ]
        );
    }
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
        "  ioctl(1, TCGETS, {...}) = 0"
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
    let read = "import json, sys
lines = [json.loads(line) for line in sys.stdin]
assert lines[0] == {'sockstep': 1}, lines[0]
for e in lines[1:]:
    if e['kind'] == 'call' and e['step'] and e['side'] == 'client':
        print(e['step'], '|', e['name'], '|', e['args'][1] if e['name'] == 'sendto' else '', '|', e['result'])
assert any(e['kind'] == 'end' and e['text'] == 'exited with 0' for e in lines[1:])
by_id = {}
for e in lines[1:]:
    assert all(cause in by_id for cause in e['causes']), e
    assert e['id'] > max(by_id, default=0), e
    by_id[e['id']] = e
    for cause in [by_id[cause] for cause in e['causes']]:
        if e['socket']:
            assert e['name'] == 'accept' or cause['socket'] != e['socket'], e
            if e['name'] == 'accept':
                conversation = {cause['socket'], *e['made']}
            else:
                assert {cause['socket'], e['socket']} == conversation, e
            print(cause['side'], cause['name'], '->', e['side'], e['name'], e['result'])
";
    let json = run(
        Command::new(SOCKSTEP).args(["run", "tcp_echo", "--json", "--", "a\"\\\x1bb"]),
        b"",
    );
    assert!(json.status.success() && json.stderr.is_empty(), "{json:?}");
    let seen = run(
        Command::new(python3()).args(["-c", read]),
        json.stdout().as_bytes(),
    );
    assert!(seen.status.success(), "{seen:?}");
    let expected = r#"Client 1. Create a TCP socket | socket |  | 3
Client 2. Establish the connection | connect |  | 0
Client 3. Communicate | sendto | "a\"\\\33b" | 5
Client 3. Communicate | recvfrom |  | 5
Client 4. Close the connection | close |  | 0
client connect -> server accept 4
client sendto -> server recvfrom 5
server sendto -> client recvfrom 5
client close -> server recvfrom 0
"#;
    assert_eq!(seen.stdout(), expected);
}

/// As strace writes what two processors do at once: the receive has returned before the send.
#[test]
fn json_has_no_effect_before_its_cause() {
    let file = written(
        "both-at-once.strace",
        r#"7 1700000000.100000 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
7 1700000000.110000 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 1700000000.120000 listen(3, 5) = 0
7 1700000000.130000 accept(3,  <unfinished ...>
9 1700000000.140000 execve("./client", ["./client"], 0x7ffd /* 1 var */) = 0
9 1700000000.150000 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
9 1700000000.160000 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16 <unfinished ...>
7 1700000000.170000 <... accept resumed>NULL, NULL) = 4
7 1700000000.180000 recvfrom(4,  <unfinished ...>
9 1700000000.190000 <... connect resumed>) = 0
9 1700000000.200000 sendto(3, "hello", 5, 0, NULL, 0 <unfinished ...>
7 1700000000.210000 <... recvfrom resumed>"hello", 99, 0, NULL, NULL) = 5
9 1700000000.220000 <... sendto resumed>) = 5
"#,
    );
    let outcome = run(Command::new(SOCKSTEP).args(["show", "--json", &file]), b"");
    let lines = outcome.stdout().lines();
    let calls: Vec<&str> = lines
        .filter_map(|line| line.split_once("\"name\":\"")?.1.split('"').next())
        .skip_while(|name| *name != "connect")
        .collect();
    assert_eq!(calls, ["connect", "accept", "sendto", "recvfrom"]);
}

/// The server's rows of what strace wrote.
fn servers_rows(name: &str, recording: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, recording).expect("it is writable");
    let outcome = run(Command::new(SOCKSTEP).arg("show").arg(&file), b"");
    assert!(outcome.status.success(), "{outcome:?}");
    let [_, server] = sides(outcome.stdout());
    server
}

#[test]
fn a_servers_process_or_thread_for_a_client_is_drawn_under_its_number() {
    for implementation in ["rust", "c"] {
        for (server, heading, made) in [
            (
                "tcp_echo_server_fork",
                "Server 4b. Communicate: a new process",
                "  clone(... SIGCHLD) = [2]",
            ),
            (
                "tcp_echo_server_thread",
                "Server 4b. Communicate: a new thread",
                "  clone3(... CLONE_FILES ...) = [2]",
            ),
        ] {
            let [_, rows] = ladder(&["run", server, "--impl", implementation], b"");
            let at = rows.iter().position(|row| row == heading);
            let at = at.unwrap_or_else(|| panic!("{server}: {rows:#?}"));
            assert_eq!(rows[at + 1], made);
            for row in [
                "[2] recvfrom(4, \"hello\", 4096, 0) = 5",
                "[2] sendto(4, \"hello\", 5, 0) = 5",
                "[2] close(4) = 0",
                "[2] +++ exited with 0 +++",
            ] {
                assert!(
                    rows.iter().any(|it| it == row),
                    "{server}: {row}: {rows:#?}"
                );
            }
        }
    }
}

const LISTENING: &str = "\
100 1.0 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
100 1.1 listen(3, 5) = 0
100 1.2 accept(3, NULL, NULL) = 4
";

#[test]
fn a_child_has_its_parents_sockets_and_its_own_number() {
    // The child is there before fork has returned in the parent.
    let rows = servers_rows(
        "fork.strace",
        &(LISTENING.to_owned()
            + "\
100 1.3 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD <unfinished ...>
101 1.4 close(3) = 0
101 1.5 recvfrom(4,  <unfinished ...>
100 1.6 <... clone resumed>, child_tidptr=0x7f15) = 101
100 1.7 close(4) = 0
100 1.8 accept(3,  <unfinished ...>
101 1.9 <... recvfrom resumed>\"x\", 9, 0, NULL, NULL) = 1
101 2.0 write(1, \"words\\n\", 6) = 6
101 2.1 exit_group(0) = ?
101 2.2 +++ exited with 0 +++
100 2.3 <... accept resumed>NULL, NULL) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)
100 2.4 --- SIGCHLD {si_signo=SIGCHLD, si_pid=101} ---
100 2.5 wait4(-1, NULL, WNOHANG, NULL) = 101
"),
    );
    let expected = [
        "Server 1. Create a TCP socket",
        "  socket(AF_INET, SOCK_STREAM,",
        "      IPPROTO_TCP) = 3",
        "Server 3. Set the socket to listen",
        "  listen(3, 5) = 0",
        "Server 4a. Accept a new connection",
        "  accept(3) = 4",
        "Server 4b. Communicate: a new process",
        "  clone(... SIGCHLD) = [2]",
        "[2] close(3) = 0",
        "Server 4c. Close the connection",
        "  close(4) = 0",
        "Server 4b. Communicate",
        "[2] recvfrom(4, \"x\", 9, 0) = 1",
        "[2] | words",
        "[2] +++ exited with 0 +++",
        "Server 4a. Accept a new connection",
        "  accept(3) = ?",
        "  --- SIGCHLD ---",
        "  wait4(-1, NULL, WNOHANG) = [2]",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn threads_share_their_sockets() {
    let rows = servers_rows(
        "thread.strace",
        &(LISTENING.to_owned()
            + "\
100 1.3 clone3({flags=CLONE_VM|CLONE_FILES|CLONE_THREAD, exit_signal=0} => {parent_tid=[101]}, 88) = 101
101 1.4 recvfrom(4, \"x\", 9, 0, NULL, NULL) = 1
101 1.5 close(4) = 0
100 1.6 openat(AT_FDCWD, \"/etc/motd\", O_RDONLY) = 4
100 1.7 read(4, \"no socket\", 9) = 9
101 1.8 exit(0) = ?
101 1.9 +++ exited with 0 +++
"),
    );
    let expected = [
        "Server 4b. Communicate: a new thread",
        "  clone3(... CLONE_FILES ...) = [2]",
        "Server 4b. Communicate",
        "[2] recvfrom(4, \"x\", 9, 0) = 1",
        "Server 4c. Close the connection",
        "[2] close(4) = 0",
        "[2] +++ exited with 0 +++",
    ];
    assert_eq!(rows[7..], expected);
}

#[test]
fn what_waits_for_several_stands_under_the_step_it_waited_for() {
    let rows = servers_rows(
        "several.strace",
        &(LISTENING.to_owned()
            + "\
100 1.3 dup(4) = 6
100 1.4 poll([{fd=3, events=POLLIN}, {fd=6, events=POLLIN}], 2, -1) = 1 ([{fd=6, revents=POLLIN}])
100 1.5 recvfrom(6, \"x\", 9, 0, NULL, NULL) = 1
100 1.6 epoll_wait(7, [{events=EPOLLIN, data={u32=3, u64=3}}], 64, -1) = 1
100 1.7 accept(3, NULL, NULL) = 8
"),
    );
    let expected = [
        "  dup(4) = 6",
        "Server 4b. Communicate",
        "  poll([{3, POLLIN}, {6, POLLIN}], 2,",
        "      -1) = 1 ([{6, POLLIN}])",
        "  recvfrom(6, \"x\", 9, 0) = 1",
        "Server 4a. Accept a new connection",
        "  epoll_wait(7, [{EPOLLIN, 3}], 64,",
        "      -1) = 1",
        "  accept(3) = 8",
    ];
    assert_eq!(rows[7..], expected);
}

/// A terminal with `sockstep run` on it.
pub struct Terminal {
    pub child: Child,
    pub keyboard: File,
    output: Receiver<Vec<u8>>,
    raw: Vec<u8>,
    screen: vt100::Parser,
}

fn set_columns(columns: u16, terminal: File) {
    let mut stty = Command::new("stty");
    let stty = stty.args(["cols", &columns.to_string()]).stdin(terminal);
    assert!(stty.status().is_ok_and(|status| status.success()));
}

impl Terminal {
    fn start(columns: u16, term: &str, arguments: &[&str]) -> Terminal {
        Terminal::of_size(columns, 0, term, arguments)
    }

    /// One that says how many columns it has.
    pub fn of_known_size(columns: u16, arguments: &[&str]) -> Terminal {
        Terminal::of_size(columns, columns, "xterm", arguments)
    }

    fn of_size(columns: u16, known: u16, term: &str, arguments: &[&str]) -> Terminal {
        require("strace", "the ladder");
        // Step by step, not by openpty(3): no other test's programs are to inherit it.
        let master =
            posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
        grantpt(&master)
            .and_then(|()| unlockpt(&master))
            .expect("it is ours");
        let slave = ptsname_r(&master).expect("it has a name");
        let slave = File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(slave)
            .expect("it can be opened");
        let handle = || slave.try_clone().expect("a descriptor");
        set_columns(known, handle());
        let mut command = Command::new(SOCKSTEP);
        command.arg("run").args(arguments).env("TERM", term);
        command.stdin(handle()).stdout(handle()).stderr(handle());
        let child = command.spawn().expect("sockstep starts");
        drop((command, slave));

        let keyboard = File::from(OwnedFd::from(master));
        let mut master = keyboard.try_clone().expect("a descriptor");
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut chunk = [0; 1024];
            // The terminal's end comes as an error.
            while let Ok(n @ 1..) = master.read(&mut chunk) {
                if sender.send(chunk[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let [rows, width] = [60, columns].map(|n| NonZero::new(n).expect("not zero"));
        Terminal {
            child,
            keyboard,
            output,
            raw: Vec::new(),
            screen: vt100::Parser::new(rows, width, 0),
        }
    }

    /// Has another width from now on.
    pub fn has_columns(&mut self, columns: u16) {
        set_columns(columns, self.keyboard.try_clone().expect("a descriptor"));
        let [rows, width] = [60, columns].map(|n| NonZero::new(n).expect("not zero"));
        self.screen.screen_mut().set_size(rows, width);
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid_t"));
        kill(pid, Signal::SIGWINCH).expect("it is there");
    }

    pub fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits until the screen is as wanted, and returns its last row.
    pub fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let screen = self.screen.screen().contents();
            if wanted(&screen) {
                return screen.lines().last().unwrap_or_default().to_owned();
            }
            let output = self.output.recv_timeout(deadline());
            self.take(&output.unwrap_or_else(|_| panic!("it never came, only:\n{screen}")));
        }
    }

    fn take(&mut self, output: &[u8]) {
        self.raw.extend_from_slice(output);
        self.screen.process(output);
    }

    pub fn types(&mut self, text: &str) {
        self.keyboard
            .write_all(text.as_bytes())
            .expect("the terminal takes what is typed");
    }

    /// Waits for the end: the status, and what the screen shows then.
    pub fn end(mut self) -> (ExitStatus, String) {
        while let Ok(output) = self.output.recv_timeout(deadline()) {
            self.take(&output);
        }
        let status = self.child.wait().expect("it is our child");
        (status, self.screen.screen().contents())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill(); // already ended, if all went well
        let _ = self.child.wait();
    }
}

/// A client that waits for this peer's answer, which never comes, and a server without a client.
fn both_blocked(columns: u16, term: &str, peer: &UdpSocket) -> Terminal {
    let command = |program, arguments: &str| {
        format!("'{}' {arguments}", Program::c(program).path().display())
    };
    let port = peer.local_addr().expect("it is bound").port();
    let server = command("tcp_echo_server", "--bind 127.0.0.1 0");
    let client = command("udp_echo_client", &format!("127.0.0.1 hello {port}"));
    Terminal::start(columns, term, &["--server", &server, "--client", &client])
}

#[test]
fn who_is_blocked_is_said_while_it_lasts() {
    let peer = udp();
    let mut terminal = both_blocked(80, "xterm", &peer);
    let row = terminal.wait_for(|screen| screen.matches(" blocked for ").count() == 2);
    let (left, right) = row.split_at(SERVERS_COLUMN);
    assert!(left.starts_with("recvfrom(3, ... blocked for "), "{row}");
    assert!(right.starts_with("accept(3, ... blocked for "), "{row}");
    let later = terminal.wait_for(|screen| server_is_blocked_for(1.0, screen));
    assert_ne!(row, later);

    let (word, client) = hear_from(&peer);
    peer.send_to(&word, ("127.0.0.1", client))
        .expect("the client is there");
    let (status, screen) = terminal.end();
    assert!(status.success());
    assert!(!screen.contains("blocked"), "{screen}");
    let [rows, _] = sides(&screen);
    assert!(rows.contains(&"| Received: hello".to_owned()), "{screen}");
}

/// Whether the last row says that, for this many seconds or more: on a busy machine it skips some.
fn server_is_blocked_for(seconds: f64, screen: &str) -> bool {
    let said = screen.split("accept(3, ... blocked for ").nth(1);
    let said = said.and_then(|words| words.split(' ').next()?.parse::<f64>().ok());
    said.is_some_and(|said| said >= seconds)
}

#[test]
fn what_is_said_of_the_blocked_fits_a_narrow_window() {
    let peer = udp();
    let mut terminal = both_blocked(50, "xterm", &peer);
    terminal.wait_for(|screen| screen.contains("\nrecvfrom(3, accept(3, ... blocked for "));
    terminal.wait_for(|screen| server_is_blocked_for(0.9, screen)); // drawn anew a few times
    assert_eq!(
        terminal
            .screen
            .screen()
            .contents()
            .matches("blocked")
            .count(),
        1
    );
}

#[test]
fn a_terminals_width_is_used_or_complained_of() {
    let (status, screen) = Terminal::of_known_size(120, &["tcp_echo"]).end();
    assert!(status.success());
    let row = |row: &str| screen.lines().any(|it| it == row);
    assert!(
        row("  socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3"),
        "{screen}"
    );
    let servers = format!("{:62}Server 2. Assign a port to the socket", "");
    assert!(row(&servers), "{screen}");

    let clients = ["tcp_echo_server", "--clients", "1", "--think", "10"];
    for (picture, arguments) in [("ladder", &["tcp_echo"][..]), ("chart", &clients)] {
        let (status, screen) = Terminal::of_known_size(79, arguments).end();
        assert!(status.success());
        let hint = format!(
            "sockstep: the {picture} needs 80 columns, and this window has 79: make it wider, or its letters smaller"
        );
        assert!(screen.replace('\n', " ").starts_with(&hint), "{screen}");
    }
}

#[test]
fn what_waits_at_the_end_is_no_error() {
    for implementation in ["rust", "c"] {
        let mut terminal = Terminal::start(80, "xterm", &["tcp_echo", "--impl", implementation]);
        terminal.wait_for(|screen| screen.contains("+++ killed by SIGTERM +++"));
        let raw = String::from_utf8_lossy(&terminal.raw).into_owned();
        assert!(!raw.contains("\x1b[38;5;131m"), "{raw}");
        assert!(raw.contains("\x1b[38;5;243maccept(3) = ?\x1b[0m"), "{raw}");
        let (_, last) = raw.split_once("accept(3) = ?").expect("it is there");
        assert!(last.contains("until the signal)\x1b[0m"), "{raw}");
    }
}

#[test]
fn an_interrupt_leaves_no_half_row() {
    let mut terminal = both_blocked(80, "xterm", &udp());
    terminal.wait_for(|screen| screen.contains("accept(3, ... blocked for "));
    kill(
        Pid::from_raw(terminal.child.id().try_into().expect("a pid_t")),
        Signal::SIGINT,
    )
    .expect("it is there");
    let (status, screen) = terminal.end();
    assert!(!status.success());
    assert!(!screen.contains("blocked"), "{screen}");
}

#[test]
fn a_prompt_is_not_drawn_over() {
    for pair in ["tcp_upper", "udp_upper"] {
        let mut terminal = Terminal::start(80, "xterm", &[pair]);
        let prompt = |n| move |screen: &str| screen.matches("sentence:").count() == n;
        terminal.wait_for(prompt(1));
        thread::sleep(Duration::from_millis(500)); // a person who thinks, not a wait for anything
        terminal.types("slow\n");
        terminal.wait_for(prompt(2));
        terminal.types("\x04");
        let shown = terminal.raw.clone();
        let (status, screen) = terminal.end();

        assert!(status.success());
        assert!(screen.contains("sentence: slow"), "{screen}");
        assert!(screen.contains("| From Server: SLOW"), "{screen}");
        assert!(!screen.contains("blocked"), "{screen}");
        let shown = String::from_utf8_lossy(&shown);
        let (_, since) = shown.split_once("sentence:").expect("it was there");
        let (meanwhile, _) = since.split_once("slow").expect("it was typed");
        assert!(!meanwhile.contains("blocked"), "{meanwhile:?}");
        // After the prompt, too, a row begins where it should.
        let closing = |row: &&str| row.starts_with("Client 4. Close the");
        assert_eq!(screen.lines().filter(closing).count(), 2, "{screen}");
    }
}

#[test]
fn a_terminal_that_cannot_erase_shows_the_rows_alone() {
    let peer = udp();
    let mut terminal = both_blocked(80, "dumb", &peer);
    let (word, client) = hear_from(&peer);
    thread::sleep(Duration::from_millis(500)); // it is blocked this long, and nothing must be said about it
    peer.send_to(&word, ("127.0.0.1", client))
        .expect("the client is there");
    terminal.wait_for(|screen| screen.contains("+++ killed by SIGTERM +++"));
    assert!(!terminal.raw.contains(&b'\x1b'));
    let (status, _) = terminal.end();
    assert!(status.success());
}

/// The whole picture of a recording, with its arrows counted, and the messages about it.
fn shown(name: &str, recording: &str) -> (String, usize, String) {
    let file = written(name, recording);
    let outcome = run(Command::new(SOCKSTEP).args(["show", &file]), b"");
    assert!(outcome.status.success(), "{outcome:?}");
    let picture = outcome.stdout().to_owned();
    let arrows = picture.matches("-->").count() + picture.matches("<--").count();
    (picture, arrows, outcome.stderr.clone())
}

const CONNECTED: &str = r#"100 1.0 execve("./s", ["./s"], 0x7ffd /* 0 vars */) = 0
100 1.1 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
100 1.2 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
100 1.3 listen(3, 5) = 0
100 1.4 accept(3, NULL, NULL) = 4
"#;

#[test]
fn both_sides_of_one_recording_stand_in_their_columns_with_their_ends() {
    let client = r#"200 1.31 execve("./c", ["./c"], 0x7ffd /* 0 vars */) = 0
200 1.32 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
200 1.33 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
200 1.34 sendto(3, "hel", 3, 0, NULL, 0) = 3
200 1.35 sendto(3, "lo", 9, 0, NULL, 0) = 2
100 1.50 recvfrom(4, "hel", 3, 0, NULL, NULL) = 3
100 1.51 close(4) = 0
200 1.52 recvfrom(3, 0x7ffd, 99, 0, NULL, NULL) = -1 ECONNRESET (Connection reset by peer)
"#;
    let (picture, arrows, _) = shown("both.strace", &(CONNECTED.to_owned() + client));
    assert_eq!(arrows, 3, "{picture}");
    let row = |text: &str| {
        let row = picture.lines().position(|row| row.contains(text));
        row.unwrap_or_else(|| panic!("no {text}: {picture}"))
    };
    assert!(row("connect(3, 127.0.0.1:80)") < row("accept(3) = 4"));
    assert!(row("sendto(3, \"hel\"") < row("recvfrom(4, \"hel\""));
    row("(partial: 2 of 9 taken)");
    row("<RST  close(4) = 0");
    row("(2 bytes unread: a reset, not an");
    row("ECONNRESET");
    assert_eq!(picture.matches("<RST").count(), 2, "{picture}");
}

#[test]
fn a_send_above_its_receive_and_two_sends_in_one() {
    let rows = r#"200 1.31 execve("./c", ["./c"], 0x7ffd /* 0 vars */) = 0
200 1.32 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
200 1.33 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
100 1.41 recvfrom(4, "hello", 99, 0, NULL, NULL) = 5
200 1.50 sendto(3, "hel", 3, 0, NULL, 0) = 3
200 1.51 sendto(3, "lo", 2, 0, NULL, 0) = 2
200 1.52 close(3) = 0
100 1.53 recvfrom(4, "", 99, 0, NULL, NULL) = 0
"#;
    let (picture, _, _) = shown("early.strace", &(CONNECTED.to_owned() + rows));
    let at = |text: &str| {
        picture
            .find(text)
            .unwrap_or_else(|| panic!("no {text}: {picture}"))
    };
    assert!(at("\"lo\"") < at("recvfrom(4, \"hello\""));
    at("(2 sends, 1 recv)");
    assert!(at("close(3) = 0                        FIN>") < at("FIN>  recvfrom(4, \"\""));
}

#[test]
fn probes_are_no_steps_and_the_main_process_has_no_number() {
    let recording = r#"100 1.0 execve("./s", ["./s"], 0x7ffd /* 0 vars */) = 0
100 1.1 clone3({flags=CLONE_VM|CLONE_FILES|CLONE_THREAD, exit_signal=0}, 88) = 101
100 1.2 socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_IP) = 3
100 1.3 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("0.0.0.0")}, 16) = 0
100 1.4 getsockname(3, {sa_family=AF_INET, sin_port=htons(4000), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0
100 1.5 close(3) = 0
101 1.6 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
101 1.7 listen(3, 5) = 0
100 1.8 accept(3, NULL, NULL) = 4
101 1.9 read(4, "hi", 99) = 2
100 2.0 prlimit64(0, RLIMIT_NOFILE, NULL, {rlim_cur=1024, rlim_max=1024}) = 0
"#;
    let rows = servers_rows("probes.strace", recording);
    let expected = [
        "Server 1. Create a TCP socket",
        "[2] socket(AF_INET, SOCK_STREAM,",
        "        IPPROTO_TCP) = 3",
        "Server 3. Set the socket to listen",
        "[2] listen(3, 5) = 0",
        "Server 4a. Accept a new connection",
        "  accept(3) = 4",
        "Server 4b. Communicate",
        "[2] read(4, \"hi\", 99) = 2",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn other_kinds_of_sockets_are_called_by_their_names_and_messages_show_their_bytes() {
    let recording = r#"100 1.0 socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0) = 3
100 1.1 bind(3, {sa_family=AF_UNIX, sun_path="u.sock"}, 110) = 0
100 1.2 listen(3, 5) = 0
100 1.3 socket(AF_UNIX, SOCK_SEQPACKET, 0) = 5
100 1.4 bind(5, {sa_family=AF_UNIX, sun_path="s.sock"}, 110) = 0
100 1.5 listen(5, 5) = 0
100 1.6 socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) = 6
100 1.7 recvmsg(6, {msg_name={sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, msg_namelen=16, msg_iov=[{iov_base="he", iov_len=2}, {iov_base="llo", iov_len=9}], msg_iovlen=2, msg_controllen=0, msg_flags=0}, 0) = 5
"#;
    let (picture, arrows, _) = shown("kinds.strace", recording);
    for text in [
        "Server 1. Create a Unix-domain socket",
        "Server 2. Assign a path to the socket",
        "bind(3, u.sock) = 0",
        "Server 1. Create a SEQPACKET socket",
        "Server 1. Create a RAW socket",
        r#"["he","#,
    ] {
        assert!(picture.contains(text), "no {text}: {picture}");
    }
    assert_eq!(arrows, 1);
}

#[test]
fn rows_that_repeat_themselves_are_counted() {
    let pair = "100 2.0 recvfrom(4, \"\", 99, 0, NULL, NULL) = 0\n100 2.0 sendto(4, \"\", 0, MSG_NOSIGNAL, NULL, 0) = 0\n";
    let (picture, _, _) = shown("loop.strace", &(CONNECTED.to_owned() + &pair.repeat(1208)));
    assert!(
        picture.contains("... the last 2 rows 1,203 times more"),
        "{picture}"
    );
    assert!(picture.contains("explain 'recv 0'"), "{picture}");
    assert!(picture.lines().count() < 40, "{picture}");

    // Of a wait the rest differs each time.
    let wait = |at: usize| {
        format!(
            "100 2.0 select(4, [3], NULL, NULL, {{tv_sec=0, tv_usec=500000}}) = 1 (in [3], left {{tv_sec=0, tv_usec={at}}})\n"
        )
    };
    let waits: String = (400_000..402_000).map(wait).collect();
    let (picture, _, _) = shown("waits.strace", &(CONNECTED.to_owned() + &waits));
    assert!(
        picture.contains("... select 1,9") && picture.contains(" times more"),
        "{picture}"
    );
    assert!(picture.lines().count() < 250, "{picture}");
}

/// A remark on a call whose rows are only counted is drawn, and the counting goes on below it.
#[test]
fn a_remark_among_rows_that_are_counted_is_drawn() {
    let echo = |word: &str| {
        let length = word.len();
        format!(
            "100 2.0 recvfrom(4, \"{word}\", 99, 0, NULL, NULL) = {length}\n100 2.0 sendto(4, \"{word}\", {length}, MSG_NOSIGNAL, NULL, 0) = {length}\n"
        )
    };
    let nul = "100 2.0 sendto(4, \"hello\\0\", 6, MSG_NOSIGNAL, NULL, 0) = 6\n";
    let many: String = (0..600).map(|at| echo(&format!("w{at}"))).collect();
    let rows = many.clone() + nul + &many;
    let (picture, _, _) = shown("among.strace", &(CONNECTED.to_owned() + &rows));
    let at = |text: &str| {
        picture
            .find(text)
            .unwrap_or_else(|| panic!("no {text}: {picture}"))
    };
    assert!(
        at("... these calls 1,162 times more") < at("the NUL at its end"),
        "{picture}"
    );
    assert_eq!(picture.matches("times more").count(), 2, "{picture}");
    assert!(picture.lines().count() < 200, "{picture}");
}

#[test]
fn an_empty_picture_says_why() {
    let said = |name, recording: &str| shown(name, recording).2;
    assert_eq!(
        said(
            "none.strace",
            "1 write(1, \"hello\\n\", 6) = 6\n1 exit_group(0) = ?\n"
        ),
        "sockstep: no call in it is on a socket\n"
    );
    let network = LISTENING.to_owned() + "100 1.3 accept(3, NULL, NULL) = 5\n";
    assert!(
        said("net.strace", &network).starts_with("sockstep: read, write and close are not in it")
    );
    let wrong = [
        (
            "raw",
            "100 1.3 accept(0x3, 0, 0) = 0x4\n",
            "recorded with -e raw",
        ),
        (
            "alone.strace",
            "100 1.3 fork() = 101\n100 1.4 close(4) = 0\n",
            "record it with strace -f",
        ),
        (
            "clone.strace",
            "100 1.3 close(4) = 0\n101 1.4 read(4, \"x\", 9) = 1\n",
            "fork and clone are not in it",
        ),
    ];
    for (name, rows, words) in wrong {
        let said = said(name, &(LISTENING.to_owned() + rows));
        assert!(said.contains(words), "{name}: {said}");
    }
    let late = said(
        "late.strace",
        "1 recvfrom(4, \"x\", 9, 0, NULL, NULL) = 1\n1 close(4) = 0\n",
    );
    assert!(
        late.starts_with("sockstep: socket() is not in it"),
        "{late}"
    );
    let ring = CONNECTED.to_owned()
        + "100 1.5 io_uring_setup(1, {flags=0}) = 5\n100 1.6 io_uring_enter(5, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) = 1\n";
    let (picture, _, _) = shown("ring.strace", &ring);
    assert_eq!(picture.matches("io_uring").count(), 2, "{picture}");
}

#[test]
fn what_is_called_on_a_closed_socket_is_shown_with_a_remark() {
    let twice = "100 1.5 close(4) = 0\n100 1.6 close(4) = -1 EBADF (Bad file descriptor)\n";
    let (picture, _, _) = shown("twice.strace", &(CONNECTED.to_owned() + twice));
    assert!(picture.contains("close(4) = EBADF"), "{picture}");
    assert!(picture.contains("(closed already:"), "{picture}");
}

#[test]
fn who_waits_for_whom_stays_in_the_picture() {
    let rows = r#"200 1.31 execve("./c", ["./c"], 0x7ffd /* 0 vars */) = 0
200 1.32 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
200 1.33 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
200 1.50 recvfrom(3,  <unfinished ...>
100 1.51 recvfrom(4,  <unfinished ...>
200 10.5 <... recvfrom resumed>0x7ffd, 99, 0, NULL, NULL) = ? ERESTARTSYS (To be restarted if SA_RESTART is set) <9.0>
200 10.6 --- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---
200 10.7 +++ killed by SIGALRM +++
100 10.8 <... recvfrom resumed>"", 99, 0, NULL, NULL) = 0 <9.3>
"#;
    let (picture, _, _) = shown("deadlock.strace", &(CONNECTED.to_owned() + rows));
    assert!(
        picture.contains("the other side waits as well"),
        "{picture}"
    );
}

/// Rows as one line.
fn unbroken(rows: &[String]) -> String {
    let rows = rows.join(" ");
    rows.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The clients end by their own time limit: until then the pictures say what they wait for.
#[test]
fn who_waits_in_vain_is_told_so() {
    require("strace", "the ladder");
    let start = "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\ns.bind((\"127.0.0.1\", {port}))\ns.listen()\n";
    let client = in_python(
        "signal.alarm(5)\ns.connect((\"127.0.0.1\", {port}))\ns.send(b\"hello\")\ns.recv(9)",
    );
    let server = in_python(&(start.to_owned() + "c = s.accept()[0]\nc.recv(9)\nd = s.accept()[0]"));
    let outcome = run(
        Command::new(SOCKSTEP).args(["run", "--server", &server, "--client", &client]),
        b"",
    );
    let [client, _] = sides(outcome.stdout());
    let client = unbroken(&client);
    assert!(
        client.contains(
            "(waits in recvfrom(3) for the server, which waits in accept4(3) for a new client. See:"
        ),
        "{outcome:?}"
    );

    // A datagram socket is not told that the other side has ended.
    let asked = "u = socket.socket(type=socket.SOCK_DGRAM)\n";
    let server = in_python(&format!(
        "{asked}u.bind((\"127.0.0.1\", {{port}}))\nu.recv(9)"
    ));
    let client = in_python(&format!(
        "{asked}signal.alarm(5)\nu.sendto(b\"hello\", (\"127.0.0.1\", {{port}}))\nu.recv(9)"
    ));
    let outcome = run(
        Command::new(SOCKSTEP).args(["run", "--server", &server, "--client", &client]),
        b"",
    );
    let [client, _] = sides(outcome.stdout());
    let client = unbroken(&client);
    assert!(
        client.contains("for the server, which has ended. See:"),
        "{outcome:?}"
    );
}

/// The kernel chooses the port at `bind`, and strace shows it only to who asks later.
#[test]
fn a_connect_stands_below_the_bind_to_0_that_got_it_its_port() {
    let rows = r#"200 1.01 execve("./c", ["./c"], 0x7ffd /* 0 vars */) = 0
200 1.02 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
200 1.03 connect(3, {sa_family=AF_INET, sin_port=htons(4000), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
100 1.10 execve("./s", ["./s"], 0x7ffd /* 0 vars */) = 0
100 1.11 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
100 1.12 bind(3, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
100 1.13 listen(3, 5) = 0
100 1.14 getsockname(3, {sa_family=AF_INET, sin_port=htons(4000), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0
100 1.15 accept(3, NULL, NULL) = 4
"#;
    let (picture, _, _) = shown("chosen.strace", rows);
    let at = |text: &str| {
        picture
            .find(text)
            .unwrap_or_else(|| panic!("no {text}: {picture}"))
    };
    assert!(at("listen(3, 5)") < at("connect(3,"), "{picture}");
    assert!(at("connect(3,") < at("accept(3)"), "{picture}");
}

#[test]
fn a_pairs_rows_stand_in_their_place() {
    let rows = servers_rows(
        "pair.strace",
        r#"100 1.0 execve("./s", ["./s"], 0x7ffd /* 0 vars */) = 0
100 1.1 socketpair(AF_UNIX, SOCK_DGRAM, 0, [3, 4]) = 0
100 1.2 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 101
100 1.3 close(4) = 0
100 1.4 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 4
100 1.5 listen(4, 5) = 0
100 1.6 sendto(3, "x", 1, 0, NULL, 0) = 1
101 1.7 recvfrom(4, "x", 9, 0, NULL, NULL) = 1
"#,
    );
    let place = |text: &str| rows.iter().position(|row| row.contains(text));
    let order = ["socketpair(", "close(4)", "socket(AF_INET", "listen(4"].map(place);
    assert!(
        order.iter().all(Option::is_some) && order.is_sorted(),
        "{rows:?}"
    );
}

#[test]
fn words_are_shown_whichever_descriptor_of_the_terminal_they_go_to() {
    let rows = servers_rows(
        "reopened.strace",
        &(LISTENING.to_owned()
            + r#"100 1.3 openat(AT_FDCWD, "/dev/pts/7", O_RDWR|O_NOCTTY|O_CLOEXEC) = 20
100 1.4 dup3(20, 1, O_CLOEXEC) = 1
100 1.5 write(20, "by another number\n", 18) = 18
100 1.6 fcntl(2, F_DUPFD, 7) = 7
100 1.7 write(7, "a complaint\n", 12) = 12
"#),
    );
    assert!(rows.contains(&"| by another number".to_owned()), "{rows:?}");
    assert!(rows.contains(&"! a complaint".to_owned()), "{rows:?}");
}

#[test]
fn a_line_that_rows_of_others_have_cut_has_no_second_end() {
    let rows = r#"200 1.31 execve("./c", ["./c"], 0x7ffd /* 0 vars */) = 0
200 1.32 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
200 1.33 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
200 1.34 write(1, "half a line", 11) = 11
100 1.35 setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0
200 1.36 write(1, "\n", 1) = 1
200 1.37 close(3) = 0
"#;
    let (picture, _, _) = shown("half.strace", &(CONNECTED.to_owned() + rows));
    let words = picture.lines().filter(|row| row.starts_with('|'));
    assert_eq!(words.collect::<Vec<_>>(), ["| half a line"], "{picture}");
}
