//! The comparison of two recordings, on recordings made by hand.

use super::*;
use crate::diff::verdict::{Rules, compared};
use crate::draw::terminal::Side;
use crate::strace::line::Reader;

/// What a task did that makes these calls.
fn lines_of(recording: &str, ports: &[u16], thread: bool) -> Lines {
    let mut reader = Reader::default();
    let lines = recording.lines();
    let entries = lines.filter_map(|line| reader.read(line.trim())).collect();
    let task = Task {
        name: String::new(),
        side: Side::Server,
        entries,
        on: Vec::new(),
        sockets: Vec::new(),
        ports: ports.to_vec(),
        thread,
        is_another: false,
    };
    Lines::new(&task, Calls::All, false)
}

fn lines(recording: &str) -> Lines {
    lines_of(recording, &[], false)
}

/// Two tasks, each run once.
fn judged(left: &Lines, right: &Lines, twins: bool) -> Comparison {
    let rules = Rules {
        twins,
        calls: Calls::All,
        stop: &AtomicBool::new(false),
    };
    let runs = [left, right].map(|lines| vec![lines.clone()]);
    compared("", rules, &runs).comparison
}

fn twins(rust: &str, c: &str) -> Comparison {
    judged(&lines(rust), &lines(c), true)
}

#[test]
fn the_same_is_identical() {
    let recording = "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3\nclose(3) = 0\nexit_group(0) = ?\n+++ exited with 0 +++";
    let comparison = twins(recording, recording);
    assert_eq!(comparison.verdict, Verdict::Identical);
    assert!(comparison.forms.is_empty());
}

#[test]
fn ports_have_letters_in_the_order_of_their_appearance() {
    let with = |listening: u16, client: u16| {
        format!(
            r#"getsockname(3, {{sa_family=AF_INET, sin_port=htons({listening}), sin_addr=inet_addr("127.0.0.1")}}, [16]) = 0
            write(1, "listening on 127.0.0.1:{listening}\n", 29) = 29
            accept(3, {{sa_family=AF_INET, sin_port=htons({client}), sin_addr=inet_addr("127.0.0.1")}}, [16]) = 4
            write(1, "Received from 127.0.0.1#{client}: {listening}\n", 50) = 50"#
        )
    };
    assert_eq!(
        twins(&with(40001, 40002), &with(40001, 40002)).verdict,
        Verdict::Identical
    );
    // What is no port stays as it is, even if it is the same number.
    assert_eq!(
        twins(&with(40001, 40002), &with(50001, 50002)).verdict,
        Verdict::Divergent
    );
    let alike = twins(
        &with(40001, 40002).replace(": 40001", ""),
        &with(50003, 50002).replace(": 50003", ""),
    );
    assert_eq!(alike.verdict, Verdict::Equal);
    assert_eq!(alike.forms.count(Form::Port), 4);
    assert_eq!(
        twins(&with(40001, 40002), &with(40001, 40001)).verdict,
        Verdict::Divergent
    );
}

#[test]
fn a_port_that_the_program_names_itself_is_compared_as_it_is() {
    let call =
        |call, port| format!("{call}(3, {{sa_family=AF_INET, sin_port=htons({port})}}, 16) = 0");
    for name in ["bind", "connect"] {
        assert_eq!(
            twins(&call(name, 6), &call(name, 5)).verdict,
            Verdict::Divergent
        );
    }
    assert_eq!(
        twins(&call("getsockname", 6), &call("getsockname", 5)).verdict,
        Verdict::Equal
    );
    assert_eq!(
        twins(&call("getsockname", 6), &call("getsockname", 0)).verdict,
        Verdict::Divergent
    );
    // Unless it is one that the recording was made with.
    let with = |port| lines_of(&call("connect", port), &[port], false);
    assert_eq!(judged(&with(6), &with(5), true).verdict, Verdict::Equal);
}

#[test]
fn a_port_of_fewer_digits_makes_the_line_shorter_and_no_difference() {
    let says = |port: &str, len: usize| {
        format!(
            "getsockname(3, {{sa_family=AF_INET, sin_port=htons({port})}}, [16]) = 0\nwrite(1, \"1.2.3.4:{port}\\n\", {len}) = {len}"
        )
    };
    assert_eq!(
        twins(&says("40000", 14), &says("80", 11)).verdict,
        Verdict::Equal
    );
    assert_eq!(
        twins(&says("40000", 14), &says("80", 12)).verdict,
        Verdict::Divergent
    );
}

