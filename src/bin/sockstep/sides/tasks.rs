//! The processes of a side, as listed in /proc: all that it started, with daemons, whatever their
//! parent is now.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::{Pid, getpid};

/// The variable in the environment of all processes that we start. Its value names the run and the
/// side: a daemon that has left its parent and its session still has it.
pub const MARK: &str = "SOCKSTEP_SIDE";
/// More processes than a correct server starts.
pub const CROWD: usize = 400;
/// How long to stop a growing group of processes before killing it.
const STOPPING: Duration = Duration::from_secs(1);

/// The calls in which a task waits for another one, for as long as it takes.
const WAITS: &[libc::c_long] = &[
    libc::SYS_accept4,
    libc::SYS_pselect6,
    libc::SYS_ppoll,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_futex,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_splice,
    libc::SYS_io_uring_enter,
    libc::SYS_io_getevents,
    libc::SYS_mq_timedreceive,
    libc::SYS_flock,
    libc::SYS_restart_syscall,
    #[cfg(not(any(target_arch = "x86", target_arch = "s390x")))]
    libc::SYS_accept,
    #[cfg(any(target_arch = "x86", target_arch = "s390x", target_arch = "powerpc64"))]
    libc::SYS_socketcall, // one number for all calls on sockets
    #[cfg(any(target_arch = "x86", target_arch = "s390x", target_arch = "powerpc64"))]
    libc::SYS_ipc, // and one for messages and semaphores
    #[cfg(not(any(target_arch = "x86", target_arch = "s390x", target_arch = "powerpc64")))]
    libc::SYS_msgrcv,
    #[cfg(not(any(target_arch = "x86", target_arch = "s390x", target_arch = "powerpc64")))]
    libc::SYS_semtimedop,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_select,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pause,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_semop,
];

/// How to tell a side's processes from others.
pub struct Family<'a> {
    /// The process started first.
    pub first: Pid,
    /// The value of [`MARK`] in its environment.
    pub mark: &'a str,
}

impl Family<'_> {
    /// Its processes that have not ended, without strace.
    pub fn processes(&self) -> Vec<Pid> {
        self.all()
            .into_iter()
            .filter(|status| !status.is_strace() && !status.has_ended())
            .map(|status| status.pid)
            .collect()
    }

    /// Each strace that traces one of them.
    pub fn tracers(&self) -> Vec<Pid> {
        let all = self.all();
        all.iter()
            .filter(|status| status.is_strace() && !status.has_ended())
            .map(|status| status.pid)
            .collect()
    }

    /// Kills all of them.
    pub fn kill(&self) {
        let mut left = self.processes();
        // A program that starts processes without end is stopped first; otherwise there would
        // always be a new one.
        let mut stopped: Vec<Pid> = Vec::new();
        let limit = Instant::now() + STOPPING;
        while left.len() > CROWD && Instant::now() < limit {
            let before = stopped.len();
            for pid in left {
                if !stopped.contains(&pid) {
                    send(pid, Signal::SIGSTOP);
                    stopped.push(pid);
                }
            }
            left = self.processes();
            if stopped.len() == before {
                break;
            }
        }
        for pid in left {
            send(pid, Signal::SIGKILL);
        }
    }

    /// All descendants of the first process, and of those of our children that have the mark.
    fn all(&self) -> Vec<Status> {
        let ours = children(getpid()).into_iter();
        let first = ours.filter(|&child| child == self.first || has_mark(child, self.mark));
        let all = descendants(first.collect());
        all.into_iter().filter_map(Status::of).collect()
    }
}

/// These processes, their children, and theirs.
pub fn descendants(mut all: Vec<Pid>) -> Vec<Pid> {
    let mut at = 0;
    while let Some(&pid) = all.get(at) {
        all.extend(children(pid));
        at += 1;
    }
    all
}

/// Fields of `/proc/PID/status`.
struct Status {
    pid: Pid,
    name: String,
    state: u8,
    tracer: i32,
}

impl Status {
    fn of(pid: Pid) -> Option<Status> {
        let text = read(Path::new(&format!("/proc/{pid}/status")))?;
        let field = |name| field(&text, name).map(str::to_owned);
        Some(Status {
            pid,
            name: field("Name:")?,
            state: field("State:")?.bytes().next()?,
            tracer: field("TracerPid:")?.parse().ok()?,
        })
    }

    /// A process whose first thread has ended goes on as long as another one does.
    fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && threads(self.pid).next().is_none()
    }

    /// Whether it is the strace that we started for a side, or the process that will become the
    /// side's program.
    fn is_strace(&self) -> bool {
        self.name == "strace" && self.tracer == 0
    }
}

fn has_mark(process: Pid, mark: &str) -> bool {
    let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    let mark = format!("{MARK}={mark}");
    environment
        .split(|&byte| byte == 0)
        .any(|variable| variable == mark.as_bytes())
}

/// Whether every thread of a process waits. If the kernel does not show the call, a sleeping thread
/// counts as waiting.
pub fn waits(process: Pid) -> bool {
    let waits = |call: String| {
        let number = call.split_whitespace().next().unwrap_or_default();
        number
            .parse()
            .map_or(number.is_empty(), |number| WAITS.contains(&number))
    };
    is_asleep(process) && of_threads(process, "syscall").all(waits)
}

