//! A time limit for waiting: the clients' --timeout. The C twins have the same in
//! `common/deadline.h`.

use std::fmt::Display;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use sockstep::{error::*, poll::*, socket::*};

use super::{note, timeval_of};

const QUIET: Duration = Duration::from_secs(1); // before connect reports which address it waits for
const LARGE: usize = 4096; // bytes that fit every socket's send buffer

/// A moment after which no call waits. A call that would wait longer fails with `ETIME`, an error
/// that these calls do not return themselves.
#[derive(Clone, Copy)]
pub struct Deadline {
    end: Option<Instant>,
    seconds: u64,
}

impl Deadline {
    /// No limit: each call waits as long as it does without a deadline.
    pub const NEVER: Deadline = Deadline {
        end: None,
        seconds: 0,
    };

    pub fn after(seconds: Option<u32>) -> Deadline {
        seconds.map_or(Deadline::NEVER, |seconds| Deadline {
            end: Some(Instant::now() + Duration::from_secs(seconds.into())),
            seconds: seconds.into(),
        })
    }

    /// The deadline for the first of `parts` that share the time left.
    fn share(self, parts: usize) -> Deadline {
        let now = Instant::now();
        let parts = u32::try_from(parts).unwrap_or(u32::MAX).max(1);
        let share = |end: Instant| now + end.saturating_duration_since(now) / parts;
        Deadline {
            end: self.end.map(share),
            ..self
        }
    }

    /// `connect` to the first of the `addresses` still to be tried. An address that does not answer
    /// uses up its share of the time only. After a second a line says which address it waits for.
    pub fn connect<A: Sockaddr + Display>(
        self,
        sock: &impl AsFd,
        server: &A,
        addresses: usize,
    ) -> Result<()> {
        let end = self.share(addresses);
        let start = Instant::now();
        let limit = end.left("connect")?.map_or(QUIET, |left| left.min(QUIET));
        setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &timeval_of(limit))?;
        loop {
            match connect(sock, server) {
                Err(error) if error == Errno::EINTR => {} // SIGSTOP and SIGCONT; connecting goes on
                Err(error) if error == Errno::EISCONN => return Ok(()), // connected in the meantime
                Err(error) if error == Errno::EINPROGRESS || error == Errno::EALREADY => break,
                outcome => return outcome,
            }
        }
        let mut said = false;
        loop {
            let left = end.left("connect")?;
            let quiet = QUIET.saturating_sub(start.elapsed());
            if quiet.is_zero() && !said {
                note(format_args!("waiting for {server}"));
                said = true;
            }
            let limit = if said {
                left
            } else {
                Some(left.map_or(quiet, |left| left.min(quiet)))
            };
            if !wait_for(sock, POLLOUT, limit)?.is_empty() {
                break;
            }
        }
        match getsockopt(sock, SOL_SOCKET, SO_ERROR)? {
            0 => Ok(()),
            code => Err(Error::new("connect", Errno::from_raw(code))),
        }
    }

    /// Sends from `bytes[*sent]` on until all is sent or an answer has begun to arrive. The answer
    /// to a message that is longer than all buffers begins while we still send: if we only sent,
    /// both sides would wait for each other without end.
    pub fn send_until_answered(
        self,
        sock: &impl AsFd,
        bytes: &[u8],
        sent: &mut usize,
    ) -> Result<()> {
        let large = bytes.len() > LARGE || self.end.is_some();
        let flags = if large {
            MSG_DONTWAIT
        } else {
            MsgFlags::empty()
        };
        while *sent < bytes.len() {
            match send(sock, &bytes[*sent..], flags) {
                // A correct kernel never returns this.
                Ok(0) => return Err(Error::new("send", Errno::EIO)),
                Ok(n) => *sent += n,
                // After SIGSTOP and SIGCONT, with a time-out set.
                Err(error) if error == Errno::EINTR => {}
                Err(error) if error == Errno::EAGAIN => {
                    if wait_for(sock, POLLIN | POLLOUT, self.left("send")?)?.has(POLLIN) {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// `recv` that ends at the deadline.
    pub fn recv(self, sock: &impl AsFd, buffer: &mut [u8]) -> Result<usize> {
        loop {
            if let Some(left) = self.left("recv")? {
                setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &timeval_of(left))?;
            }
            match recv(sock, buffer, 0) {
                // After SIGSTOP and SIGCONT, with a time-out set.
                Err(error) if error == Errno::EINTR => {}
                Err(error) if error == Errno::EAGAIN && self.end.is_some() => {
                    return Err(Error::new("recv", Errno::ETIME));
                }
                outcome => return outcome,
            }
        }
    }

    /// The time left, if there is a limit. Never zero, because zero as a time-out means no
    /// time-out.
    fn left(self, call: &'static str) -> Result<Option<Duration>> {
        let now = Instant::now();
        let left = self.end.map(|end| end.saturating_duration_since(now));
        if left.is_some_and(|left| left.as_micros() == 0) {
            return Err(Error::new(call, Errno::ETIME));
        }
        Ok(left)
    }

    /// The message for a failed call; for a time-out, with its length. `begun`: a part of the
    /// answer has come.
    pub fn reason(self, error: &Error, begun: bool) -> String {
        if *error == Errno::ETIME {
            no_answer(self.seconds, begun)
        } else {
            error.to_string()
        }
    }
}

pub fn no_answer(seconds: u64, begun: bool) -> String {
    let (whole, s) = (
        if begun { "whole " } else { "" },
        if seconds == 1 { "" } else { "s" },
    );
    format!("no {whole}answer within {seconds} second{s}")
}

/// Those of `events` for which the socket is ready; empty after `limit`, or after a signal.
fn wait_for(sock: &impl AsFd, events: PollEvents, limit: Option<Duration>) -> Result<PollEvents> {
    let mut fds = [pollfd::new(sock.as_fd(), events)];
    let limit = limit.map_or(-1, |limit| {
        i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
    });
    match poll(&mut fds, limit) {
        Err(error) if error != Errno::EINTR => Err(error),
        _ => Ok(fds[0].revents),
    }
}
