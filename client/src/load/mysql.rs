//! One MySQL or MariaDB session: a statement, and its end.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::route::{Route, Stream};
use super::tally::{Fault, Kind};
use crate::db::front::native_proof;
use crate::limits::LOAD_MESSAGE_BYTES_MAX;

/// `CLIENT_LONG_PASSWORD`, `CLIENT_PROTOCOL_41`, `CLIENT_TRANSACTIONS`, `CLIENT_SECURE_CONNECTION` and
/// `CLIENT_PLUGIN_AUTH`.
const FLAGS: u32 = 1 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 19;

/// `CLIENT_CONNECT_WITH_DB`.
const WITH_DATABASE: u32 = 1 << 3;

/// `CLIENT_SSL`.
const TLS: u32 = 1 << 11;

/// `utf8mb4_general_ci`.
const COLLATION: u8 = 45;

const NATIVE: &[u8] = b"mysql_native_password";

/// How many bytes of chance a password is mixed with.
const CHALLENGE_BYTES: usize = 20;

/// A connection in its packets: three bytes of length, one that counts, and what is said.
struct Line {
    io: BufReader<Stream>,
    next: u8,
}

/// Runs the statement; answers when the server was ready for it.
pub(super) async fn session(route: &Route, statement: &str) -> Result<Instant, Fault> {
    let desk = route.desk().await?;
    let mut line = Line { io: BufReader::new(desk.stream), next: 0 };
    let greeting = line.read().await?;
    let challenge = challenge(&greeting).ok_or_else(|| Fault::new(Kind::Answer, "the server does not greet"))?;
    let (mut flags, mut answer) = (FLAGS, Vec::new());
    let direct = route.direct();
    let password = direct.and_then(|direct| direct.password.as_ref());
    if desk.database.is_some() {
        flags |= WITH_DATABASE;
    }
    if let Some(direct) = direct.filter(|direct| direct.wants_tls()) {
        flags |= TLS;
        line.write(&head(flags)).await?;
        let Line { io, next } = line;
        line = Line { io: BufReader::new(direct.in_tls(io.into_inner()).await?), next };
    }
    if let Some(password) = password {
        answer = native_proof(password, &challenge);
    }
    line.write(&login(flags, &desk.user, &answer, desk.database.as_deref())).await?;
    line.let_in(password.map(|password| password.as_str())).await?;
    let reached = Instant::now();
    line.next = 0;
    line.write(&[b"\x03", statement.as_bytes()].concat()).await?;
    line.result().await?;
    line.next = 0;
    // Nobody waits for the end of a session that is over.
    line.write(b"\x01").await.ok();
    line.io.shutdown().await.ok();
    Ok(reached)
}

impl Line {
    async fn write(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let [a, b, c, _] = u32::try_from(payload.len()).map_err(Fault::of(Kind::Answer))?.to_le_bytes();
        let packet = [&[a, b, c, self.next], payload].concat();
        self.next = self.next.wrapping_add(1);
        self.io.write_all(&packet).await.map_err(Fault::of(Kind::Broken))?;
        self.io.flush().await.map_err(Fault::of(Kind::Broken))
    }

    /// The next packet; an error is the end of it all.
    async fn read(&mut self) -> Result<Vec<u8>, Fault> {
        let ended = |error: std::io::Error| Fault::new(Kind::Broken, format!("the connection ended: {error}"));
        let mut head = [0; 4];
        self.io.read_exact(&mut head).await.map_err(ended)?;
        let [a, b, c, count] = head;
        let size = usize::try_from(u32::from_le_bytes([a, b, c, 0])).unwrap_or(usize::MAX);
        if size > LOAD_MESSAGE_BYTES_MAX {
            return Err(Fault::new(Kind::Answer, "a packet is too long"));
        }
        self.next = count.wrapping_add(1);
        let mut payload = vec![0; size];
        self.io.read_exact(&mut payload).await.map_err(ended)?;
        match payload.first() {
            Some(0xff) => Err(Fault::new(Kind::Refused, error_text(&payload))),
            _ => Ok(payload),
        }
    }

