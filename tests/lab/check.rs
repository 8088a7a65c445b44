//! `sockstep check`: a sound program passes, and each fault is found by the check that is for it.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::Signal;

use crate::page::browser::Browser;
use crate::support::{Outcome, Process, Program, require, run, scratch, wait_until_none_is_marked};

const SOCKSTEP: &str = env!("CARGO_BIN_EXE_sockstep");
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");

fn check(arguments: &[&str]) -> Outcome {
    run(
        Command::new(SOCKSTEP)
            .args(["check", "--no-pictures"])
            .args(arguments),
        b"",
    )
}

/// Whether the time was up before anything was found.
fn is_late(outcome: &Outcome) -> bool {
    outcome.status.code() == Some(2) && outcome.stderr.contains("the time is up")
}

/// The command of a peer with one thing changed in its source.
fn changed(peer: &str, name: &str, change: Option<(&str, &str)>) -> String {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check");
    fs::create_dir_all(&place).unwrap();
    let source = fs::read_to_string(format!("{PEERS}/{peer}")).unwrap();
    let text = match change {
        Some((from, to)) => {
            assert_eq!(source.matches(from).count(), 1, "{name}: {from:?}");
            source.replace(from, to)
        }
        None => source,
    };
    let ending = Path::new(peer).extension().unwrap();
    let file = place.join(name).with_extension(ending);
    fs::write(&file, text).unwrap();
    if ending == "py" {
        require("python3", "the programs that are checked");
        return format!("python3 {}", file.display());
    }
    require("cc", "the programs that are checked");
    let program = file.with_extension("");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-w", "-o"]).arg(&program).arg(&file);
    let outcome = run(&mut cc, b"");
    assert!(outcome.status.success(), "{name}: {outcome:?}");
    program.display().to_string()
}

/// Whether a fault touches what one check looks at, or what others need too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touches {
    Alone,
    AmongOthers,
}
use Touches::{Alone, AmongOthers};

/// A fault: its name, what is changed into what, the check that finds it, and whether no other does.
type Fault = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Touches,
);

