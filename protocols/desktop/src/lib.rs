//! Desktops: RDP and VNC.
//!
//! A client comes through a tunnel with its certificate and says which desktop it wants, as whom. The gate asks for
//! the grant, enters the desktop with a password of its own, and from then on carries bytes, minus what the role
//! forbids. `LIFECYCLE.md` tells the way of one connection.

#[doc(hidden)]
pub mod fuzz;
mod hail;
mod known;
mod limits;
mod password;
mod rdp;
mod relay;
mod serve;
mod vnc;

pub use serve::{Desktop, DesktopParts};
