//! The whole audit: sessions with real taps are proven, and every way to cheat is named with its line.

#![cfg(test)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tapgate_audit::{
    Audit, AuditKey, AuditKeys, Checkpoints, Event, Expectation, Fault, FileOptions, FileSink, Given, Life, LogKey,
    Period, SessionFacts, Sink, TapRecord, audit, checkpoints_of, log_files,
};
use tapgate_model::{Clock as _, Digest, Kind, Login, ManualClock, SessionId, TargetRef, TargetUid, UnixTime};
use tapgate_proof::testing::SoftKey;
use tapgate_proof::{Holder, Link, Purpose, RelyingParty, Statement, StatementParts, StatementTarget, Uses};
use tempfile::TempDir;

const GATE: Digest = Digest::from_bytes([9; 32]);

struct Scene {
    _dir: TempDir,
    path: PathBuf,
    clock: Arc<ManualClock>,
    key: SoftKey,
    log_key: Vec<u8>,
    keys: AuditKeys,
    sessions: u8,
}

fn party() -> RelyingParty {
    RelyingParty { id: "example.com".to_owned(), origins: vec!["https://example.com".to_owned()] }
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let clock = Arc::new(ManualClock::new(UnixTime::from_secs(1_795_180_333)));
        let (key, log_key) = (SoftKey::generate(), LogKey::generate().unwrap());
        let registration = key.register(&"ann".parse().unwrap(), clock.now(), Link::Pinned);
        let lives = vec![Life { from: registration.created, until: None }];
        let keys = AuditKeys {
            version: 1,
            cluster_name: "example.com".to_owned(),
            gate: GATE,
            relying_party: party(),
            pins: vec![registration.pin()],
            log_keys: vec![LogKey::from_pkcs8(&log_key).unwrap().public()],
            devices: vec![AuditKey { registration, lives }],
            accounts: Vec::new(),
            connectors: Vec::new(),
            provider_keys: Vec::new(),
        };
        Self { _dir: dir, path, clock, key, log_key, keys, sessions: 0 }
    }

    fn open(&self, file_len_max: Option<u64>) -> FileSink {
        let key = LogKey::from_pkcs8(&self.log_key).unwrap();
        let witness = Some(self.path.with_extension("witness"));
        let checkpoints = Some(Checkpoints { key, path: checkpoints_of(&self.path), witness });
        let options = FileOptions { checkpoints, file_len_max, ..FileOptions::default() };
        FileSink::open_with(&self.path, self.clock.clone(), options).unwrap()
    }

    /// A session's record, with its tap.
    fn session(&mut self, change: impl FnOnce(&mut StatementParts)) -> SessionFacts {
        self.sessions += 1;
        let target =
            TargetRef { kind: Kind::Node, name: "prod3".parse().unwrap(), uid: TargetUid::from_bytes([3; 16]) };
        let login: Login = Login::Unix("root".parse().unwrap());
        let holder = Holder::SessionKey(Digest::from_bytes([self.sessions; 32]));
        let now = self.clock.now();
        let mut parts = StatementParts {
            gate: GATE,
            purpose: Purpose::Session,
            user: "ann".parse().unwrap(),
            uses: Uses::Window,
            source_ip: None,
            action: None,
            targets: vec![StatementTarget { target: target.clone(), login: login.clone(), holder }],
            created: now,
            expires: now.plus(Duration::from_mins(5)),
        };
        change(&mut parts);
        let statement = Statement::new(parts).unwrap();
        let proof = self.key.tap(&statement, [self.sessions; 32], &party());
        let der = proof.to_der().unwrap();
        let tap = TapRecord::webauthn(proof.id(), &proof.credential_id, &proof.statement, &der);
        SessionFacts {
            session: SessionId::from_bytes([self.sessions; 16]),
            user: "ann".parse().unwrap(),
            kind: Kind::Node,
            target: target.name,
            uid: Some(target.uid),
            login: login.to_string().into(),
            protocol: "ssh".into(),
            peer: "192.0.2.7:5022".parse().unwrap(),
            door: "certificate".into(),
            credential: Digest::from_bytes([4; 32]),
            mfa_required: Some(true),
            tap: Some(tap),
            via: Vec::new(),
        }
    }

    /// A log of a start, three sessions with taps and one that needs none, and an end.
    fn usual(&mut self) {
        let sink = self.open(None);
        sink.record(Event::gate_started("1"));
        for _ in 0..3 {
            sink.record(Event::session_start(self.session(|_| {})));
            sink.seal().unwrap();
            self.clock.advance(Duration::from_secs(1));
        }
        let untapped = SessionFacts { tap: None, mfa_required: Some(false), ..self.session(|_| {}) };
        sink.record(Event::session_start(untapped));
        sink.record(Event::gate_stopped("1"));
    }

    fn checkpoints(&self) -> String {
        fs::read_to_string(checkpoints_of(&self.path)).unwrap()
    }

    fn audit_with(&self, checkpoints: Option<&str>, expected: &[Expectation], keys: &AuditKeys) -> Audit {
        let files: Vec<PathBuf> = log_files(&self.path).unwrap().into_iter().filter(|file| file.exists()).collect();
        audit(&Given { files: &files, checkpoints, keys, expected, period: Period::default() }).unwrap()
    }

    fn audit(&self) -> Audit {
        self.audit_with(Some(&self.checkpoints()), &[], &self.keys)
    }

    /// The faults, each with its line.
    fn faults(&self) -> Vec<(Fault, u64)> {
        self.audit().findings.iter().map(|finding| (finding.fault, finding.line)).collect()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut lines: Vec<String> = fs::read_to_string(&self.path).unwrap().lines().map(str::to_owned).collect();
        change(&mut lines);
        fs::write(&self.path, lines.join("\n") + "\n").unwrap();
    }

    /// Writes one record of such a session, and audits it.
    fn one(&mut self, facts: SessionFacts) -> Vec<(Fault, u64)> {
        let sink = self.open(None);
        sink.record(Event::session_start(facts));
        drop(sink);
        self.faults()
    }
}

