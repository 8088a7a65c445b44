//! The words of a course: calls from ffi-notes.md, all others from words.md. `explain` shows them, and remarks name them.

use sockstep::Errno;

const NOTES: &str = include_str!("../../../../ffi-notes.md");
const WORDS: &str = include_str!("words.md");

/// A heading and its text. The heading has the word, its other names, and the message that goes
/// with it.
#[derive(Clone, Copy)]
pub struct Section {
    pub heading: &'static str,
    pub text: &'static str,
}

impl Section {
    /// The word and its other names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.heading.split(", ")
    }

    fn is_called(self, name: &str) -> bool {
        self.names()
            .any(|own| own.eq_ignore_ascii_case(name) || plain(own) == plain(name))
    }
}

/// A word however it is written: `non-blocking`, `nonblocking`, `Close wait`.
fn plain(word: &str) -> String {
    let marks = ['-', '_', ' ', '"', '\''];
    word.replace(marks, "").to_ascii_lowercase()
}

fn sections(page: &'static str) -> impl Iterator<Item = Section> {
    let sections = page.split("\n## ").skip(1);
    let sections = sections.filter_map(|section| section.split_once('\n'));
    sections.map(|(heading, text)| Section { heading, text })
}

/// The sections about calls: those of the notes that begin with a prototype.
pub fn calls() -> impl Iterator<Item = Section> {
    sections(NOTES).filter(|section| section.text.trim_start().starts_with("```c"))
}

/// The sections about anything else.
pub fn others() -> impl Iterator<Item = Section> {
    sections(WORDS)
}

/// The other words, kind by kind.
pub fn kinds() -> [(&'static str, Vec<Section>); 4] {
    let mut kinds = [
        "Errors",
        "Options, flags, constants",
        "States and signals",
        "Ideas",
    ]
    .map(|title| (title, Vec::new()));
    for section in others() {
        let name = section.names().next().unwrap_or_default();
        let kind = match name {
            _ if name.contains(|c: char| c.is_ascii_lowercase()) => 3,
            _ if is_error(name) => 0,
            _ if name.starts_with("SIG") || STATES.contains(&name) => 2,
            _ if name.contains('_') => 1,
            _ => 3,
        };
        kinds[kind].1.push(section);
    }
    kinds
}

const STATES: [&str; 9] = [
    "CLOSED",
    "LISTEN",
    "SYN_SENT",
    "ESTABLISHED",
    "CLOSE_WAIT",
    "FIN_WAIT1",
    "TIME_WAIT",
    "FIN",
    "RST",
];

fn is_error(name: &str) -> bool {
    name.starts_with("EAI_") || (name.starts_with('E') && name != "ESTABLISHED")
}

/// Looks up a word, a call, the number of an error, or a line that a program printed.
pub fn find(asked: &str) -> Vec<Section> {
    let asked = asked.trim();
    let called = |name: &str| -> Vec<Section> {
        let all = others().chain(calls());
        all.filter(|section| section.is_called(name)).collect()
    };
    let name = asked.trim_end_matches("()");
    let found = called(name);
    if !found.is_empty() {
        return found;
    }
    if let Ok(number) = name.parse() {
        return called(&format!("{:?}", Errno::from_raw(number)));
    }
    // A line with a number: "[Errno 98]", "(os error 98)".
    let lower = asked.to_ascii_lowercase();
    let numbered = lower.split_once("errno ").or(lower.split_once("os error "));
    let number = numbered.and_then(|(_, rest)| {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..digits].parse().ok()
    });
    if let Some(number) = number {
        let found = called(&format!("{:?}", Errno::from_raw(number)));
        if !found.is_empty() {
            return found;
        }
    }
    // A whole line: the longest message in it, or else the first word in it that is written as a constant.
    let line = asked.to_ascii_lowercase();
    let messages = others().flat_map(|section| section.names());
    let message = messages
        .filter(|name| name.contains(' ') && line.contains(&name.to_ascii_lowercase()))
        .max_by_key(|name| name.len());
    let constant = asked
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .find(|word| {
            word.len() > 2
                && !word.contains(|c: char| c.is_ascii_lowercase())
                && !called(word).is_empty()
        });
    message.or(constant).map_or(Vec::new(), called)
}

/// An error that has no section: its name and message, by its name, its number, or a line that has its message.
pub fn bare_error(asked: &str) -> Option<String> {
    let lower = asked.to_ascii_lowercase();
    (1..134).find_map(|number| {
        let errno = Errno::from_raw(number);
        let name = format!("{errno:?}");
        let text = sockstep::Error::new("x", errno).to_string();
        let message = text.split_once(": ").map_or("", |(_, message)| message);
        let known = name.starts_with('E') && !message.starts_with("Unknown");
        let is_asked = name.eq_ignore_ascii_case(asked)
            || asked == number.to_string()
            || lower.contains(&message.to_ascii_lowercase());
        (known && is_asked).then(|| format!("{name}, {message}"))
    })
}

/// The first known word among a few: `port 80`, `bind failed`.
pub fn among(asked: &str) -> Vec<Section> {
    let words: Vec<&str> = asked.split_whitespace().collect();
    let found = words.iter().map(|word| find(word));
    let mut found = found.filter(|found| !found.is_empty());
    found
        .next()
        .filter(|_| words.len() <= 3)
        .unwrap_or_default()
}

