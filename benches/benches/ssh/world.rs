//! What is measured: a gate as it is released, a real sshd behind it, and a user who may reach it both ways.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_lab::{Client, Gate, KeyPair, Lab, Process, Ran, SlowLine, Sshd, SshdOptions, own_binary};

/// The one cipher that every hop uses: what is compared must not differ in it.
const CIPHER: &str = "aes256-gcm@openssh.com";

/// The one key exchange, for the same reason: OpenSSH's own first choice takes it tens of milliseconds.
const KEX: &str = "curve25519-sha256";

/// How long a command of the set-up may take.
const COMMAND_MAX: Duration = Duration::from_mins(1);

/// How long a byte takes on the far ways, in either direction.
const ONE_WAY: Duration = Duration::from_millis(10);

/// The way to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From ssh to sshd.
    Direct,
    /// From ssh to the gate, and from there to the same sshd.
    Gate,
    /// The direct way over a line of 20 ms there and back.
    FarDirect,
    /// The gate's way, with that line between ssh and the gate.
    FarGate,
}

/// The gate, its user jerry, and the target.
pub(crate) struct World {
    jerry: Client,
    gate: Gate,
    target: Sshd,
    far_gate: SlowLine,
    far_target: SlowLine,
    address: String,
    login: String,
    direct_key: KeyPair,
    direct_ca: KeyPair,
    // The last to go: everything above lives in its directory.
    lab: Lab,
}

impl World {
    /// Sets everything up by the commands that an operator and an administrator would use.
    pub(crate) fn new() -> Result<Self> {
        let lab = Lab::new()?;
        let port = lab.port()?;
        let address = format!("localhost:{port}");
        let config = lab.write("tapgate.yaml", &config_text(&lab, port)?)?;
        let init = tapgate(&["init", "--config", &config.display().to_string(), "--admin", "olga"])?;
        let token = word_after(&init.stdout, "--token").context("tapgate init printed no token")?;
        let pin = word_after(&init.stdout, "--ca-pin").context("tapgate init printed no pin")?;
        let ca = tapgate(&["ca", "--config", &config.display().to_string()])?;
        let user_ca = ca.stdout.lines().find(|line| line.starts_with("ssh-")).context("no authority")?.to_owned();

        let gate = Gate::start_again(&config)?;
        let (olga, jerry) = (person(&lab, "olga")?, person(&lab, "jerry")?);
        let first_pin = pin_in(&enrol(&olga, &address, &pin, &token)?.stdout).context("tap enrol printed no pin")?;
        gate.stop()?;
        fs::write(&config, fs::read_to_string(&config)? + &format!("first_admins: [\"{first_pin}\"]\n"))?;
        let gate = Gate::start_again(&config)?;
        log_in(&olga, &address, "olga")?;

        let (direct_ca, direct_key) = (KeyPair::make(&lab, "direct-ca")?, KeyPair::make(&lab, "direct")?);
        let target = Sshd::start(&lab, "bench", options(&[&user_ca, direct_ca.public()]))?;
        let login = Sshd::login()?;
        let resources = lab.write("put.yaml", &format!("{}---\n{}", role(&login), target.node_yaml()))?;
        olga.tapctl(["create", "--force", "-f", &resources.display().to_string()])?.success()?;
        let invited =
            olga.tapctl(["users", "add", "jerry", "--roles", "bench", "--format", "json"])?.success()?.json()?;
        let token = invited.pointer("/invite/token").and_then(|token| token.as_str()).context("no token")?;
        enrol(&jerry, &address, &pin, token)?;
        log_in(&jerry, &address, "jerry")?;
        olga.tap(["logout"])?;
        let far_gate = SlowLine::start(gate.address(), ONE_WAY)?;
        let far_target = SlowLine::start(target.address(), ONE_WAY)?;
        Ok(Self { jerry, gate, target, far_gate, far_target, address, login, direct_key, direct_ca, lab })
    }

    /// The gate's process.
    pub(crate) fn gate(&self) -> u32 {
        self.gate.process().id()
    }

    /// Lets the direct way be taken for the next minutes: its certificate is a short one.
    pub(crate) fn renew(&self) -> Result<()> {
        self.direct_ca.sign_user(&self.direct_key, &self.login).map(drop)
    }

