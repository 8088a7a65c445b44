//! The ladder: the client's calls left, the server's right, each below its step of the slide.
//!
//! A side may be several processes or threads. The first task has no mark, the others have numbers:
//! `[2]`, `[3]`.

use std::collections::HashMap;

use clap::ValueEnum;
use sockstep::Result;

use crate::draw::call::{Payload, brief, said};
use crate::draw::fold::{Drawn, Fold, Group};
use crate::draw::pager::{Pager, Turn};
use crate::draw::source::{Lines, Place};
use crate::draw::terminal::{COLUMNS, ERASE, Side, Style, fold, harmless, put};
use crate::lectures::crossings;
use crate::lectures::remarks::Remarks;
use crate::lectures::steps::{Headings, Step};
use crate::strace::calls::{self, Does, For, made_task, number, waits_for_several};
use crate::strace::clock::now;
use crate::strace::line::{Begun, Call, Entry, What};
use crate::world::World;
use crate::world::causes::SETTLE;
use crate::world::events::{End, Event, EventId, Made, Movement};
use crate::world::sockets::{Kind, Socket, SocketId};
use crate::world::tasks::TaskId;

/// Columns of the gap between the two sides, where bytes cross.
const GAP: usize = 4;

/// From the first width on the sides are wider than needed, up to the second.
const WIDE: usize = 100;
const WIDEST: usize = 160;

/// The time is shown for a call that waited this long.
const WAITED: u64 = 1_000_000; // nanoseconds

/// An unfinished call counts as blocked after this time.
const BLOCKED: u64 = 200_000_000; // nanoseconds

/// The calls that are shown, from the first `socket` on.
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
    /// Finds the source line of a call, with --source.
    lines: Option<Lines>,
    world: World,
    seen: Seen,
    remarks: Remarks,
    /// Remarks on an event that has not been drawn yet.
    said: HashMap<EventId, Vec<String>>,
    columns: [Column; 2],
    /// The rows of the group that is being drawn.
    rows: Vec<(String, bool)>,
    fold: Fold,
    /// Tasks found to wait for each other without end.
    deadlock: Option<[(TaskId, u64); 2]>,
    /// Rows not yet on the screen.
    text: String,
    /// The client's prompt that the user has not answered yet, in the ladder's form and unchanged.
    prompt: String,
    asked: Option<Words>,
    /// The text of the last, unfinished row: the prompt, or the blocked calls.
    last: String,
    /// The rows shown so far, if the user can page back.
    pager: Option<Pager>,
    /// The call that each side is about to make.
    next: [Option<Next>; 2],
}

impl Drop for Ladder {
    /// Completes the last row however the verb ends.
    fn drop(&mut self) {
        if self.pager.as_ref().is_some_and(Pager::is_open) {
            let _ = self.turn(Turn::Leave);
        }
        let _ = match (self.last.as_str(), self.prompt.as_str()) {
            ("", _) => Ok(()),
            (_, "") => put(ERASE.as_bytes()),
            _ => put(b"\n"),
        }; // standard output may be closed
    }
}

/// The state of a side.
#[derive(Default)]
struct Column {
    step: Option<Step>,
    headings: Headings,
    /// The task that was seen first.
    first: Option<TaskId>,
    /// The tasks that use sockets, in the order of their numbers: the program's main process, then
    /// the others.
    numbers: Vec<TaskId>,
    /// A poll, select or epoll_wait that has returned: it is drawn below the step of the call that
    /// follows.
    told: HashMap<TaskId, Event>,
    /// The rows of sockets that may be mere probes (getaddrinfo makes such).
    probes: HashMap<SocketId, Vec<(Event, Option<Step>)>>,
    /// The first of these that were closed again, drawn if there is nothing else.
    idle: Vec<(Event, Option<Step>)>,
    /// A row of a socket has been drawn.
    drawn: bool,
    seen: bool,
    /// The remark about io_uring has been made.
    rings: bool,
    complaints: Vec<u8>,
    /// An incomplete line of output, whose end may come in the next call.
    begun: Option<Words>,
    /// The task whose incomplete line was ended for another row: a newline alone then makes no row.
    cut: Option<(TaskId, bool)>,
}

/// What a recording contains, to say what it lacks.
#[derive(Default)]
struct Seen {
    calls: bool,
    /// Calls that are not on sockets alone.
    others: bool,
    /// A socket was made; a socket was used whose creation was not recorded.
    made: bool,
    proven: bool,
    connected: bool,
    /// Calls came after that.
    went_on: bool,
    /// Something was sent or received.
    moved: bool,
    /// A process or a thread was made; such a task has made calls.
    made_task: bool,
    followed: bool,
    /// Calls that only a socket can have, on descriptors of unknown origin.
    raw: bool,
}

impl Seen {
    fn take(&mut self, event: &Event) {
        let Some(call) = event.call() else { return };
        let row = calls::of(&call.name);
        let does = row.map_or(Does::Neither, |row| row.does);
        let makes = matches!(does, Does::MakesSocket | Does::MakesPair(_));
        self.calls = true;
        self.others |= !(makes || row.is_some_and(|row| row.proves));
        self.made |= makes;
        self.proven |= event.on_a_socket;
        self.went_on |= self.connected;
        self.connected |= matches!(does, Does::Accepts | Does::Connects) && !call.failed();
        self.moved |= !event.moved.is_empty();
        self.made_task |= made_task(call).is_some();
        let first = call.args.first().map_or("", String::as_str);
        self.raw |= (makes || row.is_some_and(|row| row.proves)) && first.starts_with("0x");
    }
}

