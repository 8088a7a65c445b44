use super::events::{End, Event, Movement};
use super::sockets::State;
use super::tasks::Sides;
use super::*;
use crate::strace::line::What;
use crate::strace::recording::Trace;

/// The events of recordings with one source each.
fn happened(recordings: &[&str]) -> (World, Vec<Event>) {
    let mut world = World::default();
    for (source, text) in recordings.iter().enumerate() {
        let mut trace = Trace::default();
        let mut entries = trace.take(text.as_bytes());
        entries.extend(trace.end());
        let mut sides = Sides::default();
        for entry in &entries {
            sides.take(entry);
        }
        let sides = sides.sides();
        for entry in entries {
            assert!(!matches!(entry.what, What::Unknown(_)), "{entry:?}");
            world.take(source, sides[&entry.pid], entry);
        }
    }
    let mut events = Vec::new();
    while let Some(event) = world.next(u64::MAX) {
        events.push(event);
    }
    (world, events)
}

fn find<'a>(events: &'a [Event], name: &str, nth: usize) -> &'a Event {
    let called = |event: &&Event| event.call().is_some_and(|call| call.name == name);
    events
        .iter()
        .filter(called)
        .nth(nth)
        .unwrap_or_else(|| panic!("no {name} {nth}"))
}

fn order(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| match &event.what {
        What::Call(call) => format!("{} {}", event.side.name(), call.name),
        What::End(_) => format!("{} ends", event.side.name()),
        _ => String::new(),
    };
    events.iter().map(name).collect()
}

const SERVER: &str = r#"
7 1.0 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
7 1.1 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 1.2 listen(3, 5) = 0
7 1.3 accept(3, NULL, NULL) = 4 <1.0>
"#;
const CLIENT: &str = r#"
9 2.0 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
9 2.1 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
"#;

/// A thread's datagram socket has no cause to wait for, and its process's calls a second later do
/// not overtake it.
#[test]
fn what_waits_is_not_overtaken_by_what_comes_much_later() {
    let both = r#"
7 1.0 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
7 1.1 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 2.0 clone(child_stack=0x7f, flags=CLONE_VM|CLONE_FILES|CLONE_THREAD) = 10
10 2.1 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
10 2.2 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
10 2.3 recvfrom(3, "hello", 99, 0, NULL, NULL) = 5
7 4.0 +++ exited with 0 +++
"#;
    let (_, events) = happened(&[both]);
    assert_eq!(
        order(&events)[2..],
        [
            "server clone",
            "server socket",
            "server connect",
            "server recvfrom",
            "server ends"
        ]
    );
}

#[test]
fn no_effect_comes_before_its_cause_whatever_the_clocks_say() {
    // The server's clock is a second ahead.
    let server = SERVER.to_owned()
        + r#"7 1.40 recvfrom(4, "hello", 99, 0, NULL, NULL) = 5
7 1.41 sendto(4, "hello", 5, 0, NULL, 0) = 5
7 1.42 recvfrom(4, "", 99, 0, NULL, NULL) = 0
"#;
    let server = server.replace(" <1.0>", "");
    let client = CLIENT.to_owned()
        + r#"9 2.20 sendto(3, "hello", 5, 0, NULL, 0) = 5
9 2.21 recvfrom(3, "hello", 99, 0, NULL, NULL) = 5
9 2.22 close(3) = 0
"#;
    for recordings in [[&server[..], &client], [&client, &server]] {
        let (_, events) = happened(&recordings);
        let order = order(&events);
        let expected = [
            "server socket",
            "server bind",
            "server listen",
            "client socket",
            "client connect",
            "server accept",
            "client sendto",
            "server recvfrom",
            "server sendto",
            "client recvfrom",
            "client close",
            "server recvfrom",
        ];
        let at = |name: &str| order.iter().position(|it| it == name).unwrap();
        for pair in [
            ["server listen", "client connect"],
            ["client connect", "server accept"],
            ["client sendto", "server recvfrom"],
            ["server sendto", "client recvfrom"],
        ] {
            assert!(at(pair[0]) < at(pair[1]), "{order:?}");
        }
        assert_eq!(order.len(), expected.len());
        assert_eq!(order.last().unwrap(), "server recvfrom");
        for event in &events {
            assert!(event.causes.iter().all(|cause| *cause < event.id));
        }
    }
}

