//! Keys: the login keys that live on disk, and the session key that never does.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::PublicKeyData as _;
use serde::{Deserialize, Serialize};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::public::{Ed25519PublicKey, KeyData};
use tapgate_model::Digest;
use zeroize::Zeroizing;

use crate::error::{Act as _, Failure, Result};
use crate::files;

/// What stands before the 32 bytes of an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410).
const ED25519_SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What stands before the 32 secret bytes of an Ed25519 key in PKCS #8 (RFC 8410 section 7).
const ED25519_PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Digest::from_bytes(out)
}

/// Bytes as the API writes them: base64url without padding.
pub fn to_base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Bytes as the API writes them, read back.
pub fn from_base64(text: &str) -> Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).act(|| "the gate's answer is not base64url".to_owned())
}

/// The secret half of a session key, as the agent's protocol carries it. Wiped when dropped.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(Zeroizing<String>);

/// A session's key pair. It has no way onto the disk.
pub struct SessionKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl SessionKey {
    /// A fresh key.
    pub fn generate() -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(seed.as_mut_slice()).act(|| "the system gives no random bytes".to_owned())?;
        Self::new(seed)
    }

    /// The key of this secret half.
    pub fn from_seed(seed: &Seed) -> Result<Self> {
        let bytes = Zeroizing::new(from_base64(&seed.0)?);
        let mut fixed = Zeroizing::new([0; 32]);
        if bytes.len() != fixed.len() {
            return Err(Failure::new("the session key has the wrong length"));
        }
        fixed.copy_from_slice(&bytes);
        Self::new(fixed)
    }

    /// The login key, which lies on the disk.
    pub fn of_login(files: &LoginFiles) -> Result<Self> {
        let act = || format!("{} cannot be read", files.ssh_key.display());
        let key = ssh_key::PrivateKey::read_openssh_file(&files.ssh_key).act(act)?;
        match key.key_data() {
            KeypairData::Ed25519(pair) => Self::new(Zeroizing::new(pair.private.to_bytes())),
            _ => Err(Failure::new(act()).advise("run tap login")),
        }
    }

    /// The secret half, for the agent.
    pub fn seed(&self) -> Seed {
        Seed(Zeroizing::new(to_base64(self.seed.as_slice())))
    }

    /// The whole key as PKCS #8 in PEM, for a client that must have it in its own memory.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let der = Zeroizing::new([ED25519_PKCS8_PREFIX.as_slice(), self.seed.as_slice()].concat());
        let body = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(der.as_slice()));
        Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", body.as_str()))
    }

    /// The whole key as SSH's own libraries take it, for a client that is this very program.
    pub fn to_ssh(&self) -> Result<ssh_key::PrivateKey> {
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&self.seed));
        ssh_key::PrivateKey::new(pair, "").act(|| "the session key cannot be used".to_owned())
    }

    /// The public half as a `SubjectPublicKeyInfo`.
    pub fn spki(&self) -> Vec<u8> {
        [ED25519_SPKI_PREFIX.as_slice(), self.pair.public_key().as_ref()].concat()
    }

    /// Whether an SSH key or certificate is for this key.
    pub fn is_key_of(&self, key: &KeyData) -> bool {
        matches!(key, KeyData::Ed25519(Ed25519PublicKey(bytes)) if bytes.as_slice() == self.pair.public_key().as_ref())
    }

    /// The Ed25519 signature of these bytes.
    pub fn sign(&self, data: &[u8]) -> Vec<u8> {
        self.pair.sign(data).as_ref().to_vec()
    }

    fn new(seed: Zeroizing<[u8; 32]>) -> Result<Self> {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).act(|| "the session key cannot be made".to_owned())?;
        Ok(Self { seed, pair })
    }
}

/// The key pairs of a login, fresh for each.
pub struct LoginKeys {
    tls: rcgen::KeyPair,
    ssh: ssh_key::PrivateKey,
}

