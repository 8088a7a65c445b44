//! `sockstep doctor`: checks whether this machine has what the tool needs, and says what to do if
//! not.

use std::fs;
use std::process::{Command, ExitCode};

use nix::unistd::getpid;
use sockstep::{
    AF_INET, INADDR_LOOPBACK, IPPROTO_TCP, PF_INET, SOCK_STREAM, bind, htonl, sockaddr_in, socket,
};

use crate::common::{note, print};
use crate::draw::source;
use crate::lectures::programs::{Implementation, Programs, all};
use crate::sides::keeper::{begin, directory, leave};
use crate::sides::terminal;
use crate::strace::command;

/// Check whether this machine has what the tool needs
///
/// Exit status: 0 if nothing is missing, 1 if something is, 2 if an argument is bad.
#[derive(clap::Args)]
pub struct Args {}

type Finding = Result<String, String>;
type Check = fn() -> Finding;

/// The checks, in this order: the last one takes longest.
const CHECKS: [(&str, Check); 9] = [
    ("strace", strace),
    ("ptrace", ptrace),
    ("processes", processes),
    ("terminals", terminals),
    ("ports", ports),
    ("programs", programs),
    ("source lines", source_lines),
    ("C compiler", compiler),
    ("C twins", twins),
];

pub fn doctor(_: &Args) -> ExitCode {
    let mut well = true;
    if let Err(words) = begin() {
        note(format_args!("sockstep: {words}"));
        return ExitCode::FAILURE;
    }
    for (what, check) in CHECKS {
        let (mark, words) = match check() {
            Ok(words) => ("ok", words),
            Err(words) => {
                well = false;
                ("--", words)
            }
        };
        print(format!("{mark}  {what:<13}{words}\n").as_bytes());
    }
    leave();
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The first line of a command's version.
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
        .ok_or(format!("{program} {argument} prints nothing"))
}

/// Checks for strace, and for the oldest version that is known to work.
fn strace() -> Finding {
    let words = version("strace", "-V", "strace")?;
    let number = words.rsplit(' ').next().unwrap_or_default();
    let mut parts = number
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < (6, 1) {
        return Err(format!(
            "version {number} is older than 6.1, the oldest that was tested"
        ));
    }
    Ok(format!("version {number}"))
}

fn ptrace() -> Finding {
    command::available().map(|()| "strace may trace programs".to_owned())
}

/// How the processes of a side are found, and whether they wait.
fn processes() -> Finding {
    let this = getpid();
    for file in ["children", "syscall"] {
        let path = format!("/proc/{this}/task/{this}/{file}");
        fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok("/proc lists children, and the call that each task waits in".to_owned())
}

fn terminals() -> Finding {
    terminal::open().map(|_| "each side can print to one of its own".to_owned())
}

fn compiler() -> Finding {
    let cc = std::env::var("CC").unwrap_or("cc".to_owned());
    version(&cc, "--version", "gcc libc6-dev")
}

fn programs() -> Finding {
    let wanted: Vec<_> = all()
        .map(|program| (program, Implementation::Rust))
        .collect();
    Programs::find(&wanted, directory)
        .map(|found| format!("{} in this directory", found.paths.len()))
}

/// Compiles one twin; the others need the same compiler and headers.
fn twins() -> Finding {
    Programs::find(&[("web_server", Implementation::C)], directory)
        .map(|_| "all compile".to_owned())
}

/// Checks that a port of 127.0.0.1 is free, and explains the port ranges.
fn ports() -> Finding {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)
        .and_then(|sock| bind(&sock, &addr))
        .map_err(|error| format!("no port of 127.0.0.1 is free: {error}"))?;
    let setting =
        |name| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
    let (lowest, range) = (
        setting("ip_unprivileged_port_start"),
        setting("ip_local_port_range"),
    );
    let range: Vec<&str> = range.split_whitespace().collect();
    Ok(format!(
        "{} and up need no privilege; the kernel hands out {}",
        lowest.trim(),
        range.join(" to ")
    ))
}

/// Whether the source line of a call can be found: with `strace -k`, addr2line and this build.
fn source_lines() -> Finding {
    source::option()?;
    let this = std::env::current_exe()
        .and_then(fs::read)
        .map_err(|error| error.to_string())?;
    let section = b".debug_line";
    if this.windows(section.len()).any(|window| window == section) {
        Ok("this build has them, strace and addr2line find them".to_owned())
    } else {
        Err("this build has none: it was stripped. Build with cargo build --release".to_owned())
    }
}
