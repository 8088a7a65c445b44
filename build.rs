//! Asks the target's C compiler what its headers say, for `src/abi.rs`; with the feature `programs` it also builds the C twins.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The twins are built as strictly as the Rust programs.
const CFLAGS: [&str; 5] = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra"];

/// For the linker: leaves out the standard library's debug information, which is most of a program's size.
const LINES_OF_OUR_OWN: &str = "SECTIONS { /DISCARD/ : { */rustlib/*.rlib:*(.debug_abbrev .debug_addr .debug_aranges \
     .debug_frame .debug_info .debug_line .debug_line_str .debug_loc .debug_loclists .debug_ranges .debug_rnglists \
     .debug_str .debug_str_offsets) } } INSERT AFTER .comment;\n";

/// A line of `src/abi.c`: its text, its numbers, the bytes of an address.
const RUST: usize = 80;
const NUMBERS: usize = 3 * NUMBER;
const NUMBER: usize = 12;
const ADDRESS: usize = 16;
const FIRST: &str = "// What the headers of the target say.";
const LAST: &str = "// That is all.";

fn main() {
    println!("cargo::rerun-if-changed=src/abi.c");
    println!("cargo::rustc-check-cfg=cfg(abi_probe)");
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        println!(
            "cargo::error=sockstep is for Linux: the calls, their constants and strace are Linux's"
        );
        return;
    }

    let out = PathBuf::from(variable("OUT_DIR"));
    let cc = compiler();
    let asked = probe(&cc, &out);
    if env::var_os("CARGO_FEATURE_PROGRAMS").is_some() {
        println!("cargo::rustc-env=SOCKSTEP_CFLAGS={}", CFLAGS.join(" ")); // `sockstep` compiles twins too
        arrange_linking(&out);
        if asked {
            build_twins(&cc, &out.join("twins"));
        }
    }
}

/// The C compiler of the target: on this machine `CC`, for another one `CC_` and its name; else the linker that cargo is told to
/// use, or what Debian calls it.
fn compiler() -> String {
    let target = variable("TARGET");
    let native = target == variable("HOST");
    let name = if native {
        "CC".to_owned()
    } else {
        format!("CC_{}", target.replace('-', "_"))
    };
    println!("cargo::rerun-if-env-changed={name}");
    if let Ok(cc) = env::var(&name) {
        cc
    } else if native {
        "cc".to_owned()
    } else if let Ok(linker) = env::var("RUSTC_LINKER") {
        linker
    } else {
        let target = target.replace("-unknown-", "-");
        format!("{}-gcc", target.replace("armv7-", "arm-"))
    }
}

/// Writes what the headers say where `src/abi.rs` finds it. Returns whether it did: for another machine the compiler may be
/// missing, and the library can do without.
fn probe(cc: &str, out: &Path) -> bool {
    let object = out.join("abi.o");
    if let Err(words) = compile(cc, Path::new("src/abi.c"), &object, &["-c", "-fno-lto"]) {
        let strict = env::var_os("SOCKSTEP_STRICT").is_some();
        assert!(
            variable("TARGET") != variable("HOST") && !strict,
            "src/abi.c does not compile\n{words}"
        );
        println!(
            "cargo::warning=nothing checks the library's types against the C headers of {}",
            variable("TARGET")
        );
        for line in words.lines() {
            println!("cargo::warning={line}");
        }
        return false;
    }
    let object = fs::read(object).expect("it has just been written");
    fs::write(out.join("abi.rs"), lines(&object)).expect("OUT_DIR is writable");
    println!("cargo::rustc-cfg=abi_probe");
    true
}

/// The lines of `src/abi.c`, out of the object file that was made of it.
fn lines(object: &[u8]) -> String {
    let begin = object
        .windows(FIRST.len())
        .position(|bytes| bytes == FIRST.as_bytes());
    let begin = begin.expect("the object file of src/abi.c has its lines");
    let mut text = String::new();
    for line in object[begin..].chunks_exact(RUST + NUMBERS + ADDRESS) {
        let (text_of_it, values) = line.split_at(RUST);
        let (numbers, address) = values.split_at(NUMBERS);
        let mut rust = words(text_of_it).replace("[?]", &format!("{address:?}"));
        for number in numbers.chunks_exact(NUMBER) {
            rust = rust.replacen('?', &words(number), 1);
        }
        text += &rust;
        text.push('\n');
        if rust == LAST {
            return text;
        }
    }
    panic!("the object file of src/abi.c ends amid its lines");
}

/// C's string in a field of fixed size.
fn words(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0);
    String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]).into_owned()
}

/// Builds the twins. The compiler's complaints are warnings, unless SOCKSTEP_STRICT is set: a user's compiler may be newer
/// than ours.
fn build_twins(cc: &str, twins: &Path) {
    println!("cargo::rustc-env=SOCKSTEP_TWINS={}", twins.display());
    println!("cargo::rerun-if-env-changed=SOCKSTEP_STRICT");
    let strict = env::var_os("SOCKSTEP_STRICT").is_some();
    let options: &[&str] = if strict { &["-Werror"] } else { &[] };

    let _ = fs::remove_dir_all(twins); // an old twin must not stay if its source no longer compiles
    fs::create_dir_all(twins).expect("OUT_DIR is writable");
    for source in c_sources(Path::new("src/bin")) {
        println!("cargo::rerun-if-changed={}", source.display());
        if source.extension().is_none_or(|extension| extension != "c") {
            continue;
        }
        let program = twins.join(source.file_stem().expect("a .c file has a name"));
        let words = compile(cc, &source, &program, options);
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
            // a library that the tool loads into programs is not a twin
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

/// Compiles one C file. Returns the compiler's messages, as an error if it made no program.
fn compile(cc: &str, source: &Path, program: &Path, options: &[&str]) -> Result<String, String> {
    let mut words = cc.split_whitespace(); // CC="ccache gcc"
    let output = Command::new(words.next().unwrap_or("cc"))
        .args(words)
        .args(CFLAGS)
        .args(options)
        .arg("-o")
        .args([program, source])
        .output()
        .map_err(|error| format!("{cc}: {error}. On Debian: apt-get install {}", package(cc)))?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(words)
    } else {
        Err(words)
    }
}

/// The Debian packages of a compiler.
fn package(cc: &str) -> String {
    match cc.strip_suffix("-gcc") {
        Some("x86_64-linux-musl") => "musl-tools".to_owned(),
        Some(target) => format!("gcc-{}", target.replace('_', "-")),
        None => "gcc libc6-dev".to_owned(),
    }
}

/// Tells the linker how the programs are laid out.
fn arrange_linking(out: &Path) {
    println!("cargo::rustc-link-arg-bins=-Wl,-z,separate-code"); // or `strace -k` cannot walk the stack
    // Line tables are for the programs alone: they would double the size of the tool that traces them.
    println!("cargo::rustc-link-arg-bin=sockstep=-Wl,--strip-all");
    // The loader would map libgcc_s.so.1, to unwind a panic: nine calls of each start.
    let gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if gnu && links(out, &["-l:libgcc_eh.a".to_owned()]) {
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
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

/// Whether the linker that will be used takes these arguments. Some do not.
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