/// A call that is about to be made.
pub struct Next {
    pub task: Option<u32>,
    /// Its name and, if it begins with one, its descriptor: `recvfrom(3...`.
    pub call: String,
    pub place: Option<Place>,
}

impl Next {
    /// Shortened to `columns`: if the source's name does not fit, its line number alone.
    fn words(&self, tag: &str, columns: usize) -> String {
        let call = format!("> {tag}{}", self.call);
        let Some(place) = &self.place else {
            return shortened(&call, columns);
        };
        let whole = format!("{call} {place}");
        if whole.chars().count() <= columns {
            return whole;
        }
        shortened(&format!("{call} line {}", place.line), columns)
    }
}

/// The most bytes of a picture written at once.
const ROOM: usize = 1 << 16;

/// The most rows kept for sockets that may be probes.
const IDLE: usize = 40;

/// A line of a process's output, `wrong` if on standard error.
struct Words {
    task: TaskId,
    wrong: bool,
    text: Vec<u8>,
}

impl Column {
    fn is_main(&self, task: TaskId) -> bool {
        self.numbers.first() == Some(&task)
    }

    /// The number of a task that uses sockets, from 1 on.
    fn number(&self, task: TaskId) -> Option<usize> {
        let at = self.numbers.iter().position(|known| *known == task)?;
        Some(at + 1)
    }

    /// Gives a task a number. The first is the program's main process, even if another of its tasks
    /// has the first socket.
    fn enrol(&mut self, task: TaskId, world: &World) {
        if self.numbers.is_empty() {
            let mut main = world.task(task);
            while let (None, Some(parent)) = (&main.program, main.parent) {
                main = world.task(parent);
                if main.side != world.task(task).side {
                    break;
                }
            }
            self.numbers.push(main.id);
        }
        if self.number(task).is_none() {
            self.numbers.push(task);
        }
    }

    /// `[2] ` for the second task; nothing for the first.
    fn tag(&self, task: TaskId) -> String {
        match self.number(task) {
            Some(number @ 2..) => format!("[{number}] "),
            _ => String::new(),
        }
    }

    /// The same in front of a call, which is indented.
    fn tag_or_room(&self, task: TaskId) -> String {
        let tag = self.tag(task);
        if tag.is_empty() { "  ".to_owned() } else { tag }
    }
}

/// The columns of one side in a window of `columns`.
fn side_of(columns: usize) -> usize {
    let columns = match columns {
        columns @ WIDE.. => columns.min(WIDEST),
        _ => COLUMNS,
    };
    (columns - GAP) / 2
}

impl Ladder {
    pub fn new(style: Style, calls: Calls, payload: Payload) -> Ladder {
        Ladder {
            style,
            side: side_of(style.columns("ladder")),
            calls,
            payload,
            lines: None,
            world: World::default(),
            seen: Seen::default(),
            remarks: Remarks::default(),
            said: HashMap::new(),
            columns: Default::default(),
            rows: Vec::new(),
            fold: Fold::default(),
            deadlock: None,
            text: String::new(),
            prompt: String::new(),
            asked: None,
            last: String::new(),
            pager: None,
            next: [None, None],
        }
    }

    /// The run is going on now.
    pub fn live(mut self) -> Ladder {
        self.remarks = Remarks::live();
        self
    }

    /// Lets the user page back through the rows shown.
    pub fn with_pages(mut self) -> Ladder {
        self.pager = self.style.erasing.then(Pager::default);
        self
    }

    /// Whether the user has paged back.
    pub fn is_paged(&self) -> bool {
        self.pager.as_ref().is_some_and(Pager::is_open)
    }

    /// Turns a page; the picture goes on in the background.
    pub fn turn(&mut self, turn: Turn) -> Result<()> {
        let Some(pager) = &mut self.pager else {
            return Ok(());
        };
        let was_open = pager.is_open();
        pager.turn(turn)?;
        if was_open && !pager.is_open() {
            let erased = if self.last.is_empty() { "" } else { ERASE };
            let text = format!("{erased}{}", pager.unseen());
            self.last.clear();
            put(text.as_bytes())?;
        }
        Ok(())
    }

    /// Sets the calls that each side is about to make.
    pub fn about_to(&mut self, next: [Option<Next>; 2]) {
        self.next = next;
    }

    /// Shows each call's source line, if its stack is known.
    pub fn with_source_lines(mut self, wanted: bool) -> Ladder {
        self.lines = wanted.then(Lines::default);
        self
    }

    /// Takes a side's standard error. It is drawn only if strace shows no call of that side,
    /// because then it is strace's own message; a program's output is shown as its write calls.
    pub fn complained(&mut self, side: Side, bytes: &[u8]) {
        self.column(side).complaints.extend_from_slice(bytes);
    }

    /// Takes an entry of a side's trace, with one strace for each side.
    pub fn traced(&mut self, side: Side, entry: Entry) {
        self.traced_by(side as usize, side, entry);
    }

    /// The same for any number of recordings.
    pub fn traced_by(&mut self, source: usize, side: Side, entry: Entry) {
        self.column(side).seen = true;
        self.world.take(source, side, entry);
    }

