//! What the wrappers make of the calls: results, one system call for one function, texts and addresses as C has them.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use sockstep::Errno::{EAFNOSUPPORT, ECONNREFUSED, ECONNRESET, EINTR, EINVAL, ENOTCONN, EOVERFLOW};
use sockstep::{
    AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, AnyAddr, Errno, Error, IN6ADDR_LOOPBACK_INIT,
    INADDR_LOOPBACK, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPV6_V6ONLY, MSG_DONTWAIT, SHUT_RDWR,
    SHUT_WR, SO_ACCEPTCONN, SO_ERROR, SO_KEEPALIVE, SO_LINGER, SO_REUSEADDR, SO_SNDTIMEO, SO_TYPE,
    SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, SockOpt, Sockaddr, TCP_NODELAY, accept, bind, close,
    connect, getpeername, getsockname, getsockopt, htonl, htons, in_addr, in6_addr, inet_addr,
    inet_ntop, inet_pton, linger, listen, ntohl, ntohs, read, recv, recvfrom, send, sendto,
    setsockopt, shutdown, sockaddr_in, sockaddr_in6, socket, timeval, write,
};

use crate::scratch::scratch;
use crate::sockets::{any_port, bound, listener, make, name, pair, tcp, udp};

/// `::ffff:127.0.0.1`: an address of IPv6 that machines without IPv6 routes have too.
const LOOPBACK_IN_IPV6: Ipv6Addr = Ipv4Addr::LOCALHOST.to_ipv6_mapped();

// ---- Results ----

#[test]
fn accept_reports_the_clients_address() {
    let listener = listener();
    let client = tcp();
    connect(&client, &name(&listener)).unwrap();
    let (server, address) = accept::<sockaddr_in>(&listener).unwrap();
    assert_eq!(address, name(&client));
    assert_eq!(address, getpeername(&server).unwrap());
    assert_eq!(name(&server), name(&listener));
}

#[test]
fn recvfrom_reports_the_senders_address() {
    let (sender, receiver) = (bound(udp()), bound(udp()));
    sendto(&sender, b"hello", 0, &name(&receiver)).unwrap();
    let mut buf = [0; 16];
    let (n, address) = recvfrom::<sockaddr_in>(&receiver, &mut buf, 0).unwrap();
    assert_eq!((&buf[..n], address), (&b"hello"[..], name(&sender)));
}

#[test]
fn an_empty_datagram_arrives_and_says_from_whom() {
    let (sender, receiver) = (bound(udp()), bound(udp()));
    sendto(&sender, b"", 0, &name(&receiver)).unwrap();
    let from = recvfrom::<sockaddr_in>(&receiver, &mut [0; 16], 0);
    assert_eq!(from, Ok((0, name(&sender))));
}

#[test]
fn recvfrom_on_a_stream_gives_a_zeroed_address() {
    let (client, server) = pair();
    send(&client, b"hi", 0).unwrap();
    let from = recvfrom::<sockaddr_in>(&server, &mut [0; 16], 0);
    assert_eq!(from, Ok((2, sockaddr_in::zeroed())));
}

#[test]
fn accept_refuses_an_address_of_another_family_and_closes_that_connection() {
    let listener = TcpListener::bind((LOOPBACK_IN_IPV6, 0)).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let error = accept::<sockaddr_in>(&listener).unwrap_err();
    assert_eq!((error.call(), error.errno()), ("accept", EAFNOSUPPORT));

    client
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "it is still open");
}

#[test]
fn an_address_of_another_family_is_never_returned() {
    let sock = UdpSocket::bind((LOOPBACK_IN_IPV6, 0)).unwrap();
    sock.connect(sock.local_addr().unwrap()).unwrap();
    sock.send(b"to itself").unwrap();
    let (nameless, _peer) = UnixStream::pair().unwrap(); // its address is the family alone, 2 bytes
    let answers = [
        ("getsockname", getsockname(&sock)),
        ("getsockname", getsockname(&nameless)),
        ("getpeername", getpeername(&sock)),
        ("getpeername", getpeername(&nameless)),
        (
            "recvfrom",
            recvfrom(&sock, &mut [0], 0).map(|(_, from)| from),
        ),
    ];
    for (call, answer) in answers {
        assert_eq!(
            answer,
            Err::<sockaddr_in, _>(Error::new(call, EAFNOSUPPORT))
        );
    }
}

