//! `<netdb.h>`: names to addresses, and back.
//!
//! These are calls of the C library, not of the kernel: behind one of them it reads `/etc/hosts`
//! and `/etc/services`, or asks a name server, and waits as long as `/etc/resolv.conf` says. A
//! numeric address needs no lookup.
//!
//! They fail with an [`Eai`] instead of an `errno`. C's `EAI_SYSTEM`, which means "see `errno`", is that `errno` here, as
//! with any other call.

#![allow(
    unsafe_code,
    reason = "the calls themselves; each block says what makes it sound"
)]

use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::slice;

use libc::{c_char, c_int};

pub use crate::error::{
    EAI_ADDRFAMILY, EAI_AGAIN, EAI_BADFLAGS, EAI_FAIL, EAI_FAMILY, EAI_MEMORY, EAI_NODATA,
    EAI_NONAME, EAI_OVERFLOW, EAI_SERVICE, EAI_SOCKTYPE, Eai, gai_strerror,
};
use crate::error::{Errno, Error, Result};
use crate::netinet::{Net16, Net32, in_addr};
use crate::socket::{
    AF_UNIX, AF_UNSPEC, AddressFamily, AnyAddr, SockType, Sockaddr, family, length_of,
};

// ---- getaddrinfo ----

/// The request to [`getaddrinfo`], C's `hints`: the first four fields of a `struct addrinfo`, the
/// others being zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hints {
    /// `AI_` flags, joined by `|`.
    pub ai_flags: c_int,
    /// [`AF_INET`](crate::AF_INET), [`AF_INET6`](crate::AF_INET6), or [`AF_UNSPEC`] for both.
    pub ai_family: AddressFamily,
    /// [`SOCK_STREAM`](crate::SOCK_STREAM), [`SOCK_DGRAM`](crate::SOCK_DGRAM); zeroed for every
    /// type.
    pub ai_socktype: SockType,
    /// As for `socket()`: 0 for the one that the type implies.
    pub ai_protocol: c_int,
}

impl Hints {
    /// All zero, as C's `memset(&hints, 0, sizeof(hints))` leaves them: any family, any type.
    #[must_use]
    pub const fn zeroed() -> Hints {
        Hints {
            ai_flags: 0,
            ai_family: AF_UNSPEC,
            ai_socktype: SockType(0),
            ai_protocol: 0,
        }
    }
}

/// One node of the list that [`getaddrinfo`] makes: the arguments for `socket()`, and the address for `connect` or `bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddrInfo<'list> {
    /// The flags of the hints.
    pub ai_flags: c_int,
    /// For `socket()`: the family of the address.
    pub ai_family: AddressFamily,
    /// For `socket()`: the type.
    pub ai_socktype: SockType,
    /// For `socket()`: the protocol.
    pub ai_protocol: c_int,
    /// The address and the port; C's `ai_addrlen` is its [`addrlen`](Sockaddr::addrlen).
    pub ai_addr: AnyAddr,
    /// The canonical name. Only in the first node, and only if [`AI_CANONNAME`] asked for it.
    pub ai_canonname: Option<Cow<'list, str>>,
}

/// The list that [`getaddrinfo`] makes. It is the C library's memory, and goes back to it when this is dropped.
pub struct AddrInfoList(NonNull<libc::addrinfo>);

