//! `tap batch`: one tap that names a shown set of nodes, and a command whose plain `ssh` reaches exactly those.
//!
//! The session key stays in this process and signs through a socket of its own. The command finds an `ssh`, `scp` and
//! `sftp` before the system's in its `PATH`, which are the system's with a configuration that names these nodes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tapgate_api::{TargetEntry, Targets, path};
use tapgate_model::{Kind, Login, LoginName, TargetName};
use tokio::process::{Child, Command};

use crate::ceremony::Goal;
use crate::child::wait;
use crate::cli::{Context, Format, output};
use crate::db::select::Labels;
use crate::error::{Act as _, Failure, Result};
use crate::limits::BATCH_TARGETS_MAX;
use crate::session::{Access, open_all};
use crate::ssh::agent_socket::AgentSocket;
use crate::ssh::options::{FIXED, Identity, quoted, shell_quoted, utf8};

/// Which nodes, as whom, and what to run.
#[derive(Debug, clap::Args)]
pub struct Batch {
    /// The nodes with these labels, as KEY=VALUE,KEY=VALUE
    #[arg(long, value_name = "LABELS", required_unless_present = "nodes")]
    pub labels: Option<Labels>,
    /// These nodes
    #[arg(long, value_name = "NODES", value_delimiter = ',', conflicts_with = "labels")]
    pub nodes: Vec<TargetName>,
    /// Who to become on each of them
    #[arg(long, value_name = "LOGIN")]
    pub login: LoginName,
    /// Do not ask whether to proceed
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// What to run, after --; without it the nodes are listed and nothing is asked for
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// One node of the set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Node {
    name: TargetName,
    login: LoginName,
    labels: BTreeMap<String, String>,
    mfa_required: bool,
}

/// The set, as it is shown.
#[derive(Debug, Serialize)]
struct Set<'a> {
    nodes: &'a [Node],
}

/// Asks for the tap and runs the command; its exit status, as a shell would give it.
pub async fn run(context: &Context, batch: Batch) -> Result<u8> {
    let listed: Targets = context.with_login()?.get(path::TARGETS, &[]).await?;
    let nodes = chosen(&listed.targets, &batch)?;
    let Some((program, arguments)) = batch.command.split_first() else {
        output::show(context.format(), &Set { nodes: &nodes }, |set| table(set.nodes))?;
        return Ok(0);
    };
    // What the command says has standard output for itself.
    eprint!("{}", announced(context.format(), &nodes)?);
    if !batch.yes && !proceed(nodes.len())? {
        return Err(Failure::new("nothing was run"));
    }
    let goal =
        |node: &Node| Goal { kind: Kind::Node, target: node.name.clone(), login: Login::Unix(node.login.clone()) };
    let goals: Vec<Goal> = nodes.iter().map(goal).collect();
    let one_by_one = || {
        Failure::new("a role of yours wants a tap for every single session, so one can't cover several")
            .advise("use tap ssh for each")
    };
    match open_all(context, &goals).await?.ok_or_else(one_by_one)? {
        Access::Login => {
            let folder = tempfile::Builder::new().prefix("batch-").tempdir_in(context.home.run()?);
            let folder = folder.act(|| "a folder for the command cannot be made".to_owned())?;
            let files = context.login_files();
            let identity = Identity::Login { key: &files.ssh_key, certificate: &files.ssh_certificate };
            let config = config(context, &nodes, &identity)?;
            wait(start(&Place::lay(folder.path(), &config)?, None, program, arguments)?).await
        }
        Access::Window { certificates, signer } => {
            let (certificate, login) = (&certificates.ssh_certificate, batch.login.to_string());
            let mut agent = AgentSocket::for_many(&context.home, certificate, login, signer)?;
            let (socket, certificate) = (agent.socket(), agent.certificate());
            let identity = Identity::Session { certificate: &certificate, socket: &socket };
            let place = Place::lay(agent.folder(), &config(context, &nodes, &identity)?)?;
            let child = start(&place, Some(&socket), program, arguments)?;
            tokio::select! {
                code = wait(child) => code,
                failed = agent.serve() => failed.map(|()| 1),
            }
        }
    }
}

