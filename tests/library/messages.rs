//! Messages of several buffers, with control messages; several in one call; groups; names of interfaces and services.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use sockstep::Errno::{EINVAL, ENODEV, ENOENT, ENXIO};
use sockstep::*;

use crate::sockets::{self, bound, name};

fn pair(ty: SockType) -> [OwnedFd; 2] {
    socketpair(AF_UNIX, ty, 0).unwrap()
}

/// A UDP socket with a name, on which no call waits without end.
fn udp() -> (OwnedFd, sockaddr_in) {
    let sock = bound(sockets::udp());
    let addr = name(&sock);
    (sock, addr)
}

#[test]
fn a_message_goes_out_of_several_buffers_and_into_several() {
    let ((receiver, addr), (sender, from)) = (udp(), udp());
    let iov = [IoSlice::new(b"hel"), IoSlice::new(b""), IoSlice::new(b"lo")];
    assert_eq!(sendmsg(&sender, &MsgHdr::to(&addr, &iov), 0), Ok(5));
    let (mut a, mut b) = ([b'.'; 4], [b'.'; 4]);
    let mut iov = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
    let msg = recvmsg::<sockaddr_in>(&receiver, &mut iov, &mut CmsgBuf::none(), 0).unwrap();
    assert_eq!((msg.len, msg.msg_name), (5, from));
    assert_eq!((&a, &b), (b"hell", b"o..."));
}

#[test]
fn a_datagram_that_was_cut_says_so_and_how_long_it_was() {
    let ((receiver, addr), (sender, _)) = (udp(), udp());
    for (flags, whole) in [(RecvmsgFlags::empty(), 4), (MSG_TRUNC | MSG_DONTWAIT, 10)] {
        sendto(&sender, b"0123456789", 0, &addr).unwrap();
        let mut buf = [0; 4];
        let mut iov = [IoSliceMut::new(&mut buf)];
        let msg = recvmsg::<()>(&receiver, &mut iov, &mut CmsgBuf::none(), flags).unwrap();
        assert!(msg.msg_flags.has(MSG_TRUNC));
        assert_eq!(
            (msg.len, msg.whole, &buf[..msg.len]),
            (4, whole, &b"0123"[..])
        );
    }
}

#[test]
fn descriptors_come_as_owned_ones_and_close_if_nobody_takes_them() {
    let [one, other] = pair(SOCK_DGRAM);
    let [given, kept] = pair(SOCK_STREAM);
    let rights = [given.as_fd(), given.as_fd()];
    let control = CmsgBuf::of(&[Cmsg::Rights(&rights)]);
    let msg = [IoSlice::new(b"x")];
    for space in [CMSG_SPACE(8), CMSG_SPACE(4) - 4, 0] {
        sendmsg(&one, &MsgHdr::new(&msg).with(&control), 0).unwrap();
        let (mut buf, mut room) = ([0; 4], CmsgBuf::with_space(space));
        let msg = recvmsg::<()>(
            &other,
            &mut [IoSliceMut::new(&mut buf)],
            &mut room,
            MSG_CMSG_CLOEXEC,
        );
        let msg = msg.unwrap();
        let came = match &msg.msg_control[..] {
            [CmsgIn::Rights(fds)] => fds.as_slice(),
            [] => &[],
            others => panic!("{others:?}"),
        };
        let expected = [2, 1, 0][[CMSG_SPACE(8), CMSG_SPACE(4) - 4, 0]
            .iter()
            .position(|&s| s == space)
            .unwrap()];
        assert_eq!(came.len(), expected, "{space}");
        assert_eq!(msg.msg_flags.has(MSG_CTRUNC), expected < 2);
        for fd in came {
            assert_ne!(fd.as_raw_fd(), given.as_raw_fd());
            assert_eq!(fcntl(fd, F_GETFD, 0), Ok(FD_CLOEXEC));
            send(fd, b"through it", 0).unwrap();
            assert_eq!(recv(&kept, &mut [0; 16], 0), Ok(10));
        }
    }
    drop(control);
    drop(given);
    assert_eq!(recv(&kept, &mut [0; 16], 0), Ok(0)); // no copy is open any more
}

