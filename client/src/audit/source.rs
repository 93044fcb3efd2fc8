//! Where an audit log comes from: files that are at hand, or the gate, which is asked page by page.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tapgate_api::{AuditPage, path};
use tapgate_audit::{AuditKeys, checkpoints_of, log_files};
use tempfile::TempDir;

use crate::error::{Act as _, Failure, Result};
use crate::http::Http;

/// An audit log at hand.
pub struct Source {
    /// Its files, in order.
    pub files: Vec<PathBuf>,
    /// Its checkpoints, where there are any.
    pub checkpoints: Option<String>,
    /// What was fetched lives as long as this.
    _fetched: Option<TempDir>,
}

impl Source {
    /// The log in this file, with the older ones and the checkpoints beside it.
    pub fn file(log: &Path, checkpoints: Option<&Path>) -> Result<Self> {
        let unreadable = || format!("the audit log {} cannot be read", log.display());
        fs::metadata(log).act(unreadable)?;
        let files = log_files(log).act(unreadable)?;
        let beside = checkpoints.map_or_else(|| checkpoints_of(log), Path::to_owned);
        let read = match fs::read_to_string(&beside) {
            Ok(text) => Some(text),
            Err(_) if checkpoints.is_none() => None,
            Err(error) => return Err(error).act(|| format!("the checkpoints {} cannot be read", beside.display())),
        };
        Ok(Self { files, checkpoints: read, _fetched: None })
    }

    /// The gate's log, fetched whole.
    pub async fn gate(http: &Http) -> Result<Self> {
        let folder = tempfile::tempdir().act(|| "there is no place for the log".to_owned())?;
        let file = folder.path().join("audit.jsonl");
        // The checkpoints first: the log that comes then covers them all.
        let mut checkpoints = Vec::new();
        fetch(http, path::AUDIT_CHECKPOINTS, &mut checkpoints).await?;
        let mut log = fs::File::create(&file).act(|| "the log cannot be kept".to_owned())?;
        fetch(http, path::AUDIT_LOG, &mut log).await?;
        let checkpoints = String::from_utf8(checkpoints).act(|| "the checkpoints cannot be read".to_owned())?;
        Ok(Self { files: vec![file], checkpoints: Some(checkpoints), _fetched: Some(folder) })
    }
}

async fn fetch(http: &Http, path: &str, to: &mut impl std::io::Write) -> Result<()> {
    let mut at = 0;
    loop {
        let page = page(http, path, at).await?;
        to.write_all(page.text.as_bytes()).act(|| "the log cannot be kept".to_owned())?;
        if page.end || page.next <= at {
            return Ok(());
        }
        at = page.next;
    }
}

/// One page of the gate's log, from this place on.
pub async fn page(http: &Http, path: &str, at: u64) -> Result<AuditPage> {
    http.get(path, &[("at", &at.to_string())]).await
}

/// The keys in a file, or the gate's.
pub async fn keys(file: Option<&Path>, http: impl FnOnce() -> Result<Http>) -> Result<AuditKeys> {
    let Some(file) = file else { return http()?.get(path::AUDIT_KEYS, &[]).await };
    let text = fs::read(file).act(|| format!("the keys {} cannot be read", file.display()))?;
    AuditKeys::from_json(&text).map_err(|why| {
        Failure::new(format!("{} holds no keys: {why}", file.display())).advise("make it with tapctl audit export-keys")
    })
}

/// Writes a file anew, for everybody to read: there is no secret in it.
pub fn write(file: &Path, text: &str) -> Result<()> {
    let written = fs::File::create(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.act(|| format!("{} cannot be written", file.display()))
}
