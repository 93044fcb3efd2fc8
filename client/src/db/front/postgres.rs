//! A PostgreSQL client of this machine (protocol 3): its startup packet, the password of this run, and the way on.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::scram::{Exchange, MECHANISM, Random, Refusal};
use super::{Front, relay};
use crate::error::{Act as _, Failure, Result, printable};
use crate::limits::{DB_GREETING_WAIT, PG_LOGIN_BYTES_MAX, PG_STARTUP_BYTES_MAX, SCRAM_ROUNDS};
use crate::proxy::listen::Local;

const CANCEL_REQUEST: u32 = 80_877_102;
const TLS_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// What a client begins with.
#[derive(Debug, PartialEq, Eq)]
enum First {
    /// It asks for encryption, of either sort; there is none between two programs of one machine.
    Encryption,
    /// It asks that a statement be cancelled: the whole packet.
    Cancel(Vec<u8>),
    /// It asks for a session.
    Startup(Startup),
}

/// A startup packet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Startup {
    version: u32,
    parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Startup {
    fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(key, _)| key == name.as_bytes())?;
        std::str::from_utf8(value).ok()
    }

    /// The same packet for this user and this database.
    fn packet(&self, user: &str, database: &str) -> Result<Vec<u8>> {
        let mut body = self.version.to_be_bytes().to_vec();
        let own = [(b"user".as_slice(), user.as_bytes()), (b"database", database.as_bytes())];
        let rest = self.parameters.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        for (key, value) in own.into_iter().chain(rest.filter(|(key, _)| !matches!(*key, b"user" | b"database"))) {
            body.extend_from_slice(key);
            body.push(0);
            body.extend_from_slice(value);
            body.push(0);
        }
        body.push(0);
        let length = u32::try_from(body.len() + 4).act(|| "the startup packet is too long".to_owned())?;
        Ok([&length.to_be_bytes(), body.as_slice()].concat())
    }
}

/// Serves one client to its end.
pub(super) async fn serve(front: &Front, mut local: Local) -> Result<()> {
    let late = || Failure::new("a database client did not say who it is in time");
    let first = timeout(DB_GREETING_WAIT, arrive(&mut local)).await.map_err(|_| late())??;
    let startup = match first {
        // It looked whether somebody is there, and left.
        None | Some(First::Encryption) => return Ok(()),
        Some(First::Cancel(packet)) => return cancel(front, &packet).await,
        Some(First::Startup(startup)) => startup,
    };
    let outcome = async {
        if let Some(secret) = front.secret() {
            timeout(DB_GREETING_WAIT, authenticate(&mut local, secret.reveal())).await.map_err(|_| late())??;
        }
        let user = startup.text("user").ok_or_else(|| Failure::new("the client names no user"))?;
        let wanted = front.names.wanted(user, startup.text("database"))?;
        let packet = startup.packet(&wanted.user, wanted.name.as_deref().unwrap_or_default())?;
        let mut tunnel = front.tunnel(&wanted.login).await?;
        let act = || "the gate ended the tunnel".to_owned();
        tunnel.write_all(&packet).await.act(act)?;
        tunnel.flush().await.act(act)?;
        Ok(tunnel)
    };
    match outcome.await {
        Ok(tunnel) => {
            relay(local, tunnel).await;
            Ok(())
        }
        Err(failure) => {
            let failure: Failure = failure;
            // A client that is gone needs no words.
            local.write_all(&error(&failure.to_string())).await.ok();
            local.shutdown().await.ok();
            Err(failure)
        }
    }
}

/// Reads packets until one says what the client wants. `None`: it has left.
async fn arrive(local: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Option<First>> {
    // Each sort of encryption is asked for once.
    for _ in 0..3 {
        let Some(packet) = packet(local).await? else { return Ok(None) };
        match parse(&packet)? {
            First::Encryption => {
                let act = || "a database client has left".to_owned();
                local.write_all(b"N").await.act(act)?;
                local.flush().await.act(act)?;
            }
            other => return Ok(Some(other)),
        }
    }
    Err(Failure::new("a database client asks for encryption again and again"))
}

/// One packet without a kind, its length included.
async fn packet(local: &mut (impl AsyncRead + Unpin)) -> Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if local.read_exact(&mut length).await.is_err() {
        return Ok(None);
    }
    let size = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(8..=PG_STARTUP_BYTES_MAX).contains(&size) {
        return Err(Failure::new("what connected is no PostgreSQL client"));
    }
    let mut packet = vec![0; size];
    let (head, body) = packet.split_at_mut(4);
    head.copy_from_slice(&length);
    local.read_exact(body).await.act(|| "a database client has left".to_owned())?;
    Ok(Some(packet))
}

fn parse(packet: &[u8]) -> Result<First> {
    let none = || Failure::new("what connected is no PostgreSQL client");
    let (code, rest) = packet.get(4..).and_then(<[u8]>::split_first_chunk::<4>).ok_or_else(none)?;
    match u32::from_be_bytes(*code) {
        TLS_REQUEST | GSS_REQUEST => Ok(First::Encryption),
        CANCEL_REQUEST => Ok(First::Cancel(packet.to_vec())),
        version if version >> 16 == 3 => {
            let parameters = parameters(rest).ok_or_else(none)?;
            Ok(First::Startup(Startup { version, parameters }))
        }
        _ => Err(none()),
    }
}

/// Names and values, each ended by a zero, and a zero behind the last.
fn parameters(mut rest: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut found = Vec::new();
    loop {
        let name = cut(&mut rest)?;
        if name.is_empty() {
            return rest.is_empty().then_some(found);
        }
        found.push((name.to_vec(), cut(&mut rest)?.to_vec()));
    }
}

