//! Clients, servers and kernels that misbehave: that costs one client its answer at most, and never a descriptor.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::WaitPidFlag;
use support::{
    Outcome, Process, Program, Random, SERVERS, Server, TCP_CLIENTS, TCP_SERVERS, Talk,
    UDP_CLIENTS, UDP_SERVERS, accept, assert_bytes, converse, for_each, is_served, listener,
    local, random_bytes, reset, run, saying, udp,
};

// ---- Clients of the TCP servers ----

#[test]
fn a_client_that_connects_and_leaves() {
    survives(&TCP_SERVERS, |server, _| {
        drop(server.connect());
        no_complaint()
    });
}

#[test]
fn a_client_that_resets_at_once() {
    survives(&TCP_SERVERS, |server, _| {
        let client = server.connect();
        let complaint = complaint_of(&client, "recv() failed: Connection reset by peer");
        reset(client);
        complaint
    });
}

#[test]
fn a_client_that_resets_before_its_turn() {
    survives(&TCP_SERVERS, |server, _| {
        let mut first = server.connect();
        first.ask(b"it is my turn", 13);
        let second = server.connect();
        let complaint = complaint_of(&second, "recv() failed: Connection reset by peer");
        reset(second);
        complaint
    });
}

#[test]
fn a_client_that_resets_during_the_exchange() {
    survives(&TCP_SERVERS, |server, _| {
        let mut client = server.connect();
        client.ask(b"there is more to come", 21);
        let complaint = complaint_of(&client, "recv() failed: Connection reset by peer");
        reset(client);
        complaint
    });
}

#[test]
fn a_client_that_resets_without_taking_its_answer() {
    survives(&TCP_SERVERS, |server, _| {
        let mut client = server.connect();
        client.write_all(b"never mind").expect("the server takes it");
        let complaint = complaint_of(&client, "recv() failed: Connection reset by peer");
        let or_amid_the_answer = complaint_of(&client, "send() failed: Connection reset by peer");
        reset(client);
        [complaint, or_amid_the_answer].concat()
    });
}

#[test]
fn a_client_that_resets_after_the_exchange() {
    survives(&TCP_SERVERS, |server, program| {
        let client = server.connect();
        assert_bytes(&converse(&client, b"that was all"), &program.reply_to(b"that was all"));
        reset(client);
        no_complaint()
    });
}

#[test]
fn a_client_that_half_closes_and_then_reads() {
    survives(&TCP_SERVERS, |server, program| {
        let mut client = server.connect();
        let bytes = random_bytes(3, 100_000);
        client.write_all(&bytes).expect("buffers hold as much");
        client.shutdown(Shutdown::Write).expect("it is connected");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("the server closes");
        assert_bytes(&answer, &program.reply_to(&bytes));
        no_complaint()
    });
}

#[test]
fn a_client_that_half_closes_without_a_word() {
    survives(&TCP_SERVERS, |server, _| {
        assert_bytes(&converse(&server.connect(), b""), b"");
        no_complaint()
    });
}

#[test]
fn a_client_that_sends_and_never_reads() {
    survives(&TCP_SERVERS, |server, _| {
        let mut client = server.connect();
        client.set_write_timeout(Some(Duration::from_millis(300))).expect("not zero");
        let megabytes = vec![b'x'; 64_000_000];
        let error = client.write_all(&megabytes).expect_err("no buffer holds as much");
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "the server waits for its client: {error}");
        complaint_of(&client, "send() failed: Connection reset by peer")
    });
}

#[test]
fn a_client_that_is_silent_keeps_the_others_waiting_and_no_longer_than_it_stays() {
    survives(&TCP_SERVERS, |server, program| {
        let silent = server.connect();
        let waiting = server.connect();
        let answer = thread::scope(|scope| {
            let answer = scope.spawn(|| converse(&waiting, b"after you"));
            drop(silent);
            answer.join().expect("the second client is served")
        });
        assert_bytes(&answer, &program.reply_to(b"after you"));
        no_complaint()
    });
}

