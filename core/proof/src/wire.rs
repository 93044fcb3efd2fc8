//! The statement's one schema, in DER.
//!
//! ```text
//! Tapgate-Statement DEFINITIONS IMPLICIT TAGS ::= BEGIN
//!
//! Statement ::= SEQUENCE {
//!     version   INTEGER (1),
//!     gate      Digest,                                -- of the cluster's key
//!     purpose   ENUMERATED { session(0), login(1), admin(2), add-device(3), statement(4) },
//!     user      UTF8String (SIZE (1..64)),
//!     uses      ENUMERATED { once(0), window(1) },
//!     source    [0] Address OPTIONAL,                  -- the only address it may be used from
//!     action    [1] Digest OPTIONAL,                   -- of what is done, where it is no session
//!     targets   SEQUENCE (SIZE (0..64)) OF Target,     -- ascending by the bytes of their encoding
//!     created   INTEGER (0..18446744073709551615),     -- seconds since the epoch
//!     expires   INTEGER (0..18446744073709551615) }
//!
//! Target ::= SEQUENCE {
//!     uid       OCTET STRING (SIZE (16)),
//!     kind      UTF8String,                            -- node, db, kube_cluster, app, windows_desktop
//!     name      UTF8String (SIZE (1..253)),
//!     login     Login,                                 -- of the same kind
//!     holder    Holder }
//!
//! Login ::= CHOICE {
//!     unix      [0] UTF8String,
//!     db        [1] SEQUENCE { user UTF8String, database UTF8String OPTIONAL },
//!     kube      [2] SEQUENCE { user UTF8String, groups SEQUENCE (SIZE (0..64)) OF UTF8String }, -- ascending
//!     app       [3] NULL,
//!     desktop   [4] UTF8String }
//!
//! Holder ::= CHOICE {
//!     session-key   [0] Digest,                        -- SHA-256 of the SPKI
//!     ssh-session   [1] Digest,                        -- the exchange hash
//!     tls-exporter  [2] Digest,
//!     web-session   [3] Digest,
//!     login-key     [4] SEQUENCE { key Digest, address Address },
//!     web-connection [5] SEQUENCE { session Digest, connection Digest } }
//!
//! Digest  ::= OCTET STRING (SIZE (32))                 -- SHA-256
//! Address ::= OCTET STRING (SIZE (4 | 16))             -- never an IPv4 address mapped into IPv6
//!
//! END
//! ```

#![expect(clippy::unnested_or_patterns, reason = "derive(Choice) writes such patterns")]

use std::net::IpAddr;
use std::sync::Arc;

use der::asn1::{Null, OctetStringRef, Utf8StringRef};
use der::{
    Choice, DecodeValue, EncodeValue, Error, ErrorKind, FixedTag, Header, Length, Reader, Result, Sequence, Tag, Writer,
};
use tapgate_model::{Digest, Login, TargetRef, TargetUid, UnixTime};

use crate::statement::{StatementError, StatementParts, StatementTarget};
use crate::{Holder, Purpose, Uses};

/// The schema's version.
pub(crate) const VERSION: u8 = 1;

/// `Statement` of the schema.
#[derive(Sequence)]
pub(crate) struct WireStatement<'a> {
    version: u8,
    gate: Octets<32>,
    purpose: Purpose,
    user: Utf8StringRef<'a>,
    uses: Uses,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    source: Option<Address>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    action: Option<Octets<32>>,
    targets: Vec<WireTarget<'a>>,
    created: u64,
    expires: u64,
}

/// `Target` of the schema.
#[derive(Sequence)]
pub(crate) struct WireTarget<'a> {
    uid: Octets<16>,
    kind: Utf8StringRef<'a>,
    name: Utf8StringRef<'a>,
    login: WireLogin<'a>,
    holder: WireHolder,
}

