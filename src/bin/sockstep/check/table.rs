//! The checks: one row each. What is asked, what is right, why it matters, and the word that `explain` has for it.

use crate::check::client::Visit;
use crate::check::contract::Contract;
use crate::check::outcome::Stop;
use crate::check::server::Trial;
use crate::check::{client, http, tcp, udp};

/// One check of a `T`, which is a server's [`Trial`] or a client's [`Visit`].
pub struct Check<T> {
    pub name: &'static str,
    /// Asked of the program, answered by yes or no.
    pub question: &'static str,
    /// What it shows if the answer is no.
    pub why: &'static str,
    pub word: &'static str,
    pub needs: Needs,
    pub run: fn(&mut T) -> Result<(), Stop>,
}

/// What a check uses of the program beside its address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it can be tried on a server that runs already.
    Address,
    /// Its processes, as the kernel sees them.
    Processes,
    /// A start of its own.
    Start,
}

use Needs::{Address, Processes, Start};

macro_rules! rows {
    ($($name:literal $needs:ident $run:path, $question:literal, $why:literal, $word:literal;)*) => {
        &[$(Check { name: $name, question: $question, why: $why, word: $word, needs: $needs, run: $run }),*]
    };
}

const TCP: &[Check<Trial>] = rows! {
    "starts" Address tcp::starts, "Does it start, and can it be reached?", "socket, bind and (for TCP) listen must succeed before a client can reach it", "listen";
    "word" Address tcp::word, "Is a word answered?", "nothing else can work before this does", "recv";
    "trailing" Address tcp::trailing, "Is nothing sent after the answer?", "send the text's length: not its NUL, not sizeof", "NUL";
    "two-messages" Address tcp::two_messages, "Is a second message on the same connection answered?", "the server must receive in a loop until recv returns 0", "end of file";
    "one-segment" Address tcp::one_segment, "Are two messages that arrive together both answered?", "TCP keeps no message boundaries: one recv may return two messages", "message";
    "byte-by-byte" Address tcp::byte_by_byte, "Is a message that arrives byte by byte answered?", "one recv may return a part of a message", "partial";
    "halves" Address tcp::halves, "Is a message whose second half comes 200 ms later answered?", "a pause does not end a message", "message";
    "every-byte" Address tcp::every_byte, "Does each of the 256 values of a byte come back?", "bytes are not text: a NUL, a newline or 0xff does not end a message", "NUL";
    "late-reader" Address tcp::late_reader, "Does 1 MiB come back to a client that reads late?", "bytes that send did not take must be sent later", "partial";
    "both-ways" Processes tcp::both_ways, "Do 64 MiB go through, in bounded memory?", "a server must not keep what it has already sent", "buffer";
    "idle" Processes tcp::idle, "Is it idle when nothing happens?", "a loop that asks without waiting uses a whole processor", "non-blocking";
    "idle-after-end" Processes tcp::idle_after_end, "Is it idle after a client's end?", "recv returns 0 again and again, at once, if the loop does not end", "end of file";
    "half-close" Address tcp::half_close, "After the client's shutdown(SHUT_WR), does everything come back, and then the end?", "recv of 0 says that the client sends no more, not that it has gone", "half-close";
    "leaves-at-once" Address tcp::leaves_at_once, "Does it go on serving after a client that leaves without sending?", "recv returns 0 at once: close, and accept the next client", "end of file";
    "leaves-amid" Address tcp::leaves_amid, "Does it go on serving after a client that leaves in mid-message?", "a failing client must cost the server that client alone", "client has gone";
    "reset-at-once" Address tcp::reset_at_once, "Does it go on serving after a client that resets before it is accepted?", "accept or the first recv fails, and the next client waits", "ECONNRESET";
    "reset-amid" Address tcp::reset_amid, "Does it go on serving after a client that resets in mid-exchange?", "recv fails with ECONNRESET: that ends this client's connection alone", "ECONNRESET";
    "reset-while-sending" Address tcp::reset_while_sending, "Does it go on serving after a client that resets while the server sends?", "send raises SIGPIPE, which ends the process unless it is ignored", "SIGPIPE";
    "silence" Address tcp::silence, "Is a client served while another one is silent?", "an iterative server cannot; --concurrent demands it", "thread";
    "reverse-order" Address tcp::reverse_order, "Are clients served in the reverse of the order in which they came?", "the listen queue takes connections for the server, but does not serve them", "backlog";
    "many" Address tcp::many, "Do 10 clients at once each get their own bytes?", "a buffer or a descriptor that connections share mixes them up", "thread";
    "in-a-row" Processes tcp::in_a_row, "Are descriptors, processes and threads as before after 200 clients?", "sockets that are not closed, and children that are not waited for, add up", "EMFILE";
    "no-descriptors" Start tcp::no_descriptors, "Is it idle when no descriptor is left, and does it serve when some are free again?", "accept fails with EMFILE, and poll reports the same client again at once", "EMFILE";
    "byte-order" Start tcp::byte_order, "Does it listen at the given port?", "without htons the two bytes of the port are swapped", "byte order";
    "port-taken" Start tcp::port_taken, "If the port is taken, does it print an error and exit with a status other than 0?", "the results of bind and listen must be checked", "EADDRINUSE";
    "restart" Start tcp::restart, "Can it be started again at once?", "connections in TIME_WAIT keep the port, unless SO_REUSEADDR is set", "TIME_WAIT";
    "ends" Start tcp::ends, "Does SIGTERM end it and all that it started?", "a process that is left keeps the port", "SIGTERM";
    "short-calls" Start tcp::short_calls, "Does it work when recv and send move fewer bytes than asked?", "both may: call again for the rest", "partial";
    "interrupted" Start tcp::interrupted, "Does it go on when a call is interrupted by a signal?", "EINTR is not an error of the connection: call again", "EINTR";
};

