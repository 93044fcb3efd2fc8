//! Sets the demo up by the real commands: a first administrator, an invite, two targets.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use russh::keys::ssh_key::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use tapgate_config::{Config, HostPort};
use tapgate_model::Digest;
use tapgate_ssh::demo_target::DemoTarget;

use super::database::{self, Database};
use super::tools::User;
use crate::running::Running;
use crate::start::{self, Opened};
use crate::words::words;

/// The demo's roles: those of the story of Jerry and Olga.
const ROLES: &str = include_str!("roles.yaml");

/// A running demo.
pub(super) struct Demo {
    pub(super) gate: String,
    pub(super) dir: PathBuf,
    pub(super) jerry: User,
    pub(super) olga: User,
    pub(super) audit_log: PathBuf,
    /// The database, or why there is none.
    pub(super) database: Result<Database, &'static str>,
    running: Running,
    _targets: Vec<DemoTarget>,
    _temporary: Option<tempfile::TempDir>,
}

impl Demo {
    pub(super) async fn set_up(dir: Option<PathBuf>, port: Option<u16>) -> Result<Self> {
        let temporary = match &dir {
            Some(dir) => {
                std::fs::create_dir(dir).with_context(|| format!("{} must be a new directory", dir.display()))?;
                None
            }
            None => Some(tempfile::Builder::new().prefix("tapgate-demo-").tempdir()?),
        };
        let dir = dir.or_else(|| temporary.as_ref().map(|t| t.path().to_owned())).context("no directory")?;
        let port = port.map_or_else(free_port, Ok)?;
        let mut config = config(&dir, port);
        let (olga, jerry) = (User::new(&dir, "olga")?, User::new(&dir, "jerry")?);

        eprintln!("Setting up the demo in {} …", dir.display());
        config.first_admins = vec![first_admin(&config, &olga).await?];
        let opened = start::open(&config)?;
        let mut targets = Vec::new();
        for (name, env) in [("dev1", "dev"), ("prod3", "prod")] {
            let target = target(&opened).await.with_context(|| format!("can't start the demo target {name}"))?;
            let node = node(name, env, &target);
            opened.authority.put_resources_trusted(&node).map_err(|e| anyhow::anyhow!("{e}"))?;
            targets.push(target);
        }
        let database = database::start(&dir, free_port()?, &opened.authority.target_tls_ca_pem()).await?;
        if let Ok(database) = &database {
            opened.authority.put_resources_trusted(&database.yaml()).map_err(|e| anyhow::anyhow!("{e}"))?;
        }
        opened.authority.put_resources_trusted(ROLES).map_err(|e| anyhow::anyhow!("{e}"))?;
        let running = start::listen(&config, opened).await?;
        let gate = config.public_addr.to_string();
        invite(&gate, &running, &olga, &jerry).await?;
        Ok(Self {
            gate,
            dir,
            jerry,
            olga,
            audit_log: config.audit_log,
            database,
            running,
            _targets: targets,
            _temporary: temporary,
        })
    }

    /// Tells the person at the terminal what to do.
    pub(super) fn greet(&self) {
        println!();
        println!("The gate is open on {}. Its SSH targets are embedded: they run your own shell,", self.gate);
        println!("whatever the login, and let nobody in but this gate. Security keys are SOFTWARE keys.");
        println!();
        println!("In another terminal:");
        println!();
        for line in self.jerry.exports().lines() {
            println!("  {line}");
        }
        println!();
        println!("  tap login --gate {} --user jerry", self.gate);
        println!("  tap ls");
        println!("  tap ssh jerry@dev1          # no prompt");
        println!("  tap ssh jerry@prod3         # asks for a tap");
        match &self.database {
            Ok(_) => println!("  tap db connect orders       # the same for a database, with psql"),
            Err(why) => println!("  # there is no database: {why}"),
        }
        println!();
        println!("As the administrator: the same exports with olga's directories, then");
        println!("  tap login --gate {} --user olga && tapctl status && tapctl get roles", self.gate);
        println!();
        println!("The audit log is {}. Ctrl-C ends the demo.", self.audit_log.display());
    }

