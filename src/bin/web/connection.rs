//! A client of the Web server: its bytes, and how long they may take. The C twin has the same in
//! `web/connection.h`.

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::sendfile::sendfile;
use sockstep::{
    AnyAddr, Errno, Error, MsgFlags, Result, SHUT_WR, SO_RCVTIMEO, SOL_SOCKET, recv, send,
    setsockopt, shutdown,
};

use super::access::Credentials;
use super::request::{LINE, Request, Status};
use crate::common::{timeval_of, warn};

const CHUNK: u64 = 128 * 1024; // bytes of a file that a client has --request-timeout to take
// For what a client still sends after its last response.
const DRAIN: Duration = Duration::from_secs(2);

/// What all threads read.
pub struct Site {
    /// The directory; no file outside it is ever opened.
    pub root: OwnedFd,
    pub credentials: Option<Credentials>,
    pub timeout: Duration,
    pub list: bool,
    pub quiet: bool,
}

/// A client, and buffers that are reused for each of its requests.
pub struct Connection<'a> {
    pub site: &'a Site,
    pub sock: OwnedFd,
    pub client: AnyAddr,
    buffer: Box<[u8]>,
    /// The part of the buffer that has not been parsed yet.
    held: Range<usize>,
    /// The current `SO_RCVTIMEO`; zero means no limit.
    patience: Duration,
    pub request: Request,
    /// The name of the file, relative to the root.
    pub name: Vec<u8>,
    /// The response without its file; then the line for the log.
    pub response: Vec<u8>,
}

impl Connection<'_> {
    pub fn new(site: &Site, sock: OwnedFd, client: AnyAddr) -> Connection<'_> {
        Connection {
            site,
            sock,
            client,
            buffer: vec![0; LINE + 2].into(), // a line and its end
            held: 0..0,
            patience: Duration::ZERO,
            request: Request::default(),
            name: Vec::new(),
            response: Vec::with_capacity(1024),
        }
    }

    /// Bytes received that have not been parsed yet.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.held.clone()]
    }

    /// Takes the next line out of the buffer, if all of it is there, into the request. The line
    /// ends with CR LF or, typed by hand, with LF. Returns whether the request is whole.
    pub fn take_line(&mut self) -> Option<std::result::Result<bool, Status>> {
        let start = self.held.start;
        let mut end = start + self.unread().iter().position(|&byte| byte == b'\n')?;
        self.held.start = end + 1;
        if self.buffer[start..end].ends_with(b"\r") {
            end -= 1;
        }
        Some(self.request.take(&self.buffer[start..end]))
    }

    /// The status for a line that does not fit the buffer, when that is full.
    pub fn too_long(&mut self) -> Option<Status> {
        let full = self.held.len() == self.buffer.len();
        full.then(|| self.request.too_long(&self.buffer))
    }

    /// Receives more. Fails with `EAGAIN` if nothing comes for as long as `patience`.
    pub fn receive(&mut self, patience: Duration) -> Result<usize> {
        if patience.as_micros() == 0 {
            return Err(Error::new("recv", Errno::EAGAIN)); // a time-out of zero would mean no limit
        }
        if patience != self.patience {
            let value = timeval_of(patience);
            setsockopt(&self.sock, SOL_SOCKET, SO_RCVTIMEO, &value)?;
            self.patience = patience;
        }
        self.buffer.copy_within(self.held.clone(), 0);
        self.held = 0..self.held.len();
        let n = recv(&self.sock, &mut self.buffer[self.held.end..], 0)?;
        self.held.end += n;
        Ok(n)
    }

    /// Sends the response that is ready. If the client does not take it within --request-timeout,
    /// this fails with EAGAIN.
    pub fn send_response(&self, flags: MsgFlags) -> Result<()> {
        let mut rest = self.response.as_slice();
        let begun = Instant::now();
        while !rest.is_empty() {
            match send(&self.sock, rest, flags) {
                // A correct kernel never returns this.
                Ok(0) => return Err(Error::new("send", Errno::EIO)),
                Ok(n) => rest = &rest[n..],
                Err(error) if error == Errno::EINTR => {}
                Err(error) => return Err(error),
            }
            if !rest.is_empty() && begun.elapsed() >= self.site.timeout {
                return Err(Error::new("send", Errno::EAGAIN));
            }
        }
        Ok(())
    }

    /// Sends a part of a file from the kernel's page cache. Each chunk has the same time limit as a
    /// request. Adds to `sent` the bytes that were sent.
    pub fn send_file(&self, fd: &OwnedFd, part: &Range<u64>, sent: &mut u64) -> Result<()> {
        let failed = |errno| Error::new("sendfile", errno);
        let Range { mut start, end } = *part;
        while start < end {
            let chunk = end.min(start + CHUNK);
            let begun = Instant::now();
            while start < chunk {
                let mut offset = start.try_into().unwrap_or(libc::off_t::MAX);
                let left = (chunk - start).try_into().unwrap_or(usize::MAX);
                match sendfile(&self.sock, fd, Some(&mut offset), left) {
                    // The file is shorter now: closing tells the client.
                    Ok(0) => return Err(failed(Errno::EIO)),
                    // A correct kernel never returns this.
                    Ok(n) if n > left => return Err(failed(Errno::EOVERFLOW)),
                    Ok(n) => {
                        start += n as u64;
                        *sent += n as u64;
                    }
                    Err(Errno::EINTR) => {}
                    Err(errno) => return Err(failed(errno)),
                }
                if start < chunk && begun.elapsed() >= self.site.timeout {
                    return Err(failed(Errno::EAGAIN));
                }
            }
        }
        Ok(())
    }

    /// To be called before closing a connection whose client may still be sending: shuts down our
    /// side and then receives for a short time. Closing at once would answer further bytes with a
    /// reset, which can destroy our last bytes before the client has read them.
    pub fn hang_up(&mut self) -> Result<()> {
        match shutdown(&self.sock, SHUT_WR) {
            // The client has already disconnected.
            Err(error) if error == Errno::ENOTCONN => return Ok(()),
            outcome => outcome?,
        }
        let (begun, mut left) = (Instant::now(), DRAIN);
        loop {
            self.held = 0..0;
            match self.receive(left) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error == Errno::EINTR => {}
                // Too late, or reset: nothing more can be done for the response.
                Err(_) => return Ok(()),
            }
            left = DRAIN.saturating_sub(begun.elapsed());
        }
    }

    /// The server failed: prints the reason and returns status 500.
    pub fn fail(&self, error: Error) -> Status {
        warn(&self.client, &error);
        500
    }
}

pub fn seconds_since_1970() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs().try_into().unwrap_or(i64::MAX))
}
