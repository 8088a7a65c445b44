//! What students ask: each row of the notes' table is run, and its picture must say what the table quotes.

use std::collections::HashMap;
use std::fmt::Write; // into memory, which does not fail
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::{fs, thread};

use crate::support::{require, run};

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
    run(&mut run_it, b"").stdout().to_owned()
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
