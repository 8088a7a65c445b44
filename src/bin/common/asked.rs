//! The UDP servers' --from-asked: step 3 with other calls. The C twins have the same in
//! `common/asked.h`.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::OwnedFd;

use sockstep::{error::*, msg::*, netinet::*};

use super::{DATAGRAM, may_answer, recover_from, warn};

/// Answers each datagram from the address that it was sent to. With `sendto`, the source is the
/// address of the outgoing interface; if that is another one, a careful client ignores the answer.
/// `answer` puts the answer to a message into its last argument.
pub fn answer_from_asked(
    sock: &OwnedFd,
    server: &sockaddr_in,
    max_messages: u64,
    mut answer: impl FnMut(&sockaddr_in, &[u8], &mut Vec<u8>),
) -> Result<()> {
    let (mut message, mut reply) = (vec![0; DATAGRAM], Vec::new());
    let mut messages = 0;
    while messages < max_messages {
        let (len, client, asked) = loop {
            match recvfrom_asked(sock, &mut message) {
                Ok(datagram) => break datagram,
                Err(error) => recover_from(error)?,
            }
        };
        if !may_answer(&client, server) {
            continue;
        }
        answer(&client, &message[..len], &mut reply);
        if let Err(error) = sendto_asked(sock, &reply, &client, asked) {
            warn(&client, &error);
        }
        messages += 1;
    }
    Ok(())
}

/// `recvfrom` made with `recvmsg`, which also says to which of our addresses the datagram was sent.
fn recvfrom_asked(
    sock: &OwnedFd,
    buffer: &mut [u8],
) -> Result<(usize, sockaddr_in, Option<in_pktinfo>)> {
    let mut control = CmsgBuf::with_space(CMSG_SPACE(size_of::<in_pktinfo>()));
    let message = recvmsg(sock, &mut [IoSliceMut::new(buffer)], &mut control, 0)?;
    let asked = message
        .msg_control
        .iter()
        .find_map(|message| match message {
            CmsgIn::Pktinfo(info) => Some(*info),
            _ => None,
        });
    Ok((message.len, message.msg_name, asked))
}

/// `sendto` made with `sendmsg`, from the address that was asked, by whichever interface leads to
/// the client.
fn sendto_asked(
    sock: &OwnedFd,
    bytes: &[u8],
    client: &sockaddr_in,
    asked: Option<in_pktinfo>,
) -> Result<usize> {
    let by_any = |info| in_pktinfo {
        ipi_ifindex: 0,
        ..info
    };
    let control = CmsgBuf::of(asked.map(by_any).map(Cmsg::Pktinfo).as_slice());
    let bytes = [IoSlice::new(bytes)];
    sendmsg(sock, &MsgHdr::to(client, &bytes).with(&control), 0)
}
