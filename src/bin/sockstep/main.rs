//! sockstep - the lab bench: shows a client and a server of the lectures side by side, in Rust and in C.
//!
//! Usage: `sockstep run PAIR`, `sockstep diff PAIR`, `sockstep show FILE`, `sockstep bench SERVER`,
//! `sockstep explain CALL`, `sockstep doctor`
//!
//! A verb is a file of its own name; CONTRIBUTING.md says what the others are.

mod bench;
mod check;
#[path = "../common/mod.rs"]
mod common;
mod diff;
mod doctor;
mod draw;
mod explain;
mod lectures;
mod run;
mod show;
mod sides;
mod strace;
mod world;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The Berkeley socket API, step by step: a client and a server side by side
#[derive(Parser)]
#[command(version, after_help = "Example: sockstep run tcp_upper")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Run(Box<run::Args>),
    Show(show::Args),
    Diff(diff::Args),
    Check(Box<check::Args>),
    Bench(bench::Args),
    Explain(explain::Args),
    Doctor(doctor::Args),
}

fn main() -> ExitCode {
    match common::parse::<Args>().verb {
        Verb::Run(args) => run::run(&args),
        Verb::Show(args) => show::show(&args),
        Verb::Explain(args) => explain::explain(&args),
        Verb::Doctor(args) => doctor::doctor(&args),
        Verb::Diff(args) => diff::diff(&args),
        Verb::Check(args) => check::check(&args),
        Verb::Bench(args) => bench::bench(&args),
    }
}
