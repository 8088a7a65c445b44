//! `<errno.h>`: which call failed, and why; and the resolver's own codes, which `<netdb.h>` has in place of an `errno`.

#![allow(
    unsafe_code,
    reason = "a name kept in eight bytes and a length, and the C library's texts; each block says what makes it sound"
)]

use std::ffi::{CStr, CString};
use std::io::Write as _;
use std::ptr::NonNull;
use std::{fmt, io, slice, str};

use libc::{c_int, ssize_t};
pub use nix::errno::Errno;

/// A C call that failed: its name and its `errno`, or a code of [`getaddrinfo`](crate::getaddrinfo).
///
/// Prints as the lectures' `DieWithError` does, in the C library's own words. Compares with a bare [`Errno`] and with a bare
/// [`Eai`]. As an [`io::Error`] it keeps its `errno`.
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
#[derive(Clone, Copy)]
pub struct Error {
    // The call's name, taken apart: with its length in four bytes, a `Result<usize>` fits in two registers.
    name: NonNull<u8>,
    len: u32,
    code: i32, // an errno, positive, also one of which nix has no name; or an EAI code, negative
}

const _: () = assert!(size_of::<Result<usize>>() <= 16);

// SAFETY: `name` points to a `&'static str`, which any thread may read.
unsafe impl Send for Error {}
// SAFETY: as above, and nothing changes in place.
unsafe impl Sync for Error {}

/// What every wrapper returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The failure of `call` with `errno`.
    #[must_use]
    #[inline]
    pub const fn new(call: &'static str, errno: Errno) -> Error {
        Error::of_code(call, errno as i32)
    }

    /// The failure of `call` with a code of the resolver's own.
    pub(crate) const fn of_resolver(call: &'static str, Eai(code): Eai) -> Error {
        Error::of_code(call, code)
    }

    /// The failure of `call` just now: what `errno` says on this thread.
    #[must_use]
    #[cold] // otherwise the code after some successful calls counts as unlikely
    #[inline] // so that a result stays in registers, even if it is an error
    pub fn last(call: &'static str) -> Error {
        Error::of_code(call, Errno::last_raw())
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "asserted")]
    pub(crate) const fn of_code(call: &'static str, code: i32) -> Error {
        assert!(call.len() <= u32::MAX as usize);
        let name = call.as_ptr().cast_mut();
        Error {
            // SAFETY: a reference's pointer is not null.
            name: unsafe { NonNull::new_unchecked(name) },
            len: call.len() as u32,
            code,
        }
    }

    /// The C name of the call that failed, as in `bind`.
    #[must_use]
    pub const fn call(&self) -> &'static str {
        // SAFETY: `name` and `len` are the parts of the `&'static str` that `of_code` was given, and nothing changes them.
        let bytes = unsafe { slice::from_raw_parts(self.name.as_ptr(), self.len as usize) };
        // SAFETY: and so they are UTF-8.
        unsafe { str::from_utf8_unchecked(bytes) }
    }

    /// The `errno` of the failure; [`Errno::UnknownErrno`] if it has an [`Eai`] instead.
    #[must_use]
    pub const fn errno(&self) -> Errno {
        Errno::from_raw(self.code)
    }

    /// The resolver's code, if the failure has one.
    #[must_use]
    pub const fn eai(&self) -> Option<Eai> {
        if self.code < 0 {
            Some(Eai(self.code))
        } else {
            None
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}() failed: {}", self.call(), reason(self.code))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut error = f.debug_struct("Error");
        error.field("call", &self.call());
        match self.eai() {
            Some(eai) => error.field("eai", &eai),
            None => error.field("errno", &self.errno()),
        };
        error.finish()
    }
}

impl std::error::Error for Error {}

impl PartialEq for Error {
    fn eq(&self, other: &Error) -> bool {
        self.call() == other.call() && self.code == other.code
    }
}

impl Eq for Error {}

impl PartialEq<Errno> for Error {
    #[inline]
    fn eq(&self, errno: &Errno) -> bool {
        match *errno {
            Errno::UnknownErrno => self.errno() == *errno,
            errno => self.code == errno as i32,
        }
    }
}

impl PartialEq<Eai> for Error {
    fn eq(&self, eai: &Eai) -> bool {
        self.eai() == Some(*eai)
    }
}

/// The `errno` alone, for the standard library; a resolver's code becomes an error of another kind.
impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error.eai() {
            None => io::Error::from_raw_os_error(error.code),
            Some(_) => io::Error::other(error),
        }
    }
}