#[derive(Choice)]
enum WireLogin<'a> {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Unix(Utf8StringRef<'a>),
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true")]
    Db(WireDb<'a>),
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT", constructed = "true")]
    Kube(WireKube<'a>),
    #[asn1(context_specific = "3", tag_mode = "IMPLICIT")]
    App(Null),
    #[asn1(context_specific = "4", tag_mode = "IMPLICIT")]
    Desktop(Utf8StringRef<'a>),
}

#[derive(Sequence)]
struct WireDb<'a> {
    user: Utf8StringRef<'a>,
    database: Option<Utf8StringRef<'a>>,
}

#[derive(Sequence)]
struct WireKube<'a> {
    user: Utf8StringRef<'a>,
    groups: Vec<Utf8StringRef<'a>>,
}

#[derive(Choice)]
enum WireHolder {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    SessionKey(Octets<32>),
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT")]
    SshSession(Octets<32>),
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT")]
    TlsExporter(Octets<32>),
    #[asn1(context_specific = "3", tag_mode = "IMPLICIT")]
    WebSession(Octets<32>),
    #[asn1(context_specific = "4", tag_mode = "IMPLICIT", constructed = "true")]
    LoginKey(WireLoginKey),
    #[asn1(context_specific = "5", tag_mode = "IMPLICIT", constructed = "true")]
    WebConnection(WireWebConnection),
}

#[derive(Sequence)]
struct WireWebConnection {
    session: Octets<32>,
    connection: Octets<32>,
}

#[derive(Sequence)]
struct WireLoginKey {
    key: Octets<32>,
    address: Address,
}

// === From the parts to the schema ===

impl<'a> WireStatement<'a> {
    pub(crate) fn new(parts: &'a StatementParts) -> Result<Self> {
        Ok(Self {
            version: VERSION,
            gate: parts.gate.into(),
            purpose: parts.purpose,
            user: Utf8StringRef::new(parts.user.as_str())?,
            uses: parts.uses,
            source: parts.source_ip.map(Address),
            action: parts.action.map(Octets::from),
            targets: parts.targets.iter().map(WireTarget::new).collect::<Result<_>>()?,
            created: parts.created.as_secs(),
            expires: parts.expires.as_secs(),
        })
    }

    pub(crate) fn into_parts(self) -> std::result::Result<StatementParts, StatementError> {
        if self.version != VERSION {
            return Err(StatementError::Version(self.version));
        }
        Ok(StatementParts {
            gate: self.gate.into(),
            purpose: self.purpose,
            user: self.user.as_str().parse()?,
            uses: self.uses,
            source_ip: self.source.map(|address| address.0),
            action: self.action.map(Digest::from),
            targets: self.targets.into_iter().map(WireTarget::into_target).collect::<std::result::Result<_, _>>()?,
            created: UnixTime::from_secs(self.created),
            expires: UnixTime::from_secs(self.expires),
        })
    }
}

impl<'a> WireTarget<'a> {
    pub(crate) fn new(target: &'a StatementTarget) -> Result<Self> {
        Ok(Self {
            uid: Octets(*target.target.uid.as_bytes()),
            kind: Utf8StringRef::new(target.target.kind.as_str())?,
            name: Utf8StringRef::new(target.target.name.as_str())?,
            login: WireLogin::new(&target.login)?,
            holder: WireHolder::new(&target.holder),
        })
    }

    fn into_target(self) -> std::result::Result<StatementTarget, StatementError> {
        let target = TargetRef {
            kind: self.kind.as_str().parse().map_err(StatementError::Kind)?,
            name: self.name.as_str().parse()?,
            uid: TargetUid::from_bytes(self.uid.0),
        };
        Ok(StatementTarget { target, login: self.login.into_login()?, holder: self.holder.into_holder() })
    }
}

impl<'a> WireLogin<'a> {
    fn new(login: &'a Login) -> Result<Self> {
        Ok(match login {
            Login::Unix(name) => Self::Unix(Utf8StringRef::new(name.as_str())?),
            Login::Desktop(name) => Self::Desktop(Utf8StringRef::new(name.as_str())?),
            Login::App => Self::App(Null),
            Login::Db { user, database } => Self::Db(WireDb {
                user: Utf8StringRef::new(user.as_str())?,
                database: database.as_deref().map(Utf8StringRef::new).transpose()?,
            }),
            Login::Kube { user, groups } => Self::Kube(WireKube {
                user: Utf8StringRef::new(user.as_ref())?,
                groups: groups.iter().map(|group| Utf8StringRef::new(group.as_ref())).collect::<Result<_>>()?,
            }),
        })
    }

