//! The lab of these tests: authorities, certificates, a gate on a socket, targets, and clients.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{AuthResult, DisconnectReason, Handle, Handler, Msg};
use russh::keys::ssh_key::{Algorithm, Certificate, PrivateKey};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Preferred};
use tapgate_identity::{
    CaKind, Identity, SshCa, SshCaSource, SshLoginSubject, SshSessionSubject, Trust, TrustParts, spki_digest,
    ssh_key_spki,
};
use tapgate_model::Clock;
use tapgate_proof::{Holder, Uses};
use tapgate_relay::{Accepted, Protocol, TlsFacts};
use tapgate_session::testing::{GATE, World, user};
use tapgate_ssh::demo_target::DemoTarget;
use tapgate_ssh::{Ssh, SshParts};

use super::hostile_target::{Hostile, Raw};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// By what a client comes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Via {
    Login,
    Session,
    Expired,
    OtherCa,
    PlainKey,
}

/// A key with its certificate, if it has one.
pub(crate) struct Papers {
    key: Arc<PrivateKey>,
    certificate: Option<Certificate>,
}

/// The lab.
pub(crate) struct Lab {
    pub(crate) world: World,
    policy: String,
    ssh: Arc<Ssh>,
    login_ca: SshCa,
    session_ca: SshCa,
    tunnel: Option<Arc<Identity>>,
    /// The clients' windows.
    window: u32,
    target: Option<DemoTarget>,
    /// A target that says what a test puts into its mouth.
    pub(crate) hostile: Hostile,
    /// A target that says any bytes.
    pub(crate) raw: Raw,
    _others: (DemoTarget, TcpListener),
}

fn key() -> Outcome<PrivateKey> {
    Ok(PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)?)
}

fn node(name: &str, env: &str, address: &str, host_key: &str) -> String {
    format!(
        "kind: node\nversion: v2\nmetadata:\n  name: {name}\n  labels: {{ env: {env} }}\n\
         spec:\n  addr: \"{address}\"\n  host_keys: [\"{host_key}\"]\n---\n"
    )
}

fn policy(options: &str, nodes: &str) -> String {
    format!(
        "{nodes}\
kind: role
version: v7
metadata: {{ name: dev }}
spec:
  allow: {{ node_labels: {{ env: dev }}, logins: [jerry] }}
---
kind: role
version: v7
metadata: {{ name: prod }}
spec:
  options:
    require_session_mfa: true
    port_forwarding: false
    forward_agent: false
    {options}
  allow: {{ node_labels: {{ env: prod }}, logins: [jerry, root] }}
---
kind: user
version: v2
metadata: {{ name: jerry }}
spec: {{ roles: [dev, prod] }}
---
kind: user
version: v2
metadata: {{ name: ann }}
spec: {{ roles: [dev] }}
"
    )
}

/// An authority that is not rotated.
fn source(ca: SshCa) -> SshCaSource {
    let ca = Arc::new(ca);
    Arc::new(move || Arc::clone(&ca))
}

