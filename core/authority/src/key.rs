//! The keys under which the store holds things, each made in one place.

use std::net::IpAddr;

use tapgate_model::{Digest, ObjectName, UserName};
use tapgate_policy::ResourceKind;

use crate::lockout::hashed;
use crate::token;

pub(crate) const RESOURCES: &str = "resource/";
pub(crate) const REGISTRATIONS: &str = "registration/";
/// Registrations that were replaced: `retired/<user>/<credential id>`.
pub(crate) const RETIRED: &str = "retired/";
/// Until when a registration counted that was removed: `life/<user>/<credential id>/<since when>`.
pub(crate) const LIVES: &str = "life/";
/// One-time codes: `otp/<user>`.
pub(crate) const OTPS: &str = "otp/";
/// SSH keys, those that were removed among them: `ssh-key/<user>/<id>`.
pub(crate) const SSH_KEYS: &str = "ssh-key/";
pub(crate) const INVITES: &str = "invite/";
pub(crate) const NODE_KEYS: &str = "node-key/";
/// Private keys of the gate's own: authorities, the log's, the recordings'.
pub(crate) const AUTHORITIES: &str = "ca/";
/// Taps that were spent.
pub(crate) const SPENT: &str = "spent/";
/// A known text, sealed: whose key opens it has sealed the store.
pub(crate) const SEALED_BY: &str = "sealed-by";

pub(crate) fn resource(kind: ResourceKind, name: &str) -> String {
    format!("{RESOURCES}{kind}/{name}")
}

pub(crate) fn password(user: &UserName) -> String {
    format!("password/{user}")
}

pub(crate) fn registrations(user: &UserName) -> String {
    format!("{REGISTRATIONS}{user}/")
}

pub(crate) fn registration(user: &UserName, credential: &[u8]) -> String {
    format!("{REGISTRATIONS}{user}/{}", token::to_text(credential))
}

pub(crate) fn credential_states(user: &UserName) -> String {
    format!("credential-state/{user}/")
}

pub(crate) fn credential_state(user: &UserName, credential: &[u8]) -> String {
    format!("credential-state/{user}/{}", token::to_text(credential))
}

/// That a key has counted backwards.
pub(crate) fn flagged(user: &UserName, credential: &[u8]) -> String {
    format!("flagged/{user}/{}", token::to_text(credential))
}

/// Whose keys have counted backwards.
pub(crate) fn flags_of(user: &UserName) -> String {
    format!("flagged/{user}/")
}

pub(crate) fn ssh_keys(user: &UserName) -> String {
    format!("{SSH_KEYS}{user}/")
}

pub(crate) fn ssh_key(user: &UserName, id: &Digest) -> String {
    format!("{SSH_KEYS}{user}/{id}")
}

/// How often an SSH key was touched, as it counts itself.
pub(crate) fn ssh_key_count(id: &Digest) -> String {
    format!("ssh-key-count/{id}")
}

/// Login keys that their owner has locked.
pub(crate) const LOCKED_KEYS: &str = "locked-key/";

pub(crate) fn locked_key(key: &Digest) -> String {
    format!("{LOCKED_KEYS}{key}")
}

/// The other key of the same login.
pub(crate) fn login_pair(key: &Digest) -> String {
    format!("login-pair/{key}")
}

/// The user's one-time codes.
pub(crate) fn otp(user: &UserName) -> String {
    format!("{OTPS}{user}")
}

/// When the last codes of a user were tried. Who has no codes, or gave another password, is counted
/// apart, so that it takes as long and does not lock the owner out.
pub(crate) fn otp_tries(user: &UserName, real: bool) -> String {
    format!("otp-tries/{}/{user}", if real { "real" } else { "vain" })
}

/// The tries of a user name from one network. Names are hashed: whoever tries chooses their length.
pub(crate) fn tries_of(user: &str, from: &IpAddr) -> String {
    format!("tries/of/{}/{from}", hashed(user))
}

/// The tries of one network, whatever names it gave.
pub(crate) fn tries_from(from: &IpAddr) -> String {
    format!("tries/from/{from}")
}

/// The tries of a user name from networks that are new to it.
pub(crate) fn tries_anywhere(user: &str) -> String {
    format!("tries/anywhere/{}", hashed(user))
}

/// That a user has logged in from a network.
pub(crate) fn known_address(user: &str, from: &IpAddr) -> String {
    format!("known/{}/{from}", hashed(user))
}

pub(crate) fn invite(token_sha256: &Digest) -> String {
    format!("{INVITES}{token_sha256}")
}

pub(crate) fn authority(kind: &str) -> String {
    format!("{AUTHORITIES}{kind}")
}

/// When the last step of a rotation was taken.
pub(crate) fn rotation(group: &str) -> String {
    format!("rotation/{group}")
}

pub(crate) fn node_key(name: &ObjectName) -> String {
    format!("{NODE_KEYS}{name}")
}

pub(crate) fn ceremony(id: &str) -> String {
    format!("ceremony/{id}")
}

/// Which ceremonies wait for a user, so that they can be counted.
pub(crate) fn waiting(scope: &str, id: &str) -> String {
    format!("waiting/{scope}/{id}")
}

/// A request at the browser. Its number is in the page's address and nowhere else: here is its hash.
pub(crate) fn browser(request: &str) -> String {
    format!("browser/{}", token::sha256(&[request.as_bytes()]))
}

/// That a ceremony was handed to the browser: it is once.
pub(crate) fn handed(ceremony: &str) -> String {
    format!("handed/{ceremony}")
}

/// A user's web sessions.
pub(crate) fn web_sessions(user: &UserName) -> String {
    format!("web-session/{user}/")
}

/// A web session, under the fingerprint of its certificate.
pub(crate) fn web_session(user: &UserName, number: &Digest) -> String {
    format!("{}{number}", web_sessions(user))
}

/// Which web session a cookie belongs to: the cookie is in the browser, here is its hash.
pub(crate) fn web_cookie(hash: &Digest) -> String {
    format!("web-cookie/{hash}")
}

/// A challenge for any passkey. Its number is the page's; here is its hash.
pub(crate) fn passkey(id: &str) -> String {
    format!("passkey/{}", token::sha256(&[id.as_bytes()]))
}

/// Which of those wait for an address, so that they can be counted.
pub(crate) fn passkeys(peer: IpAddr) -> String {
    format!("passkeys/{peer}/")
}

pub(crate) fn spent(proof: &Digest) -> String {
    format!("{SPENT}{proof}")
}
