//! A detached thread returns nothing: to get its result, join it.

use sockstep::{pthread_create, pthread_detach, pthread_join};

fn main() {
    let thread = pthread_create(None, || 42).unwrap();
    let _ = pthread_detach(thread); //~ E0308
    //~ instead: let _ = (pthread_detach as fn(_) -> _, pthread_join(thread));
}
