//! Draws events as pictures.

pub mod call;
pub mod chart;
mod csv;
pub mod export;
pub mod fold;
pub mod history;
pub mod json;
pub mod ladder;
mod mermaid;
pub mod page;
pub mod pager;
mod pcapng;
mod perfetto;
pub mod source;
mod story;
mod svg;
mod target;
pub mod terminal;
pub mod xml;
