//! What the Web programs promise, in both languages.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/sanitized.rs"]
mod sanitized;

mod client;
mod peers;
mod requests;
mod responses;
mod server;
