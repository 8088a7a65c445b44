//! Binds the first address that getaddrinfo has for it.

mod example;

use example::*;
use sockstep::*;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let mut hints = Hints::zeroed();
    hints.ai_flags = AI_PASSIVE;
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    let list = getaddrinfo(None, Some(&port.to_string()), Some(&hints))?;
    let mut bound = Err(Error::new("bind", Errno::EADDRNOTAVAIL));
    for p in &list {
        let Ok(sock) = socket(p.ai_family, p.ai_socktype, p.ai_protocol) else {
            continue;
        };
        setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, &1)?;
        bound = bind(&sock, &p.ai_addr).map(|()| sock);
        if bound.is_ok() {
            break;
        }
    }
    freeaddrinfo(list);
    let sock = bound?;
    listen(&sock, 10)?;
    loop {
        let (client, _peer) = accept::<AnyAddr>(&sock)?;
        send(&client, b"Welcome!", 0)?;
        close(client)?;
    }
}
