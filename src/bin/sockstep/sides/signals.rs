//! The signals that end us.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Why waiting ended without anything to hear.
pub enum Interrupted {
    Signal(Signal),
    Failed(String),
}

impl From<String> for Interrupted {
    fn from(words: String) -> Interrupted {
        Interrupted::Failed(words)
    }
}

/// The signals that end us, held back until they are asked for, so that what we started and made goes first.
pub struct Signals(SignalFd);

impl Signals {
    pub fn collect() -> Result<Signals, String> {
        let ends_us = [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ];
        let set: SigSet = ends_us.into_iter().collect();
        set.thread_block()
            .and_then(|()| {
                SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            })
            .map(Signals)
            .map_err(|errno| format!("signalfd: {errno}"))
    }

    /// Fails with the signal that came, if one did.
    pub fn take(&self) -> Result<(), Interrupted> {
        match self.0.read_signal() {
            Ok(Some(info)) => {
                let number = i32::try_from(info.ssi_signo).unwrap_or_default();
                let unknown = |_| Interrupted::Failed(format!("signal {number}"));
                Err(Signal::try_from(number).map_or_else(unknown, Interrupted::Signal))
            }
            _ => Ok(()),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
