//! Clients, servers and kernels that misbehave: that costs one client its answer at most, and never a descriptor.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    CLIENTS, EVENT_LOOPS, ON_A_FREE_PORT, Outcome, Process, Program, Random, SERVERS, Server,
    TCP_CLIENTS, TCP_SERVERS, Talk, UDP_CLIENTS, UDP_SERVERS, UPPER_CLIENTS, assert_bytes,
    at_this_load, converse, fill, for_each, hear_from, local, play, random_bytes, require, reset,
    run, udp,
};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitPidFlag;

// ---- Clients of the TCP servers ----

#[test]
fn a_client_that_connects_and_leaves() {
    survives(&TCP_SERVERS, |server| {
        drop(server.connect());
        no_complaint()
    });
}

#[test]
fn a_client_that_resets_at_once() {
    survives(&TCP_SERVERS, |server| resets(server.connect()));
}

#[test]
fn a_client_that_resets_before_its_turn() {
    survives(&TCP_SERVERS, |server| {
        let mut first = server.connect();
        first.ask(b"it is my turn", 13);
        resets(server.connect())
    });
}

#[test]
fn a_client_that_resets_during_the_exchange() {
    survives(&TCP_SERVERS, |server| {
        let mut client = server.connect();
        client.ask(b"there is more to come", 21);
        resets(client)
    });
}

#[test]
fn a_client_that_resets_without_taking_its_answer() {
    survives(&TCP_SERVERS, |server| {
        let mut client = server.connect();
        client
            .write_all(b"never mind")
            .expect("the server takes it");
        let complaint = reset_by(&client);
        reset(client);
        complaint
    });
}

#[test]
fn a_client_that_resets_after_the_exchange() {
    survives(&TCP_SERVERS, |server| {
        let client = server.connect();
        assert_bytes(
            &converse(&client, b"that was all"),
            &server.program.reply_to(b"that was all"),
        );
        reset(client);
        no_complaint()
    });
}

#[test]
fn a_client_that_half_closes_and_then_reads() {
    survives(&TCP_SERVERS, |server| {
        let mut client = server.connect();
        let bytes = random_bytes(3, 100_000);
        client.write_all(&bytes).expect("buffers hold as much");
        client.shutdown(Shutdown::Write).expect("it is connected");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("the server closes");
        assert_bytes(&answer, &server.program.reply_to(&bytes));
        no_complaint()
    });
}

#[test]
fn a_client_that_half_closes_without_a_word() {
    survives(&TCP_SERVERS, |server| {
        assert_bytes(&converse(&server.connect(), b""), b"");
        no_complaint()
    });
}

#[test]
fn a_client_that_sends_and_never_reads() {
    survives(&TCP_SERVERS, |server| {
        let mut client = server.connect();
        fill(&mut client);
        reset_by(&client)
    });
}

#[test]
fn a_client_that_is_silent_costs_the_others_no_more_than_its_stay() {
    survives(&TCP_SERVERS, |server| {
        let silent = server.connect();
        let waiting = server.connect();
        let answer = thread::scope(|scope| {
            let answer = scope.spawn(|| converse(&waiting, b"after you"));
            drop(silent);
            answer.join().expect("the second client is served")
        });
        assert_bytes(&answer, &server.program.reply_to(b"after you"));
        no_complaint()
    });
}

#[test]
fn ten_thousand_clients_in_a_row_of_which_a_thousand_reset() {
    for_each(&TCP_SERVERS, |program| {
        let server = Server::start(program, program.quiet());
        server.serves();
        let before = server.rests();
        let mut complaints = Vec::new();
        for i in 0..10_000 {
            let mut client = server.connect_from_elsewhere(); // nine in ten keep their ports for a minute: TIME_WAIT
            assert_bytes(&client.ask(b"x", 1), &program.reply_to(b"x"));
            if i % 10 == 0 {
                complaints.push(
                    complaint_of(&client, "recv() failed: Connection reset by peer")[0]
                        .trim_end()
                        .to_owned(),
                );
                reset(client);
            }
        }
        assert_eq!(server.rests(), before);
        let mut said = lines(&server.stop().stderr);
        complaints.sort();
        said.sort(); // one process may be slower to complain than the next
        assert_eq!(said, complaints);
    });
}