#[test]
fn pointers_and_pids_are_all_alike_but_not_in_strings() {
    let calls = |pointer, pid| {
        format!(
            "recvfrom(4, {pointer}, 4096, 0, NULL, NULL) = -1 ECONNRESET (Connection reset by peer)\n--- SIGTERM {{si_signo=SIGTERM, si_pid={pid}}} ---"
        )
    };
    let comparison = twins(&calls("0x7ffc12345678", 1), &calls("0x5612345678", 2));
    assert_eq!(comparison.verdict, Verdict::Equal);
    assert_eq!(comparison.forms.count(Form::Pointer), 1);
    assert_eq!(comparison.forms.count(Form::Pid), 1);
    let sends = |word| format!("sendto(3, \"{word}\", 14, 0, NULL, 0) = 14");
    assert_eq!(
        twins(&sends("0x7ffc12345678"), &sends("0x7ffc12345679")).verdict,
        Verdict::Divergent
    );
}

#[test]
fn any_other_difference_is_one() {
    let call = r#"sendto(3, "hello", 5, 0, NULL, 0) = 5"#;
    for other in [
        r#"sendto(4, "hello", 5, 0, NULL, 0) = 5"#,
        r#"sendto(3, "hellO", 5, 0, NULL, 0) = 5"#,
        r#"sendto(3, "hello", 6, 0, NULL, 0) = 5"#,
        r#"sendto(3, "hello", 5, MSG_NOSIGNAL, NULL, 0) = 5"#,
        r#"sendto(3, "hello", 5, 0, NULL, 0) = 4"#,
        r#"sendto(3, "hello", 5, 0, NULL, 0) = -1 EPIPE (Broken pipe)"#,
        r#"recvfrom(3, "hello", 5, 0, NULL, NULL) = 5"#,
        "",
        "a line that nobody knows",
    ] {
        assert_eq!(twins(call, other).verdict, Verdict::Divergent, "{other}");
        assert_eq!(twins(other, call).verdict, Verdict::Divergent, "{other}");
    }
}

#[test]
fn a_stream_may_come_in_other_pieces() {
    let one = r#"recvfrom(3, "hello", 5, 0, NULL, NULL) = 5"#;
    let two =
        "recvfrom(3, \"hel\", 5, 0, NULL, NULL) = 3\nrecvfrom(3, \"lo\", 2, 0, NULL, NULL) = 2";
    let comparison = twins(one, two);
    assert_eq!(comparison.verdict, Verdict::Equal);
    let comparison = twins(two, one);
    assert_eq!(comparison.forms.count(Form::Pieces), 1);
    assert_eq!(twins(two, two).verdict, Verdict::Identical);
    // But not with other bytes, from another descriptor, by another buffer, or as datagrams.
    assert_eq!(
        twins(one, &two.replace("lo", "la")).verdict,
        Verdict::Divergent
    );
    assert_eq!(
        twins(one, &two.replace("(3, \"lo", "(4, \"lo")).verdict,
        Verdict::Divergent
    );
    assert_eq!(
        twins(one, &two.replace("\"hel\", 5", "\"hel\", 4")).verdict,
        Verdict::Divergent
    );
    let datagrams = two.replace("NULL, NULL", "{sa_family=AF_INET, sin_port=htons(7)}, [16]");
    assert_eq!(twins(one, &datagrams).verdict, Verdict::Divergent);
}

