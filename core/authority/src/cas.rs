//! The certificate authorities: read from the store, or made and stored at the first start. While one is rotated there
//! are two of it.

use std::ops::Deref;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tapgate_identity::{CaKind, SshCa, Trust, TrustParts, X509Ca, gate_pin};
use tapgate_model::{Digest, UnixTime};
use tapgate_store::Store;
use zeroize::{Zeroize, Zeroizing};

use crate::{AuthorityError, key, token};

/// The authorities, and the trust in those that sign for users.
pub(crate) struct Cas {
    pub(crate) login: Rotating<X509Ca>,
    pub(crate) session: Rotating<X509Ca>,
    pub(crate) host: Rotating<X509Ca>,
    pub(crate) login_ssh: Rotating<SshCa>,
    pub(crate) session_ssh: Rotating<SshCa>,
    pub(crate) host_ssh: Rotating<SshCa>,
    pub(crate) target_ssh: Rotating<SshCa>,
    pub(crate) target_tls: Rotating<X509Ca>,
    pub(crate) trust: Arc<Trust>,
    /// What is shown behind the gate's certificate: its host authority's, and those of the authorities before that.
    pub(crate) shown: Vec<CertificateDer<'static>>,
    gate: Digest,
}

/// One authority: the one that signs, which it derefs to, and in a rotation the one that will or the one that did.
pub(crate) struct Rotating<T> {
    pub(crate) now: Arc<T>,
    pub(crate) next: Option<T>,
    pub(crate) old: Option<T>,
}

impl<T> Deref for Rotating<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.now
    }
}

impl<T> Rotating<T> {
    /// All of them, the one that signs first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&*self.now).chain(&self.next).chain(&self.old)
    }

    /// Those whose signatures count.
    fn trusted(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&*self.now).chain(&self.old)
    }
}

/// An X.509 authority as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    certificate: String,
    pkcs8: String,
    /// Of a host authority that came after another: the certificate by which that one vouches for it, and behind it
    /// those of the authorities before. The last is the first authority's own, by which the gate is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lineage: Vec<String>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.pkcs8.zeroize();
    }
}

impl Cas {
    pub(crate) fn open(store: &dyn Store, cluster: &str, now: UnixTime) -> Result<Self, AuthorityError> {
        let x509 = |kind| rotating(store, kind, cluster, now, read_x509);
        let ssh = |kind| rotating(store, kind, cluster, now, read_ssh);
        let (login, session, host) = (x509(CaKind::Login)?, x509(CaKind::Session)?, x509(CaKind::Host)?);
        let (login_ssh, session_ssh) = (ssh(CaKind::LoginSsh)?, ssh(CaKind::SessionSsh)?);
        let certificates = |ca: &Rotating<X509Ca>| ca.trusted().map(|ca| ca.certificate().clone()).collect();
        let keys = |ca: &Rotating<SshCa>| ca.trusted().map(|ca| ca.public_key().clone()).collect();
        let (shown, gate) = lineage(store, &host, now)?;
        let trust = Trust::new(TrustParts {
            gate,
            login: certificates(&login),
            session: certificates(&session),
            login_ssh: keys(&login_ssh),
            session_ssh: keys(&session_ssh),
        })?;
        let (host_ssh, target_ssh, target_tls) =
            (ssh(CaKind::HostSsh)?, ssh(CaKind::TargetSsh)?, x509(CaKind::TargetTls)?);
        let trust = Arc::new(trust);
        Ok(Self { login, session, host, login_ssh, session_ssh, host_ssh, target_ssh, target_tls, trust, shown, gate })
    }

    /// The cluster's fingerprint: the key of its first host authority, whichever signs now.
    pub(crate) const fn gate(&self) -> Digest {
        self.gate
    }

    /// A new host authority as it is stored, with the present one's word for it.
    pub(crate) fn next_host(&self, cluster: &str, now: UnixTime) -> Result<Zeroizing<Vec<u8>>, AuthorityError> {
        let next = X509Ca::generate(CaKind::Host, cluster, now)?;
        let vouched = self.host.vouch(&next, now)?;
        stored(&next, std::iter::once(&vouched).chain(&self.shown))
    }
}

/// Where the authority lies that will sign, or did.
pub(crate) fn beside(kind: CaKind, which: &str) -> String {
    key::authority(&format!("{kind}/{which}"))
}

