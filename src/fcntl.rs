//! `<fcntl.h>`: the flags of an open descriptor, [`O_NONBLOCK`] among them.

#![allow(
    unsafe_code,
    reason = "the call itself; each block says what makes it sound"
)]

use std::marker::PhantomData;
use std::ops::Not;
use std::os::fd::{AsFd, AsRawFd};

use libc::c_int;

use crate::error::{Result, check};
use crate::flags::flags;

flags! {
    /// How a file was opened and is used: the flags that [`F_GETFL`] returns and [`F_SETFL`] takes.
    FileStatus: c_int;
    /// Calls that would wait fail with `EAGAIN` instead.
    O_NONBLOCK
    /// Each write goes to the end.
    O_APPEND
    /// Reading and writing.
    O_RDWR
    /// Writing alone.
    O_WRONLY
}

flags! {
    /// What belongs to one descriptor: what [`F_GETFD`] gives and [`F_SETFD`] takes.
    FdFlags: c_int;
    /// It does not survive `execve`.
    FD_CLOEXEC
}

/// C's `~O_NONBLOCK`: all others. `F_SETFL` ignores flags that it cannot change.
impl Not for FileStatus {
    type Output = FileStatus;
    fn not(self) -> FileStatus {
        FileStatus(!self.0)
    }
}

impl Not for FdFlags {
    type Output = FdFlags;
    fn not(self) -> FdFlags {
        FdFlags(!self.0)
    }
}

/// A command of [`fcntl`], the type `A` of its argument, and the type `R` of its answer.
#[derive(Debug)]
pub struct FcntlCmd<A, R> {
    pub(crate) number: c_int,
    of: PhantomData<fn(A) -> R>,
}

impl<A, R> Clone for FcntlCmd<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, R> Copy for FcntlCmd<A, R> {}

impl<A, R> FcntlCmd<A, R> {
    const fn new(number: c_int) -> Self {
        FcntlCmd {
            number,
            of: PhantomData,
        }
    }
}

/// The file's flags. The argument, C's 0, means nothing.
pub const F_GETFL: FcntlCmd<c_int, FileStatus> = FcntlCmd::new(libc::F_GETFL);
/// Change the file's flags, for all descriptors of it.
pub const F_SETFL: FcntlCmd<FileStatus, ()> = FcntlCmd::new(libc::F_SETFL);
/// The descriptor's flags. The argument, C's 0, means nothing.
pub const F_GETFD: FcntlCmd<c_int, FdFlags> = FcntlCmd::new(libc::F_GETFD);
/// Change the descriptor's flags.
pub const F_SETFD: FcntlCmd<FdFlags, ()> = FcntlCmd::new(libc::F_SETFD);

/// The argument or the answer of a command, an `int` in C. Sealed: no command here takes a pointer.
pub trait FcntlArg: sealed::FcntlArg {}

impl<A: sealed::FcntlArg> FcntlArg for A {}

mod sealed {
    use super::{FdFlags, FileStatus, c_int};

    pub trait FcntlArg {
        fn from_int(int: c_int) -> Self;
        fn to_int(self) -> c_int;
    }

    macro_rules! args {
        ($($ty:ty, $from:expr, $to:expr;)*) => {$(
            impl FcntlArg for $ty {
                fn from_int(int: c_int) -> $ty {
                    $from(int)
                }
                fn to_int(self) -> c_int {
                    $to(self)
                }
            }
        )*};
    }
    args! {
        (), |_| (), |()| 0;
        c_int, |int| int, |int| int;
        FileStatus, FileStatus, |flags: FileStatus| flags.0;
        FdFlags, FdFlags, |flags: FdFlags| flags.0;
    }
}

/// `fcntl(fd, cmd, arg)`: asks for a descriptor's flags, or changes them.
///
/// ```
/// # use sockstep::*;
/// let sock = socket(AF_INET, SOCK_DGRAM, 0)?;
/// let flags = fcntl(&sock, F_GETFL, 0)?;
/// fcntl(&sock, F_SETFL, flags | O_NONBLOCK)?;
/// assert_eq!(recv(&sock, &mut [0; 16], 0).unwrap_err(), Errno::EAGAIN);
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - `EBADF`: an `O_PATH` descriptor, for all but its own flags.
/// - `EPERM`: `O_APPEND` removed from an append-only file.
///
/// See [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html).
pub fn fcntl<A: FcntlArg, R: FcntlArg>(fd: &impl AsFd, cmd: FcntlCmd<A, R>, arg: A) -> Result<R> {
    let (fd, arg) = (fd.as_fd().as_raw_fd(), arg.to_int());
    // SAFETY: three integers, no memory: the four commands take an `int`.
    let answer = check("fcntl", unsafe { libc::fcntl(fd, cmd.number, arg) })?;
    Ok(R::from_int(answer))
}