/// The nodes that are meant, each with the login; one that is not there, or not under this login, is a failure.
fn chosen(listed: &[TargetEntry], batch: &Batch) -> Result<Vec<Node>> {
    let node = |entry: &TargetEntry| -> Result<Node> {
        if !entry.logins.iter().any(|login| login == batch.login.as_str()) {
            let what = format!("node \"{}\" is not yours to open as {}", entry.name, batch.login);
            return Err(Failure::new(what).advise("choose by other labels, or see tap ls"));
        }
        Ok(Node {
            name: entry.name.parse().act(|| format!("the gate names a node {:?}", entry.name))?,
            login: batch.login.clone(),
            labels: entry.labels.clone(),
            mfa_required: entry.mfa_required,
        })
    };
    let all = || listed.iter().filter(|entry| entry.kind == Kind::Node.as_str());
    let nodes: Vec<Node> = if let Some(labels) = &batch.labels {
        all().filter(|entry| labels.are_in(&entry.labels)).map(node).collect::<Result<_>>()?
    } else {
        let mut names = batch.nodes.clone();
        names.sort();
        names.dedup();
        let found = |name: &TargetName| {
            let unknown = || Failure::new(format!("there is no node \"{name}\", or it is not yours to open"));
            all().find(|entry| entry.name == name.as_str()).ok_or_else(unknown).and_then(node)
        };
        names.iter().map(found).collect::<Result<_>>()?
    };
    if nodes.is_empty() {
        return Err(Failure::new("no nodes are found").advise("see tap ls"));
    }
    if nodes.len() > BATCH_TARGETS_MAX {
        let what = format!("{} nodes are too many for one tap", nodes.len());
        return Err(Failure::new(what).advise(format!("choose at most {BATCH_TARGETS_MAX}")));
    }
    Ok(nodes)
}

fn announced(format: Format, nodes: &[Node]) -> Result<String> {
    if format == Format::Text {
        return Ok(format!("One tap opens these {} node(s), and no others:\n\n{}\n", nodes.len(), table(nodes)));
    }
    serde_json::to_string(&Set { nodes }).map(|text| text + "\n").act(|| "the list cannot be written".to_owned())
}

fn table(nodes: &[Node]) -> String {
    let labels = |node: &Node| node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    let row = |node: &Node| vec![node.name.to_string(), node.login.to_string(), labels(node).join(",")];
    output::headed(&["Name", "Login", "Labels"], &nodes.iter().map(row).collect::<Vec<_>>())
}

/// Asks whether to go on; nothing, and the end of input, is no.
fn proceed(count: usize) -> Result<bool> {
    eprint!("Do you want to proceed with {count} node(s)? [y/N]: ");
    std::io::stderr().flush().ok();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).act(|| "standard input cannot be read".to_owned())?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The configuration by which plain `ssh NODE` leads to a node of the set. Each name leads to its own door at the gate,
/// so that the user name is the login alone, whatever sets it.
fn config(context: &Context, nodes: &[Node], identity: &Identity<'_>) -> Result<String> {
    let program = std::env::current_exe().act(|| "the path of tap cannot be told".to_owned())?;
    let program = shell_quoted(utf8(&program)?).replace('%', "%%");
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let login = nodes.first().map(|node| node.login.to_string()).unwrap_or_default();
    let known_hosts = quoted(&context.login_files().known_hosts)?;
    let mut text = format!(
        "Host {}\n  ProxyCommand {program} proxy ssh --gate {} --behind %n\n  User {login}\n  \
         UserKnownHostsFile {known_hosts}\n",
        names.join(" "),
        context.profile.gate,
    );
    let mut line = |name: &str, value: &str| {
        // INVARIANT: writing to a String never fails.
        writeln!(text, "  {name} {value}").expect("writing to a String");
    };
    match identity {
        Identity::Login { key, certificate } => {
            line("IdentityAgent", "none");
            line("IdentityFile", &quoted(key)?);
            line("CertificateFile", &quoted(certificate)?);
        }
        Identity::Session { certificate, socket } => {
            line("IdentityAgent", &quoted(socket)?);
            line("IdentityFile", &quoted(certificate)?);
        }
    }
    line("ForwardAgent", "no");
    // A command may share connections: whatever it opens under the tap is its own.
    for option in FIXED.iter().filter(|option| !option.starts_with("Control")) {
        if let Some((name, value)) = option.split_once('=') {
            line(name, value);
        }
    }
    Ok(text)
}

