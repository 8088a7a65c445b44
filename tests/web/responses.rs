//! The web_client's parsers of URLs and responses, in both languages: properties, each with
//! thousands of random cases (`PROPTEST_CASES=1000000 cargo test --release --test web responses`
//! for more). The C side runs with the address and undefined-behaviour sanitizers.

#[path = "../../src/bin/web/response.rs"]
#[allow(dead_code, reason = "the program uses more of it")]
mod response;
#[path = "../../src/bin/web/url.rs"]
#[allow(dead_code, reason = "the same")]
mod url;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use self::response::{HEADERS, Response};
use self::url::Url;
use crate::sanitized::{Sanitized, Source, cases, len};

// ---- Responses ----

/// A valid response to GET, and its body; `None` for `end` if only the server's close ends it.
#[derive(Clone, Debug)]
struct Sound {
    bytes: Vec<u8>,
    body: Vec<u8>,
    /// Where it has ended; the rest is not part of it.
    end: Option<usize>,
}

fn eol() -> impl Strategy<Value = &'static str> {
    select(&["\r\n", "\r\n", "\r\n", "\n"][..])
}

fn field() -> impl Strategy<Value = String> {
    let name = "[A-Za-z!#$%&'*+.^_`|~-]{1,12}";
    let value = "[ -~\u{e9}\t]{0,20}(\r\n[ \t][ -~]{0,8})?";
    (name, value, eol()).prop_map(|(name, value, eol)| format!("X{name}:{value}{eol}"))
}

fn block(status: impl Strategy<Value = u16>) -> impl Strategy<Value = String> {
    let reason = select(&["", " ", " OK", " Not \u{e9}"][..]);
    (status, "[01]", reason, eol(), vec(field(), 0..4)).prop_map(
        |(status, minor, reason, eol, fields)| {
            format!("HTTP/1.{minor} {status}{reason}{eol}{}", fields.concat())
        },
    )
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

fn sound() -> impl Strategy<Value = Sound> {
    let interim = vec(block(100..=199_u16), 0..3).prop_map(|blocks| {
        blocks
            .into_iter()
            .map(|block| block + "\r\n")
            .collect::<String>()
    });
    let status =
        (200..=999_u16).prop_filter("these have no body", |status| ![204, 304].contains(status));
    let chunk = (
        bytes(),
        "0{0,3}",
        "([ \t]{0,2}(;[ -~]{0,10})?)?",
        any::<bool>(),
    );
    let framing = prop_oneof![
        (bytes(), "0{0,2}").prop_map(|(body, zeros)| Framing::Counted(body, zeros)),
        (vec(chunk, 0..5), vec(field(), 0..3))
            .prop_map(|(chunks, trailer)| Framing::Chunked(chunks, trailer)),
        bytes().prop_map(Framing::UntilClose),
        Just(Framing::Without),
    ];
    (interim, block(status), framing, bytes()).prop_map(|(interim, block, framing, excess)| {
        let mut bytes = interim.into_bytes();
        let (head, rest, body, ends) = framing.parts();
        let block = match framing {
            Framing::Without => block.replacen(&block[9..12], "204", 1),
            _ => block,
        };
        bytes.extend(format!("{block}{head}\r\n").into_bytes());
        bytes.extend(rest);
        let end = ends.then_some(bytes.len());
        if ends {
            bytes.extend(excess);
        }
        Sound { bytes, body, end }
    })
}

type Chunk = (Vec<u8>, String, String, bool);

#[derive(Clone, Debug)]
enum Framing {
    Counted(Vec<u8>, String),
    Chunked(Vec<Chunk>, Vec<String>),
    UntilClose(Vec<u8>),
    Without,
}

impl Framing {
    /// Its headers, what follows them, the body, and whether that has an end of its own.
    fn parts(&self) -> (String, Vec<u8>, Vec<u8>, bool) {
        match self {
            Framing::Counted(body, zeros) => {
                let head = format!("Content-Length: {zeros}{}\r\n", body.len());
                (head, body.clone(), body.clone(), true)
            }
            Framing::Chunked(chunks, trailer) => {
                let (mut rest, mut body) = (Vec::new(), Vec::new());
                for (chunk, zeros, extension, upper) in
                    chunks.iter().filter(|chunk| !chunk.0.is_empty())
                {
                    let len = chunk.len();
                    let size = if *upper {
                        format!("{len:X}")
                    } else {
                        format!("{len:x}")
                    };
                    rest.extend(format!("{zeros}{size}{extension}\r\n").into_bytes());
                    rest.extend([chunk, &b"\r\n"[..]].concat());
                    body.extend(chunk);
                }
                rest.extend(format!("0\r\n{}\r\n", trailer.concat()).into_bytes());
                let head = "tRansfer-encoding: Chunked\r\nContent-Length: 3\r\n";
                (head.to_owned(), rest, body, true)
            }
            Framing::UntilClose(body) => (String::new(), body.clone(), body.clone(), false),
            Framing::Without => (
                "Content-Length: 7\r\n".to_owned(),
                Vec::new(),
                Vec::new(),
                true,
            ),
        }
    }
}

/// Bytes that may be anything, mostly near to a response.
fn unsound() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&str; 34] = [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 ",
        "HTTP/1.",
        "200",
        "404",
        "204",
        "100",
        " ",
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        "Content-Length",
        ":",
        ": ",
        "Transfer-Encoding",
        "chunked",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        ",",
        ";",
        "0",
        "5",
        "18446744073709551615",
        "18446744073709551616",
        "ffffffffffffffff",
        "10000000000000000",
        "hello",
        "\t",
        "\0",
        "Location: /\r\n",
        "0\r\n\r\n",
        "5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    let soup = vec(prop_oneof![4 => select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()), 1 => vec(any::<u8>(), 1..4)], 0..20)
        .prop_map(|pieces| pieces.concat());
    let change = (any::<Index>(), 0..3_u8, select(&WORDS[..]), any::<u8>());
    let changed = (sound(), vec(change, 1..4)).prop_map(|(sound, changes)| {
        let mut bytes = sound.bytes;
        for (at, kind, word, byte) in changes {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 => drop(bytes.splice(at..at, word.bytes())),
                1 => bytes.truncate(at.max(bytes.len().saturating_sub(3))),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => {}
            }
        }
        bytes
    });
    prop_oneof![soup, changed]
}

