//! Puts the gate together from its configuration, and runs it until it is told to stop.

use std::fs::{File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use tapgate_audit::{
    Checkpoints, Copies, Event, FileOptions, FileSink, Follower, Keep, LogKey, MemorySink, Sink, WhenFull, Witness,
    checkpoints_of,
};
use tapgate_authority::{Authority, AuthorityParts, InBand, SecretsKey};
use tapgate_config::{AuditConfig, Config, WitnessPlace};
use tapgate_http::Tcp;
use tapgate_identity::TrustSource;
use tapgate_model::{Clock, SystemClock};
use tapgate_proof::RelyingParty;
use tapgate_record::Deck;
use tapgate_relay::Protocol;
use tapgate_session::{Gate, GateParts, ProtocolName};
use tapgate_sql::Classifier;
use tapgate_store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::{self, Edge};
use crate::acme::{self, Acme, Challenges};
use crate::certificate::{Era, OperatorCertificate, Own};
use crate::handover::{Elder, Lent, Log};
use crate::handshakes::Handshakes;
use crate::limits::SWEEP_EVERY;
use crate::reload::Watched;
use crate::running::{Bound, HandedOver, Running};
use crate::sockets::Sockets;
use crate::tls::{Tls, TlsParts};
use crate::vault::Vault;
use crate::web::audit::AuditPlace;
use crate::web::recordings::Library;
use crate::web::{App, Tickets, Web};
use crate::witness::Posted;
use crate::words::words;
use crate::{admin, doors, notify, run, shelf};

/// The parts that have a state on the disk.
pub(crate) struct Opened {
    pub(crate) authority: Arc<Authority>,
    pub(crate) sink: Arc<Log>,
    pub(crate) store: Arc<Lent>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) audit: AuditPlace,
    pub(crate) library: Library,
    /// The lock on the data directory, held as long as the file is open.
    pub(crate) alone: Option<File>,
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
    make_dir(dir)?;
    is_ours_alone(dir)?;
    let alone = alone_in(dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let vault = Vault::open(config)?;
    let lent = Arc::new(Lent::new(Arc::clone(&vault.store)));
    let store: Arc<dyn Store> = lent.clone();
    let key = log_key(&store, &clock)?;
    let place =
        AuditPlace { log: config.audit_log.clone(), checkpoints: checkpoints_of(&config.audit_log), key: key.public() };
    let sink = Arc::new(log(config, &place, &store, &clock)?);
    let shelf = shelf::open(config)?;
    let key = tapgate_authority::recordings_key(&*store, clock.now()).context("can't read the recordings' key")?;
    let library = Library { shelf, key, sink: sink.clone() };
    let authority = authority(config, (&store, &vault.secrets), &clock, sink.clone())?;
    Ok(Opened { authority: Arc::new(authority), sink, clock, audit: place, library, store: lent, alone: Some(alone) })
}

/// Who else may write into the directory could put another file in the place of the store or of a key.
fn is_ours_alone(dir: &Path) -> Result<()> {
    let facts = std::fs::metadata(dir).with_context(|| format!("can't look at {}", dir.display()))?;
    let (user, group) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let foreign = facts.uid() != user && facts.uid() != 0;
    let by_group = facts.mode() & 0o020 != 0 && facts.gid() != group;
    ensure!(
        !foreign && !by_group && facts.mode() & 0o002 == 0,
        "others can write into the data directory {} (give it to the gate's user, and chmod 700 it)",
        dir.display()
    );
    Ok(())
}

/// The audit log, to be opened whenever it is this process's.
fn log(config: &Config, place: &AuditPlace, store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Result<Log> {
    let (config, path) = (config.clone(), place.checkpoints.clone());
    let (store, clock) = (Arc::clone(store), Arc::clone(clock));
    let open = move || {
        let key = log_key(&store, &clock)?;
        let checkpoints = Checkpoints { key, path: path.clone(), witness: witness(&config)? };
        FileSink::open_with(&config.audit_log, Arc::clone(&clock), log_options(&config, checkpoints)?)
            .with_context(|| format!("can't open the audit log {}", config.audit_log.display()))
    };
    Log::open(open)
}

fn log_key(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Result<LogKey> {
    tapgate_authority::log_key(&**store, clock.now()).context("can't read the audit log's key")
}

/// Makes the data directory where there is none, for the gate's user alone.
pub(crate) fn make_dir(dir: &Path) -> Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("can't make the data directory {}", dir.display()))
}

/// How the audit log is kept, as the configuration says.
fn log_options(config: &Config, checkpoints: Checkpoints) -> Result<FileOptions> {
    let AuditConfig { refuse_when_full, stdout, file_size, keep, .. } = &config.audit;
    let mut follower: Option<Box<dyn Follower>> = None;
    if *stdout {
        follower = Some(Box::new(Copies::new(std::io::stdout()).context("can't copy the audit log")?));
    }
    Ok(FileOptions {
        checkpoints: Some(checkpoints),
        file_len_max: *file_size,
        when_full: if *refuse_when_full { WhenFull::Refuse } else { WhenFull::GoOn },
        keep: Keep { age: keep.age, size: keep.size },
        follower,
    })
}

/// Who gets a copy of each checkpoint.
fn witness(config: &Config) -> Result<Option<Box<dyn Witness>>> {
    Ok(match &config.audit.witness {
        None => None,
        Some(WitnessPlace::File(path)) => Some(Box::new(path.clone())),
        Some(WitnessPlace::Url(url)) => Some(Box::new(Posted::new(url.clone()).context("can't reach the witness")?)),
    })
}

/// A gate keeps what is true in memory and would not see what another one writes: one gate a directory.
pub(crate) fn alone_in(dir: &Path) -> Result<File> {
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
    let vault = Vault::open_at_rest(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    authority(config, (&vault.store, &vault.secrets), &clock, Arc::new(MemorySink::new()))
}

fn authority(
    config: &Config,
    (store, secrets): (&Arc<dyn Store>, &Arc<SecretsKey>),
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
        secrets: Arc::clone(secrets),
    })
    .context("can't load the certificate authorities")
}

