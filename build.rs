//! Asks the system's C compiler what its headers say, for `src/abi.rs`, and builds the C twins.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The twins are built as strictly as the Rust programs.
const CFLAGS: [&str; 6] = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror"];

fn main() {
    println!("cargo::rerun-if-changed=src/abi.c");
    println!("cargo::rerun-if-env-changed=CC");
    println!("cargo::rustc-check-cfg=cfg(abi_probe)");
    println!("cargo::rustc-link-arg-bins=-Wl,-z,separate-code"); // or `strace -k` cannot walk the stack

    println!("cargo::rustc-env=SOCKSTEP_CFLAGS={}", CFLAGS.join(" ")); // `sockstep` compiles twins too

    if variable("TARGET") != variable("HOST") {
        println!(
            "cargo::warning=cross-compiling: the ABI probe is skipped, and the C twins are not built"
        );
        return;
    }

    let out = PathBuf::from(variable("OUT_DIR"));
    let probe = out.join("abi");
    compile(Path::new("src/abi.c"), &probe);
    let answer = Command::new(&probe).output().expect("the ABI probe runs");
    assert!(
        answer.status.success(),
        "the ABI probe failed: {}",
        answer.status
    );
    fs::write(out.join("abi.rs"), answer.stdout).expect("OUT_DIR is writable");
    println!("cargo::rustc-cfg=abi_probe");

    let twins = out.join("twins");
    fs::create_dir_all(&twins).expect("OUT_DIR is writable");
    for source in c_sources(Path::new("src/bin")) {
        println!("cargo::rerun-if-changed={}", source.display());
        if source.extension().is_some_and(|extension| extension == "c") {
            compile(
                &source,
                &twins.join(source.file_stem().expect("a .c file has a name")),
            );
        }
    }
    println!("cargo::rustc-env=SOCKSTEP_TWINS={}", twins.display());
}

/// The C programs in a directory, and the headers in it and below.
fn c_sources(directory: &Path) -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(directory).expect("src/bin is readable") {
        let path = entry.expect("src/bin is readable").path();
        if path.ends_with("src/bin/sockstep") {
            // what the tool loads into others is no twin
        } else if path.is_dir() {
            sources.extend(c_sources(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "c" || extension == "h")
        {
            sources.push(path);
        }
    }
    sources
}

/// Compiles one C program, or ends the build with the compiler's own words.
fn compile(source: &Path, program: &Path) {
    let cc = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut words = cc.split_whitespace(); // CC="ccache gcc"
    let status = Command::new(words.next().unwrap_or("cc"))
        .args(words)
        .args(CFLAGS)
        .arg("-o")
        .arg(program)
        .arg(source)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => panic!("{cc} did not compile {}", source.display()),
        Err(error) => panic!("{cc}: {error}. On Debian: apt-get install gcc libc6-dev"),
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
