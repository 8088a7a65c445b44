//! What the types refuse: each program in `refused/` has one line that must not compile, and compiles without it.
//!
//! That line ends in `//~` and the compiler's code for the error, or codes. A line `//~ instead:` is what should have been written.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

#[test]
fn each_program_is_refused_for_the_line_that_is_marked_and_for_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused");
    match fs::remove_dir_all(&scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
    for dir in ["refused", "instead"] {
        fs::create_dir_all(scratch.join(dir)).unwrap();
    }

    // Each program unchanged, and in its correct form.
    let mut manifest = format!(
        "[package]\nname = \"refused\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nsockstep.path = {root:?}\n"
    );
    let mut expected = Vec::new();
    for entry in fs::read_dir(root.join("tests/library/refused")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let marked = text.lines().zip(1..);
        let marked =
            marked.filter_map(|(line, number)| Some((line.split_once("//~ E")?.1, number)));
        let marked: Vec<(&str, u32)> = marked.collect();
        let [(codes, line)] = marked[..] else {
            panic!("{name} has not one marked line, but {marked:?}");
        };
        for code in codes.split(" E") {
            expected.push(format!("refused/{name}.rs:{line}: error[E{code}]"));
        }
        for (dir, text) in [("refused", &text), ("instead", &corrected(&text))] {
            fs::write(scratch.join(dir).join(format!("{name}.rs")), text).unwrap();
            let bin = format!("name = \"{dir}_{name}\"\npath = \"{dir}/{name}.rs\"");
            writeln!(manifest, "[[bin]]\n{bin}").unwrap();
        }
    }
    assert!(!expected.is_empty());
    fs::write(scratch.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), scratch.join("Cargo.lock")).unwrap();

    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "check",
            "--offline",
            "--keep-going",
            "--message-format=short",
        ])
        .args(["--color=never", "--target-dir"])
        .arg(scratch.with_file_name("target"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-Awarnings")
        .current_dir(&scratch)
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    let mut errors: Vec<_> = messages.lines().filter_map(error).collect();
    errors.sort();
    expected.sort();
    assert_eq!(errors, expected, "{messages}");
}

/// The program without the line that is marked, or with what should stand in its place.
fn corrected(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.contains("//~ E"));
    lines
        .map(|line| line.replace("//~ instead: ", "") + "\n")
        .collect()
}

/// `FILE:LINE: error[CODE]` out of `FILE:LINE:COLUMN: error[CODE]: text`.
fn error(message: &str) -> Option<String> {
    let (place, error) = message.split_once(": error")?;
    let (place, _column) = place.rsplit_once(':')?;
    let (code, _text) = error.split_once(':')?;
    Some(format!("{place}: error{code}"))
}
