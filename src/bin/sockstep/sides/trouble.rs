//! The reasons for which a verb ends early.

use std::fmt::Display;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal, raise};
use sockstep::{Errno, Error};

use crate::common::note;
use crate::draw::terminal::remark;
use crate::sides::signals::Interrupted;

pub enum Trouble {
    /// Our own message, for standard error.
    Said(String),
    /// A signal to us, from Ctrl-C or `kill`.
    Signal(Signal),
    /// Standard output is full, or its reader has closed it.
    Output(Error),
}

impl Trouble {
    /// Puts these words before our own.
    pub fn with(self, context: impl Display) -> Trouble {
        match self {
            Trouble::Said(words) => Trouble::Said(format!("{context}{words}")),
            other => other,
        }
    }

    /// Ends the verb: prints the message and returns `status`, or `unread` if the reader has closed
    /// standard output.
    pub fn end(self, status: u8, unread: u8) -> ExitCode {
        match self {
            Trouble::Output(error) if error == Errno::EPIPE => return ExitCode::from(unread),
            Trouble::Output(error) => note(format_args!("sockstep: {error}")),
            Trouble::Said(words) => remark(words),
            Trouble::Signal(signal) => {
                let _ = SigSet::from(signal)
                    .thread_unblock()
                    .and_then(|()| raise(signal)); // this ends us
            }
        }
        ExitCode::from(status)
    }
}

impl From<Interrupted> for Trouble {
    fn from(interrupted: Interrupted) -> Trouble {
        match interrupted {
            Interrupted::Signal(signal) => Trouble::Signal(signal),
            Interrupted::Failed(words) => Trouble::Said(words),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Output(error)
    }
}

impl From<String> for Trouble {
    fn from(words: String) -> Trouble {
        Trouble::Said(words)
    }
}
