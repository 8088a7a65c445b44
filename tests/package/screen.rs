//! A page is projected on a screen of 100 columns and 50 lines, and a class is to see calls on it.

use std::fs;
use std::path::Path;

const BIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin");

/// The programs whose pages have all steps; those of the concurrent servers share the first three.
const WHOLE: [&str; 8] = [
    "tcp_echo_client",
    "tcp_echo_server",
    "tcp_upper_client",
    "tcp_upper_server",
    "udp_echo_client",
    "udp_echo_server",
    "udp_upper_client",
    "udp_upper_server",
];

fn page(name: &str) -> String {
    let path = Path::new(BIN).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The number of the first line that has this text, beside the `#include` whose comment names it.
fn line_of(page: &str, text: &str) -> usize {
    let place = page
        .lines()
        .position(|line| line.contains(text) && !line.starts_with("#include"));
    place.unwrap_or_else(|| panic!("no line has {text}")) + 1
}

#[test]
fn no_line_of_a_page_is_longer_than_100_columns() {
    let mut long = Vec::new();
    for folder in ["", "common", "web"] {
        let folder = Path::new(BIN).join(folder);
        for entry in fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("it is readable").path();
            if path.is_dir() {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a page is text");
            let lines = text.lines().zip(1..);
            long.extend(
                lines
                    .filter(|(line, _)| line.chars().count() > 100)
                    .map(|(_, number)| format!("{}:{number}", path.display())),
            );
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_first_call_of_a_program_is_on_its_first_screen() {
    for name in WHOLE {
        let rust = line_of(&page(&format!("{name}.rs")), " socket(");
        let c = line_of(&page(&format!("{name}.c")), " socket(");
        assert!(rust <= 26 && c <= 40, "{name}: line {rust}, in C {c}");
    }
}

#[test]
fn the_steps_of_tcp_echo_server_fit_on_one_screen() {
    for (name, first, last) in [
        ("tcp_echo_server.rs", "// 1. ", "// c. "),
        ("tcp_echo_server.c", "/* 1. ", "/* c. "),
    ] {
        let page = page(name);
        let lines = line_of(&page, last) + 3 - line_of(&page, first);
        assert!(lines <= 50, "{name}: {lines} lines");
    }
}
