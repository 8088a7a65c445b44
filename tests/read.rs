//! The reader of strace's output: known forms, and whatever bytes a program echoes.

#[path = "../src/bin/sockstep/strace/line.rs"]
#[allow(dead_code, reason = "the tool uses the rest")]
mod read;

mod support;

use read::{Call, Entry, Reader, What, bytes};

fn call(line: &str) -> Call {
    match Reader::default().read(line) {
        Some(Entry {
            what: What::Call(call),
            ..
        }) => call,
        other => panic!("{line}: {other:?}"),
    }
}

/// A call's name, arguments, result and note, with a bar between.
fn parts(line: &str) -> String {
    let call = call(line);
    format!(
        "{}|{}|{}|{}",
        call.name,
        call.args.join("|"),
        call.result,
        call.note
    )
}

#[test]
fn a_call_comes_apart_whatever_its_strings_hold() {
    for (line, expected) in [
        (
            r"socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3",
            "socket|AF_INET|SOCK_STREAM|IPPROTO_TCP|3|",
        ),
        (
            r"getpid()                                = 42",
            "getpid||42|",
        ),
        (
            r#"sendto(3, ") = 9, +++ --- <unfinished ...>", 5, 0, NULL, 0) = 5"#,
            r#"sendto|3|") = 9, +++ --- <unfinished ...>"|5|0|NULL|0|5|"#,
        ),
        (
            r#"write(1, "a\"b\\", 4)                  = 4"#,
            r#"write|1|"a\"b\\"|4|4|"#,
        ),
        (
            r#"recvfrom(4, "hel"..., 4096, 0, NULL, NULL) = 5"#,
            r#"recvfrom|4|"hel"...|4096|0|NULL|NULL|5|"#,
        ),
        (
            r#"accept(3, {sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("127.0.0.1")}, [128 => 16]) = 4"#,
            r#"accept|3|{sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("127.0.0.1")}|[128 => 16]|4|"#,
        ),
        (
            r"connect(3, 0x7ffd, 16) = -1 ECONNREFUSED (Connection refused)",
            "connect|3|0x7ffd|16|-1|ECONNREFUSED (Connection refused)",
        ),
        (
            r"poll([{fd=3, events=POLLIN}], 1, 100) = 0 (Timeout)",
            "poll|[{fd=3, events=POLLIN}]|1|100|0|(Timeout)",
        ),
        (
            r"poll([{fd=3, events=POLLIN}], 1, -1) = 1 ([{fd=3, revents=POLLIN}])",
            "poll|[{fd=3, events=POLLIN}]|1|-1|1|([{fd=3, revents=POLLIN}])",
        ),
        (
            r"accept(3, NULL, NULL) = -1 EMFILE (Too many open files) (INJECTED)",
            "accept|3|NULL|NULL|-1|EMFILE (Too many open files) (INJECTED)",
        ),
        (r"close(3) = 0 (DELAYED)", "close|3|0|(DELAYED)"),
        (r"exit_group(0) = ?", "exit_group|0|?|"),
        (
            r"accept(3, 0x7ffc, [16]) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)",
            "accept|3|0x7ffc|[16]|?|ERESTARTSYS (To be restarted if SA_RESTART is set)",
        ),
        (
            r"close(4<TCP:[127.0.0.1:7114->127.0.0.1:36766]>) = 0",
            "close|4<TCP:[127.0.0.1:7114->127.0.0.1:36766]>|0|",
        ),
        (
            r"close(4<TCPv6:[[::1]:7114->[::1]:36766]>) = 0",
            "close|4<TCPv6:[[::1]:7114->[::1]:36766]>|0|",
        ),
        (
            r#"close(4<UNIX-STREAM:[12->13, "/tmp/a->)b"]>) = 0"#,
            r#"close|4<UNIX-STREAM:[12->13, "/tmp/a->)b"]>|0|"#,
        ),
        (
            r#"write(1</dev/null<char 1:3>>, "x", 1) = 1"#,
            r#"write|1</dev/null<char 1:3>>|"x"|1|1|"#,
        ),
        (
            r"socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3<TCP:[540766]>",
            "socket|AF_INET|SOCK_STREAM|IPPROTO_TCP|3<TCP:[540766]>|",
        ),
        (
            r"setsockopt(3, SOL_TCP, 0x20 /* TCP_??? ) */, [1], 4) = 0",
            "setsockopt|3|SOL_TCP|0x20 /* TCP_??? ) */|[1]|4|0|",
        ),
        (
            r"mmap(NULL, 1<<12, PROT_READ, 0, -1, 0) = 0x7f00",
            "mmap|NULL|1<<12|PROT_READ|0|-1|0|0x7f00|",
        ),
    ] {
        assert_eq!(parts(line), expected, "{line}");
    }
}

#[test]
fn process_time_and_duration_are_read_in_every_form() {
    let read = |line: &str| Reader::default().read(line).expect("an entry");
    for (line, pid, start) in [
        ("close(3) = 0", None, None),
        (
            "1617  1795268434.517837430 close(3) = 0",
            Some(1617),
            Some(1_795_268_434_517_837_430),
        ),
        ("[pid  42] close(3) = 0", Some(42), None),
        (
            "[pid 42] 13:39:12.5 close(3) = 0",
            Some(42),
            Some(49_152_500_000_000),
        ),
        ("13:39:12 close(3) = 0", None, Some(49_152_000_000_000)),
    ] {
        let entry = read(line);
        assert_eq!((entry.pid, entry.start), (pid, start), "{line}");
        assert!(matches!(entry.what, What::Call(_)), "{line}");
    }
    assert_eq!(call("close(3) = 0 <0.000255654>").took, Some(255_654));
    let failed = call("close(3) = -1 EBADF (Bad file descriptor) <1.5>");
    assert_eq!(
        (failed.took, failed.note.as_str()),
        (Some(1_500_000_000), "EBADF (Bad file descriptor)")
    );
}

