//! What it costs to prove a recorded session, against the signature in it, and to record what a session shows.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use tapgate_audit::{
    AuditKey, AuditKeys, Checkpoints, Event, FileOptions, FileSink, Given, Life, LogKey, Period, Recorder as _,
    SessionFacts, Sink as _, TapeFacts, Taped, audit,
};
use tapgate_benches::harness::{batch, compare, in_turns, weigh};
use tapgate_benches::process::nanos;
use tapgate_benches::report::{Figure, Report};
use tapgate_model::{Clock as _, Digest, Kind, SessionId, SystemClock};
use tapgate_proof::{Link, Proof, Uses};
use tapgate_record::{Deck, Folder};
use tapgate_session::tap_record;
use tapgate_session::testing::{GATE, World, node};

/// How many sessions a log has; each has a tap of its own.
const SESSIONS: u32 = 50;

/// How many records a batch has: less than may wait for the disk.
const APPENDS: u32 = 4096;

/// How many rounds that takes.
const APPEND_ROUNDS: usize = 20;

/// How many pieces of output a batch has.
const OUTPUT_BATCH: u32 = 100;

/// A piece of output, as large as a packet of OpenSSH.
const OUTPUT: usize = 32 * 1024;

fn main() -> Result<ExitCode> {
    let mut report = Report::from_arguments()?;
    if report.wants("audit-verify") {
        verify(&mut report)?;
    }
    if report.wants("audit-append") {
        append(&mut report)?;
    }
    if report.wants("record-output") {
        output(&mut report)?;
    }
    report.finish()
}

/// A log of sessions is audited whole: chain, tree and taps.
fn verify(report: &mut Report) -> Result<()> {
    let world = World::in_real_time(&node("prod3", "prod", "127.0.0.1:9"));
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("audit.jsonl");
    let sink = FileSink::open(&path, Arc::new(SystemClock))?;
    let mut signed = Vec::new();
    for n in 0..SESSIONS {
        let identity = world.tapped("prod3", "jerry", Uses::Window);
        let proof = identity.proof().context("no tap")?;
        sink.record(Event::session_start(facts(proof, n)?));
        let message = [&proof.authenticator_data, digest(&SHA256, &proof.client_data_json).as_ref()].concat();
        signed.push((message, proof.signature.clone()));
    }
    sink.flush()?;
    let keys = keys(&world)?;
    let files = [path];
    let given = Given { files: &files, checkpoints: None, keys: &keys, expected: &[], period: Period::default() };
    let found = audit(&given)?;
    ensure!(
        found.is_clean() && found.webauthn == u64::from(SESSIONS),
        "the log that is measured is not proven: {found:?}"
    );
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, world.key.key().as_bytes())?;
    let mut next = signed.iter().cycle();
    let found = compare(
        || batch(1, || audit(&given).is_ok()) / f64::from(SESSIONS),
        || {
            batch(SESSIONS, || {
                next.next().is_some_and(|(message, signature)| key.verify_sig(message, signature).is_ok())
            })
        },
    );
    let what = "a session's record proven from its line in the log: chain, tree and tap (10,000 a second are 100 µs)";
    report.add("audit-verify", Figure::nanoseconds(what, Some(100_000.0), found.a));
    let what = "the same, against the one P-256 verification that it must do";
    report.add("audit-verify-ratio", Figure::ratio(what, None, ["the record", "one verification"], &found));
    Ok(())
}

