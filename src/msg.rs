//! The rest of `<sys/socket.h>`: messages of several buffers, with control messages, and several
//! messages in one call.

#![allow(non_camel_case_types, reason = "a type with a C name has C's layout")]
#![allow(non_snake_case, reason = "C's macros")]
#![allow(
    clippy::cast_ptr_alignment,
    reason = "words hold the headers, whose places are aligned"
)]
#![allow(
    unsafe_code,
    reason = "the calls themselves; each block says what makes it sound"
)]

use std::io::{IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::mem::zeroed;
use std::ops::BitOr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::{fmt, ptr, slice};

use libc::{c_int, c_long, c_uint, socklen_t};

use crate::error::{Result, count};
use crate::flags::flags;
use crate::netinet::{IPPROTO_IP, IPPROTO_IPV6, in_pktinfo, in6_pktinfo};
use crate::socket::{AddrOut, MsgFlags, OptValue, Sockaddr, filled_in, length_of, ucred};

flags! {
    /// Flags that [`recvmsg`] alone takes, beside [`MsgFlags`], and those that it returns. A
    /// literal `0` stands for no flags.
    RecvmsgFlags: c_int;
    /// In the result: the datagram was longer than the buffers. As an argument: return its whole length.
    MSG_TRUNC
    /// In the result: there was no room for all control messages. Descriptors in those were closed.
    MSG_CTRUNC
    /// Received descriptors do not survive `execve`.
    MSG_CMSG_CLOEXEC
    /// For [`recvmmsg`]: wait only for the first message.
    MSG_WAITFORONE
}

impl From<u8> for RecvmsgFlags {
    fn from(bits: u8) -> RecvmsgFlags {
        RecvmsgFlags(bits.into())
    }
}

impl From<MsgFlags> for RecvmsgFlags {
    fn from(flags: MsgFlags) -> RecvmsgFlags {
        RecvmsgFlags(flags.0)
    }
}

impl BitOr<MsgFlags> for RecvmsgFlags {
    type Output = RecvmsgFlags;
    fn bitor(self, flags: MsgFlags) -> RecvmsgFlags {
        RecvmsgFlags(self.0 | flags.0)
    }
}

impl BitOr<RecvmsgFlags> for MsgFlags {
    type Output = RecvmsgFlags;
    fn bitor(self, flags: RecvmsgFlags) -> RecvmsgFlags {
        flags | self
    }
}

// ---- Control messages ----

/// A control message to send.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Cmsg<'fd> {
    /// `SCM_RIGHTS`: descriptors. The receiver gets new ones of its own for the same files.
    Rights(&'fd [BorrowedFd<'fd>]),
    /// `SCM_CREDENTIALS`: the sender's ids. Only the superuser may give other ids than its own.
    Credentials(ucred),
    /// `IP_PKTINFO`: the source address and the interface.
    Pktinfo(in_pktinfo),
    /// `IPV6_PKTINFO`: the same for version 6.
    Pktinfo6(in6_pktinfo),
}

/// A received control message.
#[derive(Debug)]
#[non_exhaustive]
pub enum CmsgIn {
    /// `SCM_RIGHTS`: descriptors, which we now own.
    Rights(Vec<OwnedFd>),
    /// `SCM_CREDENTIALS`: the sender's ids, if `SO_PASSCRED` is set.
    Credentials(ucred),
    /// `IP_PKTINFO`: the address and the interface at which it arrived.
    Pktinfo(in_pktinfo),
    /// `IPV6_PKTINFO`: the same for version 6.
    Pktinfo6(in6_pktinfo),
    /// Any other one: its level, its type and its bytes.
    Other(c_int, c_int, Vec<u8>),
}

/// Room for control messages, C's `char control[CMSG_SPACE(..)]`, aligned as they need it.
#[derive(Debug, Default)]
pub struct CmsgBuf<'fd> {
    words: Vec<usize>,
    len: usize, // bytes in use, or to be used
    fds: PhantomData<BorrowedFd<'fd>>,
}

/// `CMSG_SPACE(length)`: the room that a control message of `length` bytes takes.
#[must_use]
pub const fn CMSG_SPACE(length: usize) -> usize {
    HEADER + aligned(length)
}

/// The offset of a message's data, after its header.
const HEADER: usize = aligned(size_of::<libc::cmsghdr>());

const fn aligned(length: usize) -> usize {
    length.next_multiple_of(size_of::<usize>())
}

