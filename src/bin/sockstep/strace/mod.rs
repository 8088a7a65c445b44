//! Reads strace's output: text to calls.

pub mod call;
pub mod calls;
pub mod clock;
pub mod command;
pub mod line;
mod names;
mod prefix;
pub mod recording;
pub mod stack;
pub mod text;
