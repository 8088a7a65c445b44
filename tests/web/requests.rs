//! The web server's HTTP parser: properties that hold for any input.
//!
//! Some thousand cases for each; `PROPTEST_CASES=1000000 cargo test --release --test web requests` for more.
//! The C side runs with the address and undefined-behaviour sanitizers.

#![allow(dead_code, reason = "the server uses all of it")]

#[path = "../../src/bin/web/date.rs"]
mod date;
#[path = "../../src/bin/web/request.rs"]
mod request;

use self::date::{http_date, log_date};
use self::request::{
    ByteRange, HEADERS, LINE, Request, content_type, escape_url, file_name, is_hidden, parse_date,
};
use crate::sanitized::{Sanitized, Source, cases, len};
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes with what matters in a URL far more often than chance has it.
fn url() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "/", "..", ".", "%2e", "%2F", "%", "%00", "a", "b c", "?", "#", "//", "%25", "http://",
        "\\", "é",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..12).prop_map(|pieces| [&b"/"[..], &pieces.concat()].concat())
}

/// Lines that look like a request's.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let names = [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Range",
        "If-Range",
        "If-Modified-Since",
        "If-None-Match",
        "Authorization",
        "X",
    ];
    let values = [
        "",
        "here",
        "0",
        "5",
        "chunked",
        "close",
        "keep-alive",
        "bytes=0-3",
        "bytes=-9",
        "bytes=1-2,3-",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Basic YTpi",
        "\0",
    ];
    let header = (
        prop::sample::select(names.to_vec()),
        prop::sample::select(values.to_vec()),
    )
        .prop_map(|(name, value)| format!("{name}: {value}").into_bytes());
    prop_oneof![
        1 => Just(Vec::new()),
        3 => header,
        2 => url().prop_map(|url| [b"GET ", &url[..], b" HTTP/1.1"].concat()),
        1 => vec(any::<u8>(), 0..40),
        1 => (LINE - 2..LINE + 3).prop_map(|len| vec![b'x'; len]),
    ]
}

/// A host, mostly.
fn host() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "[", "]", ":", "::1", "80", "here", ".", "%41", "%", "g", "1.2.3.4", "ffff", " ", "@",
        "\u{fc}",
    ];
    let pieces = vec(prop::sample::select(pieces.to_vec()), 0..6);
    prop_oneof![
        2 => Just(b"here".to_vec()),
        1 => Just(b"[::ffff:1.2.3.4]:80".to_vec()),
        2 => pieces.prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

/// What is mostly a request.
fn request_lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let fields = [
        "Connection: close",
        "connection: x, KEEP-alive ,",
        "Content-Length: 000",
        "Content-Length: 12",
        "Transfer-Encoding: Chunked",
        "If-Range: \"tag\"",
        "If-Range: Sun, 06 Nov 1994 08:49:37 GMT",
        "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT",
        "If-Modified-Since: Sun Nov  6 08:49:37 1994",
        "If-None-Match: *",
        "Authorization: Basic YTpi",
        "X: \t",
    ];
    let number = prop_oneof![0..9_u64, any::<u64>()].prop_map(|number| number.to_string());
    let edge = prop_oneof![3 => number, 1 => "[0-9]{0,25}"];
    let range =
        (edge.clone(), edge).prop_map(|(first, last)| format!("Range: Bytes= {first}-{last}"));
    let field = prop_oneof![
        6 => prop::sample::select(fields.to_vec()).prop_map(|field| field.as_bytes().to_vec()),
        2 => range.prop_map(String::into_bytes),
        1 => line(),
    ];
    let start = ("GET|HEAD|GET|HEAD|PUT|BREW", url(), "HTTP/1\\.[01]").prop_map(
        |(method, url, version)| [method.as_bytes(), &url, version.as_bytes()].join(&b' '),
    );
    let sound = (start, vec(field, 0..5), host()).prop_map(|(start, fields, host)| {
        let ends = vec![[&b"Host: "[..], &host].concat(), Vec::new()];
        [vec![start], fields, ends].concat()
    });
    prop_oneof![2 => sound, 1 => vec(line(), 0..12)]
}