impl<'fd> CmsgBuf<'fd> {
    /// No room, C's NULL and 0.
    #[must_use]
    pub const fn none() -> CmsgBuf<'fd> {
        CmsgBuf {
            words: Vec::new(),
            len: 0,
            fds: PhantomData,
        }
    }

    /// Room for receiving `bytes`, the sum of the messages' [`CMSG_SPACE`].
    #[must_use]
    pub fn with_space(bytes: usize) -> CmsgBuf<'fd> {
        CmsgBuf {
            words: vec![0; bytes.div_ceil(size_of::<usize>())],
            len: bytes,
            fds: PhantomData,
        }
    }

    /// Control messages to send.
    #[must_use]
    pub fn of(messages: &[Cmsg<'fd>]) -> CmsgBuf<'fd> {
        let mut buf = CmsgBuf::none();
        for message in messages {
            match message {
                Cmsg::Rights(fds) => {
                    let numbers: Vec<c_int> = fds.iter().map(AsRawFd::as_raw_fd).collect();
                    let bytes: Vec<u8> = numbers.iter().flat_map(|fd| fd.to_ne_bytes()).collect();
                    buf.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &bytes);
                }
                Cmsg::Credentials(cred) => {
                    buf.push(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, bytes_of(cred));
                }
                Cmsg::Pktinfo(info) => {
                    buf.push(IPPROTO_IP.number(), libc::IP_PKTINFO, bytes_of(info));
                }
                Cmsg::Pktinfo6(info) => {
                    buf.push(IPPROTO_IPV6.number(), libc::IPV6_PKTINFO, bytes_of(info));
                }
            }
        }
        buf
    }

    fn push(&mut self, level: c_int, kind: c_int, data: &[u8]) {
        // SAFETY: numbers, of which any bytes are a value.
        let mut header: libc::cmsghdr = unsafe { zeroed() };
        header.cmsg_len = (HEADER + data.len()) as _;
        (header.cmsg_level, header.cmsg_type) = (level, kind);
        let at = self.len;
        self.len += CMSG_SPACE(data.len());
        self.words.resize(self.len / size_of::<usize>(), 0);
        let room = self.as_mut_ptr();
        // SAFETY: `room` has `len` bytes, and the header ends before them.
        let header_at = unsafe { room.add(at) };
        // SAFETY: as above; `words` and `at` are aligned as a header needs it.
        unsafe { header_at.cast::<libc::cmsghdr>().write(header) };
        // SAFETY: as above.
        let data_at = unsafe { header_at.add(HEADER) };
        // SAFETY: after the header there is room for the data, and the two do not overlap.
        unsafe { data_at.copy_from_nonoverlapping(data.as_ptr(), data.len()) };
    }

    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.words.as_mut_ptr().cast()
    }

    /// C's `msg_control` and `msg_controllen`: NULL and 0 for no room.
    fn parts(&self) -> (*mut libc::c_void, usize) {
        if self.len == 0 {
            return (ptr::null_mut(), 0);
        }
        (self.words.as_ptr().cast_mut().cast(), self.len)
    }

    fn bytes(&self, len: usize) -> &[u8] {
        let len = len.min(self.len);
        // SAFETY: the words are initialized, and `len` is at most their size.
        unsafe { slice::from_raw_parts(self.words.as_ptr().cast(), len) }
    }
}

/// The bytes of plain data.
fn bytes_of<T: OptValue>(value: &T) -> &[u8] {
    // SAFETY: `T` has no padding, and is readable for its size.
    unsafe { slice::from_raw_parts((&raw const *value).cast(), size_of::<T>()) }
}

