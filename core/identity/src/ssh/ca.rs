//! The SSH authorities, and the certificates that they issue.

use std::fmt;
use std::net::IpAddr;

use base64::prelude::{BASE64_STANDARD, Engine};
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{Certificate, LineEnding, PrivateKey, PublicKey};
use tapgate_model::{Digest, LoginName, SessionId, TargetName, UnixTime, UserName};
use tapgate_proof::Proof;
use zeroize::Zeroizing;

use super::{SOURCE_ADDRESS, address, record_option};
use crate::payload::Payload;
use crate::{CaKind, Credential, IssueError, limits, names, random, span, spki};

/// Who an SSH login certificate is for.
#[derive(Debug, Clone, Copy)]
pub struct SshLoginSubject<'a> {
    /// The person, and the only principal.
    pub user: &'a UserName,
    /// The key: Ed25519 or P-256.
    pub public_key: &'a PublicKey,
    /// The only address it may be used from, where a role pins it.
    pub source_ip: Option<IpAddr>,
    /// When the login ends.
    pub expires: UnixTime,
}

/// Who an SSH session certificate is for, where it leads, and the tap that it carries.
#[derive(Debug, Clone, Copy)]
pub struct SshSessionSubject<'a> {
    /// The person.
    pub user: &'a UserName,
    /// The session key: Ed25519 or P-256.
    pub public_key: &'a PublicKey,
    /// Where it leads; the principals are `login@target`. Empty where it leads to no SSH server.
    pub logins: &'a [(LoginName, TargetName)],
    /// The tap. Its statement's address becomes the certificate's.
    pub proof: &'a Proof,
    /// When the login behind it ends; the certificate ends no later.
    pub login_expires: UnixTime,
    /// When the window ends.
    pub not_after: UnixTime,
}

/// What a certificate for a target permits there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// A terminal.
    Pty,
    /// Forwarded ports.
    PortForwarding,
    /// A forwarded agent.
    AgentForwarding,
    /// The login's own `~/.ssh/rc`.
    UserRc,
}

/// Who the gate becomes on a target, for one session.
#[derive(Debug, Clone, Copy)]
pub struct TargetSubject<'a> {
    /// The gate's key for this session.
    pub public_key: &'a PublicKey,
    /// The login on the target, and the only principal.
    pub login: &'a LoginName,
    /// The person behind it; the key id is `user@session`, which sshd writes into its log.
    pub user: &'a UserName,
    /// The session.
    pub session: SessionId,
    /// What the session may do.
    pub permits: &'a [Permit],
}

/// An SSH authority with its private key.
pub struct SshCa {
    kind: CaKind,
    key: PrivateKey,
}

impl SshCa {
    /// A new Ed25519 authority.
    pub fn generate(kind: CaKind, cluster_name: &str, now: UnixTime) -> Result<Self, IssueError> {
        let seed = Zeroizing::new(random::bytes::<32>()?);
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
        let key = PrivateKey::new(pair, format!("{cluster_name} {kind} CA, {now}"))
            .map_err(|_| IssueError::Crypto("no key was generated"))?;
        Self::new(kind, key)
    }

    /// The authority with this private key (OpenSSH format, not encrypted), as stored.
    pub fn from_parts(kind: CaKind, private_key: &str) -> Result<Self, IssueError> {
        let key = PrivateKey::from_openssh(private_key)
            .map_err(|_| IssueError::Parts("the private key is not in OpenSSH format"))?;
        Self::new(kind, key)
    }

    /// The private key (OpenSSH format), to be stored.
    pub fn to_parts(&self) -> Result<Zeroizing<String>, IssueError> {
        self.key.to_openssh(LineEnding::LF).map_err(|_| IssueError::Crypto("the key cannot be written"))
    }

    fn new(kind: CaKind, key: PrivateKey) -> Result<Self, IssueError> {
        if !kind.is_ssh() {
            return Err(IssueError::Parts("the kind is not SSH"));
        }
        match key.key_data() {
            KeypairData::Ed25519(_) => Ok(Self { kind, key }),
            _ => Err(IssueError::Parts("the private key is not a plain Ed25519 key")),
        }
    }

    /// What it signs.
    pub const fn kind(&self) -> CaKind {
        self.kind
    }

    /// Its public key, which whoever trusts it must know.
    pub fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    /// A login certificate.
    pub fn issue_login(
        &self,
        subject: &SshLoginSubject<'_>,
        gate: &Digest,
        now: UnixTime,
    ) -> Result<Certificate, IssueError> {
        self.must_be(CaKind::LoginSsh)?;
        let end = span::login_end(now, subject.expires)?;
        let payload = Payload::login(*gate, subject.user, end, subject.source_ip);
        // A security key may log in: who shows it has its touch, which is looked at there.
        spki::key_data_digest(subject.public_key.key_data()).ok_or(IssueError::Key)?;
        let mut draft = blank(subject.public_key, CertType::User, subject.user.as_str(), now, end)?;
        draft.valid_principal(subject.user.as_str()).map_err(refused)?;
        put_record(&mut draft, Credential::Login, &payload)?;
        self.sign(draft)
    }

