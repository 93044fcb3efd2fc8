//! The gate's own certificates, for TLS and for SSH.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ssh_key::private::{Ed25519Keypair, KeypairData, PrivateKey};
use zeroize::Zeroizing;

use crate::cas::kept;
use crate::login::pem;
use crate::token::random;
use crate::{Authority, AuthorityError};

impl Authority {
    /// The gate's TLS certificate with the host authority's behind it and those of the authorities before that, and a new
    /// key. To be made at each start, and when [`Authority::ca_pin`] is another: clients know the host authority, so
    /// nothing of it needs keeping. It also has these further names, such as `*.db.gate.example`.
    pub fn host_tls(
        &self,
        further: &[String],
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        self.issue_host(&[self.names().as_slice(), further].concat())
    }

    /// The same for one further name of the gate, such as an application's or `*.apps.example.com`.
    pub fn host_tls_for(
        &self,
        name: &str,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        self.issue_host(&[name.to_owned()])
    }

    fn issue_host(
        &self,
        names: &[String],
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let cas = self.cas();
        let (leaf, key) = cas.host.issue_host(names, self.now())?;
        Ok((std::iter::once(leaf).chain(cas.shown.iter().cloned()).collect(), key.into()))
    }

    /// The key that signs identities for applications, PKCS #8 (P-256). It stays, so that applications may keep its
    /// public half.
    pub fn app_signing_key(&self) -> Result<Zeroizing<Vec<u8>>, AuthorityError> {
        kept(&*self.store, "app-jwt", self.now(), || {
            let random = aws_lc_rs::rand::SystemRandom::new();
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
            Ok(Zeroizing::new(pkcs8.map_err(AuthorityError::internal)?.as_ref().to_vec()))
        })
    }

    /// The host authority's certificate, PEM, for browsers that shall trust the gate; where the next one is there, both.
    pub fn host_ca_pem(&self) -> String {
        let cas = self.cas();
        std::iter::once(&*cas.host.now).chain(&cas.host.next).map(|ca| pem(ca.certificate())).collect()
    }

    /// The gate's SSH host key with its certificate. The key stays, for clients that know no host CA.
    pub fn host_ssh(&self) -> Result<(PrivateKey, ssh_key::Certificate), AuthorityError> {
        let pem = kept(&*self.store, "host-key-ssh", self.now(), || {
            let seed = Zeroizing::new(random::<32>());
            let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
            let key = PrivateKey::new(pair, self.cluster.clone()).map_err(AuthorityError::internal)?;
            let pem = key.to_openssh(ssh_key::LineEnding::LF).map_err(AuthorityError::internal)?;
            Ok(Zeroizing::new(pem.as_bytes().to_vec()))
        })?;
        let pem = std::str::from_utf8(&pem).map_err(AuthorityError::internal)?;
        let key = PrivateKey::from_openssh(pem).map_err(AuthorityError::internal)?;
        let certificate = self.cas().host_ssh.issue_host(key.public_key(), &self.names(), self.now())?;
        Ok((key, certificate))
    }

    /// The names that clients know the gate by.
    fn names(&self) -> Vec<String> {
        let mut names = self.host_names.clone();
        if !names.contains(&self.cluster) {
            names.push(self.cluster.clone());
        }
        names
    }
}
