//! What the certificate authority is shown when it looks at the gate: in a handshake, or at a path.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::limits::CHALLENGE_PATH;

/// What is offered by who looks in a handshake (RFC 8737).
const ALPN: &[u8] = b"acme-tls/1";

/// All that is to be shown just now.
#[derive(Default)]
pub(crate) struct Challenges(Mutex<Shown>);

#[derive(Default)]
struct Shown {
    /// By host name.
    tls: HashMap<String, Arc<ServerConfig>>,
    /// By token.
    http: HashMap<String, String>,
}

impl Challenges {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows this digest in handshakes for the name.
    pub(super) fn show_tls(&self, name: &str, digest: &[u8]) -> Result<()> {
        let key = KeyPair::generate().context("no key could be made")?;
        let mut parameters = CertificateParams::new([name.to_owned()])?;
        parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = parameters.self_signed(&key)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = default_provider();
        let key = provider.key_provider.load_private_key(key)?;
        // Not looked at first, as it would be otherwise: what is shown is critical, and known to who looks for it alone.
        let certified = SingleCertAndKey::from(CertifiedKey::new(vec![certificate.der().clone()], key));
        let builder = ServerConfig::builder_with_provider(Arc::new(provider));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::new(certified));
        config.alpn_protocols = vec![ALPN.to_vec()];
        self.shown().tls.insert(name.to_owned(), Arc::new(config));
        Ok(())
    }

    /// Shows this text at the path of the token.
    pub(super) fn show_http(&self, token: &str, text: &str) {
        self.shown().http.insert(token.to_owned(), text.to_owned());
    }

    /// Shows nothing any more.
    pub(super) fn clear(&self) {
        *self.shown() = Shown::default();
    }

    /// The handshake for who looks; whoever offers anything else is somebody else.
    pub(crate) fn handshake(&self, offered: &[&[u8]], name: Option<&str>) -> Option<Arc<ServerConfig>> {
        (offered == [ALPN]).then(|| self.shown().tls.get(name?).cloned()).flatten()
    }

    /// The answer to a request with this first line.
    pub(crate) fn answer(&self, line: &[u8]) -> Option<String> {
        let path = line.strip_prefix(b"GET ")?.strip_prefix(CHALLENGE_PATH.as_bytes())?;
        let token = path.split(|byte| *byte == b' ').next()?;
        self.shown().http.get(std::str::from_utf8(token).ok()?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_but_what_is_due_and_to_who_looks_for_it() {
        let challenges = Challenges::default();
        challenges.show_tls("gate.example.com", &[7; 32]).unwrap();
        challenges.show_http("abc", "abc.thumb");
        let handshake = |offered: &[&[u8]], name| challenges.handshake(offered, name).is_some();
        assert!(handshake(&[ALPN], Some("gate.example.com")));
        assert!(!handshake(&[ALPN], Some("other.example.com")) && !handshake(&[ALPN], None));
        assert!(!handshake(&[ALPN, b"h2"], Some("gate.example.com")) && !handshake(&[], Some("gate.example.com")));
        let answer = |line: &[u8]| challenges.answer(line);
        assert_eq!(answer(b"GET /.well-known/acme-challenge/abc HTTP/1.1\r\n").as_deref(), Some("abc.thumb"));
        for line in
            ["GET /.well-known/acme-challenge/abd HTTP/1.1", "POST /.well-known/acme-challenge/abc X", "GET / X", ""]
        {
            assert_eq!(answer(line.as_bytes()), None, "{line}");
        }
        challenges.clear();
        assert!(!handshake(&[ALPN], Some("gate.example.com")));
        assert_eq!(answer(b"GET /.well-known/acme-challenge/abc HTTP/1.1\r\n"), None);
    }
}