#[test]
fn a_server_that_ended_with_a_client_starts_again_at_once_on_its_port() {
    for_each(&TCP_SERVERS, |program| {
        let server = Server::start(program, &[]);
        let port = server.port.to_string();
        let mut client = server.connect();
        client.ask(b"x", 1);
        server.stop();
        assert_bytes(&converse(&client, b""), b""); // the kernel keeps its end for a minute: TIME_WAIT

        let again = Server::start_by(
            program,
            program.command().args(["--bind", "127.0.0.1", &port]),
        );
        again.serves();
    });
}

// ---- Clients of the UDP servers ----

#[test]
fn clients_that_are_gone_when_the_answer_comes() {
    survives(&UDP_SERVERS, |server| {
        for _ in 0..100 {
            server.udp().send(b"and goodbye").expect("it leaves"); // what comes back is refused by ICMP
        }
        no_complaint()
    });
}

#[test]
fn a_client_that_sends_garbage_and_never_reads() {
    survives(&UDP_SERVERS, |server| {
        let client = server.udp();
        let mut random = Random(11);
        for seed in 1..40 {
            // as many as a socket's buffer holds: UDP drops more
            client
                .send(&random_bytes(seed, random.below(2000)))
                .expect("it leaves");
        }
        client.send(b"").expect("it leaves");
        no_complaint()
    });
}

#[test]
fn a_datagram_whose_upper_case_is_too_long_for_one() {
    for_each(&["udp_upper_server"], |program| {
        let mut server = Server::start(program, &["--unicode", "--quiet"]);
        let client = server.udp();
        client
            .send("\u{149}".repeat(30_000).as_bytes())
            .expect("it leaves"); // two bytes each, three in upper case
        assert_eq!(
            server.process.complaint(),
            format!("{}: sendto() failed: Message too long", client.address())
        );
        server.serves();
    });
}

/// Two servers that answer all they get never end once a forged sender has set them on each other (CVE-1999-0103).
#[test]
fn a_datagram_that_another_server_may_have_sent_is_not_answered() {
    const SENDERS: [&str; 10] = [
        "127.0.0.1:0",
        "127.0.0.1:7",
        "127.0.0.1:1023",
        "0.0.0.0:5000",
        "0.255.255.255:5000",
        "224.0.0.1:5000",
        "239.255.255.255:5000",
        "240.0.0.1:5000",
        "255.255.255.255:5000",
        "255.255.255.255:7",
    ];
    require("strace", "the forged senders of these tests");
    for_each(&UDP_SERVERS, |program| {
        for sender in SENDERS {
            let said = said_to(program, sender, 0);
            let note = format!("{sender}: not answered: it may be a server too");
            assert_eq!(said, [note]);
        }
        for sender in ["127.0.0.1:1024", "127.0.0.9:65535"] {
            assert_eq!(said_to(program, sender, 3), [""; 0]);
        }
    });
}

