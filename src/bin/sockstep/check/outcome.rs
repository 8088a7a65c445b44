//! How a check came out.

use std::fmt::Write; // into memory, which does not fail
use std::time::SystemTime;

use crate::common::text::escape;
use crate::lectures::crossings::grouped;

/// Why a check ended before its end.
#[derive(Debug, Clone)]
pub enum Stop {
    Fail(Failure),
    /// Not as asked, but as such a design has to be.
    ByDesign(String),
    Skipped(String),
    /// No fault of the program: a signal to us, or no resources.
    Trouble(String),
}

#[derive(Debug, Clone)]
pub struct Failure {
    /// In the words of a person who wrote the program.
    pub said: String,
    /// What should have come, and what came.
    pub bytes: Option<(Vec<u8>, Vec<u8>)>,
    /// When it was found.
    pub at: SystemTime,
}

impl Stop {
    /// What there is to say.
    pub fn words(self) -> String {
        match self {
            Stop::Fail(failure) => failure.said,
            Stop::ByDesign(said) | Stop::Skipped(said) | Stop::Trouble(said) => said,
        }
    }
}

pub fn fail<T>(said: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fail(Failure {
        said: said.into(),
        bytes: None,
        at: SystemTime::now(),
    }))
}

pub fn wrong<T>(said: impl Into<String>, expected: &[u8], seen: &[u8]) -> Result<T, Stop> {
    Err(Stop::Fail(Failure {
        said: said.into(),
        bytes: Some((expected.to_vec(), seen.to_vec())),
        at: SystemTime::now(),
    }))
}

pub fn skip<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skipped(why.into()))
}

/// How many bytes are shown around the first difference.
const AROUND: usize = 16;

impl Failure {
    /// `expected 10 bytes "helloworld"` and `seen ...`, in two rows; long ones around the first difference.
    pub fn rows(&self) -> Vec<String> {
        let Some((expected, seen)) = &self.bytes else {
            return Vec::new();
        };
        let same = expected
            .iter()
            .zip(seen)
            .take_while(|(a, b)| a == b)
            .count();
        let from = if expected.len().max(seen.len()) <= 2 * AROUND {
            0
        } else {
            same.saturating_sub(AROUND)
        };
        let row = |name: &str, bytes: &[u8]| {
            let mut row = format!("{name} {}", count(bytes.len()));
            if from > 0 {
                let _ = write!(row, ", from byte {from} on");
            }
            if !bytes.is_empty() {
                let _ = write!(row, ": {}", quoted(&bytes[from.min(bytes.len())..]));
            }
            row
        };
        vec![row("expected", expected), row("seen    ", seen)]
    }
}

/// `1 byte`, `1,048,576 bytes`.
pub fn count(bytes: usize) -> String {
    grouped(bytes as u64) + if bytes == 1 { " byte" } else { " bytes" }
}

/// The first bytes, as a terminal may show them.
pub fn quoted(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(2 * AROUND)];
    let mut text = Vec::new();
    escape(shown, &mut text);
    let more = if shown.len() < bytes.len() { "..." } else { "" };
    format!("\"{}\"{more}", String::from_utf8_lossy(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_difference_is_shown_around_its_place() {
        let expected = vec![b'a'; 1000];
        let mut seen = expected.clone();
        seen[500] = b'b';
        seen.truncate(600);
        let failure = Failure {
            said: String::new(),
            bytes: Some((expected, seen)),
            at: SystemTime::now(),
        };
        let rows = failure.rows();
        assert_eq!(
            rows[0],
            "expected 1,000 bytes, from byte 484 on: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"..."
        );
        assert_eq!(
            rows[1],
            "seen     600 bytes, from byte 484 on: \"aaaaaaaaaaaaaaaabaaaaaaaaaaaaaaa\"..."
        );
    }

    #[test]
    fn a_short_one_is_shown_whole_and_escaped() {
        let Err(Stop::Fail(failure)) = wrong::<()>("", b"hello", b"hello\0") else {
            panic!("it fails");
        };
        assert_eq!(
            failure.rows(),
            [
                "expected 5 bytes: \"hello\"",
                "seen     6 bytes: \"hello\\x00\""
            ]
        );
    }
}