    /// Takes the window's new size: for the pages at once, for the picture from the next row on.
    pub fn resize(&mut self) -> Result<()> {
        self.side = side_of(self.style.columns_now());
        self.pager.as_mut().map_or(Ok(()), Pager::resize)
    }

    /// Takes a signal that we send to a side.
    pub fn aside(&mut self, side: Side, words: &str) {
        self.settle(u64::MAX);
        self.remark(side, words);
    }

    /// Draws the events of a recording whose order is final.
    pub fn make_way(&mut self) -> Result<()> {
        while self.world.is_full() {
            let Some(event) = self.world.next(u64::MAX) else {
                break;
            };
            self.event(event);
        }
        if self.text.len() > ROOM {
            self.put(String::new())?;
        }
        Ok(())
    }

    /// Why a recording's picture lacks something that a reader expects, if it does.
    pub fn what_is_missing(&self) -> Option<String> {
        let drawn = self.columns.iter().any(|column| column.drawn);
        let seen = &self.seen;
        if !seen.calls {
            return None;
        }
        if let Some(words) = self.missing_lines().filter(|_| drawn) {
            return Some(words);
        }
        let foundlings = self.world.foundlings();
        Some(match (drawn, seen.others) {
            _ if seen.raw => "arguments of calls on sockets are bare numbers in it: it was recorded with -e raw=... Record it without".to_owned(),
            (false, false) => "no call in it is on a socket, and some calls were left out when it was recorded (-e trace=..., -Z): record it without these options".to_owned(),
            (false, true) => "no call in it is on a socket".to_owned(),
            _ if seen.went_on && !seen.others => "read, write and close are not in it: it was recorded with -e trace=network or the like. Record it with -e trace=network,desc, or without -e".to_owned(),
            _ if seen.proven && !seen.made => "socket() is not in it: it begins after that call, or leaves calls out (-p, -Z, -e trace=...)".to_owned(),
            _ if seen.made_task && !seen.followed => "what it has started is not in it, neither processes nor threads: record it with strace -f".to_owned(),
            _ if foundlings > 0 && !seen.made_task => "fork and clone are not in it: it was recorded with -e trace=... Which descriptors a new process or thread has is a guess".to_owned(),
            _ => return None,
        })
    }

    /// Why no call has a source line, with --source.
    pub fn missing_lines(&self) -> Option<String> {
        self.lines.as_ref().and_then(Lines::what_is_missing)
    }

    /// Whether there are events still to be drawn.
    pub fn has_more(&self) -> bool {
        self.world.has_more()
    }

    /// Draws the events whose order is final. `under_way`: each side's unfinished calls.
    pub fn draw(&mut self, under_way: &[Vec<Begun>; 2]) -> Result<()> {
        let now = now();
        for (source, calls) in under_way.iter().enumerate() {
            self.world.is_in(source, calls);
        }
        self.settle(now.saturating_sub(SETTLE));
        if !self.world.has_more() {
            self.end_words(Side::Client, false); // probably a prompt
            self.show_waiting(under_way, now);
            for drawn in self.fold.pause() {
                self.put_in(drawn);
            }
        }
        let last = match self.prompt.as_str() {
            "" => self.blocked(under_way, now),
            prompt if self.style.erasing || self.style.typing => prompt.to_owned(),
            _ => String::new(), // no user, and a row in a file cannot be erased
        };
        self.put(last)
    }

    /// Writes the finished rows to the screen, and below them the unfinished row.
    fn put(&mut self, last: String) -> Result<()> {
        if self.text.is_empty() && self.last == last {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.text);
        if let Some(pager) = &mut self.pager {
            pager.keep(&rows);
            if pager.is_open() {
                return Ok(()); // it is drawn when the user leaves the pages
            }
        }
        let erased = if self.last.is_empty() { "" } else { ERASE };
        let text = format!("{erased}{rows}{last}");
        self.last = last;
        put(text.as_bytes())
    }

    /// Draws all rows so far and leaves the cursor at the beginning of a row, for output of others.
    pub fn make_room(&mut self) -> Result<()> {
        let erased = if self.last.is_empty() { "" } else { ERASE };
        self.last.clear();
        put((erased.to_owned() + &std::mem::take(&mut self.text)).as_bytes())
    }

    /// Draws the remaining events.
    pub fn end(&mut self) -> Result<()> {
        self.turn(Turn::Leave)?;
        self.settle(u64::MAX);
        for side in [Side::Client, Side::Server] {
            for (_, call) in std::mem::take(&mut self.column(side).told) {
                self.event_rows(&call, None);
            }
            let mut probes: Vec<_> = std::mem::take(&mut self.column(side).probes)
                .into_iter()
                .collect();
            probes.sort_by_key(|(id, _)| *id);
            for (event, step) in probes.into_iter().flat_map(|(_, events)| events) {
                self.event_rows(&event, step);
            }
            let idle = std::mem::take(&mut self.column(side).idle);
            if !self.column(side).drawn {
                for (event, step) in idle {
                    self.event_rows(&event, step);
                }
            }
            self.end_words(side, true);
            let column = self.column(side);
            if !column.seen {
                let complaints = std::mem::take(&mut column.complaints);
                self.print(side, "", true, &complaints);
            }
        }
        self.end_fold();
        self.end_prompt(false);
        self.put(String::new())
    }

