//! Turns the forms of `-X raw` and `-X verbose` into strace's default form.

#![allow(
    clippy::cast_lossless,
    clippy::cast_sign_loss,
    reason = "C's constants have several types; all of these fit"
)]

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::strace::text::{bytes, quoted};

type Names = &'static [(u64, &'static str)];

macro_rules! names {
    ($($name:ident),* $(,)?) => { &[$((libc::$name as u64 & 0xffff_ffff, stringify!($name))),*] };
}

const FAMILIES: Names = names![
    AF_UNSPEC,
    AF_UNIX,
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    AF_PACKET,
    AF_ALG,
    AF_VSOCK,
    AF_BLUETOOTH,
    AF_CAN
];
const TYPES: Names = names![SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET];
const TYPE_FLAGS: Names = names![SOCK_CLOEXEC, SOCK_NONBLOCK];
const PROTOCOLS: Names = names![
    IPPROTO_IP,
    IPPROTO_ICMP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPPROTO_IPV6,
    IPPROTO_ICMPV6,
    IPPROTO_SCTP,
    IPPROTO_RAW
];
const LEVELS: Names = &[
    (libc::SOL_IP as u64, "SOL_IP"),
    (libc::SOL_SOCKET as u64, "SOL_SOCKET"),
    (libc::SOL_TCP as u64, "SOL_TCP"),
    (libc::SOL_UDP as u64, "SOL_UDP"),
    (libc::SOL_IPV6 as u64, "SOL_IPV6"),
];
const SOCKET_OPTIONS: Names = &[
    (libc::SO_DEBUG as u64, "SO_DEBUG"),
    (libc::SO_REUSEADDR as u64, "SO_REUSEADDR"),
    (libc::SO_TYPE as u64, "SO_TYPE"),
    (libc::SO_ERROR as u64, "SO_ERROR"),
    (libc::SO_DONTROUTE as u64, "SO_DONTROUTE"),
    (libc::SO_BROADCAST as u64, "SO_BROADCAST"),
    (libc::SO_SNDBUF as u64, "SO_SNDBUF"),
    (libc::SO_RCVBUF as u64, "SO_RCVBUF"),
    (libc::SO_KEEPALIVE as u64, "SO_KEEPALIVE"),
    (libc::SO_OOBINLINE as u64, "SO_OOBINLINE"),
    (libc::SO_LINGER as u64, "SO_LINGER"),
    (libc::SO_REUSEPORT as u64, "SO_REUSEPORT"),
    (libc::SO_PASSCRED as u64, "SO_PASSCRED"),
    (libc::SO_PEERCRED as u64, "SO_PEERCRED"),
    (libc::SO_RCVLOWAT as u64, "SO_RCVLOWAT"),
    (libc::SO_SNDLOWAT as u64, "SO_SNDLOWAT"),
    (libc::SO_RCVTIMEO as u64, "SO_RCVTIMEO_OLD"),
    (libc::SO_SNDTIMEO as u64, "SO_SNDTIMEO_OLD"),
    (libc::SO_BINDTODEVICE as u64, "SO_BINDTODEVICE"),
    (libc::SO_TIMESTAMP as u64, "SO_TIMESTAMP_OLD"),
    (libc::SO_ACCEPTCONN as u64, "SO_ACCEPTCONN"),
    (libc::SO_PROTOCOL as u64, "SO_PROTOCOL"),
    (libc::SO_DOMAIN as u64, "SO_DOMAIN"),
];
const TCP_OPTIONS: Names = names![
    TCP_NODELAY,
    TCP_MAXSEG,
    TCP_CORK,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_KEEPCNT,
    TCP_SYNCNT,
    TCP_DEFER_ACCEPT,
    TCP_INFO,
    TCP_QUICKACK,
    TCP_CONGESTION,
    TCP_USER_TIMEOUT,
    TCP_FASTOPEN
];
const IP_OPTIONS: Names = names![
    IP_TOS,
    IP_TTL,
    IP_PKTINFO,
    IP_RECVERR,
    IP_MULTICAST_IF,
    IP_MULTICAST_TTL,
    IP_MULTICAST_LOOP,
    IP_ADD_MEMBERSHIP,
    IP_DROP_MEMBERSHIP
];
const IPV6_OPTIONS: Names = names![IPV6_UNICAST_HOPS, IPV6_V6ONLY, IPV6_RECVPKTINFO];
const MESSAGE_FLAGS: Names = names![
    MSG_OOB,
    MSG_PEEK,
    MSG_DONTROUTE,
    MSG_CTRUNC,
    MSG_TRUNC,
    MSG_DONTWAIT,
    MSG_EOR,
    MSG_WAITALL,
    MSG_CONFIRM,
    MSG_ERRQUEUE,
    MSG_NOSIGNAL,
    MSG_MORE,
    MSG_WAITFORONE,
    MSG_CMSG_CLOEXEC
];
const HOW: Names = names![SHUT_RD, SHUT_WR, SHUT_RDWR];
const POLL: Names = names![
    POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL, POLLRDNORM, POLLRDBAND, POLLWRNORM,
    POLLWRBAND, POLLRDHUP
];
const EPOLL: Names = names![
    EPOLLIN,
    EPOLLPRI,
    EPOLLOUT,
    EPOLLERR,
    EPOLLHUP,
    EPOLLRDNORM,
    EPOLLRDBAND,
    EPOLLWRNORM,
    EPOLLWRBAND,
    EPOLLMSG,
    EPOLLRDHUP,
    EPOLLEXCLUSIVE,
    EPOLLWAKEUP,
    EPOLLONESHOT,
    EPOLLET
];
const EPOLL_OPERATIONS: Names = names![EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD];
const EPOLL_FLAGS: Names = names![EPOLL_CLOEXEC];
const CONTROLS: Names = names![
    F_DUPFD,
    F_GETFD,
    F_SETFD,
    F_GETFL,
    F_SETFL,
    F_GETLK,
    F_SETLK,
    F_SETLKW,
    F_SETOWN,
    F_GETOWN,
    F_DUPFD_CLOEXEC
];
const DESCRIPTOR_FLAGS: Names = names![FD_CLOEXEC];
const ACCESS: Names = names![O_RDONLY, O_WRONLY, O_RDWR];
const OPEN_FLAGS: Names = names![
    O_CREAT,
    O_EXCL,
    O_NOCTTY,
    O_TRUNC,
    O_APPEND,
    O_NONBLOCK,
    O_CLOEXEC,
    O_DIRECTORY,
    O_NOFOLLOW
];
const CLONE: Names = names![
    CLONE_VM,
    CLONE_FS,
    CLONE_FILES,
    CLONE_SIGHAND,
    CLONE_PTRACE,
    CLONE_VFORK,
    CLONE_PARENT,
    CLONE_THREAD,
    CLONE_NEWNS,
    CLONE_SYSVSEM,
    CLONE_SETTLS,
    CLONE_PARENT_SETTID,
    CLONE_CHILD_CLEARTID,
    CLONE_CHILD_SETTID
];
const WAIT: Names = names![WNOHANG, WUNTRACED, WEXITED, WCONTINUED, WNOWAIT];
const SIGNALS: Names = names![
    SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV,
    SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU,
    SIGURG, SIGIO
];
const RIGHTS: Names = &[
    (libc::SCM_RIGHTS as u64, "SCM_RIGHTS"),
    (libc::SCM_CREDENTIALS as u64, "SCM_CREDENTIALS"),
];

