//! What students ask: each row of the notes' table is run, and its picture must say what the table quotes.

use std::collections::HashMap;
use std::fmt::Write; // into memory, which does not fail
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::{fs, thread};

use crate::support::{require, run, scratch};

const SOCKSTEP: &str = env!("CARGO_BIN_EXE_sockstep");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A row of the table.
struct Row {
    command: String,
    says: Vec<String>,
    explain: String,
}

fn rows() -> Vec<Row> {
    let notes = fs::read_to_string(Path::new(ROOT).join("ffi-notes.md")).unwrap();
    let (_, section) = notes.split_once("\n## Questions and pictures\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    rows.map(|line| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let &[_, _, command, says, explain] = &cells[..] else {
            panic!("five cells: {line}");
        };
        let quoted = |cell: &str| -> Vec<String> {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect()
        };
        let only = |cell: &str| quoted(cell).pop().unwrap();
        Row {
            command: only(command),
            says: quoted(says),
            explain: only(explain),
        }
    })
    .collect()
}

/// `tests/peers/questions.c`, as a program.
fn questions() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        require("cc", "tests/peers/questions.c");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("questions");
        let mut cc = Command::new("cc");
        cc.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o"]);
        cc.arg(&program)
            .arg(format!("{ROOT}/tests/peers/questions.c"));
        let outcome = run(&mut cc, b"");
        assert!(outcome.status.success(), "{outcome:?}");
        program.to_str().unwrap().to_owned()
    })
}

/// The picture of a run; its status is the client's, and no matter.
fn picture(command: &str) -> String {
    let mut run_it = Command::new(SOCKSTEP);
    if let Some(arguments) = command.strip_prefix("sockstep ") {
        run_it.args(arguments.split(' '));
    } else {
        let name = command.strip_prefix("questions ").unwrap();
        let program = questions();
        let server = match name {
            "many" => format!("ulimit -n 8; {program} many {{port}}"),
            "words" => format!("{program} words {{port}} | cat"),
            _ => format!("{program} {name} {{port}}"),
        };
        let client = format!("{program} {name} {{port}} x");
        run_it.args(["run", "--server", &server, "--client", &client]);
    }
    run(&mut run_it, b"hello\n").stdout().to_owned()
}

