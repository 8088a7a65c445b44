//! What a course knows: programs, pairs, steps, words.

pub mod pairs;
pub mod programs;
pub mod steps;
pub mod words;
