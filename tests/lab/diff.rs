//! `sockstep diff`: the programs and their twins make the same calls, and a twin with one change in it is caught.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use crate::support::{
    Outcome, Process, deadline, require, run, scratch, wait_until_none_is_marked,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PAIRS: [&str; 5] = ["tcp_echo", "udp_echo", "tcp_upper", "udp_upper", "web"];

fn diff(args: &[&str]) -> Outcome {
    require("strace", "the tests of sockstep diff");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockstep"));
    patiently(command.arg("diff").args(args), b"")
}

/// Runs a command to its end. It starts dozens of programs under strace, each with a deadline of its own: what it may take in
/// all grows with all that the machine does beside it.
pub fn patiently(command: &mut Command, stdin: &[u8]) -> Outcome {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let (pid, mut pipe) = (child.id(), child.stdin.take().expect("it is a pipe"));
    let words = stdin.to_vec();
    thread::spawn(move || pipe.write_all(&words)); // it may end before it has read all
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(deadline() * 10) else {
        let pid = Pid::from_raw(pid.try_into().expect("it is one"));
        kill(pid, Signal::SIGTERM).expect("it is still there");
        panic!("it has not ended in time");
    };
    let output = output.expect("it is our child");
    Outcome {
        status: output.status,
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
    }
}

#[test]
fn every_pair_agrees_in_every_scenario() {
    let listed = diff(&["--all", "--list"]);
    let scenarios: Vec<(&str, &str)> = listed
        .stdout()
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        })
        .collect();
    assert!(scenarios.len() > 60, "{listed:?}");

    let outcome = diff(&["--all"]);
    let report = outcome.stdout();
    assert_eq!(
        outcome.status.code(),
        Some(0),
        "{report}\n{}",
        outcome.stderr
    );
    for pair in PAIRS {
        let of_pair = report
            .split("\n\n")
            .find(|part| part.lines().next() == Some(pair));
        let of_pair = of_pair.unwrap_or_else(|| panic!("{pair} is missing:\n{report}"));
        for (_, scenario) in scenarios.iter().filter(|(listed, _)| *listed == pair) {
            let (_, verdicts) = of_pair
                .split_once(&format!("\n  {scenario}: "))
                .unwrap_or_else(|| panic!("{pair} {scenario} is missing"));
            let task = verdicts.lines().nth(1).expect("a task");
            assert!(
                [" identical", " equal ", " expected "]
                    .iter()
                    .any(|word| task.contains(word)),
                "{pair} {scenario}: {task}"
            );
        }
    }
    assert!(report.contains("Set aside, not compared"), "{report}");
    assert!(report.ends_with(" 0 divergent\n"), "{report}");
    assert!(
        report.lines().all(|line| line.chars().count() <= 80),
        "{report}"
    );
}

#[test]
fn what_is_set_aside_can_be_seen() {
    let outcome = diff(&["tcp_echo", "--scenario", "happy", "--raw"]);
    assert!(
        outcome.stdout().contains("Rust memory: munmap(0x"),
        "{outcome:?}"
    );
    assert!(
        outcome.stdout().contains("C    memory: brk("),
        "{outcome:?}"
    );
}

#[test]
fn an_unknown_scenario_is_trouble() {
    let outcome = diff(&["tcp_echo", "--scenario", "nonsense"]);
    assert_eq!(outcome.status.code(), Some(2));
    assert_eq!(
        outcome.stderr,
        "sockstep: no scenario nonsense. See them with: sockstep diff --list\n"
    );
}

#[test]
fn without_strace_it_says_what_to_install() {
    let outcome = run(
        Command::new(env!("CARGO_BIN_EXE_sockstep"))
            .args(["diff", "tcp_echo"])
            .env("PATH", "/nonexistent"),
        b"",
    );
    let words = "sockstep: strace is not installed: apt-get install strace\n";
    assert_eq!(outcome, Outcome::new(2, "", words));
}

