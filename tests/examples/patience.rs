//! Gives each client five seconds, and asks for three bytes at least.

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
        let patience = timeval {
            tv_sec: 5,
            tv_usec: 0,
        };
        setsockopt(&client, SOL_SOCKET, SO_RCVTIMEO, &patience)?;
        setsockopt(&client, SOL_SOCKET, SO_RCVLOWAT, &3)?;
        let mut buf = [0; 64];
        if let Ok(n @ 1..) = recv(&client, &mut buf, 0) {
            send(&client, &buf[..n], 0)?;
        }
        close(client)?;
    }
}
