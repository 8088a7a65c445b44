//! The Web server's threads: each takes one client after the other, and there are never more than the limit. The C twin has the
//! same in `web/threads.h`.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope, scope};

use nix::sys::resource::{Resource::RLIMIT_NOFILE, getrlimit, rlim_t, setrlimit};
use sockstep::Result;

use crate::common::echo::{STACK, thread_error};
use crate::common::{die, note};

const OWN: rlim_t = 16; // descriptors that are for no client, with some to spare
const SPARE: u32 = 32; // threads that wait for a client at most; one more ends

/// All threads together.
struct Crew<'env> {
    work: &'env (dyn Fn(&Threads) -> Result<()> + Sync),
    limit: u32,
    count: Mutex<Count>,
}

struct Count {
    threads: u32,
    /// How many of them wait for a client.
    idle: u32,
    /// Clients that no thread waits for yet; the server ends after them.
    clients: u64,
    complained: bool,
}

/// What a thread knows of the others.
pub struct Threads<'scope, 'env> {
    crew: &'scope Crew<'env>,
    scope: &'scope Scope<'scope, 'env>,
}

/// Makes the first thread, which makes others as they are needed. Returns when all have ended.
pub fn run(limit: u32, clients: u64, work: &(dyn Fn(&Threads) -> Result<()> + Sync)) -> Result<()> {
    let crew = Crew {
        work,
        limit,
        count: Mutex::new(Count {
            threads: 1,
            idle: 1,
            clients: clients - 1,
            complained: false,
        }),
    };
    scope(|scope| Threads { crew: &crew, scope }.start()).map_err(|error| thread_error(&error))
}

impl Threads<'_, '_> {
    /// This thread has a client. If no other one waits for the next, makes one that does.
    pub fn have_a_client(&self) {
        let mut count = self.count();
        count.idle -= 1;
        if count.idle > 0 || count.clients == 0 || count.threads >= self.crew.limit {
            return;
        }
        count.threads += 1;
        count.idle += 1;
        count.clients -= 1;
        drop(count);
        if let Err(error) = self.start() {
            // Then the first that is done takes the next client.
            let mut count = self.count();
            count.threads -= 1;
            count.idle -= 1;
            count.clients += 1;
            if !count.complained {
                note(thread_error(&error));
            }
            count.complained = true;
        }
    }

    /// Whether this thread, which is done, takes another client: not if there is none left for it, or if enough threads wait.
    pub fn take_another(&self) -> bool {
        let mut count = self.count();
        let may = count.clients > 0 && count.idle < SPARE;
        if may {
            count.idle += 1;
            count.clients -= 1;
        } else {
            count.threads -= 1;
        }
        may
    }

    fn start(&self) -> io::Result<()> {
        let &Threads { crew, scope } = self;
        let builder = Builder::new().stack_size(STACK);
        builder.spawn_scoped(scope, move || {
            if let Err(error) = (crew.work)(&Threads { crew, scope }) {
                die(error);
            }
        })?;
        Ok(())
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.crew
            .count
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client needs two descriptors, for its connection and for its file. Raises the number that this process may have as far as
/// they need and the system allows. Returns how many clients there can be at a time.
pub fn allow_descriptors(limit: u32) -> u32 {
    let Ok((mut allowed, hard)) = getrlimit(RLIMIT_NOFILE) else {
        return limit;
    };
    let wanted = rlim_t::from(limit).saturating_mul(2).saturating_add(OWN);
    let more = wanted.min(hard);
    if allowed < more && setrlimit(RLIMIT_NOFILE, more, hard).is_ok() {
        allowed = more;
    }
    let places = (allowed.saturating_sub(OWN) / 2).max(1);
    let places = u32::try_from(places).unwrap_or(u32::MAX);
    if places < limit {
        note(format_args!(
            "only {places} connections at a time: this process may have {allowed} descriptors"
        ));
    }
    limit.min(places)
}