/// Records are appended: made, hashed, put into the tree, written and synced, with their checkpoints. The log's own
/// thread counts as well, and so does the wait for the disk, on the wall clock.
fn append(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let key = LogKey::generate().and_then(|bytes| LogKey::from_pkcs8(&bytes)).context("no key")?;
    let checkpoints = Checkpoints { key, path: dir.path().join("checkpoints"), witness: None };
    let options = FileOptions { checkpoints: Some(checkpoints), ..FileOptions::default() };
    let sink = FileSink::open_with(dir.path().join("audit.jsonl"), Arc::new(SystemClock), options)?;
    let world = World::in_real_time(&node("prod3", "prod", "127.0.0.1:9"));
    let identity = world.tapped("prod3", "jerry", Uses::Window);
    let facts = facts(identity.proof().context("no tap")?, 1)?;
    let line = serde_json::to_vec(&Event::session_start(facts.clone()))?;
    let own = [std::process::id()];
    let cost = |work: &mut dyn FnMut() -> Result<()>| {
        let (cpu, wall) = (nanos(&own)?, Instant::now());
        work()?;
        let wall = u32::try_from(wall.elapsed().as_micros())?;
        Ok::<_, anyhow::Error>([nanos(&own)? - cpu, f64::from(wall) * 1e3].map(|all| all / f64::from(APPENDS)))
    };
    let rounds = in_turns(
        APPEND_ROUNDS,
        || {
            cost(&mut || {
                (0..APPENDS).for_each(|_| sink.record(Event::session_start(facts.clone())));
                Ok(sink.flush()?)
            })
        },
        || {
            cost(&mut || {
                for _ in 0..APPENDS {
                    black_box(digest(&SHA256, &line));
                }
                Ok(())
            })
        },
    )?;
    let picked = |at: fn([f64; 2]) -> f64| rounds.iter().map(|round| round.only(at)).collect::<Vec<_>>();
    let what = "a session's record with its tap appended to the log, under a checkpoint: CPU time of every thread \
                (10,000 a second on one core are 100 µs)";
    report.add("audit-append-cpu", Figure::nanoseconds(what, Some(100_000.0), weigh(&picked(|[cpu, _]| cpu)).a));
    let what = "the same by the wall clock, until 4,096 records are safe on the disk";
    report.add("audit-append", Figure::nanoseconds(what, Some(100_000.0), weigh(&picked(|[_, wall]| wall)).a));
    Ok(())
}

/// What a session's own thread does for its recording: it copies.
fn output(report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let deck = Deck::new(Arc::new(Folder::new(dir.path())?), &[7; 32])?;
    let tape = deck.begin(&tape_facts()?, Box::new(|_| {})).map_err(anyhow::Error::msg)?;
    let (piece, mut copy) = (vec![b'x'; OUTPUT], Vec::new());
    let found = compare(
        || batch(OUTPUT_BATCH, || tape.write(1, Taped::Output(&piece))),
        || {
            copy.clear();
            batch(OUTPUT_BATCH, || copy.extend_from_slice(&piece))
        },
    );
    let what = "32 KiB of output told to a recording, by the session's thread";
    report.add("record-output", Figure::nanoseconds(what, None, found.a));
    Ok(())
}

fn facts(proof: &Proof, n: u32) -> Result<SessionFacts> {
    let statement = proof.statement()?;
    let target = statement.parts().targets.first().context("no target")?;
    let mut number = [0; 16];
    number[..4].copy_from_slice(&n.to_be_bytes());
    Ok(SessionFacts {
        session: SessionId::from_bytes(number),
        user: statement.parts().user.clone(),
        kind: target.target.kind,
        target: target.target.name.clone(),
        uid: Some(target.target.uid),
        login: target.login.to_string().into(),
        protocol: "ssh".into(),
        peer: "127.0.0.1:5022".parse()?,
        door: "certificate".into(),
        credential: Digest::from_bytes([4; 32]),
        mfa_required: Some(true),
        tap: Some(tap_record(proof)),
        via: Vec::new(),
        connection: None,
    })
}

fn keys(world: &World) -> Result<AuditKeys> {
    let registration = world.key.register(&"jerry".parse()?, SystemClock.now(), Link::Pinned);
    Ok(AuditKeys {
        version: 1,
        cluster_name: "bench".to_owned(),
        gate: GATE,
        relying_party: world.rp.clone(),
        pins: vec![registration.pin()],
        log_keys: Vec::new(),
        ssh_keys: Vec::new(),
        devices: vec![AuditKey { lives: vec![Life { from: registration.created, until: None }], registration }],
        accounts: Vec::new(),
        connectors: Vec::new(),
        provider_keys: Vec::new(),
    })
}

fn tape_facts() -> Result<TapeFacts> {
    Ok(TapeFacts {
        session: SessionId::from_bytes([1; 16]),
        user: "jerry".parse()?,
        kind: Kind::Node,
        target: "prod3".parse()?,
        login: "root".into(),
        protocol: "ssh".into(),
        started: SystemClock.now(),
    })
}