#[test]
fn an_address_of_any_family_comes_with_the_length_that_the_kernel_gave() {
    // IPv4, IPv6, and a UNIX socket's two kinds: nameless, and with a name of zeros that only the length tells.
    let v4: AnyAddr = getsockname(&bound(udp())).unwrap();
    assert_eq!((v4.family(), v4.addrlen(), v4.v6()), (AF_INET, 16, None));
    assert_eq!(v4, AnyAddr::from(v4.v4().unwrap()));

    let sock = bound_ipv6_udp();
    let v6: AnyAddr = getsockname(&sock).unwrap();
    assert_eq!((v6.family(), v6.addrlen(), v6.v4()), (AF_INET6, 28, None));
    assert_eq!(v6, AnyAddr::from(v6.v6().unwrap()));
    assert_eq!(v6.v6(), Some(getsockname(&sock).unwrap()));

    let nameless: AnyAddr = getsockname(&UnixStream::pair().unwrap().0).unwrap();
    assert_eq!((nameless.family(), nameless.addrlen()), (AF_UNIX, 2));
    assert_eq!((nameless.v4(), nameless.v6()), (None, None));
    let abstract_name = SocketAddr::from_abstract_name([0; 14]).unwrap(); // 16 bytes in all, as a sockaddr_in
    let named = UnixDatagram::bind_addr(&abstract_name).unwrap();
    let name: AnyAddr = getsockname(&named).unwrap();
    assert_eq!((name.addrlen(), name.v4()), (17, None));
    assert_ne!(name, nameless);

    // And back: the kernel gets as many bytes as it gave.
    let sender = socket(AF_UNIX, SOCK_DGRAM, 0).unwrap();
    assert_eq!(sendto(&sender, b"x", 0, &name), Ok(1));
    assert_eq!(sendto(&sender, b"x", 0, &nameless).unwrap_err(), EINVAL);
}

