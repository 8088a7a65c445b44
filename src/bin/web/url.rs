//! Splits a URL into host, port and target. The C twin has the same in `web/url.h`, except
//! `resolve`.

use std::fmt::Write;
use std::str;

use sockstep::{AF_INET, AF_INET6, in_addr, in6_addr, inet_pton};

const HTTP_PORT: u16 = 80; // the port if the URL names none

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// A name or a numeric address; IPv6 without its brackets.
    pub host: String,
    pub port: u16,
    /// The path and the query, as sent in the request.
    pub target: String,
}

impl Url {
    /// Takes `http://HOST[:PORT][/PATH][?QUERY][#FRAGMENT]` apart, or says what is wrong with it.
    /// The fragment is dropped, because it is not sent; bytes beyond ASCII are written as `%C3`.
    pub fn parse(text: &[u8]) -> Result<Url, &'static str> {
        if text.iter().any(|&byte| byte <= b' ' || byte == 0x7f) {
            return Err("a URL has neither spaces (write %20) nor control characters");
        }
        let scheme = text.split(|&byte| byte == b':').next().unwrap_or_default();
        if scheme.eq_ignore_ascii_case(b"https") {
            return Err("https needs TLS, which this client does not have: only http");
        }
        let Some(rest) = text[scheme.len()..]
            .strip_prefix(b"://")
            .filter(|_| scheme.eq_ignore_ascii_case(b"http"))
        else {
            return Err("not a URL like http://www.example.com/index.html");
        };

        let end = rest.iter().position(|byte| b"/?#".contains(byte));
        let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let (host, port) = whom(authority)?;
        let rest = rest.split(|&byte| byte == b'#').next().unwrap_or_default();
        let mut target = if rest.starts_with(b"/") { "" } else { "/" }.to_owned();
        for &byte in rest {
            if byte.is_ascii() {
                target.push(byte.into());
            } else {
                let _ = write!(target, "%{byte:02X}"); // into memory
            }
        }
        Ok(Url { host, port, target })
    }

    /// The value of the Host header: the host, and the port unless it is 80.
    pub fn authority(&self) -> String {
        let Url { host, port, .. } = self;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        if *port == HTTP_PORT {
            host
        } else {
            format!("{host}:{port}")
        }
    }

    /// Whether another URL names the same server.
    pub fn same_server(&self, other: &Url) -> bool {
        self.host.eq_ignore_ascii_case(&other.host) && self.port == other.port
    }

    /// The URL that a Location header in the response to this one means (RFC 3986, section 5.2).
    pub fn resolve(&self, reference: &[u8]) -> Result<Url, &'static str> {
        let relative = reference
            .iter()
            .position(|byte| b":/?#".contains(byte))
            .is_none_or(|end| reference[end] != b':');
        let (path, query) = parts(&self.target);
        let folder = &path[..=path.rfind('/').unwrap_or_default()];
        let base = format!("http://{}", self.authority()).into_bytes();
        let whole = if !relative {
            reference.to_vec()
        } else if reference.starts_with(b"//") {
            [b"http:", reference].concat()
        } else if reference.starts_with(b"/") {
            [&base, reference].concat()
        } else if reference.starts_with(b"?") {
            [&base, path.as_bytes(), reference].concat()
        } else if reference.is_empty() || reference.starts_with(b"#") {
            [&base, path.as_bytes(), query.as_bytes()].concat()
        } else {
            [&base, folder.as_bytes(), reference].concat()
        };
        let mut url = Url::parse(&whole)?;
        let (path, query) = parts(&url.target);
        url.target = without_dots(path) + query;
        Ok(url)
    }
}

/// The host and the port.
fn whom(authority: &[u8]) -> Result<(String, u16), &'static str> {
    if authority.contains(&b'@') {
        return Err("names and passwords in a URL are not sent: --header 'Authorization: ...' is");
    }
    let (host, rest) = if let Some(inner) = authority.strip_prefix(b"[") {
        let end = inner.iter().position(|&byte| byte == b']');
        let (host, rest) = inner.split_at(end.unwrap_or(0));
        (host, rest.get(1..).unwrap_or_default())
    } else {
        let end = authority.iter().position(|&byte| byte == b':');
        authority.split_at(end.unwrap_or(authority.len()))
    };
    if !host.is_ascii() {
        return Err("the host is not ASCII: write its form that begins with xn-- (idn2 prints it)");
    }
    if authority.starts_with(b"[") && host.contains(&b'%') {
        return Err(
            "a zone like %eth0 is no part of a URL: write an address that needs none, or a name",
        );
    }
    let host = str::from_utf8(host).unwrap_or_default();
    let known = if authority.starts_with(b"[") {
        inet_pton::<in6_addr>(AF_INET6, host).is_ok()
    } else {
        is_name(host)
    };
    if !known {
        return Err(
            "the host is neither a name, nor an IPv4 address in dotted form, \
             nor an IPv6 one in brackets",
        );
    }
    let port = match rest {
        [] | [b':'] => Some(HTTP_PORT),
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok()),
        _ => None,
    };
    let port = port.ok_or("the port is not a number from 0 to 65535")?;
    Ok((host.to_owned(), port))
}

/// Whether it is a name, or an IPv4 address in dotted form. A host whose last part is a number must
/// be an address in full: getaddrinfo would also take `127.1`.
fn is_name(host: &str) -> bool {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.starts_with("0x")
        || last.starts_with("0X");
    if number {
        return inet_pton::<in_addr>(AF_INET, host).is_ok();
    }
    host.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// The path, and the query with its question mark.
fn parts(target: &str) -> (&str, &str) {
    target.split_at(target.find('?').unwrap_or(target.len()))
}

/// A path with `.` and `..` resolved.
fn without_dots(path: &str) -> String {
    let mut segments = Vec::new();
    let mut rest = path.split('/').skip(1).peekable();
    while let Some(segment) = rest.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    segments.pop();
                }
                if rest.peek().is_none() {
                    segments.push(""); // it is a folder
                }
            }
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}
