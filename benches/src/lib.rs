//! Benches that compare: two things in one process, in turns, and the ratio of what they cost.

pub mod bare;
pub mod harness;
mod machine;
mod plot;
pub mod post;
pub mod process;
pub mod report;
pub mod world;
