//! `sockstep run`: a pair on a free port, each side in its own lane, and nothing left when it is over.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::{
    Outcome, Process, Random, run, scratch, until, wait_until_none_is_marked, within, without_ports,
};
use nix::pty::openpty;
use nix::sys::signal::Signal;

const SOCKSTEP: &str = env!("CARGO_BIN_EXE_sockstep");

/// `sockstep run`, without the ladder.
fn plain(arguments: &[&str]) -> Command {
    let mut command = Command::new(SOCKSTEP);
    command.args(["run", "--plain"]).args(arguments);
    command
}

/// `sockstep` with any verb.
fn sockstep(arguments: &[&str]) -> Command {
    let mut command = Command::new(SOCKSTEP);
    command.args(arguments);
    command
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory)
        .expect("it is readable")
        .next()
        .is_none()
}

/// The two lanes apart, ports replaced: their lines may come in either order.
fn lanes(outcome: &Outcome) -> (Vec<String>, Vec<String>) {
    let lines = outcome.stdout().lines().map(without_ports);
    lines.partition(|line| line.starts_with("server"))
}

#[test]
fn each_pair_runs_in_every_mix_of_languages() {
    for server in ["rust", "c"] {
        for client in ["rust", "c"] {
            let implementations = ["--server-impl", server, "--client-impl", client];
            let run = |pair: &[&str], stdin: &[u8]| {
                let outcome = run(plain(&[]).args(implementations).args(pair), stdin);
                outcome.assert_clean();
                lanes(&outcome)
            };
            let ready = "server | listening on 127.0.0.1:PORT";
            for echo in ["tcp_echo", "udp_echo"] {
                let hello = run(&[echo], b"");
                assert_eq!(
                    hello,
                    (vec![ready.into()], vec!["client | Received: hello".into()])
                );
                let word = run(&[echo, "--", "two words"], b"");
                assert_eq!(word.1, ["client | Received: two words"]);
                let dash = run(&[echo, "--", "--", "--help"], b"");
                assert_eq!(dash.1, ["client | Received: --help"]);
            }
            let timed = run(
                &["udp_echo", "--", "x", "--timeout", "9", "--tries", "2"],
                b"",
            );
            assert_eq!(timed.1, ["client | Received: x"]);
            for upper in ["tcp_upper", "udp_upper"] {
                let (server, client) = run(&[upper], b"one\n\nthree");
                let received = "server | Received from 127.0.0.1#PORT:";
                let log = ["one", "", "three"].map(|text| format!("{received} {text}"));
                assert_eq!(server[0], ready);
                assert_eq!(server[1..], log);
                let answers =
                    ["ONE", "", "THREE"].map(|text| format!("client | From Server: {text}"));
                assert_eq!(client, answers);
            }
            let (server, client) = run(&["web", "--", "/index.html"], b"");
            assert_eq!(server[0], ready);
            assert!(
                server[1].ends_with("\"GET /index.html HTTP/1.1\" 200 67"),
                "{server:?}"
            );
            let page = [
                "<!DOCTYPE html>",
                "<title>sockstep</title>",
                "<p>Site under construction",
            ];
            assert_eq!(client, page.map(|line| format!("client | {line}")));
        }
    }
}

#[test]
fn both_programs_are_of_the_language_that_impl_names() {
    for (implementation, words) in [
        ("rust", "Usage: udp_echo_client"),
        ("c", "usage: udp_echo_client"),
    ] {
        let outcome = run(
            &mut plain(&["udp_echo", "--impl", implementation, "--", "w", "--nope"]),
            b"",
        );
        assert!(
            outcome.stdout().contains(&format!("client ! {words}")),
            "{outcome:?}"
        );
    }
}

#[test]
fn the_clients_exit_status_is_returned() {
    let bad_argument = run(&mut plain(&["udp_upper", "--", "--nope"]), b"");
    assert_eq!(bad_argument.status.code(), Some(2));
    let long = vec![b'x'; 70_000];
    let failed_call = run(&mut plain(&["udp_upper"]), &long);
    assert_eq!(failed_call.status.code(), Some(1));
    assert_eq!(
        lanes(&failed_call).1,
        ["client ! sendto() failed: Message too long"]
    );
}

