//! What the lab bench promises.

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod check;
mod clients;
mod diff;
mod diff_any;
mod examples;
mod ladder;
mod recordings;
mod page;
mod sides;
mod verbs;
