//! Every event under its name, out and back.

#![cfg(test)]

use std::time::Duration;

use tapgate_audit::{BrowserStep, Change, Deed, DeedFacts, Event, SessionFacts, Statement, TapRecord, Way};
use tapgate_model::{Digest, Kind, SessionId, TargetUid};

fn tap() -> TapRecord {
    TapRecord::webauthn(Digest::from_bytes([1; 32]), b"credential", &[0x30, 0xff, 0xfe], &[0x30; 300])
}

fn facts(tap: Option<TapRecord>) -> SessionFacts {
    SessionFacts {
        session: SessionId::from_bytes([2; 16]),
        user: "ann".parse().unwrap(),
        kind: Kind::Node,
        target: "prod3".parse().unwrap(),
        uid: Some(TargetUid::from_bytes([3; 16])),
        login: "jerry".into(),
        protocol: "ssh".into(),
        peer: "192.0.2.7:5022".parse().unwrap(),
        door: "certificate".into(),
        credential: Digest::from_bytes([4; 32]),
        mfa_required: Some(true),
        tap,
        via: Vec::new(),
        connection: Some("0a-1".into()),
    }
}

fn deed(deed: Deed) -> Event {
    let facts = facts(None);
    Event::deed(DeedFacts { session: facts.session, user: facts.user, target: facts.target }, deed)
}

fn forward() -> Deed {
    let (destination, origin) = ("db1:5432".into(), "127.0.0.1:9".into());
    Deed::Forward { way: Way::Local, destination, origin, bytes_up: 1, bytes_down: 2 }
}

fn statement() -> Deed {
    let (classes, tables) = (vec!["write".into()], vec!["orders".into()]);
    let text = Some("delete from orders where id = 1".into());
    Deed::Statement(Statement { classes, tables, text, rows: Some(1), outcome: "done".into() })
}

fn all() -> Vec<(&'static str, Event)> {
    let (ann, bob) = (|| "ann".parse().unwrap(), || "bob".parse().unwrap());
    let peer = "192.0.2.7:5022".parse().unwrap();
    let peer_ip = "192.0.2.7".parse().unwrap();
    let targets = || vec!["node prod3 as jerry".into()];
    let minute = Duration::from_mins(1);
    let action = Digest::from_bytes([5; 32]);
    vec![
        ("session.start", Event::session_start(facts(Some(tap())))),
        ("session.end", Event::session_end(facts(Some(tap())), "the client closed it", 1, u64::MAX, minute)),
        ("session.denied", Event::session_denied(facts(None), "denied by role x", "access denied")),
        ("session.failed", Event::session_failed(facts(Some(tap())), "connection refused", "cannot be reached")),
        ("session.recording.access", Event::recording_accessed(ann(), SessionId::from_bytes([2; 16]))),
        ("session.recording.removed", Event::recording_removed(SessionId::from_bytes([2; 16]), "it is older than 30d")),
        ("session.command", deed(Deed::Command(Some("uptime".into())))),
        ("session.command", deed(Deed::Command(None))),
        ("session.subsystem", deed(Deed::Subsystem("sftp".into()))),
        ("session.sftp", deed(Deed::Sftp { operation: "rename", path: "/a".into(), to: Some("/b".into()) })),
        ("session.forward", deed(forward())),
        ("session.request", deed(request())),
        ("db.session.query", deed(statement())),
        ("session.untold", deed(Deed::Untold("3 deeds came too fast".into()))),
        ("mfa.begin", Event::mfa_begin(ann(), "session", "c1", targets())),
        ("mfa.succeeded", Event::mfa_succeeded(ann(), "session", "c1", targets(), tap())),
        ("mfa.failed", Event::mfa_failed(ann(), "session", "c1", targets(), "expired")),
        ("mfa.browser", Event::mfa_browser(ann(), "session", "c1", BrowserStep::Refused, peer_ip, Some("wrong code"))),
        ("auth.login", Event::login(ann(), peer)),
        ("auth.login", Event::login_by(ann(), peer, "otp")),
        ("auth.device", Event::device_changed(ann(), "webauthn", "blue key", Change::Deleted, action, tap())),
        ("auth.login_failed", Event::login_failed("nobody", peer, "no such user")),
        ("auth.enrolled", Event::enrolled(ann(), b"id", "blue key", "invite", Some(tap()))),
        ("admin.changed", Event::resource_changed(ann(), "role", "dev", Change::Updated, action, tap())),
        ("admin.changed", Event::resource_reloaded("role", "dev", Change::Deleted)),
        ("auth.invite", Event::invite_created(ann(), bob(), Some(tap()))),
        ("gate.started", Event::gate_started("1.0")),
        ("gate.stopped", Event::gate_stopped("1.0")),
        ("security.warning", Event::security_warning("look")),
        ("audit.lost", Event::AuditLost { count: 3 }),
        ("audit.torn", Event::AuditTorn { bytes: 3 }),
        ("audit.pruned", Event::AuditPruned { first: 3, next: 9, head: action }),
    ]
}

