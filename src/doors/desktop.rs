//! Makes desktops.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tapgate_authority::Authority;
use tapgate_desktop::{Desktop, DesktopParts, WebSessions};
use tapgate_model::{Digest, UserName};
use tapgate_session::Gate;

use crate::start::Opened;
use crate::tls::{Inner, TlsParts};

/// The web sessions, as the authority keeps them.
struct Kept(Arc<Authority>);

impl WebSessions for Kept {
    fn holds(&self, user: &UserName, number: &Digest, peer: IpAddr) -> bool {
        self.0.web_session_of(user, number, peer).is_ok()
    }
}

/// Desktops, behind the client's tunnel, on pages, and for clients with a file.
pub(crate) fn make(opened: &Opened, gate: &Gate, tls: &TlsParts) -> Result<Desktop> {
    // A client with a file is told of this very key (Network Level Authentication), so that it stays until the next start.
    let own = Arc::new(tls.own.fixed());
    let start_tls = Inner::new(tls, &own).context("TLS within RDP can't be set up")?;
    Ok(Desktop::new(DesktopParts {
        gate: gate.clone(),
        start_tls: Arc::new(start_tls),
        certificates: own.get().cert.iter().map(|certificate| certificate.to_vec()).collect(),
        clock: Arc::clone(&opened.clock),
        web: Arc::new(Kept(Arc::clone(&opened.authority))),
    }))
}