/// What has become of a response: as the C side writes it down.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    done: bool,
    may_end: bool,
    problem: Option<String>,
    /// The status and the headers, once they are all there.
    head: Option<(u16, Vec<u8>)>,
    body: Vec<u8>,
}

fn seen(method: &str, pieces: &[&[u8]]) -> Seen {
    let mut response = Response::new(method == "HEAD");
    let mut body = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let n = response.take(&mut piece);
        body.extend_from_slice(&piece[..n]);
        assert!(response.head.len() <= HEADERS);
    }
    Seen {
        done: response.is_done(),
        may_end: response.may_end(),
        problem: response.problem().map(str::to_owned),
        head: response
            .has_head
            .then_some((response.status, response.head)),
        body,
    }
}

/// The same bytes in pieces.
fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

#[test]
fn a_sound_response_yields_its_body_however_it_is_cut() {
    let twin = Twin::start();
    proptest!(cases(3000), |(sound in sound(), cuts in vec(any::<Index>(), 0..12))| {
        let pieces = cut(&sound.bytes, &cuts);
        let seen = seen("GET", &pieces);
        prop_assert_eq!(&seen.problem, &None);
        prop_assert_eq!(&seen.body, &sound.body);
        prop_assert!(seen.may_end && seen.done == sound.end.is_some() && seen.head.is_some());
        prop_assert_eq!(twin.seen("GET", &pieces), seen);
    });
}

#[test]
fn a_sound_response_that_breaks_off_is_never_taken_for_whole() {
    let twin = Twin::start();
    proptest!(cases(3000), |(sound in sound(), at in any::<Index>())| {
        let end = sound.end.unwrap_or(0);
        if end == 0 {
            return Ok(()); // the close is its end
        }
        let seen = seen("GET", &[&sound.bytes[..at.index(end)]]);
        prop_assert!(!seen.may_end && seen.problem.is_none() && sound.body.starts_with(&seen.body));
        prop_assert_eq!(twin.seen("GET", &[&sound.bytes[..at.index(end)]]), seen);
    });
}