impl Lab {
    /// A gate with its targets; the options are of the role for `prod3`.
    pub(crate) async fn start(options: &str) -> Outcome<Self> {
        // The targets' clock stands where the world begins.
        let clock = World::new("").clock;
        let target_ca = SshCa::generate(CaKind::TargetSsh, "example", clock.now())?;
        let trusted = target_ca.public_key().clone();
        let target = DemoTarget::start(key()?, trusted, clock.clone()).await?;
        let stranger = DemoTarget::start(key()?, key()?.public_key().clone(), clock.clone()).await?;
        let silent = TcpListener::bind("127.0.0.1:0").await?;
        let other_key = key()?.public_key().to_openssh()?;
        let hostile = Hostile::start(key()?).await?;
        let raw = Raw::start().await?;
        let address = target.address().to_string();
        let nodes = [
            node("prod3", "prod", &address, target.host_key()),
            node("dev1", "dev", &address, target.host_key()),
            node("down", "dev", "127.0.0.1:9", target.host_key()),
            node("silent", "dev", &silent.local_addr()?.to_string(), target.host_key()),
            node("imposter", "dev", &address, &other_key),
            node("raw", "dev", &raw.address.to_string(), &hostile.host_key),
            node("hostile", "dev", &hostile.address.to_string(), &hostile.host_key),
            node("stranger", "dev", &stranger.address().to_string(), stranger.host_key()),
        ];
        let policy = policy(options, &nodes.concat());
        let world = World::new(&policy);
        let now = world.clock.now();
        let login_ca = SshCa::generate(CaKind::LoginSsh, "example", now)?;
        let session_ca = SshCa::generate(CaKind::SessionSsh, "example", now)?;
        let host_ca = SshCa::generate(CaKind::HostSsh, "example", now)?;
        let trust = Arc::new(Trust::new(TrustParts {
            gate: GATE,
            login: Vec::new(),
            session: Vec::new(),
            login_ssh: vec![login_ca.public_key().clone()],
            session_ssh: vec![session_ca.public_key().clone()],
        })?);
        let host_key = key()?;
        let host_certificate = host_ca.issue_host(host_key.public_key(), &["gate.example".to_owned()], now)?;
        let ssh = Ssh::new(SshParts {
            gate: world.gate.clone(),
            trust: Arc::new(move || Arc::clone(&trust)),
            clock: world.clock.clone(),
            sink: world.sink.clone(),
            host_key,
            host_certificate,
            host_ca: source(host_ca),
            target_ca: source(target_ca),
            keys: Arc::new(|_| Box::pin(std::future::ready(Ok(None)))),
            gate_name: "gate.example".to_owned(),
        })?;
        let (target, ssh) = (Some(target), Arc::new(ssh));
        Ok(Self {
            world,
            policy,
            ssh,
            login_ca,
            session_ca,
            tunnel: None,
            window: 2 << 20,
            target,
            hostile,
            raw,
            _others: (stranger, silent),
        })
    }

    /// The same, behind a TLS tunnel of this user.
    pub(crate) fn with_tunnel_of(mut self, name: &str) -> Self {
        self.tunnel = Some(self.world.login(name));
        self
    }

    /// The same, with clients that name this window.
    pub(crate) const fn with_window(mut self, window: u32) -> Self {
        self.window = window;
        self
    }

    /// Locks jerry out.
    pub(crate) fn lock_jerry(&self) {
        let lock = "---\nkind: lock\nversion: v2\nmetadata: { name: lost-laptop }\nspec: { target: { user: jerry } }\n";
        self.world.install(&(self.policy.clone() + lock));
    }

    /// The target goes, and its connections with it.
    pub(crate) fn kill_target(&mut self) {
        self.target = None;
    }

    /// A session certificate with jerry's tap for this node and login.
    pub(crate) fn tap(&self, name: &str, login: &str, uses: Uses) -> Outcome<Papers> {
        let key = key()?;
        let holder = Holder::SessionKey(spki_digest(&ssh_key_spki(key.public_key()).ok_or("no such key")?));
        let entry = self.world.entry(name, login, holder);
        let statement = self.world.statement(vec![entry], uses, Duration::from_mins(5));
        let proof = self.world.key.tap(&statement, [9; 32], &self.world.rp);
        let now = self.world.clock.now();
        let subject = SshSessionSubject {
            user: &user("jerry"),
            public_key: key.public_key(),
            logins: &[(login.parse()?, name.parse()?)],
            proof: &proof,
            login_expires: now.plus(Duration::from_hours(12)),
            not_after: now.plus(Duration::from_mins(5)),
        };
        let certificate = Some(self.session_ca.issue_session(&subject, &GATE, now)?);
        Ok(Papers { key: Arc::new(key), certificate })
    }

