//! The checks of a client: we are its server, and not always a kind one.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use sockstep::{SO_LINGER, SO_REUSEADDR, SOL_SOCKET, linger, setsockopt};

use crate::check::contract::Contract;
use crate::check::outcome::{Stop, count, fail, skip, wrong};
use crate::check::patience::{self, LOOK, Pulse, Wait};
use crate::check::subject::{Options, Recording, Subject, ended};
use crate::check::talk::{is_late, say_all};
use crate::sides::ready::free_port;
use crate::sides::shell::with_port;
use crate::sides::signals::Signals;
use crate::world::Side;

/// The word that a command's `{word}` becomes, or the line that it gets on standard input.
const WORD: &str = "hello";
/// How long a client is given to come, or to end.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long nothing may come before a client has said all.
const SILENCE: Duration = Duration::from_millis(100);

/// No word of a client is as long.
const MOST: usize = 1 << 20;

pub struct Visit {
    pub contract: Contract,
    pub command: OsString,
    pub signals: Arc<Signals>,
    pub timeout: Option<Duration>,
    /// How it ends, and what it prints, when all goes well.
    pub happy: Option<(ExitStatus, String)>,
    /// More options for strace at each start.
    pub stacks: Option<Vec<String>>,
    pub recording: Mutex<Recording>,
    /// Whether the lines of its source can be found.
    pub has_lines: AtomicBool,
}

/// What is bound at a free port, and the port. Another program may take it before we do.
pub fn at_a_free_port<T>(bind: impl Fn(u16) -> io::Result<T>) -> Result<(T, u16), Stop> {
    let mut why = String::new();
    for _ in 0..5 {
        let port = free_port().map_err(Stop::Trouble)?;
        match bind(port) {
            Ok(bound) => return Ok((bound, port)),
            Err(error) => why = format!("port {port}: {error}"),
        }
    }
    Err(Stop::Trouble(why))
}

/// A client that has come.
struct Guest {
    subject: Subject,
    stream: TcpStream,
    asked: Vec<u8>,
}

impl Visit {
    fn patience(&self) -> Duration {
        self.timeout.unwrap_or(PATIENCE)
    }

    fn start(&self, port: u16, line: &str) -> Result<Subject, Stop> {
        self.started(port, line, None)
    }

    /// The same under strace, with the word as its line.
    pub fn start_traced(&self, port: u16, options: &[String]) -> Result<Subject, Stop> {
        self.started(port, WORD, Some(options))
    }

    fn started(&self, port: u16, line: &str, trace: Option<&[String]>) -> Result<Subject, Stop> {
        let command = self.command.to_string_lossy().replace("{word}", WORD);
        let (command, _) = with_port(OsStr::new(&command), port);
        let input = format!("{line}\n");
        let options = Options {
            input: Some(input.as_bytes()),
            trace: trace.or(self.stacks.as_deref()),
            gently: self.stacks.is_some(),
            ..Options::default()
        };
        let subject = Subject::start(Side::Client, &command, &self.signals, &options)
            .map_err(Stop::Trouble)?;
        *self.kept() = subject.recording();
        Ok(subject)
    }

    fn kept(&self) -> MutexGuard<'_, Recording> {
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What strace has written of the last one.
    pub fn last_recording(&self) -> Recording {
        self.kept().clone()
    }

    fn look_for_lines(&self, subject: &Subject) {
        self.has_lines
            .fetch_or(subject.has_lines(), Ordering::Relaxed);
    }