/// The words of the picture's two sides, each with the arrows, as if nothing were broken into rows; and of the rows as they are.
fn words(picture: &str) -> [String; 3] {
    let part = |from: usize, to: usize| {
        let rows = picture
            .lines()
            .map(|row| row.chars().skip(from).take(to - from).collect::<String>());
        let words: Vec<String> = rows
            .flat_map(|row| {
                row.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        words.join(" ")
    };
    [part(0, 42), part(38, 200), part(0, 200)]
}

#[test]
fn every_question_is_answered_by_its_picture() {
    require("strace", "the ladder");
    let rows = rows();
    assert!(rows.len() >= 32, "{}", rows.len());
    let mut commands: Vec<&str> = rows.iter().map(|row| row.command.as_str()).collect();
    commands.sort_unstable();
    commands.dedup();
    let todo = Mutex::new(commands);
    let pictures = Mutex::new(HashMap::new());
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(command) = todo.lock().unwrap().pop() else {
                        break;
                    };
                    let picture = picture(command);
                    pictures.lock().unwrap().insert(command, picture);
                }
            });
        }
    });
    let pictures = pictures.into_inner().unwrap();
    let mut wrong = String::new();
    for row in &rows {
        let picture = &pictures[row.command.as_str()];
        let sides = words(picture);
        for words in &row.says {
            if !sides.iter().any(|side| side.contains(words.as_str())) {
                let _ = write!(
                    wrong,
                    "{}: not in the picture: {words}\n{picture}\n",
                    row.command
                );
            }
        }
        let explained = run(Command::new(SOCKSTEP).args(["explain", &row.explain]), b"");
        if !explained.status.success() {
            let _ = writeln!(wrong, "no explanation of {}", row.explain);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The questions of `explain`'s own list are those of the table.
#[test]
fn the_tables_questions_are_explains() {
    let rows = rows();
    let listed = run(Command::new(SOCKSTEP).args(["explain", "questions"]), b"");
    let listed = listed.stdout().replace('\n', " ");
    let missing: Vec<&str> = rows
        .iter()
        .take(33)
        .map(|row| row.explain.as_str())
        .filter(|word| !listed.contains(&format!("`{word}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}\n{listed}");
}

// ---- A false remark is worse than no remark ----

/// What of a picture is a remark, if anything.
fn remarked(picture: &str) -> Option<String> {
    let of_side = |words: &String| words.contains("sockstep explain");
    words(picture).into_iter().find(of_side)
}

#[test]
fn no_remark_is_made_on_our_own_programs() {
    require("strace", "the ladder");
    let pairs = ["tcp_echo", "udp_echo", "tcp_upper", "udp_upper", "web"];
    let concurrent = [
        "fork", "thread", "prefork", "pool", "select", "poll", "epoll",
    ];
    let concurrent = concurrent.map(|design| format!("tcp_echo_server_{design}"));
    for name in pairs
        .iter()
        .copied()
        .chain(concurrent.iter().map(String::as_str))
    {
        for language in ["rust", "c"] {
            let picture = picture(&format!("sockstep run {name} --impl {language}"));
            assert!(picture.contains("-->"), "{picture}");
            assert_eq!(remarked(&picture), None, "{name} in {language}");
        }
    }
}

/// The scenarios in which something goes wrong, and the programs are ready for it. What strace writes goes through a script that
/// keeps a copy, since `diff` does not show it.
#[test]
fn no_remark_is_made_on_our_own_scenarios() {
    require("strace", "the scenarios");
    let scratch = scratch("remarks");
    let strace = scratch.join("strace");
    let script = "#!/bin/sh\nwhile [ $# -gt 0 ] && [ \"$1\" != -o ]; do options=\"$options $1\"; shift; done\n\
        output=$2; shift 2\n[ \"$output\" != /dev/null ] && output=\"|tee $KEPT/$$ > $output\"\n\
        PATH=${PATH#*:} exec strace $options -o \"$output\" \"$@\"\n";
    fs::write(&strace, script).unwrap();
    fs::set_permissions(&strace, fs::Permissions::from_mode(0o755)).unwrap();
    for (pair, scenario) in [
        ("tcp_echo", "half-close"),
        ("tcp_echo", "client-resets"),
        ("tcp_echo", "server-breaks-off"),
        ("tcp_echo", "sigterm"),
        ("udp_echo", "stranger"),
        ("udp_echo", "client-leaves"),
        ("udp_echo", "too-long"),
        ("tcp_upper", "server-full"),
    ] {
        let kept = scratch.join(format!("{pair}-{scenario}"));
        fs::create_dir_all(&kept).unwrap();
        let path = format!("{}:{}", scratch.display(), std::env::var("PATH").unwrap());
        let mut diff = Command::new(SOCKSTEP);
        diff.args(["diff", pair, "--scenario", scenario]);
        let outcome = run(diff.env("PATH", path).env("KEPT", &kept), b"");
        assert!(outcome.status.success(), "{outcome:?}");
        let mut entries = 0;
        for file in fs::read_dir(&kept).unwrap() {
            let file = file.unwrap().path();
            entries += 1;
            let outcome = run(Command::new(SOCKSTEP).arg("show").arg(&file), b"");
            assert!(outcome.status.success(), "{outcome:?}");
            let remark = remarked(outcome.stdout());
            // This one's client is asked to send more than a datagram holds.
            let asked = |text: &String| scenario == "too-long" && text.contains("explain EMSGSIZE");
            assert!(
                remark.as_ref().is_none_or(asked),
                "{pair} {scenario}: {remark:?}"
            );
        }
        assert!(entries >= 2, "{pair} {scenario}: {entries} recordings");
    }
}
