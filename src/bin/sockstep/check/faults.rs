//! `sockstep check --faults`: each call of a run in which all goes well fails, once and from then on, with each error that it may
//! have. What becomes of the program and of its clients?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _; // into memory, which does not fail
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::check::Args;
use crate::check::client::{Visit, at_a_free_port};
use crate::check::contract::Contract;
use crate::check::http::{GET, MOST};
use crate::check::outcome::Stop;
use crate::check::patience::{LOOK, Wait};
use crate::check::server::{Limits, Rest, Trial};
use crate::check::subject::{Subject, ended};
use crate::check::talk::End;
use crate::draw::json::{object, text, version};
use crate::draw::terminal::put;
use crate::sides::trouble::Trouble;
use crate::strace::calls::{self, By, Data, Does, Place, Row};
use crate::strace::command::Trace;
use crate::strace::line::What;

/// How an error comes about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is over at once, and comes again by chance alone.
    Passes,
    /// It is this client's end: the server owes the others that it goes on.
    OfClient,
    /// The machine has no more, or forbids it: a program may say so and end.
    Lasts,
}
use Kind::{Lasts, OfClient, Passes};

/// The errors that a call may have, as the notes' sections name them.
fn errors(row: &Row) -> &'static [(&'static str, Kind)] {
    match row.does {
        Does::MakesSocket => &[("EMFILE", Lasts), ("ENOBUFS", Lasts), ("EACCES", Lasts)],
        Does::Binds => &[("EADDRINUSE", Lasts), ("EACCES", Lasts)],
        Does::Listens => &[("EADDRINUSE", Lasts)],
        Does::Connects => &[
            ("ECONNREFUSED", Lasts),
            ("ETIMEDOUT", Lasts),
            ("ENETUNREACH", Lasts),
        ],
        Does::Accepts => &[
            ("EINTR", Passes),
            ("ECONNABORTED", Passes),
            ("EMFILE", Lasts),
            ("ENOBUFS", Lasts),
        ],
        Does::Shuts | Does::Names(true) => &[("ENOTCONN", OfClient)],
        Does::SetsOption | Does::Names(false) => &[("ENOBUFS", Lasts)],
        Does::Watches(By::Change) => &[("ENOSPC", Lasts)],
        Does::Watches(_) => &[("EINTR", Passes), ("ENOMEM", Lasts)],
        Does::OpensAnother if row.in_c.starts_with("epoll") => &[("EMFILE", Lasts)],
        Does::MakesTask => &[("EAGAIN", Lasts), ("ENOMEM", Lasts)],
        Does::Neither if moves_bytes(row.receives) => &[
            ("EINTR", Passes),
            ("ECONNRESET", OfClient),
            ("ETIMEDOUT", OfClient),
            ("ENOMEM", Lasts),
        ],
        Does::Neither if moves_bytes(row.sends) => &[
            ("EINTR", Passes),
            ("ECONNRESET", OfClient),
            ("EPIPE", OfClient),
            ("ENOBUFS", Lasts),
        ],
        _ => &[],
    }
}

/// Whether it takes or gives the program's own bytes, one message at a time.
fn moves_bytes(data: Option<Data>) -> bool {
    data.is_some_and(|data| !matches!(data.place, Place::Unseen(_) | Place::Messages(_)))
}

/// A task that makes this many calls between two looks does not wait.
const BUSY: usize = 300;
const GLANCE: Duration = Duration::from_millis(250);
/// How long a client waits for an answer while the server rests.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Case {
    call: &'static str,
    number: usize,
    error: &'static str,
    kind: Kind,
    lasts: bool,
}

impl Case {
    fn injection(&self) -> String {
        let on = if self.lasts { "+" } else { "" };
        format!(
            "--inject={}:error={}:when={}{on}",
            self.call, self.error, self.number
        )
    }

    fn name(&self) -> String {
        let when = if self.lasts { "from then on" } else { "once" };
        format!(
            "{:12} #{:<2} {:13} {when}",
            self.call, self.number, self.error
        )
    }
}

