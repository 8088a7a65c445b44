//! The program under check: started within limits, its output taken in, its processes watched, and ended whole.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, rlim_t};
use nix::unistd::Pid;

use crate::check::patience::{self, LOOK, Pulse, Wait};
use crate::draw::source::has_lines;
use crate::sides::end::{End, LAST_WORDS};
use crate::sides::process::{Process, Source, Start, listen_to_all};
use crate::sides::ready::{Place, places};
use crate::sides::shell::shell;
use crate::sides::signals::{Interrupted, Signals};
use crate::sides::tasks::{Busy, resident, threads, zombies};
use crate::world::Side;

/// Of what a program prints this much is kept: its beginning, and its last words.
const KEPT: usize = 64 << 10;
/// Of what strace writes this much is kept.
const TRACED: usize = 8 << 20;
/// The same of one that is started for its last calls: then it has said enough.
const ENOUGH: usize = 2 << 20;
/// What all processes of a program may have in memory.
const MEMORY: u64 = 2 << 30;
/// Files that a program writes, and processor time that a process takes.
const FILE: rlim_t = 256 << 20;
const SECONDS: rlim_t = 120;

/// What strace has written.
pub type Recording = Arc<Mutex<Vec<u8>>>;

pub struct Subject {
    process: Arc<Mutex<Process>>,
    said: Arc<Mutex<Vec<u8>>>,
    traced: Recording,
    lines: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    gently: bool,
}

/// How it is started.
#[derive(Default)]
pub struct Options<'a> {
    pub descriptors: Option<rlim_t>,
    /// More variables for its environment.
    pub environment: &'a [(OsString, OsString)],
    pub input: Option<&'a [u8]>,
    /// Further options for strace; `None` runs without strace.
    pub trace: Option<&'a [String]>,
    /// Its last calls are wanted: it is asked to end before it is killed.
    pub gently: bool,
}

impl Subject {
    pub fn start(
        side: Side,
        command: &OsStr,
        signals: &Arc<Signals>,
        options: &Options,
    ) -> Result<Subject, String> {
        let mut words = OsString::new();
        for (name, value) in options.environment {
            words.push("export ");
            words.push(name);
            words.push("='");
            words.push(value);
            words.push("'; ");
        }
        words.push(command);
        let (program, arguments) = shell(&words);
        let mut limits = vec![
            (Resource::RLIMIT_CORE, 0),
            (Resource::RLIMIT_FSIZE, FILE),
            (Resource::RLIMIT_CPU, SECONDS),
        ];
        limits.extend(
            options
                .descriptors
                .map(|most| (Resource::RLIMIT_NOFILE, most)),
        );
        let mut start = Start::of(side, &program, &arguments);
        start.trace = options.trace;
        start.apart = true;
        start.limits = &limits;
        start.input = match options.input {
            Some(bytes) => file_of(bytes)?,
            None => Stdio::null(),
        };
        let process = Arc::new(Mutex::new(start.process()?));
        let said = Arc::new(Mutex::new(Vec::new()));
        let traced = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let reader = thread::spawn({
            let (process, said) = (Arc::clone(&process), Arc::clone(&said));
            let (traced, lines) = (Arc::clone(&traced), Arc::clone(&lines));
            let (stop, signals) = (Arc::clone(&stop), Arc::clone(signals));
            let gently = options.gently;
            move || {
                listen(
                    &process,
                    &said,
                    (&traced, &lines),
                    (&stop, gently),
                    &signals,
                );
            }
        });
        Ok(Subject {
            process,
            said,
            traced,
            lines,
            stop,
            reader: Some(reader),
            gently: options.gently,
        })
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn processes(&self) -> Vec<Pid> {
        self.process().processes()
    }

    pub fn pulse(&self) -> Pulse {
        Pulse(Some(Arc::clone(&self.process)))
    }

    /// Where it can be reached now.
    pub fn places(&self) -> Vec<Place> {
        places(&self.processes())
    }

    /// What it has printed, its beginning and its end.
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).into_owned()
    }

    /// What strace has written, its beginning and its end.
    pub fn trace(&self) -> String {
        let traced = self.traced.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&traced).into_owned()
    }

    /// The recording, for use after `self` is dropped.
    pub fn recording(&self) -> Recording {
        Arc::clone(&self.traced)
    }

    /// Whether one of its programs has debug information. An interpreter's is not the script's.
    pub fn has_lines(&self) -> bool {
        let systems = ["/usr/bin/", "/usr/lib/", "/usr/local/bin/", "/bin/"];
        self.processes().into_iter().any(|pid| {
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            !systems.iter().any(|place| program.starts_with(place)) && has_lines(&program)
        })
    }

    /// How many lines strace has written.
    pub fn traced(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }

    /// How its first process ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        self.process().child.try_wait().ok().flatten()
    }

    /// How all of it ended, in words; nothing while some of it runs.
    pub fn death(&self) -> Option<String> {
        let how = ended(self.status()?); // under strace none is seen as its own at first
        // Three looks: between two of the kernel's lists a daemon changes its parent, twice.
        if (0..3).any(|_| !self.processes().is_empty()) {
            return None;
        }
        self.wait_for_words();
        let said = self.said();
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        Some(match last {
            Some(line) => format!("{how}; its last words: {line}"),
            None => how,
        })
    }

    /// The last of what it wrote has come by then.
    fn wait_for_words(&self) {
        let until = Instant::now() + Duration::from_millis(300);
        while Instant::now() < until && self.process().is_heard() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until its first process has ended and it has said all; nothing if it rests for so long instead.
    pub fn wait(&self, patience: Duration) -> Option<ExitStatus> {
        let pulse = self.pulse();
        let mut wait = Wait::begin(&pulse, patience);
        loop {
            if let Some(status) = self.status() {
                self.wait_for_words();
                return Some(status);
            }
            if wait.is_over() {
                return None;
            }
            thread::sleep(LOOK / 4);
        }
    }

    /// Asks it to end as `kill` does, and says how many of its processes rest for 2 seconds instead.
    pub fn asked_to_end(&self) -> usize {
        let pulse = self.pulse();
        let mut wait = Wait::begin(&pulse, LAST_WORDS);
        let mut end = End::begin(&self.process());
        end.wait_for(LAST_WORDS * 8);
        loop {
            let over = end.is_over(&mut self.process());
            let left = self.processes().len();
            if left == 0 {
                return 0;
            }
            if over || wait.is_over() || end.took_force() {
                return left;
            }
            thread::sleep(LOOK / 4);
        }
    }

    /// What its processes have in memory, in bytes.
    pub fn memory(&self) -> u64 {
        resident(&self.processes())
    }

    pub fn counts(&self) -> Counts {
        let all = self.processes();
        let entries = |pid: &Pid, what: &str| {
            fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count)
        };
        Counts {
            descriptors: all.iter().map(|pid| entries(pid, "fd")).sum(),
            threads: all.iter().map(|pid| entries(pid, "task")).sum(),
            processes: all.len(),
            zombies: all.iter().map(|&pid| zombies(pid)).sum(),
        }
    }

    /// What each of its threads has done up to now.
    pub fn busy(&self) -> BTreeMap<PathBuf, Busy> {
        let threads = self.processes().into_iter().flat_map(threads);
        threads
            .map(|thread| (thread.clone(), Busy::of(&thread)))
            .collect()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if self.gently && !patience::is_up() {
            self.asked_to_end();
            self.wait_for_words();
        }
        self.process().kill_all();
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join(); // then the process goes with the last one who has it
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub descriptors: usize,
    pub threads: usize,
    pub processes: usize,
    pub zombies: usize,
}

