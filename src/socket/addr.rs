//! Addresses of any family.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::slice;

use libc::{c_ulong, socklen_t};

use super::flag::{AF_UNSPEC, AddressFamily};
use crate::error::{Errno, Error, Result};

/// An address that the kernel reads and fills in: a `sockaddr_in`, a `sockaddr_in6`, a
/// `sockaddr_un`, or an [`AnyAddr`] of any family. Its length comes from its type.
///
/// # Safety
///
/// The first `addrlen` bytes of it are there, and none of them is padding. (Sealed: this is the library's own promise.)
pub unsafe trait Sockaddr: sealed::Out + Copy {
    /// How many bytes the kernel reads: C's third argument, after the address.
    fn addrlen(&self) -> socklen_t;

    /// The family stored in it.
    fn family(&self) -> AddressFamily;

    /// Its bytes, C's `(unsigned char *)&addr`.
    fn as_bytes(&self) -> &[u8] {
        let bytes = (&raw const *self).cast();
        // SAFETY: an address is readable for `addrlen` bytes, and none of them is padding.
        unsafe { slice::from_raw_parts(bytes, self.addrlen() as usize) }
    }
}

/// Where `accept` and `recvfrom` leave an address: any [`Sockaddr`], or `()` for C's `NULL, NULL`:
/// no address wanted.
pub trait AddrOut: sealed::Out {}

impl<A: sealed::Out> AddrOut for A {}

pub(crate) mod sealed {
    use super::socklen_t;

    /// # Safety
    ///
    /// `Room` is plain data: none of its bytes is padding, and any bytes are a value of it.
    pub unsafe trait Out: Sized {
        /// The memory that the kernel fills in.
        type Room: Copy;
        const EMPTY: Self::Room;
        /// Whether C passes NULL, so that nothing is filled in.
        const NULL: bool = false;
        /// The address that it filled in, if that is whole and of this type, or empty.
        fn filled_in(room: Self::Room, addrlen: socklen_t) -> Option<Self>;
    }
}

// SAFETY: an array of no bytes.
unsafe impl sealed::Out for () {
    type Room = [u8; 0];
    const EMPTY: [u8; 0] = [];
    const NULL: bool = true;
    fn filled_in(_: [u8; 0], _: socklen_t) -> Option<()> {
        Some(())
    }
}

/// The size of `T` as C passes it.
#[allow(clippy::cast_possible_truncation, reason = "asserted")]
pub(crate) const fn length_of<T>() -> socklen_t {
    const { assert!(size_of::<T>() <= socklen_t::MAX as usize) };
    size_of::<T>() as socklen_t
}

/// The address that the kernel filled in, if it is an `A`. An empty one (a TCP socket's `recvfrom`)
/// becomes a zeroed one.
pub(crate) fn filled_in<A: AddrOut>(
    call: &'static str,
    room: A::Room,
    addrlen: socklen_t,
) -> Result<A> {
    A::filled_in(room, addrlen).ok_or(Error::new(call, Errno::EAFNOSUPPORT))
}

/// `struct sockaddr_storage`: room for an address of any family, 128 bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sockaddr_storage {
    /// The address's family, in host order.
    pub ss_family: AddressFamily,
    rest: [u8; 126],
    aligned: [c_ulong; 0], // as any family's address needs it
}

impl sockaddr_storage {
    /// All bytes zero, as C's `memset(&addr, 0, sizeof(addr))` leaves it.
    #[must_use]
    pub const fn zeroed() -> sockaddr_storage {
        sockaddr_storage {
            ss_family: AF_UNSPEC,
            rest: [0; 126],
            aligned: [],
        }
    }
}

