//! The parts of HTTP/1.1 that the web server reads (RFC 9112, RFC 9110): request lines, URLs,
//! ranges, dates. There are no system calls here, and each error is an HTTP status. The C twin has
//! the same in `web/request.h`.

use std::io::Write;
use std::ops::Range;

use super::date::{Date, MONTHS};
use sockstep::{AF_INET6, in6_addr, inet_pton};

/// A response's status: 200 for success, 400 and more for a bad request, 500 and more for a server
/// error.
pub type Status = u16;

pub const LINE: usize = 8192; // bytes of a request's line at most, its end not counted
pub const HEADERS: usize = 100; // header lines of a request at most

// ---- A request, line by line ----

/// A request, filled in line by line. It is reused for the next request, with its buffers.
#[derive(Default)]
pub struct Request {
    /// The request line, as received.
    pub line: Vec<u8>,
    /// The URL's place in it.
    target: Range<usize>,
    /// HEAD: the answer has no body.
    pub head: bool,
    /// The request was read to its end: it has no body.
    pub whole: bool,
    /// Whether another request may follow on the same connection.
    pub keep_alive: bool,
    /// HTTP/1.0: such a client must be told if the connection is kept.
    pub old: bool,
    /// The value of `Authorization:`.
    pub credentials: Vec<u8>,
    /// The value of `Range:`, if it is a single range.
    pub range: Option<ByteRange>,
    /// `If-Range:`: the range applies only if the file has this time.
    pub if_range: Option<i64>,
    /// `If-Modified-Since:`, if it applies.
    pub if_modified_since: Option<i64>,
    /// The status to refuse the method with, after the headers have been read.
    refused: Option<Status>,
    asks_to_stay: bool, // Connection: keep-alive, close
    asks_to_close: bool,
    headers: usize,
    hosts: usize,
    authorizations: usize,
    length: Option<bool>, // Content-Length: whether there is a body
    chunked: bool,
    ranges: usize,
    if_range_tag: bool,
    if_none_match: bool,
}

impl Request {
    /// Resets for the next request.
    pub fn clear(&mut self) {
        let (mut line, mut credentials) = (
            std::mem::take(&mut self.line),
            std::mem::take(&mut self.credentials),
        );
        line.clear();
        credentials.clear();
        *self = Request {
            line,
            credentials,
            ..Request::default()
        };
    }

    /// The URL, as received.
    pub fn target(&self) -> &[u8] {
        &self.line[self.target.clone()]
    }

    /// The status for a line that is longer than `LINE`.
    pub fn too_long(&mut self, line: &[u8]) -> Status {
        if self.line.is_empty() {
            self.line.extend_from_slice(&line[..LINE]);
            414
        } else {
            431
        }
    }

    /// Takes the next line, without its line ending. Returns whether the request is now complete.
    pub fn take(&mut self, line: &[u8]) -> Result<bool, Status> {
        if line.len() > LINE {
            return Err(self.too_long(line));
        }
        match (self.line.is_empty(), line.is_empty()) {
            (true, true) => Ok(false), // empty lines before a request are ignored
            (true, false) => self.request_line(line).map(|()| false),
            (false, false) => self.header(line).map(|()| false),
            (false, true) => self.end().map(|()| true),
        }
    }