/// Gives a call's numeric constants their names, and its addresses their usual form.
pub fn name_constants(call: &str, args: &mut [String], note: &mut String) {
    let family_is_inet = |args: &[String]| {
        args.first()
            .is_some_and(|family| matches!(family.as_str(), "AF_INET" | "AF_INET6"))
    };
    match call {
        "socket" | "socketpair" => {
            one(args, 0, FAMILIES);
            if let Some(arg) = args.get_mut(1) {
                replace(arg, |number| {
                    flags(number & !0xf, TYPE_FLAGS, find(number & 0xf, TYPES))
                });
            }
            if family_is_inet(args) {
                one(args, 2, PROTOCOLS);
            }
        }
        "accept4" => several(args, 3, TYPE_FLAGS),
        "setsockopt" | "getsockopt" => {
            one(args, 1, LEVELS);
            let options = match args.get(1).map_or("", String::as_str) {
                "SOL_SOCKET" => SOCKET_OPTIONS,
                "SOL_TCP" => TCP_OPTIONS,
                "SOL_IP" => IP_OPTIONS,
                "SOL_IPV6" => IPV6_OPTIONS,
                _ => &[],
            };
            one(args, 2, options);
        }
        "send" | "recv" | "sendto" | "recvfrom" | "sendmmsg" | "recvmmsg" => {
            several(args, 3, MESSAGE_FLAGS);
        }
        "sendmsg" | "recvmsg" => several(args, 2, MESSAGE_FLAGS),
        "shutdown" => one(args, 1, HOW),
        "epoll_create1" => several(args, 0, EPOLL_FLAGS),
        "epoll_ctl" => {
            one(args, 1, EPOLL_OPERATIONS);
            within(args, 3, "events=", EPOLL);
        }
        "epoll_wait" | "epoll_pwait" | "epoll_pwait2" => within(args, 1, "events=", EPOLL),
        "poll" | "ppoll" => {
            within(args, 0, "events=", POLL);
            field(note, "revents=", POLL);
        }
        "fcntl" | "fcntl64" => {
            one(args, 1, CONTROLS);
            match args.get(1).map_or("", String::as_str) {
                "F_SETFD" => several(args, 2, DESCRIPTOR_FLAGS),
                "F_SETFL" => open_flags(args, 2),
                "F_GETFD" => field(note, "(flags ", DESCRIPTOR_FLAGS),
                _ => {}
            }
        }
        "open" => open_flags(args, 1),
        "openat" | "openat2" => {
            if let Some(arg) = args.first_mut().filter(|arg| *arg == "-100") {
                "AT_FDCWD".clone_into(arg);
            }
            if call == "openat" {
                open_flags(args, 2);
            }
        }
        "pipe2" => several(args, 1, OPEN_FLAGS),
        "dup3" => several(args, 2, OPEN_FLAGS),
        "clone" | "clone3" => {
            for arg in args.iter_mut() {
                field(arg, "flags=", CLONE);
                if call == "clone" {
                    after_flags(arg);
                }
                field(arg, "exit_signal=", SIGNALS);
            }
        }
        "wait4" => several(args, 2, WAIT),
        "waitid" => several(args, 3, WAIT),
        "kill" | "rt_sigaction" | "tkill" => {
            one(args, usize::from(call != "rt_sigaction"), SIGNALS);
        }
        "tgkill" => one(args, 2, SIGNALS),
        _ => {}
    }
    for arg in args {
        if arg.starts_with(['{', '[']) {
            structures(arg);
        }
    }
}

