//! TLS to the gate: its certificate is checked against the pin, ours is the login certificate.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tapgate_identity::{Lineage, PinnedGate};
use tapgate_model::{Clock as _, SystemClock, tunnel};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{Act as _, Failure, Result};
use crate::gate_addr::{CaPin, GateAddr};
use crate::keys::LoginFiles;
use crate::limits::CONNECT_WAIT;
use crate::profile::Home;
use crate::tunnel::SessionIdentity;

/// The protocols that the gate speaks over TLS to this client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// The `/v1` interface.
    Http,
    /// Kubernetes' own requests, at the gate's name for clusters.
    Cluster,
    /// A raw tunnel to the SSH door.
    Ssh,
    /// Another tunnel, by its name in [`tunnel`].
    Tunnel(&'static [u8]),
}

impl Alpn {
    const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Http => tunnel::API,
            Self::Cluster => b"http/1.1",
            Self::Ssh => tunnel::SSH,
            Self::Tunnel(name) => name,
        }
    }
}

/// Makes aws-lc-rs the process's cryptography. To be called first thing in `main`; a second call
/// changes nothing.
pub fn install_provider() {
    // An error says that a provider is there already, which is what is wanted.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
}

/// How to reach a gate: the pin, and the login certificate where there is one.
#[derive(Clone)]
pub struct Tls {
    gate: GateAddr,
    config: ClientConfig,
    pin: CaPin,
    /// What the last handshake has proven, where the gate's CA has been another before.
    seen: Arc<Mutex<Option<Lineage>>>,
}

impl Tls {
    fn new(gate: GateAddr, pin: &CaPin, config: ClientConfig) -> Self {
        Self { gate, config, pin: *pin, seen: Arc::default() }
    }

    /// What the last handshake has proven of the gate's CA, where that has been another before.
    pub fn seen(&self) -> Option<Lineage> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a handshake has proven: a profile that knows the CA of before knows the present one from here on.
    fn notice(&self, shown: &[CertificateDer<'_>]) {
        // Without a certificate of one before there is nothing to know.
        if shown.len() < 3 {
            return;
        }
        let Some(lineage) = Lineage::read(shown, SystemClock.now()) else { return };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(lineage);
        // Where it can't be written it is learnt at the next connection as well.
        let told = lineage.pin != *self.pin.digest()
            && Home::from_env().and_then(|home| home.follow(&self.gate, lineage)).unwrap_or(false);
        if told {
            eprintln!(
                "The gate {} has a new CA, sha256:{}, for which the one of before vouches",
                self.gate, lineage.pin
            );
        }
    }

    /// For requests that need no certificate.
    pub fn anonymous(gate: GateAddr, pin: &CaPin) -> Self {
        let config = pinned(pin).with_no_client_auth();
        Self::new(gate, pin, config)
    }

    /// For requests that carry the login certificate.
    pub fn with_login(gate: GateAddr, pin: &CaPin, files: &LoginFiles) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(&files.tls_certificate)
            .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
            .act(|| format!("{} cannot be read", files.tls_certificate.display()))?;
        let key = PrivateKeyDer::from_pem_file(&files.tls_key)
            .act(|| format!("{} cannot be read", files.tls_key.display()))?;
        let config =
            pinned(pin).with_client_auth_cert(chain, key).act(|| "the login certificate cannot be used".to_owned())?;
        Ok(Self::new(gate, pin, config))
    }

    /// For tunnels that carry a session's certificate.
    pub fn with_session(gate: GateAddr, pin: &CaPin, session: SessionIdentity) -> Self {
        let config = pinned(pin).with_client_cert_resolver(Arc::new(session));
        Self::new(gate, pin, config)
    }

    /// The gate that this leads to.
    pub const fn gate(&self) -> &GateAddr {
        &self.gate
    }

    /// Connects, and authenticates the gate by the pin.
    pub async fn connect(&self, alpn: Alpn) -> Result<TlsStream<TcpStream>> {
        self.connect_to(alpn, self.gate.server_name()?).await
    }

    /// The same, to the door that has a name of its own.
    pub async fn connect_to(&self, alpn: Alpn, name: ServerName<'static>) -> Result<TlsStream<TcpStream>> {
        let unreachable = || Failure::new(format!("the gate {} cannot be reached: no answer in time", self.gate));
        timeout(CONNECT_WAIT, self.handshake(alpn, name)).await.map_err(|_| unreachable())?
    }

    async fn handshake(&self, alpn: Alpn, name: ServerName<'static>) -> Result<TlsStream<TcpStream>> {
        let mut config = self.config.clone();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        #[expect(clippy::disallowed_methods, reason = "the client reaches the gate, not a target")]
        let tcp = TcpStream::connect((self.gate.host(), self.gate.port()))
            .await
            .act(|| format!("the gate {} cannot be reached", self.gate))?;
        // Keystrokes are small packets that must not wait for each other.
        tcp.set_nodelay(true).act(|| "the connection cannot be set up".to_owned())?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .act(|| format!("the gate {} did not prove itself", self.gate))
            .map_err(advised)?;
        self.notice(stream.get_ref().1.peer_certificates().unwrap_or_default());
        if stream.get_ref().1.alpn_protocol() != Some(alpn.as_bytes()) {
            return Err(Failure::new(format!("{} is not a gate, or an older one than this client", self.gate)));
        }
        Ok(stream)
    }
}

/// What to do about a gate that did not prove itself: a clock that is wrong looks the same as a certificate that is.
fn advised(failure: Failure) -> Failure {
    let text = failure.to_string();
    if ["Expired", "NotValidYet", "expired", "not valid yet"].iter().any(|word| text.contains(word)) {
        return failure.advise("compare this machine's clock with the gate's; where both are right, restart the gate");
    }
    failure.advise("compare the CA pin with what tapctl status prints on the gate")
}

fn pinned(pin: &CaPin) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedGate::new(*pin.digest(), Arc::new(SystemClock))))
}
