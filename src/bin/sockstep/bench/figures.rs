//! The figures of `sockstep bench`: ratios and their spread, as a table and as JSON.

use std::fmt::Write; // writing into memory does not fail
use std::fs;
use std::time::Duration;

use nix::sys::utsname::uname;

use crate::bench::cost::Memory;
use crate::bench::{Args, Subject};
use crate::draw::json;
use crate::draw::terminal::harmless;
use crate::sides::shell::quoted;

/// The largest distance from 1 allowed, in half of the rounds, between two copies of one program.
pub const TOLERANCE: f64 = 0.02;
/// The names of the table's lines.
const RATE: &str = "round trips a second";
const CPU: &str = "CPU time of the server";
const EACH: &str = "  more for each connection";
/// Columns of the output.
const COLUMNS: usize = 80;

/// The work of one copy in one slice.
#[derive(Clone, Copy, Default)]
pub struct Slice {
    /// Since the first one.
    pub start: Duration,
    pub round_trips: u32,
    pub time: Duration,
    pub cpu: Duration,
}

/// A slice of each copy, two of each program after each other.
pub type Round = Vec<Slice>;

/// The conditions of the measurement.
pub struct Conditions<'a> {
    pub args: &'a Args,
    pub core: Option<usize>,
    pub seed: u32,
}

impl Conditions<'_> {
    /// The text printed before the measurement.
    pub fn heading(&self) -> String {
        let args = self.args;
        let (size, count) = (
            plural(args.size, "byte"),
            plural(args.connections, "connection"),
        );
        let mut text = if args.reconnect {
            format!(
                "{}: {size}, a new connection each, {} at a time\n",
                args.server(),
                args.connections
            )
        } else {
            format!("{}: {size} there and back, {count}\n", args.server())
        };
        let _ = writeln!(text, "{}\n{}\n", self.where_it_runs(), machine());
        text
    }

    pub fn where_it_runs(&self) -> String {
        match self.core {
            Some(core) => format!("client and server on core {core}"),
            None => "client and server on any core".to_owned(),
        }
    }

    /// The command that repeats the measurement, in parts that are not broken across lines.
    fn command(&self) -> Vec<String> {
        let args = self.args;
        let mut parts = vec![
            format!("sockstep bench {}", args.server()),
            format!("--connections {}", args.connections),
            format!("--size {}", args.size),
            format!("--seconds {}", args.seconds),
            format!("--slice {}", args.slice),
            format!("--seed {}", self.seed),
        ];
        if args.reconnect {
            parts.push("--reconnect".to_owned());
        }
        if args.any_core {
            parts.push("--any-core".to_owned());
        }
        if let Some(directory) = &args.c_programs {
            parts.push(format!("--c-programs {}", quoted(directory.as_os_str())));
        }
        for command in &args.against {
            parts.push(format!("--against {}", quoted(command)));
        }
        parts
    }
}

pub fn plural(count: u16, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Kernel, without its builder's name, and processor.
pub fn machine() -> String {
    let kernel = uname().map_or_else(
        |_| "unknown kernel".to_owned(),
        |name| {
            let release = name.release().to_string_lossy();
            let version = release.split('-').next().unwrap_or_default();
            format!("{} {version}", name.sysname().to_string_lossy())
        },
    );
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim())
    });
    format!("{kernel}, {}", model.unwrap_or(std::env::consts::ARCH))
}

/// The measurements of one program, its two copies together.
pub struct Program {
    /// How long each round trip took, in nanoseconds.
    pub times: Vec<u32>,
    /// Memory of a copy.
    pub at_rest: Memory,
    pub with_connections: Memory,
}

/// A median, and the range that holds 80 % of the values.
struct Spread {
    median: f64,
    /// None if there is only one value.
    p10_p90: Option<[f64; 2]>,
    /// The distance from 1 that half of the ratios stay within.
    distance: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let mut distances: Vec<f64> = values.iter().map(|value| (value - 1.0).abs()).collect();
        distances.sort_by(f64::total_cmp);
        Spread {
            median: percentile(&values, 50).unwrap_or(f64::NAN),
            p10_p90: percentile(&values, 10)
                .zip(percentile(&values, 90))
                .filter(|_| values.len() > 1)
                .map(|(p10, p90)| [p10, p90]),
            distance: percentile(&distances, 50).unwrap_or(f64::NAN),
        }
    }
}

/// Of sorted values.
pub fn percentile<T: Copy>(values: &[T], percent: usize) -> Option<T> {
    let last = values.len().checked_sub(1)?;
    values.get((last * percent + 50) / 100).copied()
}

