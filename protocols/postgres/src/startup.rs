//! What a client says first: packets without a kind, whose first number tells what they are.

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::limits::{CANCEL_KEY_MAX, STARTUP_MAX};
use crate::wire::{self, text};

const TLS_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// The newest minor version of protocol 3 that the gate speaks.
const MINOR_MAX: u16 = 2;

/// From this minor version on a cancel key may be longer than four bytes.
const MINOR_LONG_KEYS: u16 = 2;

/// A packet that a client may begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    /// It asks for TLS.
    Tls,
    /// It asks for encryption by GSSAPI.
    Gss,
    /// It asks that a statement of another connection be cancelled.
    Cancel(CancelKey),
    /// It asks for a session.
    Startup(Startup),
}

/// What a client was given to cancel its statements by.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CancelKey {
    pub(crate) process: u32,
    pub(crate) secret: Vec<u8>,
}

/// Never prints the secret.
impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelKey").field("process", &self.process).finish_non_exhaustive()
    }
}

impl CancelKey {
    /// The request that cancels by this key.
    pub(crate) fn request(&self) -> Vec<u8> {
        let body = [&CANCEL_REQUEST.to_be_bytes(), &self.process.to_be_bytes(), self.secret.as_slice()].concat();
        packet(&body)
    }

    /// The `BackendKeyData` that gives it to a client.
    pub(crate) fn message(&self) -> Vec<u8> {
        wire::frame(b'K', &[&self.process.to_be_bytes(), self.secret.as_slice()].concat())
    }
}

/// A name and its value.
type Parameter = (Vec<u8>, Vec<u8>);

/// A request for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Startup {
    /// The minor version that the client asks for.
    minor: u16,
    /// Names and values, in the client's order.
    parameters: Vec<Parameter>,
}

/// Why a first packet is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartupError {
    /// The connection is over.
    #[error("the connection ended: {0}")]
    Io(#[from] std::io::Error),
    /// Its length is no startup packet's.
    #[error("invalid length of startup packet (is this a PostgreSQL client?)")]
    Length,
    /// It asks for another protocol.
    #[error("protocol version {0}.{1} is not spoken here (use 3.0 or 3.2)")]
    Version(u16, u16),
    /// Its parameters can't be read.
    #[error("invalid startup packet: {0}")]
    Parameters(&'static str),
}

/// A packet of this body, without a kind.
pub(crate) fn packet(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), body].concat()
}

/// The request for TLS.
pub(crate) fn tls_request() -> Vec<u8> {
    packet(&TLS_REQUEST.to_be_bytes())
}

/// Reads one packet and not a byte more: what follows may have to be secured first.
pub(crate) async fn read(io: &mut (impl AsyncRead + Unpin + ?Sized)) -> Result<Packet, StartupError> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| StartupError::Length)?;
    if !(8..=STARTUP_MAX).contains(&length) {
        return Err(StartupError::Length);
    }
    let mut body = vec![0; length - 4];
    io.read_exact(&mut body).await?;
    parse(&body)
}

/// Reads the body of a packet. Pure.
pub(crate) fn parse(body: &[u8]) -> Result<Packet, StartupError> {
    let (code, rest) = body.split_first_chunk::<4>().ok_or(StartupError::Length)?;
    match u32::from_be_bytes(*code) {
        TLS_REQUEST if rest.is_empty() => Ok(Packet::Tls),
        GSS_REQUEST if rest.is_empty() => Ok(Packet::Gss),
        CANCEL_REQUEST => cancel(rest),
        TLS_REQUEST | GSS_REQUEST => Err(StartupError::Length),
        version => {
            let [a, b, c, d] = version.to_be_bytes();
            let (major, minor) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            if major != 3 {
                return Err(StartupError::Version(major, minor));
            }
            Ok(Packet::Startup(Startup { minor, parameters: parameters(rest)? }))
        }
    }
}

fn cancel(rest: &[u8]) -> Result<Packet, StartupError> {
    let (process, secret) = rest.split_first_chunk::<4>().ok_or(StartupError::Length)?;
    if !(4..=CANCEL_KEY_MAX).contains(&secret.len()) {
        return Err(StartupError::Length);
    }
    Ok(Packet::Cancel(CancelKey { process: u32::from_be_bytes(*process), secret: secret.to_vec() }))
}

fn parameters(mut rest: &[u8]) -> Result<Vec<Parameter>, StartupError> {
    let mut parameters: Vec<Parameter> = Vec::new();
    if rest.last() != Some(&0) {
        return Err(StartupError::Parameters("it does not end with a zero byte"));
    }
    loop {
        if rest.is_empty() {
            return Err(StartupError::Parameters("its end is missing"));
        }
        let (name, after) = text(rest);
        if name.is_empty() {
            let all = after.is_empty();
            return if all { Ok(parameters) } else { Err(StartupError::Parameters("something follows its end")) };
        }
        if after.is_empty() {
            return Err(StartupError::Parameters("a name has no value"));
        }
        // The server would take the last of two; whoever looks at the first would be misled.
        if parameters.iter().any(|(known, _)| known == name) {
            return Err(StartupError::Parameters("a parameter stands in it twice"));
        }
        let (value, next) = text(after);
        parameters.push((name.to_vec(), value.to_vec()));
        rest = next;
    }
}