const TCP_SERVER: &[Fault] = &[
    (
        "no_htons",
        ".sin_port = htons(atoi(argv[argc - 1]))",
        ".sin_port = atoi(argv[argc - 1])",
        "byte-order",
        Alone,
    ),
    (
        "no_ignore",
        "signal(SIGPIPE, SIG_IGN);",
        "",
        "reset-while-sending",
        Alone,
    ),
    (
        "no_reuse",
        "setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);",
        ";",
        "restart",
        Alone,
    ),
    (
        "one_send",
        "done < n;) {",
        "done < n; done = n) {",
        "short-calls",
        AmongOthers, // what an interrupted send has not taken is lost too
    ),
    (
        "nul",
        "send(client, b + done, n - done, 0)",
        "(b[n] = 0, send(client, b + done, n - done + 1, 0))",
        "trailing",
        AmongOthers,
    ),
    (
        "whole_buffer",
        "send(client, b + done, n - done, 0)",
        "send(client, b, 64, 0)",
        "trailing",
        AmongOthers,
    ),
    (
        "one_recv",
        "            done += taken;\n        }",
        "            done += taken;\n        }\n        return;",
        "two-messages",
        AmongOthers,
    ),
    (
        "one_recv_halves",
        "            done += taken;\n        }",
        "            done += taken;\n        }\n        return;",
        "halves",
        AmongOthers,
    ),
    (
        "one_recv_bytes",
        "            done += taken;\n        }",
        "            done += taken;\n        }\n        return;",
        "byte-by-byte",
        AmongOthers,
    ),
    (
        "strlen",
        "if (n == 0)\n            return;",
        "if (n == 0)\n            return;\n        if (n > 0 && n < 4096) { b[n] = 0; n = strlen(b); }",
        "every-byte",
        Alone,
    ),
    (
        "newline",
        "if (n == 0)\n            return;",
        "if (n == 0)\n            return;\n        if (n > 0 && memchr(b, 10, n)) n = (char *)memchr(b, 10, n) - b + 1;",
        "one-segment",
        AmongOthers,
    ),
    (
        "after_the_end",
        "if (n == 0)\n            return;",
        "",
        "idle-after-end",
        AmongOthers,
    ),
    (
        "ends_with_client",
        "if (n == 0)\n            return;",
        "if (n == 0)\n            exit(0);",
        "leaves-at-once",
        AmongOthers,
    ),
    (
        "ends_amid",
        "if (n == 0)\n            return;",
        "if (n == 0)\n            exit(0);",
        "leaves-amid",
        AmongOthers,
    ),
    (
        "dies_of_reset",
        "            return;\n        }\n        for",
        "            exit(1);\n        }\n        for",
        "reset-at-once",
        AmongOthers,
    ),
    (
        "dies_of_reset_amid",
        "            return;\n        }\n        for",
        "            exit(1);\n        }\n        for",
        "reset-amid",
        AmongOthers,
    ),
    (
        "no_close",
        "        close(client);",
        "",
        "in-a-row",
        AmongOthers,
    ),
    (
        "zombies",
        "        serve(client);",
        "        if (!fork()) { serve(client); _exit(0); }",
        "in-a-row",
        Alone,
    ),
    (
        "eintr",
        "            if (errno == EINTR)\n                continue;\n            return;",
        "            return;",
        "interrupted",
        Alone,
    ),
    (
        "eintr_send",
        "taken < 0 && errno == EINTR",
        "0",
        "interrupted",
        Alone,
    ),
    (
        "spins",
        "int client = accept(server, NULL, NULL);",
        "int client; fcntl(server, F_SETFL, O_NONBLOCK); while ((client = accept(server, NULL, NULL)) < 0);",
        "idle",
        AmongOthers,
    ),
    (
        "deaf",
        "signal(SIGPIPE, SIG_IGN);",
        "signal(SIGPIPE, SIG_IGN); signal(SIGTERM, SIG_IGN);",
        "ends",
        Alone,
    ),
    (
        "bind_unchecked",
        "        perror(\"bind\");\n        return 1;",
        "        ;",
        "port-taken",
        Alone,
    ),
    (
        "bind_silent",
        "        perror(\"bind\");\n        return 1;",
        "        return 1;",
        "port-taken",
        Alone,
    ),
    (
        "bind_status",
        "        perror(\"bind\");\n        return 1;",
        "        perror(\"bind\");\n        return 0;",
        "port-taken",
        Alone,
    ),
    (
        "keeps_all",
        "        for (ssize_t done = 0;",
        "        memcpy(malloc(n), b, n);\n        for (ssize_t done = 0;",
        "both-ways",
        Alone,
    ),
    (
        "half_close",
        "if (n == 0)\n            return;",
        "if (n == 0) {\n            sleep(60);\n            return;\n        }",
        "half-close",
        AmongOthers,
    ),
    (
        "does_not_listen",
        "listen(server, 5) < 0",
        "0",
        "starts",
        Alone,
    ),
    (
        "other_word",
        "send(client, b + done, n - done, 0)",
        "(b[0] = 'X', send(client, b + done, n - done, 0))",
        "word",
        Alone,
    ),
    (
        "mute",
        "send(client, b + done, n - done, 0)",
        "n",
        "word",
        Alone,
    ),
];

const PYTHON_SERVER: &[Fault] = &[
    (
        "python_send",
        "client.sendall(data)",
        "client.send(data)",
        "short-calls",
        Alone,
    ),
    (
        "python_text",
        "client.sendall(data)",
        "client.sendall(data.decode().encode())",
        "every-byte",
        Alone,
    ),
    (
        "python_strip",
        "client.sendall(data)",
        "client.sendall(data.rstrip())",
        "one-segment",
        AmongOthers,
    ),
    (
        "python_print",
        "client.sendall(data)",
        "client.sendall(data + b'\\0')",
        "trailing",
        AmongOthers,
    ),
    (
        "python_once",
        "            client.sendall(data)",
        "            client.sendall(data)\n            break",
        "two-messages",
        AmongOthers,
    ),
    (
        "python_end",
        "            if not data:\n                break",
        "            pass",
        "idle-after-end",
        AmongOthers,
    ),
    (
        "python_kept",
        "    client.close()",
        "    serve.kept = getattr(serve, 'kept', []) + [client]",
        "in-a-row",
        AmongOthers,
    ),
    (
        "python_restart",
        "server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)",
        "pass",
        "restart",
        Alone,
    ),
    (
        "python_deaf",
        "server.listen(50)",
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); server.listen(50)",
        "ends",
        Alone,
    ),
    (
        "python_spins",
        "server.listen(50)",
        "server.listen(50)\ndef spin():\n    while True: pass\nthreading.Thread(target=spin, daemon=True).start()",
        "idle",
        AmongOthers,
    ),
    (
        "python_port",
        "int(sys.argv[1])",
        "socket.htons(int(sys.argv[1]))",
        "byte-order",
        Alone,
    ),
];

