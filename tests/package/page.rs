//! `src/pages/tcp_echo.html` and `tcp_echo.svg`, which README shows, are the page and the picture of `tcp_echo` as these programs have
//! it: of a recording that lies beside them, whose pids, ports and times stand still. A run has the same calls. `halves.svg` is the
//! picture of the failed check that README shows. `UPDATE=1 cargo test --release --test package` writes all anew.

use std::fmt::Write; // into memory, which does not fail
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOCKSTEP: &str = env!("CARGO_BIN_EXE_sockstep");

/// Stands in the recording for the directory of the programs.
const PROGRAMS: &str = "/PROGRAMS";

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages")
}

fn sockstep(arguments: &[&str]) {
    let outcome = Command::new(SOCKSTEP).args(arguments).output();
    let outcome = outcome.expect("sockstep runs");
    let words = String::from_utf8_lossy(&outcome.stderr);
    assert!(
        outcome.status.success(),
        "{arguments:?}: {words} (install strace)"
    );
}

/// The calls that a page shows, and how the two end.
const SHOWN: [&str; 16] = [
    "execve(",
    "socket(",
    "setsockopt(",
    "bind(",
    "listen(",
    "getsockname(",
    "accept(",
    "connect(",
    "sendto(",
    "recvfrom(",
    "write(",
    "poll(",
    "close(",
    "shutdown(",
    "--- ",
    "+++ ",
];

/// A recording whose pids, ports, places and times are always the same, as far as times do not say who waited.
fn still(side: &str, text: &str, others: &str, first: f64) -> String {
    let port = |text: &str, before: &str, behind: &str| {
        let (_, rest) = text
            .split_once(before)
            .unwrap_or_else(|| panic!("{before}: {text}"));
        rest.split_once(behind).expect("it ends").0.to_owned()
    };
    let both = format!("{text}{others}");
    let server = port(&both, "listening on 127.0.0.1:", "\\n");
    let (_, accepted) = both.split_once(" accept(3, ").expect("it is accepted");
    let client = port(accepted, "htons(", ")");
    let programs = Path::new(SOCKSTEP).parent().unwrap().display().to_string();
    let mut lines = String::new();
    let mut socket = false;
    for line in text.lines() {
        let Some((time, call)) = timed(line) else {
            panic!("{line}");
        };
        socket |= call.starts_with("socket(");
        let shown = SHOWN.iter().any(|name| call.starts_with(name));
        if !shown || (!socket && !call.starts_with("execve(")) {
            continue;
        }
        let mut call = call
            .replace(&server, "7000")
            .replace(&client, "40000")
            .replace(&programs, PROGRAMS);
        call = between(&call, "si_pid=", ",", "1");
        call = between(&call, "si_uid=", "}", "0");
        call = between(&call, "accept(3, 0x", ",", "7ffc00000000");
        call = between(&call, "], 0x", ")", "7ffc00000000 /* 9 vars */");
        let time: f64 = time.parse().expect("a time");
        let pid = if side == "server" { 100 } else { 200 };
        let _ = writeln!(
            lines,
            "{pid} {:.6} {call}",
            1_700_000_001.0 + (time - first)
        );
    }
    lines
}

/// The time of a line, and its call. A pid has at least five columns.
fn timed(line: &str) -> Option<(&str, &str)> {
    line.split_once(' ')?.1.trim_start().split_once(' ')
}

/// The text with that in the place of what stands between the two.
fn between(text: &str, before: &str, behind: &str, instead: &str) -> String {
    let Some((head, rest)) = text.split_once(before) else {
        return text.to_owned();
    };
    let Some((_, tail)) = rest.split_once(behind) else {
        return text.to_owned();
    };
    format!("{head}{before}{instead}{behind}{tail}")
}

/// The same without any time.
fn calls(recording: &str) -> Vec<String> {
    let call = |line: &str| {
        let call = timed(line).map_or("", |(_, call)| call);
        let end = call.rfind(" <").filter(|_| call.ends_with('>'));
        call[..end.unwrap_or(call.len())].to_owned()
    };
    recording.lines().map(call).collect()
}