/// Lets three datagrams seem to come from there, and then sends one that is answered. This many of
/// the three are answered too. Returns what the server said.
fn said_to(program: Program, sender: &str, answers: usize) -> Vec<String> {
    let sender: SocketAddrV4 = sender.parse().expect("ADDRESS:PORT");
    let [a, b, c, d] = sender.ip().octets();
    let family = 2_u16; // AF_INET
    let bytes = [
        family.to_ne_bytes(),
        sender.port().to_be_bytes(),
        [a, b],
        [c, d],
    ]
    .concat();
    let bytes = u64::from_be_bytes(bytes.try_into().expect("eight of them"));
    let poke = format!("--inject=recvfrom:poke_exit=@arg5={bytes:016x}:when=1..3");
    let mut command = program.traced(&["--trace=recvfrom,sendto", &poke]);
    let server = Server::start_by(program, command.args(ON_A_FREE_PORT).args(program.quiet()));
    let client = server.udp();
    for _ in 0..3 {
        client.send(b"forged").expect("it leaves");
    }
    server.serves();
    let said = lines(&server.stop().stderr);
    let (calls, said): (Vec<_>, Vec<_>) = said
        .into_iter()
        .partition(|line| line.starts_with("recvfrom(") || line.starts_with("sendto("));
    let sent = calls.iter().filter(|call| call.starts_with("sendto("));
    assert_eq!(sent.count(), answers + 1, "{calls:?}");
    said
}

#[test]
fn two_servers_on_one_port_number_do_not_answer_each_other() {
    for_each(&UDP_SERVERS, |program| {
        let mut first = Server::start(program, program.quiet());
        first.process.halt();

        // The forged datagram waits for it, while the second server takes the place of its sender.
        let place = SocketAddr::from(([127, 0, 0, 2], first.port));
        let forger = UdpSocket::bind(place).expect("no server is there");
        forger
            .send_to(b"forged", local(first.port))
            .expect("it leaves");
        drop(forger);
        let port = first.port.to_string();
        let mut second = program.traced(&["--trace=recvfrom"]);
        let second = second
            .args(["--bind", "127.0.0.2", &port])
            .args(program.quiet());
        let second = Server::start_by(program, second);

        first.process.go_on();
        let complaint = format!("{place}: not answered: it may be a server too");
        assert_eq!(first.process.complaint(), complaint);
        first.serves();
        let client = udp();
        client.send_to(b"hello", place).expect("it leaves");
        assert_bytes(&hear_from(&client).0, &program.reply_to(b"hello"));
        let received = second.stop().stderr;
        let first_of_all = received.split(", ").nth(1); // behind the descriptor, whichever that is
        assert_eq!(first_of_all, Some("\"hello\""), "{received}");
        assert_eq!(first.stop().stderr, "");
    });
}

// ---- What every server survives ----

