//! What getaddrinfo and getnameinfo answer to good and bad input. Nothing here asks a name server: the names are numbers, are
//! in `/etc/hosts` (localhost), or are none that could be asked for.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;

use sockstep::Errno::{EINVAL, EMFILE};
use sockstep::{
    AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, AI_ALL, AI_CANONNAME, AI_NUMERICHOST, AI_NUMERICSERV,
    AI_PASSIVE, AI_V4MAPPED, AddressFamily, AnyAddr, EAI_ADDRFAMILY, EAI_BADFLAGS, EAI_FAMILY,
    EAI_NONAME, EAI_SERVICE, EAI_SOCKTYPE, Eai, Errno, Hints, INADDR_LOOPBACK, IPPROTO_TCP,
    IPPROTO_UDP, NI_DGRAM, NI_NAMEREQD, NI_NUMERICHOST, NI_NUMERICSERV, SOCK_DGRAM, SOCK_RAW,
    SOCK_STREAM, SockType, freeaddrinfo, gai_strerror, getaddrinfo, getnameinfo, getsockname,
    htonl, htons, ntohs, sockaddr_in, sockaddr_in6,
};

// ---- getaddrinfo: the tables ----

/// The addresses that come, or the error.
type Answer = Result<&'static str, Eai>;

/// `NODE SERVICE` for a stream socket.
const STREAMS: &[(Option<&str>, Option<&str>, Answer)] = &[
    (None, None, Err(EAI_NONAME)),
    (Some("127.0.0.1"), Some("80"), Ok("127.0.0.1:80")),
    (Some("127.0.0.1"), None, Ok("127.0.0.1:0")),
    (Some("::1"), Some("80"), Ok("[::1]:80")),
    (Some(""), Some("80"), Err(EAI_NONAME)),
    // Addresses that only look like one.
    (Some("127.0.0.1 "), Some("80"), Err(EAI_NONAME)),
    (Some("127.0.0.1\n"), Some("80"), Err(EAI_NONAME)),
    (Some("[::1]"), Some("80"), Err(EAI_NONAME)),
    // Addresses that do not, and are: inet_addr's forms.
    (Some("0x7f.1"), Some("80"), Ok("127.0.0.1:80")),
    (Some("2130706433"), Some("80"), Ok("127.0.0.1:80")),
    (Some("127.1"), Some("80"), Ok("127.0.0.1:80")),
    (Some("010.0.0.1"), Some("80"), Ok("8.0.0.1:80")),
    // An interface with a link-local address. The loopback interface is the first.
    (Some("fe80::1%lo"), Some("80"), Ok("[fe80::1%1]:80")),
    (Some("fe80::1%1"), Some("80"), Ok("[fe80::1%1]:80")),
    (Some("fe80::1%nosuch"), Some("80"), Err(EAI_NONAME)),
    // Names that no name server is asked for.
    (Some("localhost.."), Some("80"), Err(EAI_NONAME)),
    (Some("a\u{1}b"), Some("80"), Err(EAI_NONAME)),
    (Some("a/b"), Some("80"), Err(EAI_NONAME)),
    // Ports. A larger number is cut to 16 bits.
    (Some("127.0.0.1"), Some("65535"), Ok("127.0.0.1:65535")),
    (Some("127.0.0.1"), Some("65536"), Ok("127.0.0.1:0")),
    (Some("127.0.0.1"), Some("99999"), Ok("127.0.0.1:34463")),
    (Some("127.0.0.1"), Some("4294967376"), Ok("127.0.0.1:80")),
    (Some("127.0.0.1"), Some(""), Ok("127.0.0.1:0")),
    (Some("127.0.0.1"), Some(" 80"), Ok("127.0.0.1:80")),
    (Some("127.0.0.1"), Some("+80"), Ok("127.0.0.1:80")),
    (Some("127.0.0.1"), Some("80 "), Err(EAI_SERVICE)),
    (Some("127.0.0.1"), Some("-1"), Err(EAI_SERVICE)),
    (Some("127.0.0.1"), Some("0x50"), Err(EAI_SERVICE)),
    (Some("127.0.0.1"), Some("nosuchservice"), Err(EAI_SERVICE)),
];

