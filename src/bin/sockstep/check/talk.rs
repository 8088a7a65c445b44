//! A client's end of a connection, with a limit to each wait.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use libc::c_int;
use sockstep::{
    AnyAddr, Errno, IPPROTO_TCP, PF_INET, PF_INET6, SO_LINGER, SO_RCVBUF, SO_SNDBUF, SOCK_STREAM,
    SOL_SOCKET, TCP_MAXSEG, connect, linger, setsockopt, socket,
};

use crate::check::outcome::{Stop, fail, wrong};
use crate::check::patience::{self, LOOK, Pulse, Wait};
use crate::sides::ready::{CLOSE_WAIT, FIN_WAIT2, state_of};

pub struct Talk {
    stream: TcpStream,
    /// How long an answer may take.
    patience: Duration,
    pulse: Pulse,
}

/// Why nothing more is heard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Closed,
    Reset,
    Silent,
}

impl End {
    fn words(self) -> &'static str {
        match self {
            End::Closed => "then the end of the connection",
            End::Reset => "then a reset",
            End::Silent => "then nothing",
        }
    }
}

impl Talk {
    /// `room` is how many bytes may wait here to be read.
    pub fn connect(
        address: SocketAddr,
        patience: Duration,
        pulse: &Pulse,
        room: Option<c_int>,
    ) -> Result<Talk, Stop> {
        match Talk::connect_within(address, patience, pulse, room)? {
            Some(talk) => Ok(talk),
            None => fail(format!(
                "connect() to {address} is not answered: the listen queue is full, and accept is not called"
            )),
        }
    }

