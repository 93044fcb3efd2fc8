//! The target's leg: TLS to the right server, the login, and what it says before it is ready.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tapgate_identity::{IssueError, TargetTlsError, X509Ca, target_config};
use tapgate_model::Clock;
use tapgate_session::{DbProtocol, DbResource, DialError, Live, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::binding;
use crate::limits::{CANCEL_MAX, GREETING_MAX, TARGET_HANDSHAKE_MAX};
use crate::login::{Credentials, LoginError, log_in, message, refusal};
use crate::name::Destination;
use crate::password::{Password, PasswordError};
use crate::startup::{CancelKey, Startup, packet, tls_request};
use crate::wire;

/// The stream to a target, which moves from hand to hand before the session begins.
pub(crate) type TargetStream = Box<TlsStream<Upstream>>;

/// A target that is ready for statements.
pub(crate) struct Target {
    pub(crate) stream: TargetStream,
    /// What it said after it let the gate in: settings and notices, without its key.
    pub(crate) greeting: Vec<u8>,
    /// The settings among them that tell how texts are read.
    pub(crate) settings: Vec<(Vec<u8>, Vec<u8>)>,
    /// How statements here are cancelled.
    pub(crate) canceller: Canceller,
}

/// Cancels what a target does.
pub(crate) struct Canceller {
    way: Way,
    /// None where the target gave no key.
    pub(crate) key: Option<CancelKey>,
}

/// How a target is reached in TLS.
#[derive(Clone)]
struct Way {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// What the gate logs in to targets with.
pub(crate) struct Passport {
    pub(crate) ca: Arc<X509Ca>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Why a target was not entered, in words for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnterError {
    #[error("it speaks another protocol than PostgreSQL (its resource says so)")]
    OtherProtocol,
    #[error("it offers no TLS, and the gate sends nothing to it without")]
    NoTls,
    #[error("it does not answer a request for TLS as PostgreSQL does")]
    NoPostgres,
    #[error("TLS with it failed: {0}")]
    Tls(std::io::Error),
    #[error("{0}")]
    Setup(#[from] TargetTlsError),
    #[error("its certificate's name is none (mend `server_name` of its resource)")]
    Name,
    #[error("the gate could not make its certificate for it")]
    Certificate(#[from] IssueError),
    #[error("the gate can't use its password for it (its log says why)")]
    Password(#[from] PasswordError),
    #[error("{0}")]
    Login(#[from] LoginError),
    #[error("it did not let the gate in within {} seconds", TARGET_HANDSHAKE_MAX.as_secs())]
    Slow,
}

impl EnterError {
    /// The SQLSTATE that tells the client's program what happened.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Login(LoginError::Refused { code, .. }) if code.len() == 5 => code,
            Self::Login(_) | Self::Password(_) => "28000",
            _ => "08006",
        }
    }
}

/// A name and a value that the gate itself puts into a startup packet.
pub(crate) type OwnSetting<'a> = (&'static [u8], &'a [u8]);

/// What a session wants of its target.
pub(crate) struct Wanted<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) startup: &'a Startup,
    /// What the startup packet must say beside the client's settings, and in their stead.
    pub(crate) own: Vec<OwnSetting<'a>>,
}

impl Target {
    /// Enters the target over a connection that a grant has opened.
    pub(crate) async fn enter(
        passport: &Passport,
        upstream: Upstream,
        db: &DbResource,
        wanted: &Wanted<'_>,
    ) -> Result<Self, EnterError> {
        let entered = enter(passport, upstream, db, wanted);
        timeout(TARGET_HANDSHAKE_MAX, Box::pin(entered)).await.unwrap_or(Err(EnterError::Slow))
    }
}

async fn enter(
    passport: &Passport,
    upstream: Upstream,
    db: &DbResource,
    wanted: &Wanted<'_>,
) -> Result<Target, EnterError> {
    if db.protocol != DbProtocol::Postgres {
        return Err(EnterError::OtherProtocol);
    }
    let user = wanted.destination.user.as_str();
    let password = match db.auth.password_file(&wanted.destination.user) {
        Some(path) => Some(Password::read(path).inspect_err(|error| {
            tracing::warn!(target = %db.name, user, path = %path.display(), %error, "Could not use a database password");
        })?),
        None => None,
    };
    let client = match password {
        Some(_) => None,
        None => Some(passport.ca.issue_target(user, passport.clock.now())?),
    };
    let name = ServerName::try_from(db.certificate_name().to_owned()).map_err(|_| EnterError::Name)?;
    let way = Way { config: Arc::new(target_config(db.ca_cert.as_deref(), client)?), name };
    let mut stream = way.secure(upstream).await?;
    stream.write_all(&startup_packet(wanted)).await.map_err(LoginError::Io)?;
    stream.flush().await.map_err(LoginError::Io)?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let binding = shown.and_then(|certificate| binding::of(certificate));
    let credentials = Credentials { user, password: password.as_ref(), clear: db.auth.clear_password, binding };
    log_in(&mut stream, credentials).await?;
    greeted(stream, way).await
}

fn startup_packet(wanted: &Wanted<'_>) -> Vec<u8> {
    let Destination { user, database, .. } = wanted.destination;
    let mut body = (3_u32 << 16).to_be_bytes().to_vec();
    let mut put = |name: &[u8], value: &[u8]| {
        for part in [name, value] {
            body.extend_from_slice(part);
            body.push(0);
        }
    };
    put(b"user", user.as_str().as_bytes());
    put(b"database", database.as_bytes());
    let is_own = |name: &[u8]| wanted.own.iter().any(|(own, _)| name.eq_ignore_ascii_case(own));
    wanted.startup.settings().filter(|(name, _)| !is_own(name)).for_each(|(name, value)| put(name, value));
    // Last: the server takes the last word on a setting, and `options` before all of them.
    wanted.own.iter().for_each(|(name, value)| put(name, value));
    body.push(0);
    packet(&body)
}

/// Reads what the target says until it is ready.
async fn greeted(mut stream: TargetStream, way: Way) -> Result<Target, EnterError> {
    let (mut greeting, mut settings, mut key) = (Vec::new(), Vec::new(), None);
    loop {
        let (kind, body) = message(&mut stream).await?;
        match kind {
            b'S' => {
                let (name, value) = crate::login::setting(&body);
                settings.push((name.to_vec(), value.to_vec()));
            }
            b'N' | b'Z' => {}
            b'K' => {
                let (process, secret) =
                    body.split_first_chunk::<4>().ok_or(LoginError::Protocol("a key that is none"))?;
                key = Some(CancelKey { process: u32::from_be_bytes(*process), secret: secret.to_vec() });
                continue;
            }
            b'E' => return Err(refusal(&body).into()),
            _ => return Err(LoginError::Protocol("something else where it must get ready").into()),
        }
        if kind == b'Z' {
            return Ok(Target { stream, greeting, settings, canceller: Canceller { way, key } });
        }
        greeting.extend_from_slice(&wire::frame(kind, &body));
        if greeting.len() > GREETING_MAX {
            return Err(LoginError::Protocol("it says too much before it is ready").into());
        }
    }
}

impl Way {
    /// TLS over a fresh connection. Exactly one byte of the answer is read before: nothing that was said in clear can
    /// be taken for something said within.
    async fn secure(&self, mut upstream: Upstream) -> Result<TargetStream, EnterError> {
        upstream.write_all(&tls_request()).await.map_err(EnterError::Tls)?;
        match upstream.read_u8().await.map_err(EnterError::Tls)? {
            b'S' => {}
            b'N' => return Err(EnterError::NoTls),
            _ => return Err(EnterError::NoPostgres),
        }
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(self.name.clone(), upstream).await.map(Box::new).map_err(EnterError::Tls)
    }
}

/// Why a cancel request did not get through, for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CancelError {
    #[error("the target gave no key")]
    NoKey,
    #[error("{0}")]
    Dial(#[from] DialError),
    #[error("{0}")]
    Enter(#[from] EnterError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it took too long")]
    Slow,
}

impl Canceller {
    /// Asks the target to stop what it does for this session; back when it has taken that.
    pub(crate) async fn cancel(&self, live: &Live) -> Result<(), CancelError> {
        let key = self.key.as_ref().ok_or(CancelError::NoKey)?;
        let asked = async {
            let mut stream = self.way.secure(live.connect().await?).await?;
            stream.write_all(&key.request()).await?;
            stream.flush().await?;
            // It closes once it has sent the signal; how it closes says nothing.
            stream.read_u8().await.map(drop).unwrap_or_default();
            Ok(())
        };
        timeout(CANCEL_MAX, asked).await.unwrap_or(Err(CancelError::Slow))
    }
}
