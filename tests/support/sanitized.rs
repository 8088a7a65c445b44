//! A C header of ours in a process of its own, under the address and undefined-behaviour sanitizers: a test asks it, and it answers.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use proptest::prelude::ProptestConfig;

/// What each has: numbers of four bytes, and bytes with their number before them.
const HELPERS: &str = r#"
    #define _GNU_SOURCE
    #include "common/common.h"
    static unsigned count(void)
    {
        unsigned n;
        if (fread(&n, 4, 1, stdin) != 1)
            exit(1);
        return n;
    }
    static void say(const void *bytes, unsigned len)
    {
        fwrite(&len, 4, 1, stdout);
        if (len > 0)
            fwrite(bytes, 1, len, stdout);
    }
    static char *bytes(unsigned len) /* in a room of just that size: the sanitizer watches its ends */
    {
        char *room = allocate(len);
        if (len > 0 && fread(room, 1, len, stdin) != len)
            exit(1);
        return room;
    }
"#;

/// A program, compiled when it is first asked.
pub struct Source {
    name: &'static str,
    text: &'static str,
    program: OnceLock<PathBuf>,
}

impl Source {
    pub const fn new(name: &'static str, text: &'static str) -> Source {
        Source {
            name,
            text,
            program: OnceLock::new(),
        }
    }
}

pub struct Sanitized(&'static Source, Mutex<Process>);

struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Sanitized {
    /// Runs a program: its source goes on behind `HELPERS`.
    pub fn start(source: &'static Source) -> Sanitized {
        Sanitized(source, Mutex::new(Process::start(source)))
    }

    pub fn ask<T>(&self, request: &[u8], read: impl FnOnce(&mut Answer) -> T) -> T {
        let mut process = self.1.lock().unwrap_or_else(|failed| {
            self.1.clear_poison(); // it has died, and a smaller case is tried
            let mut process = failed.into_inner();
            *process = Process::start(self.0);
            process
        });
        let written = process.stdin.write_all(request);
        written.expect("the C side reads; if not, the sanitizer's words are above");
        read(&mut Answer(&mut process.stdout))
    }
}

impl Process {
    fn start(source: &Source) -> Process {
        let program = source.program.get_or_init(|| compile(source));
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it has just been made");
        Process {
            stdin: child.stdin.take().expect("it is piped"),
            stdout: child.stdout.take().expect("it is piped"),
            child,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Answer<'a>(&'a mut ChildStdout);

impl Answer<'_> {
    pub fn number(&mut self) -> usize {
        let mut bytes = [0; 4];
        self.0
            .read_exact(&mut bytes)
            .expect("the C side answers; if not, the sanitizer's words are above");
        u32::from_le_bytes(bytes) as usize
    }

    pub fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.number()];
        self.0.read_exact(&mut bytes).expect("as many as it says");
        bytes
    }
}

/// A number as the C side reads it.
pub fn len(len: usize) -> [u8; 4] {
    u32::try_from(len).expect("a test's size").to_le_bytes()
}

fn compile(source: &Source) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(source.name);
    let file = program.with_extension("c");
    fs::write(&file, HELPERS.to_owned() + source.text).expect("the target directory is writable");
    let cc = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let status = Command::new(cc)
        .args([
            "-std=gnu11",
            "-O1",
            "-g",
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
            "-I",
        ])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin"))
        .arg("-o")
        .args([&program, &file])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "install gcc, which brings the sanitizers"
    );
    program
}

/// As many cases of a property as the environment says, or this many.
pub fn cases(number: u32) -> ProptestConfig {
    let asked = env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|n| n.parse().ok()).unwrap_or(number),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
