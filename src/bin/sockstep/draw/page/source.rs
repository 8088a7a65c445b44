//! The sources of a side: ours in Rust and C, or the file that the user has named; and the line of
//! each call.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::draw::json::{array, object, shown as text};
use crate::draw::source::Place;
use crate::lectures::programs::c_source;
use crate::strace::line::Call;
use crate::world::Side;

/// The most files of a program that is not ours.
const FILES: usize = 12;

/// The sources of both sides.
#[derive(Default)]
pub struct Sources {
    /// For each side one view for each language.
    views: [Vec<View>; 2],
    /// The line of each call in each step.
    found: HashMap<(Side, Option<String>, String, String), Option<String>>,
}

/// A program in one language: its own file, and the files that it shares with others.
struct View {
    files: Vec<File>,
    /// Its comments name the steps.
    ours: bool,
}

struct File {
    name: String,
    text: String,
    /// A call's line in it is known.
    used: bool,
}

/// The Rust sources of our programs, and of their shared modules.
macro_rules! texts {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../", $name, ".rs")))),*]
    };
}
const RUST: &[(&str, &str)] = texts! {
    "tcp_echo_client" "tcp_echo_server" "tcp_echo_server_epoll" "tcp_echo_server_fork" "tcp_echo_server_poll"
    "tcp_echo_server_pool" "tcp_echo_server_prefork" "tcp_echo_server_select" "tcp_echo_server_thread"
    "tcp_upper_client" "tcp_upper_server" "udp_echo_client" "udp_echo_server" "udp_upper_client" "udp_upper_server"
    "web_client" "web_server" "common/echo" "web/connection" "web/listening" "common/deadline" "web/threads" "common/mod"
};

/// The files that all programs share, in Rust and C.
const COMMON: [&str; 2] = ["common/mod", "common/common"];

fn file(name: &str, c: bool) -> Option<File> {
    let (text, ending) = if c {
        let ending = if name.contains('/') { "h" } else { "c" };
        (c_source(&format!("{name}.{ending}"))?, ending)
    } else {
        let (_, text) = RUST.iter().find(|(other, _)| *other == name)?;
        (*text, "rs")
    };
    Some(File::new(format!("{name}.{ending}"), text))
}

impl View {
    fn of(name: &str, c: bool) -> Option<View> {
        let shared: &[&str] = match name {
            _ if name.starts_with("tcp_echo_server_") => &["common/echo"],
            "web_server" => &["web/connection", "web/listening", "web/threads"],
            _ if name.ends_with("_client") => &["common/deadline"],
            _ => &[],
        };
        let mut files = vec![file(name, c)?];
        files.extend(shared.iter().filter_map(|name| file(name, c)));
        files.extend(file(if c { COMMON[1] } else { COMMON[0] }, c));
        Some(View { files, ours: true })
    }

    /// The same for a known place.
    fn told(&mut self, place: &Place) -> Option<String> {
        let at = self.files.iter().position(|file| file.is(place))?;
        self.files[at].used = true;
        Some(format!("[{at},[{}]]", place.line))
    }

    /// `[file, lines]` of a call, as JSON.
    fn find(&mut self, call: &Call, step: Option<&str>, name: &str) -> Option<String> {
        let (at, lines) = if self.ours {
            let in_step =
                |(at, file): (usize, &File)| Some((at, vec![file.in_step(step?, call, name)?]));
            let anywhere = |(at, file): (usize, &File)| {
                // Lines of shared files for any step; lines of its own file that belong to no step.
                let lines = file.calls(0..usize::MAX, call, name);
                Some((at, vec![*lines.first()?]))
            };
            let files = || self.files.iter().enumerate();
            let is_common = |file: &File| COMMON.iter().any(|name| file.name.starts_with(name));
            let shared = files()
                .skip(1)
                .filter(|(_, file)| !is_common(file))
                .find_map(anywhere);
            files()
                .find_map(in_step)
                .or(shared)
                .or_else(|| files().find_map(anywhere))?
        } else {
            let all = |(at, file): (usize, &File)| {
                let lines = file.calls(0..usize::MAX, call, name);
                (!lines.is_empty()).then_some((at, lines))
            };
            self.files.iter().enumerate().find_map(all)?
        };
        self.files[at].used = true;
        let lines = array(lines.iter().map(usize::to_string));
        Some(format!("[{at},{lines}]"))
    }
}

/// Also opens the source of a line, if there is room for it.
fn open(views: &mut Vec<View>, place: &Place) {
    let mut files = views.iter().flat_map(|view| &view.files);
    if files.any(|file| file.is(place)) {
        return;
    }
    let read = || {
        place
            .read()
            .map(|text| File::new(place.name().to_owned(), &text))
    };
    match &mut views[..] {
        [] => views.extend(read().map(|file| View {
            files: vec![file],
            ours: false,
        })),
        [one] if !one.ours && one.files.len() < FILES => one.files.extend(read()),
        _ => {}
    }
}

impl Sources {
    /// The sources of our programs, for the client and the server.
    pub fn of(programs: [Option<&str>; 2]) -> Sources {
        let mut sources = Sources::default();
        for (side, name) in [Side::Client, Side::Server].into_iter().zip(programs) {
            if let Some(name) = name {
                sources.is(side, name);
            }
        }
        sources
    }

    /// Sets the program of ours that a side runs.
    pub fn is(&mut self, side: Side, name: &str) {
        if self.views[side as usize].is_empty() {
            let view = |c| View::of(name, c);
            self.views[side as usize] = [false, true].into_iter().filter_map(view).collect();
        }
    }