#[test]
fn a_whole_log_is_proven() {
    let mut scene = Scene::new();
    scene.usual();
    let found = scene.audit();
    assert_eq!(found.findings, []);
    assert!(found.is_clean() && found.chain_intact);
    assert_eq!((found.records, found.sessions, found.required), (6, 4, 3));
    assert_eq!((found.webauthn, found.sso, found.missing, found.altered), (3, 0, 0, 0));
    assert_eq!((found.checkpoints, found.unsigned), (4, 0), "the end is sealed");
    assert_eq!(fs::read_to_string(scene.path.with_extension("witness")).unwrap(), scene.checkpoints());
    // It goes on after a restart, and the tree with it.
    scene.usual();
    let found = scene.audit();
    assert_eq!((found.findings.as_slice(), found.records, found.unsigned), ([].as_slice(), 12, 0));
    let text = serde_json::to_vec(&scene.keys).unwrap();
    assert_eq!(AuditKeys::from_json(&text).as_ref(), Ok(&scene.keys));
}

#[test]
fn every_change_of_the_log_is_named_with_its_line() {
    use Fault::{Added, Altered, Removed, Truncated, Unproven};
    let changed = |change: fn(&mut Vec<String>)| {
        let mut scene = Scene::new();
        scene.usual();
        scene.change(change);
        scene.faults()
    };
    let has = |faults: &[(Fault, u64)], fault: Fault, line: u64| {
        assert!(faults.contains(&(fault, line)), "{fault:?} in line {line} is not among {faults:?}");
    };
    // One flipped bit, in a record that stays JSON.
    has(&changed(|lines| lines[2] = lines[2].replacen("prod3", "prod2", 1)), Altered, 3);
    has(&changed(|lines| lines[2] = lines[2].replacen("prod3", "prod2", 1)), Unproven, 3);
    // And in one that does not.
    has(&changed(|lines| lines[2].replace_range(0..1, "z")), Altered, 3);
    has(&changed(|lines| drop(lines.remove(1))), Removed, 2);
    has(&changed(|lines| lines.insert(2, lines[1].clone())), Added, 3);
    has(&changed(|lines| lines.swap(1, 2)), Removed, 2);
    has(&changed(|lines| lines.swap(1, 2)), Added, 3);
    // The tail; the last checkpoint covers it.
    has(&changed(|lines| lines.truncate(4)), Truncated, 4);
}

