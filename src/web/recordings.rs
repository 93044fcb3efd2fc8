//! Recordings for those who may see them; each that is opened stands in the audit log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::Extension;
use axum::extract::{Path, Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tapgate_api::{RecordingEntry, RecordingFrame, RecordingPage, Recordings};
use tapgate_audit::{Event, Sink};
use tapgate_authority::Fault;
use tapgate_model::{SessionId, UserName};
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
        let ticket = Ticket { key: &app.library.key, user: own.user(), session };
        let at = wish.get("at").map(|text| ticket.place(text).ok_or_else(missing)).transpose()?;
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
        let next = found.next.map(|place| ticket.of(place));
        Ok(RecordingPage { frames: frames.iter().map(frame).collect(), next, last: found.last })
    })
    .await
}

/// Where the next piece is, for whoever has seen the one before: nobody begins in the middle, where no look is recorded.
struct Ticket<'a> {
    key: &'a [u8],
    user: &'a UserName,
    session: SessionId,
}

impl Ticket<'_> {
    fn of(&self, (number, place): (u64, u64)) -> String {
        let said = format!("{number}-{place}");
        let tag = hmac::sign(&self.hmac(), &self.message(&said));
        format!("{said}-{}", hex::encode(tag.as_ref()))
    }

    fn place(&self, text: &str) -> Option<(u64, u64)> {
        let (said, tag) = text.rsplit_once('-')?;
        hmac::verify(&self.hmac(), &self.message(said), &hex::decode(tag).ok()?).ok()?;
        let (number, place) = said.split_once('-')?;
        Some((number.parse().ok()?, place.parse().ok()?))
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.key)
    }

    fn message(&self, said: &str) -> Vec<u8> {
        let user = self.user.as_str().as_bytes();
        [b"tapgate/recording-place/v1".as_slice(), self.session.as_bytes().as_slice(), said.as_bytes(), b" ", user]
            .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_good_for_one_person_and_one_recording() {
        let (ann, bob): (UserName, UserName) = ("ann".parse().unwrap(), "bob".parse().unwrap());
        let session = SessionId::from_bytes([1; 16]);
        let ticket = Ticket { key: &[7; 32], user: &ann, session };
        let text = ticket.of((3, 4711));
        assert_eq!(ticket.place(&text), Some((3, 4711)));
        let other = Ticket { session: SessionId::from_bytes([2; 16]), ..ticket };
        assert_eq!(other.place(&text), None);
        assert_eq!(Ticket { key: &[7; 32], user: &bob, session }.place(&text), None);
        for bad in ["3-4711", "3-4711-", "3-4711-00", &text.replacen('3', "4", 1), ""] {
            assert_eq!(ticket.place(bad), None, "{bad}");
        }
    }
}
