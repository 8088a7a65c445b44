//! The build compares the library's types and constants with this machine's headers, all of them, and stops at a difference.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use crate::scratch::scratch;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One mistake in the library, and what the build says to it.
struct Mistake {
    file: &'static str,
    /// What the library has, and what it has by mistake.
    changes: &'static [(&'static str, &'static str)],
    message: &'static str,
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        file: "src/netinet.rs",
        changes: &[
            ("pub sin_port: Net16", "pub sin_port: Net32"),
            ("sin_port: Net16(0)", "sin_port: Net32(0)"),
            ("ntohs(self.sin_port)", "ntohl(self.sin_port)"),
        ],
        message: "sockaddr_in.sin_port: the header has another offset", // 4 bytes begin at 4, not at 2
    },
    Mistake {
        file: "src/socket/flag.rs",
        changes: &[
            ("from_raw(number: u16)", "from_raw(number: i16)"),
            ("as_raw(self) -> u16", "as_raw(self) -> i16"),
            (
                "AddressFamily(pub(crate) u16)",
                "AddressFamily(pub(crate) i16)",
            ),
            ("(domain: c_int) -> u16", "(domain: c_int) -> i16"),
            ("domain as u16", "domain as i16"),
        ],
        message: "sockaddr_in.sin_family: the header has another sign",
    },
    Mistake {
        file: "src/netinet.rs",
        changes: &[
            ("    pub sin_addr: in_addr,\n", ""),
            (
                "pub sin_port: Net16,",
                "pub sin_addr: in_addr,\n    /// After it.\n    pub sin_port: Net16,",
            ),
        ],
        message: "sockaddr_in.sin_port: the header has another offset",
    },
    Mistake {
        file: "src/netinet.rs",
        changes: &[
            ("pub sin_zero: [u8; 8]", "pub sin_zero: [u8; 4]"),
            ("sin_zero: [0; 8]", "sin_zero: [0; 4]"),
        ],
        message: "sockaddr_in: the header has another size",
    },
    Mistake {
        file: "src/netinet.rs",
        changes: &[("#[repr(C, align(4))]", "#[repr(C)]")],
        message: "in6_addr: the header has another alignment",
    },
    Mistake {
        file: "src/netinet.rs",
        changes: &[
            ("pub sin6_flowinfo: Net32", "pub sin6_flowinfo: Net16"),
            ("sin6_flowinfo: Net32(0)", "sin6_flowinfo: Net16(0)"),
            ("ntohl(self.sin6_flowinfo)", "ntohs(self.sin6_flowinfo)"),
        ],
        message: "sockaddr_in6.sin6_flowinfo: the header has another size",
    },
    Mistake {
        file: "src/netinet.rs",
        changes: &[("0, 0, 0, 0, 0, 1],", "0, 0, 0, 0, 1, 0],")],
        message: "IN6ADDR_LOOPBACK_INIT: the header has another value",
    },
    Mistake {
        file: "src/socket/addr.rs",
        changes: &[("[u8; 126]", "[u8; 118]"), ("[0; 126]", "[0; 118]")],
        message: "sockaddr_storage: the header has another size",
    },
    Mistake {
        file: "src/error.rs",
        changes: &[("Eai(libc::EAI_AGAIN)", "Eai(libc::EAI_FAIL)")],
        message: "EAI_AGAIN: the header has another value",
    },
    Mistake {
        file: "src/socket/option.rs",
        changes: &[("pub tv_usec: c_long", "pub tv_usec: i32")],
        message: "timeval.tv_usec: the header has another size",
    },
    Mistake {
        file: "src/socket/option.rs",
        changes: &[("pub l_linger: c_int", "pub l_linger: u32")],
        message: "linger.l_linger: the header has another sign",
    },
    Mistake {
        file: "src/socket/option.rs",
        changes: &[("new(libc::SO_REUSEADDR)", "new(libc::SO_KEEPALIVE)")],
        message: "SO_REUSEADDR: the header has another value",
    },
];

#[test]
fn a_type_or_a_constant_that_is_not_the_headers_stops_the_build_by_name() {
    let copy = copy_of_the_library("abi");
    let output = check(&copy);
    assert!(
        output.status.success(),
        "without a mistake: {}",
        errors(&output)
    );

    for Mistake {
        file,
        changes,
        message,
    } in MISTAKES
    {
        let path = copy.join(file);
        let right = fs::read_to_string(&path).unwrap();
        let wrong = changes.iter().fold(right.clone(), |text, (from, to)| {
            assert!(text.contains(from), "{file} has no {from:?}");
            text.replace(from, to)
        });
        fs::write(&path, wrong).unwrap();
        let output = check(&copy);
        fs::write(&path, right).unwrap();
        let errors = errors(&output);
        assert!(!output.status.success(), "it was built without {message:?}");
        assert!(errors.contains(message), "not {message:?}, but {errors}");
    }
}