/// `getaddrinfo(node, service, &hints, &res)`: the addresses of a name, in the order in which to
/// try them.
///
/// `node` is a name or a numeric address; `None` is this machine, to connect to or, with
/// [`AI_PASSIVE`], to bind. `service` is a name of `/etc/services` or a port in decimal; `None` is
/// port 0. C takes any number for a port and cuts it to 16 bits, so "65536" is 0 and "99999" is
/// 34463: read a port yourself before you pass it on.
///
/// ```
/// # use sockstep::*;
/// let mut hints = Hints::zeroed();
/// hints.ai_socktype = SOCK_STREAM;
/// let servers = getaddrinfo(Some("::1"), Some("80"), Some(&hints))?;
/// for server in &servers {
///     let sock = socket(server.ai_family, server.ai_socktype, server.ai_protocol)?;
///     assert_eq!(server.ai_addr.to_string(), "[::1]:80"); // connect(&sock, &server.ai_addr)
/// }
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - [`EAI_NONAME`]: no such name; or neither a node nor a service; or a name where the flags ask for numbers.
/// - [`EAI_AGAIN`]: no name server answered. Perhaps later.
/// - [`EAI_FAIL`], [`EAI_NODATA`]: the name server failed; the name is there, without an address.
/// - [`EAI_SERVICE`]: no such service for that type of socket.
/// - [`EAI_ADDRFAMILY`], [`EAI_FAMILY`]: an address of another family than the hints'; none of the Internet's.
/// - [`EAI_SOCKTYPE`], [`EAI_BADFLAGS`]: type and protocol, or the flags, do not fit.
/// - [`EAI_MEMORY`].
/// - `EMFILE` and others: what a system call on the way failed with (C's `EAI_SYSTEM`).
/// - `EINVAL`: a NUL inside a text, where C would see the text's end.
///
/// See [getaddrinfo(3)](https://man7.org/linux/man-pages/man3/getaddrinfo.3.html).
pub fn getaddrinfo(
    node: Option<&str>,
    service: Option<&str>,
    hints: Option<&Hints>,
) -> Result<AddrInfoList> {
    let node = node.map(|text| c_text("getaddrinfo", text)).transpose()?;
    let service = service
        .map(|text| c_text("getaddrinfo", text))
        .transpose()?;
    let hints = hints.map(|hints| libc::addrinfo {
        ai_flags: hints.ai_flags,
        ai_family: c_int::from(hints.ai_family.0),
        ai_socktype: hints.ai_socktype.0,
        ai_protocol: hints.ai_protocol,
        ai_addrlen: 0,
        ai_addr: ptr::null_mut(),
        ai_canonname: ptr::null_mut(),
        ai_next: ptr::null_mut(),
    });
    let node = node.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    let service = service.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    let hints = hints.as_ref().map_or(ptr::null(), ptr::from_ref);
    let mut res = ptr::null_mut();
    // SAFETY: each pointer is NULL or to what outlives the call, and the texts end with a NUL.
    let code = unsafe { libc::getaddrinfo(node, service, hints, &raw mut res) };
    checked("getaddrinfo", code)?;
    NonNull::new(res)
        .map(AddrInfoList)
        .ok_or(Error::of_resolver("getaddrinfo", EAI_NONAME)) // a correct library never returns this
}

/// `freeaddrinfo(res)`: gives the list's memory back, as dropping it does.
///
/// See [freeaddrinfo(3)](https://man7.org/linux/man-pages/man3/freeaddrinfo.3p.html).
pub fn freeaddrinfo(res: AddrInfoList) {
    drop(res);
}

// SAFETY: the list is this value's alone, and its memory may go back from any thread.
unsafe impl Send for AddrInfoList {}
// SAFETY: nothing in it changes while it is borrowed.
unsafe impl Sync for AddrInfoList {}

impl Drop for AddrInfoList {
    fn drop(&mut self) {
        // SAFETY: the list is getaddrinfo's, and this is its only owner.
        unsafe { libc::freeaddrinfo(self.0.as_ptr()) };
    }
}

impl AddrInfoList {
    /// The nodes, one after the other, as C follows `ai_next`.
    #[must_use]
    pub fn iter(&self) -> AddrInfoIter<'_> {
        // SAFETY: the list is getaddrinfo's, and stays what it is while it is borrowed.
        AddrInfoIter(Some(unsafe { self.0.as_ref() }))
    }
}

impl<'list> IntoIterator for &'list AddrInfoList {
    type Item = AddrInfo<'list>;
    type IntoIter = AddrInfoIter<'list>;
    fn into_iter(self) -> AddrInfoIter<'list> {
        self.iter()
    }
}

impl fmt::Debug for AddrInfoList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// The nodes of an [`AddrInfoList`].
#[derive(Clone)]
pub struct AddrInfoIter<'list>(Option<&'list libc::addrinfo>);

impl<'list> Iterator for AddrInfoIter<'list> {
    type Item = AddrInfo<'list>;

