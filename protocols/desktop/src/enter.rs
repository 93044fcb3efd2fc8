//! Into a desktop over a connection that a grant has opened, and the session there, whatever it speaks.

use std::sync::Arc;

use tapgate_model::DesktopProtocol;
use tapgate_model::tunnel::DesktopHail;
use tapgate_relay::{Io, StartTls};
use tapgate_session::{DesktopMode, DesktopResource, Door, EndReason, Live, Upstream};

use crate::limits::ENTER_MAX;
use crate::password::Password;
use crate::{rdp, vnc};

/// Why a desktop was not entered, in words for its user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotEntered {
    #[error("the gate has no password for {0} there (its resource names them in `auth.password_files`)")]
    NoPassword(String),
    #[error("the gate can't use its password for it (its log says why)")]
    Password,
    #[error("{0}")]
    Rdp(#[from] rdp::EnterError),
    #[error("{0}")]
    Vnc(#[from] vnc::EnterError),
    #[error("it did not let the gate in within {} seconds", ENTER_MAX.as_secs())]
    Slow,
}

/// A desktop that the gate is in.
pub(crate) enum Entered {
    Rdp(Box<rdp::Entered>),
    Passthrough(Upstream),
    Vnc(Box<vnc::Entered>),
}

impl Entered {
    /// Carries the session of a tunnel.
    pub(crate) async fn in_tunnel(
        self,
        client: Box<dyn Io>,
        start_tls: &dyn StartTls,
        live: &Live,
        hail: &DesktopHail,
    ) -> EndReason {
        match self {
            Self::Rdp(entered) => rdp::session(client, *entered, start_tls, live, hail).await,
            Self::Passthrough(upstream) => rdp::passthrough(client, upstream, live).await,
            Self::Vnc(entered) => vnc::session(client, *entered, live).await,
        }
    }

    /// Carries the session of a page, which shows these certificates to its user's client of RDP.
    pub(crate) async fn on_page(self, page: impl Io, live: &Live, certificates: &[Vec<u8>]) -> EndReason {
        match self {
            Self::Rdp(entered) => rdp::on_page(page, *entered, live, certificates).await,
            Self::Vnc(entered) => vnc::session(page, *entered, live).await,
            Self::Passthrough(_) => no_place(),
        }
    }

    /// Carries the session of a client of RDP that has proven who it is, and asked for these kinds of security.
    #[cfg(feature = "rdp-nla")]
    pub(crate) async fn proven(self, client: Box<dyn Io>, live: &Live, asked: u32) -> EndReason {
        match self {
            Self::Rdp(entered) => rdp::carry(client, *entered, live, asked, None).await,
            Self::Vnc(_) | Self::Passthrough(_) => no_place(),
        }
    }
}

/// What `fits` has ruled out.
fn no_place() -> EndReason {
    EndReason::Error("this desktop can't be opened here".to_owned())
}

/// Whether what the client wants, the desktop and the role go together.
pub(crate) fn fits(hail: &DesktopHail, desktop: &DesktopResource, live: &Live, door: Door) -> Result<(), String> {
    let name = &desktop.name;
    if desktop.protocol != hail.protocol {
        return Err(format!("\"{name}\" speaks another protocol (it may have changed; start again)"));
    }
    let terms = live.terms().desktop;
    let passes = desktop.mode == DesktopMode::Passthrough;
    if passes && !(terms.clipboard && terms.directory_sharing) {
        return Err(format!(
            "your role forbids clipboard or drives, which the gate can't see in \"{name}\" (mode: passthrough)"
        ));
    }
    if passes && door == Door::Web {
        return Err(format!("\"{name}\" is passed through as it is (use `tap desktop connect {name}`)"));
    }
    if passes && hail.password.is_some() {
        return Err(format!("\"{name}\" (mode: passthrough) has no place for the port's password (leave --port out)"));
    }
    Ok(())
}

pub(crate) async fn enter(
    upstream: Upstream,
    desktop: &Arc<DesktopResource>,
    hail: &DesktopHail,
) -> Result<Entered, NotEntered> {
    if desktop.mode == DesktopMode::Passthrough {
        return Ok(Entered::Passthrough(upstream));
    }
    let password = match desktop.password_file(&hail.login) {
        None => None,
        Some(path) => Some(Password::read(path).map_err(|error| {
            tracing::warn!(target = %desktop.name, path = %path.display(), %error, "Could not use a desktop's password");
            NotEntered::Password
        })?),
    };
    match (desktop.protocol, password) {
        (DesktopProtocol::Vnc, password) => {
            Ok(Entered::Vnc(Box::new(vnc::enter(upstream, desktop, &hail.login, password.as_ref()).await?)))
        }
        (DesktopProtocol::Rdp, Some(password)) => {
            Ok(Entered::Rdp(Box::new(rdp::enter(upstream, desktop, &hail.login, password).await?)))
        }
        (DesktopProtocol::Rdp, None) => Err(NotEntered::NoPassword(hail.login.to_string())),
    }
}