#[test]
fn a_receive_has_the_sends_of_its_bytes_as_causes_and_a_0_the_close() {
    let server = SERVER.to_owned()
        + r#"7 2.5 recvfrom(4, "abcde", 99, 0, NULL, NULL) = 5
7 2.6 recvfrom(4, "f", 99, 0, NULL, NULL) = 1
7 2.8 recvfrom(4, "", 99, 0, NULL, NULL) = 0
7 2.9 close(4) = 0
"#;
    let client = CLIENT.to_owned()
        + r#"9 2.2 sendto(3, "abc", 3, 0, NULL, 0) = 3
9 2.3 sendto(3, "def", 9, 0, NULL, 0) = 3
9 2.7 close(3) = 0
"#;
    let (world, events) = happened(&[&server, &client]);
    let [one, two] = [0, 1].map(|nth| find(&events, "sendto", nth));
    assert_eq!(find(&events, "recvfrom", 0).causes, [one.id, two.id]);
    assert_eq!(find(&events, "recvfrom", 1).causes, [two.id]);
    assert_eq!(
        two.moved[0].what,
        Movement::Sent {
            range: 3..6,
            asked: 9
        }
    );
    let close = events
        .iter()
        .find(|event| {
            event
                .moved
                .iter()
                .any(|it| it.what == Movement::Ended(End::Fin))
        })
        .unwrap();
    assert_eq!(close.side, Side::Client);
    let end = find(&events, "recvfrom", 2);
    assert_eq!(end.causes, [close.id]);
    assert_eq!(end.moved[0].what, Movement::MetEnd(End::Fin));
    let state = |event: &Event| world.socket(event.socket.unwrap()).unwrap().state;
    assert_eq!([state(end), state(close)], [State::Closed, State::TimeWait]);
}

#[test]
fn a_close_with_bytes_unread_is_a_reset_and_what_the_peer_gets() {
    let server = SERVER.to_owned()
        + r#"7 2.5 recvfrom(4, "he", 2, 0, NULL, NULL) = 2
7 2.6 close(4) = 0
"#;
    let client = CLIENT.to_owned()
        + r#"9 2.2 sendto(3, "hello", 5, 0, NULL, 0) = 5
9 2.3 recvfrom(3, 0x7ffd, 99, 0, NULL, NULL) = -1 ECONNRESET (Connection reset by peer)
"#;
    let (_, events) = happened(&[&server, &client]);
    let close = find(&events, "close", 0);
    let reset = End::Reset { unread: 3 };
    assert_eq!(close.moved[0].what, Movement::Ended(reset));
    let failed = find(&events, "recvfrom", 1);
    assert_eq!(failed.moved[0].what, Movement::MetEnd(reset));
    assert_eq!(failed.causes, [close.id]);
}

#[test]
fn a_receive_of_0_has_met_the_end_though_a_reset_has_followed_it() {
    let server = SERVER.to_owned() + "7 1.5 close(4) = 0\n";
    let client = CLIENT.to_owned()
        + r#"9 2.5 sendto(3, "late", 4, 0, NULL, 0) = 4
9 2.6 recvfrom(3, "", 99, 0, NULL, NULL) = 0
9 2.7 sendto(3, "more", 4, 0, NULL, 0) = -1 EPIPE (Broken pipe)
"#;
    let (_, events) = happened(&[&server, &client]);
    let close = find(&events, "close", 0);
    let [end, failed] = [find(&events, "recvfrom", 0), find(&events, "sendto", 1)];
    assert_eq!(end.moved[0].what, Movement::MetEnd(End::Fin));
    assert_eq!(
        failed.moved[0].what,
        Movement::MetEnd(End::Reset { unread: 0 })
    );
    assert_eq!([&end.causes, &failed.causes], [&[close.id], &[close.id]]);
}