    fn remark(&mut self, side: Side, words: &str) {
        self.begin(side);
        for row in fold(&format!("({words})"), self.side - 2) {
            self.row(side, "", "  ", &row, Look::Aside);
        }
        self.group(side, None, String::new(), 0);
    }

    /// Turns the events up to this time into rows.
    fn settle(&mut self, settled: u64) {
        while let Some(event) = self.world.next(settled) {
            self.event(event);
        }
    }

    /// The row that says which side is blocked, and for how long; empty if no side is.
    fn blocked(&self, under_way: &[Vec<Begun>; 2], now: u64) -> String {
        if !self.style.erasing {
            return String::new();
        }
        let words = |side: Side| {
            let column = &self.columns[side as usize];
            if let Some(next) = &self.next[side as usize] {
                let task = self.world.task_of(side as usize, next.task);
                let tag = task.map_or(String::new(), |task| column.tag(task.id));
                return Some(next.words(&tag, self.side));
            }
            let calls = under_way[side as usize].iter();
            let since = |call: &&Begun| now.saturating_sub(call.start.unwrap_or(now));
            // Of several processes, the latest one is shown.
            let call = calls
                .filter(|call| self.is_awaited(side, call) && since(call) >= BLOCKED)
                .min_by_key(since)?;
            let on = call
                .descriptor
                .as_ref()
                .map_or(String::new(), |descriptor| format!("{descriptor}, "));
            let time = since(&call) / 100_000_000;
            let task = self.world.task_of(side as usize, call.pid);
            let words = format!(
                "{}{}({on}... blocked for {}.{} s",
                task.map_or(String::new(), |task| column.tag(task.id)),
                call.name,
                time / 10,
                time % 10
            );
            Some(words.chars().take(self.side).collect::<String>())
        };
        if let Some(words) = self.fold.under_way() {
            return self.style.paint("2", &shortened(&words, 2 * self.side));
        }
        let [client, server] = [Side::Client, Side::Server]
            .map(words)
            .map(|words| words.map(|words| self.style.paint("7", &words)));
        if client.is_none() && server.is_none() {
            return String::new();
        }
        // The row must not wrap: the server's text is cut at the window's edge.
        let place = format!("\x1b[{}G\x1b[{}D\x1b[K", 2 * self.side + GAP, self.side - 1);
        let server = server.map_or(String::new(), |words| place + &words);
        format!("\x1b[?7l{}{server}\x1b[?7h", client.unwrap_or_default())
    }

    /// Whether an unfinished call waits on a socket, or on several descriptors.
    fn is_awaited(&self, side: Side, call: &Begun) -> bool {
        let number = call
            .descriptor
            .as_ref()
            .and_then(|number| number.parse().ok());
        let socket =
            number.and_then(|number| self.world.descriptor(side as usize, call.pid, number));
        let begun = self.columns[side as usize].headings.have_begun();
        socket.is_some() || (begun && waits_for_several(&call.name))
    }

    /// Draws waits that need a row: a socket whose first call has not returned, and two tasks that
    /// wait for each other.
    fn show_waiting(&mut self, under_way: &[Vec<Begun>; 2], now: u64) {
        for side in [Side::Client, Side::Server] {
            for call in &under_way[side as usize] {
                let number = call
                    .descriptor
                    .as_ref()
                    .and_then(|number| number.parse().ok());
                let socket = number
                    .and_then(|number| self.world.descriptor(side as usize, call.pid, number));
                let moves = calls::of(&call.name)
                    .is_some_and(|row| row.sends.is_some() || row.receives.is_some());
                if let Some(id) = socket.map(|socket| socket.id).filter(|_| moves) {
                    self.count(side, id);
                }
            }
        }
        let found = self.world.deadlock(under_way, now);
        if let Some(found) = found {
            let who = [&found[0], &found[1]].map(|it| (it.task, it.since));
            if self.deadlock.replace(who) != Some(who) {
                self.draw_deadlock(&found.map(|it| (it.side, it.call)));
            }
        } else if let Some((waits, other)) = self.world.waits_in_vain(under_way, now) {
            let who = (waits.task, waits.since);
            if self.deadlock.replace([who; 2]) != Some([who; 2]) {
                let side = [Side::Server, Side::Client][waits.side as usize].name();
                let why = match other {
                    Some(call) => format!("waits in {call} for a new client"),
                    None => "has ended".to_owned(),
                };
                let call = waits.call;
                self.end_fold();
                self.remark(
                    waits.side,
                    &format!(
                        "waits in {call} for the {side}, which {why}. See: sockstep explain deadlock"
                    ),
                );
            }
        }
    }

    fn draw_deadlock(&mut self, both: &[(Side, String); 2]) {
        self.end_fold();
        for (side, call) in both {
            self.remark(
                *side,
                &format!(
                    "waits in {call} for the other side, which waits for this one: a deadlock. See: sockstep explain deadlock"
                ),
            );
        }
    }

    fn column(&mut self, side: Side) -> &mut Column {
        &mut self.columns[side as usize]
    }