    fn next(&mut self) -> Option<AddrInfo<'list>> {
        let node = self.0?;
        // SAFETY: NULL, or the next node of the list, which is borrowed.
        self.0 = unsafe { node.ai_next.as_ref() };
        let name = (!node.ai_canonname.is_null()).then(|| {
            // SAFETY: a name in the list ends with a NUL, and the list is borrowed.
            unsafe { CStr::from_ptr(node.ai_canonname) }.to_string_lossy()
        });
        let (addr, addrlen) = (node.ai_addr.cast(), node.ai_addrlen as usize);
        // SAFETY: `ai_addr` is readable for `ai_addrlen` bytes while the list is borrowed.
        let addr = unsafe { slice::from_raw_parts(addr, addrlen) };
        let ai_addr = AnyAddr::copied(addr).expect("no family has a longer address");
        Some(AddrInfo {
            ai_flags: node.ai_flags,
            ai_family: AddressFamily(family(node.ai_family)),
            ai_socktype: SockType(node.ai_socktype),
            ai_protocol: node.ai_protocol,
            ai_addr,
            ai_canonname: name,
        })
    }
}

impl fmt::Debug for AddrInfoIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// A text as a C string.
fn c_text(call: &'static str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(call, Errno::EINVAL))
}

/// A call that returns 0 or an `EAI_` code.
fn checked(call: &'static str, code: c_int) -> Result<()> {
    match code {
        0 => Ok(()),
        libc::EAI_SYSTEM => Err(Error::last(call)),
        code => Err(Error::of_resolver(call, Eai(code))),
    }
}

/// With no node, the address to bind for any client (0.0.0.0, ::), instead of the one to connect to on this machine.
pub const AI_PASSIVE: c_int = libc::AI_PASSIVE;
/// Return the canonical name in `ai_canonname`.
pub const AI_CANONNAME: c_int = libc::AI_CANONNAME;
/// The node is a numeric address: no lookup.
pub const AI_NUMERICHOST: c_int = libc::AI_NUMERICHOST;
/// The service is a port number: no lookup.
pub const AI_NUMERICSERV: c_int = libc::AI_NUMERICSERV;
/// If IPv6 is requested and the name has only IPv4 addresses, return those in the form
/// `::ffff:127.0.0.1`.
pub const AI_V4MAPPED: c_int = libc::AI_V4MAPPED;
/// With [`AI_V4MAPPED`]: both, IPv6 addresses and IPv4 ones in that form.
pub const AI_ALL: c_int = libc::AI_ALL;
/// Only families of which this machine has an address other than loopback.
pub const AI_ADDRCONFIG: c_int = libc::AI_ADDRCONFIG;

// ---- getnameinfo ----

/// `getnameinfo(&sa, salen, host, hostlen, serv, servlen, flags)`: the names of an address and of its port.
///
/// If the address has no name, the numeric form is returned; if no name server answers, `EAI_AGAIN`. Do not trust the name. Bytes
/// that are not UTF-8 become `U+FFFD`.
///
/// ```
/// # use sockstep::*;
/// let mut addr = sockaddr_in::zeroed();
/// addr.sin_family = AF_INET;
/// addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
/// addr.sin_port = htons(80);
/// let (host, serv) = getnameinfo(&addr, NI_NUMERICHOST | NI_NUMERICSERV)?;
/// assert_eq!((&*host, &*serv), ("127.0.0.1", "80"));
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - [`EAI_NONAME`]: [`NI_NAMEREQD`], and there is no name.
/// - [`EAI_AGAIN`]: no name server answered. Perhaps later, or with [`NI_NUMERICHOST`].
/// - [`EAI_FAMILY`]: not an address of the Internet, or of another family than its type.
/// - [`EAI_BADFLAGS`], [`EAI_FAIL`], [`EAI_MEMORY`], [`EAI_OVERFLOW`] (a name of more than 1024 bytes).
/// - `EMFILE` and others: what a system call on the way failed with (C's `EAI_SYSTEM`).
///
/// See [getnameinfo(3)](https://man7.org/linux/man-pages/man3/getnameinfo.3.html).
pub fn getnameinfo(addr: &impl Sockaddr, flags: c_int) -> Result<(String, String)> {
    // A UNIX socket's address is a path, and the C library would read on to a NUL that need not be there.
    if addr.family() == AF_UNIX {
        return Err(Error::of_resolver("getnameinfo", EAI_FAMILY));
    }
    let (mut host, mut serv) = ([0_u8; NI_MAXHOST], [0_u8; NI_MAXSERV]);
    let (sa, salen) = ((&raw const *addr).cast(), addr.addrlen());
    let (host_at, hostlen) = (host.as_mut_ptr().cast(), length_of::<[u8; NI_MAXHOST]>());
    let (serv_at, servlen) = (serv.as_mut_ptr().cast(), length_of::<[u8; NI_MAXSERV]>());
    // SAFETY: `sa` is readable for `salen` bytes, `host` and `serv` are writable for theirs.
    let code = unsafe { libc::getnameinfo(sa, salen, host_at, hostlen, serv_at, servlen, flags) };
    checked("getnameinfo", code)?;
    Ok((text_in(&host), text_in(&serv)))
}

