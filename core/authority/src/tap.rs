//! Taps: asked for with a statement, and verified twice, by the library and as a proof.

use std::net::IpAddr;
use std::sync::Arc;

use tapgate_api::{Assertion, Ceremony};
use tapgate_audit::{Event, TapRecord, Text};
use tapgate_identity::Identity;
use tapgate_model::UserName;
use tapgate_proof::{Expected, Proof, Purpose, Registration, Statement, VerifiedTap};
use webauthn_rs::prelude::{AuthenticationResult, PublicKeyCredential, SecurityKey};

use crate::ceremony::{Pending, PendingTap, Work};
use crate::webauthn::TapError;
use crate::{Authority, Fault, counter, token, webauthn};

/// Why a tap by a key that was registered when it was asked for is refused.
pub(crate) const GONE: &str = "the key is not registered any more";

/// What a tap shall be asked for.
pub(crate) struct Wanted<'a> {
    pub(crate) statement: &'a Statement,
    /// Whether the key must verify its user.
    pub(crate) verified: bool,
    pub(crate) peer: IpAddr,
    /// The certificate that asks; none at login.
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) work: Work,
}

/// A tap that was given and verified, and what it was asked for.
pub(crate) struct Given {
    pub(crate) ceremony: String,
    pub(crate) pending: PendingTap,
    pub(crate) proof: Proof,
    pub(crate) tap: VerifiedTap,
}

/// A tap that both judges accepted; it is not counted yet.
pub(crate) struct Examined {
    proof: Proof,
    tap: VerifiedTap,
    result: AuthenticationResult,
    registration: Arc<Registration>,
}

impl Given {
    /// The tap, whole, for the log.
    pub(crate) fn record(&self) -> TapRecord {
        tapgate_session::tap_record(&self.proof)
    }
}

impl Authority {
    /// Asks one of the user's keys for a tap.
    pub(crate) fn ask(&self, id: String, wanted: Wanted<'_>, keys: &[SecurityKey]) -> Result<Ceremony, Fault> {
        let der = wanted.statement.to_der();
        let begun = self.webauthn.begin_tap(keys, &der, wanted.verified)?;
        self.record_begin(&id, wanted.work.as_str(), wanted.statement);
        self.wait(id, wanted, &der, begun, true)
    }

    /// Asks for a tap that nobody can give, so that a stranger learns nothing.
    pub(crate) fn ask_in_vain(&self, id: String, wanted: Wanted<'_>) -> Result<Ceremony, Fault> {
        let der = wanted.statement.to_der();
        let user = wanted.statement.parts().user.as_str();
        let begun = self.webauthn.begin_decoy(user, &self.decoys, &der)?;
        self.wait(id, wanted, &der, begun, false)
    }

    fn wait(
        &self,
        id: String,
        wanted: Wanted<'_>,
        der: &[u8],
        begun: webauthn::BegunTap,
        real: bool,
    ) -> Result<Ceremony, Fault> {
        let parts = wanted.statement.parts();
        let pending = PendingTap {
            user: parts.user.clone(),
            expires: parts.expires,
            peer: wanted.peer,
            certificate: wanted.identity.map(|identity| *identity.fingerprint()),
            random: token::to_text(&begun.random),
            statement: token::to_text(der),
            verified: wanted.verified,
            state: real.then_some(begun.state),
            options: serde_json::to_value(&begun.options)?,
            work: wanted.work,
        };
        let ceremony = Ceremony {
            id,
            expires: pending.expires.as_secs(),
            random: pending.random.clone(),
            statement: pending.statement.clone(),
            webauthn: begun.options,
            invite: None,
            attested: None,
        };
        self.suspend(&ceremony.id, &Pending::Tap(Box::new(pending)))?;
        Ok(ceremony)
    }

    /// Takes a tap that was asked for and verifies it. Whoever fails must begin again.
    pub(crate) fn receive(
        &self,
        answer: &Assertion,
        purpose: Purpose,
        identity: Option<&Identity>,
    ) -> Result<Given, Fault> {
        let over = || Fault::expired("nobody waits for this tap: it came too late, or was given before", "start again");
        let Some(Pending::Tap(mut pending)) = self.resume(&answer.id)? else { return Err(over()) };
        let ours = identity.map(|identity| (identity.user(), *identity.fingerprint()));
        let theirs = pending.certificate.map(|fingerprint| (&pending.user, fingerprint));
        let refused = |reason: String| {
            self.record_failure(&answer.id, &pending, reason);
            Fault::unauthenticated("the tap was refused")
        };
        if ours != theirs {
            return Err(refused("it was finished with another certificate than it was begun with".to_owned()));
        }
        let (proof, tap, signer) = self.verify(&pending, purpose, answer).map_err(refused)?;
        // Who it was that tapped, where nobody was named.
        pending.user = signer;
        Ok(Given { ceremony: answer.id.clone(), pending: *pending, proof, tap })
    }