/// The fields of structures: addresses, control messages, flags.
fn structures(arg: &mut String) {
    if arg.contains("sa_family=") {
        field(arg, "sa_family=", FAMILIES);
        address(arg, "_port=\"", |bytes| {
            let port = u16::from_be_bytes(bytes.try_into().ok()?);
            Some(format!("_port=htons({port})"))
        });
        address(arg, "sin6_flowinfo=\"", |bytes| {
            let flow = u32::from_be_bytes(bytes.try_into().ok()?);
            Some(format!("sin6_flowinfo=htonl({flow})"))
        });
        address(arg, "sin_addr=\"", |bytes| {
            let bytes: [u8; 4] = bytes.try_into().ok()?;
            Some(format!("sin_addr=inet_addr(\"{}\")", Ipv4Addr::from(bytes)))
        });
        address(arg, "sin6_addr=\"", |bytes| {
            let bytes: [u8; 16] = bytes.try_into().ok()?;
            let address = Ipv6Addr::from(bytes);
            Some(format!("inet_pton(AF_INET6, \"{address}\", &sin6_addr)"))
        });
        // -X verbose names the function and leaves out its result's place.
        if let Some((before, rest)) = arg.split_once("sin6_addr=inet_pton(") {
            if let Some((inside, after)) = rest.split_once(')') {
                *arg = format!("{before}inet_pton({inside}, &sin6_addr){after}");
            }
        }
    }
    if arg.contains("cmsg_level=") {
        field(arg, "cmsg_level=", LEVELS);
        field(arg, "cmsg_type=", RIGHTS);
    }
    if arg.contains("msg_flags=") {
        field(arg, "msg_flags=", MESSAGE_FLAGS);
    }
}

