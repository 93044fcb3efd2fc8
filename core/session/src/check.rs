//! The check: from an ask to a verdict, without I/O and without waiting.

use std::sync::Arc;

use tapgate_model::{Digest, UnixTime};
use tapgate_policy::{Decision, InBand, Query, SessionMfa, Terms};
use tapgate_proof::{Expected, ExpectedSso, Holder, Proof, ProofError, Purpose, Uses, VerifiedTap};

use crate::evidence::{Probe, Tap};
use crate::grant::{Basis, Spend};
use crate::limits::WINDOW_MAX;
use crate::snapshot::{Record, Snapshot};
use crate::verdict::Because;
use crate::{Ask, Challenge, Denial, Gate, Grant, Verdict, touched};

/// The verdict on an ask; `fresh` is a tap that was just made over this connection.
pub(crate) fn verdict(gate: &Gate, ask: &Ask<'_>, fresh: Option<&Arc<Tap>>) -> Verdict {
    let now = gate.clock().now();
    if ask.identity.not_after() <= now {
        return Verdict::Denial(Denial::expired());
    }
    if ask.identity.source_ip().is_some_and(|ip| ip != ask.connection.peer.ip()) {
        return Verdict::Denial(Denial::address());
    }
    let keeps = fresh.is_none() && may_bring_tap(ask);
    let look = || keeps.then(|| gate.cached().get(&Probe::of(ask))).flatten();
    let opens = |basis: &Arc<Basis>| basis.opens(gate.epoch(), now);
    let mut kept = look();
    let is_cold = !kept.as_ref().is_some_and(opens);
    let turn =
        (keeps && is_cold && ask.identity.proof().is_some()).then(|| gate.cached().turn(ask.identity.fingerprint()));
    if turn.is_some() {
        kept = look();
    }
    match kept {
        Some(basis) if opens(&basis) => Verdict::Grant(Grant::on_evidence(gate, ask.connection, basis)),
        kept => {
            let tap = fresh.cloned().or_else(|| kept?.tap.clone());
            Check { gate, snapshot: &gate.current(), ask, now }.verdict(tap)
        }
    }
}

/// Whether this ask can have evidence at all: a session certificate, or an in-band holder.
fn may_bring_tap(ask: &Ask<'_>) -> bool {
    ask.identity.proof().is_some() || ask.connection.holder.is_some()
}

/// Weighs one ask against one snapshot at one moment.
struct Check<'a> {
    gate: &'a Gate,
    snapshot: &'a Snapshot,
    ask: &'a Ask<'a>,
    now: UnixTime,
}

/// What a tap is worth for an ask.
enum Weighed {
    Until(UnixTime),
    Once(UnixTime),
    Nothing(Because),
}

