//! A server's first word (`HandshakeV10`): written to clients, read from targets.

use mysql_common::constants::CapabilityFlags as Flags;

use super::WireError;
use super::error::ServerError;
use super::read::Reader;

/// How many bytes a challenge has.
pub(crate) const CHALLENGE_LEN: usize = 20;

/// The longest challenge that is read, in bytes. The longest that is known has 32.
const CHALLENGE_MAX: usize = 64;

/// What a server says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: Vec<u8>,
    pub(crate) thread: u32,
    pub(crate) challenge: Vec<u8>,
    pub(crate) flags: Flags,
    pub(crate) collation: u8,
    pub(crate) status: u16,
    pub(crate) plugin: Vec<u8>,
}

/// Why a target's greeting is not one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GreetingError {
    /// It said an error instead.
    #[error("{0}")]
    Refused(ServerError),
    /// It said something else.
    #[error("{0}")]
    Wire(#[from] WireError),
}

impl Greeting {
    /// Its payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (lower, upper) = (self.flags.bits().to_le_bytes(), self.status.to_le_bytes());
        let (first, second) = self.challenge.split_at_checked(8).unwrap_or((&self.challenge, &[]));
        let mut payload = vec![10];
        payload.extend_from_slice(&self.version);
        payload.push(0);
        payload.extend_from_slice(&self.thread.to_le_bytes());
        payload.extend_from_slice(first);
        payload.push(0);
        payload.extend_from_slice(lower.get(..2).unwrap_or_default());
        payload.push(self.collation);
        payload.extend_from_slice(&upper);
        payload.extend_from_slice(lower.get(2..).unwrap_or_default());
        payload.push(u8::try_from(self.challenge.len() + 1).unwrap_or_default());
        payload.extend_from_slice(&[0; 10]);
        payload.extend_from_slice(second);
        payload.push(0);
        payload.extend_from_slice(&self.plugin);
        payload.push(0);
        payload
    }

    /// Reads one.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, GreetingError> {
        if let Some(error) = ServerError::parse(payload) {
            return Err(GreetingError::Refused(error));
        }
        Self::read(Reader(payload)).ok_or(GreetingError::Wire(WireError::Malformed("the server's greeting")))
    }

    fn read(mut reader: Reader<'_>) -> Option<Self> {
        if reader.u8()? != 10 {
            return None;
        }
        let version = reader.until_zero().to_vec();
        let thread = reader.u32()?;
        let mut challenge = reader.take(8)?.to_vec();
        reader.u8()?;
        let lower = reader.u16()?;
        let collation = reader.u8()?;
        let status = reader.u16()?;
        let upper = reader.u16()?;
        let length = usize::from(reader.u8()?);
        reader.take(10)?;
        let flags = Flags::from_bits_truncate(u32::from(upper) << 16 | u32::from(lower));
        if !flags.contains(Flags::CLIENT_SECURE_CONNECTION) {
            return None;
        }
        let rest = reader.take(length.saturating_sub(8).max(13))?;
        challenge.extend_from_slice(rest.strip_suffix(&[0]).unwrap_or(rest));
        if challenge.len() > CHALLENGE_MAX {
            return None;
        }
        let plugin = reader.until_zero().to_vec();
        Some(Self { version, thread, challenge, flags, collation, status, plugin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting() -> Greeting {
        Greeting {
            version: b"8.0.40".to_vec(),
            thread: 7,
            challenge: (1..=20).collect(),
            flags: super::super::caps::OFFERED,
            collation: 45,
            status: 2,
            plugin: b"mysql_native_password".to_vec(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Greeting::parse(&greeting().encode()).unwrap(), greeting());
    }

    #[test]
    fn a_cut_greeting_is_none() {
        let whole = greeting().encode();
        for length in 0..whole.len() - greeting().plugin.len() - 2 {
            assert!(Greeting::parse(whole.get(..length).unwrap()).is_err(), "{length}");
        }
        let refused = Greeting::parse(b"\xff\x69\x04Host is blocked").unwrap_err();
        assert!(refused.to_string().contains("Host is blocked"), "{refused}");
    }
}
