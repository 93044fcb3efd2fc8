//! How the gate reaches a cluster: address, trust and credentials, read from its kubeconfig by kube-client. Each session
//! reads them anew, so that rotated files are found.

use std::sync::Arc;

use http::Uri;
use kube_client::Config;
use kube_client::client::ConfigExt as _;
use kube_client::client::middleware::AuthLayer;
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tapgate_session::KubeResource;
use tokio::time::timeout;

use crate::limits::CREDENTIALS_MAX;

/// Why a cluster can't be used, in words for the operator's log; the user reads less.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// The kubeconfig does not hold what is needed.
    #[error("its kubeconfig can't be used: {0}")]
    Kubeconfig(String),
    /// Its credentials did not come in time.
    #[error("its credentials did not come in {} seconds", CREDENTIALS_MAX.as_secs())]
    Slow,
}

/// A cluster whose kubeconfig was read.
pub(crate) struct Cluster {
    config: Config,
    tls: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Cluster {
    /// Reads the kubeconfig. A credential plugin may run here, so that happens beside the async threads.
    pub(crate) async fn read(resource: Arc<KubeResource>) -> Result<Self, ClusterError> {
        let wrong = |error: &dyn std::fmt::Display| ClusterError::Kubeconfig(error.to_string());
        let file = Kubeconfig::from_yaml(&resource.kubeconfig).map_err(|e| wrong(&e))?;
        let mut config =
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(|e| wrong(&e))?;
        config.default_retry = false;
        config.auth_info.impersonate = None;
        let reading = tokio::task::spawn_blocking(move || {
            let tls = config.rustls_client_config();
            (config, tls)
        });
        let (config, tls) =
            timeout(CREDENTIALS_MAX, reading).await.map_err(|_| ClusterError::Slow)?.map_err(|e| wrong(&e))?;
        let mut tls = tls.map_err(|e| wrong(&e))?;
        // Upgrades are a matter of HTTP/1.1, and one connection carries one request at a time.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let host = config.cluster_url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = config.tls_server_name.clone().unwrap_or(host);
        let name = ServerName::try_from(name).map_err(|e| wrong(&e))?;
        Ok(Self { config, tls: Arc::new(tls), name })
    }

    /// What requests' paths are put after.
    pub(crate) const fn base(&self) -> &Uri {
        &self.config.cluster_url
    }

    pub(crate) const fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }

    /// The name that the API server's certificate must hold.
    pub(crate) const fn name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// What puts the gate's own credentials into requests, where they are not in the TLS handshake.
    pub(crate) fn auth(&self) -> Result<Option<AuthLayer>, ClusterError> {
        self.config.auth_layer().map_err(|e| ClusterError::Kubeconfig(e.to_string()))
    }
}