/// Lets clients misbehave. The next one is served by the same process, which has no more files open than before, nor more
/// processes or threads beside it, and has said one of `misbehave`'s lines.
fn survives(servers: &[&'static str], misbehave: impl Fn(&Server) -> Vec<String> + Sync) {
    for_each(servers, |program| {
        let server = Server::start(program, program.quiet());
        server.serves();
        let before = server.rests();
        let complaints = misbehave(&server);
        server.serves();
        assert_eq!(server.rests(), before);
        let said = server.stop().stderr;
        assert!(
            complaints.contains(&said),
            "said {said:?}, not one of {complaints:?}"
        );
    });
}

fn no_complaint() -> Vec<String> {
    vec![String::new()]
}

/// The line about a client that resets while the server receives or sends.
fn reset_by(client: &TcpStream) -> Vec<String> {
    ["recv", "send"]
        .map(|call| format!("{call}() failed: Connection reset by peer"))
        .map(|failed| complaint_of(client, &failed))
        .concat()
}

/// Resets the connection while the server receives: the one line about it.
fn resets(client: TcpStream) -> Vec<String> {
    let complaint = complaint_of(&client, "recv() failed: Connection reset by peer");
    reset(client);
    complaint
}

/// The one line about this client.
fn complaint_of(client: &TcpStream, failed: &str) -> Vec<String> {
    vec![format!("{}: {failed}\n", client.address())]
}

// ---- Servers of the TCP clients ----

#[test]
fn a_reply_without_an_end_does_not_take_all_memory() {
    for_each(&["tcp_upper_client"], |client| {
        let (server, port) = play(|mut stream| while stream.write_all(&[b'X'; 4096]).is_ok() {});
        let (words, stdin) = client.saying("hello", port);
        let outcome = run(client.command().args(words), &stdin);
        assert_eq!(outcome, Outcome::failed("recv() failed: Message too long"));
        server.join().expect("the server is content");
    });
}

// ---- Servers of the UDP clients ----

#[test]
fn a_datagram_from_a_stranger_is_no_answer() {
    for_each(&UDP_CLIENTS, |client| {
        let (server, stranger) = (udp(), udp());
        let mut client_process = start(client, &server, &[]);
        let from = next_datagram(&server);
        stranger
            .send_to(b"FROM A STRANGER", local(from))
            .expect("it leaves");
        server
            .send_to(b"FROM THE SERVER", local(from))
            .expect("it leaves");
        let note = format!(
            "ignored a datagram from {}: {} was asked\n",
            stranger.address(),
            server.address()
        );
        assert_eq!(
            client_process.end(),
            Outcome::new(0, client.prints("FROM THE SERVER"), &note)
        );
    });
}

#[test]
fn strangers_do_not_lengthen_the_wait() {
    for_each(&UDP_CLIENTS, |client| {
        let (server, stranger) = (udp(), udp());
        let mut client_process = start(client, &server, &["--timeout", "1"]);
        let from = next_datagram(&server);
        let (ended, end) = channel::<()>();
        let outcome = thread::scope(|scope| {
            scope.spawn(move || {
                let pause = Duration::from_millis(150);
                loop {
                    stranger
                        .send_to(b"still here", local(from))
                        .expect("it leaves");
                    if end.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                        break;
                    }
                }
            });
            let outcome = client_process.end();
            drop(ended);
            outcome
        });
        assert_eq!(outcome.status.code(), Some(1));
        let (notes, last) = outcome.stderr.trim_end().rsplit_once('\n').expect("notes");
        assert_eq!(last, "no answer within 1 second");
        assert!(
            notes
                .lines()
                .all(|note| note.starts_with("ignored a datagram from 127.0.0.1:")),
            "{notes}"
        );
    });
}

#[test]
fn a_client_sends_again_when_no_answer_comes() {
    for_each(&UDP_CLIENTS, |client| {
        let server = udp();
        let mut client_process = start(client, &server, &["--timeout", "1", "--tries", "2"]);
        let from = next_datagram(&server);
        let again = next_datagram(&server);
        assert_eq!(from, again, "from the same socket");
        server.send_to(b"AT LAST", local(from)).expect("it leaves");
        assert_eq!(
            client_process.end(),
            Outcome::done(client.prints("AT LAST"))
        );
    });
}

#[test]
fn a_client_gives_up_after_its_last_try() {
    for_each(&UDP_CLIENTS, |client| {
        let server = udp();
        let start_of_the_wait = Instant::now();
        let outcome = start(client, &server, &["--timeout", "1", "--tries", "2"]).end();
        assert_eq!(outcome, Outcome::failed("no answer within 2 seconds"));
        let waited = start_of_the_wait.elapsed();
        let about_two_seconds = Duration::from_millis(1900)..at_this_load(20);
        assert!(about_two_seconds.contains(&waited), "waited {waited:?}");

        next_datagram(&server);
        next_datagram(&server);
        server.set_nonblocking(true).expect("it can");
        assert!(server.recv(&mut [0]).is_err(), "a third try");
    });
}

#[test]
fn a_client_that_is_stopped_while_it_waits_goes_on_waiting() {
    for_each(&UDP_CLIENTS, |client| {
        let server = udp();
        let mut client_process = start(client, &server, &["--timeout", "50"]);
        let from = next_datagram(&server);
        client_process.signal(Signal::SIGSTOP);
        client_process.wait_until(WaitPidFlag::WSTOPPED);
        client_process.signal(Signal::SIGCONT);
        client_process.wait_until(WaitPidFlag::WCONTINUED);
        server
            .send_to(b"WELCOME BACK", local(from))
            .expect("it leaves");
        assert_eq!(
            client_process.end(),
            Outcome::done(client.prints("WELCOME BACK"))
        );
    });
}