#[test]
fn a_full_connection_may_have_taken_another_amount() {
    let one = "sendto(3, \"ab\"..., 900, MSG_DONTWAIT, NULL, 0) = 500\nsendto(3, \"cd\"..., 400, MSG_DONTWAIT, NULL, 0) = -1 EAGAIN (Resource temporarily unavailable)";
    let two = "sendto(3, \"ab\"..., 900, MSG_DONTWAIT, NULL, 0) = 500\nsendto(3, \"cd\"..., 400, MSG_DONTWAIT, NULL, 0) = 100\nsendto(3, \"ef\"..., 300, MSG_DONTWAIT, NULL, 0) = -1 EAGAIN (Resource temporarily unavailable)";
    assert_eq!(twins(one, two).verdict, Verdict::Equal);
    assert_eq!(twins(two, one).forms.count(Form::Full), 2);
    // But not of other bytes, to another descriptor, or with a gap.
    for (from, to) in [
        ("\"ab\"", "\"ax\""),
        ("(3, \"c", "(4, \"c"),
        (", 400,", ", 399,"),
    ] {
        assert_eq!(
            twins(one, &two.replace(from, to)).verdict,
            Verdict::Divergent,
            "{to}"
        );
    }
    assert_eq!(
        twins(one, &two.replace("MSG_DONTWAIT", "0")).verdict,
        Verdict::Divergent
    );
}

#[test]
fn a_child_may_end_at_any_moment() {
    let accepts =
        "accept(3, NULL, NULL) = 4\nclone(child_stack=NULL, flags=SIGCHLD) = 17\nclose(4) = 0";
    let waits = "accept(3, NULL, NULL) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)";
    let ends = |pid, time| {
        format!(
            "--- SIGCHLD {{si_signo=SIGCHLD, si_pid={pid}, si_status=0, si_utime={time}, si_stime=0}} ---"
        )
    };
    let reaps = |pid| format!("wait4(-1, NULL, WNOHANG, NULL) = {pid}");
    let none = "wait4(-1, NULL, WNOHANG, NULL) = -1 ECHILD (No child processes)\nrt_sigreturn({mask=[]}) = 1";
    let last = "accept(3, NULL, NULL) = 5";

    let while_waiting = format!(
        "{accepts}\n{waits}\n{}\n{}\n{none}\n{last}",
        ends(17, 0),
        reaps(17)
    );
    let before = format!(
        "{accepts}\n{}\n{}\n{}\n{last}",
        ends(18, 1),
        reaps(18),
        none.replace("= 1", "= -1 EINTR")
    );
    let comparison = twins(&while_waiting, &before.replace("= 17", "= 18"));
    assert_eq!(comparison.verdict, Verdict::Equal);
    assert!(comparison.forms.has(Form::Children));
    // One signal may stand for two children.
    let two = format!("{while_waiting}\n{}\n{}\n{none}", ends(19, 0), reaps(19));
    let at_once = format!(
        "{accepts}\n{}\n{}\n{}\n{none}\n{last}",
        ends(17, 0),
        reaps(17),
        reaps(19)
    );
    assert_eq!(twins(&two, &at_once).verdict, Verdict::Equal);
    // But not a child that is not waited for, one that failed, or a handler that does something else.
    assert_eq!(twins(&two, &while_waiting).verdict, Verdict::Divergent);
    for (from, to) in [
        (reaps(18), String::new()),
        ("si_status=0".to_owned(), "si_status=1".to_owned()),
        ("WNOHANG".to_owned(), "0".to_owned()),
    ] {
        assert_eq!(
            twins(&while_waiting, &before.replace(&from, &to)).verdict,
            Verdict::Divergent,
            "{from}"
        );
    }
}

#[test]
fn processes_and_threads_are_all_alike() {
    let calls = |pid: u32| {
        format!(
            "getpid() = {pid}\nclone3({{flags=CLONE_THREAD, stack=0x7fb78ac02000, stack_size=0xff{}}} => {{parent_tid=[{pid}]}}, 88) = {pid}\nwait4({pid}, NULL, 0, NULL) = {pid}\nkill({pid}, SIGTERM) = 0",
            pid % 10
        )
    };
    let comparison = twins(&calls(121), &calls(1347));
    assert_eq!(comparison.verdict, Verdict::Equal);
    assert_eq!(comparison.forms.count(Form::Pid), 6);
    assert_eq!(
        twins(&calls(121), &calls(1347).replace("= 1347", "= -1 EAGAIN")).verdict,
        Verdict::Divergent
    );
}