fn cut<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let at = rest.iter().position(|byte| *byte == 0)?;
    let (text, behind) = rest.split_at_checked(at)?;
    *rest = behind.get(1..)?;
    Some(text)
}

/// Passes a cancel request on, and waits until the gate has dealt with it. Only whoever has the session's cancel key
/// can make one, so that no password is asked for.
async fn cancel(front: &Front, packet: &[u8]) -> Result<()> {
    let mut tunnel = front.plain_tunnel().await?;
    let act = || "the cancel request could not be passed on".to_owned();
    tunnel.write_all(packet).await.act(act)?;
    tunnel.flush().await.act(act)?;
    let mut end = [0; 1];
    // Nothing is answered: the connection's end is the answer.
    timeout(DB_GREETING_WAIT, tunnel.read(&mut end)).await.ok();
    Ok(())
}

/// SCRAM-SHA-256 (RFC 5802) with the password of this run.
async fn authenticate(local: &mut (impl AsyncRead + AsyncWrite + Unpin), password: &str) -> Result<()> {
    let refused = |refusal: Refusal| match refusal {
        Refusal::Password => {
            Failure::new("the password is wrong").advise("give the one that this run of tap proxy db has printed")
        }
        Refusal::Binding => Failure::new("channel binding needs TLS").advise("set channel_binding=disable"),
        Refusal::Malformed => Failure::new("the client's SCRAM message cannot be read"),
    };
    send(local, &request(10, &[MECHANISM, b"\0\0"].concat())).await?;
    let first = answer(local).await?;
    // The mechanism, the length of what follows, and the client's first message.
    let mut rest = first.as_slice();
    let mechanism = cut(&mut rest).ok_or_else(|| refused(Refusal::Malformed))?;
    let message = rest.get(4..).filter(|_| mechanism == MECHANISM).ok_or_else(|| refused(Refusal::Malformed))?;
    let mut random = Random { salt: [0; 16], nonce: [0; 18] };
    for bytes in [random.salt.as_mut_slice(), random.nonce.as_mut_slice()] {
        aws_lc_rs::rand::fill(bytes).act(|| "the system gives no random bytes".to_owned())?;
    }
    let exchange = Exchange::begin(message, &random, SCRAM_ROUNDS).map_err(refused)?;
    send(local, &request(11, exchange.challenge().as_bytes())).await?;
    let last = answer(local).await?;
    let own = exchange.finish(&last, password).map_err(refused)?;
    send(local, &request(12, own.as_bytes())).await
}

/// An `Authentication` message.
fn request(code: u32, data: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes(), data].concat())
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[kind], length.to_be_bytes().as_slice(), body].concat()
}

/// What a client shows when it is turned away: `28000` is for whoever may not log in.
fn error(text: &str) -> Vec<u8> {
    let text = printable(text).replace('\0', "\u{fffd}");
    message(b'E', format!("SFATAL\0VFATAL\0C28000\0M{text}\0\0").as_bytes())
}

async fn send(local: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<()> {
    let act = || "a database client has left".to_owned();
    local.write_all(bytes).await.act(act)?;
    local.flush().await.act(act)
}

/// The body of a `p` message.
async fn answer(local: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>> {
    let act = || "a database client has left before its password".to_owned();
    let kind = local.read_u8().await.act(act)?;
    let size = usize::try_from(local.read_u32().await.act(act)?).unwrap_or(usize::MAX);
    if kind != b'p' || !(4..=PG_LOGIN_BYTES_MAX).contains(&size) {
        return Err(Failure::new("a database client answered something else than its password"));
    }
    let mut body = vec![0; size - 4];
    local.read_exact(&mut body).await.act(act)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn startup(text: &str) -> Vec<u8> {
        let body = [196_608_u32.to_be_bytes().as_slice(), text.as_bytes()].concat();
        [&u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body.as_slice()].concat()
    }

    #[test]
    fn a_startup_packet_is_written_anew() {
        let First::Startup(read) = parse(&startup("user\0app\0application_name\0psql\0database\0x\0\0")).unwrap()
        else {
            panic!("no startup packet")
        };
        assert_eq!((read.text("user"), read.text("database")), (Some("app"), Some("x")));
        let written = read.packet("app@orders", "shop").unwrap();
        assert_eq!(written, startup("user\0app@orders\0database\0shop\0application_name\0psql\0\0"));
    }

    #[test]
    fn what_is_no_startup_packet_is_refused() {
        for text in ["", "user", "user\0app\0", "user\0app\0\0x", "user\0app"] {
            assert!(parse(&startup(text)).is_err(), "{text:?}");
        }
        assert!(parse(b"\0\0\0\x08\0\x02\0\0").is_err(), "version 2");
        assert!(parse(b"\0\0\0\x07\0\0\0").is_err());
    }

    #[tokio::test]
    async fn encryption_is_declined_and_cut_packets_are_none() {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let asking = async {
            client.write_all(b"\0\0\0\x08\x04\xd2\x16\x30").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'N');
            client.write_all(b"\0\0\0\x08\x04\xd2\x16\x2f").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'N');
            client.write_all(&startup("user\0app\0\0")).await.unwrap();
        };
        let (arrived, ()) = tokio::join!(arrive(&mut server), asking);
        assert!(matches!(arrived, Ok(Some(First::Startup(_)))));
        for bad in [b"\0\0\0\x07abc".as_slice(), b"GET / HTTP/1.1\r\n", b"\x7f\xff\xff\xff\0\x03\0\0"] {
            assert!(arrive(&mut std::io::Cursor::new(bad.to_vec())).await.is_err(), "{bad:?}");
        }
        assert_eq!(arrive(&mut std::io::Cursor::new(Vec::new())).await, Ok(None));
    }
}