#[test]
fn a_signal_ends_it_and_leaves_nothing_behind() {
    require("strace", "the tests of sockstep diff");
    let directory = scratch("diff/interrupted");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockstep"));
    let mark = format!("diff-{}", std::process::id());
    command
        .args(["diff", "--all"])
        .env("TMPDIR", &directory)
        .env("SOCKSTEP_TEST", &mark);
    let mut process = Process::start(&mut command);
    assert_eq!(process.line(), "tcp_echo"); // the first verdict: the others are under way
    process.signal(Signal::SIGINT);
    let outcome = process.end();
    assert_eq!(
        outcome.status.signal(),
        Some(Signal::SIGINT as i32),
        "{outcome:?}"
    );
    let left: Vec<_> = fs::read_dir(&directory).expect("it is there").collect();
    assert!(left.is_empty(), "{left:?}");
    wait_until_none_is_marked(&format!("SOCKSTEP_TEST={mark}"));
}

// ---- Mutated twins ----

/// A change to one program, and where it shows.
struct Mutation {
    what: &'static str,
    program: &'static str,
    scenario: &'static str,
    /// The file that is changed, and what stands for what in it.
    file: &'static str,
    changes: &'static [(&'static str, &'static str)],
}

const fn mutation(
    what: &'static str,
    program: &'static str,
    scenario: &'static str,
    file: &'static str,
    changes: &'static [(&'static str, &'static str)],
) -> Mutation {
    Mutation {
        what,
        program,
        scenario,
        file,
        changes,
    }
}

