//! What varies between the runs of one program: which words of a line, and which lines. At such a place nothing is blamed on
//! the other program.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use crate::diff::compare::align::align;
use crate::diff::compare::{Line, Lines};

/// Splits a line into words and single characters. A string that is not text stays whole, since the beginning of a number
/// in it is unknown.
pub fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    let mut inside = false;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        inside ^= first == '"';
        let string = Some(rest).filter(|_| inside && first == '"');
        let len = if let Some(len) = string.and_then(binary) {
            inside = false;
            len
        } else if rest.starts_with("\\x") {
            rest.find([' ', '"', '.']).unwrap_or(rest.len())
        } else if first == '\\' {
            1 + rest[1..].chars().next().map_or(0, char::len_utf8)
        } else if is_word(first) {
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

/// How long the string is that begins here, if it has bytes in it that no text has.
fn binary(text: &str) -> Option<usize> {
    let mut at = 1;
    let mut is_binary = false;
    loop {
        match text.as_bytes().get(at)? {
            b'"' => return is_binary.then_some(at + 1),
            b'\\' => {
                // `\x1f` of ours, or `\37` of strace.
                let behind = &text.as_bytes()[at + 1..];
                let (radix, digits) = match behind.strip_prefix(b"x") {
                    Some(hexadecimal) => (16, hexadecimal.iter().take(2)),
                    None => (8, behind.iter().take(3)),
                };
                let digits = digits.map_while(|&byte| char::from(byte).to_digit(radix));
                let value = digits.reduce(|value, digit| value * radix + digit);
                is_binary |= value.is_some_and(|value| value < 32 || value == 127);
                at += 2;
            }
            _ => at += 1,
        }
    }
}

/// Where two lines of words differ: for each place, which words of either.
fn places(left: &[&str], right: &[&str]) -> Vec<[Range<usize>; 2]> {
    let never = AtomicBool::new(false);
    let pairs = align([left.len(), right.len()], &never, |l, r| {
        left[l] == right[r]
    });
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

/// Whether two lines are the same, but for words that vary. Where only one varies, the other's words must be among those that
/// it has been seen with; unless they are of the same program, and are `new` words of it.
pub fn agree(left: &Line, right: &Line, new: bool) -> bool {
    if left.hash == right.hash && left.text == right.text {
        return true;
    }
    if left.varies.is_empty() && right.varies.is_empty() {
        return false;
    }
    if left.also.contains(&right.hash) || right.also.contains(&left.hash) {
        return true;
    }
    if kind(&left.text) != kind(&right.text) || differ_where_nothing_varies(left, right) {
        return false;
    }
    let (l, r) = (words(&left.text), words(&right.text));
    places(&l, &r).into_iter().all(|[of_left, of_right]| {
        let own = [l[of_left.clone()].concat(), r[of_right.clone()].concat()];
        let varies = [left.seen(of_left), right.seen(of_right)];
        match varies {
            [None, None] => false,
            [Some(_), Some(_)] => true,
            [Some(seen), None] => new || seen.contains(&&own[1]),
            [None, Some(seen)] => new || seen.contains(&&own[0]),
        }
    })
}

/// Whether neither varies where they first differ: of many pairs of long lines the rest need not be looked at.
fn differ_where_nothing_varies(left: &Line, right: &Line) -> bool {
    let pairs = left.text.bytes().zip(right.text.bytes());
    let mut same = pairs.take_while(|(l, r)| l == r).count();
    while !left.text.is_char_boundary(same) {
        same -= 1;
    }
    let before = words(&left.text[..same]);
    let is_quote = |word: &&str| *word == "\"";
    let inside = before.iter().filter(|word| is_quote(word)).count() % 2 == 1;
    // A string that is no text is one word, which cannot be seen from its beginning.
    let begin = before.iter().rposition(is_quote);
    let begin = begin.filter(|_| inside).unwrap_or(before.len());
    let fixed = |line: &Line| {
        let around = line.varies.iter().take(before.len() + 1);
        around.skip(begin.saturating_sub(2)).all(Option::is_none)
    };
    fixed(left) && fixed(right)
}

/// What differs between a line and another, of the one and of the other.
pub fn differences(one: &str, other: &str) -> Vec<[String; 2]> {
    let (one, other) = (words(one), words(other));
    let places = places(&one, &other).into_iter();
    places
        .map(|[l, r]| [one[l].concat(), other[r].concat()])
        .collect()
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
        if !self.also.contains(&other.hash) {
            self.also.push(other.hash);
        }
        let (own, others) = (words(&self.text), words(&other.text));
        self.varies.resize(own.len(), None);
        for [place, of_other] in places(&own, &others) {
            let seen = others[of_other].concat();
            // One word more, beside one that varies.
            let place = if place.is_empty() {
                let beside = place.start.min(own.len().saturating_sub(1));
                beside..own.len().min(beside + 1)
            } else {
                place
            };
            for varies in &mut self.varies[place] {
                let varies = varies.get_or_insert_default();
                if !varies.contains(&seen) {
                    varies.push(seen.clone());
                }
            }
        }
    }

    /// What other words have been seen in the place of these; `None` if they do not vary.
    fn seen(&self, place: Range<usize>) -> Option<Vec<&String>> {
        let of = |at: usize| self.varies.get(at).and_then(Option::as_ref);
        if place.is_empty() {
            let beside = [place.start.checked_sub(1), Some(place.start)];
            let mut beside = beside.into_iter().flatten().filter_map(of);
            return beside.next().map(|seen| seen.iter().collect());
        }
        let mut all = Vec::new();
        for at in place {
            all.extend(of(at)?);
        }
        Some(all)
    }

    /// As it is shown: with `*` for what varies.
    pub fn pattern(&self) -> String {
        let mut text = String::new();
        for (at, word) in words(&self.text).into_iter().enumerate() {
            if self.varies.get(at).is_none_or(Option::is_none) {
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
        let pairs = align(lengths, stop, |l, r| {
            agree(&self.lines[l], &run.lines[r], true)
        });
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
            if let Some(mut line) = before.get_mut(next_l).and_then(Option::take) {
                let other = &run.lines[next_r];
                if line.hash != other.hash {
                    line.vary(other);
                }
                self.lines.push(line);
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