/// Starts a client that says something to this socket.
fn start(client: Program, server: &UdpSocket, args: &[&str]) -> Process {
    let (words, stdin) = client.saying("hello", server.address().port());
    let mut process = Process::start(client.command().args(args).args(words));
    process.feed(stdin);
    process
}

/// Takes a client's datagram, and returns its port.
fn next_datagram(server: &UdpSocket) -> u16 {
    let (datagram, port) = hear_from(server);
    assert_bytes(&datagram, b"hello");
    port
}

// ---- Kernels ----

#[test]
fn an_accept_or_recvfrom_that_fails_for_one_client_does_not_end_the_server() {
    for_each(&SERVERS, |program| {
        let call = if program.is_tcp() {
            "accept"
        } else {
            "recvfrom"
        };
        for errno in [
            "EINTR",
            "ECONNABORTED",
            "EPROTO",
            "EPERM",
            "ENETDOWN",
            "EHOSTUNREACH",
            "ECONNREFUSED",
        ] {
            let server = Server::faulty(program, &[&format!("{call}:error={errno}:when=1")]);
            server.serves();
            assert_eq!(server.stop().stderr, "", "{errno}");
        }
    });
}

#[test]
fn a_server_without_resources_says_so_once_and_pauses() {
    for_each(&SERVERS, |program| {
        let (call, errno, message) = if program.is_tcp() {
            ("accept", "EMFILE", "accept() failed: Too many open files\n")
        } else {
            (
                "recvfrom",
                "ENOBUFS",
                "recvfrom() failed: No buffer space available\n",
            )
        };
        let start = Instant::now();
        let server = Server::faulty(program, &[&format!("{call}:error={errno}:when=1..4")]);
        server.serves();
        assert!(start.elapsed() >= Duration::from_millis(400), "it spins");
        assert_eq!(server.stop().stderr, message);
    });
}

#[test]
fn an_accept_or_recvfrom_that_goes_on_failing_is_told_once_and_does_not_spin() {
    for_each(&SERVERS, |program| {
        let call = if program.is_tcp() {
            "accept"
        } else {
            "recvfrom"
        };
        for (errno, faults, words) in [
            ("EPERM", 14, "Operation not permitted"),
            ("EINTR", 14, "Interrupted system call"), // without a signal that would explain it
            ("EAGAIN", 14, "Resource temporarily unavailable"),
            ("EXFULL", 4, "Exchange full"), // of which no manual page speaks
        ] {
            let start = Instant::now();
            let fault = format!("{call}:error={errno}:when=1..{faults}");
            let server = Server::faulty(program, &[&fault]);
            server.serves();
            assert!(start.elapsed() >= Duration::from_millis(400), "it spins");
            let message = format!("{call}() failed: {words}\n");
            assert_eq!(server.stop().stderr, message);
        }
    });
}

#[test]
fn a_server_whose_own_socket_fails_ends() {
    for_each(&SERVERS, |program| {
        let call = if program.is_tcp() {
            "accept"
        } else {
            "recvfrom"
        };
        let mut server = Server::faulty(program, &[&format!("{call}:error=ENOTSOCK")]);
        let message = format!("{call}() failed: Socket operation on non-socket");
        if EVENT_LOOPS.contains(&program.name) {
            drop(server.connect()); // they accept when there is somebody
        }
        let outcome = server.process.end();
        if program.name == "tcp_echo_server_prefork" {
            let said = lines(&outcome.stderr); // by one worker after the other, until enough in a row died early
            let deaths = said.iter().filter(|line| **line == message).count();
            assert!(deaths >= 6, "{said:?}");
            let last = said.last().expect("several lines");
            assert_eq!(last, "6 workers in a row died early: giving up");
            assert_eq!(outcome.status.code(), Some(1));
        } else {
            assert_eq!(outcome, Outcome::failed(&message));
        }
    });
}