const NI_MAXHOST: usize = 1025; // as <netdb.h> has them
const NI_MAXSERV: usize = 32;

/// The text in a buffer, up to its NUL.
fn text_in(buffer: &[u8]) -> String {
    let text = buffer.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// Return the numeric address: no lookup.
pub const NI_NUMERICHOST: c_int = libc::NI_NUMERICHOST;
/// Return the port as a number: no lookup.
pub const NI_NUMERICSERV: c_int = libc::NI_NUMERICSERV;
/// Return a name of the local network without its domain.
pub const NI_NOFQDN: c_int = libc::NI_NOFQDN;
/// Do not return a number instead of a name: fail with [`EAI_NONAME`] instead.
pub const NI_NAMEREQD: c_int = libc::NI_NAMEREQD;
/// Return the datagram service's name of the port, if that differs.
pub const NI_DGRAM: c_int = libc::NI_DGRAM;

// ---- The older calls ----

/// `struct servent`: a service of `/etc/services`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servent {
    /// Its name.
    pub s_name: String,
    /// Other names of it.
    pub s_aliases: Vec<String>,
    /// Its port, in network order.
    pub s_port: Net16,
    /// `tcp` or `udp`.
    pub s_proto: String,
}

/// `getservbyname(name, proto)`: a service's port. `None` for the protocol is C's NULL, any.
///
/// C's result is in static memory that the next call overwrites; this one is owned.
///
/// ```
/// # use sockstep::*;
/// assert_eq!(getservbyname("http", Some("tcp"))?.s_port, htons(80));
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - `ENOENT`: no such service. (C returns NULL and sets no `errno`.)
/// - `EINVAL`: a NUL inside a text, where C would see the text's end.
///
/// See [getservbyname(3)](https://man7.org/linux/man-pages/man3/getservbyname.3.html).
pub fn getservbyname(name: &str, proto: Option<&str>) -> Result<Servent> {
    let name = c_text("getservbyname", name)?;
    let proto = proto
        .map(|text| c_text("getservbyname", text))
        .transpose()?;
    let proto = proto.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    let mut entry = MaybeUninit::uninit();
    with_room("getservbyname", |buf, len| {
        let mut found: *mut libc::servent = ptr::null_mut();
        let at = entry.as_mut_ptr();
        // SAFETY: the texts are NULL or end with a NUL; the others are writable, `buf` for `len` bytes.
        let code = unsafe { getservbyname_r(name.as_ptr(), proto, at, buf, len, &raw mut found) };
        match code {
            0 if found.is_null() => Err(Errno::ENOENT),
            0 => {
                // SAFETY: `found` is the entry that the call has filled in.
                let entry = unsafe { &*found };
                Ok(Servent {
                    s_name: text_at(entry.s_name),
                    s_aliases: texts_at(entry.s_aliases),
                    s_port: port_of(entry.s_port),
                    s_proto: text_at(entry.s_proto),
                })
            }
            code => Err(Errno::from_raw(code)),
        }
    })
}

/// The port that C keeps in an `int`, its bytes in network order.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a port"
)]
fn port_of(s_port: c_int) -> Net16 {
    Net16(s_port as u16)
}

/// `struct hostent`: a machine's names, and its IPv4 addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostent {
    /// Its name.
    pub h_name: String,
    /// Other names of it.
    pub h_aliases: Vec<String>,
    /// `AF_INET`.
    pub h_addrtype: AddressFamily,
    /// Its addresses; C's `h_addr` is the first.
    pub h_addr_list: Vec<in_addr>,
}