const UDP_SERVER: &[Fault] = &[
    (
        "udp_nul",
        "sendto(server, b, n,",
        "sendto(server, b, n + 1,",
        "trailing",
        AmongOthers,
    ),
    (
        "udp_empty",
        "if (n < 0)\n            continue;",
        "if (n <= 0)\n            continue;",
        "empty",
        Alone,
    ),
    (
        "udp_dies",
        "if (n < 0)\n            continue;",
        "if (n <= 0)\n            exit(1);",
        "empty",
        Alone,
    ),
    (
        "udp_cut",
        "static char b[65536];",
        "static char b[1000];",
        "largest",
        Alone,
    ),
    (
        "udp_first",
        "struct sockaddr_in client;\n        socklen_t len = sizeof client;\n        ssize_t n = recvfrom(server, b, sizeof b, 0, (struct sockaddr *)&client, &len);",
        "static struct sockaddr_in client;\n        static socklen_t len = sizeof client;\n        ssize_t n = client.sin_port ? recv(server, b, sizeof b, 0) : recvfrom(server, b, sizeof b, 0, (struct sockaddr *)&client, &len);",
        "two-clients",
        AmongOthers,
    ),
    (
        "udp_no_htons",
        ".sin_port = htons(atoi(argv[argc - 1]))",
        ".sin_port = atoi(argv[argc - 1])",
        "byte-order",
        Alone,
    ),
    (
        "udp_strlen",
        "sendto(server, b, n,",
        "sendto(server, b, strnlen(b, n),",
        "every-byte",
        Alone,
    ),
    (
        "udp_leak",
        "if (n < 0)\n            continue;",
        "if (n < 0)\n            continue;\n        dup(server);",
        "in-a-row",
        Alone,
    ),
];

const TCP_CLIENT: &[Fault] = &[
    (
        "client_nul",
        "send(sock, word, len, 0)",
        "send(sock, word, len + 1, 0)",
        "trailing",
        Alone,
    ),
    (
        "client_sizeof",
        "send(sock, word, len, 0)",
        "send(sock, word, sizeof word, 0)",
        "trailing",
        Alone,
    ),
    (
        "client_one_recv",
        "            have += n;",
        "            have = len;",
        "byte-by-byte",
        AmongOthers,
    ),
    (
        "client_one_recv_halves",
        "            have += n;",
        "            have = len;",
        "halves",
        AmongOthers,
    ),
    (
        "client_end",
        "            if (n == 0) {",
        "            if (0) {",
        "closed-at-once",
        AmongOthers,
    ),
    (
        "client_status",
        "\"the server closed too soon\\n\");\n                return 1;",
        "\"the server closed too soon\\n\");\n                return 0;",
        "closed-amid",
        AmongOthers,
    ),
    (
        "client_silent",
        "                perror(\"recv\");\n                return 1;",
        "                return 1;",
        "reset",
        Alone,
    ),
    (
        "client_connect",
        "        perror(\"connect\");\n        return 1;",
        "        return 0;",
        "nobody",
        Alone,
    ),
    (
        "client_impatient",
        "    if (udp)\n        setsockopt",
        "    limit.tv_usec = 300000, limit.tv_sec = 0;\n        setsockopt",
        "slow",
        Alone,
    ),
];

const UDP_CLIENT: &[Fault] = &[
    (
        "udp_client_nul",
        "send(sock, word, len, 0)",
        "send(sock, word, len + 1, 0)",
        "trailing",
        Alone,
    ),
    (
        "udp_client_other",
        "send(sock, word, len, 0)",
        "send(sock, word, 1, 0)",
        "word",
        AmongOthers,
    ),
    (
        "udp_client_takes_any",
        "    if (connect(sock, (struct sockaddr *)&there, sizeof there) < 0) {",
        "#define send(s, b, n, f) sendto(s, b, n, f, (struct sockaddr *)&there, sizeof there)\n    if (0) {",
        "stranger",
        Alone,
    ),
    (
        "udp_client_takes_both",
        "            have += n;",
        "            have += n;\n            if (udp && (n = recv(sock, b + have, sizeof b - have, 0)) > 0)\n                have += n;",
        "twice",
        Alone,
    ),
    (
        "udp_client_silent",
        "        fprintf(stderr, \"no answer\\n\");\n        return 1;",
        "        return 1;",
        "nobody",
        Alone,
    ),
    (
        "udp_client_status",
        "        fprintf(stderr, \"no answer\\n\");\n        return 1;",
        "        fprintf(stderr, \"no answer\\n\");\n        return 0;",
        "nobody",
        Alone,
    ),
];