enum Verdict {
    Survived,
    /// The client that the call was for has no answer.
    Loss,
    /// It ended, with its own words.
    Said(String),
    Unreached,
    Bad(&'static str, String),
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self {
            Verdict::Survived => "survived",
            Verdict::Loss => "its client's loss",
            Verdict::Said(_) => "ended with a line",
            Verdict::Unreached => "not reached",
            Verdict::Bad(word, _) => word,
        }
    }

    fn said(&self) -> &str {
        match self {
            Verdict::Said(said) | Verdict::Bad(_, said) => said,
            _ => "",
        }
    }
}

/// What strace is to write: these calls alone.
fn options(more: Option<String>) -> Vec<String> {
    let wanted = |row: &&Row| !errors(row).is_empty() || row.does == Does::OpensFile;
    let names = calls::rows().filter(wanted);
    let names: Vec<String> = names.map(|row| format!("?{}", row.name)).collect();
    let mut options = vec![
        format!("--trace={}", names.join(",")),
        "--signal=none".to_owned(),
        "--string-limit=8".to_owned(),
    ];
    options.extend(more);
    options
}

/// Each call from the first socket on that is one on a socket, and its number among the calls of that name of its task.
fn found(recording: &str) -> BTreeSet<(&'static str, usize)> {
    let mut trace = Trace::default();
    let mut entries = trace.take(recording.as_bytes());
    entries.extend(trace.end());
    let mut numbers: BTreeMap<(Option<u32>, &str), usize> = BTreeMap::new();
    let mut sockets: BTreeSet<i32> = BTreeSet::new();
    let mut found = BTreeSet::new();
    let mut begun = false;
    for entry in entries {
        let What::Call(call) = &entry.what else {
            continue;
        };
        let Some(row) = calls::of(&call.name) else {
            continue;
        };
        if row.does == Does::OpensFile {
            // What was a socket's number is a file's now.
            let number = calls::descriptor(&call.result);
            number.map(|number| sockets.remove(&number));
            continue;
        }
        let number = numbers.entry((entry.pid, row.name)).or_default();
        *number += 1;
        if matches!(row.does, Does::MakesSocket | Does::Accepts) {
            begun |= row.does == Does::MakesSocket;
            sockets.extend(calls::descriptor(&call.result));
        }
        let on = row.on.and_then(|at| calls::descriptor(call.args.get(at)?));
        let of_socket = row.on.is_none() || row.proves;
        if begun && (of_socket || on.is_some_and(|on| sockets.contains(&on))) {
            found.insert((row.name, *number));
        }
    }
    found
}

fn cases(found: &BTreeSet<(&'static str, usize)>) -> Vec<Case> {
    let mut cases = Vec::new();
    for &(call, number) in found {
        for &(error, kind) in calls::of(call).map_or(&[][..], errors) {
            for lasts in [false, true] {
                // What passes does not last: a program that tries again at once is right.
                if kind != Passes || !lasts {
                    cases.push(Case {
                        call,
                        number,
                        error,
                        kind,
                        lasts,
                    });
                }
            }
        }
    }
    cases
}

// ---- A server ----

/// How a client fared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Served,
    Lost,
    Stuck,
    Wrong,
}

fn tcp_client(trial: &Trial) -> Fate {
    let talk = match trial.connect_within(PATIENCE) {
        Ok(Some(talk)) => talk,
        Ok(None) => return Fate::Stuck,
        Err(_) => return Fate::Lost,
    };
    let mut talk = talk;
    for word in [&b"hello"[..], b"and once more"] {
        if talk.say(word).is_err() {
            return Fate::Lost;
        }
        let wanted = trial.answer(word);
        let (heard, end) = talk.heard(wanted.len(), PATIENCE);
        match end {
            None if heard == wanted => {}
            None => return Fate::Wrong,
            Some(End::Silent) => return Fate::Stuck,
            Some(_) => return Fate::Lost,
        }
    }
    if talk.finish().is_err() {
        return Fate::Lost;
    }
    match talk.heard(1, PATIENCE).1 {
        Some(End::Closed) => Fate::Served,
        Some(End::Reset) => Fate::Lost,
        Some(End::Silent) => Fate::Stuck,
        None => Fate::Wrong,
    }
}

