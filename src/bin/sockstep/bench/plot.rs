//! `--plot FILE.svg`: all designs of the TCP echo server under the same load, over a growing number
//! of connections, as a picture for a lecture. Each figure is relative to that of the epoll server
//! in the same round.

use std::fmt::Write as _; // writing into memory does not fail
use std::fs::{self, OpenOptions};
use std::path::Path;

use crate::bench::figures::{Conditions, TOLERANCE, machine, percentile, plural, rate};
use crate::bench::picture::{COUNTS, Curve, picture};
use crate::bench::{
    Args, Bench, Design, Launch, Random, SERVERS, Server, Subject, arguments, rounds,
};
use crate::draw::terminal::put;
use crate::lectures::programs::{Implementation, Programs};
use crate::sides::keeper::directory;
use crate::sides::trouble::Trouble;

/// The server that all others are compared with.
const REFERENCE: &str = "tcp_echo_server_epoll";

/// The measurements with one number of connections: of each curve, if its server can have that
/// many, and of the reference against its own copy.
struct Column {
    round_trips: Vec<Option<f64>>,
    private_kib: Vec<Option<f64>>,
    again: f64,
    /// The distance of that ratio from 1 in half of the rounds.
    distance: f64,
}

/// Says whether the figures hold.
pub fn plot(bench: &Bench, args: &Args, file: &Path) -> Result<bool, Trouble> {
    // A file that cannot be written is reported before the work, not after it.
    let failed = |error| format!("{}: {error}", file.display());
    let new = !file.exists();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    options.open(file).map_err(failed)?;
    let written = measure(bench, args).and_then(|(text, drawn, holds)| {
        put(text.as_bytes())?;
        fs::write(file, drawn).map_err(failed)?;
        put(format!("the picture: {}\n", file.display()).as_bytes())?;
        Ok(holds)
    });
    if new && written.is_err() {
        let _ = fs::remove_file(file); // it is empty
    }
    written
}

/// The table, the picture, and whether the figures hold.
fn measure(bench: &Bench, args: &Args) -> Result<(String, String, bool), Trouble> {
    let designs: Vec<(&str, Design)> = SERVERS
        .into_iter()
        .filter(|(name, _)| name.starts_with("tcp_echo_server"))
        .collect();
    let wanted: Vec<_> = designs
        .iter()
        .map(|&(name, _)| (name, Implementation::Rust))
        .collect();
    let programs = Programs::find(&wanted, directory)?;
    let conditions = Conditions {
        args,
        core: bench.core,
        seed: bench.seed,
    };
    let heading = format!(
        "{} designs in Rust: {} there and back, over {COUNTS:?} connections\n{}\n{}\n\n",
        designs.len(),
        plural(args.size, "byte"),
        conditions.where_it_runs(),
        machine(),
    );
    put(heading.replace(['[', ']'], "").as_bytes())?;

    let mut names: Vec<String> = designs.iter().map(|(name, _)| short(name)).collect();
    names.extend((1..=args.against.len()).map(|number| format!("peer {number}")));
    let mut random = Random::new(bench.seed);
    let mut columns = Vec::new();
    for connections in COUNTS {
        let args = Args {
            connections,
            ..args.clone()
        };
        let ours = designs
            .iter()
            .zip(&programs.paths)
            .map(|(&(name, design), path)| {
                let args = Args {
                    server: Some(name.to_owned()),
                    ..args.clone()
                };
                let fits = design != Design::Iterative || connections == 1;
                fits.then(|| Launch::Program(path.clone(), arguments(&args, design)))
            });
        let peers = args.against.iter();
        let peers = peers.map(|command| Some(Launch::Command(command.clone())));
        let subjects: Vec<Option<Subject>> = ours
            .chain(peers)
            .zip(&names)
            .map(|(launch, name)| Some(Subject::new(name, name, launch?)))
            .collect();
        columns.push(column(bench, &args, &subjects, &mut random)?);
    }

    let curve = |at: usize, name: &String| Curve {
        name: name.clone(),
        round_trips: columns
            .iter()
            .map(|column| column.round_trips[at])
            .collect(),
        private_kib: columns
            .iter()
            .map(|column| column.private_kib[at])
            .collect(),
    };
    let curves: Vec<Curve> = (0..)
        .zip(&names)
        .map(|(at, name)| curve(at, name))
        .collect();
    let again: Vec<Option<f64>> = columns.iter().map(|column| Some(column.again)).collect();
    let holds = columns.iter().all(|column| column.distance <= TOLERANCE);
    let text = table(&curves, &again, &columns);
    let itself: Vec<String> = again
        .iter()
        .flatten()
        .map(|ratio| format!("{ratio:.3}"))
        .collect();
    let mut notes = vec![
        format!(
            "{} there and back, a message under way on each connection; {}",
            plural(args.size, "byte"),
            conditions.where_it_runs()
        ),
        machine(),
        format!(
            "epoll beside a second copy of itself: {}",
            itself.join(", ")
        ),
    ];
    if !holds {
        notes.push(
            "void: in half of the rounds epoll differs from itself by more than 2 %".to_owned(),
        );
    }
    for (number, command) in (1..).zip(&args.against) {
        notes.push(format!("peer {number}: {}", command.to_string_lossy()));
    }
    Ok((text, picture(&curves, &notes), holds))
}

