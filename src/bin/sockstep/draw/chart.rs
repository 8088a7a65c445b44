//! A chart of activity over time: a row for each client and for each task of the server, a column
//! for a span of time.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use crate::draw::history::{History, Moment};
use crate::draw::terminal::Style;
use crate::strace::calls::{self, Does};
use crate::world::Side;
use crate::world::tasks::TaskId;

/// Columns before the chart, and the most columns of the chart; the rest of 80 is for the row's
/// explanation.
const LABEL: usize = 10;
const CHART: usize = 35;

/// A wait of this many milliseconds or more is explained next to it.
const WORTH_A_WORD: u64 = 25;

/// One server and its clients, each a source of its own: 0 is the server's.
pub struct Run {
    pub clients: usize,
    pub history: History,
}

/// What a task does during a span.
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
    /// How much of it lies between these two times.
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

/// All runs, one below the other, on the same time scale.
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

/// The times above the charts, one for every ten columns.
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
    /// From the first connect to the last client's end; `None` if no client connected.
    fn of(run: &'a Run) -> Option<Chart<'a>> {
        let history = &run.history;
        let of_clients = || history.moments.iter().filter(|it| it.event.source > 0);
        let connects = of_clients().filter(|moment| does(moment) == Does::Connects);
        let start = connects.filter_map(|it| it.event.entered).min()?;
        let end = of_clients().filter_map(|it| it.event.entered).max()?;

        let mut server = server_lanes(history, end);
        let clients = (1..=run.clients).map(|client| {
            let spans = client_spans(history, client);
            let words = waited(client, &spans, &server);
            Lane {
                label: format!("client {client}"),
                spans,
                words,
            }
        });
        let clients = clients.collect();
        for lane in &mut server {
            lane.words = blocked(&lane.spans, start, end);
        }
        // Idle tasks share one row.
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
            name: &history.name,
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
                    Doing::Serves(_) => Doing::Serves(1), // so that all served clients look alike
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

    /// The activity that takes most of a column, if it takes at least half.
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

fn does(moment: &Moment) -> Does {
    let call = moment.event.call();
    call.map_or(Does::Neither, |call| calls::does(&call.name))
}

/// Whether a call on a socket may wait for data from the peer.
fn receives(moment: &Moment) -> bool {
    let row = moment.event.call().and_then(|call| calls::of(&call.name));
    moment.event.socket.is_some() && row.is_some_and(|row| row.receives.is_some())
}

fn watches(moment: &Moment) -> bool {
    let call = moment.event.call();
    call.is_some_and(|call| calls::waits_for_several(&call.name))
}

/// A moment's span, if it has a time. A call that did not return lasts until the next moment.
fn span<'a>(moment: &'a Moment, next: Option<&&Moment>, doing: Doing) -> Option<Span<'a>> {
    let from = moment.event.entered?;
    let next = next.and_then(|next| next.event.entered);
    let back = match doing {
        // strace delays it while it prints its answer, and does not count that as the call's time.
        Doing::Thinks => None,
        _ => moment.waited().map(|waited| from + waited),
    };
    Some(Span {
        from,
        to: back.or(next).unwrap_or(from).max(from),
        doing,
        call: moment.name(),
    })
}

fn client_spans(history: &History, client: usize) -> Vec<Span<'_>> {
    let own = history.moments.iter();
    let own: Vec<&Moment> = own.filter(|it| it.event.source == client).collect();
    let spans = own.iter().enumerate().filter_map(|(at, moment)| {
        let doing = match does(moment) {
            Does::Connects => Doing::Connects,
            _ if receives(moment) || watches(moment) => Doing::Waits,
            _ if moment.words.is_some() => Doing::Thinks,
            _ => return None,
        };
        span(moment, own.get(at + 1), doing)
    });
    spans.collect()
}

/// The server's processes and threads, in the order in which they were made. A call that has not
/// returned lasts to the end.
fn server_lanes(history: &History, end: u64) -> Vec<Lane<'_>> {
    let tasks = history.tasks.iter();
    let tasks = tasks.filter(|(_, task)| task.side == Side::Server);
    let lanes = tasks.enumerate().map(|(at, (&id, task))| Lane {
        label: match (at, task.thread) {
            (0, _) => "server".to_owned(),
            (_, true) => format!("thread {}", at + 1),
            (_, false) => format!("process {}", at + 1),
        },
        spans: server_spans(history, id, end),
        words: String::new(),
    });
    lanes.collect()
}

/// The activity of one process or thread of the server.
fn server_spans(history: &History, task: TaskId, end: u64) -> Vec<Span<'_>> {
    let own = history.moments.iter();
    let own: Vec<&Moment> = own.filter(|it| it.event.task == task).collect();
    let spans = own.iter().enumerate().filter_map(|(at, moment)| {
        let client = moment.event.socket.and_then(|id| history.client_of(id));
        let doing = match (does(moment), client) {
            (Does::Accepts, _) => Doing::Accepts,
            _ if watches(moment) => Doing::WaitsForAny,
            (Does::Neither, Some(client)) => Doing::Serves(client),
            _ => return None,
        };
        span(moment, own.get(at + 1), doing)
    });
    let idle = history.idle.iter().filter(|wait| wait.task == task);
    let idle = idle.map(|wait| Span {
        from: wait.from,
        to: wait.to.unwrap_or(end).max(wait.from),
        doing: Doing::Idles,
        call: &wait.call,
    });
    spans.chain(idle).collect()
}

/// How long a client waited for its answer, and which clients the server served in that time.
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

/// The call in which a process of the server was blocked longest, and for how long.
fn blocked(spans: &[Span], from: u64, to: u64) -> String {
    let mut sums: HashMap<&str, u64> = HashMap::new();
    for span in spans {
        *sums.entry(span.call).or_default() += span.within(from, to);
    }
    let longest = sums.into_iter().max_by_key(|&(call, sum)| (sum, call));
    longest.map_or(String::new(), |(call, sum)| {
        format!("blocked {:>3} ms in {call}", milliseconds(sum))
    })
}

fn milliseconds(nanoseconds: u64) -> u64 {
    (nanoseconds + 500_000) / 1_000_000
}
