//! The pairs of the lectures, and how each client gets its server's address.

use std::ffi::{OsStr, OsString};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, ValueEnum};

/// A client and its server.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Pair {
    /// A word, echoed over TCP (client arguments: `[WORD]`)
    TcpEcho,
    /// A word, echoed over UDP (client arguments: `[WORD] [OPTIONS]`)
    UdpEcho,
    /// Lines of standard input, answered in upper case over TCP
    TcpUpper,
    /// Lines of standard input, answered in upper case over UDP (client arguments: `[OPTIONS]`)
    UdpUpper,
    /// A Web page over HTTP (client arguments: `[/PATH] [OPTIONS]`)
    Web,
}

/// A pair to run, with its own server or another one that its client can talk to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    pub pair: Pair,
    pub server: &'static str,
}

/// The TCP echo servers. They share one client.
const TCP_ECHO_SERVERS: [(&str, &str); 8] = [
    ("tcp_echo_server", "The same as tcp_echo"),
    ("tcp_echo_server_fork", "With a process for each client"),
    ("tcp_echo_server_thread", "With a thread for each client"),
    ("tcp_echo_server_prefork", "With processes made beforehand"),
    (
        "tcp_echo_server_pool",
        "With threads made beforehand, and a queue",
    ),
    (
        "tcp_echo_server_select",
        "With one process for all clients, by select",
    ),
    ("tcp_echo_server_poll", "The same by poll"),
    ("tcp_echo_server_epoll", "The same by epoll"),
];

impl Choice {
    /// The pairs, and the concurrent servers with the client that they share.
    pub fn all() -> impl Iterator<Item = Choice> {
        let of = |pair: Pair| Choice {
            pair,
            server: pair.server(),
        };
        let concurrent = TCP_ECHO_SERVERS[1..].iter().map(|&(server, _)| Choice {
            pair: Pair::TcpEcho,
            server,
        });
        Pair::value_variants()
            .iter()
            .map(move |&pair| of(pair))
            .chain(concurrent)
    }

    /// `tcp_echo`, or the server's name, if it is not the pair's own.
    pub fn name(self) -> String {
        if self.is_concurrent() {
            return self.server.to_owned();
        }
        let value = self.pair.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub fn is_concurrent(self) -> bool {
        self.server != self.pair.server()
    }

    /// The value parser of a pair's name or a TCP echo server's.
    pub fn parser() -> impl TypedValueParser<Value = Choice> {
        Names(Choice::names())
    }

    fn names() -> PossibleValuesParser {
        let pairs = Pair::value_variants()
            .iter()
            .filter_map(Pair::to_possible_value);
        let servers = TCP_ECHO_SERVERS.map(|(name, help)| PossibleValue::new(name).help(help));
        PossibleValuesParser::new(pairs.chain(servers))
    }

    fn of(name: &str) -> Choice {
        let server = TCP_ECHO_SERVERS.iter().find(|(server, _)| *server == name);
        let pair = Pair::from_str(name, false).unwrap_or(Pair::TcpEcho);
        Choice {
            pair,
            server: server.map_or(pair.server(), |(server, _)| server),
        }
    }
}

/// Tells a user who writes `run tcp_echo hello` where the client's arguments go.
#[derive(Clone)]
struct Names(PossibleValuesParser);

impl TypedValueParser for Names {
    type Value = Choice;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Choice, clap::Error> {
        let name = self.0.parse_ref(command, arg, value);
        name.map(|name| Choice::of(&name)).map_err(|mut error| {
            if command.get_name() == "run" {
                let tip = "arguments for the client follow --: sockstep run tcp_echo -- hello";
                let tip = ContextValue::StyledStrs(vec![tip.into()]);
                error.insert(ContextKind::Suggested, tip);
            }
            error
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

impl Pair {
    pub fn server(self) -> &'static str {
        match self {
            Pair::TcpEcho => "tcp_echo_server",
            Pair::UdpEcho => "udp_echo_server",
            Pair::TcpUpper => "tcp_upper_server",
            Pair::UdpUpper => "udp_upper_server",
            Pair::Web => "web_server",
        }
    }

    pub fn client(self) -> &'static str {
        match self {
            Pair::TcpEcho => "tcp_echo_client",
            Pair::UdpEcho => "udp_echo_client",
            Pair::TcpUpper => "tcp_upper_client",
            Pair::UdpUpper => "udp_upper_client",
            Pair::Web => "web_client",
        }
    }

    /// The client's arguments: the server's address, and the user's arguments.
    pub fn client_arguments(self, address: &str, port: &str, given: &[OsString]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        match self {
            // The word stands between the address and the port; without one, it is "hello".
            Pair::TcpEcho | Pair::UdpEcho => {
                let words = match given {
                    [first, ..] if first == "--" => 2,
                    [first, ..] if !first.as_encoded_bytes().starts_with(b"-") => 1,
                    _ => 0,
                };
                let (word, options) = given.split_at(words.min(given.len()));
                arguments.extend_from_slice(options);
                arguments.push("--".into());
                arguments.push(address.into());
                arguments.push(word.last().cloned().unwrap_or("hello".into()));
                arguments.push(port.into());
            }
            Pair::TcpUpper | Pair::UdpUpper => {
                arguments.extend(["-i", address, "-p", port].map(OsString::from));
                arguments.extend_from_slice(given);
            }
            // The path ends the URL; without one, the client asks for `/`.
            Pair::Web => {
                let paths = given
                    .first()
                    .is_some_and(|first| first.as_encoded_bytes().starts_with(b"/"));
                let (path, options) = given.split_at(usize::from(paths));
                let mut url = OsString::from(format!("http://{address}:{port}"));
                url.extend(path.iter().cloned());
                arguments.extend_from_slice(options);
                arguments.push(url);
            }
        }
        arguments
    }
}
