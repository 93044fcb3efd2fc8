//! What `Gate::check` costs: with evidence at hand, against one look-up of it; without, against the signature; beside
//! another thread, and where many sessions come at once.

#[path = "check/stampede.rs"]
mod stampede;
#[path = "check/threads.rs"]
mod threads;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tapgate_benches::harness::{batch, compare};
use tapgate_benches::report::{Figure, Report};
use tapgate_identity::Identity;
use tapgate_model::{Clock as _, Kind, Login, SystemClock, TargetName};
use tapgate_proof::{Expected, KnownParty, Purpose, Uses, verify};
use tapgate_session::testing::{BareHit, GATE, World, facts, node, target, unix};
use tapgate_session::{Ask, ConnectionFacts, Verdict};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// How many checks a batch has; at about 300 ns each, reading the clock is lost in it.
const WARM_BATCH: u32 = 2_000;

/// How many cold checks a batch has; each has an identity of its own, made beforehand.
const COLD_BATCH: u32 = 20;

/// How many roles the policy has.
const ROLES: u32 = 100;

/// One ask, with what it points to.
struct Asking {
    identity: Arc<Identity>,
    target: TargetName,
    login: Login,
    facts: ConnectionFacts,
}

impl Asking {
    fn of(identity: Arc<Identity>) -> Self {
        Self { identity, target: target("prod3"), login: unix("jerry"), facts: facts() }
    }

    fn ask(&self) -> Ask<'_> {
        let Self { identity, target, login, facts } = self;
        Ask { identity, kind: Kind::Node, target, login, connection: facts }
    }
}

fn main() -> Result<ExitCode> {
    let mut report = Report::from_arguments()?;
    let world = World::in_real_time(&policy());
    if report.wants("check-warm") {
        warm(&world, &mut report)?;
    }
    if report.wants("check-cold") {
        cold(&world, &mut report)?;
    }
    if report.wants("proof") {
        proof(&world, &mut report)?;
    }
    threads::measure(&mut report)?;
    stampede::measure(&mut report)?;
    report.finish()
}

fn granted(world: &World, asking: &Asking) -> bool {
    matches!(world.gate.check(&asking.ask()), Verdict::Grant(_))
}

/// A second check of the same ask finds the evidence of the first.
fn warm(world: &World, report: &mut Report) -> Result<()> {
    let asking = Asking::of(world.tapped("prod3", "jerry", Uses::Window));
    ensure!(granted(world, &asking), "the ask that is measured is not granted");
    let ask = asking.ask();
    let bare = BareHit::of(&world.gate, &ask);
    ensure!(bare.hit(), "the evidence is not where the bare look-up looks");
    let found = compare(|| batch(WARM_BATCH, || world.gate.check(&ask)), || batch(WARM_BATCH, || bare.hit()));
    let what = "a check that finds its evidence, against one hit of the same key in the same moka cache";
    report.add("check-warm", Figure::ratio(what, Some(1.3), ["the check", "one moka hit"], &found));

    // The cache's own upkeep allocates once in many hits, whoever asks; the quickest of some batches has none.
    let count = || {
        let region = Region::new(ALLOCATOR);
        batch(100, || world.gate.check(&ask));
        let change = region.change();
        change.allocations + change.reallocations
    };
    let least = (0..100).map(|_| count()).min().unwrap_or(usize::MAX);
    let most = (0..100).map(|_| count()).max().unwrap_or(usize::MAX);
    println!("  allocations in 100 checks: {least} to {most}");
    let each = f64::from(u32::try_from(most)?) / 100.0;
    report.add(
        "check-warm-allocations",
        Figure::allocations("allocations of a check that finds its evidence", 0.0, each),
    );
    Ok(())
}

