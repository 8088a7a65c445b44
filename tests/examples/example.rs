//! What the examples share: an error that ends the program, and a listening socket. example.h has the same..

#![allow(dead_code, reason = "each example uses a part of it")]

use std::os::fd::OwnedFd;
use std::process::exit;

use sockstep::*;

/// Runs an example: what `must` of example.h does at each call, `?` does here.
pub fn run(example: fn(u16) -> Result<()>) {
    let port = std::env::args().nth(1).and_then(|text| text.parse().ok());
    if let Err(error) = example(port.unwrap_or(0)) {
        perror(error.call(), &error);
        exit(1);
    }
}

pub fn address(port: u16, host: u32) -> sockaddr_in {
    let mut addr = sockaddr_in::zeroed();
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(host);
    addr.sin_port = htons(port);
    addr
}

pub fn bound(ty: SockType, port: u16) -> Result<OwnedFd> {
    let sock = socket(AF_INET, ty, 0)?;
    setsockopt(&sock, SOL_SOCKET, SO_REUSEADDR, &1)?;
    bind(&sock, &address(port, INADDR_ANY))?;
    Ok(sock)
}

pub fn listening(port: u16) -> Result<OwnedFd> {
    let sock = bound(SOCK_STREAM, port)?;
    listen(&sock, 10)?;
    Ok(sock)
}