/// Flags, family, type and protocol for `NODE 80`.
type Row = (
    i32,
    AddressFamily,
    Option<SockType>,
    i32,
    Option<&'static str>,
    Answer,
);

const HINTS: &[Row] = {
    const STREAM: Option<SockType> = Some(SOCK_STREAM);
    const V4: Option<&str> = Some("127.0.0.1");
    &[
        (AI_PASSIVE, AF_INET, STREAM, 0, None, Ok("0.0.0.0:80")),
        (AI_PASSIVE, AF_INET6, STREAM, 0, None, Ok("[::]:80")),
        (0, AF_INET, STREAM, 0, None, Ok("127.0.0.1:80")),
        (0, AF_INET6, STREAM, 0, None, Ok("[::1]:80")),
        (
            0,
            AF_INET,
            None,
            0,
            V4,
            Ok("127.0.0.1:80 127.0.0.1:80 127.0.0.1:80"),
        ), // stream, datagram, raw
        (
            0,
            AF_INET,
            None,
            IPPROTO_UDP.number(),
            V4,
            Ok("127.0.0.1:80"),
        ),
        (0, AF_INET, STREAM, 0, Some("::1"), Err(EAI_ADDRFAMILY)),
        (0, AF_INET6, STREAM, 0, V4, Err(EAI_ADDRFAMILY)),
        (
            AI_V4MAPPED,
            AF_INET6,
            STREAM,
            0,
            V4,
            Ok("[::ffff:127.0.0.1]:80"),
        ),
        (
            AI_NUMERICHOST,
            AF_UNSPEC,
            STREAM,
            0,
            Some("256.1.1.1"),
            Err(EAI_NONAME),
        ),
        (
            AI_NUMERICHOST,
            AF_UNSPEC,
            STREAM,
            0,
            Some("1.2.3.4.5"),
            Err(EAI_NONAME),
        ),
        (
            AI_NUMERICHOST,
            AF_UNSPEC,
            STREAM,
            0,
            Some("localhost"),
            Err(EAI_NONAME),
        ),
        (
            0,
            AF_UNSPEC,
            STREAM,
            IPPROTO_UDP.number(),
            V4,
            Err(EAI_SOCKTYPE),
        ),
        (
            0,
            AF_UNSPEC,
            Some(SOCK_DGRAM),
            IPPROTO_TCP.number(),
            V4,
            Err(EAI_SOCKTYPE),
        ),
        (0, AF_UNSPEC, Some(SOCK_RAW), 0, V4, Err(EAI_SERVICE)), // a raw socket has no ports
        (0, AF_UNIX, STREAM, 0, V4, Err(EAI_FAMILY)),
        (0x800_0000, AF_UNSPEC, STREAM, 0, V4, Err(EAI_BADFLAGS)),
        (AI_CANONNAME, AF_UNSPEC, STREAM, 0, None, Err(EAI_BADFLAGS)),
    ]
};

#[test]
fn getaddrinfo_answers_as_the_c_library_does() {
    for &(node, service, answer) in STREAMS {
        assert_answer(node, service, &streams(), answer);
    }
    for &(ai_flags, ai_family, ai_socktype, ai_protocol, node, answer) in HINTS {
        let mut hints = Hints::zeroed();
        (hints.ai_flags, hints.ai_family, hints.ai_protocol) = (ai_flags, ai_family, ai_protocol);
        hints.ai_socktype = ai_socktype.unwrap_or(hints.ai_socktype);
        assert_answer(node, Some("80"), &hints, answer);
    }
    for len in [64, 70, 299, 69_999] {
        assert_answer(Some(&"a".repeat(len)), None, &streams(), Err(EAI_NONAME)); // a label has at most 63 bytes
    }
}

