//! A client's login (`SSLRequest` and `HandshakeResponse41`): read from clients, written to targets.

use mysql_common::constants::CapabilityFlags as Flags;

use super::WireError;
use super::read::{Reader, put_number};

/// The length of an `SSLRequest`, which is a login's beginning.
pub(crate) const TLS_REQUEST_LEN: usize = 32;

/// A client's login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoginPacket {
    pub(crate) flags: Flags,
    pub(crate) packet_max: u32,
    pub(crate) collation: u8,
    pub(crate) user: Vec<u8>,
    /// What proves the user, in the form of the plugin.
    pub(crate) answer: Vec<u8>,
    pub(crate) database: Option<Vec<u8>>,
    pub(crate) plugin: Vec<u8>,
    /// The connection attributes, as they were sent, with their length before them; empty for none.
    pub(crate) attributes: Vec<u8>,
}

/// A client's first packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// It wants TLS before it says who it is.
    Tls,
    /// It says who it is.
    Login(Box<LoginPacket>),
}

impl First {
    /// Reads it.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let flags = Reader(payload).u32().map(Flags::from_bits_truncate).unwrap_or_default();
        if !flags.contains(Flags::CLIENT_PROTOCOL_41) {
            return Err(WireError::Malformed("a login of before MySQL 4.1"));
        }
        if flags.contains(Flags::CLIENT_SSL) && payload.len() == TLS_REQUEST_LEN {
            return Ok(Self::Tls);
        }
        Ok(Self::Login(Box::new(LoginPacket::parse(payload)?)))
    }
}

impl LoginPacket {
    /// Reads one.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, WireError> {
        Self::read(Reader(payload)).ok_or(WireError::Malformed("the login"))
    }

    fn read(mut reader: Reader<'_>) -> Option<Self> {
        let flags = Flags::from_bits_truncate(reader.u32()?);
        if !flags.contains(Flags::CLIENT_PROTOCOL_41) {
            return None;
        }
        let packet_max = reader.u32()?;
        let collation = reader.u8()?;
        reader.take(23)?;
        let user = reader.until_zero().to_vec();
        let answer = if flags.contains(Flags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) {
            reader.counted()?
        } else if flags.contains(Flags::CLIENT_SECURE_CONNECTION) {
            let length = usize::from(reader.u8()?);
            reader.take(length)?
        } else {
            reader.until_zero()
        };
        let has = |flag| flags.contains(flag);
        let database = has(Flags::CLIENT_CONNECT_WITH_DB).then(|| reader.until_zero().to_vec());
        let plugin = if has(Flags::CLIENT_PLUGIN_AUTH) { reader.until_zero().to_vec() } else { Vec::new() };
        let attributes = if has(Flags::CLIENT_CONNECT_ATTRS) && !reader.0.is_empty() {
            let from = reader.0;
            reader.counted()?;
            from.get(..from.len() - reader.0.len())?.to_vec()
        } else {
            Vec::new()
        };
        let (answer, database) = (answer.to_vec(), database.filter(|name| !name.is_empty()));
        Some(Self { flags, packet_max, collation, user, answer, database, plugin, attributes })
    }

    /// What the client says of itself under this name.
    pub(crate) fn attribute(&self, name: &[u8]) -> Option<String> {
        let mut all = Reader(&self.attributes);
        let mut pairs = Reader(all.counted()?);
        while !pairs.0.is_empty() {
            let (known, value) = (pairs.counted()?, pairs.counted()?);
            if known == name {
                return Some(String::from_utf8_lossy(value).into_owned());
            }
        }
        None
    }

    /// The beginning, which alone asks for TLS.
    pub(crate) fn encode_tls_request(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(TLS_REQUEST_LEN);
        payload.extend_from_slice(&self.flags.bits().to_le_bytes());
        payload.extend_from_slice(&self.packet_max.to_le_bytes());
        payload.push(self.collation);
        payload.extend_from_slice(&[0; 23]);
        payload
    }

    /// Its payload, after the flags that it has.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut payload = self.encode_tls_request();
        payload.extend_from_slice(&self.user);
        payload.push(0);
        if self.flags.contains(Flags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) {
            put_number(&mut payload, self.answer.len());
        } else if self.flags.contains(Flags::CLIENT_SECURE_CONNECTION) {
            payload.push(u8::try_from(self.answer.len()).unwrap_or_default());
        }
        payload.extend_from_slice(&self.answer);
        if !self.flags.intersects(Flags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA | Flags::CLIENT_SECURE_CONNECTION) {
            payload.push(0);
        }
        if self.flags.contains(Flags::CLIENT_CONNECT_WITH_DB) {
            payload.extend_from_slice(self.database.as_deref().unwrap_or_default());
            payload.push(0);
        }
        if self.flags.contains(Flags::CLIENT_PLUGIN_AUTH) {
            payload.extend_from_slice(&self.plugin);
            payload.push(0);
        }
        payload.extend_from_slice(&self.attributes);
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::super::caps::OFFERED;
    use super::*;

    fn login() -> LoginPacket {
        LoginPacket {
            flags: OFFERED,
            packet_max: 1 << 24,
            collation: 45,
            user: b"app@orders".to_vec(),
            answer: vec![7; 20],
            database: Some(b"shop".to_vec()),
            plugin: b"mysql_native_password".to_vec(),
            attributes: b"\x04\x01a\x01b".to_vec(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(First::parse(&login().encode()).unwrap(), First::Login(Box::new(login())));
        let plain = LoginPacket { flags: OFFERED - Flags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA, ..login() };
        assert_eq!(LoginPacket::parse(&plain.encode()).unwrap(), plain);
        let tls = LoginPacket { flags: OFFERED | Flags::CLIENT_SSL, ..login() };
        assert_eq!(First::parse(&tls.encode_tls_request()).unwrap(), First::Tls);
    }

    #[test]
    fn a_lie_about_a_length_is_no_login() {
        let mut bytes = login().encode();
        let answer_at = TLS_REQUEST_LEN + login().user.len() + 1;
        *bytes.get_mut(answer_at).unwrap() = 0xfa;
        assert!(First::parse(&bytes).is_err());
        let mut attributes = login();
        attributes.attributes = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff".to_vec();
        assert!(First::parse(&attributes.encode()).is_err());
        assert!(First::parse(b"").is_err());
        assert!(First::parse(&[0; 32]).is_err());
    }
}
