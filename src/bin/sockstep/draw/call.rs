//! Shows a call in few columns, for the ladder.

use clap::ValueEnum;

use crate::common::text::escape;
use crate::strace::calls::{self, Does, Place, Row, items, makes_task, number, waits_for_several};
use crate::strace::line::Call;
use crate::strace::text::{bytes, first_bytes};
use crate::world::World;
use crate::world::events::Event;
use crate::world::sockets::Address;

/// The form in which a call's bytes are shown.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Payload {
    /// As text
    Text,
    /// As hexadecimal digits
    Hex,
    /// Not at all
    None,
}

/// A call in rows of `columns`: addresses as `127.0.0.1:80`, no lengths of addresses, long payloads
/// cut, and for clone only the flag that matters.
pub fn brief(call: &Call, payload: Payload, columns: usize) -> Vec<String> {
    let name = call.name.as_str();
    let row = calls::of(name);
    let mut args = arguments(call, row, payload, columns);
    if name.ends_with("sockopt") {
        wait_in_seconds(call, &mut args);
    }
    if let Some(shares) = makes_task(call).filter(|_| !args.is_empty()) {
        let flag = if shares {
            "... CLONE_FILES ..."
        } else {
            "... SIGCHLD"
        };
        args = vec![flag.to_owned()];
    }
    if row.is_some_and(|row| matches!(row.does, Does::Watches(_))) {
        args = args.iter().map(|arg| ready(arg)).collect();
    }
    let error = call.note.split(' ').next().unwrap_or_default();
    let result = if call.result == "-1" && !error.is_empty() {
        error.to_owned()
    } else if waits_for_several(name) && call.note.contains('[') {
        format!("{} {}", call.result, ready(&call.note)) // the ready descriptors
    } else {
        shown(&call.result)
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
        // Text wider than a row is broken anywhere.
        while !rest.is_empty() {
            let piece: String = rest.drain(..rest.len().min(columns - 4)).collect();
            rows.push(format!("{:4}{piece}", ""));
        }
    }
    rows.into_iter()
        .map(|row| row.trim_end().to_owned())
        .collect()
}

/// The bytes that a call has written to standard output or, with `true`, to standard error.
pub fn said(world: &World, event: &Event) -> Option<(bool, Vec<u8>)> {
    let call = event.call().filter(|_| event.socket.is_none())?;
    let row = calls::of(&call.name).filter(|row| !row.proves)?;
    let data = row.sends?;
    let wrong = match calls::descriptor(call.args.get(data.on)?)? {
        1 => false,
        2 => true,
        other => world.prints(event.task, other)?,
    };
    let pieces = data
        .parcels(row, call)
        .into_iter()
        .flat_map(|parcel| parcel.pieces);
    let mut words = Vec::new();
    for (bytes, cut) in pieces {
        words.extend(bytes);
        if cut {
            words.extend_from_slice(b"...\n"); // strace has cut the rest
        }
    }
    (!words.is_empty()).then_some((wrong, words))
}

/// The arguments worth showing: not the length of an address, if it is right, and no unused ones.
fn arguments(call: &Call, row: Option<&Row>, payload: Payload, columns: usize) -> Vec<String> {
    let data = row
        .and_then(|row| row.sends.or(row.receives))
        .map(|data| data.place);
    let place = row.and_then(|row| row.address);
    let absent = |at: usize| {
        let arg = call.args.get(at).map_or("NULL", String::as_str);
        arg == "NULL" || arg.starts_with("0x")
    };
    let mut args = Vec::new();
    for (at, arg) in call.args.iter().enumerate() {
        let hidden = match place {
            Some(address) if at == address => absent(at) && is_usual(call, at + 1),
            Some(address) if at == address + 1 => is_usual(call, at),
            _ => row.is_some_and(|row| row.mute == Some(at)),
        };
        if hidden || arg.is_empty() {
            continue; // strace leaves out an argument that the call would have filled in
        }
        args.push(match data {
            Some(Place::Vector(place)) if place == at => vector(arg, payload, columns),
            Some(Place::Message(place)) if place == at => message(arg, payload, columns),
            Some(Place::Messages(place)) if place == at => {
                let each = items(arg).into_iter().map(|item| {
                    let header = calls::field(item, "msg_hdr").unwrap_or(item);
                    message(header, payload, columns)
                });
                list(each, arg)
            }
            _ => argument(arg, payload, columns),
        });
    }
    args
}