/// Every check is the first of its identity: policy, one signature, evidence, grant. Both sides verify
/// signatures that were not seen before: a repeated one is quicker, as the processor has learnt its branches.
fn cold(world: &World, report: &mut Report) -> Result<()> {
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, world.key.key().as_bytes())?;
    let verified = |(message, signature): &(Vec<u8>, Vec<u8>)| key.verify_sig(message, signature).is_ok();
    ensure!(
        signed(&fresh(world)).is_some_and(|signed| verified(&signed)),
        "the signature that is measured is not valid"
    );
    let first_checks = || {
        let asked: Vec<Asking> = (0..COLD_BATCH).map(|_| fresh(world)).collect();
        let mut next = asked.iter();
        batch(COLD_BATCH, || next.next().is_some_and(|asking| granted(world, asking)))
    };
    let verifications = || {
        let proofs: Vec<_> = (0..COLD_BATCH).filter_map(|_| signed(&fresh(world))).collect();
        let mut next = proofs.iter();
        batch(COLD_BATCH, || next.next().is_some_and(verified))
    };
    let found = compare(first_checks, verifications);
    let what = "a first check with a policy of 100 roles, against the one P-256 verification that it must do";
    report.add("check-cold", Figure::ratio(what, Some(1.1), ["the check", "one verification"], &found));
    Ok(())
}

/// One assertion, verified as gate and auditor do, against the signature in it.
fn proof(world: &World, report: &mut Report) -> Result<()> {
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, world.key.key().as_bytes())?;
    let (party, user) = (KnownParty::from(world.rp.clone()), "jerry".parse()?);
    let verified = |asking: &Asking| {
        let Some(proof) = asking.identity.proof() else { return false };
        let expected = Expected {
            key: world.key.key(),
            relying_party: &party,
            gate: &GATE,
            purpose: Purpose::Session,
            user: &user,
            user_verification: true,
            at: SystemClock.now(),
        };
        verify(proof, &expected).is_ok()
    };
    ensure!(verified(&fresh(world)), "the proof that is measured is not valid");
    let proofs = || {
        let asked: Vec<Asking> = (0..COLD_BATCH).map(|_| fresh(world)).collect();
        let mut next = asked.iter();
        batch(COLD_BATCH, || next.next().is_some_and(verified))
    };
    let verifications = || {
        let proofs: Vec<_> = (0..COLD_BATCH).filter_map(|_| signed(&fresh(world))).collect();
        let mut next = proofs.iter();
        batch(COLD_BATCH, || next.next().is_some_and(|(message, signature)| key.verify_sig(message, signature).is_ok()))
    };
    let found = compare(proofs, verifications);
    let what = "a proof verified from its parts, against the one P-256 verification that it must do";
    report.add("proof", Figure::ratio(what, Some(1.15), ["the proof", "one verification"], &found));
    Ok(())
}

fn fresh(world: &World) -> Asking {
    Asking::of(world.tapped("prod3", "jerry", Uses::Window))
}

/// What the authenticator signed, and its signature.
fn signed(asking: &Asking) -> Option<(Vec<u8>, Vec<u8>)> {
    let proof = asking.identity.proof()?;
    let message = [&proof.authenticator_data, digest(&SHA256, &proof.client_data_json).as_ref()].concat();
    Some((message, proof.signature.clone()))
}

/// prod3 wants a tap; a hundred roles lead elsewhere.
fn policy() -> String {
    let mut text = node("prod3", "prod", "127.0.0.1:9");
    let role = |name: &str, env: &str, mfa: bool| {
        format!(
            "kind: role\nversion: v7\nmetadata: {{ name: {name} }}\nspec:\n  options: {{ require_session_mfa: {mfa} }}\n  \
             allow: {{ node_labels: {{ env: {env} }}, logins: [jerry] }}\n---\n"
        )
    };
    text += &role("prod", "prod", true);
    for n in 1..ROLES {
        text += &role(&format!("r{n}"), &format!("e{n}"), false);
    }
    let others: Vec<String> = (1..ROLES).map(|n| format!("r{n}")).collect();
    let roles = others.join(", ");
    text + &format!("kind: user\nversion: v2\nmetadata: {{ name: jerry }}\nspec: {{ roles: [{roles}, prod] }}\n")
}