#[test]
fn a_thousand_clients_in_a_row_of_which_every_tenth_resets() {
    for_each(&TCP_SERVERS, |program| {
        let server = Server::start(program, quiet(program));
        let before = open_files_while_serving(&server, program);
        let mut complaints = String::new();
        for i in 0..1000 {
            let mut client = server.connect();
            assert_bytes(&client.ask(b"x", 1), &program.reply_to(b"x"));
            if i % 10 == 0 {
                complaints += &complaint_of(&client, "recv() failed: Connection reset by peer")[0];
                reset(client);
            }
        }
        assert_eq!(open_files_while_serving(&server, program), before);
        assert_eq!(server.stop().stderr, complaints);
    });
}

// ---- Clients of the UDP servers ----

#[test]
fn clients_that_are_gone_when_the_answer_comes() {
    survives(&UDP_SERVERS, |server, _| {
        for _ in 0..100 {
            server.udp().send(b"and goodbye").expect("it leaves"); // what comes back is refused by ICMP
        }
        no_complaint()
    });
}

#[test]
fn a_client_that_sends_garbage_and_never_reads() {
    survives(&UDP_SERVERS, |server, _| {
        let client = server.udp();
        let mut random = Random(11);
        for seed in 1..300 {
            client.send(&random_bytes(seed, random.below(2000))).expect("it leaves");
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
        client.send("\u{149}".repeat(30_000).as_bytes()).expect("it leaves"); // two bytes each, three in upper case
        let address = client.local_addr().expect("it is bound");
        assert_eq!(server.process.complaint(), format!("{address}: sendto() failed: Message too long"));
        is_served(&server, program);
    });
}

// ---- What every server survives ----

/// Lets clients misbehave. The next one is served by the same process, which has no more files open than before, and
/// has said one of `misbehave`'s lines.
fn survives(servers: &[&'static str], misbehave: impl Fn(&Server, Program) -> Vec<String> + Sync) {
    for_each(servers, |program| {
        let server = Server::start(program, quiet(program));
        let before = open_files_while_serving(&server, program);
        let complaints = misbehave(&server, program);
        assert_eq!(open_files_while_serving(&server, program), before);
        is_served(&server, program);
        let said = server.stop().stderr;
        assert!(complaints.contains(&said), "said {said:?}, not one of {complaints:?}");
    });
}

/// How many files it has open while it serves one client, and so is done with all before.
fn open_files_while_serving(server: &Server, program: Program) -> usize {
    if program.is_tcp() {
        server.connect().ask(b"x", 1);
        let mut client = server.connect();
        client.ask(b"x", 1);
        server.process.open_files()
    } else {
        server.udp().ask(b"x", 1);
        server.process.open_files()
    }
}

fn no_complaint() -> Vec<String> {
    vec![String::new()]
}

/// The one line about this client.
fn complaint_of(client: &std::net::TcpStream, failed: &str) -> Vec<String> {
    vec![format!("{}: {failed}\n", client.local_addr().expect("it is connected"))]
}

fn quiet(program: Program) -> &'static [&'static str] {
    if program.is_upper() { &["--quiet"] } else { &[] }
}

// ---- Servers of the UDP clients ----

#[test]
fn a_datagram_from_a_stranger_is_no_answer() {
    for_each(&UDP_CLIENTS, |client| {
        let (server, stranger) = (udp(), udp());
        let mut client_process = start(client, &server, &[]);
        let from = next_datagram(&server);
        stranger.send_to(b"FROM A STRANGER", local(from)).expect("it leaves");
        server.send_to(b"FROM THE SERVER", local(from)).expect("it leaves");
        let stranger = stranger.local_addr().expect("it is bound");
        let note = format!("ignored a datagram from {stranger}\n");
        assert_eq!(client_process.end(), Outcome::new(0, printed(client, "FROM THE SERVER"), &note));
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
                while end.recv_timeout(Duration::from_millis(150)).is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout) {
                    stranger.send_to(b"still here", local(from)).expect("it leaves");
                }
            });
            let outcome = client_process.end();
            drop(ended);
            outcome
        });
        assert_eq!(outcome.status.code(), Some(1));
        let (notes, last) = outcome.stderr.trim_end().rsplit_once('\n').expect("more than one line");
        assert_eq!(last, NO_ANSWER);
        assert!(notes.lines().all(|note| note.starts_with("ignored a datagram from 127.0.0.1:")), "{notes}");
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
        assert_eq!(client_process.end(), Outcome::done(printed(client, "AT LAST")));
    });
}

