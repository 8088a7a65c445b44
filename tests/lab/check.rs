//! `sockstep check`: a sound program passes, and each fault is found by the check that is for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use crate::support::{Outcome, Program, require, run};

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

/// A peer's source with one thing changed, compiled.
fn compiled(peer: &str, name: &str, change: Option<(&str, &str)>) -> PathBuf {
    require("cc", "the programs that are checked");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check");
    fs::create_dir_all(&place).unwrap();
    let source = fs::read_to_string(format!("{PEERS}/{peer}.c")).unwrap();
    let text = match change {
        Some((from, to)) => {
            assert_eq!(source.matches(from).count(), 1, "{name}: {from:?}");
            source.replace(from, to)
        }
        None => source,
    };
    let file = place.join(format!("{name}.c"));
    fs::write(&file, text).unwrap();
    let program = file.with_extension("");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-w", "-o"]).arg(&program).arg(&file);
    let outcome = run(&mut cc, b"");
    assert!(outcome.status.success(), "{name}: {outcome:?}");
    program
}

/// A fault: its name, what is changed into what, and the check that finds it.
type Fault = (&'static str, &'static str, &'static str, &'static str);

const TCP_SERVER: &[Fault] = &[
    (
        "no_htons",
        ".sin_port = htons(atoi(argv[argc - 1]))",
        ".sin_port = atoi(argv[argc - 1])",
        "byte-order",
    ),
    (
        "no_ignore",
        "signal(SIGPIPE, SIG_IGN);",
        "",
        "reset-while-sending",
    ),
    (
        "no_reuse",
        "setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);",
        ";",
        "restart",
    ),
    (
        "one_send",
        "done < n;) {",
        "done < n; done = n) {",
        "short-calls",
    ),
    (
        "nul",
        "send(client, b + done, n - done, 0)",
        "(b[n] = 0, send(client, b + done, n - done + 1, 0))",
        "trailing",
    ),
    (
        "whole_buffer",
        "send(client, b + done, n - done, 0)",
        "send(client, b, 64, 0)",
        "trailing",
    ),
    (
        "one_recv",
        "            done += taken;\n        }",
        "            done += taken;\n        }\n        return;",
        "two-messages",
    ),
    (
        "one_recv_halves",
        "            done += taken;\n        }",
        "            done += taken;\n        }\n        return;",
        "halves",
    ),
    (
        "one_recv_bytes",
        "            done += taken;\n        }",
        "            done += taken;\n        }\n        return;",
        "byte-by-byte",
    ),
    (
        "strlen",
        "if (n == 0)\n            return;",
        "if (n == 0)\n            return;\n        if (n > 0 && n < 4096) { b[n] = 0; n = strlen(b); }",
        "every-byte",
    ),
    (
        "newline",
        "if (n == 0)\n            return;",
        "if (n == 0)\n            return;\n        if (n > 0 && memchr(b, 10, n)) n = (char *)memchr(b, 10, n) - b + 1;",
        "one-segment",
    ),
    (
        "after_the_end",
        "if (n == 0)\n            return;",
        "",
        "idle-after-end",
    ),
    (
        "ends_with_client",
        "if (n == 0)\n            return;",
        "if (n == 0)\n            exit(0);",
        "leaves-at-once",
    ),
    (
        "ends_amid",
        "if (n == 0)\n            return;",
        "if (n == 0)\n            exit(0);",
        "leaves-amid",
    ),
    (
        "dies_of_reset",
        "            return;\n        }\n        for",
        "            exit(1);\n        }\n        for",
        "reset-at-once",
    ),
    (
        "dies_of_reset_amid",
        "            return;\n        }\n        for",
        "            exit(1);\n        }\n        for",
        "reset-amid",
    ),
    ("no_close", "        close(client);", "", "in-a-row"),
    (
        "zombies",
        "        serve(client);",
        "        if (!fork()) { serve(client); _exit(0); }",
        "in-a-row",
    ),
    (
        "eintr",
        "            if (errno == EINTR)\n                continue;\n            return;",
        "            return;",
        "interrupted",
    ),
    (
        "eintr_send",
        "taken < 0 && errno == EINTR",
        "0",
        "interrupted",
    ),
    (
        "spins",
        "int client = accept(server, NULL, NULL);",
        "int client; fcntl(server, F_SETFL, O_NONBLOCK); while ((client = accept(server, NULL, NULL)) < 0);",
        "idle",
    ),
    (
        "deaf",
        "signal(SIGPIPE, SIG_IGN);",
        "signal(SIGPIPE, SIG_IGN); signal(SIGTERM, SIG_IGN);",
        "ends",
    ),
    (
        "bind_unchecked",
        "        perror(\"bind\");\n        return 1;",
        "        ;",
        "port-taken",
    ),
    (
        "bind_silent",
        "        perror(\"bind\");\n        return 1;",
        "        return 1;",
        "port-taken",
    ),
    (
        "bind_status",
        "        perror(\"bind\");\n        return 1;",
        "        perror(\"bind\");\n        return 0;",
        "port-taken",
    ),
    (
        "keeps_all",
        "        for (ssize_t done = 0;",
        "        memcpy(malloc(n), b, n);\n        for (ssize_t done = 0;",
        "both-ways",
    ),
    (
        "half_close",
        "if (n == 0)\n            return;",
        "if (n == 0) {\n            sleep(60);\n            return;\n        }",
        "half-close",
    ),
    ("does_not_listen", "listen(server, 5) < 0", "0", "starts"),
    (
        "other_word",
        "send(client, b + done, n - done, 0)",
        "(b[0] = 'X', send(client, b + done, n - done, 0))",
        "word",
    ),
    ("mute", "send(client, b + done, n - done, 0)", "n", "word"),
];

