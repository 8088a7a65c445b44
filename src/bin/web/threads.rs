//! The Web server's threads: each takes one client after the other, and there are never more than the limit. The C twin has the
//! same in `web/threads.h`.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use nix::sys::resource::{Resource::RLIMIT_NOFILE, getrlimit, rlim_t, setrlimit};
use sockstep::{Errno, Error, Result, pthread_create, pthread_detach};

use super::connection::Site;
use crate::common::echo::small_stack;
use crate::common::{die, note};

const OWN: rlim_t = 16; // descriptors that are for no client, with some to spare
const SPARE: u32 = 32; // threads that wait for a client at most; one more ends

/// What all threads have.
pub struct Crew {
    pub serv_sock: OwnedFd,
    pub site: &'static Site,
    pub work: fn(&Arc<Crew>) -> Result<()>,
    pub limit: u32,
}

struct Count {
    threads: u32,
    /// How many of them wait for a client.
    idle: u32,
    /// Clients that no thread waits for yet; the server ends after them.
    clients: u64,
    complained: bool,
}

static COUNT: Mutex<Count> = Mutex::new(Count {
    threads: 1,
    idle: 1,
    clients: 0,
    complained: false,
});
static ENDED: Condvar = Condvar::new();

fn count() -> MutexGuard<'static, Count> {
    COUNT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the first thread, which makes others as they are needed. Returns the socket when all have ended.
pub fn run(crew: Crew, clients: u64) -> Result<OwnedFd> {
    let crew = Arc::new(crew);
    count().clients = clients - 1;
    start(&crew)?;
    let ended = ENDED.wait_while(count(), |count| count.threads > 0);
    drop(ended);
    let crew = Arc::into_inner(crew).ok_or(Error::new("pthread_join", Errno::EBUSY))?; // not to be: each let go of it first
    Ok(crew.serv_sock)
}

fn start(crew: &Arc<Crew>) -> Result<()> {
    let crew = Arc::clone(crew);
    let thread = pthread_create(Some(&small_stack()?), move || {
        if let Err(error) = (crew.work)(&crew) {
            die(error);
        }
        drop(crew);
        count().threads -= 1;
        ENDED.notify_one();
    })?;
    pthread_detach(thread)
}

/// This thread has a client. If no other one waits for the next, makes one that does.
pub fn have_a_client(crew: &Arc<Crew>) {
    let mut before = count();
    before.idle -= 1;
    if before.idle > 0 || before.clients == 0 || before.threads >= crew.limit {
        return;
    }
    before.threads += 1;
    before.idle += 1;
    before.clients -= 1;
    drop(before);
    if let Err(error) = start(crew) {
        // Then the first that is done takes the next client.
        let mut count = count();
        count.threads -= 1;
        count.idle -= 1;
        count.clients += 1;
        if !count.complained {
            note(error);
        }
        count.complained = true;
    }
}

/// Whether this thread, which is done, takes another client: not if there is none left for it, or if enough threads wait.
pub fn take_another() -> bool {
    let mut count = count();
    let may = count.clients > 0 && count.idle < SPARE;
    if may {
        count.idle += 1;
        count.clients -= 1;
    }
    may
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