#[test]
fn the_page_of_tcp_echo_is_what_a_run_has() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    let _ = fs::remove_dir_all(&scratch); // of the last time
    let fresh = scratch.join("fresh");
    fs::create_dir_all(&fresh).unwrap();
    sockstep(&["run", "tcp_echo", "--keep", fresh.to_str().unwrap()]);
    let read = |side: &str| fs::read_to_string(fresh.join(side).with_extension("strace")).unwrap();
    let [server, client] = ["server", "client"].map(read);
    let first = server.lines().find(|line| line.contains(" execve("));
    let first = first
        .and_then(|line| timed(line)?.0.parse().ok())
        .expect("a time");
    let sides = [
        ("server", still("server", &server, &client, first)),
        ("client", still("client", &client, &server, first)),
    ];
    let update = std::env::var_os("UPDATE").is_some();
    let kept = scratch.join("tcp_echo");
    fs::create_dir_all(&kept).unwrap();
    for (side, fresh) in sides {
        let file = pages().join("tcp_echo").join(side).with_extension("strace");
        let known = fs::read_to_string(&file).unwrap_or_default();
        let same = calls(&known) == calls(&fresh);
        if update && !same {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &fresh).unwrap();
        }
        assert!(
            update || same,
            "{} is stale: UPDATE=1 cargo test --release --test package. A run has:\n{fresh}",
            file.display()
        );
        let programs = Path::new(SOCKSTEP).parent().unwrap().display().to_string();
        let recording = fs::read_to_string(&file)
            .unwrap()
            .replace(PROGRAMS, &programs);
        fs::write(kept.join(side).with_extension("strace"), recording).unwrap();
    }
    let made = ["html", "svg"].map(|kind| {
        let made = scratch.join("tcp_echo").with_extension(kind);
        let option = format!("--{kind}");
        sockstep(&[
            "show",
            kept.to_str().unwrap(),
            &option,
            made.to_str().unwrap(),
        ]);
        let made = fs::read_to_string(made).unwrap();
        let file = pages().join("tcp_echo").with_extension(kind);
        if update {
            fs::write(&file, &made).unwrap();
        }
        let known = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            known == made,
            "{} is stale: UPDATE=1 cargo test --release --test package",
            file.display()
        );
        made
    });
    assert!(made[0].len() < 400 << 10 && made[0].contains("tcp_echo_server.c"));
    assert!(made[1].contains("Server 4c. Close the connection"));
}

/// The words of a picture, without numbers and waits, which differ from run to run.
fn words(picture: &str) -> Vec<String> {
    let texts = picture.split("<text ").skip(1);
    let texts = texts.filter_map(|text| text.split_once('>')?.1.split_once("</text>"));
    let mut words: Vec<String> = texts
        .map(|(text, _)| text.replace(|letter: char| letter.is_ascii_digit(), "0"))
        .filter(|text| !text.starts_with("waited "))
        .collect();
    words.sort_unstable();
    words
}

#[test]
fn the_picture_of_a_failed_check_is_what_a_run_has() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("halves");
    fs::create_dir_all(&scratch).unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/homework.c");
    let cc = Command::new("cc")
        .args(["-o", "homework", source])
        .current_dir(&scratch)
        .status();
    assert!(cc.expect("cc is installed: package gcc").success());
    let programs = Path::new(SOCKSTEP).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(SOCKSTEP);
    command
        .args(["run", "--server", "./homework {port}", "--client"])
        .arg("sockstep check --at 127.0.0.1:{port} --contract tcp-echo --only halves -q")
        .args(["--svg", "halves.svg"])
        .env("PATH", format!("{}:{path}", programs.display()))
        .current_dir(&scratch);
    let file = pages().join("halves.svg");
    let known = fs::read_to_string(&file).unwrap_or_default();
    let mut made = String::new();
    // A machine that is overloaded may answer the first half after the second: then once more.
    for _ in 0..10 {
        let outcome = command.output().expect("sockstep runs");
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        made = fs::read_to_string(scratch.join("halves.svg")).unwrap();
        if words(&made) == words(&known) {
            break;
        }
    }
    if std::env::var_os("UPDATE").is_some() && words(&known) != words(&made) {
        fs::write(&file, &made).unwrap();
        return;
    }
    assert_eq!(
        words(&known),
        words(&made),
        "halves.svg is stale: UPDATE=1 cargo test --release --test package"
    );
    assert!(known.contains("Server 4b. Communicate") && known.contains(">FIN<"));
}
