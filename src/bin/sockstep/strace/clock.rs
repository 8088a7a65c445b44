//! When things happened. Within a task the order is the recording's, and time never goes back.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

pub const DAY: u64 = 86_400_000_000_000; // nanoseconds
const MILLISECOND: u64 = 1_000_000;

/// The latest time, in the year 2286: a duration can be added to any time without overflow.
const LATEST: u64 = 10_000_000_000_000_000_000;

/// The current time by strace's clock, in a live run.
pub fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The times in front of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stamp {
    /// Nanoseconds since 1970, or of the `day`.
    pub absolute: Option<u64>,
    pub day: bool,
    /// Whole seconds only.
    pub coarse: bool,
    /// Nanoseconds since the line before.
    pub relative: Option<u64>,
}

/// The kind of clock in a recording; times of different kinds cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Epoch,
    Day,
    /// Since its own first line.
    Relative,
}

/// The clock of a recording.
#[derive(Default)]
pub struct Clock {
    pub kind: Option<Kind>,
    /// The sum of the relative times.
    sum: u64,
    /// Whole days that have begun since the first line's.
    days: u64,
    /// How much the clock has been set back so far.
    back: u64,
    /// The last line's time, as it is written and as it is given out.
    written: u64,
    now: Option<u64>,
    tasks: HashMap<Option<u32>, Task>,
    pub remarks: Vec<String>,
}

#[derive(Clone, Copy, Default)]
struct Task {
    /// The last time that it had in the recording.
    written: u64,
    /// When its last call had ended.
    ended: u64,
}

impl Clock {
    /// A clock that starts on the day after another's first.
    pub fn a_day_later(&mut self) {
        self.days += 1;
    }

    /// The time of a task's next line (line `number` of the recording), or that of the line before
    /// if it has no time.
    pub fn read(&mut self, stamp: Stamp, task: Option<u32>, number: u64) -> Option<u64> {
        self.sum = self.sum.saturating_add(stamp.relative.unwrap_or_default());
        let time = match (stamp.absolute, stamp.relative) {
            (Some(written), _) => self.adjusted(written, stamp, task, number),
            (None, Some(_)) => {
                self.kind = Some(Kind::Relative);
                self.sum
            }
            (None, None) => self.now?,
        }
        .min(LATEST);
        self.now = Some(time);
        Some(self.not_before(task, time))
    }

    /// A time, or when the task's last call had ended if that is later.
    pub fn not_before(&self, task: Option<u32>, time: u64) -> u64 {
        let ended = self.tasks.get(&task).map(|task| task.ended);
        time.max(ended.unwrap_or_default())
    }

    fn adjusted(&mut self, written: u64, stamp: Stamp, task: Option<u32>, number: u64) -> u64 {
        self.kind = Some(if stamp.day { Kind::Day } else { Kind::Epoch });
        let written = if stamp.day {
            self.with_days(written, number)
        } else {
            written
        };
        self.written = written;
        let own = self.tasks.entry(task).or_default();
        let before = std::mem::replace(&mut own.written, written);
        let (ended, shown) = (own.ended, written.saturating_add(self.back));
        // How far the clock was set back between this task's lines, or during the call before.
        let fell = before.saturating_sub(written);
        let fell = if fell == 0 && !stamp.coarse {
            let within = ended.saturating_sub(shown);
            within * u64::from(within > 10 * MILLISECOND)
        } else {
            fell
        };
        if fell > 0 {
            let fell = fell.max(ended.saturating_sub(shown));
            self.back = self.back.saturating_add(fell);
            self.set_back(fell, number);
        }
        written.saturating_add(self.back)
    }

    /// A time of day with the days that have passed.
    fn with_days(&mut self, written: u64, number: u64) -> u64 {
        let time = written.saturating_add(self.days.saturating_mul(DAY));
        if time.saturating_add(DAY / 2) < self.written {
            self.days += 1;
            self.remarks
                .push(format!("line {number}: a new day begins"));
            return time.saturating_add(DAY);
        }
        // A call that began before midnight may be written after one that began later.
        let late = self.days > 0 && time.saturating_sub(DAY).abs_diff(self.written) < DAY / 24;
        if late { time - DAY } else { time }
    }

