//! The audit log for those who may see it: its records, its checkpoints, and the keys that prove them.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use axum::Extension;
use axum::extract::{Query, State};
use tapgate_api::AuditPage;
use tapgate_audit::{LogPublicKey, log_files};
use tapgate_authority::Fault;
use tapgate_identity::Identity;
use tapgate_policy::{Records, Verb};

use super::api::Shared;
use super::reply::{Reply, blocking, identity};
use super::{App, Caller};
use crate::limits::AUDIT_PAGE;

/// Where the log is, and by which key its checkpoints are verified.
#[derive(Debug, Clone)]
pub(crate) struct AuditPlace {
    pub(crate) log: PathBuf,
    pub(crate) checkpoints: PathBuf,
    pub(crate) key: LogPublicKey,
}

type Wish = Query<HashMap<String, String>>;

/// Records of the audit log, as they are written: from `at` on, or the `last` so many bytes.
#[utoipa::path(get, path = "/v1/audit/log", responses((status = 200, body = AuditPage)))]
pub(super) async fn log(State(app): Shared, Extension(caller): Extension<Caller>, Query(wish): Wish) -> Reply {
    blocking(&app, move |app| {
        may_see(app, &*identity(app, &caller)?, Records::Event)?;
        page(&log_files(&app.audit.log).map_err(Fault::internal)?, &wish)
    })
    .await
}

/// The checkpoints of the audit log.
#[utoipa::path(get, path = "/v1/audit/checkpoints", responses((status = 200, body = AuditPage)))]
pub(super) async fn checkpoints(State(app): Shared, Extension(caller): Extension<Caller>, Query(wish): Wish) -> Reply {
    blocking(&app, move |app| {
        may_see(app, &*identity(app, &caller)?, Records::Event)?;
        page(std::slice::from_ref(&app.audit.checkpoints), &wish)
    })
    .await
}

/// The public keys of devices and providers, by which anybody can verify the log.
#[utoipa::path(get, path = "/v1/audit/keys", responses((status = 200, body = serde_json::Value)))]
pub(super) async fn keys(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    blocking(&app, move |app| {
        may_see(app, &*identity(app, &caller)?, Records::Event)?;
        app.authority.audit_keys(app.audit.key).map_err(Fault::internal)
    })
    .await
}

/// Whether somebody may see these records.
pub(super) fn may_see(app: &App, caller: &Identity, records: Records) -> Result<(), Fault> {
    let (word, snapshot) = (if records == Records::Event { "event" } else { "session" }, app.gate.snapshot());
    if snapshot.policy().may_see(caller.user(), records, Verb::Read) {
        return Ok(());
    }
    Err(Fault::denied(format!("you may not see these (ask for a role with a rule for `{word}` and the verb read)")))
}

/// A piece of these files, which are read as one.
fn page(files: &[PathBuf], wish: &HashMap<String, String>) -> Result<AuditPage, Fault> {
    let number = |key: &str| {
        let text = wish.get(key);
        text.map(|text| text.parse::<u64>().map_err(|_| Fault::invalid(format!("`{key}` is no number"), "give bytes")))
    };
    let (at, last) = (number("at").transpose()?, number("last").transpose()?);
    read(files, at, last).map_err(Fault::internal)
}

fn read(files: &[PathBuf], at: Option<u64>, last: Option<u64>) -> io::Result<AuditPage> {
    let mut parts = Vec::new();
    let mut total = 0;
    for path in files.iter().filter(|path| path.exists()) {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        parts.push((total, len, file));
        total += len;
    }
    let tail = last.map(|last| total.saturating_sub(last));
    let start = at.or(tail).unwrap_or(0).min(total);
    let mut bytes = vec![0; usize::try_from(total - start).unwrap_or(usize::MAX).min(AUDIT_PAGE)];
    let mut filled = 0;
    for (begins, len, file) in &parts {
        let from = (start + u64::try_from(filled).unwrap_or(0)).max(*begins);
        let left = usize::try_from((begins + len).saturating_sub(from)).unwrap_or(usize::MAX).min(bytes.len() - filled);
        if let Some(part) = bytes.get_mut(filled..filled + left).filter(|part| !part.is_empty()) {
            file.read_exact_at(part, from - begins)?;
            filled += left;
        }
    }
    // Whole lines only: the last one may be on its way to the disk.
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let next = start + u64::try_from(end).unwrap_or(0);
    bytes.truncate(end);
    // What was counted from the end begins within a line, most likely.
    let torn =
        if at.is_none() && start > 0 { bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1) } else { 0 };
    let text = String::from_utf8_lossy(bytes.get(torn..).unwrap_or_default()).into_owned();
    Ok(AuditPage { text, next, end: next == total || end == 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_one_by_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = ["a", "b", "missing"].map(|name| dir.path().join(name)).into();
        std::fs::write(&files[0], "one\ntwo\n").unwrap();
        std::fs::write(&files[1], "three\nfo").unwrap();
        let all = read(&files, None, None).unwrap();
        assert_eq!((all.text.as_str(), all.next, all.end), ("one\ntwo\nthree\n", 14, false));
        let rest = read(&files, Some(14), None).unwrap();
        assert_eq!((rest.text.as_str(), rest.next, rest.end), ("", 14, true));
        assert_eq!(read(&files, Some(4), None).unwrap().text, "two\nthree\n");
        assert_eq!(read(&files, Some(8), None).unwrap().text, "three\n");
        assert_eq!(read(&files, None, Some(9)).unwrap().text, "three\n");
        assert_eq!(read(&files, Some(99), None).unwrap().text, "");
    }
}
