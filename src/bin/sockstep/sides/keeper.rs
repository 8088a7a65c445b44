//! The keeper: a second process of ours, in its own session. If we are killed, it ends the
//! processes that we started and removes the files that we made. Signals to us or to our process
//! group do not reach it.

use std::env;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, open};
use nix::sys::prctl::{set_child_subreaper, set_name};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Pid, close, dup2_stderr, dup2_stdin, dup2_stdout, fork, getpid, mkdtemp, pipe2,
    setsid,
};
use sockstep::{Errno, read, write};

use crate::sides::tasks::send;
use crate::sides::tasks::{MARK, children};

/// How long the keeper tries to kill a process that does not end.
const PATIENCE: Duration = Duration::from_secs(5);

/// All processes that we start get this limit on real-time work, plus our pid: a mark that no
/// program clears by accident, not even one that clears its environment, leaves the session and
/// closes every descriptor. In microseconds it is too large to limit anything (where it has 32 bits,
/// it is 18 minutes of such work).
const LIMIT: rlim_t = rlim_t::MAX / 4;

/// Requests to the keeper. If the channel ends without a request, we have died.
const DIRECTORY: u8 = b'd';
const FAREWELL: u8 = b'.';

static KEEPER: Mutex<Option<Keeper>> = Mutex::new(None);

/// Our end of the channel.
struct Keeper {
    pid: Pid,
    ask: OwnedFd,
    answer: OwnedFd,
}

/// Call this before starting a process or a thread or making a file: from now on none of them
/// outlives us. A process that loses its parent becomes our child.
pub fn begin() -> Result<(), String> {
    let failed = |call: &'static str| move |errno: Errno| format!("{call}: {errno}");
    set_child_subreaper(true).map_err(failed("prctl"))?;
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(failed("pipe"));
    let ((asked, ask), (answer, answers)) = (pipe()?, pipe()?);
    let us = getpid();
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_RTTIME) {
        let _ = setrlimit(Resource::RLIMIT_RTTIME, limit_of(us), hard); // a lower limit is kept
    }
    #[allow(unsafe_code, reason = "around fork")]
    // SAFETY: there is no other thread, so the child may do whatever we may.
    let forked = unsafe { fork() };
    match forked.map_err(failed("fork"))? {
        ForkResult::Parent { child } => {
            let keeper = Keeper {
                pid: child,
                ask,
                answer,
            };
            *KEEPER.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
            Ok(())
        }
        ForkResult::Child => {
            drop((ask, answer));
            run_the_keeper(us, &asked, &answers);
            exit(0)
        }
    }
}

fn limit_of(run: Pid) -> rlim_t {
    LIMIT + rlim_t::from(run.as_raw().unsigned_abs())
}

/// A new directory that is removed when we end.
pub fn directory() -> Result<PathBuf, String> {
    let keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    let keeper = keeper.as_ref().ok_or("nothing has begun")?;
    let mut buffer = [0; 4096];
    let length = write(&keeper.ask, &[DIRECTORY])
        .and_then(|_| read(&keeper.answer, &mut buffer))
        .map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
    match answer.strip_prefix('/') {
        Some(_) => Ok(answer.into()),
        None => Err(answer),
    }
}

/// Ends all remaining processes that we started. strace's `-D` waits without end if its program is
/// killed before strace has attached.
pub fn leave() {
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    let keepers = keeper.as_ref().map(|keeper| keeper.pid);
    loop {
        let mut children = children(getpid());
        children.retain(|&child| Some(child) != keepers);
        for &child in &children {
            send(child, Signal::SIGKILL);
        }
        if children.is_empty() {
            break;
        }
        for child in children {
            let _ = waitpid(child, None); // if interrupted, the loop calls it again
        }
    }
    if let Some(keeper) = keeper.take() {
        let _ = write(&keeper.ask, &[FAREWELL]); // the keeper may have been killed
        let _ = waitpid(keeper.pid, None);
    }
}

