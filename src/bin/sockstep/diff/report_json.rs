//! `sockstep diff --json`: what report.rs shows, for programs. The keys stand in README.md.

use std::collections::BTreeMap;

use sockstep::Result;

use crate::diff::compare::{Aside, Comparison, Row, Script, Verdict};
use crate::diff::expected::EXPECTED;
use crate::diff::verdict::{Judged, Lane, Sides, Totals, call_of, letter};
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
        if self.sides.commands.is_none() {
            place.push(("pair", text(&case.pair)));
            place.push(("scenario", text(&case.scenario)));
            place.push(("about", text(&case.about)));
        }
        let of_kind = |kind| [vec![("kind", text(kind))], place.clone()].concat();
        for lane in &judged.lanes {
            line(&[of_kind("lane"), self.lane(lane)].concat())?;
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

    fn lane(&self, lane: &Lane) -> Vec<(&'static str, String)> {
        let Lane {
            name,
            comparison,
            own,
        } = lane;
        let forms = comparison.forms.iter();
        let forms: Vec<_> = forms
            .map(|(form, count)| (form.name(), count.to_string()))
            .collect();
        let expected = comparison.rows.iter().filter_map(|row| match *row {
            Row::Expected(at, reason) => Some(object(&[
                ("letter", text(letter(reason).to_string())),
                ("line", (at + 1).to_string()),
                ("text", text(&comparison.left.lines[at].text)),
                ("reason", text(EXPECTED[reason].reason)),
            ])),
            _ => None,
        });
        let varying = |(own, _): &(&Comparison, _)| own.diverges() || own.pieces() > 0;
        let varies = own.iter().zip(self.sides.names).filter(varying);
        let varies = varies.map(|(own, name)| {
            object(&[
                ("side", text(name)),
                ("pieces", own.pieces().to_string()),
                ("differences", differences(own, ["1", "2"])),
            ])
        });
        let lines = lane.scripts().map(|script| script.lines.len().to_string());
        let aside = lane.scripts().map(|script| self.aside(script));
        vec![
            ("lane", text(name)),
            ("verdict", text(comparison.verdict.word())),
            ("lines", self.both(lines)),
            ("normalised", object(&forms)),
            ("expected", array(expected)),
            ("set_aside", self.both(aside)),
            ("varies", array(varies)),
            ("differences", differences(comparison, self.sides.names)),
        ]
    }

    /// How often each call was set aside, or with `--raw` in which lines.
    fn aside(&self, script: &Script) -> String {
        let mut calls: BTreeMap<(Aside, String), Vec<String>> = BTreeMap::new();
        for (aside, line) in &script.aside {
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
            ("lanes", totals.lanes.to_string()),
            ("verdicts", object(&verdicts)),
            ("varying", totals.varying.to_string()),
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

/// Where the two differ: for each place, the lines of either.
fn differences(comparison: &Comparison, names: [&str; 2]) -> String {
    let line = |script: &Script, at: usize| {
        object(&[
            ("line", (at + 1).to_string()),
            ("text", text(&script.lines[at].text)),
            ("raw", text(&script.lines[at].raw)),
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
