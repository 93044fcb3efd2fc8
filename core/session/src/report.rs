//! What the room tells the audit log: who wanted to go where, and by what right.

use std::sync::Arc;
use std::time::Duration;

use tapgate_audit::{Event, SessionFacts, Sink, TapRecord};
use tapgate_model::{Login, SessionId, TargetName, TargetUid};
use tapgate_policy::SessionMfa;
use tapgate_proof::Proof;

use crate::live::Entry;
use crate::{Ask, ConnectionFacts, ConnectionId, EndReason, Refusal, meter};

/// A tap, whole, for the log.
pub fn tap_record(proof: &Proof) -> TapRecord {
    let (id, der) = (proof.id(), proof.to_der().unwrap_or_default());
    let record = TapRecord::webauthn(id, &proof.credential_id, &proof.statement, &der);
    match proof {
        proof if proof.is_sso() => TapRecord { method: "sso".into(), ..record },
        proof if proof.is_touch() => TapRecord { method: "ssh-sk".into(), ..record },
        _ => record,
    }
}

fn facts(
    session: SessionId,
    identity: &tapgate_identity::Identity,
    target: (&TargetName, Option<TargetUid>),
    login: &Login,
    connection: &ConnectionFacts,
) -> SessionFacts {
    SessionFacts {
        session,
        user: identity.user().clone(),
        kind: login.kind(),
        target: target.0.clone(),
        uid: target.1,
        login: login.to_string().into(),
        protocol: connection.protocol.as_str().into(),
        peer: connection.peer,
        door: connection.door.as_str().into(),
        credential: *identity.fingerprint(),
        mfa_required: None,
        tap: identity.proof().map(|proof| tap_record(proof)),
        via: Vec::new(),
        connection: ConnectionId::current().map(|id| id.to_string().into()),
    }
}

fn entry_facts(entry: &Entry) -> SessionFacts {
    let target = &entry.record.target;
    let mut facts = facts(entry.id, &entry.identity, (&target.name, Some(target.uid)), &entry.login, &entry.facts);
    facts.mfa_required = Some(entry.terms.session_mfa != SessionMfa::Off);
    facts.tap = entry.tap.as_ref().map(|tap| tap_record(tap.proof()));
    facts.connection = entry.connection.map(|id| id.to_string().into());
    facts.via = entry.record.about.hops().iter().map(|hop| hop.node.name.clone()).collect();
    facts
}

/// A session was opened.
pub(crate) fn started(sink: &dyn Sink, entry: &Entry) {
    meter::started(entry);
    sink.record(Event::session_start(entry_facts(entry)));
}

/// A session is over.
pub(crate) fn ended(sink: &dyn Sink, entry: &Entry, reason: &EndReason, bytes: (u64, u64), lasted: Duration) {
    meter::ended(entry, bytes);
    sink.record(Event::session_end(entry_facts(entry), reason.to_string(), bytes.0, bytes.1, lasted));
}

/// A granted session did not come about.
pub(crate) fn failed(sink: &dyn Sink, entry: &Arc<Entry>, reason: &str, message: &str) {
    meter::failed(entry);
    sink.record(Event::session_failed(entry_facts(entry), reason, message));
}

/// An ask was refused.
pub(crate) fn denied(sink: &dyn Sink, session: SessionId, ask: &Ask<'_>, refusal: &Refusal) {
    let facts = facts(session, ask.identity, (ask.target, None), ask.login, ask.connection);
    meter::refused(ask, refusal.label);
    sink.record(Event::session_denied(facts, refusal.reason(), refusal.message()));
}
