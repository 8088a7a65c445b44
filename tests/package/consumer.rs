//! A program that uses the library without the programs, as a stranger's package does.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const MANIFEST: &str = r#"
[package]
name = "consumer"
version = "0.0.0"
edition = "2024"

[dependencies]
sockstep = { path = "ROOT", default-features = false }

[workspace]
"#;
const SOURCE: &str = "
use sockstep::*;

fn main() -> Result<()> {
    let sock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;
    close(sock)
}
";
/// All that such a program is built from: what nix asks for comes with it.
const COMPILED: [&str; 7] = [
    "bitflags",
    "cfg-if",
    "cfg_aliases",
    "consumer",
    "libc",
    "nix",
    "sockstep",
];

#[test]
fn who_uses_the_library_alone_builds_libc_nix_and_the_probe() {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("consumer");
    let target = package.join("target");
    fs::create_dir_all(package.join("src")).expect("the target directory is writable");
    for (file, text) in [
        ("Cargo.toml", &MANIFEST.replace("ROOT", ROOT)),
        ("src/main.rs", &SOURCE.to_owned()),
    ] {
        fs::write(package.join(file), text).expect("the target directory is writable");
    }
    // The same versions, which are here already: no network is needed.
    fs::copy(
        Path::new(ROOT).join("Cargo.lock"),
        package.join("Cargo.lock"),
    )
    .expect("it is there");

    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--offline",
            "--message-format=json",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(&package)
        .output()
        .expect("cargo is there: it runs this test");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");

    let messages = String::from_utf8(output.stdout).expect("JSON is text");
    let artifacts = messages
        .lines()
        .filter(|message| message.contains(r#""reason":"compiler-artifact""#));
    let compiled: BTreeSet<_> = artifacts.filter_map(package_of).collect();
    assert_eq!(compiled, BTreeSet::from(COMPILED.map(str::to_owned)));

    let out = messages
        .lines()
        .filter(|message| message.contains(r#""reason":"build-script-executed""#))
        .find(|message| message.contains("sockstep"))
        .and_then(|message| field(message, "out_dir"))
        .expect("the library has a build script");
    assert!(
        Path::new(&out).join("abi.rs").exists(),
        "the probe has spoken"
    );
    assert!(!Path::new(&out).join("twins").exists(), "no twin is built");

    let program = Command::new(target.join("debug/consumer")).output();
    let program = program.expect("it has just been built");
    assert!(program.status.success(), "{program:?}");
}

/// The name of the package that an artifact belongs to, from its manifest: `.../NAME-VERSION/Cargo.toml`, or a directory of ours.
fn package_of(message: &str) -> Option<String> {
    let manifest = field(message, "manifest_path")?;
    let directory = Path::new(&manifest).parent()?;
    if directory == Path::new(ROOT) {
        return Some("sockstep".to_owned());
    }
    let directory = directory.file_name()?.to_str()?;
    let version = directory
        .rsplit_once('-')
        .filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
    Some(version.map_or(directory, |(name, _)| name).to_owned())
}

/// A text in a line of JSON; neither a name nor a path of these has a character that is escaped.
fn field(message: &str, name: &str) -> Option<String> {
    let (_, rest) = message.split_once(&format!(r#""{name}":""#))?;
    Some(rest.split_once('"')?.0.to_owned())
}
