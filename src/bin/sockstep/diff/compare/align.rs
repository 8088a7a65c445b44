//! How two sequences lie beside each other: the fewest elements left out, in linear space (Myers, "An O(ND) difference
//! algorithm and its variations", 1986).

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// If more elements than this must be left out, a short path is taken instead of the shortest: the time to find the shortest
/// grows with the square of their number. After many paths the limit is lower.
const EFFORT: usize = 512;
const LESS_EFFORT: usize = 32;
const PATHS: usize = 1 << 15;

/// The pairs of elements that the two sequences of these lengths have in common, in order. Once `stop` is set, the rest is
/// left out.
pub fn align(
    lengths: [usize; 2],
    stop: &AtomicBool,
    same: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let mut search = Search {
        same,
        stop,
        paths: 0,
        forward: Vec::new(),
        backward: Vec::new(),
        pairs: Vec::new(),
    };
    search.align(0..lengths[0], 0..lengths[1]);
    search.pairs
}

struct Search<'a, F> {
    same: F,
    stop: &'a AtomicBool,
    /// How many paths have been looked at.
    paths: usize,
    /// For each diagonal how far the best path has come, from the beginning and from the end.
    forward: Vec<usize>,
    backward: Vec<usize>,
    pairs: Vec<(usize, usize)>,
}

impl<F: Fn(usize, usize) -> bool> Search<'_, F> {
    fn align(&mut self, mut left: Range<usize>, mut right: Range<usize>) {
        while !left.is_empty() && !right.is_empty() && (self.same)(left.start, right.start) {
            self.pairs.push((left.start, right.start));
            (left.start, right.start) = (left.start + 1, right.start + 1);
        }
        let mut ends = 0;
        while !left.is_empty() && !right.is_empty() && (self.same)(left.end - 1, right.end - 1) {
            (left.end, right.end) = (left.end - 1, right.end - 1);
            ends += 1;
        }
        let behind = (left.end, right.end);
        // Both still have something, so at least two elements are left out: each half has fewer of them.
        if !left.is_empty() && !right.is_empty() {
            if let Some((from, to)) = self.middle(&left, &right) {
                self.align(left.start..from.0, right.start..from.1);
                self.pairs.extend((from.0..to.0).zip(from.1..to.1));
                self.align(to.0..left.end, to.1..right.end);
            }
        }
        self.pairs
            .extend((0..ends).map(|at| (behind.0 + at, behind.1 + at)));
    }

    /// Where the equal elements in the middle of a shortest path begin and end. `None` if it has no such elements.
    fn middle(
        &mut self,
        left: &Range<usize>,
        right: &Range<usize>,
    ) -> Option<((usize, usize), (usize, usize))> {
        let (n, m) = (left.len(), right.len());
        let half = (n + m).div_ceil(2);
        // The diagonal k, on which left is k elements ahead, has its place at k + zero.
        let zero = half + 1;
        let places = 2 * half + 3;
        for paths in [&mut self.forward, &mut self.backward] {
            paths.clear();
            paths.resize(places, 0);
        }
        // How far one gets with the fewest left out, just behind a pair: there the path can be cut without losing one.
        let mut far = (0, 0);
        for d in 0..=half {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let effort = if self.paths < PATHS {
                EFFORT
            } else {
                LESS_EFFORT
            };
            if d > effort {
                if far == (0, 0) {
                    far = self.farthest(n, m, zero, effort)?;
                }
                let place = (left.start + far.0, right.start + far.1);
                return Some((place, place));
            }
            // Not beyond the edges.
            let lowest = zero + 2 * d.saturating_sub(m) - d;
            let highest = zero + d - 2 * d.saturating_sub(n);
            self.paths += highest - lowest;
            for is_backward in [false, true] {
                for k in (lowest..=highest).step_by(2) {
                    let (paths, others) = if is_backward {
                        (&mut self.backward, &self.forward)
                    } else {
                        (&mut self.forward, &self.backward)
                    };
                    let start = if k == zero - d || (k != zero + d && paths[k - 1] < paths[k + 1]) {
                        paths[k + 1]
                    } else {
                        paths[k - 1] + 1
                    };
                    let mut x = start;
                    let y_of = |x: usize| x + zero - k;
                    let same = |x: usize| {
                        if is_backward {
                            (self.same)(left.end - 1 - x, right.end - 1 - y_of(x))
                        } else {
                            (self.same)(left.start + x, right.start + y_of(x))
                        }
                    };
                    while x < n && y_of(x) < m && same(x) {
                        x += 1;
                    }
                    paths[k] = x;
                    if !is_backward && x > start && x + y_of(x) > far.0 + far.1 {
                        far = (x, y_of(x));
                    }
                    // The same diagonal, as the other direction counts it: n - m - k.
                    let Some(other) = (2 * zero + n).checked_sub(m + k) else {
                        continue;
                    };
                    let reached = if is_backward { d + 1 } else { d };
                    let is_odd = (n + m) % 2 == 1;
                    if is_odd == is_backward
                        || reached == 0
                        || other + reached < zero + 1
                        || other > zero + reached - 1
                        || x + others[other] < n
                    {
                        continue;
                    }
                    let (x0, y0, x, y) = (start, y_of(start), x, y_of(x));
                    return Some(if is_backward {
                        (
                            (left.end - x, right.end - y),
                            (left.end - x0, right.end - y0),
                        )
                    } else {
                        (
                            (left.start + x0, right.start + y0),
                            (left.start + x, right.start + y),
                        )
                    });
                }
            }
        }
        None
    }
}