    /// Takes the file that the user has named as the source of a side.
    pub fn read(&mut self, side: Side, path: &Path) -> Result<(), String> {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = File::new(name.into_owned(), &String::from_utf8_lossy(&bytes));
        self.views[side as usize] = vec![View {
            files: vec![file],
            ours: false,
        }];
        Ok(())
    }

    /// For each language the file and the line of a call, as JSON. If the stack gives the place,
    /// that is used; for the other language it is the same call in the same step.
    pub fn lines(
        &mut self,
        side: Side,
        call: &Call,
        step: Option<&str>,
        name: &str,
        place: Option<&Place>,
    ) -> Option<String> {
        let views = &mut self.views[side as usize];
        if let Some(place) = place {
            open(views, place);
        }
        if views.is_empty() {
            return None;
        }
        let mut key = constants(call).collect::<Vec<_>>().join(" ");
        if let Some(place) = place {
            key = format!("{key} {place}");
        }
        let key = (side, step.map(str::to_owned), name.to_owned(), key);
        let found = self.found.entry(key).or_insert_with(|| {
            let of = |view: &mut View| {
                let told = place.and_then(|place| view.told(place));
                told.or_else(|| view.find(call, step, name))
            };
            let all: Vec<Option<String>> = views.iter_mut().map(of).collect();
            let any = all.iter().any(Option::is_some);
            any.then(|| array(all.into_iter().map(|it| it.unwrap_or("null".to_owned()))))
        });
        found.clone()
    }

    /// For each side the views, each with the places of its files; `null` for a file without a
    /// known line.
    pub fn json(&self, all: &mut Files) -> String {
        let sides = [Side::Client, Side::Server].map(|side| {
            let views = self.views[side as usize].iter().map(|view| {
                let files = view.files.iter().enumerate().map(|(at, file)| {
                    if at > 0 && !file.used {
                        return "null".to_owned();
                    }
                    all.place(&file.name, &file.text).to_string()
                });
                array(files)
            });
            (side.name(), array(views))
        });
        object(&sides)
    }
}

/// The sources of a page, each one once.
#[derive(Default)]
pub struct Files(Vec<(String, String)>);

impl Files {
    fn place(&mut self, name: &str, text: &str) -> usize {
        let same = |(other, own): &(String, String)| other == name && own == text;
        self.0.iter().position(same).unwrap_or_else(|| {
            self.0.push((name.to_owned(), text.to_owned()));
            self.0.len() - 1
        })
    }

    pub fn json(&self) -> String {
        let files = self.0.iter();
        array(files.map(|(name, own)| object(&[("name", text(name)), ("text", text(own))])))
    }
}

/// The constants among a call's arguments, which the source contains too.
fn constants(call: &Call) -> impl Iterator<Item = &str> {
    let words = call
        .args
        .iter()
        .filter(|arg| !arg.starts_with(['"', '{', '[']));
    let words = words.flat_map(|arg| arg.split('|'));
    words.filter(|word| {
        word.contains('_')
            && word
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    })
}

impl File {
    fn new(name: String, text: &str) -> File {
        File {
            name,
            text: text.replace("\r\n", "\n"),
            used: false,
        }
    }

    fn is(&self, place: &Place) -> bool {
        self.name.rsplit('/').next() == Some(place.name())
    }

    /// Those of the lines that make a call, directly or through a helper that repeats it until all
    /// is done. Only those with the most of its constants are kept, in order.
    fn calls(&self, place: std::ops::Range<usize>, call: &Call, name: &str) -> Vec<usize> {
        if name.is_empty() {
            return Vec::new();
        }
        let names = [name.to_owned(), format!("{name}_all"), format!("{name}All")];
        let lines = self.text.lines().enumerate();
        let lines = lines
            .skip(place.start)
            .take(place.end.saturating_sub(place.start));
        let found = names.iter().map(|name| {
            let own = lines.clone().filter(|(_, line)| makes(line, name));
            own.collect::<Vec<_>>()
        });
        let found = found
            .into_iter()
            .find(|lines| !lines.is_empty())
            .unwrap_or_default();
        let fits = |line: &str| constants(call).filter(|word| line.contains(word)).count();
        let best = found
            .iter()
            .map(|(_, line)| fits(line))
            .max()
            .unwrap_or_default();
        let best = found.iter().filter(|(_, line)| fits(line) == best);
        best.map(|(at, _)| at + 1).collect()
    }

    /// The line of a step that makes a call: after the step's comment, up to the end of that block.
    fn in_step(&self, step: &str, call: &Call, name: &str) -> Option<usize> {
        let key = comment(step)?;
        let lines: Vec<&str> = self.text.lines().collect();
        let depth = |line: &str| line.len() - line.trim_start().len();
        let start = lines
            .iter()
            .position(|line| line.to_lowercase().contains(&key))?;
        let inner = depth(lines[start]);
        let ends = |line: &&str| !line.trim().is_empty() && depth(line) < inner;
        let length = lines[start..]
            .iter()
            .position(ends)
            .unwrap_or(lines.len() - start);
        self.calls(start..start + length, call, name)
            .first()
            .copied()
    }
}

/// Whether a line of Rust or C calls the function, rather than defines or mentions it.
fn makes(line: &str, name: &str) -> bool {
    if line.trim_start().starts_with("* ") {
        return false; // within a comment of several lines
    }
    let code = line.split("//").next().unwrap_or(line);
    let code = code.split("/*").next().unwrap_or(code);
    let code: String = code.split('"').step_by(2).collect::<Vec<_>>().join("\"\""); // without string literals
    let call = [format!("{name}("), format!("{name}::<")];
    call.iter().any(|call| {
        code.match_indices(call.as_str()).any(|(at, _)| {
            !code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && !code[..at].trim_end().ends_with("fn")
        })
    })
}

/// `a. accept a new connection`, the comments' form of `Server 4a. Accept a new connection`.
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