    /// Takes a process's output. Standard error, and all output of a server, is drawn in whole
    /// lines.
    fn take_output(&mut self, side: Side, task: TaskId, wrong: bool, mut text: Vec<u8>) {
        let cut = &mut self.column(side).cut;
        if cut.take_if(|cut| *cut == (task, wrong)).is_some() && text.first() == Some(&b'\n') {
            text.remove(0);
            if text.is_empty() {
                return;
            }
        }
        let goes_on = |begun: &mut Words| (begun.task, begun.wrong) == (task, wrong);
        match self.column(side).begun.take_if(goes_on) {
            Some(begun) => text.splice(0..0, begun.text).for_each(drop),
            None => self.end_words(side, true),
        }
        let whole = text.iter().rposition(|&byte| byte == b'\n');
        let whole = match side {
            Side::Client if !wrong => text.len(),
            _ => whole.map_or(0, |end| end + 1),
        };
        let rest = text.split_off(whole);
        let tag = self.column(side).tag(task);
        // The supposed prompt continues: it is one line, written in pieces.
        let asks = side == Side::Client && !wrong;
        if let Some(asked) = self.asked.take_if(|asked| asks && asked.task == task) {
            text.splice(0..0, asked.text).for_each(drop);
            self.prompt.clear();
        }
        let last = self.print(side, &tag, wrong, &text);
        if let Some(last) = last.filter(|_| asks) {
            let text = last.into_bytes();
            self.asked = Some(Words { task, wrong, text });
        }
        if !rest.is_empty() {
            let text = rest;
            self.column(side).begun = Some(Words { task, wrong, text });
        }
    }

    /// Draws an incomplete line unchanged; `last`: no more of it will come.
    fn end_words(&mut self, side: Side, last: bool) {
        let column = self.column(side);
        if let Some(mut words) = column.begun.take() {
            let tag = column.tag(words.task);
            if last {
                words.text.push(b'\n');
                column.cut = Some((words.task, words.wrong));
            }
            self.print(side, &tag, words.wrong, &words.text);
        }
    }

