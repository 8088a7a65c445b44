//! `--svg FILE`: the ladder as a picture; with many clients, the chart of their waits. Light or dark, as its reader prefers.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use crate::draw::history::{History, Moment};
use crate::draw::xml::{escape, harmless};
use crate::lectures::crossings::grouped;
use crate::world::Side;
use crate::world::events::{End, EventId, Movement};
use crate::world::tasks::TaskId;

const WIDTH: usize = 1000;
const MARGIN: usize = 24;
/// The gap for arrows, between the client's column and the server's.
const GAP: [usize; 2] = [430, 570];
/// The area of the bars.
const BARS: [u64; 2] = [190, 760];
const ROW: usize = 19;
/// Characters in a row of a column, each 7.5 pixels wide.
const COLUMNS: usize = 53;
/// The width of a letter in an arrow's label.
const LETTER: usize = 7;
/// The most events of a picture.
const MOST: usize = 2000;

const STYLE: &str = "\
svg{--paper:#fff;--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;--bytes:#0757b8;--open:#0a6b2d;--end:#6b3fa0;--reset:#c11a1f;--note:#8a4600;\
--wait:#f3c98b;--busy:#9cc7f5}\
@media(prefers-color-scheme:dark){svg{--paper:#0d1117;--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--bytes:#79b8ff;--open:#56d364;\
--end:#c8a2ff;--reset:#ff8f88;--note:#f0b060;--wait:#7a5310;--busy:#1f4f86}}\
.paper{fill:var(--paper)}\
text{fill:var(--ink);font:12.5px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}\
.title{font:600 16px system-ui,sans-serif}.side{font:600 13px system-ui,sans-serif;fill:var(--soft)}\
.step{font:600 13px system-ui,sans-serif}.note{fill:var(--note)}.soft,.words{fill:var(--soft)}.failed{fill:var(--reset)}\
.label{font-size:11px}\
line,path{stroke:var(--line);fill:none;stroke-width:1.5}\
.bytes{stroke:var(--bytes)}.open{stroke:var(--open)}.end{stroke:var(--end);stroke-dasharray:6 4}.reset{stroke:var(--reset);stroke-width:2}\
text.bytes,text.open,text.end,text.reset{stroke:none}\
text.bytes{fill:var(--bytes)}text.open{fill:var(--open)}text.end{fill:var(--end)}text.reset{fill:var(--reset)}\
.wait{fill:var(--wait)}.busy{fill:var(--busy)}.idle{fill:var(--line)}";

pub fn draw(runs: &[History], words: &mut Vec<String>) -> Vec<u8> {
    let mut picture = Picture::default();
    for run in runs {
        if run.of_clients {
            picture.chart(run);
        } else {
            picture.ladder(run, words);
        }
    }
    if runs.is_empty() || picture.y == 0 {
        picture.y = 3 * ROW;
        picture.text(MARGIN, 2 * ROW, "soft", "no call on a socket");
    }
    let title = runs.first().map_or("", |run| run.name.as_str());
    let (height, body) = (picture.y + MARGIN, picture.body);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n",
        escape(title)
    );
    for class in ["bytes", "open", "end", "reset"] {
        let _ = writeln!(
            out,
            "<marker id=\"{class}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
             markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"{class}\" style=\"stroke-dasharray:none\" d=\"M1 1 7 4 1 7\"/></marker>"
        ); // into memory, here and below
    }
    out.push_str(&body);
    out.push_str("</svg>\n");
    out.into_bytes()
}

/// Data that crosses the gap.
struct Crossing {
    class: &'static str,
    label: String,
    /// `None`: it was not received.
    to: Option<usize>,
    from: usize,
    side: Side,
}

/// The time that bars run over, in nanoseconds.
struct Scale {
    start: u64,
    end: u64,
}

impl Scale {
    /// The position of a time, in pixels.
    fn at(&self, time: u64) -> u64 {
        let part = time.clamp(self.start, self.end) - self.start;
        let whole = (self.end - self.start).max(1);
        BARS[0] + part / 1000 * (BARS[1] - BARS[0]) / (whole / 1000).max(1)
    }
}

#[derive(Default)]
struct Picture {
    body: String,
    y: usize,
}

