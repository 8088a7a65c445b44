//! Sends each client a word and closes, without asking who it is.

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
        send(&client, b"Welcome!\n", 0)?;
        close(client)?;
    }
}
