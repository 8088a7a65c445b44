//! What varies from run to run, put in a form in which it can be compared: ports, numbers of processes, places in memory,
//! times. Each form is narrow: what it does not know stays as it is, and is compared.

#[path = "../../web/request.rs"]
#[allow(dead_code, reason = "only how it writes a time")]
mod request;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use request::{http_date, log_date};

use crate::strace::line::{Call, bytes};

/// What is put in another form before two lines are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Port,
    Pid,
    Pointer,
    Pieces,
    Full,
    Children,
    Date,
    Left,
    File,
}

impl Form {
    pub fn name(self) -> &'static str {
        match self {
            Form::Port => "port",
            Form::Pid => "pid",
            Form::Pointer => "pointer",
            Form::Pieces => "pieces",
            Form::Full => "full",
            Form::Children => "children",
            Form::Date => "date",
            Form::Left => "left",
            Form::File => "file",
        }
    }

    pub fn meaning(self) -> &'static str {
        match self {
            Form::Port => {
                "the kernel picks it; each gets a letter, A the server's, the others as they appear"
            }
            Form::Pid => "which process or thread it is",
            Form::Pointer => "a place in memory",
            Form::Pieces => {
                "TCP cuts a stream anew in each run: consecutive pieces are compared joined"
            }
            Form::Full => {
                "how much a connection takes before it is full is the kernel's: non-blocking sends up to there are compared as one"
            }
            Form::Children => {
                "a child ends when it does: what SIGCHLD interrupts is compared as if it had not, what its handler does at the end"
            }
            Form::Date => {
                "the time of day, in an answer's Date: or a line of a log: right to some seconds"
            }
            Form::Left => {
                "what is left of a time-out that was set in whole seconds: right to the time that has passed"
            }
            Form::File => {
                "a file that a thread opens: its number depends on what others have open just then"
            }
        }
    }
}

pub type Forms = BTreeMap<Form, usize>;

// ---- Ports ----

/// The ports that the kernel picked, in the order in which they get their letters.
#[derive(Default)]
pub struct Ports {
    known: Vec<u16>,
    /// Those that the program named itself, before anybody told it: they are compared as they are.
    own: Vec<u16>,
}

impl Ports {
    pub fn learn(&mut self, port: u16) {
        if port != 0 && !self.known.contains(&port) && !self.own.contains(&port) {
            self.known.push(port);
        }
    }

    pub fn learn_from(&mut self, call: &Call) {
        for port in call.args.iter().filter_map(|arg| sin_port(arg)) {
            match call.name.as_str() {
                "bind" | "connect" | "sendto" | "sendmsg" if !self.known.contains(&port) => {
                    self.own.push(port);
                }
                _ => self.learn(port),
            }
        }
    }

    /// `A`, `B`, ... `Z`, `A1`, ...
    fn letter(&self, port: u16) -> Option<String> {
        let place = self.known.iter().position(|&known| known == port)?;
        let letter = char::from(b'A' + u8::try_from(place % 26).unwrap_or_default());
        Some(if place < 26 {
            letter.to_string()
        } else {
            format!("{letter}{}", place / 26)
        })
    }
}

/// The port in a socket address, as strace writes it.
pub fn sin_port(arg: &str) -> Option<u16> {
    let (_, rest) = arg
        .split_once("_port=htons(") // sin_port, sin6_port
        .filter(|_| !arg.starts_with('"'))?;
    rest.split_once(')')?.0.parse().ok()
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

// ---- Numbers, and what is printed ----

/// A number that is another in each run.
struct Number {
    text: &'static str,
    word: &'static str,
    form: Form,
}

const NUMBERS: [Number; 5] = [
    Number {
        text: "si_pid=",
        word: "PID",
        form: Form::Pid,
    },
    Number {
        text: "parent_tid=[",
        word: "PID",
        form: Form::Pid,
    },
    Number {
        text: "stack_size=",
        word: "SIZE",
        form: Form::Pointer,
    },
    Number {
        text: "si_utime=",
        word: "TIME",
        form: Form::Children,
    },
    Number {
        text: "si_stime=",
        word: "TIME",
        form: Form::Children,
    },
];

/// What stands outside of strings, with ports, pids and pointers by name.
pub fn plain(arg: &str, ports: &Ports, forms: &mut Forms) -> String {
    let mut text = String::new();
    let mut rest = arg;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("htons(") {
            let end = digits(after);
            if let Some(letter) = after[..end]
                .parse()
                .ok()
                .and_then(|port| ports.letter(port))
            {
                *forms.entry(Form::Port).or_default() += 1;
                let _ = write!(text, "htons({letter}");
                rest = &after[end..];
                continue;
            }
        } else if let Some((key, after)) = NUMBERS
            .iter()
            .find_map(|key| Some((key, rest.strip_prefix(key.text)?)))
        {
            *forms.entry(key.form).or_default() += 1;
            text += key.text;
            text += key.word;
            rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == 'x');
            continue;
        } else if let Some(after) = rest.strip_prefix("0x") {
            let end = after.bytes().take_while(u8::is_ascii_hexdigit).count();
            if end >= 8 {
                *forms.entry(Form::Pointer).or_default() += 1;
                text += "POINTER";
                rest = &after[end..];
                continue;
            }
        }
        text.push(first);
        rest = &rest[first.len_utf8()..];
    }
    text
}

