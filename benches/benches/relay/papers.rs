//! Certificates for the relays that are no gate: of the gate's own profile, so that every handshake has the same signatures
//! to make and to verify, by keys of the same kinds.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tapgate_identity::{CaKind, LoginSubject, X509Ca};
use tapgate_lab::Lab;
use tapgate_model::{Clock as _, Digest, SystemClock, UserName};

/// How long the client's certificate is good.
const LIFE: Duration = Duration::from_hours(12);

/// How many characters a line has: OpenSSL reads no long ones.
const LINE: usize = 64;

/// What both relays show and trust, and what their client does.
pub(crate) struct Papers {
    /// The relay's certificate and its authority's, PEM.
    pub(crate) chain: PathBuf,
    /// The relay's key, PEM.
    pub(crate) key: PathBuf,
    /// Both in one file, as HAProxy takes them.
    pub(crate) all: PathBuf,
    /// The clients' authority, PEM.
    pub(crate) clients: PathBuf,
    /// What the client knows the relay by.
    pub(crate) pin: Digest,
    /// The client's certificate.
    pub(crate) client: CertificateDer<'static>,
}

impl Papers {
    /// Makes them for the client that has this key.
    pub(crate) fn make(lab: &Lab, client_key: &PrivateKeyDer<'static>) -> Result<Self> {
        let now = SystemClock.now();
        let (host, login) =
            (X509Ca::generate(CaKind::Host, "bench", now)?, X509Ca::generate(CaKind::Login, "bench", now)?);
        let (certificate, key) = host.issue_host(&["localhost".to_owned()], now)?;
        let signer = any_supported_type(client_key)?;
        let spki = signer.public_key().context("the client's key has no public half")?;
        let user: UserName = "jerry".parse()?;
        let subject = LoginSubject { user: &user, spki_der: spki.as_ref(), source_ip: None, expires: now.plus(LIFE) };
        let client = login.issue_login(&subject, &host.pin(), now)?;
        let chain = pem("CERTIFICATE", &certificate) + &pem("CERTIFICATE", host.certificate());
        let key = pem("PRIVATE KEY", key.secret_pkcs8_der());
        Ok(Self {
            all: lab.write("relay/all.pem", &format!("{chain}{key}"))?,
            chain: lab.write("relay/chain.pem", &chain)?,
            key: lab.write("relay/key.pem", &key)?,
            clients: lab.write("relay/clients.pem", &pem("CERTIFICATE", login.certificate()))?,
            pin: host.pin(),
            client,
        })
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(LINE).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}