/// Plain data out of bytes, if there are as many.
fn value_of<T: OptValue>(bytes: &[u8]) -> Option<T> {
    // SAFETY: the bytes are as many as a `T` has, and any bytes are one.
    (bytes.len() == size_of::<T>()).then(|| unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// The control messages that the kernel wrote. Each descriptor among them has an owner from here on.
fn messages_in(mut bytes: &[u8]) -> Vec<CmsgIn> {
    let mut messages = Vec::new();
    while bytes.len() >= HEADER {
        // SAFETY: there are as many bytes, and any bytes are a header.
        let header = unsafe { bytes.as_ptr().cast::<libc::cmsghdr>().read_unaligned() };
        #[allow(clippy::unnecessary_cast, reason = "not with every C library")]
        let len = header.cmsg_len as usize;
        if len < HEADER || len > bytes.len() {
            break;
        }
        let data = &bytes[HEADER..len];
        messages.push(message(header.cmsg_level, header.cmsg_type, data));
        bytes = bytes.get(aligned(len)..).unwrap_or_default();
    }
    messages
}

fn message(level: c_int, kind: c_int, data: &[u8]) -> CmsgIn {
    let known = match (level, kind) {
        (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
            let numbers = data.chunks_exact(size_of::<c_int>()).filter_map(value_of);
            // SAFETY: the kernel made each for this call alone, so nothing else owns it.
            let owned = numbers.map(|fd: c_int| unsafe { OwnedFd::from_raw_fd(fd) });
            Some(CmsgIn::Rights(owned.collect()))
        }
        (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => value_of(data).map(CmsgIn::Credentials),
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => value_of(data).map(CmsgIn::Pktinfo),
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => value_of(data).map(CmsgIn::Pktinfo6),
        _ => None,
    };
    known.unwrap_or_else(|| CmsgIn::Other(level, kind, data.to_vec()))
}

// ---- sendmsg and recvmsg ----

/// A message to send, C's `struct msghdr`: the address, the buffers, the control messages.
#[derive(Clone, Copy)]
pub struct MsgHdr<'m> {
    name: &'m [u8],
    iov: &'m [IoSlice<'m>],
    control: Option<&'m CmsgBuf<'m>>,
}

impl<'m> MsgHdr<'m> {
    /// For a socket that is connected: `msg_name` is NULL.
    #[must_use]
    pub const fn new(iov: &'m [IoSlice<'m>]) -> MsgHdr<'m> {
        MsgHdr {
            name: &[],
            iov,
            control: None,
        }
    }

    /// To an address: `msg_name` and `msg_namelen`.
    #[must_use]
    pub fn to(addr: &'m impl Sockaddr, iov: &'m [IoSlice<'m>]) -> MsgHdr<'m> {
        MsgHdr {
            name: addr.as_bytes(),
            ..MsgHdr::new(iov)
        }
    }

    /// With control messages: `msg_control` and `msg_controllen`.
    #[must_use]
    pub const fn with(self, control: &'m CmsgBuf<'m>) -> MsgHdr<'m> {
        MsgHdr {
            control: Some(control),
            ..self
        }
    }

    /// How many bytes the buffers have.
    fn len(&self) -> usize {
        self.iov
            .iter()
            .fold(0, |sum, buf| sum.saturating_add(buf.len()))
    }

    /// As C has it. What it points to lives as long as `'m`.
    fn raw(&self) -> libc::msghdr {
        let mut raw = empty();
        if !self.name.is_empty() {
            raw.msg_name = self.name.as_ptr().cast_mut().cast();
            raw.msg_namelen = socklen_t::try_from(self.name.len()).unwrap_or_default(); // 128 at most
        }
        raw.msg_iov = self.iov.as_ptr().cast_mut().cast(); // an `IoSlice` has the layout of an `iovec`
        raw.msg_iovlen = self.iov.len() as _;
        let (control, len) = self.control.map_or((ptr::null_mut(), 0), CmsgBuf::parts);
        raw.msg_control = control;
        raw.msg_controllen = len as _;
        raw
    }
}

impl fmt::Debug for MsgHdr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MsgHdr")
            .field("iov", &self.iov)
            .finish_non_exhaustive()
    }
}

fn empty() -> libc::msghdr {
    // SAFETY: numbers and pointers, for which zero is a value.
    unsafe { zeroed() }
}

/// A received message.
#[derive(Debug)]
pub struct Message<A> {
    /// The sender's address; zeroed for a stream socket.
    pub msg_name: A,
    /// Bytes in the buffers.
    pub len: usize,
    /// Bytes that the datagram had, if [`MSG_TRUNC`] asked for it; else `len`.
    pub whole: usize,
    /// The control messages that fitted.
    pub msg_control: Vec<CmsgIn>,
    /// [`MSG_TRUNC`], [`MSG_CTRUNC`] and others.
    pub msg_flags: RecvmsgFlags,
}