#[test]
fn whatever_comes_is_the_same_however_it_is_cut_and_in_both_languages() {
    let twin = Twin::start();
    let method = select(&["GET", "GET", "HEAD"][..]);
    proptest!(cases(3000), |(bytes in unsound(), method in method, cuts in vec(any::<Index>(), 0..12))| {
        let whole = seen(method, &[&bytes]);
        prop_assert!(!(whole.problem.is_some() && whole.may_end));
        prop_assert!(method != "HEAD" || whole.body.is_empty());
        prop_assert!(whole.body.len() <= bytes.len());
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        for pieces in [&cut(&bytes, &cuts), &single] {
            prop_assert_eq!(&seen(method, pieces), &whole);
            prop_assert_eq!(&twin.seen(method, pieces), &whole);
        }
    });
}

#[test]
fn the_limit_of_the_headers_is_the_same_in_both_languages() {
    let twin = Twin::start();
    for (begin, fill) in [
        ("HTTP/1.1 200 OK\r\nA: ", 'b'),
        ("", 'x'),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", '0'),
    ] {
        let around = if begin.ends_with("\r\n\r\n") {
            begin.len()
        } else {
            0
        };
        for len in HEADERS - 6..HEADERS + 3 {
            let mut bytes = begin.to_owned();
            bytes.extend(std::iter::repeat_n(fill, around + len - bytes.len()));
            bytes += "\r\n\r\n";
            let whole = seen("GET", &[bytes.as_bytes()]);
            assert_eq!(
                whole
                    .problem
                    .is_some_and(|problem| problem.contains("65536")),
                len + if fill == 'x' { 2 } else { 4 } > HEADERS,
                "{begin:?} {len}"
            );
            for size in [1, 1000, 65536] {
                let pieces: Vec<&[u8]> = bytes.as_bytes().chunks(size).collect();
                assert_eq!(twin.seen("GET", &pieces), seen("GET", &pieces));
            }
        }
    }
}

// ---- URLs ----

fn url_text() -> impl Strategy<Value = String> {
    const WORDS: [&str; 30] = [
        "http://",
        "HTTP://",
        "https://",
        "http:",
        "//",
        "/",
        "localhost",
        "www.example.com",
        "127.0.0.1",
        "127.1",
        "0x7f",
        "[::1]",
        "[",
        "]",
        ":",
        ":80",
        ":0",
        ":65535",
        ":65536",
        "?",
        "#",
        "@",
        ".",
        "..",
        "/../",
        "/./",
        "%41",
        "\u{e9}",
        " ",
        "-_",
    ];
    let soup = vec(
        prop_oneof![6 => select(&WORDS[..]).prop_map(str::to_owned), 1 => "[!-~]{1,3}"],
        0..8,
    )
    .prop_map(|words| words.concat());
    prop_oneof![
        soup.clone(),
        soup.clone()
            .prop_map(|rest| format!("http://localhost/{rest}")),
        soup.prop_map(|rest| format!("http://{rest}"))
    ]
}

#[test]
fn a_url_is_the_same_in_both_languages_and_goes_into_a_request_as_one_line() {
    let twin = Twin::start();
    proptest!(cases(3000), |(text in url_text())| {
        let parsed = Url::parse(text.as_bytes());
        if let Ok(url) = &parsed {
            let sound = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
            prop_assert!(url.target.starts_with('/') && sound(&url.target) && !url.target.contains('#'));
            prop_assert!(!url.host.is_empty() && sound(&url.host));
            let again = format!("http://{}{}", url.authority(), url.target);
            prop_assert_eq!(Url::parse(again.as_bytes()), Ok(url.clone()));
        }
        prop_assert_eq!(twin.url(&text), parsed.map_err(str::to_owned));
    });
}

