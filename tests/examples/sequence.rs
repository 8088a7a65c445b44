//! Deals out numbers in network order, and waits for the client's end.

mod example;

use example::*;
use sockstep::*;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let listener = listening(port)?;
    let mut next: u32 = 0;
    loop {
        let (client, ()) = accept(&listener)?;
        let mut buf = [0; 64];
        if recv(&client, &mut buf, 0)? > 0 {
            send(&client, &next.to_be_bytes(), 0)?;
            next += 1;
            shutdown(&client, SHUT_WR)?;
            while recv(&client, &mut buf, 0)? > 0 {}
        }
        close(client)?;
    }
}
