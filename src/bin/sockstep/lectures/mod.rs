//! The knowledge of a course: programs, pairs, steps, remarks, crossings, words.

pub mod crossings;
pub mod pairs;
pub mod programs;
pub mod remarks;
pub mod steps;
pub mod words;
