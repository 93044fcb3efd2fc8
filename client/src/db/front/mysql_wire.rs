//! MySQL's packets up to the login's end: framing, the greeting, the login packet. Pure but for the framing.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::error::{Act as _, Failure, Result, printable};
use crate::limits::MYSQL_LOGIN_BYTES_MAX;

/// `CLIENT_CONNECT_WITH_DB`: the login names a database.
const CONNECT_WITH_DB: u32 = 1 << 3;
/// `CLIENT_PROTOCOL_41`.
const PROTOCOL_41: u32 = 1 << 9;
/// `CLIENT_SSL`.
const TLS: u32 = 1 << 11;
/// `CLIENT_SECURE_CONNECTION`: the answer's length is one byte.
const SECURE_CONNECTION: u32 = 1 << 15;
/// `CLIENT_PLUGIN_AUTH`: the login names its plugin.
const PLUGIN_AUTH: u32 = 1 << 19;
/// `CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA`: the answer's length is a number of any size.
const LENGTH_ENCODED: u32 = 1 << 21;
/// `CLIENT_CONNECT_ATTRS`: the login ends with attributes.
const ATTRIBUTES: u32 = 1 << 20;

/// What this front offers, which is what the gate offers: every flag from `CLIENT_LONG_PASSWORD` to
/// `CLIENT_DEPRECATE_EOF` but for compression (bit 5), TLS (bit 11) and the one that is reserved (bit 14). The two
/// families' own extensions lie above.
pub(super) const OFFERED: u32 = 0x01ff_b7df;

/// How many bytes of chance a password is mixed with.
pub(super) const CHALLENGE_BYTES: usize = 20;

/// The name of the plugin that clients begin with.
pub(super) const NATIVE: &[u8] = b"mysql_native_password";

/// A connection in its packets: three bytes of length, one that counts, and what is said.
pub(super) struct Framed<T> {
    pub(super) io: T,
    next: u8,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Framed<T> {
    /// A connection on which nothing was said yet.
    pub(super) const fn new(io: T) -> Self {
        Self { io, next: 0 }
    }

    /// What the other side says next.
    pub(super) async fn read(&mut self) -> Result<Vec<u8>> {
        let act = || "a database client has left".to_owned();
        let mut head = [0; 4];
        self.io.read_exact(&mut head).await.act(act)?;
        let [a, b, c, count] = head;
        let size = usize::try_from(u32::from_le_bytes([a, b, c, 0])).unwrap_or(usize::MAX);
        if size > MYSQL_LOGIN_BYTES_MAX || count != self.next {
            return Err(Failure::new("what connected is no MySQL client, or none that keeps to the order"));
        }
        self.next = count.wrapping_add(1);
        let mut payload = vec![0; size];
        self.io.read_exact(&mut payload).await.act(act)?;
        Ok(payload)
    }

    /// Says something.
    pub(super) async fn write(&mut self, payload: &[u8]) -> Result<()> {
        let act = || "a database client has left".to_owned();
        let size = u32::try_from(payload.len()).act(act)?.to_le_bytes();
        let [a, b, c, _] = size;
        let packet = [&[a, b, c, self.next], payload].concat();
        self.next = self.next.wrapping_add(1);
        self.io.write_all(&packet).await.act(act)?;
        self.io.flush().await.act(act)
    }
}

/// The greeting of a server that offers this (`HandshakeV10`).
pub(super) fn greeting(challenge: &[u8; CHALLENGE_BYTES], thread: u32) -> Vec<u8> {
    let [low, low2, high, high2] = OFFERED.to_le_bytes();
    let (first, second) = challenge.split_at(8);
    // The collation is utf8mb4_general_ci, the status that transactions end by themselves.
    let flags = [low, low2, 45, 2, 0, high, high2, 21];
    let parts: [&[u8]; 10] =
        [b"\x0a8.0.40-tapgate\0", &thread.to_le_bytes(), first, b"\0", &flags, &[0; 10], second, b"\0", NATIVE, b"\0"];
    parts.concat()
}

/// What the server whose greeting this is can do; `None` where it is none.
pub(super) fn offered_by(greeting: &[u8]) -> Option<u32> {
    let (10, rest) = greeting.split_first()? else { return None };
    let behind = rest.iter().position(|byte| *byte == 0)? + 1;
    // The thread, the challenge's first part, and a zero.
    let flags = rest.get(behind + 13..)?;
    let [low, low2, _, _, _, high, high2] = flags.first_chunk::<7>()?;
    Some(u32::from_le_bytes([*low, *low2, *high, *high2]))
}

/// A client's login (`HandshakeResponse41`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) flags: u32,
    /// The longest packet, the collation, and what is reserved.
    head: Vec<u8>,
    pub(super) user: Vec<u8>,
    pub(super) answer: Vec<u8>,
    pub(super) database: Option<Vec<u8>>,
    pub(super) plugin: Vec<u8>,
    attributes: Vec<u8>,
}