#[test]
fn a_datagram_that_was_cut_knows_its_length() {
    let server = r#"7 1.0 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
7 1.1 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("0.0.0.0")}, 16) = 0
7 1.2 recvfrom(3, "he", 2, 0, {sa_family=AF_INET, sin_port=htons(4000), sin_addr=inet_addr("127.0.0.1")}, [16]) = 2 <1.0>
"#;
    let client = r#"9 1.5 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
9 1.6 sendto(3, "hello", 5, 0, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 5
"#;
    let (_, events) = happened(&[server, client]);
    let received = find(&events, "recvfrom", 0);
    assert!(matches!(
        received.moved[0].what,
        Movement::MessageReceived {
            length: 2,
            sent: Some(5),
            ..
        }
    ));
    assert_eq!(received.causes, [find(&events, "sendto", 0).id]);
}

#[test]
fn who_made_a_task_is_guessed_from_what_it_does_where_no_fork_is_recorded() {
    let child = r#"8 2.42 recvfrom(4, "x", 99, 0, NULL, NULL) = 1
8 2.43 close(4) = 0
"#;
    let again = "7 2.50 accept(3, NULL, NULL) = 4\n";
    for (parent, closes) in [("", 1), ("7 2.41 close(4) = 0\n", 2)] {
        let server = [SERVER, parent, child, again].concat();
        let (world, events) = happened(&[&server]);
        let received = find(&events, "recvfrom", 0);
        assert_eq!(world.task(received.task).thread, parent.is_empty());
        let ends = events
            .iter()
            .filter(|event| event.call().is_some_and(|call| call.name == "close"));
        let ends: Vec<bool> = ends.map(|event| !event.moved.is_empty()).collect();
        assert_eq!((ends.len(), ends.last()), (closes, Some(&true)), "{parent}");
        assert!(!ends[..closes - 1].contains(&true), "{parent}");
    }
}

#[test]
fn a_fork_copies_descriptors_a_thread_shares_them_and_exec_closes_some() {
    let server = SERVER.to_owned()
        + r#"7 2.40 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 8
7 2.41 close(4) = 0
8 2.42 fcntl(3, F_SETFD, FD_CLOEXEC) = 0
8 2.43 dup2(4, 1) = 1
8 2.44 close(4) = 0
8 2.45 execve("/bin/cat", ["cat"], 0x7ffd /* 0 vars */) = 0
8 2.46 write(1, "hello", 5) = 5
8 2.47 openat(AT_FDCWD, "/etc/motd", O_RDONLY) = 3
8 2.48 read(3, "motd", 99) = 4
8 2.49 +++ exited with 0 +++
7 2.50 clone3({flags=CLONE_VM|CLONE_FILES|CLONE_THREAD, exit_signal=0}, 88) = 10
10 2.51 close(3) = 0
7 2.52 accept(3, NULL, NULL) = -1 EBADF (Bad file descriptor)
"#;
    let (world, events) = happened(&[&server]);
    let listener = find(&events, "socket", 0).socket;
    let written = find(&events, "write", 0);
    assert!(
        matches!(written.moved[0].what, Movement::Sent { .. }),
        "{written:?}"
    );
    assert_eq!(written.socket, find(&events, "dup2", 0).socket);
    // Another process still has it: that is not the end. The last close is.
    assert!(find(&events, "close", 0).moved.is_empty());
    let ended = events
        .iter()
        .find(|event| matches!(event.what, What::End(_)))
        .unwrap();
    assert_eq!(ended.moved[0].what, Movement::Ended(End::Fin));
    assert_eq!(find(&events, "read", 0).socket, None);
    // Its last socket is known, in the table that the threads share.
    assert_eq!(find(&events, "accept", 1).socket, listener);
    assert_eq!(world.task(ended.task).program.as_deref(), Some("cat"));
}

