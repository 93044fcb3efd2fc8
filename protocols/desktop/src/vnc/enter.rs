//! The desktop's side of VNC: versions, kinds of security, `VeNCrypt`'s TLS, the password, and what comes of it.

use tapgate_model::LoginName;
use tapgate_relay::Io;
use tapgate_session::{DesktopResource, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::des;
use crate::known::{self, KnownError};
use crate::limits::{VNC_TEXT_MAX, VNC_TYPES_MAX};
use crate::password::Password;

const NONE: u8 = 1;
const VNC_AUTH: u8 = 2;
const VENCRYPT: u8 = 19;

/// `VeNCrypt`'s kinds with a certificate: nothing more, the VNC password, and name with password.
const X509_NONE: u32 = 260;
const X509_VNC: u32 = 261;
const X509_PLAIN: u32 = 262;

/// A desktop that the gate is in.
pub(crate) struct Entered {
    pub(crate) stream: Box<dyn Io>,
    /// What the log calls its security.
    pub(crate) security: &'static str,
}

/// Why a desktop was not entered, in words for its user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnterError {
    #[error("it does not speak VNC")]
    NoVnc,
    #[error("it hung up: {}", .0.kind())]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Tls(#[from] KnownError),
    #[error("it offers no TLS with a certificate, which `tls` of its resource demands")]
    NoTls,
    #[error("it wants a password, and the gate has none for this login (`auth.password_files`)")]
    NoPassword,
    #[error("it offers no kind of security that the gate knows (it offers {0:?})")]
    NoKind(Vec<u32>),
    #[error("it says: {0}")]
    Refused(String),
    #[error("it did not take the gate's password")]
    WrongPassword,
}

/// Which of three versions is spoken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V3,
    V7,
    V8,
}

/// Enters a desktop over a connection that a grant has opened.
pub(crate) async fn enter(
    mut upstream: Upstream,
    desktop: &DesktopResource,
    login: &LoginName,
    password: Option<&Password>,
) -> Result<Entered, EnterError> {
    let (version, kind) = negotiate(&mut upstream, desktop.tls.is_some(), password.is_some()).await?;
    if kind == VENCRYPT {
        return vencrypt(upstream, desktop, login, password).await;
    }
    let security = match (kind, password) {
        (VNC_AUTH, Some(password)) => {
            prove(&mut upstream, password).await?;
            "vnc"
        }
        _ => "none",
    };
    if kind == VNC_AUTH || version == Version::V8 {
        result(&mut upstream, version).await?;
    }
    Ok(Entered { stream: Box::new(upstream), security })
}

/// Agrees on a version and a kind of security.
pub(crate) async fn negotiate(
    io: &mut (impl Io + ?Sized),
    tls: bool,
    password: bool,
) -> Result<(Version, u8), EnterError> {
    let version = version(io).await?;
    let offered = match version {
        Version::V3 => match io.read_u32().await? {
            0 => return Err(EnterError::Refused(text(io).await?)),
            kind => vec![u8::try_from(kind).unwrap_or_default()],
        },
        Version::V7 | Version::V8 => kinds(io).await?,
    };
    let has = |kind| offered.contains(&kind);
    let kind = match () {
        () if tls && has(VENCRYPT) => VENCRYPT,
        () if tls => return Err(EnterError::NoTls),
        () if password && has(VNC_AUTH) => VNC_AUTH,
        () if has(NONE) => NONE,
        () if has(VNC_AUTH) => return Err(EnterError::NoPassword),
        () => return Err(EnterError::NoKind(offered.into_iter().map(u32::from).collect())),
    };
    if version > Version::V3 {
        io.write_all(&[kind]).await?;
        io.flush().await?;
    }
    Ok((version, kind))
}

/// Reads `RFB 003.008` and answers with what both know.
async fn version(io: &mut (impl Io + ?Sized)) -> Result<Version, EnterError> {
    let mut said = [0; 12];
    io.read_exact(&mut said).await?;
    let number = |from: usize| {
        let digits = said.get(from..from + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| digits.parse::<u16>().ok())
    };
    let (major, minor) = number(4).zip(number(8)).ok_or(EnterError::NoVnc)?;
    if !said.starts_with(b"RFB ") || said.get(7) != Some(&b'.') || said.get(11) != Some(&b'\n') || major < 3 {
        return Err(EnterError::NoVnc);
    }
    let (version, answer) = match (major, minor) {
        (3, 7) => (Version::V7, b"RFB 003.007\n"),
        (3, 0..=6) => (Version::V3, b"RFB 003.003\n"),
        _ => (Version::V8, b"RFB 003.008\n"),
    };
    io.write_all(answer).await?;
    io.flush().await?;
    Ok(version)
}