#[test]
fn every_call_that_gives_an_address_gives_one_of_any_family() {
    let listener = TcpListener::bind((LOOPBACK_IN_IPV6, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, address) = accept::<AnyAddr>(&listener).unwrap();
    let port = client.local_addr().unwrap().port();
    assert_eq!(address.to_string(), format!("[::ffff:127.0.0.1]:{port}"));
    assert_eq!(address, getpeername(&server).unwrap());
    assert_eq!(
        address,
        AnyAddr::from(getpeername::<sockaddr_in6>(&server).unwrap())
    );

    let receiver = bound_ipv6_udp();
    let to: AnyAddr = getsockname(&receiver).unwrap();
    let sender = bound_ipv6_udp();
    connect(&sender, &to).unwrap();
    send(&sender, b"hello", 0).unwrap();
    let (n, from) = recvfrom::<AnyAddr>(&receiver, &mut [0; 16], 0).unwrap();
    assert_eq!((n, from), (5, getsockname(&sender).unwrap()));

    let (client, server) = pair();
    send(&client, b"hi", 0).unwrap();
    let (n, from) = recvfrom::<AnyAddr>(&server, &mut [0; 16], 0).unwrap();
    assert_eq!((n, from.family(), from.addrlen()), (2, AF_UNSPEC, 0)); // a stream gives no address
}

#[test]
fn an_ipv6_address_is_not_an_ipv4_one_nor_the_other_way_round() {
    let no = |call| Some(Error::new(call, EAFNOSUPPORT));
    let sock = bound(udp());
    assert_eq!(getsockname::<sockaddr_in6>(&sock).err(), no("getsockname"));
    let sock = bound_ipv6_udp();
    assert_eq!(getsockname::<sockaddr_in>(&sock).err(), no("getsockname"));
}

#[test]
fn an_ipv6_socket_takes_ipv4_clients_unless_it_is_for_ipv6_alone() {
    for (only, answer) in [(0, Ok(())), (1, Err(Error::new("connect", ECONNREFUSED)))] {
        let listener = make(AF_INET6, SOCK_STREAM);
        setsockopt(&listener, IPPROTO_IPV6, IPV6_V6ONLY, &only).unwrap();
        assert_eq!(getsockopt(&listener, IPPROTO_IPV6, IPV6_V6ONLY), Ok(only));
        let mut any = sockaddr_in6::zeroed(); // ::, port 0
        any.sin6_family = AF_INET6;
        bind(&listener, &any).unwrap();
        listen(&listener, 5).unwrap();

        let mut addr = any_port();
        addr.sin_port = getsockname::<sockaddr_in6>(&listener).unwrap().sin6_port;
        assert_eq!(connect(&tcp(), &addr), answer);
    }
}

#[test]
fn options_come_back_as_they_were_set() {
    let sock = tcp();
    setsockopt(&sock, SOL_SOCKET, SO_KEEPALIVE, &1).unwrap();
    assert_eq!(getsockopt(&sock, SOL_SOCKET, SO_KEEPALIVE), Ok(1));
    setsockopt(&sock, IPPROTO_TCP, TCP_NODELAY, &1).unwrap();
    assert_eq!(getsockopt(&sock, IPPROTO_TCP, TCP_NODELAY), Ok(1));

    let half = timeval {
        tv_sec: 1,
        tv_usec: 500_000,
    };
    setsockopt(&sock, SOL_SOCKET, SO_SNDTIMEO, &half).unwrap();
    assert_eq!(getsockopt(&sock, SOL_SOCKET, SO_SNDTIMEO), Ok(half));

    let five = linger {
        l_onoff: 1,
        l_linger: 5,
    };
    setsockopt(&sock, SOL_SOCKET, SO_LINGER, &five).unwrap();
    assert_eq!(getsockopt(&sock, SOL_SOCKET, SO_LINGER), Ok(five));

    assert_eq!(
        getsockopt(&sock, SOL_SOCKET, SO_TYPE),
        Ok(libc::SOCK_STREAM)
    );
    assert_eq!(getsockopt(&sock, SOL_SOCKET, SO_ACCEPTCONN), Ok(0));
    assert_eq!(getsockopt(&listener(), SOL_SOCKET, SO_ACCEPTCONN), Ok(1));
}

#[test]
fn an_option_of_another_size_is_an_overflow() {
    // SAFETY: IP_RECVTOS is a number of 4 bytes, and `linger` takes 8.
    #[allow(unsafe_code, reason = "an option with another option's type")]
    let option = unsafe { SockOpt::<_, linger>::from_raw(libc::IP_RECVTOS) };
    let error = getsockopt(&bound(udp()), IPPROTO_IP, option).unwrap_err();
    assert_eq!((error.call(), error.errno()), ("getsockopt", EOVERFLOW));
}

#[test]
fn so_error_tells_the_error_that_waits_and_clears_it() {
    let (sock, deaf) = (bound(udp()), bound(udp()));
    connect(&deaf, &name(&deaf)).unwrap(); // takes datagrams from itself alone
    connect(&sock, &name(&deaf)).unwrap();
    send(&sock, b"x", 0).unwrap();
    wait_for_error(&sock);
    assert_eq!(
        getsockopt(&sock, SOL_SOCKET, SO_ERROR),
        Ok(ECONNREFUSED as i32)
    );
    assert_eq!(getsockopt(&sock, SOL_SOCKET, SO_ERROR), Ok(0));
}

#[test]
fn a_linger_of_zero_seconds_resets_the_connection() {
    let (client, server) = pair();
    setsockopt(
        &client,
        SOL_SOCKET,
        SO_LINGER,
        &linger {
            l_onoff: 1,
            l_linger: 0,
        },
    )
    .unwrap();
    close(client).unwrap();
    assert_eq!(recv(&server, &mut [0], 0).unwrap_err(), ECONNRESET);
}

#[test]
fn shutdown_ends_one_half_and_the_other_goes_on() {
    let (client, server) = pair();
    send(&client, b"question", 0).unwrap();
    shutdown(&client, SHUT_WR).unwrap();
    let mut buf = [0; 16];
    assert_eq!(recv(&server, &mut buf, 0), Ok(8));
    assert_eq!(recv(&server, &mut buf, 0), Ok(0));
    send(&server, b"answer", 0).unwrap();
    assert_eq!(recv(&client, &mut buf, 0), Ok(6));
    assert_eq!(&buf[..6], b"answer");
}

// ---- System calls, as strace sees them ----

#[test]
fn each_function_is_one_system_call_with_the_arguments_given() {
    const NAME: &str = "each_function_is_one_system_call_with_the_arguments_given";
    if let Some(dir) = traced() {
        return fs::write(dir.join("expected"), call_everything()).unwrap();
    }
    let dir = scratch("wrappers/calls");
    let trace = dir.join("trace");
    under_strace(NAME, &dir, &["-ff", "-a1", "-o", trace.to_str().unwrap()]);

    // -ff makes a file for each thread; ours is the one that has the marks.
    let traces = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()));
    let trace = traces
        .map(Result::unwrap)
        .find(|trace| trace.contains("\"begin\""));
    let trace = trace.expect("strace saw the marks");
    let calls = trace
        .lines()
        .skip_while(|line| !line.contains("\"begin\""))
        .skip(1);
    let calls: Vec<_> = calls.take_while(|line| !line.contains("\"end\"")).collect();
    let expected = fs::read_to_string(dir.join("expected")).unwrap();
    assert_eq!(calls, expected.lines().collect::<Vec<_>>());
}

