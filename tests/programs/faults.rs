//! What goes wrong on the way or in the kernel, and what the programs then say, in both languages.

use std::net::UdpSocket;

use crate::support::{
    DEADLINE, Outcome, Process, Program, Server, UDP_CLIENTS, UDP_SERVERS, for_each, run,
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
    server.set_read_timeout(Some(DEADLINE)).expect("not zero");
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