#[test]
fn every_event_has_its_name_and_comes_back() {
    for (name, event) in all() {
        let json = serde_json::to_string(&event).unwrap();
        assert!(json.starts_with(&format!("{{\"event\":\"{name}\"")), "{json}");
        assert_eq!(event.name(), name);
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }
}

fn request() -> Deed {
    Deed::Request { method: "GET".into(), path: "/d/1".into(), status: Some(200), connection: Some("2-1".into()) }
}

/// The schema that others read the log by knows every event, and each of its fields.
#[test]
fn the_schema_knows_every_event_and_field() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../docs/audit-events.schema.json")).unwrap();
    let known = schema["oneOf"].as_array().unwrap();
    for (name, event) in all() {
        let own = known.iter().find(|known| known["title"] == name).unwrap_or_else(|| panic!("no {name}"));
        let json = serde_json::to_value(event).unwrap();
        for field in json.as_object().unwrap().keys() {
            assert!(own["properties"][field].is_object(), "{name}: {field}");
        }
        for required in own["required"].as_array().unwrap().iter().filter_map(serde_json::Value::as_str) {
            let by_the_record = ["seq", "time", "previous", "hash"].contains(&required);
            assert!(by_the_record || !json[required].is_null() || json.get(required).is_some(), "{name}: {required}");
        }
    }
}

#[test]
fn a_session_is_one_flat_object() {
    let json = serde_json::to_value(Event::session_denied(facts(None), "no role", "access denied")).unwrap();
    let due = serde_json::json!({
        "event": "session.denied", "session": "02".repeat(16), "user": "ann", "kind": "node", "target": "prod3",
        "uid": "03".repeat(16), "login": "jerry", "protocol": "ssh", "peer": "192.0.2.7:5022", "door": "certificate",
        "credential": "04".repeat(32), "mfa_required": true, "tap": null, "connection": "0a-1", "reason": "no role",
        "message": "access denied",
    });
    assert_eq!(json, due);
}

#[test]
fn a_deed_is_one_flat_object() {
    let due = serde_json::json!({
        "event": "session.forward", "session": "02".repeat(16), "user": "ann", "target": "prod3", "way": "local",
        "destination": "db1:5432", "origin": "127.0.0.1:9", "bytes_up": 1, "bytes_down": 2,
    });
    assert_eq!(serde_json::to_value(deed(forward())).unwrap(), due);
}

#[test]
fn a_tap_gives_its_bytes_back() {
    let tap = tap();
    assert_eq!(tap.credential_id_bytes().as_deref(), Some(b"credential".as_slice()));
    assert_eq!(tap.statement, "MP_-");
    assert_eq!(tap.statement_der(), Some(vec![0x30, 0xff, 0xfe]));
    assert_eq!(tap.proof_der(), Some(vec![0x30; 300]));
}
