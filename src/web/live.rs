//! Live sessions: what is open, and an end to it; one's own, and for administrators everybody's.

use axum::Extension;
use axum::extract::State;
use bytes::Bytes;
use tapgate_api::{LiveSessionEntry, LiveSessions, SessionEnd};
use tapgate_authority::Fault;
use tapgate_identity::Identity;
use tapgate_model::SessionId;
use tapgate_policy::{Records, ResourceKind, Verb};
use tapgate_session::{Gate, LiveSession};

use super::api::Shared;
use super::audit::may_see;
use super::reply::{Reply, body, identity};
use super::{App, Caller};
use crate::handover::Question;

/// The caller's live sessions.
#[utoipa::path(get, path = "/v1/sessions/live", responses((status = 200, body = LiveSessions)))]
pub(super) async fn list(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    own(&app, &caller).await.into()
}

async fn own(app: &App, caller: &Caller) -> Result<LiveSessions, Fault> {
    let own = identity(app, caller)?;
    own_of(app, &own).await
}

/// Ends one of the caller's own sessions; answers those that are left.
#[utoipa::path(post, path = "/v1/sessions/end", request_body = SessionEnd,
    responses((status = 200, body = LiveSessions), (status = 404, body = tapgate_api::ApiError)))]
pub(super) async fn end(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    end_own(&app, &caller, &bytes).await.into()
}

async fn end_own(app: &App, caller: &Caller, bytes: &Bytes) -> Result<LiveSessions, Fault> {
    let own = identity(app, caller)?;
    let SessionEnd { id } = body(bytes)?;
    let question = Question::EndOwn { id: id.clone(), user: own.user().clone() };
    if everywhere(app, &question).await?.is_empty() {
        return Err(Fault::not_found("you have no such session open (it may have ended by itself)"));
    }
    let mut left = own_of(app, &own).await?;
    // Its protocol may take a moment to let go.
    left.sessions.retain(|session| session.id != id);
    Ok(left)
}

async fn own_of(app: &App, own: &Identity) -> Result<LiveSessions, Fault> {
    let mut sessions = everywhere(app, &Question::List).await?;
    sessions.retain(|session| session.user == own.user().as_str());
    Ok(LiveSessions { sessions })
}

/// Everybody's live sessions, for those who may see sessions.
#[utoipa::path(get, path = "/v1/sessions/all", responses((status = 200, body = LiveSessions)))]
pub(super) async fn all(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    everybodys(&app, &caller).await.into()
}

async fn everybodys(app: &App, caller: &Caller) -> Result<LiveSessions, Fault> {
    let caller = identity(app, caller)?;
    may_see(app, &caller, Records::Session)?;
    Ok(LiveSessions { sessions: everywhere(app, &Question::List).await? })
}

/// Ends anybody's session. It takes what a lock takes, and is less.
#[utoipa::path(post, path = "/v1/sessions/kill", request_body = SessionEnd,
    responses((status = 200, body = LiveSessions), (status = 404, body = tapgate_api::ApiError)))]
pub(super) async fn kill(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    killed(&app, &caller, &bytes).await.into()
}

async fn killed(app: &App, caller: &Caller, bytes: &Bytes) -> Result<LiveSessions, Fault> {
    let caller = identity(app, caller)?;
    let SessionEnd { id } = body(bytes)?;
    if !app.gate.snapshot().policy().may_administer(caller.user(), ResourceKind::Lock, Verb::Create) {
        return Err(Fault::denied("you may not end others' sessions (your roles have no rule to create locks)"));
    }
    let sessions = everywhere(app, &Question::Kill { id, by: caller.user().clone() }).await?;
    if sessions.is_empty() {
        return Err(Fault::not_found("there is no such session (it may have ended by itself)"));
    }
    Ok(LiveSessions { sessions })
}

/// Answers the process after this one, for this one and the one before it.
pub(super) async fn answer(app: &App, question: &Question) -> Vec<LiveSessionEntry> {
    // The other process would wait in vain as well; what is known here is told.
    everywhere(app, question).await.unwrap_or_else(|_| here(&app.gate, question))
}

/// The sessions that a question is about, here and in the process before this one, the newest first.
async fn everywhere(app: &App, question: &Question) -> Result<Vec<LiveSessionEntry>, Fault> {
    let mut sessions = here(&app.gate, question);
    // A session that was ended here is nowhere else.
    if sessions.is_empty() || *question == Question::List {
        let elder = app.elder.ask(question.clone()).await.map_err(|_| {
            Fault::unavailable(
                "the process before the last hand-over does not say which sessions it has",
                "try again; a lock reaches them without this",
            )
        })?;
        sessions.extend(elder);
        sessions.sort_by(|a, b| (b.since, &b.id).cmp(&(a.since, &a.id)));
    }
    Ok(sessions)
}

fn here(gate: &Gate, question: &Question) -> Vec<LiveSessionEntry> {
    let (id, ended) = match question {
        Question::List => return gate.live_of_all().iter().map(entry).collect(),
        Question::EndOwn { id, .. } | Question::Kill { id, .. } => (id, gate.live_of_all()),
    };
    let Ok(number) = id.parse::<SessionId>() else { return Vec::new() };
    let has_ended = match question {
        Question::List => false,
        Question::EndOwn { user, .. } => gate.end_own(user, number),
        Question::Kill { by, .. } => gate.end_any(number, by),
    };
    let one = ended.into_iter().filter(|session| has_ended && session.id == number);
    one.map(|session| entry(&session)).collect()
}

fn entry(live: &LiveSession) -> LiveSessionEntry {
    LiveSessionEntry {
        id: live.id.to_string(),
        user: live.user.to_string(),
        kind: live.target.kind.to_string(),
        target: live.target.name.to_string(),
        login: live.login.to_string(),
        protocol: live.protocol.as_str().to_owned(),
        peer: live.peer.ip().to_canonical().to_string(),
        since: live.since.map(tapgate_model::UnixTime::as_secs),
        tapped: live.tapped,
    }
}
