//! What varies from run to run, put in a form in which it can be compared: ports, numbers of processes, places in memory,
//! times. Each form is narrow: what it does not know stays as it is, and is compared.

#[path = "../../web/date.rs"]
mod date;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Display, Formatter, Write};

use date::{http_date, log_date};

use crate::strace::calls::{self, By, Does, Place};
use crate::strace::line::Call;
use crate::strace::text::bytes;

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
    Descriptor,
    Varies,
}

impl Form {
    pub const ALL: [Form; 11] = [
        Form::Port,
        Form::Pid,
        Form::Pointer,
        Form::Pieces,
        Form::Full,
        Form::Children,
        Form::Date,
        Form::Left,
        Form::File,
        Form::Descriptor,
        Form::Varies,
    ];

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
            Form::Descriptor => "socket",
            Form::Varies => "varies",
        }
    }

    pub fn meaning(self) -> &'static str {
        match self {
            Form::Port => {
                "the kernel picks them; each becomes a letter, A the server's, the others as they appear"
            }
            Form::Pid => "the kernel numbers processes and threads: each becomes a letter",
            Form::Pointer => "an address in memory differs in each run: all are compared as one",
            Form::Pieces => {
                "TCP cuts a stream anew in each run: consecutive pieces are compared joined"
            }
            Form::Full => {
                "how many bytes fit before a send would block varies: such sends are compared as one"
            }
            Form::Children => {
                "children end at unpredictable times: SIGCHLD and its handler's calls are compared last, as a set"
            }
            Form::Date => {
                "the time of day, in a response's Date: or a line of a log, if it is right to some seconds"
            }
            Form::Left => {
                "a remaining time-out is compared as LEFT if it lies between what was set and what was set minus the time elapsed"
            }
            Form::File => {
                "a file that a thread opens: its number depends on what other threads have open at that moment"
            }
            Form::Descriptor => {
                "a socket's number depends on what else is open: each socket becomes a letter as it appears"
            }
            Form::Varies => {
                "lines that differ between two runs of the same program: the varying parts are not compared"
            }
        }
    }
}

/// How often each form was used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forms([u32; Form::ALL.len()]);

impl Forms {
    pub fn add(&mut self, form: Form, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let all = &mut self.0[form as usize];
        *all = all.saturating_add(count);
    }

    #[cfg(test)]
    pub fn count(&self, form: Form) -> usize {
        self.0[form as usize] as usize
    }

    pub fn add_all(&mut self, others: &Forms) {
        for (form, count) in others.iter() {
            self.add(form, count);
        }
    }

    pub fn has(&self, form: Form) -> bool {
        self.0[form as usize] > 0
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&count| count == 0)
    }

    /// The forms that were used, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Form, usize)> + use<> {
        let counts = Form::ALL.into_iter().zip(self.0);
        let counts = counts.map(|(form, count)| (form, count as usize));
        counts.filter(|(_, count)| *count > 0)
    }
}

// ---- What is long ----

/// Bytes that are more are compared by the first of them, their count and a number made of all.
pub const LONG: usize = 256;
/// This many of them are shown.
const SHOWN: usize = 64;
/// This many bytes of joined pieces are kept, to show where two differ.
const KEPT: usize = 1 << 18;

/// Bytes, however many: a number that stands for them, as for their parts in any pieces, and the first of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    pub len: u64,
    hash: u64,
    pub kept: Vec<u8>,
    /// Strace has not shown all of it: only its length is compared.
    pub partial: bool,
}

/// The number is a polynomial over the bytes in this field.
const FIELD: u64 = (1 << 61) - 1;
const BASE: u64 = 0x0123_4567_89ab_cdef;

fn times(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other) % u128::from(FIELD);
    product.try_into().unwrap_or_default()
}

impl Data {
    pub fn of(bytes: &[u8]) -> Data {
        let add = |hash, &byte| (times(hash, BASE) + u64::from(byte) + 1) % FIELD;
        Data {
            len: bytes.len() as u64,
            hash: bytes.iter().fold(0, add),
            kept: bytes[..bytes.len().min(KEPT)].to_vec(),
            partial: false,
        }
    }

