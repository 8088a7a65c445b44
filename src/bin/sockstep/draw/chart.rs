//! Who does what when: a row for each client and for each process or thread of the server, a column for a span of time.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use crate::draw::terminal::Style;
use crate::strace::calls::{self as table, Does, For, made_task as made};
use crate::strace::line::{Call, Entry, What};

/// Columns before the chart, and those that it has at most; what is left of 80 says in words what the row shows.
const LABEL: usize = 10;
const CHART: usize = 35;

/// From so many milliseconds on a wait has its reason beside it.
const WORTH_A_WORD: u64 = 25;

/// One server and its clients: what strace has seen of each.
pub struct Run {
    pub name: String,
    pub server: Vec<Entry>,
    pub clients: Vec<Vec<Entry>>,
}

/// What somebody does for a while.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Doing {
    Connects,
    Waits,
    Thinks,
    Serves(usize),
    Accepts,
    WaitsForAny,
    Idles,
}

impl Doing {
    fn sign(self) -> char {
        match self {
            Doing::Connects => ':',
            Doing::Waits => '.',
            Doing::Thinks => '=',
            Doing::Serves(client) => {
                char::from_digit(u32::try_from(client).unwrap_or(0), 10).unwrap_or('?')
            }
            Doing::Accepts => '-',
            Doing::WaitsForAny => '*',
            Doing::Idles => '_',
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Doing::Connects | Doing::Waits => "1;31",
            Doing::Thinks => "32",
            Doing::Serves(_) => "33",
            Doing::Accepts | Doing::WaitsForAny | Doing::Idles => "2",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Doing::Connects => "client blocked in connect",
            Doing::Waits => "client blocked in recv: no answer yet",
            Doing::Thinks => "client has its answer, and thinks",
            Doing::Serves(_) => "server blocked in recv, from client 1",
            Doing::Accepts => "server blocked in accept",
            Doing::WaitsForAny => "server waits for any client",
            Doing::Idles => "server waits for a lock or a child",
        }
    }
}

/// A stretch of time, in nanoseconds of strace's clock.
#[derive(Clone, Copy)]
struct Span<'a> {
    from: u64,
    to: u64,
    doing: Doing,
    call: &'a str,
}

impl Span<'_> {
    /// How much of it lies between these two.
    fn within(&self, from: u64, to: u64) -> u64 {
        self.to.min(to).saturating_sub(self.from.max(from))
    }
}

/// A row of the chart.
struct Lane<'a> {
    label: String,
    spans: Vec<Span<'a>>,
    words: String,
}

/// All runs, one under the other, with one scale of time.
pub fn draw(style: Style, runs: &[Run]) -> String {
    let charts: Vec<Chart> = runs.iter().filter_map(Chart::of).collect();
    if charts.is_empty() {
        return String::new();
    }
    style.columns("chart");
    let longest = charts
        .iter()
        .map(|chart| chart.end - chart.start)
        .max()
        .unwrap_or(0);
    let column = column_for(longest);
    let mut text = axis(longest, column);
    let mut seen = BTreeSet::new();
    for chart in &charts {
        chart.draw(style, column, &mut text, &mut seen);
    }
    text.push('\n');
    let seen: Vec<Doing> = seen.into_iter().collect();
    for pair in seen.chunks(2) {
        let mut row = String::new();
        for doing in pair {
            let sign = style.paint(doing.colour(), &doing.sign().to_string());
            let _ = write!(row, "{sign} {:39}", doing.meaning());
        }
        text += row.trim_end();
        text.push('\n');
    }
    text
}

/// The shortest span for a column that lets all fit: 1, 2 or 5 milliseconds, or ten or a hundred times that.
fn column_for(longest: u64) -> u64 {
    let spans =
        (0..7).flat_map(|power| [1, 2, 5].map(|digit| digit * 10u64.pow(power) * 1_000_000));
    spans
        .into_iter()
        .find(|span| longest.div_ceil(*span) <= CHART as u64)
        .unwrap_or(u64::MAX)
}

