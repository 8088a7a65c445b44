//! `sockstep show`: the picture is the same for all options of the recording, and no bytes in a
//! recording can harm the terminal.
//!
//! Those in `recordings/` are of tcp_echo_server (`fork-` and `thread-` of its relatives) and one client that sends `héllo`, from
//! `socket` on, by strace 6.1 with the options that their names say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::support::{
    Outcome, Program, Random, Server, at_this_load, random_bytes, require, run, scratch,
    without_ports,
};

const SOCKSTEP: &str = env!("CARGO_BIN_EXE_sockstep");

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/recordings")
}

fn recording(name: &str) -> Vec<u8> {
    fs::read(recordings().join(name)).expect("it is there")
}

fn show(arguments: &[&str], path: &Path) -> Outcome {
    run(
        Command::new(SOCKSTEP).arg("show").args(arguments).arg(path),
        b"",
    )
}

fn shown(name: &str, bytes: &[u8]) -> Outcome {
    let file = scratch(Path::new("recordings").join(name)).join("trace.txt");
    fs::write(&file, bytes).expect("it is writable");
    show(&[], &file)
}

/// The picture without times and ports.
fn rows(outcome: &Outcome) -> Vec<String> {
    assert!(outcome.status.success(), "{outcome:?}");
    let rows = outcome.stdout().lines();
    rows.filter(|row| !row.trim_start().starts_with("(waited"))
        .map(without_ports)
        .collect()
}

fn as_advised() -> Vec<String> {
    rows(&show(&[], &recordings().join("advised.txt")))
}

#[test]
fn every_mix_of_straces_options_gives_the_same_picture() {
    let expected = as_advised();
    let words = expected.join("\n");
    assert_eq!(
        words.matches("-->").count() + words.matches("<--").count(),
        2,
        "{words}"
    );
    let mut mixes = 0;
    for entry in fs::read_dir(recordings()).expect("it is there") {
        let name = entry
            .expect("it is readable")
            .file_name()
            .into_string()
            .expect("text");
        if name.starts_with("fork-") || name.starts_with("thread-") {
            continue;
        }
        let outcome = show(&[], &recordings().join(&name));
        let mut expected = expected.clone();
        if name == "successful.txt" {
            // -z leaves out the accept that SIGTERM ended, and with it its heading.
            let last = expected
                .iter()
                .rposition(|row| row.contains("Server 4a"))
                .expect("it is there");
            expected.drain(last..last + 2);
        }
        assert_eq!(rows(&outcome), expected, "{name}");
        assert_eq!(outcome.stderr, "", "{name}");
        mixes += 1;
    }
    assert!(mixes > 20, "{mixes}");
}

#[test]
fn children_and_threads_are_found_in_one_file_in_several_and_on_standard_error() {
    for name in [
        "fork-yy.txt",
        "fork-ff",
        "fork-stderr.txt",
        "thread-stderr.txt",
    ] {
        let outcome = show(&[], &recordings().join(name));
        let picture = rows(&outcome).join("\n");
        for row in [
            " -->[2] recvfrom(4, \"héllo\", 4096, 0) = 6",
            " <--[2] sendto(4, \"héllo\", 6, 0) = 6",
            "FIN>[2] recvfrom(4, \"\", 4096, 0) = 0",
            "+++ killed by SIGTERM +++",
            "| listening on",
        ] {
            assert!(picture.contains(row), "{name}: {row}\n{picture}");
        }
        assert!(!picture.contains("? "), "{name}:\n{picture}");
        assert_eq!(outcome.stderr, "", "{name}");
    }
}

#[test]
fn a_recording_that_was_pasted_reads_as_the_file_does() {
    let text = String::from_utf8(recording("advised.txt")).expect("text");
    let each = |change: &dyn Fn(&str) -> String| text.lines().map(change).collect::<String>();
    for (name, changed) in [
        ("crlf", each(&|line| format!("{line}\r\n"))),
        ("quoted", each(&|line| format!("> {line}\n"))),
        ("twice-quoted", each(&|line| format!(">> {line}\n"))),
        ("set-in", each(&|line| format!("    {line}\n"))),
        ("blank-lines", each(&|line| format!("{line}\n\n"))),
    ] {
        assert_eq!(
            rows(&shown(name, changed.as_bytes())),
            as_advised(),
            "{name}"
        );
    }
    let without_its_last_newline = text.trim_end();
    assert_eq!(
        rows(&shown("no-newline", without_its_last_newline.as_bytes())),
        as_advised()
    );
}

