//! What the lab bench promises.

#[path = "../support/mod.rs"]
mod support;

use std::process::Command;

use support::{Outcome, require, run};

mod bench;
mod check;
mod clients;
mod diff;
mod diff_any;
mod examples;
mod exports;
mod fault;
mod ladder;
mod page;
mod questions;
mod recordings;
mod schemas;
mod sides;
mod source;
mod step;
mod verbs;

/// `sockstep` with these arguments and nothing to read.
fn sockstep(arguments: &[&str]) -> Outcome {
    require("strace", "the tests of sockstep");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockstep"));
    run(command.args(arguments), b"")
}
