//! A thread for each client, which nobody waits for.

mod example;

use example::*;
use sockstep::*;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let listener = listening(port)?;
    loop {
        let (client, ()) = accept(&listener)?;
        let thread = pthread_create(None, move || {
            let mut buf = [0; 512];
            while let Ok(n @ 1..) = recv(&client, &mut buf, 0) {
                if send(&client, &buf[..n], 0).is_err() {
                    break;
                }
            }
            let _ = close(client);
        })?;
        pthread_detach(thread)?;
    }
}
