//! MySQL and MariaDB: both legs are terminated, and what passes between them is read.
//!
//! A client shows its certificate in TLS and names `user@target`; no password is asked for. The gate logs in at the
//! target, and from then on commands go up and answers come down as they are. `LIFECYCLE.md` follows a connection
//! through this crate.

mod answer;
mod command;
mod entrance;
#[doc(hidden)]
pub mod fuzz;
mod kill;
mod limits;
mod prompt;
mod relay;
mod serve;
mod target;
mod threads;
mod uses;
mod wire;

pub use serve::{Mysql, MysqlParts};
