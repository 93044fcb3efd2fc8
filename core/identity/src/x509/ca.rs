//! The X.509 authorities, and the certificates that they issue.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tapgate_model::{Digest, UnixTime, UserName};
use tapgate_proof::Proof;
use zeroize::Zeroizing;

use super::signer::{Algorithm, Signer};
use crate::payload::Payload;
use crate::{CaKind, Credential, IssueError, limits, names, oid, random, span, spki};

/// Who a login certificate is for.
#[derive(Debug, Clone, Copy)]
pub struct LoginSubject<'a> {
    /// The person.
    pub user: &'a UserName,
    /// The key's `SubjectPublicKeyInfo`: Ed25519 or P-256.
    pub spki_der: &'a [u8],
    /// The only address it may be used from, where a role pins it.
    pub source_ip: Option<IpAddr>,
    /// When the login ends.
    pub expires: UnixTime,
}

/// Who a session certificate is for, and the tap that it carries.
#[derive(Debug, Clone, Copy)]
pub struct SessionSubject<'a> {
    /// The person.
    pub user: &'a UserName,
    /// The session key's `SubjectPublicKeyInfo`: Ed25519 or P-256.
    pub spki_der: &'a [u8],
    /// The tap. Its statement's address becomes the certificate's.
    pub proof: &'a Proof,
    /// When the login behind it ends; the certificate ends no later.
    pub login_expires: UnixTime,
    /// When the window ends.
    pub not_after: UnixTime,
}

/// An X.509 authority with its private key.
pub struct X509Ca {
    kind: CaKind,
    certificate: CertificateDer<'static>,
    pkcs8: Zeroizing<Vec<u8>>,
    issuer: Issuer<'static, Signer>,
}

impl X509Ca {
    /// A new authority: Ed25519, or P-256 for the host authority.
    pub fn generate(kind: CaKind, cluster_name: &str, now: UnixTime) -> Result<Self, IssueError> {
        let algorithm = algorithm(kind)?;
        let pkcs8 = Signer::generate(algorithm)?;
        let signer = Signer::from_pkcs8(algorithm, &pkcs8)?;
        let mut params = params(&format!("{cluster_name} {kind} CA"), now, now.plus(limits::CA_LIFE))?;
        params.is_ca = authority(kind);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&signer).map_err(|_| IssueError::Crypto("the authority is not signed"))?;
        Self::from_parts(kind, certificate.into(), &pkcs8)
    }

    /// The authority with this certificate and private key (PKCS #8), as stored.
    pub fn from_parts(kind: CaKind, certificate: CertificateDer<'static>, pkcs8: &[u8]) -> Result<Self, IssueError> {
        let signer = Signer::from_pkcs8(algorithm(kind)?, pkcs8)?;
        let certified = spki::certificate_spki_digest(&certificate).ok_or(IssueError::Parts("it is not X.509"))?;
        if certified != spki::spki_digest(&signer.subject_public_key_info()) {
            return Err(IssueError::Parts("the certificate is of another key"));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, signer)
            .map_err(|_| IssueError::Parts("the certificate is not an authority's"))?;
        Ok(Self { kind, certificate, pkcs8: Zeroizing::new(pkcs8.to_vec()), issuer })
    }

    /// Certificate and private key (PKCS #8), to be stored.
    pub fn to_parts(&self) -> (CertificateDer<'static>, Zeroizing<Vec<u8>>) {
        (self.certificate.clone(), self.pkcs8.clone())
    }

    /// What it signs.
    pub const fn kind(&self) -> CaKind {
        self.kind
    }

    /// Its certificate.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of its key's `SubjectPublicKeyInfo`; the host authority's is the gate's pin.
    pub fn pin(&self) -> Digest {
        spki::spki_digest(&self.issuer.key().subject_public_key_info())
    }

    /// A certificate that vouches for the host authority which comes after this one: whoever knows this one knows that one
    /// by it. Its name is that one's own, as verifiers find it by that.
    pub fn vouch(&self, next: &Self, now: UnixTime) -> Result<CertificateDer<'static>, IssueError> {
        self.must_be(CaKind::Host)?;
        next.must_be(CaKind::Host)?;
        let unsigned = || IssueError::Crypto("the next authority is not vouched for");
        let name = common_name(&next.certificate).ok_or_else(unsigned)?;
        let mut params = params(&name, now, now.plus(limits::CA_LIFE))?;
        params.is_ca = authority(CaKind::Host);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // Clients demand it of every link, and it narrows what the next one may sign for.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let vouched = params.signed_by(next.issuer.key(), &self.issuer).map_err(|_| unsigned())?;
        Ok(vouched.into())
    }

    /// A login certificate.
    pub fn issue_login(
        &self,
        subject: &LoginSubject<'_>,
        gate: &Digest,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, IssueError> {
        self.must_be(CaKind::Login)?;
        let not_after = span::login_end(now, subject.expires)?;
        let payload = Payload::login(*gate, subject.user, not_after, subject.source_ip);
        self.issue_user(Credential::Login, &payload, subject.spki_der, now, not_after)
    }

    /// A session certificate. It ends with the window or with the login, whichever is first.
    pub fn issue_session(
        &self,
        subject: &SessionSubject<'_>,
        gate: &Digest,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, IssueError> {
        self.must_be(CaKind::Session)?;
        let not_after = span::session_end(now, subject.not_after, subject.login_expires)?;
        let payload = Payload::session(*gate, subject.user, subject.login_expires, subject.proof)?;
        self.issue_user(Credential::Session, &payload, subject.spki_der, now, not_after)
    }

    /// The gate's own TLS certificate for these DNS names and addresses, with a new P-256 key.
    pub fn issue_host(
        &self,
        names: &[String],
        now: UnixTime,
    ) -> Result<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>), IssueError> {
        self.must_be(CaKind::Host)?;
        names::countable(names.len())?;
        let pkcs8 = Signer::generate(Algorithm::P256)?;
        let key = Signer::from_pkcs8(Algorithm::P256, &pkcs8)?;
        let mut params = params("tapgate", now, now.plus(limits::HOST_LIFE))?;
        params.subject_alt_names = names.iter().map(|name| host_name(name)).collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = self.sign(params, &key)?;
        Ok((certificate, PrivatePkcs8KeyDer::from(pkcs8.to_vec())))
    }

    /// A client certificate that the gate shows to a target, with a new P-256 key. Its common name is the login
    /// there, by which databases know their users.
    pub fn issue_target(
        &self,
        login: &str,
        now: UnixTime,
    ) -> Result<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>), IssueError> {
        self.must_be(CaKind::TargetTls)?;
        let pkcs8 = Signer::generate(Algorithm::P256)?;
        let key = Signer::from_pkcs8(Algorithm::P256, &pkcs8)?;
        let mut params = params(login, now, now.plus(limits::TARGET_LIFE))?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = self.sign(params, &key)?;
        Ok((certificate, PrivatePkcs8KeyDer::from(pkcs8.to_vec())))
    }

    fn issue_user(
        &self,
        credential: Credential,
        payload: &Payload,
        spki_der: &[u8],
        now: UnixTime,
        not_after: UnixTime,
    ) -> Result<CertificateDer<'static>, IssueError> {
        let key = Some(spki_der).filter(|spki| spki::is_usable(spki)).ok_or(IssueError::Key)?;
        let key = SubjectPublicKeyInfo::from_der(key).map_err(|_| IssueError::Key)?;
        let usage = match credential {
            Credential::Login | Credential::SshKey => oid::LOGIN_USAGE,
            Credential::Session => oid::SESSION_USAGE,
        };
        let record = payload.to_der().ok_or(IssueError::Oversized { max: limits::X509_MAX })?;
        let mut params = params(payload.user.as_str(), now, not_after)?;
        params.subject_alt_names = vec![uri(&super::uri(&payload.gate, &payload.user, credential))?];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::Other(usage.to_vec())];
        // Verifiers refuse unknown critical extensions, so the record is not critical; the authority's key and
        // the extended key usage keep the certificate from being read by anybody who does not know it.
        params.custom_extensions = vec![CustomExtension::from_oid_content(oid::PAYLOAD, record)];
        self.sign(params, &key)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, IssueError> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let certificate =
            params.signed_by(key, &self.issuer).map_err(|_| IssueError::Crypto("the certificate is not signed"))?;
        let certificate = CertificateDer::from(certificate);
        if certificate.len() > limits::X509_MAX {
            return Err(IssueError::Oversized { max: limits::X509_MAX });
        }
        Ok(certificate)
    }

    fn must_be(&self, due: CaKind) -> Result<(), IssueError> {
        if self.kind == due { Ok(()) } else { Err(IssueError::WrongCa { ca: self.kind, due }) }
    }
}

