//! Names and addresses in the programs: what name_lookup and byte_order show, and servers that are given by name. The same in
//! both languages. Nothing here asks a name server: the names are numbers, are in `/etc/hosts` (localhost), are none that could
//! be asked for, or are answered by a resolver of the test's own.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use crate::support::{
    Outcome, Process, Program, SHOWS, Server, UPPER_CLIENTS, deadline, for_each, local, require,
    resolver, run,
};
use nix::sys::wait::WaitPidFlag;
use sockstep::{
    AF_INET, PF_INET, SOCK_STREAM, bind, htons, inet_addr, listen, sockaddr_in, socket,
};

/// Runs it in both languages, which say the same.
fn said(name: &'static str, args: &[&str]) -> Outcome {
    let [rust, c] = Program::both(name).map(|program| run(program.command().args(args), b""));
    assert_eq!(rust, c, "{name} {args:?}");
    rust
}

/// The program on a machine where no name server can be reached.
fn cut_off(program: Program) -> Command {
    program.with_faults(&["connect:error=ENETUNREACH"])
}

// ---- name_lookup ----

#[test]
fn a_node_is_shown_with_c_s_names() {
    let [rust, c] = Program::both("name_lookup")
        .map(|program| run(cut_off(program).args(["::1", "65535"]), b""));
    assert_eq!(rust, c);
    let (list, _) = rust
        .stdout()
        .split_once("  getnameinfo()") // of which /etc/hosts may know nothing
        .expect("it looks back");
    assert_eq!(
        list,
        r#"getaddrinfo("::1", "65535", &hints, &res) = 0

node 1
  ai_flags       AI_CANONNAME
  ai_family      AF_INET6
  ai_socktype    SOCK_STREAM
  ai_protocol    IPPROTO_TCP
  ai_addrlen     28
  ai_addr        [::1]:65535
  ai_canonname   "::1"
  ai_next        NULL
"#
    );
    assert_eq!(rust.status.code(), Some(0));
}

#[test]
fn all_types_of_socket_are_nodes_of_one_list() {
    let outcome = said("name_lookup", &["--all", "127.0.0.1"]);
    let all = outcome.stdout();
    assert!(
        all.starts_with("getaddrinfo(\"127.0.0.1\", NULL, &hints, &res) = 0\n"),
        "{all}"
    );
    let field = |name| {
        let lines = all
            .lines()
            .filter_map(move |line| line.trim().strip_prefix(name));
        lines.map(str::trim).collect::<Vec<_>>()
    };
    assert_eq!(
        field("ai_socktype"),
        ["SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW"]
    );
    assert_eq!(field("ai_protocol"), ["IPPROTO_TCP", "IPPROTO_UDP", "0"]);
    assert_eq!(field("ai_addr "), ["127.0.0.1:0"; 3]);
    assert_eq!(field("ai_canonname"), ["\"127.0.0.1\"", "NULL", "NULL"]);
    assert_eq!(field("ai_next"), ["node 2", "node 3", "NULL"]);
}

#[test]
fn localhost_is_found_and_is_its_name_again() {
    let outcome = said("name_lookup", &["localhost", "7000"]);
    let all = outcome.stdout();
    assert!(all.contains("  ai_addr        127.0.0.1:7000\n"), "{all}");
    assert!(all.contains("  ai_canonname   \"localhost\"\n"), "{all}");
    assert!(all.contains("  getnameinfo()  \"localhost\", "), "{all}");
}

#[test]
fn a_services_name_is_its_port_where_etc_services_has_it() {
    let services = fs::read_to_string("/etc/services").unwrap_or_default();
    let outcome = said("name_lookup", &["127.0.0.1", "echo"]);
    if services.lines().any(|line| line.starts_with("echo")) {
        assert!(
            outcome.stdout().contains("  ai_addr        127.0.0.1:7\n"),
            "{outcome:?}"
        );
    } else {
        let message = "getaddrinfo() failed: Servname not supported for ai_socktype";
        assert_eq!(outcome, Outcome::failed(message));
    }
}

#[test]
fn a_name_that_does_not_resolve_is_one_line() {
    let label_of_64 = "a".repeat(64);
    for host in [
        &label_of_64,
        "",
        "a b",
        "[::1]",
        "127.0.0.1 ",
        "fe80::1%nosuch",
        "a\x1bb",
    ] {
        let outcome = said("name_lookup", &[host]);
        let message = "getaddrinfo() failed: Name or service not known";
        assert_eq!(outcome, Outcome::failed(message), "{host:?}");
    }
    let outcome = said("name_lookup", &["127.0.0.1", "nosuchservice"]);
    let message = "getaddrinfo() failed: Servname not supported for ai_socktype";
    assert_eq!(outcome, Outcome::failed(message));
}