    fn into_login(self) -> std::result::Result<Login, StatementError> {
        let text = |string: &Utf8StringRef<'_>| Arc::from(string.as_str());
        Ok(match self {
            Self::Unix(name) => Login::Unix(name.as_str().parse()?),
            Self::Desktop(name) => Login::Desktop(name.as_str().parse()?),
            Self::App(Null) => Login::App,
            Self::Db(WireDb { user, database }) => {
                Login::Db { user: user.as_str().parse()?, database: database.as_ref().map(text) }
            }
            Self::Kube(WireKube { user, groups }) => {
                Login::Kube { user: text(&user), groups: groups.iter().map(text).collect() }
            }
        })
    }
}

impl WireHolder {
    fn new(holder: &Holder) -> Self {
        match *holder {
            Holder::SessionKey(digest) => Self::SessionKey(digest.into()),
            Holder::SshSession(digest) => Self::SshSession(digest.into()),
            Holder::TlsExporter(digest) => Self::TlsExporter(digest.into()),
            Holder::WebSession(digest) => Self::WebSession(digest.into()),
            Holder::LoginKey { key, address } => {
                Self::LoginKey(WireLoginKey { key: key.into(), address: Address(address) })
            }
            Holder::WebConnection { session, connection } => {
                Self::WebConnection(WireWebConnection { session: session.into(), connection: connection.into() })
            }
        }
    }

    fn into_holder(self) -> Holder {
        match self {
            Self::SessionKey(digest) => Holder::SessionKey(digest.into()),
            Self::SshSession(digest) => Holder::SshSession(digest.into()),
            Self::TlsExporter(digest) => Holder::TlsExporter(digest.into()),
            Self::WebSession(digest) => Holder::WebSession(digest.into()),
            Self::LoginKey(WireLoginKey { key, address }) => Holder::LoginKey { key: key.into(), address: address.0 },
            Self::WebConnection(WireWebConnection { session, connection }) => {
                Holder::WebConnection { session: session.into(), connection: connection.into() }
            }
        }
    }
}

// === Octet strings of a fixed size ===

/// An `OCTET STRING` of exactly `N` bytes.
#[derive(Clone, Copy)]
pub(crate) struct Octets<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> FixedTag for Octets<N> {
    const TAG: Tag = Tag::OctetString;
}

impl<'a, const N: usize> DecodeValue<'a> for Octets<N> {
    type Error = Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> Result<Self> {
        let bytes = <&OctetStringRef>::decode_value(reader, header)?;
        bytes.as_bytes().try_into().map(Self).map_err(|_| reader.error(ErrorKind::Length { tag: Self::TAG }))
    }
}

impl<const N: usize> EncodeValue for Octets<N> {
    fn value_len(&self) -> Result<Length> {
        Length::try_from(N)
    }

    fn encode_value(&self, writer: &mut impl Writer) -> Result<()> {
        writer.write(&self.0)
    }
}

impl From<Digest> for Octets<32> {
    fn from(digest: Digest) -> Self {
        Self(*digest.as_bytes())
    }
}

impl From<Octets<32>> for Digest {
    fn from(octets: Octets<32>) -> Self {
        Self::from_bytes(octets.0)
    }
}

/// `Address` of the schema.
struct Address(IpAddr);

impl FixedTag for Address {
    const TAG: Tag = Tag::OctetString;
}

impl<'a> DecodeValue<'a> for Address {
    type Error = Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> Result<Self> {
        let bytes = <&OctetStringRef>::decode_value(reader, header)?.as_bytes();
        let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
        address.map(Self).map_err(|_| reader.error(ErrorKind::Length { tag: Self::TAG }))
    }
}

impl EncodeValue for Address {
    fn value_len(&self) -> Result<Length> {
        Ok(Length::new(if self.0.is_ipv4() { 4 } else { 16 }))
    }

    fn encode_value(&self, writer: &mut impl Writer) -> Result<()> {
        match self.0 {
            IpAddr::V4(address) => writer.write(&address.octets()),
            IpAddr::V6(address) => writer.write(&address.octets()),
        }
    }
}
