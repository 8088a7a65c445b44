//! What fails: the one line and the exit status, the same from Rust and from C.

use std::fs;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use crate::support::{
    CLIENTS, CREW, DATAGRAM, ECHO_CLIENTS, FIRST_PORT, ON_A_FREE_PORT, Outcome, PROGRAMS, Process,
    Program, SERVERS, Server, TCP_CLIENTS, TCP_SERVERS, Talk, UDP_CLIENTS, UPPER_CLIENTS,
    UPPER_SERVERS, assert_bytes, converse, for_each, listener, play, require, reset, run, udp,
    until,
};
use sockstep::{
    AF_INET, INADDR_LOOPBACK, IPPROTO_TCP, PF_INET, SOCK_STREAM, bind, getsockname, htonl, ntohs,
    sockaddr_in, socket,
};

// ---- The network ----

#[test]
fn nobody_listens() {
    let deaf = socket(PF_INET, SOCK_STREAM, IPPROTO_TCP).expect("a descriptor is free");
    let mut address = sockaddr_in::zeroed();
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(&deaf, &address).expect("a port is free");
    let address: sockaddr_in = getsockname(&deaf).expect("it is bound");
    for_each(&TCP_CLIENTS, |client| {
        assert_eq!(
            client.say("hello", ntohs(address.sin_port)),
            Outcome::failed("connect() failed: Connection refused")
        );
    });
}

#[test]
fn the_address_is_in_use() {
    for_each(&SERVERS, |program| {
        let other = Server::start(Program::rust(program.name), &[]);
        let outcome = run(
            program
                .command()
                .args(["--bind", "127.0.0.1", &other.port.to_string()]),
            b"",
        );
        assert_eq!(
            outcome,
            Outcome::failed("bind() failed: Address already in use")
        );
    });
    for_each(&["udp_echo_client"], |client| {
        let other = udp();
        let port = other.address().port().to_string();
        let outcome = run(
            client
                .command()
                .args(["--client-port", &port, "127.0.0.1", "hello"]),
            b"",
        );
        assert_eq!(
            outcome,
            Outcome::failed("bind() failed: Address already in use")
        );
    });
}

#[test]
fn the_port_needs_root() {
    let first_for_anyone: u16 = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .expect("a port");
    let Some(port) = first_for_anyone.checked_sub(1).filter(|&port| port > 0) else {
        return; // on this machine no call does
    };
    let is_root = fs::metadata("/proc/self").expect("we are here").uid() == 0;
    let wrapper: &[&str] = if is_root {
        require("setpriv", "the tests of ports that need root");
        &[
            "setpriv",
            "--bounding-set=-net_bind_service",
            "--inh-caps=-net_bind_service",
        ]
    } else {
        &[]
    };
    for_each(&SERVERS, |program| {
        let outcome = run(program.under(wrapper).arg(port.to_string()), b"");
        assert_eq!(outcome, Outcome::failed("bind() failed: Permission denied"));
    });
}

#[test]
fn this_machine_has_no_such_address() {
    for_each(&SERVERS, |program| {
        let outcome = run(program.command().args(["--bind", "203.0.113.1", "0"]), b"");
        assert_eq!(
            outcome,
            Outcome::failed("bind() failed: Cannot assign requested address")
        );
    });
}

#[test]
fn the_message_is_too_long_for_udp() {
    for_each(&UDP_CLIENTS, |client| {
        let outcome = client.say(&"x".repeat(DATAGRAM + 1), 9);
        assert_eq!(
            outcome,
            Outcome::failed("sendto() failed: Message too long")
        );
    });
}

#[test]
fn the_server_closes_before_it_has_answered() {
    for_each(&TCP_CLIENTS, |client| {
        let answer = if client.is_upper() { "" } else { "hell" }; // a part of a line is an answer
        let (_, port) = play(move |mut stream| {
            stream.hear(client.request("hello").len());
            stream.say(answer.as_bytes());
        });
        let outcome = client.say("hello", port);
        assert_eq!(
            outcome,
            Outcome::failed("recv() failed: connection closed prematurely")
        );
    });
}

