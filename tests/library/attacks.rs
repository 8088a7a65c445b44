//! What safe code could try against the library's promises, with what a parent or the kernel may have put in its way.

use std::io::{IoSlice, IoSliceMut, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::{env, io};

use sockstep::*;

/// With SO_ZEROCOPY, set on an inherited socket, and MSG_ZEROCOPY in a call, the kernel goes on
/// reading a buffer after `send` has returned. No flag that safe code can make does that.
#[test]
fn no_flag_lets_the_kernel_read_a_buffer_after_the_call() {
    const CHILD: &str = "SOCKSTEP_TEST_ZEROCOPY";
    match env::var(CHILD).as_deref() {
        Ok("by the library") => return write_after_sending(send_by_the_library),
        Ok("by libc") => return write_after_sending(send_by_libc),
        _ => {}
    }
    for (how, expected) in [("by the library", false), ("by libc", true)] {
        let (client, mut server) = stuffed_connection();
        let output = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "attacks::no_flag_lets_the_kernel_read_a_buffer_after_the_call",
            ])
            .env(CHILD, how)
            .stdin(Stdio::from(OwnedFd::from(client)))
            .output()
            .unwrap();
        assert!(output.status.success(), "{how}: {output:?}");
        let mut came = Vec::new();
        server.read_to_end(&mut came).unwrap();
        assert!(came.contains(&b'A') != expected, "{how}: nothing was sent");
        // The second half is what shows that this test would see it.
        assert_eq!(
            came.contains(&b'B'),
            expected,
            "{how}: bytes written after the call arrived"
        );
    }
}

/// A connection that carries nothing more, with the option set as a parent might.
#[allow(unsafe_code, reason = "an option that the library does not have")]
fn stuffed_connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    setsockopt(&listener, SOL_SOCKET, SO_RCVBUF, &4096).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    // SAFETY: this test is about what follows from it; `send_by_libc` keeps its buffer.
    let so_zerocopy = unsafe { SockOpt::from_raw(libc::SO_ZEROCOPY) };
    setsockopt(&client, SOL_SOCKET, so_zerocopy, &1).unwrap();
    setsockopt(&client, SOL_SOCKET, SO_SNDBUF, &(1 << 20)).unwrap();
    // The receiver's window is full with this, so that what follows stays with the sender.
    let filler = vec![b'.'; 1 << 16];
    while send(&client, &filler, MSG_DONTWAIT).is_ok_and(|n| n == 1 << 16) {
        if waiting(&client) > 200_000 {
            break;
        }
    }
    (client, server)
}

