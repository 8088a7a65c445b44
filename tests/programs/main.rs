//! What the programs of the lectures promise, in both languages.

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod concurrent;
mod data;
mod errors;
mod faults;
mod misbehaving;
mod names;
mod pairs;
mod peers;
