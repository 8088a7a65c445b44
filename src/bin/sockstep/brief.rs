//! A call in few columns, as the ladder has room for it.

use clap::ValueEnum;

use crate::common::text::escape;
use crate::read::{Call, bytes};
use crate::steps::{makes, waits_for_several};

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
    // The length of an address says nothing here, nor does a place in memory, or what has no use here.
    let name = call.name.as_str();
    if [
        "bind",
        "connect",
        "accept",
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
    let result = if call.failed() && !error.is_empty() {
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
    let room = columns - 14;
    let mut text = Vec::new();
    match payload {
        Payload::None => return "...".to_owned(),
        Payload::Hex => text.extend(
            bytes
                .iter()
                .take(room)
                .flat_map(|byte| format!("{byte:02x}").into_bytes()),
        ),
        Payload::Text => escape(&bytes, &mut text),
    }
    let text: Vec<char> = String::from_utf8_lossy(&text).chars().collect();
    let cut = cut || text.len() > room;
    let shown: String = text.into_iter().take(room).collect();
    format!("\"{shown}\"{}", if cut { "..." } else { "" })
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