    /// `GET /index.html HTTP/1.1`
    fn request_line(&mut self, line: &[u8]) -> Result<(), Status> {
        self.line.extend_from_slice(line);
        let mut words = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(400);
        };
        if !is_token(method) || target.is_empty() || !target.iter().all(|&byte| is_visible(byte)) {
            return Err(400);
        }
        match version {
            b"HTTP/1.1" => {}
            b"HTTP/1.0" => self.old = true,
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => return Err(505),
            _ => return Err(400),
        }
        match method {
            b"GET" => {}
            b"HEAD" => self.head = true,
            b"POST" | b"PUT" | b"DELETE" | b"CONNECT" | b"OPTIONS" | b"TRACE" | b"PATCH" => {
                self.refused = Some(405);
            }
            _ => self.refused = Some(501),
        }
        self.target = method.len() + 1..method.len() + 1 + target.len();
        Ok(())
    }

    /// `Host: www.example.org`
    fn header(&mut self, line: &[u8]) -> Result<(), Status> {
        self.headers += 1;
        if self.headers > HEADERS {
            return Err(431);
        }
        // In old HTTP a line that begins with a blank continues the line before it. Here it is
        // refused: its name is not a token.
        let colon = line.iter().position(|&byte| byte == b':').ok_or(400_u16)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_token(name) || !value.iter().all(|&byte| byte == b'\t' || is_text(byte)) {
            return Err(400);
        }
        let value = trim(value);
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("Host") {
            self.hosts += 1;
            if self.hosts > 1 || !is_host(value) {
                return Err(400);
            }
        } else if is("Content-Length") {
            if self.length.is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return Err(400);
            }
            self.length = Some(value.iter().any(|&digit| digit != b'0'));
        } else if is("Transfer-Encoding") {
            if self.chunked {
                return Err(400);
            }
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(501);
            }
            self.chunked = true;
        } else if is("Connection") {
            for option in value.split(|&byte| byte == b',').map(trim) {
                self.asks_to_close |= option.eq_ignore_ascii_case(b"close");
                self.asks_to_stay |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if is("Range") {
            self.ranges += 1;
            self.range = byte_range(value).filter(|_| self.ranges == 1);
        } else if is("If-Range") {
            self.if_range = parse_date(value);
            self.if_range_tag = self.if_range.is_none();
        } else if is("If-Modified-Since") {
            self.if_modified_since = parse_date(value);
        } else if is("If-None-Match") {
            self.if_none_match = true;
        } else if is("Authorization") {
            self.authorizations += 1;
            if self.authorizations > 1 {
                return Err(400);
            }
            self.credentials.extend_from_slice(value);
        }
        Ok(())
    }

    /// The empty line: checks of the request as a whole.
    fn end(&mut self) -> Result<(), Status> {
        if (!self.old && self.hosts == 0) || (self.chunked && (self.length.is_some() || self.old)) {
            return Err(400);
        }
        // A body is not read, so the start of the next request would be unknown.
        self.whole = !self.chunked && self.length != Some(true);
        self.keep_alive = self.whole && !self.asks_to_close && (!self.old || self.asks_to_stay);
        if self.if_range_tag {
            self.range = None; // our responses have no tags
        }
        if self.if_none_match {
            self.if_modified_since = None; // If-None-Match replaces it, and never matches
        }
        self.refused.map_or(Ok(()), Err)
    }
}

/// A method's or a header's name: RFC 9110's `token`.
fn is_token(word: &[u8]) -> bool {
    let may = |&byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !word.is_empty() && word.iter().all(may)
}

/// No control byte and no blank. Bytes beyond ASCII are allowed: a browser escapes them, a person
/// who types a request does not.
fn is_visible(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

/// No control byte.
fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}

/// A host's name or address, perhaps with a port (RFC 9110, section 7.2); may be empty.
fn is_host(value: &[u8]) -> bool {
    let (known, port) = if let Some(rest) = value.strip_prefix(b"[") {
        let end = rest.iter().position(|&byte| byte == b']');
        let (address, rest) = rest.split_at(end.unwrap_or(0));
        let address = std::str::from_utf8(address).unwrap_or_default();
        let known = inet_pton::<in6_addr>(AF_INET6, address).is_ok();
        (known, rest.get(1..).unwrap_or_default())
    } else {
        let end = value.iter().position(|&byte| byte == b':');
        let (name, port) = value.split_at(end.unwrap_or(value.len()));
        (is_name(name), port)
    };
    let (colon, digits) = port.split_at(usize::from(port.starts_with(b":")));
    known && colon.len() == usize::from(!port.is_empty()) && digits.iter().all(u8::is_ascii_digit)
}

/// RFC 3986's `reg-name`: plain bytes, and others as `%XX`. An IPv4 address is one too.
fn is_name(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'%' => digit(bytes.next()).is_ok() && digit(bytes.next()).is_ok(),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte),
        };
        if !fine {
            return false;
        }
    }
    true
}