#[test]
fn an_unknown_pair_is_a_bad_argument() {
    let outcome = run(&mut plain(&["tcp_ehco"]), b"");
    assert_eq!(outcome.status.code(), Some(2));
    assert!(outcome.stderr.contains("tcp_echo"), "{outcome:?}");
    for (arguments, words) in [
        (
            &["run", "tcp_echo", "tcp_echo_server_fork"][..],
            "--clients N",
        ),
        (
            &["run", "tcp_upper", "--clients", "2"],
            "not for tcp_upper_server",
        ),
    ] {
        let outcome = run(&mut sockstep(arguments), b"");
        assert_eq!(outcome.status.code(), Some(2));
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    }
}

#[test]
fn an_installed_copy_needs_no_checkout() {
    let (installed, temporary) = (scratch("installed"), scratch("installed-tmp"));
    let built = Path::new(SOCKSTEP)
        .parent()
        .expect("a file is in a directory");
    for name in ["sockstep", "tcp_upper_server", "tcp_upper_client"] {
        fs::copy(built.join(name), installed.join(name)).expect("programs can be copied");
    }
    for implementation in ["rust", "c"] {
        let mut command = Command::new(installed.join("sockstep"));
        command
            .args(["run", "--plain", "tcp_upper", "--impl", implementation])
            .current_dir("/")
            .env("TMPDIR", &temporary);
        let outcome = run(&mut command, b"abc\n");
        assert!(
            outcome.stdout().ends_with("client | From Server: ABC\n"),
            "{outcome:?}"
        );
        assert!(is_empty(&temporary), "the twins are still there");
    }

    let mut elsewhere = Command::new(installed.join("sockstep"));
    let outcome = run(elsewhere.args(["run", "--plain", "tcp_echo"]), b"");
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.stderr.contains("tcp_echo_server does not exist"),
        "{outcome:?}"
    );
}

#[test]
fn a_missing_compiler_is_named_with_its_package() {
    let outcome = run(
        plain(&["tcp_echo", "--impl", "c"]).env("CC", "no-such-compiler"),
        b"",
    );
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(
        outcome.stderr,
        "sockstep: no-such-compiler was not found. Install a C compiler: apt-get install gcc libc6-dev\n"
    );
}

#[test]
fn the_doctor_finds_this_machine_well_and_says_what_another_one_lacks() {
    let well = run(&mut sockstep(&["doctor"]), b"");
    assert!(well.status.success() && well.stderr.is_empty(), "{well:?}");
    assert!(
        well.stdout().lines().all(|line| line.starts_with("ok  ")),
        "{well:?}"
    );

    let ill = run(
        sockstep(&["doctor"])
            .env("PATH", "/nowhere")
            .env_remove("CC"),
        b"",
    );
    assert_eq!(ill.status.code(), Some(1));
    assert!(
        ill.stdout()
            .starts_with("--  strace       strace is not installed: apt-get install strace\n")
    );
    assert!(
        ill.stdout()
            .contains("--  C compiler   cc is not installed: apt-get install gcc libc6-dev\n")
    );
}

#[test]
fn a_call_is_explained_from_the_notes() {
    let words = run(&mut sockstep(&["explain"]), b"");
    let (calls, _) = words.stdout().split_once("\n\n").expect("more than calls");
    for line in calls.lines().skip(1) {
        let call = line.split_whitespace().next().unwrap_or_default();
        let page = run(&mut sockstep(&["explain", call]), b"");
        assert!(
            page.status.success() && page.stdout().contains(&format!("{call}(")),
            "{page:?}"
        );
        assert!(page.stdout().contains("\n- Slides. "), "{page:?}");
        assert!(!page.stdout().contains("```"), "{page:?}");
    }
    assert!(calls.lines().count() > 24, "{calls:?}");
    for kind in [
        "Errors",
        "Options, flags, constants",
        "States and signals",
        "Ideas",
    ] {
        assert!(words.stdout().contains(&format!("\n\n{kind}\n")), "{kind}");
    }
}

