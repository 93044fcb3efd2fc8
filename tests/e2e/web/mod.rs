//! The pages, in a real browser: taps that a terminal hands over.

mod approve;
mod refuse;
mod scene;
