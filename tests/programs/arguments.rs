//! The command line: what each program takes, what it refuses, and how it ends. Only the wording differs between the languages.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

use crate::support::{
    CLIENTS, CONCURRENT, CTRL_C_WORKS, ECHO_CLIENTS, ECHO_SERVERS, ON_A_FREE_PORT, Outcome,
    PROGRAMS, Program, SERVERS, SHOWS, Server, TCP_ECHO_SERVERS, TCP_SERVERS, Talk, UDP_CLIENTS,
    UPPER_CLIENTS, assert_bytes, for_each, require, run,
};
use nix::sys::signal::Signal;

// ---- Help and version ----

#[test]
fn help_and_version_are_answers() {
    for_each(&[&PROGRAMS[..], &SHOWS].concat(), |program| {
        for option in ["--help", "-h"] {
            let outcome = run(program.command().arg(option), b"");
            assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""));
            assert!(
                outcome
                    .stdout()
                    .to_lowercase()
                    .contains(&format!("usage: {}", program.name)),
                "{outcome:?}"
            );
        }
        for option in ["--version", "-V"] {
            let version = format!("{} {}\n", program.name, env!("CARGO_PKG_VERSION"));
            assert_eq!(
                run(program.command().arg(option), b""),
                Outcome::done(version)
            );
        }
    });
}

#[test]
fn every_option_in_either_help_is_taken_by_both() {
    for name in PROGRAMS.into_iter().chain(SHOWS) {
        let options: BTreeSet<_> = Program::both(name)
            .into_iter()
            .flat_map(options_in_help)
            .collect();
        assert!(
            options.contains(&vec!["--version".to_owned()]),
            "{options:?}"
        );
        for program in Program::both(name) {
            for option in &options {
                let outcome = run(program.command().args(option).arg("--version"), b"");
                assert_eq!(
                    outcome.status.code(),
                    Some(0),
                    "{program} {option:?}: {outcome:?}"
                );
            }
        }
    }
}

/// The options that a help text names, each with a value if it takes one.
fn options_in_help(program: Program) -> Vec<Vec<String>> {
    let help = run(program.command().arg("--help"), b"");
    help.stdout()
        .lines()
        .flat_map(synopses)
        .flat_map(options_in_synopsis)
        .collect()
}

/// The parts of a help text's line that describe options: `-i, --ipaddress <SERVER>` from clap, `-i SERVER` from the twin.
fn synopses(line: &str) -> Vec<&str> {
    let line = line.trim();
    if line.starts_with('-') {
        line.split("  ").take(1).collect() // what follows says what it does
    } else if line.starts_with("usage: ") {
        line.split('[')
            .filter_map(|part| part.split(']').next())
            .collect()
    } else {
        Vec::new()
    }
}

fn options_in_synopsis(synopsis: &str) -> Vec<Vec<String>> {
    let words = synopsis
        .split([' ', ',', '<', '>'])
        .filter(|word| !word.is_empty());
    let (options, values): (Vec<_>, Vec<_>) = words.partition(|word| word.starts_with('-'));
    let value = values.first().map(|&name| match name {
        "ADDRESS" | "SERVER" => "127.0.0.1",
        _ => "1",
    });
    options
        .into_iter()
        .map(|option| {
            [Some(option), value]
                .into_iter()
                .flatten()
                .map(str::to_owned)
                .collect()
        })
        .collect()
}

// ---- What is taken ----

#[test]
fn the_uppercase_clients_take_their_server_in_every_spelling() {
    for_each(&UPPER_CLIENTS, |client| {
        let server = Server::start(Program::rust(client.server()), &[]);
        let port = server.port.to_string();
        for args in [
            &["-ip", "127.0.0.1", "-p", &port][..],
            &["-i", "127.0.0.1", "--port", &port],
            &["--ipaddress", "127.0.0.1", "-p", &port],
            &["--ipaddress=127.0.0.1", &format!("--port={port}")],
            &["-i127.0.0.1", &format!("-p{port}")],
            &["--ip", "127.0.0.1", "--po", &port],
            &["-p", &port],
            &["-p", "9", "-p", &port], // of two the last one holds
        ] {
            let outcome = run(client.command().args(args), b"hello\n");
            assert_eq!(outcome, Outcome::done("From Server: HELLO\n"), "{args:?}");
        }
    });
}

