//! Trust: the authorities whose certificates become identities.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, TrustAnchor};
use ssh_key::public::KeyData;
use tapgate_model::Digest;

use crate::{Credential, IdentityError, SshCa, X509Ca};

/// What trust is made of: the gate's own pin, and the authorities of each kind (several during a rotation).
#[derive(Debug, Clone)]
pub struct TrustParts {
    /// The gate's pin, which every payload must name.
    pub gate: Digest,
    /// X.509 authorities for logins.
    pub login: Vec<CertificateDer<'static>>,
    /// X.509 authorities for sessions.
    pub session: Vec<CertificateDer<'static>>,
    /// SSH authorities for logins.
    pub login_ssh: Vec<ssh_key::PublicKey>,
    /// SSH authorities for sessions.
    pub session_ssh: Vec<ssh_key::PublicKey>,
}

/// Where the present trust comes from: it changes when an authority is rotated.
pub type TrustSource = Arc<dyn Fn() -> Arc<Trust> + Send + Sync>;

/// Where the present authority for SSH certificates comes from, for the same reason.
pub type SshCaSource = Arc<dyn Fn() -> Arc<SshCa> + Send + Sync>;

/// Where the present authority for X.509 certificates comes from.
pub type X509CaSource = Arc<dyn Fn() -> Arc<X509Ca> + Send + Sync>;

/// The authorities whose certificates become identities, read once.
#[derive(Debug)]
pub struct Trust {
    pub(crate) gate: Digest,
    pub(crate) x509: Vec<X509Authority>,
    pub(crate) ssh: Vec<SshAuthority>,
}

/// An X.509 authority and what it signs.
#[derive(Debug)]
pub(crate) struct X509Authority {
    pub(crate) credential: Credential,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) anchor: TrustAnchor<'static>,
}

/// An SSH authority and what it signs.
#[derive(Debug)]
pub(crate) struct SshAuthority {
    pub(crate) credential: Credential,
    pub(crate) key: KeyData,
}

impl Trust {
    /// Trust in these authorities. One key must not stand for two kinds: its signature would say nothing.
    pub fn new(parts: TrustParts) -> Result<Self, IdentityError> {
        let login = parts.login.into_iter().map(|certificate| X509Authority::new(Credential::Login, certificate));
        let session = parts.session.into_iter().map(|certificate| X509Authority::new(Credential::Session, certificate));
        let x509 = login.chain(session).collect::<Result<Vec<_>, _>>()?;
        let login = parts.login_ssh.into_iter().map(|key| SshAuthority::new(Credential::Login, &key));
        let session = parts.session_ssh.into_iter().map(|key| SshAuthority::new(Credential::Session, &key));
        let ssh = login.chain(session).collect::<Result<Vec<_>, _>>()?;
        let two_kinds = x509.iter().any(|a| {
            let same = |b: &X509Authority| b.anchor.subject_public_key_info == a.anchor.subject_public_key_info;
            x509.iter().any(|b| same(b) && b.credential != a.credential)
        }) || ssh.iter().any(|a| ssh.iter().any(|b| b.key == a.key && b.credential != a.credential));
        if two_kinds {
            return Err(IdentityError::Authority("one key signs both logins and sessions"));
        }
        Ok(Self { gate: parts.gate, x509, ssh })
    }

    /// The pin of the gate that the certificates must name.
    pub const fn gate(&self) -> &Digest {
        &self.gate
    }
}

impl X509Authority {
    fn new(credential: Credential, certificate: CertificateDer<'static>) -> Result<Self, IdentityError> {
        let anchor = webpki::anchor_from_trusted_cert(&certificate)
            .map_err(|_| IdentityError::Authority("an X.509 authority cannot be read"))?
            .to_owned();
        Ok(Self { credential, certificate, anchor })
    }
}

impl SshAuthority {
    fn new(credential: Credential, key: &ssh_key::PublicKey) -> Result<Self, IdentityError> {
        let key = key.key_data().clone();
        if !key.is_ed25519() {
            return Err(IdentityError::Authority("an SSH authority's key is not Ed25519"));
        }
        Ok(Self { credential, key })
    }
}