/// Calls each function once between two marks, and returns what strace has to show for it.
fn call_everything() -> String {
    let mark = OpenOptions::new().write(true).open("/dev/null").unwrap();
    let (one, reset) = (
        1,
        linger {
            l_onoff: 1,
            l_linger: 0,
        },
    );
    let (mut by_recv, mut by_read, mut by_recvfrom) = ([0; 16], [0; 16], [0; 16]);

    write(&mark, b"begin").unwrap();
    let serv_sock = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).unwrap();
    setsockopt(&serv_sock, SOL_SOCKET, SO_REUSEADDR, &one).unwrap();
    setsockopt(&serv_sock, SOL_SOCKET, SO_LINGER, &reset).unwrap();
    getsockopt(&serv_sock, SOL_SOCKET, SO_REUSEADDR).unwrap();
    bind(&serv_sock, &any_port()).unwrap();
    let serv_addr: sockaddr_in = getsockname(&serv_sock).unwrap();
    listen(&serv_sock, 5).unwrap();
    let sock = socket(AF_INET, SOCK_STREAM, 0).unwrap();
    connect(&sock, &serv_addr).unwrap();
    let (clnt_sock, clnt_addr) = accept::<sockaddr_in>(&serv_sock).unwrap();
    getpeername::<sockaddr_in>(&clnt_sock).unwrap();
    send(&sock, b"hi", MSG_DONTWAIT).unwrap();
    recv(&clnt_sock, &mut by_recv, 0).unwrap();
    write(&clnt_sock, b"ok").unwrap();
    read(&sock, &mut by_read).unwrap();
    shutdown(&sock, SHUT_WR).unwrap();
    let udp_sock = socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    bind(&udp_sock, &any_port()).unwrap();
    let udp_addr: sockaddr_in = getsockname(&udp_sock).unwrap();
    sendto(&udp_sock, b"datagram", 0, &udp_addr).unwrap();
    recvfrom::<sockaddr_in>(&udp_sock, &mut by_recvfrom[..4], 0).unwrap();
    let refused = shutdown(&udp_sock, SHUT_RDWR).unwrap_err();
    let (serv, clnt, tcp, udp) = (
        serv_sock.as_raw_fd(),
        clnt_sock.as_raw_fd(),
        sock.as_raw_fd(),
        udp_sock.as_raw_fd(),
    );
    close(udp_sock).unwrap();
    close(clnt_sock).unwrap();
    let sock6 = socket(AF_INET6, SOCK_DGRAM, 0).unwrap();
    setsockopt(&sock6, IPPROTO_IPV6, IPV6_V6ONLY, &0).unwrap();
    bind(&sock6, &any_port6()).unwrap();
    let addr6: AnyAddr = getsockname(&sock6).unwrap();
    sendto(&sock6, b"datagram", 0, &addr6).unwrap();
    recvfrom::<sockaddr_in6>(&sock6, &mut by_recvfrom, 0).unwrap();
    let udp6 = sock6.as_raw_fd();
    write(&mark, b"end").unwrap();

    assert_eq!(refused, ENOTCONN);
    let (any_port, any_port6) = (any_port(), any_port6());
    format!(
        r#"socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = {serv}
setsockopt({serv}, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
setsockopt({serv}, SOL_SOCKET, SO_LINGER, {{l_onoff=1, l_linger=0}}, 8) = 0
getsockopt({serv}, SOL_SOCKET, SO_REUSEADDR, [1], [4]) = 0
bind({serv}, {any_port:?}, 16) = 0
getsockname({serv}, {serv_addr:?}, [16]) = 0
listen({serv}, 5) = 0
socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = {tcp}
connect({tcp}, {serv_addr:?}, 16) = 0
accept({serv}, {clnt_addr:?}, [16]) = {clnt}
getpeername({clnt}, {clnt_addr:?}, [16]) = 0
sendto({tcp}, "hi", 2, MSG_DONTWAIT, NULL, 0) = 2
recvfrom({clnt}, "hi", 16, 0, NULL, NULL) = 2
write({clnt}, "ok", 2) = 2
read({tcp}, "ok", 16) = 2
shutdown({tcp}, SHUT_WR) = 0
socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = {udp}
bind({udp}, {any_port:?}, 16) = 0
getsockname({udp}, {udp_addr:?}, [16]) = 0
sendto({udp}, "datagram", 8, 0, {udp_addr:?}, 16) = 8
recvfrom({udp}, "data", 4, 0, {udp_addr:?}, [16]) = 4
shutdown({udp}, SHUT_RDWR) = -1 ENOTCONN (Transport endpoint is not connected)
close({udp}) = 0
close({clnt}) = 0
socket(AF_INET6, SOCK_DGRAM, IPPROTO_IP) = {udp6}
setsockopt({udp6}, SOL_IPV6, IPV6_V6ONLY, [0], 4) = 0
bind({udp6}, {any_port6:?}, 28) = 0
getsockname({udp6}, {addr6:?}, [128 => 28]) = 0
sendto({udp6}, "datagram", 8, 0, {addr6:?}, 28) = 8
recvfrom({udp6}, "datagram", 16, 0, {addr6:?}, [28]) = 8
"#
    )
}

