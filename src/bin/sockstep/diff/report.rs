//! What a person sees of `sockstep diff`: the verdicts as they come, and at the end what they have in common.

use std::fmt::Write; // into memory, which does not fail

use sockstep::Result;

use crate::diff::compare::{Comparison, Row, Verdict};
use crate::diff::expected::EXPECTED;
use crate::diff::normalise::Forms;
use crate::diff::verdict::{Judged, Lane, Sides, Totals, letter};
use crate::draw::terminal::{Style, put};

/// Lines shown before and after a difference.
const CONTEXT: usize = 2;
/// Columns of the output.
const COLUMNS: usize = 80;

pub struct Report<'a> {
    style: Style,
    sides: &'a Sides,
    raw: bool,
    pair: Option<String>,
}

impl Report<'_> {
    pub fn begin(sides: &Sides, raw: bool) -> Result<Report<'_>> {
        let style = Style::of_standard_output();
        if let Some([[server, client], [other_server, other_client]]) = &sides.commands {
            let mut text = String::new();
            for (what, left, right) in [
                ("server", server, other_server),
                ("client", client, other_client),
            ] {
                if left == right {
                    let _ = writeln!(text, "{what}:   {left}");
                } else {
                    let _ = writeln!(text, "{what} {}: {left}", sides.names[0]);
                    let _ = writeln!(text, "{what} {}: {right}", sides.names[1]);
                }
            }
            put(text.as_bytes())?;
        }
        Ok(Report {
            style,
            sides,
            raw,
            pair: None,
        })
    }

    pub fn case(&mut self, judged: &Judged) -> Result<()> {
        let mut text = String::new();
        let case = &judged.case;
        if self.sides.commands.is_none() {
            if self.pair.as_ref() != Some(&case.pair) {
                if self.pair.is_some() {
                    text.push('\n');
                }
                let _ = writeln!(text, "{}", self.style.paint("1", &case.pair));
                self.pair = Some(case.pair.clone());
            }
            let _ = writeln!(text, "  {}: {}", case.scenario, case.about);
        }
        for lane in &judged.lanes {
            self.lane(lane, &mut text);
        }
        for (colour, words) in [("31", &judged.trouble), ("33", &judged.notes)] {
            for (side, words) in words {
                let name = self.style.paint(colour, self.sides.names[*side]);
                let _ = writeln!(text, "    {name}: {words}");
            }
        }
        put(text.as_bytes())
    }

    fn lane(&self, lane: &Lane, text: &mut String) {
        let Lane {
            name,
            comparison,
            own,
        } = lane;
        let names = self.sides.names;
        let lines = lane.scripts().map(|script| script.lines.len());
        let mut words = Vec::new();
        if let Some(only) = lines.iter().position(|&other| other == 0) {
            words.push(format!("only in {}", names[1 - only]));
        }
        let expected: Vec<String> = comparison
            .expected()
            .map(|reason| letter(reason).to_string())
            .collect();
        if !expected.is_empty() {
            words.push(expected.join(", "));
        }
        if !comparison.diverges() && !comparison.forms.is_empty() {
            words.push(forms(&comparison.forms));
        }
        let aside: usize = lane.scripts().map(|script| script.aside.len()).iter().sum();
        if aside > 0 {
            words.push(format!("{aside} aside"));
        }
        let calls = format!("{} lines", if lines[0] > 0 { lines[0] } else { lines[1] });
        let colour = if comparison.diverges() { "31" } else { "32" };
        let word = format!("{:9}", comparison.verdict.word());
        let mut about = String::new();
        let mut column = 34;
        for word in words.join("; ").split_inclusive([',', ';']) {
            if column + word.len() > COLUMNS {
                let _ = write!(about, "\n{:33}", "");
                column = 33;
            }
            about += word;
            column += word.len();
        }
        *text += format!(
            "    {name:8} {calls:>9}  {} {about}",
            self.style.paint(colour, &word),
        )
        .trim_end();
        text.push('\n');

        for (name, own) in names.iter().zip(own) {
            if own.diverges() {
                let words = format!("{name} varies by itself, run 1 and run 2:");
                let _ = writeln!(text, "      {}", self.style.paint("31", &words));
                self.hunks(own, ["1", "2"], text);
            } else if own.pieces() > 0 {
                let _ = writeln!(text, "      {name} varies by itself, by its pieces");
            }
        }
        if comparison.diverges() {
            self.hunks(comparison, names, text);
        }
        if self.raw {
            for (name, script) in names.iter().zip(lane.scripts()) {
                for (aside, line) in &script.aside {
                    let _ = writeln!(text, "      {name:4} {}: {line}", aside.name());
                }
            }
        }
    }

    /// The differences, numbered as the lines are, with a few lines around each.
    fn hunks(&self, comparison: &Comparison, names: [&str; 2], text: &mut String) {
        let Comparison {
            left, right, rows, ..
        } = comparison;
        let differs = |row: &Row| matches!(row, Row::Left(_) | Row::Right(_));
        let near = |at: usize| {
            rows[at.saturating_sub(CONTEXT)..rows.len().min(at + CONTEXT + 1)]
                .iter()
                .any(differs)
        };
        let mut gap = false;
        for (at, row) in rows.iter().enumerate() {
            if !near(at) {
                gap = true;
                continue;
            }
            if std::mem::take(&mut gap) {
                *text += "      ...\n";
            }
            // A line that stands for another: the two may differ far behind what is shown of them.
            let other = if differs(row) {
                comparison.counterpart(at)
            } else {
                None
            };
            let (mark, colour, number, line) = match *row {
                Row::Both(l, _) => (' ', "", l, &left.lines[l].text),
                Row::Expected(l, reason) => (letter(reason), "33", l, &left.lines[l].text),
                Row::Left(l) => ('-', "31", l, &left.lines[l].text),
                Row::Right(r) => ('+', "32", r, &right.lines[r].text),
            };
            let name = match row {
                Row::Both(..) => "",
                Row::Left(_) | Row::Expected(..) => names[0],
                Row::Right(_) => names[1],
            };
            let start = format!("      {mark} {name:4} {:>3} ", number + 1);
            let line = window(
                line,
                other.map_or(0, |other| first_difference(line, &other.text)),
                COLUMNS - start.len(),
            );
            *text += self
                .style
                .paint(colour, &format!("{start}{line}"))
                .trim_end();
            text.push('\n');
        }
    }

    /// What all verdicts have in common.
    pub fn end(&self, totals: &Totals) -> Result<()> {
        let [left, right] = self.sides.names;
        let mut text = String::from("\n");
        if !totals.forms.is_empty() {
            text += "Normalised before the comparison:\n";
            for (form, count) in &totals.forms {
                wrap(
                    &format!("  {:8} {count:>5}  {}", form.name(), form.meaning()),
                    17,
                    &mut text,
                );
            }
        }
        if !totals.expected.is_empty() {
            let _ = writeln!(text, "Expected, in {left} alone:");
            for (&reason, count) in &totals.expected {
                let expected = &EXPECTED[reason];
                let _ = writeln!(
                    text,
                    "  {} {count:>5} x  {}...{}",
                    letter(reason),
                    expected.call,
                    expected.end
                );
                wrap(&format!("             {}", expected.reason), 13, &mut text);
            }
        }
        if !totals.aside.is_empty() {
            text += "Set aside, not compared (--raw shows them):\n";
            for ((aside, call), [lefts, rights]) in &totals.aside {
                let counts = format!("  {call:14} {lefts:>4} in {left} {rights:>4} in {right}  ");
                wrap(
                    &format!("{counts}{}", aside.reason()),
                    counts.len(),
                    &mut text,
                );
            }
        }
        let verdicts = Verdict::ALL.map(|verdict| {
            let count = totals.verdicts[verdict as usize];
            format!("{count} {}", verdict.word())
        });
        let summary = format!("{} lanes: {}", totals.lanes, verdicts.join(", "));
        let colour = if totals.diverge() { "1;31" } else { "1;32" };
        let _ = writeln!(text, "{}", self.style.paint(colour, &summary));
        put(text.as_bytes())
    }
}