#[test]
fn a_unix_socket_says_who_is_at_its_other_end() {
    let [one, other] = pair(SOCK_STREAM);
    let us = getsockopt(&one, SOL_SOCKET, SO_PEERCRED).unwrap();
    assert_eq!(us.pid.unsigned_abs(), std::process::id());
    setsockopt(&other, SOL_SOCKET, SO_PASSCRED, &1).unwrap();
    let control = CmsgBuf::of(&[Cmsg::Credentials(us)]);
    sendmsg(&one, &MsgHdr::new(&[IoSlice::new(b"x")]).with(&control), 0).unwrap();
    let mut room = CmsgBuf::with_space(CMSG_SPACE(size_of::<ucred>()));
    let msg = recvmsg::<()>(&other, &mut [IoSliceMut::new(&mut [0])], &mut room, 0).unwrap();
    assert!(matches!(&msg.msg_control[..], [CmsgIn::Credentials(cred)] if *cred == us));
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    let server = socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    bind(&server, &sockaddr_in::zeroed()).unwrap(); // any address
    setsockopt(&server, IPPROTO_IP, IP_PKTINFO, &1).unwrap();
    let mut asked: sockaddr_in = getsockname(&server).unwrap();
    asked.sin_addr = inet_aton("127.0.0.2").unwrap();
    let (client, _) = udp();
    sendto(&client, b"?", 0, &asked).unwrap();
    let mut room = CmsgBuf::with_space(CMSG_SPACE(size_of::<in_pktinfo>()));
    let msg = recvmsg::<sockaddr_in>(&server, &mut [IoSliceMut::new(&mut [0])], &mut room, 0);
    let msg = msg.unwrap();
    let [CmsgIn::Pktinfo(info)] = msg.msg_control[..] else {
        panic!("{msg:?}")
    };
    assert_eq!(inet_ntoa(info.ipi_addr), "127.0.0.2");
    let from = in_pktinfo {
        ipi_spec_dst: info.ipi_addr,
        ..info
    };
    let control = CmsgBuf::of(&[Cmsg::Pktinfo(from)]);
    sendmsg(
        &server,
        &MsgHdr::to(&msg.msg_name, &[IoSlice::new(b"!")]).with(&control),
        0,
    )
    .unwrap();
    assert_eq!(recvfrom(&client, &mut [0], 0), Ok((1, asked)));
}

