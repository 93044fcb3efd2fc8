//! Recordings of sessions: written as they go, compressed and encrypted, and read again.
//!
//! A recording is a file of sealed chunks ([`seal`]), each of whole frames ([`Frame`]). What happens in a session is
//! copied into memory ([`Deck`]); a thread of its own compresses, seals and writes it twice a second, so that a crash
//! loses less than a second and a session never waits. A [`Shelf`] is where the files are.

mod deck;
mod frame;
pub mod limits;
mod prune;
mod read;
#[cfg(feature = "s3")]
mod s3;
pub mod seal;
mod shelf;

pub use deck::Deck;
pub use frame::{Frame, Kind, frames};
pub use prune::{Keep, prune};
pub use read::{Listed, Page, ReadError, Shown, list, page};
#[cfg(feature = "s3")]
pub use s3::{Remote, RemoteParts, Store};
pub use shelf::{Folder, Kept, Reading, Shelf, Writing};