const UDP_SERVER: &[Fault] = &[
    (
        "udp_nul",
        "sendto(server, b, n,",
        "sendto(server, b, n + 1,",
        "trailing",
    ),
    (
        "udp_empty",
        "if (n < 0)\n            continue;",
        "if (n <= 0)\n            continue;",
        "empty",
    ),
    (
        "udp_dies",
        "if (n < 0)\n            continue;",
        "if (n <= 0)\n            exit(1);",
        "empty",
    ),
    (
        "udp_cut",
        "static char b[65536];",
        "static char b[1000];",
        "largest",
    ),
    (
        "udp_first",
        "struct sockaddr_in client;\n        socklen_t len = sizeof client;\n        ssize_t n = recvfrom(server, b, sizeof b, 0, (struct sockaddr *)&client, &len);",
        "static struct sockaddr_in client;\n        static socklen_t len = sizeof client;\n        ssize_t n = client.sin_port ? recv(server, b, sizeof b, 0) : recvfrom(server, b, sizeof b, 0, (struct sockaddr *)&client, &len);",
        "two-clients",
    ),
    (
        "udp_no_htons",
        ".sin_port = htons(atoi(argv[argc - 1]))",
        ".sin_port = atoi(argv[argc - 1])",
        "byte-order",
    ),
    (
        "udp_strlen",
        "sendto(server, b, n,",
        "sendto(server, b, strnlen(b, n),",
        "every-byte",
    ),
    (
        "udp_leak",
        "if (n < 0)\n            continue;",
        "if (n < 0)\n            continue;\n        dup(server);",
        "in-a-row",
    ),
];