/// The times over the charts, one for ten columns.
fn axis(longest: u64, column: u64) -> String {
    let (mut numbers, mut marks) = (" ".repeat(LABEL), " ".repeat(LABEL));
    for tick in 0..=longest.div_ceil(column * 10) {
        let _ = write!(numbers, "{:<10}", tick * 10 * column / 1_000_000);
        let _ = write!(marks, "{:<10}", "|");
    }
    format!("{} ms\n{}\n", numbers.trim_end(), marks.trim_end())
}

/// One server's chart.
struct Chart<'a> {
    name: &'a str,
    start: u64,
    end: u64,
    clients: Vec<Lane<'a>>,
    server: Vec<Lane<'a>>,
}

impl<'a> Chart<'a> {
    /// From the first connect to the last client's end; `None` if nobody connected.
    fn of(run: &'a Run) -> Option<Chart<'a>> {
        let connects = run.clients.iter().filter_map(|client| {
            let connect = calls(client).find(|(_, call)| table::does(&call.name) == Does::Connects);
            connect.map(|(start, _)| start)
        });
        let start = connects.min()?;
        let ends = run.clients.iter().filter_map(|client| client.last()?.start);
        let end = ends.max()?.max(start);

        let words: Vec<_> = run.clients.iter().map(|client| word_of(client)).collect();
        let mut server = server_lanes(&run.server, &words);
        let clients = run.clients.iter().enumerate().map(|(at, entries)| {
            let spans = client_spans(entries);
            let words = waited(at + 1, &spans, &server);
            Lane {
                label: format!("client {}", at + 1),
                spans,
                words,
            }
        });
        let clients = clients.collect();
        for lane in &mut server {
            lane.words = blocked(&lane.spans, start, end);
        }
        // Of those that have had nothing to do, one stands for all.
        let is_idle = |lane: &Lane| {
            !lane
                .spans
                .iter()
                .any(|span| matches!(span.doing, Doing::Serves(_)))
        };
        let idle = server.iter().skip(1).filter(|lane| is_idle(lane)).count();
        if idle > 1 {
            let mut others = server.split_off(1);
            let at = others.iter().position(is_idle).unwrap_or(0);
            let mut one = others.remove(at);
            one.label = format!("{idle} others");
            others.retain(|lane| !is_idle(lane));
            server.extend(others);
            server.push(one);
        }
        Some(Chart {
            name: &run.name,
            start,
            end,
            clients,
            server,
        })
    }

    fn draw(&self, style: Style, column: u64, text: &mut String, seen: &mut BTreeSet<Doing>) {
        let done = format!(
            "{} client{}, done in {} ms",
            self.clients.len(),
            if self.clients.len() == 1 { "" } else { "s" },
            milliseconds(self.end - self.start)
        );
        let title = format!("{:width$}{done}", self.name, width = LABEL + CHART + 2);
        let _ = writeln!(text, "\n{}", style.paint("1", &title));
        for lane in self.clients.iter().chain(&self.server) {
            let _ = write!(text, "{:LABEL$}", lane.label);
            let columns = (self.end - self.start).div_ceil(column);
            let doings = (0..columns).map(|at| self.most(lane, self.start + at * column, column));
            let mut row = String::new();
            for doing in doings {
                seen.extend(doing.map(|doing| match doing {
                    Doing::Serves(_) => Doing::Serves(1), // one stands for all
                    other => other,
                }));
                row += &doing.map_or(" ".to_owned(), |doing| {
                    style.paint(doing.colour(), &doing.sign().to_string())
                });
            }
            let padding = CHART.saturating_sub(usize::try_from(columns).unwrap_or(CHART)) + 2;
            let _ = writeln!(text, "{row}{:padding$}{}", "", lane.words);
        }
    }

    /// What takes most of a column, if something does take half of it.
    fn most(&self, lane: &Lane, from: u64, column: u64) -> Option<Doing> {
        let to = (from + column).min(self.end);
        let mut sums: HashMap<Doing, u64> = HashMap::new();
        for span in &lane.spans {
            *sums.entry(span.doing).or_default() += span.within(from, to);
        }
        let (doing, sum) = sums.into_iter().max_by_key(|&(doing, sum)| (sum, doing))?;
        (sum >= column / 2).then_some(doing)
    }
}

/// The calls among the entries, with their times.
fn calls(entries: &[Entry]) -> impl Iterator<Item = (u64, &Call)> {
    entries.iter().filter_map(|entry| match &entry.what {
        What::Call(call) => Some((entry.start?, call)),
        _ => None,
    })
}

/// What a client sends.
fn word_of(client: &[Entry]) -> Option<Vec<u8>> {
    let (_, sent) = calls(client).find(|(_, call)| moves(call) == Some(true))?;
    payload(sent)
}

/// The bytes that a call has moved.
fn payload(call: &Call) -> Option<Vec<u8>> {
    let row = table::of(&call.name)?;
    let parcels = row.sends.or(row.receives)?.parcels(row, call);
    let pieces = parcels.into_iter().flat_map(|parcel| parcel.pieces);
    let bytes: Vec<u8> = pieces.flat_map(|(bytes, _)| bytes).collect();
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

/// Whether a call that only a socket can have sends, or (then `false`) receives.
fn moves(call: &Call) -> Option<bool> {
    let row = table::of(&call.name).filter(|row| row.proves)?;
    match (row.sends, row.receives) {
        (Some(_), _) => Some(true),
        (_, Some(_)) => Some(false),
        _ => None,
    }
}

fn client_spans(entries: &[Entry]) -> Vec<Span<'_>> {
    let mut spans = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let (What::Call(call), Some(from)) = (&entry.what, entry.start) else {
            continue;
        };
        let back = from + call.took.unwrap_or_default();
        let next = entries.get(at + 1).and_then(|entry| entry.start);
        let Some(row) = table::of(&call.name) else {
            continue;
        };
        let (doing, to) = match (row.does, moves(call)) {
            (Does::Connects, _) => (Doing::Connects, back),
            (_, Some(false)) => (Doing::Waits, back),
            // strace holds it back in the printing of its answer, and does not count that as the call's time.
            (_, None) if row.sends.is_some() => (Doing::Thinks, next.unwrap_or(back)),
            _ => continue,
        };
        spans.push(Span {
            from,
            to,
            doing,
            call: &call.name,
        });
    }
    spans
}