/// One request, as a browser makes it. Any status is an answer: an error of the server's own may be told by 500.
fn http_client(trial: &Trial) -> Fate {
    let mut talk = match trial.connect_within(PATIENCE) {
        Ok(Some(talk)) => talk,
        Ok(None) => return Fate::Stuck,
        Err(_) => return Fate::Lost,
    };
    if talk.say(GET).is_err() {
        return Fate::Lost;
    }
    let (heard, end) = talk.heard(MOST, PATIENCE);
    match end {
        Some(End::Closed) if heard.starts_with(b"HTTP/1.") => Fate::Served,
        Some(End::Silent) => Fate::Stuck,
        None => Fate::Wrong,
        Some(_) => Fate::Lost,
    }
}

/// The client that a server of this kind is for.
fn client_of(trial: &Trial) -> Fate {
    match trial.contract {
        Contract::Http => http_client(trial),
        contract if contract.is_udp() => udp_client(trial),
        _ => tcp_client(trial),
    }
}

fn udp_client(trial: &Trial) -> Fate {
    let asked = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.set_read_timeout(Some(LOOK))?;
        let mut fate = Fate::Lost;
        for word in [&b"hello"[..], b"and once more"] {
            socket.send_to(word, trial.address())?;
            let pulse = trial.pulse();
            let mut wait = Wait::begin(&pulse, Duration::from_millis(300));
            let mut buffer = [0; 64];
            fate = loop {
                match socket.recv(&mut buffer) {
                    Ok(n) if buffer[..n] == trial.answer(word) => break Fate::Served,
                    Ok(_) => return Ok(Fate::Wrong),
                    Err(_) if wait.is_over() => break Fate::Lost, // the loss is not reported
                    Err(_) => {}
                }
            };
        }
        Ok(fate)
    });
    asked.unwrap_or(Fate::Lost)
}

fn of_server(trial: &mut Trial, case: &Case) -> Verdict {
    let started = trial.start_with(&Limits {
        trace: Some(options(Some(case.injection()))),
        ..Limits::default()
    });
    let mut fates = Vec::new();
    if started.is_ok() {
        for _ in 0..3 {
            fates.push(client_of(trial));
            if trial.death().is_some() {
                break;
            }
        }
    }
    let verdict = judged(trial, case, started, &fates);
    let reached = trial.trace().contains("(INJECTED)");
    trial.spoil();
    match verdict {
        Verdict::Survived if !reached => Verdict::Unreached,
        verdict => verdict,
    }
}

fn judged(trial: &Trial, case: &Case, started: Result<(), Stop>, fates: &[Fate]) -> Verdict {
    // Who has just ended is a moment on the way, with strace before it.
    let pulse = trial.pulse();
    let mut wait = Wait::begin(&pulse, GLANCE);
    while fates.last() == Some(&Fate::Lost) && trial.death().is_none() && !wait.is_over() {
        thread::sleep(LOOK / 4);
    }
    if let Some(how) = trial.death() {
        let said = trial.said();
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        let status = trial.status();
        if status.is_some_and(|status| ended(status).starts_with("it was killed")) {
            return Verdict::Bad("CRASHES", how);
        }
        let clear = said.lines().count() > 0 && !status.is_some_and(|status| status.success());
        return match last {
            Some(_) if case.kind != Lasts && !case.lasts => Verdict::Bad(
                "ENDS",
                format!("{how}: an error of one client must not end the server"),
            ),
            Some(line) if clear => Verdict::Said(line.to_owned()),
            _ => Verdict::Bad("ENDS", format!("{how}, without a line or with status 0")),
        };
    }
    if let Err(stop) = started {
        return match stop {
            Stop::Fail(failure) => Verdict::Bad("HANGS", failure.said),
            _ => Verdict::Unreached,
        };
    }
    if fates.contains(&Fate::Wrong) {
        return Verdict::Bad("LOSES BYTES", "a client has other bytes".to_owned());
    }
    let before = trial.traced();
    let spins = matches!(trial.rest(), Rest::Spins) || {
        let from = trial.traced().max(before);
        thread::sleep(GLANCE);
        trial.traced() > from + BUSY
    };
    if spins {
        return Verdict::Bad(
            "SPINS",
            "it calls again and again, without a pause".to_owned(),
        );
    }
    let stuck = fates.iter().filter(|fate| **fate == Fate::Stuck).count();
    let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
    if case.lasts {
        return if stuck + lost > 0 {
            Verdict::Loss
        } else {
            Verdict::Survived
        };
    }
    if stuck > 0 {
        return Verdict::Bad(
            "HANGS",
            format!("{stuck} of 3 clients get neither an answer nor an end"),
        );
    }
    match lost {
        0 => Verdict::Survived,
        1 => Verdict::Loss,
        // Each task counts its calls for itself: one that serves one client meets the fault once for each.
        _ if trial.serves_by_tasks() => Verdict::Loss,
        lost => Verdict::Bad(
            "LOSES BYTES",
            format!("one error loses {lost} of 3 clients"),
        ),
    }
}

