//! Where recordings are kept.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tapgate_model::SessionId;

/// What a recording is written to.
pub trait Writing: Write + Send {
    /// Makes what was written durable.
    fn settle(&mut self) -> io::Result<()>;
}

/// What a recording is read from.
pub trait Reading: Read + Seek {}

impl<T: Read + Seek> Reading for T {}

/// A recording on a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Whose it is.
    pub session: SessionId,
    /// Its size there, in bytes.
    pub size: u64,
    /// When it began, as far as the shelf knows.
    pub begun: SystemTime,
    /// When it was last written to.
    pub changed: SystemTime,
}

/// A place for recordings.
pub trait Shelf: Send + Sync {
    /// Begins a recording; there is none of this number yet.
    fn create(&self, session: SessionId) -> io::Result<Box<dyn Writing>>;

    /// A recording, to be read; it may still be written.
    fn open(&self, session: SessionId) -> io::Result<Box<dyn Reading>>;

    /// Every recording, in any order.
    fn all(&self) -> io::Result<Vec<Kept>>;

    /// Removes a recording for good.
    fn remove(&self, session: SessionId) -> io::Result<()>;

    /// Brings what is on its way to where it belongs, as far as that takes a moment: the gate ends.
    fn close(&self) {}
}

/// A directory of this machine.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

pub(crate) const SUFFIX: &str = ".tgrec";

impl Folder {
    /// The directory, which is made where it is not there, for its owner alone.
    pub fn new(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn file(&self, session: SessionId) -> PathBuf {
        self.0.join(format!("{session}{SUFFIX}"))
    }

    /// The directory itself.
    #[cfg(feature = "s3")]
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Writing for File {
    fn settle(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Shelf for Folder {
    fn create(&self, session: SessionId) -> io::Result<Box<dyn Writing>> {
        let mut options = OpenOptions::new();
        Ok(Box::new(options.append(true).create_new(true).mode(0o600).open(self.file(session))?))
    }

    fn open(&self, session: SessionId) -> io::Result<Box<dyn Reading>> {
        Ok(Box::new(File::open(self.file(session))?))
    }

    fn all(&self) -> io::Result<Vec<Kept>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            let session = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
            let Some(session) = session else { continue };
            let about = match entry.metadata() {
                // It was removed, or brought elsewhere, since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                about => about?,
            };
            let changed = about.modified()?;
            // A long recording may be written to after a later one has ended: its beginning orders it.
            let begun = about.created().unwrap_or(changed);
            found.push(Kept { session, size: about.len(), begun, changed });
        }
        Ok(found)
    }

    fn remove(&self, session: SessionId) -> io::Result<()> {
        fs::remove_file(self.file(session))
    }
}
