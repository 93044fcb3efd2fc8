//! Recordings for those who may see them; each that is opened stands in the audit log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tapgate_api::{RecordingEntry, RecordingFrame, RecordingPage, Recordings};
use tapgate_audit::{Event, Sink};
use tapgate_authority::Fault;
use tapgate_model::SessionId;
use tapgate_policy::Records;
use tapgate_record::{Frame, Listed, ReadError, Shelf, frames, list, page};
use zeroize::Zeroizing;

use super::Caller;
use super::api::Shared;
use super::audit::may_see;
use super::reply::{Reply, blocking, identity};

/// Where recordings are, and what opens them.
#[derive(Clone)]
pub(crate) struct Library {
    pub(crate) shelf: Arc<dyn Shelf>,
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) sink: Arc<dyn Sink>,
}

/// The recordings, the newest first.
#[utoipa::path(get, path = "/v1/recordings", responses((status = 200, body = Recordings)))]
pub(super) async fn all(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    blocking(&app, move |app| {
        may_see(app, &*identity(app, &caller)?, Records::Session)?;
        let live: HashSet<SessionId> = app.gate.live_ids().into_iter().collect();
        let entry = |Listed { facts, size }: Listed| RecordingEntry {
            session: facts.session.to_string(),
            user: facts.user.to_string(),
            kind: facts.kind.to_string(),
            target: facts.target.to_string(),
            login: facts.login.to_string(),
            protocol: facts.protocol.to_string(),
            started: facts.started.as_secs(),
            size,
            live: live.contains(&facts.session),
        };
        let listed = list(&*app.library.shelf, &app.library.key).map_err(Fault::internal)?;
        Ok(Recordings { recordings: listed.into_iter().map(entry).collect() })
    })
    .await
}

/// A piece of a recording. That somebody begins to see it is recorded.
#[utoipa::path(get, path = "/v1/recordings/{session}",
    responses((status = 200, body = RecordingPage), (status = 404, body = tapgate_api::ApiError)))]
pub(super) async fn one(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
    Query(wish): Query<HashMap<String, String>>,
) -> Reply {
    blocking(&app, move |app| {
        let own = identity(app, &caller)?;
        may_see(app, &own, Records::Session)?;
        let missing = || Fault::not_found("there is no recording of this session");
        let session: SessionId = session.parse().map_err(|_| missing())?;
        let at = wish.get("at").map(|text| place(text).ok_or_else(missing)).transpose()?;
        let found = page(&*app.library.shelf, &app.library.key, session, at).map_err(|error| match error {
            ReadError::Missing => missing(),
            other => Fault::internal(other),
        })?;
        if at.is_none() {
            app.library.sink.record(Event::recording_accessed(own.user().clone(), session));
        }
        let frames = frames(&found.bytes).ok_or_else(|| Fault::internal(ReadError::Altered))?;
        let frame = |frame: &Frame<'_>| RecordingFrame {
            at: frame.at,
            channel: frame.channel,
            kind: frame.kind.as_str().to_owned(),
            data: URL_SAFE_NO_PAD.encode(frame.data),
        };
        let next = found.next.map(|(number, place)| format!("{number}-{place}"));
        Ok(RecordingPage { frames: frames.iter().map(frame).collect(), next, last: found.last })
    })
    .await
}

fn place(text: &str) -> Option<(u64, u64)> {
    let (number, place) = text.split_once('-')?;
    Some((number.parse().ok()?, place.parse().ok()?))
}
