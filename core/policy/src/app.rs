//! Applications: where each is, how the gate knows it, and what is changed on the way.

use std::time::Duration;

use tapgate_model::{Kind, Labels, TargetName, TargetUid};

use crate::address;
use crate::at::At;
use crate::limits::{REWRITE_BYTES_MAX, REWRITES_MAX};
use crate::metadata::Metadata;
use crate::section::Section;
use crate::target::certificate;

/// An application.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
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
    /// The name under which browsers reach it, where it has one of its own; in lower case.
    pub public_addr: Option<String>,
    /// The ports of a TCP application that has several, as first and last.
    pub tcp_ports: Vec<(u16, u16)>,
    /// Whether any certificate of an `https://` application is taken: somebody has written so.
    pub insecure_skip_verify: bool,
    /// The certificate authority that its certificate comes from, in PEM; the system's where none is given.
    pub ca_cert: Option<String>,
    /// The name in its certificate, where it differs from the address.
    pub server_name: Option<String>,
    /// Whether the gate shows it a client certificate of its own, in the user's name.
    pub client_certificate: bool,
    /// Whether its name may lead to this machine or to what only this machine's neighbours should reach.
    pub allow_local_addresses: bool,
    /// Whether each request is written to the audit log.
    pub audit_requests: bool,
    /// How long it may take for an answer, where its resource says so.
    pub answer_timeout: Option<Duration>,
    /// What is changed on the way.
    pub rewrite: Rewrite,
}

/// What is changed in requests to an application, and in its answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// Headers that every request gets, in place of the client's: names in lower case, and values, in which
    /// `{{internal.jwt}}` and `{{internal.user}}` stand for the signed identity and the user's name.
    pub headers: Vec<(String, String)>,
    /// Hosts whose redirects are led to the application's public name.
    pub redirect: Vec<String>,
    /// Whether the signed identity names the user's roles.
    pub roles: bool,
}

/// Headers that say how a message is carried or whose it is: the gate's own, and nobody's to rewrite.
const FIXED: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a header's value may stand in for.
const PLACEHOLDERS: [&str; 2] = ["{{internal.jwt}}", "{{internal.user}}"];