impl LoginKeys {
    /// Two fresh Ed25519 keys, one for TLS and one for SSH.
    pub fn generate() -> Result<Self> {
        let act = || "the login keys cannot be made".to_owned();
        let mut seed = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(seed.as_mut_slice()).act(act)?;
        // Without the public half, which OpenSSL before 3.5 does not read: database clients take this file.
        let der = Zeroizing::new([ED25519_PKCS8_PREFIX.as_slice(), seed.as_slice()].concat());
        let tls =
            rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der.as_slice().into(), &rcgen::PKCS_ED25519).act(act)?;
        aws_lc_rs::rand::fill(seed.as_mut_slice()).act(act)?;
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
        Ok(Self { tls, ssh: ssh_key::PrivateKey::new(pair, "tapgate login").act(act)? })
    }

    /// The TLS key as a `SubjectPublicKeyInfo`.
    pub fn tls_spki(&self) -> Vec<u8> {
        self.tls.subject_public_key_info()
    }

    /// The SSH key, one line of OpenSSH.
    pub fn ssh_line(&self) -> Result<String> {
        self.ssh.public_key().to_openssh().act(|| "the SSH key cannot be written".to_owned())
    }

    /// What a login's tap signs of these keys: SHA-256 over the TLS key's `SubjectPublicKeyInfo`
    /// followed by the SSH key's blob.
    pub fn action(&self) -> Result<Digest> {
        let blob = self.ssh.public_key().to_bytes().act(|| "the SSH key cannot be written".to_owned())?;
        Ok(sha256(&[self.tls_spki(), blob].concat()))
    }

    /// Writes the keys and their certificates.
    pub fn save(&self, files: &LoginFiles, certificates: &tapgate_api::LoginCertificates) -> Result<()> {
        let ssh = self.ssh.to_openssh(ssh_key::LineEnding::LF).act(|| "the SSH key cannot be written".to_owned())?;
        // While the authority of hosts is rotated there are two.
        let known: Vec<_> = certificates.host_ssh_ca.lines().map(|ca| format!("@cert-authority * {ca}\n")).collect();
        files::write_private(&files.tls_key, Zeroizing::new(self.tls.serialize_pem()).as_bytes())?;
        files::write_private(&files.tls_certificate, certificates.tls_certificate.as_bytes())?;
        files::write_private(&files.ssh_key, ssh.as_bytes())?;
        files::write_private(&files.ssh_certificate, line(&certificates.ssh_certificate).as_bytes())?;
        files::write_private(&files.known_hosts, known.concat().as_bytes())
    }

    /// Whether the certificates are for these keys and no others.
    pub fn fit(&self, certificates: &tapgate_api::LoginCertificates) -> Result<()> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificates.tls_certificate.as_bytes())
            .act(|| "the login certificate cannot be read".to_owned())?;
        let tls = pem.parse_x509().act(|| "the login certificate cannot be read".to_owned())?;
        let ssh = ssh_key::Certificate::from_openssh(certificates.ssh_certificate.trim())
            .act(|| "the SSH login certificate cannot be read".to_owned())?;
        let lines = certificates.host_ssh_ca.lines().map(ssh_key::PublicKey::from_openssh);
        let hosts: Vec<_> =
            lines.collect::<std::result::Result<_, _>>().act(|| "the gate's SSH host CA cannot be read".to_owned())?;
        let fits = tls.public_key().raw == self.tls_spki()
            && ssh.public_key() == self.ssh.public_key().key_data()
            && !hosts.is_empty();
        if fits { Ok(()) } else { Err(Failure::new("the gate's certificates are for other keys than ours")) }
    }
}

/// Where a login's keys and certificates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginFiles {
    /// The TLS key, PEM.
    pub tls_key: PathBuf,
    /// The login certificate, PEM.
    pub tls_certificate: PathBuf,
    /// The SSH key, in OpenSSH's form.
    pub ssh_key: PathBuf,
    /// The SSH login certificate, one line.
    pub ssh_certificate: PathBuf,
    /// The CA of the gate's SSH host key.
    pub known_hosts: PathBuf,
}

impl LoginFiles {
    /// The files in a gate's folder.
    pub fn within(keys: &Path) -> Self {
        Self {
            tls_key: keys.join("tls.key"),
            tls_certificate: keys.join("tls.crt"),
            ssh_key: keys.join("ssh"),
            ssh_certificate: keys.join("ssh-cert.pub"),
            known_hosts: keys.join("known_hosts"),
        }
    }
}

/// A text as one line with its end.
pub fn line(text: &str) -> String {
    format!("{}\n", text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_survives_the_trip_to_the_agent() {
        let key = SessionKey::generate().unwrap();
        let again = SessionKey::from_seed(&key.seed()).unwrap();
        assert_eq!(key.spki(), again.spki());
        assert_eq!(key.sign(b"x"), again.sign(b"x"));
        assert_eq!(key.spki().len(), 44);
        assert!(SessionKey::from_seed(&Seed(Zeroizing::new("AAAA".to_owned()))).is_err());
    }

    #[test]
    fn a_session_key_knows_its_ssh_form() {
        let (one, two) = (SessionKey::generate().unwrap(), SessionKey::generate().unwrap());
        let mut raw = [0; 32];
        raw.copy_from_slice(&one.spki()[12..]);
        let data = KeyData::Ed25519(Ed25519PublicKey(raw));
        assert!(one.is_key_of(&data));
        assert!(!two.is_key_of(&data));
    }

    #[test]
    fn login_keys_are_ed25519_and_saved_privately() -> Result<(), Box<dyn std::error::Error>> {
        let keys = LoginKeys::generate()?;
        assert_eq!(keys.tls_spki()[..12], ED25519_SPKI_PREFIX);
        assert!(keys.ssh_line()?.starts_with("ssh-ed25519 "));
        Ok(())
    }
}
