//! The checks of a TCP server that answers bytes by bytes.

use std::thread;
use std::time::{Duration, Instant};

use crate::check::outcome::{Stop, count, fail, skip, wrong};
use crate::check::patience::{LOOK, Wait};
use crate::check::server::{Limits, Rest, Trial};

const WORD: &[u8] = b"hello";
/// How long the server must be silent after an answer.
const SILENCE: Duration = Duration::from_millis(100);
/// A server that rests for so long has taken what was sent.
const TAKEN: Duration = Duration::from_millis(10);

/// Nothing is left to do: it has been started.
#[allow(clippy::unnecessary_wraps, reason = "it is a check as the others are")]
pub fn starts(_: &mut Trial) -> Result<(), Stop> {
    Ok(())
}

pub fn word(trial: &mut Trial) -> Result<(), Stop> {
    let began = Instant::now();
    let mut talk = trial.connect()?;
    talk.say(WORD)?;
    talk.expect(&trial.answer(WORD), "a word was sent")?;
    trial.pace = began.elapsed();
    Ok(())
}

pub fn trailing(trial: &mut Trial) -> Result<(), Stop> {
    let mut talk = trial.connect()?;
    talk.say(WORD)?;
    let wanted = trial.answer(WORD);
    talk.expect(&wanted, "a word was sent")?;
    let more = talk.more_within(SILENCE);
    if more.is_empty() {
        return Ok(());
    }
    let said = if more.iter().all(|&byte| byte == 0) {
        "NUL bytes follow the answer: the length of the text is what recv returned, without the NUL of a C string"
    } else {
        "more bytes come back than were sent: send exactly as many as recv returned"
    };
    wrong(said, &wanted, &[wanted.clone(), more].concat())
}

pub fn two_messages(trial: &mut Trial) -> Result<(), Stop> {
    let mut talk = trial.connect()?;
    for (message, what) in [
        (WORD, "a first message was sent"),
        (
            b"world!!",
            "a second message was sent on the same connection",
        ),
    ] {
        talk.say(message)?;
        talk.expect(&trial.answer(message), what)?;
    }
    Ok(())
}

pub fn one_segment(trial: &mut Trial) -> Result<(), Stop> {
    let mut talk = trial.connect()?;
    talk.say(b"helloworld")?;
    talk.expect(
        &trial.answer(b"helloworld"),
        "two words were sent in one segment",
    )?;
    talk.say(b"one\ntwo\n")?;
    talk.expect(
        &trial.answer(b"one\ntwo\n"),
        "two lines were sent in one segment",
    )
}

pub fn byte_by_byte(trial: &mut Trial) -> Result<(), Stop> {
    let mut talk = trial.connect()?;
    let message = b"a byte at a time";
    let mut heard = Vec::new();
    for &byte in message {
        talk.say(&[byte])?;
        // The next one only when the server has taken this one, or several come as one.
        heard.extend(talk.some_within(1, TAKEN));
    }
    let what = "a message was sent byte by byte";
    talk.expect_behind(heard, &trial.answer(message), what)
}

pub fn halves(trial: &mut Trial) -> Result<(), Stop> {
    let mut talk = trial.connect()?;
    talk.say(b"first half, ")?;
    talk.pause(Duration::from_millis(200));
    talk.say(b"second half")?;
    let wanted = trial.answer(b"first half, second half");
    talk.expect(&wanted, "a message was sent in two halves, 200 ms apart")
}

pub fn every_byte(trial: &mut Trial) -> Result<(), Stop> {
    let message: Vec<u8> = (0..=255).collect();
    let mut talk = trial.connect()?;
    talk.say(&message)?;
    talk.expect(
        &trial.answer(&message),
        "each of the 256 values of a byte was sent",
    )
}

pub fn late_reader(trial: &mut Trial) -> Result<(), Stop> {
    let message = trial.bytes(1 << 20);
    let mut talk = trial.connect_narrow()?;
    let late = Duration::from_millis(300);
    let wanted = trial.answer(&message);
    talk.exchange(
        &message,
        &wanted,
        late,
        "1 MiB was sent, and its answer read 300 ms later",
    )
}

