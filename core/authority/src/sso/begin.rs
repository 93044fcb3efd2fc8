//! What a terminal or a page asks for, what the page shows of it, and the way to the provider.

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::json;
use tapgate_api::{
    BrowserCarried, BrowserOutcome, SsoCeremony, SsoLoginBegin, SsoRedirect, SsoRequirement, SsoReturn,
    SsoSessionBegin, SsoShown, path,
};
use tapgate_audit::Event;
use tapgate_identity::Identity;
use tapgate_model::UserName;
use tapgate_policy::{OidcResource, SecondFactor, SessionMfa};
use tapgate_proof::{Holder, Statement, Uses, challenge};
use tapgate_session::Gate;

use super::provider::Provider;
use super::request::{Back, Request, Work, hash, not_open};
use super::{SsoDeparture, SsoStarted, anybody_of};
use crate::browser::{check_return, code_hash, new_code, same_place, shown_target};
use crate::ceremony::new_id;
use crate::limits::BROWSER_TRIES;
use crate::public_key::{LoginKeys, SessionKey};
use crate::session::parse_targets;
use crate::tap::{id_for_log, targets};
use crate::{Authority, Fault, token};

impl Authority {
    /// Starts a login at an identity provider, at a terminal; `origin` is the gate's own, where its pages are.
    pub fn sso_login_begin(&self, origin: &str, begin: &SsoLoginBegin, peer: IpAddr) -> Result<SsoCeremony, Fault> {
        self.rates.anybody(peer)?;
        let keys = LoginKeys::parse(&begin.tls_public_key, &begin.ssh_public_key)?;
        let connector = self.sso_connector(begin.connector.as_deref())?;
        let statement = self.login_statement(anybody_of(&connector)?, keys.action()?)?;
        let (tls_public_key, ssh_public_key) = (begin.tls_public_key.clone(), begin.ssh_public_key.clone());
        let work = Work::Login { tls_public_key, ssh_public_key };
        self.sso_begin(origin, &connector, &statement, work, &begin.back, peer)
    }

    /// Says what sessions of these targets need, and starts the tap at the identity provider where one is due.
    pub fn sso_session_begin(
        &self,
        gate: &Gate,
        origin: &str,
        identity: &Identity,
        begin: &SsoSessionBegin,
        peer: IpAddr,
    ) -> Result<SsoRequirement, Fault> {
        self.rates.known(identity.user())?;
        self.must_be_login(identity, peer)?;
        let key = SessionKey::parse(&begin.public_key)?;
        let needed = self.requirement(gate, identity, &parse_targets(&begin.targets)?, peer)?;
        if needed.mfa == SessionMfa::Off {
            return Ok(SsoRequirement::None);
        }
        must_take_sso(needed.mfa)?;
        let connector = self.sso_step_up(identity.user())?;
        let statement = self.session_statement(identity, &needed, &Holder::SessionKey(key.digest()), peer)?;
        let work = Work::Session { public_key: begin.public_key.clone(), certificate: *identity.fingerprint() };
        let ceremony = self.sso_begin(origin, &connector, &statement, work, &begin.back, peer)?;
        Ok(SsoRequirement::Sso { ceremony })
    }

    /// Starts a sign-in of the web: the page sets the cookie and goes to the address.
    pub fn sso_web_begin(&self, origin: &str, connector: Option<&str>, peer: IpAddr) -> Result<SsoDeparture, Fault> {
        self.rates.anybody(peer)?;
        let connector = self.sso_connector(connector)?;
        must_be_ours(&connector, origin)?;
        let provider = self.sso_provider(&connector, |_| false)?;
        let number = new_id();
        let statement = self.login_statement(anybody_of(&connector)?, hash(&number))?;
        let mut request = self.sso_request(&connector, &statement, Work::Web, None, peer);
        self.sso_wait(&number, &request)?;
        let departure = self.sso_leave(&number, &mut request, &connector, &provider)?;
        let (_, version) = self.sso_look(&number)?;
        self.sso_update(&number, &request, version)?;
        Ok(departure)
    }

    /// Whether this user can tap at an identity provider.
    pub(crate) fn can_step_up(&self, user: &UserName) -> bool {
        self.sso_step_up(user).is_ok()
    }

