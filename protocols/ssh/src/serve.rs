//! One connection from its first byte to its last: handshake, verdict, target, relay, farewell.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use russh::Disconnect;
use russh::keys::ssh_key::{Certificate, PrivateKey};
use russh::server::RunningSession;
use tapgate_audit::Sink;
use tapgate_identity::{IssueError, SshCaSource, Trust, TrustSource};
use tapgate_model::{Clock, Kind, Login, TargetName, tunnel};
use tapgate_proof::Holder;
use tapgate_relay::{Accepted, Protocol, Sniff, TlsDoor};
use tapgate_session::{Ask, ConnectionFacts, CutReason, CutWatch, Door, EndReason, Gate, Grant, Live, ProtocolName};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::algorithms;
use crate::console::PageEnd;
use crate::entrance::{Arrival, Doorway, Entrance, Guest};
use crate::jump::Jumper;
use crate::limits::{FAREWELL_MAX, FLUSH_MAX, HANDSHAKE_MAX, KEEPALIVE, LINGER_MAX};
use crate::link::{Fault, Legs, Link, Voice};
use crate::preface;
use crate::prompt::ChannelPrompt;
use crate::severable::Severable;
use crate::stored_key::KeySource;
use crate::target::{Passport, TargetLeg};
use crate::write::one_line;

/// What the SSH protocol is made of.
pub struct SshParts {
    /// Who decides.
    pub gate: Gate,
    /// Whose certificates become identities.
    pub trust: TrustSource,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where the audit log goes.
    pub sink: Arc<dyn Sink>,
    /// The gate's own host key.
    pub host_key: PrivateKey,
    /// The certificate of that key.
    pub host_certificate: Certificate,
    /// Who signs the gate's host certificates: one for each target that is jumped to.
    pub host_ca: SshCaSource,
    /// Who signs the certificates that are shown to targets.
    pub target_ca: SshCaSource,
    /// Where the keys are for targets that trust no authority.
    pub keys: KeySource,
    /// The gate's name, which may stand behind the target's in a user name.
    pub gate_name: String,
}

/// The SSH protocol at the gate.
pub struct Ssh {
    gate: Gate,
    trust: TrustSource,
    clock: Arc<dyn Clock>,
    sink: Arc<dyn Sink>,
    gate_name: String,
    config: Arc<russh::server::Config>,
    host_key: PrivateKey,
    host_ca: SshCaSource,
    passport: Passport,
}

/// Why the SSH protocol can't be offered.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// No key could be made for the certificates that targets are shown.
    #[error("no key could be made for logging in to targets: {0}")]
    Key(#[from] russh::keys::ssh_key::Error),
}

impl Ssh {
    /// The protocol, made of these parts.
    pub fn new(parts: SshParts) -> Result<Self, SshError> {
        let passport = Passport::new(parts.target_ca, Arc::clone(&parts.clock), parts.keys)?;
        let config = Arc::new(algorithms::server(parts.host_key.clone(), parts.host_certificate));
        Ok(Self {
            gate: parts.gate,
            trust: parts.trust,
            clock: parts.clock,
            sink: parts.sink,
            gate_name: parts.gate_name,
            config,
            host_key: parts.host_key,
            host_ca: parts.host_ca,
            passport,
        })
    }

    pub(crate) const fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        (self.trust)()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn sink(&self) -> &dyn Sink {
        &*self.sink
    }

    /// The server's side under the name of a target.
    fn config_as(&self, host: &str) -> Result<Arc<russh::server::Config>, IssueError> {
        let names = [host.to_owned()];
        let certificate = (self.host_ca)().issue_host(self.host_key.public_key(), &names, self.clock.now())?;
        Ok(Arc::new(algorithms::server(self.host_key.clone(), certificate)))
    }

    /// The target that a host name stands for: `TARGET`, or `TARGET.GATE`. That there is one is not told here.
    pub(crate) fn target_of(&self, host: &str) -> Option<TargetName> {
        let name = host.strip_suffix(self.gate_name()).and_then(|name| name.strip_suffix('.')).unwrap_or(host);
        name.parse().ok()
    }

    pub(crate) fn gate_name(&self) -> &str {
        &self.gate_name
    }
}

impl Protocol for Ssh {
    fn name(&self) -> ProtocolName {
        ProtocolName::Ssh
    }