fn assert_answer(node: Option<&str>, service: Option<&str>, hints: &Hints, answer: Answer) {
    let what = format!("{node:?} {service:?} {hints:?}");
    match (getaddrinfo(node, service, Some(hints)), answer) {
        (Ok(list), Ok(expected)) => {
            let addresses: Vec<_> = list.iter().map(|node| node.ai_addr.to_string()).collect();
            assert_eq!(addresses.join(" "), expected, "{what}");
        }
        (Err(error), Err(expected)) => {
            assert_eq!(error.call(), "getaddrinfo");
            assert_eq!(error, expected, "{what}");
        }
        (got, _) => panic!("{what}: {got:?} instead of {answer:?}"),
    }
}

fn streams() -> Hints {
    let mut hints = Hints::zeroed();
    hints.ai_socktype = SOCK_STREAM;
    hints
}

// ---- getaddrinfo: what the tables do not say ----

#[test]
fn a_node_says_all_that_a_socket_needs() {
    let mut hints = Hints::zeroed();
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_CANONNAME;
    let list = getaddrinfo(Some("::1"), Some("7"), Some(&hints)).unwrap();
    let nodes: Vec<_> = list.iter().collect();
    let kinds = nodes
        .iter()
        .map(|node| (node.ai_socktype, node.ai_protocol));
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [
            (SOCK_STREAM, IPPROTO_TCP.number()),
            (SOCK_DGRAM, IPPROTO_UDP.number()),
            (SOCK_RAW, 0)
        ]
    );
    for node in &nodes {
        assert_eq!((node.ai_flags, node.ai_family), (hints.ai_flags, AF_INET6));
        assert_eq!(node.ai_addr.v6().map(|addr| ntohs(addr.sin6_port)), Some(7));
        assert_eq!(node.ai_addr.v4(), None);
    }
    let names: Vec<_> = nodes
        .iter()
        .map(|node| node.ai_canonname.as_deref())
        .collect();
    assert_eq!(names, [Some("::1"), None, None]);
    freeaddrinfo(list);
}

#[test]
fn without_hints_all_types_come() {
    let list = getaddrinfo(Some("127.0.0.1"), None, None).unwrap();
    assert_eq!(list.iter().count(), 3);
}

#[test]
fn localhost_is_this_machine() {
    let mut hints = streams();
    hints.ai_family = AF_INET;
    let list = getaddrinfo(Some("localhost"), Some("80"), Some(&hints)).unwrap();
    for node in &list {
        assert_eq!(node.ai_addr.to_string(), "127.0.0.1:80");
    }
}

#[test]
fn a_service_has_a_name_where_etc_services_has_it() {
    let services = fs::read_to_string("/etc/services").unwrap_or_default();
    let named = services.lines().any(|line| line.starts_with("echo"));
    let answer = if named {
        Ok("127.0.0.1:7")
    } else {
        Err(EAI_SERVICE)
    };
    assert_answer(Some("127.0.0.1"), Some("echo"), &streams(), answer);

    let mut hints = streams();
    hints.ai_flags = AI_NUMERICSERV;
    assert_answer(Some("127.0.0.1"), Some("echo"), &hints, Err(EAI_NONAME));

    let (_, serv) = getnameinfo(&loopback(7), NI_NUMERICHOST | NI_DGRAM).unwrap();
    assert_eq!(serv, if named { "echo" } else { "7" });
}

#[test]
fn a_nul_inside_a_text_is_refused_before_c_sees_its_end() {
    for (node, service) in [
        ("127.0.0.1\0.evil", "80"),
        ("127.0.0.1", "80\0"),
        ("\0", "80"),
    ] {
        let error = getaddrinfo(Some(node), Some(service), None).unwrap_err();
        assert_eq!((error.call(), error.errno()), ("getaddrinfo", EINVAL));
    }
}

#[test]
fn what_the_system_failed_with_is_the_errno() {
    // /etc/hosts cannot be opened: EAI_SYSTEM in C. In a process of its own, as others here open files too.
    let exe = std::env::current_exe().unwrap();
    if std::env::var_os("SOCKSTEP_TEST_CHILD").is_none() {
        let mut prlimit = std::process::Command::new("prlimit");
        prlimit.arg("--nofile=32").arg(exe);
        prlimit.args([
            "--exact",
            "netdb::what_the_system_failed_with_is_the_errno",
            "--nocapture",
        ]);
        let output = prlimit.env("SOCKSTEP_TEST_CHILD", "1").output();
        let output = output.unwrap_or_else(|error| panic!("prlimit: {error}: install util-linux"));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("1 passed"), "{output:?}");
        return;
    }
    getaddrinfo(Some("localhost"), None, None).unwrap(); // so that /etc/nsswitch.conf is read
    let all: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let error = getaddrinfo(Some("localhost"), None, None).unwrap_err();
    drop(all);
    assert_eq!(error, EMFILE);
    assert_eq!(
        error.to_string(),
        "getaddrinfo() failed: Too many open files"
    );
}