#[test]
fn every_public_constant_and_every_c_type_is_compared() {
    let [probe, asserts] = ["src/abi.c", "src/abi.rs"].map(source);
    let (mut constants, mut types) = (0, 0);
    let modules = sources_of_the_library();
    let modules = modules.iter().filter(|path| {
        let name = path.file_stem().unwrap();
        !["abi", "flags", "lib"].map(OsStr::new).contains(&name)
    });
    for file in modules {
        let text = source(file);
        for flag in text.split("\nflags! {").skip(1).flat_map(flags_of) {
            assert!(
                has(&probe, &format!("CONSTANT({flag})")),
                "src/abi.c lacks {flag}"
            );
            assert!(has(&asserts, flag), "src/abi.rs lacks {flag}");
            constants += 1;
        }
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if let Some(constant) = line
                .strip_prefix("pub const ")
                .filter(|it| !it.starts_with("fn ") && !it.starts_with("unsafe fn "))
                .filter(|it| !it.starts_with("NUMBER:"))
            {
                let name = constant.split(':').next().unwrap();
                let asked = ["CONSTANT", "ADDRESS"].map(|macro_| format!("{macro_}({name})"));
                assert!(
                    asked.iter().any(|line| has(&probe, line)),
                    "src/abi.c lacks {name}"
                );
                assert!(has(&asserts, name), "src/abi.rs lacks {name}");
                constants += 1;
            }
            if line == "#[repr(transparent)]" {
                let ours = struct_name(&mut lines);
                let theirs = asserts
                    .lines()
                    .find(|line| has(line, &format!("is crate::{ours}")));
                let theirs = theirs.unwrap_or_else(|| panic!("src/abi.rs lacks {ours}"));
                let (theirs, _) = theirs
                    .trim_start_matches("scalar!(")
                    .split_once(' ')
                    .unwrap();
                assert!(
                    has(&probe, &format!("SCALAR({theirs})")),
                    "src/abi.c lacks {theirs}"
                );
                types += 1;
            }
            if line.starts_with("#[repr(C") && !line.contains("// ours") {
                let name = struct_name(&mut lines);
                assert!(
                    has(&probe, &format!("STRUCT({name})")),
                    "src/abi.c lacks {name}"
                );
                assert!(
                    has(&asserts, &format!("structure!({name} ")),
                    "src/abi.rs lacks {name}"
                );
                let fields = lines.by_ref().take_while(|line| *line != "}");
                for field in fields.filter_map(|line| line.strip_prefix("pub ")) {
                    let field = field.split(':').next().unwrap();
                    let both = format!("({name}, {field}");
                    assert!(has(&probe, &both), "src/abi.c lacks {name}.{field}");
                    assert!(
                        has(&asserts, &format!("{field} =")),
                        "src/abi.rs lacks {name}.{field}"
                    );
                }
                types += 1;
            }
        }
    }
    assert!(
        constants > 50 && types > 5,
        "only {constants} constants and {types} types were found"
    );
}

/// The names of the flags in what follows `flags! {`.
fn flags_of(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    let lines = lines.take_while(|line| *line != "}");
    lines.filter(|line| {
        let mut chars = line.chars();
        chars.next().is_some_and(char::is_uppercase)
            && chars.all(|c| c.is_uppercase() || c.is_numeric() || c == '_')
    })
}

/// The name of the structure that these lines go on to define.
fn struct_name<'a>(lines: &mut impl Iterator<Item = &'a str>) -> &'a str {
    let name = lines.find_map(|line| line.strip_prefix("pub struct "));
    name.unwrap().split([' ', '(', '<']).next().unwrap()
}

/// Whether a text has these words as they are, not as a part of longer ones.
fn has(text: &str, words: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(words).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + words.len()..]);
        let cut_before = before.ends_with(word) && words.starts_with(word);
        let cut_after = after.starts_with(word) && words.ends_with(word);
        !cut_before && !cut_after
    })
}

/// The package without its programs and its tests, in a directory of its own.
fn copy_of_the_library(name: &str) -> PathBuf {
    let copy = scratch(name);
    let manifest = source("Cargo.toml");
    let (_programs, package) = manifest.split_at(manifest.find("[package]").unwrap());
    let manifest = package.replace("default-run = \"sockstep\"\n", "") + "[workspace]\n";
    fs::create_dir_all(&copy).unwrap();
    fs::write(copy.join("Cargo.toml"), manifest).unwrap();
    fs::create_dir_all(copy.join("src/socket")).unwrap();
    let mut sources = sources_of_the_library();
    sources.push("src/abi.c".into());
    for file in sources
        .into_iter()
        .chain(["Cargo.lock".into(), "build.rs".into()])
    {
        fs::copy(Path::new(ROOT).join(&file), copy.join(&file)).unwrap();
    }
    copy
}

/// The library's modules, in `src` and in its folders, without those of the programs.
fn sources_of_the_library() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in ["src", "src/socket"] {
        for entry in fs::read_dir(Path::new(ROOT).join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension() == Some(OsStr::new("rs")) {
                found.push(path.strip_prefix(ROOT).unwrap().to_owned());
            }
        }
    }
    found
}

/// `cargo check --lib`, with warnings out of the way.
fn check(package: &Path) -> Output {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo);
    cargo.args([
        "check",
        "--lib",
        "--no-default-features",
        "--offline",
        "--color=never",
        "--target-dir",
    ]);
    cargo.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("target"));
    cargo
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-Awarnings");
    cargo.current_dir(package).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn source(file: impl AsRef<Path>) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// `use crate::other` makes an edge. A reader who starts at the bottom never meets what has not been explained.
#[test]
fn the_modules_form_no_cycle() {
    let mut edges = Vec::new();
    for file in sources_of_the_library() {
        let Ok(path) = file.strip_prefix("src") else {
            continue;
        };
        let module = path.components().next().unwrap().as_os_str();
        let module = Path::new(module).file_stem().unwrap().to_str().unwrap();
        let text = source(&file);
        for target in text.split("use crate::").skip(1) {
            let target = target.split([':', ';', ' ']).next().unwrap();
            if target != module && !["lib", "abi"].contains(&module) {
                edges.push((module.to_owned(), target.to_owned()));
            }
        }
    }
    assert!(edges.len() > 10, "{edges:?}");
    // A module that edges none of those that are left is at the bottom. In a cycle there is no bottom.
    while !edges.is_empty() {
        let before = edges.len();
        let sources: Vec<String> = edges.iter().map(|(module, _)| module.clone()).collect();
        edges.retain(|(_, target)| sources.contains(target));
        assert!(edges.len() < before, "a cycle: {edges:?}");
    }
}