// ---- A client ----

/// Serves one client, as long as it lasts.
fn serve(contract: Contract, subject: &Subject, listener: &TcpListener, socket: &UdpSocket) {
    let pulse = subject.pulse();
    let mut wait = Wait::begin(&pulse, PATIENCE);
    let _ = socket.set_read_timeout(Some(LOOK)); // at worst it takes longer
    let mut buffer = vec![0; 65_536];
    let mut guest: Option<std::net::TcpStream> = None;
    while subject.status().is_none() && !wait.is_over() {
        if contract.is_udp() {
            if let Ok((n, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&contract.answer(&buffer[..n]), from); // if it has gone, its end says so
            }
            continue;
        }
        match &mut guest {
            None => match listener.accept() {
                Ok((stream, _)) => {
                    let _ = stream.set_nonblocking(false);
                    let _ = stream.set_read_timeout(Some(LOOK));
                    guest = Some(stream);
                }
                Err(_) => thread::sleep(LOOK / 4),
            },
            Some(stream) => match stream.read(&mut buffer) {
                Ok(0) => thread::sleep(LOOK / 4),
                Ok(n) => {
                    let _ = stream.write_all(&contract.answer(&buffer[..n]));
                    // One request, one response, then the end, as HTTP/1.0 has it.
                    if contract == Contract::Http {
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                }
                Err(_) => {}
            },
        }
    }
}

fn client_run(visit: &Visit, more: Option<String>) -> Result<(Subject, u16), Stop> {
    let both = |port| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
        Ok((Visit::listener(port)?, socket))
    };
    let ((listener, socket), port) = at_a_free_port(both)?;
    let subject = visit.start_traced(port, &options(more))?;
    serve(visit.contract, &subject, &listener, &socket);
    Ok((subject, port))
}

fn of_client(visit: &Visit, case: &Case, usual: &str) -> Verdict {
    let Ok((subject, _)) = client_run(visit, Some(case.injection())) else {
        return Verdict::Unreached;
    };
    let status = subject.wait(PATIENCE);
    let said = subject.said();
    let before = subject.traced();
    let reached = subject.trace().contains("(INJECTED)");
    let Some(status) = status else {
        thread::sleep(GLANCE);
        return if subject.traced() > before + BUSY {
            Verdict::Bad(
                "SPINS",
                "it calls again and again, without a pause".to_owned(),
            )
        } else {
            Verdict::Bad("HANGS", "it waits without end".to_owned())
        };
    };
    let how = ended(status);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    if how.starts_with("it was killed") {
        return Verdict::Bad("CRASHES", how);
    }
    if status.success() {
        return if !reached {
            Verdict::Unreached
        } else if crate::check::client::without_numbers(&said)
            == crate::check::client::without_numbers(usual)
        {
            Verdict::Survived
        } else {
            Verdict::Bad(
                "SAYS OTHERWISE",
                format!("{how}, and its output is not the usual one"),
            )
        };
    }
    match last {
        Some(line) => Verdict::Said(line.to_owned()),
        None => Verdict::Bad("ENDS", format!("{how} without a line")),
    }
}

