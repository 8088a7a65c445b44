//! Asks and sets options of each connection, and tells the client of one.

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
        getsockopt(&client, SOL_SOCKET, SO_TYPE)?;
        getsockopt(&client, SOL_SOCKET, SO_ERROR)?;
        setsockopt(&client, IPPROTO_TCP, TCP_NODELAY, &1)?;
        setsockopt(&client, SOL_SOCKET, SO_KEEPALIVE, &1)?;
        let value = getsockopt(&client, IPPROTO_TCP, TCP_NODELAY)?;
        let for_five_seconds = linger {
            l_onoff: 1,
            l_linger: 5,
        };
        setsockopt(&client, SOL_SOCKET, SO_LINGER, &for_five_seconds)?;
        let word: &[u8] = if value != 0 { b"at once" } else { b"later" };
        send(&client, word, 0)?;
        close(client)?;
    }
}
