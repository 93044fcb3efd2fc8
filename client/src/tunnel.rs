//! Tunnels to the gate whose TLS is authenticated by a session: its certificate, and its key wherever that is.

use std::fmt;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use tapgate_api::SessionCertificates;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::error::{Act as _, Failure, Result};
use crate::limits::{CONNECT_WAIT, HAIL_ANSWER_BYTES_MAX};
use crate::session::Signer;

/// The certificate and the key of a session, as rustls asks for them.
#[derive(Debug)]
pub struct SessionIdentity(Arc<CertifiedKey>);

impl SessionIdentity {
    /// Of these certificates, with whoever signs for them.
    pub fn new(certificates: &SessionCertificates, signer: Arc<Signer>) -> Result<Self> {
        let chain = CertificateDer::pem_slice_iter(certificates.tls_certificate.as_bytes())
            .collect::<std::result::Result<Vec<_>, _>>()
            .act(|| "the session certificate cannot be read".to_owned())?;
        Ok(Self(Arc::new(CertifiedKey::new(chain, Arc::new(Key(signer))))))
    }
}

impl ResolvesClientCert for SessionIdentity {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        schemes.contains(&SignatureScheme::ED25519).then(|| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A session key that signs handshakes: here or in the agent.
#[derive(Clone)]
struct Key(Arc<Signer>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        let signer: Box<dyn rustls::sign::Signer> = Box::new(self.clone());
        Some(signer).filter(|_| offered.contains(&SignatureScheme::ED25519))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl rustls::sign::Signer for Key {
    fn sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, rustls::Error> {
        self.0.sign_now(message).map_err(|failure| rustls::Error::General(failure.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Says within a tunnel where it shall lead, and reads the gate's one line in answer.
pub async fn hail(stream: &mut TlsStream<TcpStream>, hail: &impl fmt::Display) -> Result<()> {
    let talk = async {
        let act = || "the gate ended the tunnel".to_owned();
        stream.write_all(format!("{hail}\n").as_bytes()).await.act(act)?;
        stream.flush().await.act(act)?;
        let mut line = Vec::new();
        // Byte by byte: what comes after the line is the target's.
        while line.last() != Some(&b'\n') {
            if line.len() >= HAIL_ANSWER_BYTES_MAX {
                return Err(Failure::new("the gate's answer is too long"));
            }
            line.push(stream.read_u8().await.act(act)?);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    };
    let late = || Failure::new("the gate gave no answer in time");
    // The gate connects to the target before it answers.
    let answer = timeout(CONNECT_WAIT * 2, talk).await.map_err(|_| late())??;
    match answer.strip_prefix(tapgate_model::tunnel::REFUSED) {
        None if answer == tapgate_model::tunnel::OPEN => Ok(()),
        None => Err(Failure::new("the gate's answer cannot be read").advise("is the client of the gate's version?")),
        Some(why) => Err(Failure::new(why.trim().to_owned())),
    }
}