    /// The connector at which the user can tap.
    pub(super) fn sso_step_up(&self, user: &UserName) -> Result<OidcResource, Fault> {
        let no = |why: &str| Fault::denied(format!("{why} (tap with a security key, or ask your administrator)"));
        let known = self.sso_of(user)?.ok_or_else(|| no("you have not signed in by an identity provider"))?;
        let state = self.state.load();
        if !state.policy.preference().second_factors.contains(&SecondFactor::Sso) {
            return Err(no("this cluster takes no taps by identity providers"));
        }
        let connector = state.policy.connectors().find(|connector| connector.issuer_url == known.issuer);
        let connector = connector.ok_or_else(|| no("your identity provider is none of this gate's any more"))?;
        if connector.step_up_classes().is_empty() {
            return Err(no("your identity provider makes no taps for this gate"));
        }
        Ok(connector.clone())
    }

    fn sso_request(
        &self,
        connector: &OidcResource,
        statement: &Statement,
        work: Work,
        back: Option<Back>,
        peer: IpAddr,
    ) -> Request {
        let parts = statement.parts();
        Request {
            connector: connector.name.to_string(),
            work,
            user: parts.user.clone(),
            random: token::to_text(&token::random::<32>()),
            statement: token::to_text(statement.der()),
            peer,
            back,
            tries: BROWSER_TRIES,
            asked: self.now(),
            expires: parts.expires,
            away: None,
        }
    }

    /// A provider that does not answer is told of here, before anybody opens a browser.
    fn sso_begin(
        &self,
        origin: &str,
        connector: &OidcResource,
        statement: &Statement,
        work: Work,
        back: &SsoReturn,
        peer: IpAddr,
    ) -> Result<SsoCeremony, Fault> {
        check_return(back.port, &back.nonce, &back.public_key)?;
        must_be_ours(connector, origin)?;
        self.sso_provider(connector, |_| false)?;
        let (id, code) = (new_id(), new_code());
        let (port, nonce, public_key) = (back.port, back.nonce.clone(), back.public_key.clone());
        let back = Back { port, nonce, public_key, code: code_hash(&id, &code) };
        let purpose = work.as_str();
        let request = self.sso_request(connector, statement, work, Some(back), peer);
        self.sso_wait(&id, &request)?;
        self.sink.record(Event::mfa_begin(request.user.clone(), purpose, id_for_log(&id), targets(statement)));
        Ok(SsoCeremony {
            url: format!("{}{}/{id}", origin.trim_end_matches('/'), path::SSO_PAGE),
            id,
            code,
            statement: request.statement,
            expires: request.expires.as_secs(),
            reusable: statement.parts().uses == Uses::Window && !statement.parts().targets.is_empty(),
        })
    }

    /// What the page shows: read from what will be signed, not from what anybody says of it.
    pub fn sso_shown(&self, id: &str, peer: IpAddr) -> Result<SsoShown, Fault> {
        self.rates.anybody(peer)?;
        let (request, _) = self.sso_look(id)?;
        let connector = self.sso_connector(Some(&request.connector))?;
        let der = token::from_text(&request.statement).ok_or_else(not_open)?;
        let statement = Statement::from_der(&der).map_err(Fault::internal)?;
        let parts = statement.parts();
        let login = matches!(request.work, Work::Login { .. } | Work::Web);
        let reusable = parts.uses == Uses::Window && !parts.targets.is_empty();
        Ok(SsoShown {
            cluster: self.cluster.clone(),
            provider: connector.display.unwrap_or_else(|| connector.name.to_string()),
            user: if login { String::new() } else { parts.user.to_string() },
            purpose: request.work.as_str().to_owned(),
            targets: parts.targets.iter().map(shown_target).collect(),
            reusable_until: reusable.then(|| parts.expires.as_secs()),
            address: request.peer.to_string(),
            elsewhere: !same_place(request.peer, peer),
            asked: request.asked.as_secs(),
            expires: request.expires.as_secs(),
        })
    }

    /// Whether the page is for a request that is open; used, over and unknown are one.
    pub fn sso_is_open(&self, id: &str, peer: IpAddr) -> bool {
        self.rates.anybody(peer).is_ok() && self.sso_look(id).is_ok()
    }

