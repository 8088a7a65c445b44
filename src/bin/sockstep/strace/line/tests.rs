//! The reader of strace's output: known forms, and any bytes that a program echoes.

use super::*;
use crate::strace::text::{bytes, first_bytes};

fn call(line: &str) -> std::sync::Arc<Call> {
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
            "close|4|0|",
        ),
        (
            r"close(4<TCPv6:[[::1]:7114->[::1]:36766]>) = 0",
            "close|4|0|",
        ),
        (
            r#"close(4<UNIX-STREAM:[12->13, "/tmp/a->)b"]>) = 0"#,
            r"close|4|0|",
        ),
        (
            r#"write(1</dev/null<char 1:3>>, "x", 1) = 1"#,
            r#"write|1|"x"|1|1|"#,
        ),
        (
            r"socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3<TCP:[540766]>",
            "socket|AF_INET|SOCK_STREAM|IPPROTO_TCP|3|",
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

/// All entries of a recording, from its first line to its end.
fn entries(text: &str) -> Vec<Entry> {
    let mut reader = Reader {
        waits_for_stacks: true,
        ..Reader::default()
    };
    let mut entries = Vec::new();
    for line in text.lines() {
        reader.take(line.as_bytes(), &mut entries);
    }
    reader.end(&mut entries);
    entries
}

/// The entries in short form, a line each: `7 accept(3) = 4`.
fn short(text: &str) -> Vec<String> {
    let pid = |pid: Option<u32>| pid.map_or("-".to_owned(), |pid| pid.to_string());
    entries(text)
        .iter()
        .map(|entry| {
            let pid = pid(entry.pid);
            match &entry.what {
                What::Call(call) => format!(
                    "{pid} {}({}) = {} {}",
                    call.name,
                    call.args.join(", "),
                    call.result,
                    call.note
                )
                .trim_end()
                .to_owned(),
                What::Signal(words) => format!("{pid} -{words}"),
                What::End(words) => format!("{pid} +{words}"),
                What::Unknown(words) => format!("{pid} ?{words}"),
            }
        })
        .collect()
}

#[test]
fn what_a_call_took_is_read_in_every_precision() {
    assert_eq!(call("close(3) = 0 <0.000255654>").took, Some(255_654));
    assert_eq!(call("close(3) = 0 <2>").took, Some(2_000_000_000));
    let failed = call("close(3) = -1 EBADF (Bad file descriptor) <1.5>");
    assert_eq!(
        (failed.took, failed.note.as_str()),
        (Some(1_500_000_000), "EBADF (Bad file descriptor)")
    );
    let unavailable = call("close(3) = ? <unavailable>");
    assert_eq!(
        (unavailable.took, unavailable.note.as_str()),
        (None, "<unavailable>")
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn constants_strings_and_addresses_have_one_spelling() {
    for (written, usual) in [
        (
            "socket(0x2, 0x1, 0) = 3",
            "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3",
        ),
        (
            "socket(0xa, 0x1|0x80000, 0) = 3",
            "socket(AF_INET6, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3",
        ),
        (
            "socketpair(0x1, 0x5|0x80800, 0, [7, 8]) = 0",
            "socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC|SOCK_NONBLOCK, 0, [7, 8]) = 0",
        ),
        (
            "socket(0x2 /* AF_INET */, 0x1 /* SOCK_STREAM */|0x80000 /* SOCK_CLOEXEC */, 0 /* IPPROTO_IP */) = 3",
            "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3",
        ),
        (
            "setsockopt(3, 0x1, 0x2, [1], 4) = 0",
            "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0",
        ),
        (
            "setsockopt(3, 0x6 /* SOL_TCP */, 0x1 /* TCP_NODELAY */, [1], 4) = 0",
            "setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0",
        ),
        (
            r#"bind(3, {sa_family=0x2, sin_port="\x1e\xdd", sin_addr="\x7f\x00\x00\x01"}, 16) = 0"#,
            r#"bind(3, {sa_family=AF_INET, sin_port=htons(7901), sin_addr=inet_addr("127.0.0.1")}, 16) = 0"#,
        ),
        (
            r#"bind(3, {sa_family=0x2 /* AF_INET */, sin_port="\x1e\xdd" /* htons(7901) */, sin_addr="\x7f\x00\x00\x01" /* inet_addr("127.0.0.1") */}, 16) = 0"#,
            r#"bind(3, {sa_family=AF_INET, sin_port=htons(7901), sin_addr=inet_addr("127.0.0.1")}, 16) = 0"#,
        ),
        (
            r#"bind(3, {sa_family=0xa, sin6_port="\x1e\xdd", sin6_flowinfo="\x00\x00\x00\x00", sin6_addr="\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", sin6_scope_id=0}, 28) = 0"#,
            r#"bind(3, {sa_family=AF_INET6, sin6_port=htons(7901), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = 0"#,
        ),
        (
            r#"bind(3, {sa_family=0xa /* AF_INET6 */, sin6_port="\x1e\xdd" /* htons(7901) */, sin6_flowinfo="\x00\x00\x00\x00" /* htonl(0) */, sin6_addr="\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" /* inet_pton(AF_INET6, "::1") */, sin6_scope_id=0}, 28) = 0"#,
            r#"bind(3, {sa_family=AF_INET6, sin6_port=htons(7901), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = 0"#,
        ),
        (
            r#"connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("\x31\x32\x37\x2e\x30\x2e\x30\x2e\x31")}, 16) = 0"#,
            r#"connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0"#,
        ),
        (
            r#"sendto(4, "\x68\xc3\xa9\x6c\x6c\x6f\x0a\x01\x31\x22\x5c", 11, 0x4000, NULL, 0) = 11"#,
            r#"sendto(4, "h\303\251llo\n\0011\"\\", 11, MSG_NOSIGNAL, NULL, 0) = 11"#,
        ),
        ("shutdown(5, 0x1) = 0", "shutdown(5, SHUT_WR) = 0"),
        ("shutdown(5, 0) = 0", "shutdown(5, SHUT_RD) = 0"),
        (
            "poll([{fd=6, events=0x5}], 1, 10) = 1 ([{fd=6, revents=0x4}])",
            "poll([{fd=6, events=POLLIN|POLLOUT}], 1, 10) = 1 ([{fd=6, revents=POLLOUT}])",
        ),
        (
            "poll([{fd=6, events=0x1 /* POLLIN */}], 1, 10) = 1 ([{fd=6, revents=0x1 /* POLLIN */}])",
            "poll([{fd=6, events=POLLIN}], 1, 10) = 1 ([{fd=6, revents=POLLIN}])",
        ),
        (
            "epoll_ctl(4, 0x1, 3, {events=0x80000001, data={u32=3, u64=3}}) = 0",
            "epoll_ctl(4, EPOLL_CTL_ADD, 3, {events=EPOLLIN|EPOLLET, data={u32=3, u64=3}}) = 0",
        ),
        (
            "accept4(3, NULL, NULL, 0x80800) = 5",
            "accept4(3, NULL, NULL, SOCK_CLOEXEC|SOCK_NONBLOCK) = 5",
        ),
        (
            "fcntl(4, 0x4, 0x802) = 0",
            "fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0",
        ),
        ("fcntl(4, 0, 10) = 10", "fcntl(4, F_DUPFD, 10) = 10"),
        (
            "fcntl(4, 0x1) = 0x1 (flags 0x1)",
            "fcntl(4, F_GETFD) = 0x1 (flags FD_CLOEXEC)",
        ),
        (
            "clone(child_stack=NULL, flags=0x1200000|17, child_tidptr=0x7f) = 9",
            "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f) = 9",
        ),
        (
            "clone(child_stack=NULL, flags=0x1200000 /* CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID */|17 /* SIGCHLD */, child_tidptr=0x7f) = 9",
            "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f) = 9",
        ),
        (
            "wait4(9, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0x1, NULL) = 9",
            "wait4(9, [{WIFEXITED(s) && WEXITSTATUS(s) == 0}], WNOHANG, NULL) = 9",
        ),
        ("kill(9, 15) = 0", "kill(9, SIGTERM) = 0"),
        (
            r#"openat(-100, "/etc/passwd", 0x80000) = 3"#,
            r#"openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3"#,
        ),
        (
            r#"bind(sockfd=3, addr={sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("127.0.0.1")}, addrlen=16) = 0"#,
            r#"bind(3, {sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("127.0.0.1")}, 16) = 0"#,
        ),
        (
            "clone3(cl_args={flags=CLONE_VM|CLONE_FILES, exit_signal=0}, size=88) = 7",
            "clone3({flags=CLONE_VM|CLONE_FILES, exit_signal=0}, 88) = 7",
        ),
        // Annotations of numbers are not part of them.
        (
            "poll([{fd=6<TCPv6:[[::1]:3->[::1]:5]>, events=POLLIN}], 1, 10) = 0 (Timeout)",
            "poll([{fd=6, events=POLLIN}], 1, 10) = 0 (Timeout)",
        ),
        (
            "pselect6(7, [6<TCP:[1.1.1.1:1->2.2.2.2:2]> 9<pipe:[7]>], NULL, NULL, NULL, NULL) = 1 (in [6<TCP:[1.1.1.1:1->2.2.2.2:2]>])",
            "pselect6(7, [6 9], NULL, NULL, NULL, NULL) = 1 (in [6])",
        ),
        (
            r#"openat(AT_FDCWD</tmp/a b>, "x", O_RDONLY) = 5</tmp/a b/x>(deleted)"#,
            r#"openat(AT_FDCWD, "x", O_RDONLY) = 5"#,
        ),
        ("fork() = 102<fork>", "fork() = 102"),
        ("kill(31<python3>, SIGTERM) = 0", "kill(31, SIGTERM) = 0"),
        ("pidfd_open(7, 0) = 4<pid:7<a>>", "pidfd_open(7, 0) = 4"),
        ("fork() = 2 /* 1002 in strace's PID NS */", "fork() = 1002"),
        (
            "recvfrom(3 [system_u:system_r:t:s0], NULL, 0, 0, NULL, NULL) = 0",
            "recvfrom(3, NULL, 0, 0, NULL, NULL) = 0",
        ),
        ("<... unreadable", "?<... unreadable"),
        // Others stay unchanged.
        (
            "setsockopt(3, SOL_TCP, 0x63 /* TCP_??? */, [1], 4) = 0",
            "setsockopt(3, SOL_TCP, 0x63 /* TCP_??? */, [1], 4) = 0",
        ),
        (
            "execve(0x7ffe, [], 0x7ffc /* 1 var */) = 0",
            "execve(0x7ffe, [], 0x7ffc /* 1 var */) = 0",
        ),
        (
            "restart_syscall(<... resuming interrupted read ...>) = 1",
            "restart_syscall(<... resuming interrupted read ...>) = 1",
        ),
        (
            "accept(3, NULL, 0x3e8 <unfinished ...>) = ?",
            "accept(3, NULL, 0x3e8) = ?",
        ),
    ] {
        assert_eq!(short(written), [format!("- {usual}")], "{written}");
    }
}

#[test]
fn what_strace_says_of_descriptors_is_kept_with_its_place() {
    let call = call(
        "accept(3<TCP:[127.0.0.1:7901]>, NULL, NULL) = 4<TCP:[127.0.0.1:7901->127.0.0.1:36344]>",
    );
    assert_eq!(call.annotation(Some(0)), Some("TCP:[127.0.0.1:7901]"));
    assert_eq!(call.annotation(Some(1)), None);
    assert_eq!(
        call.annotation(None),
        Some("TCP:[127.0.0.1:7901->127.0.0.1:36344]")
    );
    let pair = super::tests::call(
        "socketpair(AF_UNIX, SOCK_STREAM, 0, [7<UNIX:[1->2]>, 8<UNIX:[2->1]>]) = 0",
    );
    let said: Vec<_> = pair
        .annotations
        .iter()
        .map(|said| (said.arg, said.number.as_str(), said.text.as_str()))
        .collect();
    assert_eq!(
        said,
        [(Some(3), "7", "UNIX:[1->2]"), (Some(3), "8", "UNIX:[2->1]")]
    );
}

#[test]
fn an_interrupted_call_is_put_together_again() {
    let text = r#"7 1795267737.5 accept(3,  <unfinished ...>
8 1795267738.6 write(1, "<unfinished ...>", 16 <unfinished ...>
7 1795267739.5 <... accept resumed>{sa_family=AF_INET}, [16]) = 4 <2.000000000>
8 1795267739.6 <... write resumed>) = 16
9 1795267739.7 recvfrom(sockfd=4, buf= <unfinished ...>
9 1795267739.8 <... recvfrom resumed>"x", len=1, flags=0, src_addr=NULL, addrlen=NULL) = 1"#;
    assert_eq!(
        short(text),
        [
            "7 accept(3, {sa_family=AF_INET}, [16]) = 4",
            r#"8 write(1, "<unfinished ...>", 16) = 16"#,
            r#"9 recvfrom(4, "x", 1, 0, NULL, NULL) = 1"#,
        ]
    );
    assert_eq!(entries(text)[0].start, Some(1_795_267_737_500_000_000));
}

#[test]
fn what_has_no_beginning_or_no_end_is_shown_with_what_there_is() {
    for (text, expected) in [
        ("7 <... accept resumed>) = 4", "7 accept(...) = 4"),
        (
            r#"7 <... recvfrom resumed>"hi", 9, 0, NULL, NULL) = 2"#,
            r#"7 recvfrom(..., "hi", 9, 0, NULL, NULL) = 2"#,
        ),
        (
            "7 <... clone resumed>, child_tidptr=0x7f) = 9",
            "7 clone(..., child_tidptr=0x7f) = 9",
        ),
        (
            "7 accept(3, NULL, NULL <detached ...>",
            "7 accept(3, NULL, NULL) = ? <detached ...>",
        ),
        (
            "7 accept(3, NULL, NULL <unfinished ...>",
            "7 accept(3, NULL, NULL) = ? <unfinished ...>",
        ),
        (
            "7 accept(3, NULL, NU",
            "7 accept(3, NULL, NU) = ? <unfinished ...>",
        ),
    ] {
        assert_eq!(short(text), [expected], "{text}");
    }
    assert_eq!(short("7 ???( <detached ...>"), [""; 0]);
}

#[test]
fn signals_and_ends_are_no_calls_and_the_unknown_stays_as_it_is() {
    let text = "9 --- SIGTERM {si_signo=SIGTERM} ---
9 --- stopped by SIGSTOP ---
9 1795267737.5 +++ exited with 0 +++
+++ killed by SIGKILL (core dumped) +++
what(
close(3) =
(3) = 0
";
    assert_eq!(
        short(text),
        [
            "9 -SIGTERM {si_signo=SIGTERM}",
            "9 -stopped by SIGSTOP",
            "9 +exited with 0",
            "- +killed by SIGKILL (core dumped)",
            "- ?what(",
            "- ?close(3) =",
            "- ?(3) = 0",
        ]
    );
}

#[test]
fn tables_dumps_and_straces_own_words_are_no_entries() {
    let text = r#"strace: Process 7 attached
[ Process PID=7 runs in 32 bit mode. ]
7 recvfrom(4, "hello", 4096, 0, NULL, NULL) = 5
 | 00000  68 65 6c 6c 6f                                    hello            |
7 writev(4, [{iov_base="a", iov_len=1}, {iov_base="b", iov_len=1}], 2) = 2
 * 1 bytes in buffer 0
 | 00000  61                                                a                |
 * 1 bytes in buffer 1
 | 00000  62                                                b                |
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 69.73    0.000182         182         1           sendto
 30.27    0.000055          27         2         1 accept
------ ----------- ----------- --------- --------- ----------------
100.00    0.000261          26        10         1 total
7 close(4) = 0"#;
    let names: Vec<String> = short(text)
        .iter()
        .map(|line| line.split('(').next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["7 recvfrom", "7 writev", "7 close"]);
}

#[test]
fn a_stack_belongs_to_the_call_before_it() {
    let text = "7 accept(3, NULL, NULL) = 4
 > /lib/libc.so.6(accept+0x10) [0x33770]
 > /home/student/server(main+0x22) [0x17fe] server.c:12
7 close(4) = 0
";
    let [
        Entry {
            what: What::Call(accept),
            ..
        },
        Entry {
            what: What::Call(close),
            ..
        },
    ] = &entries(text)[..]
    else {
        panic!("two calls")
    };
    assert_eq!(
        accept.stack,
        [
            "/lib/libc.so.6(accept+0x10) [0x33770]",
            "/home/student/server(main+0x22) [0x17fe] server.c:12"
        ]
    );
    assert!(close.stack.is_empty());
}

#[test]
fn lines_come_quoted_coloured_set_in_and_with_carriage_returns() {
    for line in [
        "> 7 close(3) = 0",
        ">> > 7 close(3) = 0",
        "    7 close(3)        = 0",
        "\t7 close(3) = 0\r",
        "\u{feff}7 close(3) = 0",
        "7 \x1b[01;31m\x1b[Kclose\x1b[m\x1b[K(3) = 0",
        "7 \x1b[33mclose\x1b[0m(\x1b[35m3\x1b[0m) = \x1b[32m0\x1b[0m",
    ] {
        let mut entries = Vec::new();
        Reader::default().take(line.as_bytes(), &mut entries);
        assert_eq!(entries.len(), 1, "{line:?}");
        assert_eq!(entries[0].pid, Some(7), "{line:?}");
        assert!(
            matches!(&entries[0].what, What::Call(call) if call.name == "close" && call.args == ["3"] && call.result == "0"),
            "{line:?}: {entries:?}"
        );
    }
    let quoted = entries("> 7 close(3) = 0\n>  > /lib/x(y+0x1) [0x2]\n");
    let [
        Entry {
            what: What::Call(close),
            ..
        },
    ] = &quoted[..]
    else {
        panic!("{quoted:?}")
    };
    assert_eq!(close.stack, ["/lib/x(y+0x1) [0x2]"]);
}

#[test]
fn lines_that_other_words_have_torn_are_mended() {
    for (text, expected) in [
        (
            "clone(child_stack=NULL, flags=SIGCHLDstrace: Process 101 attached
, child_tidptr=0x1) = 101
[pid 102] close(4) = 0
[pid 101] close(3) = 0",
            &[
                "- clone(child_stack=NULL, flags=SIGCHLD, child_tidptr=0x1) = 101",
                "- close(4) = 0",
                "101 close(3) = 0",
            ][..],
        ),
        (
            "clone(child_stack=NULL, flags=SIGCHLD/usr/bin/strace: Process 101 attached
 <unfinished ...>
[pid 101] close(3 <unfinished ...>
[pid 102] <... clone resumed>, child_tidptr=0x1) = 101
[pid 101] <... close resumed>) = 0",
            &[
                "- clone(child_stack=NULL, flags=SIGCHLD, child_tidptr=0x1) = 101",
                "101 close(3) = 0",
            ],
        ),
        (
            "accept(3, strace: Process 5 attached
strace: Process 6 attached
{sa_family=AF_UNSPEC}, [2]) = 4",
            &["- accept(3, {sa_family=AF_UNSPEC}, [2]) = 4"],
        ),
        (
            "write(2, \"got 5 bytes\\n\", 12got 5 bytes\n) = 12",
            &[r#"- write(2, "got 5 bytes\n", 12) = 12"#],
        ),
        (
            "write(2, \"5 :)\\n\", 55 :)\n)          = 5",
            &[r#"- write(2, "5 :)\n", 5) = 5"#],
        ),
        (
            "write(1, \"a\\nb\\n\", 4a\nb\n) = 4",
            &[r#"- write(1, "a\nb\n", 4) = 4"#],
        ),
        (
            "write(1, \"Word? \", 6Word? )          = 6",
            &[r#"- write(1, "Word? ", 6) = 6"#],
        ),
        (
            "write(1, \"15 is more\", 10) = 10",
            &[r#"- write(1, "15 is more", 10) = 10"#],
        ),
        (
            "writev(2, [{iov_base=\"ab\", iov_len=2}, {iov_base=\"\\n\", iov_len=1}], 2ab\n) = 3",
            &[r#"- writev(2, [{iov_base="ab", iov_len=2}, {iov_base="\n", iov_len=1}], 2) = 3"#],
        ),
        (
            "write(2, \"re\\303\\247u\\n\", 6re\u{e7}u\n) = 6",
            &[r#"- write(2, "re\303\247u\n", 6) = 6"#],
        ),
        (
            "[pid 8] write(1, \"x y\\n\", 4 <unfinished ...>\nx y\n[pid 8] <... write resumed>) = 4",
            &[r#"8 write(1, "x y\n", 4) = 4"#],
        ),
        (
            "poll([{fd=3, events=POLLIN}], 1, -1a client's words\n) = 1 ([{fd=3, revents=POLLIN}])\nclose(3) = 0",
            &[
                "- ?a client's words",
                "- poll([{fd=3, events=POLLIN}], 1, -1) = 1 ([{fd=3, revents=POLLIN}])",
                "- close(3) = 0",
            ],
        ),
    ] {
        assert_eq!(short(text), expected, "{text}");
    }
}

#[test]
fn a_task_without_a_number_is_one_task_whenever_it_has_one() {
    // The first task has no number until there are two; later the last one left has none.
    let text = "socket(AF_INET, SOCK_STREAM, 0) = 3
fork() = 7
[pid 5] close(3) = 0
[pid 7] close(3) = 0
[pid 5] exit_group(0) = ?
[pid 5] +++ exited with 0 +++
accept(3, NULL, NULL) = 4
+++ exited with 0 +++";
    let pids: Vec<Option<u32>> = entries(text).iter().map(|entry| entry.pid).collect();
    let (first, child) = (None, Some(7));
    assert_eq!(
        pids,
        [first, first, first, child, first, first, child, child]
    );
    let attached = "strace: Process 9 attached
accept(3, NULL, NULL) = 4
fork() = 10
[pid 9] close(4) = 0
[pid 10] close(3) = 0";
    let pids: Vec<Option<u32>> = entries(attached).iter().map(|entry| entry.pid).collect();
    assert_eq!(pids, [None, None, None, Some(10)]);
}

#[test]
fn a_thread_that_executes_goes_on_under_its_process() {
    let text = "7 futex(0x1, FUTEX_WAIT <unfinished ...>
8 execve(\"/bin/true\", [\"true\"], 0x1 /* 1 var */ <unfinished ...>
7 +++ superseded by execve in pid 8 +++
7 <... execve resumed>) = 0
7 +++ exited with 0 +++";
    assert_eq!(
        short(text),
        [
            "7 execve(\"/bin/true\", [\"true\"], 0x1 /* 1 var */) = 0",
            "7 +exited with 0"
        ]
    );
}

#[test]
fn nothing_that_acts_on_a_terminal_leaves_a_recording() {
    for line in [
        "7 socket(AF_INET\x1b]0;a title\x07\x1b[31m, SOCK_STREAM, 0) = 3",
        "7 listen(3, 5\x1b[2J) = 0 \x1b[2J",
        "7 sendto(4, \"hello\", 5, MSG_NOSIGNAL\x7f\x08, NULL, 0) = 5",
        "7 --- SIGTERM\x1b[7m {si_signo=SIGTERM} ---",
        "7 +++ exited\x1b[7m with 0 +++",
        "7 close\x1b(3) = 0",
        "\u{9b}31m \u{202e}",
        "7 close(3<a\x1b>) = 0<\x1b>",
        " > /bin/x\x1b(y) [0x1]",
    ] {
        let text = format!("7 close(1) = 0\n{line}\n");
        let all = format!("{:?}", entries(&text)).replace("\\\\", "");
        for act in ["\\u{", "\u{1b}", "\u{7f}", "\u{202e}"] {
            assert!(!all.contains(act), "{line:?}: {all}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_read_as_they_are() {
    let mut entries = Vec::new();
    let mut reader = Reader::default();
    reader.take(
        b"7 sendto(4, \"a\xffb\xc3\xa9\", 4, 0, NULL, 0) = 4",
        &mut entries,
    );
    let [
        Entry {
            what: What::Call(call),
            ..
        },
    ] = &entries[..]
    else {
        panic!("{entries:?}")
    };
    assert_eq!(
        bytes(&call.args[1]),
        Some((b"a\xffb\xc3\xa9".to_vec(), false))
    );
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
        for most in 0..expected.len() + 2 {
            let first = expected[..most.min(expected.len())].to_vec();
            let cut = cut || most < expected.len();
            assert_eq!(first_bytes(quoted, most), Some((first, cut)), "{quoted}");
        }
    }
    for not_bytes in ["NULL", "0x7ffd", "[16]", "", "\"", "\"a\"b"] {
        assert_eq!(bytes(not_bytes), None, "{not_bytes}");
    }
}
