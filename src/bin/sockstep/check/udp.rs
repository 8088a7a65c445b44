//! The checks of a UDP server that answers datagrams by datagrams.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::check::outcome::{Stop, fail, skip, wrong};
use crate::check::patience::{self, LOOK, Pulse, Wait};
use crate::check::server::Trial;
use crate::check::talk::is_late;
use crate::check::tcp;

const WORD: &[u8] = b"hello";
/// The most that a datagram over IPv4 carries.
const LARGEST: usize = 65_507;

struct Asker {
    socket: UdpSocket,
    pulse: Pulse,
    patience: Duration,
}

impl Asker {
    fn new(trial: &Trial) -> Result<Asker, Stop> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let socket = UdpSocket::bind(any)
            .map_err(|error| Stop::Trouble(format!("a UDP socket: {error}")))?;
        Asker::of(socket, trial, trial.patience())
    }

    fn of(socket: UdpSocket, trial: &Trial, patience: Duration) -> Result<Asker, Stop> {
        socket
            .set_read_timeout(Some(LOOK))
            .map_err(|error| Stop::Trouble(format!("setsockopt: {error}")))?;
        Ok(Asker {
            socket,
            pulse: trial.pulse(),
            patience,
        })
    }

    fn ask(&self, to: SocketAddr, bytes: &[u8]) -> Result<(), Stop> {
        if patience::is_up() {
            return fail("the time is up".to_owned()); // 10,000 answers may each come in time
        }
        match self.socket.send_to(bytes, to) {
            Ok(_) => Ok(()),
            Err(error) => Err(Stop::Trouble(format!("sendto {to}: {error}"))),
        }
    }

    /// The next datagram, and its sender; `None` if it does not come in time.
    fn answer(&self) -> Result<Option<(Vec<u8>, SocketAddr)>, Stop> {
        let mut buffer = vec![0; LARGEST + 1];
        let mut wait = Wait::begin(&self.pulse, self.patience);
        let mut over = false;
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((n, from)) => {
                    buffer.truncate(n);
                    return Ok(Some((buffer, from)));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Once more after the last look: it may have come since.
                Err(error) if is_late(&error) && over => return Ok(None),
                Err(error) if is_late(&error) => over = wait.is_over(),
                Err(error) => return Err(Stop::Trouble(format!("recvfrom: {error}"))),
            }
        }
    }

    /// Fails unless the next datagram is this one.
    fn expect(&self, wanted: &[u8], what: &str) -> Result<(), Stop> {
        match self.answer()? {
            None => fail(format!("{what}: no answer comes")),
            Some((heard, _)) if heard != wanted => {
                wrong(format!("{what}: the answer is another one"), wanted, &heard)
            }
            Some(_) => Ok(()),
        }
    }
}

fn asks(trial: &mut Trial, bytes: &[u8], what: &str) -> Result<(), Stop> {
    let asker = Asker::new(trial)?;
    asker.ask(trial.address(), bytes)?;
    asker.expect(&trial.answer(bytes), what)
}

pub fn word(trial: &mut Trial) -> Result<(), Stop> {
    let asker = Asker::new(trial)?;
    asker.ask(trial.address(), WORD)?;
    match asker.answer()? {
        None => fail("a word was sent in a datagram, and no answer comes"),
        // How long it is, is asked by the next check.
        Some((heard, _)) if !heard.starts_with(&trial.answer(WORD)) => wrong(
            "a word was sent: the answer is another one",
            &trial.answer(WORD),
            &heard,
        ),
        Some(_) => Ok(()),
    }
}

pub fn trailing(trial: &mut Trial) -> Result<(), Stop> {
    asks(trial, b"a rather long first message", "a message was sent")?;
    asks(trial, WORD, "a shorter one was sent after it")
}

pub fn empty(trial: &mut Trial) -> Result<(), Stop> {
    asks(trial, b"", "a datagram of 0 bytes was sent")?;
    serves_on(trial, "after a datagram of 0 bytes")
}

pub fn every_byte(trial: &mut Trial) -> Result<(), Stop> {
    let message: Vec<u8> = (0..=255).collect();
    asks(trial, &message, "each of the 256 values of a byte was sent")
}

pub fn largest(trial: &mut Trial) -> Result<(), Stop> {
    let message = trial.bytes(LARGEST);
    let asker = Asker::new(trial)?;
    let said = trial.said().len();
    asker.ask(trial.address(), &message)?;
    let wanted = trial.answer(&message);
    let what = format!("a datagram of {LARGEST} bytes was sent");
    let heard = match asker.answer()? {
        Some((heard, _)) if heard == wanted => return serves_on(trial, &format!("{what}, and")),
        Some((heard, _)) => heard,
        None => Vec::new(),
    };
    if trial.said().len() > said && (heard.is_empty() || wanted.starts_with(&heard)) {
        return serves_on(trial, &format!("{what}, and")); // it has said so
    }
    if heard.is_empty() {
        return fail(format!("{what}: no answer comes, and no error is printed"));
    }
    wrong(
        format!("{what}: it was cut to recvfrom's buffer, and no error was printed"),
        &wanted,
        &heard,
    )
}

