//! The ladder: the client's calls left, the server's right, each under the step of the slide that it belongs to.
//!
//! A side may be several processes or threads. The first has no mark, the others have their numbers: `[2]`, `[3]`.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use sockstep::Result;

use crate::draw::call::{Payload, brief};
use crate::draw::terminal::{COLUMNS, ERASE, Side, Style, fold, harmless, put};
use crate::lectures::steps::{Sockets, made, step_of_a_new_one, waits_for_several};
use crate::strace::line::{Begun, Call, Entry, What, bytes};

/// Columns of the gap between the two sides, where bytes cross.
const GAP: usize = 4;

/// From so many columns on, up to the other number, the sides are wider than they need be.
const WIDE: usize = 100;
const WIDEST: usize = 160;

/// What arrives within this time may be put in order.
const SETTLE: u64 = 20_000_000; // nanoseconds

/// From here on a call that waited says for how long.
const WAITED: u64 = 1_000_000; // nanoseconds

/// From here on a call that has not returned is said to be blocked.
const BLOCKED: u64 = 200_000_000; // nanoseconds

/// Which calls are shown, from the first `socket` on.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Calls {
    /// Those on sockets
    Network,
    /// All
    All,
}

pub struct Ladder {
    style: Style,
    /// Columns of a side.
    side: usize,
    calls: Calls,
    payload: Payload,
    lanes: [Lane; 2],
    held: Vec<Held>,
    /// Rows that are not on the screen yet.
    text: String,
    /// What the client has asked its user, who has not answered yet.
    prompt: String,
    /// What is on the screen in the row that has no end yet: that prompt, or who is blocked now.
    last: String,
}

impl Drop for Ladder {
    /// Leaves no half row, whatever ends us.
    fn drop(&mut self) {
        let _ = match (self.last.as_str(), self.prompt.as_str()) {
            ("", _) => Ok(()),
            (_, "") => put(ERASE.as_bytes()),
            _ => put(b"\n"),
        }; // nobody may be there to see it
    }
}

/// What a side has done so far.
#[derive(Default)]
struct Lane {
    step: Option<&'static str>,
    sockets: Sockets,
    /// The process that was started; others may follow from it.
    first: Option<u32>,
    /// The processes and threads that have to do with sockets, in the order of their numbers.
    numbers: Vec<Option<u32>>,
    /// What has told a process which descriptor can go on, until it does so: it is drawn under the step that follows.
    told: HashMap<Option<u32>, Call>,
    seen: bool,
    complaints: Vec<u8>,
    /// A line that has been begun, and whose end may come in the next call.
    begun: Option<Words>,
}

/// What a process has said, `wrong` if on standard error.
struct Words {
    pid: Option<u32>,
    wrong: bool,
    text: Vec<u8>,
}

impl Lane {
    fn is_first(&self, pid: Option<u32>) -> bool {
        self.numbers.first() == Some(&pid)
    }

    /// The number of a process or thread that has to do with sockets, from 1 on.
    fn number(&self, pid: Option<u32>) -> Option<usize> {
        let at = self.numbers.iter().position(|known| *known == pid)?;
        Some(at + 1)
    }

    fn enrol(&mut self, pid: Option<u32>) {
        if self.number(pid).is_none() {
            self.numbers.push(pid);
        }
    }

    /// `[2] ` for the second process; nothing for the first.
    fn tag(&self, pid: Option<u32>) -> String {
        match self.number(pid) {
            Some(number @ 2..) => format!("[{number}] "),
            _ => String::new(),
        }
    }

    /// The same in front of a call, which is set in from its heading.
    fn tag_or_room(&self, pid: Option<u32>) -> String {
        let tag = self.tag(pid);
        if tag.is_empty() { "  ".to_owned() } else { tag }
    }
}

/// Something to be drawn when its time has come.
struct Held {
    at: u64,
    side: Side,
    entry: Entry,
}

