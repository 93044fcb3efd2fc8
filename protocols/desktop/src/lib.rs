//! Desktops: RDP and VNC.
//!
//! A client comes through a tunnel with its certificate and says which desktop it wants, as whom; or it is a page whose
//! user is signed in; or it has a file, and proves the one-time password that belongs to it. The gate asks for the grant,
//! enters the desktop with a password of its own, and from then on carries bytes, minus what the role forbids.
//! `LIFECYCLE.md` tells the way of one connection.

mod enter;
#[cfg(feature = "rdp-nla")]
mod file;
#[cfg(not(feature = "rdp-nla"))]
#[path = "no_file.rs"]
mod file;
#[doc(hidden)]
pub mod fuzz;
mod known;
mod limits;
mod page;
mod password;
mod rdp;
mod serve;
mod vnc;

pub use page::{DesktopFile, NoFile, OnPage, Wish};
pub use serve::{Desktop, DesktopParts, WebSessions};