#[test]
fn how_threads_wait_and_end_is_set_aside() {
    let recording = "futex(0x55c1293b5728, FUTEX_WAKE_PRIVATE, 1) = 1\nrt_sigprocmask(SIG_BLOCK, ~[RT_1], NULL, 8) = 0\nexit(0) = ?\nexit_group(0) = ?\n12 1795267737.302312516 ???()        = ?\n12 1795267737.302312516 ???( <unfinished ...>\n12 1795267737.302312517 <... ??? resumed>) = ?";
    let of_thread = lines_of(recording, &[], true);
    assert!(
        of_thread.lines.is_empty()
            && of_thread
                .aside
                .iter()
                .all(|(aside, _)| *aside == Aside::Threads)
    );
    let (calls, _) = recording
        .split_once("\n12 ")
        .expect("the others are strace's own");
    assert_eq!(
        lines(calls).lines.len(),
        3,
        "a process blocks signals, and exits, of its own accord"
    );
}

#[test]
fn the_time_of_day_has_a_form_and_no_other_time_has() {
    // 1795267737 is Saturday, 21 November 2026, 13:28:57.
    let answers = |start, date| {
        format!(
            r#"{start}.5 sendto(5, "HTTP/1.1 200 OK\r\nDate: {date}\r\n\r\n", 56, 0, NULL, 0) = 56 <0.000010000>"#
        )
    };
    let now = answers(1_795_267_737_u64, "Sat, 21 Nov 2026 13:28:57 GMT");
    let later = answers(1_795_267_800, "Sat, 21 Nov 2026 13:29:59 GMT");
    let alike = twins(&now, &later);
    assert_eq!(alike.verdict, Verdict::Equal);
    assert_eq!(alike.forms.count(Form::Date), 1);
    for wrong in [
        "Sat, 21 Nov 2026 14:29:59 GMT", // another zone's
        "Sun, 21 Nov 2026 13:29:59 GMT",
        "Sat, 21 Nov 2026 13:30:01 GMT",
        "Sat, 21 Nov 2026 13:29:39 GMT",
        "Sat, 21 Nov 2026 13:29:59 UTC",
    ] {
        let verdict = twins(&now, &answers(1_795_267_800, wrong)).verdict;
        assert_eq!(verdict, Verdict::Divergent, "{wrong}");
    }
    let modified = |recording: &str| recording.replace("Date", "Last-Modified");
    assert_eq!(
        twins(&modified(&now), &modified(&later)).verdict,
        Verdict::Divergent
    );

    let logs = |time| {
        format!(
            r#"1795267737.5 write(1, "127.0.0.1 - - [{time}] \"GET / HTTP/1.1\" 200 -\n", 66) = 66"#
        )
    };
    let now = logs("21/Nov/2026:13:28:57 +0000");
    let before = logs("21/Nov/2026:13:28:56 +0000");
    assert_eq!(twins(&now, &before).verdict, Verdict::Equal);
    let wrong = logs("21/Nov/2026:14:28:57 +0100");
    assert_eq!(twins(&now, &wrong).verdict, Verdict::Divergent);
}