/// What the command finds: programs that go before the system's, and their configuration.
struct Place {
    programs: PathBuf,
    config: PathBuf,
}

impl Place {
    fn lay(folder: &Path, config: &str) -> Result<Self> {
        let place = Self { programs: folder.join("bin"), config: folder.join("ssh_config") };
        crate::files::write_private(&place.config, config.as_bytes())?;
        let act = || "the programs for the command cannot be written".to_owned();
        std::fs::create_dir(&place.programs).act(act)?;
        for name in ["ssh", "scp", "sftp"] {
            let Some(own) = found(name) else { continue };
            let (own, config) = (shell_quoted(utf8(&own)?), shell_quoted(utf8(&place.config)?));
            let script = format!("#!/bin/sh\nexec {own} -F {config} \"$@\"\n");
            let file = place.programs.join(name);
            crate::files::write_private(&file, script.as_bytes())?;
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o700)).act(act)?;
        }
        Ok(place)
    }
}

/// Where the system has this program.
fn found(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn start(place: &Place, socket: Option<&Path>, program: &str, arguments: &[String]) -> Result<Child> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(place.programs.clone()).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(path).act(|| "the PATH for the command cannot be made".to_owned())?;
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", &path).env("TAP_SSH_CONFIG", &place.config).kill_on_drop(true);
    if let Some(socket) = socket {
        command.env("SSH_AUTH_SOCK", socket);
    }
    command.spawn().act(|| format!("{program} cannot be started"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, name: &str, env: &str, logins: &[&str]) -> TargetEntry {
        TargetEntry {
            kind: kind.to_owned(),
            name: name.to_owned(),
            labels: [("env".to_owned(), env.to_owned())].into(),
            logins: logins.iter().map(ToString::to_string).collect(),
            mfa_required: true,
            protocol: None,
            description: None,
        }
    }

    fn batch(labels: Option<&str>, nodes: &[&str]) -> Batch {
        Batch {
            labels: labels.map(|labels| labels.parse().unwrap()),
            nodes: nodes.iter().map(|name| name.parse().unwrap()).collect(),
            login: "deploy".parse().unwrap(),
            yes: true,
            command: Vec::new(),
        }
    }

    #[test]
    fn exactly_what_is_named_is_chosen() {
        let listed = [
            entry("node", "web1", "prod", &["deploy"]),
            entry("node", "web2", "prod", &["deploy", "root"]),
            entry("node", "dev1", "dev", &["deploy"]),
            entry("node", "old1", "old", &["root"]),
            entry("db", "orders", "prod", &["deploy"]),
        ];
        let names = |batch: Batch| {
            chosen(&listed, &batch).map(|nodes| nodes.iter().map(|node| node.name.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(names(batch(Some("env=prod"), &[])).unwrap(), ["web1", "web2"]);
        assert_eq!(names(batch(None, &["web2", "dev1", "web2"])).unwrap(), ["dev1", "web2"]);
        assert!(names(batch(Some("env=old"), &[])).unwrap_err().to_string().contains("as deploy"));
        for (labels, nodes) in [(Some("env=none"), &[][..]), (None, &["orders"][..]), (None, &["web9"][..])] {
            assert!(names(batch(labels, nodes)).is_err(), "{labels:?} {nodes:?}");
        }
    }
}
