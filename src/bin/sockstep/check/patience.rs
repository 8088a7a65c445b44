//! How long a wait lasts. Its time passes only while the program under check rests or is on a processor, so that a busy machine
//! changes no verdict.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::check::is_interrupted;
use crate::sides::process::Process;
use crate::sides::tasks::cpu_time;

/// How long to wait between two looks.
pub const LOOK: Duration = Duration::from_millis(20);
/// A look counts for this much at most, or a tenth of a long limit: what is not seen for longer may have worked meanwhile.
const SEEN: Duration = Duration::from_millis(60);
/// A program that works and brings nothing has that many times as much processor time as one that rests has time, and no more
/// than this.
const TIMES: u32 = 8;
const HARD: Duration = Duration::from_secs(4);
/// One that works less than this part of the time rests in between.
const RARELY: u32 = 10;
/// A program that neither rests nor works, as one that is stopped, is not waited for any longer.
const STOPPED: Duration = Duration::from_secs(60);

/// The moment at which all waits end.
static END: OnceLock<Instant> = OnceLock::new();

/// All waits end then.
pub fn ends_at(end: Instant) {
    let _ = END.set(end); // once is enough: there is one check in a process
}

/// Whether no time is left for any wait.
pub fn is_up() -> bool {
    is_interrupted() || END.get().is_some_and(|end| Instant::now() > *end)
}

/// Tells whether the program under check works at the moment; one that was not started here is taken to rest.
#[derive(Clone, Default)]
pub struct Pulse(pub Option<Arc<Mutex<Process>>>);

impl Pulse {
    pub fn beats(&self) -> bool {
        self.0.as_ref().is_some_and(|process| {
            let process = process.lock().unwrap_or_else(PoisonError::into_inner);
            !process.is_asleep()
        })
    }

    /// The processor time that it has had.
    fn worked(&self) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |process| {
            let process = process.lock().unwrap_or_else(PoisonError::into_inner);
            cpu_time(&process.processes())
        })
    }
}

/// One wait: over when the program has rested for `limit`, without anything that counts as progress.
pub struct Wait<'a> {
    pulse: &'a Pulse,
    limit: Duration,
    rested: Duration,
    began: Instant,
    looked: Instant,
    /// The processor time that it had when it was seen working first, and when its rest was last counted anew.
    worked: Option<Duration>,
    anew: (Instant, Duration),
}

impl<'a> Wait<'a> {
    pub fn begin(pulse: &'a Pulse, limit: Duration) -> Wait<'a> {
        Wait {
            pulse,
            limit,
            rested: Duration::ZERO,
            began: Instant::now(),
            looked: Instant::now(),
            worked: None,
            anew: (Instant::now(), Duration::MAX),
        }
    }

    /// Something has come: the wait begins anew.
    pub fn progress(&mut self) {
        *self = Wait::begin(self.pulse, self.limit);
    }

    /// To be asked again and again. A look at all its tasks costs time, so there is one in half of [`LOOK`] at most.
    pub fn is_over(&mut self) -> bool {
        let now = Instant::now();
        if now - self.looked < (LOOK / 2).min(self.limit) {
            return is_up();
        }
        let passed = (now - self.looked).min(SEEN.max(self.limit / 10));
        self.looked = now;
        if self.pulse.beats() {
            let worked = self.pulse.worked();
            // A runtime's own threads wake up all the time, and wait for a processor where others work: that is no rest, but it
            // ends none.
            let (since, before) = self.anew;
            if worked.saturating_sub(before) * RARELY >= now - since {
                self.rested = Duration::ZERO;
                self.anew = (now, worked);
            }
            let before = *self.worked.get_or_insert(worked);
            let most = (TIMES * self.limit).min(HARD).max(self.limit);
            if worked.saturating_sub(before) > most {
                return true;
            }
        } else {
            self.rested += passed;
        }
        self.rested >= self.limit || is_up() || now - self.began > STOPPED
    }

    /// Waits until it is over.
    pub fn out(mut self) {
        while !self.is_over() {
            thread::sleep(LOOK);
        }
    }
}
