//! A call in few columns, as the ladder has room for it.

use clap::ValueEnum;

use crate::common::text::escape;
use crate::lectures::steps::{makes, waits_for_several};
use crate::strace::line::{Call, bytes};

/// How the bytes that a call carries are shown.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Payload {
    /// As text
    Text,
    /// As hexadecimal digits
    Hex,
    /// Not at all
    None,
}

/// A call in rows of so many columns: addresses as `127.0.0.1:80`, no lengths of addresses, long payloads cut, of what makes
/// a process the flag that matters.
pub fn brief(call: &Call, payload: Payload, columns: usize) -> Vec<String> {
    let mut args: Vec<String> = call
        .args
        .iter()
        .map(|arg| argument(arg, payload, columns))
        .collect();
    let name = call.name.as_str();
    let flags = if name == "accept4" { args.pop() } else { None };
    // The length of an address says nothing here, nor does a place in memory, or what has no use here.
    if [
        "bind",
        "connect",
        "accept",
        "accept4",
        "getsockname",
        "getpeername",
        "sendto",
        "recvfrom",
        "wait4",
    ]
    .contains(&name)
    {
        args.pop();
        if args
            .last()
            .is_some_and(|last| last == "NULL" || last == "...")
        {
            args.pop();
        }
    }
    args.extend(flags);
    if name.ends_with("sockopt") {
        wait_in_seconds(call, &mut args);
    }
    if let Some(shares) = makes(call).filter(|_| !args.is_empty()) {
        args = vec![
            if shares {
                "... CLONE_FILES ..."
            } else {
                "... SIGCHLD"
            }
            .to_owned(),
        ];
    }
    if waits_for_several(name) || name.starts_with("epoll") {
        args = args.iter().map(|arg| ready(arg)).collect();
    }
    let error = call.note.split(' ').next().unwrap_or_default();
    let result = if call.result == "-1" && !error.is_empty() {
        error.to_owned()
    } else if waits_for_several(name) && call.note.contains('[') {
        format!("{} {}", call.result, ready(&call.note)) // which are ready
    } else {
        call.result.clone()
    };
    let mut words: Vec<String> = Vec::new();
    for (at, arg) in args.iter().enumerate() {
        let last = at + 1 == args.len();
        let arg = format!("{arg}{}", if last { "" } else { ", " });
        if arg.starts_with('"') {
            words.push(arg);
        } else {
            words.extend(arg.split_inclusive(' ').map(str::to_owned));
        }
    }
    let end = format!(") = {result}");
    match words.last_mut() {
        Some(word) => *word += &end,
        None => words.push(end),
    }

    let mut rows = vec![format!("{name}(")];
    for word in words {
        let row = rows.last_mut().expect("there is one");
        if row.chars().count() + word.trim_end().chars().count() <= columns {
            *row += &word;
            continue;
        }
        let mut rest: Vec<char> = word.chars().collect();
        // What is wider than a row goes on where it must.
        while !rest.is_empty() {
            let piece: String = rest.drain(..rest.len().min(columns - 4)).collect();
            rows.push(format!("{:4}{piece}", ""));
        }
    }
    rows.into_iter()
        .map(|row| row.trim_end().to_owned())
        .collect()
}

/// An argument as the ladder shows it.
fn argument(arg: &str, payload: Payload, columns: usize) -> String {
    let Some((bytes, cut)) = bytes(arg) else {
        let place = arg.starts_with("0x");
        return if place {
            "...".to_owned()
        } else {
            address(arg).unwrap_or_else(|| arg.to_owned())
        };
    };
    let units = match payload {
        Payload::None => return "...".to_owned(),
        Payload::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Payload::Text => escaped(&bytes),
    };
    let (mut shown, mut room) = (String::new(), columns - 14);
    let whole = units.iter().all(|unit| {
        let fits = room.checked_sub(unit.chars().count());
        room = fits.unwrap_or(0);
        shown += fits.map_or("", |_| unit);
        fits.is_some()
    });
    format!("\"{shown}\"{}", if cut || !whole { "..." } else { "" })
}

/// Bytes as text, in pieces that belong together: a character, or `\n`, `\x1b`.
fn escaped(bytes: &[u8]) -> Vec<String> {
    let mut units = Vec::new();
    let mut take = |unit: &[u8]| {
        let mut text = Vec::new();
        escape(unit, &mut text);
        units.push(String::from_utf8_lossy(&text).into_owned());
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            take(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        chunk.invalid().chunks(1).for_each(&mut take);
    }
    units
}

/// `SO_RCVTIMEO_OLD, "\n\0\0..."`, as old versions of strace have it, and `{tv_sec=10, tv_usec=0}` as `SO_RCVTIMEO, {10 s}`.
fn wait_in_seconds(call: &Call, args: &mut [String]) {
    let [_, _, option, value, ..] = args else {
        return;
    };
    if !option.starts_with("SO_RCVTIMEO") && !option.starts_with("SO_SNDTIMEO") {
        return;
    }
    let Some((seconds, microseconds)) = call.args.get(3).and_then(|arg| timeval(arg)) else {
        return;
    };
    let fraction = format!(".{microseconds:06}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    *option = option.trim_end_matches("_OLD").to_owned();
    *value = format!("{{{seconds}{fraction} s}}");
}

fn timeval(arg: &str) -> Option<(i64, i64)> {
    if let Some((bytes, false)) = bytes(arg) {
        let (seconds, microseconds) = bytes.split_at_checked(size_of::<i64>())?;
        let number = |bytes: &[u8]| Some(i64::from_ne_bytes(bytes.try_into().ok()?));
        return Some((number(seconds)?, number(microseconds)?));
    }
    let fields = arg.strip_prefix("{tv_sec=")?.strip_suffix('}')?;
    let (seconds, microseconds) = fields.split_once(", tv_usec=")?;
    Some((seconds.parse().ok()?, microseconds.parse().ok()?))
}

/// `[{fd=3, revents=POLLIN}]` and `[{events=EPOLLIN, data={u32=3, u64=3}}]` as `[{3, POLLIN}]` and `[{EPOLLIN, 3}]`.
fn ready(arg: &str) -> String {
    let mut text = arg
        .replace("fd=", "")
        .replace("revents=", "")
        .replace("events=", "");
    while let Some((before, data)) = text.split_once("data={u32=") {
        let (number, after) = data.split_once(',').unwrap_or((data, ""));
        let after = after.split_once('}').map_or("", |(_, after)| after);
        text = format!("{before}{number}{after}");
    }
    text
}

/// `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}` as `127.0.0.1:80`, and IPv6 as `[::1]:80`.
fn address(arg: &str) -> Option<String> {
    let (_, rest) = arg.split_once("_port=htons(")?;
    let (port, rest) = rest.split_once(')')?;
    let (how, rest) = rest.split_once('"')?;
    let (address, _) = rest.split_once('"')?;
    if how.ends_with("inet_addr(") {
        Some(format!("{address}:{port}"))
    } else if how.ends_with("inet_pton(AF_INET6, ") {
        Some(format!("[{address}]:{port}"))
    } else {
        None
    }
}
