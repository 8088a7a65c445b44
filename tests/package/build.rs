//! The build script by itself, in a directory with a probe and two twins of the test's own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::scratch::scratch;

const HOST: &str = "x86_64-unknown-linux-gnu";
/// As `src/abi.c` has its lines.
const PROBE: &str = r#"
struct line { char rust[80]; char numbers[3][12]; char address[16]; };
const struct line lines[] = {
    {.rust = "// What the headers of the target say."},
    {.rust = "pub const size: i64 = ?;", .numbers = {{'0' + sizeof(void *)}}},
    {.rust = "pub const ADDRESS: [u8; 16] = [?];", .address = {1, 2}},
    {.rust = "// That is all."},
};
"#;
const GOOD: &str = "int main(void) { return 0; }\n";
const SLOVENLY: &str = "int main(void) { int unused; return 0; }\n";
const WRONG: &str = "#error this compiler is too old\n";

#[test]
fn it_builds_the_twins_for_the_programs_and_for_the_library_alone_it_does_not() {
    let package = Package::new("alone", GOOD);
    let said = package.builds(&[("CARGO_FEATURE_PROGRAMS", "1")]);
    assert!(said.contains("cargo::rustc-cfg=abi_probe"), "{said}");
    assert!(!said.contains("cargo::warning"), "{said}");
    assert_eq!(package.twins(), ["one", "other"]);

    let package = Package::new("alone", GOOD);
    let said = package.builds(&[]);
    assert!(said.contains("cargo::rustc-cfg=abi_probe"), "{said}");
    assert!(!said.contains("link-arg"), "{said}");
    assert!(package.twins().is_empty());
}

#[test]
fn what_the_headers_of_another_machine_say_is_read_without_running_anything() {
    let package = Package::new("cross", GOOD);
    let said = package.builds(&[
        ("TARGET", "i686-unknown-linux-gnu"),
        ("CC_i686_unknown_linux_gnu", "cc -m32"),
    ]);
    assert!(said.contains("cargo::rustc-cfg=abi_probe"), "{said}");
    let rust = fs::read_to_string(package.out.join("abi.rs")).expect("it says what it read");
    let zeros = ", 0".repeat(14);
    assert_eq!(
        rust,
        format!(
            "// What the headers of the target say.\npub const size: i64 = 4;\n\
             pub const ADDRESS: [u8; 16] = [1, 2{zeros}];\n// That is all.\n"
        )
    );
}

#[test]
fn without_the_other_machines_compiler_it_goes_without_the_headers_and_says_so() {
    let target = ("TARGET", "s390x-unknown-linux-gnu");
    let none = ("CC_s390x_unknown_linux_gnu", "no-s390x-gcc");
    let package = Package::new("no-cross", GOOD);
    let said = package.builds(&[("CARGO_FEATURE_PROGRAMS", "1"), target, none]);
    let warning =
        "cargo::warning=nothing checks the library's types against the C headers of s390x";
    assert!(said.contains(warning), "{said}");
    assert!(said.contains("apt-get install gcc-no-s390x"), "{said}");
    assert!(!said.contains("cargo::rustc-cfg=abi_probe"), "{said}");
    assert!(!package.out.join("abi.rs").exists());
    assert!(package.twins().is_empty());

    let output = package.run(&[target, none, ("SOCKSTEP_STRICT", "1")]);
    assert!(!output.status.success(), "a strict build goes without");
}

#[test]
fn elsewhere_than_on_linux_it_ends_with_one_clear_error() {
    let package = Package::new("elsewhere", GOOD);
    let said = package.builds(&[("CARGO_CFG_TARGET_OS", "macos")]);
    let errors: Vec<_> = said
        .lines()
        .filter_map(|line| line.strip_prefix("cargo::error="))
        .collect();
    assert_eq!(errors.len(), 1, "{said}");
    assert!(errors[0].starts_with("sockstep is for Linux"), "{said}");
}