#[test]
fn workers_that_die_early_end_the_server_with_any_number_of_them() {
    for_each(&["tcp_echo_server_prefork"], |program| {
        let mut command = program.with_faults(&["accept:error=ENOTSOCK"]);
        command.args(ON_A_FREE_PORT).args(["--workers", "4"]);
        let mut server = Server::start_by(program, &mut command);
        let outcome = server.process.end();
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        // Others die at the same moment, and may say so after it.
        let last_words = "6 workers in a row died early: giving up";
        assert!(outcome.stderr.contains(last_words), "{outcome:?}");
    });
}

#[test]
fn a_recv_that_is_interrupted_costs_no_client() {
    for_each(&TCP_SERVERS, |program| {
        let server = Server::faulty(program, &["recvfrom:error=EINTR:when=1"]);
        server.serves();
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn a_write_that_takes_nothing_or_would_block_is_dealt_with() {
    for_each(&["byte_order"], |program| {
        let plain = run(&mut program.command(), b"");
        let outcome = run(
            &mut program.with_faults(&["write:error=EAGAIN:when=1"]),
            b"",
        );
        assert_eq!(outcome, plain);
        let outcome = run(&mut program.with_faults(&["write:retval=0:when=1"]), b"");
        let words = "write() failed: Input/output error\n";
        assert_eq!(outcome, Outcome::new(1, "", words));
    });
}

#[test]
fn a_send_that_takes_a_part_is_continued() {
    for_each(&TCP_SERVERS, |program| {
        let server = Server::faulty(program, &["sendto:retval=3:when=1"]); // it reports three bytes and takes no byte
        assert_bytes(
            &converse(&server.connect(), b"notall"),
            &program.reply_to(b"all"),
        );
        assert_eq!(server.stop().stderr, "");
    });
    for_each(&TCP_CLIENTS, |client| {
        let (server, port) = play(move |mut stream| {
            let request = stream.hear(client.request("all").len());
            stream.say(b"answer");
            request
        });
        let mut faulty = client.with_faults(&["sendto:retval=3:when=1"]);
        let outcome = client.say_by(&mut faulty, "notall", port);
        assert_eq!(outcome, Outcome::done(client.prints("answer")));
        let request = server.join().expect("the server is content");
        assert_bytes(&request, client.request("all").as_bytes());
    });
}

#[test]
fn a_send_that_fails_costs_one_client() {
    for_each(&SERVERS, |program| {
        let call = if program.is_tcp() { "send" } else { "sendto" };
        assert_costs_one_client(
            program,
            "sendto:error=ENOBUFS:when=3",
            &format!("{call}() failed: No buffer space available"),
        );
    });
}

#[test]
fn a_send_that_takes_nothing_costs_one_client() {
    for_each(&TCP_SERVERS, |program| {
        assert_costs_one_client(
            program,
            "sendto:retval=0:when=3",
            "send() failed: Input/output error",
        );
    });
}

#[test]
fn a_recv_that_claims_more_than_the_buffer_holds_is_an_error() {
    const TOO_LARGE: &str = "failed: Value too large for defined data type";
    for_each(&TCP_SERVERS, |program| {
        assert_costs_one_client(
            program,
            "recvfrom:retval=5000:when=3",
            &format!("recv() {TOO_LARGE}"),
        );
        assert_costs_one_client(
            program,
            "sendto:retval=5000:when=3",
            &format!("send() {TOO_LARGE}"),
        );
    });
    for_each(&UDP_SERVERS, |program| {
        let mut server = Server::faulty(program, &["recvfrom:retval=70000"]);
        assert_eq!(
            server.process.end(),
            Outcome::failed(&format!("recvfrom() {TOO_LARGE}"))
        );
    });
    for_each(&CLIENTS, |client| {
        let server = Server::start(Program::rust(client.server()), &[]);
        let mut faulty = client.with_faults(&["recvfrom:retval=70000"]);
        let outcome = client.say_by(&mut faulty, "hello", server.port);
        let call = if client.is_tcp() { "recv" } else { "recvfrom" };
        assert_eq!(outcome, Outcome::failed(&format!("{call}() {TOO_LARGE}")));
        let mut faulty = client.with_faults(&["sendto:retval=70000"]);
        let outcome = client.say_by(&mut faulty, "hello", server.port);
        let call = if client.is_tcp() { "send" } else { "sendto" };
        assert_eq!(outcome, Outcome::failed(&format!("{call}() {TOO_LARGE}")));
    });
    for_each(&UPPER_CLIENTS, |client| {
        let nth = client.calls_of_the_start("read") + 1;
        let mut faulty = client.with_faults(&[&format!("read:retval=9000:when={nth}")]);
        let outcome = client.say_by(&mut faulty, "hello", 9);
        assert_eq!(outcome, Outcome::failed(&format!("read() {TOO_LARGE}")));
    });
}

#[test]
fn an_address_whose_length_cannot_be_costs_one_client() {
    let words = "() failed: Address family not supported by protocol\n";
    for_each(&SERVERS, |program| {
        let (call, fault) = if program.is_tcp() {
            ("accept", "accept:poke_exit=@arg3=ffff0000:when=1")
        } else {
            ("recvfrom", "recvfrom:poke_exit=@arg6=ffff0000:when=1")
        };
        let server = Server::faulty(program, &[fault]);
        server.client().say(b"x");
        server.serves();
        assert_eq!(server.stop().stderr, format!("{call}{words}"));
    });
}

/// The servers that close a connection in the process and thread in which they started, where faults can be counted.
const CLOSING_WHERE_THEY_STARTED: [&str; 6] = [
    "tcp_echo_server",
    "tcp_upper_server",
    "tcp_echo_server_fork",
    "tcp_echo_server_select",
    "tcp_echo_server_poll",
    "tcp_echo_server_epoll",
];

#[test]
fn a_close_that_fails_is_reported_and_no_more() {
    for_each(&CLOSING_WHERE_THEY_STARTED, |program| {
        let first = program.calls_of_the_start("close") + 1;
        let mut server = Server::faulty(program, &[&format!("close:error=EIO:when={first}+")]);
        for _ in 0..2 {
            let mut client = server.connect();
            client.ask(b"x", 1);
            client.shutdown(Shutdown::Write).expect("it is connected");
            let message = &complaint_of(&client, "close() failed: Input/output error")[0];
            assert_eq!(server.process.complaint() + "\n", *message);
        }
    });
}

#[test]
fn an_interrupted_wait_for_the_answer_is_resumed() {
    for_each(&UDP_CLIENTS, |client| {
        let server = Server::start(Program::rust("udp_upper_server"), &[]);
        let mut faulty = client.with_faults(&["recvfrom:error=EINTR:when=1..3"]);
        let outcome = client.say_by(faulty.args(["--timeout", "50"]), "hello", server.port);
        assert_eq!(outcome, Outcome::done(client.prints("HELLO")));
    });
}

/// Lets the third such call fail, which is the first client's: the server says so, and serves the next. A server that has a
/// process or a thread for each client starts to count again for that one.
fn assert_costs_one_client(program: Program, third: &str, message: &str) {
    let mut server = Server::faulty(program, &[third]);
    let mut client = server.client();
    client.ask(b"x", 1);
    client.ask(b"x", 1);
    client.say(b"x");
    assert_eq!(
        server.process.complaint(),
        format!("{}: {message}", client.address())
    );
    server.serves();
    assert_eq!(server.stop().stderr, "");
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
