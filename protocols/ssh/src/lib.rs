//! SSH: a packet relay that terminates both legs.
//!
//! russh speaks the transport and authentication on either side; above that, this crate passes the
//! connection protocol's packets on as they are, and judges each. `LIFECYCLE.md` tells the way of
//! one connection.

mod algorithms;
mod channel;
mod console;
mod credit;
#[cfg(feature = "demo")]
pub mod demo_target;
mod entrance;
mod files;
mod forward;
#[doc(hidden)]
pub mod fuzz;
mod held;
mod hop;
mod host_key;
mod jump;
mod limits;
mod link;
mod name;
mod pipe;
mod preface;
mod prompt;
mod relay;
mod replies;
mod rules;
mod seat;
mod serve;
mod severable;
mod sftp;
mod side;
mod stored_key;
mod target;
mod trace;
mod wire;
mod write;
mod yard;

pub use console::{Console, Shell, TerminalSize, Visit, Visited};
pub use files::{Download, FileError, FileFacts, Files, Upload};
pub use name::{Destination, DestinationError};
pub use serve::{Ssh, SshError, SshParts, sniff};
pub use stored_key::{KeyFault, KeySource, StoredKey};
