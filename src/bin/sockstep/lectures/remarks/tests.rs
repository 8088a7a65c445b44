use crate::lectures::words;
use crate::strace::recording::Trace;
use crate::world::World;
use crate::world::tasks::Sides;

use super::{Remark, Remarks};

/// The remarks on a recording, each by its word for `explain`.
fn remarks(text: &str) -> Vec<Remark> {
    let mut trace = Trace::default();
    let mut entries = trace.take(text.as_bytes());
    entries.extend(trace.end());
    let mut sides = Sides::default();
    for entry in &entries {
        sides.take(entry);
    }
    let sides = sides.sides();
    let mut world = World::default();
    for entry in entries {
        world.take(0, sides[&entry.pid], entry);
    }
    let mut remarks = Remarks::default();
    let mut all = Vec::new();
    while let Some(event) = world.next(u64::MAX) {
        all.extend(remarks.on(&world, &event));
    }
    for remark in &all {
        let known = words::calls()
            .chain(words::others())
            .any(|section| section.names().any(|name| name == remark.explain));
        assert!(known, "explain has no {}", remark.explain);
    }
    all
}

fn words_of(text: &str) -> Vec<&'static str> {
    remarks(text)
        .into_iter()
        .map(|remark| remark.explain)
        .collect()
}

const SOCKET: &str = "7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n";

fn with(text: &str) -> Vec<&'static str> {
    words_of(&(SOCKET.to_owned() + text))
}

#[test]
fn a_second_close_and_the_wrong_one() {
    let twice = "7 listen(3, 5) = 0\n7 accept(3, NULL, NULL) = 4\n7 close(4) = 0\n7 close(4) = -1 EBADF (Bad file descriptor)\n";
    assert_eq!(with(twice), ["double close"]);
    let wrong = "7 listen(3, 5) = 0\n7 close(3) = 0\n7 accept(3, NULL, NULL) = -1 EBADF (Bad file descriptor)\n7 accept(3, NULL, NULL) = -1 EBADF (Bad file descriptor)\n";
    assert_eq!(with(wrong), ["wrong socket closed"]);
    assert!(with("7 close(9) = -1 EBADF (Bad file descriptor)\n").is_empty());
}

#[test]
fn a_server_that_goes_into_the_background_before_it_listens() {
    let starts = "7 execve(\"./s\", [\"./s\"], 0x7ffd /* 0 vars */) = 0\n7 clone(child_stack=NULL, flags=SIGCHLD) = 8\n";
    let listens = "8 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3\n8 listen(3, 5) = 0\n";
    let ends = "7 +++ exited with 0 +++\n";
    assert_eq!(words_of(&[starts, ends, listens].concat()), ["daemon"]);
    assert!(words_of(&[starts, listens].concat()).is_empty());
}

#[test]
fn no_listen() {
    let bind = r#"7 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 accept(3, NULL, NULL) = -1 EINVAL (Invalid argument)
"#;
    assert_eq!(with(bind), ["listen"]);
    assert!(
        with("7 listen(3, 5) = 0\n7 accept(3, NULL, NULL) = -1 EINVAL (Invalid argument)\n")
            .is_empty()
    );
}

#[test]
fn no_htons_by_whom() {
    let run = |side: &str, port: u16, call: &str| {
        let text = format!(
            "7 execve(\"./{side}\", [\"./{side}\", \"7801\"], 0x7ffd /* 1 var */) = 0\n{SOCKET}7 {call}(3, {{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr(\"127.0.0.1\")}}, 16) = 0\n"
        );
        remarks(
            &(text
                + if call == "bind" {
                    "7 listen(3, 5) = 0\n"
                } else {
                    ""
                }),
        )
    };
    let server = run("server", 7801u16.swap_bytes(), "bind");
    assert!(
        server[0]
            .words
            .ends_with("the server has forgotten htons()"),
        "{server:?}"
    );
    let client = run("client", 7801u16.swap_bytes(), "connect");
    assert!(
        client[0]
            .words
            .ends_with("the client has forgotten htons()"),
        "{client:?}"
    );
    assert!(run("server", 7801, "bind").is_empty() && run("client", 4000, "connect").is_empty());
}