#[test]
fn without_a_name_server_a_name_is_for_later_and_an_address_is_shown_all_the_same() {
    for_each(&["name_lookup"], |program| {
        let outcome = run(cut_off(program).arg("nosuch.invalid"), b"");
        let message = "getaddrinfo() failed: Temporary failure in name resolution";
        assert_eq!(outcome, Outcome::failed(message));
        let outcome = run(cut_off(program).args(["192.0.2.1", "65535"]), b"");
        assert_eq!(outcome.status.code(), Some(0));
        let end =
            "  ai_next        NULL\n  getnameinfo() failed: Temporary failure in name resolution\n";
        assert!(outcome.stdout().ends_with(end), "{outcome:?}");
    });
}

#[test]
fn what_the_c_library_would_cut_to_a_port_is_a_bad_argument() {
    for_each(&["name_lookup"], |program| {
        for port in [
            "65536",
            "99999",
            "4294967376",
            " 80",
            "",
            "+",
            "18446744073709551616",
        ] {
            let outcome = run(program.command().args(["127.0.0.1", port]), b"");
            assert_eq!(
                (outcome.status.code(), outcome.stdout()),
                (Some(2), ""),
                "{port:?}"
            );
        }
        let no_text = OsStr::from_bytes(b"local\xffhost");
        let outcome = run(program.command().arg(no_text), b"");
        assert_eq!((outcome.status.code(), outcome.stdout()), (Some(2), ""));
    });
    // And what it would not: as many zeros as one likes, and a plus.
    for port in ["0080", "+80", &format!("{}80", "0".repeat(5000))] {
        let outcome = said("name_lookup", &["127.0.0.1", port]);
        assert!(
            outcome.stdout().contains("  ai_addr        127.0.0.1:80\n"),
            "{outcome:?}"
        );
    }
}

// ---- byte_order ----

#[test]
fn the_bytes_of_an_address_are_shown_in_both_orders() {
    let outcome = said("byte_order", &["192.0.2.1", "8080"]);
    let host = |number: &[u8]| {
        let bytes: Vec<_> = number.iter().map(|byte| format!("{byte:02x}")).collect();
        bytes.join(" ")
    };
    let (port, address) = (
        host(&8080_u16.to_ne_bytes()),
        host(&0xc000_0201_u32.to_ne_bytes()),
    );
    for line in [
        &format!("  host order     8080               {port}\n"),
        "  network order  htons(8080)        1f 90\n",
        &format!("  host order     0xc0000201         {address}\n"),
        "  network order  htonl(0xc0000201)  c0 00 02 01\n",
        "  3221225985, which is what to calculate with.\n",
        "       2  sin_port    1f 90                    htons(8080)\n",
        "       4  sin_addr    c0 00 02 01              inet_addr(\"192.0.2.1\")\n",
        "       8  sin_zero    00 00 00 00 00 00 00 00  nothing: zeros\n",
    ] {
        assert!(
            outcome.stdout().contains(line),
            "{line}in {}",
            outcome.stdout()
        );
    }
}

/// The kernel is asked, and another process would get there too: the port that a forgotten htons names.
#[test]
fn the_port_without_htons_is_the_one_that_the_kernel_understands() {
    let port: u16 = 7000;
    let forgotten = u16::from_be_bytes(port.to_ne_bytes());
    let page = said("byte_order", &[]);
    for line in [
        "  sin_port = htons(7000)     127.0.0.1:7000\n".to_owned(),
        format!("  sin_port = 7000            127.0.0.1:{forgotten:<11}  htons() forgotten\n"),
    ] {
        assert!(page.stdout().contains(&line), "{line}in {}", page.stdout());
    }
}