/// The meaning of a path, the slow and obvious way: decode all, split, walk.
fn walked(target: &[u8]) -> Option<Vec<u8>> {
    let path = target.split(|&byte| byte == b'?').next()?;
    if path.contains(&b'#') {
        return None;
    }
    let mut decoded = Vec::new();
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            decoded.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            decoded.push(byte);
        }
    }
    if decoded.iter().any(u8::is_ascii_control) {
        return None;
    }
    let mut walk: Vec<&[u8]> = Vec::new();
    let parts: Vec<&[u8]> = decoded.split(|&byte| byte == b'/').collect();
    for part in &parts {
        match *part {
            b"" | b"." => {}
            b".." => _ = walk.pop()?,
            part => walk.push(part),
        }
    }
    let mut name = walk.join(&b'/');
    if !name.is_empty() && matches!(*parts.last()?, b"" | b"." | b"..") {
        name.push(b'/');
    }
    Some(name)
}

#[test]
fn a_url_means_the_same_name_in_both_languages() {
    let twin = Twin::start();
    let any_bytes = vec(any::<u8>(), 1..100);
    proptest!(cases(5000), |(target in prop_oneof![3 => url(), 1 => any_bytes])| {
        let mut name = Vec::new();
        let seen = file_name(&target, &mut name).map(|()| {
            let mut escaped = Vec::new();
            escape_url(&name, &mut escaped);
            let kind = content_type(&name).as_bytes().to_vec();
            (name.clone(), escaped, kind, is_hidden(&name))
        });
        prop_assert_eq!(twin.name(&target), seen);
    });
}

#[test]
fn lines_are_the_same_request_in_both_languages() {
    let twin = Twin::start();
    proptest!(cases(5000), |(lines in request_lines())| {
        let mut request = Request::default();
        let mut status = 0;
        for line in &lines {
            status = match request.take(line) {
                Ok(false) => continue,
                Ok(true) => 200,
                Err(status) => status,
            };
            break;
        }
        let range = request.range.map_or((0, 0, 0), |range| match range {
            ByteRange::From(first, last) => (1, first, last.unwrap_or(u64::MAX)),
            ByteRange::Last(count) => (2, 0, count),
        });
        let fits = status == 200;
        prop_assert_eq!(twin.request(&lines), Seen {
            status,
            line: request.line.clone(),
            target: if fits { request.target().to_vec() } else { Vec::new() },
            credentials: request.credentials.clone(),
            answer: fits.then_some((request.head, request.keep_alive, request.old)),
            range: if fits && request.if_range.is_none() { range } else { (0, 0, 0) },
            since: request.if_modified_since.filter(|_| fits).map(i64::to_le_bytes),
        });
    });
}