const UDP: &[Check<Trial>] = rows! {
    "starts" Address tcp::starts, "Does it start, and can it be reached?", "socket, bind and (for TCP) listen must succeed before a client can reach it", "listen";
    "word" Address udp::word, "Is a datagram answered?", "nothing else can work before this does", "recvfrom";
    "trailing" Address udp::trailing, "Is the answer exactly as long as the datagram?", "send as many bytes as recvfrom returned: no NUL, not the whole buffer", "NUL";
    "empty" Address udp::empty, "Is a datagram of 0 bytes answered?", "0 is a length like any other here, not an end", "datagram";
    "every-byte" Address udp::every_byte, "Does each of the 256 values of a byte come back?", "bytes are not text: a NUL, a newline or 0xff does not end a message", "NUL";
    "largest" Address udp::largest, "Does the largest datagram come back whole, or is the loss reported?", "bytes that do not fit into recvfrom's buffer are lost without an error", "cut";
    "two-clients" Address udp::two_clients, "Do two clients in turn each get their own answer?", "the answer goes to the address that recvfrom gave for this datagram", "recvfrom";
    "gone" Address udp::gone, "Does it go on serving after a client that has gone?", "the answer finds no socket, and the next call may fail with ECONNREFUSED", "ICMP";
    "address" Address udp::address, "Does the answer come from the address that was asked?", "a socket bound to any address answers from one that the kernel chooses", "answered from another address";
    "low-port" Address udp::low_port, "Does it leave a sender at a port below 1024 without an answer, or go on serving?", "two echo servers answer each other without end", "UDP";
    "in-a-row" Processes udp::in_a_row, "Are 10,000 datagrams in a row answered?", "anything left open after each adds up", "EMFILE";
    "idle" Processes udp::idle, "Is it idle when nothing happens?", "a loop that asks without waiting uses a whole processor", "non-blocking";
    "byte-order" Start udp::byte_order, "Is it bound to the given port?", "without htons the two bytes of the port are swapped", "byte order";
    "port-taken" Start udp::port_taken, "If the port is taken, does it print an error and exit with a status other than 0?", "the result of bind must be checked", "EADDRINUSE";
    "ends" Start tcp::ends, "Does SIGTERM end it and all that it started?", "a process that is left keeps the port", "SIGTERM";
};