    /// Verifies the tap and counts it.
    fn verify(
        &self,
        pending: &PendingTap,
        purpose: Purpose,
        answer: &Assertion,
    ) -> Result<(Proof, VerifiedTap, UserName), String> {
        let Examined { proof, tap, result, registration } = self.examine(pending, purpose, &answer.webauthn)?;
        counter::advance(self, &registration, &result)?;
        Ok((proof, tap, registration.user.clone()))
    }

    /// Both verifications must say yes: the library's, and the one that gate and auditors run. Nothing is changed.
    pub(crate) fn examine(
        &self,
        pending: &PendingTap,
        purpose: Purpose,
        answer: &PublicKeyCredential,
    ) -> Result<Examined, String> {
        let state = pending.state.clone().ok_or("there is no such user, or no key, or the password is wrong")?;
        let registration = self.signer(pending, answer)?;
        let state = if pending.is_passwordless() { self.narrowed(state, &registration)? } else { state };
        let result = self.webauthn.finish_tap(state, answer).map_err(|error| {
            if matches!(error, TapError::Cloned) {
                counter::flag(self, &registration);
            }
            error.to_string()
        })?;
        let damaged = "the pending ceremony is damaged";
        let random = token::from_text(&pending.random).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let response = &answer.response;
        let proof = Proof {
            random: random.ok_or(damaged)?,
            statement: token::from_text(&pending.statement).ok_or(damaged)?,
            credential_id: answer.raw_id.clone(),
            authenticator_data: response.authenticator_data.clone(),
            client_data_json: response.client_data_json.clone(),
            signature: response.signature.clone(),
        };
        let expected = Expected {
            key: &registration.key,
            relying_party: &self.relying_party,
            gate: &self.gate,
            purpose,
            user: &pending.user,
            user_verification: pending.verified,
            at: self.now(),
        };
        let tap = tapgate_proof::verify(&proof, &expected).map_err(|e| e.to_string())?;
        Ok(Examined { proof, tap, result, registration })
    }

    /// The keys with which the user can tap: those whose chain holds and whose state is there.
    pub(crate) fn keys_of(&self, user: &UserName) -> Result<Vec<SecurityKey>, Fault> {
        self.keys_where(user, |_| true)
    }

    fn record_begin(&self, id: &str, purpose: &str, statement: &Statement) {
        let parts = statement.parts();
        self.sink.record(Event::mfa_begin(parts.user.clone(), purpose, id_for_log(id), targets(statement)));
    }

    pub(crate) fn record_success(&self, given: &Given) {
        let (user, purpose) = (given.pending.user.clone(), given.pending.work.as_str());
        let targets = targets(given.tap.statement());
        self.sink.record(Event::mfa_succeeded(user, purpose, id_for_log(&given.ceremony), targets, given.record()));
    }

    pub(crate) fn record_failure(&self, id: &str, pending: &PendingTap, reason: String) {
        let statement = token::from_text(&pending.statement).and_then(|der| Statement::from_der(&der).ok());
        let targets = statement.as_ref().map(targets).unwrap_or_default();
        let (user, purpose) = (pending.user.clone(), pending.work.as_str());
        self.sink.record(Event::mfa_failed(user, purpose, id_for_log(id), targets, reason));
    }
}

/// A ceremony in the log: not its number, which would let a reader of the log finish it.
pub(crate) fn id_for_log(id: &str) -> String {
    token::to_text(&token::sha256(&[id.as_bytes()]).as_bytes()[..12])
}

pub(crate) fn targets(statement: &Statement) -> Vec<Text> {
    let entry = |t: &tapgate_proof::StatementTarget| format!("{} {} as {}", t.target.kind, t.target.name, t.login);
    statement.parts().targets.iter().map(|target| entry(target).into()).collect()
}