    /// The tunnel brings the login; the session's certificate is shown inside.
    fn tls_doors(&self) -> Vec<TlsDoor> {
        vec![TlsDoor::tunnel(tunnel::SSH, false)]
    }

    fn sniff(&self, head: &[u8]) -> Sniff {
        sniff(head)
    }

    fn serve(self: Arc<Self>, conn: Accepted) -> BoxFuture<'static, ()> {
        enter(self, conn).boxed()
    }
}

/// Serves a connection as it comes from the edge. Through a tunnel it may say first where it leads.
async fn enter(ssh: Arc<Ssh>, mut conn: Accepted) {
    if conn.tls.is_some() {
        let Ok(Ok((host, io))) = timeout(HANDSHAKE_MAX, preface::read(conn.io)).await else {
            return tracing::debug!(peer = %conn.peer, "A tunnel ended before anything was said in it");
        };
        conn.io = io;
        if let Some(host) = host {
            let Some(target) = ssh.target_of(&host) else {
                return tracing::debug!(peer = %conn.peer, "A tunnel leads to what is no name");
            };
            return serve_behind(ssh, conn, target, &host).await;
        }
    }
    let config = Arc::clone(&ssh.config);
    serve(ssh, conn, Doorway::Gate, config).await;
}

/// Whether a connection begins as an SSH client's does.
pub fn sniff(head: &[u8]) -> Sniff {
    const HELLO: &[u8] = b"SSH-";
    if head.starts_with(HELLO) {
        Sniff::Yes
    } else if HELLO.starts_with(head) {
        Sniff::NeedMore
    } else {
        Sniff::No
    }
}

/// Serves a connection that was made to a target, over a jump.
pub(crate) fn serve_behind(ssh: Arc<Ssh>, conn: Accepted, target: TargetName, host: &str) -> BoxFuture<'static, ()> {
    match ssh.config_as(host) {
        Ok(config) => serve(ssh, conn, Doorway::Behind(target), config).boxed(),
        Err(error) => {
            tracing::warn!(%target, %error, "Could not show itself as a target");
            std::future::ready(()).boxed()
        }
    }
}

async fn serve(ssh: Arc<Ssh>, conn: Accepted, doorway: Doorway, config: Arc<russh::server::Config>) {
    let deadline = Instant::now() + HANDSHAKE_MAX;
    let (link, mut faults) = Link::new();
    let (entrance, arrival) =
        Entrance::new(Arc::clone(&ssh), conn.peer, conn.tls.and_then(|tls| tls.identity), Arc::clone(&link), doorway);
    let token = CancellationToken::new();
    let sever = token.clone().drop_guard();
    let running = russh::server::run_stream(config, Severable::new(conn.io, token), entrance);
    let Ok(Ok(running)) = Box::pin(tokio::time::timeout_at(deadline, running)).await else {
        tracing::debug!(peer = %conn.peer, "A connection ended before it said hello in SSH");
        return;
    };
    let mut client = ClientLeg { running, is_gone: false, _sever: sever };
    let arrival = tokio::select! {
        () = client.gone() => return,
        () = sleep_until(deadline) => return client.farewell("nobody logged in in time", FAREWELL_MAX).await,
        arrival = arrival => arrival,
    };
    drop(conn.handshake);
    let guest = match arrival {
        Ok(Arrival::Guest(guest)) => guest,
        Ok(Arrival::Jumper(jumper)) => return stand_by(client, &jumper, faults).await,
        Err(_) => return,
    };
    let door = Door::of(&guest.identity);
    let holder = (door == Door::InBand).then_some(Holder::SshSession(guest.session));
    let facts = ConnectionFacts { peer: conn.peer, door, protocol: ProtocolName::Ssh, holder };
    let opened = tokio::select! {
        () = client.gone() => return,
        Ok(fault) = &mut faults => Err(fault.to_string()),
        // Boxed, as it is large and over soon, and what is around it stays as long as the session.
        opened = Box::pin(open(&ssh, &guest, &facts, &link)) => opened,
    };
    match opened {
        Ok((target, live)) => {
            let (end, voice) = (ClientEnd::Leg(client), Voice::Client(guest.client));
            Box::pin(Course { client: end, target, link, faults }.run(voice, live)).await;
        }
        Err(message) => client.farewell(&format!("ERROR: {message}"), FAREWELL_MAX).await,
    }
}

