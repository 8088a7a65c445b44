//! The scenarios of `sockstep diff`, the same for both implementations: the programs' arguments and
//! input, and the peer's script (`scripts.rs`) if the peer is not the other program of the pair.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use crate::diff::scripts::{self, Place, Settled};
use crate::lectures::pairs::{Choice, Pair};

/// A scenario for a pair.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    /// The pairs for which it makes sense.
    pub pairs: &'static [Pair],
    /// More arguments for the server.
    pub server: &'static [&'static str],
    pub play: Play,
}

/// The participants. Only programs are traced; scripts are not.
pub enum Play {
    /// The server, and these clients one after the other. The server ends by itself after this many
    /// messages; if it has had fewer, it gets SIGTERM when it waits for more.
    Both(u32, &'static [Client]),
    /// The server, and a script in the client's place. The server ends by itself after this many
    /// messages.
    Server(u32, fn(SocketAddrV4) -> io::Result<()>),
    /// The same with several clients at a time. The script waits wherever the order of events would
    /// be random.
    Several(u32, fn(SocketAddrV4, &Settled) -> io::Result<()>),
    /// The Web server, and a client that sends these pieces one after the other, each when the
    /// server waits for it.
    Requests(&'static [&'static str]),
    /// As with `Server`, but SIGTERM ends the server when the script is done and the server waits for more.
    Ended(fn(SocketAddrV4) -> io::Result<OwnedFd>),
    /// The server alone, which must fail, and the obstacle.
    Alone(fn() -> io::Result<Place>),
    /// The client, and a script in the server's place.
    Client(fn() -> io::Result<Place>, Client),
}

/// One run of a client.
pub struct Client {
    /// `SERVER-PORT` and `FREE-PORT` stand for numbers.
    pub options: &'static [&'static str],
    /// The word of an echo client, the lines of an uppercase client, the path that a Web client asks for.
    pub text: Text,
    /// Whether it is typed at a terminal.
    pub typed: bool,
}

/// What a client sends.
pub enum Text {
    Words(&'static str),
    /// This many letters.
    Long(usize),
}

impl Text {
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Text::Words(words) => words.as_bytes().to_vec(),
            // The alphabet again and again: a piece that is missing or in the wrong place shows.
            Text::Long(len) => (b'a'..=b'z').cycle().take(*len).collect(),
        }
    }
}

const fn says(words: &'static str) -> Client {
    Client {
        options: &[],
        text: Text::Words(words),
        typed: false,
    }
}

const fn types(words: &'static str) -> Client {
    Client {
        options: &[],
        text: Text::Words(words),
        typed: true,
    }
}

const fn says_letters(count: usize) -> Client {
    Client {
        options: &[],
        text: Text::Long(count),
        typed: false,
    }
}

const fn says_hello_with(options: &'static [&'static str]) -> Client {
    Client {
        options,
        text: Text::Words("hello"),
        typed: false,
    }
}

