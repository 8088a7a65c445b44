//! A thread for each client of the Web server, and a limit to their number. The C twin has the same in `web/threads.h`.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread::{Builder, current, park};

use nix::sys::resource::{Resource::RLIMIT_NOFILE, getrlimit, rlim_t, setrlimit};
use sockstep::AnyAddr;

use crate::common::echo::{STACK, thread_error};
use crate::common::warn;

/// Threads that serve a client now.
static THREADS: AtomicU32 = AtomicU32::new(0);

/// Serves a client in a thread of its own. If there is no thread for it, its connection is closed: its loss alone.
pub fn in_a_thread(client: AnyAddr, serve: impl FnOnce() + Send + 'static) {
    THREADS.fetch_add(1, SeqCst);
    let acceptor = current();
    let thread = Builder::new().stack_size(STACK).spawn(move || {
        serve();
        THREADS.fetch_sub(1, SeqCst);
        acceptor.unpark();
    });
    if let Err(error) = thread {
        THREADS.fetch_sub(1, SeqCst);
        warn(&client, &thread_error(&error));
    }
}

/// Waits until the number of threads is below the limit. Each that ends wakes us.
pub fn wait_until_fewer_than(limit: u32) {
    while THREADS.load(SeqCst) >= limit {
        park();
    }
}

/// A client needs two descriptors, for its connection and for its file. Raises the limit of this process as far as they need
/// and the system allows.
pub fn allow_descriptors(limit: u32) {
    let wanted = rlim_t::from(limit).saturating_mul(2).saturating_add(16);
    if let Ok((soft, hard)) = getrlimit(RLIMIT_NOFILE) {
        if soft < wanted {
            let _ = setrlimit(RLIMIT_NOFILE, wanted.min(hard), hard); // or a client may have to wait
        }
    }
}
