//! name_lookup and byte_order: what they show, the same in both languages. Nothing here asks a name server: the names are
//! numbers, are in `/etc/hosts` (localhost), or are none that could be asked for.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::ffi::OsStrExt;

use support::{Outcome, Program, SHOWS, for_each, local, require, run};

/// Runs it in both languages, which say the same.
fn said(name: &'static str, args: &[&str]) -> Outcome {
    let [rust, c] = Program::both(name).map(|program| run(program.command().args(args), b""));
    assert_eq!(rust, c, "{name} {args:?}");
    rust
}

// ---- name_lookup ----

#[test]
fn a_node_is_shown_with_c_s_names() {
    let outcome = said("name_lookup", &["::1", "65535"]);
    let (list, names) = outcome
        .stdout()
        .split_once("  getnameinfo()  ")
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
    assert!(names.ends_with(", \"65535\"\n"), "{names}"); // which /etc/services has not
    assert_eq!(outcome.status.code(), Some(0));
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
        ("name_lookup", &["--all", "127.255.255.254", "65535"]),
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
