//! What the lab bench promises.

#[path = "../support/mod.rs"]
mod support;

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
