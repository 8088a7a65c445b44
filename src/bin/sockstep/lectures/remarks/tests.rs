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
fn nobody_listens_where_the_client_asks() {
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
fn messages_that_nobody_received() {
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
