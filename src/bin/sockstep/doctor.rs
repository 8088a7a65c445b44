//! `sockstep doctor`: what this machine has of what the tool needs, and what to do about the rest.

use std::fmt::Write;
use std::fs;
use std::process::{Command, ExitCode};

use clap::ValueEnum;
use sockstep::{
    AF_INET, INADDR_LOOPBACK, IPPROTO_TCP, PF_INET, SOCK_STREAM, bind, htonl, sockaddr_in, socket,
};

use crate::common::print;
use crate::pairs::Pair;
use crate::programs::{Implementation, Programs};
use crate::trace;

/// Look whether this machine has what the tool needs
///
/// Exit status: 0 if it has, 1 if something is lacking, 2 if an argument is bad.
#[derive(clap::Args)]
pub struct Args {}

pub fn doctor(_: &Args) -> ExitCode {
    let findings = [
        ("strace", strace()),
        (
            "ptrace",
            trace::available().map(|()| "strace may trace programs".to_owned()),
        ),
        ("C compiler", compiler()),
        (
            "programs",
            programs(Implementation::Rust, "beside this one"),
        ),
        ("C twins", programs(Implementation::C, "compile")),
        ("ports", ports()),
        ("source lines", source_lines()),
    ];
    let mut report = String::new();
    for (what, finding) in &findings {
        let (mark, words) = match finding {
            Ok(words) => ("ok", words),
            Err(words) => ("--", words),
        };
        let _ = writeln!(report, "{mark}  {what:<13}{words}");
    }
    print(report.as_bytes());
    if findings.iter().all(|(_, finding)| finding.is_ok()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The first line that a command prints of its version.
fn version(program: &str, argument: &str, package: &str) -> Result<String, String> {
    let missing = |_| format!("{program} is not installed: apt-get install {package}");
    let output = Command::new(program)
        .arg(argument)
        .output()
        .map_err(missing)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .next()
        .map(str::to_owned)
        .ok_or(format!("{program} {argument} says nothing"))
}

/// strace, from the oldest version that is known to work on.
fn strace() -> Result<String, String> {
    let words = version("strace", "-V", "strace")?;
    let number = words.rsplit(' ').next().unwrap_or_default();
    let mut parts = number
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < (6, 1) {
        return Err(format!(
            "version {number} is older than 6.1, the oldest that is known to work"
        ));
    }
    Ok(format!("version {number}"))
}

fn compiler() -> Result<String, String> {
    let cc = std::env::var("CC").unwrap_or("cc".to_owned());
    version(&cc, "--version", "gcc libc6-dev")
}

fn programs(implementation: Implementation, how: &str) -> Result<String, String> {
    let wanted: Vec<_> = Pair::value_variants()
        .iter()
        .flat_map(|pair| [pair.server(), pair.client()])
        .collect();
    let wanted: Vec<_> = wanted
        .into_iter()
        .map(|name| (name, implementation))
        .collect();
    Programs::find(&wanted).map(|found| format!("{} {how}", found.paths.len()))
}

/// A port of 127.0.0.1 can be had; which ports are whose.
fn ports() -> Result<String, String> {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)
        .and_then(|sock| bind(&sock, &addr))
        .map_err(|error| format!("no port of 127.0.0.1 is to be had: {error}"))?;
    let setting =
        |name| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
    let (lowest, range) = (
        setting("ip_unprivileged_port_start"),
        setting("ip_local_port_range"),
    );
    let range: Vec<&str> = range.split_whitespace().collect();
    Ok(format!(
        "anyone may bind from {} on; the kernel gives {} itself",
        lowest.trim(),
        range.join(" to ")
    ))
}

/// Whether this build tells debuggers and `strace -k` which source line a call is on.
fn source_lines() -> Result<String, String> {
    let this = std::env::current_exe()
        .and_then(fs::read)
        .map_err(|error| error.to_string())?;
    let section = b".debug_line";
    if this.windows(section.len()).any(|window| window == section) {
        Ok("this build has them".to_owned())
    } else {
        Err("this build has none: it was stripped. Build with cargo build --release".to_owned())
    }
}