fn relying_party(config: &Config) -> RelyingParty {
    RelyingParty { id: config.rp_id.clone(), origins: config.origins.clone() }
}

/// Runs a gate until SIGTERM or SIGINT, or until another process has taken over.
pub(crate) async fn serve(path: &Path, config: Config, mut sockets: Sockets, heir: bool) -> Result<()> {
    // Before the gate says that it is open: who reads that may end it at once, and in peace.
    let mut terminate = signal(SignalKind::terminate()).context("can't watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't watch for SIGINT")?;
    let mut replace = signal(SignalKind::user_defined2()).context("can't watch for SIGUSR2")?;
    let mut ended = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let mut elder = heir.then(Elder::on_standard_input).transpose()?;
    if let Some(elder) = &mut elder {
        run::look(path, &config).context("the fresh process stays out of the old one's way")?;
        elder.makes_way().await.context("the old process does not make way")?;
    }
    let opened = open(&config)?;
    let mut running = listen_at(&config, opened, &mut sockets)?;
    if sockets.left() > 0 {
        tracing::warn!(sockets = sockets.left(), "Sockets were handed down that the configuration does not name");
    }
    drop(sockets);
    if let Some(elder) = elder {
        running.relieve(elder).await?;
    }
    notify::ready();
    loop {
        tokio::select! {
            () = ended() => {
                running.end(config.drain.stop, ended()).await;
                return Ok(());
            }
            _ = replace.recv() => {}
        }
        match running.hand_over(&config).await {
            HandedOver::Done(heir) => {
                running.see_out(heir, config.drain.hand_over, ended()).await;
                return Ok(());
            }
            HandedOver::Not(error) => {
                metrics::counter!("tapgate_hand_overs_failed_total").increment(1);
                tracing::error!(error = words(&error), "The hand-over has failed: this process goes on");
            }
            HandedOver::Lost(error) => {
                return Err(error.context("the hand-over has failed, and this process can't go on"));
            }
        }
    }
}

/// Binds every port and begins to serve.
pub(crate) async fn listen(config: &Config, opened: Opened) -> Result<Running> {
    // Asynchronous for its callers' sake: without a runtime there is no socket.
    std::future::ready(listen_at(config, opened, &mut Sockets::default())).await
}

/// The same, with sockets that were handed down.
fn listen_at(config: &Config, opened: Opened, sockets: &mut Sockets) -> Result<Running> {
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
    let kept = acme::folder(&config.data_dir);
    let certificate = Arc::new(match &config.acme {
        Some(_) => OperatorCertificate::issued(acme::files(&kept)),
        None => OperatorCertificate::open(config.certificate.clone())?,
    });
    let edge = Arc::new(edge(config, &opened, &gate, &certificate)?);
    let watched = Watched::new(Arc::clone(&edge), Arc::clone(&certificate), config.resources.clone())?;
    let ports = ports(config, &edge, sockets)?;
    let (closing, stop) = (CancellationToken::new(), CancellationToken::new());
    let mut tasks = Vec::new();
    let mut admin = None;
    if let Some(address) = config.admin_listen {
        let (listener, served) = (sockets.at(address, config.reuse_port)?, stop.child_token());
        let own = listener.try_clone().and_then(TcpListener::from_std).context("can't serve the admin port")?;
        let page = admin::Admin {
            gate: gate.clone(),
            counted: admin::count()?,
            handshakes: Arc::clone(&edge.handshakes),
            closing: closing.clone(),
        };
        tasks.push(tokio::spawn(admin::serve(own, page, served.clone())));
        admin = Some((listener, served));
    }
    tasks.push(tokio::spawn(watched.watch(closing.clone())));
    tasks.push(tokio::spawn(sweep(Arc::clone(authority), closing.clone())));
    tasks.push(tokio::spawn(look_after_applications(gate.clone(), closing.clone())));
    if let Some(acme) = config.acme.clone() {
        let (challenges, clock) = (Arc::clone(&edge.challenges), Arc::clone(clock));
        let acme = Acme { config: acme, folder: kept, certificate, challenges, clock };
        tasks.push(tokio::spawn(acme.keep(closing.clone())));
    }
    let (shelf, keep) = (Arc::clone(&opened.library.shelf), config.recordings_keep);
    tasks.push(tokio::spawn(shelf::look_after(shelf, keep, gate.clone(), sink.clone(), closing.clone())));
    sink.record(Event::gate_started(env!("CARGO_PKG_VERSION")));
    let pin = authority.ca_pin();
    let accepting = CancellationToken::new();
    let mut running = Running { gate, opened, edge, deck, ports, admin, accepting, closing, stop, tasks, elder: None };
    running.accept()?;
    tracing::info!(listen = %config.listen, public = %config.public_addr, ca_pin = %pin, "The gate is open");
    Ok(running)
}