#[test]
fn an_error_has_the_librarys_own_words_and_no_errno() {
    let error = getaddrinfo(None, None, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "getaddrinfo() failed: Name or service not known"
    );
    assert_eq!(error.errno(), Errno::UnknownErrno);
    assert_ne!(error, EAI_SERVICE);
    assert_eq!(
        gai_strerror(EAI_SERVICE),
        "Servname not supported for ai_socktype"
    );
}

#[test]
fn mapped_and_real_addresses_come_together_when_all_are_asked_for() {
    let mut hints = streams();
    (hints.ai_family, hints.ai_flags) = (AF_INET6, AI_V4MAPPED | AI_ALL);
    let list = getaddrinfo(Some("localhost"), Some("80"), Some(&hints)).unwrap();
    let mapped = "[::ffff:127.0.0.1]:80";
    assert!(
        list.iter().any(|node| node.ai_addr.to_string() == mapped),
        "{list:?}"
    );
}

// ---- getnameinfo ----

#[test]
fn an_address_has_its_numbers_and_its_name() {
    let numbers = NI_NUMERICHOST | NI_NUMERICSERV;
    let text = |(host, serv): (String, String)| format!("{host} {serv}");
    assert_eq!(
        getnameinfo(&loopback(80), numbers).map(text),
        Ok("127.0.0.1 80".to_owned())
    );
    let any = AnyAddr::from(loopback(80));
    assert_eq!(
        getnameinfo(&any, numbers).map(text),
        Ok("127.0.0.1 80".to_owned())
    );

    let mut addr = sockaddr_in6::zeroed();
    (addr.sin6_family, addr.sin6_port) = (AF_INET6, htons(65535));
    assert_eq!(
        getnameinfo(&addr, numbers).map(text),
        Ok(":: 65535".to_owned())
    );

    let (host, _) = getnameinfo(&loopback(80), NI_NAMEREQD).unwrap();
    assert_eq!(host, "localhost"); // from /etc/hosts
}

#[test]
fn getnameinfo_refuses_what_has_no_name() {
    let error = |answer: sockstep::Result<(String, String)>| answer.unwrap_err();
    assert_eq!(error(getnameinfo(&loopback(80), 0x10000)), EAI_BADFLAGS);
    assert_eq!(
        error(getnameinfo(&loopback(80), NI_NUMERICHOST | NI_NAMEREQD)),
        EAI_NONAME
    );
    assert_eq!(error(getnameinfo(&sockaddr_in::zeroed(), 0)), EAI_FAMILY);
    assert_eq!(error(getnameinfo(&sockaddr_in6::zeroed(), 0)), EAI_FAMILY);

    // An IPv6 address needs more bytes than a sockaddr_in has.
    let mut addr = loopback(80);
    addr.sin_family = AF_INET6;
    assert_eq!(error(getnameinfo(&addr, 0)), EAI_FAMILY);

    // A path without a NUL: in C, the library reads on behind the structure.
    addr.sin_family = AF_UNIX;
    addr.sin_port = htons(0x6161);
    addr.sin_addr.s_addr = htonl(0x6161_6161);
    addr.sin_zero = [b'a'; 8];
    assert_eq!(error(getnameinfo(&addr, 0)), EAI_FAMILY);

    let nameless = UnixDatagram::unbound().unwrap();
    let addr: AnyAddr = getsockname(&nameless).unwrap();
    assert_eq!(error(getnameinfo(&addr, 0)), EAI_FAMILY);
}

fn loopback(port: u16) -> sockaddr_in {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr.sin_port = htons(port);
    addr
}