/// What a server may keep of a client's 64 MiB.
const KEPT: u64 = 32 << 20;

pub fn both_ways(trial: &mut Trial) -> Result<(), Stop> {
    let piece = trial.bytes(1 << 20);
    let wanted = trial.answer(&piece);
    let mut talk = trial.connect()?;
    let mut before = trial.memory();
    let mut most = 0;
    // What a garbage collector has not yet taken is not kept: once more 64 MiB, and it grows no further.
    for _ in 0..2 {
        most = 0;
        for _ in 0..64 {
            talk.exchange(
                &piece,
                &wanted,
                Duration::ZERO,
                "64 MiB were sent, 1 MiB at a time",
            )?;
            most = most.max(trial.memory().saturating_sub(before));
        }
        if most <= KEPT {
            return Ok(());
        }
        before = trial.memory();
    }
    let most = count(most.try_into().unwrap_or(usize::MAX));
    fail(format!(
        "it grows by {most} for each 64 MiB: it keeps what it has already sent"
    ))
}

pub fn half_close(trial: &mut Trial) -> Result<(), Stop> {
    let message = trial.bytes(100_000);
    let wanted = trial.answer(&message);
    let mut talk = trial.connect()?;
    talk.say(&message[..1000])?;
    talk.exchange(
        &message[1000..],
        &wanted,
        Duration::ZERO,
        "100,000 bytes were sent",
    )?;
    talk.say(WORD)?;
    talk.finish()?;
    let what = "a word was sent, then shutdown(SHUT_WR)";
    talk.expect(&trial.answer(WORD), what)?;
    let rest = talk.rest(4096, what)?;
    if rest.is_empty() {
        return Ok(());
    }
    wrong(format!("{what}: more than the answer comes"), b"", &rest)
}

/// Fails unless the next client is served.
fn serves_on(trial: &mut Trial, after: &str) -> Result<(), Stop> {
    let served = trial.connect().and_then(|mut talk| {
        talk.say(WORD)?;
        talk.expect(&trial.answer(WORD), "the next client sent a word")
    });
    match served {
        Err(Stop::Fail(mut failure)) => {
            let died = trial.death();
            let how = died.unwrap_or_else(|| failure.said.clone());
            failure.said = format!("{after} the next client is not served: {how}");
            Err(Stop::Fail(failure))
        }
        other => other,
    }
}

pub fn leaves_at_once(trial: &mut Trial) -> Result<(), Stop> {
    drop(trial.connect()?);
    serves_on(trial, "a client left without sending, and")
}

pub fn leaves_amid(trial: &mut Trial) -> Result<(), Stop> {
    // Once with what has come back unread, which makes the end a reset, and once without.
    for reads in [false, true] {
        let mut talk = trial.connect()?;
        talk.say(b"half a mess")?;
        if reads {
            talk.some_within(11, trial.patience());
        }
        drop(talk);
    }
    serves_on(trial, "a client left in mid-message, and")
}

pub fn reset_at_once(trial: &mut Trial) -> Result<(), Stop> {
    for _ in 0..3 {
        trial.connect()?.reset();
    }
    serves_on(trial, "a client reset its connection at once, and")
}

pub fn reset_amid(trial: &mut Trial) -> Result<(), Stop> {
    // Once while the server waits in recv, once while it has a word to answer.
    for more in [false, true] {
        let mut talk = trial.connect()?;
        talk.say(WORD)?;
        talk.expect(&trial.answer(WORD), "a word was sent")?;
        if more {
            talk.say(WORD)?;
        }
        talk.reset();
    }
    serves_on(trial, "a client reset its connection in mid-exchange, and")
}

const RESET_WHILE_SENDING: &str = "a client reset its connection while the server sent, and";

