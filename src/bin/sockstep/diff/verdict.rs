//! What `sockstep diff` finds out about each task, and about all of them. report.rs shows it.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use std::sync::atomic::{AtomicBool, Ordering};

use crate::diff::compare::{Aside, Calls, Comparison, Lines, Verdict, View, compare};
use crate::diff::normalise::Forms;
use crate::diff::play::Run;
use crate::diff::task::Task;
use crate::draw::page::compared::Marked;

/// The two that are compared.
pub struct Sides {
    pub names: [&'static str; 2],
    /// The right one is the left one's C twin: some differences are expected.
    pub twins: bool,
    /// Commands of the user, if the programs are not ours: a server and a client for each.
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
    /// What crossed between client and server.
    pub conversation: Comparison,
    pub tasks: Vec<Compared>,
    /// How often each side was run.
    pub runs: usize,
    /// What went wrong around the programs: on which side, and what.
    pub trouble: Vec<(usize, String)>,
    /// What a person should know, likewise.
    pub notes: Vec<(usize, String)>,
    /// A run of either side, if a page or a file is wanted.
    pub marked: Option<[Marked; 2]>,
}

impl Judged {
    pub fn diverges(&self) -> bool {
        self.tasks.iter().any(|task| task.comparison.diverges()) || self.conversation.diverges()
    }
}

pub struct Compared {
    pub name: String,
    pub comparison: Comparison,
    /// The tasks of a side that are compared as one, socket by socket, if which of them does what varies: how many.
    pub together: usize,
}

impl Compared {
    pub fn lines(&self) -> [&Lines; 2] {
        [&self.comparison.left, &self.comparison.right]
    }

    /// How many lines vary by themselves.
    fn varying(&self) -> usize {
        self.lines().into_iter().map(Lines::varying).sum()
    }

    /// Whether this coarser view of the same says more: the two are the same, or little varies any more.
    fn is_better_than(&self, finer: &Compared) -> bool {
        let key = |one: &Compared| (one.comparison.diverges(), one.varying() > 0);
        let same = self.comparison.diverges() == finer.comparison.diverges();
        key(self) < key(finer) || same && 2 * self.varying() < finer.varying()
    }
}

/// How a case is judged.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    pub twins: bool,
    pub calls: Calls,
    pub stop: &'a AtomicBool,
}

/// Judges a case by its runs, as many of the left side as of the right. A task that one does not have is empty there.
pub fn judge(case: Case, rules: Rules, runs: &[Vec<Run>; 2]) -> Judged {
    let mut names: Vec<&String> = Vec::new();
    for task in runs.iter().flatten().flat_map(|run| &run.tasks) {
        if !names.contains(&&task.name) {
            names.push(&task.name);
        }
    }
    let of_task = |name: &&String| {
        let of_run = |run: &Run| {
            let task = run.tasks.iter().find(|task| task.name == **name);
            task.map_or_else(Lines::default, |task| {
                Lines::new(task, rules.calls, !rules.twins)
            })
        };
        compared(
            name,
            rules,
            &runs
                .each_ref()
                .map(|runs| runs.iter().map(of_run).collect()),
        )
    };
    let mut tasks: Vec<Compared> = names.iter().map(of_task).collect();
    if !rules.twins && rules.calls == Calls::Network {
        for side in ["server", "client"] {
            together(side, rules, runs, &mut tasks);
        }
        // Threads of a runtime that have no part in it.
        tasks.retain(|task| {
            task.name == "server"
                || task.name == "client"
                || task.lines().iter().any(|lines| !lines.lines.is_empty())
        });
    }
    let words = |of: fn(&Run) -> &Option<String>| {
        let mut words: Vec<(usize, String)> = Vec::new();
        for (side, run) in runs
            .iter()
            .enumerate()
            .flat_map(|(side, runs)| runs.iter().map(move |run| (side, run)))
        {
            words.extend(of(run).iter().map(|said| (side, said.clone())));
        }
        words.dedup();
        words
    };
    let conversation = runs
        .each_ref()
        .map(|runs| runs.iter().map(|run| run.conversation.clone()).collect());
    Judged {
        case,
        conversation: compared("conversation", rules, &conversation).comparison,
        tasks,
        runs: runs[0].len(),
        trouble: words(|run| &run.trouble),
        notes: words(|run| &run.note),
        marked: None,
    }
}