    /// A session certificate. It ends with the window or with the login, whichever is first. A session that leads to
    /// no node has one too, which opens nothing.
    pub fn issue_session(
        &self,
        subject: &SshSessionSubject<'_>,
        gate: &Digest,
        now: UnixTime,
    ) -> Result<Certificate, IssueError> {
        self.must_be(CaKind::SessionSsh)?;
        let end = span::session_end(now, subject.not_after, subject.login_expires)?;
        let payload = Payload::session(*gate, subject.user, subject.login_expires, subject.proof)?;
        let mut draft = draft(subject.public_key, CertType::User, subject.user.as_str(), now, end)?;
        for (login, target) in subject.logins {
            draft.valid_principal(format!("{login}@{target}")).map_err(refused)?;
        }
        if subject.logins.is_empty() {
            // Without any principal it would be good for all; this one is no login.
            draft.valid_principal("-").map_err(refused)?;
        } else {
            names::countable(subject.logins.len())?;
        }
        put_record(&mut draft, Credential::Session, &payload)?;
        self.sign(draft)
    }

    /// The gate's own host certificate for these names and addresses.
    pub fn issue_host(
        &self,
        public_key: &PublicKey,
        principals: &[String],
        now: UnixTime,
    ) -> Result<Certificate, IssueError> {
        self.must_be(CaKind::HostSsh)?;
        names::countable(principals.len())?;
        let id = principals.first().map(String::as_str).unwrap_or_default();
        let mut draft = draft(public_key, CertType::Host, id, now, now.plus(limits::HOST_LIFE))?;
        for principal in principals {
            draft.valid_principal(names::host(principal)?).map_err(refused)?;
        }
        self.sign(draft)
    }

    /// The certificate by which the gate becomes the login on a target, for one session.
    pub fn issue_target(&self, subject: &TargetSubject<'_>, now: UnixTime) -> Result<Certificate, IssueError> {
        self.must_be(CaKind::TargetSsh)?;
        let id = format!("{}@{}", subject.user, subject.session);
        let mut draft = draft(subject.public_key, CertType::User, &id, now, now.plus(limits::TARGET_LIFE))?;
        draft.valid_principal(subject.login.as_str()).map_err(refused)?;
        for permit in subject.permits {
            draft.extension(permit.as_str(), "").map_err(refused)?;
        }
        self.sign(draft)
    }

    fn sign(&self, draft: Builder) -> Result<Certificate, IssueError> {
        let certificate = draft.sign(&self.key).map_err(refused)?;
        let length = certificate.to_bytes().map_err(refused)?.len();
        if length > limits::SSH_MAX {
            return Err(IssueError::Oversized { max: limits::SSH_MAX });
        }
        Ok(certificate)
    }

    fn must_be(&self, due: CaKind) -> Result<(), IssueError> {
        if self.kind == due { Ok(()) } else { Err(IssueError::WrongCa { ca: self.kind, due }) }
    }
}

/// Without the private key.
impl fmt::Debug for SshCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = self.key.fingerprint(ssh_key::HashAlg::Sha256);
        f.debug_struct("SshCa").field("kind", &self.kind).field("key", &fingerprint).finish_non_exhaustive()
    }
}

impl Permit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pty => "permit-pty",
            Self::PortForwarding => "permit-port-forwarding",
            Self::AgentForwarding => "permit-agent-forwarding",
            Self::UserRc => "permit-user-rc",
        }
    }
}

/// A certificate with everything but its principals.
/// A certificate of a key that a program has.
fn draft(key: &PublicKey, kind: CertType, id: &str, now: UnixTime, end: UnixTime) -> Result<Builder, IssueError> {
    spki::ssh_key_spki(key).ok_or(IssueError::Key)?;
    blank(key, kind, id, now, end)
}

fn blank(key: &PublicKey, kind: CertType, id: &str, now: UnixTime, end: UnixTime) -> Result<Builder, IssueError> {
    let begin = now.minus(limits::SKEW);
    let mut draft = Builder::new(random::bytes::<32>()?, key, begin.as_secs(), end.as_secs()).map_err(refused)?;
    draft.serial(u64::from_be_bytes(random::bytes()?)).map_err(refused)?;
    draft.cert_type(kind).map_err(refused)?;
    draft.key_id(id).map_err(refused)?;
    Ok(draft)
}

fn put_record(draft: &mut Builder, credential: Credential, payload: &Payload) -> Result<(), IssueError> {
    let record = payload.to_der().ok_or(IssueError::Oversized { max: limits::SSH_MAX })?;
    draft.critical_option(record_option(credential), BASE64_STANDARD.encode(record)).map_err(refused)?;
    if let Some(ip) = payload.source_ip {
        draft.critical_option(SOURCE_ADDRESS, address::only(ip)).map_err(refused)?;
    }
    Ok(())
}

fn refused(_: ssh_key::Error) -> IssueError {
    IssueError::Crypto("the certificate is not signed")
}