/// A new authority as it is stored.
pub(crate) fn make(kind: CaKind, cluster: &str, now: UnixTime) -> Result<Zeroizing<Vec<u8>>, AuthorityError> {
    if kind.is_ssh() {
        let pem = SshCa::generate(kind, cluster, now)?.to_parts()?;
        return Ok(Zeroizing::new(pem.as_bytes().to_vec()));
    }
    stored(&X509Ca::generate(kind, cluster, now)?, std::iter::empty())
}

fn stored<'a>(
    ca: &X509Ca,
    lineage: impl Iterator<Item = &'a CertificateDer<'static>>,
) -> Result<Zeroizing<Vec<u8>>, AuthorityError> {
    let ((certificate, pkcs8), lineage) = (ca.to_parts(), lineage.map(|one| token::to_text(one)).collect());
    let stored = Stored { certificate: token::to_text(&certificate), pkcs8: token::to_text(&pkcs8), lineage };
    Ok(Zeroizing::new(serde_json::to_vec(&stored)?))
}

/// What stands behind the host authority that signs, and what the gate is named by.
fn lineage(
    store: &dyn Store,
    host: &X509Ca,
    now: UnixTime,
) -> Result<(Vec<CertificateDer<'static>>, Digest), AuthorityError> {
    let damaged = || AuthorityError::internal("the lineage of the host authority is damaged");
    let entry = store.get(&key::authority(CaKind::Host.as_str()), now.as_secs())?.ok_or_else(damaged)?;
    let stored: Stored = serde_json::from_slice(&Zeroizing::new(entry.value))?;
    let read = |one: &String| token::from_text(one).map(CertificateDer::from).ok_or_else(damaged);
    let mut shown = stored.lineage.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if shown.is_empty() {
        shown.push(host.certificate().clone());
    }
    let gate = gate_pin(shown.last().ok_or_else(damaged)?)?;
    Ok((shown, gate))
}

fn rotating<T>(
    store: &dyn Store,
    kind: CaKind,
    cluster: &str,
    now: UnixTime,
    read: fn(CaKind, &[u8]) -> Result<T, AuthorityError>,
) -> Result<Rotating<T>, AuthorityError> {
    let signs = kept(store, kind.as_str(), now, || make(kind, cluster, now))?;
    let other = |which: &str| -> Result<Option<T>, AuthorityError> {
        let entry = store.get(&beside(kind, which), now.as_secs())?;
        entry.map(|entry| read(kind, &Zeroizing::new(entry.value))).transpose()
    };
    Ok(Rotating { now: Arc::new(read(kind, &signs)?), next: other("next")?, old: other("old")? })
}

fn read_x509(kind: CaKind, bytes: &[u8]) -> Result<X509Ca, AuthorityError> {
    let stored: Stored = serde_json::from_slice(bytes)?;
    let damaged = || AuthorityError::internal(format_args!("the stored {kind} authority is damaged"));
    let certificate = CertificateDer::from(token::from_text(&stored.certificate).ok_or_else(damaged)?);
    let pkcs8 = Zeroizing::new(token::from_text(&stored.pkcs8).ok_or_else(damaged)?);
    Ok(X509Ca::from_parts(kind, certificate, &pkcs8)?)
}

fn read_ssh(kind: CaKind, bytes: &[u8]) -> Result<SshCa, AuthorityError> {
    let pem = std::str::from_utf8(bytes).map_err(AuthorityError::internal)?;
    Ok(SshCa::from_parts(kind, pem)?)
}

/// What the store keeps under this name; made there if it is absent. Of two processes that start
/// at once one makes it, and both use that.
pub(crate) fn kept(
    store: &dyn Store,
    name: &str,
    now: UnixTime,
    make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, AuthorityError>,
) -> Result<Zeroizing<Vec<u8>>, AuthorityError> {
    let (key, now) = (key::authority(name), now.as_secs());
    if let Some(entry) = store.get(&key, now)? {
        return Ok(Zeroizing::new(entry.value));
    }
    let fresh = make()?;
    if store.cas(&key, None, &fresh, None, now)?.is_some() {
        return Ok(fresh);
    }
    let entry = store.get(&key, now)?;
    entry.map(|entry| Zeroizing::new(entry.value)).ok_or_else(|| AuthorityError::internal("an authority vanished"))
}
