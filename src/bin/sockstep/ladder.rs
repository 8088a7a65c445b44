//! The ladder: the client's calls left, the server's right, each under the step of the slide that it belongs to.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use sockstep::Result;

use crate::common::text::escape;
use crate::lanes::{Side, Style, harmless, put};
use crate::read::{Call, Entry, What, bytes};
use crate::steps::{Sockets, step};

/// Columns of a side, and of the gap between the two where bytes cross: 80 in all.
const SIDE: usize = 38;
const GAP: usize = 4;

/// What arrives within this time may be put in order.
const SETTLE: u64 = 20_000_000; // nanoseconds

/// From here on a call that waited says for how long.
const WAITED: u64 = 1_000_000; // nanoseconds

/// Which calls are shown, from the first `socket` on.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Calls {
    /// Those on sockets
    Network,
    /// All
    All,
}

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

pub struct Ladder {
    style: Style,
    calls: Calls,
    payload: Payload,
    client: Lane,
    server: Lane,
    held: Vec<Held>,
    /// Rows that are not on the screen yet.
    text: String,
    /// A prompt whose line is open.
    open: bool,
}

/// What a side has done so far.
#[derive(Default)]
struct Lane {
    step: Option<&'static str>,
    sockets: Sockets,
    /// The process that was started; others may follow from it.
    first: Option<u32>,
    seen: bool,
    complaints: Vec<u8>,
}

/// Something to be drawn when its time has come.
struct Held {
    at: u64,
    side: Side,
    entry: Entry,
}

impl Ladder {
    pub fn new(style: Style, calls: Calls, payload: Payload) -> Ladder {
        let (client, server) = (Lane::default(), Lane::default());
        Ladder {
            style,
            calls,
            payload,
            client,
            server,
            held: Vec::new(),
            text: String::new(),
            open: false,
        }
    }

    /// Takes what a side has written to standard error. It is drawn only if strace shows nothing of that side, since then
    /// these are strace's own words; a program's words are among its calls.
    pub fn complained(&mut self, side: Side, bytes: &[u8]) {
        self.lane(side).complaints.extend_from_slice(bytes);
    }

    /// Takes what strace has seen of a side.
    pub fn traced(&mut self, side: Side, entry: Entry) {
        let start = entry.start.unwrap_or_default();
        let at = match &entry.what {
            // What a call brings is there when it ends; what it sends leaves when it begins.
            What::Call(call) if waits(call) => start + call.took.unwrap_or_default(),
            _ => start,
        };
        let lane = self.lane(side);
        if !lane.seen {
            (lane.seen, lane.first) = (true, entry.pid);
        }
        self.held.push(Held { at, side, entry });
    }

    /// Whether something waits to be drawn.
    pub fn has_more(&self) -> bool {
        !self.held.is_empty()
    }

    /// Draws what has settled, or, at the `end`, all.
    pub fn draw(&mut self, end: bool) -> Result<()> {
        let settled = if end {
            u64::MAX
        } else {
            now().saturating_sub(SETTLE)
        };
        self.held.sort_by_key(|held| held.at);
        let rest = self
            .held
            .split_off(self.held.partition_point(|held| held.at <= settled));
        for held in std::mem::replace(&mut self.held, rest) {
            self.entry(held.side, &held.entry);
        }
        if end {
            for side in [Side::Client, Side::Server] {
                let lane = self.lane(side);
                let complaints = if lane.seen {
                    Vec::new()
                } else {
                    std::mem::take(&mut lane.complaints)
                };
                self.print(side, true, &complaints);
            }
            if self.open {
                self.text.push('\n');
            }
        }
        put(std::mem::take(&mut self.text).as_bytes())
    }