#[test]
fn no_server_listens_where_the_client_asks() {
    let both = |at: &str, port: u16| {
        words_of(&format!(
            r#"7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
7 bind(3, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.2")}}, 16) = 0
7 listen(3, 5) = 0
9 execve("./client", ["./client"], 0x7ffd /* 1 var */) = 0
9 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
9 connect(3, {{sa_family=AF_INET, sin_port=htons({port}), sin_addr=inet_addr("{at}")}}, 16) = -1 ECONNREFUSED (Connection refused)
"#
        ))
    };
    assert_eq!(both("127.0.0.1", 80), ["ECONNREFUSED"]);
    assert_eq!(both("127.0.0.1", 20480), ["htons"]);
    assert!(both("127.0.0.2", 80).is_empty());
}

#[test]
fn lengths_that_are_a_pointers() {
    let bind = |length: u8, error: &str| {
        with(&format!(
            "7 bind(3, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"127.0.0.1\")}}, {length}) = -1 {error}\n"
        ))
    };
    assert_eq!(bind(8, "EINVAL (Invalid argument)"), ["address length"]);
    assert!(bind(16, "EINVAL (Invalid argument)").is_empty());
    let send = |bytes: &str, length: u8| {
        with(&format!(
            "7 sendto(3, \"{bytes}\", {length}, 0, NULL, 0) = {length}\n"
        ))
    };
    assert_eq!(send(r"hello\0", 6), ["NUL"]);
    assert_eq!(send(r"hello\0\1x", 8), ["sizeof"]);
    assert!(send("hello", 5).is_empty() && send(r"\1\0\0\0\5\0\0\0", 8).is_empty());
}

#[test]
fn a_loop_that_takes_0_for_a_message() {
    let zero = "7 recvfrom(4, \"\", 99, 0, NULL, NULL) = 0\n";
    let served = "7 listen(3, 5) = 0\n7 accept(3, NULL, NULL) = 4\n";
    assert_eq!(with(&(served.to_owned() + &zero.repeat(9))), ["recv 0"]);
    assert!(with(&(served.to_owned() + &zero.repeat(2))).is_empty());
}

/// At the close, and not again at the process's end.
#[test]
fn messages_that_were_never_received() {
    let sends = r#"9 execve("./client", ["./client"], 0x7ffd /* 1 var */) = 0
9 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
9 sendto(3, "hello", 5, 0, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 5
"#;
    let bound = r#"7 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
7 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
"#;
    for close in ["", "7 close(3) = 0\n"] {
        let text = format!("{bound}{sends}{close}7 +++ exited with 0 +++\n");
        assert_eq!(words_of(&text), ["datagram"]);
    }
}

#[test]
fn an_answer_from_another_address() {
    let ask = |from: &str| {
        words_of(&format!(
            r#"9 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
9 sendto(3, "hello", 5, 0, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.2")}}, 16) = 5
9 recvfrom(3, "hello", 99, 0, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("{from}")}}, [16]) = 5
"#
        ))
    };
    assert_eq!(ask("127.0.0.1"), ["answered from another address"]);
    assert!(ask("127.0.0.2").is_empty());
}

const LOCAL: &str = r#"{sa_family=AF_INET, sin_port=htons(7801), sin_addr=inet_addr("127.0.0.1")}"#;
const REFUSED: &str = "ECONNREFUSED (Connection refused)";
const SERVED: &str = "7 listen(3, 5) = 0\n7 accept(3, NULL, NULL) = 4\n";

/// The remark on a client that this server refuses; a server for connections listens afterwards at
/// the latest.
fn refused(server: &str, at: &str) -> Vec<Remark> {
    let then = match () {
        () if server.contains("listen") => "",
        () if server.contains("STREAM") => "7 listen(3, 5) = 0\n",
        () => "7 recvfrom(3, 0x7ffd20, 99, 0, NULL, NULL) = ? ERESTARTSYS\n",
    };
    remarks(&format!(
        r#"7 execve("./server", ["./server"], 0x7ffd /* 1 var */) = 0
{server}9 execve("./client", ["./client"], 0x7ffd /* 1 var */) = 0
9 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
9 connect(3, {{sa_family=AF_INET, sin_port=htons(7801), sin_addr=inet_addr("{at}")}}, 16) = -1 {REFUSED}
{then}"#
    ))
}

#[test]
fn why_a_server_is_not_where_the_client_asks() {
    let socket = |kind: &str| format!("7 socket(AF_INET, {kind}, IPPROTO_IP) = 3\n");
    let bind = format!("7 bind(3, {LOCAL}, 16) = 0\n");
    let listen = "7 listen(3, 5) = 0\n7 accept(3, NULL, NULL) = ? ERESTARTSYS\n";
    for (server, at, words) in [
        (
            socket("SOCK_STREAM") + listen,
            "127.0.0.1",
            "has not called bind()",
        ),
        (
            socket("SOCK_STREAM") + &bind + listen,
            "1.0.0.127",
            "htonl() is missing",
        ),
        (
            socket("SOCK_STREAM") + &bind,
            "127.0.0.1",
            "has not called listen()",
        ),
        (socket("SOCK_DGRAM") + &bind, "127.0.0.1", "is of UDP"),
    ] {
        let found = refused(&server, at);
        assert!(
            found.len() == 1 && found[0].words.contains(words),
            "{server}{found:?}"
        );
    }
    assert!(refused(&(socket("SOCK_STREAM") + &bind + listen), "127.0.0.1").is_empty());
    assert!(refused(&socket("SOCK_STREAM"), "127.0.0.1").is_empty());
}

#[test]
fn addresses_that_a_socket_cannot_have() {
    let bind = |address: &str, error: &str| {
        let address = format!("{{sa_family=AF_INET, {address}\")}}");
        with(&format!(
            "7 bind(3, {address}, 16) = -1 {error} (it is so)\n"
        ))
    };
    let none = r#"sin_port=htons(7801), sin_addr=inet_addr("192.0.2.1"#;
    let turned = r#"sin_port=htons(7801), sin_addr=inet_addr("1.0.0.127"#;
    let low = r#"sin_port=htons(80), sin_addr=inet_addr("0.0.0.0"#;
    assert_eq!(bind(none, "EADDRNOTAVAIL"), ["EADDRNOTAVAIL"]);
    assert_eq!(bind(turned, "EADDRNOTAVAIL"), ["byte order"]);
    assert_eq!(bind(low, "EACCES"), ["EACCES"]);
    assert!(bind(none, "EACCES").is_empty() && bind(low, "EADDRINUSE").is_empty());
    let other = r#"7 bind(3, {sa_family=AF_INET6, sa_data="\36y\0\0\0\0"}, 16) = -1 EAFNOSUPPORT (Address family not supported by protocol)
"#;
    assert_eq!(with(other), ["address family"]);
    let unset = r#"7 connect(3, {sa_family=AF_UNSPEC, sa_data="\36y\177\0\0\1"}, 16) = 0
"#;
    assert_eq!(with(unset), ["address family"]);
    let ends = format!(
        "7 connect(3, {LOCAL}, 16) = 0\n7 sendto(3, \"hello\", 5, 0, NULL, 0) = 5\n{unset}"
    );
    assert!(with(&ends).is_empty());
}

#[test]
fn lengths_of_addresses() {
    for (call, known) in [
        ("bind(3, 0x7ffd10, 0) = -1 EINVAL (Invalid argument)", true),
        (
            "connect(3, 0x7ffd10, 0) = -1 EINVAL (Invalid argument)",
            true,
        ),
        ("bind(3, 0x7ffd10, 16) = -1 EFAULT (Bad address)", false),
        ("accept(3, 0x7ffd10, [0 => 16]) = 4", true),
        ("accept(3, NULL, NULL) = 4", false),
        (
            "recvfrom(3, 0x7ffd20, 99, 0, 0x7ffd10, [-1]) = -1 EINVAL (Invalid argument)",
            true,
        ),
        ("recvfrom(3, \"hello\", 99, 0, NULL, NULL) = 5", false),
        ("getsockname(3, 0x7ffd10, [0 => 16]) = 0", true),
    ] {
        let words = with(&format!("7 {call}\n"));
        assert_eq!(words == ["address length"], known, "{call}: {words:?}");
    }
}

#[test]
fn the_wrong_socket_for_a_call() {
    let refuses = |call: &str, error: &str| format!("7 {call} = -1 {error} (it is so)\n");
    let send = |on: u8| format!("sendto({on}, \"hello\", 5, 0, NULL, 0)");
    let recv = |on: u8| format!("recvfrom({on}, 0x7ffd20, 99, 0, NULL, NULL)");
    let accept = |on: u8| format!("accept({on}, NULL, NULL)");
    assert_eq!(with(&refuses(&send(3), "EPIPE")), ["ENOTCONN"]);
    assert_eq!(with(&refuses(&recv(3), "ENOTCONN")), ["ENOTCONN"]);
    for call in [send(3), recv(3)] {
        let found = remarks(&format!("{SOCKET}{SERVED}{}", refuses(&call, "ENOTCONN")));
        assert!(found[0].words.contains("the listening socket"), "{found:?}");
    }
    let accepts = SERVED.to_owned() + &refuses(&accept(4), "EINVAL");
    assert_eq!(with(&accepts), ["EINVAL"]);
    let connects = format!("7 connect(3, {LOCAL}, 16) = 0\n");
    let again = refuses(&format!("connect(3, {LOCAL}, 16)"), "EISCONN");
    assert_eq!(with(&(connects.clone() + &again)), ["EISCONN"]);
    // How some programs check that a connect has succeeded.
    let begun = "7 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n";
    assert!(with(&(begun.to_owned() + &connects + &again)).is_empty());
    // The peer has closed: that is another kind of mistake.
    assert!(with(&(connects + &refuses(&send(3), "EPIPE"))).is_empty());
    let late = "7 close(3) = 0\n".to_owned() + &refuses(&recv(3), "EBADF");
    assert_eq!(with(&late), ["EBADF"]);
    assert!(with(&refuses(&recv(9), "EBADF")).is_empty());
    assert_eq!(
        with(&refuses(&format!("bind(0, {LOCAL}, 16)"), "ENOTSOCK")),
        ["ENOTSOCK"]
    );
    // A check whether an inherited descriptor is a socket.
    assert!(with(&refuses("getsockname(0, 0x7ffd10, [16])", "ENOTSOCK")).is_empty());
}

#[test]
fn datagrams_are_not_connections() {
    let udp = |text: &str| {
        words_of(&format!(
            "7 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3\n7 {text} (it is so)\n"
        ))
    };
    assert_eq!(udp("listen(3, 5) = -1 EOPNOTSUPP"), ["EOPNOTSUPP"]);
    assert_eq!(udp("accept(3, NULL, NULL) = -1 EOPNOTSUPP"), ["EOPNOTSUPP"]);
    assert_eq!(
        udp("sendto(3, \"hello\", 5, 0, NULL, 0) = -1 EDESTADDRREQ"),
        ["EDESTADDRREQ"]
    );
    let long = |length: u32| {
        udp(&format!(
            "sendto(3, \"a\"..., {length}, 0, {LOCAL}, 16) = -1 EMSGSIZE"
        ))
    };
    assert_eq!(long(65508), ["EMSGSIZE"]);
    // Perhaps the limit of a link.
    assert!(long(9000).is_empty());
}

#[test]
fn more_is_sent_than_was_received() {
    let echo = |received: &[&str], sent: &str, length: u8| {
        let received: Vec<String> = received
            .iter()
            .map(|word| {
                let length = word.len();
                format!("7 recvfrom(4, \"{word}\", 16, 0, NULL, NULL) = {length}\n")
            })
            .collect();
        let received = received.concat();
        with(&format!(
            "{SERVED}{received}7 sendto(4, \"{sent}\", {length}, 0, NULL, 0) = {length}\n"
        ))
    };
    let zeros = format!("hello{}", r"\0".repeat(11));
    assert_eq!(echo(&["hello"], &zeros, 16), ["more than received"]);
    assert_eq!(
        echo(&["good morning", "hello"], "hellomorning", 12),
        ["more than received"]
    );
    assert!(echo(&["hello"], "hello", 5).is_empty());
    assert!(echo(&["hello"], "hello, world", 12).is_empty());
    // A newline that the program adds itself.
    assert!(echo(&["aloha!!", "hello"], "hello!", 6).is_empty());
    // A record of its own size.
    let record = format!("hello{}", r"\0".repeat(7));
    assert!(echo(&["hello"], &record, 12).is_empty());
}

#[test]
fn children_and_their_connections() {
    let serve = "8 recvfrom(4, \"hello\", 99, 0, NULL, NULL) = 5\n8 sendto(4, \"hello\", 5, 0, NULL, 0) = 5\n";
    let fork = "7 clone(child_stack=NULL, flags=SIGCHLD) = 8\n";
    let end = "8 close(4) = 0\n8 +++ exited with 0 +++\n";
    let next = "7 accept(3, NULL, NULL) = 5\n";
    let left = format!("{SERVED}{fork}{serve}{end}{next}");
    assert_eq!(with(&left), ["fork"]);
    let closed = format!("{SERVED}{fork}7 close(4) = 0\n{serve}{end}{next}");
    assert!(with(&closed).is_empty());
    // The child still serves.
    assert!(with(&format!("{SERVED}{fork}{serve}{next}")).is_empty());
    let goes_on = format!(
        "{SERVED}{fork}7 close(4) = 0\n{serve}8 close(4) = 0\n8 accept(3, NULL, NULL) = 4\n"
    );
    assert_eq!(with(&goes_on), ["fork"]);
    // Processes made beforehand.
    let prefork = format!(
        "7 listen(3, 5) = 0\n{fork}8 accept(3, NULL, NULL) = 4\n{serve}8 close(4) = 0\n8 accept(3, NULL, NULL) = 4\n"
    );
    assert!(with(&prefork).is_empty());
}

#[test]
fn waits_that_are_none() {
    let nothing = "7 recvfrom(4, 0x7ffd20, 99, MSG_DONTWAIT, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)\n";
    assert_eq!(
        with(&(SERVED.to_owned() + &nothing.repeat(300))),
        ["EAGAIN"]
    );
    let between = nothing.to_owned() + "7 poll([{fd=4, events=POLLIN}], 1, 100) = 0 (Timeout)\n";
    assert!(with(&(SERVED.to_owned() + &between.repeat(300))).is_empty());
    assert_eq!(
        with("7 select(1101, [1100], NULL, NULL, NULL) = 1 (in [1100])\n"),
        ["FD_SETSIZE"]
    );
    assert!(with("7 select(1024, [3 1023], NULL, NULL, NULL) = 1 (in [3])\n").is_empty());
}

#[test]
fn what_a_sigpipe_came_of() {
    let killed = "7 +++ killed by SIGPIPE +++\n";
    let end = |text: &str| {
        let found = remarks(&format!("{SOCKET}{text}{killed}"));
        found
            .last()
            .map(|remark| remark.words.clone())
            .unwrap_or_default()
    };
    let pipe = "7 sendto(3, \"hello\", 5, 0, NULL, 0) = -1 EPIPE (Broken pipe)\n";
    assert!(end(pipe).contains("not connected"));
    assert!(end(&format!("7 listen(3, 5) = 0\n{pipe}")).contains("listening socket"));
    let connected = format!("7 connect(3, {LOCAL}, 16) = 0\n");
    assert!(end(&(connected + pipe)).contains("closed connection"));
}

#[test]
fn what_only_looks_like_a_fault() {
    // A part of a message that repeats itself begins like the message.
    let parts = r#"7 recvfrom(4, "xxxxxx", 16, 0, NULL, NULL) = 6
7 recvfrom(4, "xxxx", 16, 0, NULL, NULL) = 4
7 sendto(4, "xxxxxxxxxx", 10, 0, NULL, 0) = 10
"#;
    assert!(with(&format!("{SERVED}{parts}")).is_empty());
    // A number of eight bytes, and an echo of its client's fault.
    let number = r#"7 sendto(4, "90\0\0\0\0\0\0", 8, 0, NULL, 0) = 8"#;
    assert!(with(&format!("{SERVED}{number}\n")).is_empty());
    let echo = r#"7 recvfrom(4, "hello\0", 99, 0, NULL, NULL) = 6
7 sendto(4, "hello\0", 6, 0, NULL, 0) = 6
"#;
    assert!(with(&format!("{SERVED}{echo}")).is_empty());
    let own = "7 shutdown(4, SHUT_RD) = 0\n".to_owned()
        + &"7 recvfrom(4, \"\", 99, 0, NULL, NULL) = 0\n".repeat(9);
    assert!(with(&format!("{SERVED}{own}")).is_empty());
    let all = r"7 close(4) = 0
7 poll(NULL, 0, 1) = 0 (Timeout)
7 close(3) = 0
7 close(4) = -1 EBADF (Bad file descriptor)
7 close(5) = -1 EBADF (Bad file descriptor)
";
    assert!(with(&format!("{SERVED}{all}")).is_empty());
    // getdtablesize() for the highest descriptor.
    assert!(with("7 select(20000, [3], NULL, NULL, NULL) = 1 (in [3])\n").is_empty());
}

/// A server of FTP: the child of a client listens for its second connection.
#[test]
fn a_child_may_listen_itself() {
    let child = "7 clone(child_stack=NULL, flags=SIGCHLD) = 8\n7 close(4) = 0\n8 recvfrom(4, \"PASV\", 99, 0, NULL, NULL) = 4\n8 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 5\n8 listen(5, 1) = 0\n8 accept(5, NULL, NULL) = 6\n";
    assert!(with(&format!("{SERVED}{child}")).is_empty());
}

/// The handler of SIGCHLD closes the connection, after accept was interrupted.
#[test]
fn a_handler_may_close_the_connection() {
    let run = |then: &str| {
        with(&format!(
            "{SERVED}7 1.0 clone(child_stack=NULL, flags=SIGCHLD) = 8 <0.1>\n8 1.2 recvfrom(4, \"hello\", 99, 0, NULL, NULL) = 5 <0.1>\n7 1.2 accept(3,  <unfinished ...>\n8 1.4 close(4) = 0 <0.1>\n8 1.6 +++ exited with 0 +++\n7 1.7 <... accept resumed>NULL, NULL) = ? ERESTARTSYS (To be restarted) <0.5>\n{then}"
        ))
    };
    let again = "7 2.0 accept(3, NULL, NULL) = ? ERESTARTSYS (To be restarted) <0.5>\n";
    assert!(run("").is_empty());
    assert!(run(&format!("7 1.8 close(4) = 0 <0.1>\n{again}")).is_empty());
    assert_eq!(run(again), ["fork"]);
}