async fn kinds(io: &mut (impl Io + ?Sized)) -> Result<Vec<u8>, EnterError> {
    match io.read_u8().await? {
        0 => Err(EnterError::Refused(text(io).await?)),
        count if count > VNC_TYPES_MAX => Err(EnterError::NoVnc),
        count => {
            let mut kinds = vec![0; usize::from(count)];
            io.read_exact(&mut kinds).await?;
            Ok(kinds)
        }
    }
}

/// Shows that the gate knows the password, without saying it.
async fn prove(io: &mut (impl Io + ?Sized), password: &Password) -> Result<(), EnterError> {
    let mut challenge = [0; 16];
    io.read_exact(&mut challenge).await?;
    io.write_all(&des::answer(password.reveal(), &challenge)).await?;
    Ok(io.flush().await?)
}

/// Whether the desktop let the gate in.
async fn result(io: &mut (impl Io + ?Sized), version: Version) -> Result<(), EnterError> {
    match io.read_u32().await? {
        0 => Ok(()),
        1 if version < Version::V8 => Err(EnterError::WrongPassword),
        _ => {
            let why = text(io).await.unwrap_or_default();
            Err(if why.is_empty() { EnterError::WrongPassword } else { EnterError::Refused(why) })
        }
    }
}

/// A reason, of which nothing may look like something else in a line.
async fn text(io: &mut (impl Io + ?Sized)) -> Result<String, EnterError> {
    let length = usize::try_from(io.read_u32().await?).ok().filter(|length| *length <= VNC_TEXT_MAX);
    let mut bytes = vec![0; length.ok_or(EnterError::NoVnc)?];
    io.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}

/// TLS within VNC: version 0.2, a kind with a certificate, the handshake, and the password within.
async fn vencrypt(
    mut upstream: Upstream,
    desktop: &DesktopResource,
    login: &LoginName,
    password: Option<&Password>,
) -> Result<Entered, EnterError> {
    let kind = vencrypt_kind(&mut upstream, password.is_some()).await?;
    let mut stream = known::secure(upstream, desktop).await?;
    match (kind, password) {
        (X509_VNC, Some(password)) => prove(&mut stream, password).await?,
        (X509_PLAIN, Some(password)) => {
            let (name, password) = (login.as_str().as_bytes(), password.reveal().as_bytes());
            for part in [name, password] {
                stream.write_u32(u32::try_from(part.len()).unwrap_or_default()).await?;
            }
            stream.write_all(name).await?;
            stream.write_all(password).await?;
            stream.flush().await?;
        }
        _ => {}
    }
    result(&mut stream, Version::V8).await?;
    Ok(Entered { stream: Box::new(stream), security: "tls" })
}

async fn vencrypt_kind(io: &mut (impl Io + ?Sized), has_password: bool) -> Result<u32, EnterError> {
    let mut version = [0; 2];
    io.read_exact(&mut version).await?;
    if version < [0, 2] {
        return Err(EnterError::NoTls);
    }
    io.write_all(&[0, 2]).await?;
    io.flush().await?;
    let (refused, count) = (io.read_u8().await?, io.read_u8().await?);
    if refused != 0 || count == 0 || count > VNC_TYPES_MAX {
        return Err(EnterError::NoTls);
    }
    let mut offered = Vec::new();
    for _ in 0..count {
        offered.push(io.read_u32().await?);
    }
    let wanted: &[u32] = if has_password { &[X509_PLAIN, X509_VNC] } else { &[X509_NONE] };
    let Some(kind) = wanted.iter().find(|kind| offered.contains(kind)) else {
        let asks = offered.iter().any(|kind| [X509_VNC, X509_PLAIN].contains(kind));
        return Err(if asks { EnterError::NoPassword } else { EnterError::NoKind(offered) });
    };
    io.write_u32(*kind).await?;
    io.flush().await?;
    match io.read_u8().await? {
        1 => Ok(*kind),
        _ => Err(EnterError::NoTls),
    }
}
