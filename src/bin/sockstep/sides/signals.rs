//! The signals sent to us.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Why a wait ended without output.
pub enum Interrupted {
    Signal(Signal),
    Failed(String),
}

impl From<String> for Interrupted {
    fn from(words: String) -> Interrupted {
        Interrupted::Failed(words)
    }
}

/// The signals that end us, blocked until they are asked for, so that our processes and files are
/// cleaned up first; and SIGWINCH.
pub struct Signals {
    queue: SignalFd,
    resized: AtomicBool,
}

impl Signals {
    pub fn collect() -> Result<Signals, String> {
        let awaited = [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGWINCH,
        ];
        let set: SigSet = awaited.into_iter().collect();
        set.thread_block()
            .and_then(|()| {
                SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            })
            .map(|queue| Signals {
                queue,
                resized: AtomicBool::new(false),
            })
            .map_err(|errno| format!("signalfd: {errno}"))
    }

    /// Fails if a signal that ends us has arrived.
    pub fn take(&self) -> Result<(), Interrupted> {
        let Ok(Some(info)) = self.queue.read_signal() else {
            return Ok(());
        };
        let number = i32::try_from(info.ssi_signo).unwrap_or_default();
        match Signal::try_from(number) {
            Ok(Signal::SIGWINCH) => {
                self.resized.store(true, Ordering::Relaxed);
                Ok(())
            }
            Ok(signal) => Err(Interrupted::Signal(signal)),
            Err(_) => Err(Interrupted::Failed(format!("signal {number}"))),
        }
    }

    /// Whether our terminal has changed its size since the last call.
    pub fn has_resized(&self) -> bool {
        self.resized.swap(false, Ordering::Relaxed)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}