/// Each group of faults: the peer that is changed, what is checked, and how it is called.
const GROUPS: [(&str, &[Fault], &str, &str, &str); 5] = [
    (
        "sound_server.c",
        TCP_SERVER,
        "tcp-echo",
        "--server",
        "{port}",
    ),
    (
        "sound_server.py",
        PYTHON_SERVER,
        "tcp-echo",
        "--server",
        "{port}",
    ),
    (
        "sound_server.c",
        UDP_SERVER,
        "udp-echo",
        "--server",
        "udp {port}",
    ),
    (
        "sound_client.c",
        TCP_CLIENT,
        "tcp-echo",
        "--client",
        "{word} {port}",
    ),
    (
        "sound_client.c",
        UDP_CLIENT,
        "udp-echo",
        "--client",
        "udp {word} {port}",
    ),
];

/// Checks each faulty program of these groups, two at a time. `all` makes all checks, and sees that no other one fails if the
/// fault touches one thing alone.
fn found(group: usize, all: bool) {
    let (peer, faults, contract, side, arguments) = GROUPS[group];
    let next = Mutex::new(faults.iter());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(&(name, from, to, by, touches)) = next.lock().unwrap().next() else {
                        return;
                    };
                    let program = changed(peer, name, Some((from, to)));
                    let command = format!("{program} {arguments}");
                    let mut words = vec!["--contract", contract, side, &command];
                    if !all {
                        words.extend(["--only", by]);
                    }
                    // On a busy machine the time may be up before a verdict.
                    let outcome = (0..4)
                        .map(|_| check(&words))
                        .find(|outcome| !is_late(outcome));
                    let outcome = outcome.unwrap_or_else(|| panic!("{name}: no verdict"));
                    assert_eq!(outcome.status.code(), Some(1), "{name}: {outcome:?}");
                    let failed: Vec<String> = outcome
                        .stdout()
                        .lines()
                        .filter_map(|line| line.strip_prefix("FAIL "))
                        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
                        .collect();
                    assert!(failed.iter().any(|name| name == by), "{name}: {outcome:?}");
                    if touches == Alone {
                        assert_eq!(failed, [by], "{name}: {outcome:?}");
                    }
                }
            });
        }
    });
}

#[test]
fn each_fault_of_a_tcp_server_is_found_by_its_check() {
    found(0, false);
}

#[test]
fn each_fault_of_a_python_server_is_found_by_its_check() {
    found(1, false);
}

#[test]
fn each_fault_of_a_udp_server_is_found_by_its_check() {
    found(2, false);
}

#[test]
fn each_fault_of_a_tcp_client_is_found_by_its_check() {
    found(3, false);
}

#[test]
fn each_fault_of_a_udp_client_is_found_by_its_check() {
    found(4, false);
}

#[test]
fn there_are_faults_enough() {
    let faults: usize = GROUPS.iter().map(|group| group.1.len()).sum();
    assert!(faults >= 40 && PYTHON_SERVER.len() >= 6, "{faults}");
}

/// Takes some minutes.
#[test]
#[ignore = "takes some minutes: CONTRIBUTING.md"]
fn a_fault_that_touches_one_thing_is_found_by_one_check_alone() {
    for group in 0..GROUPS.len() {
        found(group, true);
    }
}

