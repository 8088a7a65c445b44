//! Tells each client its own address, over IPv6 and IPv4 alike.

mod example;

use example::*;
use sockstep::*;

fn main() {
    run(serve);
}

fn serve(port: u16) -> Result<()> {
    let sock = socket(AF_INET6, SOCK_STREAM, 0)?;
    setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, &1)?;
    setsockopt(&sock, IPPROTO_IPV6, IPV6_V6ONLY, &0)?;
    let mut addr = sockaddr_in6::zeroed();
    addr.sin6_family = AF_INET6;
    addr.sin6_port = htons(port);
    addr.sin6_addr = IN6ADDR_ANY_INIT;
    bind(&sock, &addr)?;
    listen(&sock, 5)?;
    loop {
        let (client, peer) = accept::<sockaddr_in6>(&sock)?;
        let text = inet_ntop(AF_INET6, &peer.sin6_addr)?;
        send(&client, text.as_bytes(), 0)?;
        close(client)?;
    }
}
