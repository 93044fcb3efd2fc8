//! The browser is back: its code becomes an ID token, the token a proof, and the terminal hears of it.

use std::net::IpAddr;

use tapgate_api::{BrowserCarried, BrowserOutcome, SsoAnswer, browser_context};
use tapgate_audit::Event;
use tapgate_model::{Digest, UserName};
use tapgate_policy::OidcResource;
use tapgate_proof::limits::PROVIDER_SKEW;
use tapgate_proof::{ExpectedSso, IdToken, Proof, Purpose, Statement, VerifiedTap, verify_sso};

use super::anybody_of;
use super::provider::Provider;
use super::request::{Done, Request, Trip, Work, not_open};
use crate::tap::targets;
use crate::{Authority, Fault, token};

/// What the page does with the provider's answer.
#[derive(Debug, Clone)]
pub enum SsoOutcome {
    /// It carries this to the terminal.
    Carried(BrowserCarried),
    /// It begins a web session of this user.
    SignedIn(UserName),
}

/// A token that was verified.
pub(super) struct Verified {
    pub(super) proof: Proof,
    pub(super) tap: VerifiedTap,
    pub(super) token: IdToken,
}

impl Authority {
    /// Takes what the provider sent the browser back with; `cookie` is that of the browser. Each request is answered
    /// once: what is wrong with the answer ends it, and the terminal is told.
    pub fn sso_answer(&self, answer: &SsoAnswer, cookie: &str, peer: IpAddr) -> Result<SsoOutcome, Fault> {
        self.rates.anybody(peer)?;
        let trip = self.sso_arrive(&answer.state, cookie)?;
        let request = self.sso_take(&trip.request)?;
        let connector = self.sso_connector(Some(&request.connector))?;
        let verified = self.sso_verified(&connector, &trip, &request, answer);
        let verified = match verified {
            Ok(verified) => verified,
            Err(why) => {
                self.sso_failed(&trip.request, &request, &why);
                let reason = format!("the answer of the identity provider \"{}\" is refused: {why}", connector.name);
                return match &request.back {
                    Some(_) => {
                        carried(&trip.request, &request, &BrowserOutcome::Refused { reason }).map(SsoOutcome::Carried)
                    }
                    None => Err(Fault::denied(reason)),
                };
            }
        };
        if matches!(request.work, Work::Web) {
            let user = self.sso_user(&connector, verified.token.claims())?;
            self.sso_succeeded(&trip.request, &request, &verified);
            return Ok(SsoOutcome::SignedIn(user));
        }
        let done = Done { request: request.clone(), number: trip.request, proof: verified.proof };
        let ticket = self.sso_keep(&done)?;
        carried(&trip.request, &request, &BrowserOutcome::Sso { ticket }).map(SsoOutcome::Carried)
    }

    /// The proof in the provider's answer, or what is wrong with it in words.
    fn sso_verified(
        &self,
        connector: &OidcResource,
        trip: &Trip,
        request: &Request,
        answer: &SsoAnswer,
    ) -> Result<Verified, String> {
        let down = |fault: Fault| fault.error.message;
        let provider = self.sso_provider(connector, |_| false).map_err(down)?;
        let named = answer.iss.as_deref();
        if named.map_or(provider.names_itself, |named| named != connector.issuer_url) {
            return Err("it was made by another provider".to_owned());
        }
        if let Some(error) = &answer.error {
            return Err(said(error, answer.error_description.as_deref()));
        }
        let code = answer.code.as_deref().ok_or("it holds no code")?;
        let token = provider.redeem(connector, code, &trip.verifier).map_err(|error| error.to_string())?;
        let damaged = "the pending request is damaged";
        let random = token::from_text(&request.random).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let statement = token::from_text(&request.statement).ok_or(damaged)?;
        let proof = Proof::from_id_token(random.ok_or(damaged)?, statement, &token).map_err(|e| e.to_string())?;
        self.sso_proven(connector, request, proof)
    }

