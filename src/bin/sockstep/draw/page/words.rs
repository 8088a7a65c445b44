//! `--words FILE`: the page's own words in another language. They stand in words.json, and a course may give its own for any of them.

use std::fs;
use std::path::Path;

/// The page's own words, one a line.
pub const WORDS: &str = include_str!("words.json");

/// The most bytes of such a file.
const MOST: u64 = 1 << 20;

/// Reads such a file: a JSON object of strings, like words.json. Returns its text for the page.
pub fn read(path: &Path) -> Result<String, String> {
    let wrong = |why: String| format!("{}: {why}", path.display());
    let size = fs::metadata(path)
        .map_err(|error| wrong(error.to_string()))?
        .len();
    if size > MOST {
        return Err(wrong(format!(
            "{size} bytes are too many for a file of words"
        )));
    }
    let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
    let own = strings(&text).map_err(|(line, why)| wrong(format!("line {line}: {why}")))?;
    let known = strings(WORDS).unwrap_or_default();
    for (word, line) in &own {
        if !known.iter().any(|(other, _)| other == word) {
            let all: Vec<&str> = known.iter().map(|(word, _)| word.as_str()).collect();
            return Err(wrong(format!(
                "line {line}: no word \"{word}\". The words are: {}",
                all.join(", ")
            )));
        }
    }
    Ok(text)
}

/// The error and its line.
type Wrong = (usize, String);

/// The keys of a JSON object of strings, each with its line.
fn strings(text: &str) -> Result<Vec<(String, usize)>, Wrong> {
    let mut json = Json { rest: text, text };
    let mut keys = Vec::new();
    json.expect(
        '{',
        "a JSON object is missing, as in {\"step\": \"Schritt\"}",
    )?;
    if json.next() == Some('}') {
        json.expect('}', "")?;
    } else {
        loop {
            let line = json.line();
            let key = json.string()?;
            json.expect(':', "a colon is missing after the word")?;
            json.string()?;
            keys.push((key, line));
            if json.next() == Some('}') {
                json.expect('}', "")?;
                break;
            }
            json.expect(',', "a comma or } is missing after the text")?;
        }
    }
    match json.next() {
        None => Ok(keys),
        Some(_) => Err((json.line(), "there is text after the object".to_owned())),
    }
}

struct Json<'a> {
    rest: &'a str,
    text: &'a str,
}

impl Json<'_> {
    fn line(&mut self) -> usize {
        self.next();
        let read = &self.text[..self.text.len() - self.rest.len()];
        read.matches('\n').count() + 1
    }

    /// The next character after spaces.
    fn next(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.rest.chars().next()
    }

    fn expect(&mut self, wanted: char, why: &str) -> Result<(), Wrong> {
        self.next();
        self.rest = self
            .rest
            .strip_prefix(wanted)
            .ok_or((self.line(), why.to_owned()))?;
        Ok(())
    }

    /// A string, unchanged, without its quotes.
    fn string(&mut self) -> Result<String, Wrong> {
        let line = self.line();
        self.expect('"', "a text in double quotes is missing")?;
        let (mut escaped, start) = (false, self.rest);
        let mut letters = start.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                _ if letter < ' ' => return Err((line, "a text must end on its line".to_owned())),
                'u' if escaped => {
                    let digits =
                        (0..4).all(|_| letters.next().is_some_and(|(_, c)| c.is_ascii_hexdigit()));
                    if !digits {
                        return Err((line, "\\u has four hexadecimal digits".to_owned()));
                    }
                    escaped = false;
                }
                _ if escaped && !"\"\\/bfnrt".contains(letter) => {
                    return Err((line, format!("\\{letter} is not an escape of JSON")));
                }
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    self.rest = &start[at + 1..];
                    return Ok(start[..at].to_owned());
                }
                _ => {}
            }
        }
        Err((line, "a text has no end".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_an_object_of_strings_and_what_is_wrong_has_its_line() {
        assert!(strings(WORDS).unwrap().len() > 50);
        assert_eq!(strings("{ }").unwrap(), []);
        assert_eq!(
            strings("{\"a\": \"\\u00e4\\\"\"}\n").unwrap(),
            [("a".to_owned(), 1)]
        );
        for (text, line, why) in [
            ("", 1, "object"),
            ("[]", 1, "object"),
            ("{\n\"a\" \"b\"}", 2, "colon"),
            ("{\"a\": 1}", 1, "double quotes"),
            ("{\"a\": \"b\"\n\"c\": \"d\"}", 2, "comma"),
            ("{\"a\": \"b\",}", 1, "double quotes"),
            ("{\"a\": \"b\"} x", 1, "after the object"),
            ("{\"a\": \"b", 1, "no end"),
            ("{\"a\": \"b\nc\"}", 1, "on its line"),
            ("{\"a\": \"\\x\"}", 1, "escape"),
            ("{\"a\": \"\\u12\"}", 1, "hexadecimal"),
        ] {
            let (at, words) = strings(text).unwrap_err();
            assert!(at == line && words.contains(why), "{text}: {at} {words}");
        }
    }
}