/// The keeper's life.
fn run_the_keeper(whose: Pid, asked: &OwnedFd, answers: &OwnedFd) {
    let _ = set_name(c"sockstep-keeper");
    let _ = setsid();
    let _ = SigSet::all().thread_set_mask();
    let temporary = fs::canonicalize(env::temp_dir()); // it may be a relative path
    leave_what_is_open(&[asked.as_raw_fd(), answers.as_raw_fd()]);
    let _ = env::set_current_dir("/");

    let mut directories = Vec::new();
    let mut word = [0];
    loop {
        match read(asked, &mut word) {
            Ok(1) if word[0] == FAREWELL => return,
            Ok(1) => {
                let made = match &temporary {
                    Ok(place) => mkdtemp(&place.join("sockstep-XXXXXX"))
                        .map_err(|errno| format!("{}: {errno}", place.display())),
                    Err(error) => Err(format!("{}: {error}", env::temp_dir().display())),
                };
                let answer = match made {
                    Ok(directory) => {
                        directories.push(directory);
                        directories
                            .last()
                            .map_or(String::new(), |directory| directory.display().to_string())
                    }
                    Err(words) => words,
                };
                let _ = write(answers, answer.as_bytes()); // we may have died; then it is removed below
            }
            Err(error) if error == Errno::EINTR => {}
            _ => break,
        }
    }
    end_all(whose, &directories);
    for directory in directories {
        let _ = fs::remove_dir_all(directory); // it may no longer exist
    }
}

/// Closes our descriptors in the keeper, so that a reader of our output sees its end when we end.
fn leave_what_is_open(kept: &[i32]) {
    if let Ok(nothing) = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()) {
        let _ = dup2_stdin(&nothing);
        let _ = dup2_stdout(&nothing);
        let _ = dup2_stderr(&nothing);
    }
    let mut others = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
    {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        others.extend(number.filter(|number| *number > 2 && !kept.contains(number)));
    }
    for number in others {
        let _ = close(number); // the listing's own descriptor is closed already
    }
}

/// Kills all processes with a mark or the limit of this run, those whose working directory is one
/// of its directories, and the processes that these started or trace.
fn end_all(run: Pid, directories: &[PathBuf]) {
    let start = Instant::now();
    let (mark, limit) = (format!("{MARK}={run}."), limit_of(run).to_string());
    let mut found: Vec<Pid> = Vec::new();
    while start.elapsed() < PATIENCE {
        let all = processes();
        let before = found.len();
        found.retain(|pid| all.iter().any(|process| process.pid == *pid));
        let known = found.clone();
        for process in &all {
            let ours = known.contains(&process.parent)
                || known.contains(&process.tracer)
                || known.contains(&process.pid)
                || process.has(&mark)
                || process.is_limited_to(&limit)
                || process.works_in(directories);
            if ours {
                send(process.pid, Signal::SIGKILL);
                if !found.contains(&process.pid) {
                    found.push(process.pid);
                }
            }
        }
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive)
        {
        }
        if found.is_empty() && before == 0 {
            return;
        }
        sleep(Duration::from_millis(2));
    }
}

/// A process of this machine that has not ended.
struct Other {
    pid: Pid,
    parent: Pid,
    tracer: Pid,
}

impl Other {
    fn has(&self, mark: &str) -> bool {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|variable| variable.starts_with(mark.as_bytes()))
    }

    /// Whether this is its limit on real-time work.
    fn is_limited_to(&self, limit: &str) -> bool {
        let limits = fs::read(format!("/proc/{}/limits", self.pid)).unwrap_or_default();
        let limits = String::from_utf8_lossy(&limits);
        let own = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max realtime timeout"));
        own.and_then(|line| line.split_whitespace().next()) == Some(limit) && self.pid != getpid()
    }

    fn works_in(&self, directories: &[PathBuf]) -> bool {
        let place = fs::read_link(format!("/proc/{}/cwd", self.pid));
        place.is_ok_and(|place: PathBuf| {
            directories
                .iter()
                .any(|directory| place.starts_with(Path::new(directory)))
        })
    }
}

fn processes() -> Vec<Other> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let status = fs::read(entry.path().join("status")).unwrap_or_default();
        let status = String::from_utf8_lossy(&status);
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim)
        };
        let number = |name| field(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        if field("State:").is_some_and(|state| !state.starts_with('Z')) {
            all.push(Other {
                pid: Pid::from_raw(pid),
                parent: Pid::from_raw(number("PPid:")),
                tracer: Pid::from_raw(number("TracerPid:")),
            });
        }
    }
    all
}