/// The known word most similar to an unknown one, if one is similar.
pub fn nearest(asked: &str) -> Option<&'static str> {
    let names = others().chain(calls()).flat_map(|section| section.names());
    nearest_of(asked, names)
}

/// The same among other words.
pub fn nearest_of<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // What is longer is like none of them, and costs time.
    let asked = Some(asked).filter(|asked| asked.len() <= 40)?;
    let asked = asked.to_ascii_lowercase();
    names
        .map(|name| (distance(&asked, &name.to_ascii_lowercase()), name))
        .filter(|(distance, _)| *distance <= 1 + asked.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters must be put in, left out or replaced, or two neighbours exchanged, to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let other = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + other);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text in backquotes, or after `Also.`, up to the end of the item.
    fn named_in(section: Section) -> Vec<&'static str> {
        let also = section.text.split_once("- **Also.** ");
        let also = also.map_or("", |(_, rest)| rest.split("\n\n").next().unwrap_or(rest));
        let questions = section.text.lines().filter_map(|line| {
            line.starts_with(|c: char| c.is_ascii_digit())
                .then(|| line.split('`').nth(1))?
        });
        also.split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .chain(questions)
            .collect()
    }

    #[test]
    fn every_word_that_a_section_names_has_a_section() {
        for section in others() {
            for word in named_in(section) {
                assert!(!find(word).is_empty(), "{}: {word}", section.heading);
            }
        }
        let questions = find("questions")[0];
        assert!(named_in(questions).len() >= 30);
    }

    #[test]
    fn no_word_has_two_sections() {
        let mut names: Vec<String> = others()
            .flat_map(|section| section.names())
            .map(str::to_ascii_lowercase)
            .collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn an_error_is_found_by_its_message_as_the_c_library_has_it() {
        for section in others() {
            let name = section.names().next().unwrap();
            if !is_error(name) || name.starts_with("EAI_") {
                continue;
            }
            let number = (1..134).find(|&number| format!("{:?}", Errno::from_raw(number)) == name);
            let number = number.unwrap_or_else(|| panic!("{name} is no error"));
            let message = sockstep::Error::new("x", Errno::from_raw(number)).to_string();
            let heading = find(&message).first().map(|section| section.heading);
            assert_eq!(heading, Some(section.heading), "{message}");
            let heading = find(&number.to_string())
                .first()
                .map(|section| section.heading);
            assert_eq!(heading, Some(section.heading), "{number}");
        }
    }

    #[test]
    fn every_call_that_is_drawn_has_a_section() {
        let without: Vec<&str> = crate::strace::calls::rows()
            .map(|row| row.name)
            .filter(|name| find(name).is_empty())
            .collect();
        assert!(without.is_empty(), "{without:?}");
    }

    #[test]
    fn lines_of_other_languages_are_understood() {
        for (line, word) in [
            ("OSError: [Errno 98] Address already in use", "EADDRINUSE"),
            ("Os { code: 104 } (os error 104)", "ECONNRESET"),
            ("ConnectionRefusedError", "ECONNREFUSED"),
            (
                "java.net.BindException: Address already in use",
                "EADDRINUSE",
            ),
            (
                "dial tcp 127.0.0.1:80: connect: connection refused",
                "ECONNREFUSED",
            ),
            ("Error: listen EADDRINUSE :::80", "EADDRINUSE"),
        ] {
            let found = find(line);
            let name = found.first().and_then(|section| section.names().next());
            assert_eq!(name, Some(word), "{line}");
        }
        assert_eq!(
            bare_error("EIO").as_deref(),
            Some("EIO, Input/output error")
        );
        assert_eq!(bare_error("hello"), None);
    }

    #[test]
    fn words_are_found_however_a_student_writes_them() {
        for (asked, word) in [
            ("nonblocking", "O_NONBLOCK"),
            ("close wait", "CLOSE_WAIT"),
            ("three way handshake", "SYN_SENT"),
            ("\"Broken pipe\"", "EPIPE"),
            ("eof", "end of file"),
            ("127.0.0.1", "loopback"),
            ("big-endian", "byte order"),
        ] {
            let found = find(asked);
            let name = found.first().and_then(|section| section.names().next());
            assert_eq!(name, Some(word), "{asked}");
        }
        for (asked, word) in [("port 80", "port"), ("bind failed", "bind")] {
            assert!(find(asked).is_empty());
            let found = among(asked);
            let name = found.first().and_then(|section| section.names().next());
            assert_eq!(name, Some(word), "{asked}");
        }
        assert!(among("a long line about a port").is_empty() && among("hello").is_empty());
    }

    #[test]
    fn a_misspelt_word_finds_its_neighbour() {
        for (asked, word) in [
            ("acept", "accept"),
            ("ECONREFUSED", "ECONNREFUSED"),
            ("SO_REUSEADR", "SO_REUSEADDR"),
            ("tiem_wait", "TIME_WAIT"),
            ("htosn", "htons"),
        ] {
            assert_eq!(nearest(asked), Some(word), "{asked}");
        }
        assert_eq!(nearest("qqqqqqq"), None);
    }
}
