//! What the real programs are measured in: a gate as it is released, its administrator olga and its user jerry.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tapgate_lab::{Client, Gate, Lab, Process, Ran, own_binary};

/// How long a command of the set-up may take.
const COMMAND_MAX: Duration = Duration::from_mins(1);

/// What stands before the 32 bytes of an Ed25519 seed in the first version of PKCS #8 (RFC 8410 section 7).
const ED25519_PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The gate and its people.
#[derive(Debug)]
pub struct World {
    /// Who writes resources.
    pub olga: Client,
    /// Who opens sessions.
    pub jerry: Client,
    /// `localhost:PORT`.
    pub address: String,
    /// What clients know the gate by.
    pub pin: String,
    /// The port for MySQL's clients.
    pub mysql: u16,
    gate: Gate,
    config: PathBuf,
    // The last to go: everything above lives in its directory.
    /// The place of it all.
    pub lab: Lab,
}

/// A certificate and its key, in files that stock clients read.
#[derive(Debug, Clone)]
pub struct Pass {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The key's file.
    pub key: PathBuf,
    /// The file of the authority that the gate's own certificate comes from.
    pub gate_ca: PathBuf,
}

impl World {
    /// Sets everything up by the commands that an operator and an administrator would use. jerry gets the roles of
    /// these names, which these documents describe; they ask for no tap where what is measured comes after the verdict.
    pub fn new(roles: &str, documents: &str) -> Result<Self> {
        let lab = Lab::new()?;
        let (port, mysql) = (lab.port()?, lab.port()?);
        let address = format!("localhost:{port}");
        let config = lab.write("tapgate.yaml", &config_text(&lab, port, mysql)?)?;
        let init = tapgate(&["init", "--config", &config.display().to_string(), "--admin", "olga"])?;
        let token = word_after(&init.stdout, "--token").context("tapgate init printed no token")?;
        let pin = word_after(&init.stdout, "--ca-pin").context("tapgate init printed no pin")?;

        let gate = Gate::start_again(&config)?;
        let (olga, jerry) = (person(&lab, "olga")?, person(&lab, "jerry")?);
        let first_pin = pin_in(&enrol(&olga, &address, &pin, &token)?.stdout).context("tap enrol printed no pin")?;
        gate.stop()?;
        fs::write(&config, fs::read_to_string(&config)? + &format!("first_admins: [\"{first_pin}\"]\n"))?;
        let gate = Gate::start_again(&config)?;
        log_in(&olga, &address, "olga")?;
        put(&lab, &olga, documents)?;
        let token = invite(&olga, "jerry", roles)?;
        enrol(&jerry, &address, &pin, &token)?;
        log_in(&jerry, &address, "jerry")?;
        // What a password's hash took stays with the process, and would hide what sessions take.
        gate.stop()?;
        let gate = Gate::start_again(&config)?;
        Ok(Self { olga, jerry, address, pin, mysql, gate, config, lab })
    }

    /// The gate's process.
    pub fn gate(&self) -> u32 {
        self.gate.process().id()
    }

    /// The gate's port.
    pub fn port(&self) -> u16 {
        self.gate.address().port()
    }

    /// The gate itself.
    pub const fn running(&self) -> &Gate {
        &self.gate
    }

    /// olga writes these resources, over whatever is there.
    pub fn put(&self, yaml: &str) -> Result<()> {
        put(&self.lab, &self.olga, yaml)
    }

    /// An authority of the gate: what `tapgate ca` prints with these words.
    pub fn authority(&self, words: &[&str]) -> Result<String> {
        let config = self.config.display().to_string();
        Ok(tapgate(&[&["ca", "--config", &config], words].concat())?.stdout)
    }

    /// The folder of jerry's keys and certificates.
    pub fn keys(&self) -> PathBuf {
        self.jerry.tap_home().join("keys").join(&self.address)
    }

    /// jerry's login certificate as a pass. libpq takes a colon in a key's path for an engine's, and OpenSSL 3.0 reads
    /// Ed25519 keys in the first version of PKCS #8 alone, so copies are made.
    pub fn pass(&self) -> Result<Pass> {
        let folder = self.lab.dir("pass")?;
        let pass = Pass {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            gate_ca: folder.join("gate-ca.pem"),
        };
        fs::write(&pass.gate_ca, self.authority(&["--browsers"])?)?;
        fs::copy(self.keys().join("tls.crt"), &pass.certificate)?;
        let text = fs::read_to_string(self.keys().join("tls.key"))?;
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let whole = STANDARD.decode(body)?;
        let first = [ED25519_PKCS8.as_slice(), whole.get(16..48).context("no Ed25519 key")?].concat();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(first));
        fs::write(&pass.key, pem)?;
        fs::set_permissions(&pass.key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(pass)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // An agent outlives the command that started it, and is told to go here.
        for client in [&self.jerry, &self.olga] {
            client.tap(["logout"]).map(drop).unwrap_or_default();
        }
    }
}

fn tapgate(arguments: &[&str]) -> Result<Ran> {
    let mut command = Command::new(own_binary("tapgate")?);
    Process::start("tapgate", command.args(arguments))?.finish(COMMAND_MAX)?.success()
}

fn log_in(client: &Client, address: &str, name: &str) -> Result<()> {
    client.tap(["login", "--gate", address, "--user", name])?.success().map(drop)
}

fn put(lab: &Lab, olga: &Client, yaml: &str) -> Result<()> {
    let file = lab.write("put.yaml", yaml)?;
    olga.tapctl(["create", "--force", "-f", &file.display().to_string()])?.success().map(drop)
}

/// olga invites somebody with these roles; answers the token.
fn invite(olga: &Client, name: &str, roles: &str) -> Result<String> {
    let words = ["users", "add", name, "--roles", roles, "--format", "json"];
    let invited = olga.tapctl(words)?.success()?.json()?;
    Ok(invited.pointer("/invite/token").and_then(|token| token.as_str()).context("no token")?.to_owned())
}

fn enrol(client: &Client, address: &str, pin: &str, token: &str) -> Result<Ran> {
    client.tap(["enrol", "--gate", address, "--ca-pin", pin, "--token", token, "--device-name", "software"])?.success()
}

fn person(lab: &Lab, name: &str) -> Result<Client> {
    let password = lab.write(&format!("password-{name}"), &format!("correct horse battery {name}"))?;
    Ok(Client::new(lab, name)?.with("TAP_PASSWORD_FILE", password))
}

fn config_text(lab: &Lab, port: u16, mysql: u16) -> Result<String> {
    let data = lab.dir("data")?;
    Ok(format!(
        "cluster_name: localhost\napps_domain: apps.localhost\nlisten: \"127.0.0.1:{port}\"\nmysql_listen: \
         \"127.0.0.1:{mysql}\"\npublic_addr: localhost:{port}\ndata_dir: {}\naudit_log: {}\nwebauthn:\n  rp_id: \
         localhost\n  origins: [\"https://localhost:{port}\"]\n",
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