/// Waits beside a connection that is jumped over, until it is of no use any more.
async fn stand_by(mut client: ClientLeg, jumper: &Jumper, mut faults: oneshot::Receiver<Fault>) {
    loop {
        tokio::select! {
            () = client.gone() => return,
            Ok(fault) = &mut faults => return client.farewell(&format!("ERROR: {fault}"), FAREWELL_MAX).await,
            () = sleep(HANDSHAKE_MAX) => {}
        }
        if jumper.rests() {
            return client.farewell("nobody jumps (name a target, as in `ssh login@target@gate`)", FAREWELL_MAX).await;
        }
    }
}

/// Asks for the session and enters the target; the error is for the user.
async fn open(
    ssh: &Ssh,
    guest: &Guest,
    facts: &ConnectionFacts,
    link: &Arc<Link>,
) -> Result<(TargetLeg, Live), String> {
    let login = Login::Unix(guest.destination.login.clone());
    let ask = Ask {
        identity: &guest.identity,
        kind: Kind::Node,
        target: &guest.destination.target,
        login: &login,
        connection: facts,
    };
    let mut prompt = ChannelPrompt { link, client: &guest.client, version: &guest.version };
    let grant = ssh.gate.open(&ask, &mut prompt).await.map_err(|refusal| {
        tracing::info!(peer = %facts.peer, user = %guest.identity.user(), target = %guest.destination.target,
            reason = refusal.reason(), "Refused a session");
        refusal.message().to_owned()
    })?;
    // Boxed, so that who waits for a tap does not hold the room for it.
    Box::pin(reach(ssh, grant, &guest.destination.target, link)).await
}

/// Spends the grant and enters the target; the error is for the user.
pub(crate) async fn reach(
    ssh: &Ssh,
    grant: Grant,
    target: &TargetName,
    link: &Arc<Link>,
) -> Result<(TargetLeg, Live), String> {
    let (upstream, live) = grant.dial().await.map_err(|error| {
        tracing::warn!(%target, %error, "Could not dial a target");
        error.to_string()
    })?;
    let mut cut = live.cut();
    let entered = tokio::select! {
        reason = cut.wanted() => {
            live.finish(&EndReason::Cut(reason.clone()));
            return Err(reason.to_string());
        }
        entered = TargetLeg::enter(&ssh.passport, upstream, &live, Arc::clone(link)) => entered,
    };
    match entered {
        Ok(target) => Ok((target, live)),
        Err(error) => {
            let message = format!("node \"{}\" can't be entered: {error}", live.target().name);
            tracing::warn!(target = %live.target().name, %error, "Could not enter a target");
            live.finish(&EndReason::Error(message.clone()));
            Err(message)
        }
    }
}

/// Why a relay is over.
enum Over {
    Client,
    Target,
    Cut(CutReason),
    Fault(Fault),
    Idle(Duration),
}

impl Over {
    /// What the client reads; nothing where it has left.
    fn message(&self, target: &str) -> Option<String> {
        match self {
            Self::Client => None,
            Self::Target => Some(format!("node \"{target}\" closed the connection")),
            Self::Cut(reason) => Some(format!("ERROR: this session was ended: {reason}")),
            Self::Fault(fault) => Some(format!("ERROR: this session was ended: {fault}")),
            Self::Idle(limit) => {
                Some(format!("ERROR: this session was ended: nothing was typed for {} seconds", limit.as_secs()))
            }
        }
    }

    /// How long the client has to read what was sent to it, that message included.
    fn patience(&self) -> Duration {
        match self {
            Self::Target => FLUSH_MAX,
            Self::Client | Self::Cut(_) | Self::Fault(_) | Self::Idle(_) => FAREWELL_MAX,
        }
    }
}

impl From<Over> for EndReason {
    fn from(over: Over) -> Self {
        match over {
            Over::Client => Self::Client,
            Over::Target => Self::Target,
            Over::Cut(reason) => Self::Cut(reason),
            Over::Fault(fault) => Self::Error(fault.to_string()),
            Over::Idle(_) => Self::Idle,
        }
    }
}

