//! The beginnings of recordings that have gone to the store: a list says whose they are without asking for each.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tapgate_model::SessionId;

/// A recording's size, and its first bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) size: u64,
    pub(super) bytes: Vec<u8>,
}

/// A directory with one small file a recording. Whatever is lost of it is fetched again.
#[derive(Debug, Clone)]
pub(super) struct Heads(PathBuf);

impl Heads {
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self(path.to_owned()))
    }

    fn file(&self, session: SessionId) -> PathBuf {
        self.0.join(session.to_string())
    }

    pub(super) fn keep(&self, session: SessionId, head: &Head) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(self.file(session))?;
        file.write_all(&[head.size.to_be_bytes().as_slice(), &head.bytes].concat())
    }

    pub(super) fn read(&self, session: SessionId) -> Option<Head> {
        let bytes = fs::read(self.file(session)).ok()?;
        let (size, bytes) = bytes.split_first_chunk()?;
        (!bytes.is_empty()).then(|| Head { size: u64::from_be_bytes(*size), bytes: bytes.to_vec() })
    }

    /// Removes it, if it is there.
    pub(super) fn forget(&self, session: SessionId) {
        fs::remove_file(self.file(session)).unwrap_or_default();
    }
}