#[test]
fn a_redirect_leads_to_a_url_or_nowhere() {
    proptest!(cases(3000), |(base in url_text(), reference in vec(prop_oneof![3 => url_text().prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..4)], 0..3))| {
        let Ok(base) = Url::parse(base.as_bytes()) else { return Ok(()) };
        if let Ok(url) = base.resolve(&reference.concat()) {
            let again = format!("http://{}{}", url.authority(), url.target);
            prop_assert_eq!(Url::parse(again.as_bytes()), Ok(url.clone()));
            let path = url.target.split('?').next().unwrap_or_default();
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{:?}", url);
            prop_assert_eq!(url.resolve(b""), Ok(url));
        }
    });
}

// ---- The C side ----

/// A process that answers with what `web/response.h` and `web/url.h` make of its input.
struct Twin(Sanitized);

static SOURCE: Source = Source::new(
    "responses",
    r#"
    #include "web/response.h"
    #include "web/url.h"
    static void respond(int kind)
    {
        struct response *response = allocate(sizeof(*response));
        memset(response, 0, sizeof(*response));
        response->withoutBody = kind == 'H';
        char *body = NULL;
        size_t bodyLen = 0;
        for (unsigned pieces = count(); pieces > 0; pieces--) {
            unsigned len = count();
            char *piece = bytes(len);
            size_t n = take(response, piece, len);
            body = resize(body, bodyLen + n + 1);
            memcpy(body + bodyLen, piece, n);
            bodyLen += n;
            free(piece);
        }
        int broken = response->state == BROKEN;
        unsigned flags = (response->state == DONE) | mayEnd(response) << 1 | broken << 2 | response->hasHead << 3;
        fwrite(&flags, 4, 1, stdout);
        say(broken ? response->problem : "", broken ? strlen(response->problem) : 0);
        fwrite(&response->status, 4, 1, stdout);
        say(response->head, response->headLen);
        say(body, bodyLen);
        free(body);
        free(response);
    }
    static void takeApart(void)
    {
        struct url url = {0};
        unsigned len = count(), port;
        char *raw = bytes(len), *text = strndup(raw, len);
        int fine = parseUrl(text, &url) == 0;
        say(fine ? "" : url.problem, fine ? 0 : strlen(url.problem));
        say(fine ? url.host : "", fine ? strlen(url.host) : 0);
        say(fine ? url.target : "", fine ? strlen(url.target) : 0);
        port = url.port;
        fwrite(&port, 4, 1, stdout);
        if (fine)
            free(authority(&url));
        free(url.host);
        free(url.target);
        free(raw);
        free(text);
    }
    int main(void)
    {
        for (int kind; (kind = getchar()) != EOF; fflush(stdout))
            kind == 'U' ? takeApart() : respond(kind);
    }
"#,
);

impl Twin {
    fn start() -> Twin {
        Twin(Sanitized::start(&SOURCE))
    }

    fn seen(&self, method: &str, pieces: &[&[u8]]) -> Seen {
        let mut request = vec![if method == "HEAD" { b'H' } else { b'G' }];
        request.extend(len(pieces.len()));
        for piece in pieces {
            request.extend(len(piece.len()));
            request.extend_from_slice(piece);
        }
        self.0.ask(&request, |answer| {
            let flags = answer.number();
            let (problem, status, head, body) = (
                answer.bytes(),
                answer.number(),
                answer.bytes(),
                answer.bytes(),
            );
            Seen {
                done: flags & 1 != 0,
                may_end: flags & 2 != 0,
                problem: (flags & 4 != 0).then(|| String::from_utf8(problem).unwrap()),
                head: (flags & 8 != 0).then(|| (status.try_into().unwrap(), head)),
                body,
            }
        })
    }

    fn url(&self, text: &str) -> Result<Url, String> {
        let request = [&b"U"[..], &len(text.len()), text.as_bytes()].concat();
        self.0.ask(&request, |answer| {
            let [wrong, host, target] =
                [(); 3].map(|()| String::from_utf8(answer.bytes()).unwrap());
            let port = answer.number().try_into().unwrap();
            if wrong.is_empty() {
                Ok(Url { host, port, target })
            } else {
                Err(wrong)
            }
        })
    }
}