const TCP_CLIENT: &[Fault] = &[
    (
        "client_nul",
        "send(sock, word, len, 0)",
        "send(sock, word, len + 1, 0)",
        "trailing",
    ),
    (
        "client_sizeof",
        "send(sock, word, len, 0)",
        "send(sock, word, sizeof word, 0)",
        "trailing",
    ),
    (
        "client_one_recv",
        "            have += n;",
        "            have = len;",
        "byte-by-byte",
    ),
    (
        "client_one_recv_halves",
        "            have += n;",
        "            have = len;",
        "halves",
    ),
    (
        "client_end",
        "            if (n == 0) {",
        "            if (0) {",
        "closed-at-once",
    ),
    (
        "client_status",
        "\"the server closed too soon\\n\");\n                return 1;",
        "\"the server closed too soon\\n\");\n                return 0;",
        "closed-amid",
    ),
    (
        "client_silent",
        "                perror(\"recv\");\n                return 1;",
        "                return 1;",
        "reset",
    ),
    (
        "client_connect",
        "        perror(\"connect\");\n        return 1;",
        "        return 0;",
        "nobody",
    ),
    (
        "client_impatient",
        "    if (udp)\n        setsockopt",
        "    limit.tv_usec = 300000, limit.tv_sec = 0;\n        setsockopt",
        "slow",
    ),
];

/// Fails unless each fault is found; two at a time.
fn found(peer: &'static str, faults: &'static [Fault], arguments: fn(&str) -> Vec<String>) {
    let next = Mutex::new(faults.iter());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(&(name, from, to, by)) = next.lock().unwrap().next() else {
                        return;
                    };
                    let program = compiled(peer, name, Some((from, to)));
                    let mut arguments = arguments(&program.display().to_string());
                    arguments.extend(["--only".to_owned(), by.to_owned()]);
                    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                    let outcome = check(&arguments);
                    assert_eq!(outcome.status.code(), Some(1), "{name}: {outcome:?}");
                    let line = format!("FAIL      {by} ");
                    assert!(outcome.stdout().contains(&line), "{name}: {outcome:?}");
                }
            });
        }
    });
}

#[test]
fn each_fault_of_a_tcp_server_is_found_by_its_check() {
    found("sound_server", TCP_SERVER, |program| {
        ["--contract", "tcp-echo", "--server"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("{program} {{port}}")])
            .collect()
    });
}

#[test]
fn each_fault_of_a_udp_server_is_found_by_its_check() {
    found("sound_server", UDP_SERVER, |program| {
        ["--contract", "udp-echo", "--server"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("{program} udp {{port}}")])
            .collect()
    });
}

#[test]
fn each_fault_of_a_tcp_client_is_found_by_its_check() {
    found("sound_client", TCP_CLIENT, |program| {
        ["--contract", "tcp-echo", "--client"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("{program} {{word}} {{port}}")])
            .collect()
    });
}

#[test]
fn a_sound_program_passes() {
    let server = compiled("sound_server", "sound_server", None);
    let client = compiled("sound_client", "sound_client", None);
    let ours = |name| Program::rust(name).path().display().to_string();
    for arguments in [
        ["--server", &format!("{} {{port}}", server.display())],
        ["--server", &format!("{} udp {{port}}", server.display())],
        [
            "--client",
            &format!("{} {{word}} {{port}}", client.display()),
        ],
        [
            "--server",
            &format!(
                "{} --bind 127.0.0.1 {{port}}",
                ours("tcp_echo_server_epoll")
            ),
        ],
        [
            "--server",
            &format!("{} {{port}}", ours("udp_upper_server")),
        ],
        [
            "--server",
            &format!("{} --bind 127.0.0.1 {{port}}", ours("web_server")),
        ],
    ] {
        let outcome = check(&arguments);
        assert!(outcome.status.success(), "{arguments:?}: {outcome:?}");
        assert!(
            !outcome.stdout().contains("FAIL"),
            "{arguments:?}: {outcome:?}"
        );
    }
}

#[test]
fn graders_have_their_files() {
    let server = compiled(
        "sound_server",
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
        &format!("{} {{port}}", server.display()),
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
fn bad_arguments_are_told_and_nothing_is_started() {
    for (arguments, words) in [
        (
            &["--server", "true {port}", "--only", "nope"][..],
            "no check nope. See them with: sockstep check --list",
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
