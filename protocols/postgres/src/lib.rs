//! PostgreSQL: a relay of frames that terminates both legs.
//!
//! The client shows a certificate in TLS and says whereto; the gate logs in to the target with credentials of its own.
//! From then on frames pass as they are, and what matters of them is followed beside. `LIFECYCLE.md` tells the way of
//! one connection.

mod binding;
mod entrance;
#[doc(hidden)]
pub mod fuzz;
mod judge;
mod keys;
mod limits;
mod login;
mod name;
mod password;
mod prompt;
mod relay;
mod said;
mod serve;
mod session;
mod startup;
mod target;
mod watch;
mod wire;

pub use serve::{Postgres, PostgresParts, sniff};
