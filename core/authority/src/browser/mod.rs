//! Browser MFA: a ceremony that was begun at a terminal is shown, approved or denied on a page.
//!
//! The browser is a messenger. What it brings back is sealed to the terminal's key, and the terminal finishes
//! the ceremony over its own channel like with any other key: here nothing is issued and nothing is spent but
//! the page itself.

mod changes;
mod shown;

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapgate_api::{
    BrowserAnswer, BrowserBegin, BrowserCarried, BrowserOutcome, BrowserRequest, BrowserShown, DeviceAction,
    browser_context, path,
};
use tapgate_audit::{BrowserStep, Event};
use tapgate_identity::Identity;
use tapgate_model::{Digest, UnixTime};
use tapgate_proof::Purpose;

pub(crate) use shown::target as shown_target;

use crate::ceremony::{Pending, PendingTap, Work, is_id, new_id};
use crate::limits::{BROWSER_TRIES, CALLBACK_PORT_MIN};
use crate::tap::id_for_log;
use crate::{Authority, Fault, key, token};

pub(crate) use shown::target;

/// Who hands a ceremony over, and so of which kind it must be.
#[derive(Debug, Clone, Copy)]
pub enum Asker<'a> {
    /// Somebody who logs in.
    Login,
    /// Somebody who enrols.
    Enrolment,
    /// Somebody who opens a session.
    Session(&'a Identity),
    /// Somebody who administers.
    Admin(&'a Identity),
    /// Somebody who changes their own devices.
    Device(&'a Identity),
}

/// A request at the browser, as it is stored.
#[derive(Serialize, Deserialize)]
struct Handed {
    ceremony: String,
    /// The terminal's address.
    address: IpAddr,
    /// Where the terminal listens, in parts, so that no address of anybody else's can be stored.
    port: u16,
    nonce: String,
    public_key: String,
    /// Whether the person carries the answer by hand.
    paste: bool,
    /// The hash of the code and of the request's number, which is not in the store.
    code: Digest,
    tries: u8,
    asked: UnixTime,
}

impl Authority {
    /// Hands a ceremony to the browser; `origin` is the gate's own, where its pages are.
    pub fn browser_begin(
        &self,
        origin: &str,
        asker: Asker<'_>,
        begin: &BrowserBegin,
        peer: IpAddr,
    ) -> Result<BrowserRequest, Fault> {
        match asker {
            Asker::Login | Asker::Enrolment => self.rates.anybody(peer)?,
            Asker::Session(identity) | Asker::Admin(identity) | Asker::Device(identity) => {
                self.rates.known(identity.user())?;
                self.must_be_login(identity, peer)?;
            }
        }
        if !self.state.load().policy.preference().allow_cli_auth_via_browser {
            return Err(Fault::denied(
                "this cluster does not allow taps in the browser (use --mfa-mode=cross-platform)",
            ));
        }
        if begin.paste && !self.state.load().policy.preference().allow_cli_auth_by_paste {
            return Err(Fault::denied(
                "this cluster does not allow pasted answers (use --mfa-mode=browser where your browser is)",
            ));
        }
        // An answer that is pasted comes by no port.
        if begin.paste {
            let known = tapgate_seal::is_public_key(&begin.public_key);
            known.then_some(()).ok_or_else(|| {
                Fault::invalid("the terminal's key is no X25519 key", "is the client of the gate's version?")
            })?;
        } else {
            check_return(begin.port, &begin.nonce, &begin.public_key)?;
        }
        let over = || Fault::expired("nobody waits for this tap", "start again");
        let pending = self.look_at(&begin.ceremony)?.filter(|pending| asker.fits(pending)).ok_or_else(over)?;
        let (now, expires) = (self.now(), pending.expires().as_secs());
        if self.store.cas(&key::handed(&begin.ceremony), None, &[], Some(expires), now.as_secs())?.is_none() {
            return Err(Fault::conflict("this tap was handed to the browser before", "start again"));
        }
        let (id, code) = (new_id(), new_code());
        let handed = Handed {
            ceremony: begin.ceremony.clone(),
            address: peer,
            port: begin.port,
            nonce: begin.nonce.clone(),
            public_key: begin.public_key.clone(),
            paste: begin.paste,
            code: code_hash(&id, &code),
            tries: BROWSER_TRIES,
            asked: now,
        };
        self.store.put(&key::browser(&id), &serde_json::to_vec(&handed)?, Some(expires))?;
        self.record_browser(&handed, &pending, BrowserStep::Begun, peer, None);
        let url = format!("{}{}/{id}", origin.trim_end_matches('/'), path::BROWSER_PAGE);
        Ok(BrowserRequest { id, url, code })
    }

    /// What the page shows.
    pub fn browser_shown(&self, id: &str, peer: IpAddr) -> Result<BrowserShown, Fault> {
        self.rates.anybody(peer)?;
        let (handed, pending, _) = self.handed(id)?;
        let mut shown = shown::of(&pending, &self.cluster).ok_or_else(not_open)?;
        shown.address = handed.address.to_string();
        shown.elsewhere = !same_place(handed.address, peer);
        shown.asked = handed.asked.as_secs();
        shown.paste = handed.paste;
        shown.changes = self.changes(&pending);
        Ok(shown)
    }

    /// Takes what the page sends after the tap. The code is looked at first, and every try costs one.
    pub fn browser_approve(&self, id: &str, answer: &BrowserAnswer, peer: IpAddr) -> Result<BrowserCarried, Fault> {
        self.rates.anybody(peer)?;
        let (mut handed, pending, version) = self.handed(id)?;
        // Spent before it is looked at, so that tries side by side are counted as well.
        handed.tries -= 1;
        let (key, now) = (key::browser(id), self.now().as_secs());
        let record = serde_json::to_vec(&handed)?;
        if self.store.cas(&key, Some(version), &record, Some(pending.expires().as_secs()), now)?.is_none() {
            return Err(Fault::conflict("the same page is open twice", "try again"));
        }
        match self.outcome(id, &handed, &pending, answer) {
            Ok(outcome) => {
                // Of two pages that were right at once, one gets on.
                self.store.take(&key, now)?.ok_or_else(not_open)?;
                self.record_browser(&handed, &pending, BrowserStep::Approved, peer, None);
                carried(id, &handed, &outcome)
            }
            Err(wrong) => {
                self.record_browser(&handed, &pending, BrowserStep::Refused, peer, Some(wrong.reason()));
                if handed.tries > 0 {
                    return Err(wrong.fault(handed.tries));
                }
                self.close(id, &handed, "too many wrong tries in the browser")?;
                carried(id, &handed, &BrowserOutcome::Exhausted)
            }
        }
    }

    /// Ends the ceremony because the person at the browser says no.
    pub fn browser_deny(&self, id: &str, peer: IpAddr) -> Result<BrowserCarried, Fault> {
        self.rates.anybody(peer)?;
        let (handed, pending, _) = self.handed(id)?;
        self.close(id, &handed, "it was denied in the browser")?;
        self.record_browser(&handed, &pending, BrowserStep::Denied, peer, None);
        carried(id, &handed, &BrowserOutcome::Denied)
    }

    /// Whether the page is for a request that is open; used, over and unknown are one.
    pub fn browser_is_open(&self, id: &str, peer: IpAddr) -> bool {
        self.rates.anybody(peer).is_ok() && self.handed(id).is_ok()
    }

    /// The request, what it is for, and its version in the store.
    fn handed(&self, id: &str) -> Result<(Handed, Pending, u64), Fault> {
        if !is_id(id) {
            return Err(not_open());
        }
        let entry = self.store.get(&key::browser(id), self.now().as_secs())?.ok_or_else(not_open)?;
        let handed: Handed = serde_json::from_slice(&entry.value)?;
        let pending = self.look_at(&handed.ceremony)?.filter(|_| handed.tries > 0).ok_or_else(not_open)?;
        Ok((handed, pending, entry.version))
    }

    /// What the terminal is told, if code and tap are right.
    fn outcome(
        &self,
        id: &str,
        handed: &Handed,
        pending: &Pending,
        answer: &BrowserAnswer,
    ) -> Result<BrowserOutcome, Wrong> {
        let typed: String = answer.code.chars().filter(char::is_ascii_digit).take(16).collect();
        let typed = code_hash(id, &typed);
        verify_slices_are_equal(typed.as_bytes(), handed.code.as_bytes()).map_err(|_| Wrong::Code)?;
        let unreadable = |error: serde_json::Error| Wrong::Tap(format!("the answer can't be read: {error}"));
        match pending {
            Pending::Tap(tap) => {
                let webauthn = read(&answer.webauthn).map_err(unreadable)?;
                self.examine(tap, tap.work.purpose(), &webauthn).map_err(Wrong::Tap)?;
                Ok(BrowserOutcome::Tapped { webauthn: Box::new(webauthn) })
            }
            Pending::Enrolment(enrolment) => {
                let webauthn = read(&answer.webauthn).map_err(unreadable)?;
                let made = self.webauthn.finish_registration(enrolment.state.clone(), &webauthn);
                made.map_err(|error| Wrong::Tap(error.to_string()))?;
                Ok(BrowserOutcome::Registered { webauthn: Box::new(webauthn) })
            }
            Pending::Device(device) => {
                let webauthn = read(&answer.webauthn).map_err(unreadable)?;
                let made = self.webauthn.finish_registration(device.state.clone(), &webauthn);
                made.map_err(|error| Wrong::Tap(error.to_string()))?;
                Ok(BrowserOutcome::Registered { webauthn: Box::new(webauthn) })
            }
            // It is not handed over: `Asker::fits` says so.
            Pending::Otp(_) => Err(Wrong::Tap("it is none for the browser".to_owned())),
        }
    }

    /// Takes the request and its ceremony away: nobody finishes it any more.
    fn close(&self, id: &str, handed: &Handed, reason: &str) -> Result<(), Fault> {
        let now = self.now().as_secs();
        self.store.take(&key::browser(id), now)?.ok_or_else(not_open)?;
        if let Some(Pending::Tap(tap)) = self.resume(&handed.ceremony)? {
            self.record_failure(&handed.ceremony, &tap, reason.to_owned());
        }
        Ok(())
    }

    fn record_browser(
        &self,
        handed: &Handed,
        pending: &Pending,
        step: BrowserStep,
        peer: IpAddr,
        reason: Option<&str>,
    ) {
        let (user, ceremony) = (pending.user().clone(), id_for_log(&handed.ceremony));
        self.sink.record(Event::mfa_browser(user, pending.purpose(), ceremony, step, peer, reason));
    }
}

impl Asker<'_> {
    /// Whether the ceremony is of the kind, and was begun with this very certificate.
    fn fits(self, pending: &Pending) -> bool {
        let by = |tap: &PendingTap, identity: &Identity| {
            tap.user == *identity.user() && tap.certificate == Some(*identity.fingerprint())
        };
        match (self, pending) {
            (Self::Enrolment, Pending::Enrolment(_)) => true,
            (Self::Login, Pending::Tap(tap)) => matches!(tap.work, Work::Login { .. }) && tap.certificate.is_none(),
            (Self::Session(identity), Pending::Tap(tap)) => {
                matches!(tap.work, Work::Session { .. }) && by(tap, identity)
            }
            (Self::Admin(identity), Pending::Tap(tap)) => matches!(tap.work, Work::Admin { .. }) && by(tap, identity),
            (Self::Device(identity), Pending::Tap(tap)) => {
                matches!(tap.work, Work::Device { .. } | Work::AddDevice { .. }) && by(tap, identity)
            }
            (Self::Device(identity), Pending::Device(device)) => {
                device.user == *identity.user() && device.certificate == *identity.fingerprint()
            }
            _ => false,
        }
    }
}

impl Work {
    /// What its tap must be for. A key that is added is vouched for, as a device is; all else is signed by its body.
    pub(crate) fn purpose(&self) -> Purpose {
        match self {
            Self::Login { .. } | Self::WebLogin { .. } => Purpose::Login,
            Self::Session { .. } | Self::WebSession | Self::InBand => Purpose::Session,
            Self::Device { body } if adds_ssh_key(body) => Purpose::AddDevice,
            Self::Admin { .. } | Self::Device { .. } => Purpose::Admin,
            Self::AddDevice { .. } => Purpose::AddDevice,
        }
    }
}

fn adds_ssh_key(body: &str) -> bool {
    let action = token::from_text(body).and_then(|body| serde_json::from_slice(&body).ok());
    matches!(action, Some(DeviceAction::AddSshKey { .. }))
}

/// What was wrong with a try.
enum Wrong {
    Code,
    Tap(String),
}

impl Wrong {
    fn reason(&self) -> &str {
        match self {
            Self::Code => "the code was wrong",
            Self::Tap(reason) => reason,
        }
    }

    fn fault(&self, left: u8) -> Fault {
        let tries = if left == 1 { "one more try".to_owned() } else { format!("{left} more tries") };
        match self {
            Self::Code => Fault::denied(format!("This is not the code that your terminal shows ({tries}).")),
            Self::Tap(_) => Fault::denied(format!("This tap was refused ({tries}).")),
        }
    }
}

/// One answer for a request that was used, is over, or never was.
pub(crate) fn not_open() -> Fault {
    Fault::not_found("This request is not open: it was used, it is over, or it never was.")
}

/// What a terminal says of itself, looked at before any of it is stored.
pub(crate) fn check_return(port: u16, nonce: &str, public_key: &str) -> Result<(), Fault> {
    let bad = |what: &str| Fault::invalid(what, "is the client of the gate's version?");
    if port < CALLBACK_PORT_MIN {
        return Err(bad("the terminal's port is below 1024"));
    }
    if !is_nonce(nonce) {
        return Err(bad("the terminal's number is no UUID in small letters"));
    }
    if !tapgate_seal::is_public_key(public_key) {
        return Err(bad("the terminal's key is no X25519 key"));
    }
    Ok(())
}

/// `8-4-4-4-12` lower-case hex digits.
fn is_nonce(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths = parts.iter().map(|part| part.len()).collect::<Vec<_>>();
    let is_hex = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    lengths == [8, 4, 4, 4, 12] && parts.iter().all(is_hex)
}

pub(crate) fn new_code() -> String {
    let number = u64::from_be_bytes(token::random::<8>()) % 1_000_000;
    format!("{number:06}")
}

pub(crate) fn code_hash(id: &str, code: &str) -> Digest {
    token::sha256(&[b"tapgate/browser-code/v1/", id.as_bytes(), b"/", code.as_bytes()])
}

/// Whether terminal and browser are behind one address; a machine reaches itself under several.
pub(crate) fn same_place(one: IpAddr, other: IpAddr) -> bool {
    let (one, other) = (one.to_canonical(), other.to_canonical());
    one == other || (one.is_loopback() && other.is_loopback())
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(value)
}

/// The outcome, sealed, and the loopback address that it is carried to, if it is not by hand.
fn carried(id: &str, handed: &Handed, outcome: &BrowserOutcome) -> Result<BrowserCarried, Fault> {
    let message = serde_json::to_vec(outcome)?;
    let context = browser_context(id, &handed.ceremony);
    let sealed = tapgate_seal::seal(&handed.public_key, &context, &message)
        .map_err(|error| Fault::invalid(error.to_string(), "start again at the terminal"))?;
    let action = (!handed.paste).then(|| format!("http://127.0.0.1:{}/callback/{}", handed.port, handed.nonce));
    Ok(BrowserCarried { action, sealed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces() {
        assert!(is_nonce("d658314e-68f0-4ad4-be79-0181e6e0dae5"));
        for bad in ["", "d658314e68f04ad4be790181e6e0dae5", "D658314E-68f0-4ad4-be79-0181e6e0dae5", "../../../a"] {
            assert!(!is_nonce(bad), "{bad}");
        }
        assert!(!is_nonce("d658314e-68f0-4ad4-be79-0181e6e0dae/"));
    }

    #[test]
    fn places() {
        let same = |one: &str, other: &str| same_place(one.parse().unwrap(), other.parse().unwrap());
        assert!(same("127.0.0.1", "::1"));
        assert!(same("192.0.2.7", "::ffff:192.0.2.7"));
        assert!(!same("192.0.2.7", "192.0.2.8"));
    }

    #[test]
    fn codes_have_six_digits() {
        for _ in 0..100 {
            let code = new_code();
            assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
        }
    }
}