impl Check<'_> {
    /// The verdict where no evidence settles it; `known` is a tap that was verified before.
    fn verdict(&self, known: Option<Arc<Tap>>) -> Verdict {
        if !self.snapshot.counts(self.ask.identity) {
            return Verdict::Denial(Denial::key_removed());
        }
        let Some(record) = self.snapshot.find(self.ask.kind, self.ask.target) else {
            return Verdict::Denial(Denial::unknown(self.ask));
        };
        self.cold(record, known.or_else(|| self.gate.brought().find(self.ask, record)))
    }

    fn decide(&self, record: &Record) -> Result<Terms, Denial> {
        let query = Query {
            user: self.ask.identity.user(),
            kind: self.ask.kind,
            name: &record.target.name,
            uid: &record.target.uid,
            labels: &record.labels,
            login: self.ask.login,
            now: self.now,
        };
        match self.snapshot.policy.decide(&query) {
            Decision::Allow(terms) => Ok(terms),
            Decision::Deny(reason) => Err(Denial::policy(&self.snapshot.policy, self.ask.target, reason)),
        }
    }

    /// Policy first, so that a challenge goes only to somebody whom a tap would help. A session
    /// certificate opens only what its tap names, also where no tap is due: a stolen session CA
    /// key can't forge its way to anything.
    fn cold(&self, record: &Arc<Record>, known: Option<Arc<Tap>>) -> Verdict {
        let terms = match self.decide(record) {
            Err(denial) => return Verdict::Denial(denial),
            Ok(terms) => terms,
        };
        let tap = match known.map_or_else(|| self.verify(record, &terms), Ok) {
            Err(Because::NoTap) if terms.session_mfa == SessionMfa::Off => return self.untapped(record, terms),
            Err(because) => return self.challenge(record, &terms, because),
            Ok(tap) => tap,
        };
        match self.weigh(&tap, record, &terms) {
            Weighed::Nothing(because) => {
                self.gate.cached().drop(&Probe::of(self.ask));
                self.challenge(record, &terms, because)
            }
            Weighed::Once(until) => {
                self.gate.brought().taken(&tap);
                let touch = tap.verified().is_touch().then(|| self.ask.identity.touch()).flatten();
                let count = touch.map(|touch| (touch.key().id(), tap.verified().sign_count()));
                let spend = Some(Spend { proof: self.spent_as(&tap), until, count });
                let basis = self.basis(record, terms, Some(tap), None);
                Verdict::Grant(Grant::new(self.gate, self.ask.connection, basis, spend))
            }
            Weighed::Until(deadline) => {
                let basis = self.basis(record, terms, Some(tap), Some(deadline));
                self.gate.cached().put(&Probe::of(self.ask), Arc::clone(&basis));
                Verdict::Grant(Grant::new(self.gate, self.ask.connection, basis, None))
            }
        }
    }

    /// Verifies the tap in the session certificate, or the touch of the key that has logged in: one signature.
    fn verify(&self, record: &Record, terms: &Terms) -> Result<Arc<Tap>, Because> {
        let identity = self.ask.identity;
        let due = terms.session_mfa != SessionMfa::Off && terms.in_band != InBand::Off;
        if let Some(touch) = identity.touch().filter(|_| due) {
            return touched::verify(self.gate, self.snapshot, self.ask, (record, terms, touch), self.now);
        }
        let proof = identity.proof().ok_or(Because::NoTap)?;
        if proof.is_sso() {
            return self.verify_sso(proof);
        }
        let registration = self
            .snapshot
            .registrations
            .credential(identity.user(), &proof.credential_id)
            .ok_or(Because::NotRegistered)?;
        let expected = Expected {
            key: &registration.key,
            relying_party: self.gate.relying_party(),
            gate: self.gate.fingerprint(),
            purpose: Purpose::Session,
            user: identity.user(),
            user_verification: terms.session_mfa >= SessionMfa::RequiredVerified,
            at: self.now,
        };
        Tap::verify(proof, &expected).map(Arc::new).map_err(Because::Invalid)
    }

    /// The same for a tap at the identity provider: one signature, by a key that the provider had.
    fn verify_sso(&self, proof: &Arc<Proof>) -> Result<Arc<Tap>, Because> {
        let user = self.ask.identity.user();
        let known = self.snapshot.sso.of(user).ok_or(Because::NotRegistered)?;
        let issuer = &known.registration.issuer;
        let expected = ExpectedSso {
            issuer,
            audience: &known.audience,
            classes: &known.classes,
            account: Some(known.account),
            keys: &self.snapshot.sso.keys.of(issuer),
            gate: self.gate.fingerprint(),
            purpose: Purpose::Session,
            user,
            at: self.now,
        };
        Tap::verify_sso(proof, &expected).map(Arc::new).map_err(Because::Invalid)
    }

    /// What a verified tap is worth for this ask under these terms. Everything is looked at anew:
    /// a tap that was verified under an older snapshot may since have lost its key or its window.
    fn weigh(&self, tap: &Tap, record: &Record, terms: &Terms) -> Weighed {
        let parts = tap.verified().statement().parts();
        let holder = self.ask.holder();
        if holder.web_session().is_some_and(|session| session != self.ask.identity.fingerprint()) {
            return Weighed::Nothing(Because::OtherTarget);
        }
        // By its login key a client comes again once, and more often where every role says so.
        let again = parts.uses == Uses::Once || terms.reuse_login_key;
        let login_key = self.ask.login_key().filter(|_| again);
        let named = parts.targets.iter().any(|entry| {
            entry.target.uid == record.target.uid
                && entry.target.kind == record.target.kind
                && entry.login == *self.ask.login
                && (entry.holder == holder || login_key.as_ref() == Some(&entry.holder))
        });
        if parts.user != *self.ask.identity.user() || !named {
            return Weighed::Nothing(Because::OtherTarget);
        }
        if !self.snapshot.is_registered(&parts.user, tap.verified()) {
            return Weighed::Nothing(Because::NotRegistered);
        }
        if let Some(because) = self.too_lax(tap.verified(), terms.session_mfa) {
            return Weighed::Nothing(because);
        }
        match parts.source_ip {
            Some(ip) if ip != self.ask.connection.peer.ip().to_canonical() => {
                return Weighed::Nothing(Because::Address);
            }
            None if terms.pin_source_ip => return Weighed::Nothing(Because::Address),
            _ => {}
        }
        let window = terms.window.min(WINDOW_MAX);
        let once = parts.uses == Uses::Once || window.is_zero();
        let span = if once { WINDOW_MAX } else { window };
        let deadline = parts.expires.min(parts.created.plus(span)).min(self.ask.identity.not_after());
        if deadline < self.now {
            return Weighed::Nothing(Because::Over);
        }
        if once { Weighed::Once(parts.expires) } else { Weighed::Until(deadline) }
    }

    /// What is spent of a tap for once. One that names several connections opens a session over each of them; one that
    /// names the login key opens one, over whichever connection it is used.
    fn spent_as(&self, tap: &Tap) -> Digest {
        let (proof, own) = (tap.proof().id(), self.ask.holder());
        let names_it = tap.verified().statement().parts().targets.iter().any(|entry| entry.holder == own);
        match own {
            Holder::SshSession(connection) | Holder::TlsExporter(connection) if names_it => {
                let both = [b"tapgate/spent/v1".as_slice(), proof.as_bytes(), connection.as_bytes()].concat();
                tapgate_identity::spki_digest(&both)
            }
            _ => proof,
        }
    }

    /// What a registered tap lacks for these demands.
    fn too_lax(&self, tap: &VerifiedTap, due: SessionMfa) -> Option<Because> {
        if tap.is_sso() {
            return (due >= SessionMfa::RequiredWebAuthn).then_some(Because::KeyDemanded);
        }
        let verified = tap.user_verified();
        if due.takes(verified, self.is_attested(tap)) {
            return None;
        }
        Some(if verified { Because::NotAttested } else { Because::Invalid(ProofError::UserVerification) })
    }

    /// Whether a maker whose word counts now has vouched for the tap's key.
    fn is_attested(&self, tap: &VerifiedTap) -> bool {
        let lists = &self.snapshot.policy.preference().attestation;
        let registered = self.snapshot.registrations.credential(self.ask.identity.user(), tap.credential_id());
        let by = registered.and_then(|registered| registered.traits.attested.as_ref());
        by.is_some_and(|by| lists.accepts(&by.aaguid, &by.ca_sha256))
    }

    /// A grant for one session of which no tap is due.
    fn untapped(&self, record: &Arc<Record>, terms: Terms) -> Verdict {
        Verdict::Grant(Grant::new(self.gate, self.ask.connection, self.basis(record, terms, None, None), None))
    }

    fn basis(
        &self,
        record: &Arc<Record>,
        terms: Terms,
        tap: Option<Arc<Tap>>,
        deadline: Option<UnixTime>,
    ) -> Arc<Basis> {
        Arc::new(Basis {
            identity: Arc::clone(self.ask.identity),
            record: Arc::clone(record),
            login: self.ask.login.clone(),
            terms,
            tap,
            epoch: self.snapshot.epoch,
            deadline,
        })
    }

    fn challenge(&self, record: &Record, terms: &Terms, because: Because) -> Verdict {
        Verdict::Challenge(Challenge {
            user: self.ask.identity.user().clone(),
            target: record.target.clone(),
            login: self.ask.login.clone(),
            terms: *terms,
            about: record.about.clone(),
            because,
        })
    }
}
