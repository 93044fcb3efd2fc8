//! `tap proxy db`: a database on this machine, for the programs that know nothing of the gate.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tapgate_model::{LoginName, TargetName};
use tokio::signal::unix::{SignalKind, signal};

use super::config::{Links, Reach};
use super::find::{Database, Protocol, one};
use super::front::Front;
use crate::cli::{Context, Format, output};
use crate::error::{Act as _, Result};
use crate::files;
use crate::profile::Home;
use crate::proxy::listen::{Listener, Place};
use crate::proxy::secret::Secret;

/// What to serve, and where.
#[derive(Debug, clap::Args)]
pub struct ProxyDb {
    /// The database, as in tap db ls
    #[arg(value_name = "DB")]
    pub db: TargetName,
    /// The database user; without it programs may name any that your roles allow
    #[arg(long, value_name = "USER")]
    pub db_user: Option<LoginName>,
    /// The name of the database within the server; without it programs name it, each name with a tap of its own
    #[arg(long, value_name = "NAME")]
    pub db_name: Option<String>,
    /// Serve a port of 127.0.0.1 (0 for any); programs must then show the password that is printed
    #[arg(long, value_name = "PORT", conflicts_with = "socket")]
    pub port: Option<u16>,
    /// Serve this Unix socket; for PostgreSQL a folder, in which the socket gets the name that clients look for
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// Where a database's socket is when nobody names a place.
pub(super) fn usual_socket(home: &Home, name: &TargetName, protocol: Protocol) -> Result<PathBuf> {
    Ok(home.run()?.join(format!("db-{name}")).join(protocol.socket_name()))
}

/// The place that the flags name. A socket lies in a folder that only its owner can enter.
fn place(home: &Home, proxy: &ProxyDb, protocol: Protocol) -> Result<Place> {
    let path = match (&proxy.socket, proxy.port) {
        (None, Some(port)) => return Ok(Place::Port(port)),
        (None, None) => usual_socket(home, &proxy.db, protocol)?,
        (Some(path), _) => {
            let path = std::path::absolute(path).act(|| "the path is none".to_owned())?;
            let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".s.PGSQL."));
            if protocol == Protocol::Postgres && !named { path.join(protocol.socket_name()) } else { path }
        }
    };
    // A folder that is there already is its owner's own affair; the socket itself is nobody else's.
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        files::private_dir(folder)?;
    }
    Ok(Place::Socket(path))
}

/// What is printed once it serves.
#[derive(Debug, Serialize)]
struct Served<'a> {
    database: &'a TargetName,
    protocol: Protocol,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    #[serde(flatten)]
    links: Links,
}

/// Serves until it is told to end.
pub async fn run(context: Context, proxy: ProxyDb) -> Result<()> {
    context.user()?;
    let database = one(&context, &proxy.db).await?;
    let user = database.only_user(proxy.db_user.as_ref())?;
    let listener = Listener::bind(&place(&context.home, &proxy, database.protocol)?).await?;
    let secret = listener.address().map(|_| Secret::generate()).transpose()?;
    let format = context.format();
    let front = Front::new(Arc::new(context), database.clone(), user.clone(), proxy.db_name.clone());
    let front = Arc::new(front.with_secret(secret));
    front.prepare().await?;
    tell(format, &database, &listener, &front, (user.as_ref(), proxy.db_name.as_deref()))?;
    let act = || "signals cannot be awaited".to_owned();
    let mut terminate = signal(SignalKind::terminate()).act(act)?;
    let mut hangup = signal(SignalKind::hangup()).act(act)?;
    tokio::select! {
        served = front.serve(&listener) => served,
        ended = tokio::signal::ctrl_c() => ended.act(act),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    }
}

fn tell(
    format: Format,
    database: &Database,
    listener: &Listener,
    front: &Front,
    (user, name): (Option<&LoginName>, Option<&str>),
) -> Result<()> {
    let reach = match (listener.socket(), listener.address()) {
        (Some(path), _) => Reach::Socket(path),
        (None, address) => Reach::Port(address.map(|address| address.port()).unwrap_or_default()),
    };
    let served = Served {
        database: &database.name,
        protocol: database.protocol,
        socket: listener.socket().map(|path| path.display().to_string()),
        address: listener.address().map(|address| address.to_string()),
        password: front.secret().map(Secret::reveal),
        links: Links::new(database.protocol, reach, user.map(LoginName::as_str), name),
    };
    output::show(format, &served, |served| {
        let place = served.socket.as_ref().or(served.address.as_ref()).map_or("", String::as_str);
        let password = served.password.map_or_else(String::new, |password| {
            format!("Whoever connects must show this password; it is gone with this run:\n\n  {password}\n\n")
        });
        format!(
            "Database \"{}\" ({}) is served at {place} until Ctrl-C.\n{password}Connect with:\n\n{}",
            served.database,
            served.protocol.as_str(),
            served.links.text()
        )
    })
}
