//! What strace writes.

pub mod calls;
pub mod command;
pub mod line;