    /// Whether its word is known: its command names it, or it reads a line.
    fn word(&self) -> Option<&'static str> {
        let named = self.command.to_string_lossy().contains("{word}");
        (named || matches!(self.contract, Contract::TcpUpper | Contract::UdpUpper)).then_some(WORD)
    }

    pub fn listener(port: u16) -> io::Result<TcpListener> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let _ = setsockopt(&listener, SOL_SOCKET, SO_REUSEADDR, &1);
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Starts it and waits until it has connected.
    fn come(&self, line: &str) -> Result<(Subject, TcpStream), Stop> {
        let (listener, port) = at_a_free_port(Visit::listener)?;
        let subject = self.start(port, line)?;
        let pulse = subject.pulse();
        let mut wait = Wait::begin(&pulse, self.patience());
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    let set = stream
                        .set_nonblocking(false)
                        .and_then(|()| stream.set_nodelay(true))
                        .and_then(|()| stream.set_write_timeout(Some(self.patience())));
                    set.map_err(|error| Stop::Trouble(format!("setsockopt: {error}")))?;
                    self.look_for_lines(&subject);
                    return Ok((subject, stream));
                }
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    return Err(Stop::Trouble(format!("accept: {error}")));
                }
                Err(_) => {}
            }
            if let Some(how) = subject.death() {
                return fail(format!("it does not connect: {how}"));
            }
            if wait.is_over() {
                return fail(format!(
                    "it does not connect to 127.0.0.1:{port} within {} seconds",
                    self.patience().as_secs()
                ));
            }
            thread::sleep(LOOK / 4);
        }
    }

    /// Starts it and takes in what it says.
    fn guest(&self) -> Result<Guest, Stop> {
        let (subject, mut stream) = self.come(WORD)?;
        let asked = said(&mut stream, self.patience(), &subject.pulse());
        if asked.is_empty() {
            return fail("it connects and sends nothing");
        }
        if asked.len() >= MOST {
            return fail(format!(
                "it sends without end: {} for a word of {}",
                count(asked.len()),
                WORD.len()
            ));
        }
        Ok(Guest {
            subject,
            stream,
            asked,
        })
    }

    /// Waits for its end.
    fn end(&self, subject: &Subject) -> Result<(ExitStatus, String), Stop> {
        match subject.wait(self.patience()) {
            Some(status) => Ok((status, subject.said())),
            None => fail("it does not end"),
        }
    }

    /// Fails unless it ends as when all goes well.
    fn ends_well(&mut self, subject: &Subject, what: &str) -> Result<(), Stop> {
        let (status, said) = self.end(subject).map_err(|stop| with(stop, what))?;
        if !status.success() {
            return fail(format!("{what}: {}: {}", ended(status), last_line(&said)));
        }
        match &self.happy {
            Some((_, usual)) if without_numbers(usual) != without_numbers(&said) => wrong(
                format!("{what}: its output is not the one for a whole answer"),
                usual.as_bytes(),
                said.as_bytes(),
            ),
            _ => Ok(()),
        }
    }

    /// Fails unless it ends with a word, and a status that is not 0.
    fn ends_with_a_word(&self, subject: &Subject, what: &str) -> Result<(), Stop> {
        let (status, said) = self.end(subject).map_err(|stop| with(stop, what))?;
        let crashed = ended(status).starts_with("it was killed");
        if crashed {
            return fail(format!("{what}: {}", ended(status)));
        }
        if status.success() {
            return fail(format!(
                "{what}: it exits with status 0, as if it had succeeded"
            ));
        }
        if said.trim().is_empty() {
            return fail(format!("{what}: {} without a word", ended(status)));
        }
        Ok(())
    }
}

fn with(stop: Stop, what: &str) -> Stop {
    match stop {
        Stop::Fail(mut failure) => {
            failure.said = format!("{what}: {}", failure.said);
            Stop::Fail(failure)
        }
        other => other,
    }
}

fn last_line(said: &str) -> &str {
    said.lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("not a word")
}

/// A port may stand in what it prints.
pub fn without_numbers(said: &str) -> String {
    said.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// What comes until nothing more comes, and the client rests; one that sends without end is heard up to [`MOST`].
fn said(stream: &mut TcpStream, patience: Duration, pulse: &Pulse) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 16_384];
    let _ = stream.set_read_timeout(Some(LOOK)); // at worst it takes longer
    let mut wait = Wait::begin(pulse, patience);
    loop {
        match stream.read(&mut buffer) {
            Ok(n @ 1..) if all.len() < MOST && !patience::is_up() => {
                all.extend_from_slice(&buffer[..n]);
                wait = Wait::begin(pulse, SILENCE);
            }
            Err(error) if is_late(&error) && !wait.is_over() => {}
            _ => return all,
        }
    }
}