impl Startup {
    /// The value of a parameter, where it is a text and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let value = self.parameters.iter().find(|(known, _)| known == name.as_bytes()).map(|(_, value)| value)?;
        str::from_utf8(value).ok().filter(|value| !value.is_empty())
    }

    /// The parameters that are settings of the session: all but those that say who comes and how.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let own: [&[u8]; 3] = [b"user", b"database", b"replication"];
        let settings = self
            .parameters
            .iter()
            .filter(move |(name, _)| !own.contains(&name.as_slice()) && !name.starts_with(b"_pq_."));
        settings.map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// Whether the client can be given a long cancel key.
    pub(crate) const fn takes_long_keys(&self) -> bool {
        self.minor >= MINOR_LONG_KEYS
    }

    /// The `NegotiateProtocolVersion` that this client must read, where it asked for what the gate does not speak.
    pub(crate) fn negotiation(&self) -> Option<Vec<u8>> {
        let unknown: Vec<&[u8]> =
            self.parameters.iter().map(|(name, _)| name.as_slice()).filter(|name| name.starts_with(b"_pq_.")).collect();
        if self.minor <= MINOR_MAX && unknown.is_empty() {
            return None;
        }
        let version = (3_u32 << 16) | u32::from(self.minor.min(MINOR_MAX));
        let count = u32::try_from(unknown.len()).unwrap_or(u32::MAX);
        let mut body = [version.to_be_bytes(), count.to_be_bytes()].concat();
        for name in unknown {
            body.extend_from_slice(name);
            body.push(0);
        }
        Some(wire::frame(b'v', &body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn startup(minor: u16, parameters: &[u8]) -> Result<Packet, StartupError> {
        let body = [&[0, 3][..], &minor.to_be_bytes(), parameters].concat();
        parse(&body)
    }

    fn good(minor: u16, parameters: &[u8]) -> Startup {
        match startup(minor, parameters) {
            Ok(Packet::Startup(startup)) => startup,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests_without_parameters() {
        assert_eq!(parse(&TLS_REQUEST.to_be_bytes()).unwrap(), Packet::Tls);
        assert_eq!(parse(&GSS_REQUEST.to_be_bytes()).unwrap(), Packet::Gss);
        assert!(matches!(parse(b"\x04\xd2\x16\x2f\0"), Err(StartupError::Length)));
        assert!(matches!(parse(b""), Err(StartupError::Length)));
        assert!(matches!(parse(&[0, 2, 0, 0]), Err(StartupError::Version(2, 0))));
        assert!(matches!(parse(b"HTTP/1.1"), Err(StartupError::Version(..))));
    }

    #[test]
    fn cancel_keys_go_out_and_back() {
        for length in [4, 32, 256] {
            let key = CancelKey { process: 77, secret: vec![9; length] };
            let request = key.request();
            assert_eq!(parse(&request[4..]).unwrap(), Packet::Cancel(key));
        }
        for length in [0, 3, 257] {
            let key = CancelKey { process: 77, secret: vec![9; length] };
            assert!(parse(&key.request()[4..]).is_err(), "{length}");
        }
        assert!(!format!("{:?}", CancelKey { process: 1, secret: vec![0xab; 4] }).contains("171"));
    }

    #[test]
    fn parameters_are_read_whole_or_not_at_all() {
        let startup_0 = good(0, b"user\0app@orders\0database\0shop\0options\0-c x=1\0\0");
        assert_eq!((startup_0.text("user"), startup_0.text("database")), (Some("app@orders"), Some("shop")));
        let settings: Vec<_> = startup_0.settings().collect();
        assert_eq!(settings, [(&b"options"[..], &b"-c x=1"[..])]);
        assert_eq!(good(0, b"\0").text("user"), None);
        for bad in [&b""[..], b"user", b"user\0", b"user\0app", b"user\0app\0", b"user\0\0more\0", b"a\0b\0a\0c\0\0"] {
            assert!(startup(0, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_spoken_is_negotiated() {
        assert_eq!(good(0, b"\0").negotiation(), None);
        assert_eq!(good(2, b"\0").negotiation(), None);
        assert!(!good(0, b"\0").takes_long_keys() && good(2, b"\0").takes_long_keys());
        assert_eq!(good(9999, b"\0").negotiation().unwrap(), b"v\0\0\0\x0c\0\x03\0\x02\0\0\0\0");
        let grease = good(0, b"_pq_.test\0on\0\0");
        assert_eq!(grease.negotiation().unwrap(), b"v\0\0\0\x16\0\x03\0\0\0\0\0\x01_pq_.test\0");
        assert_eq!(grease.settings().count(), 0);
    }

    #[tokio::test]
    async fn nothing_is_read_beyond_a_packet() {
        let mut bytes: &[u8] = &[tls_request(), b"more".to_vec()].concat();
        assert_eq!(read(&mut bytes).await.unwrap(), Packet::Tls);
        assert_eq!(bytes, b"more");
        for length in [0_u32, 7, 10_001, u32::MAX] {
            let mut bytes: &[u8] = &[&length.to_be_bytes()[..], &vec![0; 20_000]].concat();
            assert!(matches!(read(&mut bytes).await, Err(StartupError::Length)), "{length}");
        }
        let mut cut: &[u8] = b"\0\0\0\x20\0\x03\0\0user\0";
        assert!(matches!(read(&mut cut).await, Err(StartupError::Io(_))));
    }
}