#[test]
fn many_datagrams_come_and_go_in_one_call() {
    let ((receiver, addr), (sender, from)) = (udp(), udp());
    let words = ["one", "two", "", "four"];
    let iovs: Vec<[IoSlice<'_>; 1]> = words
        .iter()
        .map(|word| [IoSlice::new(word.as_bytes())])
        .collect();
    let msgs: Vec<MsgHdr<'_>> = iovs.iter().map(|iov| MsgHdr::to(&addr, iov)).collect();
    assert_eq!(sendmmsg(&sender, &msgs, 0), Ok(4));
    let mut bufs = [[0; 3]; 8];
    let mut iov: Vec<IoSliceMut<'_>> = bufs.iter_mut().map(|buf| IoSliceMut::new(buf)).collect();
    let came = recvmmsg::<sockaddr_in>(&receiver, &mut iov, MSG_WAITFORONE, None).unwrap();
    assert_eq!(came.len(), 4);
    for ((msg, buf), word) in came.iter().zip(&bufs).zip(words) {
        assert_eq!(
            (&buf[..msg.len], msg.msg_name),
            (&word.as_bytes()[..word.len().min(3)], from)
        );
        assert_eq!(msg.msg_flags.has(MSG_TRUNC), word.len() > 3);
    }
    let nothing = recvmmsg::<()>(&receiver, &mut [], 0, None).unwrap();
    assert!(nothing.is_empty());
}

#[test]
fn a_member_of_a_group_gets_what_is_sent_to_it() {
    let receiver = socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let mut group = sockaddr_in::zeroed();
    group.sin_family = AF_INET;
    bind(&receiver, &group).unwrap();
    group.sin_port = getsockname::<sockaddr_in>(&receiver).unwrap().sin_port;
    group.sin_addr = inet_aton("239.255.77.1").unwrap();
    let loopback = in_addr {
        s_addr: htonl(INADDR_LOOPBACK),
    };
    let mreq = ip_mreq {
        imr_multiaddr: group.sin_addr,
        imr_interface: loopback,
    };
    setsockopt(&receiver, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq).unwrap();

    let (sender, _) = udp();
    setsockopt(&sender, IPPROTO_IP, IP_MULTICAST_IF, &loopback).unwrap();
    setsockopt(&sender, IPPROTO_IP, IP_MULTICAST_TTL, &3).unwrap();
    setsockopt(&sender, IPPROTO_IP, IP_MULTICAST_LOOP, &1).unwrap();
    assert_eq!(
        getsockopt(&sender, IPPROTO_IP, IP_MULTICAST_IF),
        Ok(loopback)
    );
    assert_eq!(getsockopt(&sender, IPPROTO_IP, IP_MULTICAST_TTL), Ok(3));
    sendto(&sender, b"all", 0, &group).unwrap();
    assert_eq!(recv(&receiver, &mut [0; 16], 0), Ok(3));
    setsockopt(&receiver, IPPROTO_IP, IP_DROP_MEMBERSHIP, &mreq).unwrap();
    sendto(&sender, b"all", 0, &group).unwrap();
    let unicast = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut us = group;
    us.sin_addr = loopback;
    sendto(&unicast, b"me", 0, &us).unwrap();
    assert_eq!(recv(&receiver, &mut [0; 16], 0), Ok(2)); // and not the one before
}

#[test]
fn further_options_come_back_as_they_were_set() {
    let (sock, _) = udp();
    setsockopt(&sock, IPPROTO_IP, IP_TOS, &0x10).unwrap();
    assert_eq!(getsockopt(&sock, IPPROTO_IP, IP_TOS), Ok(0x10));
    setsockopt(&sock, SOL_SOCKET, SO_RCVLOWAT, &5).unwrap();
    assert_eq!(getsockopt(&sock, SOL_SOCKET, SO_RCVLOWAT), Ok(5));
    setsockopt(&sock, SOL_SOCKET, SO_OOBINLINE, &1).unwrap();
    assert_eq!(getsockopt(&sock, SOL_SOCKET, SO_OOBINLINE), Ok(1));
    assert_eq!(getsockopt(&sock, SOL_SOCKET, SO_DOMAIN), Ok(2));
    assert_eq!(getsockopt(&sock, SOL_SOCKET, SO_PROTOCOL), Ok(17));
    let sock = socket(AF_INET6, SOCK_DGRAM, 0).unwrap();
    setsockopt(&sock, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &7).unwrap();
    assert_eq!(getsockopt(&sock, IPPROTO_IPV6, IPV6_MULTICAST_HOPS), Ok(7));
    let group: in6_addr = inet_pton(AF_INET6, "ff02::77").unwrap();
    let lo = if_nametoindex("lo").unwrap();
    let mreq = ipv6_mreq {
        ipv6mr_multiaddr: group,
        ipv6mr_interface: lo,
    };
    setsockopt(&sock, IPPROTO_IPV6, IPV6_JOIN_GROUP, &mreq).unwrap();
    setsockopt(&sock, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &mreq).unwrap();
    assert_eq!(
        setsockopt(&sock, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &mreq).unwrap_err(),
        Errno::EADDRNOTAVAIL
    );
}

#[test]
fn an_interface_has_a_name_and_a_number() {
    let all = if_nameindex().unwrap();
    assert!(all.iter().any(|(_, name)| name == "lo"), "{all:?}");
    for (index, name) in &all {
        assert_eq!(if_nametoindex(name), Ok(*index));
        assert_eq!(if_indextoname(*index).as_ref(), Ok(name));
    }
    assert_eq!(if_nametoindex("nosuch").unwrap_err(), ENODEV);
    assert_eq!(if_nametoindex("l\0o").unwrap_err(), EINVAL);
    assert_eq!(if_indextoname(0).unwrap_err(), ENXIO);
}

#[test]
#[allow(deprecated, reason = "gethostbyname is")]
fn services_and_hosts_are_found_by_name() {
    let http = getservbyname("www", Some("tcp")).unwrap();
    assert_eq!((http.s_name.as_str(), http.s_port), ("http", htons(80)));
    assert_eq!(
        (http.s_proto.as_str(), http.s_aliases),
        ("tcp", vec!["www".to_owned()])
    );
    assert_eq!(getservbyname("nosuch", None).unwrap_err(), ENOENT);
    let host = gethostbyname("127.0.0.1").unwrap();
    assert_eq!(
        (host.h_addrtype, &host.h_addr_list[..]),
        (AF_INET, &[inet_aton("127.0.0.1").unwrap()][..])
    );
    assert_eq!(
        gethostbyname("localhost").unwrap().h_addr_list,
        host.h_addr_list
    );
    let error = gethostbyname("not a name").unwrap_err();
    assert!(error == EAI_NONAME || error == EAI_AGAIN, "{error}"); // with a name server, without one
}

#[test]
fn addresses_are_read_and_written_in_the_older_form_too() {
    assert_eq!(inet_ntoa(inet_aton("127.1").unwrap()), "127.0.0.1");
    assert_eq!(
        inet_ntoa(inet_aton("255.255.255.255").unwrap()),
        "255.255.255.255"
    );
    assert_eq!(inet_aton("256.1.1.1").unwrap_err(), EINVAL);
    assert!("255.255.255.255".len() < INET_ADDRSTRLEN);
    assert!("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len() < INET6_ADDRSTRLEN);
}

#[test]
fn perror_says_what_c_says() {
    if std::env::var_os("SOCKSTEP_TEST_PERROR").is_some() {
        perror(
            "client: connect",
            &Error::new("connect", Errno::ECONNREFUSED),
        );
        perror("name", &getaddrinfo(None, None, None).unwrap_err());
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "messages::perror_says_what_c_says",
            "--nocapture",
        ])
        .env("SOCKSTEP_TEST_PERROR", "1")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "client: connect: Connection refused\nname: Name or service not known\n"
    );
}
