//! `sockstep diff --json`: the report for programs. The verb's help lists the keys.

use std::collections::BTreeMap;

use sockstep::Result;

use crate::diff::compare::{Aside, Comparison, Lines, Row, Verdict};
use crate::diff::expected::EXPECTED;
use crate::diff::verdict::{Compared, Judged, Sides, Totals, call_of, letter};
use crate::draw::json::{array, object, text, version};
use crate::draw::terminal::put;

pub struct ReportJson<'a> {
    sides: &'a Sides,
    raw: bool,
}

impl ReportJson<'_> {
    pub fn begin(sides: &Sides, raw: bool) -> Result<ReportJson<'_>> {
        version()?;
        let report = ReportJson { sides, raw };
        if let Some(commands) = &sides.commands {
            let of_side = commands.each_ref().map(|[server, client]| {
                object(&[("server", text(server)), ("client", text(client))])
            });
            line(&[
                ("kind", text("commands")),
                ("commands", report.both(of_side)),
            ])?;
        }
        Ok(report)
    }

    pub fn case(&self, judged: &Judged) -> Result<()> {
        let case = &judged.case;
        let mut place = Vec::new();
        if !case.pair.is_empty() {
            place.push(("pair", text(&case.pair)));
        }
        if !case.scenario.is_empty() {
            place.push(("scenario", text(&case.scenario)));
            place.push(("about", text(&case.about)));
        }
        let of_kind = |kind| [vec![("kind", text(kind))], place.clone()].concat();
        if !judged.conversation.rows.is_empty() {
            line(&[of_kind("conversation"), self.conversation(judged)].concat())?;
        }
        for task in &judged.tasks {
            line(&[of_kind("task"), self.task(task, judged.runs)].concat())?;
        }
        for (kind, all) in [("trouble", &judged.trouble), ("note", &judged.notes)] {
            for (side, words) in all {
                let side = text(self.sides.names[*side]);
                let words = vec![("side", side), ("text", text(words))];
                line(&[of_kind(kind), words].concat())?;
            }
        }
        Ok(())
    }

    fn conversation(&self, judged: &Judged) -> Vec<(&'static str, String)> {
        let conversation = &judged.conversation;
        let word = if conversation.diverges() {
            "different"
        } else {
            "same"
        };
        let lines = |lines: &Lines| array(lines.lines.iter().map(|line| text(line.pattern())));
        let both = [lines(&conversation.left), lines(&conversation.right)];
        vec![
            ("verdict", text(word)),
            ("lines", self.both(both)),
            ("varies", self.varying(conversation)),
            ("differences", differences(conversation, self.sides.names)),
        ]
    }

    fn task(&self, task: &Compared, runs: usize) -> Vec<(&'static str, String)> {
        let Compared {
            name,
            comparison,
            together,
            ..
        } = task;
        let forms = comparison.forms.iter();
        let forms: Vec<_> = forms
            .map(|(form, count)| (form.name(), count.to_string()))
            .collect();
        let expected = comparison.rows.iter().filter_map(|row| match *row {
            Row::Expected(at, reason) => Some(object(&[
                ("letter", text(letter(reason).to_string())),
                ("line", comparison.left.lines[at].number.to_string()),
                ("text", text(&comparison.left.lines[at].text)),
                ("reason", text(EXPECTED[reason].reason)),
            ])),
            _ => None,
        });
        let lines = task.lines().map(|lines| lines.lines.len().to_string());
        let aside = task.lines().map(|lines| self.aside(lines));
        let mut pairs = vec![
            ("task", text(name)),
            ("verdict", text(comparison.verdict.word())),
            ("lines", self.both(lines)),
            ("normalised", object(&forms)),
            ("expected", array(expected)),
            ("set_aside", self.both(aside)),
            ("runs", runs.to_string()),
            ("varies", self.varying(comparison)),
            ("differences", differences(comparison, self.sides.names)),
        ];
        if *together > 0 {
            pairs.push(("together", together.to_string()));
        }
        pairs
    }

    /// Lines that differ between the runs of one side.
    fn varying(&self, comparison: &Comparison) -> String {
        let sides = [&comparison.left, &comparison.right];
        let lines = sides.into_iter().zip(self.sides.names);
        let lines =
            lines.flat_map(|(lines, name)| lines.lines.iter().map(move |line| (line, name)));
        let varies = lines.filter(|(line, _)| line.optional || !line.varies.is_empty());
        array(varies.map(|(line, name)| {
            object(&[
                ("side", text(name)),
                ("line", line.number.to_string()),
                ("text", text(line.pattern())),
                ("optional", line.optional.to_string()),
            ])
        }))
    }

    /// How often each call was set aside, or with `--raw` in which lines.
    fn aside(&self, lines: &Lines) -> String {
        let mut calls: BTreeMap<(Aside, String), Vec<String>> = BTreeMap::new();
        for (aside, line) in &lines.aside {
            calls
                .entry((*aside, call_of(line)))
                .or_default()
                .push(text(line));
        }
        array(calls.into_iter().map(|((aside, call), lines)| {
            let mut pairs = vec![
                ("call", text(call)),
                ("why", text(aside.name())),
                ("count", lines.len().to_string()),
            ];
            if self.raw {
                pairs.push(("lines", array(lines.into_iter())));
            }
            object(&pairs)
        }))
    }

    pub fn end(&self, totals: &Totals) -> Result<()> {
        let verdicts = Verdict::ALL.map(|verdict| {
            (
                verdict.word(),
                totals.verdicts[verdict as usize].to_string(),
            )
        });
        let forms = totals.forms.iter().map(|(form, count)| {
            object(&[
                ("form", text(form.name())),
                ("count", count.to_string()),
                ("meaning", text(form.meaning())),
            ])
        });
        let expected = totals.expected.iter().map(|(&reason, count)| {
            let expected = &EXPECTED[reason];
            object(&[
                ("letter", text(letter(reason).to_string())),
                ("count", count.to_string()),
                ("begins", text(expected.call)),
                ("ends", text(expected.end)),
                ("before", text(expected.before)),
                ("reason", text(expected.reason)),
            ])
        });
        let aside = totals.aside.iter().map(|((aside, call), counts)| {
            object(&[
                ("call", text(call)),
                ("why", text(aside.name())),
                ("counts", self.both(counts.map(|count| count.to_string()))),
                ("reason", text(aside.reason())),
            ])
        });
        line(&[
            ("kind", text("total")),
            ("tasks", totals.tasks.to_string()),
            ("verdicts", object(&verdicts)),
            ("cases", totals.cases.to_string()),
            ("different_conversations", totals.conversations.to_string()),
            ("normalised", array(forms)),
            ("expected", array(expected)),
            ("set_aside", array(aside)),
        ])
    }

    /// A value for each side.
    fn both(&self, values: [String; 2]) -> String {
        let [left, right] = values;
        let [left_name, right_name] = self.sides.names;
        object(&[(left_name, left), (right_name, right)])
    }
}

/// The differences: for each place, the lines of each side.
fn differences(comparison: &Comparison, names: [&str; 2]) -> String {
    let line = |lines: &Lines, at: usize| {
        let line = &lines.lines[at];
        object(&[
            ("line", line.number.to_string()),
            ("text", text(&line.text)),
            ("raw", text(&line.raw)),
        ])
    };
    let mut places = Vec::new();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for row in comparison.rows.iter().map(Some).chain([None]) {
        match row {
            Some(Row::Left(at)) => left.push(line(&comparison.left, *at)),
            Some(Row::Right(at)) => right.push(line(&comparison.right, *at)),
            _ if left.is_empty() && right.is_empty() => {}
            _ => places.push(object(&[
                (names[0], array(left.drain(..))),
                (names[1], array(right.drain(..))),
            ])),
        }
    }
    array(places.into_iter())
}

fn line(pairs: &[(&str, String)]) -> Result<()> {
    put(format!("{}\n", object(pairs)).as_bytes())
}