// ---- All of them ----

/// Whether a program has passed. `of` makes one case; `happy` is what strace wrote where all went well.
fn all(happy: &str, args: &Args, of: impl Fn(&Case) -> Verdict + Sync) -> Result<bool, Trouble> {
    let json = args.output.json;
    let named = |names: &[String], call| names.iter().any(|name| name == call);
    let mut found = found(happy);
    found.retain(|(call, _)| {
        (args.only.is_empty() || named(&args.only, *call)) && !named(&args.skip, *call)
    });
    let cases = cases(&found);
    if cases.is_empty() {
        return Err(Trouble::Said(
            "strace saw no such call in a run without faults".to_owned(),
        ));
    }
    if json {
        version()?;
    }
    let next = AtomicUsize::new(0);
    let mut sums: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut bad = Vec::new();
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        for _ in 0..args.jobs {
            let (sender, next, cases, of) = (sender.clone(), &next, &cases, &of);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at).filter(|_| !crate::check::is_interrupted())
                    else {
                        return;
                    };
                    if sender.send((at, of(case))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        crate::check::in_order(&receiver, |at: usize, verdict: Verdict| {
            let case = &cases[at];
            *sums.entry(verdict.word()).or_default() += 1;
            if let Verdict::Bad(word, said) = &verdict {
                bad.push(format!("{}  {word}: {said}", case.name()));
            }
            let line = if json {
                object(&[
                    ("kind", text("fault")),
                    ("call", text(case.call)),
                    ("number", case.number.to_string()),
                    ("error", text(case.error)),
                    ("once", (!case.lasts).to_string()),
                    ("outcome", text(verdict.word())),
                    ("said", text(verdict.said())),
                ]) + "\n"
            } else {
                let mut shown = Vec::new();
                let line = format!("{}  {:17} {}", case.name(), verdict.word(), verdict.said());
                crate::draw::terminal::harmless(line.trim_end().as_bytes(), &mut shown);
                String::from_utf8_lossy(&shown).into_owned() + "\n"
            };
            put(line.as_bytes())
        })
    })?;
    crate::check::goes_on()?;
    if !json {
        let mut end = format!("\n{} cases", cases.len());
        for (word, number) in &sums {
            let _ = write!(end, ", {number} {word}");
        }
        put((end + "\n").as_bytes())?;
    }
    Ok(bad.is_empty())
}

/// Tries a server.
pub fn server(trial: impl Fn() -> Trial + Sync, args: &Args) -> Result<bool, Trouble> {
    let mut happy = trial();
    let limits = Limits {
        trace: Some(options(None)),
        ..Limits::default()
    };
    if let Err(stop) = happy.start_with(&limits) {
        return Err(Trouble::Said(stop.words()));
    }
    let fates = [0; 3].map(|_| client_of(&happy));
    if fates.iter().any(|fate| *fate != Fate::Served) {
        return Err(Trouble::Said(
            "a client is not served even without a fault: see 'sockstep check' without --faults"
                .to_owned(),
        ));
    }
    // strace is a moment behind.
    let pulse = happy.pulse();
    let mut wait = Wait::begin(&pulse, GLANCE);
    let mut written = happy.traced();
    while !wait.is_over() {
        thread::sleep(LOOK);
        if happy.traced() != written {
            written = happy.traced();
            wait.progress();
        }
    }
    let trace = happy.trace();
    drop(happy);
    all(&trace, args, |case| of_server(&mut trial(), case))
}

/// Tries a client.
pub fn client(visit: &Visit, args: &Args) -> Result<bool, Trouble> {
    let (subject, _) = client_run(visit, None).map_err(|stop| Trouble::Said(stop.words()))?;
    let status = subject.wait(PATIENCE);
    if !status.is_some_and(|status| status.success()) {
        return Err(Trouble::Said(
            "the client does not end well even without a fault: see 'sockstep check' without --faults"
                .to_owned(),
        ));
    }
    let (trace, usual) = (subject.trace(), subject.said());
    drop(subject);
    all(&trace, args, |case| of_client(visit, case, &usual))
}
