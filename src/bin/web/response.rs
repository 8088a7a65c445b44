//! Parses a Web server's response in pieces of any size (RFC 9112). No size in it is trusted. The C
//! twin has the same in `web/response.h`.

use std::str;

// The most bytes of headers, and of lines between the chunks of a body.
pub const HEADERS: usize = 65536;

/// A response so far.
pub struct Response {
    /// The headers, from the status line to the empty line, preceded by those of any interim
    /// response (100 Continue).
    pub head: Vec<u8>,
    /// Whether the headers are complete.
    pub has_head: bool,
    /// 200, 404 and so on; 0 before it is known.
    pub status: u16,
    state: State,
    /// Whether the request was HEAD, which is answered without a body.
    without_body: bool,
    /// The start, in `head`, of the last response and of the last line.
    block: usize,
    line: usize,
    /// Bytes so far of a line between chunks.
    aside: usize,
}

/// The part of the response that the next byte belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// A body with this many bytes left.
    Counted(u64),
    UntilClose,
    /// The size before a chunk: before and after its first digit, after its last one, what follows
    /// a `;`, the newline.
    NoSize,
    Size(u64),
    AfterSize(u64),
    Extension(u64),
    EndOfSize(u64),
    /// A chunk with this many bytes left, and its CR and LF.
    Chunk(u64),
    EndOfChunk,
    AfterChunk,
    /// Headers that follow the last chunk: at the start of a line, within one, at the newline of
    /// the empty one.
    Trailer,
    TrailerLine,
    EndOfTrailer,
    Done,
    Broken(&'static str),
}

impl Response {
    /// The response to GET or HEAD, before its first byte.
    pub fn new(head: bool) -> Response {
        Response {
            head: Vec::new(),
            has_head: false,
            status: 0,
            state: State::Head,
            without_body: head,
            block: 0,
            line: 0,
            aside: 0,
        }
    }

    /// Takes the bytes of the next recv. Moves those of the body to the front and returns their
    /// number.
    pub fn take(&mut self, bytes: &mut [u8]) -> usize {
        let (mut at, mut body) = (0, 0);
        while at < bytes.len() {
            let rest = bytes.len() - at;
            match self.state {
                State::Head => at += self.take_head(&bytes[at..]),
                State::Counted(left) | State::Chunk(left) => {
                    let n = usize::try_from(left).map_or(rest, |left| left.min(rest));
                    bytes.copy_within(at..at + n, body);
                    (at, body) = (at + n, body + n);
                    self.state = match (self.state, left - n as u64) {
                        (State::Counted(_), 0) => State::Done,
                        (State::Counted(_), left) => State::Counted(left),
                        (_, 0) => State::EndOfChunk,
                        (_, left) => State::Chunk(left),
                    };
                }
                State::UntilClose => {
                    bytes.copy_within(at.., body);
                    (at, body) = (at + rest, body + rest);
                }
                State::Done | State::Broken(_) => break,
                _ => {
                    self.state = self.after(bytes[at]);
                    at += 1;
                }
            }
        }
        body
    }

    /// Whether a part of the response has come.
    pub fn has_begun(&self) -> bool {
        !self.head.is_empty()
    }

    /// Whether the whole response has come.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the response may end here because the server has closed the connection.
    pub fn may_end(&self) -> bool {
        matches!(self.state, State::Done | State::UntilClose)
    }

