//! What the room counts for whoever watches the gate: how long checks take, what they come to, and what passes.
//!
//! Nothing is counted where no recorder is installed. No name of a user or a target is a label: their number has no
//! bound.

use std::time::Duration;

use crate::live::Entry;
use crate::{Ask, Verdict};

/// How long a check took, and what it came to.
pub(crate) fn checked(ask: &Ask<'_>, verdict: &Verdict, took: Duration) {
    let (result, warm) = match verdict {
        Verdict::Grant(grant) => ("grant", if grant.warm { "true" } else { "false" }),
        Verdict::Challenge(_) => ("challenge", "false"),
        Verdict::Denial(_) => ("denial", "false"),
    };
    let protocol = ask.connection.protocol.as_str();
    metrics::histogram!("session_check_seconds", "protocol" => protocol, "result" => result, "warm" => warm)
        .record(took);
}

/// A session was opened.
pub(crate) fn started(entry: &Entry) {
    let (protocol, tapped) = (entry.facts.protocol.as_str(), if entry.tap.is_some() { "true" } else { "false" });
    metrics::counter!("tapgate_sessions_opened_total", "protocol" => protocol, "tapped" => tapped).increment(1);
}

/// A session is over, and this many bytes went up to the target and down from it.
pub(crate) fn ended(entry: &Entry, (up, down): (u64, u64)) {
    let protocol = entry.facts.protocol.as_str();
    for (direction, bytes) in [("up", up), ("down", down)] {
        metrics::counter!("tapgate_session_bytes_total", "protocol" => protocol, "direction" => direction)
            .increment(bytes);
    }
}

/// A granted session did not come about.
pub(crate) fn failed(entry: &Entry) {
    metrics::counter!("tapgate_sessions_failed_total", "protocol" => entry.facts.protocol.as_str()).increment(1);
}

/// An ask was refused, in the end, for a reason of this label.
pub(crate) fn refused(ask: &Ask<'_>, why: &'static str) {
    let protocol = ask.connection.protocol.as_str();
    metrics::counter!("tapgate_sessions_refused_total", "protocol" => protocol, "why" => why).increment(1);
}