    /// The same; nothing if the connection is not made in time.
    pub fn connect_within(
        address: SocketAddr,
        patience: Duration,
        pulse: &Pulse,
        room: Option<c_int>,
    ) -> Result<Option<Talk>, Stop> {
        let mut wait = Wait::begin(pulse, patience);
        let stream = loop {
            let made = match room {
                Some(room) => connect_with(address, patience, room),
                None => TcpStream::connect_timeout(&address, patience),
            };
            match made {
                Ok(stream) => break stream,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    return fail(format!("no server listens at {address} any more"));
                }
                Err(error) if !is_late(&error) => {
                    return fail(format!("connect() to {address} failed: {error}"));
                }
                // A queue that is full drops what comes; a server that works is about to empty it.
                Err(_) if !pulse.beats() || wait.is_over() => return Ok(None),
                Err(_) => {}
            }
        };
        let set = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(LOOK)))
            .and_then(|()| stream.set_write_timeout(Some(LOOK)));
        set.map_err(|error| Stop::Trouble(format!("setsockopt: {error}")))?;
        Ok(Some(Talk {
            stream,
            patience,
            pulse: pulse.clone(),
        }))
    }

    pub fn say(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        match say_all(&self.stream, bytes, &mut self.wait(), |_| ()) {
            Ok(()) => Ok(()),
            Err(error) if is_late(&error) => {
                fail("the server takes no more bytes: it does not receive")
            }
            Err(error) => fail(format!(
                "the server has ended the connection in mid-message ({error})"
            )),
        }
    }

    fn wait(&self) -> Wait<'_> {
        Wait::begin(&self.pulse, self.patience)
    }

    /// That many bytes, or fewer with what came instead of the rest.
    fn hear(&self, wanted: usize) -> (Vec<u8>, Option<End>) {
        hear(&self.stream, wanted, self.wait())
    }

    /// Fails unless just this comes; `what` says what was asked.
    pub fn expect(&self, wanted: &[u8], what: &str) -> Result<(), Stop> {
        self.expect_behind(Vec::new(), wanted, what)
    }

    /// The same where a part of it has come already.
    pub fn expect_behind(&self, mut heard: Vec<u8>, wanted: &[u8], what: &str) -> Result<(), Stop> {
        let (more, end) = self.hear(wanted.len() - heard.len());
        heard.extend(more);
        if let Some(end) = end {
            return wrong(
                format!("{what}: the answer is not complete, {}", end.words()),
                wanted,
                &heard,
            );
        }
        if heard != wanted {
            return wrong(
                format!("{what}: the answer has other bytes"),
                wanted,
                &heard,
            );
        }
        Ok(())
    }

    /// Bytes that come unasked, until the server has rested for this time.
    pub fn more_within(&self, time: Duration) -> Vec<u8> {
        hear(&self.stream, 1 << 16, Wait::begin(&self.pulse, time)).0
    }

    /// That many bytes, or fewer with what came instead of the rest.
    pub fn heard(&self, wanted: usize, time: Duration) -> (Vec<u8>, Option<End>) {
        hear(&self.stream, wanted, Wait::begin(&self.pulse, time))
    }

    /// At most that many bytes, within this time.
    pub fn some_within(&self, wanted: usize, time: Duration) -> Vec<u8> {
        hear(&self.stream, wanted, Wait::begin(&self.pulse, time)).0
    }

    /// All up to the end of the connection, at most `most` bytes; fails if the end does not come.
    pub fn rest(&self, most: usize, what: &str) -> Result<Vec<u8>, Stop> {
        let (heard, end) = self.hear(most);
        match end {
            Some(End::Closed) => Ok(heard),
            Some(End::Reset) => fail(format!("{what}: a reset comes instead of the end")),
            Some(End::Silent) => fail(format!("{what}: the end of the connection does not come")),
            None => fail(format!("{what}: more than {most} bytes come")),
        }
    }

    /// What comes up to an end, and whether it is one of the connection: a close or a reset, not silence.
    pub fn whatever(&self, most: usize) -> (Vec<u8>, bool) {
        let (heard, end) = self.hear(most);
        (heard, matches!(end, Some(End::Closed | End::Reset)))
    }

    /// The same with less patience.
    pub fn whatever_within(&self, most: usize, time: Duration) -> (Vec<u8>, bool) {
        let (heard, end) = hear(&self.stream, most, Wait::begin(&self.pulse, time));
        (heard, matches!(end, Some(End::Closed | End::Reset)))
    }

    /// Sends this again and again, until the server takes no more for so long.
    pub fn fill(&self, bytes: &[u8], time: Duration) {
        for _ in 0..512 {
            let mut wait = Wait::begin(&self.pulse, time);
            if say_all(&self.stream, bytes, &mut wait, |_| ()).is_err() {
                break;
            }
        }
    }

    /// Says nothing until the server has rested for this time: it has taken what was sent by then.
    pub fn pause(&self, time: Duration) {
        Wait::begin(&self.pulse, time).out();
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> Result<(), Stop> {
        match self.stream.shutdown(Shutdown::Write) {
            Ok(()) => Ok(()),
            Err(error) => fail(format!("the server has ended the connection ({error})")),
        }
    }

    /// Receives, a little at a time, until the server's kernel has our end: [`Talk::finish`] has put it behind what was sent.
    pub fn until_the_end_has_come(&self) {
        let mut wait = self.wait();
        while !self.is_finished() && !wait.is_over() {
            hear(&self.stream, 1024, Wait::begin(&self.pulse, Duration::ZERO));
        }
    }

    fn is_finished(&self) -> bool {
        let ends = self.ends();
        ends.is_some_and(|[own, peer]| state_of(own, peer).as_deref() == Some(FIN_WAIT2))
    }

    /// Whether the server has closed its end, as far as that can be seen here.
    pub fn is_closed(&self) -> bool {
        let state = self.ends().and_then(|[own, peer]| state_of(peer, own));
        state.is_some_and(|state| state != CLOSE_WAIT)
    }

    fn ends(&self) -> Option<[SocketAddr; 2]> {
        Some([
            self.stream.local_addr().ok()?,
            self.stream.peer_addr().ok()?,
        ])
    }

    /// Ends the connection by a reset.
    pub fn reset(self) {
        let now = linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let _ = setsockopt(&self.stream, SOL_SOCKET, SO_LINGER, &now); // else it is a close
    }

    /// Sends all and receives all, at the same time. The first byte is received when nothing more could be sent for `before`.
    pub fn exchange(
        &mut self,
        bytes: &[u8],
        wanted: &[u8],
        before: Duration,
        what: &str,
    ) -> Result<(), Stop> {
        let sent = AtomicUsize::new(0);
        thread::scope(|scope| {
            let sender = scope.spawn(|| {
                say_all(&self.stream, bytes, &mut self.wait(), |n| {
                    sent.fetch_add(n, Ordering::Relaxed);
                })
            });
            let mut last = 0;
            let mut wait = Wait::begin(&self.pulse, before);
            while !before.is_zero() && !wait.is_over() {
                thread::sleep(LOOK);
                let now = sent.load(Ordering::Relaxed);
                if now != last {
                    last = now;
                    wait.progress();
                }
            }
            let heard = self.expect(wanted, what);
            if heard.is_err() {
                let _ = self.stream.shutdown(Shutdown::Both); // or the sender waits on
            }
            let sent = sender.join();
            heard?;
            match sent {
                Ok(Ok(())) => Ok(()),
                _ => fail(format!("{what}: the server does not take all of it")),
            }
        })
    }
}