impl<F> Search<'_, F> {
    /// How far the best path from the beginning has come, if it is not at the end of both.
    fn farthest(&self, n: usize, m: usize, zero: usize, effort: usize) -> Option<(usize, usize)> {
        let places = (zero - effort..=zero + effort).filter_map(|k| {
            let x = self.forward[k];
            let y = (x + zero).checked_sub(k)?;
            (x <= n && y <= m).then_some((x, y))
        });
        let far = places.max_by_key(|(x, y)| x + y)?;
        (far != (0, 0) && far != (n, m)).then_some(far)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of the longest common subsequence, by the book.
    fn longest(left: &[u8], right: &[u8]) -> usize {
        let mut row = vec![0; right.len() + 1];
        for l in left {
            let mut before = 0;
            for (at, r) in right.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if l == r {
                    before + 1
                } else {
                    above.max(row[at])
                };
                before = above;
            }
        }
        row[right.len()]
    }

    fn pairs(left: &[u8], right: &[u8]) -> Vec<(usize, usize)> {
        align(
            [left.len(), right.len()],
            &AtomicBool::new(false),
            |l, r| left[l] == right[r],
        )
    }

    proptest::proptest! {
        #[test]
        fn as_much_as_can_be_is_in_common(left in "[a-c]{0,40}", right in "[a-c]{0,40}") {
            let (left, right) = (left.as_bytes(), right.as_bytes());
            let pairs = pairs(left, right);
            assert_eq!(pairs.len(), longest(left, right), "{pairs:?}");
            assert!(pairs.iter().all(|&(l, r)| left[l] == right[r]));
            assert!(pairs.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1));
        }
    }

    #[test]
    fn twenty_thousand_that_are_all_different_take_no_more_than_their_length() {
        let all = [20_000, 20_000];
        assert!(align(all, &AtomicBool::new(false), |_, _| false).is_empty());
        let behind_others = align([10_000, 20_000], &AtomicBool::new(false), |l, r| {
            r == l + 10_000
        });
        assert_eq!(behind_others.len(), 10_000);
        let every_second = align(all, &AtomicBool::new(false), |l, r| l % 2 == 0 && l == r);
        assert_eq!(every_second.len(), 10_000);
    }

    #[test]
    fn a_path_that_is_not_the_shortest_leaves_no_pair_out_where_it_is_cut() {
        // Four calls of one for two of the other, of which the last is the same; at first there are others.
        for first in 0..8 {
            let pairs = align([2_000, 4_000 + first], &AtomicBool::new(false), |l, r| {
                r >= first && l % 2 == 1 && (r - first) % 4 == 3 && l / 2 == (r - first) / 4
            });
            assert_eq!(pairs.len(), 1_000, "{first}");
        }
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        let all = [1 << 20, 1 << 20];
        assert!(align(all, &AtomicBool::new(true), |_, _| false).is_empty());
    }
}
