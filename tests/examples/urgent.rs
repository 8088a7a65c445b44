//! Goes on until it stands before urgent data, which stay in the stream.

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
        setsockopt(&client, SOL_SOCKET, SO_OOBINLINE, &1)?;
        let mut buf = [0; 64];
        while !sockatmark(&client)? {
            let n = recv(&client, &mut buf, 0)?;
            if n == 0 {
                break;
            }
            send(&client, &buf[..n], 0)?;
        }
        close(client)?;
    }
}
