//! A borrowed variable could end before the thread; in C a pointer to a local variable compiles.

use sockstep::{pthread_create, pthread_join};

fn main() {
    let word = String::from("hello");
    let thread = pthread_create(None, || word.len()).unwrap(); //~ E0373
    //~ instead: let thread = pthread_create(None, move || word.len()).unwrap();
    let _ = pthread_join(thread);
}