    /// A side's output, between its calls. `tag` names the task. Returns the last row of a prompt.
    fn print(&mut self, side: Side, tag: &str, wrong: bool, bytes: &[u8]) -> Option<String> {
        let mut last = None;
        let mark = if wrong { "! " } else { "| " };
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let content = line.strip_suffix(b"\n");
            let mut text = Vec::new();
            harmless(content.unwrap_or(line), &mut text);
            let text = String::from_utf8_lossy(&text).into_owned();
            self.begin(side);
            let mut pieces = fold(&text, self.side - mark.len() - tag.len());
            for piece in &pieces {
                self.row(side, "", tag, &format!("{mark}{piece}"), Look::Words);
            }
            if content.is_none() && side == Side::Client {
                last = pieces.pop();
                let prompt = self.rows.pop();
                self.group(side, None, String::new(), 0);
                self.end_fold();
                self.prompt = prompt.map_or(String::new(), |(row, _)| row);
            } else {
                self.group(side, None, "words".to_owned(), 0);
            }
        }
        last
    }

    /// Draws a call below its step, or a signal or an end.
    fn event(&mut self, event: Event) {
        let (side, task) = (event.side, event.task);
        let column = self.column(side);
        column.first.get_or_insert(task);
        self.seen.take(&event);
        self.seen.followed |= self.world.task(task).parent.is_some();
        let remarks = self.remarks.on(&self.world, &event).into_iter();
        let words: Vec<String> = remarks
            .map(|remark| {
                format!(
                    "{}. See: sockstep explain {}",
                    remark.words,
                    quoted(remark.explain)
                )
            })
            .collect();
        if !words.is_empty() {
            self.said.insert(event.id, words);
        }
        let column = self.column(side);
        match &event.what {
            What::Call(_) => self.call(event),
            What::Signal(signal)
                if column.is_main(task)
                    || (signal.starts_with("stopped") && column.number(task).is_some()) =>
            {
                let name = signal.split(" {").next().unwrap_or(signal).to_owned();
                let tag = column.tag_or_room(task);
                self.pass_on(side, task);
                self.one_row(side, "", &tag, &format!("--- {name} ---"), Look::Aside);
            }
            What::End(end) if column.number(task).is_some() => {
                let end = end.clone();
                self.pass_on(side, task);
                let arrow = self.arrow(&event);
                let mut notes = crossings::notes(&self.world, &event);
                notes.extend(self.said.remove(&event.id).unwrap_or_default());
                let column = self.column(side);
                let tag = column.tag_or_room(task);
                self.begin(side);
                let mut arrow = Some(arrow);
                for row in fold(&format!("+++ {end} +++"), self.side - tag.len()) {
                    self.row(side, arrow.take().unwrap_or(""), &tag, &row, Look::Aside);
                }
                self.notes(side, tag.len(), &notes);
                self.group(side, None, String::new(), 0);
            }
            What::Unknown(line) => {
                let row = shortened(&format!("? {line}"), self.side - 2);
                self.one_row(side, "", "  ", &row, Look::Aside);
            }
            What::Signal(_) | What::End(_) => {}
        }
    }

    fn one_row(&mut self, side: Side, arrow: &str, tag: &str, text: &str, look: Look) {
        self.begin(side);
        let mut safe = Vec::new();
        harmless(text.as_bytes(), &mut safe);
        let text = shortened(&String::from_utf8_lossy(&safe), self.side - tag.len());
        self.row(side, arrow, tag, &text, look);
        self.group(side, None, String::new(), 0);
    }

    /// Draws the poll, select or epoll_wait that has returned in a task.
    fn pass_on(&mut self, side: Side, task: TaskId) {
        if let Some(event) = self.column(side).told.remove(&task) {
            self.call_rows(&event, None);
        }
    }

    fn call(&mut self, event: Event) {
        let (side, task) = (event.side, event.task);
        let Some(call) = event.call() else { return };
        let step = self.columns[side as usize].headings.of(&self.world, &event);
        let column = &self.columns[side as usize];
        // Before that, the output is that of a wrapper's other processes (of a shell, for example).
        let heard = column.headings.have_begun() || column.first == Some(task);
        if let Some((wrong, words)) = said(&self.world, &event).filter(|_| heard) {
            self.pass_on(side, task);
            self.count_all(side, task);
            self.take_output(side, task, wrong, words);
            if self.calls == Calls::Network {
                return;
            }
        }
        if self.style.typing && ends_a_typed_line(call) {
            self.end_prompt(true);
        }
        let every = self.calls == Calls::All;
        let column = &self.columns[side as usize];
        if !column.headings.have_begun() && !event.on_a_socket {
            return;
        }
        if event.on_a_socket && event.socket.is_none() && call.failed() {
            self.count_all(side, task); // what it should have been on was made before
        }
        let socket = event.socket.and_then(|id| self.world.socket(id));
        let systems = socket
            .filter(|socket| socket.is_the_systems())
            .map(|socket| socket.id);
        if let Some(id) = systems {
            self.column(side).probes.remove(&id);
        }
        let systems = systems.is_some();
        let column = &self.columns[side as usize];
        let socket = event.socket.and_then(|id| self.world.socket(id));
        let row = calls::of(&call.name);
        let does = row.map_or(Does::Neither, |row| row.does);
        let new = made_task(call).is_some();
        let children = column.numbers.len() > 1 && does == Does::ReapsTask;
        let rings = does == Does::Rings && !column.rings;
        let shown = (event.on_a_socket && !systems) || new || children || rings || every;
        // The end of another process names its signal itself.
        let aside = !column.numbers.is_empty() && !column.is_main(task);
        let interrupted = call.note.starts_with("ERESTART") && aside;
        let told = self.said.contains_key(&event.id) || self.world.is_deadlocked(&event);
        if !shown || (interrupted && !told) {
            return;
        }
        let probes = !every && !systems && !column.headings.are_its_own();
        // A pair makes no heading. Its rows could not come later: the numbers are used again.
        let waiting = socket.filter(|socket| !socket.counts && !socket.paired && probes);
        if let Some(id) = waiting.map(|socket| socket.id) {
            let is_open = waiting.is_some_and(Socket::is_open);
            let column = self.column(side);
            let events = column.probes.entry(id).or_default();
            if events.len() < IDLE {
                events.push((event, step));
            }
            if !is_open {
                let events = column.probes.remove(&id).unwrap_or_default();
                if column.idle.len() < IDLE {
                    column.idle.extend(events);
                }
            }
            return;
        }
        if let Some(id) = socket.map(|socket| socket.id) {
            self.count(side, id);
        }
        if event.on_a_socket && step.is_none() && waits_for_several(&call.name) && !call.failed() {
            self.pass_on(side, task);
            let column = &mut self.columns[side as usize];
            column.enrol(task, &self.world);
            column.told.insert(task, event);
            return;
        }
        self.event_rows(&event, step);
    }

    /// A socket proves to be more than a probe: draws its earlier rows.
    fn count(&mut self, side: Side, id: SocketId) {
        for (event, step) in self.column(side).probes.remove(&id).unwrap_or_default() {
            self.event_rows(&event, step);
        }
    }

    /// A task prints, or reads typed input: its sockets are not probes.
    fn count_all(&mut self, side: Side, task: TaskId) {
        let mut its: Vec<SocketId> = self
            .world
            .descriptors(task)
            .map(|(_, socket)| socket.id)
            .collect();
        its.sort_unstable();
        for id in its {
            self.count(side, id);
        }
    }

    /// A call with its heading.
    fn event_rows(&mut self, event: &Event, step: Option<Step>) {
        let side = event.side;
        let column = &mut self.columns[side as usize];
        column.enrol(event.task, &self.world);
        if let Made::Task(child) = event.made {
            if side == Side::Server {
                column.enrol(child, &self.world);
            }
        }
        column.drawn |= event.on_a_socket;
        let heading = step.filter(|step| column.step.as_ref() != Some(step));
        if let Some(heading) = &heading {
            column.step = Some(heading.clone());
        }
        if column.told.contains_key(&event.task) {
            // The poll, select or epoll_wait belongs below the heading, before the call.
            let told = column.told.remove(&event.task);
            if let Some(told) = told {
                self.call_rows(&told, heading);
            }
            return self.call_rows(event, None);
        }
        self.call_rows(event, heading);
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

    /// The arrow for data that crosses to the other side.
    fn arrow(&self, event: &Event) -> &'static str {
        for moved in &event.moved {
            let socket = self.world.socket(moved.socket);
            let peer = socket.and_then(|socket| self.world.socket(socket.peer?));
            if peer.is_some_and(|peer| peer.side == event.side) {
                continue; // not sent to the other side
            }
            let tcp =
                socket.is_none_or(|socket| socket.kind == Kind::Stream && socket.name() == "TCP");
            let from_client = event.side == Side::Client;
            let (there, to_the_server) = match &moved.what {
                Movement::Sent { range, .. } if range.is_empty() => continue,
                Movement::Sent { .. } | Movement::MessageSent { .. } => ("-->", from_client),
                Movement::Received { .. } | Movement::MessageReceived { .. } => {
                    ("-->", !from_client)
                }
                Movement::Ended(end) => (ending(*end, tcp), from_client),
                Movement::MetEnd(end) => (ending(*end, tcp), !from_client),
            };
            return match (there, to_the_server) {
                (there, true) => there,
                ("-->", false) => "<--",
                ("FIN>", false) => "<FIN",
                ("RST>", false) => "<RST",
                _ => "<end",
            };
        }
        ""
    }

    /// The rows of a call.
    fn call_rows(&mut self, event: &Event, heading: Option<Step>) {
        let Some(call) = event.call() else { return };
        let side = event.side;
        let arrow = self.arrow(event);
        let mut notes = crossings::notes(&self.world, event);
        let row = calls::of(&call.name);
        let does = row.map_or(Does::Neither, |row| row.does);
        let mut shown = call.clone();
        let column = self.column(side);
        let tag = column.tag_or_room(event.task);
        if does == Does::Rings {
            column.rings = true;
            notes.push(
                "io_uring: strace cannot see what the ring accepts, receives and sends".to_owned(),
            );
        }
        if let Some(what) = injected(call) {
            notes.push(what);
        }
        if matches!(does, Does::MakesTask | Does::ReapsTask) {
            let pid = calls::task_of(call);
            let child = self
                .world
                .task_of(event.source, pid)
                .filter(|_| pid.is_some());
            let child = child.map(|child| child.id);
            if let Some(number) = child.and_then(|child| self.column(side).number(child)) {
                shown.result = format!("[{number}]");
            }
        }
        self.begin(side);
        if let Some(heading) = heading {
            self.heading(side, &heading);
        }
        let look = match call.result.as_str() {
            "?" => Look::Aside, // the recording does not have its return
            "-1" => Look::Failed,
            _ => Look::Call,
        };
        let mut arrow = Some(arrow);
        let room = " ".repeat(tag.len());
        let rows = brief(&shown, self.payload, self.side - tag.len());
        let place = self.lines.as_mut().and_then(|lines| lines.of(call));
        let mut place = place.map_or(String::new(), |place| place.to_string());
        let last = rows.len() - 1;
        for (at, row) in rows.iter().enumerate() {
            let (arrow, lead) = arrow.take().map_or(("", &room), |arrow| (arrow, &tag));
            let left = self.side - lead.len() - row.chars().count();
            if at == last && !place.is_empty() && place.chars().count() + 3 <= left {
                let beside = std::mem::take(&mut place);
                let row = self.row_text(side, arrow, lead, row, look, &beside);
                self.rows.push((row, false));
            } else {
                self.row(side, arrow, lead, row, look);
            }
        }
        if !place.is_empty() {
            let beside = shortened(&place, self.side - 1);
            let row = self.row_text(side, "", "", "", look, &beside);
            self.rows.push((row, false));
        }
        self.notes(side, tag.len(), &notes);
        // A remark is made only once, so it does not interrupt the repetition, unless only its count is drawn.
        let lasting = self.rows.len();
        let remarks = self.said.remove(&event.id).unwrap_or_default();
        self.notes(side, tag.len(), &remarks);
        let counted = self.fold.is_counting();
        for (_, passing) in &mut self.rows[lasting..] {
            *passing = !counted;
        }
        self.waited(side, tag.len(), call);
        let on = event.socket.map_or(String::new(), |id| id.0.to_string());
        // The time left of a wait differs each time.
        let note = call.note.split("left {").next().unwrap_or_default();
        let kind = format!("{side:?} {} {} {on} {note}", event.task.0, call.name);
        let bytes = event.moved.iter().map(|moved| match &moved.what {
            Movement::Sent { range, .. } => range.end - range.start,
            Movement::MessageSent { length, .. } => *length,
            _ => 0,
        });
        let seen = counted && !remarks.is_empty();
        let kind = (event.on_a_socket && !seen).then_some(kind);
        self.group(side, kind, call.name.clone(), bytes.sum());
    }

    /// Draws the remarks on a call below it.
    fn notes(&mut self, side: Side, indent: usize, notes: &[String]) {
        for note in notes {
            let rows = fold(&format!("({note})"), self.side - indent - 3);
            for (at, row) in rows.iter().enumerate() {
                let row = format!("{}{row}", if at == 0 { "  " } else { "   " });
                self.row(side, "", &" ".repeat(indent), &row, Look::Aside);
            }
        }
    }

    /// The row that says how long a call has waited.
    fn waited(&mut self, side: Side, indent: usize, call: &Call) {
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
            Some(time) if waits(call) => format!("  (waited{time})"),
            _ => return,
        };
        let lasting = self.rows.len();
        self.row(side, "", &" ".repeat(indent), &words, Look::Aside);
        for (_, passing) in &mut self.rows[lasting..] {
            *passing = true;
        }
    }

    // ---- Rows ----

    /// Begins a group.
    fn begin(&mut self, side: Side) {
        self.end_words(side, true);
        if side == Side::Client || !self.style.erasing || !self.style.typing {
            self.end_prompt(false); // otherwise the rows would go above it
        }
    }

    /// Ends a group: it is drawn, or counted if it has been drawn often enough.
    fn group(&mut self, side: Side, kind: Option<String>, name: String, bytes: u64) {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return;
        }
        let lasting = rows.iter().filter(|(_, passing)| !passing);
        let text = lasting
            .map(|(row, _)| row.as_str())
            .collect::<Vec<_>>()
            .join("\n");
        let group = Group {
            side,
            rows,
            text,
            kind,
            name,
            bytes,
        };
        for drawn in self.fold.take(group) {
            self.put_in(drawn);
        }
    }

    fn end_fold(&mut self) {
        for drawn in self.fold.end() {
            self.put_in(drawn);
        }
    }

    fn put_in(&mut self, drawn: Drawn) {
        match drawn {
            Drawn::Group(group) => {
                for (row, _) in group.rows {
                    self.text += &row;
                    self.text.push('\n');
                }
            }
            Drawn::Left(side, words) => {
                // "13,667 times more" is not broken.
                let words = words.replace(" times more", "\u{a0}times\u{a0}more");
                for row in fold(&words, self.side - 2) {
                    let row = row.replace('\u{a0}', " ");
                    let row = self.row_text(side, "", "  ", &row, Look::Aside, "");
                    self.text += &row;
                    self.text.push('\n');
                }
            }
        }
    }

    /// One row of the picture: a text on one side, after the tag of its process; an arrow in the
    /// gap.
    fn row(&mut self, side: Side, arrow: &str, tag: &str, text: &str, look: Look) {
        let row = self.row_text(side, arrow, tag, text, look, "");
        self.rows.push((row, false));
    }

    /// The same, with `beside` at the right edge of the side.
    fn row_text(
        &self,
        side: Side,
        arrow: &str,
        tag: &str,
        text: &str,
        look: Look,
        beside: &str,
    ) -> String {
        let mut coloured =
            self.style.paint(colour_of(tag), tag) + &self.style.paint(look.colour(side), text);
        let mut used = tag.len() + text.chars().count();
        if !beside.is_empty() {
            let end = self.side - 1; // an arrow may follow
            let room = end.saturating_sub(used + beside.chars().count());
            coloured += &" ".repeat(room);
            coloured += &self.style.paint(Look::Aside.colour(side), beside);
            used = end;
        }
        let padding = " ".repeat(self.side.saturating_sub(used));
        let arrow = format!("{arrow:>0$}", if arrow.is_empty() { 0 } else { GAP });
        let arrow = self.style.paint("1", &arrow);
        match side {
            Side::Client if arrow.is_empty() => coloured,
            Side::Client => format!("{coloured}{padding}{arrow}"),
            Side::Server if arrow.is_empty() => format!("{:1$}{coloured}", "", self.side + GAP),
            Side::Server => format!("{:1$}{arrow}{coloured}", "", self.side),
        }
    }

    /// Turns the prompt, if there is one, into a normal row. After Enter (`answered`) the terminal
    /// has already ended the line.
    fn end_prompt(&mut self, answered: bool) {
        if let Some(asked) = self.asked.take() {
            self.column(Side::Client).cut = (!answered).then_some((asked.task, asked.wrong));
        }
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

/// A word of `explain`, quoted for a shell.
fn quoted(word: &str) -> String {
    if word.contains(' ') {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

/// The kind of a row, which decides its colour.
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

/// Text in `columns`: a longer one is cut and ends with `...`.
fn shortened(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 3).collect::<String>() + "..."
}

/// The colour of a process's tag.
fn colour_of(tag: &str) -> &'static str {
    match tag.trim_matches(['[', ']', ' ']).parse::<usize>() {
        Ok(number) => ["35", "32", "34", "33"][number % 4],
        Err(_) => "",
    }
}

/// The sign for the end of a direction.
fn ending(end: End, tcp: bool) -> &'static str {
    match end {
        End::Fin if tcp => "FIN>",
        End::Reset { .. } if tcp => "RST>",
        _ => "end>",
    }
}

