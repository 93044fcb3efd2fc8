//! A recording in the store, read by ranges.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use tokio::runtime::Handle;

use super::{Store, to_io};
use crate::limits::STORE_READ;

/// Where it is read, and what of it is here.
pub(super) struct Distant {
    pub(super) store: Arc<dyn Store>,
    pub(super) path: Path,
    pub(super) runtime: Handle,
    pub(super) size: u64,
    pub(super) place: u64,
    /// What was read last, and where that begins.
    pub(super) here: Vec<u8>,
    pub(super) begins: u64,
}

impl Distant {
    fn at_hand(&self) -> &[u8] {
        let skip = self.place.checked_sub(self.begins).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.here.get(skip..)).unwrap_or_default()
    }
}

impl Read for Distant {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.place >= self.size || into.is_empty() {
            return Ok(0);
        }
        if self.at_hand().is_empty() {
            let range = self.place..self.size.min(self.place.saturating_add(STORE_READ));
            let got = self.runtime.block_on(self.store.get_range(&self.path, range)).map_err(to_io)?;
            (self.here, self.begins) = (got.into(), self.place);
        }
        let read = self.at_hand().read(into)?;
        self.place += u64::try_from(read).unwrap_or(0);
        Ok(read)
    }
}

impl Seek for Distant {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.place.checked_add_signed(by),
        };
        self.place = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.place)
    }
}