/// Compares what a task did in all runs of either side. What varies between the runs of one side counts for nothing, and so
/// does how finely one looks: the view in which least varies is the one that counts.
pub fn compared(name: &str, rules: Rules, runs: &[Vec<Lines>; 2]) -> Compared {
    let mut best: Option<Compared> = None;
    // Twins are compared call by call; only the kernel's own cuts are joined.
    let views = if rules.twins {
        &View::ALL[..2]
    } else {
        &View::ALL[..]
    };
    for &view in views {
        // Waits count, unless they are chance.
        if view > View::Joined && best.as_ref().is_some_and(|best| best.varying() == 0) {
            break;
        }
        let [left, right] = runs.each_ref().map(|runs| {
            let mut all = runs.iter().map(|run| run.seen(view));
            let mut first = all.next().unwrap_or_default();
            for run in all.take_while(|_| !rules.stop.load(Ordering::Relaxed)) {
                first.take_in(&run, rules.stop);
            }
            first
        });
        let next = Compared {
            name: name.to_owned(),
            comparison: compare(left, right, rules.twins, rules.stop),
            together: 0,
        };
        if best.as_ref().is_none_or(|best| next.is_better_than(best)) {
            best = Some(next);
        }
        let settled = |best: &Compared| best.varying() == 0 && !best.comparison.diverges();
        if best.as_ref().is_some_and(settled) || rules.stop.load(Ordering::Relaxed) {
            break;
        }
    }
    best.expect("there are views")
}

/// Compares the tasks of a side as one, if less varies so: which of several threads or processes serves a client is chance.
fn together(side: &str, rules: Rules, runs: &[Vec<Run>; 2], tasks: &mut Vec<Compared>) {
    let is_of = |name: &str| (name.starts_with("client")) == (side == "client");
    let own: Vec<&Compared> = tasks.iter().filter(|task| is_of(&task.name)).collect();
    let varying: usize = own.iter().map(|task| task.varying()).sum();
    if own.len() < 2 || varying == 0 {
        return;
    }
    let count = own.len();
    let all = runs.each_ref().map(|runs| {
        let of_run = |run: &Run| {
            let own = run.tasks.iter().filter(|task| is_of(&task.name));
            Lines::by_socket(&Task::together(&own.collect::<Vec<_>>()), rules.calls)
        };
        runs.iter().map(of_run).collect()
    });
    let mut one = compared(side, rules, &all);
    one.together = count;
    if one.varying() < varying {
        let place = tasks
            .iter()
            .position(|task| is_of(&task.name))
            .unwrap_or_default();
        tasks.retain(|task| !is_of(&task.name));
        tasks.insert(place.min(tasks.len()), one);
    }
}

/// What the tasks have in common.
#[derive(Default)]
pub struct Totals {
    pub cases: usize,
    pub tasks: usize,
    /// How often each of [`Verdict::ALL`].
    pub verdicts: [usize; 4],
    /// In how many cases the conversation was not the same.
    pub conversations: usize,
    pub forms: Forms,
    /// For each kind of call set aside: how often either side made it.
    pub aside: BTreeMap<(Aside, String), [usize; 2]>,
    /// For each expected difference, by its number: how often it was met.
    pub expected: BTreeMap<usize, usize>,
}

impl Totals {
    pub fn add(&mut self, judged: &Judged) {
        self.cases += 1;
        self.conversations += usize::from(judged.conversation.diverges());
        for task in &judged.tasks {
            self.tasks += 1;
            self.verdicts[task.comparison.verdict as usize] += 1;
            self.forms.add_all(&task.comparison.forms);
            for reason in task.comparison.expected() {
                *self.expected.entry(reason).or_default() += 1;
            }
            for (side, lines) in task.lines().into_iter().enumerate() {
                for (aside, line) in &lines.aside {
                    let call = match aside {
                        Aside::Elsewhere => "other calls".to_owned(),
                        _ => call_of(line),
                    };
                    self.aside.entry((*aside, call)).or_default()[side] += 1;
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