pub fn reset_while_sending(trial: &mut Trial) -> Result<(), Stop> {
    let message = trial.bytes(1 << 16);
    // As much as both buffers take, and then a reset: the server waits in send, which fails with ECONNRESET. If it has received
    // our end before that, send raises SIGPIPE instead.
    let talk = trial.connect_narrow()?;
    talk.fill(&message, SILENCE);
    talk.reset();
    // To let our end in makes room for answers too: a server that can send all of them is in send no more.
    for _ in 0..4 {
        let mut talk = trial.connect_narrow()?;
        talk.fill(&message, SILENCE);
        if let Err(stop) = talk.finish() {
            // It is rather that the reset before has ended the server.
            serves_on(trial, RESET_WHILE_SENDING)?;
            return Err(stop);
        }
        talk.until_the_end_has_come();
        talk.pause(SILENCE);
        let is_closed = talk.is_closed();
        talk.reset();
        if !is_closed {
            break;
        }
    }
    serves_on(trial, RESET_WHILE_SENDING)
}

pub fn silence(trial: &mut Trial) -> Result<(), Stop> {
    let silent = trial.connect()?;
    let mut talker = trial.connect()?;
    talker.say(WORD)?;
    let wanted = trial.answer(WORD);
    if trial.concurrent {
        return talker.expect(&wanted, "one client is silent, another one sent a word");
    }
    // An iterative server has its answer when the silent one has left.
    let heard = talker.some_within(wanted.len(), trial.moment());
    if heard == wanted {
        return Ok(());
    }
    drop(silent);
    talker.expect(
        &wanted[heard.len().min(wanted.len())..],
        "a silent client left, the next one had sent a word",
    )?;
    Err(Stop::ByDesign(
        "one client at a time: a silent one makes the next one wait".to_owned(),
    ))
}

pub fn reverse_order(trial: &mut Trial) -> Result<(), Stop> {
    let mut talks = vec![trial.connect()?];
    while talks.len() < 5 {
        if trial.concurrent {
            talks.push(trial.connect()?);
            continue;
        }
        match trial.connect_within(trial.moment())? {
            Some(talk) => talks.push(talk),
            None => break, // the listen queue is full: accept is not called meanwhile
        }
    }
    for (at, talk) in talks.iter_mut().enumerate().rev() {
        let message = format!("client {at}");
        talk.say(message.as_bytes())?;
        let wanted = trial.answer(message.as_bytes());
        if trial.concurrent {
            talk.expect(&wanted, "five clients came, and the last one asked first")?;
        } else if talk.some_within(wanted.len(), trial.moment()) != wanted {
            return Err(Stop::ByDesign(
                "one client at a time, in the order in which they came".to_owned(),
            ));
        }
    }
    Ok(())
}

pub fn many(trial: &mut Trial) -> Result<(), Stop> {
    let trial = &*trial;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..10)
            .map(|at| {
                scope.spawn(move || {
                    let message = format!("the bytes of client {at}, and of no other client");
                    // A listen queue that is full makes a client try again, after 1, 3 and 7 seconds.
                    let mut talk = trial.connect_patiently(Duration::from_secs(10))?;
                    talk.say(message.as_bytes())?;
                    let wanted = trial.answer(message.as_bytes());
                    talk.expect(&wanted, "10 clients at once sent a message each")
                })
            })
            .collect();
        let mut outcomes = clients.into_iter().map(thread::ScopedJoinHandle::join);
        outcomes.try_for_each(|outcome| outcome.unwrap_or(Ok(())))
    })
}