/// `it ended with status 1`, `it was killed by SIGSEGV`.
pub fn ended(status: ExitStatus) -> String {
    let signal = status.signal().or_else(|| {
        status
            .code()
            .filter(|code| *code > 128)
            .map(|code| code - 128)
    });
    let signal = signal.and_then(|number| nix::sys::signal::Signal::try_from(number).ok());
    match (signal, status.code()) {
        (Some(signal), _) => format!("it was killed by {signal}"),
        (None, Some(code)) => format!("it ended with status {code}"),
        (None, None) => "it ended".to_owned(),
    }
}

/// Takes in what it prints until told to stop, and ends it when it takes too much memory.
fn listen(
    process: &Mutex<Process>,
    said: &Mutex<Vec<u8>>,
    (traced, lines): (&Mutex<Vec<u8>>, &AtomicUsize),
    (stop, gently): (&AtomicBool, bool),
    signals: &Signals,
) {
    let mut looked = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let mut heard = Vec::new();
        let mut calls = Vec::new();
        let mut open = false;
        if let Ok(mut process) = process.lock() {
            open = process.is_heard();
            if open {
                let outcome = listen_to_all(
                    signals,
                    &mut [&mut *process],
                    Some(2),
                    |_, source, bytes| {
                        let into = if source == Source::Strace {
                            &mut calls
                        } else {
                            &mut heard
                        };
                        into.extend_from_slice(bytes);
                    },
                );
                match outcome {
                    Ok(()) => {}
                    Err(Interrupted::Signal(signal)) => {
                        crate::check::interrupt(signal);
                        return;
                    }
                    // All of it has been killed: these are its last words.
                    Err(Interrupted::Failed(why)) => {
                        heard.extend_from_slice(format!("\n{why}\n").as_bytes());
                    }
                }
            }
            if looked.elapsed() > Duration::from_millis(200) {
                looked = Instant::now();
                if resident(&process.processes()) > MEMORY {
                    process.kill_all();
                    heard.extend_from_slice(b"\nended: it took more than 2 GiB of memory\n");
                }
            }
        }
        let more = calls.split(|byte| *byte == b'\n').count() - 1;
        lines.fetch_add(more, Ordering::Relaxed);
        if let (false, Ok(mut traced)) = (calls.is_empty(), traced.lock()) {
            if traced.len() < TRACED {
                traced.extend_from_slice(&calls);
            }
            if let (true, true, Ok(process)) = (gently, traced.len() > ENOUGH, process.lock()) {
                process.kill_all();
            }
        }
        if !heard.is_empty() {
            if let Ok(mut said) = said.lock() {
                said.extend_from_slice(&heard);
                if said.len() > 2 * KEPT {
                    let end = said.len() - KEPT / 2;
                    said.drain(KEPT / 2..end);
                }
            }
        }
        let pause = if heard.is_empty() && !open { 10 } else { 1 };
        thread::sleep(Duration::from_millis(pause));
    }
}

/// These bytes as a file to read.
fn file_of(bytes: &[u8]) -> Result<Stdio, String> {
    use std::io::{Seek, Write};
    let file = nix::sys::memfd::memfd_create(c"input", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)
        .map_err(|errno| format!("memfd_create: {errno}"))?;
    let mut file = fs::File::from(file);
    file.write_all(bytes)
        .and_then(|()| file.rewind())
        .map_err(|error| format!("memfd: {error}"))?;
    Ok(file.into())
}
