//! Removes the log's oldest files where the operator's rule says so, and only what a checkpoint carries on from.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tapgate_model::{Digest, UnixTime};

use crate::limits;
use crate::parts::older_files;
use crate::record::place;
use crate::resume::last_line;

/// How long the log's older files are kept; without a rule, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Files whose last record is older than this go. A new file is begun each day then.
    pub age: Option<Duration>,
    /// The oldest files go until all of them together are no larger than this.
    pub size: Option<u64>,
}

/// A file that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doomed {
    pub(crate) path: PathBuf,
    /// The number of its first record.
    pub(crate) first: u64,
    /// The number of the first record behind it.
    pub(crate) next: u64,
    /// The hash of its last record.
    pub(crate) head: Digest,
}

impl Keep {
    /// The files that go now, the oldest first. `current` is the number of the first record of the file that is
    /// written to, which stays, whatever its size.
    pub(crate) fn doomed(&self, log: &Path, current: u64, now: UnixTime) -> io::Result<Vec<Doomed>> {
        if *self == Self::default() {
            return Ok(Vec::new());
        }
        let older = older_files(log)?;
        let sizes = older.iter().map(|(_, path)| Ok(fs::metadata(path)?.len())).collect::<io::Result<Vec<u64>>>()?;
        let mut left: u64 = sizes.iter().sum::<u64>() + fs::metadata(log)?.len();
        let mut doomed = Vec::new();
        for (at, (first, path)) in older.iter().enumerate() {
            let too_much = self.size.is_some_and(|size| left > size);
            // A clock that jumps must not empty the log at once: by age only so many go at a time.
            let too_old = doomed.len() < limits::PRUNED_BY_AGE && self.age.is_some_and(|age| is_older(path, age, now));
            if !too_much && !too_old {
                break;
            }
            let next = older.get(at + 1).map_or(current, |(next, _)| *next);
            let Some(head) = last_hash(path)? else { break };
            left -= sizes.get(at).copied().unwrap_or(0);
            doomed.push(Doomed { path: path.clone(), first: *first, next, head });
        }
        Ok(doomed)
    }
}

fn is_older(path: &Path, age: Duration, now: UnixTime) -> bool {
    let written = fs::metadata(path).and_then(|about| about.modified()).ok();
    let written = written.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    written.is_some_and(|at| now.since(UnixTime::from_secs(at.as_secs())) > age)
}

/// The hash of a file's last record.
fn last_hash(path: &Path) -> io::Result<Option<Digest>> {
    let (line, _) = last_line(&File::open(path)?)?;
    Ok(line.and_then(|line| place(&line)).map(|(place, _)| place.hash))
}