#[test]
fn a_client_gives_up_after_its_last_try() {
    for_each(&UDP_CLIENTS, |client| {
        let server = udp();
        let start_of_the_wait = Instant::now();
        let outcome = start(client, &server, &["--timeout", "1", "--tries", "2"]).end();
        assert_eq!(outcome, Outcome::failed(NO_ANSWER));
        let waited = start_of_the_wait.elapsed();
        assert!((2..20).contains(&waited.as_secs()), "waited {waited:?}");

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
        server.send_to(b"WELCOME BACK", local(from)).expect("it leaves");
        assert_eq!(client_process.end(), Outcome::done(printed(client, "WELCOME BACK")));
    });
}

const NO_ANSWER: &str = "recvfrom() failed: Resource temporarily unavailable";

/// Starts a client that says something to this socket.
fn start(client: Program, server: &UdpSocket, args: &[&str]) -> Process {
    let port = server.local_addr().expect("it is bound").port();
    let (words, stdin) = saying(client, port, "hello");
    let mut process = Process::start(client.command().args(args).args(words));
    let mut input = process.stdin.take().expect("it is a pipe");
    input.write_all(&stdin).expect("the pipe holds as much");
    process
}

/// Takes a client's datagram, and returns its port.
fn next_datagram(server: &UdpSocket) -> u16 {
    let mut datagram = [0; 100];
    let (len, from) = server.recv_from(&mut datagram).expect("a client comes");
    assert_bytes(&datagram[..len], b"hello");
    from.port()
}

fn printed(client: Program, answer: &str) -> String {
    let caption = if client.is_upper() { "From Server" } else { "Received" };
    format!("{caption}: {answer}\n")
}

// ---- Kernels ----

#[test]
fn an_accept_or_recvfrom_that_fails_for_one_client_does_not_end_the_server() {
    for_each(&SERVERS, |program| {
        let call = if program.is_tcp() { "accept" } else { "recvfrom" };
        for errno in ["EINTR", "ECONNABORTED", "EPROTO", "EPERM", "ENETDOWN", "EHOSTUNREACH", "ECONNREFUSED"] {
            let server = faulty(program, &[&format!("{call}:error={errno}:when=1")]);
            is_served(&server, program);
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
            ("recvfrom", "ENOBUFS", "recvfrom() failed: No buffer space available\n")
        };
        let start = Instant::now();
        let server = faulty(program, &[&format!("{call}:error={errno}:when=1..4")]);
        is_served(&server, program);
        assert!(start.elapsed() >= Duration::from_millis(400), "it spins");
        assert_eq!(server.stop().stderr, message);
    });
}

#[test]
fn a_server_whose_own_socket_fails_ends() {
    for_each(&SERVERS, |program| {
        let call = if program.is_tcp() { "accept" } else { "recvfrom" };
        let mut server = faulty(program, &[&format!("{call}:error=ENOTSOCK")]);
        let message = format!("{call}() failed: Socket operation on non-socket");
        assert_eq!(server.process.end(), Outcome::failed(&message));
    });
}

