//! Hands each connection through a pair of UNIX sockets, to whoever serves it.

mod example;

use example::*;
use sockstep::*;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let listener = listening(port)?;
    let [one, other] = socketpair(AF_UNIX, SOCK_STREAM, 0)?;
    let mut room = CmsgBuf::with_space(CMSG_SPACE(4));
    loop {
        let (client, ()) = accept(&listener)?;
        let rights = [client.as_fd()];
        let control = CmsgBuf::of(&[Cmsg::Rights(&rights)]);
        sendmsg(&one, &MsgHdr::new(&[IoSlice::new(b"x")]).with(&control), 0)?;
        drop(control);
        close(client)?;

        let mut byte = [0];
        let msg = recvmsg::<()>(&other, &mut [IoSliceMut::new(&mut byte)], &mut room, 0)?;
        for message in msg.msg_control {
            let CmsgIn::Rights(clients) = message else {
                continue;
            };
            for client in clients {
                let mut word = [0; 64];
                let n = recv(&client, &mut word, 0)?;
                send(&client, &word[..n], 0)?;
                close(client)?;
            }
        }
    }
}