/// A server of others: what it needs, how its source becomes a program, and how it is started. `{dir}` is where the sources are,
/// `{out}` where programs go.
/// ncat is not among them: with `-e cat` it deadlocks with its child from 57,344 bytes on. Nor is socat's UDP-RECVFROM: it answers
/// no datagram of 0 bytes, and cuts others at 8,192.
const FOREIGN: [(&str, &str, &str); 13] = [
    ("python3", "true", "python3 {dir}/socketserver_.py {port}"),
    ("python3", "true", "python3 {dir}/asyncio_.py {port}"),
    ("python3", "true", "python3 {dir}/selectors_.py {port}"),
    ("python3", "true", "python3 {dir}/../sound_server.py {port}"),
    (
        "go",
        "go build -o {out}/go_echo {dir}/echo.go",
        "{out}/go_echo {port}",
    ),
    ("node", "true", "node {dir}/echo.js {port}"),
    (
        "javac",
        "javac -d {out} {dir}/Echo.java",
        "java -cp {out} Echo {port}",
    ),
    (
        "rustc",
        "rustc -O -o {out}/std_echo {dir}/std.rs",
        "{out}/std_echo {port}",
    ),
    (
        "cargo",
        "cargo build --release --locked --manifest-path {dir}/tokio/Cargo.toml --target-dir {out}/tokio",
        "{out}/tokio/release/tokio_echo {port}",
    ),
    ("ruby", "true", "ruby {dir}/echo.rb {port}"),
    ("perl", "true", "perl {dir}/echo.pl {port}"),
    (
        "socat",
        "true",
        "socat TCP-LISTEN:{port},fork,reuseaddr EXEC:cat",
    ),
    ("busybox", "true", "busybox nc -ll -p {port} -e cat"),
];

/// The report of a check that has failed, if it has.
fn alarm(command: &str) -> Option<String> {
    let outcome = check(&["--server", command]);
    let clean = outcome.status.success() || is_late(&outcome);
    (!clean).then(|| format!("{command}: {outcome:?}"))
}

/// Twenty times each, while four processes do nothing but work.
#[test]
#[ignore = "takes an hour, and needs go, node, java, ruby, perl, socat and busybox: CONTRIBUTING.md"]
fn no_sound_server_is_blamed_on_a_busy_machine() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check");
    fs::create_dir_all(&out).unwrap();
    let placed = |text: &str| {
        text.replace("{dir}", &format!("{PEERS}/echo_servers"))
            .replace("{out}", out.to_str().unwrap())
    };
    let mut commands = Vec::new();
    for (tool, build, start) in FOREIGN {
        require(tool, "a server that others wrote");
        let built = run(Command::new("sh").args(["-c", &placed(build)]), b"");
        assert!(built.status.success(), "{built:?}");
        commands.push(placed(start));
    }
    for name in SERVERS {
        for program in [Program::rust(name), Program::c(name)] {
            commands.push(format!("{} {{port}}", program.path().display()));
        }
    }
    let working = AtomicBool::new(true);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while working.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let alarms: Vec<String> = (0..20)
            .flat_map(|_| commands.iter().filter_map(|command| alarm(command)))
            .collect();
        working.store(false, Ordering::Relaxed);
        assert!(alarms.is_empty(), "{alarms:?}");
    });
}

/// The servers of the lectures.
const SERVERS: [&str; 12] = [
    "tcp_echo_server",
    "tcp_echo_server_epoll",
    "tcp_echo_server_fork",
    "tcp_echo_server_poll",
    "tcp_echo_server_pool",
    "tcp_echo_server_prefork",
    "tcp_echo_server_select",
    "tcp_echo_server_thread",
    "tcp_upper_server",
    "udp_echo_server",
    "udp_upper_server",
    "web_server",
];

/// What `--faults` says of a program.
fn faults(arguments: &[&str]) -> Outcome {
    require("strace", "what makes calls fail");
    run(
        Command::new(SOCKSTEP)
            .args(["check", "--faults", "--jobs", "4"])
            .args(arguments),
        b"",
    )
}

#[test]
fn each_call_fails_and_its_client_alone_is_lost() {
    let ours = Program::rust("tcp_echo_client")
        .path()
        .display()
        .to_string();
    let command = format!("{ours} 127.0.0.1 {{word}} {{port}}");
    let outcome = faults(&["--client", &command]);
    assert!(outcome.status.success(), "{outcome:?}");
    for words in [
        "connect      #1  ECONNREFUSED  once  ended with a line",
        "recvfrom     #1  ECONNRESET    once  ended with a line",
    ] {
        assert!(outcome.stdout().contains(words), "{outcome:?}");
    }
    let server = Program::rust("udp_echo_server")
        .path()
        .display()
        .to_string();
    let command = format!("{server} {{port}}");
    let outcome = faults(&[
        "--contract",
        "udp-echo",
        "--only",
        "recvfrom",
        "--server",
        &command,
    ]);
    assert!(outcome.status.success(), "{outcome:?}");
}