/// An open session on its way.
pub(crate) struct Course {
    pub(crate) client: ClientEnd,
    pub(crate) target: TargetLeg,
    pub(crate) link: Arc<Link>,
    pub(crate) faults: oneshot::Receiver<Fault>,
}

impl Course {
    pub(crate) async fn run(mut self, voice: Voice, live: Live) {
        let (cut, idle) = (live.cut(), live.terms().client_idle_timeout);
        let name = live.target().name.clone();
        self.link.open(Legs { client: voice, target: self.target.sender(), live });
        let over = self.watch(cut, idle).await;
        if matches!(over, Over::Target) && self.link.target_is_done() {
            // Everything is said. A client that closes by itself keeps the exit status it has.
            let _ = timeout(LINGER_MAX, self.client.gone()).await;
        }
        // From here on nothing passes.
        let live = self.link.close();
        let goodbye = async {
            if let Some(message) = over.message(name.as_str()) {
                self.client.farewell(&message, over.patience()).await;
            }
        };
        tokio::join!(goodbye, self.target.farewell());
        if let Some(live) = live {
            live.finish(&over.into());
        }
    }

    /// Waits for whatever ends the session first.
    async fn watch(&mut self, mut cut: CutWatch, idle: Option<Duration>) -> Over {
        let mut keepalive = tokio::time::interval_at(Instant::now() + KEEPALIVE, KEEPALIVE);
        loop {
            tokio::select! {
                biased;
                reason = cut.wanted() => return Over::Cut(reason),
                Ok(fault) = &mut self.faults => return Over::Fault(fault),
                () = self.client.gone() => return Over::Client,
                () = self.target.gone() => return Over::Target,
                () = self.link.pass_credit() => {}
                _ = keepalive.tick() => self.link.keep_alive(),
                limit = idleness(&self.link, idle) => return Over::Idle(limit),
            }
        }
    }
}

/// Waits until the person at the client has done nothing for as long as the role allows.
async fn idleness(link: &Link, limit: Option<Duration>) -> Duration {
    let Some(limit) = limit else { return std::future::pending().await };
    loop {
        match link.active().map(|active| active + limit) {
            Some(end) if end > Instant::now() => sleep_until(end).await,
            Some(_) => return limit,
            None => sleep(limit).await,
        }
    }
}

/// Who is at the client's end.
pub(crate) enum ClientEnd {
    /// An SSH client.
    Leg(ClientLeg),
    /// A page.
    Page(PageEnd),
}

impl ClientEnd {
    async fn gone(&mut self) {
        match self {
            Self::Leg(leg) => leg.gone().await,
            Self::Page(page) => page.gone().await,
        }
    }

    async fn farewell(&mut self, message: &str, patience: Duration) {
        match self {
            Self::Leg(leg) => leg.farewell(message, patience).await,
            Self::Page(page) => page.farewell(message, patience),
        }
    }
}

/// The client's leg.
pub(crate) struct ClientLeg {
    running: RunningSession<Entrance>,
    is_gone: bool,
    /// Cuts the connection when the leg is dropped, whatever russh is waiting for.
    _sever: DropGuard,
}

impl ClientLeg {
    /// Waits until the connection is over.
    async fn gone(&mut self) {
        if !self.is_gone {
            if let Err(error) = (&mut self.running).await {
                tracing::debug!(%error, "A client's connection broke");
            }
            self.is_gone = true;
        }
    }

    /// Says why, after all that is on its way, and leaves the client that long to read it.
    async fn farewell(&mut self, message: &str, patience: Duration) {
        let handle = self.running.handle();
        let said = async {
            // A client that is gone needs no farewell.
            drop(handle.disconnect(Disconnect::ByApplication, one_line(message), String::new()).await);
            self.gone().await;
        };
        let _ = timeout(patience, said).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes() {
        for (head, expect) in [
            (b"".as_slice(), Sniff::NeedMore),
            (b"S", Sniff::NeedMore),
            (b"SSH", Sniff::NeedMore),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Sniff::Yes),
            (b"GET / HTTP/1.1", Sniff::No),
            (b"\x16\x03\x01", Sniff::No),
            (b"SSL-", Sniff::No),
        ] {
            assert_eq!(sniff(head), expect, "{head:?}");
        }
    }
}
