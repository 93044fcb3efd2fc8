//! How the gate logs in to a target: certificate, SCRAM, MD5, and a clear password only where the resource says so.

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::limits::GREETING_MESSAGE_MAX;
use crate::password::Password;
use crate::wire::{self, HEAD, Head, field, text};

/// Why a target did not let the gate in, in words for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The connection broke.
    #[error("the connection to it broke: {0}")]
    Io(#[from] std::io::Error),
    /// It says no.
    #[error("it refuses: {message}")]
    Refused {
        /// Its SQLSTATE.
        code: String,
        /// Its words.
        message: String,
    },
    /// It does not speak the protocol.
    #[error("it does not speak PostgreSQL's protocol: {0}")]
    Protocol(&'static str),
    /// It wants a password, and there is none.
    #[error(
        "it asks for a password, and the gate has none for this database user (name its file in `auth.password_files`)"
    )]
    NoPassword,
    /// It wants to read the password.
    #[error("it asks for the password in clear text, which its resource does not allow")]
    Clear,
    /// It wants something that the gate can't do.
    #[error("it asks for a way to log in that the gate does not have ({0})")]
    Unknown(String),
    /// It could not show that it knows the password.
    #[error("it could not prove who it is: {0}")]
    Scram(std::io::Error),
}

/// What the gate logs in with.
pub(crate) struct Credentials<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: Option<&'a Password>,
    /// Whether the password may be sent as it is.
    pub(crate) clear: bool,
    /// The binding to the connection, where it has one.
    pub(crate) binding: Option<Vec<u8>>,
}

/// One message of the target before it is ready.
pub(crate) async fn message(io: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>), LoginError> {
    let mut head = [0; HEAD];
    io.read_exact(&mut head).await?;
    let head = Head::read(&head).ok().flatten().filter(|head| head.size <= GREETING_MESSAGE_MAX);
    let head = head.ok_or(LoginError::Protocol("a message of an impossible length"))?;
    let mut body = vec![0; head.size - HEAD];
    io.read_exact(&mut body).await?;
    Ok((head.kind, body))
}

/// An `ErrorResponse` of the target, as an error of ours.
pub(crate) fn refusal(body: &[u8]) -> LoginError {
    let read = |code, absent: &str| {
        field(body, code).map_or_else(|| absent.to_owned(), |value| String::from_utf8_lossy(value).into_owned())
    };
    LoginError::Refused { code: read(b'C', "XX000"), message: read(b'M', "without a word") }
}

/// Answers what the target asks until it lets the gate in.
pub(crate) async fn log_in(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    with: Credentials<'_>,
) -> Result<(), LoginError> {
    loop {
        let body = request(io).await?;
        let (code, rest) =
            body.split_first_chunk::<4>().ok_or(LoginError::Protocol("an authentication without a kind"))?;
        match u32::from_be_bytes(*code) {
            0 => return Ok(()),
            3 if with.password.is_some() && !with.clear => return Err(LoginError::Clear),
            3 => answer(io, &zero_ended(with.password()?.as_bytes())).await?,
            5 => {
                let salt = rest.first_chunk::<4>().ok_or(LoginError::Protocol("no salt"))?;
                let hash = md5_hash(with.user.as_bytes(), with.password()?.as_bytes(), *salt);
                answer(io, &zero_ended(hash.as_bytes())).await?;
            }
            10 => return scram(io, with, rest).await,
            kind => return Err(LoginError::Unknown(name_of(kind))),
        }
    }
}

fn name_of(kind: u32) -> String {
    match kind {
        2 => "Kerberos V5".to_owned(),
        6 => "SCM credentials".to_owned(),
        7 | 8 => "GSSAPI".to_owned(),
        9 => "SSPI".to_owned(),
        other => format!("number {other}"),
    }
}

impl Credentials<'_> {
    fn password(&self) -> Result<&Password, LoginError> {
        self.password.ok_or(LoginError::NoPassword)
    }
}

/// The next authentication message; notices before it are nobody's.
async fn request(io: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, LoginError> {
    loop {
        match message(io).await? {
            (b'R', body) => return Ok(body),
            (b'E', body) => return Err(refusal(&body)),
            (b'N', _) => {}
            _ => return Err(LoginError::Protocol("something else where it must say how to log in")),
        }
    }
}

fn zero_ended(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}

async fn answer(io: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> Result<(), LoginError> {
    io.write_all(&wire::frame(b'p', body)).await?;
    Ok(io.flush().await?)
}

/// SCRAM-SHA-256, bound to the connection where both sides can: then nobody in between can pass it on. The exchange
/// ends only when the target has proven that it knows the password as well.
async fn scram(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    with: Credentials<'_>,
    offered: &[u8],
) -> Result<(), LoginError> {
    let offers = |name: &str| offered.split(|byte| *byte == 0).any(|offer| offer == name.as_bytes());
    let (mechanism, binding) = match with.binding.clone() {
        Some(binding) if offers(SCRAM_SHA_256_PLUS) => {
            (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(binding))
        }
        // A target that did offer the binding sees from this that somebody removed its offer.
        Some(_) if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
        None if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unsupported()),
        _ => return Err(LoginError::Unknown("SASL without SCRAM-SHA-256".to_owned())),
    };
    let mut scram = ScramSha256::new(with.password()?.as_bytes(), binding);
    let first = scram.message();
    let length = u32::try_from(first.len()).unwrap_or(u32::MAX);
    answer(io, &[&zero_ended(mechanism.as_bytes()), &length.to_be_bytes()[..], first].concat()).await?;
    let challenge = sasl(io, 11).await?;
    // Thousands of hashes: not on a thread that other sessions wait for.
    let hashed = tokio::task::spawn_blocking(move || scram.update(&challenge).map(|()| scram)).await;
    let mut scram = hashed.map_err(std::io::Error::other)?.map_err(LoginError::Scram)?;
    answer(io, scram.message()).await?;
    let last = sasl(io, 12).await?;
    scram.finish(&last).map_err(LoginError::Scram)?;
    match request(io).await?.first_chunk::<4>() {
        Some([0, 0, 0, 0]) => Ok(()),
        _ => Err(LoginError::Protocol("something else after the login")),
    }
}

/// A step of the exchange; no other message may stand in its place.
async fn sasl(io: &mut (impl AsyncRead + Unpin), due: u32) -> Result<Vec<u8>, LoginError> {
    let body = request(io).await?;
    match body.split_first_chunk::<4>() {
        Some((code, rest)) if u32::from_be_bytes(*code) == due => Ok(rest.to_vec()),
        _ => Err(LoginError::Protocol("it left the exchange before it was over")),
    }
}

/// A setting that a `ParameterStatus` reports.
pub(crate) fn setting(body: &[u8]) -> (&[u8], &[u8]) {
    let (name, rest) = text(body);
    (name, text(rest).0)
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
