//! A program under strace, which writes what it sees into a pipe that we read.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::unistd::{getpid, pipe2};

use crate::strace::calls;
/// The data from the pipe, parsed.
pub use crate::strace::recording::Trace;

/// How long the trial of strace may take, and how often it is checked.
const PATIENCE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(1);

/// Whether strace can be used here; if not, the reason, and what to do.
pub fn available() -> Result<(), String> {
    let failed = |error: io::Error| format!("strace: {error}");
    let probe = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut probe = probe.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "strace is not installed: apt-get install strace".to_owned(),
        _ => failed(error),
    })?;
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        match probe.try_wait().map_err(failed)? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err("strace may not trace here: ptrace is forbidden (kernel.yama.ptrace_scope, or a container)".to_owned()),
            None => sleep(TICK),
        }
    }
    let _ = probe.kill();
    let _ = probe.wait();
    Err(format!(
        "strace has not traced true(1) in {} s",
        PATIENCE.as_secs()
    ))
}

/// The option that makes strace write a call's stack, or why it cannot. `named` asks strace for
/// source lines too, when no other program can find them.
pub fn stacks(named: bool) -> Result<&'static str, String> {
    let says = |option| {
        let output = Command::new("strace")
            .arg(option)
            .stdin(Stdio::null())
            .output();
        output.map_or(String::new(), |output| {
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    };
    if !says("-V").contains("stack-trace=") {
        return Err("this strace was built without stack traces (strace -V)".to_owned());
    }
    match named {
        false => Ok("-k"),
        true if says("--help").contains("-kk") => Ok("-kk"),
        true => Err("addr2line is not installed: apt-get install binutils".to_owned()),
    }
}

/// The option that limits strace to the calls of our table: each stack takes time.
pub fn known_calls() -> String {
    let wide = |name| (name, calls::WIDE);
    let names = calls::rows().flat_map(|row| [(row.name, ""), wide(row.name)]);
    let names: Vec<String> = names.map(|(name, end)| format!("?{name}{end}")).collect();
    format!("--trace={}", names.join(","))
}

/// A pipe for one strace to write into.
pub struct Pipe {
    pub from: OwnedFd,
    pub into: OwnedFd,
}

impl Pipe {
    pub fn new() -> Result<Pipe, String> {
        let (from, into) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| format!("pipe: {errno}"))?;
        Ok(Pipe { from, into })
    }

    /// The path of the pipe's end for strace, in /proc: the program would inherit a descriptor.
    pub fn path(&self) -> OsString {
        format!("/proc/{}/fd/{}", getpid(), self.into.as_raw_fd()).into()
    }
}

/// The strace command to be put in front of a program and its arguments. strace writes to `output`.
///
/// `-D` keeps the program our own child, so that we get its exit status.
pub fn strace(output: &OsStr, options: &[String]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "--string-limit=262144", "--syscall-times=ns"]);
    command
        .arg("--absolute-timestamps=format:unix,precision:ns")
        .args(options)
        .arg("-o")
        .arg(output)
        .arg("--");
    command
}