#[test]
fn the_server_resets_before_it_has_answered() {
    for_each(&TCP_CLIENTS, |client| {
        let (_, port) = play(move |mut stream| {
            stream.hear(client.request("hello").len());
            reset(stream);
        });
        let outcome = client.say("hello", port);
        assert_eq!(
            outcome,
            Outcome::failed("recv() failed: Connection reset by peer")
        );
    });
}

#[test]
fn each_call_that_fails_is_named() {
    let server = udp();
    let port = server.address().port();
    let fails = |program: Program, call: &str, name: &str, args: &[String], stdin: &[u8]| {
        let outcome = run(
            program
                .with_faults(&[&format!("{call}:error=EXFULL")])
                .args(args),
            stdin,
        );
        assert_eq!(
            outcome,
            Outcome::failed(&format!("{name}() failed: Exchange full"))
        );
    };
    for_each(&SERVERS, |program| {
        let calls: &[&str] = if program.is_tcp() {
            &["socket", "setsockopt", "bind", "listen", "getsockname"]
        } else {
            &["socket", "bind", "getsockname"]
        };
        for call in calls {
            fails(program, call, call, &ON_A_FREE_PORT.map(str::to_owned), b"");
        }
    });
    for_each(&UDP_CLIENTS, |client| {
        let (mut args, stdin) = client.saying("hello", port);
        args.extend(["--timeout", "50"].map(str::to_owned));
        for call in ["socket", "setsockopt", "sendto", "recvfrom"] {
            fails(client, call, call, &args, &stdin);
        }
    });
    for_each(&TCP_CLIENTS, |client| {
        let (listener, port) = listener();
        let (args, stdin) = client.saying("hello", port);
        for (call, name) in [
            ("socket", "socket"),
            ("connect", "connect"),
            ("sendto", "send"),
            ("recvfrom", "recv"),
        ] {
            fails(client, call, name, &args, &stdin);
        }
        drop(listener);
    });
}

// ---- Standard input, output and error ----

#[test]
fn standard_input_is_closed() {
    for_each(&UPPER_CLIENTS, |client| {
        assert_eq!(
            run(client.redirected("<&-").args(["-p", "9"]), b""),
            Outcome::done("")
        ); // no server is even asked
    });
    for_each(&ECHO_CLIENTS, |client| {
        let server = Server::start(Program::rust(client.server()), &[]);
        let outcome = client.say_by(&mut client.redirected("<&-"), "hello", server.port);
        assert_eq!(outcome, Outcome::done("Received: hello\n"));
    });
    for_each(&SERVERS, |program| {
        let server = Server::start_by(program, program.redirected("<&-").args(ON_A_FREE_PORT));
        server.serves();
    });
}

#[test]
fn standard_input_cannot_be_read() {
    for_each(&UPPER_CLIENTS, |client| {
        for (redirection, message) in [
            ("</", "read() failed: Is a directory"),
            ("0>/dev/null", "read() failed: Bad file descriptor"),
        ] {
            let outcome = run(client.redirected(redirection).args(["-p", "9"]), b"");
            assert_eq!(outcome, Outcome::failed(message));
        }
    });
}

#[test]
fn standard_input_breaks_off_amid_a_line() {
    for_each(&UPPER_CLIENTS, |client| {
        let server = Server::start(Program::rust(client.server()), &[]);
        let second = client.calls_of_the_start("read") + 2;
        let mut faulty = client.with_faults(&[&format!("read:error=EIO:when={second}")]);
        let outcome = run(
            faulty.args(["-p", &server.port.to_string()]),
            b"half a line",
        );
        assert_eq!(
            outcome,
            Outcome::failed("read() failed: Input/output error")
        );
    });
}

#[test]
fn standard_output_is_closed_and_nothing_of_it_lands_in_a_socket() {
    for_each(&SERVERS, |program| {
        let process = Process::start(program.redirected(">&-").args(ON_A_FREE_PORT));
        let mut server = mute(program, process);
        server.serves();
        server.serves();
        assert!(server.process.is_running());
    });
    for_each(&TCP_CLIENTS, |client| {
        let (server, port) = play(move |mut stream| {
            let sent = stream.hear(client.request("hello").len());
            stream.say(&sent);
            (sent, converse(&stream, b""))
        });
        let outcome = client.say_by(&mut client.redirected(">&-"), "hello", port);
        assert_eq!(outcome, Outcome::done(""));
        let (sent, more) = server.join().expect("the server is content");
        assert_bytes(&sent, client.request("hello").as_bytes());
        assert_bytes(&more, b"");
    });
}

