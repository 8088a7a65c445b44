//! A side's life: start, ready, idle, end.

pub mod process;
pub mod trouble;
