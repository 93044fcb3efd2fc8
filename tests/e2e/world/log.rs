//! The audit log as a test reads it, and waits for it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;
use tapgate_lab::Lab;

use super::World;

/// How long a record may take to be there: the log is written behind the session's back.
const RECORD_MAX: Duration = Duration::from_secs(20);

/// How long nothing was written where nothing is on its way: the log's writer gathers for 20 ms at most.
const QUIET: Duration = Duration::from_millis(80);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

pub(super) fn path(lab: &Lab) -> PathBuf {
    lab.path().join("audit.jsonl")
}

/// A record's event name.
pub(crate) fn event(record: &Value) -> &str {
    text(record, "event")
}

/// A field that is a text; empty where it is none.
pub(crate) fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_default()
}

/// The gate's memory in KiB.
pub(crate) fn resident(world: &World) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.gate().process().id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

impl World {
    /// The audit log's file.
    pub(crate) fn audit_log(&self) -> PathBuf {
        path(&self.lab)
    }

    /// Every whole record that is there.
    fn written(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.audit_log()).unwrap_or_default();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Every record, once nothing more comes of what was done before.
    pub(crate) fn records(&self) -> Vec<Value> {
        let until = Instant::now() + RECORD_MAX;
        let (mut known, mut since) = (self.written(), Instant::now());
        while since.elapsed() < QUIET && Instant::now() < until {
            std::thread::sleep(LOOK);
            let now = self.written();
            if now.len() != known.len() {
                (known, since) = (now, Instant::now());
            }
        }
        known
    }

    /// How many records there are by now: what comes of what is done later is behind this.
    pub(crate) fn mark(&self) -> usize {
        self.records().len()
    }

    /// Waits for a record with this name, behind the mark, that `fits`.
    pub(crate) fn await_record(&self, mark: usize, name: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let until = Instant::now() + RECORD_MAX;
        loop {
            let records = self.written();
            if let Some(found) = records.iter().skip(mark).find(|record| event(record) == name && fits(record)) {
                return Ok(found.clone());
            }
            if Instant::now() > until {
                let seen: Vec<String> = records.iter().skip(mark).map(ToString::to_string).collect();
                bail!("no {name} in the audit log as expected; there is\n{}", seen.join("\n"));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The true reason of the refusal that comes behind the mark.
    pub(crate) fn denied(&self, mark: usize) -> Result<String> {
        Ok(text(&self.await_record(mark, "session.denied", |_| true)?, "reason").to_owned())
    }
}

/// Repeats until something is so, up to a deadline.
pub(crate) fn until(what: &str, at_most: Duration, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + at_most;
    while !is_so()? {
        if Instant::now() > end {
            bail!("waited in vain for {what}");
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}