    pub(crate) fn papers(&self, via: Via) -> Outcome<Papers> {
        let key = key()?;
        let issue = |ca: &SshCa, now| {
            let subject = SshLoginSubject {
                user: &user("jerry"),
                public_key: key.public_key(),
                source_ip: None,
                expires: self.world.clock.now().plus(Duration::from_secs(30)),
            };
            ca.issue_login(&subject, &GATE, now)
        };
        let now = self.world.clock.now();
        let certificate = match via {
            Via::Session => return self.tap("prod3", "jerry", Uses::Window),
            Via::Login => Some(issue(&self.login_ca, now)?),
            Via::OtherCa => Some(issue(&SshCa::generate(CaKind::LoginSsh, "other", now)?, now)?),
            Via::Expired => {
                let certificate = issue(&self.login_ca, now)?;
                self.world.clock.advance(Duration::from_mins(1));
                Some(certificate)
            }
            Via::PlainKey => None,
        };
        Ok(Papers { key: Arc::new(key), certificate })
    }

    /// A client's end of a connection that has said nothing, over no socket, so that time can be skipped.
    pub(crate) fn connect_in_memory(&self) -> DuplexStream {
        let (near, far) = duplex(64 * 1024);
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let accepted = Accepted { io: Box::new(far), peer, tls: self.tunnel.clone().map(within), handshake: None };
        tokio::spawn(Arc::clone(&self.ssh).serve(accepted));
        near
    }

    pub(crate) async fn connect(&self) -> Outcome<TcpStream> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        #[expect(clippy::disallowed_methods, reason = "this is the client")]
        let connecting = TcpStream::connect(listener.local_addr()?);
        let (near, far) = tokio::join!(connecting, listener.accept());
        let (io, peer): (TcpStream, SocketAddr) = far?;
        let accepted = Accepted { io: Box::new(io), peer, tls: self.tunnel.clone().map(within), handshake: None };
        tokio::spawn(Arc::clone(&self.ssh).serve(accepted));
        Ok(near?)
    }

    /// A client that has not logged in.
    pub(crate) async fn stranger(&self) -> Outcome<Client> {
        let (heard, words) = watch::channel(None);
        let banner = Arc::new(Mutex::new(None));
        let deaf = Arc::new(AtomicBool::new(false));
        let ear = Ear { heard, banner: Arc::clone(&banner), deaf: Arc::clone(&deaf) };
        let preferred = Preferred { host_key_certificates: vec![Algorithm::Ed25519].into(), ..Preferred::DEFAULT };
        let config = russh::client::Config { preferred, window_size: self.window, ..russh::client::Config::default() };
        let config = Arc::new(config);
        let session = russh::client::connect_stream(config, self.connect().await?, ear).await?;
        Ok(Client { session, words, banner, deaf })
    }

    async fn knock(&self, name: &str, papers: &Papers) -> Outcome<(Client, bool)> {
        let mut client = self.stranger().await?;
        let is_in = client.log_in(name, papers).await?;
        Ok((client, is_in))
    }

    /// A client that has logged in.
    pub(crate) async fn enter_with(&self, name: &str, papers: &Papers) -> Outcome<Client> {
        let (client, is_in) = self.knock(name, papers).await?;
        if is_in { Ok(client) } else { Err(format!("{name} was rejected: {:?}", client.banner()).into()) }
    }

    /// The same with new papers.
    pub(crate) async fn enter(&self, name: &str, via: Via) -> Outcome<Client> {
        self.enter_with(name, &self.papers(via)?).await
    }

    /// What a client reads that logs in and is refused its session.
    pub(crate) async fn turned_away(&self, name: &str, via: Via) -> Outcome<String> {
        Ok(self.enter(name, via).await?.farewell().await)
    }

    /// What a client reads that can't log in.
    pub(crate) async fn rejected(&self, name: &str, via: Via) -> Outcome<Option<String>> {
        let (client, is_in) = self.knock(name, &self.papers(via)?).await?;
        assert!(!is_in, "{name} came in by {via:?}");
        Ok(client.banner())
    }

    /// Sends bytes that are no SSH and waits until the gate hangs up or has had enough time to fall over.
    pub(crate) async fn send_garbage(&self, bytes: &[u8]) -> Outcome<()> {
        let mut stream = self.connect().await?;
        stream.write_all(bytes).await?;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // The gate may wait for more, which it need not get.
        drop(tokio::time::timeout(Duration::from_millis(300), read).await);
        Ok(())
    }

    /// Waits until no session is live.
    pub(crate) async fn until_nobody_is_in(&self) {
        for _ in 0..300 {
            if self.world.gate.live_count() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unreachable!("a session stays live");
    }
}