const MUTATIONS: &[Mutation] = &[
    mutation(
        "a flag",
        "tcp_echo_client",
        "happy",
        "common/deadline.h",
        &[("len - *sent, flags)", "len - *sent, flags | MSG_NOSIGNAL)")],
    ),
    mutation(
        "a flag of the socket",
        "udp_echo_client",
        "happy",
        "udp_echo_client.c",
        &[("SOCK_DGRAM, IPPROTO", "SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO")],
    ),
    mutation(
        "the protocol",
        "tcp_echo_server",
        "happy",
        "tcp_echo_server.c",
        &[("SOCK_STREAM, IPPROTO_TCP", "SOCK_STREAM, 0")],
    ),
    mutation(
        "a server's htons",
        "tcp_echo_server",
        "address-in-use",
        "tcp_echo_server.c",
        &[("htons(echoServPort)", "echoServPort")],
    ),
    mutation(
        "a client's htons",
        "tcp_echo_client",
        "nobody-listens",
        "tcp_echo_client.c",
        &[("htons(echoServPort)", "echoServPort")],
    ),
    mutation(
        "htons twice",
        "udp_echo_server",
        "address-in-use",
        "udp_echo_server.c",
        &[("htons(echoServPort)", "htons(htons(echoServPort))")],
    ),
    mutation(
        "a missing close",
        "tcp_upper_client",
        "happy",
        "tcp_upper_client.c",
        &[(
            "        if (close(clientSocket) < 0)\n            DieWithError(\"close() failed\");\n    }\n    freeaddrinfo(servers);",
            "    }\n    freeaddrinfo(servers);",
        )],
    ),
    mutation(
        "a server's missing close",
        "tcp_echo_server",
        "happy",
        "tcp_echo_server.c",
        &[(
            "    if (close(servSock) < 0)\n        DieWithError(\"close() failed\");\n",
            "",
        )],
    ),
    mutation(
        "two calls the other way round",
        "tcp_echo_server",
        "happy",
        "tcp_echo_server.c",
        &[
            (
                "    if (listen(servSock, backlog) < 0) /* MAXPENDING, unless --backlog is given */\n        DieWithError(\"listen() failed\");\n",
                "",
            ),
            (
                "        DieWithError(\"getsockname() failed\");\n",
                "        DieWithError(\"getsockname() failed\");\n    if (listen(servSock, backlog) < 0)\n        DieWithError(\"listen() failed\");\n",
            ),
        ],
    ),
    mutation(
        "the backlog",
        "tcp_upper_server",
        "happy",
        "tcp_upper_server.c",
        &[("#define MAXPENDING 1 ", "#define MAXPENDING 2 ")],
    ),
    mutation(
        "no SO_REUSEADDR",
        "tcp_upper_server",
        "happy",
        "tcp_upper_server.c",
        &[(
            "if (setsockopt(serverSocket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)",
            "if (on < 0)",
        )],
    ),
    mutation(
        "a second getsockname",
        "udp_echo_server",
        "happy",
        "udp_echo_server.c",
        &[(
            "    printLine(\"listening",
            "    getsockname(servSock, (struct sockaddr *)&echoServAddr, &servLen);\n    printLine(\"listening",
        )],
    ),
    mutation(
        "a smaller buffer",
        "tcp_upper_client",
        "happy",
        "tcp_upper_client.c",
        &[(
            "reply + *replyLen, RCVBUFSIZE)",
            "reply + *replyLen, RCVBUFSIZE - 1)",
        )],
    ),
    mutation(
        "a smaller buffer for a long message",
        "tcp_echo_server",
        "long",
        "common/echo.h",
        &[("#define RCVBUFSIZE 4096", "#define RCVBUFSIZE 2048")],
    ),
    mutation(
        "the exit status",
        "tcp_echo_client",
        "happy",
        "tcp_echo_client.c",
        &[("    return 0;\n", "    return 3;\n")],
    ),
    mutation(
        "a missing newline",
        "udp_upper_client",
        "happy",
        "common/common.h",
        &[(
            "*end++ = '\\n';\n    print(line, end - line);\n    free(line);",
            "print(line, end - line);\n    free(line);",
        )],
    ),
    mutation(
        "MSG_TRUNC",
        "udp_echo_server",
        "happy",
        "udp_echo_server.c",
        &[(
            "echoBuffer, DATAGRAM, 0,",
            "echoBuffer, DATAGRAM, MSG_TRUNC,",
        )],
    ),
    mutation(
        "one more send",
        "tcp_upper_server",
        "happy",
        "tcp_upper_server.c",
        &[(
            "        if (sendAll(",
            "        send(connectionSocket, reply, 0, 0);\n        if (sendAll(",
        )],
    ),
    mutation(
        "shutdown before close",
        "tcp_echo_client",
        "happy",
        "tcp_echo_client.c",
        &[(
            "    if (close(clientSock) < 0)",
            "    shutdown(clientSock, SHUT_RDWR);\n    if (close(clientSock) < 0)",
        )],
    ),
    mutation(
        "one byte of the answer",
        "udp_upper_server",
        "happy",
        "common/text.h",
        &[(
            "*out++ = toupper(s[done]);",
            "*out++ = s[done] == 'o' ? 'o' : toupper(s[done]);",
        )],
    ),
    mutation(
        "the last byte of 65507",
        "udp_upper_server",
        "largest",
        "common/text.h",
        &[(
            "*out++ = toupper(s[done]);",
            "*out++ = done == 65506 ? '?' : toupper(s[done]);",
        )],
    ),
    mutation(
        "another time-out",
        "udp_echo_client",
        "timeout",
        "common/common.h",
        &[(
            "long long left = timeout * 1000000LL;",
            "long long left = timeout * 1000000LL + 1000;",
        )],
    ),
    mutation(
        "a try too many",
        "udp_echo_client",
        "timeout",
        "udp_echo_client.c",
        &[("triesLeft-- > 1", "triesLeft-- > 0")],
    ),
    mutation(
        "a stranger believed",
        "udp_upper_client",
        "stranger",
        "common/common.h",
        &[(" && areSame(&from, server)", "")],
    ),
    mutation(
        "the address's family",
        "udp_upper_client",
        "ipv6",
        "common/common.h",
        &[(
            "    hints.ai_socktype = socktype;",
            "    hints.ai_socktype = socktype;\n    hints.ai_family = AF_INET;",
        )],
    ),
    mutation(
        "a smaller buffer",
        "web_client",
        "happy",
        "web_client.c",
        &[("#define RCVBUFSIZE 65536", "#define RCVBUFSIZE 4096")],
    ),
    mutation(
        "a listening socket that the child keeps",
        "tcp_echo_server_fork",
        "happy",
        "tcp_echo_server_fork.c",
        &[(
            "if (close(servSock) < 0) /* only the parent",
            "if (0) /* only the parent",
        )],
    ),
    mutation(
        "workers that outlive their server",
        "tcp_echo_server_prefork",
        "sigterm",
        "tcp_echo_server_prefork.c",
        &[("    endWithParent(server);\n", "")],
    ),
    mutation(
        "a thread that ends its server's process",
        "tcp_echo_server_thread",
        "two-at-once",
        "tcp_echo_server_thread.c",
        &[("    count(-1);\n    return NULL;", "    exit(0);")],
    ),
    mutation(
        "a send that may wait",
        "tcp_echo_server_epoll",
        "happy",
        "common/echo.h",
        &[(
            "send(sock, message, size, MSG_DONTWAIT)",
            "send(sock, message, size, 0)",
        )],
    ),
    mutation(
        "another status",
        "web_server",
        "hidden",
        "web_server.c",
        &[(
            "isHidden(conn->name))\n        return 403;",
            "isHidden(conn->name))\n        return 404;",
        )],
    ),
    mutation(
        "a missing header",
        "web_server",
        "happy",
        "web/generate.h",
        &[("\"\\r\\nAccept-Ranges: bytes\\r\\n\"", "\"\\r\\n\"")],
    ),
    mutation(
        "a date of another time zone",
        "web_server",
        "hidden",
        "web/generate.h",
        &[("HTTP_DATE, time(NULL))", "HTTP_DATE, time(NULL) + 3600)")],
    ),
    mutation(
        "a log of another time zone",
        "web_server",
        "hidden",
        "web/log.h",
        &[("LOG_DATE, time(NULL))", "LOG_DATE, time(NULL) - 3600)")],
    ),
    mutation(
        "each page modified now",
        "web_server",
        "happy",
        "web/generate.h",
        &[("HTTP_DATE, found->modified)", "HTTP_DATE, time(NULL))")],
    ),
    mutation(
        "a file that is not closed",
        "web_server",
        "keep-alive",
        "web_server.c",
        &[(
            "        if (close(found->fd) < 0)\n            warn(conn, \"close() failed\");\n",
            "",
        )],
    ),
    mutation(
        "the wrong file closed",
        "web_server",
        "happy",
        "web_server.c",
        &[("close(found->fd)", "close(conn->sock)")],
    ),
    mutation(
        "no O_NONBLOCK",
        "web_server",
        "keep-alive",
        "web/files.h",
        &[("O_RDONLY | O_NONBLOCK |", "O_RDONLY |")],
    ),
    mutation(
        "no RESOLVE_BENEATH",
        "web_server",
        "directory",
        "web/files.h",
        &[("RESOLVE_BENEATH | RESOLVE_NO", "RESOLVE_NO")],
    ),
    mutation(
        "no MSG_MORE",
        "web_server",
        "happy",
        "web_server.c",
        &[("body.start < body.end ? MSG_MORE : 0", "0")],
    ),
    mutation(
        "a smaller chunk",
        "web_server",
        "large",
        "web/connection.h",
        &[("#define CHUNK (128 *", "#define CHUNK (64 *")],
    ),
    mutation(
        "send for sendfile",
        "web_server",
        "keep-alive",
        "web/connection.h",
        &[(
            "within(sendfile(conn->sock, fd, &offset, chunk - start), chunk - start);",
            "send(conn->sock, conn->line, pread(fd, conn->line, chunk - start, offset), 0);",
        )],
    ),
    mutation(
        "no shutdown",
        "web_server",
        "bad-request",
        "web/connection.h",
        &[("if (shutdown(conn->sock, SHUT_WR) < 0)", "if (0)")],
    ),
    mutation(
        "two options the other way round",
        "web_server",
        "client-leaves",
        "web/listening.h",
        &[
            (
                "SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)",
                "IPPROTO_TCP, TCP_NODELAY, &on, (sizeof(on))",
            ),
            (
                "IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)",
                "SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)",
            ),
        ],
    ),
    mutation(
        "a time-out that begins anew with each piece",
        "web_server",
        "in-pieces",
        "web_server.c",
        &[("deadline ? deadline - time : timeout", "timeout")],
    ),
    mutation(
        "anybody let in",
        "web_server",
        "password",
        "web_server.c",
        &[("site.credentials.name != NULL &&", "0 &&")],
    ),
    mutation(
        "other words about a failure",
        "tcp_upper_server",
        "bad-bind",
        "tcp_upper_server.c",
        &[("\"bind() failed\"", "\"bind failed\"")],
    ),
];