/// A ratio of one program to another, or to itself.
struct Ratio {
    of: [usize; 2],
    spread: Spread,
}

impl Ratio {
    fn is_to_itself(&self) -> bool {
        self.of[0] == self.of[1]
    }
}

/// The first to each of the others, and each to itself.
fn ratios(rounds: &[Round], value: fn(&[Slice]) -> f64) -> Vec<Ratio> {
    let programs = rounds.first().map_or(0, |round| round.len() / 2);
    let mut pairs: Vec<[usize; 2]> = Vec::new();
    for other in 1..programs {
        pairs.push([0, other]);
        if other == 1 {
            pairs.push([0, 0]);
        }
        pairs.push([other, other]);
    }
    let ratio = |of: [usize; 2]| {
        let [left, right] = if of[0] == of[1] {
            [2 * of[0]..2 * of[0] + 1, 2 * of[0] + 1..2 * of[0] + 2]
        } else {
            of.map(|at| 2 * at..2 * at + 2)
        };
        let each = |round: &Round| value(&round[left.clone()]) / value(&round[right.clone()]);
        Ratio {
            of,
            spread: Spread::of(rounds.iter().map(each).collect()),
        }
    };
    pairs.into_iter().map(ratio).collect()
}

fn round_trips(slices: &[Slice]) -> u32 {
    slices.iter().map(|slice| slice.round_trips).sum()
}

/// Round trips a second.
pub fn rate(slices: &[Slice]) -> f64 {
    let time: Duration = slices.iter().map(|slice| slice.time).sum();
    f64::from(round_trips(slices)) / time.as_secs_f64()
}

/// CPU time for each round trip, in microseconds.
fn cpu(slices: &[Slice]) -> f64 {
    let time: Duration = slices.iter().map(|slice| slice.cpu).sum();
    time.as_secs_f64() * 1e6 / f64::from(round_trips(slices))
}

/// A line of the table: its name, decimals, and figure.
type Row = (&'static str, usize, fn(&Figures) -> f64);

/// The lines about one program.
struct Figures {
    round_trips: u32,
    per_second: f64,
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
    at_rest: Memory,
    with_connections: Memory,
    connections: u16,
}

impl Figures {
    fn new(mut program: Program, slices: &[Slice], connections: u16) -> Figures {
        program.times.sort_unstable();
        let microseconds =
            |percent| percentile(&program.times, percent).map_or(f64::NAN, f64::from) / 1e3;
        Figures {
            round_trips: round_trips(slices),
            per_second: rate(slices),
            cpu_us: cpu(slices),
            p50_us: microseconds(50),
            p99_us: microseconds(99),
            at_rest: program.at_rest,
            with_connections: program.with_connections,
            connections,
        }
    }

    /// The memory that one connection adds.
    fn more(&self, kib: fn(&Memory) -> u32) -> f64 {
        let [rest, open] = [&self.at_rest, &self.with_connections]
            .map(kib)
            .map(f64::from);
        (open - rest) / f64::from(self.connections)
    }

    fn json(&self) -> String {
        let (rest, open) = (self.at_rest, self.with_connections);
        format!(
            "{{\"round_trips\":{},\"per_second\":{},\"cpu_us\":{},\"p50_us\":{},\"p99_us\":{},\
             \"private_kib\":{},\"pss_kib\":{},\"open_private_kib\":{},\"open_pss_kib\":{}}}",
            self.round_trips,
            number(self.per_second),
            number(self.cpu_us),
            number(self.p50_us),
            number(self.p99_us),
            rest.private,
            rest.proportional,
            open.private,
            open.proportional,
        )
    }
}

/// All figures.
pub struct Report<'a> {
    subjects: &'a [Subject],
    rounds: Vec<Round>,
    figures: Vec<Figures>,
    per_second: Vec<Ratio>,
    cpu: Vec<Ratio>,
}

