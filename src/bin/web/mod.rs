//! The parts of the Web programs that are not in the slides. The C twins have the same, under the
//! same names.

#![allow(dead_code, reason = "each program uses a part of it")]

pub mod access;
pub mod connection;
pub mod date;
pub mod files;
pub mod generate;
pub mod listening;
pub mod log;
pub mod page;
pub mod request;
pub mod response;
pub mod threads;
pub mod url;