impl Picture {
    fn ladder(&mut self, run: &History, words: &mut Vec<String>) {
        self.title(&run.name);
        self.text(MARGIN, self.y, "side", "client");
        self.text(GAP[1] + 10, self.y, "side", "server");
        self.y += 8;
        self.rule();
        let several = |side| run.tasks.values().filter(|task| task.side == side).count() > 1;
        let several = [several(Side::Client), several(Side::Server)];
        let mut rows: HashMap<EventId, (usize, Side)> = HashMap::new();
        let mut crossings: Vec<Crossing> = Vec::new();
        let mut sends: HashMap<EventId, Vec<usize>> = HashMap::new();
        let mut last: Option<TaskId> = None;
        for moment in run.moments.iter().take(MOST) {
            let side = moment.event.side;
            let x = if side == Side::Client {
                MARGIN
            } else {
                GAP[1] + 10
            };
            let is_of_several = several[side as usize];
            if let Some(step) = &moment.heading {
                self.y += 7;
                self.lines(x, "step", step, COLUMNS - 4);
            }
            if is_of_several && last != Some(moment.event.task) {
                self.lines(x + 8, "soft", &run.label(moment.event.task), COLUMNS - 2);
            }
            last = Some(moment.event.task);
            let row = self.y + ROW;
            let (class, prefix) = match (&moment.words, moment.failed(), moment.event.call()) {
                (Some(_), ..) => ("words", "| "),
                (_, true, Some(call)) if call.result != "?" => ("failed", ""),
                (_, _, None) => ("soft", ""),
                _ => ("call", ""),
            };
            let text = prefix.to_owned() + &moment.short(200);
            self.lines(x + 8, class, &text, COLUMNS - 1);
            let milliseconds = moment.waited().map_or(0, |waited| waited / 1_000_000);
            if milliseconds > 0 {
                self.lines(
                    x + 24,
                    "soft",
                    &format!("waited {} ms", grouped(milliseconds)),
                    COLUMNS - 3,
                );
            }
            for note in &moment.notes {
                self.lines(x + 24, "note", note, COLUMNS - 3);
            }
            rows.insert(moment.event.id, (row, side));
            receive(moment, row, side, &rows, &mut crossings, &sends);
            for crossing in crossings_of(run, moment, row, side) {
                sends
                    .entry(moment.event.id)
                    .or_default()
                    .push(crossings.len());
                crossings.push(crossing);
            }
        }
        for crossing in &crossings {
            self.crossing(crossing);
        }
        let more =
            run.moments.len().saturating_sub(MOST) + usize::try_from(run.left_out).unwrap_or(0);
        if more > 0 {
            self.y += ROW;
            self.text(
                MARGIN,
                self.y,
                "note",
                &format!("{} more events", grouped(more as u64)),
            );
            words.push(format!(
                "a picture has {MOST} events at most; left out at the end: {more}"
            ));
        }
        self.y += ROW;
    }

    fn crossing(&mut self, crossing: &Crossing) {
        let Crossing {
            class,
            label,
            to,
            from,
            side,
        } = crossing;
        let (from, to, open) = (from - 4, to.map_or(from - 4, |to| to - 4), to.is_none());
        let (mut start, mut end) = (GAP[0], GAP[1]);
        if open {
            end = usize::midpoint(start, end);
        }
        if *side == Side::Server {
            (start, end) = (GAP[1], if open { end } else { GAP[0] });
        }
        let _ = writeln!(
            self.body,
            "<line class=\"{class}\" x1=\"{start}\" y1=\"{from}\" x2=\"{end}\" y2=\"{to}\" marker-end=\"url(#{class})\"/>"
        );
        let (x, y) = (usize::midpoint(start, end), usize::midpoint(from, to));
        let width = label.chars().count() * LETTER + 6;
        let (left, top, foot) = (x - width / 2, y - 8, y + 4);
        let _ = writeln!(
            self.body,
            "<rect class=\"paper\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"16\"/>\
             <text class=\"{class} label\" x=\"{x}\" y=\"{foot}\" text-anchor=\"middle\">{}</text>",
            escape(label)
        );
    }