impl AppResource {
    /// Reads an application's `spec`.
    pub(crate) fn read(metadata: &Metadata<'_>, spec: Section<'_>) -> Option<Self> {
        const UNSUPPORTED: &[(&str, &str)] = &[
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
        let insecure_skip_verify = spec.flag("insecure_skip_verify", false);
        let tls = spec.section("tls", "tls").map(tls).unwrap_or_default();
        if insecure_skip_verify && tls.ca_cert.is_some() {
            spec.problem("`insecure_skip_verify` and `tls.ca_cert` contradict each other (remove the first)");
        }
        let allow_local_addresses = spec.flag("allow_local_addresses", false);
        let audit_requests = spec.flag("audit_requests", false);
        let answer_timeout = spec.take("answer_timeout").and_then(|at| at.duration()).filter(|wait| !wait.is_zero());
        let rewrite = spec.section("rewrite", "rewrite").map(rewrite).unwrap_or_default();
        spec.finish();
        let name: TargetName = metadata.name()?;
        let uid = metadata.uid(Kind::App, &name);
        let uri = uri?;
        let addr = address::of_url(&uri, &APP_SCHEMES)?;
        Some(Self {
            name,
            uid,
            labels: metadata.labels(),
            uri,
            addr,
            public_addr: public_addr.map(|name| name.to_ascii_lowercase()),
            tcp_ports,
            insecure_skip_verify,
            ca_cert: tls.ca_cert,
            server_name: tls.server_name,
            client_certificate: tls.client_certificate,
            allow_local_addresses,
            audit_requests,
            answer_timeout,
            rewrite,
        })
    }

    /// Its address at another port; `None` where it does not list that one.
    pub fn at_port(&self, port: u16) -> Option<String> {
        let host = self.addr.rsplit_once(':')?.0;
        let own = self.tcp_ports.is_empty() && self.addr.ends_with(&format!(":{port}"));
        let listed = self.tcp_ports.iter().any(|(first, last)| (*first..=*last).contains(&port));
        (own || listed).then(|| format!("{host}:{port}"))
    }

    /// Whether it is carried as bytes, and no requests are seen in it.
    pub fn is_tcp(&self) -> bool {
        self.uri.starts_with("tcp://")
    }

    /// The host part of its address.
    pub fn host(&self) -> &str {
        let host = self.addr.rsplit_once(':').map_or(self.addr.as_str(), |(host, _)| host);
        host.trim_matches(['[', ']'])
    }

    /// The host name under which browsers reach it: its own, or one under the domain of applications. None for TCP,
    /// and where it has neither.
    pub fn public_host(&self, domain: Option<&str>) -> Option<String> {
        if self.is_tcp() {
            return None;
        }
        let under = || domain.map(|domain| format!("{}.{domain}", self.name.as_str().to_ascii_lowercase()));
        self.public_addr.clone().or_else(under)
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

/// How the gate and the application know each other.
#[derive(Default)]
struct Tls {
    ca_cert: Option<String>,
    server_name: Option<String>,
    client_certificate: bool,
}

fn tls(section: Section<'_>) -> Tls {
    let tls = Tls {
        ca_cert: section.take("ca_cert").and_then(|at| certificate(&at)),
        server_name: section.take("server_name").and_then(|at| address::host(&at)),
        client_certificate: section.flag("client_certificate", false),
    };
    section.finish();
    tls
}

fn rewrite(section: Section<'_>) -> Rewrite {
    let headers = section.take("headers").and_then(|at| at.one_or_more()).unwrap_or_default();
    if headers.len() > REWRITES_MAX {
        section.problem(format!("`headers` in rewrite are more than {REWRITES_MAX} (remove some)"));
    }
    let claims = [("roles", true), ("none", false)];
    let rewrite = Rewrite {
        headers: headers.iter().filter_map(header).collect(),
        redirect: section.texts("redirect").into_iter().map(|host| host.to_ascii_lowercase()).collect(),
        roles: section.take("jwt_claims").and_then(|at| at.choice(&claims)).unwrap_or(false),
    };
    section.finish();
    rewrite
}

/// `Name: value`, or a map of the two.
fn header(at: &At<'_>) -> Option<(String, String)> {
    let (name, value) = match at.raw_entries() {
        [] => {
            let (name, value) = at.text()?.split_once(':').or_else(|| {
                at.problem("a header in rewrite is not `Name: value`");
                None
            })?;
            (name.to_owned(), value.trim().to_owned())
        }
        _ => {
            let section = Section::open(at.clone(), "a header in rewrite")?;
            let name = section.need("name", "X-Environment").and_then(|at| at.text().map(str::to_owned));
            let value = section.need("value", "production").and_then(|at| at.text().map(str::to_owned));
            section.finish();
            (name?, value?)
        }
    };
    let name = name.to_ascii_lowercase();
    let token = |c: char| c.is_ascii_alphanumeric() || "-_.!#$%&'*+^`|~".contains(c);
    let seen = |c: char| c == '\t' || (' '..='~').contains(&c);
    let mut rest = value.clone();
    for known in PLACEHOLDERS {
        rest = rest.replace(known, "");
    }
    if name.is_empty() || !name.chars().all(token) {
        at.problem(format!("`{name}` is no header's name (use letters, digits and -)"));
    } else if FIXED.contains(&name.as_str()) || name.starts_with("tapgate-") {
        at.problem(format!("the header `{name}` is the gate's own (remove it)"));
    } else if !value.chars().all(seen) || value.len() > REWRITE_BYTES_MAX {
        at.problem(format!("the value of `{name}` is longer than {REWRITE_BYTES_MAX} bytes or can't be seen in full"));
    } else if rest.contains("{{") {
        at.problem(format!("the value of `{name}` has an unknown template (use {})", PLACEHOLDERS.join(" or ")));
    } else {
        return Some((name, value));
    }
    None
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
