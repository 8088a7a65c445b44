//! Asks the system's C compiler what its headers say, for `src/abi.rs`; with the feature `programs` it also builds the C twins.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The twins are built as strictly as the Rust programs.
const CFLAGS: [&str; 5] = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra"];

/// For the linker: of the debug information, what the standard library brings stays out. It is most of a program.
const LINES_OF_OUR_OWN: &str = "SECTIONS { /DISCARD/ : { */rustlib/*.rlib:*(.debug_abbrev .debug_addr .debug_aranges \
     .debug_frame .debug_info .debug_line .debug_line_str .debug_loc .debug_loclists .debug_ranges .debug_rnglists \
     .debug_str .debug_str_offsets) } } INSERT AFTER .comment;\n";

fn main() {
    println!("cargo::rerun-if-changed=src/abi.c");
    println!("cargo::rerun-if-env-changed=CC");
    println!("cargo::rustc-check-cfg=cfg(abi_probe)");
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        println!(
            "cargo::error=sockstep is for Linux: the calls, their constants and strace are Linux's"
        );
        return;
    }

    let out = PathBuf::from(variable("OUT_DIR"));
    let native = variable("TARGET") == variable("HOST");
    if native {
        probe(&out);
    } else {
        println!(
            "cargo::warning=cross-compiling: nothing checks the library's types against the target's C headers"
        );
    }
    if env::var_os("CARGO_FEATURE_PROGRAMS").is_some() {
        println!("cargo::rustc-env=SOCKSTEP_CFLAGS={}", CFLAGS.join(" ")); // `sockstep` compiles twins too
        arrange_linking(&out);
        if native {
            build_twins(&out.join("twins"));
        }
    }
}

/// Writes what the headers say where `src/abi.rs` finds it.
fn probe(out: &Path) {
    let program = out.join("abi");
    if let Err(words) = compile(Path::new("src/abi.c"), &program, &[]) {
        panic!("src/abi.c does not compile\n{words}");
    }
    let answer = Command::new(&program).output().expect("the ABI probe runs");
    assert!(
        answer.status.success(),
        "the ABI probe failed: {}",
        answer.status
    );
    fs::write(out.join("abi.rs"), answer.stdout).expect("OUT_DIR is writable");
    println!("cargo::rustc-cfg=abi_probe");
}

/// Builds the twins. What the compiler has against one is a warning, unless SOCKSTEP_STRICT is set: a user's compiler may be
/// newer than ours.
fn build_twins(twins: &Path) {
    println!("cargo::rustc-env=SOCKSTEP_TWINS={}", twins.display());
    println!("cargo::rerun-if-env-changed=SOCKSTEP_STRICT");
    let strict = env::var_os("SOCKSTEP_STRICT").is_some();
    let options: &[&str] = if strict { &["-Werror"] } else { &[] };

    let _ = fs::remove_dir_all(twins); // one that no longer compiles is not to be there
    fs::create_dir_all(twins).expect("OUT_DIR is writable");
    for source in c_sources(Path::new("src/bin")) {
        println!("cargo::rerun-if-changed={}", source.display());
        if source.extension().is_none_or(|extension| extension != "c") {
            continue;
        }
        let program = twins.join(source.file_stem().expect("a .c file has a name"));
        let words = compile(&source, &program, options);
        if words.is_err() {
            let what = format!("{} does not compile", source.display());
            println!("cargo::{}={what}", if strict { "error" } else { "warning" });
        }
        for line in words.unwrap_or_else(|words| words).lines() {
            println!("cargo::warning={line}");
        }
    }
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

/// Compiles one C program. Returns the compiler's words, which are an error if there is no program.
fn compile(source: &Path, program: &Path, options: &[&str]) -> Result<String, String> {
    let cc = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut words = cc.split_whitespace(); // CC="ccache gcc"
    let output = Command::new(words.next().unwrap_or("cc"))
        .args(words)
        .args(CFLAGS)
        .args(options)
        .arg("-o")
        .args([program, source])
        .output()
        .map_err(|error| format!("{cc}: {error}. On Debian: apt-get install gcc libc6-dev"))?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(words)
    } else {
        Err(words)
    }
}

/// Tells the linker how the programs are laid out.
fn arrange_linking(out: &Path) {
    println!("cargo::rustc-link-arg-bins=-Wl,-z,separate-code"); // or `strace -k` cannot walk the stack
    let script = out.join("lines-of-our-own.ld");
    fs::write(&script, LINES_OF_OUR_OWN).expect("OUT_DIR is writable");
    let smaller = [
        "-Wl,--compress-debug-sections=zlib".to_owned(),
        format!("-Wl,-T,{}", script.display()),
    ];
    if links(out, &smaller) {
        for argument in smaller {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    } else {
        println!(
            "cargo::warning=this linker takes no script that leaves out sections: each program is some megabytes larger"
        );
    }
}

/// Whether the linker that will be used takes these arguments: not each one does.
fn links(out: &Path, arguments: &[String]) -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args(["-", "--crate-name=links", "--target", &variable("TARGET")])
        .arg("-o")
        .arg(out.join("links"));
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    for argument in arguments {
        rustc.arg(format!("-Clink-arg={argument}"));
    }
    let child = rustc
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.is_ok_and(|mut child| {
        let source = child
            .stdin
            .take()
            .map(|mut stdin| stdin.write_all(b"fn main() {}"));
        source.is_some_and(|written| written.is_ok())
            && child.wait().is_ok_and(|status| status.success())
    })
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
