//! One PostgreSQL session: a simple query, and its end.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::route::{Route, Stream};
use super::scram::Scram;
use super::tally::{Fault, Kind};
use crate::limits::LOAD_MESSAGE_BYTES_MAX;

const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Protocol 3.0.
const VERSION: [u8; 4] = [0, 3, 0, 0];

/// A connection in its messages.
struct Line(BufReader<Stream>);

/// Runs the statement; answers when the server was ready for it.
pub(super) async fn session(route: &Route, statement: &str) -> Result<Instant, Fault> {
    let desk = route.desk().await?;
    let mut stream = desk.stream;
    let mut password = None;
    if let Some(direct) = route.direct() {
        password.clone_from(&direct.password);
        if direct.wants_tls() {
            stream.write_all(&TLS_REQUEST).await.map_err(Fault::of(Kind::Broken))?;
            stream.flush().await.map_err(Fault::of(Kind::Broken))?;
            if stream.read_u8().await.map_err(Fault::of(Kind::Broken))? != b'S' {
                return Err(Fault::new(Kind::Answer, "the server has no TLS (leave --ca out)"));
            }
            stream = direct.in_tls(stream).await?;
        }
    }
    let secure = route.direct().is_none_or(super::direct::Direct::wants_tls);
    let mut line = Line(BufReader::new(stream));
    let database = desk.database.as_deref().unwrap_or(&desk.user);
    let body = [&VERSION, b"user\0".as_slice(), desk.user.as_bytes(), b"\0database\0", database.as_bytes(), b"\0\0"];
    line.write(None, &body.concat()).await?;
    let proof = password.as_ref().map(|password| Proof { password, secure });
    line.log_in(proof).await?;
    let reached = Instant::now();
    line.write(Some(b'Q'), &[statement.as_bytes(), b"\0"].concat()).await?;
    line.until_ready().await?;
    // Nobody waits for the end of a session that is over.
    line.write(Some(b'X'), &[]).await.ok();
    line.0.shutdown().await.ok();
    Ok(reached)
}

/// What a direct way proves itself with.
struct Proof<'a> {
    password: &'a str,
    /// Whether the password may be said.
    secure: bool,
}

impl Line {
    async fn write(&mut self, kind: Option<u8>, body: &[u8]) -> Result<(), Fault> {
        let length = u32::try_from(body.len() + 4).map_err(Fault::of(Kind::Answer))?;
        let kind: Vec<u8> = kind.into_iter().collect();
        let message = [kind.as_slice(), &length.to_be_bytes(), body].concat();
        self.0.write_all(&message).await.map_err(Fault::of(Kind::Broken))?;
        self.0.flush().await.map_err(Fault::of(Kind::Broken))
    }

    /// The next message; an error is the end of it all.
    async fn read(&mut self) -> Result<(u8, Vec<u8>), Fault> {
        let ended = |error: std::io::Error| Fault::new(Kind::Broken, format!("the connection ended: {error}"));
        let kind = self.0.read_u8().await.map_err(ended)?;
        let length = usize::try_from(self.0.read_u32().await.map_err(ended)?).unwrap_or(usize::MAX);
        let size = length.checked_sub(4).filter(|size| *size <= LOAD_MESSAGE_BYTES_MAX);
        let size = size.ok_or_else(|| Fault::new(Kind::Answer, "a message is too long, or none of PostgreSQL's"))?;
        let mut body = vec![0; size];
        self.0.read_exact(&mut body).await.map_err(ended)?;
        if kind == b'E' {
            return Err(Fault::new(Kind::Refused, error_text(&body)));
        }
        Ok((kind, body))
    }

    async fn log_in(&mut self, proof: Option<Proof<'_>>) -> Result<(), Fault> {
        let missing = || Fault::new(Kind::Refused, "the server wants a password (give --password-file)");
        let mut scram = None;
        loop {
            let (kind, body) = self.read().await?;
            let request = body.first_chunk().map(|code| u32::from_be_bytes(*code));
            let rest = body.get(4..).unwrap_or_default();
            match (kind, request) {
                (b'Z', _) => return Ok(()),
                (b'R', Some(3)) => {
                    let proof = proof.as_ref().ok_or_else(missing)?;
                    if !proof.secure {
                        return Err(Fault::new(Kind::Refused, "a password is said over TLS alone (give --ca)"));
                    }
                    self.write(Some(b'p'), &[proof.password.as_bytes(), b"\0"].concat()).await?;
                }
                (b'R', Some(10)) => {
                    let begun = Scram::begin("").map_err(Fault::of(Kind::Answer))?;
                    let first = begun.first();
                    let length = u32::try_from(first.len()).map_err(Fault::of(Kind::Answer))?.to_be_bytes();
                    let body = [b"SCRAM-SHA-256\0", length.as_slice(), first.as_bytes()].concat();
                    self.write(Some(b'p'), &body).await?;
                    scram = Some(begun);
                }
                (b'R', Some(11)) => {
                    let (begun, proof) = (scram.as_ref(), proof.as_ref().ok_or_else(missing)?);
                    let begun = begun.ok_or_else(|| Fault::new(Kind::Answer, "SCRAM goes on before it began"))?;
                    let last = begun.last(rest, proof.password).map_err(Fault::of(Kind::Answer))?;
                    self.write(Some(b'p'), last.as_bytes()).await?;
                }
                (b'R', Some(0 | 12)) | (b'S' | b'K' | b'N', _) => {}
                (b'R', Some(other)) => {
                    return Err(Fault::new(Kind::Answer, format!("authentication {other} is not known here")));
                }
                _ => return Err(Fault::new(Kind::Answer, "the server says something else than that it is ready")),
            }
        }
    }

    async fn until_ready(&mut self) -> Result<(), Fault> {
        while self.read().await?.0 != b'Z' {}
        Ok(())
    }
}

/// The field `M` of an error.
fn error_text(body: &[u8]) -> String {
    let message = body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"M"));
    crate::error::printable(&String::from_utf8_lossy(message.unwrap_or(b"the server refused, and did not say why")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_its_message() {
        assert_eq!(error_text(b"SFATAL\0C28000\0Mno\x1bway\0\0"), "no\u{fffd}way");
        assert!(error_text(b"\0").contains("did not say why"));
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        for bad in [b"R\0\0\0\x03".as_slice(), b"R\x7f\xff\xff\xff", b"HTTP/1.1 200 OK", b"Z", b"E\0\0\0\x08Mno\0"] {
            let stream: Stream = Box::new(tokio::io::join(std::io::Cursor::new(bad.to_vec()), tokio::io::sink()));
            assert!(Line(BufReader::new(stream)).read().await.is_err(), "{bad:?}");
        }
    }
}