pub fn in_a_row(trial: &mut Trial) -> Result<(), Stop> {
    let one = |trial: &mut Trial| {
        let mut talk = trial.connect()?;
        talk.say(WORD)?;
        talk.expect(&trial.answer(WORD), "a word was sent")
    };
    for _ in 0..10 {
        one(trial)?; // what it keeps from then on, it keeps for good
    }
    let before = trial.settled();
    for _ in 0..200 {
        one(trial)?;
    }
    // As many as before, as soon as it has noticed that the last ones have left.
    let pulse = trial.pulse();
    let mut wait = Wait::begin(&pulse, trial.patience());
    loop {
        let now = trial.settled();
        let more = [
            (
                "open descriptors",
                before.descriptors,
                now.descriptors,
                "close each connection",
            ),
            (
                "zombies",
                before.zombies,
                now.zombies,
                "wait for each child: waitpid(-1, NULL, WNOHANG) in a loop",
            ),
            (
                "processes",
                before.processes,
                now.processes,
                "a child must end with its client",
            ),
            (
                "threads",
                before.threads,
                now.threads,
                "a thread must end with its client, and be detached or joined",
            ),
        ];
        let kept = more.iter().find(|(_, before, now, _)| *now > before + 20);
        match kept {
            None => return Ok(()),
            Some((what, before, now, mend)) if wait.is_over() => {
                return fail(format!(
                    "after 200 clients it has {now} {what}, before {before}: {mend}"
                ));
            }
            Some(_) => thread::sleep(LOOK),
        }
    }
}

fn rests(trial: &mut Trial, when: &str) -> Result<(), Stop> {
    match trial.rest() {
        Rest::Rests => Ok(()),
        Rest::Spins => fail(format!("{when} it uses a whole processor without pause")),
        Rest::Gone => fail(format!(
            "{when} it has ended: {}",
            trial.death().unwrap_or_default()
        )),
    }
}

pub fn idle(trial: &mut Trial) -> Result<(), Stop> {
    rests(trial, "no client is connected, and")?;
    if trial.contract.is_udp() {
        return Ok(());
    }
    let talk = trial.connect()?;
    rests(trial, "a client is connected and says nothing, and")?;
    drop(talk);
    Ok(())
}

pub fn idle_after_end(trial: &mut Trial) -> Result<(), Stop> {
    let mut talk = trial.connect()?;
    talk.say(WORD)?;
    talk.expect(&trial.answer(WORD), "a word was sent")?;
    talk.finish()?;
    rests(trial, "the client has called shutdown(SHUT_WR), and")?;
    drop(talk);
    rests(trial, "the client has left, and")
}

pub fn no_descriptors(trial: &mut Trial) -> Result<(), Stop> {
    trial.start_with(&Limits {
        descriptors: Some(64),
        ..Limits::default()
    })?;
    word(trial)?;
    let mut talks = Vec::new();
    for _ in 0..80 {
        match trial.connect_within(trial.moment()) {
            Ok(Some(talk)) => talks.push(talk),
            Ok(None) => break,                  // its queue is full
            Err(_) if talks.len() > 5 => break, // it refuses
            Err(stop) => return Err(stop),
        }
    }
    let rest = trial.rest();
    drop(talks);
    // What was dropped while the queue was full comes again after 1, 3 and 7 seconds.
    let pulse = trial.pulse();
    let mut wait = Wait::begin(&pulse, Duration::from_secs(8));
    loop {
        let served = serves_on(trial, "80 clients came and left, and");
        match (&served, &rest) {
            // So do many: accept fails at once, and poll reports the client that waits again.
            (Ok(()), Rest::Spins) => {
                return Err(Stop::ByDesign(
                    "it uses a whole processor while no descriptor is left".to_owned(),
                ));
            }
            (Ok(()), _) => return Ok(()),
            _ if wait.is_over() || trial.death().is_some() => return served,
            _ => thread::sleep(LOOK),
        }
    }
}

pub fn byte_order(trial: &mut Trial) -> Result<(), Stop> {
    let (Some(asked), address) = (trial.asked_port(), trial.address()) else {
        return skip("the command has no {port}, so the port that was meant is not known");
    };
    if address.port() == asked {
        return Ok(());
    }
    if address.port() == asked.swap_bytes() {
        return fail(format!(
            "it was told port {asked} and listens at {}: sin_port = htons(port) is missing",
            address.port()
        ));
    }
    fail(format!(
        "it was told port {asked} and listens at {}",
        address.port()
    ))
}

