//! Tells what the gate decided and why, from its audit log.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Follows an audit log.
pub(super) struct Narrator<'a> {
    log: &'a Path,
    seen: usize,
}

impl<'a> Narrator<'a> {
    /// A narrator that begins after what is in the log already.
    pub(super) fn new(log: &'a Path) -> Result<Self> {
        let mut narrator = Self { log, seen: 0 };
        narrator.news()?;
        Ok(narrator)
    }

    /// What has happened since the last call, a line each.
    pub(super) fn news(&mut self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(self.log).with_context(|| format!("can't read {}", self.log.display()))?;
        let lines: Vec<&str> = text.lines().collect();
        let fresh = lines.get(self.seen..).unwrap_or_default();
        let told = fresh.iter().filter_map(|line| serde_json::from_str(line).ok()).filter_map(|v| tell(&v)).collect();
        self.seen = lines.len();
        Ok(told)
    }
}

/// One record in a line; none for those that are no decision.
fn tell(record: &Value) -> Option<String> {
    let text = |key: &str| record[key].as_str().unwrap_or("-").to_owned();
    let event = text("event");
    let what = match event.as_str() {
        "session.start" | "session.failed" | "session.denied" => {
            let tap = if record["tap"].is_null() { "no tap was due" } else { "a tap that signs this session" };
            let why = if event == "session.start" { tap.to_owned() } else { text("reason") };
            format!("{} to {} \"{}\" as {}: {why}", text("user"), text("kind"), text("target"), text("login"))
        }
        "session.end" => format!("{} on \"{}\": {}", text("user"), text("target"), text("reason")),
        "mfa.begin" | "mfa.failed" | "mfa.succeeded" => format!("{}, for {}", text("user"), text("purpose")),
        "auth.login" | "auth.login_failed" => text("user"),
        "admin.changed" => format!("{} {} \"{}\" by {}", text("change"), text("kind"), text("name"), text("user")),
        _ => return None,
    };
    Some(format!("{event:<16} {what}"))
}