/// Ends our side of the connection when the client has ended its own, as a server does: some clients wait for that.
fn part_with(stream: &TcpStream) {
    let Ok(mut stream) = stream.try_clone() else {
        return; // without descriptors nothing else goes well
    };
    thread::spawn(move || {
        let mut buffer = [0; 16_384];
        loop {
            match stream.read(&mut buffer) {
                Ok(1..) => {}
                Err(error) if is_late(&error) => {}
                _ => break, // at the latest when the client is killed
            }
        }
        let _ = stream.shutdown(Shutdown::Write); // it may have gone
    });
}

pub fn word(visit: &mut Visit) -> Result<(), Stop> {
    let mut guest = visit.guest()?;
    let answer = visit.contract.answer(&guest.asked);
    let _ = guest.stream.write_all(&answer); // if it has gone, its end says so
    part_with(&guest.stream);
    let (status, said) = visit
        .end(&guest.subject)
        .map_err(|stop| with(stop, "the answer was sent"))?;
    if !status.success() {
        return fail(format!(
            "the answer was sent: {}: {}",
            ended(status),
            last_line(&said)
        ));
    }
    visit.happy = Some((status, said));
    Ok(())
}

pub fn trailing(visit: &mut Visit) -> Result<(), Stop> {
    let guest = visit.guest()?;
    if guest.asked.contains(&0) {
        return wrong(
            "NUL bytes are sent too: the length of a text is strlen, not sizeof",
            visit.word().unwrap_or_default().as_bytes(),
            &guest.asked,
        );
    }
    let Some(word) = visit.word() else {
        return skip("its word is not known: write {word} for it in the command");
    };
    let sent = guest.asked.strip_suffix(b"\n").unwrap_or(&guest.asked);
    let sent = sent.strip_suffix(b"\r").unwrap_or(sent);
    if sent == word.as_bytes() {
        return Ok(());
    }
    wrong(
        "it does not send the bytes of its word",
        word.as_bytes(),
        &guest.asked,
    )
}

/// Sends the answer in pieces, with a pause between.
fn pieces(visit: &mut Visit, size: usize, pause: Duration, what: &str) -> Result<(), Stop> {
    if visit.happy.is_none() {
        word(visit)?; // what it prints then is right
    }
    let mut guest = visit.guest()?;
    let answer = visit.contract.answer(&guest.asked);
    let pulse = guest.subject.pulse();
    for (at, piece) in answer.chunks(size.max(1)).enumerate() {
        if at > 0 {
            Wait::begin(&pulse, pause).out();
        }
        if guest.stream.write_all(piece).is_err() {
            break; // it has gone: its end says so
        }
    }
    part_with(&guest.stream);
    visit.ends_well(&guest.subject, what)
}

pub fn byte_by_byte(visit: &mut Visit) -> Result<(), Stop> {
    pieces(
        visit,
        1,
        Duration::from_millis(10),
        "the answer came byte by byte",
    )
}

pub fn halves(visit: &mut Visit) -> Result<(), Stop> {
    let size = WORD.len().div_ceil(2);
    pieces(
        visit,
        size,
        Duration::from_millis(200),
        "the answer came in two parts, 200 ms apart",
    )
}

pub fn slow(visit: &mut Visit) -> Result<(), Stop> {
    if visit.happy.is_none() {
        word(visit)?;
    }
    let mut guest = visit.guest()?;
    Wait::begin(&guest.subject.pulse(), Duration::from_secs(1)).out();
    let answer = visit.contract.answer(&guest.asked);
    let _ = guest.stream.write_all(&answer); // if it has gone, its end says so
    part_with(&guest.stream);
    visit.ends_well(&guest.subject, "the answer came after a second")
}

pub fn more(visit: &mut Visit) -> Result<(), Stop> {
    let mut guest = visit.guest()?;
    let mut answer = visit.contract.answer(&guest.asked);
    answer.extend([b'x'; 10_000]);
    let _ = guest.stream.write_all(&answer); // it may have left
    drop(guest.stream);
    let what = "10,000 bytes more than the answer came";
    let (status, _) = visit.end(&guest.subject).map_err(|stop| with(stop, what))?;
    let how = ended(status);
    if how.starts_with("it was killed") {
        return fail(format!("{what}: {how}"));
    }
    Ok(())
}