#[test]
fn an_error_is_explained_by_its_name_its_number_its_message_and_the_line_that_a_program_printed() {
    let page = run(&mut sockstep(&["explain", "EADDRINUSE"]), b"");
    assert!(page.stdout().contains("SO_REUSEADDR"), "{page:?}");
    assert!(page.stdout().lines().all(|line| line.chars().count() <= 80));
    for asked in [
        "eaddrinuse",
        "98",
        "Address already in use",
        "bind() failed: Address already in use",
        "OSError: [Errno 98] Address already in use",
        "Error: listen EADDRINUSE: address already in use :::12000",
    ] {
        assert_eq!(
            run(&mut sockstep(&["explain", asked]), b""),
            page,
            "{asked}"
        );
    }
    let words = ["explain", "Address", "already", "in", "use"];
    assert_eq!(run(&mut sockstep(&words), b""), page);
}

#[test]
fn a_word_that_is_not_there_is_answered_by_the_nearest_one() {
    for (asked, tip) in [
        ("acept", "Did you mean accept? "),
        ("ECONREFUSED", "Did you mean ECONNREFUSED? "),
        ("qqqqqqqqq", ""),
        ("\x1b[2J", ""),
    ] {
        let unknown = run(&mut sockstep(&["explain", asked]), b"");
        assert_eq!(unknown.status.code(), Some(2));
        let asked = asked.replace('\x1b', "\\x1b");
        assert_eq!(
            unknown.stderr,
            format!("sockstep: no word {asked}. {tip}All words: sockstep explain\n")
        );
    }
}

#[test]
fn a_full_disk_is_an_error_and_a_reader_that_left_is_none() {
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has /dev/full");
    let outcome = Process::start_into(full, &mut plain(&["tcp_echo"])).end();
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(
        outcome.stderr,
        "sockstep: write() failed: No space left on device\n"
    );

    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    drop(reader);
    let outcome = Process::start_into(writer, &mut plain(&["tcp_echo"])).end();
    outcome.assert_clean();
}

#[test]
fn killed_at_any_moment_it_leaves_nothing() {
    let mut random = Random(11);
    for round in 0..30 {
        let temporary = scratch("killed-tmp");
        let mark = format!("{}-{round}", std::process::id());
        let signal = [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGKILL,
        ][round % 4];
        let arguments: &[&str] = match round / 4 % 4 {
            0 => &["run", "tcp_upper"],
            1 => &["run", "tcp_upper", "--plain"],
            2 => &[
                "run",
                "tcp_echo_server_fork",
                "--clients",
                "3",
                "--think",
                "1000",
            ],
            _ => &["run", "tcp_upper", "--impl", "c"],
        };
        let mut command = sockstep(arguments);
        let mut process = Process::start(
            command
                .env("SOCKSTEP_TEST", &mark)
                .env("TMPDIR", &temporary),
        );
        thread::sleep(Duration::from_millis(random.below(300) as u64)); // a random moment, not a wait for anything
        process.signal(signal);
        let stdin = process.stdin.take();
        let outcome = process.end();
        drop(stdin);
        assert!(!outcome.status.success(), "{signal}: {outcome:?}");

        wait_until_none_is_marked(&format!("SOCKSTEP_TEST={mark}"));
        let empty = until(|| is_empty(&temporary).then_some(()));
        assert!(empty.is_some(), "{signal} left files");
    }
}