pub fn two_clients(trial: &mut Trial) -> Result<(), Stop> {
    let (one, two) = (Asker::new(trial)?, Asker::new(trial)?);
    one.ask(trial.address(), b"one")?;
    two.ask(trial.address(), b"two")?;
    two.expect(&trial.answer(b"two"), "two clients sent a datagram each")?;
    one.expect(&trial.answer(b"one"), "two clients sent a datagram each")?;
    two.ask(trial.address(), b"two again")?;
    one.ask(trial.address(), b"one again")?;
    one.expect(&trial.answer(b"one again"), "both sent another one")?;
    two.expect(&trial.answer(b"two again"), "both sent another one")
}

fn serves_on(trial: &mut Trial, after: &str) -> Result<(), Stop> {
    match asks(trial, WORD, "the next client sent a word") {
        Err(Stop::Fail(mut failure)) => {
            let how = trial.death().unwrap_or(failure.said);
            failure.said = format!("{after} the next client is not served: {how}");
            Err(Stop::Fail(failure))
        }
        other => other,
    }
}

pub fn gone(trial: &mut Trial) -> Result<(), Stop> {
    for _ in 0..5 {
        let asker = Asker::new(trial)?;
        asker.ask(trial.address(), WORD)?;
        drop(asker);
    }
    serves_on(trial, "clients sent a datagram and left, and")
}

pub fn address(trial: &mut Trial) -> Result<(), Stop> {
    let other = IpAddr::from([127, 0, 0, 2]);
    if !trial.bound_to_any() {
        return skip("it is bound to one address");
    }
    let asker = Asker::new(trial)?;
    let question = SocketAddr::new(other, trial.address().port());
    asker.ask(question, WORD)?;
    match asker.answer()? {
        None => fail(format!("{question} was asked, and no answer comes")),
        Some((_, from)) if from == question => Ok(()),
        Some((_, from)) => Err(Stop::ByDesign(format!(
            "{question} was asked, {from} answers: a client that compares the two, or has connected, does not accept it"
        ))),
    }
}

pub fn low_port(trial: &mut Trial) -> Result<(), Stop> {
    let low = (1..1024)
        .rev()
        .find_map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let Some(low) = low else {
        return skip("only root may send from a port below 1024");
    };
    let low = Asker::of(low, trial, trial.moment())?;
    low.ask(trial.address(), WORD)?;
    serves_on(trial, "a sender at a low port sent a datagram, and")?;
    if low.answer()?.is_some() {
        return Err(Stop::ByDesign(
            "it answers a sender at any port: a forged one makes two such servers answer each other without end".to_owned(),
        ));
    }
    Ok(())
}

pub fn in_a_row(trial: &mut Trial) -> Result<(), Stop> {
    let before = trial.settled();
    let mut asker = Asker::new(trial)?;
    asker.patience = Duration::from_millis(200);
    for number in 0..10_000u32 {
        let message = format!("datagram {number}");
        let wanted = trial.answer(message.as_bytes());
        let mut tries = 0;
        asker.ask(trial.address(), message.as_bytes())?;
        // On a busy machine one may be lost; a late answer to an earlier one is passed over.
        loop {
            match asker.answer()? {
                Some((heard, _)) if heard == wanted => break,
                Some((heard, _)) if heard.starts_with(&trial.answer(b"datagram ")) => {}
                Some((heard, _)) => {
                    return wrong(
                        format!("datagram {number} of 10,000 is answered by another one"),
                        &wanted,
                        &heard,
                    );
                }
                None if tries < 10 && trial.death().is_none() => {
                    tries += 1;
                    asker.ask(trial.address(), message.as_bytes())?;
                }
                None => {
                    let how = trial.death().unwrap_or("no answer comes".to_owned());
                    return fail(format!("datagram {number} of 10,000: {how}"));
                }
            }
        }
    }
    let now = trial.settled();
    if now.descriptors > before.descriptors + 20 || now.zombies > before.zombies + 20 {
        return fail(format!(
            "after 10,000 datagrams it has {} open descriptors and {} zombies, before {} and {}",
            now.descriptors, now.zombies, before.descriptors, before.zombies
        ));
    }
    Ok(())
}

pub fn idle(trial: &mut Trial) -> Result<(), Stop> {
    tcp::idle(trial)
}

pub fn byte_order(trial: &mut Trial) -> Result<(), Stop> {
    tcp::byte_order(trial)
}

pub fn port_taken(trial: &mut Trial) -> Result<(), Stop> {
    tcp::port_taken(trial)
}