/// Without the private key.
impl fmt::Debug for X509Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Ca").field("kind", &self.kind).field("pin", &self.pin()).finish_non_exhaustive()
    }
}

/// Host authorities vouch for those that come after them; no other has one below it.
const fn authority(kind: CaKind) -> IsCa {
    IsCa::Ca(BasicConstraints::Constrained(match kind {
        CaKind::Host => limits::LINEAGE_MAX,
        _ => 0,
    }))
}

fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

fn algorithm(kind: CaKind) -> Result<Algorithm, IssueError> {
    match kind {
        CaKind::Login | CaKind::Session => Ok(Algorithm::Ed25519),
        CaKind::Host | CaKind::TargetTls => Ok(Algorithm::P256),
        CaKind::LoginSsh | CaKind::SessionSsh | CaKind::HostSsh | CaKind::TargetSsh => {
            Err(IssueError::Parts("the kind is not X.509"))
        }
    }
}

fn params(common_name: &str, now: UnixTime, not_after: UnixTime) -> Result<CertificateParams, IssueError> {
    if not_after.as_secs() > limits::LAST_SECOND {
        return Err(IssueError::TooLong { max_seconds: limits::LAST_SECOND });
    }
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + Duration::from_secs(now.minus(limits::SKEW).as_secs());
    params.not_after = epoch + Duration::from_secs(not_after.as_secs());
    params.serial_number = Some(SerialNumber::from_slice(&random::bytes::<16>()?));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}

fn uri(text: &str) -> Result<SanType, IssueError> {
    text.try_into().map(SanType::URI).map_err(|_| IssueError::Names("the user's URI is not ASCII"))
}

/// A DNS name, also with a wildcard in front, or an address.
fn host_name(name: &str) -> Result<SanType, IssueError> {
    if let Ok(ip) = name.parse() {
        return Ok(SanType::IpAddress(ip));
    }
    let plain = name.strip_prefix("*.").unwrap_or(name);
    rustls::pki_types::DnsName::try_from(plain).map_err(|_| IssueError::Names("one is not a DNS name or address"))?;
    name.try_into().map(SanType::DnsName).map_err(|_| IssueError::Names("one is not ASCII"))
}