impl Report<'_> {
    /// `ticks`: the CPU time is known in ticks, too coarse for a slice.
    pub fn new(
        subjects: &[Subject],
        programs: Vec<Program>,
        rounds: Vec<Round>,
        ticks: bool,
        connections: u16,
    ) -> Report<'_> {
        let figures = programs.into_iter().enumerate().map(|(at, program)| {
            let slices = rounds.iter().flat_map(|round| &round[2 * at..2 * at + 2]);
            let slices: Vec<Slice> = slices.copied().collect();
            Figures::new(program, &slices, connections)
        });
        let whole = vec![Slice::default(); 2 * subjects.len()];
        let whole = rounds.iter().fold(whole, |mut whole, round| {
            for (sum, slice) in whole.iter_mut().zip(round) {
                sum.round_trips += slice.round_trips;
                sum.time += slice.time;
                sum.cpu += slice.cpu;
            }
            whole
        });
        Report {
            subjects,
            figures: figures.collect(),
            per_second: ratios(&rounds, rate),
            cpu: ratios(
                if ticks {
                    std::slice::from_ref(&whole)
                } else {
                    &rounds
                },
                cpu,
            ),
            rounds,
        }
    }

    /// The figures that are void: as named in JSON, as shown to a person, and the distance from 1,
    /// in half of the rounds, between the two copies.
    fn void(&self) -> Vec<(&'static str, &'static str, f64)> {
        let figures = [
            ("per_second", RATE, &self.per_second),
            ("cpu", CPU, &self.cpu),
        ];
        figures
            .into_iter()
            .map(|(key, name, ratios)| {
                let itself = ratios.iter().filter(|ratio| ratio.is_to_itself());
                let farther = itself.map(|ratio| ratio.spread.distance);
                let farther = farther.max_by(f64::total_cmp); // if one is not a number, that one
                (key, name, farther.unwrap_or(f64::NAN))
            })
            .filter(|(_, _, distance)| distance.is_nan() || *distance > TOLERANCE)
            .collect()
    }

    pub fn is_void(&self) -> bool {
        !self.void().is_empty()
    }

    pub fn table(&self, conditions: &Conditions) -> String {
        let mut text = if self.subjects.len() > 2 {
            self.rows_of_servers(conditions.args)
        } else {
            self.columns_of_servers(conditions.args)
        };
        text.push('\n');
        if self.is_void() {
            let void: Vec<String> = self
                .void()
                .iter()
                .map(|(_, name, distance)| format!("{name} ({:.1} %)", distance * 100.0))
                .collect();
            let _ = writeln!(text, "void: {}", void.join(", "));
            text += "In half of the rounds two copies of the program differ by this much; the limit\n\
                     is 2 %. Measure in longer slices, or while nothing else runs.\n";
        }
        text += &wrapped(&conditions.command());
        text
    }

    /// For the program and its twin: a column for each of them, and for each ratio.
    fn columns_of_servers(&self, args: &Args) -> String {
        let rows: [Row; 8] = [
            (RATE, 0, |f| f.per_second),
            ("CPU time of the server for each, us", 2, |f| f.cpu_us),
            ("time of each, median, us", 1, |f| f.p50_us),
            ("  99 of 100 are within, us", 1, |f| f.p99_us),
            ("private memory at rest, KiB", 0, |f| {
                f.at_rest.private.into()
            }),
            (EACH, 1, |f| f.more(|memory| memory.private)),
            ("PSS at rest, KiB", 0, |f| f.at_rest.proportional.into()),
            (EACH, 1, |f| f.more(|memory| memory.proportional)),
        ];
        let mut text = format!("{:36}{:>10}{:>10}\n", "", "Rust", "C");
        for (name, decimals, figure) in rows {
            if name != EACH || !args.reconnect {
                let [rust, c] = [0, 1].map(|at| figure(&self.figures[at]));
                let _ = writeln!(text, "{name:36}{rust:>10.decimals$}{c:>10.decimals$}");
            }
        }

        let count = format!("median of {}, p10-p90", self.rounds.len());
        let _ = writeln!(
            text,
            "\n{count:23}{:19}{:19}C / C",
            "Rust / C", "Rust / Rust"
        );
        for (name, ratios) in [(RATE, &self.per_second), (CPU, &self.cpu)] {
            let cells: Vec<String> = ratios.iter().map(|ratio| ratio.spread.cell()).collect();
            let line = format!("{name:23}{:19}{:19}{}", cells[0], cells[1], cells[2]);
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    /// With peers: a row for each server, and for each ratio.
    fn rows_of_servers(&self, args: &Args) -> String {
        let line = |cells: [&str; 7]| {
            let [name, cells @ ..] = cells;
            let cells = cells.map(|cell| format!("{cell:>11}")).concat();
            format!("{name:12}{}\n", cells.trim_end())
        };
        let [more, each] = if args.reconnect {
            ["", ""]
        } else {
            ["KiB more", "for each"]
        };
        let mut text = line([
            "",
            "rate, 1/s",
            "CPU, us",
            "median, us",
            "99 %, us",
            "memory",
            more,
        ]);
        text += &line(["", "", "for each", "", "", "KiB", each]);
        for (subject, f) in self.subjects.iter().zip(&self.figures) {
            let more = format!("{:.1}", f.more(|memory| memory.private));
            text += &line([
                &subject.name,
                &format!("{:.0}", f.per_second),
                &format!("{:.2}", f.cpu_us),
                &format!("{:.1}", f.p50_us),
                &format!("{:.1}", f.p99_us),
                &f.at_rest.private.to_string(),
                if args.reconnect { "" } else { &more },
            ]);
        }

        let count = format!("median of {}, p10-p90", self.rounds.len());
        let _ = writeln!(text, "\n{count:25}{RATE:25}{CPU}");
        for (rate, cpu) in self.per_second.iter().zip(&self.cpu) {
            let [left, right] = rate.of.map(|at| &self.subjects[at].name);
            let pair = format!("{left} / {right}");
            let (rate, cpu) = (rate.spread.cell(), cpu.spread.cell());
            let _ = writeln!(text, "{pair:25}{rate:25}{cpu}");
        }
        text.push('\n');
        for (at, command) in args.against.iter().enumerate() {
            let mut line = Vec::new();
            harmless(command.as_encoded_bytes(), &mut line);
            let command = String::from_utf8_lossy(&line).into_owned();
            let _ = writeln!(text, "peer {}: {command}", at + 1);
        }
        text
    }

    pub fn json(&self, conditions: &Conditions) -> String {
        let args = conditions.args;
        let core = conditions
            .core
            .map_or("null".to_owned(), |core| core.to_string());
        let ratios =
            [("per_second", &self.per_second), ("cpu", &self.cpu)].map(|(name, ratios)| {
                let each: Vec<String> = ratios
                    .iter()
                    .map(|ratio| {
                        let [left, right] = ratio.of.map(|at| &self.subjects[at].key);
                        format!("\"{left}_{right}\":{}", ratio.spread.json())
                    })
                    .collect();
                format!("\"{name}\":{{{}}}", each.join(","))
            });
        let void: Vec<String> = self.void().iter().map(|void| json::text(void.0)).collect();
        let slices: Vec<String> = self
            .rounds
            .iter()
            .flat_map(|round| round.iter().enumerate())
            .map(|(at, slice)| {
                let who = self.subjects[at / 2].copy(at % 2);
                let [start, time, cpu] = [slice.start, slice.time, slice.cpu].map(|t| t.as_nanos());
                format!("[\"{who}\",{start},{},{time},{cpu}]", slice.round_trips)
            })
            .collect();
        let figures: Vec<String> = self
            .subjects
            .iter()
            .zip(&self.figures)
            .map(|(subject, figures)| format!("\"{}\":{}", subject.key, figures.json()))
            .collect();
        let against: Vec<String> = args
            .against
            .iter()
            .map(|command| json::text(command.to_string_lossy()))
            .collect();
        format!(
            "{{\"sockstep\":1,\"server\":{},\"connections\":{},\"size\":{},\"seconds\":{},\"slice_ms\":{},\"seed\":{},\
             \"reconnect\":{},\"against\":[{}],\"core\":{core},\"machine\":{},\"rounds\":{},\"void\":[{}],{},\
             \"ratios\":{{{}}},\"slices\":[{}]}}\n",
            json::text(args.server()),
            args.connections,
            args.size,
            args.seconds,
            args.slice,
            conditions.seed,
            args.reconnect,
            against.join(","),
            json::text(machine()),
            self.rounds.len(),
            void.join(","),
            figures.join(","),
            ratios.join(","),
            slices.join(",")
        )
    }
}

impl Spread {
    fn cell(&self) -> String {
        match self.p10_p90 {
            Some([p10, p90]) => format!("{:.3} {p10:.3}-{p90:.3}", self.median),
            None => format!("{:.3} (whole run)", self.median),
        }
    }

    fn json(&self) -> String {
        let [p10, p90] = self.p10_p90.unwrap_or([f64::NAN; 2]);
        let [median, p10, p90] = [self.median, p10, p90].map(number);
        format!("{{\"median\":{median},\"p10\":{p10},\"p90\":{p90}}}")
    }
}

/// A number in JSON's form.
fn number(number: f64) -> String {
    if number.is_finite() {
        format!("{number:.4}")
    } else {
        "null".to_owned()
    }
}

/// A command, broken into lines that fit the terminal and can be pasted into a shell.
fn wrapped(parts: &[String]) -> String {
    let mut text = "again:".to_owned();
    let mut column = text.len();
    for part in parts {
        if column + part.len() + 3 > COLUMNS {
            text += " \\\n   ";
            column = 3;
        }
        column += part.len() + 1;
        let _ = write!(text, " {part}");
    }
    text.push('\n');
    text
}