/// `port 3, pointer 1`
fn forms(forms: &Forms) -> String {
    let forms: Vec<String> = forms
        .iter()
        .map(|(form, count)| format!("{} {count}", form.name()))
        .collect();
    forms.join(", ")
}

fn first_difference(one: &str, other: &str) -> usize {
    one.chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count()
}

/// What fits of a line, its beginning and the neighbourhood of one character.
fn window(line: &str, around: usize, columns: usize) -> String {
    let characters: Vec<char> = line.chars().collect();
    let head = columns / 3;
    if characters.len() <= columns {
        return line.to_owned();
    }
    if around + 10 < columns {
        return characters[..columns - 3].iter().collect::<String>() + "...";
    }
    let room = columns - head - 6;
    let from = (around - room / 3).min(characters.len() - room);
    let tail: String = characters[from..from + room].iter().collect();
    let more = if from + room < characters.len() {
        "..."
    } else {
        ""
    };
    format!(
        "{}...{tail}{more}",
        characters[..head].iter().collect::<String>()
    )
}

/// Appends text in lines of 80 columns, the later ones indented.
fn wrap(words: &str, indent: usize, text: &mut String) {
    let start = words.len() - words.trim_start().len();
    let mut column = indent.min(start);
    text.push_str(&words[..start]);
    column = column.max(start);
    let mut first = true;
    for word in words[start..].split(' ') {
        let len = word.chars().count();
        if !first && column + 1 + len > COLUMNS {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if !first {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += len;
        first = false;
    }
    text.push('\n');
}