    /// `len` bytes, of which these are known.
    pub fn partly(bytes: &[u8], len: u64) -> Data {
        Data {
            len,
            partial: bytes.len() as u64 != len,
            ..Data::of(bytes)
        }
    }

    /// What a quoted argument stands for, or one that [`brief`] has made of it; `None` if strace has not shown all of it.
    pub fn of_argument(arg: &str) -> Option<Data> {
        if let Some((head, rest)) = arg.rsplit_once("\"...#") {
            let (hash, len) = rest.split_once(':')?;
            return Some(Data {
                len: len.parse().ok()?,
                hash: u64::from_str_radix(hash, 16).ok()?,
                kept: bytes(&format!("{head}\""))?.0,
                partial: false,
            });
        }
        let (bytes, cut) = bytes(arg)?;
        (!cut).then(|| Data::of(&bytes))
    }

    pub fn extend(&mut self, more: &Data) {
        let (mut power, mut base, mut exponent) = (1, BASE, more.len);
        while exponent > 0 {
            if exponent % 2 == 1 {
                power = times(power, base);
            }
            base = times(base, base);
            exponent /= 2;
        }
        self.hash = (times(self.hash, power) + more.hash) % FIELD;
        if self.kept.len() as u64 == self.len {
            let room = KEPT.saturating_sub(self.kept.len());
            self.kept
                .extend_from_slice(&more.kept[..more.kept.len().min(room)]);
        }
        self.len += more.len;
        self.partial |= more.partial;
    }
}

impl Display for Data {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        if self.partial {
            return f.write_str("not all seen");
        }
        if self.len <= LONG as u64 {
            return write!(f, "{}", self.kept.escape_ascii());
        }
        let shown = &self.kept[..self.kept.len().min(SHOWN)];
        write!(f, "{}...#{:016x}", shown.escape_ascii(), self.hash)
    }
}

/// An argument as it is compared: a long one in quotes by its beginning, a number for its bytes, and their count.
pub fn brief(arg: &str) -> String {
    let seen = Some(arg).filter(|arg| arg.len() > LONG).and_then(bytes);
    let Some((seen, cut)) = seen.filter(|(seen, _)| seen.len() > LONG) else {
        return arg.to_owned();
    };
    let Data { hash, len, .. } = Data::of(&seen);
    let shown = seen[..SHOWN].escape_ascii();
    let more = if cut { "..." } else { "" }; // strace itself has left something out
    format!("\"{shown}\"...#{hash:016x}:{len}{more}")
}

// ---- Sockets ----

/// What a call has to do with sockets.
#[derive(Clone, Debug, Default)]
pub struct On {
    /// It is on one, or about some.
    pub network: bool,
    pub socket: Option<u64>,
    /// The sockets that it made.
    pub made: Vec<u64>,
    /// What the numbers in a call about several mean.
    pub several: Vec<(i32, u64)>,
}

/// The sockets of a task, in the order in which they get their letters.
#[derive(Default)]
pub struct Letters(pub Vec<u64>);

impl Letters {
    fn of(&mut self, socket: u64) -> String {
        let place = self.0.iter().position(|&known| known == socket);
        let place = place.unwrap_or_else(|| {
            self.0.push(socket);
            self.0.len() - 1
        });
        letter(place).to_lowercase()
    }

    /// Puts letters in the place of the numbers of sockets.
    pub fn name(
        &mut self,
        call: &Call,
        on: &On,
        args: &mut [String],
        result: &mut String,
        forms: &mut Forms,
    ) {
        let named = RefCell::new(0);
        let put = |text: &mut String, letters: String| {
            *text = letters;
            *named.borrow_mut() += 1;
        };
        let is_number = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
        if let (Some(socket), Some(first)) =
            (on.socket, args.first_mut().filter(|arg| is_number(arg)))
        {
            put(first, self.of(socket));
        }
        match on.made.as_slice() {
            [one] if is_number(result) => put(result, self.of(*one)),
            [one, other] => {
                let pair = format!("[{}, {}]", self.of(*one), self.of(*other));
                if let Some(arg) = args.get_mut(3) {
                    put(arg, pair);
                }
            }
            _ => {}
        }
        if let Does::Watches(by) = calls::does(&call.name) {
            let word = match by {
                By::Sets => Some("N"), // one more than the highest
                By::Array => None,
                By::Epoll | By::Change => Some("EPOLL"),
            };
            if let (Some(first), Some(word)) = (args.first_mut(), word) {
                put(first, word.to_owned());
            }
            let others = usize::from(word.is_some());
            for (at, arg) in args.iter_mut().enumerate().skip(others) {
                let alone = by == By::Change && at == 2;
                for &(number, socket) in &on.several {
                    let wanted = number.to_string();
                    if alone && *arg == wanted {
                        put(arg, self.of(socket));
                        break;
                    }
                }
                if arg.starts_with(['[', '{']) {
                    let (text, count) = self.within(arg, &on.several);
                    *arg = text;
                    *named.borrow_mut() += count;
                }
            }
        }
        let named = named.into_inner();
        forms.add(Form::Descriptor, named);
    }

