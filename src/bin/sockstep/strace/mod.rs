//! What strace writes.

pub mod command;
pub mod line;
