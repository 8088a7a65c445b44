//! How long a wait lasts. Its time passes only while the program under check rests, so that a busy machine changes no verdict.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::sides::process::Process;

/// How long to wait between two looks.
pub const LOOK: Duration = Duration::from_millis(20);
/// A look counts for this much at most: what is not seen for longer may have worked meanwhile.
const SEEN: Duration = Duration::from_millis(60);
/// A program that works all the time and brings nothing is waited for that many times as long as one that rests, and no longer
/// than this.
const TIMES: u32 = 8;
const HARD: Duration = Duration::from_secs(10);

/// The moment at which all waits end.
static END: OnceLock<Instant> = OnceLock::new();

/// All waits end then.
pub fn ends_at(end: Instant) {
    let _ = END.set(end); // once is enough: there is one check in a process
}

/// Whether no time is left for any wait.
pub fn is_up() -> bool {
    END.get().is_some_and(|end| Instant::now() > *end)
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
}

/// One wait: over when the program has rested for `limit`, without anything that counts as progress.
pub struct Wait<'a> {
    pulse: &'a Pulse,
    limit: Duration,
    rested: Duration,
    looked: Instant,
    since: Instant,
}

impl<'a> Wait<'a> {
    pub fn begin(pulse: &'a Pulse, limit: Duration) -> Wait<'a> {
        Wait {
            pulse,
            limit,
            rested: Duration::ZERO,
            looked: Instant::now(),
            since: Instant::now(),
        }
    }

    /// Something has come: the wait begins anew.
    pub fn progress(&mut self) {
        *self = Wait::begin(self.pulse, self.limit);
    }

    /// To be asked again and again, [`LOOK`] apart.
    pub fn is_over(&mut self) -> bool {
        let now = Instant::now();
        let passed = (now - self.looked).min(SEEN);
        self.looked = now;
        if self.pulse.beats() {
            self.rested = Duration::ZERO;
        } else {
            self.rested += passed;
        }
        let hard = (TIMES * self.limit).min(HARD).max(self.limit);
        self.rested >= self.limit || now - self.since > hard || is_up()
    }
}