/// What a program prints, with known ports by name where they follow an address, `127.0.0.1:PORT` or `127.0.0.1#PORT`, or
/// end a line of their own, `serverPort:\tPORT`. Also how many digits they lack to five each.
pub fn printed(arg: &str, ports: &Ports, forms: &mut Forms) -> (String, usize) {
    let (mut text, mut missing, mut rest) = (String::new(), 0, arg);
    while let Some(first) = rest.chars().next() {
        let follows = text.ends_with([':', '#'])
            && text[..text.len() - 1].ends_with(|c: char| c.is_ascii_digit());
        let len = digits(rest);
        if len > 0 && (follows || text.ends_with("serverPort:\\t")) {
            if let Some(letter) = rest[..len].parse().ok().and_then(|port| ports.letter(port)) {
                *forms.entry(Form::Port).or_default() += 1;
                text += &letter;
                missing += 5 - len;
                rest = &rest[len..];
                continue;
            }
        }
        text.push(first);
        rest = &rest[first.len_utf8()..];
    }
    (text, missing)
}

// ---- Times ----

/// How long ago may be what a program calls now, in seconds: as long as a recording takes.
const NOW: u64 = 20;

/// How programs say what time it is. What stands for it is as long.
struct Time {
    before: &'static str,
    form: &'static str,
    after: &'static str,
    write: fn(i64, &mut Vec<u8>),
}

const TIMES: [Time; 2] = [
    Time {
        before: r"\r\nDate: ",
        form: "Www, DD Mmm YYYY hh:mm:ss GMT",
        after: r"\r\n",
        write: http_date,
    },
    Time {
        before: " [",
        form: "DD/Mmm/YYYY:hh:mm:ss +0000",
        after: r#"] \""#,
        write: log_date,
    },
];

/// What time it is for a lane, in nanoseconds.
#[derive(Default)]
pub struct Clock {
    /// When the call before began, and when this one did.
    before: Option<u64>,
    now: Option<u64>,
    /// For each descriptor the last time-out in whole seconds: since when at the earliest, and how many microseconds.
    timeouts: HashMap<String, (u64, u64)>,
}

impl Clock {
    pub fn goes_on(&mut self, start: Option<u64>) {
        self.before = std::mem::replace(&mut self.now, start);
    }

    /// What a program says, with the time of day by its form. Another time than that stays.
    pub fn told(&self, arg: &str, call: &Call, forms: &mut Forms) -> String {
        let mut text = arg.to_owned();
        let Some(start) = self.now else { return text };
        let end = (start + call.took.unwrap_or_default()) / 1_000_000_000;
        for time in &TIMES {
            if !text.contains(time.before) {
                continue;
            }
            for second in end.saturating_sub(NOW)..=end {
                let mut words = Vec::new();
                (time.write)(second.try_into().unwrap_or(i64::MAX), &mut words);
                let around = |words: &str| [time.before, words, time.after].concat();
                let words = around(&String::from_utf8_lossy(&words));
                let found = text.matches(&words).count();
                if found > 0 {
                    *forms.entry(Form::Date).or_default() += found;
                    text = text.replace(&words, &around(time.form));
                }
            }
        }
        text
    }

    /// Whether the call sets a time-out to what is left of an earlier one.
    pub fn is_left(&mut self, call: &Call) -> bool {
        let ("setsockopt", [fd, _, option, value, _]) = (call.name.as_str(), call.args.as_slice())
        else {
            return false;
        };
        let (Some(micros), Some(now)) = (timeval(value), self.now) else {
            return false;
        };
        if !option.starts_with("SO_RCVTIMEO") {
            return false;
        }
        if micros % 1_000_000 == 0 {
            let since = self.before.unwrap_or(now);
            self.timeouts.insert(fd.clone(), (since, micros));
            return false;
        }
        self.timeouts.get(fd).is_some_and(|&(since, whole)| {
            micros < whole && micros + now.saturating_sub(since) / 1000 >= whole
        })
    }
}

/// How many microseconds the bytes of a timeval stand for.
fn timeval(arg: &str) -> Option<u64> {
    let (bytes, _) = bytes(arg)?;
    let (seconds, micros) = bytes.split_first_chunk()?;
    let micros = u64::from_ne_bytes(micros.try_into().ok()?);
    u64::from_ne_bytes(*seconds)
        .checked_mul(1_000_000)?
        .checked_add(micros)
}

/// The descriptors of the files that a thread has opened, in order; those that are closed are `None`. Others' are as they are.
pub struct Files(pub Option<Vec<Option<String>>>);

impl Files {
    pub fn name(
        &mut self,
        call: &Call,
        args: &mut [String],
        result: &mut String,
        forms: &mut Forms,
    ) {
        let Some(files) = &mut self.0 else { return };
        let mut named = |place: usize, text: &mut String| {
            *forms.entry(Form::File).or_default() += 1;
            *text = format!("FILE{}", place + 1);
        };
        if call.name.starts_with("open") && !call.failed() {
            files.push(Some(result.clone()));
            return named(files.len() - 1, result);
        }
        let descriptors = if call.name == "sendfile" { 2 } else { 1 };
        for arg in args.iter_mut().take(descriptors) {
            let place = files.iter().position(|file| file.as_ref() == Some(arg));
            if let Some(place) = place {
                if call.name == "close" {
                    files[place] = None;
                }
                named(place, arg);
            }
        }
    }
}