/// What a person sees who types these lines at a terminal, each when the prompt has come.
fn seen_by_typing(arguments: &[&str], colour: Option<&str>, typed: &[&[u8]]) -> String {
    let terminal = openpty(None, None).expect("a terminal");
    let handle = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor"));
    let mut command = sockstep(arguments);
    command
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(colour.map(|value| ("NO_COLOR", value)));
    command
        .stdin(handle(&terminal.slave))
        .stdout(handle(&terminal.slave))
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("sockstep starts");
    drop(command);
    drop(terminal.slave);

    let mut master = File::from(terminal.master);
    let typed: Vec<Vec<u8>> = typed.iter().map(|line| line.to_vec()).collect();
    let seen = within(move || {
        let (mut seen, mut chunk, mut prompts) = (Vec::new(), [0; 1024], 0);
        // The terminal's end comes as an error.
        while let Ok(n @ 1..) = master.read(&mut chunk) {
            seen.extend_from_slice(&chunk[..n]);
            let so_far = String::from_utf8_lossy(&seen).matches("sentence: ").count();
            while prompts < so_far.min(typed.len()) {
                master
                    .write_all(&typed[prompts])
                    .expect("the terminal takes what is typed");
                prompts += 1;
            }
        }
        String::from_utf8(seen).expect("the terminal shows text")
    });
    assert!(child.wait().expect("it is our child").success());
    seen.replace("\r\n", "\n")
}

#[test]
fn a_person_who_types_sees_the_prompt_and_the_capitals() {
    for pair in ["tcp_upper", "udp_upper"] {
        let seen = seen_by_typing(
            &["run", "--plain", pair],
            Some("1"),
            &[b"hello\n", b"a\x1bb\n", b"\x04"],
        );
        let lines: Vec<&str> = seen.lines().skip(1).collect();
        assert_eq!(lines[0], "client | Input lowercase sentence: hello");
        assert!(
            lines[1].starts_with("server | Received from 127.0.0.1#")
                && lines[1].ends_with(": hello")
        );
        assert_eq!(lines[2], "client | From Server: HELLO");
        assert_eq!(lines[3], "client | Input lowercase sentence: a^[b"); // as the terminal echoes the key
        assert!(lines[4].ends_with(r": a\x1bb"));
        assert_eq!(lines[5], r"client | From Server: A\x1bB");
        assert!(lines[6].starts_with("client | Input lowercase sentence: "));
        assert_eq!(lines.len(), 7, "{seen}");
    }
}

#[test]
fn a_terminal_gets_colour_unless_no_color_is_set() {
    let coloured = seen_by_typing(&["run", "--plain", "tcp_echo"], None, &[]);
    assert!(
        coloured.starts_with("\x1b[38;5;98mserver |\x1b[0m listening on"),
        "{coloured:?}"
    );
    assert!(
        coloured.contains("\x1b[38;5;63mclient |\x1b[0m Received: hello"),
        "{coloured:?}"
    );
    assert_eq!(
        seen_by_typing(&["run", "--plain", "tcp_echo"], Some(""), &[])
            .matches('\x1b')
            .count(),
        4
    );
    assert!(!seen_by_typing(&["run", "--plain", "tcp_echo"], Some("1"), &[]).contains('\x1b'));
}

#[test]
fn each_verb_with_colours_takes_color_and_names_no_color() {
    for verb in ["run", "show", "diff", "check", "explain"] {
        let help = run(&mut sockstep(&[verb, "--help"]), b"");
        assert!(help.stdout().contains("--color <WHEN>"), "{help:?}");
        assert!(help.stdout().contains("NO_COLOR"), "{help:?}");
    }
    for (color, begins) in [("always", "\x1b[1maccept\x1b[0m\n"), ("never", "accept\n")] {
        let page = run(&mut sockstep(&["explain", "--color", color, "accept"]), b"");
        assert!(page.stdout().starts_with(begins), "{page:?}");
    }
    let terminal = seen_by_typing(&["explain", "accept"], None, &[]);
    assert!(terminal.starts_with("\x1b[1maccept"), "{terminal:?}");
    let plain = seen_by_typing(&["explain", "accept"], Some("1"), &[]);
    assert!(plain.starts_with("accept"), "{plain:?}");
}
