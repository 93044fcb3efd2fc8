//! What a local proxy for clusters proves itself by, and the kubeconfig that leads to it. Both are made for one run.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tapgate_model::{Clock as _, SystemClock, TargetName};

use crate::error::{Act as _, Result};
use crate::limits::LOCAL_CERTIFICATE_LIFE;
use crate::proxy::secret::Secret;

/// TLS of one run: kubectl sends its token over TLS only.
pub(super) struct Local {
    pub(super) tls: Arc<ServerConfig>,
    /// The authority of the run's certificate, PEM; its key is gone already.
    authority: String,
}

impl Local {
    /// A certificate for loopback alone. ECDSA, because some clients know nothing newer.
    pub(super) fn generate() -> Result<Self> {
        let act = || "the proxy's certificate cannot be made".to_owned();
        let now = SystemClock.now();
        let span = |params: &mut CertificateParams| {
            let at = |seconds: u64| {
                let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
                date.into()
            };
            params.not_before = at(now.as_secs().saturating_sub(60));
            params.not_after = at(now.plus(LOCAL_CERTIFICATE_LIFE).as_secs());
        };
        let ca_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).act(act)?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(rcgen::DnType::CommonName, "tap proxy kube");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        span(&mut ca);
        let authority = ca.self_signed(&ca_key).act(act)?;
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).act(act)?;
        let mut own = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).act(act)?;
        own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        own.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        own.use_authority_key_identifier_extension = true;
        span(&mut own);
        let certificate = own.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).act(act)?;
        let private =
            PrivateKeyDer::try_from(key.serialize_der()).map_err(|why| crate::error::Failure::new(why.to_owned()))?;
        let mut tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .act(act)?;
        // Upgrades are a matter of HTTP/1.1.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(tls), authority: authority.pem() })
    }

    /// Writes the kubeconfig, which holds the run's secret, into this folder; it goes with what is answered.
    pub(super) fn kubeconfig(
        &self,
        folder: &Path,
        port: u16,
        secret: &Secret,
        clusters: &[TargetName],
    ) -> Result<tempfile::NamedTempFile> {
        let authority = STANDARD.encode(&self.authority);
        let cluster = |name: &TargetName| {
            let server = format!("https://127.0.0.1:{port}/{name}");
            json!({ "name": name, "cluster": { "server": server, "certificate-authority-data": authority } })
        };
        let context = |name: &TargetName| json!({ "name": name, "context": { "cluster": name, "user": "tap" } });
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": clusters.iter().map(cluster).collect::<Vec<_>>(),
            "users": [{ "name": "tap", "user": { "token": secret.reveal() } }],
            "contexts": clusters.iter().map(context).collect::<Vec<_>>(),
            "current-context": clusters.first(),
        });
        let act = || "the kubeconfig cannot be written".to_owned();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        let mut file =
            tempfile::Builder::new().prefix("kube-").suffix(".yaml").permissions(mode).tempfile_in(folder).act(act)?;
        // JSON is YAML.
        writeln!(file, "{text:#}").act(act)?;
        Ok(file)
    }
}