#[test]
fn a_count_that_the_buffer_cannot_hold_is_an_overflow() {
    const NAME: &str = "a_count_that_the_buffer_cannot_hold_is_an_overflow";
    let Some(dir) = traced() else {
        let dir = scratch("wrappers/counts");
        let file = dir.join("file");
        File::create(&file).unwrap();
        let (log, file) = (dir.join("trace"), file.to_str().unwrap());
        let log = ["-f", "-o", log.to_str().unwrap()];
        // A kernel that lies, first about sockets and then about one file.
        let sockets = "inject=sendto,recvfrom:retval=100000";
        under_strace(
            NAME,
            &dir.join("sockets"),
            &[&log[..], &["-e", sockets]].concat(),
        );
        let files = "inject=read,write:retval=100000";
        under_strace(
            NAME,
            &dir.join("file"),
            &[&log[..], &["-P", file, "-e", files]].concat(),
        );
        return;
    };
    let mut buf = [0; 16];
    let answers = if dir.is_file() {
        let file = OpenOptions::new().read(true).write(true).open(dir).unwrap();
        vec![
            ("read", read(&file, &mut buf)),
            ("write", write(&file, &buf)),
        ]
    } else {
        let sock = bound(udp());
        let from = recvfrom::<sockaddr_in>(&sock, &mut buf, 0).map(|(n, _)| n);
        vec![
            ("send", send(&sock, &buf, 0)),
            ("sendto", sendto(&sock, &buf, 0, &name(&sock))),
            ("recv", recv(&sock, &mut buf, 0)),
            ("recvfrom", from),
        ]
    };
    for (call, answer) in answers {
        assert_eq!(answer, Err(Error::new(call, EOVERFLOW)));
    }
}

#[test]
fn an_interrupted_call_is_not_made_again() {
    const NAME: &str = "an_interrupted_call_is_not_made_again";
    if traced().is_none() {
        let dir = scratch("wrappers/interrupted");
        let log = dir.join("trace");
        // Each of them would be done, or would fail otherwise, the second time.
        let once = "inject=socket,connect,accept,sendto,recvfrom:error=EINTR:when=1";
        under_strace(NAME, &dir, &["-f", "-o", log.to_str().unwrap(), "-e", once]);
        return;
    }
    let interrupted = |call| Some(Error::new(call, EINTR));
    let first = socket(AF_INET, SOCK_DGRAM, 0);
    assert_eq!(first.err(), interrupted("socket"));
    let sock = bound(udp());
    assert_eq!(connect(&sock, &name(&sock)).err(), interrupted("connect"));
    let accepted = accept::<sockaddr_in>(&sock);
    assert_eq!(accepted.err(), interrupted("accept"));
    let sent = sendto(&sock, b"x", 0, &name(&sock));
    assert_eq!(sent.err(), interrupted("sendto"));
    let received = recv(&sock, &mut [0], MSG_DONTWAIT);
    assert_eq!(received.err(), interrupted("recv"));
}

