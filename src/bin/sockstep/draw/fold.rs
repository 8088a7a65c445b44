//! Draws repeated rows a few times and then counts them.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

use crate::lectures::crossings::grouped;
use crate::world::Side;

/// How often a repeated unit is drawn before the rest is counted.
const SHOWN: usize = 4;
/// The longest repeated unit, in groups.
const LONGEST: usize = 8;
/// After this many groups of at most [`KINDS`] kinds, in any order, further ones are counted.
const MIXED: usize = 40;
const KINDS: usize = 6;
/// Fewer counted groups than this are drawn in the end.
const WORTH_IT: u64 = 9;

/// A group that is drawn together: a call with its heading and its remarks, or a line of output.
#[derive(Clone)]
pub struct Group {
    pub side: Side,
    /// The rows as drawn, each with whether it only comments on the others (how long it took).
    pub rows: Vec<(String, bool)>,
    /// The other rows, for comparison.
    pub text: String,
    /// Its kind, regardless of its bytes: the call, the socket and the task. `None` if it is always
    /// drawn.
    pub kind: Option<String>,
    pub name: String,
    pub bytes: u64,
}

impl Group {
    fn is_like(&self, other: &Group) -> bool {
        self.side == other.side && self.text == other.text && self.kind == other.kind
    }

    fn height(&self) -> usize {
        self.rows.iter().filter(|(_, passing)| !passing).count()
    }
}

/// Takes groups, and returns those to be drawn.
#[derive(Default)]
pub struct Fold {
    past: VecDeque<Group>,
    counting: Option<Counting>,
}

struct Counting {
    /// In this order each time, or (`mixed`) in any order.
    unit: Vec<Group>,
    mixed: bool,
    at: usize,
    /// The number of groups counted.
    count: u64,
    bytes: u64,
    names: HashMap<String, u64>,
    /// The first of them, in case there are only a few.
    first: Vec<Group>,
    /// The groups since the last start of the unit.
    last: Vec<Group>,
}

/// An item to be drawn.
pub enum Drawn {
    Group(Group),
    /// A text about the groups left out, on their side.
    Left(Side, String),
}

impl Fold {
    /// Groups are being counted instead of drawn.
    pub fn is_counting(&self) -> bool {
        self.counting.is_some()
    }

    pub fn take(&mut self, group: Group) -> Vec<Drawn> {
        if let Some(mut counting) = self.counting.take() {
            if !counting.goes_on_with(&group) && !counting.mixed {
                // The order changes, but the kinds stay.
                if let Some(kinds) = self.kinds(group.kind.as_deref()) {
                    (counting.mixed, counting.unit) = (true, kinds);
                    counting.last.clear();
                }
            }
            let goes_on = counting.goes_on_with(&group);
            if goes_on {
                counting.count(group.clone());
            }
            self.counting = Some(counting);
            if goes_on {
                self.remember(group);
                return Vec::new();
            }
        }
        let mut drawn = self.end();
        drawn.push(Drawn::Group(group.clone()));
        self.remember(group);
        self.counting = self.repeats();
        drawn
    }

    fn remember(&mut self, group: Group) {
        self.past.push_back(group);
        if self.past.len() > MIXED.max(LONGEST * SHOWN) {
            self.past.pop_front();
        }
    }

    /// One group of each kind among the last ones, if all but a few are of few kinds and the given
    /// one is among them.
    fn kinds(&self, wanted: Option<&str>) -> Option<Vec<Group>> {
        let from = self.past.len().checked_sub(MIXED)?;
        let mut often: Vec<(&Group, usize)> = Vec::new();
        for group in self.past.range(from..) {
            match often.iter().position(|(it, _)| it.kind == group.kind) {
                Some(known) => often[known].1 += 1,
                None if often.len() > KINDS => return None,
                None => often.push((group, 1)),
            }
        }
        often.retain(|(group, times)| group.kind.is_some() && *times > 2);
        let all: usize = often.iter().map(|(_, times)| times).sum();
        let wanted = often
            .iter()
            .any(|(group, _)| group.kind.as_deref() == wanted);
        let few = often.len() <= KINDS && all + 2 >= MIXED;
        (few && wanted).then(|| often.into_iter().map(|(group, _)| group.clone()).collect())
    }

    /// The items to draw for the counted groups.
    pub fn end(&mut self) -> Vec<Drawn> {
        let Some(counting) = self.counting.take() else {
            return Vec::new();
        };
        if counting.count == 0 {
            return Vec::new();
        }
        if counting.count < WORTH_IT {
            return counting.first.into_iter().map(Drawn::Group).collect();
        }
        let mut drawn = vec![Drawn::Left(counting.side(), counting.words())];
        drawn.extend(counting.last.into_iter().map(Drawn::Group));
        drawn
    }

    /// The items to draw in a pause: the counted groups, if there are few.
    pub fn pause(&mut self) -> Vec<Drawn> {
        match &self.counting {
            Some(counting) if (1..WORTH_IT).contains(&counting.count) => self.end(),
            _ => Vec::new(),
        }
    }

    /// The groups that are being counted now.
    pub fn under_way(&self) -> Option<String> {
        let counting = self.counting.as_ref()?;
        (counting.count >= WORTH_IT).then(|| counting.words())
    }