proptest! {
    #![proptest_config(cases(5000))]

    #[test]
    fn a_name_stays_beneath_the_root(target in url()) {
        let mut name = b"left over".to_vec();
        let outcome = file_name(&target, &mut name);
        prop_assert!(matches!(outcome, Ok(()) | Err(400)));
        prop_assert_eq!(outcome.ok().map(|()| name.clone()), walked(&target));
        if outcome.is_ok() {
            prop_assert!(!name.starts_with(b"/") && !name.windows(2).any(|two| two == b"//"));
            prop_assert!(name.split(|&byte| byte == b'/').all(|part| part != b"." && part != b".."));
            prop_assert!(!name.iter().any(u8::is_ascii_control));
            prop_assert!(name.len() < target.len());
        }
    }

    #[test]
    fn any_bytes_are_a_name_or_refused(target in vec(any::<u8>(), 0..100)) {
        let mut name = Vec::new();
        prop_assert!(matches!(file_name(&target, &mut name), Ok(()) | Err(400)));
        prop_assert!(!name.starts_with(b"/"));
    }

    #[test]
    fn a_name_in_a_url_comes_back(parts in vec("[^/\\p{Cc}]{1,8}", 1..4)) {
        let name = parts.join("/").into_bytes();
        if parts.iter().any(|part| part == "." || part == "..") {
            return Ok(()); // these are no names
        }
        let mut url = b"/".to_vec();
        escape_url(&name, &mut url);
        prop_assert!(url.iter().all(|&byte| byte.is_ascii_graphic()));
        let mut again = Vec::new();
        prop_assert_eq!(file_name(&url, &mut again), Ok(()));
        prop_assert_eq!(&again, &name);
        prop_assert_eq!(is_hidden(&name), parts.iter().any(|part| part.starts_with('.')));
        prop_assert!(!content_type(&name).contains('\r'));
    }

    #[test]
    fn any_lines_are_a_request_or_refused(lines in vec(line(), 0..12), again in any::<bool>()) {
        let mut request = Request::default();
        if again {
            let _ = request.take(b"HEAD /before HTTP/1.0");
            request.clear(); // and nothing of that is left
        }
        let mut fresh = Request::default();
        for (count, line) in lines.iter().enumerate() {
            let outcome = request.take(line);
            prop_assert_eq!(&outcome, &fresh.take(line));
            prop_assert!(matches!(outcome, Ok(_) | Err(400 | 405 | 414 | 431 | 501 | 505)));
            prop_assert!(request.line.len() <= LINE);
            match outcome {
                Ok(false) => {}
                Ok(true) => {
                    prop_assert!(line.is_empty() && count > 0 && count <= HEADERS + 1 + lines.len());
                    prop_assert!(!request.target().is_empty());
                    let hosts = lines[..count].iter().filter(|line| line.starts_with(b"Host:")).count();
                    prop_assert_eq!(hosts, 1);
                    // Two lengths never pass, nor does a connection stay after a body.
                    let has = |what: &[u8]| lines[..count].iter().any(|line| line == what);
                    prop_assert!(!(has(b"Transfer-Encoding: chunked") && request.keep_alive));
                    prop_assert!(!(has(b"Content-Length: 5") && request.keep_alive));
                    break;
                }
                Err(_) => {
                    prop_assert!(!request.keep_alive);
                    break;
                }
            }
        }
    }

    #[test]
    fn a_range_is_within_its_file(first in any::<u64>(), last in any::<Option<u64>>(), count in any::<u64>(), size in prop_oneof![0..100_u64, any::<u64>()], small in any::<bool>()) {
        let (first, last, count) = if small { (first % 120, last.map(|last| last % 120), count % 120) } else { (first, last, count) };
        for range in [ByteRange::From(first, last), ByteRange::Last(count)] {
            if let Some(part) = range.within(size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
        let expected = first < size && last.is_none_or(|last| first <= last);
        prop_assert_eq!(ByteRange::From(first, last).within(size).is_some(), expected);
        prop_assert_eq!(ByteRange::Last(count).within(size).is_some(), count > 0 && size > 0);
    }

    #[test]
    fn a_date_comes_back(seconds in -62_135_596_800_i64..253_402_300_800) { // the years 1 to 9999
        let mut text = Vec::new();
        http_date(seconds, &mut text);
        prop_assert_eq!(text.len(), 29);
        prop_assert_eq!(parse_date(&text), Some(seconds));
        let mut text = Vec::new();
        log_date(seconds, &mut text);
        prop_assert_eq!(text.len(), 26);
    }

    #[test]
    fn any_bytes_are_a_date_or_none(text in vec(any::<u8>(), 0..40)) {
        let _ = parse_date(&text);
    }

    #[test]
    fn what_is_nearly_a_date_is_one_or_none(text in "[A-Z][a-z]{2}, [0-9]{1,2} (Feb|Nov|Xyz) [0-9]{1,5} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT") {
        if let Some(seconds) = parse_date(text.as_bytes()) {
            let mut again = Vec::new();
            http_date(seconds, &mut again);
            prop_assert_eq!(parse_date(&again), Some(seconds));
        }
    }
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (seconds, text) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        let mut out = Vec::new();
        http_date(seconds, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), text);
    }
    for text in [
        "Wed, 29 Feb 2100 00:00:00 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "",
    ] {
        assert_eq!(parse_date(text.as_bytes()), None, "{text}");
    }
}

