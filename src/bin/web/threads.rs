//! The Web server's threads: each serves one client after another, and their number is limited. The
//! C twin has the same in `web/threads.h`.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use nix::sys::resource::{Resource::RLIMIT_NOFILE, getrlimit, rlim_t, setrlimit};
use sockstep::{Errno, Error, Result, pthread_create, pthread_detach};

use super::connection::Site;
use crate::common::echo::small_stack;
use crate::common::{die, note};

const OWN: rlim_t = 16; // descriptors kept for other purposes than clients, with some to spare
const SPARE: u32 = 32; // at most this many threads wait for a client; further ones end

/// The data that each thread gets.
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
    /// Clients still to be served for which no thread waits yet.
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

/// Starts the first thread, which starts others when they are needed. Returns the socket when all
/// have ended.
pub fn run(crew: Crew, clients: u64) -> Result<OwnedFd> {
    let crew = Arc::new(crew);
    count().clients = clients - 1;
    start(&crew)?;
    let ended = ENDED.wait_while(count(), |count| count.threads > 0);
    drop(ended);
    // Cannot happen: all have ended.
    let crew = Arc::into_inner(crew).ok_or(Error::new("pthread_join", Errno::EBUSY))?;
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

/// To be called when this thread has a client. If no other thread waits for the next client, starts
/// one.
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
        // Then the first thread that has served its client takes the next one.
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

/// To be called when this thread has served its client: whether it takes another. It does not if
/// all clients are accounted for, or if enough threads wait.
pub fn take_another() -> bool {
    let mut count = count();
    let may = count.clients > 0 && count.idle < SPARE;
    if may {
        count.idle += 1;
        count.clients -= 1;
    }
    may
}

/// A client needs two descriptors, for its connection and for its file. Raises the process's limit
/// of descriptors as far as needed and allowed. Returns how many clients can be served at once.
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