/// Without the blanks around it.
fn trim(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte));
    let end = value.iter().rposition(|byte| !is_blank(byte));
    match (start, end) {
        (Some(start), Some(end)) => &value[start..=end],
        _ => &[],
    }
}

// ---- A URL ----

/// The name of the file that a URL means, relative to the root, without empty parts, `.` and `..`.
/// A directory's name ends with a slash; the root's is empty.
pub fn file_name(target: &[u8], name: &mut Vec<u8>) -> Result<(), Status> {
    name.clear();
    let mut rest = path(target)?.iter();
    let mut part = 0; // where the last part of the name begins
    loop {
        // Decoded once only: a decoded `%` is not decoded again.
        let byte = match rest.next() {
            Some(b'%') => Some(digit(rest.next())? << 4 | digit(rest.next())?),
            byte => byte.copied(),
        };
        match byte {
            Some(b'/') | None => {
                match &name[part..] {
                    b"" => {}
                    b"." => name.truncate(part),
                    b".." => {
                        name.truncate(part);
                        name.pop().ok_or(400_u16)?; // there is nothing above the root
                        let slash = name.iter().rposition(|&byte| byte == b'/');
                        name.truncate(slash.map_or(0, |slash| slash + 1));
                    }
                    _ => name.extend(byte), // the slash, if there is one
                }
                part = name.len();
                if byte.is_none() {
                    return Ok(());
                }
            }
            // NUL would end the name early; other control bytes must not get into a log or a
            // header.
            Some(byte) if !is_text(byte) => return Err(400),
            Some(byte) => name.push(byte),
        }
    }
}

/// The path of a URL. It begins with a slash or, in the form used for proxies, after `http://` and
/// a host. The query after `?` is ignored.
fn path(target: &[u8]) -> Result<&[u8], Status> {
    let end = target.iter().position(|&byte| byte == b'?');
    let path = &target[..end.unwrap_or(target.len())];
    if path.contains(&b'#') {
        return Err(400); // a client does not send the fragment
    }
    if path.starts_with(b"/") {
        return Ok(path);
    }
    match path.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"http://") => {
            let host = rest
                .iter()
                .position(|&byte| byte == b'/')
                .unwrap_or(rest.len());
            if host == 0 || rest[0] == b':' || !is_host(&rest[..host]) {
                return Err(400);
            }
            Ok(&rest[host..])
        }
        _ => Err(400),
    }
}

/// The value of a hexadecimal digit.
fn digit(byte: Option<&u8>) -> Result<u8, Status> {
    match byte {
        Some(&byte @ b'0'..=b'9') => Ok(byte - b'0'),
        Some(&byte @ (b'a'..=b'f' | b'A'..=b'F')) => Ok((byte | 0x20) - b'a' + 10),
        _ => Err(400),
    }
}

/// Whether a part of the name begins with a dot.
pub fn is_hidden(name: &[u8]) -> bool {
    name.split(|&byte| byte == b'/')
        .any(|part| part.starts_with(b"."))
}

/// Appends a name in a URL's form: all but plain bytes as `%XX`.
pub fn escape_url(name: &[u8], out: &mut Vec<u8>) {
    for &byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte);
        } else {
            let _ = write!(out, "%{byte:02X}"); // into memory
        }
    }
}

