//! `--html FILE`: a run as one page that any browser opens, without a network. What comes from a recording stands in it as text
//! alone: in JSON whose `<` is escaped.

use std::collections::HashMap;
use std::fmt::Write; // into memory, which does not fail
use std::fs;
use std::path::{Path, PathBuf};

use crate::draw::call::{Payload, brief};
use crate::draw::json::{array, number, object, text};
use crate::draw::source::{Lines, Place};
use crate::lectures::crossings;
use crate::lectures::remarks::Remarks;
use crate::lectures::steps::Headings;
use crate::lectures::words;
use crate::strace::calls;
use crate::strace::line::{Call, Entry, What};
use crate::world::events::{End, Event, EventId, Made, Moved, Movement};
use crate::world::sockets::{Socket, SocketId, State};
use crate::world::tasks::TaskId;
use crate::world::{Side, World};

/// Events that a page shows: more than a person steps through.
const MOST: usize = 3000;
/// Bytes of a call that it shows.
const BYTES: usize = 2048;
/// Sources of a side that it shows.
const SOURCES: usize = 3;
/// Characters of strace's line, and of what a program prints.
const LINE: usize = 4096;

#[derive(clap::Args)]
pub struct Options {
    /// Write the run as one page for a browser too, to step through, to share and to print
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show this source of the server in the page
    #[arg(long, value_name = "FILE", requires = "html")]
    server_source: Option<PathBuf>,
    /// Show this source of the client in the page
    #[arg(long, value_name = "FILE", requires = "html")]
    client_source: Option<PathBuf>,
    /// Take the page's own words from this file, a JSON object as in {"step": "Schritt"}
    #[arg(long, value_name = "FILE", requires = "html")]
    words: Option<PathBuf>,
}

impl Options {
    pub fn is_wanted(&self) -> bool {
        self.html.is_some()
    }

    /// The page that is asked for. `programs` are ours, of the client and the server, whose sources are known.
    pub fn begin(
        &self,
        title: String,
        programs: [Option<&str>; 2],
    ) -> Result<Option<Page>, String> {
        let Some(file) = &self.html else {
            return Ok(None);
        };
        let given = [&self.client_source, &self.server_source];
        let mut sources = [Vec::new(), Vec::new()];
        for (side, all) in sources.iter_mut().enumerate() {
            if let Some(path) = given[side] {
                let bytes =
                    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let text = String::from_utf8_lossy(&bytes).into_owned();
                all.push(Source { name, text });
            } else if let Some((name, rust, c)) = programs[side].and_then(sources_of) {
                for (ending, text) in [("rs", rust), ("c", c)] {
                    let (name, text) = (format!("{name}.{ending}"), text.to_owned());
                    all.push(Source { name, text });
                }
            }
        }
        Page::begin(file, title, sources, self.words.as_deref()).map(Some)
    }
}

/// The name of a program of ours, and its sources in Rust and C.
fn sources_of(name: &str) -> Option<(&'static str, &'static str, &'static str)> {
    macro_rules! sources {
        ($($name:literal)*) => {
            [$(($name, include_str!(concat!("../../", $name, ".rs")), include_str!(concat!("../../", $name, ".c")))),*]
        };
    }
    let all = sources! {
        "tcp_echo_client" "tcp_echo_server" "tcp_echo_server_epoll" "tcp_echo_server_fork" "tcp_echo_server_poll"
        "tcp_echo_server_pool" "tcp_echo_server_prefork" "tcp_echo_server_select" "tcp_echo_server_thread"
        "tcp_upper_client" "tcp_upper_server" "udp_echo_client" "udp_echo_server" "udp_upper_client" "udp_upper_server"
        "web_client" "web_server"
    };
    all.into_iter().find(|(other, ..)| *other == name)
}

/// A source file of a side.
pub struct Source {
    pub name: String,
    pub text: String,
}

pub struct Page {
    file: PathBuf,
    title: String,
    /// Of the client and the server.
    sources: [Vec<Source>; 2],
    /// The page's own words in another language: a JSON object.
    words: Option<String>,
    world: World,
    headings: [Headings; 2],
    events: Vec<String>,
    /// The step of each side's last event.
    steps: [Option<String>; 2],
    remarks: Remarks,
    /// What each socket looked like when it was last written down.
    known: HashMap<SocketId, String>,
    /// Finds the line that made a call, if the recording has stacks.
    lines: Lines,
    rest: usize,
}

