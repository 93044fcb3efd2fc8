//! Live sessions: one's own, with an end to each, the same for terminals and for pages; and everybody's.

use axum::Extension;
use axum::extract::State;
use bytes::Bytes;
use tapgate_api::{LiveSessionEntry, LiveSessions, SessionEnd};
use tapgate_authority::Fault;
use tapgate_identity::Identity;
use tapgate_model::SessionId;
use tapgate_policy::Records;
use tapgate_session::LiveSession;

use super::api::Shared;
use super::audit::may_see;
use super::reply::{Reply, body, identity};
use super::{App, Caller};

/// The caller's live sessions.
#[utoipa::path(get, path = "/v1/sessions/live", responses((status = 200, body = LiveSessions)))]
pub(super) async fn list(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    identity(&app, &caller).map(|own| listed(&app, &own)).into()
}

/// Ends one of the caller's own sessions; answers those that are left.
#[utoipa::path(post, path = "/v1/sessions/end", request_body = SessionEnd,
    responses((status = 200, body = LiveSessions), (status = 404, body = tapgate_api::ApiError)))]
pub(super) async fn end(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    let ended = identity(&app, &caller).and_then(|own| {
        let SessionEnd { id } = body(&bytes)?;
        let gone = || Fault::not_found("you have no such session open (it may have ended by itself)");
        let id: SessionId = id.parse().map_err(|_| gone())?;
        if !app.gate.end_own(own.user(), id) {
            return Err(gone());
        }
        let mut left = listed(&app, &own);
        // Its protocol may take a moment to let go.
        left.sessions.retain(|session| session.id != id.to_string());
        Ok(left)
    });
    ended.into()
}

fn listed(app: &App, own: &Identity) -> LiveSessions {
    LiveSessions { sessions: app.gate.live_of(own.user()).into_iter().map(|live| entry(live, false)).collect() }
}

/// Everybody's live sessions, for those who may see what was recorded of them.
pub(super) async fn all(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    let listed = identity(&app, &caller).and_then(|own| {
        may_see(&app, &own, Records::Session)?;
        Ok(LiveSessions { sessions: app.gate.live_of_all().into_iter().map(|live| entry(live, true)).collect() })
    });
    listed.into()
}

fn entry(live: LiveSession, named: bool) -> LiveSessionEntry {
    LiveSessionEntry {
        id: live.id.to_string(),
        user: named.then(|| live.user.to_string()),
        kind: live.target.kind.to_string(),
        target: live.target.name.to_string(),
        login: live.login.to_string(),
        protocol: live.protocol.as_str().to_owned(),
        peer: live.peer.ip().to_canonical().to_string(),
        since: live.since.map(tapgate_model::UnixTime::as_secs),
        tapped: live.tapped,
    }
}