#[test]
fn a_clock_that_is_set_back_is_said_and_the_order_stays() {
    let text = String::from_utf8(recording("advised.txt")).expect("text");
    let mut accepted = false;
    let changed: String = text
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            let at = words
                .iter()
                .position(|word| word.contains('.'))
                .expect("a time");
            let seconds: f64 = words[at].parse().expect("a number");
            let back = if accepted { 100.0 } else { 0.0 };
            accepted |= line.contains(" accept(");
            line.replacen(words[at], &format!("{:.6}", seconds - back), 1) + "\n"
        })
        .collect();
    let outcome = shown("clock-back", changed.as_bytes());
    assert_eq!(rows(&outcome), as_advised());
    assert!(
        outcome.stderr.contains("the clock was set back by 100 s"),
        "{outcome:?}"
    );
}

#[test]
fn a_recording_without_its_beginning_shows_the_rest() {
    let text = String::from_utf8(recording("advised.txt")).expect("text");
    let from = text
        .find("recvfrom")
        .map(|at| text[..at].rfind('\n').expect("a line before"));
    let rest = text[from.expect("a receive")..].trim_start();
    let picture = rows(&shown("no-beginning", rest.as_bytes())).join("\n");
    assert!(
        picture.contains("-->  recvfrom(4, ") && picture.contains("<--  sendto(4, "),
        "{picture}"
    );
}

