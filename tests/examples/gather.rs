//! Looks before it receives, and answers out of three buffers in one call.

mod example;

use example::*;
use sockstep::*;
use std::io::IoSlice;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let listener = listening(port)?;
    loop {
        let (client, ()) = accept(&listener)?;
        let mut word = [0; 32];
        let n = recv(&client, &mut word, MSG_PEEK)?;
        let n = recv(&client, &mut word[..n], MSG_WAITALL)?;
        let (front, back) = word[..n].split_at(n / 2);
        let iov = [IoSlice::new(b""), IoSlice::new(front), IoSlice::new(back)];
        sendmsg(&client, &MsgHdr::new(&iov), 0)?;
        close(client)?;
    }
}
