//! What a stranger finds: the build, on any machine and for a library's user; README's outputs.

#[path = "../support/scratch.rs"]
mod scratch;

mod build;
mod consumer;
mod links;
mod page;
mod readme;
mod screen;
mod size;