/// `tcp_echo_server_poll` is the poll design.
fn short(name: &str) -> String {
    let design = name
        .rsplit_once("server_")
        .map_or("iterative", |(_, design)| design);
    design.to_owned()
}

/// Measures all servers with this number of connections.
fn column(
    bench: &Bench,
    args: &Args,
    subjects: &[Option<Subject>],
    random: &mut Random,
) -> Result<Column, Trouble> {
    let here: Vec<&Subject> = subjects.iter().flatten().collect();
    let reference = here
        .iter()
        .position(|subject| subject.name == short(REFERENCE))
        .unwrap_or_default();
    let mut copies: Vec<Server> = Vec::new();
    for subject in here.iter().chain([&here[reference]]) {
        copies.push(Server::start(
            &bench.signals,
            subject.name.clone(),
            &subject.launch,
        )?);
    }
    let rounds = rounds(bench, &mut copies, args, random)?;
    let second = copies.len() - 1;
    let ratio = |at: usize| {
        let each = rounds.iter().map(|round| {
            let [own, other] = [at, reference].map(|at| rate(&round[at..=at]));
            own / other
        });
        let mut ratios: Vec<f64> = each.collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    };
    let mut distances: Vec<f64> = ratio(second)
        .iter()
        .map(|ratio| (ratio - 1.0).abs())
        .collect();
    distances.sort_by(f64::total_cmp);
    let median = |values: &[f64]| percentile(values, 50).unwrap_or(f64::NAN);

    let mut at = 0;
    let mut column = Column {
        round_trips: Vec::new(),
        private_kib: Vec::new(),
        again: median(&ratio(second)),
        distance: median(&distances),
    };
    for subject in subjects {
        let of_this = subject.as_ref().map(|_| {
            at += 1;
            (
                median(&ratio(at - 1)),
                f64::from(copies[at - 1].with_connections.private),
            )
        });
        column.round_trips.push(of_this.map(|(ratio, _)| ratio));
        column.private_kib.push(of_this.map(|(_, private)| private));
    }
    Ok(column)
}

fn table(curves: &[Curve], again: &[Option<f64>], columns: &[Column]) -> String {
    let heading = |what: &str| {
        let counts = COUNTS.map(|count| format!("{count:>10}")).concat();
        format!("{what:27}{counts}\n")
    };
    let line = |name: &str, values: &[Option<f64>], decimals: usize| {
        let cell = |value: &Option<f64>| match value {
            Some(value) => format!("{value:>10.decimals$}"),
            None => format!("{:>10}", "-"),
        };
        let cells: Vec<String> = values.iter().map(cell).collect();
        format!("{name:27}{}\n", cells.concat())
    };
    let mut text = heading("round trips, epoll = 1");
    for curve in curves {
        text += &line(&curve.name, &curve.round_trips, 3);
    }
    text += &line("epoll beside itself", again, 3);
    let _ = writeln!(text);
    text += &heading("private memory, KiB");
    for curve in curves {
        text += &line(&curve.name, &curve.private_kib, 0);
    }
    text.push('\n');
    for (count, column) in COUNTS.iter().zip(columns) {
        if column.distance.is_nan() || column.distance > TOLERANCE {
            let percent = column.distance * 100.0;
            let _ = writeln!(
                text,
                "void at {count}: epoll differs from itself by {percent:.1} % in half of the rounds"
            );
        }
    }
    text
}
