//! A client's end of a connection, with a deadline on each wait.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sockstep::{SO_LINGER, SOL_SOCKET, linger, setsockopt};

use crate::check::outcome::{Stop, fail, wrong};

pub struct Talk {
    stream: TcpStream,
    /// How long an answer may take.
    patience: Duration,
}

impl Talk {
    pub fn connect(address: SocketAddr, patience: Duration) -> Result<Talk, Stop> {
        let stream = match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                return fail(format!("nobody listens at {address} any more"));
            }
            Err(error) => return fail(format!("connect() to {address} failed: {error}")),
        };
        let set = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(patience)))
            .and_then(|()| stream.set_write_timeout(Some(patience)));
        set.map_err(|error| Stop::Trouble(format!("setsockopt: {error}")))?;
        Ok(Talk { stream, patience })
    }

    pub fn say(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        match self.stream.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) if is_late(&error) => {
                fail("the server takes no more bytes: it does not receive")
            }
            Err(error) => fail(format!(
                "the server has ended the connection amid the message ({error})"
            )),
        }
    }

    /// That many bytes, or fewer with what came instead of the rest.
    fn hear(&mut self, wanted: usize) -> (Vec<u8>, Option<&'static str>) {
        let mut heard = vec![0; wanted];
        let mut have = 0;
        let until = Instant::now() + self.patience;
        let end = loop {
            if have == wanted {
                break None;
            }
            match self.stream.read(&mut heard[have..]) {
                Ok(0) => break Some("then the end of the connection"),
                Ok(n) => have += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_late(&error) => break Some("then nothing"),
                Err(_) => break Some("then a reset"),
            }
            if Instant::now() > until && have < wanted {
                break Some("then too slowly to wait for");
            }
        };
        heard.truncate(have);
        (heard, end)
    }

    /// Fails unless just this comes; `what` says what was asked.
    pub fn expect(&mut self, wanted: &[u8], what: &str) -> Result<(), Stop> {
        let (heard, end) = self.hear(wanted.len());
        if let Some(end) = end {
            return wrong(
                format!("{what}: the answer is not whole, {end}"),
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

    /// What comes within this time that nobody asked for.
    pub fn more_within(&mut self, time: Duration) -> Vec<u8> {
        let mut more = Vec::new();
        let mut buffer = [0; 4096];
        let _ = self.stream.set_read_timeout(Some(time)); // at worst it takes longer
        while let Ok(n @ 1..) = self.stream.read(&mut buffer) {
            more.extend_from_slice(&buffer[..n]);
            if more.len() > 1 << 16 {
                break;
            }
        }
        let _ = self.stream.set_read_timeout(Some(self.patience));
        more
    }

    /// All up to the end of the connection, at most `most` bytes; fails if the end does not come.
    pub fn rest(&mut self, most: usize, what: &str) -> Result<Vec<u8>, Stop> {
        let (heard, end) = self.hear(most);
        match end {
            Some("then the end of the connection") => Ok(heard),
            Some("then a reset") => fail(format!("{what}: a reset comes instead of the end")),
            Some(_) => fail(format!("{what}: the end of the connection does not come")),
            None => fail(format!("{what}: more than {most} bytes come")),
        }
    }

    /// What comes up to an end, whatever it is: a close, a reset, or silence.
    pub fn whatever(&mut self, most: usize) -> (Vec<u8>, bool) {
        let (heard, end) = self.hear(most);
        (
            heard,
            end == Some("then the end of the connection") || end == Some("then a reset"),
        )
    }

    /// What is there already, up to an end that has come.
    pub fn whatever_now(&mut self) -> (Vec<u8>, bool) {
        let patience = std::mem::replace(&mut self.patience, Duration::from_millis(100));
        let _ = self.stream.set_read_timeout(Some(self.patience)); // at worst it takes longer
        let heard = self.whatever(1 << 20);
        self.patience = patience;
        let _ = self.stream.set_read_timeout(Some(patience));
        heard
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> Result<(), Stop> {
        match self.stream.shutdown(Shutdown::Write) {
            Ok(()) => Ok(()),
            Err(error) => fail(format!("the server has ended the connection ({error})")),
        }
    }

    /// Ends the connection by a reset.
    pub fn reset(self) {
        let now = linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let _ = setsockopt(&self.stream, SOL_SOCKET, SO_LINGER, &now); // else it is a close
    }

    /// Sends all and receives all, at the same time; `before` passes before the first is received.
    pub fn exchange(
        &mut self,
        bytes: &[u8],
        wanted: &[u8],
        before: Duration,
        what: &str,
    ) -> Result<(), Stop> {
        let mut out = self
            .stream
            .try_clone()
            .map_err(|error| Stop::Trouble(format!("dup: {error}")))?;
        thread::scope(|scope| {
            let sender = scope.spawn(move || out.write_all(bytes));
            thread::sleep(before);
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

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

/// Whether a call gave up because its time had passed.
pub fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