impl Login {
    /// Reads one.
    pub(super) fn parse(payload: &[u8]) -> Result<Self> {
        let flags = payload.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).unwrap_or_default();
        if flags & TLS != 0 {
            return Err(Failure::new("there is no TLS between two programs of one machine")
                .advise("set ssl-mode=DISABLED, or skip-ssl with MariaDB's client"));
        }
        let login = if flags & PROTOCOL_41 == 0 { None } else { Self::read(flags, payload) };
        login.ok_or_else(|| Failure::new("the client's login packet cannot be read"))
    }

    fn read(flags: u32, payload: &[u8]) -> Option<Self> {
        let (head, mut rest) = payload.get(4..)?.split_at_checked(28)?;
        let user = until_zero(&mut rest)?.to_vec();
        let answer = if flags & LENGTH_ENCODED != 0 {
            let length = number(&mut rest)?;
            take(&mut rest, length)?
        } else if flags & SECURE_CONNECTION != 0 {
            let length = usize::from(*take(&mut rest, 1)?.first()?);
            take(&mut rest, length)?
        } else {
            until_zero(&mut rest)?
        };
        let answer = answer.to_vec();
        let has = |flag: u32| flags & flag != 0;
        let database = if has(CONNECT_WITH_DB) { Some(until_zero(&mut rest)?.to_vec()) } else { None };
        // Some clients leave the last zero away.
        let plugin = if has(PLUGIN_AUTH) { until_zero(&mut rest).unwrap_or_default().to_vec() } else { Vec::new() };
        let database = database.filter(|name| !name.is_empty());
        Some(Self { flags, head: head.to_vec(), user, answer, database, plugin, attributes: rest.to_vec() })
    }

    /// The login for the gate: this user, this database, and no password, as the certificate tells who it is.
    pub(super) fn towards(&self, user: &str, database: Option<&str>) -> Vec<u8> {
        let attributes = self.flags & ATTRIBUTES != 0 && !self.attributes.is_empty();
        let mut flags =
            self.flags & OFFERED & !CONNECT_WITH_DB & !ATTRIBUTES & !LENGTH_ENCODED | PLUGIN_AUTH | SECURE_CONNECTION;
        flags |= if attributes { ATTRIBUTES } else { 0 };
        flags |= if database.is_some() { CONNECT_WITH_DB } else { 0 };
        let mut payload = [&flags.to_le_bytes(), self.head.as_slice(), user.as_bytes(), b"\0\0"].concat();
        if let Some(database) = database {
            payload.extend_from_slice(database.as_bytes());
            payload.push(0);
        }
        payload.extend_from_slice(NATIVE);
        payload.push(0);
        if attributes {
            payload.extend_from_slice(&self.attributes);
        }
        payload
    }
}

/// The packet that turns a client away: 1045, `28000`, for whoever may not log in.
pub(super) fn error(text: &str) -> Vec<u8> {
    [b"\xff\x15\x04#28000".as_slice(), printable(text).as_bytes()].concat()
}