    fn lane(&mut self, side: Side) -> &mut Lane {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// A side's own words, between its calls.
    fn print(&mut self, side: Side, wrong: bool, bytes: &[u8]) {
        let mark = if wrong { "! " } else { "| " };
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let content = line.strip_suffix(b"\n");
            let mut text = Vec::new();
            harmless(content.unwrap_or(line), &mut text);
            let text = String::from_utf8_lossy(&text).into_owned();
            if self.open && content.is_some() && text.is_empty() {
                self.close(); // the newline after a prompt that was not answered
                continue;
            }
            let characters: Vec<char> = text.chars().collect();
            let mut pieces = characters
                .chunks(SIDE - mark.len())
                .map(|piece| piece.iter().collect::<String>());
            self.row(
                side,
                "",
                &format!("{mark}{}", pieces.next().unwrap_or_default()),
                Look::Words,
            );
            for piece in pieces {
                self.row(side, "", &format!("{mark}{piece}"), Look::Words);
            }
            if content.is_none() && side == Side::Client {
                self.text.truncate(self.text.trim_end_matches('\n').len());
                self.text.push(' ');
                self.open = true;
            }
        }
    }

    /// A call, under its step; a signal or an end.
    fn entry(&mut self, side: Side, entry: &Entry) {
        match &entry.what {
            What::Call(call) => self.call(side, entry.pid, call),
            What::Signal(signal) if self.lane(side).sockets.begun => {
                let name = signal.split(' ').next().unwrap_or(signal);
                self.row(side, "", &format!("  --- {name} ---"), Look::Aside);
            }
            What::End(end) if self.lane(side).sockets.begun => {
                self.row(side, "", &format!("  +++ {end} +++"), Look::Aside);
            }
            What::Unknown(line) => self.row(side, "", &format!("  ? {line}"), Look::Aside),
            What::Signal(_) | What::End(_) => {}
        }
    }

    fn call(&mut self, side: Side, pid: Option<u32>, call: &Call) {
        let lane = self.lane(side);
        // Before that, a wrapper's other processes (a shell's, say) have words of their own.
        let heard = lane.sockets.begun || lane.first == pid;
        if let Some((wrong, words)) = said(call).filter(|_| heard) {
            self.print(side, wrong, &words);
            if self.calls == Calls::Network {
                return;
            }
        }
        let (every, payload) = (self.calls == Calls::All, self.payload);
        let lane = self.lane(side);
        let stream = lane.sockets.follow(pid, call);
        if !lane.sockets.begun || (stream.is_none() && !every) {
            return;
        }

        let step = stream.and_then(|stream| step(side, stream, &call.name));
        if step.is_some() && step != std::mem::replace(&mut lane.step, step) {
            self.row(side, "", step.unwrap_or_default(), Look::Step);
        }
        let moved = call.result.parse().is_ok_and(|n: i64| n > 0) && stream.is_some();
        let sends = ["sendto", "sendmsg", "sendfile", "write"].contains(&call.name.as_str());
        let receives = ["recvfrom", "recvmsg", "read"].contains(&call.name.as_str());
        let arrow = match (
            moved && (sends || receives),
            sends == (side == Side::Client),
        ) {
            (false, _) => "",
            (true, true) => "-->",
            (true, false) => "<--",
        };
        let look = if call.failed() {
            Look::Failed
        } else {
            Look::Call
        };
        let mut rows = brief(call, payload, SIDE - 2).into_iter();
        self.row(
            side,
            arrow,
            &format!("  {}", rows.next().unwrap_or_default()),
            look,
        );
        for row in rows {
            self.row(side, "", &format!("  {row}"), look);
        }
        if let Some(took) = call.took.filter(|&took| took >= WAITED && waits(call)) {
            let milliseconds = took / 1_000_000;
            let time = if milliseconds < 10_000 {
                format!("{milliseconds} ms")
            } else {
                format!("{} s", milliseconds / 1000)
            };
            self.row(side, "", &format!("    (waited {time})"), Look::Aside);
        }
    }