const HTTP: &[Check<Trial>] = rows! {
    "starts" Address tcp::starts, "Does it start, and can it be reached?", "socket, bind and (for TCP) listen must succeed before a client can reach it", "listen";
    "get" Address http::get, "Is GET answered by a status line, headers and a body?", "nothing else can work before this does", "recv";
    "head" Address http::head, "Is HEAD answered like GET, without the body?", "a client that asked for headers alone takes a body for the next answer", "message";
    "not-found" Address http::not_found, "Is a file that does not exist answered by 404?", "a browser shows what the status says", "ENOENT";
    "traversal" Address http::traversal, "Is nothing outside the root sent?", "`..` in a URL must not lead out of the directory", "EACCES";
    "long-line" Address http::long_line, "Does it go on serving after a request line of 64 KiB?", "a line may be longer than any buffer: limit it", "partial";
    "two-requests" Address http::two_requests, "Are two requests in one segment both answered, or the connection closed?", "one recv may return two requests", "message";
    "half-a-request" Address http::half_a_request, "Is a request that comes in two parts answered?", "a request ends at the empty line, not where recv stops", "message";
    "line-feeds" Address http::line_feeds, "Is a request whose lines end in a line feed alone answered?", "that is how a person types one into nc", "message";
    "http-1.0" Address http::http_1_0, "Does an HTTP/1.0 request without Host get its answer and then the end?", "to an old client the end of the connection is the end of the body", "end of file";
    "leaves-at-once" Address http::leaves_at_once, "Does it go on serving after a client that leaves without sending?", "recv returns 0 at once: close, and accept the next client", "end of file";
    "idle" Processes tcp::idle, "Is it idle when nothing happens?", "a loop that asks without waiting uses a whole processor", "non-blocking";
    "ends" Start tcp::ends, "Does SIGTERM end it and all that it started?", "a process that is left keeps the port", "SIGTERM";
};

const TCP_CLIENT: &[Check<Visit>] = rows! {
    "word" Start client::word, "Does it send its word, and end with status 0 when the answer has come?", "nothing else can work before this does", "send";
    "trailing" Start client::trailing, "Does it send exactly the bytes of its word?", "send the text's length: not its NUL, not sizeof", "NUL";
    "byte-by-byte" Start client::byte_by_byte, "Does it take an answer that comes byte by byte?", "one recv may return a part of the answer", "partial";
    "halves" Start client::halves, "Does it take an answer whose second half comes 200 ms later?", "a pause does not end a message", "message";
    "slow" Start client::slow, "Does it wait for an answer that comes after a second?", "silence is not an end", "SO_RCVTIMEO";
    "more" Start client::more, "Does it end when more comes than it asked for?", "the server chooses what it sends, not the client", "partial";
    "closed-at-once" Start client::closed_at_once, "Does it print an error and exit with a status other than 0 when the server closes at once?", "recv returns 0: no answer will come any more", "end of file";
    "closed-amid" Start client::closed_amid, "The same when the server closes in mid-answer?", "recv returns 0 before the answer is whole", "end of file";
    "reset" Start client::reset, "The same when the server resets?", "recv fails with ECONNRESET", "ECONNRESET";
    "nobody" Start client::nobody, "The same when no server listens?", "the result of connect must be checked", "ECONNREFUSED";
    "large" Start client::large, "Does it send and receive a line larger than both buffers?", "a client that only sends waits without end once the server's answers fill both buffers", "deadlock";
};

const UDP_CLIENT: &[Check<Visit>] = rows! {
    "word" Start client::udp_word, "Does it send its word, and end with status 0 when the answer has come?", "nothing else can work before this does", "sendto";
    "trailing" Start client::udp_trailing, "Does it send exactly the bytes of its word?", "send the text's length: not its NUL, not sizeof", "NUL";
    "stranger" Start client::stranger, "Does it ignore an answer from another address?", "any program can send to a UDP port: compare the sender with the server that was asked", "answered from another address";
    "twice" Start client::twice, "Does it take an answer that comes twice?", "a datagram may arrive twice", "datagram";
    "lost" Start client::lost, "Does it ask again when the answer does not come?", "a datagram may be lost without an error", "datagram";
    "nobody" Start client::udp_nobody, "Does it print an error and exit with a status other than 0 when no server is there?", "without a time-out it waits without end", "SO_RCVTIMEO";
};

/// The checks of a client.
pub fn of_client(contract: Contract) -> &'static [Check<Visit>] {
    if contract.is_udp() {
        UDP_CLIENT
    } else {
        TCP_CLIENT
    }
}

/// The checks of a server, in the order in which they are made.
pub fn of_server(contract: Contract) -> &'static [Check<Trial>] {
    match contract {
        Contract::TcpEcho | Contract::TcpUpper => TCP,
        Contract::UdpEcho | Contract::UdpUpper => UDP,
        Contract::Http => HTTP,
    }
}

/// The name of each check of whatever contract.
pub fn names() -> impl Iterator<Item = &'static str> {
    let servers = [TCP, UDP, HTTP].into_iter().flatten();
    let clients = [TCP_CLIENT, UDP_CLIENT].into_iter().flatten();
    servers
        .map(|check| check.name)
        .chain(clients.map(|check| check.name))
}