    pub(super) async fn stop(self) {
        for user in [&self.jerry, &self.olga] {
            // A demo's agent has nothing to keep once its gate is gone.
            if let Err(error) = user.run("tap", &["logout"]).await {
                eprintln!("{} could not log out: {}", user.name, words(&error));
            }
        }
        self.running.stop().await;
        if let Ok(database) = self.database {
            database.stop().await;
        }
    }
}

fn config(dir: &std::path::Path, port: u16) -> Config {
    let data_dir = dir.join("data");
    Config {
        cluster_name: "localhost".to_owned(),
        audit_log: dir.join("audit.jsonl"),
        audit: tapgate_config::AuditConfig::default(),
        recordings: dir.join("recordings"),
        secrets_key: tapgate_config::SecretsKeyPlace::File(data_dir.join("secrets.key")),
        recordings_keep: tapgate_config::KeepRule::default(),
        recordings_s3: None,
        data_dir,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        public_addr: HostPort { host: "localhost".to_owned(), port },
        apps_domain: Some("apps.localhost".to_owned()),
        admin_listen: None,
        mysql_listen: None,
        proxies: Vec::new(),
        rp_id: "localhost".to_owned(),
        origins: vec![format!("https://localhost:{port}")],
        first_admins: Vec::new(),
        resources: None,
        certificate: None,
        min_client_version: tapgate_model::Version::new(0, 1, 0),
        acme: None,
        reuse_port: false,
        drain: tapgate_config::DrainConfig { stop: Duration::ZERO, hand_over: Duration::ZERO },
    }
}

/// A port that is free now. Another program may take it before we do; then binding says so.
fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

/// Enrols olga with a gate that pins nobody yet, and answers the pin of her key.
async fn first_admin(config: &Config, olga: &User) -> Result<Digest> {
    let opened = start::open(config)?;
    let pin = format!("sha256:{}", opened.authority.ca_pin());
    let invite = opened.authority.first_admin(&olga.name.parse()?).map_err(|e| anyhow::anyhow!("{e}"))?;
    let running = start::listen(config, opened).await?;
    let gate = config.public_addr.to_string();
    let enrolled = olga.must("tap", &enrol(&gate, &pin, &invite.token)).await;
    running.stop().await;
    let said = enrolled?;
    let text = format!("{}{}", said.stdout, said.stderr);
    let (_, rest) = text.split_once("sha256:").context("tap enrol printed no pin for the first administrator")?;
    let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    digits.parse().map_err(|e| anyhow::anyhow!("{e}"))
}

fn enrol<'a>(gate: &'a str, pin: &'a str, token: &'a str) -> [&'a str; 9] {
    ["enrol", "--gate", gate, "--ca-pin", pin, "--token", token, "--device-name", "software"]
}

/// olga invites jerry with a tap, and jerry enrols.
async fn invite(gate: &str, running: &Running, olga: &User, jerry: &User) -> Result<()> {
    olga.must("tap", &["login", "--gate", gate, "--user", "olga"]).await?;
    let roles = "access-dev,access-prod";
    let said = olga.must("tapctl", &["users", "add", "jerry", "--roles", roles, "--format", "json"]).await?;
    let invited: serde_json::Value = serde_json::from_str(&said.stdout)
        .with_context(|| format!("tapctl users add said: {}{}", said.stdout, said.stderr))?;
    let token = find_token(&invited).context("tapctl users add printed no token")?;
    let pin = format!("sha256:{}", running.opened.authority.ca_pin());
    jerry.must("tap", &enrol(gate, &pin, token)).await?;
    Ok(())
}

fn find_token(value: &serde_json::Value) -> Option<&str> {
    value["token"].as_str().or_else(|| value["invite"]["token"].as_str())
}

/// An embedded SSH server with a host key of its own, which only this gate is let into.
async fn target(opened: &Opened) -> Result<DemoTarget> {
    let seed: [u8; 32] = rand::random();
    let host_key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    let user_ca = opened.authority.target_ca().public_key().clone();
    Ok(DemoTarget::start(host_key, user_ca, opened.clock.clone()).await?)
}

fn node(name: &str, env: &str, target: &DemoTarget) -> String {
    format!(
        "kind: node\nversion: v2\nmetadata:\n  name: {name}\n  labels:\n    env: {env}\nspec:\n  addr: {}\n  host_keys:\n    - {}\n",
        target.address(),
        target.host_key()
    )
}