#[test]
fn what_the_compiler_warns_of_in_a_twin_is_a_warning_and_an_error_where_the_build_is_strict() {
    let package = Package::new("warning", SLOVENLY);
    let said = package.builds(&[("CARGO_FEATURE_PROGRAMS", "1")]);
    assert!(said.contains("cargo::warning=src/bin/other.c"), "{said}");
    assert!(said.contains("unused"), "{said}");
    assert!(!said.contains("cargo::error"), "{said}");
    assert_eq!(package.twins(), ["one", "other"]);

    let said = package.builds(&[("CARGO_FEATURE_PROGRAMS", "1"), ("SOCKSTEP_STRICT", "1")]);
    let error = "cargo::error=src/bin/other.c does not compile";
    assert!(said.contains(error), "{said}");
    assert_eq!(package.twins(), ["one"]);
}

#[test]
fn a_twin_that_does_not_compile_does_not_stop_the_library() {
    let package = Package::new("wrong", WRONG);
    let said = package.builds(&[("CARGO_FEATURE_PROGRAMS", "1")]);
    let warning = "cargo::warning=src/bin/other.c does not compile";
    assert!(said.contains(warning), "{said}");
    assert!(said.contains("this compiler is too old"), "{said}");
    assert!(!said.contains("cargo::error"), "{said}");
    assert!(said.contains("cargo::rustc-cfg=abi_probe"), "{said}");
    assert_eq!(package.twins(), ["one"]);
}

#[test]
fn without_a_compiler_it_says_how_to_get_one() {
    let package = Package::new("none", GOOD);
    let output = package.run(&[("CC", "no-such-compiler")]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{errors}");
    let advice = "no-such-compiler: No such file or directory";
    assert!(errors.contains(advice), "{errors}");
    assert!(errors.contains("apt-get install gcc libc6-dev"), "{errors}");
}

#[test]
fn a_linker_without_scripts_makes_larger_programs_and_the_build_says_so() {
    let package = Package::new("linker", GOOD);
    let said = package.builds(&[
        ("CARGO_FEATURE_PROGRAMS", "1"),
        ("RUSTC_LINKER", "no-such-linker"),
    ]);
    assert!(!said.contains("-Wl,-T,"), "{said}");
    assert!(said.contains("cargo::warning=this linker"), "{said}");
    assert!(said.contains("separate-code"), "{said}");
}

/// What the build script finds, and where it puts what it makes.
struct Package {
    root: PathBuf,
    out: PathBuf,
}

impl Package {
    /// A probe, the twin `one`, which is good, and the twin `other` of this source.
    fn new(name: &str, other: &str) -> Package {
        let root = scratch(Path::new("build").join(name));
        let out = root.join("out");
        fs::create_dir_all(&out).expect("the target directory is writable");
        fs::create_dir_all(root.join("src/bin")).expect("the target directory is writable");
        for (file, text) in [
            ("abi.c", PROBE),
            ("bin/one.c", GOOD),
            ("bin/other.c", other),
        ] {
            fs::write(root.join("src").join(file), text).expect("the target directory is writable");
        }
        Package { root, out }
    }

    /// Runs the script as cargo does for a build on this machine; variables come on top.
    fn run(&self, variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(script());
        command
            .current_dir(&self.root)
            .env_remove("CARGO_FEATURE_PROGRAMS")
            .env_remove("SOCKSTEP_STRICT")
            .env_remove("CC")
            .env("HOST", HOST)
            .env("TARGET", HOST)
            .env("CARGO_CFG_TARGET_OS", "linux")
            .env("RUSTC", rustc())
            .env("OUT_DIR", &self.out)
            .envs(variables.iter().copied());
        command.output().expect("it has just been built")
    }

    /// The same, and it reports no failure of its own. Returns what it tells cargo.
    fn builds(&self, variables: &[(&str, &str)]) -> String {
        let output = self.run(variables);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).expect("cargo reads text")
    }

    fn twins(&self) -> Vec<String> {
        let twins = fs::read_dir(self.out.join("twins")).into_iter().flatten();
        let mut names: Vec<_> = twins
            .map(|twin| twin.expect("it is readable").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// The build script, compiled once.
fn script() -> &'static Path {
    static SCRIPT: OnceLock<PathBuf> = OnceLock::new();
    SCRIPT.get_or_init(|| {
        let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("build-script");
        let output = Command::new(rustc())
            .args(["--edition=2024", "-o"])
            .arg(&script)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/build.rs"))
            .output()
            .expect("rustc is there: it has built this test");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        script
    })
}

fn rustc() -> String {
    env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned())
}