pub fn closed_at_once(visit: &mut Visit) -> Result<(), Stop> {
    let guest = visit.guest()?;
    drop(guest.stream);
    visit.ends_with_a_word(&guest.subject, "the server closed without an answer")
}

pub fn closed_amid(visit: &mut Visit) -> Result<(), Stop> {
    let mut guest = visit.guest()?;
    let answer = visit.contract.answer(&guest.asked);
    let half = answer.len() / 2;
    let _ = guest.stream.write_all(&answer[..half]); // if it has gone, its end says so
    drop(guest.stream);
    visit.ends_with_a_word(&guest.subject, "the server closed in mid-answer")
}

pub fn reset(visit: &mut Visit) -> Result<(), Stop> {
    let guest = visit.guest()?;
    let now = linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let _ = setsockopt(&guest.stream, SOL_SOCKET, SO_LINGER, &now); // else it is a close
    drop(guest.stream);
    visit.ends_with_a_word(&guest.subject, "the server reset the connection")
}

pub fn nobody(visit: &mut Visit) -> Result<(), Stop> {
    let port = free_port().map_err(Stop::Trouble)?;
    let subject = visit.start(port, WORD)?;
    visit.ends_with_a_word(&subject, "no server listens")
}

pub fn large(visit: &mut Visit) -> Result<(), Stop> {
    if visit.contract != Contract::TcpUpper {
        return skip("an argument has at most 128 KiB, which both buffers take");
    }
    let line = "a line larger than both buffers ".repeat(1 << 18); // 8 MiB
    let (subject, stream) = visit.come(&line)?;
    let _ = stream.set_read_timeout(Some(LOOK)); // at worst it takes longer
    let _ = stream.set_write_timeout(Some(LOOK));
    let pulse = subject.pulse();
    let mut wait = Wait::begin(&pulse, visit.patience());
    let mut stream = stream;
    let mut buffer = [0; 16_384];
    let mut taken = 0;
    while taken <= line.len() {
        let n = match stream.read(&mut buffer) {
            Ok(n @ 1..) if !patience::is_up() => n,
            Err(error) if is_late(&error) && !wait.is_over() => continue,
            _ => break,
        };
        taken += n;
        wait.progress();
        buffer[..n].make_ascii_uppercase();
        if say_all(&stream, &buffer[..n], &mut wait, |_| ()).is_err() {
            return fail(
                "a line of 8 MiB: it sends, and does not receive what comes back meanwhile; now both wait",
            );
        }
    }
    if taken <= line.len() {
        return fail(format!(
            "a line of 8 MiB: only {taken} bytes of it were sent"
        ));
    }
    part_with(&stream);
    let (status, _) = visit
        .end(&subject)
        .map_err(|stop| with(stop, "a line of 8 MiB"))?;
    if status.success() {
        return Ok(());
    }
    fail(format!("a line of 8 MiB: {}", ended(status)))
}

// ---- UDP ----

/// A datagram server of ours, the client that was started, and its first datagram.
fn datagram(visit: &Visit) -> Result<(Subject, UdpSocket, Vec<u8>, std::net::SocketAddr), Stop> {
    let (socket, port) = at_a_free_port(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)))?;
    let subject = visit.start(port, WORD)?;
    match next(&socket, &subject, visit.patience()) {
        Some((bytes, from)) => {
            visit.look_for_lines(&subject);
            Ok((subject, socket, bytes, from))
        }
        None => match subject.death() {
            Some(how) => fail(format!("it sends nothing: {how}")),
            None => fail(format!("it sends nothing to 127.0.0.1:{port}")),
        },
    }
}

