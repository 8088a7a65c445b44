//! Rows that repeat themselves, drawn a few times and then counted.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

use crate::world::Side;

/// A unit of rows that is drawn so often before the rest is counted.
const SHOWN: usize = 4;
/// The longest unit.
const LONGEST: usize = 8;
/// This many groups of no more than so many kinds, in whatever order, are counted from then on.
const MIXED: usize = 40;
const KINDS: usize = 6;
/// Fewer than so many groups are drawn after all.
const WORTH_IT: u64 = 9;

/// What is drawn together: a call with its heading and its remarks, or a line of words.
#[derive(Clone)]
pub struct Group {
    pub side: Side,
    /// The rows as they are drawn, and which of them only remark on the others (how long it took).
    pub rows: Vec<(String, bool)>,
    /// The lasting ones, to be compared.
    pub text: String,
    /// What it is, whatever bytes it carries: the call, on which socket, in which task. `None` if it is to be seen each time.
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

/// Takes groups, and gives back what is to be drawn.
#[derive(Default)]
pub struct Fold {
    past: VecDeque<Group>,
    counting: Option<Counting>,
}

struct Counting {
    /// In this order each time, or (`mixed`) in any.
    unit: Vec<Group>,
    mixed: bool,
    at: usize,
    /// Groups that have been counted.
    count: u64,
    bytes: u64,
    names: HashMap<String, u64>,
    /// The first of them, in case that they are few.
    first: Vec<Group>,
    /// Those since the unit began last.
    last: Vec<Group>,
}

/// Something to be drawn.
pub enum Drawn {
    Group(Group),
    /// Words on what has been left out, on the side where that was.
    Left(Side, String),
}

impl Fold {
    pub fn take(&mut self, group: Group) -> Vec<Drawn> {
        if let Some(counting) = &mut self.counting {
            if counting.goes_on_with(&group) {
                counting.count(group);
                return Vec::new();
            }
        }
        let mut drawn = self.end();
        drawn.push(Drawn::Group(group.clone()));
        self.past.push_back(group);
        while self.past.len() > MIXED.max(LONGEST * SHOWN) {
            self.past.pop_front();
        }
        self.counting = self.repeats();
        drawn
    }

    /// What is to be drawn of what has been counted.
    pub fn end(&mut self) -> Vec<Drawn> {
        let Some(counting) = self.counting.take() else {
            return Vec::new();
        };
        if counting.count == 0 {
            return Vec::new();
        }
        if counting.count < WORTH_IT {
            self.past.extend(counting.first.iter().cloned());
            return counting.first.into_iter().map(Drawn::Group).collect();
        }
        self.past.clear();
        let mut drawn = vec![Drawn::Left(counting.side(), counting.words())];
        drawn.extend(counting.last.into_iter().map(Drawn::Group));
        drawn
    }

    /// What is to be drawn while nothing comes: the few that have been counted.
    pub fn pause(&mut self) -> Vec<Drawn> {
        match &self.counting {
            Some(counting) if (1..WORTH_IT).contains(&counting.count) => self.end(),
            _ => Vec::new(),
        }
    }

    /// What is being counted now.
    pub fn under_way(&self) -> Option<String> {
        let counting = self.counting.as_ref()?;
        (counting.count >= WORTH_IT).then(|| counting.words())
    }

    /// Whether the last groups repeat a unit often enough.
    fn repeats(&self) -> Option<Counting> {
        let past: Vec<&Group> = self.past.iter().collect();
        for length in 1..=LONGEST {
            let Some(from) = past.len().checked_sub(length * SHOWN) else {
                break;
            };
            let shown = &past[from..];
            if (length..shown.len()).all(|at| shown[at].is_like(shown[at - length])) {
                return Some(Counting::new(&shown[..length], false));
            }
        }
        let from = past.len().checked_sub(MIXED)?;
        let mut kinds: Vec<&Group> = Vec::new();
        let mut often: HashMap<&str, usize> = HashMap::new();
        for &group in &past[from..] {
            let kind = group.kind.as_deref()?;
            if !often.contains_key(kind) {
                kinds.push(group);
            }
            *often.entry(kind).or_default() += 1;
        }
        let repeat = kinds.len() <= KINDS && often.values().all(|&times| times > 2);
        let kinds: Vec<&Group> = kinds.into_iter().collect();
        repeat.then(|| Counting::new(&kinds, true))
    }
}

impl Counting {
    fn new(unit: &[&Group], mixed: bool) -> Counting {
        Counting {
            unit: unit.iter().map(|&group| group.clone()).collect(),
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
            let mut words = format!(
                "... these calls {} times more, in any order:",
                grouped(self.count)
            );
            for (name, times) in names {
                let _ = write!(words, " {name} {}", grouped(*times)); // into memory
            }
            if self.bytes > 0 {
                let _ = write!(words, ", {} bytes", grouped(self.bytes));
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

/// A number with commas: `3,919,467`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
        assert!(last.ends_with(", 9,960 bytes"), "{last}");
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
