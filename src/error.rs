//! `<errno.h>`: which call failed, and why.

use std::{fmt, io};

pub use nix::errno::Errno;

/// A C call that failed: its name and the `errno` it left behind.
///
/// Prints as the lectures' `DieWithError` does, in the C library's own words. Compares with a bare [`Errno`], so that a
/// program can say what it expects.
///
/// ```
/// use sockstep::*;
///
/// let sock = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP)?;
/// let error = recv(&sock, &mut [0; 16], 0).unwrap_err();
/// assert_eq!(error, Errno::ENOTCONN);
/// assert_eq!(error.to_string(), "recv() failed: Transport endpoint is not connected");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    call: &'static str,
    code: i32, // an errno of which nix has no name stays what it is
}

/// What every wrapper returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The failure of `call` with `errno`.
    #[must_use]
    pub const fn new(call: &'static str, errno: Errno) -> Error {
        Error {
            call,
            code: errno as i32,
        }
    }

    /// The failure of `call` just now: what `errno` says on this thread.
    #[must_use]
    pub fn last(call: &'static str) -> Error {
        Error {
            call,
            code: Errno::last_raw(),
        }
    }

    /// The C name of the call that failed, as in `bind`.
    #[must_use]
    pub const fn call(&self) -> &'static str {
        self.call
    }

    /// Why it failed.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        Errno::from_raw(self.code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The standard library asks strerror_r(3), as C does, and then adds the number; nix has texts of its own.
        let code = self.code;
        let text = io::Error::from_raw_os_error(code).to_string();
        let text = text
            .strip_suffix(&format!(" (os error {code})"))
            .unwrap_or(&text);
        write!(f, "{}() failed: {text}", self.call)
    }
}

impl std::error::Error for Error {}

impl PartialEq<Errno> for Error {
    fn eq(&self, errno: &Errno) -> bool {
        self.errno() == *errno
    }
}
