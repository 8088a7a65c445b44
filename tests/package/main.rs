//! What a stranger finds: the build, on any machine and for a library's user; README's outputs.

mod build;
mod consumer;
mod readme;
mod size;
