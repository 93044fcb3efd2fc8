//! Web sessions: who is signed in on a browser, known by a cookie, held here and ended from here.
//!
//! A web session is a login certificate whose private key was never kept, so that no client can show it. From the
//! certificate comes the [`Identity`] by which all else is decided, on the one way on which identities are made;
//! its fingerprint is the holder that taps on pages name. The cookie is a secret beside it, changed as often as is
//! wise: the store holds its hash alone.

mod passkey;
pub(crate) mod sign_in;
mod tap;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tapgate_audit::Event;
use tapgate_identity::{Identity, LoginSubject};
use tapgate_model::{Digest, UnixTime, UserName};
use tapgate_proof::Holder;
use tapgate_store::Write;

use crate::ceremony::{is_id, new_id};
use crate::limits::{LOGIN_TTL_MAX, WEB_IDLE_MAX, WEB_ROTATION_GRACE, WEB_SESSIONS_MAX, WEB_TOUCH_EVERY};
use crate::login::unissued;
use crate::{Authority, Fault, key, token};

/// Somebody who is signed in on a browser. Only [`Authority::web_session`] and [`Authority::web_session_of`] make one.
#[derive(Debug, Clone)]
pub struct WebSession {
    identity: Arc<Identity>,
    method: Method,
}

impl WebSession {
    /// Who it is.
    pub fn user(&self) -> &UserName {
        self.identity.user()
    }

    /// The identity of the session, for asks at the gate's web door.
    pub const fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Its number, which is no secret: the fingerprint of its certificate, by which the audit log names it too.
    pub fn number(&self) -> Digest {
        *self.identity.fingerprint()
    }

    /// What a tap that is made on its pages is good for.
    pub fn holder(&self) -> Holder {
        Holder::WebSession(self.number())
    }

    /// How the user signed in.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// When it ends at the latest.
    pub fn expires(&self) -> UnixTime {
        self.identity.login_expires()
    }
}

/// How somebody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A password and a tap.
    WebAuthn,
    /// A passkey alone, which has verified its user.
    Passkey,
    /// A password and a one-time code.
    Otp,
    /// The identity provider.
    Sso,
}

impl Method {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebAuthn => "webauthn",
            Self::Passkey => "passkey",
            Self::Otp => "otp",
            Self::Sso => "sso",
        }
    }
}

/// A new web session, and the secret that goes into the browser's cookie and nowhere else.
pub struct SignedIn {
    /// The cookie's value.
    pub cookie: String,
    /// The session.
    pub session: WebSession,
}

/// Never prints the cookie.
impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn").field("user", self.session.user()).finish_non_exhaustive()
    }
}

/// Who signs in, by what.
pub(crate) struct Entrant<'a> {
    pub(crate) user: &'a UserName,
    pub(crate) method: Method,
    /// The security key that was tapped; the session ends with its registration.
    pub(crate) credential: Option<&'a [u8]>,
    /// The key of the session's certificate, whose private half nobody has.
    pub(crate) spki: &'a [u8],
    /// From where it was begun, and is finished.
    pub(crate) peers: (IpAddr, IpAddr),
}

/// A web session as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    user: UserName,
    /// The certificate's DER, base64url.
    certificate: String,
    method: Method,
    /// Base64url.
    credential: Option<String>,
    /// The hash of the password's hash: another password ends the session.
    password: Option<Digest>,
    /// The hash of the cookie.
    cookie: Digest,
    seen: UnixTime,
    expires: UnixTime,
}

/// What a cookie leads to.
#[derive(Serialize, Deserialize)]
struct Cookie {
    user: UserName,
    session: Digest,
}

impl Stored {
    /// When the store may forget it.
    fn ends(&self) -> UnixTime {
        self.expires.min(self.seen.plus(WEB_IDLE_MAX))
    }
}

impl Authority {
    /// Who has this cookie. Everything is looked at anew: locks, roles, password, key and address.
    pub fn web_session(&self, cookie: &str, peer: IpAddr) -> Result<WebSession, Fault> {
        if !is_id(cookie) {
            return Err(signed_out());
        }
        let now = self.now().as_secs();
        let entry = self.store.get(&key::web_cookie(&hash(cookie)), now)?.ok_or_else(signed_out)?;
        let Cookie { user, session } = serde_json::from_slice(&entry.value)?;
        self.web_session_of(&user, &session, peer)
    }