#[test]
fn options_may_follow_and_be_cut_short() {
    for_each(&SERVERS, |program| {
        let abbreviated = program
            .limit()
            .strip_suffix("nts")
            .or(program.limit().strip_suffix("ages"));
        let abbreviated = abbreviated.expect("it is either");
        let mut server = Server::start_by(
            program,
            program
                .command()
                .args(["0", "--bind", "127.0.0.1", abbreviated, "1"]),
        );
        server.serves();
        assert_eq!(server.process.end().status.code(), Some(0));
    });
    for_each(&UDP_CLIENTS, |client| {
        let server = Server::start(Program::c(client.server()), &[]);
        let (args, stdin) = client.saying("hello", server.port);
        let outcome = run(
            client
                .command()
                .args(args)
                .args(["--timeo", "50", "--tr=2"]),
            &stdin,
        );
        assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
    });
}

#[test]
fn a_word_may_start_with_a_dash_after_two() {
    for_each(&ECHO_CLIENTS, |client| {
        let server = Server::start(Program::c(client.server()), &[]);
        let port = server.port.to_string();
        for word in ["-dash", "--", "--help", "-ip"] {
            for args in [
                ["--", "127.0.0.1", word, &port],
                ["127.0.0.1", "--", word, &port],
            ] {
                let outcome = run(client.command().args(args), b"");
                assert_eq!(
                    outcome,
                    Outcome::done(format!("Received: {word}\n")),
                    "{args:?}"
                );
            }
        }
    });
}

#[test]
fn a_server_ends_after_as_many_as_it_is_told() {
    for_each(&SERVERS, |program| {
        for n in 1..=3 {
            let mut server = Server::start(program, &[program.limit(), &n.to_string()]);
            for _ in 0..n {
                assert!(server.process.is_running());
                server.serves();
            }
            let outcome = server.process.end();
            assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""));
        }
    });
}

#[test]
fn what_is_left_out_is_as_in_the_lectures() {
    for_each(&SERVERS, |program| {
        let args: &[&str] = if program.is_upper() { &[] } else { &["7"] };
        let port = if program.is_upper() { 12000 } else { 7 };
        assert_first_call(
            program,
            args,
            "bind",
            &format!("htons({port}), sin_addr=inet_addr(\"0.0.0.0\")"),
        );
    });
    for_each(&TCP_ECHO_SERVERS, |program| {
        assert_first_call(program, &ON_A_FREE_PORT, "listen", ", 5)");
    });
    for_each(&["tcp_upper_server"], |program| {
        assert_first_call(program, &ON_A_FREE_PORT, "listen", ", 1)");
    });
    for_each(&CLIENTS, |client| {
        let args: &[&str] = if client.is_upper() {
            &[]
        } else {
            &["127.0.0.1", "hello"]
        };
        let call = if client.is_tcp() { "connect" } else { "sendto" };
        let port = if client.is_upper() { 12000 } else { 7 };
        assert_first_call(
            client,
            args,
            call,
            &format!("htons({port}), sin_addr=inet_addr(\"127.0.0.1\")"),
        );
    });
}

#[test]
fn the_udp_echo_client_binds_the_port_it_is_told() {
    for_each(&["udp_echo_client"], |client| {
        let args = ["--client-port", "4321", "127.0.0.1", "hello"];
        assert_first_call(
            client,
            &args,
            "bind",
            "htons(4321), sin_addr=inet_addr(\"0.0.0.0\")",
        );
    });
}

/// Lets a program's first such call fail, and looks at its arguments.
fn assert_first_call(program: Program, args: &[&str], call: &str, arguments: &str) {
    require("strace", "the tests of what is left out");
    let fault = format!("--inject={call}:error=EXFULL");
    let mut strace = program.under(&["strace", "-qq", &format!("--trace={call}"), &fault]);
    let outcome = run(strace.args(args), b"hello\n");
    assert!(outcome.stderr.contains(arguments), "{outcome:?}");
}