/// Whether a call gave up because its time had passed.
pub fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// A connection with buffers of this size in both directions. Small segments too: by their size Linux gives the server room for what it sends.
fn connect_with(address: SocketAddr, patience: Duration, room: c_int) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { PF_INET } else { PF_INET6 };
    let sock = socket(family, SOCK_STREAM, 0)?;
    setsockopt(&sock, SOL_SOCKET, SO_RCVBUF, &room)?;
    setsockopt(&sock, SOL_SOCKET, SO_SNDBUF, &room)?;
    setsockopt(&sock, IPPROTO_TCP, TCP_MAXSEG, &536)?;
    let stream = TcpStream::from(sock);
    stream.set_write_timeout(Some(patience))?; // of connect too
    match connect(&stream, &AnyAddr::from(address)) {
        Ok(()) => Ok(stream),
        Err(error) if error == Errno::EINPROGRESS => Err(ErrorKind::TimedOut.into()),
        Err(error) => Err(error.into()),
    }
}

/// Sends all; `sent` is told of each piece.
pub fn say_all(
    mut stream: &TcpStream,
    bytes: &[u8],
    wait: &mut Wait,
    sent: impl Fn(usize),
) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match stream.write(&bytes[done..]) {
            Ok(n) => {
                done += n;
                sent(n);
                wait.progress();
                if patience::is_up() {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_late(&error) && !wait.is_over() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// That many bytes, or fewer with what came instead of the rest.
fn hear(mut stream: &TcpStream, wanted: usize, mut wait: Wait) -> (Vec<u8>, Option<End>) {
    let mut heard = Vec::new();
    let mut buffer = vec![0; wanted.min(1 << 16)];
    let mut over = false;
    while heard.len() < wanted {
        let room = buffer.len().min(wanted - heard.len());
        match stream.read(&mut buffer[..room]) {
            Ok(0) => return (heard, Some(End::Closed)),
            Ok(n) => {
                heard.extend_from_slice(&buffer[..n]);
                wait.progress();
                // Bytes that come without end are no reason to go on.
                if heard.len() < wanted && patience::is_up() {
                    return (heard, Some(End::Silent));
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Once more after the last look: it may have come since.
            Err(error) if is_late(&error) && over => return (heard, Some(End::Silent)),
            Err(error) if is_late(&error) => over = wait.is_over(),
            Err(_) => return (heard, Some(End::Reset)),
        }
    }
    (heard, None)
}
