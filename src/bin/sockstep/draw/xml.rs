//! Text in XML and in pictures: a program's bytes stay text and change nothing around them.

use crate::common::text::acts_on_a_terminal;

/// Text in an element, or in an attribute.
pub fn escape(words: &str) -> String {
    let mut out = String::new();
    for c in words.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' => out += "&#10;",
            c => out.push(harmless(c)),
        }
    }
    out
}

/// A character allowed in a line: not one that XML forbids, and not one that changes the direction
/// of text.
pub fn harmless(c: char) -> char {
    match c {
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if acts_on_a_terminal(c) => '\u{fffd}',
        c => c,
    }
}