impl Page {
    /// Fails now if the file cannot be written, and not after the run.
    fn begin(
        file: &Path,
        title: String,
        sources: [Vec<Source>; 2],
        words: Option<&Path>,
    ) -> Result<Page, String> {
        fs::write(file, "").map_err(|error| format!("{}: {error}", file.display()))?;
        let words = match words {
            Some(words) => {
                let text = fs::read_to_string(words)
                    .map_err(|error| format!("{}: {error}", words.display()))?;
                if !text.trim_start().starts_with('{') || !text.trim_end().ends_with('}') {
                    return Err(format!(
                        "{}: a JSON object is wanted, as in {{\"step\": \"Schritt\"}}",
                        words.display()
                    ));
                }
                Some(text)
            }
            None => None,
        };
        Ok(Page {
            file: file.to_owned(),
            title,
            sources,
            words,
            world: World::default(),
            headings: [Headings::default(), Headings::default()],
            events: Vec::new(),
            steps: [None, None],
            remarks: Remarks::default(),
            known: HashMap::new(),
            lines: Lines::default(),
            rest: 0,
        })
    }

    /// Takes what strace has seen of a side.
    pub fn traced(&mut self, source: usize, side: Side, entry: Entry) {
        self.world.take(source, side, entry);
    }

    /// Writes the page.
    pub fn end(mut self) -> Result<(), String> {
        while let Some(event) = self.world.next(u64::MAX) {
            self.event(&event);
        }
        let page = include_str!("page/page.html");
        let (before, rest) = page.split_once("/*CSS*/").unwrap_or((page, ""));
        let (middle, rest) = rest.split_once("/*DATA*/").unwrap_or((rest, ""));
        let (between, after) = rest.split_once("/*JS*/").unwrap_or((rest, ""));
        let css = include_str!("page/page.css");
        let js = include_str!("page/page.js");
        let data = self.data();
        let whole = [before, css, middle, &data, between, js, after].concat();
        fs::write(&self.file, whole).map_err(|error| format!("{}: {error}", self.file.display()))
    }

    fn data(&self) -> String {
        let mut numbers = [0usize; 2];
        let tasks = self.world.tasks().iter().map(|task| {
            let place = &mut numbers[task.side as usize];
            *place += 1;
            object(&[
                ("side", text(task.side.name())),
                ("number", place.to_string()),
                ("thread", task.thread.to_string()),
                ("program", text(task.program.as_deref().unwrap_or_default())),
            ])
        });
        let source =
            |source: &Source| object(&[("name", text(&source.name)), ("text", text(&source.text))]);
        let sources = [Side::Client, Side::Server].map(|side| {
            let all = self.sources[side as usize].iter().map(source);
            (side.name(), array(all))
        });
        let data = object(&[
            ("title", text(&self.title)),
            ("words", self.words.clone().unwrap_or("{}".to_owned())),
            ("tasks", array(tasks)),
            ("sources", object(&sources)),
            ("rest", self.rest.to_string()),
            ("events", array(self.events.iter().cloned())),
        ]);
        // Inside of strings alone does `<` stand in JSON: so written, no markup can begin or end.
        data.replace('<', "\\u003c")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029")
    }