/// A client.
pub(crate) struct Client {
    pub(crate) session: Handle<Ear>,
    words: watch::Receiver<Option<String>>,
    banner: Arc<Mutex<Option<String>>>,
    deaf: Arc<AtomicBool>,
}

impl Client {
    /// Tries to log in.
    pub(crate) async fn log_in(&mut self, name: &str, papers: &Papers) -> Outcome<bool> {
        let key = Arc::clone(&papers.key);
        let result = match &papers.certificate {
            Some(certificate) => self.session.authenticate_openssh_cert(name, key, certificate.clone()).await?,
            None => self.session.authenticate_publickey(name, PrivateKeyWithHashAlg::new(key, None)).await?,
        };
        Ok(matches!(result, AuthResult::Success))
    }

    /// Hears nothing of what is said about channels from here on: a test that speaks by hand.
    pub(crate) fn deafen(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }

    /// Sends a packet as it is.
    pub(crate) fn say(&self, packet: &[u8]) {
        self.session.raw_sender().send(bytes::Bytes::copy_from_slice(packet));
    }

    /// Runs a command on a channel of its own.
    pub(crate) async fn run(&self, command: &str) -> Outcome<Said> {
        let mut channel = self.session.channel_open_session().await?;
        channel.exec(true, command).await?;
        Ok(gather(&mut channel).await)
    }

    /// Goes away as a client does.
    pub(crate) async fn leave(self) -> Outcome<()> {
        Ok(self.session.disconnect(russh::Disconnect::ByApplication, "bye", "").await?)
    }

    /// The gate's last words to this client.
    pub(crate) async fn farewell(&self) -> String {
        let mut words = self.words.clone();
        let said = words.wait_for(Option::is_some);
        match tokio::time::timeout(Duration::from_secs(10), said).await {
            Ok(Ok(words)) => words.clone().unwrap_or_default(),
            other => unreachable!("no farewell: {other:?}"),
        }
    }

    fn banner(&self) -> Option<String> {
        self.banner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a command said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) status: Option<u32>,
    pub(crate) signal: Option<String>,
}

/// All that comes on a channel until it is closed.
pub(crate) async fn gather(channel: &mut Channel<Msg>) -> Said {
    let mut said = Said::default();
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => said.stdout.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, ext: 1 } => said.stderr.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => said.status = Some(exit_status),
            ChannelMsg::ExitSignal { signal_name, .. } => said.signal = Some(format!("{signal_name:?}")),
            _ => {}
        }
    }
    said
}

/// What the client's leg hears beside its channels.
pub(crate) struct Ear {
    heard: watch::Sender<Option<String>>,
    banner: Arc<Mutex<Option<String>>>,
    deaf: Arc<AtomicBool>,
}

impl Handler for Ear {
    type Error = russh::Error;

    async fn raw_packet(&mut self, _: &[u8]) -> Result<bool, Self::Error> {
        Ok(self.deaf.load(Ordering::SeqCst))
    }

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(shown.certificate().is_some_and(|c| c.valid_principals().contains(&"gate.example".to_owned())))
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut russh::client::Session) -> Result<(), Self::Error> {
        *self.banner.lock().unwrap_or_else(PoisonError::into_inner) = Some(banner.to_owned());
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        let words = match reason {
            DisconnectReason::ReceivedDisconnect(info) => info.message,
            DisconnectReason::Error(error) => format!("broken: {error}"),
        };
        self.heard.send_replace(Some(words));
        Ok(())
    }
}

/// What a TLS tunnel says of who opened it.
fn within(identity: Arc<Identity>) -> TlsFacts {
    TlsFacts { identity: Some(identity), ..TlsFacts::default() }
}
