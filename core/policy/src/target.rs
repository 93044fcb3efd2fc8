//! Targets other than nodes: `db`, `kube_cluster`, `app` and `windows_desktop`.

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
        spec.finish();
        let name: TargetName = metadata.name()?;
        let uid = metadata.uid(Kind::Db, &name);
        let (labels, description) = (metadata.labels(), metadata.description());
        let (protocol, addr) = (protocol?, addr?);
        Some(Self { name, uid, labels, description, protocol, addr, ca_cert, server_name, auth })
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

fn certificate(at: &At<'_>) -> Option<String> {
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

/// An application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppResource {
    /// Its name, as people type it.
    pub name: TargetName,
    /// Its own number.
    pub uid: TargetUid,
    /// Its labels.
    pub labels: Labels,
    /// Where it is: `http://…`, `https://…` or `tcp://…`.
    pub uri: String,
    /// The same as `host:port`.
    pub addr: String,
    /// The name under which browsers reach it, where it has one of its own.
    pub public_addr: Option<String>,
    /// The ports of a TCP application that has several, as first and last.
    pub tcp_ports: Vec<(u16, u16)>,
}

impl AppResource {
    /// Reads an application's `spec`.
    pub(crate) fn read(metadata: &Metadata<'_>, spec: Section<'_>) -> Option<Self> {
        const UNSUPPORTED: &[(&str, &str)] = &[
            ("insecure_skip_verify", "remove it: certificates are always verified"),
            ("rewrite", "remove it"),
            ("aws", "remove it"),
            ("cloud", "remove it"),
            ("cors", "remove it"),
            ("dynamic_labels", "use `metadata.labels`"),
            ("required_app_names", "remove it"),
            ("integration", "remove it"),
            ("identity_center", "remove it"),
            ("mcp", "remove it"),
            ("use_any_proxy_public_addr", "remove it"),
        ];
        let spec = spec.without(UNSUPPORTED);
        let uri = spec.need("uri", "\"http://127.0.0.1:8080\"").and_then(|at| app_uri(&at));
        let public_addr = spec.take("public_addr").and_then(|at| address::host(&at));
        let ports = spec.take("tcp_ports");
        let tcp_ports = ports.as_ref().map_or_else(Vec::new, ports_of);
        if let (Some(at), Some(uri)) = (ports, &uri)
            && !uri.starts_with("tcp://")
        {
            at.problem("`tcp_ports` goes with a `tcp://` address only (remove it)");
        }
        spec.finish();
        let name: TargetName = metadata.name()?;
        let uid = metadata.uid(Kind::App, &name);
        let uri = uri?;
        let addr = address::of_url(&uri, &APP_SCHEMES)?;
        Some(Self { name, uid, labels: metadata.labels(), uri, addr, public_addr, tcp_ports })
    }

    /// Its address at another port; `None` where it does not list that one.
    pub fn at_port(&self, port: u16) -> Option<String> {
        let host = self.addr.rsplit_once(':')?.0;
        let own = self.tcp_ports.is_empty() && self.addr.ends_with(&format!(":{port}"));
        let listed = self.tcp_ports.iter().any(|(first, last)| (*first..=*last).contains(&port));
        (own || listed).then(|| format!("{host}:{port}"))
    }
}

/// How an application's address may begin.
const APP_SCHEMES: [&str; 3] = ["http", "https", "tcp"];

fn app_uri(at: &At<'_>) -> Option<String> {
    let text = at.text()?;
    let good = address::of_url(text, &APP_SCHEMES).is_some();
    if !good {
        at.problem(format!("`uri`: `{text}` is not an address (use http://, https:// or tcp:// and host:port)"));
    }
    good.then(|| text.to_owned())
}

fn ports_of(at: &At<'_>) -> Vec<(u16, u16)> {
    at.items().unwrap_or_default().iter().filter_map(port_range).collect()
}

fn port_range(at: &At<'_>) -> Option<(u16, u16)> {
    let section = Section::open(at.clone(), "tcp_ports")?;
    let first = section.need("port", "8080").and_then(|at| port(&at));
    let last = section.take("end_port").map_or(first, |at| port(&at));
    section.finish();
    let (first, last) = (first?, last?);
    if last < first {
        at.problem("`end_port` lies before `port` (swap them)");
    }
    Some((first, last))
}

fn port(at: &At<'_>) -> Option<u16> {
    let port = at.word().parse().ok().filter(|port| *port > 0);
    if port.is_none() {
        at.problem(format!("`{}` is no port (use a number from 1 to 65535)", at.name()));
    }
    port
}

/// Which protocol a desktop speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DesktopProtocol {
    /// Remote Desktop.
    Rdp,
    /// Virtual Network Computing.
    Vnc,
}

/// A desktop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesktopResource {
    /// Its name, as people type it.
    pub name: TargetName,
    /// Its own number.
    pub uid: TargetUid,
    /// Its labels.
    pub labels: Labels,
    /// What it speaks.
    pub protocol: DesktopProtocol,
    /// Where it is, as `host:port`.
    pub addr: String,
    /// Its Active Directory domain, where it is in one.
    pub domain: Option<String>,
}

impl DesktopResource {
    /// Reads a desktop's `spec`.
    pub(crate) fn read(metadata: &Metadata<'_>, spec: Section<'_>) -> Option<Self> {
        const UNSUPPORTED: &[(&str, &str)] =
            &[("host_id", "remove it"), ("non_ad", "leave `domain` out instead"), ("screen_size", "remove it")];
        let spec = spec.without(UNSUPPORTED);
        let protocols = [("rdp", DesktopProtocol::Rdp), ("vnc", DesktopProtocol::Vnc)];
        let protocol = spec.take("protocol").map_or(Some(DesktopProtocol::Rdp), |at| at.choice(&protocols));
        let addr = spec.need("addr", "\"host:3389\"").and_then(|at| address::read(&at));
        let domain = spec.take("domain").and_then(|at| address::host(&at));
        spec.finish();
        let name: TargetName = metadata.name()?;
        let uid = metadata.uid(Kind::WindowsDesktop, &name);
        Some(Self { name, uid, labels: metadata.labels(), protocol: protocol?, addr: addr?, domain })
    }
}
