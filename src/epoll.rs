//! `<sys/epoll.h>`: waiting for several descriptors at once, from a list that the kernel keeps.

#![allow(non_camel_case_types, reason = "a type with a C name has C's layout")]
#![allow(
    unsafe_code,
    reason = "the calls themselves; each block says what makes it sound"
)]

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::c_int;

use crate::error::{Result, check, count};
use crate::flags::flags;

flags! {
    /// Events that [`epoll_wait`] waits for, or reports.
    EpollEvents: u32;
    /// There is something to read: bytes, a datagram, a connection, or the end of a stream.
    EPOLLIN
    /// Urgent data.
    EPOLLPRI
    /// There is room to write.
    EPOLLOUT
    /// The peer sends no more.
    EPOLLRDHUP
    /// There is an error. Always reported.
    EPOLLERR
    /// The connection is over. Always reported.
    EPOLLHUP
    /// Report a change once, not as long as the state lasts (edge-triggered).
    EPOLLET
    /// Report one event, then none until the next [`EPOLL_CTL_MOD`].
    EPOLLONESHOT
    /// Wake only one of several processes that wait for this descriptor.
    EPOLLEXCLUSIVE
}

flags! {
    /// The flag of [`epoll_create1`]. C's plain `0` stands for no flag.
    EpollFlags: c_int;
    /// The list's descriptor does not survive `execve`.
    EPOLL_CLOEXEC
}

/// A literal, C's `0`.
impl From<u8> for EpollFlags {
    fn from(bits: u8) -> EpollFlags {
        EpollFlags(bits.into())
    }
}

/// The operation of [`epoll_ctl`] on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpollOp(pub(crate) c_int);

/// Put the descriptor on the list.
pub const EPOLL_CTL_ADD: EpollOp = EpollOp(libc::EPOLL_CTL_ADD);
/// Change the events to wait for.
pub const EPOLL_CTL_MOD: EpollOp = EpollOp(libc::EPOLL_CTL_MOD);
/// Take it off.
pub const EPOLL_CTL_DEL: EpollOp = EpollOp(libc::EPOLL_CTL_DEL);

/// `epoll_data_t`: 8 bytes that the program gets back with an event. C's union, here only as a number.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct epoll_data_t {
    /// The 8 bytes as a number.
    pub u64: u64,
}

impl epoll_data_t {
    /// A descriptor's number, C's `data.fd = fd`, with zeros in the union's other bytes.
    #[must_use]
    pub fn of_fd(fd: &impl AsFd) -> epoll_data_t {
        let [a, b, c, d] = fd.as_fd().as_raw_fd().to_ne_bytes();
        epoll_data_t {
            u64: u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]),
        }
    }

    /// The number that [`of_fd`](epoll_data_t::of_fd) put in, C's `data.fd`.
    #[must_use]
    pub fn fd(self) -> c_int {
        let [a, b, c, d, ..] = self.u64.to_ne_bytes();
        c_int::from_ne_bytes([a, b, c, d])
    }
}

/// `struct epoll_event`: the events to wait for or reported, and 8 bytes for the program's use.
#[repr(C)]
#[cfg_attr(
    any(target_arch = "x86_64", all(target_arch = "x86", target_env = "gnu")),
    repr(packed)
)] // as the headers have it there
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct epoll_event {
    /// The events to wait for, or those reported.
    pub events: EpollEvents,
    /// Returned with each event.
    pub data: epoll_data_t,
}

impl epoll_event {
    /// All bytes zero: room for an answer.
    #[must_use]
    pub const fn zeroed() -> epoll_event {
        epoll_event {
            events: EpollEvents::empty(),
            data: epoll_data_t { u64: 0 },
        }
    }
}

/// As strace shows it.
impl fmt::Debug for epoll_data_t {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.u64)
    }
}

impl fmt::Debug for epoll_event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, data) = (self.events, self.data);
        write!(f, "{{events={events:?}, data={data:?}}}")
    }
}

