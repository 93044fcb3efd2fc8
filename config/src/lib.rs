//! `tapgate.yaml`: read, parsed whole into types that hold, every error at once with its line.

mod keep;
mod limits;
mod lines;
mod parse;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use tapgate_model::{Digest, Version};

pub use keep::{AuditConfig, KeepRule, S3Config, S3Credentials, WitnessPlace};
pub use parse::parse;

/// The gate's configuration. Every field holds what its type says; nothing is left to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The cluster's name, which is also the name that the gate's own certificates carry.
    pub cluster_name: String,
    /// Where the store, the audit log and the keys of the certificate authorities are.
    pub data_dir: PathBuf,
    /// Where the one port for clients listens.
    pub listen: SocketAddr,
    /// Where MySQL clients that know nothing of this gate connect, if anywhere: their server speaks first, so they
    /// need a port of their own.
    pub mysql_listen: Option<SocketAddr>,
    /// Networks of load balancers: what comes from them must say by the PROXY protocol whose connection it is.
    pub proxies: Vec<IpNet>,
    /// The host and port that users type.
    pub public_addr: HostPort,
    /// The domain under which every application has a host name, if there is one: `*.<apps_domain>` leads to the gate.
    pub apps_domain: Option<String>,
    /// Where `/healthz`, `/readyz` and `/metrics` listen, if anywhere. Never the public port.
    pub admin_listen: Option<SocketAddr>,
    /// The relying party that security keys are registered with.
    pub rp_id: String,
    /// The origins whose ceremonies count.
    pub origins: Vec<String>,
    /// The pins of the first administrators' security keys.
    pub first_admins: Vec<Digest>,
    /// A directory of resource files, beside those that `tapctl` writes.
    pub resources: Option<PathBuf>,
    /// Where the audit log is written.
    pub audit_log: PathBuf,
    /// The certificate that browsers are shown, where the operator has one.
    pub certificate: Option<CertificateFiles>,
    /// The certificate authority that issues one for browsers, where the gate is to ask for it by itself.
    pub acme: Option<AcmeConfig>,
    /// Whether further processes may listen at the same ports (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// How long live sessions go on when the gate is to end.
    pub drain: DrainConfig,
    /// How the audit log is kept.
    pub audit: AuditConfig,
    /// The directory of the sessions' recordings.
    pub recordings: PathBuf,
    /// How long recordings are kept.
    pub recordings_keep: KeepRule,
    /// The store that they go to from there, if there is one.
    pub recordings_s3: Option<S3Config>,
    /// Where the key is that seals the secrets in the store.
    pub secrets_key: SecretsKeyPlace,
    /// The oldest client that is served.
    pub min_client_version: Version,
}

/// Where the key is that seals the secrets in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretsKeyPlace {
    /// A file, which is made where there is none.
    File(PathBuf),
    /// An environment variable, which holds 64 hexadecimal digits.
    Environment(String),
    /// A credential of systemd's, by its name.
    Credential(String),
}

impl std::str::FromStr for SecretsKeyPlace {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let name = |name: &str, what: &str| {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            let found = !name.is_empty() && !name.starts_with('.') && name.chars().all(good);
            found.then(|| name.to_owned()).ok_or_else(|| format!("names no {what}: {text}"))
        };
        match text.split_once(':') {
            Some(("env", variable)) => name(variable, "environment variable").map(Self::Environment),
            Some(("credential", credential)) => name(credential, "credential").map(Self::Credential),
            _ if text.is_empty() => Err("is empty (give a file, env:VARIABLE or credential:NAME)".to_owned()),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl std::fmt::Display for SecretsKeyPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => write!(f, "env:{variable}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

/// How long live sessions go on when the gate is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainConfig {
    /// After SIGTERM.
    pub stop: Duration,
    /// After another process has taken over.
    pub hand_over: Duration,
}

/// A certificate authority that issues by itself (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeConfig {
    /// The URL of its directory.
    pub directory: String,
    /// The address that it writes to when something is wrong.
    pub contact: Option<String>,
    /// The host names that the certificate is for.
    pub names: Vec<String>,
    /// A file with the authority that the directory's own certificate comes from; the system's where there is none.
    pub trust: Option<PathBuf>,
    /// Where plain HTTP listens, so that the authority may look there (HTTP-01); without it, it looks at the one port
    /// (TLS-ALPN-01).
    pub http_listen: Option<SocketAddr>,
}

/// A certificate with its chain, and its key: PEM files, which are read anew when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A host name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

/// The line, counted from 1, at which a key of a configuration file stands; 1 where it does not.
pub fn line_of(path: &Path, key: &str) -> usize {
    std::fs::read_to_string(path).map_or(1, |text| lines::line_of(&text, &[key]))
}

/// Reads and parses a file.
pub fn load(path: &Path) -> Result<Config, Vec<Problem>> {
    let file = path.display().to_string();
    let problem = |what: String| vec![Problem { file: file.clone(), line: 1, what }];
    let size = std::fs::metadata(path).map_err(|e| problem(format!("can't be read: {e}")))?.len();
    if size > limits::FILE_MAX {
        return Err(problem(format!("is larger than {} bytes", limits::FILE_MAX)));
    }
    let text = std::fs::read_to_string(path).map_err(|e| problem(format!("can't be read: {e}")))?;
    parse(&file, &text)
}
