//! The servers for many clients at a time: what the iterative ones cannot do, and what can go wrong with processes, threads,
//! descriptors and memory.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    CONCURRENT, CREW, CTRL_C_WORKS, EVENT_LOOPS, ITERATIVE, Lang, Member, ON_A_FREE_PORT, Outcome,
    Program, Server, TCP_ECHO_SERVERS, Talk, allow_many_files, assert_bytes, deadline, fill,
    for_each, for_each_in_turn, has_heard_nothing, is_silent_for, python, random_bytes, require,
    run, until, wait_for_the_end_of,
};
use nix::sys::signal::{Signal, kill};

// ---- Many clients ----

#[test]
fn a_thousand_at_once_each_with_its_own_bytes() {
    allow_many_files();
    for_each_in_turn(&CONCURRENT, |program| {
        let many = match program.name {
            "tcp_echo_server_fork" | "tcp_echo_server_prefork" => 200,
            _ => 1000,
        };
        let server = roomy(program, many);
        let before = server.rests();
        let mut clients: Vec<_> = (0..many).map(|_| server.connect_from_elsewhere()).collect();
        for round in 1..=2 {
            let own = |i: usize| random_bytes(round * 1_000_000 + i as u64, 100);
            for (i, client) in clients.iter_mut().enumerate() {
                client.say(&own(i));
            }
            for (i, client) in clients.iter_mut().enumerate().rev() {
                assert_bytes(&client.hear(100), &own(i));
            }
        }
        drop(clients);
        assert_eq!(server.rests(), before);
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn two_hundred_silent_clients_do_not_keep_one_that_talks_waiting() {
    allow_many_files();
    for_each_in_turn(&CONCURRENT, |program| {
        let server = roomy(program, 201);
        let mut silent: Vec<_> = (0..200).map(|_| server.connect_from_elsewhere()).collect();
        let mut talker = server.connect();
        for _ in 0..100 {
            assert_bytes(&talker.ask(b"x", 1), b"x");
        }
        for client in &mut silent {
            assert_bytes(&client.ask(b"y", 1), b"y"); // and no client is forgotten
        }
    });
}

#[test]
fn two_hundred_silent_clients_keep_the_next_one_of_an_iterative_server_waiting_until_they_leave() {
    allow_many_files();
    for_each_in_turn(&ITERATIVE, |program| {
        let server = roomy(program, 201);
        let silent: Vec<_> = (0..200).map(|_| server.connect_from_elsewhere()).collect();
        let mut talker = server.connect();
        talker.say(b"X");
        for mut client in silent {
            assert_bytes(&client.ask(b"Y", 1), b"Y"); // it is this one's turn
            assert!(has_heard_nothing(&talker));
        }
        assert_bytes(&talker.hear(1), b"X");
    });
}

#[test]
fn twenty_megabytes_each_way_whose_reader_starts_late_while_another_is_served() {
    let bytes = &*random_bytes(12, 20_000_000);
    for_each_in_turn(&CONCURRENT, |program| {
        let server = roomy(program, 4);
        let streams = [(); 3].map(|()| server.connect());
        let mut other = server.connect();
        thread::scope(|scope| {
            for mut stream in &streams {
                scope.spawn(move || {
                    stream.write_all(bytes).expect("the server takes it");
                    stream.shutdown(Shutdown::Write).expect("it is connected");
                });
            }
            assert_serves_at_once(&mut other); // and the three wait for their readers
            for mut stream in &streams {
                scope.spawn(move || {
                    let mut answer = Vec::new();
                    stream.read_to_end(&mut answer).expect("the server closes");
                    assert_bytes(&answer, bytes);
                });
            }
            assert_serves_at_once(&mut other);
        });
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn what_a_client_does_not_read_does_not_pile_up_in_the_server() {
    for_each(&CONCURRENT, |program| {
        let server = roomy(program, 4);
        server.rests();
        let mut deaf = server.connect();
        deaf.ask(b"x", 1);
        let mut other = server.connect();
        other.ask(b"x", 1);
        let before = memory(&server);
        let taken = fill(&mut deaf); // and no more: the server receives no more of it
        assert_serves_at_once(&mut other);
        let more = memory(&server).saturating_sub(before);
        assert!(more < 1_000_000, "{more} bytes for {taken}");
        assert_sleeps(&server, &other);

        assert_bytes(&deaf.hear(taken), &vec![b'x'; taken]);
        assert_serves_at_once(&mut deaf);
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn a_message_allocates_nothing() {
    require("cc", "the counter of these tests");
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let counter = tmp.join("allocations.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/allocations.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&counter);
    assert_eq!(run(cc.arg(source), b""), Outcome::done(""));

    for_each(&TCP_ECHO_SERVERS, |program| {
        let page = tmp.join(format!("allocations of {program}"));
        fs::write(&page, [0; 4096]).expect("the directory is ours");
        let allocations = || {
            let page = fs::read(&page).expect("it is there");
            u64::from_ne_bytes(page[..8].try_into().expect("8 bytes"))
        };
        let mut command = program.command();
        command
            .env("LD_PRELOAD", &counter)
            .env("ALLOCATIONS", &page);
        let server = Server::start_by(program, command.args(ON_A_FREE_PORT));
        let mut client = server.connect();
        client.ask(&[b'x'; 10_000], 10_000); // what its connection costs is paid by now
        let before = allocations();
        assert!(before > 0 || program.lang == Lang::C, "nothing is counted");
        for _ in 0..1000 {
            assert_serves(&mut client);
        }
        client.ask(&[b'x'; 10_000], 10_000);
        let more = allocations() - before;
        assert!(more < 100, "{more} for 1000 messages"); // some for workers and threads that are still starting
    });
}

/// Bytes in memory that hold data, of all the server's processes.
fn memory(server: &Server) -> usize {
    let data = |member: Member| {
        let status = fs::read_to_string(format!("/proc/{}/status", member.pid)).ok()?;
        let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok()
    };
    let family = server.process.family().into_iter();
    family
        .map(|member| 1024 * data(member).expect("it runs"))
        .sum()
}

// ---- Limits ----

#[test]
fn a_client_beyond_the_limit_waits_until_one_leaves() {
    for_each(&CONCURRENT, |program| {
        let server = Server::start(program, &["--limit", "3"]);
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(server.connect());
            clients.last_mut().expect("it came").ask(b"x", 1);
        }
        let mut next = server.connect();
        next.say(b"my turn");
        for _ in 0..100 {
            clients.iter_mut().for_each(assert_serves);
            assert!(has_heard_nothing(&next));
        }
        clients.pop();
        assert_bytes(&next.hear(7), b"my turn");
        clients.iter_mut().for_each(assert_serves);
    });
}

#[test]
fn more_clients_than_places_are_all_served() {
    for_each(&CONCURRENT, |program| {
        let server = Server::start(program, &["--limit", "4", "--backlog", "200"]);
        server.serves();
        let before = server.rests();
        let clients = (0..100).map(|i| {
            let mut client = server.connect_from_elsewhere();
            client.say(&random_bytes(i + 1, 1000));
            client.shutdown(Shutdown::Write).expect("it is connected");
            client
        });
        for (i, mut client) in clients.collect::<Vec<_>>().into_iter().enumerate().rev() {
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).expect("the server closes");
            assert_bytes(&answer, &random_bytes(i as u64 + 1, 1000));
        }
        assert_eq!(server.rests(), before);
    });
}

#[test]
fn max_clients_cuts_nobody_off() {
    for_each(&CONCURRENT, |program| {
        let mut server = Server::start(program, &["--max-clients", "3"]);
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(server.connect());
            clients.iter_mut().for_each(assert_serves);
        }
        while !clients.is_empty() {
            assert!(server.process.is_running());
            clients.iter_mut().for_each(assert_serves);
            clients.pop();
        }
        let family = server.process.family();
        assert_eq!(server.process.end(), Outcome::done(""));
        wait_for_the_end_of(&family);
    });
}

#[test]
fn a_full_queue_is_said_once_and_everybody_is_served() {
    for_each(&["tcp_echo_server_pool"], |program| {
        let args = ["--threads", "1", "--queue", "2", "--backlog", "20"];
        let mut server = Server::start(program, &args);
        for round in 0..2 {
            let mut first = server.connect();
            first.ask(b"x", 1);
            let mut others: Vec<_> = (0..10).map(|_| server.connect()).collect();
            for other in &mut others {
                other.say(b"y");
            }
            if round == 0 {
                let complaint = server.process.complaint();
                assert_eq!(complaint, "the queue of 2 is full: accepting pauses");
            }
            assert_serves(&mut first);
            drop(first);
            for mut other in others {
                assert_bytes(&other.hear(1), b"y");
            }
        }
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn a_silent_client_is_given_up_and_so_is_one_that_does_not_read() {
    for_each(&TCP_ECHO_SERVERS, |program| {
        let mut server = Server::start(program, &["--idle-timeout", "1"]);
        let before = Instant::now();
        let mut silent = served_in_time(&server);
        assert_gives_up(&mut server, "recv()", silent.address());
        assert!(before.elapsed() >= Duration::from_millis(900), "too early");
        assert_ends(&mut silent);

        let mut deaf = server.connect();
        let megabyte = vec![b'x'; 1_000_000];
        let error = (0..128).find_map(|_| deaf.write_all(&megabyte).err());
        error.expect("no buffers hold as much, and then the server leaves");
        assert_gives_up(&mut server, "send()", deaf.address());
        drop(served_in_time(&server));
        server.rests();
        let left = server.stop().stderr;
        assert!(left.lines().all(|line| line.ends_with(GIVEN_UP)), "{left}");
    });
}

const GIVEN_UP: &str = "failed: Resource temporarily unavailable";

/// A client that has had an answer. On a busy machine one may be given up before it speaks: then the next comes.
fn served_in_time(server: &Server) -> TcpStream {
    let client = until(|| {
        let mut client = server.connect();
        let mut answer = [0];
        let talk = client
            .write_all(b"x")
            .and_then(|()| client.read_exact(&mut answer));
        (talk.is_ok() && answer == *b"x").then_some(client)
    });
    client.expect("the server answers one of them")
}

/// Waits for the line about this client; what comes before is about others that were given up.
fn assert_gives_up(server: &mut Server, call: &str, client: SocketAddr) {
    loop {
        let complaint = server.process.complaint();
        if complaint == format!("{client}: {call} {GIVEN_UP}") {
            return;
        }
        assert!(complaint.ends_with(GIVEN_UP), "{complaint}");
        assert!(!complaint.starts_with(&format!("{client}:")), "{complaint}");
    }
}

#[test]
fn a_client_that_talks_now_and_then_is_not_given_up() {
    for_each(&TCP_ECHO_SERVERS, |program| {
        let server = Server::start(program, &["--idle-timeout", "3"]);
        let mut client = server.connect();
        let before = Instant::now();
        while before.elapsed() < Duration::from_secs(5) {
            assert_serves(&mut client);
            assert!(is_silent_for(Duration::from_millis(200), &client));
        }
        assert_eq!(server.stop().stderr, "");
    });
}

// ---- Descriptors ----

#[test]
fn without_a_descriptor_the_next_clients_wait_and_nobody_else() {
    // In the other servers a process has one client, or a thread few.
    let names = [
        &EVENT_LOOPS[..],
        &["tcp_echo_server_thread", "tcp_echo_server_pool"],
    ]
    .concat();
    for_each(&names, |program| {
        let few = ["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"];
        let mut command = program.under(&few);
        let command = command.args(ON_A_FREE_PORT).args(places(program, "100"));
        let mut server = Server::start_by(program, command);
        server.serves();
        let before = server.rests();
        let mut clients: Vec<_> = (0..80).map(|_| server.connect()).collect();
        let complaint = server.process.complaint();
        assert_eq!(complaint, "accept() failed: Too many open files");

        let mut waiting = clients.split_off(50);
        clients.iter_mut().for_each(assert_serves);
        assert_serves_at_once(&mut clients[0]);
        waiting[29].say(b"x");
        assert_sleeps(&server, &waiting[29]);
        drop(clients);
        assert_bytes(&waiting[29].hear(1), b"x");
        drop(waiting);
        assert_eq!(server.rests(), before);
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn select_refuses_a_descriptor_that_no_set_holds() {
    allow_many_files();
    for_each(&["tcp_echo_server_select"], |program| {
        let mut server = Server::start_by(program, &mut at_number(1020, program));
        let too_high = "select() failed: the descriptor is not below FD_SETSIZE, 1024";
        let mut clients = [(); 3].map(|()| server.connect());
        for _ in 0..2 {
            clients.iter_mut().for_each(assert_serves);
            let mut refused = server.connect();
            let complaint = server.process.complaint();
            assert_eq!(complaint, format!("{}: {too_high}", refused.address()));
            assert_ends(&mut refused);
        }
        clients.iter_mut().for_each(assert_serves);
        drop(clients);
        server.rests();
        server.serves();
        assert_eq!(server.stop().stderr, "");

        let mut server = Server::start_by(program, &mut at_number(1024, program));
        assert_eq!(server.process.end(), Outcome::failed(too_high));
    });
    for_each(
        &["tcp_echo_server_poll", "tcp_echo_server_epoll"],
        |program| {
            let server = Server::start_by(program, &mut at_number(1024, program));
            let mut clients = [(); 4].map(|()| server.connect());
            clients.iter_mut().for_each(assert_serves);
        },
    );
}

/// Starts a server whose listening socket has this number.
fn at_number(number: u16, program: Program) -> Command {
    let path = program.path();
    let path = path.to_str().expect("UTF-8");
    let mut command = python("many_files.py", &[&number.to_string(), path]);
    command.args(ON_A_FREE_PORT);
    command
}

// ---- Processes and threads ----

#[test]
fn the_end_of_the_server_is_the_end_of_its_children() {
    for_each(&CONCURRENT, |program| {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
            let mut command = program.under(&CTRL_C_WORKS);
            let server = Server::start_by(program, command.args(ON_A_FREE_PORT));
            let mut clients = [(); 3].map(|()| server.connect());
            clients.iter_mut().for_each(assert_serves);
            server.end_by(signal); // and waits for all
            clients.iter_mut().for_each(assert_ends);
        }
    });
}

/// As a shell leaves them that starts something in the background and then becomes the server.
#[test]
fn children_that_are_no_clients_of_it_are_not_counted() {
    for_each(
        &["tcp_echo_server_fork", "tcp_echo_server_prefork"],
        |program| {
            let script = r#"cat <&0 & cat <&0 & exec "$@""#; // both end with their input
            let mut command = program.under(&["sh", "-c", script, "sh"]);
            let mut server = Server::start_by(program, command.args(ON_A_FREE_PORT));
            server.process.feed(Vec::new());
            for _ in 0..3 {
                assert_serves(&mut server.connect());
            }
            server.rests();
            assert_eq!(server.stop().stderr, "");
        },
    );
}

#[test]
fn a_child_that_is_killed_costs_its_client() {
    for_each(&["tcp_echo_server_fork"], |program| {
        let server = Server::start(program, &[]);
        for signal in ["-KILL", "-35"] {
            let mut clients = [(); 2].map(|()| server.connect());
            clients.iter_mut().for_each(assert_serves);
            let family = server.process.family();
            send(signal, family.last().expect("a child"));
            let [first, second] = &mut clients;
            assert_serves(first);
            assert_ends(second);
            drop(clients);
            server.rests();
        }
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn a_worker_that_is_killed_is_replaced() {
    for_each(&["tcp_echo_server_prefork"], |program| {
        let mut server = Server::start(program, &[]);
        for (signal, number) in [("-KILL", 9), ("-35", 35)] {
            server.rests();
            let mut clients = [(); CREW].map(|()| server.connect());
            clients.iter_mut().for_each(assert_serves);
            let victim = server.process.family().pop().expect("a worker");
            send(signal, &victim);
            let complaint = server.process.complaint();
            assert_eq!(
                complaint,
                format!("worker {}: killed by signal {number}", victim.pid)
            );
            server.serves(); // by the only one that is free: the new one
            let lost = clients.iter_mut().filter_map(|client| {
                client.write_all(b"x").ok()?;
                client.read(&mut [0]).ok().filter(|&n| n == 1)
            });
            assert_eq!(lost.count(), CREW - 1, "one client has lost its worker");
        }
        server.rests();
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn workers_that_die_early_again_and_again_end_the_server() {
    for_each(&["tcp_echo_server_prefork"], |program| {
        let mut server = Server::start(program, &["--limit", "2"]);
        server.rests();
        let before = Instant::now();
        loop {
            let family = server.process.family();
            let victim = family.last().expect("a worker");
            send("-KILL", victim);
            let complaint = format!("worker {}: killed by signal 9", victim.pid);
            assert_eq!(server.process.complaint(), complaint);
            let next = until(|| {
                let given_up = family[0].has_ended();
                (given_up || server.process.family().len() == 3).then_some(given_up)
            });
            if next.expect("a worker, or the end") {
                wait_for_the_end_of(&family);
                break;
            }
        }
        assert_eq!(server.process.end(), Outcome::failed(GIVING_UP));
        let pauses = Duration::from_millis(100 + 200 + 400 + 800 + 1600);
        assert!(before.elapsed() >= pauses, "{:?}", before.elapsed());
    });
}

#[test]
fn a_worker_that_cannot_be_had_is_tried_again() {
    const FAILED: &str = "fork() failed: Resource temporarily unavailable";
    for_each(&["tcp_echo_server_prefork"], |program| {
        for (failures, given_up) in [("2..3", false), ("2+", true)] {
            let fault = format!("/^(clone|fork)$:error=EAGAIN:when={failures}");
            let mut server = Server::faulty(program, &[&fault]);
            server.rests();
            send("-KILL", &server.process.family()[1]);
            assert!(server.process.complaint().ends_with("killed by signal 9"));
            if given_up {
                let outcome = server.process.end();
                let said = |failures| format!("{FAILED}\n").repeat(failures) + GIVING_UP;
                let expected = [5, 6].map(|n| Outcome::failed(&said(n))); // the death may be the first setback
                assert!(expected.contains(&outcome), "{outcome:?}");
            } else {
                server.serves();
                assert_eq!(server.stop().stderr, format!("{FAILED}\n").repeat(2));
            }
        }
        let mut server = Server::faulty(program, &["/^(clone|fork)$:error=EAGAIN"]);
        assert_eq!(server.process.end(), Outcome::failed(FAILED));
    });
}

const GIVING_UP: &str = "6 workers in a row died early: giving up";

#[test]
fn a_process_a_thread_or_a_place_that_cannot_be_had_costs_one_client() {
    let names = [
        "tcp_echo_server_fork",
        "tcp_echo_server_thread",
        "tcp_echo_server_epoll",
    ];
    for_each(&names, |program| {
        let (fault, message) = match program.name {
            "tcp_echo_server_fork" => (
                "/^(clone|fork)$:error=EAGAIN:when=1",
                "fork() failed: Resource temporarily unavailable",
            ),
            "tcp_echo_server_thread" => ("/^clone3?$:error=EAGAIN:when=1", NO_THREAD),
            _ => (
                "epoll_ctl:error=ENOMEM:when=2", // the first is for the listening socket
                "epoll_ctl() failed: Cannot allocate memory",
            ),
        };
        let mut command = program.with_faults(&[fault]);
        let command = command.args(ON_A_FREE_PORT).args(["--limit", "1"]);
        let mut server = Server::start_by(program, command);
        let mut client = server.connect();
        let complaint = format!("{}: {message}", client.address());
        assert_eq!(server.process.complaint(), complaint);
        assert_ends(&mut client);
        server.serves(); // in the one place that there is
        server.rests();
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn a_thread_without_memory_for_its_stack_costs_one_client() {
    for_each(&["tcp_echo_server_thread"], |program| {
        let stack = program.calls_of_the_start("mmap") + 1;
        let mut command = program.with_faults(&[&format!("mmap:error=ENOMEM:when={stack}")]);
        let mut server = Server::start_by(program, command.args(ON_A_FREE_PORT));
        let mut client = server.connect();
        let complaint = format!("{}: {NO_THREAD}", client.address());
        assert_eq!(server.process.complaint(), complaint);
        assert_ends(&mut client);
        server.serves();
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn more_threads_than_there_is_memory_for_cost_their_clients_and_no_more() {
    allow_many_files();
    for_each(&["tcp_echo_server_thread"], |program| {
        let little = ["sh", "-c", "ulimit -v 32768; exec \"$@\"", "sh"]; // for some 300
        let mut command = program.under(&little);
        let command = command.args(ON_A_FREE_PORT).args(["--backlog", "1000"]);
        let mut server = Server::start_by(program, command);
        for _ in 0..2 {
            let mut clients: Vec<_> = (0..700).map(|_| server.connect_from_elsewhere()).collect();
            for client in &mut clients {
                client.say(b"x");
            }
            clients.retain_mut(|client| client.read(&mut [0]).is_ok_and(|n| n == 1));
            let lost = 700 - clients.len();
            assert!(lost > 0 && lost < 700, "{lost} are lost");
            for _ in 0..lost {
                let complaint = server.process.complaint();
                assert!(complaint.ends_with(NO_THREAD), "{complaint}");
            }
            clients.iter_mut().for_each(assert_serves);
        }
        assert_eq!(server.stop().stderr, "");
    });
}

const NO_THREAD: &str = "pthread_create() failed: Resource temporarily unavailable";

#[test]
fn each_call_of_the_set_up_that_fails_is_named() {
    for (name, call, failed) in [
        ("tcp_echo_server_fork", "rt_sigaction", "sigaction"),
        ("tcp_echo_server_prefork", "eventfd2", "eventfd"),
        ("tcp_echo_server_prefork", "wait4", "wait"),
        ("tcp_echo_server_pool", "/^clone3?$", "pthread_create"),
        (
            "tcp_echo_server_select",
            "/^(select|_newselect|pselect6)$",
            "select",
        ),
        ("tcp_echo_server_poll", "/^p?poll$", "poll"),
        ("tcp_echo_server_epoll", "epoll_create1", "epoll_create1"),
        ("tcp_echo_server_epoll", "epoll_ctl", "epoll_ctl"),
        ("tcp_echo_server_epoll", "/^epoll_p?wait2?$", "epoll_wait"),
    ] {
        for_each(&[name], |program| {
            let first = program.calls_of_the_start(call) + 1;
            let fault = format!("{call}:error=EXFULL:when={first}+");
            let mut command = program.with_faults(&[&fault]);
            let command = command.args(ON_A_FREE_PORT).args(["--max-clients", "1"]);
            let mut server = Server::start_by(program, command);
            let family = server.process.family();
            let message = format!("{failed}() failed: Exchange full");
            assert_eq!(server.process.end(), Outcome::failed(&message));
            wait_for_the_end_of(&family);
        });
    }
}

// ---- Signals ----

#[test]
fn an_interrupted_wait_for_the_next_event_is_resumed() {
    for_each(&EVENT_LOOPS, |program| {
        let waits = "/^(p?poll|select|_newselect|pselect6|epoll_p?wait2?)$";
        let server = Server::faulty(program, &[&format!("{waits}:error=EINTR:when=1+2")]);
        for _ in 0..10 {
            server.serves();
        }
        assert_eq!(server.stop().stderr, "");
    });
}

#[test]
fn a_storm_of_sigchld_ends_nothing() {
    for_each(&CONCURRENT, |program| {
        let server = Server::start(program, &["--limit", "2"]);
        server.serves();
        let before = server.rests();
        let pid = server.process.pid();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let end = Instant::now() + deadline();
                while !over.load(SeqCst) && Instant::now() < end {
                    kill(pid, Signal::SIGCHLD).expect("the process is there");
                }
            });
            for _ in 0..100 {
                server.serves();
            }
            over.store(true, SeqCst);
        });
        assert_eq!(server.rests(), before);
        assert_eq!(server.stop().stderr, "");
    });
}

/// A stop interrupts even a call that no handler does, if it has a time-out: see signal(7).
#[test]
fn a_server_that_is_stopped_and_continued_goes_on() {
    for_each(&TCP_ECHO_SERVERS, |program| {
        for args in [&[][..], &["--idle-timeout", "50"]] {
            let server = Server::start(program, args);
            pause(&server); // in accept

            let mut client = server.connect();
            assert_serves(&mut client);
            pause(&server); // in recv
            assert_serves(&mut client);

            let taken = fill(&mut client);
            for _ in 0..3 {
                pause(&server); // in send: the first time it may have sent a part, and that is no failure
            }
            assert_bytes(&client.hear(taken), &vec![b'x'; taken]);
            assert_serves(&mut client);
            assert_eq!(server.stop().stderr, "");
        }
    });
}

fn pause(server: &Server) {
    server.process.halt();
    server.process.go_on();
}

// ---- Helpers ----

/// A server with room for this many clients, which has served one.
fn roomy(program: Program, clients: usize) -> Server {
    let clients = clients.to_string();
    let server = Server::start(program, &places(program, &clients));
    server.serves();
    server
}

fn places(program: Program, clients: &str) -> Vec<&str> {
    let more: &[&str] = match program.name {
        "tcp_echo_server" => &[],
        "tcp_upper_server" => &["--quiet"],
        "tcp_echo_server_pool" => &["--limit", clients, "--queue", clients],
        _ => &["--limit", clients],
    };
    [&["--backlog", clients], more].concat()
}

fn assert_serves(client: &mut TcpStream) {
    assert_bytes(&client.ask(b"x", 1), b"x");
}

/// Many questions, each of which has its answer before the next: if each waited for a timer or for another client, this would
/// take longer than the deadline.
fn assert_serves_at_once(client: &mut TcpStream) {
    let before = Instant::now();
    for _ in 0..1000 {
        assert_serves(client);
    }
    assert!(before.elapsed() < deadline(), "{:?}", before.elapsed());
}

/// For a second the server has nothing to do, and says nothing to this client.
fn assert_sleeps(server: &Server, client: &TcpStream) {
    let busy = || -> Duration {
        let family = server.process.family();
        family
            .iter()
            .filter_map(|member| Some(member.stat()?.busy))
            .sum()
    };
    let before = busy();
    assert!(is_silent_for(Duration::from_secs(1), client));
    let more = busy().saturating_sub(before);
    assert!(more < Duration::from_millis(300), "it spins: {more:?}");
}

/// The server closes this connection.
fn assert_ends(client: &mut TcpStream) {
    match client.read(&mut [0]) {
        Ok(n) => assert_eq!(n, 0),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

/// Sends any signal, one of those that have no name as well.
fn send(signal: &str, to: &Member) {
    let kill = format!("kill {signal} {}", to.pid);
    let outcome = run(Command::new("sh").args(["-c", &kill]), b"");
    assert_eq!(outcome, Outcome::done(""));
}