/// `epoll_create1(flags)`: makes a list that the kernel keeps.
///
/// # Errors
///
/// - `EINVAL`: another flag than [`EPOLL_CLOEXEC`].
/// - `EMFILE`, `ENFILE`, `ENOMEM`: no descriptor or no memory is left.
///
/// See [epoll_create1(2)](https://man7.org/linux/man-pages/man2/epoll_create.2.html).
pub fn epoll_create1(flags: impl Into<EpollFlags>) -> Result<OwnedFd> {
    // SAFETY: an integer, no memory.
    let fd = check("epoll_create1", unsafe {
        libc::epoll_create1(flags.into().0)
    })?;
    // SAFETY: the kernel made `fd` for this call alone, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `epoll_create(size)`: the older call. `size` must be positive, and means nothing.
///
/// # Errors
///
/// - `EINVAL`: `size` is not positive.
/// - `EMFILE`, `ENFILE`, `ENOMEM`: as for [`epoll_create1`].
///
/// See [epoll_create(2)](https://man7.org/linux/man-pages/man2/epoll_create.2.html).
pub fn epoll_create(size: c_int) -> Result<OwnedFd> {
    // SAFETY: an integer, no memory.
    let fd = check("epoll_create", unsafe { libc::epoll_create(size) })?;
    // SAFETY: the kernel made `fd` for this call alone, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `epoll_ctl(epfd, op, fd, &event)`: puts a descriptor on the list, changes its events, or takes
/// it off.
///
/// A closed descriptor leaves the list, unless a copy of it is open (`try_clone`, a fork): then its events continue.
/// `None` is C's NULL, for [`EPOLL_CTL_DEL`].
///
/// # Errors
///
/// - `EEXIST`, `ENOENT`: it is on the list already; it is not.
/// - `EPERM`: a regular file or a directory, which are always ready.
/// - `EINVAL`: the list itself; not a list; [`EPOLLEXCLUSIVE`] where it may not be.
/// - `EFAULT`: `None` with another operation.
/// - `ELOOP`, `ENOMEM`, `ENOSPC`: lists in lists; no memory; the limit `max_user_watches`.
/// - `EBADF`: an `O_PATH` descriptor.
///
/// See [epoll_ctl(2)](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
pub fn epoll_ctl(
    epfd: &impl AsFd,
    op: EpollOp,
    fd: &impl AsFd,
    event: Option<&epoll_event>,
) -> Result<()> {
    let (epfd, fd) = (epfd.as_fd().as_raw_fd(), fd.as_fd().as_raw_fd());
    let event = event.map_or(ptr::null_mut(), |event| {
        (&raw const *event).cast_mut().cast()
    });
    // SAFETY: `event` is NULL or readable; the kernel only reads it.
    check("epoll_ctl", unsafe {
        libc::epoll_ctl(epfd, op.0, fd, event)
    })?;
    Ok(())
}

/// `epoll_wait(epfd, events, maxevents, timeout)`: waits until something is ready, and returns how
/// many events it has written to the front of `events`.
///
/// The time is in milliseconds: -1 waits without end, 0 not at all.
///
/// ```
/// # use sockstep::*;
/// let [one, other] = socketpair(AF_UNIX, SOCK_STREAM, 0)?;
/// let epfd = epoll_create1(0)?;
/// let ev = epoll_event { events: EPOLLIN, data: epoll_data_t::of_fd(&one) };
/// epoll_ctl(&epfd, EPOLL_CTL_ADD, &one, Some(&ev))?;
/// send(&other, b"hello", 0)?;
/// let mut events = [epoll_event::zeroed(); 10];
/// assert_eq!(epoll_wait(&epfd, &mut events, -1)?, 1);
/// assert_eq!(events[0], ev);
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - `EINTR`: a signal handler ran. It is never restarted.
/// - `EINVAL`: no room for an event; not a list.
///
/// See [epoll_wait(2)](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
#[inline]
pub fn epoll_wait(epfd: &impl AsFd, events: &mut [epoll_event], timeout: c_int) -> Result<usize> {
    let maxevents = c_int::try_from(events.len()).unwrap_or(c_int::MAX);
    let (epfd, at) = (epfd.as_fd().as_raw_fd(), events.as_mut_ptr().cast());
    // SAFETY: `events` has C's layout and is writable for `maxevents` of them, any bytes of which are a value.
    let ready = unsafe { libc::epoll_wait(epfd, at, maxevents, timeout) };
    count("epoll_wait", ready as isize, events.len())
}
