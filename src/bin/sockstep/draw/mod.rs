//! Events to pictures.

pub mod call;
pub mod chart;
pub mod fold;
pub mod json;
pub mod ladder;
pub mod page;
pub mod pager;
pub mod source;
pub mod terminal;