// ---- The C side ----

/// A process that answers with what `web/request.h` makes of its input.
struct Twin(Sanitized);

/// What a request is understood as; if it is refused, why.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    line: Vec<u8>,
    target: Vec<u8>,
    credentials: Vec<u8>,
    answer: Option<(bool, bool, bool)>, // head, keep_alive, old
    range: (u8, u64, u64),
    since: Option<[u8; 8]>,
}

type Name = (Vec<u8>, Vec<u8>, Vec<u8>, bool);

static SOURCE: Source = Source::new(
    "requests",
    r#"
    #include "web/request.h"
    static void translate(void)
    {
        unsigned len = count();
        char *target = bytes(len), *out = allocate(len + 1), *escaped;
        int status = fileName(target, len, out);
        fwrite(&status, 4, 1, stdout);
        if (status == 200) {
            escaped = allocate(3 * strlen(out) + 1);
            escapeUrl(out, escaped);
            int hidden = isHidden(out);
            say(out, strlen(out));
            say(escaped, strlen(escaped));
            say(contentType(out), strlen(contentType(out)));
            fwrite(&hidden, 4, 1, stdout);
            free(escaped);
        }
        free(target);
        free(out);
    }
    static void understand(void)
    {
        struct request *request = allocate(sizeof(*request));
        int status = 0;
        clearRequest(request);
        for (unsigned lines = count(); lines > 0; lines--) {
            unsigned len = count();
            char *line = bytes(len);
            if (status == 0)
                status = takeLine(request, line, len);
            free(line);
        }
        int ranged = status == 200 && !request->ifRange && request->range.kind != ALL;
        int since = status == 200 && request->ifModifiedSince != -1;
        int answer = request->head | request->keepAlive << 1 | request->old << 2;
        fwrite(&status, 4, 1, stdout);
        say(request->line, request->lineLen);
        say(request->target, status == 200 ? request->targetLen : 0);
        say(request->credentials, request->credentialsLen);
        fwrite(&answer, 4, 1, stdout);
        say(&request->range.first, ranged && request->range.kind == FROM ? 8 : 0);
        say(&request->range.last, ranged ? 8 : 0);
        say(&request->ifModifiedSince, since ? 8 : 0);
        free(request);
    }
    int main(void)
    {
        for (int kind; (kind = getchar()) != EOF; fflush(stdout))
            kind == 'U' ? translate() : understand();
    }
"#,
);

impl Twin {
    fn start() -> Twin {
        Twin(Sanitized::start(&SOURCE))
    }

    fn name(&self, target: &[u8]) -> Result<Name, u16> {
        let request = [&b"U"[..], &len(target.len()), target].concat();
        self.0.ask(&request, |answer| match answer.number() {
            200 => {
                let [name, escaped, kind] = [(); 3].map(|()| answer.bytes());
                Ok((name, escaped, kind, answer.number() != 0))
            }
            status => Err(status.try_into().expect("a status")),
        })
    }

    fn request(&self, lines: &[Vec<u8>]) -> Seen {
        let mut request = [&b"R"[..], &len(lines.len())].concat();
        for line in lines {
            request.extend(len(line.len()));
            request.extend_from_slice(line);
        }
        self.0.ask(&request, |answer| {
            let status = answer.number().try_into().expect("a status");
            let [line, target, credentials] = [(); 3].map(|()| answer.bytes());
            let flags = answer.number();
            let [first, last, since] = [(); 3].map(|()| answer.bytes().try_into().ok());
            let range = match (first, last) {
                (Some(first), Some(last)) => {
                    (1, u64::from_le_bytes(first), u64::from_le_bytes(last))
                }
                (None, Some(last)) => (2, 0, u64::from_le_bytes(last)),
                _ => (0, 0, 0),
            };
            let answer = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
            Seen {
                status,
                line,
                target,
                credentials,
                answer: (status == 200).then_some(answer),
                range,
                since,
            }
        })
    }
}