const TRACED: &str = "SOCKSTEP_TEST_TRACED";

/// In a process that [`under_strace`] made: the path that it was given.
fn traced() -> Option<PathBuf> {
    env::var_os(TRACED).map(PathBuf::from)
}

/// Runs the test called `name` again, in a traced process.
fn under_strace(name: &str, path: &Path, options: &[&str]) {
    let mut strace = Command::new("strace");
    strace.args(options).arg(env::current_exe().unwrap());
    let name = format!("wrappers::{name}");
    let output = strace.args(["--exact", &name]).env(TRACED, path).output();
    let output = output.unwrap_or_else(|error| panic!("strace: {error}: install strace"));
    let (out, err) = texts(&output);
    let hint = if err.to_lowercase().contains("ptrace") {
        "this machine does not let strace trace: see kernel.yama.ptrace_scope, or the container's seccomp"
    } else {
        ""
    };
    assert!(output.status.success(), "{hint}\n{err}\n{out}");
    assert!(out.contains("1 passed"), "it did not run: {out}");
}

// ---- What the C library says ----

#[test]
fn an_error_prints_in_the_c_librarys_words() {
    let texts = c_says(
        "strerror",
        "#include <stdio.h>
         #include <string.h>
         int main(void) { for (int n = 1; n <= 133; n++) puts(strerror(n)); return 0; }",
        b"",
    );
    assert_eq!(texts.lines().count(), 133);
    for (number, text) in (1..).zip(texts.lines()) {
        Errno::set_raw(number); // 41 and 58 too, of which no Errno has the name
        let error = Error::last("x");
        assert_eq!(error.to_string(), format!("x() failed: {text}"));
    }
}

#[test]
fn texts_are_the_addresses_that_they_are_in_c() {
    let texts = [ODD_TEXTS.map(str::to_owned).to_vec(), random_texts(5000)].concat();
    let c = c_says(
        "inet",
        r#"#include <arpa/inet.h>
           #include <stdio.h>
           int main(void) {
               char *text = NULL;
               size_t room = 0;
               while (getdelim(&text, &room, '\0', stdin) > 0) {
                   struct in_addr addr;
                   char dotted[INET_ADDRSTRLEN];
                   if (inet_aton(text, &addr)) /* inet_addr's -1 is also an address */
                       printf("%u %s, ", ntohl(inet_addr(text)), inet_ntop(AF_INET, &addr, dotted, sizeof dotted));
                   else
                       printf("none, ");
                   if (inet_pton(AF_INET, text, &addr) == 1)
                       printf("%u\n", ntohl(addr.s_addr));
                   else
                       printf("none\n");
               }
               return 0;
           }"#,
        &texts
            .iter()
            .flat_map(|text| [text.as_bytes(), b"\0"].concat())
            .collect::<Vec<_>>(),
    );
    let mut addresses = 0;
    assert_eq!(c.lines().count(), texts.len());
    for (text, c) in texts.iter().zip(c.lines()) {
        let mut ours = String::new();
        match inet_addr(text) {
            Ok(s_addr) => {
                let dotted = inet_ntop(AF_INET, &in_addr { s_addr }).unwrap();
                write!(ours, "{} {dotted}, ", ntohl(s_addr)).unwrap();
                addresses += 1;
            }
            Err(error) => {
                assert_eq!((error.call(), error.errno()), ("inet_addr", EINVAL));
                ours += "none, ";
            }
        }
        match inet_pton::<in_addr>(AF_INET, text) {
            Ok(addr) => ours += &ntohl(addr.s_addr).to_string(),
            Err(error) => {
                assert_eq!((error.call(), error.errno()), ("inet_pton", EINVAL));
                ours += "none";
            }
        }
        assert_eq!(ours, c, "for the text {text:?}");
    }
    assert_about_half(addresses, texts.len());
}