/// `sendmsg(sockfd, &msg, flags)`: sends the bytes of several buffers as one message, with control
/// messages.
///
/// ```
/// # use sockstep::*;
/// # use std::io::{IoSlice, IoSliceMut};
/// # use std::os::fd::AsFd;
/// let [one, other] = socketpair(AF_UNIX, SOCK_STREAM, 0)?;
/// let rights = [one.as_fd()];
/// let control = CmsgBuf::of(&[Cmsg::Rights(&rights)]);
/// sendmsg(&one, &MsgHdr::new(&[IoSlice::new(b"he"), IoSlice::new(b"llo")]).with(&control), 0)?;
///
/// let (mut buf, mut control) = ([0; 16], CmsgBuf::with_space(CMSG_SPACE(4)));
/// let msg = recvmsg::<()>(&other, &mut [IoSliceMut::new(&mut buf)], &mut control, 0)?;
/// assert_eq!(&buf[..msg.len], b"hello");
/// let Some(CmsgIn::Rights(fds)) = msg.msg_control.into_iter().next() else { panic!() };
/// send(&fds[0], b"through it", 0)?; // a descriptor of its own
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// - As for [`sendto`](crate::sendto).
/// - `EMSGSIZE`: more than 1024 buffers.
/// - `EINVAL`, `EPERM`: a control message that is not for this socket; credentials that are not ours.
/// - `ETOOMANYREFS`: more descriptors on their way than this process may have.
///
/// See [sendmsg(2)](https://man7.org/linux/man-pages/man2/sendmsg.2.html).
pub fn sendmsg(sockfd: &impl AsFd, msg: &MsgHdr<'_>, flags: impl Into<MsgFlags>) -> Result<usize> {
    let (sockfd, flags, raw) = (sockfd.as_fd().as_raw_fd(), flags.into().0, msg.raw());
    // SAFETY: each pointer is NULL or to what `msg` borrows, with its length, and no flag keeps it longer than the call.
    let sent = unsafe { libc::sendmsg(sockfd, &raw const raw, flags) };
    count("sendmsg", sent, msg.len())
}

