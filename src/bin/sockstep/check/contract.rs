//! What a server promises: what it answers to what.

use clap::ValueEnum;

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Contract {
    /// Each byte comes back
    TcpEcho,
    /// Each byte comes back, a to z in upper case
    TcpUpper,
    /// Each datagram comes back
    UdpEcho,
    /// Each datagram comes back in upper case
    UdpUpper,
    /// A Web server: the deck's five steps
    Http,
}

impl Contract {
    pub fn name(self) -> &'static str {
        match self {
            Contract::TcpEcho => "tcp-echo",
            Contract::TcpUpper => "tcp-upper",
            Contract::UdpEcho => "udp-echo",
            Contract::UdpUpper => "udp-upper",
            Contract::Http => "http",
        }
    }

    pub fn is_udp(self) -> bool {
        matches!(self, Contract::UdpEcho | Contract::UdpUpper)
    }

    /// What is right to answer.
    pub fn answer(self, asked: &[u8]) -> Vec<u8> {
        match self {
            Contract::TcpUpper | Contract::UdpUpper => asked.to_ascii_uppercase(),
            // Of a Web client each request is the same: what it shows is this page.
            Contract::Http => {
                b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\nhello\n"
                    .to_vec()
            }
            Contract::TcpEcho | Contract::UdpEcho => asked.to_vec(),
        }
    }
}
