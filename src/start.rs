//! Puts the gate together from its configuration, and runs it until it is told to stop.

use std::fs::{File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use tapgate_audit::{Checkpoints, Event, FileOptions, FileSink, MemorySink, Sink, WhenFull, checkpoints_of};
use tapgate_authority::{Authority, AuthorityParts, InBand, SecretsKey};
use tapgate_config::Config;
use tapgate_http::Tcp;
use tapgate_identity::TrustSource;
use tapgate_model::{Clock, SystemClock};
use tapgate_proof::RelyingParty;
use tapgate_record::{Deck, Folder};
use tapgate_relay::Protocol;
use tapgate_session::{Gate, GateParts, ProtocolName};
use tapgate_sql::Classifier;
use tapgate_ssh::{KeySource, Ssh, SshParts};
use tapgate_store::{SqliteStore, Store};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::accept::{self, Edge, Handshakes, Port};
use crate::certificate::OperatorCertificate;
use crate::limits::{CONNECTIONS_MAX, DRAIN_MAX, SWEEP_EVERY};
use crate::reload::Watched;
use crate::tls::{Tls, TlsParts};
use crate::web::audit::AuditPlace;
use crate::web::recordings::Library;
use crate::web::{App, Web};
use crate::{admin, doors};

/// The parts that have a state on the disk.
pub(crate) struct Opened {
    pub(crate) authority: Arc<Authority>,
    pub(crate) sink: Arc<FileSink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) audit: AuditPlace,
    pub(crate) library: Library,
    /// The lock on the data directory, held as long as the file is open.
    _alone: File,
}

