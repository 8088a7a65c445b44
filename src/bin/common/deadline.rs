//! An end to waiting: the Web client's --timeout. The C twin has the same in `common/deadline.h`.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use sockstep::{
    AnyAddr, Errno, Error, Result, SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET, connect, recv, setsockopt,
};

use super::timeval_of;

/// A moment after which no call waits.
#[derive(Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    pub fn after(seconds: Option<u32>) -> Deadline {
        Deadline(seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.into())))
    }

    pub fn connect(self, sock: &OwnedFd, server: &AnyAddr) -> Result<()> {
        loop {
            self.limit(sock, "connect")?;
            match connect(sock, server) {
                Err(error) if error == Errno::EINTR => {} // stopped and continued, with a time-out set: it goes on
                Err(error) if error == Errno::EINPROGRESS => {
                    return Err(Error::new("connect", Errno::ETIMEDOUT));
                }
                outcome => return outcome,
            }
        }
    }

    pub fn recv(self, sock: &OwnedFd, buffer: &mut [u8]) -> Result<usize> {
        loop {
            self.limit(sock, "recv")?;
            match recv(sock, buffer, 0) {
                Err(error) if error == Errno::EINTR => {} // stopped and continued, with a time-out set
                Err(error) if error == Errno::EAGAIN => {
                    return Err(Error::new("recv", Errno::ETIMEDOUT));
                }
                outcome => return outcome,
            }
        }
    }

    /// From now on no call on the socket waits longer. If it is too late already, says so in the name of the next call.
    fn limit(self, sock: &OwnedFd, call: &'static str) -> Result<()> {
        let Deadline(Some(deadline)) = self else {
            return Ok(());
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.as_micros() == 0 {
            return Err(Error::new(call, Errno::ETIMEDOUT)); // a time-out of 0 would be none
        }
        let value = timeval_of(left);
        setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &value)?;
        setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &value)
    }
}