/// Whether every thread of a process waits, without a limit, for what another process sends, connects or ends. `receives` is
/// set if one of them waits for bytes.
pub fn waits_without_end(process: Pid, receives: &mut bool) -> bool {
    let mut waits = |call: String| {
        let mut words = call.split_whitespace();
        let number: libc::c_long = words
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or(-1);
        let arguments: Vec<u64> = words
            .flat_map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16))
            .collect();
        let argument = |at: usize| arguments.get(at).copied().unwrap_or_default();
        match number {
            // Machines without this call have only the newer one.
            #[cfg(not(any(target_arch = "s390x", target_arch = "x86")))]
            libc::SYS_accept => true,
            libc::SYS_accept4 | libc::SYS_wait4 => true,
            libc::SYS_futex => argument(3) == 0, // no time-out
            libc::SYS_recvfrom | libc::SYS_recvmsg | libc::SYS_read => {
                let descriptor = format!("/proc/{process}/fd/{}", argument(0));
                let socket = fs::read_link(descriptor).is_ok_and(|target| {
                    target
                        .as_os_str()
                        .as_encoded_bytes()
                        .starts_with(b"socket:")
                });
                *receives |= socket;
                socket
            }
            _ => false,
        }
    };
    is_asleep(process) && of_threads(process, "syscall").all(&mut waits)
}

/// Whether no thread of a process has anything to do now.
pub fn is_asleep(process: Pid) -> bool {
    let sleeps = |stat: String| {
        let state = stat.rsplit_once(") "); // after the name, which may contain any bytes
        state.is_some_and(|(_, state)| !state.starts_with(['R', 'D', 't'])) // t: strace will let it continue
    };
    of_threads(process, "stat").all(sleeps)
}

/// The contents of a /proc file for each thread of a process that has not ended.
fn of_threads(process: Pid, file: &str) -> impl Iterator<Item = String> {
    threads(process).filter_map(move |thread| read(&thread.join(file)))
}

/// The /proc directory of each thread that has not ended.
pub fn threads(process: Pid) -> impl Iterator<Item = PathBuf> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let paths = threads.into_iter().flatten().flatten();
    paths
        .map(|thread| thread.path())
        .filter(|thread| is_alive(thread))
}

fn is_alive(thread: &Path) -> bool {
    let stat = read(&thread.join("stat")).unwrap_or_default();
    let state = stat.rsplit_once(") "); // after the name, which may contain any bytes
    state.is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

fn read(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?; // a name may be any bytes
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The work that a thread has done.
#[derive(Clone, Copy, Default)]
pub struct Busy {
    /// Its time on a processor, in nanoseconds.
    pub worked: u64,
    /// Its finished time in the queue for a processor.
    pub queued: u64,
    /// How often it has waited for other things.
    pub waits: u64,
    pub runs: bool,
}

impl Busy {
    pub fn of(thread: &Path) -> Busy {
        let times = read(&thread.join("schedstat")).unwrap_or_default();
        let mut times = times.split_whitespace().flat_map(str::parse);
        let status = read(&thread.join("status")).unwrap_or_default();
        let field = |name| field(&status, name).unwrap_or_default();
        Busy {
            worked: times.next().unwrap_or_default(),
            queued: times.next().unwrap_or_default(),
            waits: field("voluntary_ctxt_switches:")
                .parse()
                .unwrap_or_default(),
            runs: field("State:").starts_with('R'),
        }
    }

    /// Whether it has been busy since then: it has not waited, or less than a third of the time.
    /// Time in the queue is counted when it is over, so a thread that is queued now may seem to
    /// rest.
    pub fn works_since(&self, then: &Busy, time: Duration) -> bool {
        let never_waited = self.runs && then.runs && self.waits == then.waits;
        let used = (self.worked + self.queued).saturating_sub(then.worked + then.queued);
        never_waited || u128::from(used) > time.as_nanos() * 7 / 10
    }
}

/// The value of a field in `/proc/PID/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.map(str::trim)
}

/// The memory of processes, in bytes.
pub fn resident(processes: &[Pid]) -> u64 {
    let resident = |pid: &Pid| {
        let status = read(Path::new(&format!("/proc/{pid}/status")))?;
        let kib = field(&status, "VmRSS:")?.split_whitespace().next()?;
        kib.parse::<u64>().ok()
    };
    processes.iter().filter_map(resident).sum::<u64>() << 10
}

/// How many children of a process are zombies: they have ended and the process has not waited for
/// them.
pub fn zombies(parent: Pid) -> usize {
    let ended = |pid: &Pid| Status::of(*pid).is_some_and(|status| status.state == b'Z');
    children(parent).iter().filter(|&pid| ended(pid)).count()
}

/// The CPU time that processes have had, with that of their threads, to the nanosecond.
pub fn cpu_time(processes: &[Pid]) -> Duration {
    let clock = |&process| clock_getcpuclockid(process).and_then(clock_gettime);
    processes
        .iter()
        .flat_map(clock) // one that has just ended is counted by its parent
        .map(Duration::from)
        .sum()
}

/// The children of a process, whichever of its threads started them.
pub fn children(process: Pid) -> Vec<Pid> {
    of_threads(process, "children")
        .flat_map(|list| {
            list.split_whitespace()
                .flat_map(str::parse)
                .map(Pid::from_raw)
                .collect::<Vec<_>>()
        })
        .collect()
}

pub fn send(process: Pid, signal: Signal) {
    let _ = kill(process, signal); // it may have ended meanwhile
}
