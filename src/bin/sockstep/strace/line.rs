//! Reads what strace writes: a line in, an entry out. A line that it does not know comes out as it is.

use std::collections::HashMap;

/// One line of a recording, or the two that an interrupted call was written in.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Which process or thread, where the recording says so.
    pub pid: Option<u32>,
    /// When it began, in nanoseconds of whatever clock the recording has.
    pub start: Option<u64>,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Call(Call),
    /// `SIGTERM {si_signo=SIGTERM, ...}`
    Signal(String),
    /// `exited with 0`, `killed by SIGTERM`
    End(String),
    Unknown(String),
}

/// A system call, its parts as strace wrote them.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub name: String,
    pub args: Vec<String>,
    /// What it returned: `0`, `-1`, `?`, `3<TCP:[1234]>`.
    pub result: String,
    /// What stands behind that: `ECONNREFUSED (Connection refused)`, `(Timeout)`, `(INJECTED)`, or nothing.
    pub note: String,
    /// How long it took, in nanoseconds.
    pub took: Option<u64>,
}

impl Call {
    pub fn failed(&self) -> bool {
        self.result == "-1" || self.result == "?"
    }
}

/// A call that has begun and not returned: its process is in it now.
pub struct Begun {
    pub pid: Option<u32>,
    pub start: Option<u64>,
    pub name: String,
    /// The descriptor that it is on, if it names one first.
    pub descriptor: Option<String>,
}

/// Reads a recording from its first line on; it remembers the calls that are still under way.
#[derive(Default)]
pub struct Reader {
    begun: HashMap<Option<u32>, (Option<u64>, String)>,
}

impl Reader {
    /// Reads a line without its newline. Nothing comes of a call's beginning until its end has come.
    pub fn read(&mut self, line: &str) -> Option<Entry> {
        let (pid, start, body) = prefix(line);
        let entry = |start, what| Some(Entry { pid, start, what });
        if let Some(signal) = between(body, "--- ", " ---") {
            return entry(start, What::Signal(signal.to_owned()));
        }
        if let Some(end) = between(body, "+++ ", " +++") {
            self.begun.remove(&pid);
            return entry(start, What::End(end.to_owned()));
        }
        let (start, text) =
            match resumed(body).and_then(|rest| Some((rest, self.begun.remove(&pid)?))) {
                Some((rest, (began, beginning))) => (began, beginning + rest),
                None => (start, body.to_owned()),
            };
        match parse(&text) {
            Parsed::Call(call) => entry(start, What::Call(call)),
            Parsed::Begun(beginning) => {
                self.begun.insert(pid, (start, beginning.to_owned()));
                None
            }
            Parsed::Neither => entry(start, What::Unknown(line.to_owned())),
        }
    }

    /// The calls that have begun and not returned; `rest` is a line whose end is still to come.
    pub fn under_way(&self, rest: &str) -> Vec<Begun> {
        let (pid, start, text) = prefix(rest);
        let earlier = self.begun.iter();
        earlier
            .map(|(&pid, (start, text))| (pid, *start, text.as_str()))
            .chain([(pid, start, text)])
            .filter_map(|(pid, start, text)| {
                let (name, inside) = text.split_once('(').filter(|(name, _)| is_name(name))?;
                let digits = inside.bytes().take_while(u8::is_ascii_digit).count();
                let descriptor = inside[digits..].starts_with([',', ')']) && digits > 0;
                Some(Begun {
                    pid,
                    start,
                    name: name.to_owned(),
                    descriptor: descriptor.then(|| inside[..digits].to_owned()),
                })
            })
            .collect()
    }
}

/// The process, the time, and what follows them.
fn prefix(line: &str) -> (Option<u32>, Option<u64>, &str) {
    let mut rest = line.trim_start();
    let mut pid = None;
    if let Some((number, after)) = rest
        .strip_prefix("[pid ")
        .and_then(|text| text.split_once(']'))
    {
        if let Ok(number) = number.trim().parse() {
            (pid, rest) = (Some(number), after.trim_start());
        }
    } else if let Some((number, after)) = rest.split_once(' ') {
        if let Ok(number) = number.parse() {
            (pid, rest) = (Some(number), after.trim_start());
        }
    }
    match rest
        .split_once(' ')
        .map(|(word, after)| (nanoseconds(word), after))
    {
        Some((Some(start), after)) => (pid, Some(start), after.trim_start()),
        _ => (pid, None, rest),
    }
}

/// `1795267737.947646469`, or `13:39:12.947646` as seconds of the day.
fn nanoseconds(word: &str) -> Option<u64> {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, ""));
    if !word.contains(['.', ':'])
        || fraction.len() > 9
        || !fraction.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let seconds = whole.split(':').try_fold(0u64, |sum, part| {
        sum.checked_mul(60)?.checked_add(part.parse().ok()?)
    })?;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(format!("{fraction:0<9}").parse().ok()?)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.strip_prefix(before)?.strip_suffix(after)
}