    /// Verifies the proof as gate and auditors will, and that the token has not ended.
    pub(super) fn sso_proven(
        &self,
        connector: &OidcResource,
        request: &Request,
        proof: Proof,
    ) -> Result<Verified, String> {
        let token = proof.id_token().map_err(|error| error.to_string())?;
        // A key that we have not seen yet may be a new one of the provider's.
        let unknown = |provider: &Provider| {
            token.key_id().is_some_and(|id| !provider.keys.iter().any(|key| key.id.as_deref() == Some(id)))
        };
        let provider = self.sso_provider(connector, unknown).map_err(|fault| fault.error.message)?;
        let (purpose, classes, account, user) = match request.work {
            Work::Session { .. } => {
                let known = self.sso_of(&request.user).map_err(|fault| fault.error.message)?;
                let account = known.ok_or("the account is nobody's any more")?.account();
                (Purpose::Session, connector.step_up_classes(), Some(account), request.user.clone())
            }
            Work::Login { .. } | Work::Web => {
                let anybody = anybody_of(connector).map_err(|fault| fault.error.message)?;
                (Purpose::Login, connector.sign_in_classes(), None, anybody)
            }
        };
        let expected = ExpectedSso {
            issuer: &connector.issuer_url,
            audience: &connector.client_id,
            classes: &classes,
            account,
            keys: &provider.keys,
            gate: &self.gate,
            purpose,
            user: &user,
            at: self.now(),
        };
        let tap = verify_sso(&proof, &expected).map_err(|error| error.to_string())?;
        if token.claims().expires.plus(PROVIDER_SKEW) < self.now() {
            return Err("the ID token has ended (compare the clocks)".to_owned());
        }
        let made = |key: &&tapgate_proof::ProviderKey| {
            verify_sso(&proof, &ExpectedSso { keys: std::slice::from_ref(*key), ..expected }).is_ok()
        };
        if let Some(key) = provider.keys.iter().find(made) {
            self.sso_keep_key(&connector.issuer_url, key).map_err(|fault| fault.error.message)?;
        }
        Ok(Verified { proof, tap, token })
    }

    pub(super) fn sso_failed(&self, number: &Digest, request: &Request, why: &str) {
        let (user, purpose) = (request.user.clone(), request.work.as_str());
        let statement = token::from_text(&request.statement).and_then(|der| Statement::from_der(&der).ok());
        let targets = statement.as_ref().map(targets).unwrap_or_default();
        self.sink.record(Event::mfa_failed(user, purpose, number_for_log(number), targets, why));
    }

    pub(super) fn sso_succeeded(&self, number: &Digest, request: &Request, verified: &Verified) {
        let (user, purpose) = (request.user.clone(), request.work.as_str());
        let (targets, record) = (targets(verified.tap.statement()), tapgate_session::tap_record(&verified.proof));
        self.sink.record(Event::mfa_succeeded(user, purpose, number_for_log(number), targets, record));
    }
}

/// A request in the log: the beginning of the hash by which the store knows it.
fn number_for_log(number: &Digest) -> String {
    token::to_text(number.as_bytes().get(..12).unwrap_or_default())
}

/// The provider's own words, as far as they can be shown on a terminal.
fn said(error: &str, description: Option<&str>) -> String {
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    let description = description.map(|text| format!(": {}", plain(text))).unwrap_or_default();
    format!("{}{description}", plain(error))
}

/// The outcome, sealed, and the loopback address that it is carried to.
pub(super) fn carried(number: &Digest, request: &Request, outcome: &BrowserOutcome) -> Result<BrowserCarried, Fault> {
    let back = request.back.as_ref().ok_or_else(not_open)?;
    let context = browser_context(&number.to_string(), "sso");
    let message = serde_json::to_vec(outcome)?;
    let sealed = tapgate_seal::seal(&back.public_key, &context, &message)
        .map_err(|error| Fault::invalid(error.to_string(), "start again at the terminal"))?;
    let action = Some(format!("http://127.0.0.1:{}/callback/{}", back.port, back.nonce));
    Ok(BrowserCarried { action, sealed })
}