    /// One row of the picture: something on one side, an arrow in the gap.
    fn row(&mut self, side: Side, arrow: &str, text: &str, look: Look) {
        if self.open {
            self.close();
        }
        let coloured = self.style.paint(look.colour(side), text);
        let padding = " ".repeat(SIDE.saturating_sub(text.chars().count()));
        let arrow = self.style.paint("1", arrow);
        let row = match side {
            Side::Client if arrow.is_empty() => coloured,
            Side::Client => format!("{coloured}{padding} {arrow}"),
            Side::Server if arrow.is_empty() => format!("{:1$}{coloured}", "", SIDE + GAP),
            Side::Server => format!("{:1$} {arrow}{coloured}", "", SIDE),
        };
        self.text += &row;
        self.text.push('\n');
    }

    /// Ends a prompt's line, unless the Enter of a person has done so.
    fn close(&mut self) {
        self.open = false;
        if !self.style.typing {
            self.text.push('\n');
        }
    }
}

/// What a row is, which decides its colour.
#[derive(Clone, Copy)]
enum Look {
    Step,
    Call,
    Failed,
    Words,
    Aside,
}

impl Look {
    fn colour(self, side: Side) -> &'static str {
        match (self, side) {
            (Look::Step, _) => "1",
            (Look::Call, _) => "",
            (Look::Failed, _) => "31",
            (Look::Words, Side::Client) => "36",
            (Look::Words, Side::Server) => "33",
            (Look::Aside, _) => "2",
        }
    }
}

/// What a call has written to standard output, or (then `true`) to standard error.
fn said(call: &Call) -> Option<(bool, Vec<u8>)> {
    let wrong = match (call.name.as_str(), call.args.first()?.as_str()) {
        ("write", "1") => false,
        ("write", "2") => true,
        _ => return None,
    };
    bytes(call.args.get(1)?)
        .filter(|_| !call.failed())
        .map(|(words, _)| (wrong, words))
}

/// Whether a call may wait for the other side.
fn waits(call: &Call) -> bool {
    matches!(
        call.name.as_str(),
        "accept"
            | "accept4"
            | "connect"
            | "recvfrom"
            | "recvmsg"
            | "read"
            | "poll"
            | "ppoll"
            | "select"
            | "pselect6"
            | "epoll_wait"
    )
}

/// A call in rows of so many columns: addresses as `127.0.0.1:80`, no lengths of addresses, long payloads cut.
fn brief(call: &Call, payload: Payload, columns: usize) -> Vec<String> {
    let mut args: Vec<String> = call
        .args
        .iter()
        .map(|arg| argument(arg, payload, columns))
        .collect();
    // The length of an address says nothing here, nor does a place in memory, or what a stream has no use for.
    let name = call.name.as_str();
    if [
        "bind",
        "connect",
        "accept",
        "getsockname",
        "getpeername",
        "sendto",
        "recvfrom",
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
    let error = call.note.split(' ').next().unwrap_or_default();
    let result = if call.failed() && !error.is_empty() {
        error
    } else {
        &call.result
    };
    let last = args.len().saturating_sub(1);
    let mut words: Vec<String> = args
        .iter()
        .enumerate()
        .map(|(at, arg)| {
            if at < last {
                format!("{arg}, ")
            } else {
                arg.clone()
            }
        })
        .collect();
    let end = format!(") = {result}");
    match words.last_mut() {
        Some(word) => *word += &end,
        None => words.push(end),
    }

    let mut rows = vec![format!("{name}(")];
    for word in words {
        let row = rows.last_mut().expect("there is one");
        if row.chars().count() + word.trim_end().chars().count() > columns
            && row.trim() != format!("{name}(")
        {
            rows.push(format!("{:4}{word}", ""));
        } else {
            *row += &word;
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

/// `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}` as `127.0.0.1:80`.
fn address(arg: &str) -> Option<String> {
    let (_, rest) = arg.split_once("sin_port=htons(")?;
    let (port, rest) = rest.split_once(')')?;
    let (_, rest) = rest.split_once("inet_addr(\"")?;
    let (address, _) = rest.split_once('"')?;
    Some(format!("{address}:{port}"))
}

/// The time of strace's own clock.
fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