#[test]
fn a_server_that_ends_with_one_client_is_told() {
    let server = changed(
        "sound_server.c",
        "udp_ends",
        Some((
            "if (n < 0)\n            continue;",
            "if (n < 0) {\n            perror(\"recvfrom\");\n            exit(1);\n        }",
        )),
    );
    let command = format!("{server} udp {{port}}");
    let outcome = faults(&[
        "--contract",
        "udp-echo",
        "--only",
        "recvfrom",
        "--server",
        &command,
    ]);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(
        outcome
            .stdout()
            .contains("recvfrom     #1  EINTR         once  ENDS"),
        "{outcome:?}"
    );
}

/// Half an hour.
#[test]
#[ignore = "takes half an hour: CONTRIBUTING.md"]
fn each_call_of_each_program_fails() {
    let clients = [
        (
            "tcp_echo_client",
            "tcp-echo",
            "{it} 127.0.0.1 {word} {port}",
        ),
        (
            "udp_echo_client",
            "udp-echo",
            "{it} 127.0.0.1 {word} {port}",
        ),
        (
            "tcp_upper_client",
            "tcp-upper",
            "echo {word} | {it} -i 127.0.0.1 -p {port}",
        ),
        (
            "udp_upper_client",
            "udp-upper",
            "echo {word} | {it} -i 127.0.0.1 -p {port}",
        ),
        ("web_client", "http", "{it} http://127.0.0.1:{port}/"),
        ("name_lookup", "tcp-echo", "{it} 127.0.0.1 {port}"),
        ("byte_order", "tcp-echo", "{it} 127.0.0.1 {port}"),
    ];
    for of in [Program::rust, Program::c] {
        let path = |name| of(name).path().display().to_string();
        for name in SERVERS {
            let outcome = faults(&["--server", &format!("{} {{port}}", path(name))]);
            assert!(outcome.status.success(), "{name}: {outcome:?}");
        }
        for (name, contract, command) in clients {
            let command = command.replace("{it}", &path(name));
            let outcome = faults(&["--contract", contract, "--client", &command]);
            assert!(outcome.status.success(), "{name}: {outcome:?}");
        }
    }
}

#[test]
fn a_sound_program_passes() {
    let server = changed("sound_server.c", "sound_server", None);
    let client = changed("sound_client.c", "sound_client", None);
    for arguments in [
        ["--server", &format!("{server} {{port}}")],
        ["--server", &format!("{server} udp {{port}}")],
        ["--client", &format!("{client} {{word}} {{port}}")],
        [
            "--client",
            &format!("python3 {PEERS}/half_closing_client.py {{word}} {{port}}"),
        ],
        [
            "--server",
            &Program::rust("tcp_echo_server_epoll").at_the_port(),
        ],
        ["--server", &Program::rust("udp_upper_server").at_the_port()],
        ["--server", &Program::rust("web_server").at_the_port()],
    ] {
        let outcome = check(&arguments);
        let clean = outcome.status.success() || is_late(&outcome);
        assert!(clean, "{arguments:?}: {outcome:?}");
    }
}

#[test]
fn graders_have_their_files() {
    let server = changed(
        "sound_server.c",
        "graded_server",
        Some((
            "send(client, b + done, n - done, 0)",
            "(b[n] = 0, send(client, b + done, n - done + 1, 0))",
        )),
    );
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check");
    let [junit, gradescope, points] =
        ["junit.xml", "results.json", "points"].map(|name| place.join(name));
    fs::write(&points, "word 3 # the first\ntrailing 2.5\n").unwrap();
    let outcome = check(&[
        "--server",
        &format!("{server} {{port}}"),
        "--contract",
        "tcp-echo",
        "--only",
        "word",
        "--only",
        "trailing",
        "--tap",
        "--junit",
        junit.to_str().unwrap(),
        "--gradescope",
        gradescope.to_str().unwrap(),
        "--points",
        points.to_str().unwrap(),
    ]);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome
            .stdout()
            .starts_with("TAP version 13\n1..2\nok 1 - word\nnot ok 2 - trailing\n"),
        "{outcome:?}"
    );
    let junit = fs::read_to_string(junit).unwrap();
    assert!(
        junit.contains("tests=\"2\" failures=\"1\" errors=\"0\""),
        "{junit}"
    );
    let results = fs::read_to_string(gradescope).unwrap();
    assert!(
        results.contains("\"name\":\"word\",\"score\":3,\"max_score\":3"),
        "{results}"
    );
    assert!(
        results.contains("\"name\":\"trailing\",\"score\":0,\"max_score\":2.5"),
        "{results}"
    );
}