#[test]
fn what_is_left_of_a_timeout_has_a_form_if_it_is_right() {
    // Ten seconds first; half a second later what is left of them.
    let waits = |seconds: u8, micros: &str| {
        format!(
            r#"1795267737.0 shutdown(5, SHUT_WR) = 0
            1795267737.1 setsockopt(5, SOL_SOCKET, SO_RCVTIMEO_OLD, "\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16) = 0
            1795267737.6 setsockopt(5, SOL_SOCKET, SO_RCVTIMEO_OLD, "\{seconds}\0\0\0\0\0\0\0{micros}", 16) = 0"#
        )
    };
    // From 0x0aae60 on, 700,000 microseconds, to 0x0f423f, 999,999.
    let right = waits(11, r"\377A\17\0\0\0\0\0").replace(r"\11", r"\t");
    let alike = twins(&right, &right.replace(r"\377A\17", r"\140\256\12"));
    assert_eq!(alike.verdict, Verdict::Equal);
    assert_eq!(alike.forms.count(Form::Left), 1);
    for wrong in [
        right.replace(r"\377A\17", r"\140\256\2"), // less than can be left
        right.replace(r"\377A\17", r"\0\0\0"),     // whole seconds
        right.replace(r"\t\0", r"\n\0"),           // more than there was
        right.replace("RCV", "SND"),
        right.replace("37.6 setsockopt(5", "37.6 setsockopt(6"),
    ] {
        assert_eq!(twins(&right, &wrong).verdict, Verdict::Divergent, "{wrong}");
    }
}

#[test]
fn a_file_that_a_thread_has_opened_may_have_any_number() {
    let thread = |recording: String| lines_of(&recording, &[], true);
    let sends = |opened: u8, sent: u8, closed: u8| {
        thread(format!(
            r#"openat2(3, "index.html", {{flags=O_RDONLY}}, 24) = {opened}
            sendfile(5, {sent}, [0] => [6], 6) = 6
            close({closed}) = 0
            close(5) = 0"#
        ))
    };
    let verdict = |left: &Lines, right: &Lines| judged(left, right, true).verdict;
    assert_eq!(verdict(&sends(6, 6, 6), &sends(7, 7, 7)), Verdict::Equal);
    for wrong in [sends(6, 3, 6), sends(6, 6, 5), sends(6, 6, 7)] {
        assert_eq!(verdict(&sends(6, 6, 6), &wrong), Verdict::Divergent);
    }
}

#[test]
fn memory_is_set_aside_and_kept() {
    let rust = lines("brk(NULL) = 0x55\nclose(3) = 0\nmunmap(0x7f00, 12288) = 0");
    let c = lines(
        "close(3) = 0\ngetrandom(\"\\1\\2\", 2, GRND_NONBLOCK) = 2\nlseek(0, -6, SEEK_CUR) = 0",
    );
    assert_eq!(judged(&rust, &c, true).verdict, Verdict::Identical);
    assert_eq!(rust.aside.len(), 2);
    assert_eq!(
        c.aside.last(),
        Some(&(Aside::Stdio, "lseek(0, -6, SEEK_CUR) = 0".into()))
    );
    // Other descriptors' places, and randomness that is no malloc's, are compared.
    assert!(
        lines("lseek(3, 0, SEEK_SET) = 0\ngetrandom(\"\\1\", 1, 0) = 1")
            .aside
            .is_empty()
    );
}

#[test]
fn an_expected_difference_is_expected_of_rust_alone_and_in_its_place() {
    let error = "write(2, \"connect() failed: Connection refused\\n\", 37) = 37\nexit_group(1) = ?";
    let closes = format!("close(3) = 0\n{error}");
    let comparison = twins(&closes, error);
    assert_eq!(comparison.verdict, Verdict::Expected);
    assert_eq!(comparison.expected().count(), 1);
    assert_eq!(twins(error, &closes).verdict, Verdict::Divergent);
    assert_eq!(
        judged(&lines(&closes), &lines(error), false).verdict,
        Verdict::Divergent
    );
    assert_eq!(
        twins("close(3) = 0\nexit_group(0) = ?", "exit_group(0) = ?").verdict,
        Verdict::Divergent
    );
}

// ---- What varies, and what is long ----

/// One task in several runs against another in several.
fn in_runs(left: &[&str], right: &[&str]) -> Comparison {
    let rules = Rules {
        twins: false,
        calls: Calls::All,
        stop: &AtomicBool::new(false),
    };
    let runs = [left, right].map(|runs| runs.iter().map(|run| lines(run)).collect());
    compared("", rules, &runs).comparison
}

#[test]
fn what_varies_between_runs_of_one_program_is_not_compared_there() {
    let says = |words: &str| format!("write(1, \"{words}\", 9) = 9\nclose(3) = 0");
    let (one, two, three) = (says("is 1 now"), says("is 2 now"), says("is 3 now"));
    let comparison = in_runs(&[&one, &two, &three], &[&three, &three]);
    assert_eq!(comparison.verdict, Verdict::Equal);
    assert_eq!(comparison.forms.count(Form::Varies), 1);
    assert_eq!(
        comparison.left.lines[0].pattern(),
        "write(1, \"is * now\", 9) = 9"
    );
    // But everything else is.
    for other in [
        says("is 3 then"),
        says("is 3 now").replace("3) = 0", "4) = 0"),
    ] {
        let verdict = in_runs(&[&one, &two], &[&other, &other]).verdict;
        assert_eq!(verdict, Verdict::Divergent, "{other}");
    }
    // One that is as the other has been seen to be is that one, whatever else that can be.
    let verdict = in_runs(&[&one, &one], &[&says("was then"), &one]).verdict;
    assert_eq!(verdict, Verdict::Equal);
    // And what has not been seen to vary; nor is what one program always says compared with what another never does.
    let verdict = in_runs(&[&one, &one], &[&two, &three]).verdict;
    assert_eq!(verdict, Verdict::Divergent);
    let verdict = in_runs(&[&one, &one], &[&two, &one]).verdict;
    assert_eq!(verdict, Verdict::Equal);
    assert_eq!(
        in_runs(&[&one, &one], &[&two, &two]).verdict,
        Verdict::Divergent
    );
}

#[test]
fn a_line_that_some_runs_have_is_not_compared() {
    let without = "accept(3, NULL, NULL) = 4\nclose(4) = 0";
    let with = without.replace(
        "\nclose",
        "\nrecvfrom(4, 0x55, 9, 0, NULL, NULL) = -1 EAGAIN (Try)\nclose",
    );
    let comparison = in_runs(&[without, &with], &[without, without]);
    assert_eq!(comparison.verdict, Verdict::Equal);
    assert_eq!(comparison.forms.count(Form::Varies), 1);
    assert_eq!(
        in_runs(&[without, without], &[&with, &with]).verdict,
        Verdict::Divergent
    );
    let another = without.replace("\nclose", "\nshutdown(4, SHUT_WR) = 0\nclose");
    assert_eq!(
        in_runs(&[without, &with], &[&another, &another]).verdict,
        Verdict::Divergent
    );
}

#[test]
fn an_exchange_may_come_in_any_pieces() {
    let recv = |bytes: &str| {
        format!(
            "recvfrom(4, \"{bytes}\", 9, 0, NULL, NULL) = {}\n",
            bytes.len()
        )
    };
    let send = |bytes: &str| format!("sendto(4, \"{bytes}\", 9, 0, NULL, 0) = {}\n", bytes.len());
    let piecemeal = [recv("ab"), send("ab"), recv("cd"), send("cd")].concat();
    let at_once = [recv("abcd"), send("abcd")].concat();
    let odd = [recv("abc"), send("abc"), recv("d"), send("d")].concat();
    let comparison = in_runs(&[&piecemeal, &at_once], &[&odd, &odd]);
    assert_eq!(comparison.verdict, Verdict::Equal);
    assert_eq!(comparison.left.lines.len(), 2);
    let wrong = odd.replace("\"d\"", "\"e\"");
    assert_eq!(
        in_runs(&[&piecemeal, &at_once], &[&wrong, &wrong]).verdict,
        Verdict::Divergent
    );
}

#[test]
fn repeated_lines_are_folded_and_counted() {
    let round = "recvfrom(4, \"a\", 9, 0, NULL, NULL) = 1\nsendto(4, \"a\", 1, 0, NULL, 0) = 1\n";
    let rounds = |count: usize| round.repeat(count) + "close(4) = 0";
    let many = lines(&rounds(5000)).seen(View::Calls);
    assert_eq!(many.lines.len(), 4);
    assert_eq!(&*many.lines[2].text, "... the last 2 lines 4999 times more");
    assert_eq!((many.lines[2].number, many.lines[3].number), (3, 10_001));
    assert_eq!(
        judged(&lines(&rounds(5000)), &lines(&rounds(5000)), true).verdict,
        Verdict::Identical
    );
    let short = rounds(4999).replace("9, 0", "9, MSG_NOSIGNAL");
    assert_eq!(
        judged(&lines(&rounds(5000)), &lines(&short), true).verdict,
        Verdict::Divergent
    );
}

#[test]
fn the_number_for_bytes_does_not_depend_on_how_they_are_cut() {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let whole = Data::of(&bytes);
    for size in [1, 7, 4096, 99_999] {
        let mut joined = Data::default();
        for piece in bytes.chunks(size) {
            joined.extend(&Data::of(piece));
        }
        assert_eq!(joined, whole, "{size}");
    }
    let mut other = bytes.clone();
    other[99_998] ^= 1;
    assert_ne!(Data::of(&other).to_string(), whole.to_string());
}