    fn event(&mut self, event: &Event) {
        let side = event.side as usize;
        let step = self.headings[side]
            .of(&self.world, event)
            .map(|step| step.to_string());
        let mut said = crossings::notes(&self.world, event);
        let found = self.remarks.on(&self.world, event).into_iter();
        said.extend(found.map(|it| format!("{}: explain {}", it.words, it.explain)));
        let Some(kind) = self.kind(event) else {
            return;
        };
        if self.events.len() == MOST {
            self.rest += 1;
            return;
        }
        let heading = step
            .clone()
            .filter(|step| self.steps[side].as_ref() != Some(step));
        if step.is_some() {
            self.steps[side].clone_from(&step);
        }
        let call = event.call();
        let waited = match (event.entered, event.left) {
            (Some(entered), Some(left)) => Some(left.saturating_sub(entered)),
            _ => None,
        };
        let waits = call.is_some_and(|call| calls::waits(&call.name).is_some());
        let moment = if waits {
            event.left.or(event.entered)
        } else {
            event.entered
        };
        let met = event.moved.iter().find_map(|moved| match moved.what {
            Movement::MetEnd(End::Fin) => Some("fin"),
            Movement::MetEnd(End::Reset { .. }) => Some("reset"),
            _ => None,
        });
        let name = call.map_or("", |call| c_name(call));
        let place = call.and_then(|call| self.lines.of(call));
        if let Some(place) = &place {
            self.open(side, place);
        }
        // The line itself where it is known; of the other language the one of the same call in the same step.
        let lines = self.sources[side].iter().map(|source| {
            let known = place.as_ref().filter(|place| place.name() == source.name);
            let line = known.map(|place| place.line);
            let line = line.or_else(|| line_of(&source.text, step.as_deref(), name));
            line.map_or("null".to_owned(), |line| line.to_string())
        });
        let lines = array(lines);
        let sockets = array(self.changed().into_iter());
        let explained = words::find(name)
            .first()
            .map(|section| sentence(section.text));
        let pairs = [
            ("id", event.id.0.to_string()),
            ("task", event.task.0.to_string()),
            ("kind", text(kind)),
            ("name", text(name)),
            ("short", text(short(event))),
            ("note", text(call.map_or("", |call| meaning(&call.note)))),
            ("result", text(call.map_or("", |call| call.result.as_str()))),
            ("line", text(cut(&line(&event.what), LINE))),
            ("step", step.as_deref().map_or("null".to_owned(), text)),
            ("heading", heading.map_or("null".to_owned(), text)),
            ("explain", explained.map_or("null".to_owned(), text)),
            ("t", number(moment)),
            ("entered", number(event.entered)),
            ("waited", number(waited.filter(|_| waits))),
            ("socket", number(event.socket.map(|id| id.0))),
            (
                "causes",
                array(event.causes.iter().map(|EventId(id)| id.to_string())),
            ),
            ("meets", met.map_or("null".to_owned(), text)),
            ("moved", array(event.moved.iter().filter_map(moved))),
            ("hex", hex(call).map_or("null".to_owned(), text)),
            ("lines", lines),
            ("remarks", array(said.into_iter().map(text))),
            ("sockets", sockets),
        ];
        self.events.push(object(&pairs));
    }

    /// Shows the source that a line is in too, if there is room for it.
    fn open(&mut self, side: usize, place: &Place) {
        let sources = &mut self.sources[side];
        if sources.len() < SOURCES && sources.iter().all(|source| source.name != place.name()) {
            sources.extend(place.read().map(|text| Source {
                name: place.name().to_owned(),
                text,
            }));
        }
    }