    /// The web session of this user with this number, for what was opened by it and must not outlive it.
    pub fn web_session_of(&self, user: &UserName, number: &Digest, peer: IpAddr) -> Result<WebSession, Fault> {
        let now = self.now();
        let place = key::web_session(user, number);
        let entry = self.store.get(&place, now.as_secs())?.ok_or_else(signed_out)?;
        let mut stored: Stored = serde_json::from_slice(&entry.value)?;
        if let Err(fault) = self.still_holds(&stored, now) {
            if fault.status < 500 {
                self.forget(&stored, number)?;
            }
            return Err(fault);
        }
        let certificate = token::from_text(&stored.certificate).map(CertificateDer::from).ok_or_else(signed_out)?;
        let identity = self.trust().verify_x509(&certificate, &[], now).map_err(|_| signed_out())?;
        if identity.fingerprint() != number || *identity.user() != stored.user {
            return Err(signed_out());
        }
        if identity.source_ip().is_some_and(|pinned| pinned != peer) {
            return Err(Fault::unauthenticated("your session is pinned to another address (sign in again from here)"));
        }
        if now.since(stored.seen) >= WEB_TOUCH_EVERY {
            stored.seen = now;
            // Of two requests at once one notes the time; a session that is ended meanwhile stays ended.
            let (value, ends) = (serde_json::to_vec(&stored)?, stored.ends().as_secs());
            self.store.cas(&place, Some(entry.version), &value, Some(ends), now.as_secs())?;
        }
        Ok(WebSession { identity: Arc::new(identity), method: stored.method })
    }

    /// Gives the session another cookie, as after each change of what it may do. The old one is good for moments
    /// more, for requests that are under way.
    pub fn rotate_web_session(&self, session: &WebSession) -> Result<String, Fault> {
        let (now, number) = (self.now(), session.number());
        let place = key::web_session(session.user(), &number);
        let entry = self.store.get(&place, now.as_secs())?.ok_or_else(signed_out)?;
        let mut stored: Stored = serde_json::from_slice(&entry.value)?;
        let fresh = new_id();
        let old = std::mem::replace(&mut stored.cookie, hash(&fresh));
        let put = |key, value, expires: UnixTime| Write::Put { key, value, expires: Some(expires.as_secs()) };
        let cookie = serde_json::to_vec(&Cookie { user: stored.user.clone(), session: number })?;
        self.store.write(&[
            put(key::web_cookie(&old), cookie.clone(), now.plus(WEB_ROTATION_GRACE).min(stored.expires)),
            put(key::web_cookie(&stored.cookie), cookie, stored.expires),
            put(place, serde_json::to_vec(&stored)?, stored.ends()),
        ])?;
        Ok(fresh)
    }

    /// Ends the session of this cookie, if there is one; answers its number.
    pub fn end_web_session(&self, cookie: &str) -> Result<Option<Digest>, Fault> {
        let now = self.now().as_secs();
        let Some(entry) = self.store.get(&key::web_cookie(&hash(cookie)), now)? else { return Ok(None) };
        let Cookie { user, session } = serde_json::from_slice(&entry.value)?;
        let place = key::web_session(&user, &session);
        self.store.write(&[Write::Delete { key: key::web_cookie(&hash(cookie)) }, Write::Delete { key: place }])?;
        Ok(Some(session))
    }

    /// The writes that end all of a user's web sessions.
    pub(crate) fn end_web_sessions(&self, user: &UserName) -> Result<Vec<Write>, Fault> {
        let all = self.store.list(&key::web_sessions(user), self.now().as_secs())?;
        Ok(all.into_iter().map(|(key, _)| Write::Delete { key }).collect())
    }

