//! `tapgate bench`: the load tool, through the real gate to real servers.

mod bad_input;
mod databases;
mod requests;
mod scene;
mod ssh;
