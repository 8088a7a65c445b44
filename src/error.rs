//! `<errno.h>`: which call failed, and why.

use std::{fmt, io};

pub use nix::errno::Errno;

use crate::netdb::{Eai, gai_strerror};

/// A C call that failed: its name and the `errno` it left behind, or what [`getaddrinfo`](crate::getaddrinfo) has instead.
///
/// Prints as the lectures' `DieWithError` does, in the C library's own words. Compares with a bare [`Errno`] and with a bare
/// [`Eai`], so that a program can say what it expects.
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
    code: i32, // an errno, positive, also one of which nix has no name; or an EAI code, negative
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

    /// The failure of `call` with a code of the resolver's own.
    pub(crate) const fn of_resolver(call: &'static str, Eai(code): Eai) -> Error {
        Error { call, code }
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

    /// Why it failed. [`Errno::UnknownErrno`] when that is an [`Eai`].
    #[must_use]
    pub const fn errno(&self) -> Errno {
        Errno::from_raw(self.code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = self.call;
        if self.code < 0 {
            return write!(f, "{call}() failed: {}", gai_strerror(Eai(self.code)));
        }
        // The standard library asks strerror_r(3), as C does, and then adds the number; nix has texts of its own.
        let code = self.code;
        let text = io::Error::from_raw_os_error(code).to_string();
        let text = text
            .strip_suffix(&format!(" (os error {code})"))
            .unwrap_or(&text);
        write!(f, "{call}() failed: {text}")
    }
}

impl std::error::Error for Error {}

impl PartialEq<Errno> for Error {
    fn eq(&self, errno: &Errno) -> bool {
        self.errno() == *errno
    }
}

impl PartialEq<Eai> for Error {
    fn eq(&self, Eai(code): &Eai) -> bool {
        self.code == *code
    }
}