    /// From the login to where the server takes statements.
    async fn let_in(&mut self, password: Option<&str>) -> Result<(), Fault> {
        let told = self.read().await?;
        match told.first() {
            Some(0) => Ok(()),
            // Another plugin than the one of the greeting: answered where it is the one that is known here.
            Some(0xfe) => {
                let rest = told.get(1..).unwrap_or_default();
                let challenge = rest.strip_prefix(NATIVE).and_then(|rest| rest.get(1..)?.first_chunk());
                let challenge: &[u8; CHALLENGE_BYTES] = challenge.ok_or_else(|| {
                    Fault::new(Kind::Answer, "the server wants another plugin than mysql_native_password")
                })?;
                let answer = password.map(|password| native_proof(password, challenge)).unwrap_or_default();
                self.write(&answer).await?;
                match self.read().await?.first() {
                    Some(0) => Ok(()),
                    _ => Err(Fault::new(Kind::Answer, "the server did not let the login in")),
                }
            }
            _ => Err(Fault::new(Kind::Answer, "the server wants more than mysql_native_password")),
        }
    }

    /// An answer to its end: an OK, or columns and rows, each ended by an EOF.
    async fn result(&mut self) -> Result<(), Fault> {
        if self.read().await?.first() == Some(&0) {
            return Ok(());
        }
        let mut ends = 0;
        while ends < 2 {
            let packet = self.read().await?;
            if packet.first() == Some(&0xfe) && packet.len() < 9 {
                ends += 1;
            }
        }
        Ok(())
    }
}

/// What a login begins with, which is all that is said before TLS.
fn head(flags: u32) -> Vec<u8> {
    [&flags.to_le_bytes(), [0, 0, 0, 1].as_slice(), &[COLLATION], &[0; 23]].concat()
}

/// A `HandshakeResponse41`.
fn login(flags: u32, user: &str, answer: &[u8], database: Option<&str>) -> Vec<u8> {
    let length = u8::try_from(answer.len()).unwrap_or_default();
    let mut payload = [head(flags).as_slice(), user.as_bytes(), &[0, length], answer].concat();
    if let Some(database) = database {
        payload.extend([database.as_bytes(), b"\0"].concat());
    }
    payload.extend([NATIVE, b"\0"].concat());
    payload
}

/// The chance in a greeting (`HandshakeV10`): eight bytes of it, and twelve further on.
fn challenge(greeting: &[u8]) -> Option<[u8; CHALLENGE_BYTES]> {
    let rest = greeting.strip_prefix(b"\x0a")?;
    let behind = rest.iter().position(|byte| *byte == 0)? + 1;
    // The thread's number is before the first part; flags, collation, status and ten bytes are between the two.
    let first = rest.get(behind + 4..behind + 12)?;
    let second = rest.get(behind + 31..behind + 43)?;
    [first, second].concat().try_into().ok()
}

/// The words of an error, behind its code and its state.
fn error_text(payload: &[u8]) -> String {
    let rest = payload.get(3..).unwrap_or_default();
    let words = if rest.first() == Some(&b'#') { rest.get(6..).unwrap_or_default() } else { rest };
    crate::error::printable(&String::from_utf8_lossy(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_holds_its_chance() {
        let greeting = [
            b"\x0a8.0\0".as_slice(),
            &[1, 0, 0, 0],
            b"abcdefgh\0",
            &[0xff, 0xf7, 45, 2, 0, 0xff, 0x81, 21],
            &[0; 10],
            b"ijklmnopqrst\0mysql_native_password\0",
        ];
        assert_eq!(challenge(&greeting.concat()).as_ref(), Some(b"abcdefghijklmnopqrst"));
        assert_eq!(challenge(b"\xff\x15\x04#28000no"), None);
        assert_eq!(challenge(b"\x0a8.0\0short"), None);
    }

    #[test]
    fn a_login_and_an_error() {
        let text = login(FLAGS | WITH_DATABASE, "app@orders", b"", Some("shop"));
        assert_eq!(&text[32..], b"app@orders\0\0shop\0mysql_native_password\0");
        assert_eq!(error_text(b"\xff\x15\x04#28000no\x1bway"), "no\u{fffd}way");
        assert_eq!(error_text(b"\xff\x15\x04no"), "no");
    }
}