#[test]
fn an_interrupted_call_is_put_together_again() {
    let mut reader = Reader::default();
    assert_eq!(reader.read("7 1.5 accept(3,  <unfinished ...>"), None);
    assert_eq!(
        reader.read(r#"8 1.6 write(1, "<unfinished ...>", 16 <unfinished ...>"#),
        None
    );
    let Some(accept) =
        reader.read(r"7 2.5 <... accept resumed>{sa_family=AF_INET}, [16]) = 4 <1.000000000>")
    else {
        panic!("the call is whole")
    };
    let What::Call(call) = accept.what else {
        panic!("it is a call")
    };
    assert_eq!(
        (accept.start, call.args),
        (
            Some(1_500_000_000),
            ["3", "{sa_family=AF_INET}", "[16]"]
                .map(String::from)
                .to_vec()
        )
    );
    let Some(Entry {
        what: What::Call(write),
        ..
    }) = reader.read("8 2.6 <... write resumed>) = 16")
    else {
        panic!("the call is whole")
    };
    assert_eq!(write.args[1], r#""<unfinished ...>""#);
}

#[test]
fn signals_and_ends_are_no_calls_and_the_unknown_stays_as_it_is() {
    let read = |line: &str| Reader::default().read(line).expect("an entry").what;
    assert_eq!(
        read("9 --- SIGTERM {si_signo=SIGTERM} ---"),
        What::Signal("SIGTERM {si_signo=SIGTERM}".into())
    );
    assert_eq!(
        read("9 1.5 +++ exited with 0 +++"),
        What::End("exited with 0".into())
    );
    assert_eq!(
        read("+++ killed by SIGKILL (core dumped) +++"),
        What::End("killed by SIGKILL (core dumped)".into())
    );
    for line in [
        "",
        "strace: Process 9 attached",
        "what(",
        "close(3) =",
        "(3) = 0",
        r#"write(1, "abc"#,
        "<... accept resumed>) = 4",
    ] {
        assert_eq!(read(line), What::Unknown(line.into()));
    }
}

#[test]
fn quoted_bytes_come_back() {
    for (quoted, expected, cut) in [
        (r#""""#, &b""[..], false),
        (r#""a\tb\n\r\v\f""#, b"a\tb\n\r\x0b\x0c", false),
        (r#""\0\1\12\1234\377""#, b"\0\x01\x0a\x534\xff", false),
        (r#""\x00\xff0""#, b"\0\xff0", false),
        (r#""\"\\"..."#, b"\"\\", true),
    ] {
        assert_eq!(bytes(quoted), Some((expected.to_vec(), cut)), "{quoted}");
    }
    for not_bytes in ["NULL", "0x7ffd", "[16]", "", "\"", "\"a\"b"] {
        assert_eq!(bytes(not_bytes), None, "{not_bytes}");
    }
}

/// Bytes that look like strace's own marks, and others at random, written by a program under a real strace.
#[test]
fn what_a_program_writes_comes_back_from_a_real_strace() {
    let mut random = support::Random(7);
    let marks: [&[u8]; 12] = [
        b")",
        b"---",
        b"+++",
        b" <unfinished ...>",
        b"\"",
        b"\\",
        b"->",
        b"...",
        b"\x00\x017",
        b"\xff",
        b" = 0",
        b"<0.1>",
    ];
    let messages: Vec<Vec<u8>> = (0..200)
        .map(|_| {
            let pieces = random.below(12);
            (0..pieces)
                .flat_map(|_| match random.below(2) {
                    0 => marks[random.below(marks.len())].to_vec(),
                    _ => support::random_bytes(random.next(), random.below(20)),
                })
                .collect()
        })
        .collect();
    support::require("strace", "the reader's tests");
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("echoed.strace");
    let server = support::Program::c("udp_echo_server");
    let mut command = server.under(&[
        "strace",
        "-f",
        "-s",
        "65536",
        "-ttt",
        "-T",
        "-o",
        file.to_str().expect("text"),
    ]);
    let mut server = support::Server::start_by(
        server,
        command.args(["--bind", "127.0.0.1", "--max-messages", "200", "0"]),
    );
    let socket = server.udp();
    for message in &messages {
        socket.send(message).expect("it is sent");
        let mut answer = vec![0; 65507];
        let n = socket.recv(&mut answer).expect("it comes back");
        assert_eq!(answer[..n], message[..]);
    }
    assert!(server.process.end().status.success());

    let text =
        String::from_utf8_lossy(&std::fs::read(&file).expect("strace has written it")).into_owned();
    let mut reader = Reader::default();
    let entries: Vec<Entry> = text.lines().filter_map(|line| reader.read(line)).collect();
    assert!(
        !entries
            .iter()
            .any(|entry| matches!(entry.what, What::Unknown(_))),
        "a line is not known"
    );
    for name in ["recvfrom", "sendto"] {
        let seen: Vec<Vec<u8>> = entries
            .iter()
            .filter_map(|entry| match &entry.what {
                What::Call(call) if call.name == name => {
                    bytes(&call.args[1]).map(|(bytes, _)| bytes)
                }
                _ => None,
            })
            .collect();
        assert_eq!(seen, messages, "{name}");
    }
}