/// A gate that listens.
pub(crate) struct Running {
    pub(crate) gate: Gate,
    pub(crate) opened: Opened,
    deck: Arc<Deck>,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// The names by which clients may call the gate.
fn names(config: &Config) -> Vec<String> {
    let own = [config.public_addr.host.as_str(), config.cluster_name.as_str()];
    let mut names: Vec<String> = Vec::new();
    for name in own.into_iter().chain(config.origins.iter().map(|origin| host_of(origin))) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The names that the gate's TLS certificate has beside those: targets that clients reach by a name of their own.
fn further_names(config: &Config) -> Vec<String> {
    doors::postgres::under(config).map(|under| format!("*.{under}")).into_iter().collect()
}

/// The host of an origin.
fn host_of(origin: &str) -> &str {
    let host = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    host.split([':', '/']).next().unwrap_or(host)
}

/// The host of the pages, where it is neither the one that users type nor the cluster's.
fn pages_host(config: &Config) -> Option<String> {
    let host = config.origins.first().map(|origin| host_of(origin))?;
    (host != config.public_addr.host && host != config.cluster_name).then(|| host.to_owned())
}

/// Opens the store and the audit log, and loads or makes the certificate authorities.
pub(crate) fn open(config: &Config) -> Result<Opened> {
    let dir = &config.data_dir;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("can't make the data directory {}", dir.display()))?;
    let alone = alone_in(dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let file = dir.join("tapgate.db");
    let store = SqliteStore::open(&file).with_context(|| format!("can't open the store {}", file.display()))?;
    let store: Arc<dyn Store> = Arc::new(store);
    let key = tapgate_authority::log_key(&*store, clock.now()).context("can't read the audit log's key")?;
    let place =
        AuditPlace { log: config.audit_log.clone(), checkpoints: checkpoints_of(&config.audit_log), key: key.public() };
    let checkpoints = Checkpoints { key, path: place.checkpoints.clone(), witness: config.audit.witness.clone() };
    let when_full = if config.audit.refuse_when_full { WhenFull::Refuse } else { WhenFull::GoOn };
    let options = FileOptions { checkpoints: Some(checkpoints), when_full, ..FileOptions::default() };
    let sink = FileSink::open_with(&config.audit_log, Arc::clone(&clock), options)
        .with_context(|| format!("can't open the audit log {}", config.audit_log.display()))?;
    let sink = Arc::new(sink);
    let shelf = Folder::new(&config.recordings)
        .with_context(|| format!("can't make the directory of recordings {}", config.recordings.display()))?;
    let key = tapgate_authority::recordings_key(&*store, clock.now()).context("can't read the recordings' key")?;
    let library = Library { shelf: Arc::new(shelf), key, sink: sink.clone() };
    let authority = authority(config, &store, &clock, sink.clone())?;
    Ok(Opened { authority: Arc::new(authority), sink, clock, audit: place, library, _alone: alone })
}

/// A gate keeps what is true in memory and would not see what another one writes: one gate a directory.
fn alone_in(dir: &Path) -> Result<File> {
    let path = dir.join("tapgate.lock");
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.with_context(|| format!("can't open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("the data directory {} is in use by another gate (stop that one first)", dir.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("can't lock {}", path.display())),
    }
}

/// The authority of a data directory that is there already, to be read: the audit log, which belongs to the gate
/// that may be running, is left alone.
pub(crate) fn authority_at_rest(config: &Config) -> Result<Authority> {
    let file = config.data_dir.join("tapgate.db");
    ensure!(file.is_file(), "there is no store {} (run `tapgate init` first)", file.display());
    let store = SqliteStore::open(&file).with_context(|| format!("can't open the store {}", file.display()))?;
    let (store, clock): (Arc<dyn Store>, Arc<dyn Clock>) = (Arc::new(store), Arc::new(SystemClock));
    authority(config, &store, &clock, Arc::new(MemorySink::new()))
}

fn authority(
    config: &Config,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    sink: Arc<dyn Sink>,
) -> Result<Authority> {
    Authority::open(AuthorityParts {
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        sink,
        cluster: config.cluster_name.clone(),
        relying_party: relying_party(config),
        pins: config.first_admins.clone(),
        host_names: [names(config), doors::kube::hosts(&names(config))].concat(),
        resource_dir: config.resources.clone(),
        secrets: SecretsKey::of_file(&config.data_dir.join("secrets.key")).context("can't read the secrets' key")?,
    })
    .context("can't load the certificate authorities")
}

fn relying_party(config: &Config) -> RelyingParty {
    RelyingParty { id: config.rp_id.clone(), origins: config.origins.clone() }
}

/// Runs a gate until SIGTERM or SIGINT.
pub(crate) async fn serve(config: Config) -> Result<()> {
    // Before the gate says that it is open: who reads that may end it at once, and in peace.
    let mut terminate = signal(SignalKind::terminate()).context("can't watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't watch for SIGINT")?;
    let opened = open(&config)?;
    let running = listen(&config, opened).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.stop().await;
    Ok(())
}

/// Binds every port and begins to serve.
pub(crate) async fn listen(config: &Config, opened: Opened) -> Result<Running> {
    let Opened { authority, sink, clock, .. } = &opened;
    let snapshot = authority.snapshot().context("the resources can't be used")?;
    let gate = Gate::new(GateParts {
        clock: Arc::clone(clock),
        sink: sink.clone(),
        spender: authority.clone(),
        taps: Arc::new(InBand::new(Arc::clone(authority), config.origins.first().cloned().unwrap_or_default())),
        snapshot,
        gate: authority.gate_fingerprint(),
        relying_party: authority.relying_party().clone(),
    });
    let deck = Deck::new(Arc::clone(&opened.library.shelf), &opened.library.key);
    let deck = Arc::new(deck.context("can't start to record sessions")?);
    gate.record_with(deck.clone());
    let certificate = Arc::new(OperatorCertificate::open(config.certificate.clone())?);
    let edge = Arc::new(edge(config, &opened, &gate, &certificate)?);
    let watched = Watched::new(Arc::clone(&edge), certificate, config.resources.clone())?;
    let listener = bind(config.listen).await?;
    let stop = CancellationToken::new();
    let port = Port { listener, only: None };
    let mut tasks = vec![tokio::spawn(accept::accept(port, Arc::clone(&edge), stop.clone()))];
    if let Some(address) = config.mysql_listen {
        let only = edge.protocols.iter().find(|protocol| protocol.name() == ProtocolName::Mysql).cloned();
        let port = Port { listener: bind(address).await?, only };
        tasks.push(tokio::spawn(accept::accept(port, Arc::clone(&edge), stop.clone())));
    }
    if let Some(address) = config.admin_listen {
        let listener = bind(address).await?;
        tasks.push(tokio::spawn(admin::serve(listener, gate.clone(), admin::count()?, stop.clone())));
    }
    tasks.push(tokio::spawn(watched.watch(stop.clone())));
    tasks.push(tokio::spawn(sweep(Arc::clone(authority), stop.clone())));
    tasks.push(tokio::spawn(look_after_applications(gate.clone(), stop.clone())));
    sink.record(Event::gate_started(env!("CARGO_PKG_VERSION")));
    tracing::info!(listen = %config.listen, public = %config.public_addr, ca_pin = %authority.gate_fingerprint(), "The gate is open");
    Ok(Running { gate, opened, deck, stop, tasks })
}

async fn bind(address: std::net::SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("can't listen on {address} (is another gate running there?)"))
}

fn edge(config: &Config, opened: &Opened, gate: &Gate, operator: &Arc<OperatorCertificate>) -> Result<Edge> {
    let Opened { authority, sink, clock, .. } = opened;
    let trust: TrustSource = {
        let authority = Arc::clone(authority);
        Arc::new(move || authority.trust())
    };
    let (host_key, host_certificate) = authority.host_ssh().context("can't issue the SSH host certificate")?;
    let ssh = Arc::new(
        Ssh::new(SshParts {
            gate: gate.clone(),
            trust: Arc::clone(&trust),
            clock: Arc::clone(clock),
            sink: sink.clone(),
            host_key,
            host_certificate,
            host_ca: authority.host_ca(),
            target_ca: authority.target_ca(),
            keys: keys(authority),
            gate_name: config.cluster_name.clone(),
        })
        .context("the SSH door can't be opened")?,
    );
    let signer = doors::http::signer(config, authority)?;
    let apps = Arc::new(doors::http::make(config, opened, gate, &signer));
    let http: Arc<dyn Protocol> = apps.clone();
    let (chain, key) = authority.host_tls(&further_names(config)).context("can't issue the gate's TLS certificate")?;
    let issuer = Arc::clone(authority);
    let parts = TlsParts {
        names: names(config),
        issue: Arc::new(move |name| {
            let (chain, key) = issuer.host_tls_for(name).map_err(std::io::Error::other)?;
            Ok((chain, Arc::new(key)))
        }),
        pages_host: pages_host(config),
        chain,
        key: Arc::new(key),
        operator: Arc::clone(operator),
        trust,
        clock: Arc::clone(clock),
        gate: authority.gate_fingerprint(),
    };
    let classifier = Classifier::new();
    let kube = tapgate_kube::Health::default();
    let protocols: Vec<Arc<dyn Protocol>> = vec![
        ssh.clone(),
        http,
        Arc::new(Tcp::new(gate.clone())),
        Arc::new(doors::postgres::make(config, authority, gate, clock, &parts, &classifier)?),
        Arc::new(doors::mysql::make(authority, gate, clock, &parts, &classifier)?),
        doors::kube::open(gate, clock, &names(config), &kube),
        Arc::new(doors::desktop::make(gate, &parts)?),
    ];
    let tls = Tls::new(parts, &protocols).context("the gate's TLS certificate can't be used")?;
    let app = App {
        authority: Arc::clone(authority),
        gate: gate.clone(),
        clock: Arc::clone(clock),
        cluster: config.cluster_name.clone(),
        public_addr: config.public_addr.to_string(),
        names: names(config),
        rp_id: config.rp_id.clone(),
        origin: config.origins.first().cloned().unwrap_or_default(),
        pages_host: pages_host(config),
        apps,
        kube,
        signer,
        audit: opened.audit.clone(),
        library: opened.library.clone(),
        ssh,
        terminals: crate::web::Terminals::default(),
        installing: std::sync::Mutex::new(()),
    };
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    Ok(Edge {
        protocols,
        tls,
        web: Web::new(Arc::new(app)),
        handshakes: Arc::new(Handshakes::default()),
        proxies: config.proxies.clone(),
        room,
    })
}

/// Where the SSH protocol finds the keys for targets that trust no authority.
fn keys(authority: &Arc<Authority>) -> KeySource {
    let authority = Arc::clone(authority);
    Arc::new(move |name| {
        let authority = Arc::clone(&authority);
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || authority.node_key(&name));
            read.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        })
    })
}

