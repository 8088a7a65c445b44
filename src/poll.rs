//! `<poll.h>`: waiting for several descriptors at once, in an array that the program keeps.

#![allow(non_camel_case_types, reason = "a type with a C name has C's layout")]
#![allow(
    unsafe_code,
    reason = "the call itself; each block says what makes it sound"
)]

use std::os::fd::{BorrowedFd, OwnedFd};

use libc::{c_int, c_short};

use crate::error::{Error, Result, count};
use crate::flags::flags;

flags! {
    /// The events that [`poll`] waits for, and those that it reports.
    PollEvents: c_short;
    /// There is something to read: bytes, a datagram, a connection, or the end of a stream.
    POLLIN
    /// Urgent data.
    POLLPRI
    /// There is room to write.
    POLLOUT
    /// The peer sends no more. (GNU)
    POLLRDHUP
    /// An error is pending. Only in the result.
    POLLERR
    /// Both directions have ended. Only in the result.
    POLLHUP
    /// The descriptor is not open, or cannot be polled (`O_PATH`). Only in the result.
    POLLNVAL
}

/// A descriptor that a [`pollfd`] can hold: one that it owns, or one that it borrows.
///
/// # Safety
///
/// `Option<Self>` has the layout of C's `int`, and -1 is `None`. (Sealed: this is the standard library's promise.)
pub unsafe trait PollFd: sealed::PollFd {}

mod sealed {
    pub trait PollFd {}
    impl PollFd for super::OwnedFd {}
    impl PollFd for super::BorrowedFd<'_> {}
}

// SAFETY: what its documentation promises.
unsafe impl PollFd for OwnedFd {}
// SAFETY: what its documentation promises.
unsafe impl PollFd for BorrowedFd<'_> {}

/// `struct pollfd`: a descriptor, the events to wait for, and those reported.
///
/// It owns its descriptor (`pollfd<OwnedFd>`), so that an array of them may live as long as the clients do, as C's does; or
/// it borrows one (`pollfd<BorrowedFd>`), for an array that is made for one call. `fd: None` is C's `fd = -1`: `poll` passes
/// over it.
#[repr(C)]
#[derive(Debug)]
pub struct pollfd<F: PollFd> {
    /// The descriptor.
    pub fd: Option<F>,
    /// The events to wait for.
    pub events: PollEvents,
    /// The events reported: some of `events`, or [`POLLERR`], [`POLLHUP`], [`POLLNVAL`].
    pub revents: PollEvents,
}

impl<F: PollFd> pollfd<F> {
    /// An entry that waits for `events`, with no event reported yet.
    pub const fn new(fd: F, events: PollEvents) -> pollfd<F> {
        pollfd {
            fd: Some(fd),
            events,
            revents: PollEvents::empty(),
        }
    }
}

/// `poll(fds, nfds, timeout)`: waits until one of the descriptors is ready, and returns how many are.
///
/// Each entry's `revents` says for what. The time is in milliseconds: -1 waits without end, 0 not
/// at all; when it is over, 0 descriptors are ready.
///
/// ```
/// # use sockstep::*;
/// # use std::os::fd::AsFd;
/// let [one, other] = socketpair(AF_UNIX, SOCK_STREAM, 0)?;
/// let mut fds = [pollfd::new(one.as_fd(), POLLIN), pollfd::new(other.as_fd(), POLLIN | POLLOUT)];
/// assert_eq!(poll(&mut fds, 0)?, 1);
/// assert_eq!([fds[0].revents, fds[1].revents], [PollEvents::empty(), POLLOUT]);
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - `EINTR`: a signal handler ran. It is never restarted.
/// - `EINVAL`: more descriptors than `RLIMIT_NOFILE`.
/// - `ENOMEM`: no memory is left in the kernel.
///
/// See [poll(2)](https://man7.org/linux/man-pages/man2/poll.2.html).
#[inline]
pub fn poll<F: PollFd>(fds: &mut [pollfd<F>], timeout: c_int) -> Result<usize> {
    let Ok(nfds) = libc::nfds_t::try_from(fds.len()) else {
        return Err(Error::new("poll", crate::Errno::EINVAL));
    };
    let at = fds.as_mut_ptr().cast();
    // SAFETY: `fds` has C's layout and is writable for `nfds` of them; the kernel changes `revents` alone, any number of which is a value.
    let ready = unsafe { libc::poll(at, nfds, timeout) };
    count("poll", ready as isize, fds.len())
}