/// Whether a length is that of the address before it.
fn is_usual(call: &Call, at: usize) -> bool {
    let address = &call.args[at - 1];
    let length = call.args.get(at).map_or("", String::as_str);
    if length.starts_with("[0 =>") {
        return false; // NULL: the address is not asked for
    }
    let Some(length) = number(length) else {
        return true; // the length that the kernel set, or NULL
    };
    match Address::of(address) {
        Some(Address::Inet { ip, .. }) => {
            length == if ip.is_ipv4() { 16 } else { 28 } || length == 128
        }
        _ => true,
    }
}

/// `[{iov_base="hello", iov_len=5}]` as `["hello"]`.
fn vector(arg: &str, payload: Payload, columns: usize) -> String {
    let pieces = items(arg).into_iter().map(|item| {
        let base = calls::field(item, "iov_base").unwrap_or(item);
        argument(base, payload, columns)
    });
    list(pieces, arg)
}

/// `{msg_name={sa_family=...}, msg_iov=[...], ...}` as `{127.0.0.1:80, ["hello"]}`, with the
/// descriptors that are passed.
fn message(arg: &str, payload: Payload, columns: usize) -> String {
    let name = calls::field(arg, "msg_name").and_then(Address::of);
    let pieces = calls::field(arg, "msg_iov").map(|arg| vector(arg, payload, columns));
    let controls = items(calls::field(arg, "msg_control").unwrap_or(""));
    let rights = controls.iter().filter_map(|control| {
        let kind = calls::field(control, "cmsg_type")?;
        let data = calls::field(control, "cmsg_data").unwrap_or("...");
        (kind == "SCM_RIGHTS").then(|| format!("{kind} {data}"))
    });
    let name = name.map(|name| name.to_string());
    let parts: Vec<String> = name.into_iter().chain(pieces).chain(rights).collect();
    if parts.is_empty() {
        return "...".to_owned();
    }
    format!("{{{}}}", parts.join(", "))
}

fn list(items: impl Iterator<Item = String>, arg: &str) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() && !arg.starts_with('[') {
        return "...".to_owned();
    }
    format!("[{}]", items.join(", "))
}

/// An argument in the ladder's form.
fn argument(arg: &str, payload: Payload, columns: usize) -> String {
    // A character has at most four bytes: of a long message only the bytes of one row are read.
    let Some((bytes, cut)) = first_bytes(arg, 4 * columns) else {
        let place = arg.starts_with("0x");
        return if place { "...".to_owned() } else { shown(arg) };
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

/// A structure with more characters is left out, unless it is an address.
const LONG: usize = 80;

/// An address in short form, any other argument unchanged.
fn shown(arg: &str) -> String {
    if let Some(address @ (Address::Inet { .. } | Address::Unix(_))) = Address::of(arg) {
        let text = address.to_string();
        let mut safe = Vec::new();
        escape(text.as_bytes(), &mut safe);
        return String::from_utf8_lossy(&safe).into_owned();
    }
    if arg.starts_with('{') && arg.len() > LONG {
        return "{...}".to_owned();
    }
    arg.to_owned() // it has no control bytes: `line.rs` has escaped them
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

/// `SO_RCVTIMEO_OLD, "\n\0\0..."`, in old versions of strace, and `{tv_sec=10, tv_usec=0}` as
/// `SO_RCVTIMEO, {10 s}`.
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

/// C's name of the call, if the kernel's differs.
pub fn c_name(call: &Call) -> &str {
    let with_address = call.args.get(4).is_some_and(|arg| arg != "NULL");
    let name = call.name.strip_suffix(calls::WIDE).unwrap_or(&call.name);
    let Some(row) = calls::of(name) else {
        return name;
    };
    match row.does {
        Does::MakesTask if makes_task(call) == Some(true) => "pthread_create",
        Does::ReapsTask => name, // C has wait, waitpid and waitid
        _ if row.address.is_some() && with_address && (row.sends.or(row.receives)).is_some() => {
            name
        }
        _ => row.in_c,
    }
}
