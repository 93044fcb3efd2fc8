//! What is measured: a gate as it is released, a real sshd behind it, a bastion before that, and a user who may reach it
//! every way.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_benches::world::World;
use tapgate_lab::{KeyPair, SlowLine, SshCrowd, SshWish, Sshd, SshdOptions};

/// The one cipher that every hop uses: what is compared must not differ in it.
const CIPHER: &str = "aes256-gcm@openssh.com";

/// The one key exchange, for the same reason: OpenSSH's own first choice takes it tens of milliseconds.
const KEX: &str = "curve25519-sha256";

/// The bastion's name.
const BASTION: &str = "bastion";

/// How long a byte takes on the far ways, in either direction.
const ONE_WAY: Duration = Duration::from_millis(10);

/// The way to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From ssh to sshd.
    Direct,
    /// From ssh to the gate, and from there to the same sshd.
    Gate,
    /// The gate's way, to the same sshd under a name whose sessions are recorded.
    Recorded,
    /// The direct way over a line of 20 ms there and back.
    FarDirect,
    /// The gate's way, with that line between ssh and the gate.
    FarGate,
    /// By OpenSSH's own ProxyJump: from ssh to the bastion's sshd, and within that connection to the same sshd.
    Jump,
}

/// The gate with its user jerry, and the target.
pub(crate) struct Target {
    sshd: Sshd,
    bastion: Sshd,
    far_gate: SlowLine,
    far_sshd: SlowLine,
    login: String,
    direct_key: KeyPair,
    direct_ca: KeyPair,
    // The last to go: everything above lives in its directory.
    world: World,
}

impl Target {
    /// Sets everything up.
    pub(crate) fn new() -> Result<Self> {
        let login = Sshd::login()?;
        let world = World::new("bench,taped", &roles(&login))?;
        let ca = world.authority(&[])?;
        let user_ca = ca.lines().find(|line| line.starts_with("ssh-")).context("no authority")?.to_owned();
        let lab = &world.lab;
        let (direct_ca, direct_key) = (KeyPair::make(lab, "direct-ca")?, KeyPair::make(lab, "direct")?);
        let sshd = Sshd::start(lab, "bench", options(&[&user_ca, direct_ca.public()]))?;
        let bastion = Sshd::start(lab, BASTION, options(&[direct_ca.public()]))?;
        let node = sshd.node_yaml();
        let taped = node.replace("name: bench\n", "name: taped\n").replace("env: \"bench\"", "env: \"taped\"");
        world.put(&format!("{node}---\n{taped}"))?;
        let far_gate = SlowLine::start(world.running().address(), ONE_WAY)?;
        let far_sshd = SlowLine::start(sshd.address(), ONE_WAY)?;
        Ok(Self { sshd, bastion, far_gate, far_sshd, login, direct_key, direct_ca, world })
    }

    /// The gate's process.
    pub(crate) fn gate(&self) -> u32 {
        self.world.gate()
    }

    /// Lets the direct way be taken for the next minutes: its certificate is a short one.
    pub(crate) fn renew(&self) -> Result<()> {
        self.direct_ca.sign_user(&self.direct_key, &self.login).map(drop)
    }

    /// From now on a session here wants a tap, which stock clients are asked for; or wants none.
    pub(crate) fn want_taps(&self, wanted: bool) -> Result<()> {
        let options = if wanted { "  options: {require_session_mfa: true}\n" } else { "" };
        self.world.put(&roles(&self.login).replacen("spec:\n", &format!("spec:\n{options}"), 1))
    }

    /// The gate and its people.
    pub(crate) const fn world(&self) -> &World {
        &self.world
    }

    /// From now on the node of this name is at this address.
    pub(crate) fn put_node(&self, name: &str, address: SocketAddr) -> Result<()> {
        let node = self.sshd.node_yaml().replace("name: bench\n", &format!("name: {name}\n"));
        self.world.put(&node.replace(&self.sshd.address().to_string(), &address.to_string()))
    }

