//! Holds each call on a socket before it is made, until it is let go. The kernel asks us about the
//! call (seccomp's user notification) and then makes it unchanged: a program notices only the
//! delay.

#![allow(
    unsafe_code,
    reason = "the calls about seccomp, for which no library has a safe function"
)]

use std::fs;
use std::io::{self, IoSliceMut};
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use libc::{c_long, c_uint, c_ulong, sock_filter};
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_no_new_privs;
use sockstep::{
    AF_UNIX, CMSG_SPACE, CmsgBuf, CmsgIn, Errno, MSG_CMSG_CLOEXEC, SOCK_CLOEXEC, SOCK_STREAM,
    recvmsg, socketpair,
};

/// Calls that only a socket can have.
const ON_SOCKETS: &[c_long] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_listen,
    #[cfg(not(any(target_arch = "x86", target_arch = "s390x")))]
    libc::SYS_accept,
    #[cfg(any(target_arch = "x86", target_arch = "s390x", target_arch = "powerpc64"))]
    libc::SYS_socketcall, // one number for all of these, which some C libraries use
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
];

/// Calls on any descriptor, their first argument.
const ON_ANY: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_sendfile,
    libc::SYS_close,
];

/// Calls on several descriptors.
const ON_SEVERAL: &[c_long] = &[
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_pwait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_select,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
];

/// The channel's descriptor is at or above this number, which programs do not use.
const HIGH: i32 = 500;

/// The gate of a side.
pub struct Gate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The descriptor on which the kernel asks, once the side has installed its filter.
    listener: OnceLock<OwnedFd>,
    held: Mutex<Vec<Held>>,
    open: AtomicBool,
}

/// A call that is about to be made.
#[derive(Clone, Copy)]
pub struct Held {
    /// The task that makes it.
    pub task: u32,
    pub since: Instant,
    id: u64,
}

/// The part of the gate that a side runs between fork and exec.
pub struct Filter {
    program: Vec<sock_filter>,
    channel: OwnedFd,
}

impl Gate {
    /// A gate, and the part that the side installs.
    pub fn new() -> Result<(Gate, Filter), String> {
        let failed = |error| format!("a channel for --step: {error}");
        let [ours, its] = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
            .map_err(|error| failed(error.to_string()))?;
        let high = fcntl(&its, FcntlArg::F_DUPFD_CLOEXEC(HIGH))
            .map_err(|errno| failed(errno.to_string()))?;
        // SAFETY: the kernel has just made this descriptor, and no other owner exists.
        let channel = unsafe { OwnedFd::from_raw_fd(high) };
        let shared = Arc::new(Shared::default());
        let gate = Gate(Arc::clone(&shared));
        thread::spawn(move || answer_the_kernel(&ours, &shared));
        let program = program(channel.as_raw_fd());
        Ok((gate, Filter { program, channel }))
    }

    /// The calls that are held now, in the order in which they came.
    pub fn held(&self) -> Vec<Held> {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|call| fs::exists(format!("/proc/{}", call.task)).unwrap_or(true));
        held.clone()
    }

    /// Lets a held call be made.
    pub fn let_go(&self, call: Held) {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|other| other.id != call.id);
        if let Some(listener) = self.0.listener.get() {
            let _ = go_on(listener, call.id); // its task may have ended
        }
    }

    /// Stops holding calls.
    pub fn open(&self) {
        {
            let _held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.open.store(true, Ordering::Relaxed);
        }
        for call in self.held() {
            self.let_go(call);
        }
    }
}

/// The filter: the kernel asks about the calls in the lists and makes all others. It also makes the
/// call by which the side hands us the descriptor.
fn program(channel: i32) -> Vec<sock_filter> {
    const NUMBER: u32 = 0; // offsets of the call's number and of the low half of its first argument
    const FIRST: u32 = if cfg!(target_endian = "little") {
        16
    } else {
        20
    };
    let load = |at| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0);
    let equal =
        |value, then, or| statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, then, or);
    let answer = |value| statement(libc::BPF_RET | libc::BPF_K, value, 0, 0);
    let all: Vec<u32> = [ON_SOCKETS, ON_ANY, ON_SEVERAL]
        .concat()
        .into_iter()
        .filter_map(|number| u32::try_from(number).ok())
        .collect();
    let n = u8::try_from(all.len()).unwrap_or(0); // about forty
    let sendmsg = u32::try_from(libc::SYS_sendmsg).unwrap_or_default();
    let mut program = vec![
        load(NUMBER),
        equal(sendmsg, 0, 2),
        load(FIRST),
        equal(u32::try_from(channel).unwrap_or_default(), n, n + 1),
    ];
    program.extend(
        all.into_iter()
            .zip((1..=n).rev())
            .map(|(number, over)| equal(number, over, 0)),
    );
    program.extend([libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_USER_NOTIF].map(answer));
    program
}

fn statement(code: c_uint, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: u16::try_from(code).unwrap_or_default(), // all of these fit in 16 bits
        jt,
        jf,
        k,
    }
}