/// `gethostbyname(name)`: the IPv4 addresses that a name has. Obsolete: it does not know IPv6, and
/// C's result is in static memory that the next call overwrites. Use [`getaddrinfo`].
///
/// # Errors
///
/// - [`EAI_NONAME`], [`EAI_AGAIN`], [`EAI_FAIL`], [`EAI_NODATA`]: C's `h_errno` has them as `HOST_NOT_FOUND`, `TRY_AGAIN`,
///   `NO_RECOVERY` and `NO_DATA`.
/// - `EMFILE` and others: what a system call on the way failed with.
/// - `EINVAL`: a NUL inside the name.
///
/// See [gethostbyname(3)](https://man7.org/linux/man-pages/man3/gethostbyname.3.html).
#[deprecated = "getaddrinfo also knows IPv6"]
pub fn gethostbyname(name: &str) -> Result<Hostent> {
    const CALL: &str = "gethostbyname";
    let name = c_text(CALL, name)?;
    let mut entry = MaybeUninit::uninit();
    let mut h_errno = 0;
    let answer = with_room(CALL, |buf, len| {
        let mut found: *mut libc::hostent = ptr::null_mut();
        let (name, at, code) = (name.as_ptr(), entry.as_mut_ptr(), &raw mut h_errno);
        // SAFETY: `name` ends with a NUL; the others are writable, `buf` for `len` bytes.
        let code = unsafe { gethostbyname_r(name, at, buf, len, &raw mut found, code) };
        match code {
            0 if found.is_null() => Err(Errno::ENOENT),
            0 => {
                // SAFETY: `found` is the entry that the call has filled in.
                let entry = unsafe { &*found };
                let list = pointers_at(entry.h_addr_list);
                let address = |at: *mut c_char| {
                    // SAFETY: each address has four bytes, as `gethostbyname` finds IPv4 alone.
                    let bytes = unsafe { at.cast::<u32>().read_unaligned() };
                    in_addr {
                        s_addr: Net32(bytes),
                    }
                };
                Ok(Hostent {
                    h_name: text_at(entry.h_name),
                    h_aliases: texts_at(entry.h_aliases),
                    h_addrtype: AddressFamily(family(entry.h_addrtype)),
                    h_addr_list: list.into_iter().map(address).collect(),
                })
            }
            code => Err(Errno::from_raw(code)),
        }
    });
    answer.map_err(|error| match h_errno {
        1 => Error::of_resolver(CALL, EAI_NONAME), // HOST_NOT_FOUND
        2 => Error::of_resolver(CALL, EAI_AGAIN),  // TRY_AGAIN
        3 => Error::of_resolver(CALL, EAI_FAIL),   // NO_RECOVERY
        4 => Error::of_resolver(CALL, EAI_NODATA), // NO_DATA
        _ => error,
    })
}

/// Calls with a larger buffer as long as the library says that it is too small.
fn with_room<T>(
    name: &'static str,
    mut call: impl FnMut(*mut c_char, usize) -> std::result::Result<T, Errno>,
) -> Result<T> {
    let mut buffer = vec![0_u8; 1024];
    loop {
        match call(buffer.as_mut_ptr().cast(), buffer.len()) {
            Err(Errno::ERANGE) if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 2, 0),
            answer => return answer.map_err(|errno| Error::new(name, errno)),
        }
    }
}

/// The pointers of a list that NULL ends.
fn pointers_at(mut list: *mut *mut c_char) -> Vec<*mut c_char> {
    let mut found = Vec::new();
    while !list.is_null() {
        // SAFETY: an element of the list, whose last is NULL.
        let pointer = unsafe { list.read() };
        if pointer.is_null() {
            break;
        }
        found.push(pointer);
        // SAFETY: this was not the last.
        list = unsafe { list.add(1) };
    }
    found
}

fn texts_at(list: *mut *mut c_char) -> Vec<String> {
    let texts = pointers_at(list);
    texts.into_iter().map(text_at).collect()
}

fn text_at(text: *mut c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the library's texts end with a NUL, in the buffer that the caller still has.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

// The libc crate does not have the forms with a buffer of the caller's, which any thread may call.
unsafe extern "C" {
    fn getservbyname_r(
        name: *const c_char,
        proto: *const c_char,
        result_buf: *mut libc::servent,
        buf: *mut c_char,
        buflen: usize,
        result: *mut *mut libc::servent,
    ) -> c_int;
    fn gethostbyname_r(
        name: *const c_char,
        result_buf: *mut libc::hostent,
        buf: *mut c_char,
        buflen: usize,
        result: *mut *mut libc::hostent,
        h_errnop: *mut c_int,
    ) -> c_int;
}