    /// Takes the code that was typed, and sends the browser to the provider. Every try costs one.
    pub fn sso_start(&self, id: &str, code: &str, peer: IpAddr) -> Result<SsoStarted, Fault> {
        self.rates.anybody(peer)?;
        let (mut request, version) = self.sso_look(id)?;
        // Spent before it is looked at, so that tries side by side are counted as well.
        request.tries -= 1;
        let back = request.back.clone().ok_or_else(not_open)?;
        let typed: String = code.chars().filter(char::is_ascii_digit).take(16).collect();
        if verify_slices_are_equal(code_hash(id, &typed).as_bytes(), back.code.as_bytes()).is_err() {
            self.sso_update(id, &request, version)?;
            let tries = request.tries;
            if tries == 0 {
                let request = self.sso_take(&hash(id))?;
                self.sso_failed(&hash(id), &request, "too many wrong tries in the browser");
                return super::answer::carried(&hash(id), &request, &BrowserOutcome::Exhausted)
                    .map(SsoStarted::Exhausted);
            }
            let left = if tries == 1 { "one more try".to_owned() } else { format!("{tries} more tries") };
            return Err(Fault::denied(format!("This is not the code that your terminal shows ({left}).")));
        }
        let connector = self.sso_connector(Some(&request.connector))?;
        let provider = self.sso_provider(&connector, |_| false)?;
        let departure = self.sso_leave(id, &mut request, &connector, &provider)?;
        self.sso_update(id, &request, version)?;
        Ok(SsoStarted::Away(departure))
    }

    /// Ends a request because the person at the browser says no.
    pub fn sso_deny(&self, id: &str, peer: IpAddr) -> Result<BrowserCarried, Fault> {
        self.rates.anybody(peer)?;
        self.sso_look(id)?;
        let number = hash(id);
        let request = self.sso_take(&number)?;
        self.sso_failed(&number, &request, "it was denied in the browser");
        super::answer::carried(&number, &request, &BrowserOutcome::Denied)
    }

    fn sso_leave(
        &self,
        id: &str,
        request: &mut Request,
        connector: &OidcResource,
        provider: &Provider,
    ) -> Result<SsoDeparture, Fault> {
        let verifier = token::to_text(&token::random::<32>());
        let (state, cookie) = self.sso_depart(&hash(id), request, &verifier)?;
        let location = location(request, connector, provider, &state, &verifier).ok_or_else(not_open)?;
        Ok(SsoDeparture { redirect: SsoRedirect { location }, cookie })
    }
}

/// No identity provider is taken where a key is demanded.
pub(super) fn must_take_sso(mfa: SessionMfa) -> Result<(), Fault> {
    if mfa < SessionMfa::RequiredWebAuthn {
        return Ok(());
    }
    Err(Fault::denied(
        "a security key is demanded here, and the identity provider's sign-in is not enough \
         (use --mfa-mode=cross-platform or --mfa-mode=browser)",
    ))
}

/// The cookie is for the host of our page alone, so that the way back must lead there.
fn must_be_ours(connector: &OidcResource, origin: &str) -> Result<(), Fault> {
    let ours = format!("{}{}", origin.trim_end_matches('/'), path::SSO_CALLBACK);
    if connector.redirect_url == ours {
        return Ok(());
    }
    tracing::warn!(connector = %connector.name, redirect_url = %connector.redirect_url, %ours, "A connector leads elsewhere");
    Err(Fault::conflict(
        format!("oidc \"{}\" leads back to another page than this gate's", connector.name),
        "ask your administrator to see its redirect_url",
    ))
}

/// The provider's address with all that is asked of it: a fresh sign-in, by a class that counts, for this challenge.
fn location(
    request: &Request,
    connector: &OidcResource,
    provider: &Provider,
    state: &str,
    verifier: &str,
) -> Option<String> {
    let random: [u8; 32] = token::from_text(&request.random)?.try_into().ok()?;
    let nonce = token::to_text(&challenge(&random, &token::from_text(&request.statement)?));
    let scope = std::iter::once("openid").chain(connector.scope.iter().map(String::as_str).filter(|s| *s != "openid"));
    let classes = match request.work {
        Work::Session { .. } => connector.step_up_classes(),
        Work::Login { .. } | Work::Web => connector.sign_in_classes(),
    };
    // `acr_values` alone is a wish that providers may pass over; `essential` is none.
    let acr = json!({ "essential": true, "values": classes });
    let mut claims = json!({ "id_token": { "auth_time": { "essential": true } } });
    let mut url = provider.authorization.clone();
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &connector.client_id)
            .append_pair("redirect_uri", &connector.redirect_url)
            .append_pair("scope", &scope.collect::<Vec<_>>().join(" "))
            .append_pair("state", state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &token::to_text(token::sha256(&[verifier.as_bytes()]).as_bytes()))
            .append_pair("code_challenge_method", "S256")
            .append_pair("prompt", "login")
            .append_pair("max_age", "0");
        if !classes.is_empty() {
            query.append_pair("acr_values", &classes.join(" "));
            if let Some(id_token) = claims.get_mut("id_token").and_then(serde_json::Value::as_object_mut) {
                id_token.insert("acr".to_owned(), acr);
            }
        }
        query.append_pair("claims", &claims.to_string());
    }
    Some(url.into())
}