#[test]
fn standard_error_is_closed_and_nothing_of_it_lands_in_a_socket() {
    for_each(&TCP_SERVERS, |program| {
        let server = Server::start_by(program, program.redirected("2>&-").args(ON_A_FREE_PORT));
        let mut client = server.connect();
        client.ask(b"x", 1);
        reset(client);
        server.serves();
        server.serves();
    });
    for_each(&UPPER_CLIENTS, |client| {
        assert_eq!(
            run(client.redirected("</ 2>&-").args(["-p", "9"]), b""),
            Outcome::new(1, "", "")
        );
    });
}

#[test]
fn the_disk_is_full() {
    let full = Outcome::failed("write() failed: No space left on device");
    for_each(&SERVERS, |program| {
        let mut server = program.redirected(">/dev/full");
        assert_eq!(run(server.args(ON_A_FREE_PORT), b""), full);
    });
    for_each(&CLIENTS, |client| {
        let server = Server::start(Program::rust(client.server()), &[]);
        let outcome = client.say_by(&mut client.redirected(">/dev/full"), "hello", server.port);
        assert_eq!(outcome, full);
    });
    for_each(&PROGRAMS, |program| {
        for option in ["--help", "--version"] {
            let outcome = run(program.redirected(">/dev/full").arg(option), b"");
            assert_eq!(outcome, full);
        }
    });
}

#[test]
fn the_reader_of_standard_output_has_gone() {
    for_each(&CLIENTS, |client| {
        let server = Server::start(Program::c(client.server()), &[]);
        let (args, stdin) = client.saying("hello", server.port);
        let (reader, writer) = stdout();
        go(&reader);
        let mut process = Process::start_into(writer, client.command().args(args));
        process.feed(stdin);
        assert_eq!(process.end(), Outcome::done(""));
    });
    for_each(&UPPER_SERVERS, |program| {
        let (reader, writer) = stdout();
        let process = Process::start_into(writer, program.command().args(ON_A_FREE_PORT));
        let mut server = mute(program, process);
        server.serves();
        go(&reader);
        let mut client = server.client();
        client.say(b"for the log");
        assert_eq!(server.process.end(), Outcome::done(""));
    });
    for_each(&SERVERS, |program| {
        let (reader, writer) = stdout();
        go(&reader);
        let mut process = Process::start_into(writer, program.command().args(ON_A_FREE_PORT));
        assert_eq!(process.end(), Outcome::done(""));
    });
}

/// A standard output and its reader. Not a pipe: other tests' children hold a copy of that for a moment.
fn stdout() -> (UnixStream, OwnedFd) {
    let (reader, writer) = UnixStream::pair().expect("descriptors are free");
    (reader, writer.into())
}

/// What is written from now on is a broken pipe.
fn go(reader: &UnixStream) {
    reader.shutdown(Shutdown::Both).expect("it is connected");
}

// ---- Helpers ----

/// A server whose standard output cannot be read. The kernel lists its sockets.
fn mute(program: Program, process: Process) -> Server {
    let port = until(|| find_listening_port_of(&process));
    Server {
        program,
        process,
        port: port.expect("it listens"),
        crew: CREW,
        next: FIRST_PORT.into(),
    }
}

fn find_listening_port_of(process: &Process) -> Option<u16> {
    let proc = format!("/proc/{}", process.pid());
    let own: Vec<_> = fs::read_dir(format!("{proc}/fd"))
        .ok()?
        .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
        .filter_map(|link| {
            Some(
                link.to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect();
    for table in ["tcp", "udp"] {
        let table = fs::read_to_string(format!("{proc}/net/{table}")).ok()?;
        let mut sockets = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        if let Some(socket) = sockets
            .find(|socket| is_listening(socket) && own.iter().any(|inode| inode == socket[9]))
        {
            let (_, port) = socket[1].split_once(':')?;
            return u16::from_str_radix(port, 16).ok();
        }
    }
    None
}

/// Whether a line of the kernel's table is a socket that listens (TCP) or is not connected (UDP).
fn is_listening(socket: &[&str]) -> bool {
    const STATES: [&str; 2] = ["0A", "07"];
    STATES.contains(&socket[3])
}