    /// The system's ssh on this way, with this command to be run on the target.
    pub(crate) fn ssh(&self, way: Way, command: &str) -> Result<Command> {
        let (user, port, alias) = match way {
            Way::Direct => (self.login.clone(), self.target.address().port(), "bench"),
            Way::FarDirect => (self.login.clone(), self.far_target.address().port(), "bench"),
            Way::Gate => (format!("{}@bench", self.login), self.gate.address().port(), "localhost"),
            Way::FarGate => (format!("{}@bench", self.login), self.far_gate.address().port(), "localhost"),
        };
        let (key, known_hosts) = self.files(way)?;
        let mut ssh = Command::new(tapgate_lab::program("ssh", "openssh-client")?);
        ssh.args(["-T", "-F", "none", "-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none"])
            .args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
            .args(["-o", &format!("Ciphers={CIPHER}"), "-o", &format!("HostKeyAlias={alias}")])
            .args(["-o", &format!("KexAlgorithms={KEX}")])
            .args(["-o", &format!("UserKnownHostsFile={}", known_hosts.display())])
            .args(["-o", &format!("IdentityFile={}", key.display())])
            .args(["-o", &format!("CertificateFile={}-cert.pub", key.display())])
            .args(["-o", &format!("User={user}"), "-o", &format!("Port={port}"), "127.0.0.1", command])
            .env_remove("SSH_AUTH_SOCK");
        Ok(ssh)
    }

    /// The key and the list of known hosts.
    fn files(&self, way: Way) -> Result<(PathBuf, PathBuf)> {
        match way {
            Way::Direct | Way::FarDirect => {
                let line = format!("bench {}\n", self.target.host_key());
                Ok((self.direct_key.path().to_path_buf(), self.lab.write("known_hosts", &line)?))
            }
            Way::Gate | Way::FarGate => {
                let folder = self.jerry.tap_home().join("keys").join(&self.address);
                Ok((folder.join("ssh"), folder.join("known_hosts")))
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // An agent outlives the command that started it, and is told to go here.
        self.jerry.tap(["logout"]).map(drop).unwrap_or_default();
    }
}

fn tapgate(arguments: &[&str]) -> Result<Ran> {
    let mut command = Command::new(own_binary("tapgate")?);
    Process::start("tapgate", command.args(arguments))?.finish(COMMAND_MAX)?.success()
}

fn enrol(client: &Client, address: &str, pin: &str, token: &str) -> Result<Ran> {
    client.tap(["enrol", "--gate", address, "--ca-pin", pin, "--token", token, "--device-name", "software"])?.success()
}

fn log_in(client: &Client, address: &str, name: &str) -> Result<()> {
    client.tap(["login", "--gate", address, "--user", name])?.success().map(drop)
}

fn person(lab: &Lab, name: &str) -> Result<Client> {
    let password = lab.write(&format!("password-{name}"), &format!("correct horse battery {name}"))?;
    Ok(Client::new(lab, name)?.with("TAP_PASSWORD_FILE", password))
}

/// A server that both ways lead to.
fn options(user_cas: &[&str]) -> SshdOptions {
    SshdOptions {
        user_cas: user_cas.iter().map(|ca| (*ca).to_owned()).collect(),
        labels: vec![("env".to_owned(), "bench".to_owned())],
        config: vec![format!("Ciphers {CIPHER}"), format!("KexAlgorithms {KEX}")],
        ..SshdOptions::default()
    }
}

/// Without a tap: what is measured here is what comes after the verdict.
fn role(login: &str) -> String {
    format!(
        "kind: role\nversion: v7\nmetadata:\n  name: bench\nspec:\n  allow:\n    node_labels:\n      env: bench\n    \
         logins: [{login}]\n"
    )
}

fn config_text(lab: &Lab, port: u16) -> Result<String> {
    let data = lab.dir("data")?;
    Ok(format!(
        "cluster_name: localhost\nlisten: \"127.0.0.1:{port}\"\npublic_addr: localhost:{port}\ndata_dir: {}\n\
         audit_log: {}\nwebauthn:\n  rp_id: localhost\n  origins: [\"https://localhost:{port}\"]\n",
        data.display(),
        lab.path().join("audit.jsonl").display()
    ))
}

fn word_after(text: &str, word: &str) -> Option<String> {
    let mut words = text.split_whitespace().skip_while(|candidate| *candidate != word);
    words.nth(1).map(str::to_owned)
}

fn pin_in(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("sha256:")?;
    let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    Some(format!("sha256:{digits}"))
}
