//! Makes the C library's calls transfer fewer bytes than requested: with a shared object of ours,
//! loaded before the program's libraries.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::getpid;

const SOURCE: &str = include_str!("force.c");

/// Counts since the last [`Force::environment`].
pub struct Forced {
    /// Calls that were made short.
    pub less: u64,
    /// Calls that went through the C library.
    pub seen: u64,
    /// Signal handlers without `SA_RESTART`: only these make a call fail with EINTR.
    pub handlers: u64,
}

/// The object, compiled at first use, and the file in which it counts.
#[derive(Default)]
pub struct Force {
    made: OnceLock<Result<(File, File), String>>,
}

impl Force {
    /// The variables for the program's environment. `how` is "short", "eintr", or `at CALL LENGTH
    /// FIRST LAST STEP` for each call that is to be short.
    pub fn environment(&self, how: &str) -> Result<Vec<(OsString, OsString)>, String> {
        let (object, count) = self
            .made
            .get_or_init(make)
            .as_ref()
            .map_err(String::clone)?;
        let _ = count.write_all_at(&[0; 24], 0); // a file in memory does not fail
        let path = |file: &File| format!("/proc/{}/fd/{}", getpid(), file.as_raw_fd());
        Ok([
            ("LD_PRELOAD", path(object)),
            ("SOCKSTEP_FORCE", how.to_owned()),
            ("SOCKSTEP_COUNT", path(count)),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec())
    }

    pub fn counts(&self) -> Forced {
        let number = |at: u64| {
            let Some(Ok((_, count))) = self.made.get() else {
                return 0;
            };
            let mut bytes = [0; 8];
            let read = count.read_exact_at(&mut bytes, 8 * at);
            read.map_or(0, |()| u64::from_ne_bytes(bytes))
        };
        Forced {
            less: number(0),
            seen: number(1),
            handlers: number(2),
        }
    }
}

fn make() -> Result<(File, File), String> {
    let memory = |name| {
        let file = memfd_create(name, MFdFlags::MFD_CLOEXEC);
        file.map(File::from)
            .map_err(|errno| format!("memfd_create: {errno}"))
    };
    let (mut object, count) = (memory(c"force")?, memory(c"count")?);
    count
        .set_len(4096)
        .map_err(|error| format!("ftruncate: {error}"))?;

    let place = std::env::temp_dir().join("sockstep-XXXXXX");
    let place = nix::unistd::mkdtemp(&place).map_err(|errno| format!("mkdtemp: {errno}"))?;
    let file = place.join("force.so");
    let compiled = compile(&file).and_then(|()| fs::read(&file).map_err(|error| error.to_string()));
    let _ = fs::remove_dir_all(&place); // left in the system's temporary directory
    object
        .write_all(&compiled?)
        .map_err(|error| format!("memfd: {error}"))?;
    Ok((object, count))
}

fn compile(file: &std::path::Path) -> Result<(), String> {
    let cc = std::env::var("CC").unwrap_or("cc".to_owned());
    let mut words = cc.split_whitespace(); // CC="ccache gcc"
    let mut child = Command::new(words.next().unwrap_or("cc"))
        .args(words)
        .args(["-shared", "-fPIC", "-O1", "-fno-omit-frame-pointer"]) // for who walks up the stack
        .args(["-x", "c", "-o"])
        .arg(file)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| "no C compiler: apt-get install gcc libc6-dev".to_owned())?;
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(SOURCE.as_bytes()); // if the compiler does not read it, its exit status tells
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{cc} does not compile a shared object here"))
    }
}
