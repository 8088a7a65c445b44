//! `--json`: what the ladder draws, for programs. One JSON object a line; README.md has the keys, and those of `sockstep diff`
//! (report_json.rs).

use std::collections::HashMap;
use std::fmt::Write;

use sockstep::Result;

use crate::draw::terminal::{Side, put};
use crate::lectures::steps::Sockets;
use crate::strace::line::{Entry, What};

/// Writes entries as they come.
pub struct Json {
    /// The sockets of each side, of each client if there are many.
    lanes: HashMap<String, Sockets>,
}

impl Json {
    pub fn begin() -> Result<Json> {
        version()?;
        Ok(Json {
            lanes: HashMap::new(),
        })
    }

    pub fn entry(&mut self, side: Side, entry: &Entry) -> Result<()> {
        self.write(String::new(), side, entry)
    }

    /// An entry of a run with many clients.
    pub fn entry_of(&mut self, run: &str, client: Option<usize>, entry: &Entry) -> Result<()> {
        let run = text(run);
        match client {
            Some(number) => self.write(
                format!("\"run\":{run},\"client\":{number},"),
                Side::Client,
                entry,
            ),
            None => self.write(format!("\"run\":{run},"), Side::Server, entry),
        }
    }

    /// Writes an entry, with these keys before its own.
    fn write(&mut self, keys: String, side: Side, entry: &Entry) -> Result<()> {
        let name = match side {
            Side::Client => "client",
            Side::Server => "server",
        };
        let (pid, start) = (number(entry.pid), number(entry.start));
        let mut line = format!("{{{keys}\"side\":\"{name}\",\"pid\":{pid},\"start_ns\":{start},");
        let _ = match &entry.what {
            What::Call(call) => {
                let sockets = self.lanes.entry(keys + name).or_default();
                let (_, step) = sockets.take(side, entry.pid, call);
                let step = step.map_or("null".to_owned(), text);
                let args: Vec<String> = call.args.iter().map(text).collect();
                let (name, result, note) = (text(&call.name), text(&call.result), text(&call.note));
                let (args, took) = (args.join(","), number(call.took));
                write!(
                    line,
                    "\"kind\":\"call\",\"name\":{name},\"args\":[{args}],\"result\":{result},"
                )
                .and_then(|()| {
                    writeln!(line, "\"note\":{note},\"took_ns\":{took},\"step\":{step}}}")
                })
            }
            What::Signal(words) => writeln!(line, "\"kind\":\"signal\",\"text\":{}}}", text(words)),
            What::End(words) => writeln!(line, "\"kind\":\"end\",\"text\":{}}}", text(words)),
            What::Unknown(words) => {
                writeln!(line, "\"kind\":\"unknown\",\"text\":{}}}", text(words))
            }
        };
        put(line.as_bytes())
    }
}

/// The first line.
pub fn version() -> Result<()> {
    put(b"{\"sockstep\":1}\n")
}

fn number<T: ToString>(number: Option<T>) -> String {
    number.map_or("null".to_owned(), |number| number.to_string())
}

/// A text with JSON's quotes and escapes.
pub fn text(words: impl AsRef<str>) -> String {
    let mut quoted = String::from('"');
    for c in words.as_ref().chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            '\0'..='\x1f' | '\x7f' => write!(quoted, "\\u{:04x}", u32::from(c)),
            _ => write!(quoted, "{c}"),
        };
    }
    quoted.push('"');
    quoted
}

pub fn object(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}:{value}", text(key)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

pub fn array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}