#[test]
fn ipv6_texts_are_the_addresses_that_they_are_in_c() {
    let texts = [
        ODD_IPV6_TEXTS.map(str::to_owned).to_vec(),
        random_ipv6_texts(5000),
    ]
    .concat();
    let c = c_says(
        "inet6",
        r#"#include <arpa/inet.h>
           #include <stdio.h>
           int main(void) {
               char *text = NULL;
               size_t room = 0;
               while (getdelim(&text, &room, '\0', stdin) > 0) {
                   struct in6_addr addr;
                   char name[INET6_ADDRSTRLEN];
                   int is_one = inet_pton(AF_INET6, text, &addr) == 1;
                   puts(is_one ? inet_ntop(AF_INET6, &addr, name, sizeof name) : "none");
               }
               return 0;
           }"#,
        &texts
            .iter()
            .flat_map(|text| [text.as_bytes(), b"\0"].concat())
            .collect::<Vec<_>>(),
    );
    let mut addresses = 0;
    assert_eq!(c.lines().count(), texts.len());
    for (text, c) in texts.iter().zip(c.lines()) {
        let ours = match inet_pton::<in6_addr>(AF_INET6, text) {
            Ok(addr) => {
                addresses += 1;
                inet_ntop(AF_INET6, &addr).unwrap()
            }
            Err(error) => {
                assert_eq!((error.call(), error.errno()), ("inet_pton", EINVAL));
                "none".to_owned()
            }
        };
        assert_eq!(ours, c, "for the text {text:?}");
    }
    assert_about_half(addresses, texts.len());
}

#[test]
fn an_address_of_another_family_has_no_text() {
    let addr = in_addr {
        s_addr: htonl(INADDR_LOOPBACK),
    };
    for family in [AF_INET6, AF_UNSPEC] {
        let read = inet_pton::<in_addr>(family, "127.0.0.1");
        assert_eq!(read.unwrap_err(), EAFNOSUPPORT);
        assert_eq!(inet_ntop(family, &addr).unwrap_err(), EAFNOSUPPORT);
    }
    for family in [AF_INET, AF_UNSPEC] {
        let read = inet_pton::<in6_addr>(family, "::1");
        assert_eq!(read.unwrap_err(), EAFNOSUPPORT);
        let written = inet_ntop(family, &IN6ADDR_LOOPBACK_INIT);
        assert_eq!(written.unwrap_err(), EAFNOSUPPORT);
    }
}

/// The kernel stores what the wrapper gave it, and the standard library reads that with byte orders of its own.
#[test]
fn htons_and_htonl_put_the_high_byte_first() {
    let sock = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let hosts = [0x7f00_0001, 0x7f01_0203, 0x7f80_ff7e];
    for (port, &host) in (1..=u16::MAX).zip(hosts.iter().cycle()) {
        let mut addr = any_port();
        addr.sin_addr.s_addr = htonl(host);
        addr.sin_port = htons(port);
        connect(&sock, &addr).unwrap();
        let expected = SocketAddrV4::new(Ipv4Addr::from_bits(host), port);
        assert_eq!(sock.peer_addr().unwrap(), expected.into());
        assert_eq!(
            (ntohl(addr.sin_addr.s_addr), ntohs(addr.sin_port)),
            (host, port)
        );
    }
}

const ODD_TEXTS: [&str; 52] = [
    "127.0.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "256.0.0.1",
    "1.2.3.256",
    "1.2.3",
    "1.2.65535",
    "1.2.65536",
    "1.2",
    "1.16777215",
    "1.16777216",
    "1",
    "0",
    "4294967295",
    "4294967296",
    "99999999999999999999",
    "0x7f.1",
    "0X7F.0.0.1",
    "0x7f000001",
    "0xffffffff",
    "0x100000000",
    "0x",
    "0x.1",
    "0xg",
    "010.1",
    "0177.0.0.01",
    "08",
    "09.1",
    "1.2.3.08",
    "00",
    "00000000000000000000000000000001",
    "01.02.03.04",
    "1.2.3.4.",
    "1.2.3.4.5",
    ".1",
    "1.",
    "1..2",
    ".",
    "",
    " ",
    " 1.2.3.4",
    "1.2.3.4 ",
    "1.2.3.4 x",
    "1.2.3.4\tx",
    "1.2.3.4\n",
    "1.2.3.4x",
    "1.2 .3.4",
    "+1.2.3.4",
    "-1",
    "1.+2.3.4",
    "localhost",
    "１.2.3.4",
];

