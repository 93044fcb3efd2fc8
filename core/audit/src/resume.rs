//! Opens a log where it ended: alone, with its chain's head, and without a line that a crash has torn.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tapgate_model::UnixTime;

use crate::parts::{older_files, with};
use crate::record::{Place, place};
use crate::{AuditError, Summary, limits};

/// A log to be continued.
pub(crate) struct Resumed {
    pub(crate) file: File,
    /// The file's length, which is the end of its last line.
    pub(crate) len: u64,
    pub(crate) summary: Summary,
    /// The number of the file's first record.
    pub(crate) first: u64,
    /// When that was recorded; none where there is none yet.
    pub(crate) begun: Option<UnixTime>,
    /// How many bytes of a torn line were moved away.
    pub(crate) torn: u64,
}

/// Opens the log, or makes it, readable by its owner alone.
pub(crate) fn resume(path: &Path) -> Result<Resumed, AuditError> {
    let cannot = |source| AuditError::Open { path: path.into(), source };
    let file = open(path)?;
    let len = end_of_last_line(&file).map_err(cannot)?;
    // The chain is checked before anything is changed: another program's file stays as it is.
    let summary = read_summary(&file, len).map_err(cannot)?;
    let summary = summary.ok_or_else(|| AuditError::Broken { path: path.into() })?;
    // A crash may come between the last file's end and this one's first record.
    let summary = if len == 0 { continued(path)? } else { summary };
    let place = if len == 0 { None } else { first_place(&file, len).map_err(cannot)? };
    let first = if len == 0 { Some(summary.records) } else { place.as_ref().map(|place| place.seq) };
    let first = first.ok_or_else(|| AuditError::Broken { path: path.into() })?;
    let begun = place.map(|place| place.time);
    let torn = cut_off(&file, len, path).map_err(cannot)?;
    Ok(Resumed { file, len, summary, first, begun, torn })
}

/// Opens the file for this process alone, or makes it.
pub(crate) fn open(path: &Path) -> Result<File, AuditError> {
    let cannot = |source| AuditError::Open { path: path.into(), source };
    let file = create(path).map_err(cannot)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => AuditError::InUse { path: path.into() },
        TryLockError::Error(source) => cannot(source),
    })?;
    Ok(file)
}

/// Where the chain stands at the end of the newest older file.
fn continued(path: &Path) -> Result<Summary, AuditError> {
    let cannot = |source| AuditError::Open { path: path.into(), source };
    let Some((_, newest)) = older_files(path).map_err(cannot)?.pop() else { return Ok(Summary::EMPTY) };
    let file = File::open(&newest).map_err(cannot)?;
    let len = end_of_last_line(&file).map_err(cannot)?;
    let summary = read_summary(&file, len).map_err(cannot)?;
    summary.ok_or(AuditError::Broken { path: newest })
}

fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    // The file's name is made durable as well, in its directory.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?;
    Ok(file)
}

fn end_of_last_line(file: &File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    Ok(newline_before(file, len)?.map_or(0, |at| at + 1))
}

/// The place of the last newline before `end`.
fn newline_before(file: &File, end: u64) -> io::Result<Option<u64>> {
    let mut chunk = [0; 4096];
    let mut end = end;
    while end > 0 {
        let start = end.saturating_sub(4096);
        let filled = usize::try_from(end - start).unwrap_or(chunk.len());
        let part = chunk.get_mut(..filled).unwrap_or_default();
        file.read_exact_at(part, start)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(Some(start + u64::try_from(at).unwrap_or(0)));
        }
        end = start;
    }
    Ok(None)
}

/// The last whole line of a file, if it has one of usual length, and where that ends.
pub(crate) fn last_line(file: &File) -> io::Result<(Option<Vec<u8>>, u64)> {
    let len = end_of_last_line(file)?;
    Ok((line_before(file, len)?, len))
}

/// The line that ends before `len`; nothing where there is none, or one that is too long.
fn line_before(file: &File, len: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(end) = len.checked_sub(1) else { return Ok(None) };
    let start = newline_before(file, end)?.map_or(0, |at| at + 1);
    let line_len = usize::try_from(end - start).unwrap_or(usize::MAX);
    if line_len > limits::LINE_LEN_MAX {
        return Ok(None);
    }
    let mut line = vec![0; line_len];
    file.read_exact_at(&mut line, start)?;
    Ok(Some(line))
}

/// The place of the file's first record.
fn first_place(file: &File, len: u64) -> io::Result<Option<Place>> {
    let most = usize::try_from(len).unwrap_or(usize::MAX).min(limits::LINE_LEN_MAX);
    let mut start = vec![0; most];
    file.read_exact_at(&mut start, 0)?;
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(place(line).map(|(place, _)| place))
}

/// Where the chain stands after the line that ends before `len`; nothing where that line is not a whole record.
fn read_summary(file: &File, len: u64) -> io::Result<Option<Summary>> {
    if len == 0 {
        return Ok(Some(Summary::EMPTY));
    }
    let Some(line) = line_before(file, len)? else { return Ok(None) };
    let whole = place(&line).filter(|(place, due)| place.hash == *due);
    Ok(whole.map(|(place, _)| Summary { records: place.seq.saturating_add(1), head: place.hash, unfinished: 0 }))
}

/// Moves what follows the last line into `<path>.torn`, behind what earlier crashes have left there. It is removed from
/// the log only when it is safe there.
fn cut_off(file: &File, len: u64, path: &Path) -> io::Result<u64> {
    let torn = file.metadata()?.len() - len;
    if torn > 0 {
        let mut rest = file.try_clone()?;
        rest.seek(SeekFrom::Start(len))?;
        let mut aside = OpenOptions::new().append(true).create(true).mode(0o600).open(torn_path(path))?;
        io::copy(&mut rest.take(torn), &mut aside)?;
        aside.write_all(b"\n")?;
        aside.sync_all()?;
        file.set_len(len)?;
        file.sync_all()?;
    }
    Ok(torn)
}

fn torn_path(path: &Path) -> PathBuf {
    with(path, ".torn")
}
