//! What the Web programs promise, in both languages.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod peers;
mod request;
mod response;
mod server;
