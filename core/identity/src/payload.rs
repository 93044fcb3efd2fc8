//! The record inside a certificate: which gate, who, until when, from where, and the tap.

use std::net::IpAddr;

use der::asn1::OctetString;
use der::{Decode, Encode, Sequence};
use tapgate_model::{Digest, UnixTime, UserName};
use tapgate_proof::{Proof, Purpose};

use crate::IssueError;

/// The version that is written and the only one that is read.
const VERSION: u8 = 1;

/// The record, in both certificate formats the same bytes.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    /// The gate that the certificate is for.
    pub(crate) gate: Digest,
    /// Whose it is.
    pub(crate) user: UserName,
    /// When the login behind it ends.
    pub(crate) login_expires: UnixTime,
    /// The only address it may be used from, if it is pinned to one.
    pub(crate) source_ip: Option<IpAddr>,
    /// The tap, in session certificates.
    pub(crate) proof: Option<Proof>,
}

/// The DER schema.
#[derive(Sequence)]
struct Wire {
    version: u8,
    gate: OctetString,
    user: String,
    login_expires: u64,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    source_ip: Option<OctetString>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    proof: Option<OctetString>,
}

impl Payload {
    /// The record of a login certificate.
    pub(crate) fn login(gate: Digest, user: &UserName, expires: UnixTime, source_ip: Option<IpAddr>) -> Self {
        let source_ip = source_ip.map(|ip| ip.to_canonical());
        Self { gate, user: user.clone(), login_expires: expires, source_ip, proof: None }
    }

    /// The record of a session certificate, pinned where the statement is. A tap of somebody else or for
    /// another gate is refused at once, though it is the verifier who decides.
    pub(crate) fn session(
        gate: Digest,
        user: &UserName,
        login_expires: UnixTime,
        proof: &Proof,
    ) -> Result<Self, IssueError> {
        let statement = proof.statement().map_err(|_| IssueError::Proof("its statement cannot be read"))?;
        let parts = statement.parts();
        if parts.purpose != Purpose::Session {
            return Err(IssueError::Proof("it is not for a session"));
        }
        if parts.user != *user {
            return Err(IssueError::Proof("it is another user's"));
        }
        if parts.gate != gate {
            return Err(IssueError::Proof("it is for another gate"));
        }
        let source_ip = parts.source_ip.map(|ip| ip.to_canonical());
        Ok(Self { gate, user: user.clone(), login_expires, source_ip, proof: Some(proof.clone()) })
    }

    /// The record's bytes; `None` when a part is too large for DER.
    pub(crate) fn to_der(&self) -> Option<Vec<u8>> {
        let source_ip = match self.source_ip {
            Some(ip) => Some(address_octets(ip)?),
            None => None,
        };
        let proof = match &self.proof {
            Some(proof) => Some(octets(&proof.to_der().ok()?)?),
            None => None,
        };
        let gate = octets(self.gate.as_bytes())?;
        let user = self.user.as_str().to_owned();
        let login_expires = self.login_expires.as_secs();
        Wire { version: VERSION, gate, user, login_expires, source_ip, proof }.to_der().ok()
    }

    /// The record in these bytes; `None` unless they are its one and only encoding.
    pub(crate) fn from_der(bytes: &[u8]) -> Option<Self> {
        let wire = Wire::from_der(bytes).ok().filter(|wire| wire.version == VERSION)?;
        let source_ip = match wire.source_ip {
            Some(ip) => Some(address(ip.as_bytes())?),
            None => None,
        };
        let proof = wire.proof.map(|proof| Proof::from_der(proof.as_bytes())).transpose().ok()?;
        let gate = Digest::from_bytes(wire.gate.as_bytes().try_into().ok()?);
        let login_expires = UnixTime::from_secs(wire.login_expires);
        let payload = Self { gate, user: wire.user.parse().ok()?, login_expires, source_ip, proof };
        (payload.to_der().as_deref() == Some(bytes)).then_some(payload)
    }
}

fn octets(bytes: &[u8]) -> Option<OctetString> {
    OctetString::new(bytes).ok()
}

/// An address has one form: IPv4 in IPv6 is IPv4.
fn address_octets(ip: IpAddr) -> Option<OctetString> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => octets(&ip.octets()),
        IpAddr::V6(ip) => octets(&ip.octets()),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