pub fn port_taken(trial: &mut Trial) -> Result<(), Stop> {
    let second = trial.second()?;
    let Some(status) = second.status else {
        return fail(
            "a second one, started on the same port, neither ends nor prints anything: check the results of bind and listen",
        );
    };
    let said = second.said.trim();
    if status.success() {
        return fail("a second one, started on the same port, ends with status 0");
    }
    if said.is_empty() {
        return fail(format!(
            "a second one, started on the same port, ends ({status}) without a message: perror prints why"
        ));
    }
    Ok(())
}

pub fn restart(trial: &mut Trial) -> Result<(), Stop> {
    // A connection that the server ends first is the one that stays in TIME_WAIT on its side.
    let mut talk = trial.connect()?;
    talk.say(WORD)?;
    talk.expect(&trial.answer(WORD), "a word was sent")?;
    trial.end();
    let (_, ended) = talk.whatever(4096);
    drop(talk);
    if !ended {
        return fail("it was killed, but its connection goes on: one of its children still has it");
    }
    match trial.start_again() {
        Ok(()) => word(trial),
        Err(Stop::Fail(mut failure)) => {
            failure.said = format!(
                "started again on the same port at once: {}. Set SO_REUSEADDR before bind",
                failure.said
            );
            Err(Stop::Fail(failure))
        }
        Err(other) => Err(other),
    }
}

pub fn ends(trial: &mut Trial) -> Result<(), Stop> {
    trial.start_with(&Limits::default())?;
    let talk = if trial.contract.is_udp() {
        None
    } else {
        Some(trial.connect()?)
    };
    let left = trial.asked_to_end();
    drop(talk);
    if left == 0 {
        return Ok(());
    }
    fail(format!(
        "2 seconds after SIGTERM {left} of its processes still run, and had to be killed"
    ))
}

pub fn short_calls(trial: &mut Trial) -> Result<(), Stop> {
    forced(
        trial,
        "short",
        "recv and send moved fewer bytes than asked, and",
    )
}

pub fn interrupted(trial: &mut Trial) -> Result<(), Stop> {
    forced(
        trial,
        "eintr",
        "accept, recv and send were interrupted by a signal (EINTR), and",
    )
}

/// The happy way, with the C library's calls made to do less.
fn forced(trial: &mut Trial, how: &'static str, after: &str) -> Result<(), Stop> {
    let started = trial.start_with(&Limits {
        forced: Some(how),
        ..Limits::default()
    });
    if how == "eintr" && trial.forced().seen > 0 && trial.forced().handlers == 0 {
        return Err(Stop::ByDesign(
            "it has no signal handler without SA_RESTART, so nothing interrupts its calls"
                .to_owned(),
        ));
    }
    started?;
    // Only what waits is interrupted: send waits while both buffers are full.
    let (size, late, what) = match how {
        "eintr" => (1 << 20, SILENCE, "1 MiB was sent, and read late"),
        _ => (20_000, Duration::ZERO, "20,000 bytes were sent"),
    };
    let outcome = (|| {
        let message = trial.bytes(size);
        let wanted = trial.answer(&message);
        let mut talk = trial.connect_narrow()?;
        talk.pause(TAKEN); // it waits in recv
        talk.exchange(&message, &wanted, late, what)?;
        talk.finish()?;
        let rest = talk.rest(4096, "the client called shutdown(SHUT_WR)")?;
        if !rest.is_empty() {
            return wrong("more comes back than was sent", b"", &rest);
        }
        serves_on(trial, "")
    })();
    let forced = trial.forced();
    if forced.seen == 0 {
        return skip("its calls do not go through the C library (static, or Go)");
    }
    if forced.less == 0 {
        return Err(Stop::ByDesign(
            "its sockets do not wait: they do the rest at the next turn".to_owned(),
        ));
    }
    match outcome {
        Err(Stop::Fail(mut failure)) => {
            let how = trial.death().unwrap_or(failure.said);
            failure.said = format!("{after} {}", how.trim_start());
            Err(Stop::Fail(failure))
        }
        other => other,
    }
}
