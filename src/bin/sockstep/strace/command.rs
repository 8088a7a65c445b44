//! A program under strace, which writes what it sees into a pipe that we read.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::unistd::{getpid, pipe2};

use crate::strace::line::{Begun, Entry, Reader};

/// Whether strace can be used here; if not, the reason, and what to do.
pub fn available() -> Result<(), String> {
    let probe = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .stdin(Stdio::null())
        .output();
    match probe {
        Ok(output) if output.status.success() => Ok(()),
        Ok(_) => Err("strace may not trace here: ptrace is forbidden (kernel.yama.ptrace_scope, or a container)".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("strace is not installed: apt-get install strace".to_owned()),
        Err(error) => Err(format!("strace: {error}")),
    }
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

    /// Where strace finds the end to write into. By its place in /proc: a descriptor that it inherits would go on to the program.
    pub fn path(&self) -> OsString {
        format!("/proc/{}/fd/{}", getpid(), self.into.as_raw_fd()).into()
    }
}

/// The strace command to be put in front of a program and its arguments. It writes to `output`, and does what the `options` say.
///
/// `-D` keeps the program our own child, so that its end and its exit status are ours to see.
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

/// What has come through the pipe, taken apart.
#[derive(Default)]
pub struct Trace {
    reader: Reader,
    /// A line whose end is still to come.
    rest: Vec<u8>,
}

impl Trace {
    /// The entries that these bytes complete.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Entry> {
        self.rest.extend_from_slice(bytes);
        let mut entries = Vec::new();
        let whole = self
            .rest
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        for line in self.rest[..whole].split(|&byte| byte == b'\n') {
            if !line.is_empty() {
                entries.extend(self.reader.read(&String::from_utf8_lossy(line)));
            }
        }
        self.rest.drain(..whole);
        entries
    }

    /// The calls that strace has written the beginnings of: the program is in them now.
    pub fn under_way(&self) -> Vec<Begun> {
        self.reader.under_way(&String::from_utf8_lossy(&self.rest))
    }
}
