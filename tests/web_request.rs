//! What the web server understands of HTTP, with whatever may come: properties that hold for any input.
//!
//! Some thousand cases for each; `PROPTEST_CASES=1000000 cargo test --release --test web_request` for more.

#![allow(dead_code, reason = "the server uses all of it")]

#[path = "../src/bin/web/request.rs"]
mod request;

use proptest::collection::vec;
use proptest::prelude::*;
use request::{
    ByteRange, HEADERS, LINE, Request, content_type, escape_url, file_name, http_date, is_hidden,
    log_date, parse_date,
};

/// As many as the environment says, or a few thousand.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(5000),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

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

proptest! {
    #![proptest_config(config())]

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
