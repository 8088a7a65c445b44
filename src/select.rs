//! `<sys/select.h>`: waiting for several descriptors at once, in sets that the program keeps.

#![allow(non_camel_case_types, reason = "a type with a C name has C's layout")]
#![allow(non_snake_case, reason = "C's macros")]
#![allow(
    unsafe_code,
    reason = "the call itself; each block says what makes it sound"
)]

use std::fmt;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use libc::{c_int, c_ulong};

use crate::error::{Errno, Error, Result, check};
use crate::socket::timeval;

/// How many descriptors a set has room for: those from 0 to 1023.
pub const FD_SETSIZE: usize = libc::FD_SETSIZE;

const BITS: usize = c_ulong::BITS as usize;

/// `fd_set`: a set of descriptors, by their numbers.
///
/// A set holds no descriptor open, as C's does not: take one out ([`FD_CLR`]) before it is closed,
/// or `select` fails with `EBADF`, or reports another descriptor with that number. A copy is an
/// assignment, C's `readfds = master`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct fd_set {
    bits: [c_ulong; FD_SETSIZE / BITS],
}

impl fd_set {
    /// The empty set, as [`FD_ZERO`] makes it.
    #[must_use]
    pub const fn zeroed() -> fd_set {
        fd_set {
            bits: [0; FD_SETSIZE / BITS],
        }
    }

    /// The word and the bit of a descriptor. C writes outside the set if the number is too large.
    #[inline]
    fn place(fd: &impl AsFd) -> Option<(usize, c_ulong)> {
        let number = usize::try_from(fd.as_fd().as_raw_fd()).ok()?;
        (number < FD_SETSIZE).then(|| (number / BITS, 1 << (number % BITS)))
    }
}

impl fmt::Debug for fd_set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = |number: &usize| self.bits[number / BITS] & (1 << (number % BITS)) != 0;
        f.debug_list().entries((0..FD_SETSIZE).filter(has)).finish()
    }
}

/// `FD_ZERO(&set)`: takes all descriptors out.
///
/// See [select(2)](https://man7.org/linux/man-pages/man2/select.2.html).
pub fn FD_ZERO(set: &mut fd_set) {
    *set = fd_set::zeroed();
}

/// `FD_SET(fd, &set)`: puts a descriptor in.
///
/// # Errors
///
/// - `EINVAL`: its number is [`FD_SETSIZE`] or more. (C writes beside the set.)
///
/// See [select(2)](https://man7.org/linux/man-pages/man2/select.2.html).
#[inline]
pub fn FD_SET(fd: &impl AsFd, set: &mut fd_set) -> Result<()> {
    let (word, bit) = fd_set::place(fd).ok_or(Error::new("FD_SET", Errno::EINVAL))?;
    set.bits[word] |= bit;
    Ok(())
}

/// `FD_CLR(fd, &set)`: takes a descriptor out.
///
/// See [select(2)](https://man7.org/linux/man-pages/man2/select.2.html).
#[inline]
pub fn FD_CLR(fd: &impl AsFd, set: &mut fd_set) {
    if let Some((word, bit)) = fd_set::place(fd) {
        set.bits[word] &= !bit;
    }
}

/// `FD_ISSET(fd, &set)`: whether a descriptor is in.
///
/// See [select(2)](https://man7.org/linux/man-pages/man2/select.2.html).
#[must_use]
#[inline]
pub fn FD_ISSET(fd: &impl AsFd, set: &fd_set) -> bool {
    fd_set::place(fd).is_some_and(|(word, bit)| set.bits[word] & bit != 0)
}

/// `select(nfds, &readfds, &writefds, &exceptfds, &timeout)`: waits until one of the descriptors in the sets is ready, and
/// returns how many are. Only those stay in the sets.
///
/// `nfds` is the highest descriptor plus one. `None` for a set is C's NULL; `None` for the time
/// waits without end. Linux sets `timeout` to the remaining time.
///
/// ```
/// # use sockstep::*;
/// # use std::os::fd::AsRawFd;
/// let [one, other] = socketpair(AF_UNIX, SOCK_STREAM, 0)?;
/// send(&other, b"hello", 0)?;
/// let mut readfds = fd_set::zeroed();
/// FD_SET(&one, &mut readfds)?;
/// assert_eq!(select(one.as_raw_fd() + 1, Some(&mut readfds), None, None, None)?, 1);
/// assert!(FD_ISSET(&one, &readfds));
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - `EBADF`: a number in a set is no open descriptor's.
/// - `EINTR`: a signal handler ran. It is never restarted.
/// - `EINVAL`: `nfds` is negative or more than [`FD_SETSIZE`] (beyond which C's kernel reads and writes past the sets), or
///   the time is negative.
/// - `ENOMEM`: no memory is left in the kernel.
///
/// See [select(2)](https://man7.org/linux/man-pages/man2/select.2.html).
#[inline]
pub fn select(
    nfds: c_int,
    readfds: Option<&mut fd_set>,
    writefds: Option<&mut fd_set>,
    exceptfds: Option<&mut fd_set>,
    timeout: Option<&mut timeval>,
) -> Result<usize> {
    if usize::try_from(nfds).is_ok_and(|nfds| nfds > FD_SETSIZE) {
        return Err(Error::new("select", Errno::EINVAL));
    }
    let pointer =
        |set: Option<&mut fd_set>| set.map_or(ptr::null_mut(), |set| (&raw mut *set).cast());
    let (readfds, writefds, exceptfds) = (pointer(readfds), pointer(writefds), pointer(exceptfds));
    let timeout = timeout.map_or(ptr::null_mut(), |time| (&raw mut *time).cast());
    // SAFETY: each pointer is NULL or to what C has there, writable, any bytes of which are a value; `nfds` stays inside the sets.
    let ready = unsafe { libc::select(nfds, readfds, writefds, exceptfds, timeout) };
    Ok(check("select", ready)?.unsigned_abs() as usize)
}