#[test]
fn a_descriptor_that_comes_with_a_message_is_the_socket_that_was_sent() {
    let server = r#"7 1.0 socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0
7 1.1 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 8
7 1.2 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 5
7 1.3 listen(5, 5) = 0
7 1.4 accept(5, NULL, NULL) = 6
7 1.5 sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="x", iov_len=1}], msg_iovlen=1, msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[6]}], msg_controllen=24, msg_flags=0}, 0) = 1
7 1.6 close(6) = 0
8 1.7 recvmsg(4, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="x", iov_len=9}], msg_iovlen=1, msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[9]}], msg_controllen=24, msg_flags=0}, 0) = 1
8 1.8 recvfrom(9, "hello", 99, 0, NULL, NULL) = 5
8 1.9 close(9) = 0
"#;
    let (_, events) = happened(&[server]);
    let events::Made::Socket(accepted) = find(&events, "accept", 0).made else {
        panic!("accept makes a socket")
    };
    assert_eq!(find(&events, "recvfrom", 0).socket, Some(accepted));
    assert!(find(&events, "close", 0).moved.is_empty());
    assert_eq!(
        find(&events, "close", 1).moved[0].what,
        Movement::Ended(End::Fin)
    );
}

#[test]
fn duplicates_and_ranges_are_followed() {
    let server = SERVER.to_owned()
        + r#"7 2.40 fcntl(4, F_DUPFD_CLOEXEC, 10) = 10
7 2.41 close(4) = 0
7 2.42 pidfd_open(7, 0) = 4
7 2.43 pidfd_getfd(4, 10, 0) = 12
7 2.44 close_range(10, 11, 0) = 0
7 2.45 writev(12, [{iov_base="he", iov_len=2}, {iov_base="llo", iov_len=3}], 2) = 5
7 2.46 close_range(3, 4294967295, 0) = 0
7 2.47 write(12, "x", 1) = -1 EBADF (Bad file descriptor)
"#;
    let (world, events) = happened(&[&server]);
    let events::Made::Socket(accepted) = find(&events, "accept", 0).made else {
        panic!("accept makes a socket")
    };
    for name in ["fcntl", "pidfd_getfd", "writev", "write"] {
        assert_eq!(find(&events, name, 0).socket, Some(accepted), "{name}");
    }
    assert!(find(&events, "close_range", 0).moved.is_empty());
    assert_eq!(find(&events, "close_range", 1).moved.len(), 1);
    assert!(!world.socket(accepted).unwrap().is_open());
}