    /// What kind of event it is, if the page shows it.
    fn kind(&self, event: &Event) -> Option<&'static str> {
        match &event.what {
            What::Call(call) => {
                let system = event
                    .socket
                    .and_then(|id| self.world.socket(id))
                    .is_some_and(Socket::is_the_systems);
                if words_of(call).is_some() && event.socket.is_none() {
                    Some("words")
                } else {
                    let network = (event.on_a_socket || event.socket.is_some()) && !system;
                    (network || matches!(event.made, Made::Task(_))).then_some("call")
                }
            }
            What::Signal(_) => Some("signal"),
            What::End(_) => Some("end"),
            What::Unknown(_) => None,
        }
    }

    /// The sockets that look otherwise than when they were last written down.
    fn changed(&mut self) -> Vec<String> {
        let mut numbers: HashMap<SocketId, Vec<i32>> = HashMap::new();
        let mut seen: Vec<TaskId> = Vec::new();
        for task in self
            .world
            .tasks()
            .iter()
            .filter(|task| !task.ended && !task.thread)
        {
            seen.push(task.id);
            for (number, socket) in self.world.descriptors(task.id) {
                let all = numbers.entry(socket.id).or_default();
                if !all.contains(&number) {
                    all.push(number);
                }
            }
        }
        let mut changed = Vec::new();
        let mut sockets: Vec<&Socket> = self.world.sockets().collect();
        sockets.sort_by_key(|socket| socket.id);
        for socket in sockets
            .into_iter()
            .filter(|socket| !socket.is_the_systems())
        {
            let mut open = numbers.remove(&socket.id).unwrap_or_default();
            open.sort_unstable();
            let address = |address: &Option<_>| {
                address
                    .as_ref()
                    .map_or("null".to_owned(), |it: &crate::world::sockets::Address| {
                        text(it.to_string())
                    })
            };
            let queue = (socket.state == State::Listening).then(|| {
                let limit = socket
                    .backlog
                    .map_or(String::new(), |backlog| format!(" of {backlog}"));
                format!("{}{limit}", socket.queue.len())
            });
            let now = object(&[
                ("id", socket.id.0.to_string()),
                ("side", text(socket.side.name())),
                ("fds", array(open.iter().map(i32::to_string))),
                ("kind", text(socket.name())),
                ("state", text(state(socket.state))),
                ("local", address(&socket.local)),
                ("remote", address(&socket.remote)),
                ("sent", socket.sent.to_string()),
                ("received", socket.received.to_string()),
                ("underway", number(self.world.under_way(socket.id))),
                ("queue", queue.map_or("null".to_owned(), text)),
            ]);
            if self.known.get(&socket.id) != Some(&now) {
                self.known.insert(socket.id, now.clone());
                changed.push(now);
            }
        }
        changed
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Created => "created",
        State::Bound => "bound",
        State::Listening => "listening",
        State::Connecting => "connecting",
        State::Connected => "connected",
        State::WriteShut => "sends no more",
        State::PeerShut => "peer sends no more",
        State::Closed => "closed",
        State::TimeWait => "TIME_WAIT",
        State::Reset => "reset",
    }
}

/// `Connection refused` of `ECONNREFUSED (Connection refused)`: the rest stands beside it.
fn meaning(note: &str) -> &str {
    let words = note
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    words.unwrap_or(note)
}

/// The call as C has it, where the kernel has another name for it.
fn c_name(call: &Call) -> &str {
    let without_address = call.args.get(4).is_none_or(|arg| arg == "NULL");
    match call.name.as_str() {
        "sendto" if without_address => "send",
        "recvfrom" if without_address => "recv",
        "accept4" => "accept",
        "pselect6" => "select",
        "ppoll" => "poll",
        "epoll_pwait" | "epoll_pwait2" => "epoll_wait",
        "clone" | "clone3" | "vfork" if calls::makes_task(call) == Some(true) => "pthread_create",
        "clone" | "clone3" | "vfork" => "fork",
        name => name,
    }
}

/// What a program prints, if a call prints something.
fn words_of(call: &Call) -> Option<Vec<u8>> {
    let prints = matches!(call.name.as_str(), "write" | "writev")
        && matches!(
            call.args.first().and_then(|arg| calls::number(arg)),
            Some(1 | 2)
        );
    let (row, data) = calls::of(&call.name).and_then(|row| Some((row, row.sends?)))?;
    prints.then(|| {
        let parcels = data.parcels(row, call).into_iter();
        parcels
            .flat_map(|parcel| parcel.pieces)
            .flat_map(|(bytes, _)| bytes)
            .collect()
    })
}

/// The event in few words.
fn short(event: &Event) -> String {
    match &event.what {
        What::Call(call) => match words_of(call).filter(|_| event.socket.is_none()) {
            Some(bytes) => cut(
                &format!("| {}", String::from_utf8_lossy(&bytes).trim_end()),
                400,
            ),
            None => brief(call, Payload::Text, 60).join("\n"),
        },
        What::Signal(words) => format!("--- {} ---", words.split(" {").next().unwrap_or(words)),
        What::End(words) => format!("+++ {words} +++"),
        What::Unknown(words) => words.clone(),
    }
}

/// strace's own line, as far as its parts go.
fn line(what: &What) -> String {
    match what {
        What::Call(call) => {
            let note = if call.note.is_empty() {
                String::new()
            } else {
                format!(" {}", call.note)
            };
            let took = call.took.map_or(String::new(), |took| {
                format!(
                    " <{}.{:06}>",
                    took / 1_000_000_000,
                    took % 1_000_000_000 / 1000
                )
            });
            format!(
                "{}({}) = {}{note}{took}",
                call.name,
                call.args.join(", "),
                call.result
            )
        }
        What::Signal(words) => format!("--- {words} ---"),
        What::End(words) => format!("+++ {words} +++"),
        What::Unknown(words) => words.clone(),
    }
}

