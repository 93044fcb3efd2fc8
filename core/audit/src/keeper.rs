//! Keeps the tree of the log that is being written, and writes its checkpoints.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tapgate_model::{Digest, UnixTime};

use crate::parts::{older_files, with};
use crate::record::place;
use crate::resume::last_line;
use crate::verify::next_line;
use crate::{Break, Checkpoint, LogKey, Summary, Tree, Witness, limits};

/// What checkpoints are made with, and where they go.
pub struct Checkpoints {
    /// What signs them.
    pub key: LogKey,
    /// The file that they are appended to, one a line.
    pub path: PathBuf,
    /// A witness elsewhere that gets a copy of each, if there is one: whoever can write the log should not be able to
    /// write there.
    pub witness: Option<Box<dyn Witness>>,
}

/// The tree of a log, and since when it has not been signed.
pub(crate) struct Keeper {
    parts: Checkpoints,
    file: File,
    tree: Tree,
    signed: u64,
    since: Instant,
}

impl Keeper {
    /// Takes up the tree where the last checkpoint left it. The error is for the log itself: a log that does not
    /// continue its checkpoints goes on without new ones, and says so.
    pub(crate) fn open(parts: Checkpoints, log: &Path, first: u64, summary: &Summary) -> Result<Self, String> {
        let unreadable = |error: io::Error| format!("the checkpoints cannot be read: {error}");
        let file = open(&parts.path).map_err(unreadable)?;
        let last = take_last(&file).map_err(unreadable)?;
        let last = last.map(|line| {
            let parsed = serde_json::from_slice::<Checkpoint>(&line).ok();
            let own = parsed.filter(|checkpoint| checkpoint.is_signed_by(&[parts.key.public()]));
            own.ok_or_else(|| "the last checkpoint is not signed by this gate".to_owned())
        });
        let last = last.transpose()?;
        let mut tree = last.as_ref().map_or(Some(Tree::default()), Checkpoint::tree).unwrap_or_default();
        let (signed, head) = last.map_or((0, crate::GENESIS), |last| (last.records, last.head));
        if signed > summary.records {
            return Err(format!(
                "the audit log has {} records, and its last checkpoint is over {signed}: its end was removed",
                summary.records
            ));
        }
        let end = grow(&mut tree, head, log, first)
            .map_err(|error| format!("the audit log cannot be read again: {error}"))?;
        if (tree.size(), end) != (summary.records, summary.head) {
            return Err("the audit log does not continue its last checkpoint: it was altered".to_owned());
        }
        Ok(Self { parts, file, tree, signed, since: Instant::now() })
    }

    /// A record was written.
    pub(crate) fn push(&mut self, record: &Digest) {
        if self.tree.size() == self.signed {
            self.since = Instant::now();
        }
        self.tree.push(record);
    }

    /// In what time the next checkpoint is due; never while everything is signed.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let unsigned = self.tree.size() - self.signed;
        let left = if unsigned >= limits::CHECKPOINT_RECORDS {
            Duration::ZERO
        } else {
            limits::CHECKPOINT_EVERY.saturating_sub(self.since.elapsed())
        };
        (unsigned > 0).then_some(left)
    }

    /// Writes a checkpoint over everything so far, unless there is one.
    pub(crate) fn seal(&mut self, summary: &Summary, now: UnixTime) {
        if self.tree.size() == self.signed {
            return;
        }
        let checkpoint = self.parts.key.sign(&self.tree, summary, now);
        let mut line = serde_json::to_vec(&checkpoint).unwrap_or_default();
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            tracing::error!(%error, "A checkpoint of the audit log cannot be written");
        }
        if let Some(witness) = &mut self.parts.witness
            && let Err(error) = witness.attest(&line)
        {
            tracing::error!(error, "A checkpoint cannot be copied to its witness");
        }
        self.signed = self.tree.size();
    }

    /// Whether there is a checkpoint over exactly so many records, that ends with this hash: what follows can be
    /// verified from there.
    pub(crate) fn carries_on(&self, records: u64, head: Digest) -> io::Result<bool> {
        let fits = |checkpoint: &Checkpoint| checkpoint.records == records && checkpoint.head == head;
        let own = |checkpoint: &Checkpoint| checkpoint.is_signed_by(&[self.parts.key.public()]);
        let mut found = false;
        each_line(&self.parts.path, |line| {
            found |= serde_json::from_slice::<Checkpoint>(line).is_ok_and(|one| fits(&one) && own(&one));
            Ok(())
        })?;
        Ok(found)
    }

    /// Leaves out the checkpoints over fewer records: those are removed.
    pub(crate) fn forget_before(&mut self, records: u64) -> io::Result<()> {
        let path = &self.parts.path;
        let beside = with(path, ".new");
        let mut kept = BufWriter::new(create_anew(&beside)?);
        each_line(path, |line| match serde_json::from_slice::<Checkpoint>(line) {
            Ok(checkpoint) if checkpoint.records < records => Ok(()),
            _ => kept.write_all(line).and_then(|()| kept.write_all(b"\n")),
        })?;
        kept.flush()?;
        kept.get_ref().sync_all()?;
        std::fs::rename(&beside, path)?;
        self.file = open(path)?;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

fn create_anew(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Hands out the whole lines of a file.
fn each_line(path: &Path, mut visit: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let (mut reader, mut line) = (BufReader::new(File::open(path)?), Vec::new());
    while next_line(&mut reader, &mut line).map_err(io::Error::other)? {
        visit(&line)?;
    }
    Ok(())
}

/// The last whole line. A torn one behind it is removed: the checkpoint that it was to be is made again.
fn take_last(file: &File) -> io::Result<Option<Vec<u8>>> {
    let (line, end) = last_line(file)?;
    if file.metadata()?.len() > end {
        file.set_len(end)?;
    }
    Ok(line)
}

/// Adds the records that the tree does not have yet; answers the hash of the last one. `first` is the number of the
/// first record in the file that is written to.
fn grow(tree: &mut Tree, mut head: Digest, log: &Path, first: u64) -> Result<Digest, Break> {
    let mut files = older_files(log)?;
    files.push((first, log.to_owned()));
    // A file whose next one begins within the tree has nothing new.
    let known = files.windows(2).take_while(|pair| pair.get(1).is_some_and(|(next, _)| *next <= tree.size())).count();
    for (_, file) in files.split_off(known) {
        let mut reader = BufReader::new(File::open(file)?);
        let mut line = Vec::new();
        while next_line(&mut reader, &mut line)? {
            let Some((place, due)) = place(&line) else { return Err(Break::NotARecord) };
            if place.seq < tree.size() {
                continue;
            }
            if place.seq != tree.size() || place.previous != head || place.hash != due {
                return Err(Break::Sequence { due: tree.size(), found: place.seq });
            }
            tree.push(&place.hash);
            head = place.hash;
        }
    }
    Ok(head)
}