/// `recvmsg(sockfd, &msg, flags)`: receives a message into several buffers, with its control messages.
///
/// Unlike [`recv`](crate::recv), it reports that a datagram was cut (the result's flags have [`MSG_TRUNC`]) and, if that flag
/// was passed, how long it was. Received descriptors are owned, and so closed if the caller does not take them.
///
/// # Errors
///
/// - As for [`recvfrom`](crate::recvfrom).
/// - `EMSGSIZE`: more than 1024 buffers.
///
/// See [recvmsg(2)](https://man7.org/linux/man-pages/man2/recvmsg.2.html).
pub fn recvmsg<A: AddrOut>(
    sockfd: &impl AsFd,
    iov: &mut [IoSliceMut<'_>],
    control: &mut CmsgBuf<'_>,
    flags: impl Into<RecvmsgFlags>,
) -> Result<Message<A>> {
    let (sockfd, flags) = (sockfd.as_fd().as_raw_fd(), flags.into());
    let mut name = A::EMPTY;
    control.words.fill(0); // a call that writes nothing leaves no descriptors of an earlier one
    let mut raw = room_for::<A>(&mut name, iov, control);
    // SAFETY: each pointer is NULL or to what is writable for the length beside it, any bytes are a value of it, and all outlive the call.
    let received = unsafe { libc::recvmsg(sockfd, &raw mut raw, flags.0) };
    // The descriptors first, so that they are owned whatever else is wrong.
    #[allow(clippy::unnecessary_cast, reason = "not with every C library")]
    let came = if received < 0 {
        0
    } else {
        raw.msg_controllen as usize
    };
    let msg_control = messages_in(control.bytes(came));
    control.words.fill(0); // a number must not outlive its owner: the buffer could be sent
    message_of(
        "recvmsg",
        received,
        name,
        &raw,
        room_in(iov),
        flags,
        msg_control,
    )
}

/// How many bytes the buffers have room for.
fn room_in(iov: &[IoSliceMut<'_>]) -> usize {
    iov.iter().fold(0, |sum, buf| sum.saturating_add(buf.len()))
}

/// A header with pointers to the borrowed buffers, for the kernel to fill.
fn room_for<A: AddrOut>(
    name: &mut A::Room,
    iov: &mut [IoSliceMut<'_>],
    control: &mut CmsgBuf<'_>,
) -> libc::msghdr {
    let mut raw = empty();
    if !A::NULL {
        raw.msg_name = (&raw mut *name).cast();
        raw.msg_namelen = length_of::<A::Room>();
    }
    raw.msg_iov = iov.as_mut_ptr().cast(); // an `IoSliceMut` has the layout of an `iovec`
    raw.msg_iovlen = iov.len() as _;
    if control.len > 0 {
        raw.msg_control = control.as_mut_ptr().cast();
        raw.msg_controllen = control.len as _;
    }
    raw
}

/// The received message, from a filled header.
fn message_of<A: AddrOut>(
    call: &'static str,
    received: isize,
    name: A::Room,
    raw: &libc::msghdr,
    room: usize,
    flags: RecvmsgFlags,
    msg_control: Vec<CmsgIn>,
) -> Result<Message<A>> {
    let most = if flags.has(MSG_TRUNC) {
        usize::MAX
    } else {
        room
    };
    let whole = count(call, received, most)?;
    Ok(Message {
        msg_name: filled_in(call, name, raw.msg_namelen)?,
        len: whole.min(room),
        whole,
        msg_control,
        msg_flags: RecvmsgFlags(raw.msg_flags),
    })
}

// ---- Several in one call ----

/// `struct timespec`: a span of time.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct timespec {
    /// Whole seconds.
    pub tv_sec: c_long,
    /// Nanoseconds beyond, below 1,000,000,000.
    pub tv_nsec: c_long,
}

/// `sendmmsg(sockfd, msgvec, vlen, flags)`: sends several messages, and returns how many were sent.
///
/// # Errors
///
/// - As for [`sendmsg`], of the first message. After that the count says how many went.
///
/// See [sendmmsg(2)](https://man7.org/linux/man-pages/man2/sendmmsg.2.html).
pub fn sendmmsg(
    sockfd: &impl AsFd,
    msgvec: &[MsgHdr<'_>],
    flags: impl Into<MsgFlags>,
) -> Result<usize> {
    let (sockfd, flags) = (sockfd.as_fd().as_raw_fd(), flags.into().0);
    let header = |msg: &MsgHdr<'_>| libc::mmsghdr {
        msg_hdr: msg.raw(),
        msg_len: 0,
    };
    let mut headers: Vec<libc::mmsghdr> = msgvec.iter().map(header).collect();
    let (at, vlen) = (headers.as_mut_ptr(), vlen(headers.len()));
    // SAFETY: each header is as `sendmsg` needs it, `vlen` of them are writable, and no flag keeps a buffer longer than the call.
    let sent = unsafe { libc::sendmmsg(sockfd, at, vlen, flags as _) };
    count("sendmmsg", sent as isize, msgvec.len())
}

fn vlen(len: usize) -> c_uint {
    c_uint::try_from(len).unwrap_or(c_uint::MAX)
}

/// `recvmmsg(sockfd, msgvec, vlen, flags, &timeout)`: receives several messages, each into a buffer
/// of its own, and returns those received.
///
/// Waits until every buffer has one, or with [`MSG_WAITFORONE`] only for the first. The kernel
/// checks the time-out only after a message, so it does not end a wait.
///
/// # Errors
///
/// - As for [`recvmsg`], of the first message.
/// - `EINVAL`: the time is invalid.
///
/// See [recvmmsg(2)](https://man7.org/linux/man-pages/man2/recvmmsg.2.html).
pub fn recvmmsg<A: AddrOut>(
    sockfd: &impl AsFd,
    bufs: &mut [IoSliceMut<'_>],
    flags: impl Into<RecvmsgFlags>,
    timeout: Option<&mut timespec>,
) -> Result<Vec<Message<A>>> {
    let (sockfd, flags) = (sockfd.as_fd().as_raw_fd(), flags.into());
    let mut names = vec![A::EMPTY; bufs.len()];
    let header = |(buf, name): (&mut IoSliceMut<'_>, &mut A::Room)| libc::mmsghdr {
        msg_hdr: room_for::<A>(name, slice::from_mut(buf), &mut CmsgBuf::none()),
        msg_len: 0,
    };
    let mut headers: Vec<libc::mmsghdr> = bufs.iter_mut().zip(&mut names).map(header).collect();
    let (at, vlen) = (headers.as_mut_ptr(), vlen(headers.len()));
    let timeout = timeout.map_or(ptr::null_mut(), |time| (&raw mut *time).cast());
    // SAFETY: each header is as `recvmsg` needs it, `vlen` of them are writable; `timeout` is NULL or writable.
    let came = unsafe { libc::recvmmsg(sockfd, at, vlen, flags.0 as _, timeout) };
    let came = count("recvmmsg", came as isize, headers.len())?;
    let parts = headers.iter().zip(names).zip(bufs.iter()).take(came);
    parts
        .map(|((header, name), buf)| {
            let received = isize::try_from(header.msg_len).unwrap_or(isize::MAX);
            let raw = &header.msg_hdr;
            message_of(
                "recvmmsg",
                received,
                name,
                raw,
                buf.len(),
                flags,
                Vec::new(),
            )
        })
        .collect()
}
