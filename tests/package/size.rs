//! What is installed: small programs, that nonetheless lead from a system call to the line of the source.

use std::fs;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcp_echo_client");
const MOST: u64 = 1_400_000; // bytes
const MOST_FOR_THE_BENCH: u64 = 6_000_000; // without what leads to lines

#[test]
fn a_program_is_about_a_megabyte() {
    let directory = Path::new(PROGRAM).parent().expect("it has a directory");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    let mut programs = 0;
    for source in fs::read_dir(sources).expect("src/bin is readable") {
        let source = source.expect("src/bin is readable").path();
        if source
            .extension()
            .is_some_and(|extension| extension == "rs")
        {
            let name = source.file_stem().expect("a program has a name");
            is_at_most(&directory.join(name), MOST);
            programs += 1;
        }
    }
    assert!(programs >= 18, "{programs} programs");
    is_at_most(&directory.join("sockstep"), MOST_FOR_THE_BENCH);
}

fn is_at_most(program: &Path, most: u64) {
    let size = fs::metadata(program).expect("it is built").len();
    assert!(size <= most, "{} has {size} bytes", program.display());
}

#[test]
fn strace_and_addr2line_lead_from_a_call_to_its_line() {
    let strace = Command::new("strace")
        .args([
            "-k",
            "-e",
            "trace=socket",
            PROGRAM,
            "127.0.0.1",
            "nobody hears this",
            "9",
        ])
        .output()
        .expect("install strace: this test needs it");
    let trace = String::from_utf8_lossy(&strace.stderr);
    // ` > /path/tcp_echo_client(tcp_echo_client::main+0x150) [0x2b8e0]`
    let frame = trace
        .lines()
        .find(|line| line.contains("(tcp_echo_client::"));
    let frame = frame.unwrap_or_else(|| panic!("no frame of the program: {trace}"));
    let address = frame
        .rsplit_once("[0x")
        .and_then(|(_, rest)| rest.strip_suffix(']'));
    let address = address.unwrap_or_else(|| panic!("no address: {frame}"));
    // It is where the call returns to: the byte before it belongs to the call.
    let address = u64::from_str_radix(address, 16).expect("it is hexadecimal") - 1;

    let addr2line = Command::new("addr2line")
        .args(["--inlines", "-e", PROGRAM, &format!("{address:#x}")])
        .output()
        .expect("install binutils: this test needs addr2line");
    let places = String::from_utf8_lossy(&addr2line.stdout);
    let line = places
        .lines()
        .find_map(|place| place.split_once("src/bin/tcp_echo_client.rs:"));
    let (_, line) = line.unwrap_or_else(|| panic!("not a line of the program: {places}"));
    let line: usize = line
        .split(' ')
        .next()
        .and_then(|line| line.parse().ok())
        .expect("a number");
    let source = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/bin/tcp_echo_client.rs"
    ));
    let source = source.expect("the program is readable");
    let line = source.lines().nth(line - 1).expect("the file has the line");
    assert!(line.contains("socket("), "{places} is: {line}");
}
