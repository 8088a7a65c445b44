//! byte_order - shows the bytes of a port and an address, in this machine and on the wire.
//!
//! Usage: `byte_order [ADDRESS] [PORT]`
//! Follows: the Princeton deck, "Byte Order" and the two slides after it.
//! C twin: `byte_order.c`.

mod common;

use common::{die, dotted, parse, print_line};
use sockstep::{error::*, netinet::*, socket::*}; // <errno.h>, <arpa/inet.h>, <sys/socket.h>

fn show(args: &Args) -> Result<()> {
    let port = args.port;
    let address = ntohl(inet_addr(&args.address)?); // a number to calculate with
    let mut addr = sockaddr_in::zeroed();
    addr.sin_family = AF_INET;
    addr.sin_port = htons(port);
    addr.sin_addr.s_addr = htonl(address);
    let (bytes, dotted) = (addr.as_bytes(), addr.sin_addr);
    let (family_bytes, port_bytes) = (&bytes[..2], &bytes[2..4]);
    let (address_bytes, zero_bytes) = (&bytes[4..8], &bytes[8..]);

    // 1. The machine and the Internet.
    let (kind, first) = if cfg!(target_endian = "little") {
        ("little-endian", "low")
    } else {
        ("big-endian", "high")
    };
    print_line(format_args!(
        "\
This machine is {kind}: the {first}-order byte of a number comes first.
The Internet is big-endian: the high-order byte of a number comes first."
    ));

    // 2. A port.
    let network_port = format!("htons({port})");
    print_line(format_args!(
        "
A port is a number of two bytes.
  host order     {port:<19}{}
  network order  {network_port:<19}{}",
        hex(&port.to_ne_bytes()),
        hex(port_bytes),
    ));

    // 3. An address.
    let host_address = format!("{address:#010x}");
    let network_address = format!("htonl({host_address})");
    print_line(format_args!(
        "
An IPv4 address is a number of four bytes.
  host order     {host_address:<19}{}
  network order  {network_address:<19}{}
  inet_addr(\"{dotted}\") gives it in network order; ntohl() of that is
  {address}, which is what to calculate with.",
        hex(&address.to_ne_bytes()),
        hex(address_bytes),
    ));

    // 4. The structure that holds both.
    print_line(format_args!(
        "
struct sockaddr_in: the 16 bytes that bind() and connect() give to the kernel.
  offset  field       bytes                    what C writes, and strace shows
       0  sin_family  {:<23}  AF_INET, in host order
       2  sin_port    {:<23}  htons({port})
       4  sin_addr    {:<23}  inet_addr(\"{dotted}\")
       8  sin_zero    {}  nothing: zeros",
        hex(family_bytes),
        hex(port_bytes),
        hex(address_bytes),
        hex(zero_bytes),
    ));

    // 5. The wire.
    print_line(format_args!(
        "
On the wire: the same bytes, in the headers of each packet sent there.
  IP header            bytes 16 to 19, destination address  {}
  TCP or UDP header    bytes 2 and 3, destination port      {}
  sin_family and sin_zero do not leave this machine.",
        hex(address_bytes),
        hex(port_bytes),
    ));

    // 6. A single byte.
    print_line(
        "
A single byte has no order: 'A' is 0x41 here and there. Text needs no htons().",
    );

    // 7. The kernel, with htons and without. Connecting a UDP socket sends nothing.
    let sock = socket(PF_INET, SOCK_DGRAM, IPPROTO_UDP)?;
    connect(&sock, &addr)?;
    let right: sockaddr_in = getpeername(&sock)?;
    let mut forgotten = addr;
    forgotten.sin_port = without_htons(port);
    connect(&sock, &forgotten)?;
    let wrong: sockaddr_in = getpeername(&sock)?;
    close(sock)?;
    let (right, wrong) = (right.to_string(), wrong.to_string());
    print_line(format_args!(
        "
What the kernel understands, asked by connect() and getpeername():
  sin_port = {network_port:<14}  {right}
  sin_port = {port:<14}  {wrong:<21}  htons() forgotten"
    ));
    Ok(())
}

/// The port that C's `addr.sin_port = port` stores. In Rust that does not compile.
fn without_htons(port: u16) -> Net16 {
    htons(u16::from_be_bytes(port.to_ne_bytes()))
}

/// Bytes in the order of memory.
fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

// ---- Arguments ----

/// Show the bytes of a port and an address, in this machine and on the wire
#[derive(clap::Parser)]
#[command(
    version,
    after_help = "Examples:\n  byte_order 192.168.1.10 80\n  strace -e trace=%network byte_order"
)]
struct Args {
    /// Show the bytes of this address, in dotted form
    #[arg(default_value = "127.0.0.1", value_parser = dotted)]
    address: String,
    /// Show the bytes of this port
    #[arg(default_value_t = 7000, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
}

fn main() {
    show(&parse()).unwrap_or_else(|error| die(error));
}
