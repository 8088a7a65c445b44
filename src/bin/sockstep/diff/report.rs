//! The report of `sockstep diff`: the verdicts as they come, and a summary at the end.

pub mod json;

use std::fmt::Write; // writing into memory does not fail

use sockstep::Result;

use crate::diff::compare::vary::{differences, kind};
use crate::diff::compare::{Comparison, Line, Row, Verdict, number_of, repeated};
use crate::diff::expected::EXPECTED;
use crate::diff::normalise::Forms;
use crate::diff::verdict::{Compared, Judged, Sides, Totals, letter};
use crate::draw::call::{Payload, brief};
use crate::draw::terminal::{Style, put};

/// Lines shown before and after a difference.
const CONTEXT: usize = 2;
/// The most varying lines shown.
const VARYING: usize = 8;
/// Wide enough for a call in one row.
const ONE_ROW: usize = 1 << 20;

pub struct Report<'a> {
    style: Style,
    columns: usize,
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
                if left.is_empty() {
                    continue; // a built-in script
                }
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
            columns: style.columns("report"),
            sides,
            raw,
            pair: None,
        })
    }

    pub fn case(&mut self, judged: &Judged) -> Result<()> {
        let mut text = String::new();
        let case = &judged.case;
        if !case.pair.is_empty() && self.pair.as_ref() != Some(&case.pair) {
            if self.pair.is_some() {
                text.push('\n');
            }
            let _ = writeln!(text, "{}", self.style.paint("1", &case.pair));
            self.pair = Some(case.pair.clone());
        }
        if !case.scenario.is_empty() {
            let _ = writeln!(text, "  {}: {}", case.scenario, case.about);
        }
        self.conversation(&judged.conversation, &mut text);
        for task in &judged.tasks {
            self.task(task, judged.runs, &mut text);
        }
        for (colour, words) in [("31", &judged.trouble), ("33", &judged.notes)] {
            for (side, words) in words {
                let name = self.style.paint(colour, self.sides.names[*side]);
                let _ = writeln!(text, "    {name}: {words}");
            }
        }
        put(text.as_bytes())
    }

    /// Shows whether the conversation was the same: always for any two programs, for twins only if
    /// it was not.
    fn conversation(&self, conversation: &Comparison, text: &mut String) {
        if conversation.rows.is_empty() {
            return;
        }
        if conversation.diverges() {
            let words = self.style.paint("31", "different conversation:");
            let _ = writeln!(text, "    {words}");
            self.hunks(conversation, self.sides.names, text);
        } else if !self.sides.twins {
            let words = self.style.paint("32", "same conversation");
            let varying = conversation.left.varying() + conversation.right.varying();
            let varies = if varying > 0 {
                format!(", varies {varying}")
            } else {
                String::new()
            };
            let lines = conversation.left.lines.len();
            let _ = writeln!(text, "    {words}, {lines} lines{varies}");
        }
    }

    fn task(&self, task: &Compared, runs: usize, text: &mut String) {
        let Compared {
            name,
            comparison,
            together,
            ..
        } = task;
        let names = self.sides.names;
        let lines = task.lines().map(|lines| lines.lines.len());
        let mut words = Vec::new();
        if let Some(only) = lines.iter().position(|&other| other == 0) {
            if lines != [0, 0] {
                words.push(format!("only in {}", names[1 - only]));
            }
        }
        if *together > 0 {
            words.push(format!("{together} tasks as one"));
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
        let aside: usize = task.lines().map(|lines| lines.aside.len()).iter().sum();
        if aside > 0 {
            words.push(format!("{aside} set aside"));
        }
        let calls = format!("{} lines", if lines[0] > 0 { lines[0] } else { lines[1] });
        let colour = if comparison.diverges() { "31" } else { "32" };
        let word = format!("{:9}", comparison.verdict.word());
        let mut about = String::new();
        let mut column = 34;
        for word in words.join("; ").split_inclusive([',', ';']) {
            if column + word.len() > self.columns {
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

        self.varying(comparison, runs, text);
        if comparison.diverges() {
            self.hunks(comparison, names, text);
        }
        if self.raw {
            for (name, lines) in names.iter().zip(task.lines()) {
                for (aside, line) in &lines.aside {
                    let _ = writeln!(text, "      {name:4} {}: {line}", aside.name());
                }
            }
        }
    }

    /// Lines that differ between the runs of one side, and so are not compared.
    fn varying(&self, comparison: &Comparison, runs: usize, text: &mut String) {
        for (name, lines) in [&comparison.left, &comparison.right]
            .iter()
            .zip(self.sides.names)
            .map(|(lines, name)| (name, lines))
        {
            if lines.varying() == 0 {
                continue;
            }
            let words = format!("{name} varies in {runs} runs; * and ? are not compared:");
            let _ = writeln!(text, "      {}", self.style.paint("33", &words));
            let varies = |line: &&Line| line.optional || !line.varies.is_empty();
            let all = lines.lines.iter().filter(varies);
            if let Some(more) = lines
                .varying()
                .checked_sub(VARYING)
                .filter(|&more| more > 0)
            {
                let _ = writeln!(
                    text,
                    "      {VARYING} of them, and {more} more with --json:"
                );
            }
            for line in all.take(VARYING) {
                let (mark, shown) = match (line.optional, line.varies.is_empty()) {
                    (true, _) => ('?', short(line)),
                    (false, false) => ('~', line.pattern()),
                    _ => continue,
                };
                let around = shown.chars().position(|c| c == '*').filter(|_| mark == '~');
                self.row(
                    mark,
                    name,
                    line.number,
                    "33",
                    &shown,
                    around.unwrap_or(0),
                    text,
                );
            }
        }
    }

    /// The differences, by line number, with a few lines around each.
    fn hunks(&self, comparison: &Comparison, names: [&str; 2], text: &mut String) {
        let rows = &comparison.rows;
        let counterparts = comparison.counterparts();
        let near = |at: usize| {
            rows[at.saturating_sub(CONTEXT)..rows.len().min(at + CONTEXT + 1)]
                .iter()
                .any(Row::differs)
        };
        let (mut gists, mut shown) = (Vec::new(), Vec::new());
        let mut gap = false;
        for (at, &row) in rows.iter().enumerate() {
            if !near(at) {
                gap = true;
                continue;
            }
            if std::mem::take(&mut gap) {
                gists.push(0);
                shown.push("      ...\n".to_owned());
            }
            let (mark, colour, name) = match row {
                Row::Both(..) => (' ', "", ""),
                Row::Expected(_, reason) => (letter(reason), "33", names[0]),
                Row::Varies(side, _) => ('?', "33", names[side]),
                Row::Left(_) => ('-', "31", names[0]),
                Row::Right(_) => ('+', "32", names[1]),
            };
            let line = comparison.line(row);
            let other = counterparts[at].map(|other| comparison.line(rows[other]));
            // A line that replaces another: the two may differ only beyond the part shown.
            let (words, around) = match other {
                Some(other) => beside(line, other),
                None => (short(line), 0),
            };
            let mut text = String::new();
            self.row(mark, name, line.number, colour, &words, around, &mut text);
            gists.push(gist(mark, line, other));
            shown.push(text);
        }
        let mut at = 0;
        while at < shown.len() {
            let (period, times) = repeated(&gists[at..]).unwrap_or((1, 0));
            *text += &shown[at..at + period].concat();
            at += period * (times + 1);
            if times > 0 {
                let words = format!(
                    "... the last {period} rows {times} times more, with other bytes (--json shows all)"
                );
                let _ = writeln!(text, "      {words}");
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "a row has so many parts")]
    fn row(
        &self,
        mark: char,
        name: &str,
        number: usize,
        colour: &str,
        shown: &str,
        around: usize,
        text: &mut String,
    ) {
        let number = Some(number).filter(|&number| number > 0);
        let number = number.map_or_else(String::new, |number| number.to_string());
        let start = format!("      {mark} {name:4} {number:>3} ");
        let line = window(shown, around, self.columns - start.len());
        let row = format!("{start}{line}");
        *text += self.style.paint(colour, row.trim_end()).as_str();
        text.push('\n');
    }

    /// The summary of all verdicts.
    pub fn end(&self, totals: &Totals) -> Result<()> {
        let [left, right] = self.sides.names;
        let mut text = String::from("\n");
        if !totals.forms.is_empty() {
            text += "Normalised before the comparison:\n";
            for (form, count) in totals.forms.iter() {
                self.wrap(
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
                self.wrap(&format!("             {}", expected.reason), 13, &mut text);
            }
        }
        if !totals.aside.is_empty() {
            text += "Set aside, not compared (--raw shows them):\n";
            for ((aside, call), [lefts, rights]) in &totals.aside {
                let counts = format!("  {call:14} {lefts:>4} in {left} {rights:>4} in {right}  ");
                self.wrap(
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
        let plural = if totals.tasks == 1 { "" } else { "s" };
        let mut summary = format!("{} task{plural}: {}", totals.tasks, verdicts.join(", "));
        if totals.conversations > 0 {
            let _ = write!(
                summary,
                "; {} of {} conversations differ",
                totals.conversations, totals.cases
            );
        }
        let colour = if totals.diverge() { "1;31" } else { "1;32" };
        let mut lines = String::new();
        self.wrap(&summary, 0, &mut lines);
        let _ = writeln!(text, "{}", self.style.paint(colour, lines.trim_end()));
        put(text.as_bytes())
    }

    /// Appends text in lines as wide as the window, the later ones indented.
    fn wrap(&self, words: &str, indent: usize, text: &mut String) {
        wrap(words, indent, self.columns, text);
    }
}

/// A line in the ladder's short form.
fn short(line: &Line) -> String {
    line.call().map_or_else(
        || line.text.to_string(),
        |call| brief(&call, Payload::Text, ONE_ROW).concat(),
    )
}

/// The same for a line that differs from another: the whole line if the short form hides the
/// difference. Also returns the place of the difference.
fn beside(line: &Line, other: &Line) -> (String, usize) {
    let (own, others) = (short(line), short(other));
    if own == others {
        let around = first_difference(&line.text, &other.text);
        return (line.text.to_string(), around);
    }
    let around = first_difference(&own, &others);
    (own, around)
}

/// The same number for rows that say the same of different bytes: on which side the call is, on what, and how it differs from
/// what stands in its place on the other.
fn gist(mark: char, line: &Line, other: Option<&Line>) -> u64 {
    // Where a stream is cut in other places, each piece has other bytes than its counterpart.
    let how = other.map(|other| {
        let same_bytes = bytes(&line.text) == bytes(&other.text);
        same_bytes.then(|| differences(&line.text, &other.text))
    });
    number_of(&format!("{mark}{:?}{how:?}", kind(&line.text)))
}

/// What a call has moved, as its line shows it.
fn bytes(line: &str) -> &str {
    let quoted = line.find('"').zip(line.rfind('"'));
    match (quoted, line.split_once(" bytes: ")) {
        (Some((from, to)), _) => &line[from..to],
        (None, Some((_, bytes))) => bytes,
        (None, None) => "",
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

/// The part of a line that fits: its beginning, and the text around one character.
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

fn wrap(words: &str, indent: usize, columns: usize, text: &mut String) {
    let start = words.len() - words.trim_start().len();
    let mut column = indent.min(start);
    text.push_str(&words[..start]);
    column = column.max(start);
    let mut first = true;
    for word in words[start..].split(' ') {
        let len = word.chars().count();
        if !first && column + 1 + len > columns {
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
