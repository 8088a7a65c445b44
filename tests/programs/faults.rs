//! What goes wrong on the way or in the kernel, and what the programs then say, in both languages.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    CLIENTS, Outcome, Process, Program, Server, TCP_CLIENTS, Talk, UDP_CLIENTS, UDP_SERVERS,
    UPPER_CLIENTS, accept, assert_bytes, deadline, for_each, local, play, require, run, udp,
};
use sockstep::{
    AF_INET, INADDR_LOOPBACK, PF_INET, SO_RCVBUF, SO_SNDBUF, SOCK_STREAM, SOL_SOCKET, bind, htonl,
    listen, setsockopt, sockaddr_in, socket,
};

// ---- A machine with several addresses ----

/// A server of datagrams that is bound to any address.
fn bound_to_any(program: Program, args: &[&str]) -> Server {
    let mut command = program.command();
    Server::start_by(program, command.args(program.quiet()).args(args).arg("0"))
}

/// Lets the client ask this address of this machine.
fn asks(client: Program, address: &str, port: u16, args: &[&str]) -> Outcome {
    let port = port.to_string();
    let mut command = client.command();
    let command = command.args(args);
    if client.is_upper() {
        run(command.args(["-i", address, "-p", &port]), b"hello\n")
    } else {
        run(command.args([address, "hello", &port]), b"")
    }
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked_if_the_server_is_told_so() {
    for_each(&UDP_SERVERS, |program| {
        let server = bound_to_any(program, &["--from-asked", "--max-messages", "4"]);
        for client in UDP_CLIENTS.iter().flat_map(|name| Program::both(name)) {
            let outcome = asks(client, "127.0.0.2", server.port, &[]);
            let answer = program.reply_to(b"hello");
            let answer = client.prints(std::str::from_utf8(&answer).expect("ASCII"));
            assert_eq!(outcome, Outcome::done(answer), "{client}");
        }
        let mut process = server.process;
        let outcome = process.end();
        assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""));
    });
}

#[test]
fn an_answer_from_another_address_of_the_server_is_told_with_its_mend() {
    for_each(&UDP_CLIENTS, |client| {
        let server = bound_to_any(Program::rust(client.server()), &[]);
        let port = server.port;
        let outcome = asks(client, "127.0.0.2", port, &["--timeout", "1"]);
        let note = format!(
            "ignored a datagram from 127.0.0.1:{port}: 127.0.0.2:{port} was asked. \
             Ask 127.0.0.1, or start the server with --bind or --from-asked"
        );
        assert_eq!(outcome.stderr.lines().next(), Some(&*note), "{outcome:?}");
        assert_eq!(outcome.status.code(), Some(1));
    });
}

#[test]
fn a_scope_that_one_side_does_not_name_is_no_difference() {
    let Ok(server) = UdpSocket::bind("[::1]:0") else {
        return; // a machine without IPv6
    };
    server.set_read_timeout(Some(deadline())).expect("not zero");
    let port = server.local_addr().expect("it is bound").port();
    for_each(&["udp_upper_client"], |client| {
        let mut command = client.command();
        command.args(["-i", "::1%1", "-p", &port.to_string(), "--timeout", "30"]);
        let mut asking = Process::start(&mut command);
        asking.feed(b"hello\n".to_vec());
        let (_, from) = server.recv_from(&mut [0; 16]).expect("it asks");
        server.send_to(b"HELLO", from).expect("it fits");
        assert_eq!(asking.end(), Outcome::done("From Server: HELLO\n"));
    });
}

// ---- No server, and silence ----

