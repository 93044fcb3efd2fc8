//! Where recordings are kept.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tapgate_model::SessionId;

/// What a recording is written to.
pub trait Writing: Write + Send {
    /// Makes what was written durable.
    fn settle(&mut self) -> io::Result<()>;
}

/// What a recording is read from.
pub trait Reading: Read + Seek {}

impl<T: Read + Seek> Reading for T {}

/// A place for recordings.
pub trait Shelf: Send + Sync {
    /// Begins a recording; there is none of this number yet.
    fn create(&self, session: SessionId) -> io::Result<Box<dyn Writing>>;

    /// A recording, to be read; it may still be written.
    fn open(&self, session: SessionId) -> io::Result<Box<dyn Reading>>;

    /// The newest recordings, with their sizes, the newest first.
    fn list(&self, at_most: usize) -> io::Result<Vec<(SessionId, u64)>>;
}

/// A directory of this machine.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

const SUFFIX: &str = ".tgrec";

impl Folder {
    /// The directory, which is made where it is not there, for its owner alone.
    pub fn new(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self(path.to_owned()))
    }

    fn file(&self, session: SessionId) -> PathBuf {
        self.0.join(format!("{session}{SUFFIX}"))
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

    fn list(&self, at_most: usize) -> io::Result<Vec<(SessionId, u64)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            let session = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
            if let Some(session) = session {
                let about = entry.metadata()?;
                // A long recording may be written to after a later one has ended: its beginning orders it.
                let begun = about.created().or_else(|_| about.modified())?;
                found.push((begun, session, about.len()));
            }
        }
        found.sort_by_key(|(begun, session, _)| std::cmp::Reverse((*begun, *session)));
        Ok(found.into_iter().take(at_most).map(|(_, session, size)| (session, size)).collect())
    }
}