/// The packet that asks for another plugin's answer.
pub(super) fn switch(plugin: &[u8], challenge: &[u8; CHALLENGE_BYTES]) -> Vec<u8> {
    [b"\xfe", plugin, b"\0", challenge, b"\0"].concat()
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

fn until_zero<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let at = rest.iter().position(|byte| *byte == 0)?;
    let text = take(rest, at)?;
    take(rest, 1)?;
    Some(text)
}

/// A number of one byte, or of two behind `0xfc`; larger ones are no length of a password's answer.
fn number(rest: &mut &[u8]) -> Option<usize> {
    match take(rest, 1)?.first()? {
        small @ 0..=0xfa => Some(usize::from(*small)),
        0xfc => take(rest, 2)?.first_chunk().map(|bytes| usize::from(u16::from_le_bytes(*bytes))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(flags: u32, tail: &[u8]) -> Vec<u8> {
        [flags.to_le_bytes().as_slice(), &[7; 28], tail].concat()
    }

    #[test]
    fn a_greeting_says_what_is_offered() {
        let text = greeting(&[b'x'; CHALLENGE_BYTES], 9);
        assert_eq!(offered_by(&text), Some(OFFERED));
        assert_eq!(OFFERED & (TLS | 1 << 5), 0, "neither TLS nor compression");
        assert_eq!(offered_by(b"\xff\x15\x04#28000no"), None);
        assert_eq!(offered_by(&text[..20]), None);
    }

    #[test]
    fn a_login_is_written_anew() {
        let flags = PROTOCOL_41 | LENGTH_ENCODED | PLUGIN_AUTH | CONNECT_WITH_DB | ATTRIBUTES;
        let tail = b"app\0\x02abshop\0mysql_native_password\0\x04\x01a\x01b";
        let read = Login::parse(&login(flags, tail)).unwrap();
        assert_eq!((read.user.as_slice(), read.answer.as_slice()), (b"app".as_slice(), b"ab".as_slice()));
        assert_eq!(read.database.as_deref(), Some(b"shop".as_slice()));
        let again = Login::parse(&read.towards("app@orders", Some("shop"))).unwrap();
        assert_eq!((again.user.as_slice(), again.answer.len()), (b"app@orders".as_slice(), 0));
        assert_eq!(again.database, read.database);
        assert_eq!(again.attributes, b"\x04\x01a\x01b");
        let none = Login::parse(&read.towards("app@orders", None)).unwrap();
        assert_eq!((none.database, none.plugin.as_slice()), (None, NATIVE));
    }

    #[test]
    fn what_is_no_login_is_refused() {
        let flags = PROTOCOL_41 | LENGTH_ENCODED;
        for tail in [b"".as_slice(), b"app", b"app\0\x09ab", b"app\0\xfeab", b"app\0\xfc\xff\xff"] {
            assert!(Login::parse(&login(flags, tail)).is_err(), "{tail:?}");
        }
        assert!(Login::parse(&login(0, b"app\0\0")).is_err(), "before 4.1");
        let error = Login::parse(&login(flags | TLS, b"")).unwrap_err().to_string();
        assert!(error.contains("ssl-mode=DISABLED"), "{error}");
    }

    #[tokio::test]
    async fn packets_keep_their_order() {
        let (client, server) = tokio::io::duplex(1024);
        let (mut client, mut server) = (Framed::new(client), Framed::new(server));
        server.write(b"hello").await.unwrap();
        assert_eq!(client.read().await.unwrap(), b"hello");
        client.write(b"there").await.unwrap();
        assert_eq!(server.read().await.unwrap(), b"there");
        client.io.write_all(b"\x01\0\0\x07x").await.unwrap();
        assert!(server.read().await.is_err());
        client.io.write_all(b"\xff\xff\xff\x02x").await.unwrap();
        assert!(server.read().await.is_err());
    }
}