#[test]
fn a_twin_with_one_change_is_caught() {
    require("cc", "the mutated twins");
    let failures: Vec<String> = thread::scope(|scope| {
        let tests: Vec<_> = MUTATIONS
            .iter()
            .enumerate()
            .map(|(at, mutation)| scope.spawn(move || uncaught(at, mutation)))
            .collect();
        tests
            .into_iter()
            .filter_map(|test| test.join().expect("it does not panic"))
            .collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_twin_without_a_change_is_not() {
    for pair in PAIRS {
        let directory = scratch(Path::new("diff").join(pair));
        for side in ["server", "client"] {
            compile(
                &directory,
                &format!("{pair}_{side}"),
                "common/common.h",
                &[],
            )
            .expect("it compiles");
        }
        let outcome = diff(&[
            pair,
            "--scenario",
            "happy",
            "--c-programs",
            directory.to_str().expect("UTF-8"),
        ]);
        assert_eq!(
            outcome.status.code(),
            Some(0),
            "{}{}",
            outcome.stdout(),
            outcome.stderr
        );
    }
}

/// Why a mutation was not caught, if it was not.
fn uncaught(at: usize, mutation: &Mutation) -> Option<String> {
    let Mutation {
        what,
        program,
        scenario,
        file,
        changes,
    } = mutation;
    let directory = scratch(format!("diff/mutation-{at}"));
    // The concurrent servers are pairs of their own, with the client that they share.
    let (pair, side, other) = match program.rsplit_once('_').expect("a side ends the name") {
        (pair, "server") => (pair, "server", format!("{pair}_client")),
        (pair, "client") => (pair, "client", format!("{pair}_server")),
        _ => (*program, "", "tcp_echo_client".to_owned()),
    };
    symlink(
        Path::new(env!("SOCKSTEP_TWINS")).join(&other),
        directory.join(&other),
    )
    .expect("the directory is empty");
    if let Err(words) = compile(&directory, program, file, changes) {
        return Some(format!("{what} in {program}: {words}"));
    }
    let outcome = diff(&[
        pair,
        "--scenario",
        scenario,
        "--c-programs",
        directory.to_str().expect("UTF-8"),
    ]);
    let named = outcome
        .stdout()
        .lines()
        .filter(|line| line.contains(" divergent"))
        .any(|line| {
            let task = line.trim_start();
            // Of a Web server's threads the second is the first that serves.
            let serves = side == "server" && task.starts_with("thread ");
            side.is_empty() || task.starts_with(&format!("{side} ")) || serves
        });
    (outcome.status.code() != Some(1) || !named).then(|| {
        format!(
            "{what} in {program}: {}\n{}{}",
            outcome.status,
            outcome.stdout(),
            outcome.stderr
        )
    })
}

/// Compiles a twin with changes in one of its files. Each text that is to be replaced must be there exactly once.
fn compile(
    directory: &Path,
    program: &str,
    file: &str,
    changes: &[(&str, &str)],
) -> Result<(), String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    let mut names = vec![format!("{program}.c")];
    for folder in ["", "common/", "web/"] {
        fs::create_dir_all(directory.join(folder)).expect("the directory is ours");
        for entry in fs::read_dir(sources.join(folder)).expect("the sources are there") {
            let path = entry.expect("the sources are readable").path();
            if path.extension().is_some_and(|extension| extension == "h") {
                let header = path.file_name().expect("it is a file").to_string_lossy();
                names.push(format!("{folder}{header}"));
            }
        }
    }
    for name in names {
        let mut text = fs::read_to_string(sources.join(&name)).expect("the sources are there");
        for (from, to) in changes.iter().filter(|_| name == file) {
            let found = text.matches(from).count();
            if found != 1 {
                return Err(format!("{found} times in {file}, not once: {from}"));
            }
            text = text.replace(from, to);
        }
        let copy = directory.join(name);
        fs::create_dir_all(copy.parent().expect("it is in one")).expect("the directory is ours");
        fs::write(copy, text).expect("the directory is ours");
    }
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O2", "-o", program])
        .arg(format!("{program}.c"))
        .current_dir(directory);
    let outcome = run(&mut cc, b"");
    if outcome.status.success() {
        Ok(())
    } else {
        Err(outcome.stderr)
    }
}