    /// Clients that are asked for a tap for this node, one from each of these addresses, and wait.
    pub(crate) fn held(&self, node: &str, from: Vec<Ipv4Addr>) -> Result<SshCrowd> {
        let folder = self.world.keys();
        let (key, known_hosts) = (folder.join("ssh"), folder.join("known_hosts"));
        let (port, user) = (self.world.port(), format!("{}@{node}", self.login));
        let wish = SshWish { port, user, key: &key, known_hosts: &known_hosts, command: "true", from, service: None };
        SshCrowd::start(&self.world.lab, &wish)
    }

    /// The system's ssh on this way, with this command to be run on the target.
    pub(crate) fn ssh(&self, way: Way, command: &str) -> Result<Command> {
        let (user, port, alias) = match way {
            Way::Direct | Way::Jump => (self.login.clone(), self.sshd.address().port(), "bench"),
            Way::FarDirect => (self.login.clone(), self.far_sshd.address().port(), "bench"),
            Way::Gate => (format!("{}@bench", self.login), self.world.port(), "localhost"),
            Way::Recorded => (format!("{}@taped", self.login), self.world.port(), "localhost"),
            Way::FarGate => (format!("{}@bench", self.login), self.far_gate.address().port(), "localhost"),
        };
        let (key, known_hosts) = self.files(way)?;
        let mut ssh = Command::new(tapgate_lab::program("ssh", "openssh-client")?);
        match way {
            Way::Jump => ssh.arg("-F").arg(self.to_bastion()?).args(["-J", BASTION]),
            _ => ssh.args(["-F", "none"]),
        };
        // A command that sets its terminal needs one, though nobody sits at it.
        let terminal = if command.starts_with("stty ") { "-tt" } else { "-T" };
        ssh.arg(terminal)
            .args(["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none"])
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

    /// The configuration by which ssh starts another ssh to the bastion, which gets none of its own options.
    fn to_bastion(&self) -> Result<PathBuf> {
        let (key, known_hosts) = self.files(Way::Jump)?;
        let (key, known_hosts) = (key.display(), known_hosts.display());
        let text = format!(
            "Host {BASTION}\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  HostKeyAlias {BASTION}\n  \
             StrictHostKeyChecking yes\n  GlobalKnownHostsFile none\n  UserKnownHostsFile {known_hosts}\n  BatchMode yes\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  IdentityFile {key}\n  CertificateFile {key}-cert.pub\n  \
             Ciphers {CIPHER}\n  KexAlgorithms {KEX}\n",
            self.bastion.address().port(),
            self.login
        );
        self.world.lab.write("to-bastion", &text)
    }

    /// The key and the list of known hosts.
    fn files(&self, way: Way) -> Result<(PathBuf, PathBuf)> {
        match way {
            Way::Direct | Way::FarDirect | Way::Jump => {
                let lines = format!("bench {}\n{BASTION} {}\n", self.sshd.host_key(), self.bastion.host_key());
                Ok((self.direct_key.path().to_path_buf(), self.world.lab.write("known_hosts", &lines)?))
            }
            Way::Gate | Way::Recorded | Way::FarGate => {
                let folder = self.world.keys();
                Ok((folder.join("ssh"), folder.join("known_hosts")))
            }
        }
    }
}

/// A server that one way or another leads to.
fn options(user_cas: &[&str]) -> SshdOptions {
    SshdOptions {
        user_cas: user_cas.iter().map(|ca| (*ca).to_owned()).collect(),
        labels: vec![("env".to_owned(), "bench".to_owned())],
        config: vec![format!("Ciphers {CIPHER}"), format!("KexAlgorithms {KEX}")],
        ..SshdOptions::default()
    }
}

/// Without a tap: what is measured here is what comes after the verdict.
fn roles(login: &str) -> String {
    let role = |name: &str, options: &str| {
        format!(
            "kind: role\nversion: v7\nmetadata:\n  name: {name}\nspec:\n{options}  allow:\n    node_labels:\n      \
             env: {name}\n    logins: [{login}]\n"
        )
    };
    [role("bench", ""), role("taped", "  options: { record_session: strict }\n")].join("---\n")
}
