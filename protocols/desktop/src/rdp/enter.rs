//! The desktop's side of RDP up to where TLS stands and, with Network Level Authentication, the gate is logged on.

use tapgate_model::LoginName;
use tapgate_session::{DesktopResource, DesktopSecurity, Upstream};
use tokio_rustls::client::TlsStream;

use super::x224::{self, Confirm, ReadError, Request};
use crate::known::{self, KnownError};
use crate::limits::X224_MAX;
use crate::password::Password;

/// A desktop that has chosen its security, and has let the gate in where that comes first.
pub(crate) struct Entered {
    pub(crate) stream: TlsStream<Upstream>,
    /// What it can do, in its own flags.
    pub(crate) flags: u8,
    /// What it chose.
    pub(crate) protocol: u32,
    pub(crate) user: String,
    pub(crate) domain: Option<String>,
    pub(crate) password: Password,
}

/// Why a desktop was not entered, in words for its user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnterError {
    #[error("it hung up or does not speak RDP ({0})")]
    Read(#[from] ReadError),
    #[error("it hung up: {}", .0.kind())]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Tls(#[from] KnownError),
    #[error("it offers no TLS, and the gate sends nothing to it without")]
    NoTls,
    #[error("it wants Network Level Authentication (let `server_security` of its resource be auto or nla)")]
    WantsNla,
    #[error("this gate was built without Network Level Authentication (the feature rdp-nla)")]
    NoNla,
    #[cfg(feature = "rdp-nla")]
    #[error("{0}")]
    Nla(#[from] super::nla::NlaError),
    #[error("it refuses with the code {0}")]
    Refused(u32),
    #[error("it chose a security that it was not offered")]
    OtherSecurity,
}

/// Enters a desktop over a connection that a grant has opened.
pub(crate) async fn enter(
    mut upstream: Upstream,
    desktop: &DesktopResource,
    login: &LoginName,
    password: Password,
) -> Result<Entered, EnterError> {
    let offered = offered(desktop.security).ok_or(EnterError::NoNla)?;
    x224::write(&mut upstream, &x224::write_request(Request { flags: 0, protocols: offered })).await?;
    let pdu = x224::read(&mut upstream, X224_MAX).await?;
    let (flags, protocol) = match x224::confirm(&pdu).ok_or(ReadError::Malformed)? {
        // MS-RDPBCGR 2.2.1.2.2: 2 is "no TLS", 5 is "Network Level Authentication alone".
        Confirm::Selected { protocol: x224::PLAIN, .. } | Confirm::Failure(2) => return Err(EnterError::NoTls),
        Confirm::Selected { flags, protocol } => (flags, protocol),
        Confirm::Failure(5) => return Err(EnterError::WantsNla),
        Confirm::Failure(code) => return Err(EnterError::Refused(code)),
    };
    if !matches!(protocol, x224::TLS | x224::NLA) || protocol & offered == 0 {
        return Err(EnterError::OtherSecurity);
    }
    let stream = known::secure(upstream, desktop).await?;
    let (user, domain) = (login.to_string(), desktop.domain.clone());
    let mut entered = Entered { stream, flags, protocol, user, domain, password };
    if protocol == x224::NLA {
        prove(&mut entered, desktop).await?;
    }
    Ok(entered)
}

/// The kinds of security that a desktop is offered; none where it demands what this program was built without.
fn offered(security: DesktopSecurity) -> Option<u32> {
    match (security, cfg!(feature = "rdp-nla")) {
        (DesktopSecurity::Auto, true) => Some(x224::TLS | x224::NLA),
        (DesktopSecurity::Nla, true) => Some(x224::NLA),
        (DesktopSecurity::Nla, false) => None,
        (DesktopSecurity::Auto, false) | (DesktopSecurity::Tls, _) => Some(x224::TLS),
    }
}

#[cfg(feature = "rdp-nla")]
async fn prove(entered: &mut Entered, desktop: &DesktopResource) -> Result<(), EnterError> {
    let Entered { stream, user, domain, password, .. } = entered;
    Ok(super::nla::prove(stream, (user, domain.as_deref()), password, desktop.certificate_name()).await?)
}

#[cfg(not(feature = "rdp-nla"))]
async fn prove(_: &mut Entered, _: &DesktopResource) -> Result<(), EnterError> {
    Err(EnterError::NoNla)
}