#[test]
fn the_page_of_failures_has_their_pictures_and_runs_nothing_else() {
    require("strace", "the pictures");
    let server = changed(
        "sound_server.c",
        "page_server",
        Some((
            "send(client, b + done, n - done, 0)",
            "(b[n] = 0, send(client, b + done, n - done + 1, 0))",
        )),
    );
    let page = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check/failures.html");
    let command = format!("{server} {{port}} # </td><script>alert(1)</script>");
    let outcome = run(
        Command::new(SOCKSTEP)
            .args(["check", "--contract", "tcp-echo", "--only", "trailing"])
            .args(["--html", page.to_str().unwrap(), "--server", &command]),
        b"",
    );
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    let file = page;
    let page = fs::read_to_string(&file).unwrap();
    for words in [
        "default-src &#39;none&#39;; script-src &#39;nonce-",
        "NUL bytes follow the answer",
        "seen     6 bytes: &quot;hello\\x00&quot;",
        "sockstep explain &#39;NUL&#39;",
        "&lt;/td&gt;&lt;script&gt;",
        "0 of 1",
        "<svg ",
    ] {
        let found = page.contains(words) || page.contains(&words.replace("&#39;", "'"));
        assert!(found, "{words}: {page}");
    }
    for words in ["<script", "http-equiv=\"refresh", " src=", " onload"] {
        assert!(!page.contains(words), "{words}: {page}");
    }
    // The run of a failure can be stepped through, within the page.
    let browser = Browser::start();
    browser.open(&file, "");
    browser.click("summary");
    browser.enter_frame();
    browser.wait_for(
        "return document.getElementById('count').textContent.slice(0, 4)",
        "1 of",
    );
    browser.click("#next");
    // A frame has the keys only when the browser has heard of the focus.
    browser.wait_for(
        "document.getElementById('next').focus(); return document.hasFocus()",
        "true",
    );
    browser.press('\u{e014}'); // right
    browser.wait_for(
        "return document.getElementById('count').textContent.slice(0, 4)",
        "3 of",
    );
    let complaints = browser.log("browser");
    assert!(complaints.contains("\"value\":[]"), "{complaints}");
}

/// Thousands of calls are a picture of their beginning, and a page of it and their last ones.
#[test]
fn the_page_of_a_failure_stays_small_whatever_the_server_does() {
    require("strace", "the pictures");
    let server = changed(
        "sound_server.c",
        "page_of_pieces",
        Some((
            "send(client, b + done, n - done, 0)",
            "send(client, b + (done == 40 ? 0 : done), n - done < 40 ? n - done : 40, 0)",
        )),
    );
    let page = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check/pieces.html");
    let command = format!("{server} {{port}}");
    let outcome = run(
        Command::new(SOCKSTEP)
            .args(["check", "--contract", "tcp-echo", "--only", "half-close"])
            .args(["--html", page.to_str().unwrap(), "--server", &command]),
        b"",
    );
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    let page = fs::read_to_string(&page).unwrap();
    assert!(page.len() < 320 << 10, "{} bytes", page.len());
    assert!(page.contains(" more events</text>"), "the picture");
    assert!(page.contains("\"kind\":\"left\",\"count\":"), "the page");
}

#[test]
fn a_failure_names_the_line_that_made_the_call() {
    require("strace", "the lines");
    require("addr2line", "the lines (the package is binutils)");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check");
    for (peer, name, from, to, arguments, by, call) in [
        (
            "sound_server.c",
            "lined_server",
            "send(client, b + done, n - done, 0)",
            "(b[n] = 0, send(client, b + done, n - done + 1, 0))",
            ["--server", "{port}"],
            "trailing",
            "send()",
        ),
        (
            "sound_server.c",
            "lined_bind",
            "        perror(\"bind\");\n        return 1;",
            "        return 1;",
            ["--server", "{port}"],
            "port-taken",
            "bind()",
        ),
        (
            "sound_client.c",
            "lined_client",
            "            have += n;",
            "            have = len;",
            ["--client", "{word} {port}"],
            "halves",
            "recv()",
        ),
    ] {
        changed(peer, name, Some((from, to)));
        let (program, source) = (place.join(name), place.join(format!("{name}.c")));
        let mut cc = Command::new("cc");
        cc.args(["-g", "-w", "-o"]).arg(&program).arg(&source);
        assert!(run(&mut cc, b"").status.success());
        let text = fs::read_to_string(&source).unwrap();
        let function = &call[..call.len() - 1];
        let line = text.lines().position(|line| {
            line.contains(&format!(" {function}")) || line.contains(&format!("({function}"))
        });
        let expected = format!("line   {name}.c:{}, {call}\n", line.unwrap() + 1);
        let [side, words] = arguments;
        let command = format!("{} {words}", program.display());
        let outcome = run(
            Command::new(SOCKSTEP)
                .args(["check", "--contract", "tcp-echo", "--only", by, side])
                .arg(&command),
            b"",
        );
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        assert!(
            outcome.stdout().contains(&expected),
            "{expected}: {outcome:?}"
        );
    }
}

