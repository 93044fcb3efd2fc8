//! The way to a target: through the gate with a session's certificate, or straight to it.

use std::sync::Arc;
use std::time::Instant;

use russh::keys::ssh_key::{Certificate, PrivateKey};
use rustls::pki_types::ServerName;
use tapgate_api::{Apps, TargetEntry, Targets, path};
use tapgate_model::tunnel::{self, Hail};
use tapgate_model::{Clock as _, Kind as TargetKind, Login, SystemClock, TargetName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;

use super::Options;
use super::direct::Direct;
use super::options::Protocol;
use super::ssh::Known;
use super::tally::{Fault, Kind};
use crate::ceremony::Goal;
use crate::cli::Context;
use crate::cli::kube::{clusters, login_at};
use crate::db;
use crate::error::{Act as _, Failure, Result};
use crate::proxy::{Opened, aside};
use crate::session::{self, Signer};
use crate::tls::{Alpn, Tls};

/// The option that says whom to be at a target, of whatever kind.
const LOGIN: &str = "--login";

/// What bytes go over.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection on which the target's protocol begins.
pub(super) type Stream = Box<dyn Io>;

/// A way to one target.
pub(super) enum Route {
    /// Through the gate.
    Gate(Box<Gate>),
    /// Straight to it.
    Direct(Box<Direct>),
}

/// The way through the gate.
pub(super) struct Gate {
    context: Arc<Context>,
    goal: Goal,
    protocol: Protocol,
    /// Whether every session taps for itself.
    each: bool,
    /// What the last tap gave. Held while another one is made, so that sessions which come together tap once.
    open: Mutex<Option<Arc<Pass>>>,
}

/// What a session shows at the gate.
pub(super) struct Pass {
    opened: Opened,
    tls: Tls,
    ssh: Option<Passport>,
}

/// What an SSH session logs in with.
#[derive(Clone)]
pub(super) struct Passport {
    pub(super) user: String,
    pub(super) key: Arc<PrivateKey>,
    pub(super) certificate: Option<Certificate>,
    pub(super) known: Arc<Known>,
}

/// An HTTP request's surroundings.
pub(super) struct Place {
    pub(super) stream: Stream,
    /// When the target, or the gate's door to it, was reached.
    pub(super) reached: Instant,
    pub(super) host: String,
    /// What stands before the path.
    pub(super) prefix: String,
    /// Whom to be, where the request has to say so.
    pub(super) user: Option<String>,
}

/// Who to be in a database, and the way there.
pub(super) struct Desk {
    pub(super) stream: Stream,
    pub(super) user: String,
    pub(super) database: Option<String>,
}

/// A target, the login there, and whether a tap is due.
struct Found {
    target: TargetName,
    login: Login,
    mfa_required: bool,
}

/// The ways to all targets. Everything that can be wrong with them is found before the load begins, and the taps are
/// made.
pub(super) async fn routes(context: &Arc<Context>, options: &Options, can_tap: bool) -> Result<Vec<Route>> {
    context.user()?;
    let mut routes = Vec::new();
    for name in &options.targets {
        let found = find(context, options, name).await.map_err(|failure| {
            let down = failure.to_string().contains("cannot be reached");
            if down { failure.advise("does it run? `tap status` shows which gate is meant") } else { failure }
        })?;
        let kind = kind(options.protocol);
        let goal = Goal { kind, target: found.target, login: found.login };
        if found.mfa_required && !can_tap {
            return Err(Failure::new(format!("a tap is due for {goal}, and nobody is there to make it")).advise(
                "name a software key that is enrolled for a user of the load alone: --software-key PATH, or \
                 TAP_SOFTWARE_KEY",
            ));
        }
        let gate = Gate {
            context: Arc::clone(context),
            goal,
            protocol: options.protocol,
            each: options.tap_each,
            open: Mutex::new(None),
        };
        gate.prepare().await?;
        routes.push(Route::Gate(Box::new(gate)));
    }
    Ok(routes)
}

const fn kind(protocol: Protocol) -> TargetKind {
    match protocol {
        Protocol::Ssh => TargetKind::Node,
        Protocol::Postgres | Protocol::Mysql => TargetKind::Db,
        Protocol::Http => TargetKind::App,
        Protocol::Kube => TargetKind::KubeCluster,
    }
}

/// Looks a target up among those that the user may open.
async fn find(context: &Context, options: &Options, name: &str) -> Result<Found> {
    let target: TargetName = name.parse().act(|| format!("{name:?} is no target"))?;
    let login = options.login.as_deref();
    match options.protocol {
        Protocol::Ssh => {
            let Targets { targets } = context.with_login()?.get(path::TARGETS, &[]).await?;
            let node = targets.iter().find(|entry| entry.kind == TargetKind::Node.as_str() && entry.name == name);
            let node = node.ok_or_else(|| {
                Failure::new(format!("there is no node \"{name}\", or it is not yours to open")).advise("see tap ls")
            })?;
            let login = unix(node, login, context.user()?.as_str())?;
            Ok(Found { target, login, mfa_required: node.mfa_required })
        }
        Protocol::Postgres | Protocol::Mysql => {
            let database = db::find::one(context, &target).await?;
            if database.protocol.as_str() != options.protocol.as_str() {
                return Err(Failure::new(format!("\"{name}\" speaks {}", database.protocol.as_str()))
                    .advise(format!("pass --protocol {}", database.protocol.as_str())));
            }
            let named = login.map(str::parse).transpose().act(|| "the login is no database user".to_owned())?;
            let user = database.user(named.as_ref(), LOGIN)?;
            let login = database.login(&user, options.db_name.as_deref())?;
            Ok(Found { target, login, mfa_required: database.mfa_required })
        }
        Protocol::Http => {
            let Apps { apps } = context.with_login()?.get(path::APPS, &[]).await?;
            let app = apps.into_iter().find(|app| app.name == name && !app.tcp);
            let app = app.ok_or_else(|| {
                Failure::new(format!("there is no HTTP application {name} for you")).advise("see tap app ls")
            })?;
            Ok(Found { target, login: Login::App, mfa_required: app.mfa_required })
        }
        Protocol::Kube => {
            let known = clusters(context).await?;
            let text = login_at(&known, &target, login, LOGIN)?;
            let login = Login::parse(TargetKind::KubeCluster, &text).act(|| "the login cannot be read".to_owned())?;
            let mfa_required = known.iter().any(|entry| entry.name == name && entry.mfa_required);
            Ok(Found { target, login, mfa_required })
        }
    }
}

/// The Unix login: the one that is named, else the user's own where the roles allow it, else the only one.
fn unix(node: &TargetEntry, named: Option<&str>, own: &str) -> Result<Login> {
    let has = |login: &str| node.logins.iter().any(|known| known == login);
    let login: &str = match (named, node.logins.as_slice()) {
        (Some(named), _) => named,
        (None, _) if has(own) => own,
        (None, [only]) => only,
        (None, _) => {
            return Err(Failure::new(format!("no login is named for \"{}\"", node.name))
                .advise(format!("pass --login; allowed: {}", node.logins.join(", "))));
        }
    };
    if !has(login) {
        return Err(Failure::new(format!("node \"{}\" is not yours to open as {login}", node.name))
            .advise(format!("allowed: {}", node.logins.join(", "))));
    }
    login.parse().map(Login::Unix).act(|| format!("{login:?} is no login"))
}

impl Route {
    /// An SSH connection's stream, and what to log in with.
    pub(super) async fn ssh(&self) -> Result<(Stream, Passport), Fault> {
        match self {
            Self::Direct(direct) => Ok((direct.stream().await?, direct.passport()?)),
            Self::Gate(gate) => {
                let pass = gate.pass().await?;
                let passport = pass.ssh.clone().ok_or_else(|| Fault::new(Kind::Tap, "there is no SSH certificate"))?;
                let stream = pass.tls.connect(Alpn::Ssh).await?;
                Ok((Box::new(stream), passport))
            }
        }
    }

    /// A database's stream, up to where a client says who it is.
    pub(super) async fn desk(&self) -> Result<Desk, Fault> {
        match self {
            Self::Direct(direct) => Ok(Desk {
                stream: direct.stream().await?,
                user: direct.login.clone(),
                database: direct.database.clone(),
            }),
            Self::Gate(gate) => {
                let Login::Db { user, database } = &gate.goal.login else {
                    return Err(Fault::new(Kind::Tap, "the login is none of a database"));
                };
                let alpn = if gate.protocol == Protocol::Mysql { tunnel::MYSQL } else { tunnel::POSTGRES };
                let stream = gate.pass().await?.tls.connect(Alpn::Tunnel(alpn)).await?;
                let user = format!("{user}@{}", gate.goal.target);
                Ok(Desk { stream: Box::new(stream), user, database: database.as_ref().map(ToString::to_string) })
            }
        }
    }

    /// What a direct way logs in with.
    pub(super) fn direct(&self) -> Option<&Direct> {
        match self {
            Self::Direct(direct) => Some(direct),
            Self::Gate(_) => None,
        }
    }

    /// A connection for a request.
    pub(super) async fn place(&self) -> Result<Place, Fault> {
        match self {
            Self::Direct(direct) => {
                let stream = direct.stream_in_tls().await?;
                let (host, prefix) = (direct.authority(), String::new());
                Ok(Place { stream, reached: Instant::now(), host, prefix, user: None })
            }
            Self::Gate(gate) if gate.protocol == Protocol::Kube => {
                let pass = gate.pass().await?;
                let door = gate.clusters()?;
                let host = door.to_str().into_owned();
                let stream = pass.tls.connect_to(Alpn::Cluster, door).await?;
                // Without a tap the certificate is the login's, and the gate is told by each request who to be.
                let user = match (&gate.goal.login, &pass.opened) {
                    (Login::Kube { user, .. }, Opened::Login) => Some(user.to_string()),
                    _ => None,
                };
                let prefix = format!("/{}", gate.goal.target);
                Ok(Place { stream: Box::new(stream), reached: Instant::now(), host, prefix, user })
            }
            Self::Gate(gate) => {
                let mut stream = gate.pass().await?.tls.connect(Alpn::Tunnel(tunnel::APP)).await?;
                let hail = Hail { target: gate.goal.target.clone(), port: None };
                crate::tunnel::hail(&mut stream, &hail).await?;
                let (host, prefix) = (gate.goal.target.to_string(), String::new());
                Ok(Place { stream: Box::new(stream), reached: Instant::now(), host, prefix, user: None })
            }
        }
    }
}

impl Gate {
    /// Makes the tap that is due before the load begins.
    async fn prepare(&self) -> Result<()> {
        if self.each {
            return Ok(());
        }
        let pass = self.ask().await?;
        if !pass.opened.holds(SystemClock.now()) {
            return Err(Failure::new(format!("a role wants a tap for every single session of {}", self.goal))
                .advise("pass --tap-each, which taps for every session"));
        }
        *self.open.lock().await = Some(Arc::new(pass));
        Ok(())
    }

    /// The gate's name for clusters.
    fn clusters(&self) -> Result<ServerName<'static>> {
        let host = ServerName::try_from(self.context.profile.cluster_door());
        host.act(|| "the gate has no door for clusters".to_owned())
    }

    /// What the next session shows; after another tap where the last one's window is over.
    async fn pass(&self) -> Result<Arc<Pass>, Fault> {
        let refused = Fault::of::<Failure>(Kind::Tap);
        if self.each {
            return self.ask().await.map(Arc::new).map_err(refused);
        }
        let mut open = self.open.lock().await;
        if let Some(pass) = open.as_ref().filter(|pass| pass.opened.holds(SystemClock.now())) {
            return Ok(Arc::clone(pass));
        }
        let pass = Arc::new(self.ask().await.map_err(refused)?);
        *open = Some(Arc::clone(&pass));
        Ok(pass)
    }

    async fn ask(&self) -> Result<Pass> {
        let (context, goal) = (Arc::clone(&self.context), self.goal.clone());
        let opened = aside(move || async move {
            session::open(&context, goal.kind, &goal.target, &goal.login).await.map(Opened::from)
        });
        let opened = opened.await?;
        if self.protocol == Protocol::Ssh {
            let ssh = Some(self.passport(&opened)?);
            return Ok(Pass { opened, tls: self.context.tls()?, ssh });
        }
        let tls = opened.tls(&self.context)?;
        Ok(Pass { opened, tls, ssh: None })
    }

    fn passport(&self, opened: &Opened) -> Result<Passport> {
        let files = self.context.login_files();
        let known = Arc::new(Known::of_gate(&files.known_hosts)?);
        let act = || "the SSH certificate cannot be read".to_owned();
        let (key, certificate) = match opened {
            Opened::Login => {
                let key =
                    PrivateKey::read_openssh_file(&files.ssh_key).act(|| "the login key cannot be read".to_owned())?;
                (key, std::fs::read_to_string(&files.ssh_certificate).act(act)?)
            }
            Opened::Session { tls_certificate, signer, .. } => match signer.as_ref() {
                Signer::Here(key) => (key.to_ssh()?, tls_certificate.ssh_certificate.clone()),
                Signer::Agent(..) => return Err(Failure::new("the session's key is in the agent")),
            },
        };
        let certificate = Some(Certificate::from_openssh(certificate.trim()).act(act)?);
        let Login::Unix(login) = &self.goal.login else { return Err(Failure::new("the login is none of a node")) };
        Ok(Passport { user: format!("{login}@{}", self.goal.target), key: Arc::new(key), certificate, known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_is_named_or_clear() {
        let node = |logins: &[&str]| TargetEntry {
            kind: "node".into(),
            name: "prod3".into(),
            labels: std::collections::BTreeMap::new(),
            logins: logins.iter().map(ToString::to_string).collect(),
            mfa_required: true,
            protocol: None,
            description: None,
        };
        let check = |logins: &[&str], named: Option<&str>| {
            unix(&node(logins), named, "jerry").map_or_else(|failure| failure.to_string(), |login| login.to_string())
        };
        assert_eq!(check(&["root", "deploy"], Some("deploy")), "deploy");
        assert_eq!(check(&["root", "jerry"], None), "jerry");
        assert_eq!(check(&["deploy"], None), "deploy");
        assert!(check(&["root", "deploy"], None).contains("pass --login; allowed: root, deploy"));
        assert!(check(&["deploy"], Some("root")).contains("not yours to open as root"));
    }
}