#[test]
fn what_may_have_no_end_is_refused() {
    let directory = scratch("recordings/no-end");
    let pipe = directory.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    for path in [
        pipe.as_path(),
        Path::new("/dev/zero"),
        Path::new("/dev/null"),
    ] {
        let outcome = show(&[], path);
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        assert!(
            outcome.stderr.contains("which may never end"),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_line_without_end_is_left_out_with_a_word() {
    let mut bytes = recording("advised.txt");
    bytes.extend(std::iter::repeat_n(b'x', 20 << 20));
    bytes.push(b'\n');
    let outcome = shown("long-line", &bytes);
    assert_eq!(rows(&outcome), as_advised());
    assert!(
        outcome
            .stderr
            .contains("a line of more than 16 MiB is left out"),
        "{outcome:?}"
    );
}

/// Bytes of these recordings, changed at random: cut, doubled, swapped, overwritten, inserted.
fn mutated(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    const MARKS: [&[u8]; 24] = [
        b"\xff",
        b"\x1b[31m",
        b"\xc3",
        "é".as_bytes(),
        b"\0",
        b"\n",
        b"\r",
        b"\"",
        b"\\",
        b"<",
        b">",
        b"(",
        b")",
        b"{",
        b"}",
        b"[",
        b"]",
        b" = ",
        b" <unfinished ...>",
        b"<... accept resumed>",
        b"/*",
        b"*/",
        b"99999999999999999999",
        b"strace: Process 7 attached\n",
    ];
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(8) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        let length = random.below(40).min(bytes.len() - at);
        match random.below(6) {
            0 => drop(bytes.drain(at..at + length)),
            1 => bytes.truncate(at),
            2 => bytes[at] = u8::try_from(random.below(256)).expect("a byte"),
            3 => {
                let piece = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                let mark = MARKS[random.below(MARKS.len())];
                bytes.splice(at..at, mark.iter().copied());
            }
        }
    }
    bytes
}

#[test]
fn no_bytes_make_show_fail_hang_or_act_on_a_terminal() {
    const ROUNDS: usize = 30;
    const FILES: usize = 50;
    let seeds: Vec<Vec<u8>> = fs::read_dir(recordings())
        .expect("it is there")
        .map(|entry| entry.expect("it is readable").path())
        .filter(|path| path.is_file())
        .map(|path| fs::read(path).expect("it is readable"))
        .collect();
    let mut random = Random(20);
    let begun = Instant::now();
    for round in 0..ROUNDS {
        let directory = scratch("recordings/mutated");
        for file in 0..FILES {
            let name = match random.below(3) {
                0 => format!("t.{file}"),
                _ => format!("{file}.txt"),
            };
            fs::write(directory.join(name), mutated(&mut random, &seeds)).expect("it is writable");
        }
        let options: &[&str] = match round % 3 {
            0 => &[],
            1 => &["--calls", "all", "--payload", "hex"],
            _ => &["--json"],
        };
        let outcome = show(options, &directory);
        let seen = format!("round {round}: {:?} {}", outcome.status, outcome.stderr);
        assert!(outcome.status.success(), "{seen}");
        assert!(!outcome.stderr.contains("panicked"), "{seen}");
        let words = std::str::from_utf8(&outcome.stdout).expect("text");
        let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || c == '\u{202e}';
        assert!(!words.contains(acts), "{seen}");
        assert!(!outcome.stderr.contains(acts), "{seen}");
    }
    assert!(begun.elapsed() < at_this_load(120), "{:?}", begun.elapsed());
}

/// Bytes that look like strace's own marks, and others at random, written by a program under a real strace.
#[test]
fn what_a_program_writes_comes_back_from_a_real_strace() {
    let mut random = Random(7);
    let marks: [&[u8]; 12] = [
        b")",
        b"---",
        b"+++",
        b" <unfinished ...>",
        b"\"",
        b"\\",
        b"->",
        b"...",
        b"\x00\x017",
        b"\xff",
        b" = 0",
        b"<0.1>",
    ];
    let messages: Vec<Vec<u8>> = (0..200)
        .map(|_| {
            let pieces = random.below(12);
            (0..pieces)
                .flat_map(|_| match random.below(2) {
                    0 => marks[random.below(marks.len())].to_vec(),
                    _ => random_bytes(random.next(), random.below(20)),
                })
                .collect()
        })
        .collect();
    require("strace", "recordings");
    for (name, options) in [
        ("plain", &["-ttt", "-T"][..]),
        ("hex", &["-xx", "-r", "-yy"]),
    ] {
        let file = scratch(format!("recordings/echoed-{name}")).join("trace.txt");
        let server = Program::c("udp_echo_server");
        let file_name = file.to_str().expect("text");
        let strace = [
            &["strace", "-f", "-s", "65536"],
            options,
            &["-o", file_name],
        ]
        .concat();
        let mut command = server.under(&strace);
        let mut server = Server::start_by(
            server,
            command.args(["--bind", "127.0.0.1", "--max-messages", "200", "0"]),
        );
        let socket = server.udp();
        for message in &messages {
            socket.send(message).expect("it is sent");
            let mut answer = vec![0; 65507];
            let n = socket.recv(&mut answer).expect("it comes back");
            assert_eq!(answer[..n], message[..]);
        }
        assert!(server.process.end().status.success());

        let outcome = show(&["--json"], &file);
        assert!(
            outcome.status.success() && outcome.stderr.is_empty(),
            "{name}: {outcome:?}"
        );
        assert!(!outcome.stdout().contains("\"kind\":\"unknown\""), "{name}");
        for call in ["recvfrom", "sendto"] {
            let key = format!("\"name\":\"{call}\",\"args\":[");
            let seen: Vec<Vec<u8>> = outcome
                .stdout()
                .lines()
                .filter_map(|line| Some(second_string(line.split_once(&key)?.1)))
                .collect();
            assert!(seen == messages, "{name}: {call}");
        }
    }
}

/// The bytes of the second of an array's strings, in which strace's escapes stand within JSON's.
fn second_string(array: &str) -> Vec<u8> {
    let strings = array.split_once("\",\"").expect("a second string").1;
    let (mut quoted, mut rest) = (String::new(), strings.chars());
    loop {
        match rest.next().expect("it ends") {
            '"' => break,
            '\\' => quoted.push(rest.next().expect("it is escaped")),
            c => quoted.push(c),
        }
    }
    let inside = quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .expect("quotes");
    let (mut bytes, mut rest) = (Vec::new(), inside.bytes().peekable());
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next().expect("it is escaped") {
            b'n' => bytes.push(b'\n'),
            b't' => bytes.push(b'\t'),
            b'r' => bytes.push(b'\r'),
            b'v' => bytes.push(0x0b),
            b'f' => bytes.push(0x0c),
            first @ b'0'..=b'7' => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    if let Some(next) = rest.next_if(|next| (b'0'..=b'7').contains(next)) {
                        value = value * 8 + u32::from(next - b'0');
                    }
                }
                bytes.push(u8::try_from(value).expect("a byte"));
            }
            other => bytes.push(other),
        }
    }
    bytes
}

#[test]
fn a_recording_comes_by_standard_input_too() {
    let path = recordings().join("advised.txt");
    let bytes = recording("advised.txt");
    let by_name = show(&["--color", "never"], &path);
    let mut command = Command::new(SOCKSTEP);
    let piped = run(command.args(["show", "--color", "never", "-"]), &bytes);
    assert!(piped.status.success(), "{piped:?}");
    assert_eq!(piped.stdout(), by_name.stdout());
    let nothing = run(Command::new(SOCKSTEP).args(["show", "-"]), b"hello\n");
    assert_eq!(nothing.status.code(), Some(1));
    assert!(
        nothing
            .stderr
            .starts_with("sockstep: standard input: no line in it is strace's"),
        "{nothing:?}"
    );
}