/// The fault injected into a call, by `--fault` or by strace itself.
fn injected(call: &Call) -> Option<String> {
    if let Some((_, what)) = call.note.split_once("(INJECTED: ") {
        return Some(format!("injected: {}", what.trim_end_matches(')')));
    }
    match &call.note {
        note if note.contains("(INJECTED)") => Some("injected".to_owned()),
        note if note.contains("(DELAYED)") => Some("injected: delayed".to_owned()),
        _ => None,
    }
}

/// Whether a call has read a line of standard input, with its newline.
fn ends_a_typed_line(call: &Call) -> bool {
    let data = calls::of(&call.name).and_then(|row| row.receives);
    let row = calls::of(&call.name);
    let (Some(data), Some(row)) = (data, row) else {
        return false;
    };
    let typed = call
        .args
        .get(data.on)
        .is_some_and(|arg| number(arg) == Some(0));
    let mut pieces = data
        .parcels(row, call)
        .into_iter()
        .flat_map(|parcel| parcel.pieces);
    typed && pieces.any(|(text, _)| text.ends_with(b"\n"))
}

/// Whether a call may wait for the other side, or for a child.
fn waits(call: &Call) -> bool {
    let row = calls::of(&call.name);
    row.is_some_and(|row| {
        row.sends.is_none() && matches!(row.waits, Some(For::Peer | For::Anybody | For::Child))
    })
}
