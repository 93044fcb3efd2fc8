//! The target's leg: TLS, and logging in there.

mod ask;
pub(crate) mod login;
pub(crate) mod tls;

use tapgate_session::Upstream;
use tokio_rustls::client::TlsStream;

use crate::wire::WireError;
use crate::wire::error::ServerError;

/// A target that has let us in.
pub(crate) struct Entered {
    pub(crate) io: TlsStream<Upstream>,
    /// The number that it gave the connection.
    pub(crate) thread: u32,
    /// Its last word of the login, as the client is to read it.
    pub(crate) welcome: Vec<u8>,
    /// What was agreed on.
    pub(crate) flags: mysql_common::constants::CapabilityFlags,
    /// Whether it cuts statements in a way that can't be followed.
    pub(crate) unreadable: bool,
}

/// Why a target could not be entered, in words for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnterError {
    #[error("it takes no connections: {0}")]
    Greeting(ServerError),
    #[error("it offers no TLS (set `ssl-cert` and `ssl-key` there)")]
    NoTls,
    #[error("it is older than MySQL 5.7 or MariaDB 10.2, whose protocol the client speaks (update it)")]
    TooOld,
    #[error("its TLS certificate is not trusted: {0} (see `tls` of the resource)")]
    Tls(std::io::Error),
    #[error("{0}")]
    Config(&'static str),
    #[error("{0}")]
    Setup(#[from] tapgate_identity::TargetTlsError),
    #[error("the password file of this user can't be read (ask your administrator)")]
    Password,
    #[error("it refused the login: {0}")]
    Refused(ServerError),
    #[error("it wants the password in clear, which the resource does not allow (see `auth.clear_password`)")]
    ClearPassword,
    #[error("it wants the authentication method {0:?}, which the gate does not speak")]
    Plugin(String),
    #[error("it can't be made read-only, as your role wants it: {0}")]
    Writable(String),
    #[error("its authentication can't be followed")]
    Authentication,
    #[error("no answer to the login within {} seconds", crate::limits::TARGET_LOGIN_MAX.as_secs())]
    Slow,
    #[error("{0}")]
    Wire(#[from] WireError),
}
