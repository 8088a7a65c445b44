//! `<sys/un.h>`: local addresses, by file name.
//!
//! It also prints an [`AnyAddr`] of any family.

#![allow(non_camel_case_types, reason = "a type with a C name has C's layout")]
#![allow(
    unsafe_code,
    reason = "the promise that the type is what the kernel reads and fills in"
)]

use std::fmt;
use std::mem::offset_of;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libc::socklen_t;

use crate::error::{Errno, Error, Result};
use crate::socket::{
    AF_UNIX, AddressFamily, AnyAddr, Sockaddr, length_of, sealed as address, sockaddr_storage,
};

/// `struct sockaddr_un`: a name on this machine, 110 bytes. A path, an abstract name (the first byte of `sun_path` is 0, and
/// the kernel keeps it apart from all files), or no name at all.
///
/// As [`Sockaddr`] a path is passed with the whole struct's size, C's `sizeof(addr)`; an abstract name up to its last byte
/// that is not 0; no name as the family alone. Another length is [`AnyAddr::with_addrlen`]'s.
///
/// Prints as its path, as `@NAME`, or as `(unnamed)`, with bytes that are not printable ASCII escaped.
///
/// ```
/// # use sockstep::*;
/// let sock = socket(AF_UNIX, SOCK_STREAM, 0)?;
/// let addr = sockaddr_un::of_abstract(format!("sockstep-{}", std::process::id()).as_bytes())?;
/// bind(&sock, &addr)?;
/// assert_eq!(getsockname::<sockaddr_un>(&sock)?, addr);
/// # Ok::<(), Error>(())
/// ```
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct sockaddr_un {
    /// [`AF_UNIX`], in host order.
    pub sun_family: AddressFamily,
    /// The name. A path ends with a 0 if there is room for one.
    pub sun_path: [u8; 108],
}

/// Where in the struct the path begins.
const PATH: usize = offset_of!(sockaddr_un, sun_path);

impl sockaddr_un {
    /// All bytes zero, as C's `memset(&addr, 0, sizeof(addr))` leaves it.
    #[must_use]
    pub const fn zeroed() -> sockaddr_un {
        sockaddr_un {
            sun_family: AddressFamily(0),
            sun_path: [0; 108],
        }
    }

    /// The address of a file, C's `strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1)`, except that nothing is cut.
    ///
    /// # Errors
    ///
    /// - `ENAMETOOLONG`: more than 107 bytes.
    /// - `EINVAL`: no bytes, or a 0 among them.
    pub fn of_path(path: impl AsRef<Path>) -> Result<sockaddr_un> {
        let path = path.as_ref().as_os_str().as_bytes();
        if path.is_empty() || path.contains(&0) {
            return Err(Error::new("sockaddr_un", Errno::EINVAL));
        }
        sockaddr_un::with_name(b"", path)
    }

    /// The address of an abstract name.
    ///
    /// # Errors
    ///
    /// - `ENAMETOOLONG`: more than 106 bytes.
    /// - `EINVAL`: no bytes, or a 0 at the end. ([`AnyAddr::with_addrlen`] takes those.)
    pub fn of_abstract(name: &[u8]) -> Result<sockaddr_un> {
        if name.last().is_none_or(|&last| last == 0) {
            return Err(Error::new("sockaddr_un", Errno::EINVAL));
        }
        sockaddr_un::with_name(b"\0", name)
    }

    fn with_name(start: &[u8], name: &[u8]) -> Result<sockaddr_un> {
        let mut addr = sockaddr_un::zeroed();
        addr.sun_family = AF_UNIX;
        let end = start.len() + name.len();
        if end >= addr.sun_path.len() {
            return Err(Error::new("sockaddr_un", Errno::ENAMETOOLONG));
        }
        addr.sun_path[start.len()..end].copy_from_slice(name);
        Ok(addr)
    }

    /// The path, if it has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self.name() {
            Name::Path(path) => Some(Path::new(std::ffi::OsStr::from_bytes(path))),
            _ => None,
        }
    }

    fn name(&self) -> Name<'_> {
        let used = self.sun_path.iter().rposition(|&byte| byte != 0);
        match used {
            None => Name::Unnamed,
            Some(last) => Name::of(&self.sun_path[..=last]),
        }
    }
}