// ---- What is refused ----

#[test]
fn a_bad_port_is_refused() {
    for_each(&PROGRAMS, |program| {
        for port in [
            "65536",
            "-1",
            "abc",
            "",
            "80x",
            " 80",
            "0x50",
            "99999999999999999999",
            "8 0",
        ] {
            let args: &[&str] = match (program.is_server(), program.is_upper()) {
                (true, _) => &[port],
                (false, true) => &["-p", port],
                (false, false) => &["127.0.0.1", "hello", port],
            };
            assert_refused(program, args);
        }
    });
    for_each(&["udp_echo_client"], |client| {
        assert_refused(client, &["--client-port", "65536", "127.0.0.1", "hello"]);
    });
}

#[test]
fn a_bad_number_gets_the_same_words_in_both_languages() {
    let refused = |program: Program, args: &[&str], words: &str| {
        let outcome = run(program.command().args(args), b"");
        assert_eq!(outcome.status.code(), Some(2), "{program}: {outcome:?}");
        assert!(outcome.stderr.contains(words), "{program}: {outcome:?}");
    };
    for_each(&["tcp_upper_client", "udp_upper_client"], |client| {
        for port in ["-1", "-0", "65536", "abc", "0x50"] {
            refused(client, &["-p", port], "not a number from 0 to 65535");
        }
    });
    let whole = "not a number from 1 to 4294967295";
    for_each(&["tcp_upper_client", "udp_upper_client"], |client| {
        refused(client, &["--timeout", "-1"], whole);
    });
    for_each(&["udp_echo_client"], |client| {
        for option in ["--timeout", "--tries"] {
            refused(client, &[option, "-1", "127.0.0.1", "hello"], whole);
        }
        let port = ["--client-port", "-1", "127.0.0.1", "hello"];
        refused(client, &port, "not a number from 0 to 65535");
    });
    for_each(&["udp_echo_server"], |server| {
        refused(
            server,
            &["--batch", "-1", "0"],
            "not a number from 1 to 1024",
        );
    });
    for_each(&SERVERS, |server| {
        let words = "not a number from 1 to 18446744073709551615";
        refused(server, &[server.limit(), "-1", "0"], words);
    });
    for_each(&TCP_ECHO_SERVERS, |server| {
        refused(server, &["--idle-timeout", "-1", "0"], whole);
        let words = "not a number from 0 to 2147483647";
        refused(server, &["--backlog", "-1", "0"], words);
    });
    for_each(&["web_server"], |server| {
        refused(server, &["65536"], "not a number from 0 to 65535");
        for (option, words) in [
            ("--limit", "not a number from 1 to 4294967295"),
            ("--request-timeout", "not a number from 1 to 86400"),
            ("--backlog", "not a number from 0 to 2147483647"),
            (
                "--max-clients",
                "not a number from 1 to 18446744073709551615",
            ),
        ] {
            refused(server, &[option, "-1"], words);
            refused(server, &[option, "many"], words);
        }
    });
    for_each(&["web_client"], |client| {
        let words = "not a number from 1 to 4294967295";
        refused(client, &["-m", "-1", "http://here/"], words);
        refused(client, &["--timeout", "0", "http://here/"], words);
    });
}

#[test]
fn a_bad_address_is_refused() {
    for_each(&[&SERVERS[..], &ECHO_CLIENTS].concat(), |program| {
        for address in [
            "256.1.1.1",
            "127.1",
            "localhost",
            "1.2.3.4 ",
            "",
            "0x7f000001",
            "1.2.3.4.5",
            "01.2.3.4",
            "::1",
        ] {
            let args: &[&str] = if program.is_server() {
                &["--bind", address, "0"]
            } else {
                &[address, "hello"]
            };
            assert_refused(program, args);
        }
    });
}

