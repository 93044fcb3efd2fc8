//! The doors to applications, over HTTP and TCP.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tapgate_api::web_path;
use tapgate_authority::Authority;
use tapgate_config::Config;
use tapgate_http::{Http, HttpParts, Signer, WebSessions};
use tapgate_model::{Digest, UserName};
use tapgate_session::Gate;

use crate::start::Opened;

/// The web sessions, as the authority keeps them.
struct Kept(Arc<Authority>);

impl WebSessions for Kept {
    fn holds(&self, user: &UserName, number: &Digest, peer: IpAddr) -> bool {
        self.0.web_session_of(user, number, peer).is_ok()
    }
}

/// Who signs identities for applications.
pub(crate) fn signer(config: &Config, authority: &Authority) -> Result<Arc<Signer>> {
    let key = authority.app_signing_key().context("can't read the key that signs identities for applications")?;
    let issuer = config.origins.first().cloned().unwrap_or_default();
    Ok(Arc::new(Signer::new(&key, issuer)?))
}

/// The door to HTTP applications.
pub(crate) fn make(config: &Config, opened: &Opened, gate: &Gate, signer: &Arc<Signer>) -> Http {
    let origin = config.origins.first().map_or("", String::as_str);
    Http::new(HttpParts {
        gate: gate.clone(),
        clock: Arc::clone(&opened.clock),
        web: Arc::new(Kept(Arc::clone(&opened.authority))),
        signer: Arc::clone(signer),
        target_ca: opened.authority.target_sources().1,
        domain: config.apps_domain.clone(),
        port: config.public_addr.port,
        tap_page: format!("{origin}{}", web_path::APP_PAGE),
    })
}