/// The C library's words for an `errno`, or for a code of the resolver's.
fn reason(code: i32) -> String {
    if code < 0 {
        return gai_strerror(Eai(code));
    }
    // The standard library asks strerror_r(3), as C does, and then adds the number; nix has texts of its own.
    let text = io::Error::from_raw_os_error(code).to_string();
    match text.strip_suffix(&format!(" (os error {code})")) {
        Some(text) => text.to_owned(),
        None => text,
    }
}

/// `perror(s)`: writes `s`, a colon and the reason on standard error, as C does with `errno`. Here the reason comes from the error.
///
/// See [perror(3)](https://man7.org/linux/man-pages/man3/perror.3.html).
pub fn perror(s: &str, error: &Error) {
    let text = s.split('\0').next().unwrap_or_default(); // where C sees the end
    if let (None, Ok(text)) = (error.eai(), CString::new(text)) {
        Errno::set_raw(error.code);
        // SAFETY: `text` ends with a NUL.
        unsafe { libc::perror(text.as_ptr()) };
    } else {
        let line = format!("{text}: {}\n", reason(error.code));
        let _ = io::stderr().write_all(line.as_bytes()); // perror has no error either
    }
}

// ---- Return values ----

/// A call that returns -1 or something else.
#[inline]
pub(crate) fn check(call: &'static str, ret: c_int) -> Result<c_int> {
    if ret < 0 {
        Err(Error::last(call))
    } else {
        Ok(ret)
    }
}

/// A call that returns -1 or a count, at most `room`.
#[inline]
#[allow(clippy::cast_sign_loss, reason = "checked")]
pub(crate) fn count(call: &'static str, ret: ssize_t, room: usize) -> Result<usize> {
    // One comparison for both: -1 is more than any room.
    match ret as usize {
        n if n <= room => Ok(n),
        _ if ret < 0 => Err(Error::last(call)),
        _ => Err(Error::new(call, Errno::EOVERFLOW)), // a correct kernel never returns this
    }
}

// ---- The resolver's errors ----

/// Why [`getaddrinfo`](crate::getaddrinfo) or [`getnameinfo`](crate::getnameinfo) failed, where C has no `errno`.
///
/// ```
/// # use sockstep::*;
/// let mut hints = Hints::zeroed();
/// hints.ai_flags = AI_NUMERICHOST;
/// let error = getaddrinfo(Some("localhost"), None, Some(&hints)).unwrap_err();
/// assert_eq!(error, EAI_NONAME);
/// assert_eq!(error.to_string(), "getaddrinfo() failed: Name or service not known");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Eai(pub(crate) c_int);

/// The address is of another family than the hints ask for.
pub const EAI_ADDRFAMILY: Eai = Eai(-9); // which the libc crate does not have
/// No answer now. Perhaps later.
pub const EAI_AGAIN: Eai = Eai(libc::EAI_AGAIN);
/// Unknown flags, or flags that contradict each other.
pub const EAI_BADFLAGS: Eai = Eai(libc::EAI_BADFLAGS);
/// The name server failed, for good.
pub const EAI_FAIL: Eai = Eai(libc::EAI_FAIL);
/// Not a family of the Internet.
pub const EAI_FAMILY: Eai = Eai(libc::EAI_FAMILY);
/// No memory.
pub const EAI_MEMORY: Eai = Eai(libc::EAI_MEMORY);
/// The name exists, but has no address.
pub const EAI_NODATA: Eai = Eai(libc::EAI_NODATA);
/// No such name, or no such service.
pub const EAI_NONAME: Eai = Eai(libc::EAI_NONAME);
/// A name longer than the buffer for it.
pub const EAI_OVERFLOW: Eai = Eai(libc::EAI_OVERFLOW);
/// No such service for that type of socket.
pub const EAI_SERVICE: Eai = Eai(libc::EAI_SERVICE);
/// No such type of socket, or not with that protocol.
pub const EAI_SOCKTYPE: Eai = Eai(libc::EAI_SOCKTYPE);

/// `gai_strerror(errcode)`: the C library's words for it.
///
/// See [gai_strerror(3)](https://man7.org/linux/man-pages/man3/gai_strerror.3.html).
#[must_use]
pub fn gai_strerror(errcode: Eai) -> String {
    // SAFETY: an integer, no memory.
    let text = unsafe { libc::gai_strerror(errcode.0) };
    // SAFETY: the C library's own constant text.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}