#[test]
fn a_send_that_takes_a_part_is_continued() {
    for_each(&TCP_SERVERS, |program| {
        let server = faulty(program, &["sendto:retval=3:when=1"]); // it claims three bytes and takes none
        assert_bytes(&converse(&server.connect(), b"notall"), &program.reply_to(b"all"));
        assert_eq!(server.stop().stderr, "");
    });
    for_each(&TCP_CLIENTS, |client| {
        let (listener, port) = listener();
        let (args, stdin) = saying(client, port, "notall");
        let stdin_len = stdin.len();
        let server = thread::spawn(move || {
            let newline = usize::from(stdin_len > 0);
            let mut stream = accept(&listener);
            let request = stream.ask(b"", 3 + newline);
            stream.write_all(b"answer").expect("the client takes it");
            request
        });
        let outcome = run(client.with_faults(&["sendto:retval=3:when=1"]).args(args), &stdin);
        assert_eq!(outcome, Outcome::done(printed(client, "answer")));
        assert!(server.join().expect("the server is content").starts_with(b"all"));
    });
}

#[test]
fn a_send_that_fails_costs_one_client() {
    for_each(&SERVERS, |program| {
        let call = if program.is_tcp() { "send" } else { "sendto" };
        assert_costs_one_client(program, "sendto:error=ENOBUFS:when=1", &format!("{call}() failed: No buffer space available"));
    });
}

#[test]
fn a_send_that_takes_nothing_costs_one_client() {
    for_each(&TCP_SERVERS, |program| {
        assert_costs_one_client(program, "sendto:retval=0:when=1", "send() failed: Input/output error");
    });
}

#[test]
fn a_recv_that_claims_more_than_the_buffer_holds_is_an_error() {
    const TOO_LARGE: &str = "failed: Value too large for defined data type";
    for program in TCP_SERVERS.map(Program::rust) {
        assert_costs_one_client(program, "recvfrom:retval=5000:when=1", &format!("recv() {TOO_LARGE}"));
    }
    for program in UDP_SERVERS.map(Program::rust) {
        let mut server = faulty(program, &["recvfrom:retval=70000"]);
        assert_eq!(server.process.end(), Outcome::failed(&format!("recvfrom() {TOO_LARGE}")));
    }
    for client in UDP_CLIENTS.map(Program::rust) {
        let server = udp();
        let port = server.local_addr().expect("it is bound").port();
        let (args, stdin) = saying(client, port, "hello");
        let outcome = run(client.with_faults(&["recvfrom:retval=70000"]).args(args), &stdin);
        assert_eq!(outcome, Outcome::failed(&format!("recvfrom() {TOO_LARGE}")));
    }
}

#[test]
fn a_close_that_fails_is_reported_and_no_more() {
    for_each(&TCP_SERVERS, |program| {
        let mut server = faulty(program, &["close:error=EIO"]);
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
        let (args, stdin) = saying(client, server.port, "hello");
        let mut command = client.with_faults(&["recvfrom:error=EINTR:when=1..3"]);
        let outcome = run(command.args(["--timeout", "50"]).args(args), &stdin);
        assert_eq!(outcome, Outcome::done(printed(client, "HELLO")));
    });
}

/// Starts a server with faults in its system calls.
fn faulty(program: Program, faults: &[&str]) -> Server {
    Server::spawn(program.with_faults(faults).args(["--bind", "127.0.0.1", "0"]).args(quiet(program)))
}

/// Lets a call fail for the first client: the server says so, and serves the next.
fn assert_costs_one_client(program: Program, fault: &str, message: &str) {
    let mut server = faulty(program, &[fault]);
    let address = if program.is_tcp() {
        let mut client = server.connect();
        client.write_all(b"x").expect("the server takes it");
        client.local_addr()
    } else {
        let client = server.udp();
        client.send(b"x").expect("it leaves");
        client.local_addr()
    };
    let address = address.expect("it is bound");
    assert_eq!(server.process.complaint(), format!("{address}: {message}"));
    is_served(&server, program);
    assert_eq!(server.stop().stderr, "");
}
