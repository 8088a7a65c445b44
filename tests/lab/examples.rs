//! Programs in the manner of the textbooks' examples, in `tests/examples`: each with the library and in C, with equal traces.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use crate::support::{listener, require};

const ECHO: &str = "tcp_echo_client 127.0.0.1 hello PORT";
const DATAGRAM: &str = "udp_echo_client 127.0.0.1 hello PORT";
const READ: &str = "C/reader PORT";
const SAY: &str = "C/reader PORT hello";

/// Each server, and the client that both of its languages are asked by.
const SERVERS: &[(&str, &str)] = &[
    ("greeter", READ),
    ("who_am_i", READ),
    ("passive", READ),
    ("options", READ),
    ("sequence", SAY),
    ("echo_iterative", ECHO),
    ("echo_poll", ECHO),
    ("echo_select", ECHO),
    ("echo_epoll", ECHO),
    ("echo_thread", ECHO),
    ("pass_descriptor", ECHO),
    ("accept4_poll", ECHO),
    ("gather", ECHO),
    ("urgent", ECHO),
    ("patience", ECHO),
    ("udp_echo", DATAGRAM),
    ("udp_from_asked", DATAGRAM),
    ("udp_capitals", DATAGRAM),
    ("udp_connected", DATAGRAM),
    ("udp_batch", DATAGRAM),
    ("group", DATAGRAM),
];

#[test]
fn each_example_makes_the_same_calls_with_the_library_as_in_c() {
    require("strace", "the comparison of the examples");
    let (rust, c) = built();
    let mut wrong = String::new();
    for (server, client) in SERVERS {
        let port = listener().1.to_string();
        let client = client
            .replace("PORT", &port)
            .replace("C/", &format!("{}/", c.display()));
        let servers = [&rust, &c].map(|dir| format!("{} {port}", dir.join(server).display()));
        let args = [
            "--server",
            &servers[0],
            "--server",
            &servers[1],
            "--client",
            &client,
        ];
        note(&mut wrong, server, &diff(&args));
    }
    // The one client of them.
    let port = listener().1.to_string();
    let server = format!("{} {port}", c.join("greeter").display());
    let clients = [&rust, &c].map(|dir| format!("{} {port}", dir.join("reader").display()));
    let args = [
        "--server",
        &server,
        "--client",
        &clients[0],
        "--client",
        &clients[1],
    ];
    note(&mut wrong, "reader", &diff(&args));
    assert!(wrong.is_empty(), "{wrong}");
}

fn diff(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockstep"));
    command.arg("diff").args(args).output().unwrap()
}

fn note(wrong: &mut String, name: &str, output: &Output) {
    if !output.status.success() {
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        writeln!(wrong, "---- {name}: {}\n{out}{err}", output.status).unwrap();
    }
}

/// The directories of the Rust and of the C programs.
fn built() -> (PathBuf, PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
    let c = scratch.join("c");
    fs::create_dir_all(&c).unwrap();
    let mut manifest = format!(
        "[package]\nname = \"examples\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nsockstep.path = \"{}\"\n",
        root.display()
    );
    for (name, _) in SERVERS.iter().chain(&[("reader", "")]) {
        let source = root.join("tests/examples").join(name);
        let path = source.with_extension("rs");
        writeln!(
            manifest,
            "[[bin]]\nname = \"{name}\"\npath = \"{}\"",
            path.display()
        )
        .unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]);
        let output = cc
            .arg(c.join(name))
            .arg(source.with_extension("c"))
            .output();
        let output = output.unwrap_or_else(|error| panic!("cc: {error}: install gcc"));
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::write(scratch.join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), scratch.join("Cargo.lock")).unwrap();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = scratch.with_file_name("examples-target");
    let output = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--offline",
            "--color=never",
            "--target-dir",
        ])
        .arg(&target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-Dwarnings")
        .current_dir(&scratch)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (target.join("release"), c)
}

/// What is in the folder is what is run.
#[test]
fn every_example_is_in_the_list_in_both_languages() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    let mut found: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort_unstable();
    let names = SERVERS.iter().map(|(name, _)| *name).chain(["reader"]);
    let mut expected: Vec<String> = names
        .flat_map(|name| [format!("{name}.c"), format!("{name}.rs")])
        .chain(["example.h", "example.rs"].map(str::to_owned))
        .collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
