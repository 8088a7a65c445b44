//! `--json`: the ladder's content, for programs. One JSON object a line; the help of `run` and
//! `show` has the keys.

use std::collections::HashMap;
use std::fmt::Write;

use sockstep::Result;

use crate::common::text::acts_on_a_terminal;
use crate::draw::terminal::{put, visible};
use crate::lectures::steps::Headings;
use crate::strace::clock::now;
use crate::strace::line::{Begun, Entry, What};
use crate::world::causes::SETTLE;
use crate::world::events::{Event, Made};
use crate::world::{Side, World};

/// The most bytes written at once.
const ROOM: usize = 1 << 16;

/// The keys, for the help of the verbs.
pub const KEYS: &str = "\
With --json each line is an object. The first one is {\"sockstep\":1}, the version of this format.
Each other line is an event; a cause comes before its effect:
  run, client     with --clients: the server of this run, and a client's number, from 1 on
  id              the event's number, which grows within a run
  causes          the ids of its causes: the sends of the bytes that it received, the close that
                  made it return 0, the connect that it accepted
  socket          the number of the call's socket, or null; it is the same in every process
  made            the numbers of the sockets that the call made, as accept makes one
  side            \"client\" or \"server\"
  pid, start_ns   numbers, or null where the recording has none; nanoseconds since 1970
                  (with strace -t, since midnight)
  kind            \"call\", \"signal\", \"end\", or \"unknown\" for a line that strace did not write
  name, args, result, note, took_ns
                  of a call, as in strace; note is as in
                  \"ECONNREFUSED (Connection refused)\", or empty
  step            the program's step, or null
  text            of other kinds than a call";

/// Writes events as soon as their order is final.
pub struct Json {
    world: World,
    /// The steps of each side, of each client if there are many.
    headings: HashMap<(usize, Side), Headings>,
    /// The name of this run, if there are many clients.
    run: Option<String>,
}

impl Json {
    pub fn begin() -> Result<Json> {
        version()?;
        Ok(Json {
            world: World::default(),
            headings: HashMap::new(),
            run: None,
        })
    }

    /// Begins a run with many clients. A client's source is its number, the server's is 0.
    pub fn run(&mut self, name: &str) -> Result<()> {
        self.end()?;
        self.world = World::default();
        self.headings.clear();
        self.run = Some(text(name));
        Ok(())
    }

    pub fn take(&mut self, source: usize, side: Side, entry: Entry) {
        self.world.take(source, side, entry);
    }

    pub fn has_more(&self) -> bool {
        self.world.has_more()
    }

    /// Writes the events of a live run whose order is final. `under_way`: each source's unfinished
    /// calls.
    pub fn settle(&mut self, under_way: &[Vec<Begun>]) -> Result<()> {
        for (source, calls) in under_way.iter().enumerate() {
            self.world.is_in(source, calls);
        }
        self.write(now().saturating_sub(SETTLE))
    }

    /// Writes the events of a recording whose order is final.
    pub fn make_way(&mut self) -> Result<()> {
        let mut lines = String::new();
        while self.world.is_full() && self.line(u64::MAX, &mut lines) {}
        put(lines.as_bytes())
    }

    /// Writes the remaining events.
    pub fn end(&mut self) -> Result<()> {
        self.write(u64::MAX)
    }

    fn write(&mut self, settled: u64) -> Result<()> {
        let mut lines = String::new();
        while self.line(settled, &mut lines) {
            if lines.len() > ROOM {
                put(lines.as_bytes())?;
                lines.clear();
            }
        }
        put(lines.as_bytes())
    }

    /// Appends the next event's line, if there is one.
    fn line(&mut self, settled: u64, lines: &mut String) -> bool {
        let Some(event) = self.world.next(settled) else {
            return false;
        };
        let client = self.run.as_ref().map(|_| event.source);
        let headings = self
            .headings
            .entry((client.unwrap_or_default(), event.side));
        let step = headings.or_default().of(&self.world, &event);
        lines.push('{');
        if let Some(run) = &self.run {
            let _ = write!(lines, "\"run\":{run},"); // into memory
        }
        if let Some(client @ 1..) = client {
            let _ = write!(lines, "\"client\":{client},");
        }
        write_event(&self.world, &event, step.as_deref(), lines);
        true
    }
}

/// Appends an event, without its opening brace.
fn write_event(world: &World, event: &Event, step: Option<&str>, lines: &mut String) {
    let (id, side) = (event.id.0, event.side.name());
    let causes = array(event.causes.iter().map(|cause| cause.0.to_string()));
    let socket = number(event.socket.map(|socket| socket.0));
    let made = match event.made {
        Made::Socket(socket) => vec![socket],
        Made::Pair(one, other) => vec![one, other],
        Made::Nothing | Made::Task(_) => Vec::new(),
    };
    let made = array(made.iter().map(|socket| socket.0.to_string()));
    let (pid, start) = (number(world.task(event.task).pid), number(event.entered));
    let _ = write!(
        lines,
        "\"id\":{id},\"causes\":{causes},\"socket\":{socket},\"made\":{made},"
    );
    let _ = write!(
        lines,
        "\"side\":\"{side}\",\"pid\":{pid},\"start_ns\":{start},"
    );
    let (kind, words) = match &event.what {
        What::Call(call) => {
            let step = step.map_or("null".to_owned(), text);
            let args = array(call.args.iter().map(text));
            let (name, result, note) = (text(&call.name), text(&call.result), text(&call.note));
            let took = number(call.took);
            let _ = write!(
                lines,
                "\"kind\":\"call\",\"name\":{name},\"args\":{args},\"result\":{result},"
            );
            let _ = writeln!(
                lines,
                "\"note\":{note},\"took_ns\":{took},\"step\":{step}}}"
            );
            return;
        }
        What::Signal(words) => ("signal", words),
        What::End(words) => ("end", words),
        What::Unknown(words) => ("unknown", words),
    };
    let _ = writeln!(lines, "\"kind\":\"{kind}\",\"text\":{}}}", text(words));
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
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if acts_on_a_terminal(c) => escape(c, &mut quoted),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Appends a character as `\u202e`.
pub fn escape(c: char, quoted: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(quoted, "\\u{unit:04x}"); // into memory
    }
}

/// The same of text that a person reads: what acts on a terminal, or turns what is around it, is an
/// escape that they see.
pub fn shown(words: impl AsRef<str>) -> String {
    text(visible(words.as_ref()))
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