/// What follows `<... accept resumed>`.
fn resumed(body: &str) -> Option<&str> {
    let (name, rest) = body.strip_prefix("<... ")?.split_once(" resumed>")?;
    is_name(name).then_some(rest)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

enum Parsed<'a> {
    Call(Call),
    /// Up to where `<unfinished ...>` stands.
    Begun(&'a str),
    Neither,
}

fn parse(text: &str) -> Parsed<'_> {
    let Some((name, inside)) = text.split_once('(').filter(|(name, _)| is_name(name)) else {
        return Parsed::Neither;
    };
    let mut args = Vec::new();
    let (mut depth, mut from, mut at) = (0, 0, 0);
    let bytes = inside.as_bytes();
    loop {
        let rest = &inside[at..];
        match bytes.get(at) {
            None => return Parsed::Neither,
            Some(b'"') => match string_end(rest) {
                Some(end) => at += end,
                None => return Parsed::Neither,
            },
            Some(b'<') if rest.trim_end() == "<unfinished ...>" => {
                return Parsed::Begun(text[..name.len() + 1 + at].trim_end());
            }
            Some(b'<') if at > 0 && bytes[at - 1].is_ascii_digit() && !rest.starts_with("<<") => {
                match annotation_end(rest) {
                    Some(end) => at += end,
                    None => return Parsed::Neither,
                }
            }
            Some(b'/') if rest.starts_with("/*") => match rest.find("*/") {
                Some(end) => at += end + 2,
                None => return Parsed::Neither,
            },
            Some(b')') if depth == 0 => break,
            Some(&byte) => {
                match byte {
                    b'(' | b'[' | b'{' => depth += 1,
                    b')' | b']' | b'}' => depth -= 1,
                    b',' if depth == 0 => {
                        args.push(inside[from..at].trim().to_owned());
                        from = at + 1;
                    }
                    _ => {}
                }
                at += 1;
            }
        }
    }
    if !args.is_empty() || !inside[from..at].trim().is_empty() {
        args.push(inside[from..at].trim().to_owned());
    }
    match returned(&inside[at + 1..]) {
        Some((result, note, took)) => Parsed::Call(Call {
            name: name.to_owned(),
            args,
            result,
            note,
            took,
        }),
        None => Parsed::Neither,
    }
}

/// Where a string that begins here ends, after its closing quote.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Where a descriptor's annotation that begins here ends: `<TCP:[127.0.0.1:1->127.0.0.1:2]>`, `</dev/null<char 1:3>>`.
fn annotation_end(text: &str) -> Option<usize> {
    let (mut angles, mut brackets, mut at) = (0, 0, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => at += string_end(&text[at..])? - 1,
            b'[' => brackets += 1,
            b']' => brackets -= 1,
            b'<' if brackets == 0 => angles += 1,
            b'>' if brackets == 0 => angles -= 1,
            _ => {}
        }
        at += 1;
        if angles == 0 {
            return Some(at);
        }
    }
    None
}

/// ` = -1 EAGAIN (Resource temporarily unavailable) <0.000012>` in its parts.
fn returned(text: &str) -> Option<(String, String, Option<u64>)> {
    let mut rest = text.trim_start().strip_prefix("= ")?.trim_end();
    let mut took = None;
    if let Some((before, time)) = rest
        .strip_suffix('>')
        .and_then(|text| text.rsplit_once('<'))
    {
        if let Some(time) = nanoseconds(time).filter(|_| before.ends_with(' ')) {
            (rest, took) = (before.trim_end(), Some(time));
        }
    }
    let mut end = rest.find([' ', '<']).unwrap_or(rest.len());
    if rest[end..].starts_with('<') {
        end += annotation_end(&rest[end..])?;
    }
    Some((
        rest[..end].to_owned(),
        rest[end..].trim_start().to_owned(),
        took,
    ))
}

/// The bytes that a quoted argument stands for, and whether strace left some out (`...`).
pub fn bytes(arg: &str) -> Option<(Vec<u8>, bool)> {
    let end = string_end(arg.strip_prefix('"').map(|_| arg)?)?;
    let cut = match &arg[end..] {
        "" => false,
        "..." => true,
        _ => return None,
    };
    let mut out = Vec::new();
    let mut rest = arg[1..end - 1].bytes().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let digit = |byte: &u8, radix| char::from(*byte).to_digit(radix);
        match rest.next()? {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'v' => out.push(0x0b),
            b'f' => out.push(0x0c),
            b'x' => {
                let high = rest.next().and_then(|byte| digit(&byte, 16))?;
                let low = rest.next().and_then(|byte| digit(&byte, 16))?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            first @ b'0'..=b'7' => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    let Some(next) = rest.peek().and_then(|byte| digit(byte, 8)) else {
                        break;
                    };
                    value = value * 8 + next;
                    rest.next();
                }
                out.push(u8::try_from(value).ok()?);
            }
            other => out.push(other),
        }
    }
    Some((out, cut))
}
