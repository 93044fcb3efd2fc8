//! The certificate authorities: read from the store, or made and stored at the first start.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tapgate_identity::{CaKind, SshCa, Trust, TrustParts, X509Ca};
use tapgate_model::{Digest, UnixTime};
use tapgate_store::Store;
use zeroize::{Zeroize, Zeroizing};

use crate::{AuthorityError, key, token};

/// The authorities, and the trust in those that sign for users.
pub(crate) struct Cas {
    pub(crate) login: X509Ca,
    pub(crate) session: X509Ca,
    pub(crate) host: X509Ca,
    pub(crate) login_ssh: SshCa,
    pub(crate) session_ssh: SshCa,
    pub(crate) host_ssh: Arc<SshCa>,
    pub(crate) target_ssh: Arc<SshCa>,
    pub(crate) target_tls: Arc<X509Ca>,
    pub(crate) trust: Arc<Trust>,
}

/// An X.509 authority as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    certificate: String,
    pkcs8: String,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.pkcs8.zeroize();
    }
}

impl Cas {
    pub(crate) fn open(store: &dyn Store, cluster: &str, now: UnixTime) -> Result<Self, AuthorityError> {
        let x509 = |kind| x509(store, kind, cluster, now);
        let ssh = |kind| ssh(store, kind, cluster, now);
        let (login, session, host) = (x509(CaKind::Login)?, x509(CaKind::Session)?, x509(CaKind::Host)?);
        let (login_ssh, session_ssh) = (ssh(CaKind::LoginSsh)?, ssh(CaKind::SessionSsh)?);
        let trust = Trust::new(TrustParts {
            gate: host.pin(),
            login: vec![login.certificate().clone()],
            session: vec![session.certificate().clone()],
            login_ssh: vec![login_ssh.public_key().clone()],
            session_ssh: vec![session_ssh.public_key().clone()],
        })?;
        let (host_ssh, target_ssh) = (Arc::new(ssh(CaKind::HostSsh)?), Arc::new(ssh(CaKind::TargetSsh)?));
        let target_tls = Arc::new(x509(CaKind::TargetTls)?);
        let trust = Arc::new(trust);
        Ok(Self { login, session, host, login_ssh, session_ssh, host_ssh, target_ssh, target_tls, trust })
    }

    /// The cluster's fingerprint: the host authority's key.
    pub(crate) fn gate(&self) -> Digest {
        self.host.pin()
    }
}

fn x509(store: &dyn Store, kind: CaKind, cluster: &str, now: UnixTime) -> Result<X509Ca, AuthorityError> {
    let bytes = kept(store, kind.as_str(), now, || {
        let (certificate, pkcs8) = X509Ca::generate(kind, cluster, now)?.to_parts();
        let stored = Stored { certificate: token::to_text(&certificate), pkcs8: token::to_text(&pkcs8) };
        Ok(Zeroizing::new(serde_json::to_vec(&stored)?))
    })?;
    let stored: Stored = serde_json::from_slice(&bytes)?;
    let damaged = || AuthorityError::internal(format_args!("the stored {kind} authority is damaged"));
    let certificate = CertificateDer::from(token::from_text(&stored.certificate).ok_or_else(damaged)?);
    let pkcs8 = Zeroizing::new(token::from_text(&stored.pkcs8).ok_or_else(damaged)?);
    Ok(X509Ca::from_parts(kind, certificate, &pkcs8)?)
}

fn ssh(store: &dyn Store, kind: CaKind, cluster: &str, now: UnixTime) -> Result<SshCa, AuthorityError> {
    let bytes = kept(store, kind.as_str(), now, || {
        let pem = SshCa::generate(kind, cluster, now)?.to_parts()?;
        Ok(Zeroizing::new(pem.as_bytes().to_vec()))
    })?;
    let pem = std::str::from_utf8(&bytes).map_err(AuthorityError::internal)?;
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