/// The type of a file, by the ending of its name.
pub fn content_type(name: &[u8]) -> &'static str {
    const TYPES: [(&str, &str); 24] = [
        ("css", "text/css; charset=utf-8"),
        ("csv", "text/csv; charset=utf-8"),
        ("gif", "image/gif"),
        ("htm", "text/html; charset=utf-8"),
        ("html", "text/html; charset=utf-8"),
        ("ico", "image/x-icon"),
        ("jpeg", "image/jpeg"),
        ("jpg", "image/jpeg"),
        ("js", "text/javascript; charset=utf-8"),
        ("json", "application/json"),
        ("md", "text/markdown; charset=utf-8"),
        ("mjs", "text/javascript; charset=utf-8"),
        ("mp3", "audio/mpeg"),
        ("mp4", "video/mp4"),
        ("pdf", "application/pdf"),
        ("png", "image/png"),
        ("svg", "image/svg+xml"),
        ("txt", "text/plain; charset=utf-8"),
        ("wasm", "application/wasm"),
        ("webm", "video/webm"),
        ("webp", "image/webp"),
        ("woff2", "font/woff2"),
        ("xml", "text/xml; charset=utf-8"),
        ("zip", "application/zip"),
    ];
    let last = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let suffix = match last.iter().rposition(|&byte| byte == b'.') {
        Some(dot) => &last[dot + 1..],
        None => &[],
    };
    let known = TYPES
        .iter()
        .find(|(known, _)| suffix.eq_ignore_ascii_case(known.as_bytes()));
    known.map_or("application/octet-stream", |&(_, content_type)| {
        content_type
    })
}

// ---- A range of bytes ----

/// The range in `Range: bytes=...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-last` or `first-`
    From(u64, Option<u64>),
    /// `-count`: the last `count` bytes
    Last(u64),
}

/// A single range; `None` if the value is malformed or has several.
fn byte_range(value: &[u8]) -> Option<ByteRange> {
    let (unit, range) = value.split_at_checked(6)?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let range = trim(range);
    let dash = range.iter().position(|&byte| byte == b'-')?;
    match (&range[..dash], &range[dash + 1..]) {
        (b"", count) => Some(ByteRange::Last(number(count)?)),
        (first, b"") => Some(ByteRange::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(ByteRange::From(first, Some(last)))
        }
    }
}

/// Reads digits; a number that is too large becomes the maximum.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |value: u64, &digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}

impl ByteRange {
    /// The bytes of the range in a file of this size, if there are any.
    pub fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            ByteRange::From(first, last) => {
                first..last.map_or(size, |last| last.saturating_add(1).min(size))
            }
            ByteRange::Last(count) => size.saturating_sub(count)..size,
        };
        (!range.is_empty()).then_some(range)
    }
}

// ---- Dates, all in UTC ----

impl Date {
    /// The seconds since 1970; `None` if there is no such day or time.
    fn seconds(&self) -> Option<i64> {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let length = match self.month {
            1 if leap => 29,
            1 => 28,
            3 | 5 | 8 | 10 => 30,
            _ => 31,
        };
        let in_range = (1..=length).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second); // 60 is a leap second
        let month = (i64::try_from(self.month).ok()? + 10) % 12; // from March
        let year = self.year - i64::from(month >= 10);
        let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
        let day = 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5 + self.day - 1;
        let days = era * 146_097 + day - 719_468;
        in_range.then_some(((days * 24 + self.hour) * 60 + self.minute) * 60 + self.second)
    }
}

/// Reads the date of a header in any of the three forms of RFC 9110: the one that we write, and two
/// old ones.
pub fn parse_date(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (year, month, day, time) = match words[..] {
        // Sun, 06 Nov 1994 08:49:37 GMT, and Sun Nov  6 08:49:37 1994
        [_, day, month, year, time, "GMT"] | [_, month, day, time, year] => {
            (year, month, day, time)
        }
        // Sunday, 06-Nov-94 08:49:37 GMT
        [_, date, time, "GMT"] => {
            let (day, rest) = date.split_once('-')?;
            let (month, year) = rest.split_once('-')?;
            (year, month, day, time)
        }
        _ => return None,
    };
    let year = match (field(year, 9999)?, year.len()) {
        (year, 2) => year + if year < 69 { 2000 } else { 1900 },
        (year, _) => year,
    };
    let mut time = time.split(':').map(|digits| field(digits, 60));
    let date = Date {
        year,
        month: MONTHS.iter().position(|&known| known == month)?,
        day: field(day, 31)?,
        weekday: 0,
        hour: time.next()??,
        minute: time.next()??,
        second: time.next()??,
    };
    date.seconds().filter(|_| time.next().is_none())
}

fn field(digits: &str, max: u64) -> Option<i64> {
    let value = number(digits.as_bytes()).filter(|&value| value <= max)?;
    i64::try_from(value).ok()
}