    /// The problem, if the response is malformed.
    pub fn problem(&self) -> Option<&'static str> {
        match self.state {
            State::Broken(problem) => Some(problem),
            _ => None,
        }
    }

    /// The value of the first header with this name.
    pub fn header(&self, name: &'static str) -> Option<&[u8]> {
        self.values(name).next()
    }

    fn values(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        fields(&self.head[self.block..])
            .flatten()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Takes bytes of the headers, up to the end of a line. Returns their number.
    fn take_head(&mut self, bytes: &[u8]) -> usize {
        let newline = bytes.iter().position(|&byte| byte == b'\n');
        let piece = &bytes[..newline.map_or(bytes.len(), |end| end + 1)];
        if self.head.len() + piece.len() > HEADERS {
            self.state = State::Broken("more headers than 65536 bytes");
            return piece.len();
        }
        self.head.extend_from_slice(piece);
        if newline.is_some() {
            let line = &self.head[self.line..];
            if self.line == self.block {
                match status(line) {
                    Some(status) => self.status = status,
                    None => self.state = State::Broken("not a response of HTTP/1"),
                }
            } else if matches!(line, b"\n" | b"\r\n") {
                self.state = self.after_head();
            }
            self.line = self.head.len();
        }
        piece.len()
    }

    /// The state after the end of the headers.
    fn after_head(&mut self) -> State {
        let block = &self.head[self.block..];
        let stray = block.iter().enumerate().any(|(at, &byte)| match byte {
            b'\t' | b'\n' => false,
            b'\r' => block[at + 1] != b'\n',
            _ => byte.is_ascii_control(),
        });
        if stray || fields(block).any(|field| field.is_none()) {
            return State::Broken("malformed headers");
        }
        if self.status < 200 {
            self.block = self.head.len(); // the final response is still to come
            return State::Head;
        }
        let body = self.body();
        self.has_head = !matches!(body, State::Broken(_));
        body
    }

    /// How the end of the body is found (RFC 9112, section 6.3).
    fn body(&self) -> State {
        if self.without_body || self.status == 204 || self.status == 304 {
            return State::Done;
        }
        let elements = |name| {
            self.values(name)
                .flat_map(|value| value.split(|&byte| byte == b','))
                .map(<[u8]>::trim_ascii)
        };
        let mut codings = elements("Transfer-Encoding");
        if let Some(coding) = codings.next() {
            return if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
                State::NoSize
            } else {
                State::Broken("a Transfer-Encoding other than chunked")
            };
        }
        let mut lengths = elements("Content-Length").map(number);
        match lengths.next() {
            None => State::UntilClose,
            Some(Some(length)) if lengths.all(|other| other == Some(length)) => match length {
                0 => State::Done,
                length => State::Counted(length),
            },
            Some(_) => State::Broken("a malformed Content-Length"),
        }
    }

    /// The state after a byte of a line between chunks.
    fn after(&mut self, byte: u8) -> State {
        self.aside += 1;
        if self.aside > HEADERS {
            return State::Broken("more than 65536 bytes around a chunk");
        }
        let state = match (self.state, byte) {
            (State::NoSize, _) if byte.is_ascii_hexdigit() => digit(0, byte),
            (State::Size(size), _) if byte.is_ascii_hexdigit() => digit(size, byte),
            (State::Size(size) | State::AfterSize(size), b' ' | b'\t') => State::AfterSize(size),
            (State::Size(size) | State::AfterSize(size) | State::Extension(size), b'\r') => {
                State::EndOfSize(size)
            }
            (State::Extension(_), b'\n') => State::Broken("a malformed chunk"),
            (State::Size(size) | State::AfterSize(size), b';') | (State::Extension(size), _) => {
                State::Extension(size)
            }
            (State::EndOfSize(0) | State::TrailerLine, b'\n') => State::Trailer,
            (State::EndOfSize(size), b'\n') => State::Chunk(size),
            (State::EndOfChunk, b'\r') => State::AfterChunk,
            (State::AfterChunk, b'\n') => State::NoSize,
            (State::Trailer, b'\r') => State::EndOfTrailer,
            (State::Trailer | State::EndOfTrailer, b'\n') => State::Done,
            (State::Trailer | State::TrailerLine, _) => State::TrailerLine,
            _ => State::Broken("a malformed chunk"),
        };
        if let State::Chunk(_) | State::NoSize = state {
            self.aside = 0;
        }
        state
    }
}

/// The header lines of a response, each a name and a value; `None` for a malformed line. A line
/// that begins with a space continues the line before it.
fn fields(block: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    let mut rest = after_line(block).1; // the status line
    std::iter::from_fn(move || {
        let (mut line, mut after) = after_line(rest);
        while let [b' ' | b'\t', ..] = after {
            let more = after_line(after).0.len();
            (line, after) = rest.split_at(line.len() + more);
        }
        rest = after;
        if line.trim_ascii().is_empty() && after.is_empty() {
            return None; // the empty line
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(0);
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let named = colon > 0 && name.iter().all(|&byte| is_of_a_name(byte));
        Some(named.then_some((name, value.trim_ascii())))
    })
}

/// The first line with its newline, and the rest.
fn after_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let newline = bytes.iter().position(|&byte| byte == b'\n');
    bytes.split_at(newline.map_or(bytes.len(), |end| end + 1))
}

/// Whether a byte may stand in a header's name.
pub fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The number in a status line like `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    match line.strip_prefix(b"HTTP/1.")? {
        [
            b'0' | b'1',
            b' ',
            a @ b'1'..=b'9',
            b @ b'0'..=b'9',
            c @ b'0'..=b'9',
            b' ' | b'\r' | b'\n',
            ..,
        ] => Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')),
        _ => None,
    }
}

/// A number in plain digits.
fn number(digits: &[u8]) -> Option<u64> {
    let text = str::from_utf8(digits).ok()?;
    text.parse().ok().filter(|_| digits[0] != b'+')
}

/// A chunk's size with one more digit.
fn digit(size: u64, byte: u8) -> State {
    let value = char::from(byte).to_digit(16).unwrap_or_default();
    size.checked_mul(16)
        .map_or(State::Broken("a chunk's size is too large"), |size| {
            State::Size(size | u64::from(value))
        })
}