/// Removes what has ended from the store, now and then.
async fn sweep(authority: Arc<Authority>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
        let authority = Arc::clone(&authority);
        match tokio::task::spawn_blocking(move || authority.sweep()).await {
            Ok(Ok(swept)) => tracing::debug!(swept, "Swept the store"),
            Ok(Err(error)) => tracing::warn!(%error, "Could not sweep the store"),
            Err(error) => tracing::error!(%error, "The sweep broke"),
        }
    }
}

/// Looks whether the applications can be reached, until the gate closes.
async fn look_after_applications(gate: Gate, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = gate.look_after_applications() => {}
    }
}

impl Running {
    /// Stops accepting, tells every live session, and writes the log to its end.
    pub(crate) async fn stop(self) {
        tracing::info!(sessions = self.gate.live_count(), "The gate is closing");
        self.stop.cancel();
        self.gate.cut_all();
        let drained = tokio::time::timeout(DRAIN_MAX, async {
            while self.gate.live_count() > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
        if drained.await.is_err() {
            tracing::warn!(sessions = self.gate.live_count(), "Closed with sessions still open");
        }
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "A part of the gate broke");
            }
        }
        self.deck.close();
        self.opened.sink.record(Event::gate_stopped(env!("CARGO_PKG_VERSION")));
        if let Err(error) = self.opened.sink.seal() {
            tracing::error!(%error, "The audit log could not be written to its end");
        }
    }
}
