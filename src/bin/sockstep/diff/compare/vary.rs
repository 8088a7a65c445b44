//! What varies between the runs of one program: which words of a line, and which lines. At such a place nothing is blamed on
//! the other program.

use std::sync::atomic::AtomicBool;

use crate::diff::compare::align::align;
use crate::diff::compare::{Line, Lines};

/// A line in words: what belongs together, and each other character.
pub fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let len = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(len);
        words.push(word);
        rest = after;
    }
    words
}

/// Where two lines of words differ: for each place, which words of either.
fn places(left: &[&str], right: &[&str]) -> Vec<[std::ops::Range<usize>; 2]> {
    let never = AtomicBool::new(false);
    let pairs = align([left.len(), right.len()], &never, |l, r| left[l] == right[r]);
    let mut places = Vec::new();
    let (mut l, mut r) = (0, 0);
    for (next_l, next_r) in pairs.into_iter().chain([(left.len(), right.len())]) {
        if l < next_l || r < next_r {
            places.push([l..next_l, r..next_r]);
        }
        (l, r) = (next_l + 1, next_r + 1);
    }
    places
}

/// Whether two lines are the same, but for words that vary.
pub fn agree(left: &Line, right: &Line) -> bool {
    if left.hash == right.hash && left.text == right.text {
        return true;
    }
    if left.varies.is_empty() && right.varies.is_empty() {
        return false;
    }
    let covered = |varies: &[bool], place: &std::ops::Range<usize>| {
        if place.is_empty() {
            // One word more or fewer, beside one that varies.
            let beside = [place.start.checked_sub(1), Some(place.start)];
            return beside
                .into_iter()
                .flatten()
                .any(|at| varies.get(at).copied().unwrap_or(false));
        }
        place
            .clone()
            .all(|at| varies.get(at).copied().unwrap_or(false))
    };
    let (l, r) = (words(&left.text), words(&right.text));
    places(&l, &r).iter().all(|[of_left, of_right]| {
        covered(&left.varies, of_left) || covered(&right.varies, of_right)
    })
}

/// What two lines have to have in common to be one line that varies: the call, what it is on, and the error if it failed.
pub fn kind(text: &str) -> (&str, &str) {
    let end = text.find([',', ')', '{']).unwrap_or(text.len());
    let error = text.rsplit_once(") = -1 ").map_or("", |(_, error)| error);
    (&text[..end], error)
}

impl Line {
    /// Marks the words that are others in another run.
    fn vary(&mut self, other: &Line) {
        let (own, others) = (words(&self.text), words(&other.text));
        self.varies.resize(own.len(), false);
        for [place, _] in places(&own, &others) {
            if place.is_empty() {
                let beside = place.start.min(own.len().saturating_sub(1));
                if let Some(varies) = self.varies.get_mut(beside) {
                    *varies = true;
                }
            }
            for at in place {
                self.varies[at] = true;
            }
        }
    }

    /// As it is shown: with `*` for what varies.
    pub fn pattern(&self) -> String {
        let mut text = String::new();
        for (at, word) in words(&self.text).into_iter().enumerate() {
            if !self.varies.get(at).copied().unwrap_or(false) {
                text += word;
            } else if !text.ends_with('*') {
                text.push('*');
            }
        }
        text
    }
}

impl Lines {
    /// Takes in another run of the same program: what is not as it was before varies from now on.
    pub fn take_in(&mut self, run: &Lines, stop: &AtomicBool) {
        let lengths = [self.lines.len(), run.lines.len()];
        let pairs = align(lengths, stop, |l, r| agree(&self.lines[l], &run.lines[r]));
        let before = std::mem::take(&mut self.lines);
        let (mut l, mut r) = (0, 0);
        let mut before = before.into_iter().map(Some).collect::<Vec<_>>();
        for (next_l, next_r) in pairs.into_iter().chain([(lengths[0], lengths[1])]) {
            let mut own: Vec<Line> = before[l..next_l]
                .iter_mut()
                .filter_map(Option::take)
                .collect();
            let others = &run.lines[r..next_r];
            let same = align([own.len(), others.len()], stop, |l, r| {
                kind(&own[l].text) == kind(&others[r].text)
            });
            let (mut a, mut b) = (0, 0);
            let ends = (own.len(), others.len());
            let mut gap = Vec::new();
            for (next_a, next_b) in same.into_iter().chain([ends]) {
                for line in &mut own[a..next_a] {
                    line.optional = true;
                    gap.push(line.clone());
                }
                for line in &others[b..next_b] {
                    let mut line = line.clone();
                    line.optional = true;
                    gap.push(line);
                }
                if let (Some(line), Some(other)) = (own.get_mut(next_a), others.get(next_b)) {
                    line.vary(other);
                    gap.push(line.clone());
                }
                (a, b) = (next_a + 1, next_b + 1);
            }
            self.lines.append(&mut gap);
            if let Some(line) = before.get_mut(next_l) {
                self.lines.extend(line.take());
            }
            (l, r) = (next_l + 1, next_r + 1);
        }
    }

    /// How many lines vary, or are there in some runs only.
    pub fn varying(&self) -> usize {
        let varies = |line: &&Line| line.optional || !line.varies.is_empty();
        self.lines.iter().filter(varies).count()
    }
}