    /// Signs somebody in who has shown all that is asked for; `failed` is the one answer for what is wrong.
    pub(crate) fn open_web_session(
        &self,
        entrant: &Entrant<'_>,
        failed: impl Fn(&str) -> Fault,
    ) -> Result<SignedIn, Fault> {
        let (now, user) = (self.now(), entrant.user);
        let state = self.state.load();
        let terms = state.policy.login_terms(user).ok_or_else(|| failed("the user is gone"))?;
        self.must_be_free(user)?;
        let (begun, finished) = entrant.peers;
        let source_ip = terms.pin_source_ip.then_some(begun);
        if source_ip.is_some_and(|begun| begun != finished) {
            return Err(failed("it was begun from another address"));
        }
        let expires = now.plus(terms.max_session_ttl.min(LOGIN_TTL_MAX).max(Duration::from_secs(1)));
        let subject = LoginSubject { user, spki_der: entrant.spki, source_ip, expires };
        let certificate = self.cas().login.issue_login(&subject, &self.gate, now).map_err(unissued)?;
        let identity = self.trust().verify_x509(&certificate, &[], now).map_err(Fault::internal)?;
        let (cookie, number) = (new_id(), *identity.fingerprint());
        let stored = Stored {
            user: user.clone(),
            certificate: token::to_text(&certificate),
            method: entrant.method,
            credential: entrant.credential.map(token::to_text),
            password: self.password_mark(user)?,
            cookie: hash(&cookie),
            seen: now,
            expires: identity.login_expires(),
        };
        let mut writes = self.room_for_another(user)?;
        let put = |key, value, expires: UnixTime| Write::Put { key, value, expires: Some(expires.as_secs()) };
        let points = serde_json::to_vec(&Cookie { user: user.clone(), session: number })?;
        writes.push(put(key::web_cookie(&stored.cookie), points, stored.expires));
        writes.push(put(key::web_session(user, &number), serde_json::to_vec(&stored)?, stored.ends()));
        self.store.write(&writes)?;
        let method = format!("web-{}", entrant.method.as_str());
        self.sink.record(Event::login_by(user.clone(), SocketAddr::new(finished, 0), method));
        Ok(SignedIn { cookie, session: WebSession { identity: Arc::new(identity), method: entrant.method } })
    }

    /// The writes that end a user's oldest sessions, where there are as many as there may be.
    fn room_for_another(&self, user: &UserName) -> Result<Vec<Write>, Fault> {
        let mut all = self.store.list(&key::web_sessions(user), self.now().as_secs())?;
        all.sort_by_key(|(_, entry)| entry.version);
        let many = (all.len() + 1).saturating_sub(WEB_SESSIONS_MAX);
        Ok(all.into_iter().take(many).map(|(key, _)| Write::Delete { key }).collect())
    }

    /// Whether the session is still one, by what is true now.
    fn still_holds(&self, stored: &Stored, now: UnixTime) -> Result<(), Fault> {
        let user = &stored.user;
        self.must_be_free(user)?;
        let state = self.state.load();
        let known = state.policy.roles_of(user).is_some();
        let key = stored.credential.as_deref().map(token::from_text);
        let registered = key.is_none_or(|id| id.is_some_and(|id| state.registrations.credential(user, &id).is_some()));
        let same_password = self.password_mark(user)? == stored.password;
        let holds = known && registered && same_password && now < stored.ends();
        holds.then_some(()).ok_or_else(signed_out)
    }

    fn forget(&self, stored: &Stored, number: &Digest) -> Result<(), Fault> {
        let cookie = key::web_cookie(&stored.cookie);
        let session = key::web_session(&stored.user, number);
        self.store.write(&[Write::Delete { key: cookie }, Write::Delete { key: session }])?;
        Ok(())
    }

    /// What changes with the user's password.
    fn password_mark(&self, user: &UserName) -> Result<Option<Digest>, Fault> {
        let entry = self.store.get(&key::password(user), self.now().as_secs())?;
        Ok(entry.map(|entry| token::sha256(&[b"tapgate/password-mark/v1", &entry.value])))
    }
}

fn hash(cookie: &str) -> Digest {
    token::sha256(&[b"tapgate/web-cookie/v1", cookie.as_bytes()])
}

/// One answer for a cookie that is none, that is over, and that was ended.
fn signed_out() -> Fault {
    Fault::unauthenticated("you are not signed in (sign in again)")
}