    /// Whether the last groups repeat a unit often enough.
    fn repeats(&self) -> Option<Counting> {
        for length in 1..=LONGEST {
            let Some(from) = self.past.len().checked_sub(length * SHOWN) else {
                break;
            };
            let is_like = |at: usize| self.past[at].is_like(&self.past[at - length]);
            if (from + length..self.past.len()).all(is_like) {
                let unit = self.past.range(from..from + length).cloned().collect();
                return Some(Counting::new(unit, false));
            }
        }
        let last = self.past.back()?.kind.as_deref();
        self.kinds(last).map(|kinds| Counting::new(kinds, true))
    }
}

impl Counting {
    fn new(unit: Vec<Group>, mixed: bool) -> Counting {
        Counting {
            unit,
            mixed,
            at: 0,
            count: 0,
            bytes: 0,
            names: HashMap::new(),
            first: Vec::new(),
            last: Vec::new(),
        }
    }

    fn goes_on_with(&self, group: &Group) -> bool {
        if self.mixed {
            return group.kind.is_some() && self.unit.iter().any(|it| it.kind == group.kind);
        }
        self.unit[self.at].is_like(group)
    }

    fn count(&mut self, group: Group) {
        self.count += 1;
        self.bytes += group.bytes;
        *self.names.entry(group.name.clone()).or_default() += 1;
        if self.count < WORTH_IT {
            self.first.push(group.clone());
        }
        if self.mixed {
            return;
        }
        self.at = (self.at + 1) % self.unit.len();
        if self.at == 0 {
            self.last.clear();
        } else {
            self.last.push(group);
        }
    }

    fn side(&self) -> Side {
        let server = self.unit.iter().all(|group| group.side == Side::Server);
        if server { Side::Server } else { Side::Client }
    }

    fn words(&self) -> String {
        if self.mixed {
            let mut names: Vec<_> = self.names.iter().collect();
            names.sort_unstable();
            let times = grouped(self.count);
            let mut words = if let [(name, _)] = &names[..] {
                format!("... {name} {times} times more")
            } else {
                let each = names.iter();
                let each = each.map(|(name, times)| format!("{name} {}", grouped(**times)));
                let each = each.collect::<Vec<_>>().join(", ");
                format!("... these calls {times} times more, in any order: {each}")
            };
            if self.bytes > 0 {
                let _ = write!(words, "; {} bytes sent", grouped(self.bytes));
            }
            return words;
        }
        let rows: usize = self.unit.iter().map(Group::height).sum();
        let times = self.count / self.unit.len() as u64;
        let times = grouped(times);
        match rows {
            1 => format!("... the last row {times} times more"),
            rows => format!("... the last {rows} rows {times} times more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(row: &str, kind: &str) -> Group {
        Group {
            side: Side::Server,
            rows: vec![(row.to_owned(), false)],
            text: row.to_owned(),
            kind: Some(kind.to_owned()),
            name: kind.to_owned(),
            bytes: 1,
        }
    }

    fn drawn(groups: impl Iterator<Item = Group>) -> Vec<String> {
        let mut fold = Fold::default();
        let mut all: Vec<Drawn> = groups.flat_map(|group| fold.take(group)).collect();
        all.extend(fold.end());
        all.into_iter()
            .map(|drawn| match drawn {
                Drawn::Group(group) => group.rows[0].0.clone(),
                Drawn::Left(_, words) => words,
            })
            .collect()
    }

    #[test]
    fn what_repeats_itself_is_counted_from_the_fifth_time_on() {
        let rows = drawn((0..2001).map(|at| group(["a", "b"][at % 2], "x")));
        let mut expected = ["a", "b"].repeat(4);
        expected.extend(["... the last 2 rows 996 times more", "a"]);
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_few_more_are_drawn() {
        assert_eq!(drawn((0..12).map(|_| group("a", "x"))), ["a"; 12]);
    }

    #[test]
    fn rows_of_a_few_kinds_in_any_order_are_counted_with_their_bytes() {
        let rows = drawn((0u32..10_000).map(|at| {
            let kind = ["recv", "send"][usize::from(at.count_ones() % 3 == 0)];
            group(&format!("{kind} {at}"), kind)
        }));
        assert_eq!(rows.len(), MIXED + 1);
        let last = rows.last().unwrap();
        assert!(
            last.starts_with("... these calls 9,960 times more, in any order: recv "),
            "{last}"
        );
        assert!(last.ends_with("; 9,960 bytes sent"), "{last}");
    }

    #[test]
    fn one_kind_that_differs_each_time_is_counted_by_its_name() {
        let rows = drawn((0..10_000).map(|at| group(&format!("select, left {at}"), "select")));
        assert_eq!(rows.len(), MIXED + 1);
        let last = rows.last().unwrap();
        assert_eq!(last, "... select 9,960 times more; 9,960 bytes sent");
    }

    #[test]
    fn what_is_to_be_seen_each_time_is() {
        let words = (0..200).map(|at| Group {
            kind: None,
            ..group(&at.to_string(), "words")
        });
        assert_eq!(drawn(words).len(), 200);
    }

    #[test]
    fn numbers_have_commas() {
        assert_eq!(
            [0, 999, 1000, 3_919_467].map(grouped),
            ["0", "999", "1,000", "3,919,467"]
        );
    }
}
