//! The checks of a Web server: what the deck's five steps ask of it.

use std::time::Duration;

use crate::check::outcome::{Stop, fail, wrong};
use crate::check::server::Trial;
use crate::check::talk::Talk;

/// What comes back to a request, up to the end of the connection, the end of the answer, or silence.
struct Answer {
    bytes: Vec<u8>,
    ended: bool,
}

pub const MOST: usize = 8 << 20;

impl Answer {
    fn status(&self) -> Option<u16> {
        let line = self.bytes.split(|&byte| byte == b'\n').next()?;
        let line = std::str::from_utf8(line).ok()?;
        line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
    }

    /// Where the body begins.
    fn body(&self) -> Option<usize> {
        let empty = |end: &[u8]| {
            let at = self.bytes.windows(end.len()).position(|it| it == end)?;
            Some(at + end.len())
        };
        empty(b"\r\n\r\n").into_iter().chain(empty(b"\n\n")).min()
    }
}

fn ask(trial: &Trial, pieces: &[&[u8]]) -> Result<Answer, Stop> {
    let mut talk = trial.connect()?;
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            talk.pause(Duration::from_millis(200));
        }
        if let (Err(stop), true) = (talk.say(piece), at == 0 && piece.len() < 4096) {
            return Err(stop); // one that refuses a long line may close amid it
        }
    }
    Ok(answer(&talk))
}

fn answer(talk: &Talk) -> Answer {
    let (mut bytes, mut ended) = talk.whatever_within(MOST, Duration::from_millis(300));
    if bytes.is_empty() && !ended {
        (bytes, ended) = talk.whatever(MOST);
    }
    Answer { bytes, ended }
}

fn expect(answer: &Answer, what: &str, right: &[u16]) -> Result<(), Stop> {
    match answer.status() {
        Some(status) if right.contains(&status) => Ok(()),
        Some(status) => fail(format!("{what}: it is answered by {status}")),
        None if answer.bytes.is_empty() => fail(format!("{what}: no answer comes")),
        None => wrong(
            format!("{what}: the answer does not begin with a status line"),
            b"HTTP/1.1 200 OK\r\n",
            &answer.bytes,
        ),
    }
}

pub const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// A directory without a page may be listed, or refused.
const OF_ROOT: &[u16] = &[200, 301, 302, 403, 404];

pub fn get(trial: &mut Trial) -> Result<(), Stop> {
    let got = ask(trial, &[GET])?;
    expect(&got, "GET / was sent", OF_ROOT)?;
    if got.body().is_none() {
        return fail("GET / was sent: no empty line ends the headers");
    }
    Ok(())
}

pub fn head(trial: &mut Trial) -> Result<(), Stop> {
    let request = b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let got = ask(trial, &[request])?;
    expect(&got, "HEAD / was sent", &[OF_ROOT, &[405, 501]].concat())?;
    let allowed = !matches!(got.status(), Some(405 | 501));
    match got.body() {
        Some(at) if allowed && at < got.bytes.len() => wrong(
            "HEAD / was sent: a body follows the headers",
            b"",
            &got.bytes[at..],
        ),
        _ => Ok(()),
    }
}

pub fn not_found(trial: &mut Trial) -> Result<(), Stop> {
    let request =
        b"GET /no-such-file-here.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let got = ask(trial, &[request])?;
    expect(&got, "a file was asked for that does not exist", &[404])
}

pub fn traversal(trial: &mut Trial) -> Result<(), Stop> {
    for path in [
        "/../../../../../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "//etc/passwd",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let got = ask(trial, &[request.as_bytes()])?;
        let secret = b"root:";
        if got.bytes.windows(secret.len()).any(|it| it == secret) {
            return fail(format!("{path} was asked for, and /etc/passwd was sent"));
        }
    }
    serves_on(trial, "URLs with .. were asked for, and")
}

fn serves_on(trial: &mut Trial, after: &str) -> Result<(), Stop> {
    let got = ask(trial, &[GET]).and_then(|got| expect(&got, "GET / was sent", OF_ROOT));
    match got {
        Err(Stop::Fail(mut failure)) => {
            let how = trial.death().unwrap_or(failure.said);
            failure.said = format!("{after} the next client is not served: {how}");
            Err(Stop::Fail(failure))
        }
        other => other,
    }
}

pub fn long_line(trial: &mut Trial) -> Result<(), Stop> {
    let request = format!(
        "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a".repeat(64 << 10)
    );
    let got = ask(trial, &[request.as_bytes()])?;
    if let Some(status @ 200..=399) = got.status() {
        return fail(format!(
            "a request line of 64 KiB was sent: it is answered by {status}"
        ));
    }
    serves_on(trial, "a request line of 64 KiB was sent, and")
}

pub fn two_requests(trial: &mut Trial) -> Result<(), Stop> {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let got = ask(trial, &[&[&request[..], GET].concat()])?;
    expect(&got, "two requests were sent in one segment", OF_ROOT)?;
    let begins = b"HTTP/1.";
    let answers = got
        .bytes
        .windows(begins.len())
        .filter(|it| it == begins)
        .count();
    if answers >= 2 || got.ended {
        return Ok(());
    }
    fail("two requests were sent in one segment: one is answered, and the connection stays open")
}

pub fn half_a_request(trial: &mut Trial) -> Result<(), Stop> {
    let (first, second) = GET.split_at(10);
    let got = ask(trial, &[first, second])?;
    expect(&got, "a request was sent in two parts", OF_ROOT)
}

pub fn line_feeds(trial: &mut Trial) -> Result<(), Stop> {
    let got = ask(
        trial,
        &[b"GET / HTTP/1.1\nHost: localhost\nConnection: close\n\n"],
    )?;
    expect(
        &got,
        "a request was sent whose lines end in a line feed alone",
        &[OF_ROOT, &[400]].concat(),
    )
}

pub fn http_1_0(trial: &mut Trial) -> Result<(), Stop> {
    let got = ask(trial, &[b"GET / HTTP/1.0\r\n\r\n"])?;
    expect(&got, "GET / HTTP/1.0 was sent, without Host", OF_ROOT)?;
    if got.ended {
        return Ok(());
    }
    fail("GET / HTTP/1.0 was sent: the connection stays open after the answer")
}

pub fn leaves_at_once(trial: &mut Trial) -> Result<(), Stop> {
    drop(trial.connect()?);
    let mut talk = trial.connect()?;
    talk.say(b"GET / HT")?;
    drop(talk);
    serves_on(trial, "clients left without a request, and")
}