/// How many bytes the kernel has still to send.
#[allow(unsafe_code, reason = "ioctl")]
fn waiting(sock: &TcpStream) -> i32 {
    let mut bytes = 0;
    // SAFETY: TIOCOUTQ writes an int.
    let ret = unsafe { libc::ioctl(sock.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    assert_eq!(ret, 0);
    bytes
}

fn write_after_sending(send_by: fn(&io::Stdin, &[u8])) {
    let buffer = Box::leak(vec![b'A'; 1 << 16].into_boxed_slice());
    send_by(&io::stdin(), buffer);
    buffer.fill(b'B');
}

/// Every flag that has a name but MSG_OOB, and every one that a literal can name.
fn send_by_the_library(sock: &io::Stdin, buffer: &[u8]) {
    let named = MSG_DONTWAIT | MSG_PEEK | MSG_MORE | MSG_WAITALL | MSG_ERRQUEUE | MSG_NOSIGNAL;
    let named = named | MSG_DONTROUTE | MSG_EOR | MSG_CONFIRM;
    let half = buffer.len() / 2;
    send(sock, &buffer[..half], named).unwrap();
    send(sock, &buffer[half..], 0xfe).unwrap();
}

#[allow(unsafe_code, reason = "what the library refuses")]
fn send_by_libc(sock: &io::Stdin, buffer: &[u8]) {
    let flags = libc::MSG_ZEROCOPY | libc::MSG_DONTWAIT;
    // SAFETY: the buffer is readable, and is never freed.
    let sent = unsafe {
        libc::send(
            sock.as_raw_fd(),
            buffer.as_ptr().cast(),
            buffer.len(),
            flags,
        )
    };
    assert!(sent > 0, "{}", io::Error::last_os_error());
}

/// A family that has no name here comes in with a descriptor that somebody else made. It can be handed on, and no more.
#[test]
#[allow(unsafe_code, reason = "a socket that the library does not make")]
fn a_family_without_a_name_can_be_handed_on() {
    // SAFETY: three integers.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0) };
    assert!(fd >= 0);
    // SAFETY: no other owner exists.
    let netlink = unsafe { OwnedFd::from_raw_fd(fd) };
    let addr: AnyAddr = getsockname(&netlink).unwrap();
    assert_eq!(addr.family().as_raw(), 16);
    assert_eq!((addr.v4(), addr.v6(), addr.un()), (None, None, None));
    let same = socket(addr.family(), SOCK_RAW, 0).unwrap();
    assert_eq!(
        getsockname::<sockaddr_in>(&same).unwrap_err(),
        Errno::EAFNOSUPPORT
    );
    assert_eq!(getnameinfo(&addr, NI_NUMERICHOST).unwrap_err(), EAI_FAMILY);
}

/// A path through a type of another family is a path all the same: the kernel goes by the first two bytes.
#[test]
fn a_path_may_stand_in_another_familys_type() {
    let mut addr = sockaddr_in6::zeroed();
    addr.sin6_family = AF_UNIX;
    addr.sin6_port = htons(u16::from_be_bytes([0, b'x'])); // an abstract name that begins with x
    addr.sin6_scope_id = std::process::id();
    let sock = socket(AF_UNIX, SOCK_DGRAM, 0).unwrap();
    bind(&sock, &addr).unwrap();
    assert_eq!(getsockname::<AnyAddr>(&sock).unwrap(), AnyAddr::from(addr));
    assert_eq!(getnameinfo(&addr, NI_NUMERICHOST).unwrap_err(), EAI_FAMILY);
}

/// A length that fits no family is refused by the kernel, and never trusted here.
#[test]
fn an_address_of_any_length_is_refused_or_another_one() {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    let whole = AnyAddr::from(addr);
    for addrlen in 0..=200 {
        let cut = whole.with_addrlen(addrlen);
        assert_eq!(cut.as_bytes().len(), addrlen.min(128) as usize);
        assert_eq!(cut.v4().is_some(), addrlen == 16);
        let _ = (format!("{cut} {cut:?}"), cut.v6(), cut.un());
        let sock = socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        let bound = bind(&sock, &cut);
        assert_eq!(bound.is_ok(), addrlen >= 16, "{addrlen}: {bound:?}");
        let name = getnameinfo(&cut, NI_NUMERICHOST | NI_NUMERICSERV);
        assert_eq!(name.is_ok(), addrlen >= 16, "{addrlen}: {name:?}");
    }
    // An unnamed socket has an address of two bytes: it can be bound to once more, and then has a name.
    let unnamed = socket(AF_UNIX, SOCK_DGRAM, 0).unwrap();
    let addr: AnyAddr = getsockname(&unnamed).unwrap();
    assert_eq!(
        (addr.addrlen(), addr.to_string().as_str()),
        (2, "(unnamed)")
    );
    bind(&unnamed, &addr).unwrap();
    let addr: AnyAddr = getsockname(&unnamed).unwrap();
    assert_eq!((addr.addrlen(), &addr.to_string()[..1]), (8, "@"));
}

/// MSG_TRUNC is among the eight bits that a literal has. A datagram that was cut is an error then, and never a count.
#[test]
fn no_literal_makes_a_count_that_the_buffer_does_not_hold() {
    let sock = socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let mut addr = sockaddr_in::zeroed();
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(&sock, &addr).unwrap();
    let addr: sockaddr_in = getsockname(&sock).unwrap();
    let mut errors = 0;
    for bits in 0..=u8::MAX {
        sendto(&sock, b"0123456789", 0, &addr).unwrap();
        let mut buf = [0; 4];
        let received = [
            recv(&sock, &mut buf, bits | 0x42), // MSG_DONTWAIT, MSG_PEEK
            recvfrom::<()>(&sock, &mut buf, bits | 0x40).map(|(n, ())| n),
        ];
        for n in received {
            match n {
                Ok(n) => assert!(n <= buf.len(), "{bits:#x}: {n}"),
                Err(error) => errors += usize::from(error == Errno::EOVERFLOW),
            }
        }
        while recv(&sock, &mut buf, MSG_DONTWAIT).is_ok() {}
    }
    assert!(errors > 0);
}

/// The numbers of received descriptors do not stay in the buffer: sent on after their owners are gone, they would be those of other files.
#[test]
fn a_received_descriptor_cannot_be_sent_on_by_its_number() {
    let [one, other] = socketpair(AF_UNIX, SOCK_STREAM, 0).unwrap();
    let fds = [one.as_fd()];
    let rights = CmsgBuf::of(&[Cmsg::Rights(&fds)]);
    let byte = [IoSlice::new(b"x")];
    sendmsg(&one, &MsgHdr::new(&byte).with(&rights), 0).unwrap();

    let (mut room, mut control) = ([0], CmsgBuf::with_space(CMSG_SPACE(4)));
    let mut room = [IoSliceMut::new(&mut room)];
    let message = recvmsg::<()>(&other, &mut room, &mut control, 0).unwrap();
    assert!(matches!(&message.msg_control[..], [CmsgIn::Rights(fds)] if fds.len() == 1));
    let sent = sendmsg(&one, &MsgHdr::new(&byte).with(&control), 0);
    assert_eq!(sent.unwrap_err(), Errno::EINVAL);
}
