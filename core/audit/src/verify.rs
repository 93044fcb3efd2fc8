//! Walks a log and says where its chain breaks.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use tapgate_model::Digest;

use crate::record::place;
use crate::{Record, Summary, limits};

/// The line at which a log is not what was written, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ChainBroken {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong there.
    #[source]
    pub what: Break,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Break {
    /// The file cannot be read.
    #[error("the log cannot be read: {0} (see the file's permissions)")]
    Unreadable(#[from] io::Error),
    /// The line does not have the form of a record.
    #[error("this is not a record (the line was altered or inserted)")]
    NotARecord,
    /// The line's own hash does not fit its text.
    #[error("the record does not match its hash (it was altered)")]
    Hash {
        /// The hash that the text has.
        due: Digest,
        /// The hash that the line names.
        found: Digest,
    },
    /// The number is not the next one.
    #[error("record {found} stands where record {due} is due (records were removed, inserted or reordered)")]
    Sequence {
        /// The number that is due.
        due: u64,
        /// The number that the line has.
        found: u64,
    },
    /// The record follows another one than the line before.
    #[error("the record does not follow the one before it (one of them was replaced)")]
    Previous {
        /// The hash of the line before.
        due: Digest,
        /// The hash that the line names.
        found: Digest,
    },
    /// The event is not one that this program knows.
    #[error("the event cannot be read: {0} (use the program that wrote it)")]
    Event(serde_json::Error),
}

/// Verifies the chain of a log from its first line to its last.
///
/// The chain shows every change but one: somebody who may write the file can cut its end off, or write a new chain from
/// some line on. Compare `head` with one that was kept elsewhere to notice that.
pub fn verify_file(path: impl AsRef<Path>) -> Result<Summary, ChainBroken> {
    walk(path.as_ref(), |_| Ok(()))
}

/// Verifies the chain of a log and hands out every record.
pub fn read_file(path: impl AsRef<Path>, mut visit: impl FnMut(Record)) -> Result<Summary, ChainBroken> {
    walk(path.as_ref(), |line| serde_json::from_slice(line).map(&mut visit).map_err(Break::Event))
}

fn walk(path: &Path, mut visit: impl FnMut(&[u8]) -> Result<(), Break>) -> Result<Summary, ChainBroken> {
    let mut summary = Summary::EMPTY;
    let mut lines = || -> Result<Summary, Break> {
        let mut file = BufReader::new(File::open(path)?);
        let mut line = Vec::new();
        while next_line(&mut file, &mut line)? {
            summary.head = follow(&summary, &line)?;
            visit(&line)?;
            summary.records += 1;
        }
        summary.unfinished = u64::try_from(line.len()).unwrap_or(u64::MAX);
        Ok(summary)
    };
    let done = lines();
    done.map_err(|what| ChainBroken { line: summary.records + 1, what })
}

/// Reads the next line without its end. False when there is no complete one: then `line` holds the rest.
pub(crate) fn next_line(file: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, Break> {
    line.clear();
    let max = u64::try_from(limits::LINE_LEN_MAX).unwrap_or(u64::MAX);
    let len = file.take(max).read_until(b'\n', line)?;
    if line.pop_if(|end| *end == b'\n').is_some() {
        return Ok(true);
    }
    if len < limits::LINE_LEN_MAX { Ok(false) } else { Err(Break::NotARecord) }
}

/// The line's hash, where it is a whole record that follows `before`.
fn follow(before: &Summary, line: &[u8]) -> Result<Digest, Break> {
    let (place, due) = place(line).ok_or(Break::NotARecord)?;
    if place.hash != due {
        return Err(Break::Hash { due, found: place.hash });
    }
    if place.seq != before.records {
        return Err(Break::Sequence { due: before.records, found: place.seq });
    }
    if place.previous != before.head {
        return Err(Break::Previous { due: before.head, found: place.previous });
    }
    Ok(place.hash)
}