    /// `[{fd=4, events=POLLIN}]`, `[3 4]`, `{events=EPOLLIN, data={u32=4, u64=4}}` with letters. Also how many.
    pub fn within(&mut self, arg: &str, several: &[(i32, u64)]) -> (String, usize) {
        let (mut text, mut count, mut rest) = (String::new(), 0, arg);
        while let Some(first) = rest.chars().next() {
            let begins = ["fd=", "u32=", "u64=", "["]
                .iter()
                .any(|key| text.ends_with(key))
                || (text.ends_with(' ') && arg.starts_with('[') && !arg.contains('{'));
            let len = digits(rest);
            let number = rest[..len].parse().ok().filter(|_| begins && len > 0);
            if let Some((_, socket)) =
                number.and_then(|number: i32| several.iter().find(|(known, _)| *known == number))
            {
                text += &self.of(*socket);
                count += 1;
                rest = &rest[len..];
                continue;
            }
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
        (text, count)
    }
}

/// `A`, `B`, ... `Z`, `A1`, ...
fn letter(place: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(place % 26).unwrap_or_default());
    if place < 26 {
        letter.to_string()
    } else {
        format!("{letter}{}", place / 26)
    }
}

// ---- Ports ----

/// The ports that the kernel picked, in the order in which they get their letters.
#[derive(Clone, Default)]
pub struct Ports {
    known: Vec<u16>,
    /// Those that the program named itself, before it was told: they are compared as they are.
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
            match calls::of(&call.name) {
                Some(row)
                    if (matches!(row.does, Does::Binds | Does::Connects)
                        || row.sends.is_some())
                        && !self.known.contains(&port) =>
                {
                    self.own.push(port);
                }
                _ => self.learn(port),
            }
        }
    }

    fn letter(&self, port: u16) -> Option<String> {
        let place = self.known.iter().position(|&known| known == port)?;
        Some(letter(place))
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
                forms.add(Form::Port, 1);
                let _ = write!(text, "htons({letter}");
                rest = &after[end..];
                continue;
            }
        } else if let Some((key, after)) = NUMBERS
            .iter()
            .find_map(|key| Some((key, rest.strip_prefix(key.text)?)))
        {
            forms.add(key.form, 1);
            text += key.text;
            text += key.word;
            rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == 'x');
            continue;
        } else if let Some(after) = rest.strip_prefix("0x") {
            let end = after.bytes().take_while(u8::is_ascii_hexdigit).count();
            if end >= 8 {
                forms.add(Form::Pointer, 1);
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
                forms.add(Form::Port, 1);
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
                    forms.add(Form::Date, found);
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
            forms.add(Form::File, 1);
            *text = format!("FILE{}", place + 1);
        };
        let row = calls::of(&call.name);
        let does = row.map_or(Does::Neither, |row| row.does);
        if does == Does::OpensFile && !call.failed() {
            files.push(Some(result.clone()));
            return named(files.len() - 1, result);
        }
        let data = row.and_then(|row| row.sends.or(row.receives));
        let other = match data.map(|data| data.place) {
            Some(Place::Unseen(other)) => other,
            _ => 0,
        };
        let numbers = args.iter_mut().enumerate();
        for (_, arg) in numbers.filter(|(at, _)| *at == 0 || *at == other) {
            let place = files.iter().position(|file| file.as_ref() == Some(arg));
            if let Some(place) = place {
                if does == Does::Closes {
                    files[place] = None;
                }
                named(place, arg);
            }
        }
    }
}
