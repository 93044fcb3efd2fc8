//! `tapctl sessions live` and `kill`: what is open now, and an end to it.

use tapgate_api::{LiveSessionEntry, LiveSessions, SessionEnd, path};
use tapgate_model::UnixTime;

use super::{Context, output};
use crate::error::Result;

/// Prints everybody's live sessions.
pub async fn live(context: &Context) -> Result<()> {
    let live: LiveSessions = context.with_login()?.get(path::SESSIONS_ALL, &[]).await?;
    output::show(context.format(), &live, |live| {
        let headings = ["Session", "Since", "User", "Target", "Login", "From", "Tap"];
        output::headed(&headings, &live.sessions.iter().map(row).collect::<Vec<_>>())
    })
}

fn row(entry: &LiveSessionEntry) -> Vec<String> {
    let since = entry.since.map_or_else(|| "connecting".to_owned(), |since| UnixTime::from_secs(since).to_string());
    let tap = if entry.tapped { "yes" } else { "no" };
    let target = format!("{} {}", entry.kind, entry.target);
    let (id, user, login, peer) = (entry.id.clone(), entry.user.clone(), entry.login.clone(), entry.peer.clone());
    vec![id, since, user, target, login, peer, tap.to_owned()]
}

/// Ends one.
pub async fn kill(context: &Context, session: String) -> Result<()> {
    let ended: LiveSessions = context.with_login()?.post(path::SESSIONS_KILL, &SessionEnd { id: session }).await?;
    output::show(context.format(), &ended, |ended| {
        let line = |entry: &LiveSessionEntry| {
            format!("the session {} of {} on {} has been ended\n", entry.id, entry.user, entry.target)
        };
        ended.sessions.iter().map(line).collect()
    })
}
