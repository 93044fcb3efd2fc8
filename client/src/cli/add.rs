//! `tapctl node|db|app add`: writes the target's resource, prints what its own side needs, and has the gate try to
//! connect.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tapgate_api::{AdminAction, Authorities, Reach, ReachAsk, path};
use tapgate_model::TargetName;

use super::{Context, admin, output};
use crate::error::{Act as _, Failure, Result};

/// What every target has.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// The target's name, as people type it
    name: TargetName,
    /// Labels, by which roles choose it: env=prod,team=web
    #[arg(long, value_delimiter = ',', value_parser = label)]
    labels: Vec<(String, String)>,
    /// Replace what is there already
    #[arg(long)]
    force: bool,
}

/// What is to be done with nodes.
#[derive(Debug, Subcommand)]
pub enum Node {
    /// Add an SSH server, and print what its sshd needs
    #[command(after_help = "Examples:\n  tapctl node add web1 --addr 10.0.0.7:22 --labels env=prod --scan\n  \
                            tapctl node add web1 --addr 10.0.0.7:22 --host-key ssh_host_ed25519_key.pub")]
    Add {
        /// What every target has
        #[command(flatten)]
        common: Common,
        /// Where it is
        #[arg(long, value_name = "HOST:PORT")]
        addr: String,
        /// Its host key: a file such as its `/etc/ssh/ssh_host_ed25519_key.pub`
        #[arg(long, value_name = "FILE", conflicts_with = "scan", required_unless_present = "scan")]
        host_key: Option<PathBuf>,
        /// Ask it for its host key from here; compare what is printed with the key on the node
        #[arg(long)]
        scan: bool,
    },
}

/// What is to be done with databases.
#[derive(Debug, Subcommand)]
pub enum Db {
    /// Add a database, and print what its server needs
    #[command(after_help = "Example:\n  tapctl db add orders --protocol postgres --uri db1.internal:5432 \
                            --ca-cert server-ca.pem --labels env=prod")]
    Add {
        /// What every target has
        #[command(flatten)]
        common: Common,
        /// What it speaks
        #[arg(long, value_enum)]
        protocol: Protocol,
        /// Where it is
        #[arg(long, value_name = "HOST:PORT")]
        uri: String,
        /// Who signed its certificate, PEM; the system's authorities where it is left out
        #[arg(long, value_name = "FILE")]
        ca_cert: Option<PathBuf>,
    },
}

/// What is to be done with applications.
#[derive(Debug, Subcommand)]
pub enum App {
    /// Add an application, and print what it can verify
    #[command(after_help = "Example:\n  tapctl app add grafana --uri http://10.0.0.7:3000 --labels env=prod")]
    Add {
        /// What every target has
        #[command(flatten)]
        common: Common,
        /// Where it is: http://, https:// or tcp://, host and port
        #[arg(long, value_name = "URL")]
        uri: String,
        /// Who signed its certificate, PEM; the system's authorities where it is left out
        #[arg(long, value_name = "FILE")]
        ca_cert: Option<PathBuf>,
    },
}

/// What a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
}

/// What comes of it.
#[derive(Serialize)]
struct Added {
    lines: Vec<String>,
    /// What to do on the target's side.
    snippet: String,
    /// Why the gate can't connect, where it can't.
    down: Option<String>,
}

/// Adds a node.
pub async fn node(context: &Context, Node::Add { common, addr, host_key, scan }: Node) -> Result<()> {
    let keys = match host_key {
        Some(file) => vec![text(&file)?.trim().to_owned()],
        None if scan => scanned(&addr)?,
        None => Vec::new(),
    };
    let spec = json!({ "addr": addr, "host_keys": keys });
    added(context, &common, ("node", "v2"), spec, &|authorities| {
        let lines = public(authorities, "target-ssh");
        format!(
            "On {name}, as root:\n\n  cat > /etc/ssh/tapgate_user_ca.pub <<'END'\n{lines}END\n  \
             echo 'TrustedUserCAKeys /etc/ssh/tapgate_user_ca.pub' > /etc/ssh/sshd_config.d/tapgate.conf\n  \
             sshd -t && systemctl reload ssh\n\nLet it take connections from the gate alone, and: tap ssh LOGIN@{name}\n",
            name = common.name,
        )
    })
    .await
}

/// Adds a database.
pub async fn db(context: &Context, Db::Add { common, protocol, uri, ca_cert }: Db) -> Result<()> {
    let name = match protocol {
        Protocol::Postgres => "postgres",
        Protocol::Mysql => "mysql",
    };
    let mut spec = json!({ "protocol": name, "uri": uri });
    if let Some(file) = &ca_cert {
        spec["tls"] = json!({ "ca_cert": text(file)? });
    }
    added(context, &common, ("db", "v3"), spec, &|authorities| {
        let pem = public(authorities, "target-tls");
        let name = &common.name;
        match protocol {
            Protocol::Postgres => format!(
                "On the server of {name}, in its data directory (GATE is the gate's address):\n\n  \
                 cat > tapgate-ca.crt <<'END'\n{pem}END\n\n  # postgresql.conf\n  ssl = on\n  \
                 ssl_ca_file = 'tapgate-ca.crt'\n\n  # pg_hba.conf, above the other lines\n  \
                 hostssl  all  all  GATE/32  cert\n\nThen reload it, and: tap db connect {name} --db-user USER --db-name DB\n"
            ),
            Protocol::Mysql => format!(
                "On the server of {name}:\n\n  cat > /etc/mysql/tapgate-ca.pem <<'END'\n{pem}END\n\n  # my.cnf\n  \
                 [mysqld]\n  ssl-ca = /etc/mysql/tapgate-ca.pem\n\n  -- for each user, here app\n  \
                 CREATE USER 'app'@'GATE' REQUIRE SUBJECT '/CN=app';\n\nThen restart it, and: \
                 tap db connect {name} --db-user app --db-name DB\n"
            ),
        }
    })
    .await
}