/// The same texts each time: one to five numbers, mostly with dots between.
fn random_texts(n: usize) -> Vec<String> {
    const NUMBERS: [&str; 24] = [
        "0",
        "1",
        "2",
        "7",
        "8",
        "9",
        "10",
        "99",
        "127",
        "192",
        "255",
        "256",
        "00",
        "01",
        "08",
        "0377",
        "0400",
        "0x7f",
        "0XFF",
        "0x",
        "65535",
        "16777216",
        "4294967295",
        "",
    ];
    const BETWEEN: [&str; 16] = [
        ".", ".", ".", ".", ".", ".", ".", ".", ".", ".", ".", ".", ".", " ", "\x0b", "+",
    ];
    let mut below = below();
    let mut text = || {
        let mut text = NUMBERS[below(NUMBERS.len())].to_owned();
        for _ in 0..below(5) {
            text += BETWEEN[below(BETWEEN.len())];
            text += NUMBERS[below(NUMBERS.len())];
        }
        text
    };
    std::iter::repeat_with(&mut text).take(n).collect()
}

const ODD_IPV6_TEXTS: [&str; 40] = [
    "::",
    "::1",
    "1::",
    "1::8",
    "::1:2",
    "::1:0",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:0:0",
    "::127.0.0.1",
    "::0.0.0.1",
    "64:ff9b::1.2.3.4",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "1:2:3::5:6:7:8",
    "1:2:3:4::5:6:7:8",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7",
    "1:0:0:4:0:0:0:8",
    "1:0:3:4:5:6:7:8",
    "0:0:3:4:5:6:0:0",
    "1:2:3:4:5:6:1.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1.2.3.4::",
    "::1.2.3",
    "::01.2.3.4",
    "::1.2.3.256",
    "0001::",
    "00001::",
    "ABCD:ef01::",
    "g::",
    ":",
    ":::",
    "::1::",
    ":1",
    "1:",
    "::1%lo",
    "[::1]",
    "",
];

/// The same texts each time: mostly eight groups or fewer around a `::`.
fn random_ipv6_texts(n: usize) -> Vec<String> {
    const GROUPS: [&str; 12] = [
        "0", "0", "0", "1", "00", "0000", "abcd", "ABC", "ffff", "7f00", "10000", "1.2.3.4",
    ];
    let mut below = below();
    let mut text = || {
        let groups = 5 + below(4);
        let gap = below(groups + 2);
        let mut text = String::new();
        for group in 0..groups {
            text += match (group, group == gap) {
                (_, true) => "::",
                (0, _) => "",
                _ => ":",
            };
            let choices = if group + 1 == groups {
                GROUPS.len()
            } else {
                GROUPS.len() - 1
            };
            text += GROUPS[below(choices)];
        }
        text
    };
    std::iter::repeat_with(&mut text).take(n).collect()
}

/// Numbers below a limit, the same each time.
fn below() -> impl FnMut(usize) -> usize {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15; // xorshift
    move |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % limit
    }
}

/// What a C program prints that reads `input`.
fn c_says(name: &str, program: &str, input: &[u8]) -> String {
    let exe = scratch(format!("wrappers/{name}")).join(name);
    let cc = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut cc = Command::new(cc);
    cc.args(["-D_GNU_SOURCE", "-x", "c", "-o"])
        .arg(&exe)
        .arg("-");
    run(&mut cc, program.as_bytes());
    run(&mut Command::new(exe), input)
}

/// Asserts that random texts try both: addresses, and texts that are not addresses.
fn assert_about_half(addresses: usize, texts: usize) {
    let half = texts / 4..texts * 3 / 4;
    assert!(
        half.contains(&addresses),
        "{addresses} of {texts} are addresses"
    );
}

/// Runs a program to its end, and returns what it printed.
fn run(command: &mut Command, input: &[u8]) -> String {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    });
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{command:?}: {err}");
    out
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

// ---- Sockets ----

/// Loopback for an IPv6 socket, on a machine that may have no other address for it.
fn any_port6() -> sockaddr_in6 {
    let mut addr = sockaddr_in6::zeroed();
    addr.sin6_family = AF_INET6;
    addr.sin6_addr.s6_addr = LOOPBACK_IN_IPV6.octets();
    addr
}

fn bound_ipv6_udp() -> OwnedFd {
    let sock = make(AF_INET6, SOCK_DGRAM);
    bind(&sock, &any_port6()).unwrap();
    sock
}

fn wait_for_error(sock: &OwnedFd) {
    use nix::poll::{PollFd, PollFlags, poll};
    use std::os::fd::AsFd;

    let mut fds = [PollFd::new(sock.as_fd(), PollFlags::empty())]; // POLLERR comes unasked
    assert_eq!(poll(&mut fds, 10_000_u16), Ok(1));
}