#[test]
fn no_packet_is_sent_to_where_the_bytes_point() {
    let receiver = UdpSocket::bind(local(0)).unwrap();
    let port = receiver.local_addr().unwrap().port().to_string();
    said("byte_order", &["127.0.0.1", &port]);
    receiver.set_nonblocking(true).unwrap();
    let nothing = receiver.recv_from(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn strace_shows_what_byte_order_says() {
    require("strace", "the tests of what a student sees");
    for_each(&["byte_order"], |program| {
        let outcome = run(
            program
                .under(&["strace", "-qq", "-a1", "--trace=connect"])
                .args(["127.0.0.1", "80"]),
            b"",
        );
        let swapped = u16::from_be_bytes(80_u16.to_ne_bytes());
        let line = |port| {
            format!(
                "connect(3, {{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr(\"127.0.0.1\")}}, 16) = 0\n"
            )
        };
        assert_eq!(outcome.stderr, line(80) + &line(swapped));
    });
}

#[test]
fn an_address_that_cannot_be_connected_to_is_one_line_at_the_end() {
    let broadcast = Ipv4Addr::BROADCAST.to_string();
    let outcome = said("byte_order", &[&broadcast]);
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(outcome.stderr, "connect() failed: Permission denied\n");
    assert!(
        outcome.stdout().ends_with("Text needs no htons().\n"),
        "{outcome:?}"
    );
}

#[test]
fn the_pages_fit_a_terminal_and_end_quietly_with_their_reader() {
    for (name, args) in [
        ("byte_order", &["255.255.255.255", "65535"][..]),
        ("byte_order", &["127.255.255.254", "65535"]),
        ("name_lookup", &["--all", "127.0.0.1", "65535"]),
    ] {
        for line in said(name, args).stdout().lines() {
            assert!(line.len() <= 80, "{} columns: {line}", line.len());
        }
    }
    for_each(&SHOWS, |program| {
        let mut command = program.redirected("| head -1");
        let outcome = run(command.arg("127.0.0.1"), b"");
        assert_eq!(
            (outcome.status.code(), outcome.stdout().lines().count()),
            (Some(0), 1)
        );
        assert_eq!(outcome.stderr, "");
    });
}

// ---- The uppercase clients' server, by name ----

#[test]
fn an_uppercase_client_takes_a_name_and_an_ipv6_address() {
    for_each(&UPPER_CLIENTS, |client| {
        let server = Server::start(Program::c(client.server()), &[]);
        let port = server.port.to_string();
        for host in ["localhost", "127.1", "::ffff:127.0.0.1"] {
            let outcome = run(
                client.command().args(["-ip", host, "-p", &port]),
                b"hello\n",
            );
            assert_eq!(outcome, Outcome::done("From Server: HELLO\n"), "{host}");
        }
    });
}

#[test]
fn a_server_without_an_address_is_one_line_before_anything_is_read() {
    for_each(&UPPER_CLIENTS, |client| {
        let nobody = "a".repeat(64);
        let mut waiting = Process::start(client.command().args(["-i", &nobody])); // its input stays open
        waiting.wait_until(WaitPidFlag::WEXITED);
        let message = "getaddrinfo() failed: Name or service not known";
        assert_eq!(waiting.end(), Outcome::failed(message));
    });
}

#[test]
fn each_address_is_tried_in_turn_and_the_one_that_answers_is_kept() {
    let resolver = resolver();
    for_each(&UPPER_CLIENTS, |client| {
        let server = Server::start(Program::rust(client.server()), &[]);
        let nobody = UdpSocket::bind(("127.0.0.2", server.port)).ok(); // for UDP: silence, not a refusal
        let mut command = by(
            &resolver,
            client.command(),
            &["127.0.0.2", "::ffff:127.0.0.1", "127.0.0.1"],
            server.port,
        );
        let outcome = run(&mut command, b"one\ntwo\nthree\n");
        let lines = "From Server: ONE\nFrom Server: TWO\nFrom Server: THREE\n";
        assert_eq!(outcome, Outcome::done(lines));
        let nobody = nobody.expect("the server has 127.0.0.1 alone");
        assert_eq!(
            datagrams_at(&nobody),
            usize::from(!client.is_tcp()),
            "at the first address"
        );
    });
}

/// The first address drops what comes, as its queue is full.
#[test]
fn a_dead_address_gets_its_share_of_the_time_and_not_all() {
    let resolver = resolver();
    for_each(&["tcp_upper_client"], |client| {
        let server = Server::start(Program::rust(client.server()), &[]);
        let mut addr = sockaddr_in::zeroed();
        addr.sin_family = AF_INET;
        addr.sin_addr.s_addr = inet_addr("127.0.0.2").unwrap();
        addr.sin_port = htons(server.port);
        let deaf = socket(PF_INET, SOCK_STREAM, 0).unwrap();
        bind(&deaf, &addr).expect("the server has 127.0.0.1 alone");
        listen(&deaf, 0).unwrap();
        let _first = TcpStream::connect(("127.0.0.2", server.port)).expect("there is room for one");
        let addresses = ["127.0.0.2", "127.0.0.1"];
        let mut command = by(&resolver, client.command(), &addresses, server.port);
        let outcome = run(command.args(["--timeout", "4"]), b"hello\n");
        let waiting = format!("waiting for 127.0.0.2:{}\n", server.port);
        assert_eq!(outcome, Outcome::new(0, "From Server: HELLO\n", &waiting));
    });
}

#[test]
fn when_no_address_takes_the_connection_the_last_one_says_why() {
    let resolver = resolver();
    for_each(&["tcp_upper_client"], |client| {
        let closed = UdpSocket::bind(local(0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut command = by(
            &resolver,
            client.command(),
            &["127.0.0.2", "255.255.255.255"],
            closed,
        );
        let outcome = run(&mut command, b"hello\n");
        assert_eq!(
            outcome,
            Outcome::failed("connect() failed: Network is unreachable")
        );
    });
}

#[test]
fn each_silent_address_has_all_the_tries() {
    let resolver = resolver();
    for_each(&["udp_upper_client"], |client| {
        let second = UdpSocket::bind(local(0)).unwrap();
        let port = second.local_addr().unwrap().port();
        let first = UdpSocket::bind(("127.0.0.2", port)).unwrap();
        let mut command = by(
            &resolver,
            client.command(),
            &["127.0.0.2", "127.0.0.1"],
            port,
        );
        let outcome = run(command.args(["--timeout", "1", "--tries", "2"]), b"hello\n");
        assert_eq!(outcome, Outcome::failed("no answer within 2 seconds"));
        assert_eq!((datagrams_at(&first), datagrams_at(&second)), (2, 2));
    });
}

#[test]
fn an_address_that_cannot_be_sent_to_is_passed_over() {
    let resolver = resolver();
    for_each(&["udp_upper_client"], |client| {
        let server = Server::start(Program::c("udp_upper_server"), &[]);
        let mut command = by(
            &resolver,
            client.command(),
            &["255.255.255.255", "127.0.0.1"],
            server.port,
        );
        assert_eq!(
            run(&mut command, b"hello\n"),
            Outcome::done("From Server: HELLO\n")
        );
    });
}

#[test]
fn an_address_of_a_family_that_this_machine_lacks_is_passed_over() {
    let resolver = resolver();
    for_each(&UPPER_CLIENTS, |client| {
        let server = Server::start(Program::c(client.server()), &[]);
        let without_ipv6 = client.with_faults(&["socket:error=EAFNOSUPPORT:when=1"]);
        let addresses = ["::1", "127.0.0.1"];
        let outcome = run(
            &mut by(&resolver, without_ipv6, &addresses, server.port),
            b"one\ntwo\n",
        );
        let lines = "From Server: ONE\nFrom Server: TWO\n";
        assert_eq!(outcome, Outcome::done(lines));
    });
}

/// IPv6 carries 20 bytes more than IPv4.
#[test]
fn the_largest_datagram_over_ipv6_comes_whole() {
    let Ok(server) = UdpSocket::bind("[::1]:0") else {
        return for_each(&["udp_upper_client"], |client| {
            let outcome = run(client.command().args(["-i", "::1"]), b"hello\n");
            assert_eq!(outcome.status.code(), Some(1), "without IPv6: {outcome:?}");
        });
    };
    let port = server.local_addr().unwrap().port().to_string();
    for_each(&["udp_upper_client"], |client| {
        let mut command = client.command();
        command.args(["-i", "::1", "-p", &port]);
        let mut asking = Process::start(&mut command);
        asking.feed(b"hello\n".to_vec());
        server.set_read_timeout(Some(deadline())).unwrap();
        let (_, from) = server.recv_from(&mut [0; 16]).expect("it asks");
        let reply = "X".repeat(65527);
        server.send_to(reply.as_bytes(), from).expect("it fits");
        assert_eq!(
            asking.end(),
            Outcome::done(format!("From Server: {reply}\n"))
        );
    });
}

/// An address in numbers costs no system call, so its trace begins as the slide does.
#[test]
fn an_address_in_numbers_makes_no_socket_of_the_resolvers() {
    require("strace", "the tests of what a student sees");
    for_each(&UPPER_CLIENTS, |client| {
        for host in ["127.0.0.1", "::ffff:127.0.0.1"] {
            let trace = [
                "strace",
                "-qq",
                "--trace=%network,openat",
                "--inject=socket:error=EMFILE",
            ];
            let outcome = run(client.under(&trace).args(["-i", host]), b"hello\n");
            let mut lines = outcome
                .stderr
                .lines()
                .skip_while(|line| line.starts_with("openat("));
            let family = if host == "127.0.0.1" {
                "AF_INET, "
            } else {
                "AF_INET6, "
            };
            let first = lines.next().unwrap_or_default();
            assert!(
                first.starts_with(&format!("socket({family}")),
                "{outcome:?}"
            );
            assert_eq!(lines.next(), Some("socket() failed: Too many open files"));
            assert!(!outcome.stderr.contains("/etc/hosts"), "{outcome:?}");
        }
    });
}

/// Runs a client whose server is a name with these addresses, in this order.
fn by(resolver: &Path, mut command: Command, addresses: &[&str], port: u16) -> Command {
    command
        .env("LD_PRELOAD", resolver)
        .env("ADDRESSES", addresses.join(" "));
    command.args(["-i", "several.test", "-p", &port.to_string()]);
    command
}

/// How many datagrams have come.
fn datagrams_at(socket: &UdpSocket) -> usize {
    socket.set_nonblocking(true).unwrap();
    std::iter::from_fn(|| socket.recv_from(&mut [0; 16]).ok()).count()
}