#[test]
fn a_log_that_was_written_anew_is_not_the_one_that_was_signed() {
    let mut scene = Scene::new();
    scene.usual();
    let (kept, head) = (scene.checkpoints(), scene.audit().head.unwrap());
    let unsigned = scene.audit_with(None, &[], &scene.keys);
    assert_eq!((unsigned.is_clean(), unsigned.unsigned), (true, 6), "without checkpoints nobody has signed it");
    // Somebody who can write everything on the disk, but has neither the key nor the witness.
    fs::remove_file(&scene.path).unwrap();
    fs::remove_file(checkpoints_of(&scene.path)).unwrap();
    let forged = LogKey::generate().unwrap();
    let own = std::mem::replace(&mut scene.log_key, forged);
    scene.usual();
    let faults = scene.faults();
    assert!(!faults.is_empty() && faults.iter().all(|(fault, _)| *fault == Fault::Checkpoint), "{faults:?}");
    // Against the old checkpoints every place of it is another.
    let found = scene.audit_with(Some(&kept), &[], &scene.keys);
    assert!(found.findings.iter().any(|finding| finding.fault == Fault::Altered), "{found:?}");
    // And the head that somebody has kept is in it no more.
    for expected in [Expectation { records: Some(6), head }, Expectation { records: None, head }] {
        let found = scene.audit_with(None, &[expected], &scene.keys);
        assert_eq!((found.faults, found.chain_intact), (1, false), "{found:?}");
    }
    // The gate itself sees it at its next start, and says so.
    scene.log_key = own;
    fs::write(checkpoints_of(&scene.path), &kept).unwrap();
    drop(scene.open(None));
    let log = fs::read_to_string(&scene.path).unwrap();
    assert!(log.lines().last().unwrap().contains("it was altered"), "{log}");
}

#[test]
fn a_cut_end_is_known_by_a_head_that_was_kept_elsewhere() {
    let mut scene = Scene::new();
    scene.usual();
    let head = scene.audit().head.unwrap();
    let witness = Expectation { records: Some(6), head };
    assert!(scene.audit_with(Some(&scene.checkpoints()), &[witness], &scene.keys).is_clean());
    // The log's end and the checkpoint over it, both gone.
    scene.change(|lines| lines.truncate(4));
    let checkpoints: String = scene.checkpoints().split_inclusive('\n').take(3).collect();
    assert!(scene.audit_with(Some(&checkpoints), &[], &scene.keys).is_clean());
    let found = scene.audit_with(Some(&checkpoints), &[witness], &scene.keys);
    assert_eq!(found.findings[0].what, "the log has 4 records, and 6 were witnessed: its end was removed");
    let other: Expectation = format!("4:{head}").parse().unwrap();
    assert!(!scene.audit_with(Some(&checkpoints), &[other], &scene.keys).is_clean());
    assert!("x:1".parse::<Expectation>().is_err() && "12".parse::<Expectation>().is_err());
}

#[test]
fn a_forged_checkpoint_counts_for_nothing() {
    let mut scene = Scene::new();
    scene.usual();
    let forged = |change: &dyn Fn(&str) -> String| {
        let found = scene.audit_with(Some(&change(&scene.checkpoints())), &[], &scene.keys);
        assert!(found.findings.iter().any(|finding| finding.fault == Fault::Checkpoint), "{found:?}");
    };
    forged(&|text| text.replacen("\"records\":2", "\"records\":3", 1));
    forged(&|text| text.replacen("\"time\":1795180333", "\"time\":1795180334", 1));
    forged(&|text| format!("{text}no checkpoint\n"));
}