/// The server's processes and threads, in the order in which they were made. `words` are the clients', in theirs.
fn server_lanes<'a>(server: &'a [Entry], words: &[Option<Vec<u8>>]) -> Vec<Lane<'a>> {
    let mut in_order: Vec<&Entry> = server.iter().collect();
    in_order.sort_by_key(|entry| entry.start);
    let mut own: Vec<(Option<u32>, Vec<&Entry>)> = Vec::new();
    let mut kinds = HashMap::new();
    for entry in in_order {
        if let What::Call(call) = &entry.what {
            if let Some((child, shares)) = made(call) {
                kinds.insert(child, if shares { "thread" } else { "process" });
                own.push((Some(child), Vec::new()));
            }
        }
        match own.iter_mut().find(|(pid, _)| *pid == entry.pid) {
            Some((_, entries)) => entries.push(entry),
            None => own.push((entry.pid, vec![entry])),
        }
    }
    own.into_iter()
        .enumerate()
        .map(|(at, (pid, entries))| Lane {
            label: match pid.and_then(|pid| kinds.get(&pid)) {
                Some(kind) => format!("{kind} {}", at + 1),
                None => "server".to_owned(),
            },
            spans: server_spans(&entries, words),
            words: String::new(),
        })
        .collect()
}

/// What one process or thread of the server does.
fn server_spans<'a>(entries: &[&'a Entry], words: &[Option<Vec<u8>>]) -> Vec<Span<'a>> {
    // A descriptor stands for one client until it is closed: for the one whose word comes out of it.
    let mut connections: Vec<(usize, &str)> = Vec::new(); // by each entry: how many closes before it, which descriptor
    let mut clients = HashMap::new();
    let mut closes = HashMap::new();
    for entry in entries {
        let What::Call(call) = &entry.what else {
            connections.push((0, ""));
            continue;
        };
        let descriptor = call.args.first().map_or("", String::as_str);
        let before: &mut usize = closes.entry(descriptor).or_default();
        let connection = (*before, descriptor);
        connections.push(connection);
        *before += usize::from(table::does(&call.name) == Does::Closes);
        if moves(call) == Some(false) {
            let word = payload(call);
            let client = words.iter().position(|it| it.is_some() && *it == word);
            clients.extend(client.map(|client| (connection, client + 1)));
        }
    }

    let mut spans = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let (What::Call(call), Some(from)) = (&entry.what, entry.start) else {
            continue;
        };
        let next = entries.get(at + 1).and_then(|entry| entry.start);
        let to = match call.took {
            Some(took) => from + took,
            None => next.unwrap_or(from), // it did not return
        };
        let Some(row) = table::of(&call.name) else {
            continue;
        };
        let doing = match (row.does, moves(call), row.waits) {
            (Does::Accepts, ..) => Doing::Accepts,
            (_, Some(_), _) => match clients.get(&connections[at]) {
                Some(&client) => Doing::Serves(client),
                None => continue,
            },
            (Does::Watches, _, Some(_)) => Doing::WaitsForAny,
            (_, _, Some(For::Task | For::Child | For::Signal)) => Doing::Idles,
            _ => continue,
        };
        spans.push(Span {
            from,
            to,
            doing,
            call: &call.name,
        });
    }
    spans
}