impl Ladder {
    pub fn new(style: Style, calls: Calls, payload: Payload) -> Ladder {
        let columns = match style.columns("ladder") {
            columns @ WIDE.. => columns.min(WIDEST),
            _ => COLUMNS,
        };
        Ladder {
            style,
            side: (columns - GAP) / 2,
            calls,
            payload,
            lanes: Default::default(),
            held: Vec::new(),
            text: String::new(),
            prompt: String::new(),
            last: String::new(),
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

    /// Takes what we do to a side.
    pub fn aside(&mut self, side: Side, words: &str) {
        self.settle(u64::MAX);
        for row in fold(&format!("({words})"), self.side - 2) {
            self.row(side, "", "  ", &row, Look::Aside);
        }
    }

    /// Whether something waits to be drawn.
    pub fn has_more(&self) -> bool {
        !self.held.is_empty()
    }

    /// Draws what has settled. `under_way` are each side's calls that have not returned.
    pub fn draw(&mut self, under_way: &[Vec<Begun>; 2]) -> Result<()> {
        let now = now();
        self.settle(now.saturating_sub(SETTLE));
        if self.held.is_empty() {
            self.end_words(Side::Client, false); // a prompt, it seems
        }
        let last = if self.prompt.is_empty() {
            self.blocked(under_way, now)
        } else {
            self.prompt.clone()
        };
        if self.text.is_empty() && self.last == last {
            return Ok(());
        }
        let erased = if self.last.is_empty() { "" } else { ERASE };
        let text = format!("{erased}{}{last}", std::mem::take(&mut self.text));
        self.last = last;
        put(text.as_bytes())
    }

    /// Draws what has come, and leaves the cursor at the beginning of a row, for words that are not ours.
    pub fn make_room(&mut self) -> Result<()> {
        let erased = if self.last.is_empty() { "" } else { ERASE };
        self.last.clear();
        put((erased.to_owned() + &std::mem::take(&mut self.text)).as_bytes())
    }

    /// Draws all that is left.
    pub fn end(&mut self) -> Result<()> {
        self.settle(u64::MAX);
        for side in [Side::Client, Side::Server] {
            for (pid, call) in std::mem::take(&mut self.lane(side).told) {
                self.rows_of(side, pid, &call, true);
            }
            self.end_words(side, true);
            let lane = self.lane(side);
            if !lane.seen {
                let complaints = std::mem::take(&mut lane.complaints);
                self.print(side, "", true, &complaints);
            }
        }
        self.end_prompt(false);
        self.draw(&Default::default())
    }

    /// Turns what has been held back until this time into rows.
    fn settle(&mut self, settled: u64) {
        self.held.sort_by_key(|held| held.at);
        let rest = self
            .held
            .split_off(self.held.partition_point(|held| held.at <= settled));
        for held in std::mem::replace(&mut self.held, rest) {
            self.entry(held.side, &held.entry);
        }
    }

    /// The row that says which side is blocked, for how long; empty if none is.
    fn blocked(&self, under_way: &[Vec<Begun>; 2], now: u64) -> String {
        if !self.style.erasing {
            return String::new();
        }
        let words = |side: Side| {
            let lane = &self.lanes[side as usize];
            let calls = under_way[side as usize].iter();
            let since = |call: &&Begun| now.saturating_sub(call.start.unwrap_or(now));
            // Of several processes, the one that came last is the one that matters.
            let call = calls
                .filter(|call| lane.sockets.are_awaited(call) && since(call) >= BLOCKED)
                .min_by_key(since)?;
            let on = call
                .descriptor
                .as_ref()
                .map_or(String::new(), |descriptor| format!("{descriptor}, "));
            let time = since(&call) / 100_000_000;
            let words = format!(
                "{}{}({on}... blocked for {}.{} s",
                lane.tag(call.pid),
                call.name,
                time / 10,
                time % 10
            );
            Some(words.chars().take(self.side).collect::<String>())
        };
        let [client, server] = [Side::Client, Side::Server]
            .map(words)
            .map(|words| words.map(|words| self.style.paint("7", &words)));
        if client.is_none() && server.is_none() {
            return String::new();
        }
        // Nothing wraps. The server's words end where a narrower window does.
        let place = format!("\x1b[{}G\x1b[{}D\x1b[K", 2 * self.side + GAP, self.side - 1);
        let server = server.map_or(String::new(), |words| place + &words);
        format!("\x1b[?7l{}{server}\x1b[?7h", client.unwrap_or_default())
    }

    fn lane(&mut self, side: Side) -> &mut Lane {
        &mut self.lanes[side as usize]
    }

    /// Takes what a process has said. Its complaints, and all that a server says, are drawn as lines.
    fn say(&mut self, side: Side, pid: Option<u32>, wrong: bool, mut text: Vec<u8>) {
        let goes_on = |begun: &mut Words| (begun.pid, begun.wrong) == (pid, wrong);
        match self.lane(side).begun.take_if(goes_on) {
            Some(begun) => text.splice(0..0, begun.text).for_each(drop),
            None => self.end_words(side, true),
        }
        let whole = text.iter().rposition(|&byte| byte == b'\n');
        let whole = match side {
            Side::Client if !wrong => text.len(),
            _ => whole.map_or(0, |end| end + 1),
        };
        let rest = text.split_off(whole);
        let tag = self.lane(side).tag(pid);
        self.print(side, &tag, wrong, &text);
        if !rest.is_empty() {
            let text = rest;
            self.lane(side).begun = Some(Words { pid, wrong, text });
        }
    }

    /// Draws a line that has been begun as it is, the `last` of it.
    fn end_words(&mut self, side: Side, last: bool) {
        let lane = self.lane(side);
        if let Some(mut words) = lane.begun.take() {
            let tag = lane.tag(words.pid);
            if last {
                words.text.push(b'\n');
            }
            self.print(side, &tag, words.wrong, &words.text);
        }
    }

    /// A side's own words, between its calls. `tag` says whose they are.
    fn print(&mut self, side: Side, tag: &str, wrong: bool, bytes: &[u8]) {
        let mark = if wrong { "! " } else { "| " };
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let content = line.strip_suffix(b"\n");
            let mut text = Vec::new();
            harmless(content.unwrap_or(line), &mut text);
            let text = String::from_utf8_lossy(&text).into_owned();
            if !self.prompt.is_empty() && content.is_some() && text.is_empty() {
                self.end_prompt(false); // the newline after a prompt that was not answered
                continue;
            }
            for piece in fold(&text, self.side - mark.len() - tag.len()) {
                self.row(side, "", tag, &format!("{mark}{piece}"), Look::Words);
            }
            if content.is_none() && side == Side::Client {
                self.text.pop(); // the row's end
                let start = self.text.rfind('\n').map_or(0, |end| end + 1);
                self.prompt = self.text.split_off(start);
            }
        }
    }

    /// A call, under its step; a signal or an end.
    fn entry(&mut self, side: Side, entry: &Entry) {
        match &entry.what {
            What::Call(call) => self.call(side, entry.pid, call),
            What::Signal(signal) if self.lane(side).is_first(entry.pid) => {
                self.pass_on(side, entry.pid);
                let name = signal.split(' ').next().unwrap_or(signal);
                self.row(side, "", "  ", &format!("--- {name} ---"), Look::Aside);
            }
            What::End(end) if self.lane(side).number(entry.pid).is_some() => {
                self.pass_on(side, entry.pid);
                let tag = self.lane(side).tag_or_room(entry.pid);
                for row in fold(&format!("+++ {end} +++"), self.side - tag.len()) {
                    self.row(side, "", &tag, &row, Look::Aside);
                }
            }
            What::Unknown(line) => {
                let mut text = Vec::new();
                harmless(line.as_bytes(), &mut text);
                let text = format!("? {}", String::from_utf8_lossy(&text));
                let row = shortened(&text, self.side - 2);
                self.row(side, "", "  ", &row, Look::Aside);
            }
            What::Signal(_) | What::End(_) => {}
        }
    }

    /// Draws what has told a process that it can go on.
    fn pass_on(&mut self, side: Side, pid: Option<u32>) {
        if let Some(call) = self.lane(side).told.remove(&pid) {
            self.rows_of(side, pid, &call, true);
        }
    }

    fn call(&mut self, side: Side, pid: Option<u32>, call: &Call) {
        let lane = self.lane(side);
        // Before that, a wrapper's other processes (a shell's, say) have words of their own.
        let heard = lane.sockets.begun || lane.first == pid;
        if let Some((wrong, words)) = said(call).filter(|_| heard) {
            self.pass_on(side, pid);
            self.say(side, pid, wrong, words);
            if self.calls == Calls::Network {
                return;
            }
        }
        if self.style.typing && ends_a_typed_line(call) {
            self.end_prompt(true);
        }
        let every = self.calls == Calls::All;
        let lane = self.lane(side);
        let (on_a_socket, step) = lane.sockets.take(side, pid, call);
        if !lane.sockets.begun {
            return;
        }
        let new = made(call);
        let children = lane.numbers.len() > 1 && matches!(call.name.as_str(), "wait4" | "waitid");
        let shown = on_a_socket || new.is_some() || children || every;
        // That a signal has ended another process says the end itself.
        let interrupted = call.note.starts_with("ERESTART") && !lane.is_first(pid);
        if !shown || interrupted {
            return;
        }
        lane.enrol(pid);
        let step = match new {
            Some((child, shares)) if side == Side::Server => {
                lane.enrol(Some(child));
                let for_a_client = lane.sockets.have_a_client(pid);
                let own = lane.sockets.have_own_steps();
                (!own).then(|| step_of_a_new_one(shares, for_a_client))
            }
            _ => step,
        };
        if on_a_socket && step.is_none() && waits_for_several(&call.name) && !call.failed() {
            self.pass_on(side, pid);
            self.lane(side).told.insert(pid, call.clone());
            return;
        }
        if let Some(heading) = step.filter(|_| step != lane.step) {
            lane.step = step;
            self.heading(side, heading);
        }
        self.pass_on(side, pid);
        self.rows_of(side, pid, call, on_a_socket);
    }

    /// A step, with its number to the left of its words.
    fn heading(&mut self, side: Side, step: &str) {
        let words = step.find(". ").map_or(0, |at| at + 2);
        let (mut number, words) = (step[..words].to_owned(), &step[words..]);
        for row in fold(words, self.side - number.len()) {
            self.row(side, "", "", &(number.clone() + &row), Look::Step);
            number = " ".repeat(number.len());
        }
    }

    /// The rows of a call.
    fn rows_of(&mut self, side: Side, pid: Option<u32>, call: &Call, on_a_socket: bool) {
        let lane = self.lane(side);
        let tag = lane.tag_or_room(pid);
        let moved = call.result.parse().is_ok_and(|n: i64| n > 0) && on_a_socket;
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
        let look = match call.result.as_str() {
            "?" => Look::Aside, // nobody has seen it return
            "-1" => Look::Failed,
            _ => Look::Call,
        };
        let mut call = call.clone();
        let child = call.result.parse().ok();
        if let Some(number) = child.and_then(|child| lane.number(Some(child))) {
            if made(&call).is_some() || call.name.starts_with("wait") {
                call.result = format!("[{number}]");
            }
        }
        let mut arrow = Some(arrow);
        let room = " ".repeat(tag.len());
        for row in brief(&call, self.payload, self.side - tag.len()) {
            let (arrow, lead) = arrow.take().map_or(("", &room), |arrow| (arrow, &tag));
            self.row(side, arrow, lead, &row, look);
        }
        let took = call.took.filter(|&took| took >= WAITED);
        let time = took.map(|took| match took / 1_000_000 {
            milliseconds @ ..10_000 => format!(" {milliseconds} ms"),
            milliseconds => format!(" {} s", milliseconds / 1000),
        });
        let words = match time {
            time if call.note.starts_with("ERESTART") => {
                let time = time.map_or(String::new(), |time| time + ",");
                format!("  (waited{time} until the signal)")
            }
            Some(time) if waits(&call) => format!("  (waited{time})"),
            _ => return,
        };
        self.row(side, "", &room, &words, Look::Aside);
    }

    /// One row of the picture: something on one side, after the tag of its process; an arrow in the gap.
    fn row(&mut self, side: Side, arrow: &str, tag: &str, text: &str, look: Look) {
        self.end_words(side, true);
        if side == Side::Client || !self.style.erasing || !self.style.typing {
            self.end_prompt(false); // else the row goes above it
        }
        let coloured =
            self.style.paint(colour_of(tag), tag) + &self.style.paint(look.colour(side), text);
        let padding = " ".repeat(self.side.saturating_sub(tag.len() + text.chars().count()));
        let arrow = self.style.paint("1", arrow);
        let row = match side {
            Side::Client if arrow.is_empty() => coloured,
            Side::Client => format!("{coloured}{padding} {arrow}"),
            Side::Server if arrow.is_empty() => format!("{:1$}{coloured}", "", self.side + GAP),
            Side::Server => format!("{:1$} {arrow}{coloured}", "", self.side),
        };
        self.text += &row;
        self.text.push('\n');
    }

    /// Makes a row like any other of the prompt, if there is one. The Enter of an `answered` one has ended it on the screen.
    fn end_prompt(&mut self, answered: bool) {
        let prompt = std::mem::take(&mut self.prompt);
        if prompt.is_empty() {
            return;
        }
        let on_the_screen = self.last == prompt && (answered || self.text.is_empty());
        if on_the_screen {
            self.last.clear();
        } else {
            self.text += &prompt;
        }
        if !(on_the_screen && answered) {
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

/// Text in so many columns: if it is longer, its beginning and `...`.
fn shortened(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 3).collect::<String>() + "..."
}

/// The colour of a process's tag.
fn colour_of(tag: &str) -> &'static str {
    match tag.trim_matches(['[', ']', ' ']).parse::<usize>() {
        Ok(number) => ["35", "32", "34", "36"][number % 4],
        Err(_) => "",
    }
}

/// What a call has written to standard output, or (then `true`) to standard error.
fn said(call: &Call) -> Option<(bool, Vec<u8>)> {
    let wrong = match (call.name.as_str(), call.args.first()?.as_str()) {
        ("write", "1") => false,
        ("write", "2") => true,
        _ => return None,
    };
    let (mut words, cut) = bytes(call.args.get(1)?).filter(|_| !call.failed())?;
    if cut {
        words.extend_from_slice(b"...\n"); // strace has left the rest out
    }
    Some((wrong, words))
}

/// Whether a call has brought a line of standard input, with its newline.
fn ends_a_typed_line(call: &Call) -> bool {
    call.name == "read"
        && call
            .args
            .first()
            .is_some_and(|descriptor| descriptor == "0")
        && call
            .args
            .get(1)
            .and_then(|text| bytes(text))
            .is_some_and(|(text, _)| text.ends_with(b"\n"))
}

/// Whether a call may wait for the other side.
fn waits(call: &Call) -> bool {
    matches!(
        call.name.as_str(),
        "accept" | "accept4" | "connect" | "recvfrom" | "recvmsg" | "read" | "wait4" | "waitid"
    ) || waits_for_several(&call.name)
}

/// The time of strace's own clock.
fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