impl Filter {
    /// Runs between fork and exec: makes only system calls and allocates nothing.
    pub fn install(&self) -> io::Result<()> {
        set_no_new_privs()?;
        let program = libc::sock_fprog {
            len: u16::try_from(self.program.len()).unwrap_or(0),
            filter: self.program.as_ptr().cast_mut(),
        };
        let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        // With the second flag only a deadly signal interrupts a call that we hold.
        let killable = listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        let mut made = seccomp(killable, &program);
        if made < 0 && Errno::last() == Errno::EINVAL {
            made = seccomp(listener, &program);
        }
        let made = i32::try_from(made).unwrap_or(-1);
        if made < 0 {
            return Err(io::Error::last_os_error());
        }
        hand_over(self.channel.as_raw_fd(), made)
    }
}

fn seccomp(flags: c_ulong, program: &libc::sock_fprog) -> c_long {
    // SAFETY: `program` and the statements that it points to are readable; the kernel copies them.
    unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const *program,
        )
    }
}

/// Sends a descriptor over a channel: `sendmsg` of the library allocates, which a child between fork and exec may not.
fn hand_over(channel: i32, descriptor: i32) -> io::Result<()> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        descriptor: i32,
        padding: i32,
    }
    // SAFETY: integers alone, of which zero is one.
    let mut control: Control = unsafe { zeroed() };
    control.header.cmsg_len = (size_of::<libc::cmsghdr>() + size_of::<i32>()) as _;
    control.header.cmsg_level = libc::SOL_SOCKET;
    control.header.cmsg_type = libc::SCM_RIGHTS;
    control.descriptor = descriptor;
    let mut word = [0_u8];
    let mut iov = libc::iovec {
        iov_base: (&raw mut word).cast(),
        iov_len: 1,
    };
    // SAFETY: a message header of zeros has no address, no buffer and no flags.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: `message` and what it points to live until the call has returned.
    let sent = unsafe { libc::syscall(libc::SYS_sendmsg, channel, &raw const message, 0) };
    if sent == 1 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The descriptor that the side has handed over; `None` if it ended before.
fn handed_over(channel: &OwnedFd) -> Option<OwnedFd> {
    let (mut word, mut control) = ([0], CmsgBuf::with_space(CMSG_SPACE(size_of::<i32>())));
    let mut iov = [IoSliceMut::new(&mut word)];
    let message = recvmsg::<()>(channel, &mut iov, &mut control, MSG_CMSG_CLOEXEC).ok()?;
    message
        .msg_control
        .into_iter()
        .find_map(|control| match control {
            CmsgIn::Rights(descriptors) => descriptors.into_iter().next(),
            _ => None,
        })
}

/// Answers the kernel until all tasks of the side have ended.
fn answer_the_kernel(channel: &OwnedFd, shared: &Shared) {
    let Some(listener) = handed_over(channel) else {
        return;
    };
    let listener = shared.listener.get_or_init(|| listener);
    loop {
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {
            continue;
        }
        let ready = fds[0].revents().unwrap_or(PollFlags::empty());
        if !ready.contains(PollFlags::POLLIN) {
            return;
        }
        let Some(asked) = asked(listener) else {
            continue; // its task has ended meanwhile
        };
        let is_held = is_on_a_socket(&asked);
        let mut held = shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        if is_held && !shared.open.load(Ordering::Relaxed) {
            held.push(Held {
                task: asked.pid,
                since: Instant::now(),
                id: asked.id,
            });
        } else {
            let _ = go_on(listener, asked.id); // the same
        }
    }
}

/// Whether the call is on a socket, or waits for several descriptors of a process that has one.
fn is_on_a_socket(asked: &libc::seccomp_notif) -> bool {
    let number = c_long::from(asked.data.nr);
    if ON_SOCKETS.contains(&number) {
        return true;
    }
    let place = format!("/proc/{}/fd", asked.pid);
    let is_socket = |path: PathBuf| {
        fs::read_link(path)
            .is_ok_and(|to| to.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
    };
    if ON_ANY.contains(&number) {
        return is_socket(Path::new(&place).join(asked.data.args[0].to_string()));
    }
    let open = fs::read_dir(place).into_iter().flatten().flatten();
    open.map(|descriptor| descriptor.path()).any(is_socket)
}

/// The next call that the kernel asks about.
fn asked(listener: &OwnedFd) -> Option<libc::seccomp_notif> {
    // SAFETY: integers alone, of which zero is one; the kernel wants them so.
    let mut asked: libc::seccomp_notif = unsafe { zeroed() };
    // SAFETY: `asked` is writable and of the size that the request's number has.
    let got = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut asked,
        )
    };
    (got == 0).then_some(asked)
}

/// Lets the kernel make the call unchanged.
fn go_on(listener: &OwnedFd, id: u64) -> io::Result<()> {
    let answer = libc::seccomp_notif_resp {
        id,
        val: 0,
        error: 0,
        flags: u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(1),
    };
    // SAFETY: `answer` is readable and of the size that the request's number has.
    let sent = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw const answer,
        )
    };
    if sent == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