/// An address of any family: a [`sockaddr_storage`], and the length that the kernel gave with it.
///
/// C keeps the two in variables of their own. As [`Sockaddr`] it takes any address, which may be an
/// IPv4 one ([`v4`](AnyAddr::v4)), an IPv6 one ([`v6`](AnyAddr::v6)), a UNIX one
/// ([`un`](AnyAddr::un)), or another. Prints in its family's form.
///
/// ```
/// # use sockstep::*;
/// let sock = socket(PF_INET6, SOCK_DGRAM, IPPROTO_UDP)?;
/// let addr: AnyAddr = getsockname(&sock)?;
/// assert_eq!((addr.family(), addr.addrlen()), (AF_INET6, 28));
/// assert_eq!(addr.v6(), Some(getsockname(&sock)?));
/// assert_eq!(addr.v4(), None);
/// # Ok::<(), Error>(())
/// ```
#[repr(C)] // ours, but the storage stands first, which is what the kernel reads
#[derive(Clone, Copy)]
pub struct AnyAddr {
    storage: sockaddr_storage,
    addrlen: socklen_t, // 128 at most
}

impl AnyAddr {
    /// The address's family.
    #[must_use]
    pub const fn family(&self) -> AddressFamily {
        self.storage.ss_family
    }

    /// The same bytes with another length, up to the 128 of a `sockaddr_storage`: C's third argument, chosen by hand.
    #[must_use]
    pub fn with_addrlen(self, addrlen: socklen_t) -> AnyAddr {
        AnyAddr {
            addrlen: addrlen.min(length_of::<sockaddr_storage>()),
            ..self
        }
    }

    /// An address from its bytes, the family first, as C lays it out. `None` if there are more than 128.
    ///
    /// # Safety
    ///
    /// The family is one for which [`AddressFamily::from_raw`] may be called.
    #[must_use]
    pub unsafe fn from_bytes(bytes: &[u8]) -> Option<AnyAddr> {
        AnyAddr::copied(bytes)
    }

    pub(crate) fn copied(bytes: &[u8]) -> Option<AnyAddr> {
        let mut storage = sockaddr_storage::zeroed();
        let addrlen = socklen_t::try_from(bytes.len()).ok()?;
        if addrlen > length_of::<sockaddr_storage>() {
            return None;
        }
        let room = (&raw mut storage).cast::<u8>();
        // SAFETY: `bytes` is readable for its length, and `storage`, in which any bytes are a value, is no shorter.
        unsafe { room.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Some(AnyAddr { storage, addrlen })
    }

    /// The address as an `A`, judged by family and length.
    pub(crate) fn as_an<A: Sockaddr>(&self) -> Option<A> {
        let bytes = self.as_bytes();
        if bytes.is_empty() || bytes.len() > size_of::<A::Room>() {
            return None;
        }
        let mut room = A::EMPTY;
        let at = (&raw mut room).cast::<u8>();
        // SAFETY: `bytes` is readable for its length, and `room`, in which any bytes are a value, is no shorter.
        unsafe { at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        A::filled_in(room, self.addrlen)
    }

    /// The same address, as any family's.
    pub(crate) fn of(addr: &impl Sockaddr) -> AnyAddr {
        AnyAddr::copied(addr.as_bytes()).expect("no family has a longer address")
    }
}

// SAFETY: `addrlen` is at most the length of the storage, which stands first and has no padding.
unsafe impl Sockaddr for AnyAddr {
    fn addrlen(&self) -> socklen_t {
        self.addrlen
    }
    fn family(&self) -> AddressFamily {
        self.storage.ss_family
    }
}

// SAFETY: bytes, and a number of two.
unsafe impl sealed::Out for AnyAddr {
    type Room = sockaddr_storage;
    const EMPTY: sockaddr_storage = sockaddr_storage::zeroed();
    fn filled_in(room: sockaddr_storage, addrlen: socklen_t) -> Option<Self> {
        (addrlen <= length_of::<sockaddr_storage>()).then_some(AnyAddr {
            storage: room,
            addrlen,
        })
    }
}

impl PartialEq for AnyAddr {
    fn eq(&self, other: &AnyAddr) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for AnyAddr {}

impl Hash for AnyAddr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// By family, then byte by byte.
impl Ord for AnyAddr {
    fn cmp(&self, other: &AnyAddr) -> Ordering {
        let (ours, theirs) = (self.as_bytes(), other.as_bytes());
        (self.family(), ours).cmp(&(other.family(), theirs))
    }
}

impl PartialOrd for AnyAddr {
    fn partial_cmp(&self, other: &AnyAddr) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