fn cut(words: &str, most: usize) -> String {
    match words.char_indices().nth(most) {
        Some((at, _)) => format!("{}...", &words[..at]),
        None => words.to_owned(),
    }
}

/// The bytes that a call carries, the first of them.
fn hex(call: Option<&Call>) -> Option<String> {
    let call = call?;
    let row = calls::of(&call.name)?;
    let data = row.sends.or(row.receives)?;
    let pieces = data
        .parcels(row, call)
        .into_iter()
        .flat_map(|parcel| parcel.pieces);
    let mut digits = String::new();
    for byte in pieces.flat_map(|(bytes, _)| bytes).take(BYTES) {
        let _ = write!(digits, "{byte:02x}");
    }
    (!digits.is_empty()).then_some(digits)
}

fn moved(moved: &Moved) -> Option<String> {
    let pairs = match &moved.what {
        Movement::Sent { range, asked } => vec![
            ("sent", "true".to_owned()),
            ("from", range.start.to_string()),
            ("length", (range.end - range.start).to_string()),
            ("asked", asked.to_string()),
        ],
        Movement::Received { range, asked, .. } => vec![
            ("sent", "false".to_owned()),
            ("from", range.start.to_string()),
            ("length", (range.end - range.start).to_string()),
            ("asked", asked.to_string()),
        ],
        Movement::MessageSent { length, .. } => {
            vec![("sent", "true".to_owned()), ("length", length.to_string())]
        }
        Movement::MessageReceived { length, sent, .. } => vec![
            ("sent", "false".to_owned()),
            ("length", length.to_string()),
            ("whole", sent.unwrap_or(*length).to_string()),
        ],
        Movement::Ended(_) | Movement::MetEnd(_) => return None,
    };
    Some(object(&pairs))
}

/// A section's first sentence of prose, or of its item about the slides.
fn sentence(section: &str) -> String {
    let slides = section.split_once("- **Slides.** ").map(|(_, rest)| rest);
    let prose = slides.unwrap_or(section).trim_start();
    let prose = prose.split("\n\n").next().unwrap_or(prose);
    let prose = prose.split("\n- ").next().unwrap_or(prose);
    let words: Vec<&str> = prose.split_whitespace().collect();
    words.join(" ").replace('`', "")
}

/// Where a source makes a call: in the step of that heading, or else anywhere.
fn line_of(source: &str, step: Option<&str>, name: &str) -> Option<usize> {
    if name.is_empty() {
        return None;
    }
    let lines: Vec<&str> = source.lines().collect();
    // By its name, or by the helper that goes on until all is done.
    let names = [name.to_owned(), format!("{name}_all"), format!("{name}All")];
    let makes = |line: &str, name: &str| {
        let code = line.split("//").next().unwrap_or(line);
        let code = code.split("/*").next().unwrap_or(code);
        let code: String = code.split('"').step_by(2).collect::<Vec<_>>().join("\"\""); // no words
        let call = [format!("{name}("), format!("{name}::<")];
        call.iter().any(|call| {
            code.match_indices(call.as_str()).any(|(at, _)| {
                !code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                    && !code[..at].trim_end().ends_with("fn")
            })
        })
    };
    let key = step.and_then(comment);
    let start = key.and_then(|key| {
        lines
            .iter()
            .position(|line| line.to_lowercase().contains(&key))
    });
    let from = |start: usize| {
        names.iter().find_map(|name| {
            let found = lines[start..].iter().position(|line| makes(line, name));
            found.map(|at| start + at + 1)
        })
    };
    start.and_then(from).or_else(|| from(0))
}

/// `a. accept a new connection`, as the comments have it, of `Server 4a. Accept a new connection`.
fn comment(heading: &str) -> Option<String> {
    let (number, words) = heading.split_once(". ")?;
    let number = number.trim_start_matches(|c: char| !c.is_ascii_digit());
    let letter = number.trim_start_matches(|c: char| c.is_ascii_digit());
    let step = match (number, letter) {
        ("", _) => words.to_owned(),
        (_, "") => format!("{number}. {words}"),
        _ => format!("{letter}. {words}"),
    };
    Some(step.to_lowercase())
}