    fn set_back(&mut self, fell: u64, number: u64) {
        const MOST: usize = 3;
        let by = match fell / MILLISECOND {
            ms @ ..1000 => format!("{ms} ms"),
            ms => format!("{} s", (ms + 500) / 1000),
        };
        match self.remarks.len() {
            ..MOST => self.remarks.push(format!(
                "line {number}: the clock was set back by {by}; the order of the recording is kept"
            )),
            MOST => self.remarks.push(
                "the clock was set back more often; the order of the recording is kept".to_owned(),
            ),
            _ => {}
        }
    }

    /// A task's call has ended.
    pub fn ended(&mut self, task: Option<u32>, at: u64) {
        let task = self.tasks.entry(task).or_default();
        task.ended = task.ended.max(at);
    }

    pub fn forget(&mut self, task: Option<u32>) {
        self.tasks.remove(&task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn day(seconds: u64) -> Stamp {
        Stamp {
            absolute: Some(seconds * SECOND),
            day: true,
            ..Stamp::default()
        }
    }

    fn since(ns: u64) -> Stamp {
        Stamp {
            relative: Some(ns),
            ..Stamp::default()
        }
    }

    #[test]
    fn differences_are_summed_over_all_tasks() {
        let mut clock = Clock::default();
        assert_eq!(clock.read(since(0), None, 1), Some(0));
        assert_eq!(clock.read(since(5), Some(7), 2), Some(5));
        assert_eq!(clock.read(since(7), None, 3), Some(12));
        assert_eq!(clock.kind, Some(Kind::Relative));
    }

    #[test]
    fn midnight_is_noticed_once() {
        let mut clock = Clock::default();
        assert_eq!(clock.read(day(86_399), Some(1), 1), Some(86_399 * SECOND));
        assert_eq!(clock.read(day(86_399), Some(2), 2), Some(86_399 * SECOND));
        assert_eq!(clock.read(day(1), Some(1), 3), Some(86_401 * SECOND));
        assert_eq!(clock.read(day(2), Some(2), 4), Some(86_402 * SECOND));
        assert_eq!(clock.remarks.len(), 1, "{:?}", clock.remarks);
    }

    #[test]
    fn a_clock_set_back_goes_on_from_where_the_last_call_ended() {
        let mut clock = Clock::default();
        assert_eq!(clock.read(day(1000), None, 1), Some(1000 * SECOND));
        clock.ended(None, 1005 * SECOND);
        assert_eq!(clock.read(day(900), None, 2), Some(1005 * SECOND));
        assert_eq!(clock.read(day(901), None, 3), Some(1006 * SECOND));
        let [remark] = &clock.remarks[..] else {
            panic!("{:?}", clock.remarks)
        };
        assert!(
            remark.contains("line 2") && remark.contains("105 s"),
            "{remark}"
        );
    }

    #[test]
    fn whole_seconds_are_no_fall() {
        let mut clock = Clock::default();
        let coarse = |seconds| Stamp {
            coarse: true,
            ..day(seconds)
        };
        assert_eq!(clock.read(coarse(10), None, 1), Some(10 * SECOND));
        clock.ended(None, 10 * SECOND + 900_000_000);
        assert_eq!(clock.read(coarse(10), None, 2), Some(10_900_000_000));
        assert_eq!(clock.read(coarse(11), None, 3), Some(11 * SECOND));
        assert!(clock.remarks.is_empty());
    }

    #[test]
    fn a_line_without_a_time_has_that_of_the_line_before() {
        let mut clock = Clock::default();
        assert_eq!(clock.read(Stamp::default(), None, 1), None);
        assert_eq!(clock.read(day(3), None, 2), Some(3 * SECOND));
        assert_eq!(clock.read(Stamp::default(), Some(9), 3), Some(3 * SECOND));
    }
}