#[test]
fn a_name_where_an_address_belongs_is_told_which_program_finds_addresses() {
    for_each(&ECHO_CLIENTS, |client| {
        let outcome = run(client.command().args(["localhost", "hello"]), b"");
        assert_eq!(outcome.status.code(), Some(2));
        let advice = "not an IPv4 address in dotted form, like 127.0.0.1 (name_lookup finds those of a name)";
        assert!(outcome.stderr.contains(advice), "{outcome:?}");
    });
}

#[test]
fn missing_surplus_and_unknown_arguments_are_refused() {
    for_each(&[&PROGRAMS[..], &SHOWS].concat(), |program| {
        assert_refused(program, &["--nonsense"]);
        assert_refused(program, &["-x"]);
        assert_refused(program, &["1", "2", "3", "4"]);
    });
    for_each(&SERVERS, |program| {
        assert_refused(program, &["1", "2"]);
        assert_refused(program, &["0", "--bind"]);
    });
    for_each(&ECHO_SERVERS, |program| {
        assert_refused(program, &[]);
    });
    for_each(&ECHO_CLIENTS, |client| {
        assert_refused(client, &[]);
        assert_refused(client, &["127.0.0.1"]);
        assert_refused(client, &["127.0.0.1", "hello", "7", "more"]);
    });
    for_each(&SHOWS, |program| {
        assert_refused(program, &["127.0.0.1", "7", "more"]);
    });
    for_each(&["name_lookup"], |program| assert_refused(program, &[]));
    for_each(&UPPER_CLIENTS, |client| {
        assert_refused(client, &["more"]);
        assert_refused(client, &["-p"]);
        assert_refused(client, &["-ip"]);
    });
}

#[test]
fn a_number_out_of_its_range_is_refused() {
    for_each(&SERVERS, |program| {
        for number in ["0", "-1", "many", "", "18446744073709551616"] {
            assert_refused(program, &[program.limit(), number, "0"]);
        }
    });
    for_each(&TCP_SERVERS, |program| {
        for number in ["-1", "2147483648", "five"] {
            assert_refused(program, &["--backlog", number, "0"]);
        }
    });
    for_each(&TCP_ECHO_SERVERS, |program| {
        for number in ["0", "4294967296", "1.5"] {
            assert_refused(program, &["--idle-timeout", number, "0"]);
        }
    });
    for_each(&CONCURRENT, |program| {
        for number in ["0", "-1", "4294967296", "few"] {
            assert_refused(program, &["--limit", number, "0"]);
        }
    });
    for_each(&["tcp_echo_server_pool"], |program| {
        for number in ["0", "65536"] {
            assert_refused(program, &["--queue", number, "0"]);
        }
    });
    for_each(&UDP_CLIENTS, |client| {
        let (words, _) = client.saying("hello", 9);
        for options in [
            &["--timeout", "0"][..],
            &["--timeout", "4294967296"],
            &["--timeout", "1.5"],
            &["--timeout", "1", "--tries", "0"],
            &["--tries", "2"], // again after what time?
        ] {
            let words = words.iter().map(String::as_str);
            assert_refused(
                client,
                &options.iter().copied().chain(words).collect::<Vec<_>>(),
            );
        }
    });
}

/// Bad arguments: status 2, and words on standard error only.
fn assert_refused(program: Program, args: &[&str]) {
    let outcome = run(program.command().args(args), b"");
    assert_eq!(
        (outcome.status.code(), outcome.stdout()),
        (Some(2), ""),
        "{args:?}: {outcome:?}"
    );
    assert!(outcome.stderr.ends_with('\n'), "{args:?}: {outcome:?}");
}

// ---- Signals ----

#[test]
fn ctrl_c_and_sigterm_end_a_server_at_once() {
    for_each(&SERVERS, |program| {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let start =
                || Server::start_by(program, program.under(&CTRL_C_WORKS).args(ON_A_FREE_PORT));
            assert_eq!(start().end_by(signal).status.signal(), Some(signal as i32));

            let serving = start();
            let client = program.is_tcp().then(|| {
                let mut client = serving.connect();
                assert_bytes(&client.ask(b"X", 1), b"X"); // and it waits for more
                client
            });
            assert_eq!(serving.end_by(signal).status.signal(), Some(signal as i32));
            drop(client);
        }
    });
}