/// Moves the program to a network where the kernel has this port alone to give to clients.
const ALONE: &str = "\
import fcntl, os, socket, struct, sys
lo = struct.pack('16sH14x', b'lo', 0x49)
fcntl.ioctl(socket.socket(), 0x8914, lo)
open('/proc/sys/net/ipv4/ip_local_port_range', 'w').write('%s %s' % (sys.argv[1], sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
";

#[test]
fn a_socket_connected_to_itself_is_no_server() {
    require(
        "unshare",
        "the tests of a socket connected to itself (package util-linux)",
    );
    let program = |client: Program, port: &str, args: &[&str]| {
        let mut command = client.under(&["unshare", "-rn", "python3", "-c", ALONE, port]);
        run(command.args(args), b"hello\n")
    };
    let alone = |address: &str| {
        Outcome::failed(&format!(
            "the socket is connected to itself: no server is at {address}"
        ))
    };
    for_each(&CLIENTS, |client| {
        for port in ["7000", "50000"] {
            let (args, _) = client.saying("hello", port.parse().expect("a port"));
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let outcome = program(client, port, &args);
            assert_eq!(outcome, alone(&format!("127.0.0.1:{port}")));
        }
    });
    for_each(&UPPER_CLIENTS, |client| {
        let outcome = program(client, "7000", &["-i", "::1", "-p", "7000"]);
        assert_eq!(outcome, alone("[::1]:7000"));
    });
    for_each(&["udp_echo_client"], |client| {
        // Asked at another address, it hears itself from the first one.
        let outcome = program(client, "7000", &["127.0.0.2", "hello", "7000"]);
        assert_eq!(outcome, alone("127.0.0.2:7000"));
        let outcome = program(
            client,
            "9",
            &["--client-port", "7000", "127.0.0.1", "hello", "7000"],
        );
        assert_eq!(outcome, alone("127.0.0.1:7000"));
    });
}

/// Somebody else's server on 127.0.0.1, with the smallest buffers.
fn small_listener() -> TcpListener {
    let sock = socket(PF_INET, SOCK_STREAM, 0).expect("a descriptor is free");
    setsockopt(&sock, SOL_SOCKET, SO_RCVBUF, &1).expect("a socket can");
    setsockopt(&sock, SOL_SOCKET, SO_SNDBUF, &1).expect("a socket can");
    bound(sock)
}

fn bound(sock: OwnedFd) -> TcpListener {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(&sock, &addr).expect("a port is free");
    listen(&sock, 0).expect("it is bound");
    sock.into()
}

/// The client's own buffers cannot be had from outside, so its `send` says that they are full.
#[test]
fn a_word_larger_than_all_buffers_is_sent_while_its_echo_comes() {
    let word = "x".repeat(120_000);
    for_each(&TCP_CLIENTS, |client| {
        let listener = small_listener();
        let port = listener.local_addr().expect("it is bound").port();
        let word = &word;
        let outcome = thread::scope(|scope| {
            scope.spawn(move || {
                let mut stream = accept(&listener);
                let (mut rest, mut piece) = (client.request(word).len(), [0; 512]);
                while rest > 0 {
                    let n = std::io::Read::read(&mut stream, &mut piece).expect("it sends");
                    stream.say(&piece[..n]); // only then the next
                    rest -= n;
                }
            });
            let mut command = client.with_faults(&["sendto:error=EAGAIN:when=2+2"]);
            client.say_by(&mut command, word, port)
        });
        assert_eq!(outcome, Outcome::done(client.prints(word)));
    });
}

/// A queue of one, and full: the kernel drops what comes then, so that a connect waits.
fn deaf() -> (TcpListener, TcpStream, u16) {
    let listener = bound(socket(PF_INET, SOCK_STREAM, 0).expect("a descriptor is free"));
    let port = listener.local_addr().expect("it is bound").port();
    let first = TcpStream::connect(local(port)).expect("there is room for one");
    (listener, first, port)
}

#[test]
fn a_connection_that_is_not_answered_is_told_after_a_second_and_ends_in_time() {
    for_each(&["tcp_upper_client"], |client| {
        let (_listener, _first, port) = deaf();
        let start = Instant::now();
        let (args, stdin) = client.saying("hello", port);
        let outcome = run(
            client.command().args(&args).args(["--timeout", "2"]),
            &stdin,
        );
        let lines = format!("waiting for 127.0.0.1:{port}\nno answer within 2 seconds\n");
        assert_eq!(outcome, Outcome::new(1, "", &lines));
        assert!(start.elapsed() >= Duration::from_secs(2));
    });
}

#[test]
fn a_connection_that_comes_late_is_used() {
    for_each(&["tcp_upper_client"], |client| {
        let (listener, _first, port) = deaf();
        let (args, stdin) = client.saying("hello", port);
        let mut process = Process::start(client.command().args(&args));
        process.feed(stdin);
        assert_eq!(process.complaint(), format!("waiting for 127.0.0.1:{port}"));
        drop(accept(&listener)); // now there is room
        let mut stream = accept(&listener);
        assert_bytes(&stream.hear(6), b"hello\n");
        stream.say(b"HELLO\n");
        assert_eq!(process.end(), Outcome::done("From Server: HELLO\n"));
    });
}

#[test]
fn an_answer_that_does_not_come_in_time_is_told_in_seconds() {
    for_each(&["tcp_upper_client"], |client| {
        for (part, words) in [
            (&b""[..], "no answer within 1 second"),
            (b"HEL", "no whole answer within 1 second"),
        ] {
            let (server, port) = play(move |mut stream| {
                stream.hear(6);
                stream.say(part);
                stream.hear(0);
                stream // until it has ended
            });
            let (args, stdin) = client.saying("hello", port);
            let outcome = run(
                client.command().args(&args).args(["--timeout", "1"]),
                &stdin,
            );
            assert_eq!(outcome, Outcome::failed(words));
            drop(server.join().expect("the server is content"));
        }
    });
    for_each(&UDP_CLIENTS, |client| {
        let silent = udp();
        let (args, stdin) = client.saying("hello", silent.address().port());
        let outcome = run(
            client
                .command()
                .args(["--timeout", "1", "--tries", "2"])
                .args(&args),
            &stdin,
        );
        assert_eq!(outcome, Outcome::failed("no answer within 2 seconds"));
    });
}

// ---- Many datagrams a call ----

#[test]
fn datagrams_that_wait_are_answered_by_two_calls() {
    for_each(&["udp_echo_server"], |program| {
        // What is sent while its first call begins is all there when it does.
        let delay = "--inject=recvmmsg:delay_enter=2000000:when=1";
        let mut command = program.traced(&["--trace=recvmmsg,sendmmsg", delay]);
        let args = [
            "--bind",
            "127.0.0.1",
            "--batch",
            "8",
            "--max-messages",
            "7",
            "0",
        ];
        let mut server = Server::start_by(program, command.args(args));
        let clients: Vec<UdpSocket> = (0..7).map(|_| server.udp()).collect();
        let words: Vec<Vec<u8>> = (0..7)
            .map(|n| vec![b'a' + n; usize::from(n) * 9000])
            .collect();
        for (client, word) in clients.iter().zip(&words) {
            client.send(word).expect("it leaves");
        }
        for (client, word) in clients.iter().zip(&words) {
            let mut answer = vec![0; 65536];
            client.set_read_timeout(Some(deadline())).expect("not zero");
            let n = client.recv(&mut answer).expect("an answer comes");
            assert_bytes(&answer[..n], word);
        }
        let outcome = server.process.end();
        assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
        assert!(
            outcome.stderr.matches("sendmmsg(").count() < 7,
            "{outcome:?}"
        );
    });
}

#[test]
fn a_batch_ends_after_as_many_as_it_is_told_and_what_is_impossible_is_an_error() {
    for_each(&["udp_echo_server"], |program| {
        let start = |faults: &[&str]| {
            let mut command = program.with_faults(faults);
            let args = [
                "--bind",
                "127.0.0.1",
                "--batch",
                "3",
                "--max-messages",
                "2",
                "0",
            ];
            Server::start_by(program, command.args(args))
        };
        let mut server = start(&["recvmmsg:error=EINTR:when=1"]);
        server.serves();
        server.serves();
        let outcome = server.process.end();
        assert_eq!((outcome.status.code(), &*outcome.stderr), (Some(0), ""));

        let mut server = start(&["recvmmsg:retval=9"]);
        let words = "recvmmsg() failed: Value too large for defined data type";
        assert_eq!(server.process.end(), Outcome::failed(words));

        let mut server = start(&["sendmmsg:error=ENOBUFS:when=1"]);
        server.client().say(b"x");
        let line = server.process.complaint();
        assert!(
            line.ends_with(": sendmmsg() failed: No buffer space available"),
            "{line}"
        );
        server.serves();
        assert_eq!(server.process.end().status.code(), Some(0));
    });
}

// ---- Faults in the clients' calls ----

#[test]
fn a_signal_ends_no_clients_wait() {
    for_each(&CLIENTS, |client| {
        let server = Server::start(Program::rust(client.server()), &[]);
        let answer = String::from_utf8(Program::rust(client.server()).reply_to(b"hello"));
        let answer = client.prints(&answer.expect("ASCII"));
        let mut faults = vec!["recvfrom:error=EINTR:when=1..2"];
        if client.name == "tcp_upper_client" {
            faults.push("connect:error=EINTR:when=1..2");
        }
        if client.is_tcp() {
            faults.push("sendto:error=EINTR:when=1..2");
        }
        let outcome = client.say_by(&mut client.with_faults(&faults), "hello", server.port);
        assert_eq!(outcome, Outcome::done(answer));
    });
}

#[test]
fn a_time_that_cannot_be_set_is_an_error_of_that_address_in_both_languages() {
    for_each(&["tcp_upper_client", "web_client"], |client| {
        let mut faulty = client.with_faults(&["setsockopt:error=ENOPROTOOPT"]);
        if client.name == "web_client" {
            faulty.arg("http://127.0.0.1:9/");
        }
        let outcome = run(&mut faulty, b"hello\n");
        let words = "setsockopt() failed: Protocol not available";
        assert_eq!(outcome, Outcome::failed(words));
    });
}
