//! sockstep - the lab bench: puts a client and a server of the lectures beside each other, in Rust and in C.
//!
//! Usage: `sockstep run PAIR [--impl rust|c] [-- client arguments]`, `sockstep diff PAIR [--scenario NAME]`
//!
//! `pairs.rs` is the table of the pairs, `programs.rs` finds a program or compiles its twin, `lanes.rs` draws, and `run.rs`
//! starts a pair and watches it. For `diff`, `scenarios.rs` and `peers.rs` say what happens, `record.rs` lets it happen,
//! `align.rs` compares, and `expected.rs` lists what may differ.

mod align;
#[path = "../common/mod.rs"]
mod common;
mod diff;
mod doctor;
mod expected;
mod explain;
mod json;
mod ladder;
mod lanes;
mod pairs;
mod peers;
mod process;
mod programs;
mod read;
mod record;
mod run;
mod scenarios;
mod show;
mod steps;
mod trace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The Berkeley socket API, step by step: a client and a server beside each other
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
    Explain(explain::Args),
    Doctor(doctor::Args),
    Diff(diff::Args),
}

fn main() -> ExitCode {
    match common::parse::<Args>().verb {
        Verb::Run(args) => run::run(&args),
        Verb::Show(args) => show::show(&args),
        Verb::Explain(args) => explain::explain(&args),
        Verb::Doctor(args) => doctor::doctor(&args),
        Verb::Diff(args) => diff::diff(&args),
    }
}