#[test]
fn a_program_out_of_hand_is_ended_and_blamed() {
    let started = |outcome: &Outcome| outcome.stdout().contains("FAIL      starts");
    // It starts processes without end.
    let bomb = changed(
        "sound_server.c",
        "bomb_server",
        Some((
            "    int udp = argc > 2;",
            "    for (;;)\n        if (fork() == 0)\n            for (;;)\n                pause();\n    int udp = 0;",
        )),
    );
    let outcome = check(&[
        "--server",
        &format!("{bomb} {{port}}"),
        "--contract",
        "tcp-echo",
    ]);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(
        started(&outcome) && outcome.stdout().contains("more than 400"),
        "{outcome:?}"
    );
    // It sends without end.
    let endless = changed(
        "sound_client.c",
        "endless_client",
        Some((
            "        if (send(sock, word, len, 0) < 0) {",
            "        while (send(sock, b, sizeof b, 0) > 0);\n        if (1) {",
        )),
    );
    let outcome = check(&["--client", &format!("{endless} {{word}} {{port}}")]);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(
        outcome.stdout().contains("it sends without end"),
        "{outcome:?}"
    );
}

#[test]
fn a_signal_ends_it_and_leaves_nothing_behind() {
    let server = ["--server", "tcp_echo_server --bind 127.0.0.1 {port}"];
    let client = ["--client", "tcp_echo_client 127.0.0.1 {word} {port}"];
    for (at, (side, more)) in [
        (server, &[][..]),
        (server, &["--faults", "--contract", "tcp-echo"]),
        (client, &["--contract", "tcp-echo"]),
    ]
    .into_iter()
    .enumerate()
    {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let directory = scratch("check/interrupted");
            let mark = format!("check-{}-{at}-{signal}", std::process::id());
            let mut command = Command::new(SOCKSTEP);
            command.arg("check").args(side).args(more);
            command.env("TMPDIR", &directory);
            let mut process = Process::start(command.env("SOCKSTEP_TEST", &mark));
            process.line(); // it has begun
            process.signal(signal);
            let outcome = process.end();
            assert_eq!(outcome.status.signal(), Some(signal as i32), "{outcome:?}");
            wait_until_none_is_marked(&format!("SOCKSTEP_TEST={mark}"));
            let left: Vec<_> = fs::read_dir(&directory).expect("it is there").collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

#[test]
fn bad_arguments_are_told_and_nothing_is_started() {
    for (arguments, words) in [
        (
            &["--server", "true {port}", "--only", "nope"][..],
            "no check nope. See them with: sockstep check --list",
        ),
        (
            &[
                "--server",
                "true {port}",
                "--contract",
                "tcp-echo",
                "--skip",
                "halvs",
            ],
            "no check halvs. Did you mean halves? See",
        ),
        (
            &[
                "--server",
                "true {port}",
                "--contract",
                "tcp-echo",
                "--only",
                "word",
                "--skip",
                "word",
            ],
            "--only and --skip leave no check to make",
        ),
        (&["--client", "true"], "the client's command needs a {port}"),
        (
            &["--client", "true {port}", "--contract", "http"],
            "there are no checks of a Web client",
        ),
        (
            &["--server", "true {port}", "--points", "/nope"],
            "/nope: No such file or directory",
        ),
    ] {
        let outcome = check(arguments);
        assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    }
    let listed = check(&["--list"]);
    assert!(
        listed.status.success() && listed.stdout().lines().count() > 60,
        "{listed:?}"
    );
}