/// The ports for clients.
fn ports(config: &Config, edge: &Edge, sockets: &mut Sockets) -> Result<Vec<Bound>> {
    let mut ports = vec![Bound { listener: sockets.at(config.listen, config.reuse_port)?, only: None }];
    if let Some(address) = config.mysql_listen {
        let only = edge.protocols.iter().find(|protocol| protocol.name() == ProtocolName::Mysql).cloned();
        ports.push(Bound { listener: sockets.at(address, config.reuse_port)?, only });
    }
    if let Some(address) = config.acme.as_ref().and_then(|acme| acme.http_listen) {
        ports.push(Bound { listener: sockets.at(address, config.reuse_port)?, only: None });
    }
    Ok(ports)
}

fn edge(config: &Config, opened: &Opened, gate: &Gate, operator: &Arc<OperatorCertificate>) -> Result<Edge> {
    let Opened { authority, clock, .. } = opened;
    let trust: TrustSource = {
        let authority = Arc::clone(authority);
        Arc::new(move || authority.trust())
    };
    let ssh = Arc::new(doors::ssh::make(config, opened, gate, &trust)?);
    let signer = doors::http::signer(config, authority)?;
    let apps = Arc::new(doors::http::make(config, opened, gate, &signer));
    let http: Arc<dyn Protocol> = apps.clone();
    let challenges = Arc::new(Challenges::default());
    let parts = tls_parts(config, opened, (operator, &challenges), trust)?;
    let classifier = Classifier::new();
    let kube = tapgate_kube::Health::default();
    let desktops = Arc::new(doors::desktop::make(opened, gate, &parts)?);
    let protocols: Vec<Arc<dyn Protocol>> = vec![
        ssh.clone(),
        http,
        Arc::new(Tcp::new(gate.clone())),
        Arc::new(doors::postgres::make(config, authority, gate, clock, &parts, &classifier)?),
        Arc::new(doors::mysql::make(authority, gate, clock, &parts, &classifier)?),
        doors::kube::open(gate, clock, &names(config), &kube),
        desktops.clone(),
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
        desktops,
        tickets: Tickets::default(),
        kube,
        signer,
        audit: opened.audit.clone(),
        library: opened.library.clone(),
        min_client_version: config.min_client_version,
        ssh,
        terminals: crate::web::Terminals::default(),
        elder: Arc::default(),
        installing: std::sync::Mutex::new(()),
    };
    let room = Arc::new(Semaphore::new(accept::room()));
    Ok(Edge {
        protocols,
        tls,
        web: Web::new(Arc::new(app)),
        handshakes: Arc::new(Handshakes::default()),
        arriving: TaskTracker::new(),
        challenges,
        proxies: config.proxies.clone(),
        room,
    })
}

/// What TLS at the public port is made of.
fn tls_parts(
    config: &Config,
    opened: &Opened,
    (operator, challenges): (&Arc<OperatorCertificate>, &Arc<Challenges>),
    trust: TrustSource,
) -> Result<TlsParts> {
    let Opened { authority, clock, .. } = opened;
    let (present, issuer, owner) = (Arc::clone(authority), Arc::clone(authority), Arc::clone(authority));
    let era: Era = Arc::new(move || present.ca_pin());
    let further = further_names(config);
    let own = Own::new(move || owner.host_tls(&further).map_err(std::io::Error::other), Arc::clone(&era));
    Ok(TlsParts {
        names: names(config),
        issue: Arc::new(move |name| issuer.host_tls_for(name).map_err(std::io::Error::other)),
        era,
        pages_host: pages_host(config),
        own: Arc::new(own.context("can't issue the gate's TLS certificate")?),
        operator: Arc::clone(operator),
        challenges: Arc::clone(challenges),
        trust,
        clock: Arc::clone(clock),
        gate: authority.gate_fingerprint(),
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
