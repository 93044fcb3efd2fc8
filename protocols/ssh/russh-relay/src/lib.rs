//! russh 0.65.1 with the edits of `edits.rs`, generated into `OUT_DIR` by `build.rs`.
#![allow(warnings, clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction, clippy::cargo, rustdoc::all)]
#![allow(macro_expanded_macro_exports_accessed_by_absolute_paths)]
include!(concat!(env!("OUT_DIR"), "/russh/lib_inner.rs"));
pub mod queue;
mod room;
