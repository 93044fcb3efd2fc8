//! Targets other than nodes, applications and desktops: `db` and `kube_cluster`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tapgate_model::{Kind, Labels, TargetName, TargetUid};

use crate::address;
use crate::at::At;
use crate::db_auth::DbAuth;
use crate::metadata::Metadata;
use crate::section::Section;

/// Which protocol a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DbProtocol {
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
}

impl DbProtocol {
    /// The name that resources use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
        }
    }
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbResource {
    /// Its name, as people type it.
    pub name: TargetName,
    /// Its own number.
    pub uid: TargetUid,
    /// Its labels.
    pub labels: Labels,
    /// What people read of it in lists.
    pub description: Option<String>,
    /// What it speaks.
    pub protocol: DbProtocol,
    /// Where it is, as `host:port`.
    pub addr: String,
    /// The certificate authority that its certificate comes from, in PEM; the system's where none is given.
    pub ca_cert: Option<String>,
    /// The name in its certificate, where it differs from the address.
    pub server_name: Option<String>,
    /// How the gate logs in there.
    pub auth: DbAuth,
    /// Whether a stock client that needs a tap is turned away at once with the page's address (`in_band: reject`),
    /// and not held: graphical clients show nothing while they wait.
    pub turns_away: bool,
}

impl DbResource {
    /// The name that its certificate must have.
    pub fn certificate_name(&self) -> &str {
        let host = self.addr.rsplit_once(':').map_or(self.addr.as_str(), |(host, _)| host);
        self.server_name.as_deref().unwrap_or_else(|| host.trim_matches(['[', ']']))
    }

    /// Reads a database's `spec`.
    pub(crate) fn read(metadata: &Metadata<'_>, spec: Section<'_>) -> Option<Self> {
        const PROTOCOLS: &[(&str, DbProtocol)] = &[("postgres", DbProtocol::Postgres), ("mysql", DbProtocol::MySql)];
        const UNSUPPORTED: &[(&str, &str)] = &[
            ("ca_cert", "use `tls.ca_cert`"),
            ("aws", "remove it"),
            ("gcp", "remove it"),
            ("azure", "remove it"),
            ("ad", "remove it"),
            ("mysql", "remove it"),
            ("admin_user", "remove it and create users in the database itself"),
            ("dynamic_labels", "use `metadata.labels`"),
        ];
        let spec = spec.without(UNSUPPORTED);
        let protocol = spec.need("protocol", "postgres").and_then(|at| at.choice(PROTOCOLS));
        let addr = spec.need("uri", "\"host:5432\"").and_then(|at| address::read(&at));
        let (ca_cert, server_name) = spec.section("tls", "tls").map_or((None, None), tls);
        let auth = spec.section("auth", "auth").map_or_else(DbAuth::default, DbAuth::read);
        let in_band = spec.take("in_band").and_then(|at| at.choice(&[("hold", false), ("reject", true)]));
        let turns_away = in_band.unwrap_or(false);
        spec.finish();
        let name: TargetName = metadata.name()?;
        let uid = metadata.uid(Kind::Db, &name);
        let (labels, description) = (metadata.labels(), metadata.description());
        let (protocol, addr) = (protocol?, addr?);
        Some(Self { name, uid, labels, description, protocol, addr, ca_cert, server_name, auth, turns_away })
    }
}

/// The gate always verifies a database's certificate, so that the two modes do the same.
fn tls(section: Section<'_>) -> (Option<String>, Option<String>) {
    if let Some(at) = section.take("mode") {
        let _ = at.choice(&[("verify-full", ()), ("verify-ca", ())]);
    }
    let ca_cert = section.take("ca_cert").and_then(|at| certificate(&at));
    let server_name = section.take("server_name").and_then(|at| address::host(&at));
    section.finish();
    (ca_cert, server_name)
}

/// A certificate authority in PEM.
pub(crate) fn certificate(at: &At<'_>) -> Option<String> {
    let text = at.text()?;
    if text.contains("-----BEGIN CERTIFICATE-----") && !text.contains("PRIVATE KEY") {
        return Some(text.to_owned());
    }
    at.problem("`ca_cert` is no certificate in PEM (paste it with its BEGIN and END lines, and no private key)");
    None
}

/// A Kubernetes cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct KubeResource {
    /// Its name, as people type it.
    pub name: TargetName,
    /// Its own number.
    pub uid: TargetUid,
    /// Its labels.
    pub labels: Labels,
    /// How the gate reaches it: the text of a kubeconfig.
    pub kubeconfig: String,
    /// Where its API server is, as `host:port`.
    pub addr: String,
}

/// Never prints the kubeconfig, which holds credentials.
impl fmt::Debug for KubeResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeResource").field("name", &self.name).field("uid", &self.uid).finish_non_exhaustive()
    }
}

impl KubeResource {
    /// Reads a cluster's `spec`.
    pub(crate) fn read(metadata: &Metadata<'_>, spec: Section<'_>) -> Option<Self> {
        const UNSUPPORTED: &[(&str, &str)] = &[
            ("aws", "use `kubeconfig`"),
            ("azure", "use `kubeconfig`"),
            ("gcp", "use `kubeconfig`"),
            ("dynamic_labels", "use `metadata.labels`"),
        ];
        let spec = spec.without(UNSUPPORTED);
        let at = spec.need("kubeconfig", "(the file in base64)");
        let kubeconfig = at.as_ref().and_then(from_base64);
        let addr = at.zip(kubeconfig.as_deref()).and_then(|(at, text)| api_server(&at, text));
        spec.finish();
        let name: TargetName = metadata.name()?;
        let uid = metadata.uid(Kind::KubeCluster, &name);
        Some(Self { name, uid, labels: metadata.labels(), kubeconfig: kubeconfig?, addr: addr? })
    }
}

fn from_base64(at: &At<'_>) -> Option<String> {
    let packed: String = at.text()?.split_ascii_whitespace().collect();
    let text = STANDARD.decode(packed).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    if text.is_none() {
        at.problem("`kubeconfig` is not base64 of a text (use `base64 < kubeconfig`)");
    }
    text
}

/// The address of the API server in a kubeconfig: that of the cluster of the current context.
fn api_server(at: &At<'_>, kubeconfig: &str) -> Option<String> {
    let found = serde_norway::from_str::<serde_norway::Value>(kubeconfig).ok().and_then(|config| {
        let named = |list: &str, name: &serde_norway::Value| {
            config.get(list)?.as_sequence()?.iter().find(|entry| entry.get("name") == Some(name)).cloned()
        };
        let context = named("contexts", config.get("current-context")?)?;
        let cluster = named("clusters", context.get("context")?.get("cluster")?)?;
        cluster.get("cluster")?.get("server")?.as_str().and_then(|server| address::of_url(server, &["https"]))
    });
    if found.is_none() {
        at.problem(
            "`kubeconfig` names no API server (its current-context must lead to a cluster with `server: https://…`)",
        );
    }
    found
}