    /// The tasks of a server and its clients over time, each with its waits.
    fn chart(&mut self, run: &History) {
        self.title(&run.name);
        let times = run.moments.iter().filter_map(|it| {
            let entered = it.event.entered?;
            Some((entered, it.event.left.unwrap_or(entered)))
        });
        let scale = times.fold(
            Scale {
                start: u64::MAX,
                end: 0,
            },
            |scale, (from, to)| Scale {
                start: scale.start.min(from),
                end: scale.end.max(to),
            },
        );
        if scale.start >= scale.end {
            self.text(MARGIN, self.y, "soft", "no call on a socket");
            self.y += ROW;
            return;
        }
        let milliseconds = (scale.end - scale.start) / 1_000_000;
        for part in 0..=4 {
            let x = BARS[0] + part * (BARS[1] - BARS[0]) / 4;
            let unit = if part == 4 { " ms" } else { "" };
            let label = format!("{}{unit}", grouped(milliseconds * part / 4));
            let _ = writeln!(
                self.body,
                "<text class=\"soft label\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                self.y
            );
        }
        self.y += 6;
        let mut tasks: Vec<_> = run.tasks.iter().collect();
        tasks.sort_by_key(|(id, task)| (task.side == Side::Server, task.source, **id));
        for (id, task) in tasks {
            self.y += ROW + 5;
            self.text(MARGIN, self.y, "task", &run.label(*id));
            self.bars(run, *id, task.side, &scale);
        }
        self.legend();
    }

    /// The waits of a task, and its lifetime.
    fn bars(&mut self, run: &History, id: TaskId, side: Side, scale: &Scale) {
        let own = || run.moments.iter().filter(|it| it.event.task == id);
        let life = own().filter_map(|it| it.event.entered);
        let life = life.fold(None, |life: Option<(u64, u64)>, time| {
            Some(life.map_or((time, time), |(from, to)| (from.min(time), to.max(time))))
        });
        if let Some((from, to)) = life {
            let (from, to, y) = (scale.at(from), scale.at(to), self.y - 5);
            let _ = writeln!(
                self.body,
                "<line x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\"/>"
            );
        }
        let mut longest: BTreeMap<&str, u64> = BTreeMap::new();
        for moment in own() {
            let (Some(from), Some(waited)) = (moment.event.entered, moment.waited()) else {
                continue;
            };
            let client = moment.event.socket.and_then(|socket| run.client_of(socket));
            let client = client.filter(|_| side == Side::Server);
            let class = match (side, client) {
                (Side::Client, _) => "wait",
                (Side::Server, Some(_)) => "busy",
                (Side::Server, None) => "idle",
            };
            *longest.entry(moment.name()).or_default() += waited;
            self.bar(class, [from, from + waited], moment.name(), client, scale);
        }
        for wait in run.idle.iter().filter(|wait| wait.task == id) {
            let to = wait.to.unwrap_or(scale.end);
            *longest.entry(&wait.call).or_default() += to.saturating_sub(wait.from);
            self.bar("idle", [wait.from, to], &wait.call, None, scale);
        }
        let most = longest.into_iter().max_by_key(|(_, time)| *time);
        if let Some((call, time)) = most.filter(|(_, time)| *time >= 1_000_000) {
            let words = format!("{} ms in {call}", grouped(time / 1_000_000));
            self.text(WIDTH - 226, self.y, "soft", &words);
        }
    }

    fn bar(
        &mut self,
        class: &str,
        [from, to]: [u64; 2],
        call: &str,
        client: Option<usize>,
        scale: &Scale,
    ) {
        let (x, end) = (scale.at(from), scale.at(to));
        if x == end {
            return;
        }
        let (width, y) = (end - x, self.y - 13);
        let whose = client.map_or(String::new(), |client| format!(", client {client}"));
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"16\" rx=\"2\"><title>{}: {} ms{whose}</title></rect>",
            escape(call),
            grouped(to.saturating_sub(from) / 1_000_000)
        );
        if let Some(client) = client.filter(|_| width > 12) {
            let (x, y) = (x + width / 2, self.y - 1);
            let _ = writeln!(
                self.body,
                "<text class=\"label\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{client}</text>"
            );
        }
    }

    fn legend(&mut self) {
        self.y += 2 * ROW;
        let mut x = MARGIN;
        for (class, words) in [
            ("wait", "client waits"),
            ("busy", "server waits for a client (its number)"),
            ("idle", "server has nothing to do"),
        ] {
            let y = self.y - 10;
            let _ = writeln!(
                self.body,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"16\" height=\"12\" rx=\"2\"/>"
            );
            self.text(x + 22, self.y, "soft label", words);
            x += 60 + words.len() * 7;
        }
        self.y += ROW;
    }

    fn title(&mut self, words: &str) {
        self.y += MARGIN + 10;
        let words: String = words.chars().take(100).collect();
        self.text(MARGIN, self.y, "title", &words);
        self.y += ROW + 6;
    }

    fn rule(&mut self) {
        let (y, end) = (self.y, WIDTH - MARGIN);
        let _ = writeln!(self.body, "<path d=\"M{MARGIN} {y}H{end}\"/>");
    }

    /// Text in as many rows as it needs.
    fn lines(&mut self, x: usize, class: &str, text: &str, width: usize) {
        for (at, line) in wrapped(text, width).iter().enumerate() {
            self.y += ROW;
            self.text(x + if at > 0 { 30 } else { 0 }, self.y, class, line);
        }
    }

    fn text(&mut self, x: usize, y: usize, class: &str, words: &str) {
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>",
            escape(words)
        );
    }
}

