//! Makes desktops.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tapgate_desktop::{Desktop, DesktopParts};
use tapgate_session::Gate;

use crate::tls::{Inner, TlsParts};

/// Desktops, behind the client's tunnel.
pub(crate) fn make(gate: &Gate, tls: &TlsParts) -> Result<Desktop> {
    let start_tls = Inner::new(tls).context("TLS within RDP can't be set up")?;
    Ok(Desktop::new(DesktopParts { gate: gate.clone(), start_tls: Arc::new(start_tls) }))
}
