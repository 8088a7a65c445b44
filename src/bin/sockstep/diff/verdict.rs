//! What `sockstep diff` finds out about each lane, and about all of them. report.rs and report_json.rs show it.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use crate::diff::compare::{Aside, Comparison, Script, Verdict, compare};
use crate::diff::normalise::{Form, Forms};
use crate::diff::play::Recording;

/// The two that are compared.
pub struct Sides {
    pub names: [&'static str; 2],
    /// The right one is the left one's C twin: some differences are expected.
    pub twins: bool,
    /// Their programs, if they are none of ours: for each a server and a client, as the user wrote them.
    pub commands: Option<[[String; 2]; 2]>,
}

/// In what they are compared.
#[derive(Clone, Default)]
pub struct Case {
    pub pair: String,
    pub scenario: String,
    pub about: String,
}

/// As it stands before words about it.
impl Display for Case {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        if self.pair.is_empty() {
            return Ok(());
        }
        write!(f, "{}, {}: ", self.pair, self.scenario)
    }
}

/// A case that has been judged.
pub struct Judged {
    pub case: Case,
    pub lanes: Vec<Lane>,
    /// What went wrong around the programs: on which side, and what.
    pub trouble: Vec<(usize, String)>,
    /// What a person should know, likewise.
    pub notes: Vec<(usize, String)>,
}

pub struct Lane {
    pub name: String,
    pub comparison: Comparison,
    /// For each side, its first recording against its second: what varies by itself, before anyone is blamed for it.
    pub own: [Comparison; 2],
}

impl Lane {
    pub fn scripts(&self) -> [&Script; 2] {
        [&self.comparison.left, &self.comparison.right]
    }
}

/// Judges a case by its recordings: two of the left side, two of the right. A lane that one does not have is empty there.
pub fn judge(case: Case, sides: &Sides, recordings: &[Recording; 4]) -> Judged {
    let mut names: Vec<&String> = Vec::new();
    for lane in recordings.iter().flat_map(|recording| &recording.lanes) {
        if !names.contains(&&lane.name) {
            names.push(&lane.name);
        }
    }
    let lane = |name: &&String| {
        let [left, left_again, right, right_again] = recordings.each_ref().map(|recording| {
            let lane = recording.lanes.iter().find(|lane| lane.name == **name);
            lane.map_or_else(Script::default, |lane| {
                Script::new(&lane.entries, &lane.ports, lane.thread)
            })
        });
        Lane {
            name: (*name).clone(),
            comparison: compare(&left, &right, sides.twins),
            own: [
                compare(&left, &left_again, false),
                compare(&right, &right_again, false),
            ],
        }
    };
    let words = |of: fn(&Recording) -> &Option<String>| {
        let mut words: Vec<(usize, String)> = Vec::new();
        for (run, recording) in recordings.iter().enumerate() {
            words.extend(of(recording).iter().map(|said| (run / 2, said.clone())));
        }
        words.dedup();
        words
    };
    Judged {
        case,
        lanes: names.iter().map(lane).collect(),
        trouble: words(|recording| &recording.trouble),
        notes: words(|recording| &recording.note),
    }
}

/// What the lanes have in common.
#[derive(Default)]
pub struct Totals {
    pub lanes: usize,
    /// How often each of [`Verdict::ALL`].
    pub verdicts: [usize; 4],
    pub forms: Forms,
    /// For each kind of call set aside: how often either side made it.
    pub aside: BTreeMap<(Aside, String), [usize; 2]>,
    /// For each expected difference, by its number: how often it was met.
    pub expected: BTreeMap<usize, usize>,
    /// How many sides of lanes were not the same twice.
    pub varying: usize,
}

impl Totals {
    pub fn add(&mut self, judged: &Judged) {
        for lane in &judged.lanes {
            self.lanes += 1;
            self.verdicts[lane.comparison.verdict as usize] += 1;
            for (form, count) in &lane.comparison.forms {
                *self.forms.entry(*form).or_default() += count;
            }
            for reason in lane.comparison.expected() {
                *self.expected.entry(reason).or_default() += 1;
            }
            for (side, script) in lane.scripts().into_iter().enumerate() {
                for (aside, line) in &script.aside {
                    self.aside.entry((*aside, call_of(line))).or_default()[side] += 1;
                }
            }
            for own in &lane.own {
                if own.diverges() {
                    self.varying += 1;
                } else {
                    for form in [Form::Pieces, Form::Full] {
                        if let Some(count) = own.forms.get(&form) {
                            *self.forms.entry(form).or_default() += count;
                        }
                    }
                }
            }
        }
    }

    pub fn diverge(&self) -> bool {
        self.verdicts[Verdict::Divergent as usize] > 0
    }
}

/// The call's name in a line.
pub fn call_of(line: &str) -> String {
    line.split('(').next().unwrap_or_default().to_owned()
}

/// The letter of an expected difference.
pub fn letter(reason: usize) -> char {
    char::from(b'a' + u8::try_from(reason).unwrap_or_default())
}
