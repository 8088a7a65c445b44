//! A side's life, the same for every verb: start, ready, done, idle, end.
//!
//! ```text
//! begin()?                                       once for each verb: no process outlives it, even if it gets SIGKILL
//! let mut server = Start { trace, ..Start::of(Side::Server, &program, &arguments) }.process()?;
//! let mut ready = Ready::default();
//! while ready.look(&server) == State::Starting { listen(..)? }    asks the kernel; strace may know earlier
//! let mut client = Start::of(..).process()?;
//! while !client.is_done() { listen(..)? }        until all its processes have ended
//! while !server.is_idle() { listen(..)? }        until all its tasks wait
//! let mut end = End::begin(&mut server);         SIGTERM, after two seconds SIGKILL
//! while !end.is_over(&mut server) { listen(..)? }
//! leave()                                        all processes and files are gone
//! ```
//!
//! `listen` waits for what a side prints and for what strace writes about it,
//! [`TICK`](process::TICK) milliseconds at most in these loops: the kernel does not notify us of
//! the states that they ask about. Dropping a [`Process`](process::Process) kills all of it.

pub mod end;
pub mod force;
pub mod gate;
pub mod keeper;
pub mod process;
pub mod ready;
pub mod shell;
pub mod signals;
pub mod tasks;
pub mod terminal;
pub mod trouble;