/// The name in the bytes after the family.
enum Name<'bytes> {
    Unnamed,
    Path(&'bytes [u8]),
    Abstract(&'bytes [u8]),
}

impl<'bytes> Name<'bytes> {
    fn of(bytes: &'bytes [u8]) -> Name<'bytes> {
        match bytes {
            [] => Name::Unnamed,
            [0, name @ ..] => Name::Abstract(name),
            path => Name::Path(path.split(|&byte| byte == 0).next().unwrap_or(path)),
        }
    }

    /// As strace shows it, after the family.
    fn debug(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Unnamed => Ok(()),
            Name::Path(path) => write!(f, ", sun_path=\"{}\"", path.escape_ascii()),
            Name::Abstract(name) => write!(f, ", sun_path=@\"{}\"", name.escape_ascii()),
        }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Unnamed => f.write_str("(unnamed)"),
            Name::Path(path) => path.escape_ascii().fmt(f),
            Name::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
        }
    }
}

impl fmt::Display for sockaddr_un {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

impl fmt::Debug for sockaddr_un {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{sa_family={:?}", self.sun_family)?;
        self.name().debug(f)?;
        f.write_str("}")
    }
}

/// `SUN_LEN(&addr)`: the length of an address up to the end of its path, without the 0 after it.
///
/// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
#[must_use]
#[allow(non_snake_case, reason = "C's name")]
pub fn SUN_LEN(addr: &sockaddr_un) -> socklen_t {
    let path = addr.sun_path.iter().take_while(|&&byte| byte != 0).count();
    length(PATH + path)
}

fn length(bytes: usize) -> socklen_t {
    socklen_t::try_from(bytes).unwrap_or_else(|_| length_of::<sockaddr_un>())
}

// SAFETY: at most its whole size, whose fields leave no padding.
unsafe impl Sockaddr for sockaddr_un {
    fn addrlen(&self) -> socklen_t {
        match self.name() {
            Name::Unnamed => length(PATH),
            Name::Path(_) => length_of::<Self>(),
            Name::Abstract(name) => length(PATH + 1 + name.len()),
        }
    }
    fn family(&self) -> AddressFamily {
        self.sun_family
    }
}

// SAFETY: a number and bytes.
unsafe impl address::Out for sockaddr_un {
    type Room = Self;
    const EMPTY: Self = sockaddr_un::zeroed();
    fn filled_in(room: Self, addrlen: socklen_t) -> Option<Self> {
        // The kernel counts the 0 behind a path, also behind one of 108 bytes that has no room for it.
        let whole = match room.name() {
            Name::Path(path) => addrlen == length(PATH + path.len() + 1),
            _ => addrlen == room.addrlen(),
        };
        ((whole && room.sun_family == AF_UNIX) || addrlen == 0).then_some(room)
    }
}

impl From<sockaddr_un> for AnyAddr {
    fn from(addr: sockaddr_un) -> AnyAddr {
        AnyAddr::of(&addr)
    }
}

impl AnyAddr {
    /// The address as a UNIX one. `None` also for an abstract name that ends with zeros, which a
    /// `sockaddr_un` could not keep apart.
    #[must_use]
    pub fn un(&self) -> Option<sockaddr_un> {
        if self.family() != AF_UNIX {
            return None;
        }
        let mut addr = sockaddr_un::zeroed();
        addr.sun_family = AF_UNIX;
        let name = self.as_bytes().get(PATH..)?;
        let name = &name[..name.len().min(addr.sun_path.len())];
        addr.sun_path[..name.len()].copy_from_slice(name);
        let is_abstract = name.first() == Some(&0);
        (!is_abstract || addr.addrlen() == self.addrlen()).then_some(addr)
    }

    /// What it says after the family, if it is a UNIX address.
    fn unix_name(&self) -> Option<Name<'_>> {
        let name = self.as_bytes().get(PATH..)?;
        (self.family() == AF_UNIX).then(|| Name::of(name))
    }
}

impl fmt::Display for AnyAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.v4(), self.v6(), self.unix_name()) {
            (Some(addr), ..) => addr.fmt(f),
            (_, Some(addr), _) => addr.fmt(f),
            (.., Some(name)) => name.fmt(f),
            _ => write!(f, "{:?}", self.family()),
        }
    }
}

impl fmt::Debug for AnyAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.v4(), self.v6(), self.unix_name()) {
            (Some(addr), ..) => addr.fmt(f),
            (_, Some(addr), _) => addr.fmt(f),
            (.., Some(name)) => {
                write!(f, "{{sa_family={:?}", self.family())?;
                name.debug(f)?;
                f.write_str("}")
            }
            _ => write!(f, "{{sa_family={:?}, ...}}", self.family()),
        }
    }
}

impl fmt::Debug for sockaddr_storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{sa_family={:?}, ...}}", self.ss_family)
    }
}
