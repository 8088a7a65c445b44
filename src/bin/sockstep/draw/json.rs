//! `--json`: what the ladder draws, for programs. One JSON object a line; the help of `run` and `show` has the keys.

use std::collections::HashMap;
use std::fmt::Write;

use sockstep::Result;

use crate::draw::terminal::{Side, put};
use crate::lectures::steps::Headings;
use crate::strace::line::{Entry, What};
use crate::world::World;
use crate::world::events::Event;

/// The keys, for the help of the verbs.
pub const KEYS: &str = "\
With --json each line is an object. The first is {\"sockstep\":1}, the version of this shape; then comes one for each event:
  side            \"client\" or \"server\"
  pid, start_ns   numbers, or null where the recording has none; nanoseconds since 1970 (with strace -t, of the day)
  kind            \"call\", \"signal\", \"end\", or \"unknown\" for a line that is not strace's
  name, args, result, note, took_ns
                  of a call, as strace writes them; note is \"ECONNREFUSED (Connection refused)\", or empty
  step            the program's step, or null
  text            of anything else
  run, client     with --clients: the server of this run, and a client's number, from 1 on";

/// Writes entries as they come.
pub struct Json {
    /// What has happened in each run, and the steps of each side, of each client if there are many.
    worlds: HashMap<String, World>,
    headings: HashMap<String, Headings>,
}

impl Json {
    pub fn begin() -> Result<Json> {
        version()?;
        Ok(Json {
            worlds: HashMap::new(),
            headings: HashMap::new(),
        })
    }

    pub fn entry(&mut self, side: Side, entry: &Entry) -> Result<()> {
        self.write("", "", side as usize, side, entry)
    }

    /// An entry of a run with many clients.
    pub fn entry_of(&mut self, run: &str, client: Option<usize>, entry: &Entry) -> Result<()> {
        let run = text(run);
        match client {
            Some(number) => {
                let keys = format!("\"run\":{run},\"client\":{number},");
                self.write(&run, &keys, number, Side::Client, entry)
            }
            None => self.write(&run, &format!("\"run\":{run},"), 0, Side::Server, entry),
        }
    }

    /// Writes an entry of a run, with these keys before its own.
    fn write(
        &mut self,
        run: &str,
        keys: &str,
        source: usize,
        side: Side,
        entry: &Entry,
    ) -> Result<()> {
        let world = self.worlds.entry(run.to_owned()).or_default();
        world.take(source, side, entry.clone());
        let mut lines = String::new();
        while let Some(event) = world.next(u64::MAX) {
            let headings = self.headings.entry(format!("{keys}{side:?}")).or_default();
            let step = headings.of(world, &event);
            line(keys, world, &event, step.as_deref(), &mut lines);
        }
        put(lines.as_bytes())
    }
}

/// Appends an event's line.
fn line(keys: &str, world: &World, event: &Event, step: Option<&str>, lines: &mut String) {
    let name = match event.side {
        Side::Client => "client",
        Side::Server => "server",
    };
    let (pid, start) = (number(world.task(event.task).pid), number(event.entered));
    let _ = write!(
        lines,
        "{{{keys}\"side\":\"{name}\",\"pid\":{pid},\"start_ns\":{start},"
    ); // into memory
    let _ = match &event.what {
        What::Call(call) => {
            let step = step.map_or("null".to_owned(), text);
            let args: Vec<String> = call.args.iter().map(text).collect();
            let (name, result, note) = (text(&call.name), text(&call.result), text(&call.note));
            let (args, took) = (args.join(","), number(call.took));
            write!(
                lines,
                "\"kind\":\"call\",\"name\":{name},\"args\":[{args}],\"result\":{result},"
            )
            .and_then(|()| {
                writeln!(
                    lines,
                    "\"note\":{note},\"took_ns\":{took},\"step\":{step}}}"
                )
            })
        }
        What::Signal(words) => writeln!(lines, "\"kind\":\"signal\",\"text\":{}}}", text(words)),
        What::End(words) => writeln!(lines, "\"kind\":\"end\",\"text\":{}}}", text(words)),
        What::Unknown(words) => writeln!(lines, "\"kind\":\"unknown\",\"text\":{}}}", text(words)),
    };
}

/// The first line.
pub fn version() -> Result<()> {
    put(b"{\"sockstep\":1}\n")
}

pub fn number<T: ToString>(number: Option<T>) -> String {
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
