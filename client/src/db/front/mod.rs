//! The local end of a database: takes a client of this machine, sees who it wants to be, and leads it to the gate.

mod mysql;
mod mysql_auth;
mod mysql_wire;
mod names;
mod postgres;
mod scram;

use std::collections::BTreeMap;
use std::sync::Arc;

use tapgate_model::{Kind, Login, LoginName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use self::names::Names;
use super::find::{Database, Protocol};
use crate::cli::Context;
use crate::error::{Failure, Result};
use crate::limits::{DB_BUFFER_BYTES, DB_LOGINS_MAX, PROXY_CONNECTIONS_MAX};
use crate::proxy::Way;
use crate::proxy::listen::{Listener, Local};
use crate::proxy::secret::Secret;
use crate::proxy::ways::Ways;
use crate::tls::Alpn;

/// What proves a password by `mysql_native_password`, for clients that are this very program.
pub(crate) fn native_proof(password: &str, challenge: &[u8; mysql_wire::CHALLENGE_BYTES]) -> Vec<u8> {
    mysql_auth::Plugin::Native.proof(password, challenge)
}

/// The local end of one database.
pub struct Front {
    names: Names,
    /// What a client must show at a port.
    secret: Option<Secret>,
    doors: Doors,
}

/// How tunnels are opened.
enum Doors {
    /// For each login a way of its own, with a tap of its own.
    Each { context: Arc<Context>, ways: Mutex<BTreeMap<Login, Arc<Way>>> },
    /// One of several targets that one tap opens.
    Shared(Arc<Ways>),
}

impl Front {
    /// A front whose clients may be this user in this database, or, where one is not given, any that they name.
    pub fn new(context: Arc<Context>, database: Database, user: Option<LoginName>, name: Option<String>) -> Self {
        let doors = Doors::Each { context, ways: Mutex::new(BTreeMap::new()) };
        Self { names: Names { database, user, name }, secret: None, doors }
    }

    /// A front for one of the targets of a common tap.
    pub fn shared(ways: Arc<Ways>, database: Database, user: LoginName, name: Option<String>) -> Self {
        Self { names: Names { database, user: Some(user), name }, secret: None, doors: Doors::Shared(ways) }
    }

    /// The same, for clients that show this password.
    #[must_use]
    pub fn with_secret(mut self, secret: Option<Secret>) -> Self {
        self.secret = secret;
        self
    }

    /// The password of this run.
    pub const fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// Asks for the tap now where it is known for whom, so that it is not the first connection that waits for it.
    pub async fn prepare(&self) -> Result<()> {
        match (&self.doors, self.names.usual()?) {
            (Doors::Shared(ways), _) => ways.prepare().await,
            (Doors::Each { .. }, Some(login)) => self.way(&login).await?.prepare().await,
            (Doors::Each { .. }, None) => Ok(()),
        }
    }

    /// Serves clients until it is dropped. What goes wrong with one of them is told, to it and on standard error.
    pub async fn serve(self: Arc<Self>, listener: &Listener) -> Result<()> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept(), if connections.len() < PROXY_CONNECTIONS_MAX => {
                    let (local, front) = (accepted?, Arc::clone(&self));
                    connections.spawn(async move {
                        if let Err(failure) = front.connection(local).await {
                            eprintln!("WARNING: {failure}");
                        }
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn connection(&self, local: Local) -> Result<()> {
        match self.names.database.protocol {
            Protocol::Postgres => postgres::serve(self, local).await,
            Protocol::Mysql => mysql::serve(self, local).await,
        }
    }

    /// A tunnel for this login.
    async fn tunnel(&self, login: &Login) -> Result<TlsStream<TcpStream>> {
        match &self.doors {
            Doors::Shared(ways) => ways.tunnel(&self.names.database.name, self.names.database.protocol.alpn()).await,
            Doors::Each { .. } => self.way(login).await?.tunnel().await,
        }
    }

    /// A tunnel with the login certificate, for what opens no session.
    async fn plain_tunnel(&self) -> Result<TlsStream<TcpStream>> {
        let context = match &self.doors {
            Doors::Shared(ways) => ways.context(),
            Doors::Each { context, .. } => context,
        };
        context.tls()?.connect(Alpn::Tunnel(self.names.database.protocol.alpn())).await
    }

    async fn way(&self, login: &Login) -> Result<Arc<Way>> {
        let Doors::Each { context, ways } = &self.doors else {
            return Err(Failure::new("this way is shared with others"));
        };
        let mut ways = ways.lock().await;
        if let Some(way) = ways.get(login) {
            return Ok(Arc::clone(way));
        }
        if ways.len() >= DB_LOGINS_MAX {
            return Err(Failure::new("too many different users and databases were asked for")
                .advise("start tap proxy db again, with --db-user and --db-name"));
        }
        let (context, target) = (Arc::clone(context), self.names.database.name.clone());
        let way = Arc::new(Way::new(context, Kind::Db, target, login.clone(), self.names.database.protocol.alpn()));
        ways.insert(login.clone(), Arc::clone(&way));
        Ok(way)
    }
}

/// Passes everything on, both ways, until both sides are done. How a client leaves is its own affair.
async fn relay(mut local: impl AsyncRead + AsyncWrite + Unpin, mut tunnel: TlsStream<TcpStream>) {
    tokio::io::copy_bidirectional_with_sizes(&mut local, &mut tunnel, DB_BUFFER_BYTES, DB_BUFFER_BYTES).await.ok();
}
