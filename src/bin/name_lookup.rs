//! name_lookup - shows a name's addresses, node by node of getaddrinfo's list, and their names.
//!
//! Usage: `name_lookup [--all] HOST [SERVICE]`
//! Follows: the Princeton deck, "Client: Learning Server Address/Port", and its `struct addrinfo`.
//! C twin: `name_lookup.c`.

mod common;

use common::{die, parse, print_line, text};
use sockstep::{error::*, netdb::*, netinet::*, socket::*}; // <netdb.h>, <netinet/in.h>

fn look_up(args: &Args) -> Result<()> {
    // 1. Say what is wanted: any family, and the name behind the name.
    let mut hints = Hints::zeroed();
    hints.ai_flags = AI_CANONNAME;
    if !args.all {
        hints.ai_socktype = SOCK_STREAM;
    }

    // 2. Translate the name to addresses, and the service to a port.
    let res = getaddrinfo(Some(&args.host), args.service.as_deref(), Some(&hints))?;
    let node = quoted(&args.host);
    let service = args.service.as_deref().map_or("NULL".into(), quoted);
    print_line(format_args!(
        "getaddrinfo({node}, {service}, &hints, &res) = 0"
    ));

    // 3. Follow the list.
    let mut nodes = res.iter().zip(1..).peekable();
    while let Some((node, number)) = nodes.next() {
        let next = match nodes.peek() {
            Some((_, number)) => format!("node {number}"),
            None => "NULL".into(),
        };
        print_line(fields(&node, number, &next));

        // 4. Translate the address back.
        let datagrams = node.ai_socktype == SOCK_DGRAM;
        let names = match getnameinfo(&node.ai_addr, if datagrams { NI_DGRAM } else { 0 }) {
            Ok((host, serv)) => format!("getnameinfo()  {}, {}", quoted(&host), quoted(&serv)),
            Err(error) => error.to_string(), // no name, or no name server has answered
        };
        print_line(format_args!("  {names}"));
    }

    // 5. Free the list.
    freeaddrinfo(res);
    Ok(())
}

/// A node's fields, a line each.
fn fields(node: &AddrInfo, number: u32, next: &str) -> String {
    let flags = match node.ai_flags {
        AI_CANONNAME => "AI_CANONNAME".into(),
        other => format!("{other:#x}"),
    };
    let protocol = match node.ai_protocol {
        tcp if tcp == IPPROTO_TCP => "IPPROTO_TCP",
        udp if udp == IPPROTO_UDP => "IPPROTO_UDP",
        _ => "0",
    };
    let name = node.ai_canonname.as_deref().map_or("NULL".into(), quoted);
    format!(
        "
node {number}
  ai_flags       {flags}
  ai_family      {:?}
  ai_socktype    {:?}
  ai_protocol    {protocol}
  ai_addrlen     {}
  ai_addr        {}
  ai_canonname   {name}
  ai_next        {next}",
        node.ai_family,
        node.ai_socktype,
        node.ai_addr.addrlen(),
        node.ai_addr,
    )
}

/// A name, quoted like a C string. The owner of the address has chosen it, so control characters
/// are escaped.
fn quoted(name: &str) -> String {
    let mut text = vec![b'"'];
    text::escape(name.as_bytes(), &mut text);
    text.push(b'"');
    String::from_utf8_lossy(&text).into_owned()
}

// ---- Arguments ----

/// Show a name's addresses, node by node of getaddrinfo's list, and their names
#[derive(clap::Parser)]
#[command(
    version,
    after_help = "Examples:\n  name_lookup localhost http\n  name_lookup --all ::1 7000"
)]
struct Args {
    /// Show addresses for datagram and raw sockets too, not only for streams
    #[arg(long)]
    all: bool,
    /// Look up this name or numeric address
    host: String,
    /// Use the port of this service: a name or a number
    #[arg(value_parser = service)]
    service: Option<String>,
}

/// A value parser: refuses a number above 65535, which `getaddrinfo` would cut to 16 bits.
fn service(text: &str) -> std::result::Result<String, &'static str> {
    let digits = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    let a_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    if a_number && text.parse::<u16>().is_err() {
        return Err("not a number from 0 to 65535");
    }
    Ok(text.to_owned())
}

fn main() {
    look_up(&parse()).unwrap_or_else(|error| die(error));
}