/// The next datagram; nothing if the client rests for so long, or has ended.
fn next(
    socket: &UdpSocket,
    subject: &Subject,
    patience: Duration,
) -> Option<(Vec<u8>, std::net::SocketAddr)> {
    let _ = socket.set_read_timeout(Some(LOOK)); // at worst it takes longer
    let mut buffer = vec![0; 65_536];
    let pulse = subject.pulse();
    let mut wait = Wait::begin(&pulse, patience);
    loop {
        let over = wait.is_over() || subject.status().is_some();
        match socket.recv_from(&mut buffer) {
            Ok((n, from)) => {
                buffer.truncate(n);
                return Some((buffer, from));
            }
            Err(_) if over => return None,
            Err(_) => {}
        }
    }
}

pub fn udp_word(visit: &mut Visit) -> Result<(), Stop> {
    let (subject, socket, asked, from) = datagram(visit)?;
    let _ = socket.send_to(&visit.contract.answer(&asked), from); // if it has gone, its end says so
    let (status, said) = visit
        .end(&subject)
        .map_err(|stop| with(stop, "the answer was sent"))?;
    if !status.success() {
        return fail(format!(
            "the answer was sent: {}: {}",
            ended(status),
            last_line(&said)
        ));
    }
    visit.happy = Some((status, said));
    Ok(())
}

pub fn udp_trailing(visit: &mut Visit) -> Result<(), Stop> {
    let (_subject, _socket, asked, _) = datagram(visit)?;
    if asked.contains(&0) {
        return wrong(
            "NUL bytes are sent too: the length of a text is strlen, not sizeof",
            visit.word().unwrap_or_default().as_bytes(),
            &asked,
        );
    }
    let Some(word) = visit.word() else {
        return skip("its word is not known: write {word} for it in the command");
    };
    if asked.strip_suffix(b"\n").unwrap_or(&asked) == word.as_bytes() {
        return Ok(());
    }
    wrong(
        "it does not send the bytes of its word",
        word.as_bytes(),
        &asked,
    )
}

pub fn stranger(visit: &mut Visit) -> Result<(), Stop> {
    let (subject, socket, asked, from) = datagram(visit)?;
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .map_err(|error| Stop::Trouble(format!("a UDP socket: {error}")))?;
    let _ = stranger.send_to(&visit.contract.answer(b"FORGED"), from); // refused by a connected socket: right
    Wait::begin(&subject.pulse(), SILENCE).out();
    let _ = socket.send_to(&visit.contract.answer(&asked), from); // if it has gone, its end says so
    let (_, said) = visit
        .end(&subject)
        .map_err(|stop| with(stop, "another address answered first"))?;
    let forged = visit.contract.answer(b"FORGED");
    if said.contains(&*String::from_utf8_lossy(&forged)) {
        return fail("another address answered first, and it takes that for the answer");
    }
    Ok(())
}

pub fn twice(visit: &mut Visit) -> Result<(), Stop> {
    if visit.happy.is_none() {
        udp_word(visit)?;
    }
    let (subject, socket, asked, from) = datagram(visit)?;
    for _ in 0..2 {
        let _ = socket.send_to(&visit.contract.answer(&asked), from); // the client may have gone before the second
    }
    visit.ends_well(&subject, "the answer came twice")
}

pub fn lost(visit: &mut Visit) -> Result<(), Stop> {
    let (subject, socket, asked, _) = datagram(visit)?;
    let Some((_, from)) = next(&socket, &subject, visit.patience()) else {
        return match subject.status() {
            Some(status) if !status.success() => Ok(()), // it says that no answer came
            _ => Err(Stop::ByDesign(
                "the answer did not come, and it waits without end".to_owned(),
            )),
        };
    };
    let _ = socket.send_to(&visit.contract.answer(&asked), from); // if it has gone, its end says so
    visit.ends_well(&subject, "the second try was answered")
}

pub fn udp_nobody(visit: &mut Visit) -> Result<(), Stop> {
    let port = free_port().map_err(Stop::Trouble)?;
    let subject = visit.start(port, WORD)?;
    match visit.ends_with_a_word(&subject, "no server is there") {
        Err(Stop::Fail(_)) if subject.status().is_none() => Err(Stop::ByDesign(
            "no server is there, and it waits without end".to_owned(),
        )),
        other => other,
    }
}