const fn asks(path: &'static str, options: &'static [&'static str]) -> Client {
    Client {
        options,
        text: Text::Words(path),
        typed: false,
    }
}

const HOST: &str = "Host: www.example.com";

const WEB: &[Pair] = &[Pair::Web];
const TCP: &[Pair] = &[Pair::TcpEcho, Pair::TcpUpper];
const UDP: &[Pair] = &[Pair::UdpEcho, Pair::UdpUpper];
const UPPER: &[Pair] = &[Pair::TcpUpper, Pair::UdpUpper];
const ALL: &[Pair] = &[Pair::TcpEcho, Pair::UdpEcho, Pair::TcpUpper, Pair::UdpUpper];

const fn scenario(
    name: &'static str,
    pairs: &'static [Pair],
    play: Play,
    about: &'static str,
) -> Scenario {
    Scenario {
        name,
        about,
        pairs,
        server: &[],
        play,
    }
}

pub const SCENARIOS: &[Scenario] = &[
    scenario(
        "happy",
        ALL,
        Play::Both(1, &[says("hello")]),
        "a message there and back",
    ),
    // Some whole buffers and a part: one send, and as many recv as the smaller buffer makes of it.
    scenario(
        "long",
        TCP,
        Play::Both(1, &[says_letters(10_000)]),
        "a message longer than every buffer",
    ),
    scenario(
        "long",
        UDP,
        Play::Both(1, &[says_letters(10_000)]),
        "a datagram longer than a network packet",
    ),
    scenario(
        "largest",
        UDP,
        Play::Both(1, &[says_letters(65_507)]),
        "the largest datagram, 65507 bytes",
    ),
    scenario(
        "too-long",
        UDP,
        Play::Client(scripts::silent, says_letters(65_508)),
        "one byte more than a datagram holds",
    ),
    scenario(
        "three",
        &[Pair::TcpEcho],
        Play::Server(1, scripts::three),
        "three messages from one client",
    ),
    scenario(
        "three",
        &[Pair::UdpEcho],
        Play::Server(3, scripts::three_datagrams),
        "three messages from one client",
    ),
    scenario(
        "three",
        UPPER,
        Play::Both(3, &[says("one\ntwo\nthree")]),
        "three lines",
    ),
    scenario("empty", TCP, Play::Both(1, &[says("")]), "an empty message"),
    scenario(
        "empty",
        UDP,
        Play::Both(1, &[says("")]),
        "an empty message: a datagram of 0 bytes",
    ),
    scenario(
        "bytes",
        ALL,
        Play::Both(1, &[says("\u{e9}\u{7f}\\ \"+++\" <unfinished ...>) = 0")]),
        "odd characters",
    ),
    scenario(
        "two-clients",
        ALL,
        Play::Both(2, &[says("hello"), says("again")]),
        "two clients one after the other",
    ),
    // After the last line the TCP client connects once more, and sees the end of its input at the prompt.
    scenario(
        "terminal",
        &[Pair::TcpUpper],
        Play::Both(3, &[types("one\ntwo")]),
        "two lines typed at a terminal, after a prompt",
    ),
    scenario(
        "terminal",
        &[Pair::UdpUpper],
        Play::Both(2, &[types("one\ntwo")]),
        "two lines typed at a terminal, after a prompt",
    ),
    // Before and after the connection.
    scenario(
        "nobody-listens",
        TCP,
        Play::Client(scripts::not_listening, says("hello")),
        "a port where no server listens",
    ),
    scenario(
        "nobody-listens",
        UDP,
        Play::Client(scripts::closed, says_hello_with(&["--timeout", "1"])),
        "a port where no server listens",
    ),
    scenario(
        "address-in-use",
        TCP,
        Play::Alone(scripts::listening),
        "the server's address is in use",
    ),
    scenario(
        "address-in-use",
        UDP,
        Play::Alone(scripts::silent),
        "the server's address is in use",
    ),
    scenario(
        "bad-bind",
        ALL,
        Play::Alone(scripts::not_here),
        "the server's address is not this machine's",
    ),
    scenario(
        "bad-address",
        ALL,
        Play::Client(scripts::broadcast, says("hello")),
        "an address that cannot be reached",
    ),
    scenario(
        "client-port",
        &[Pair::UdpEcho],
        Play::Both(1, &[says_hello_with(&["--client-port", "FREE-PORT"])]),
        "a client that chooses its own port",
    ),
    scenario(
        "client-port-in-use",
        &[Pair::UdpEcho],
        Play::Client(
            scripts::silent,
            says_hello_with(&["--client-port", "SERVER-PORT"]),
        ),
        "a client whose port is in use",
    ),
    // Misbehaving clients.
    scenario(
        "client-leaves",
        TCP,
        Play::Server(1, scripts::connects_and_leaves),
        "the client leaves at once",
    ),
    scenario(
        "client-leaves",
        UDP,
        Play::Server(1, scripts::sends_and_leaves),
        "the client does not wait for the answer",
    ),
    scenario(
        "client-resets",
        TCP,
        Play::Server(1, scripts::resets),
        "the client resets in mid-exchange",
    ),
    scenario(
        "half-close",
        TCP,
        Play::Server(1, scripts::half_closes),
        "the client sends all, then receives",
    ),
    scenario(
        "mixed-clients",
        TCP,
        Play::Server(3, scripts::resets_leaves_stays),
        "a client that resets, an empty one, a good one",
    ),
    // Misbehaving servers.
    scenario(
        "server-leaves",
        TCP,
        Play::Client(scripts::leaves, says("hello")),
        "the server closes without an answer",
    ),
    scenario(
        "server-breaks-off",
        TCP,
        Play::Client(scripts::breaks_off, says("hello")),
        "the server ends in mid-answer",
    ),
    scenario(
        "server-resets",
        TCP,
        Play::Client(scripts::resets_client, says("hello")),
        "the server resets in mid-exchange",
    ),
    scenario(
        "server-full",
        &[Pair::TcpUpper],
        Play::Client(scripts::answers_unread, says_letters(4_000_000)),
        "a line that the server does not read: EAGAIN, poll",
    ),
    scenario(
        "timeout",
        UDP,
        Play::Client(
            scripts::silent,
            says_hello_with(&["--timeout", "1", "--tries", "2"]),
        ),
        "sent twice, never answered",
    ),
    scenario(
        "resend",
        UDP,
        Play::Client(
            scripts::answers_the_second,
            says_hello_with(&["--timeout", "1", "--tries", "3"]),
        ),
        "sent twice, then answered",
    ),
    scenario(
        "stranger",
        UDP,
        Play::Client(scripts::stranger_first, says("hello")),
        "a datagram from someone else first",
    ),
    scenario(
        "sigterm",
        TCP,
        Play::Ended(scripts::stays),
        "the server is ended by SIGTERM in mid-exchange",
    ),
    scenario(
        "sigterm",
        UDP,
        Play::Ended(scripts::asks),
        "the server is ended by SIGTERM between two messages",
    ),
    // The servers' options.
    Scenario {
        name: "once",
        about: "one recv, one send, close",
        pairs: &[Pair::TcpUpper],
        server: &["--once"],
        play: Play::Both(1, &[says("hello")]),
    },
    Scenario {
        name: "unicode",
        about: "upper case as Unicode defines it",
        pairs: UPPER,
        server: &["--unicode"],
        play: Play::Both(1, &[says("stra\u{df}e d\u{e9}j\u{e0} vu")]),
    },
    Scenario {
        name: "quiet",
        about: "a server that does not log",
        pairs: UPPER,
        server: &["--quiet"],
        play: Play::Both(1, &[says("hello")]),
    },
    Scenario {
        name: "announce",
        about: "a server that prints its address",
        pairs: UPPER,
        server: &["--announce"],
        play: Play::Both(1, &[says("hello")]),
    },
    Scenario {
        name: "backlog",
        about: "a backlog of another length",
        pairs: TCP,
        server: &["--backlog", "17"],
        play: Play::Both(1, &[says("hello")]),
    },
    // Not by name: the resolver's calls contain pids and times.
    scenario(
        "ipv6",
        UPPER,
        Play::Both(1, &[says_hello_with(&["-i", "::ffff:127.0.0.1"])]),
        "the server's address as an IPv6 one",
    ),
    // The Web. The client closes each connection; the first three show it with the server, which waits for more and is ended.
    scenario(
        "happy",
        WEB,
        Play::Both(2, &[asks("/", &["--include", "-H", HOST])]),
        "a page with its headers",
    ),
    scenario(
        "head",
        WEB,
        Play::Both(2, &[asks("/large.txt", &["--head", "-H", HOST])]),
        "the headers alone",
    ),
    scenario(
        "not-found",
        WEB,
        Play::Both(2, &[asks("/nothing", &["--fail", "-H", HOST])]),
        "no such page, with --fail",
    ),
    // The client against scripts.
    scenario(
        "chunks",
        WEB,
        Play::Client(scripts::has_chunks, asks("/", &["-H", HOST])),
        "100 Continue, then a page in chunks",
    ),
    scenario(
        "output",
        WEB,
        Play::Client(
            scripts::has_large_page,
            asks("/", &["-o", "/dev/null", "-H", HOST]),
        ),
        "a larger page, into a file",
    ),
    scenario(
        "half-a-page",
        WEB,
        Play::Client(scripts::has_half_a_page, asks("/", &["-H", HOST])),
        "the server ends in mid-page",
    ),
    scenario(
        "server-leaves",
        WEB,
        Play::Client(scripts::leaves, asks("/", &["-H", HOST])),
        "the server closes without an answer",
    ),
    scenario(
        "server-resets",
        WEB,
        Play::Client(scripts::resets_client, asks("/", &["-H", HOST])),
        "the server resets in mid-exchange",
    ),
    scenario(
        "nobody-listens",
        WEB,
        Play::Client(scripts::not_listening, asks("/", &["-H", HOST])),
        "a port where no server listens",
    ),
    // The server against scripts.
    scenario(
        "keep-alive",
        WEB,
        Play::Requests(&[
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        ]),
        "two requests over one connection",
    ),
    scenario(
        "pipelined",
        WEB,
        Play::Requests(&[
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
        ]),
        "two requests in one piece",
    ),
    scenario(
        "in-pieces",
        WEB,
        Play::Requests(&[
            "GET / HTTP/1.1\r\nHo",
            "st: a\r\n",
            "Connection: close\r\n\r\n",
        ]),
        "a request in three pieces: the third has less time",
    ),
    scenario(
        "large",
        WEB,
        Play::Requests(&["GET /large.txt HTTP/1.0\r\n\r\n"]),
        "a file of three chunks, for HTTP/1.0",
    ),
    scenario(
        "not-modified",
        WEB,
        Play::Requests(&[
            "GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n\r\n",
        ]),
        "a page that the client has already, then an older version",
    ),
    scenario(
        "range",
        WEB,
        Play::Requests(&[
            "GET /large.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=100-149\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=1000-\r\n\r\n",
        ]),
        "a part of a file, then one beyond its end",
    ),
    scenario(
        "directory",
        WEB,
        Play::Requests(&[
            "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /empty/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ]),
        "a directory: a redirect to it, then no listing",
    ),
    scenario(
        "hidden",
        WEB,
        Play::Requests(&["GET /.hidden HTTP/1.1\r\nHost: a\r\n\r\n"]),
        "a hidden file",
    ),
    scenario(
        "outside",
        WEB,
        Play::Requests(&["GET /../common.h HTTP/1.1\r\nHost: a\r\n\r\n"]),
        "a file outside the root",
    ),
    scenario(
        "bad-request",
        WEB,
        Play::Requests(&["GET / HTTP/1.1\r\nHost : a\r\n\r\n"]),
        "a malformed request",
    ),
    scenario(
        "half-a-request",
        WEB,
        Play::Requests(&["GET / HT"]),
        "the client ends in mid-request",
    ),
    scenario(
        "method",
        WEB,
        Play::Requests(&["DELETE / HTTP/1.1\r\nHost: a\r\n\r\n"]),
        "a method other than GET and HEAD",
    ),
    scenario(
        "body",
        WEB,
        Play::Requests(&[
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
            "hello",
        ]),
        "a body, which comes after the answer",
    ),
    Scenario {
        name: "password",
        about: "a password left out, then wrong, then right",
        pairs: WEB,
        server: &["--user", "Aladdin:open sesame"],
        play: Play::Requests(&[
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtQQ==\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n",
        ]),
    },
    Scenario {
        name: "quiet",
        about: "a server that does not log",
        pairs: WEB,
        server: &["--quiet"],
        play: Play::Requests(&["GET / HTTP/1.1\r\nHost: a\r\n\r\n"]),
    },
    Scenario {
        name: "timeout",
        about: "half a request, then silence",
        pairs: WEB,
        server: &["--request-timeout", "1"],
        play: Play::Several(1, scripts::falls_silent),
    },
    scenario(
        "client-leaves",
        WEB,
        Play::Several(1, scripts::leaves_when_accepted),
        "the client leaves without sending",
    ),
    scenario(
        "client-resets",
        WEB,
        Play::Several(1, scripts::resets_amid_a_request),
        "the client resets in mid-request",
    ),
    scenario(
        "two-at-once",
        WEB,
        Play::Several(2, scripts::two_browsers),
        "two clients at the same time",
    ),
    scenario(
        "address-in-use",
        WEB,
        Play::Alone(scripts::listening),
        "the server's address is in use",
    ),
    scenario(
        "bad-bind",
        WEB,
        Play::Alone(scripts::not_here),
        "the server's address is not this machine's",
    ),
    scenario(
        "sigterm",
        WEB,
        Play::Ended(scripts::stays_for_more),
        "the server is ended by SIGTERM between two requests",
    ),
];

/// Scenarios for a concurrent server. Its client's tasks are those of the iterative server's.
const CONCURRENT: &[Scenario] = &[
    scenario(
        "happy",
        &[Pair::TcpEcho],
        Play::Several(1, scripts::one_client),
        "a message there and back",
    ),
    scenario(
        "two-at-once",
        &[Pair::TcpEcho],
        Play::Several(2, scripts::two_at_once),
        "two clients at the same time",
    ),
    scenario(
        "client-leaves",
        &[Pair::TcpEcho],
        Play::Several(1, scripts::leaves_when_accepted),
        "the client leaves without sending",
    ),
    scenario(
        "client-resets",
        &[Pair::TcpEcho],
        Play::Several(1, scripts::resets_when_answered),
        "the client resets in mid-exchange",
    ),
    scenario(
        "sigterm",
        &[Pair::TcpEcho],
        Play::Ended(scripts::stays),
        "the server is ended by SIGTERM in mid-exchange",
    ),
    scenario(
        "address-in-use",
        &[Pair::TcpEcho],
        Play::Alone(scripts::listening),
        "the server's address is in use",
    ),
];

/// The scenarios that make sense for a pair.
pub fn of(choice: Choice) -> impl Iterator<Item = &'static Scenario> {
    let scenarios = if choice.is_concurrent() {
        CONCURRENT
    } else {
        SCENARIOS
    };
    scenarios
        .iter()
        .filter(move |scenario| scenario.pairs.contains(&choice.pair))
}