#[test]
fn what_was_never_seen_made_is_proved_by_its_call_or_by_stracees_words() {
    let (world, events) = happened(&[r#"7 1.0 accept(3, NULL, NULL) = 4
7 1.1 read(4, "hello", 99) = 5
7 1.2 read(5, "a file's", 99) = 8
7 1.3 write(6<TCP:[127.0.0.1:80->127.0.0.1:4000]>, "hello", 5) = 5
7 1.4 read(7</etc/motd>, "motd", 99) = 4
"#]);
    assert!(matches!(
        find(&events, "read", 0).moved[0].what,
        Movement::Received { .. }
    ));
    assert_eq!(find(&events, "read", 1).socket, None);
    let said = world
        .socket(find(&events, "write", 0).socket.unwrap())
        .unwrap();
    assert_eq!(said.local.as_ref().unwrap().to_string(), "127.0.0.1:80");
    assert_eq!(said.remote.as_ref().unwrap().to_string(), "127.0.0.1:4000");
    assert_eq!(find(&events, "read", 2).socket, None);
}

#[test]
fn a_failed_call_changes_nothing_but_what_was_refused_is_known() {
    let (world, events) = happened(&[r#"9 1.0 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
9 1.1 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 ECONNREFUSED (Connection refused)
9 1.2 close(77) = -1 EBADF (Bad file descriptor)
9 1.3 prlimit64(0, RLIMIT_NOFILE, NULL, {rlim_cur=1024, rlim_max=1024}) = 0
"#]);
    let socket = world
        .socket(find(&events, "connect", 0).socket.unwrap())
        .unwrap();
    assert_eq!(socket.state, State::Created);
    let (to, error) = socket.refused.as_ref().unwrap();
    assert_eq!(
        (to.to_string().as_str(), error.as_str()),
        ("127.0.0.1:80", "ECONNREFUSED")
    );
    assert!(!find(&events, "close", 0).on_a_socket);
    assert!(!find(&events, "prlimit64", 0).on_a_socket);
}

#[test]
fn both_sides_in_one_recording_are_told_apart_by_their_programs() {
    let (_, events) = happened(&[r#"1 1.0 clone(child_stack=NULL, flags=SIGCHLD) = 2
2 1.1 execve("./server", ["./server"], 0x7ffd /* 0 vars */) = 0
2 1.2 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
2 1.3 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
2 1.4 listen(3, 5) = 0
1 1.5 clone(child_stack=NULL, flags=SIGCHLD) = 3
3 1.6 execve("./client", ["./client"], 0x7ffd /* 0 vars */) = 0
3 1.7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
3 1.8 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
2 1.9 accept(3, NULL, NULL) = 4
"#]);
    assert_eq!(find(&events, "connect", 0).side, Side::Client);
    let accept = find(&events, "accept", 0);
    assert_eq!(accept.side, Side::Server);
    assert_eq!(accept.causes, [find(&events, "connect", 0).id]);
}

/// `accept` gives no address, and the clients' connects return in another order than they are accepted.
#[test]
fn who_was_accepted_is_proved_by_the_first_bytes() {
    let server = r#"
7 1.0 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
7 1.1 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 1.2 listen(3, 5) = 0
7 2.5 accept(3, NULL, NULL) = 4
7 2.6 accept(3, NULL, NULL) = 5
7 4.0 recvfrom(4, "two", 99, 0, NULL, NULL) = 3
7 4.1 recvfrom(5, "one", 99, 0, NULL, NULL) = 3
"#;
    let client = |pid: u32, word: &str| {
        format!(
            r#"
{pid} 2.0 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
{pid} 2.{pid} connect(3, {{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}}, 16) = 0
{pid} 3.0 sendto(3, "{word}", 3, 0, NULL, 0) = 3
"#
        )
    };
    let (_, events) = happened(&[server, &client(1, "one"), &client(2, "two")]);
    for (nth, word) in ["two", "one"].into_iter().enumerate() {
        let received = find(&events, "recvfrom", nth);
        let [cause] = received.causes[..] else {
            panic!("{:?}", received.causes);
        };
        let sent = events.iter().find(|event| event.id == cause).unwrap();
        assert!(sent.call().unwrap().args[1].contains(word), "{sent:?}");
    }
}

#[test]
fn a_0_after_ones_own_shutdown_is_not_the_peers_end() {
    let server = SERVER.to_owned() + "7 2.5 recvfrom(4, \"\", 99, 0, NULL, NULL) = 0 <0.1>\n";
    let client = CLIENT.to_owned()
        + "9 2.2 shutdown(3, SHUT_RD) = 0\n9 2.3 recvfrom(3, \"\", 99, 0, NULL, NULL) = 0\n9 2.4 close(3) = 0\n";
    let (_, events) = happened(&[&server, &client]);
    let zeros = events.iter().filter(|event| {
        let ends = |moved: &super::events::Moved| moved.what == Movement::MetEnd(End::Fin);
        event.moved.iter().any(ends)
    });
    assert_eq!(
        zeros.map(|event| event.side).collect::<Vec<_>>(),
        [Side::Server]
    );
}

#[test]
fn a_datagram_that_is_only_peeked_at_is_not_cut() {
    let server = r#"7 1.0 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
7 1.1 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("0.0.0.0")}, 16) = 0
7 1.2 recvfrom(3, "h", 1, MSG_PEEK, NULL, NULL) = 1 <1.0>
7 2.3 recvfrom(3, "hello", 99, 0, NULL, NULL) = 5
"#;
    let client = r#"9 1.5 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
9 1.6 sendto(3, "hello", 5, 0, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 5
"#;
    let (_, events) = happened(&[server, client]);
    let sent = |nth| match &find(&events, "recvfrom", nth).moved[0].what {
        Movement::MessageReceived { sent, .. } => *sent,
        other => panic!("{other:?}"),
    };
    assert_eq!([sent(0), sent(1)], [Some(1), Some(5)]);
}
