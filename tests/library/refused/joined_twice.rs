//! A thread is joined once: its number may soon be another's.

use sockstep::{pthread_create, pthread_join};

fn main() {
    let thread = pthread_create(None, || ()).unwrap();
    let _ = pthread_join(thread);
    let _ = pthread_join(thread); //~ E0382
}