/// How long a client waited for its answer, and for whom its server was there meanwhile.
fn waited(client: usize, spans: &[Span], server: &[Lane]) -> String {
    let waits = || spans.iter().filter(|span| span.doing == Doing::Waits);
    let total: u64 = waits().map(|span| span.to - span.from).sum();
    let is_its_own = |lane: &&Lane| {
        lane.spans
            .iter()
            .any(|span| span.doing == Doing::Serves(client))
    };
    let others = server
        .iter()
        .find(is_its_own)
        .into_iter()
        .flat_map(|lane| &lane.spans);
    let mut others: Vec<usize> = others
        .filter_map(|span| match span.doing {
            Doing::Serves(other) if other != client => {
                let meanwhile: u64 = waits().map(|wait| span.within(wait.from, wait.to)).sum();
                (meanwhile > total / 20).then_some(other)
            }
            _ => None,
        })
        .collect();
    others.sort_unstable();
    others.dedup();
    let words = format!("waited {:>3} ms", milliseconds(total));
    let connecting = spans.iter().filter(|span| span.doing == Doing::Connects);
    let connecting = milliseconds(connecting.map(|span| span.to - span.from).sum());
    if connecting >= WORTH_A_WORD {
        return format!("{words}, {connecting} to connect");
    }
    if milliseconds(total) < WORTH_A_WORD {
        return words;
    }
    let consecutive = others.windows(2).all(|two| two[0] + 1 == two[1]);
    match others[..] {
        [] => words,
        [first, .., last] if consecutive => format!("{words}: server with {first}-{last}"),
        [one] => format!("{words}: server with {one}"),
        _ => format!("{words}: {} others first", others.len()),
    }
}

/// In which call a process of the server was blocked longest, and for how long.
fn blocked(spans: &[Span], from: u64, to: u64) -> String {
    let mut sums: HashMap<&str, u64> = HashMap::new();
    for span in spans {
        *sums.entry(span.call).or_default() += span.within(from, to);
    }
    let longest = sums.into_iter().max_by_key(|&(call, sum)| (sum, call));
    longest.map_or(String::new(), |(call, sum)| {
        format!(
            "blocked {:>3} ms in {}",
            milliseconds(sum),
            call.trim_end_matches("from")
        )
    })
}

fn milliseconds(nanoseconds: u64) -> u64 {
    (nanoseconds + 500_000) / 1_000_000
}
