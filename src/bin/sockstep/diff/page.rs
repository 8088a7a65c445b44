//! `sockstep diff --html`: for each case a run of both sides, side by side, each event with its
//! mark from the comparison.

use std::collections::{HashMap, VecDeque};

use crate::diff::compare::{Row, Verdict};
use crate::diff::expected::EXPECTED;
use crate::diff::play::Run;
use crate::diff::task::Task;
use crate::diff::verdict::{Compared, Judged};
use crate::draw::page::compared::{Entries, Mark, Marked, Sort};
use crate::draw::terminal::Side;
use crate::strace::line::{Call, What};

/// The title of a case, shortened for the page.
pub fn title(judged: &Judged) -> String {
    let tasks = judged.tasks.iter().map(|task| task.comparison.verdict);
    let worst = tasks.max_by_key(|verdict| *verdict as usize);
    let verdict = worst.map_or("", Verdict::word);
    let conversation = if judged.conversation.diverges() {
        ", another conversation"
    } else {
        ""
    };
    let case = &judged.case;
    let name = [case.pair.as_str(), case.scenario.as_str()];
    let name: Vec<&str> = name.into_iter().filter(|it| !it.is_empty()).collect();
    match name.join(", ") {
        name if name.is_empty() => format!("{verdict}{conversation}"),
        name => format!("{name}: {verdict}{conversation}"),
    }
}

/// The events of each side's first run, with the marks of the comparison.
pub fn marked(judged: &Judged, runs: [&Run; 2]) -> [Marked; 2] {
    let mut rows = 0;
    let mut marks: [HashMap<(usize, usize), Mark>; 2] = Default::default();
    for compared in &judged.tasks {
        mark(compared, runs, &mut rows, &mut marks);
    }
    let mut marks = marks.into_iter();
    runs.map(|run| {
        let mut own = marks.next().unwrap_or_default();
        let tasks = run.tasks.iter().enumerate();
        let entries = tasks.flat_map(|(which, task)| {
            let entries = task.entries.iter().cloned().enumerate();
            entries.map(move |(at, entry)| ((which, at), task.side, entry))
        });
        let mut entries: Entries = entries
            .map(|(place, side, entry)| (side, entry, own.remove(&place)))
            .collect();
        // The entries of each task are in its own order; the world orders all by time.
        entries.sort_by_key(|(_, entry, _)| entry.start);
        entries
    })
}

/// Marks the entries of a compared task, on both sides.
fn mark(
    compared: &Compared,
    runs: [&Run; 2],
    rows: &mut usize,
    marks: &mut [HashMap<(usize, usize), Mark>; 2],
) {
    let comparison = &compared.comparison;
    let mut finders = runs.map(|run| Finder::new(run, compared));
    let counterparts = comparison.counterparts();
    let first = *rows;
    *rows += comparison.rows.len();
    for (at, (row, counterpart)) in comparison.rows.iter().zip(counterparts).enumerate() {
        // A line and the line in its place are shown side by side.
        let number = first + counterpart.unwrap_or(at).min(at);
        let (sides, sort, why) = match *row {
            Row::Both(left, right) => {
                let lines = [&comparison.left.lines[left], &comparison.right.lines[right]];
                let forms = lines.into_iter().flat_map(|line| line.forms.iter());
                let mut forms: Vec<&str> = forms.map(|(form, _)| form.name()).collect();
                forms.sort_unstable();
                forms.dedup();
                let sort = if forms.is_empty() {
                    Sort::Same
                } else {
                    Sort::Normalised
                };
                (vec![0, 1], sort, forms.join(", "))
            }
            Row::Expected(_, reason) => {
                let reason = EXPECTED[reason].reason.to_owned();
                (vec![0], Sort::Expected, reason)
            }
            Row::Varies(side, _) => (vec![side], Sort::Varies, String::new()),
            Row::Left(_) | Row::Right(_) => {
                let side = usize::from(matches!(row, Row::Right(_)));
                let other = counterpart.map_or(String::new(), |row| {
                    comparison.line(comparison.rows[row]).text.to_string()
                });
                let sort = if counterpart.is_some() {
                    Sort::Different
                } else {
                    Sort::Only
                };
                (vec![side], sort, other)
            }
        };
        for side in sides {
            let line = match *row {
                Row::Both(_, right) if side == 1 => &comparison.right.lines[right],
                row => comparison.line(row),
            };
            for place in finders[side].find(&line.raw) {
                let mark = Mark {
                    sort,
                    why: why.clone(),
                    row: number,
                };
                marks[side].insert(place, mark);
            }
        }
    }
}

/// Finds the entries that make up a line, in their order.
struct Finder {
    /// For each of strace's lines: the tasks, and the places in them.
    left: HashMap<String, VecDeque<(usize, usize)>>,
}

impl Finder {
    fn new(run: &Run, compared: &Compared) -> Finder {
        let is_it = |task: &Task| {
            if compared.together == 0 {
                return task.name == compared.name;
            }
            (task.side == Side::Client) == (compared.name == "client")
        };
        let mut left: HashMap<String, VecDeque<(usize, usize)>> = HashMap::new();
        for (which, task) in run.tasks.iter().enumerate() {
            for (at, entry) in task.entries.iter().enumerate().filter(|_| is_it(task)) {
                let places = left.entry(raw(&entry.what)).or_default();
                places.push_back((which, at));
            }
        }
        Finder { left }
    }

    /// The entries of a line; a joined line has several.
    fn find(&mut self, raw: &str) -> Vec<(usize, usize)> {
        let (mut found, mut rest) = (Vec::new(), raw);
        while !rest.is_empty() {
            // The bytes of a call may have such a sign in them too.
            let ends = rest.match_indices("; ").map(|(end, _)| end);
            let mut ends = ends.chain([rest.len()]);
            let next = ends.find_map(|end| {
                let places = self.left.get_mut(&rest[..end])?;
                Some((places.pop_front()?, end))
            });
            let Some((place, end)) = next else { break };
            found.push(place);
            rest = rest[end..].trim_start_matches("; ");
        }
        found
    }
}

/// strace's line, without the time.
fn raw(what: &What) -> String {
    match what {
        What::Call(call) => raw_call(call),
        What::Signal(text) => format!("--- {text} ---"),
        What::End(text) => format!("+++ {text} +++"),
        What::Unknown(text) => text.clone(),
    }
}

fn raw_call(call: &Call) -> String {
    let (args, result) = (call.args.join(", "), &call.result);
    let line = format!("{}({args}) = {result} {}", call.name, call.note);
    line.trim_end().to_owned()
}