/// Draws the data that this event sends.
fn crossings_of(run: &History, moment: &Moment, row: usize, side: Side) -> Vec<Crossing> {
    let crossing = |class, label: String| Crossing {
        class,
        label,
        to: None,
        from: row,
        side,
    };
    // A Unix-domain socket has no packets, and no names for them.
    let by_packets = |id| {
        run.sockets
            .get(&id)
            .is_none_or(|own| matches!(own.name, "TCP" | "UDP"))
    };
    let mut all: Vec<Crossing> = Vec::new();
    if moment.connects() {
        let socket = moment.event.socket;
        let name = if socket.is_some_and(by_packets) {
            "SYN"
        } else {
            "connects"
        };
        all.push(crossing("open", name.to_owned()));
    }
    for moved in &moment.event.moved {
        let bytes = |count: u64| {
            if count == 1 {
                "1 byte".to_owned()
            } else {
                format!("{} bytes", grouped(count))
            }
        };
        all.extend(match moved.what {
            Movement::Sent { ref range, .. } => {
                Some(crossing("bytes", bytes(range.end - range.start)))
            }
            Movement::MessageSent { length, .. } => Some(crossing("bytes", bytes(length))),
            Movement::Ended(end) => {
                let (class, names) = match end {
                    End::Fin => ("end", ["FIN", "end"]),
                    End::Reset { .. } => ("reset", ["RST", "reset"]),
                };
                let name = names[usize::from(!by_packets(moved.socket))];
                Some(crossing(class, name.to_owned()))
            }
            _ => None,
        });
    }
    all
}

/// Draws the arrival of this event's causes, if they come from the other side.
fn receive(
    moment: &Moment,
    row: usize,
    side: Side,
    rows: &HashMap<EventId, (usize, Side)>,
    crossings: &mut [Crossing],
    sends: &HashMap<EventId, Vec<usize>>,
) {
    let ends = moment
        .event
        .moved
        .iter()
        .any(|moved| matches!(moved.what, Movement::MetEnd(_)));
    for cause in &moment.event.causes {
        if rows.get(cause).is_none_or(|(_, from)| *from == side) {
            continue;
        }
        let of_cause = sends.get(cause).into_iter().flatten();
        let fitting = of_cause.copied().find(|at| {
            let crossing = &crossings[*at];
            let is_end = matches!(crossing.class, "end" | "reset");
            crossing.to.is_none() && is_end == ends
        });
        if let Some(at) = fitting {
            crossings[at].to = Some(row);
        }
    }
}

/// Text in rows of `width` characters, broken at spaces where there are some.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut room = width;
    for word in text.split_inclusive(' ') {
        let mut rest: Vec<char> = word.chars().map(harmless).collect();
        if rest.len() > room && room < width {
            lines.push(String::new());
            room = width.saturating_sub(4);
        }
        while rest.len() > room {
            let tail = rest.split_off(room);
            lines
                .last_mut()
                .into_iter()
                .for_each(|line| line.extend(&rest));
            rest = tail;
            lines.push(String::new());
            room = width.saturating_sub(4);
        }
        room -= rest.len();
        lines
            .last_mut()
            .into_iter()
            .for_each(|line| line.extend(&rest));
    }
    lines.retain(|line| !line.trim().is_empty());
    lines
}