/// Adds an application.
pub async fn app(context: &Context, App::Add { common, uri, ca_cert }: App) -> Result<()> {
    let mut spec = json!({ "uri": uri });
    if let Some(file) = &ca_cert {
        spec["tls"] = json!({ "ca_cert": text(file)? });
    }
    let gate = context.profile.gate.clone();
    added(context, &common, ("app", "v3"), spec, &|_| {
        format!(
            "{name} needs nothing, but should take connections from the gate alone. It can verify who comes: the header\n\
             Tapgate-Jwt is signed with the keys at https://{gate}{jwks}\n\nThen: tap proxy app {name}\n",
            name = common.name,
            jwks = path::JWKS,
        )
    })
    .await
}

async fn added(
    context: &Context,
    common: &Common,
    (kind, version): (&str, &str),
    spec: Value,
    snippet: &dyn Fn(&Authorities) -> String,
) -> Result<()> {
    let labels: Map<String, Value> =
        common.labels.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
    let metadata = json!({ "name": common.name.as_str(), "labels": labels });
    let document = json!({ "kind": kind, "version": version, "metadata": metadata, "spec": spec });
    let yaml = serde_norway::to_string(&document).act(|| "the resource cannot be written".to_owned())?;
    let outcome = admin::change(context, &AdminAction::PutResources { yaml, replace: common.force }).await?;
    let http = context.with_login()?;
    let authorities: Authorities = http.get(path::AUTHORITIES, &[]).await?;
    let ask = ReachAsk { kind: kind.to_owned(), name: common.name.to_string() };
    let Reach { down } = http.post(path::REACH, &ask).await?;
    let added = Added { lines: outcome.lines, snippet: snippet(&authorities), down };
    output::show(context.format(), &added, |added| {
        let mut text = format!("{}\n{}", output::lines(&added.lines), added.snippet);
        let said = match &added.down {
            None => writeln!(text, "\nThe gate can connect to it."),
            Some(why) => writeln!(
                text,
                "\nThe gate can't connect to it yet: {why} (is it up, and its firewall open to the gate?)"
            ),
        };
        said.map_or_else(|_| String::new(), |()| text)
    })
}

/// The public halves of these authorities; in a rotation both.
fn public(all: &Authorities, kind: &str) -> String {
    all.authorities.iter().filter(|entry| entry.kind == kind).map(|entry| entry.public.as_str()).collect()
}

/// What the system's ssh-keyscan hears: lines for a person to compare, and keys for the resource.
fn scanned(addr: &str) -> Result<Vec<String>> {
    let (host, port) = addr.rsplit_once(':').unwrap_or((addr, "22"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.starts_with('-') || port.parse::<u16>().is_err() {
        return Err(Failure::new(format!("{addr} is not an address")).advise("use host:port"));
    }
    let mut scan = Command::new("ssh-keyscan");
    scan.args(["-T", "10", "-t", "ed25519,ecdsa,rsa", "-p", port, "--", host]).stdin(Stdio::null());
    let said = scan.output().act(|| "ssh-keyscan cannot be run".to_owned())?;
    let lines = String::from_utf8_lossy(&said.stdout);
    let key = |line: &str| Some(line.split_once(' ').filter(|(host, _)| !host.starts_with('#'))?.1.trim().to_owned());
    let mut keys: Vec<String> = lines.lines().filter_map(key).collect();
    keys.sort();
    keys.dedup();
    for key in &keys {
        let parsed = ssh_key::PublicKey::from_openssh(key).act(|| format!("{addr} shows a key that cannot be read"))?;
        let (kind, print) = (parsed.algorithm().to_string(), parsed.fingerprint(ssh_key::HashAlg::Sha256));
        eprintln!("{addr} shows {kind} {print}");
    }
    if keys.is_empty() {
        return Err(Failure::new(format!("{addr} shows no host key")).advise("name its file with --host-key"));
    }
    eprintln!("Compare them on the node before you tap: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
    Ok(keys)
}

fn text(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).act(|| format!("{} cannot be read", file.display()))
}

fn label(text: &str) -> Result<(String, String)> {
    let wrong = || Failure::new(format!("{text:?} is no label")).advise("use KEY=VALUE");
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(wrong)?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_a_key_and_a_value() {
        assert_eq!(label("env=prod").unwrap(), ("env".to_owned(), "prod".to_owned()));
        assert_eq!(label("a=b=c").unwrap().1, "b=c");
        assert!(label("env").is_err() && label("=x").is_err());
    }

    #[test]
    fn no_address_becomes_an_option() {
        assert!(scanned("-oProxyCommand=x:22").is_err());
        assert!(scanned("host:port").is_err());
    }
}