#[test]
fn a_tap_that_proves_nothing_is_named() {
    use Fault::{Missing, Unproven};
    let one = |change: fn(&mut Scene) -> SessionFacts| {
        let mut scene = Scene::new();
        let facts = change(&mut scene);
        scene.one(facts)
    };
    assert_eq!(one(|scene| scene.session(|_| {})), []);
    assert_eq!(one(|scene| SessionFacts { tap: None, ..scene.session(|_| {}) }), [(Missing, 1)]);
    let unproven = [(Unproven, 1)];
    // Another's session, target, login, gate, address, purpose or time.
    assert_eq!(one(|scene| SessionFacts { user: "bob".parse().unwrap(), ..scene.session(|_| {}) }), unproven);
    assert_eq!(one(|scene| SessionFacts { login: "toor".into(), ..scene.session(|_| {}) }), unproven);
    assert_eq!(one(|scene| SessionFacts { target: "prod4".parse().unwrap(), ..scene.session(|_| {}) }), unproven);
    assert_eq!(one(|scene| SessionFacts { uid: None, ..scene.session(|_| {}) }), unproven);
    assert_eq!(one(|scene| scene.session(|parts| parts.gate = Digest::from_bytes([8; 32]))), unproven);
    assert_eq!(one(|scene| scene.session(|parts| parts.source_ip = Some("192.0.2.8".parse().unwrap()))), unproven);
    let late = |scene: &mut Scene| {
        let facts = scene.session(|_| {});
        scene.clock.advance(Duration::from_mins(7));
        facts
    };
    assert_eq!(one(late), unproven);
    // A key that nobody knows, that was removed, and that nothing vouches for.
    let stranger = |scene: &mut Scene| {
        scene.key = SoftKey::generate();
        scene.session(|_| {})
    };
    assert_eq!(one(stranger), unproven);
    let removed = |scene: &mut Scene| {
        scene.keys.devices[0].lives[0].until = Some(scene.clock.now());
        scene.clock.advance(Duration::from_mins(1));
        scene.session(|_| {})
    };
    assert_eq!(one(removed), unproven);
    let unpinned = |scene: &mut Scene| {
        scene.keys.pins.clear();
        scene.session(|_| {})
    };
    assert_eq!(one(unpinned), unproven);
}

#[test]
fn a_removed_keys_earlier_sessions_stay_proven() {
    let mut scene = Scene::new();
    scene.usual();
    scene.keys.devices[0].lives[0].until = Some(scene.clock.now());
    assert!(scene.audit().is_clean());
}

#[test]
fn a_tap_that_is_good_once_opens_one_session() {
    let mut scene = Scene::new();
    let facts = scene.session(|parts| parts.uses = Uses::Once);
    assert_eq!(scene.one(facts.clone()), []);
    assert_eq!(scene.one(facts), [(Fault::Unproven, 2)]);
}

#[test]
fn a_full_file_is_followed_by_another_and_older_ones_may_be_archived() {
    let mut scene = Scene::new();
    let sink = scene.open(Some(4000));
    for n in 0..12 {
        sink.record(Event::session_start(scene.session(|_| {})));
        sink.record(Event::security_warning(n.to_string()));
        sink.flush().unwrap();
    }
    drop(sink);
    let files = log_files(&scene.path).unwrap();
    assert!(files.len() > 3, "{files:?}");
    let found = scene.audit();
    assert_eq!((found.findings.as_slice(), found.records, found.webauthn), ([].as_slice(), 24, 12));
    // The gate goes on, also where the newest file is still empty.
    let sink = scene.open(Some(4000));
    assert_eq!(sink.summary().records, 24);
    sink.record(Event::gate_stopped("1"));
    drop(sink);
    assert!(scene.audit().is_clean());
    // Somebody moves the first files away: the rest is verified from a checkpoint on.
    fs::remove_file(&files[0]).unwrap();
    let found = scene.audit();
    assert_eq!((found.findings.as_slice(), found.log_records), ([].as_slice(), 25));
    assert!(found.first > 0 && found.records == 25 - found.first, "{found:?}");
    // But not one from the middle.
    fs::remove_file(&files[2]).unwrap();
    assert!(scene.faults().iter().any(|(fault, _)| *fault == Fault::Removed));
}

#[test]
fn a_torn_checkpoint_is_made_again() {
    let mut scene = Scene::new();
    scene.usual();
    let text = scene.checkpoints();
    fs::write(checkpoints_of(&scene.path), &text[..text.len() - 40]).unwrap();
    scene.usual();
    assert_eq!(scene.audit().findings, []);
}

/// Prints figures, and fails only where they are far from what a gate needs. Run it alone for honest ones.
#[test]
fn it_is_fast_enough() {
    let mut scene = Scene::new();
    let facts = scene.session(|_| {});
    let sink = scene.open(None);
    let count: u32 = 4000;
    let begun = Instant::now();
    (0..count).for_each(|_| sink.record(Event::session_start(facts.clone())));
    sink.seal().unwrap();
    let appended = f64::from(count) / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let found = scene.audit();
    let verified = f64::from(count) / begun.elapsed().as_secs_f64();
    assert_eq!((found.findings.as_slice(), found.webauthn), ([].as_slice(), u64::from(count)));
    println!("{appended:.0} records appended/s, {verified:.0} taps verified/s");
    assert!(appended > 200.0 && verified > 200.0, "{appended:.0} {verified:.0}");
}