/// The name of a number.
fn find(number: u64, names: Names) -> Option<String> {
    let found = names.iter().find(|(value, _)| *value == number);
    found.map(|(_, name)| (*name).to_owned())
}

/// `A|B` for the bits of a number, after the names that are known already; `None` if a bit has no
/// name.
fn flags(number: u64, names: Names, first: Option<String>) -> Option<String> {
    let (mut rest, mut words) = (number, Vec::from_iter(first));
    for (value, name) in names {
        if *value != 0 && rest & value == *value {
            rest &= !value;
            words.push((*name).to_owned());
        }
    }
    (rest == 0 && !words.is_empty()).then(|| words.join("|"))
}

/// The number that a text is, as C writes it.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Replaces an argument's numbers by names, if they have any. strace writes `1|0x80000` for two
/// groups of flags.
fn replace(arg: &mut String, name: impl Fn(u64) -> Option<String>) {
    if !arg.starts_with(|c: char| c.is_ascii_digit()) {
        return;
    }
    let sum = arg
        .split('|')
        .try_fold(0, |sum, part| Some(sum | number(part)?));
    if let Some(name) = sum.and_then(name) {
        *arg = name;
    }
}

fn one(args: &mut [String], at: usize, names: Names) {
    if let Some(arg) = args.get_mut(at) {
        replace(arg, |number| find(number, names));
    }
}

fn several(args: &mut [String], at: usize, names: Names) {
    if let Some(arg) = args.get_mut(at) {
        replace(arg, |number| flags(number, names, None));
    }
}

fn open_flags(args: &mut [String], at: usize) {
    if let Some(arg) = args.get_mut(at) {
        replace(arg, |number| {
            flags(number & !3, OPEN_FLAGS, find(number & 3, ACCESS))
        });
    }
}

fn within(args: &mut [String], at: usize, key: &str, names: Names) {
    if let Some(arg) = args.get_mut(at) {
        field(arg, key, names);
    }
}

/// The same for the number behind each `key`.
fn field(text: &mut String, key: &str, names: Names) {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(key)) {
        let start = from + at + key.len();
        let rest = &text[start..];
        let end = rest
            .bytes()
            .position(|byte| !byte.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let name = number(&rest[..end])
            .and_then(|number| find(number, names).or_else(|| flags(number, names, None)));
        from = start + name.as_ref().map_or(end, String::len);
        if let Some(name) = name {
            text.replace_range(start..start + end, &name);
        }
    }
}

/// `flags=CLONE_FS|17`: the signal after clone's flags.
fn after_flags(arg: &mut String) {
    if let Some((before, signal)) = arg.rsplit_once(['|', '=']) {
        let named = arg.starts_with("flags=").then(|| number(signal)).flatten();
        if let Some(name) = named.and_then(|number| find(number, SIGNALS)) {
            let at = before.len() + 1;
            arg.replace_range(at.., &name);
        }
    }
}

/// Rewrites the quoted bytes behind each `key`, which ends in the quote.
fn address(text: &mut String, key: &str, form: impl Fn(&[u8]) -> Option<String>) {
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(key)) {
        let start = from + at;
        let quote = start + key.len() - 1;
        let Some(length) = quoted(&text.as_bytes()[quote..]) else {
            return;
        };
        let value = bytes(&text[quote..quote + length]).and_then(|(bytes, _)| form(&bytes));
        from = quote + length;
        if let Some(value) = value {
            text.replace_range(start..from, &value);
            from = start + value.len();
        }
    }
}
