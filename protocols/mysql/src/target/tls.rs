//! TLS towards a target: its certificate is always verified, and the gate shows one of its own where a user has no
//! password.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tapgate_identity::{X509CaSource, target_config};
use tapgate_model::{Clock, LoginName};
use tapgate_session::{DbResource, Upstream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::EnterError;

/// What the gate shows to targets.
pub(crate) struct Passport {
    /// Who signs the certificates that are shown.
    pub(crate) ca: X509CaSource,
    /// Where the time comes from.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Passport {
    /// Does the client's side of the handshake; `as_user` for a login by certificate.
    pub(crate) async fn secure(
        &self,
        upstream: Upstream,
        db: &DbResource,
        as_user: Option<&LoginName>,
    ) -> Result<TlsStream<Upstream>, EnterError> {
        let shown = as_user.map(|user| (self.ca)().issue_target(user.as_str(), self.clock.now()));
        let shown = shown.transpose().map_err(|_| EnterError::Config("no certificate could be made for this user"))?;
        let config = target_config(db.ca_cert.as_deref(), shown)?;
        let name = ServerName::try_from(db.certificate_name().to_owned());
        let name =
            name.map_err(|_| EnterError::Config("its name can't be in a certificate (see `tls.server_name`)"))?;
        TlsConnector::from(Arc::new(config)).connect(name, upstream).await.map_err(EnterError::Tls)
    }
}
