//! The world of a test: a gate, its administrator olga, its user jerry, and the servers behind it.

mod heirs;
mod log;
mod people;
mod picture;
mod stock;
mod store;
mod tapper;

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use tapgate_lab::{Client, Gate, Lab, Process, Ran, Sshd, SshdOptions, own_binary};
use tapgate_model::Digest;

pub(crate) use heirs::{TAKEN, ask, hand_over, hand_over_beside};
pub(crate) use log::{event, resident, text, until};
pub(crate) use people::{copy, files_below, person};
pub(crate) use picture::picture;
pub(crate) use store::{authority, open_store, registrations};
pub(crate) use tapper::{Tapper, lay, login_files};

/// What the gate asks for before it opens prod3, word for word.
pub(crate) const ASKED: &str = "MFA is required to access Node \"prod3\"";

/// A gate with two nodes: dev1, which opens without a tap, and prod3, which wants one.
pub(crate) struct World {
    pub(crate) olga: Client,
    pub(crate) jerry: Client,
    pub(crate) dev1: Sshd,
    pub(crate) prod3: Sshd,
    /// Who may log in on the servers: whoever runs the tests.
    pub(crate) login: String,
    /// The line that targets trust.
    pub(crate) user_ca: String,
    /// What clients know the gate by.
    pub(crate) pin: String,
    /// `localhost:PORT`.
    pub(crate) address: String,
    pub(crate) config: PathBuf,
    gate: Option<Gate>,
    // The last to go: everything above lives in its directory.
    pub(crate) lab: Lab,
}

impl World {
    /// Sets everything up by the commands that an operator and an administrator would use.
    pub(crate) fn new() -> Result<Self> {
        let before = Self::without_admin()?;
        let Before { lab, config, address, pin, user_ca, gate, olga, first_pin } = before;
        gate.stop()?;
        let with_pin = std::fs::read_to_string(&config)? + &format!("first_admins: [\"{first_pin}\"]\n");
        std::fs::write(&config, with_pin)?;
        let gate = Gate::start_again(&config)?;
        olga.tap(["login", "--gate", &address, "--user", "olga"])?.success()?;

        let target = |name: &str, env: &str| Sshd::start(&lab, name, trusting(&user_ca, env));
        let (dev1, prod3) = (target("dev1", "dev")?, target("prod3", "prod")?);
        let jerry = person(&lab, "jerry")?;
        let login = Sshd::login()?;
        let world = Self { olga, jerry, dev1, prod3, login, user_ca, pin, address, config, gate: Some(gate), lab };
        // Who brings no tap is told so at once; the suite `stock` has them asked.
        let (dev, prod) = (world.role("access-dev", "dev", "in_band: off"), "require_session_mfa: true, in_band: off");
        let roles = [dev, world.role("access-prod", "prod", prod)];
        let nodes = [world.dev1.node_yaml(), world.prod3.node_yaml()];
        world.put(&roles.into_iter().chain(nodes).collect::<Vec<_>>().join("---\n"))?;
        world.invite_and_enrol("jerry", &world.jerry, "access-dev,access-prod")?;
        world.log_in(&world.jerry, "jerry")?;
        Ok(world)
    }

    /// Up to where olga has enrolled, and her key is not pinned yet.
    pub(crate) fn without_admin() -> Result<Before> {
        let lab = Lab::new()?;
        let port = lab.port()?;
        let address = format!("localhost:{port}");
        let config = lab.write("tapgate.yaml", &config_text(&lab, port)?)?;
        let init = tapgate(&["init", "--config", &config.display().to_string(), "--admin", "olga"])?.success()?;
        let token = word_after(&init.stdout, "--token").context("tapgate init printed no token")?;
        let ca = tapgate(&["ca", "--config", &config.display().to_string()])?.success()?;
        let user_ca = ca.stdout.lines().find(|line| line.starts_with("ssh-")).context("no authority")?.to_owned();
        let pin = word_after(&init.stdout, "--ca-pin").context("tapgate init printed no pin")?;
        let gate = Gate::start_again(&config)?;
        let olga = person(&lab, "olga")?;
        let enrolled = enrol(&olga, &address, &pin, &token)?.success()?;
        let first_pin = pin_in(&enrolled.stdout).context("tap enrol printed no pin")?;
        Ok(Before { gate, olga, first_pin, config, address, pin, user_ca, lab })
    }

    /// `LOGIN@TARGET` for the login that the servers know.
    pub(crate) fn at(&self, target: &str) -> String {
        format!("{}@{target}", self.login)
    }

    /// jerry's `tap ssh` to its end.
    pub(crate) fn ssh(&self, target: &str, rest: &[&str]) -> Result<Ran> {
        self.ssh_as(&self.jerry, target, rest)
    }

    /// Anybody's `tap ssh` to its end.
    pub(crate) fn ssh_as(&self, client: &Client, target: &str, rest: &[&str]) -> Result<Ran> {
        let at = self.at(target);
        client.tap(["ssh", &at].into_iter().chain(rest.iter().copied()))
    }

    /// jerry's `tap ssh`, left running.
    pub(crate) fn start_ssh(&self, target: &str, rest: &[&str]) -> Result<Process> {
        let at = self.at(target);
        self.jerry.start(&own_binary("tap")?, ["ssh", &at].into_iter().chain(rest.iter().copied()))
    }

    /// olga writes these resources, over whatever is there.
    pub(crate) fn put(&self, yaml: &str) -> Result<Ran> {
        let file = self.lab.write("put.yaml", yaml)?;
        self.olga.tapctl(["create", "--force", "-f", &file.display().to_string()])?.success()
    }

    /// olga gives access-prod these options.
    pub(crate) fn put_prod_options(&self, options: &str) -> Result<Ran> {
        self.put(&self.role("access-prod", "prod", options))
    }

    /// A role for the nodes of one environment, with these options.
    pub(crate) fn role(&self, name: &str, env: &str, options: &str) -> String {
        let options = if options.is_empty() { String::new() } else { format!("  options: {{ {options} }}\n") };
        format!(
            "kind: role\nversion: v7\nmetadata:\n  name: {name}\nspec:\n{options}  allow:\n    node_labels:\n      \
             env: {env}\n    logins: [{}, nobody]\n",
            self.login
        )
    }

    /// A further server, with its node document written.
    pub(crate) fn target(&self, name: &str, options: SshdOptions) -> Result<Sshd> {
        let sshd = Sshd::start(&self.lab, name, options)?;
        self.put(&sshd.node_yaml())?;
        Ok(sshd)
    }

    /// The options of a server that trusts this gate.
    pub(crate) fn trusting(&self, env: &str) -> SshdOptions {
        trusting(&self.user_ca, env)
    }

    /// olga invites somebody; answers the token.
    pub(crate) fn invite(&self, name: &str, roles: &str) -> Result<String> {
        let invited = self.olga.tapctl(["users", "add", name, "--roles", roles, "--format", "json"])?.success()?;
        let token = invited.json()?["invite"]["token"].as_str().map(str::to_owned);
        token.with_context(|| format!("no token: {invited}"))
    }

    /// The same, spent at once.
    pub(crate) fn invite_and_enrol(&self, name: &str, client: &Client, roles: &str) -> Result<()> {
        let token = self.invite(name, roles)?;
        enrol(client, &self.address, &self.pin, &token)?.success().map(drop)
    }

    /// Logs somebody in.
    pub(crate) fn log_in(&self, client: &Client, name: &str) -> Result<()> {
        client.tap(["login", "--gate", &self.address, "--user", name])?.success().map(drop)
    }

    /// The gate's fingerprint, which statements name.
    pub(crate) fn fingerprint(&self) -> Result<Digest> {
        let digits = self.pin.trim_start_matches("sha256:");
        digits.parse().map_err(|why| anyhow!("{why}"))
    }

    /// The running gate.
    pub(crate) fn gate(&self) -> &Gate {
        self.gate.as_ref().unwrap()
    }

    /// Ends the gate in peace; whoever holds the world may then look at what it left.
    pub(crate) fn stop(&mut self) -> Result<std::process::ExitStatus> {
        self.gate.take().context("the gate is down already")?.stop()
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.gate.take().context("the gate is down already")?.kill().map(drop)
    }

    /// Starts it again on what is there.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.gate = Some(Gate::start_again(&self.config)?);
        Ok(())
    }

    /// The same with a file of its own in the place of the system's `/etc/hosts`.
    pub(crate) fn start_with_hosts(&mut self, hosts: &std::path::Path) -> Result<()> {
        self.gate = Some(Gate::start_with_hosts(&self.config, hosts)?);
        Ok(())
    }

    /// The same by a command that becomes the gate.
    pub(crate) fn start_by(&mut self, command: std::process::Command) -> Result<()> {
        self.gate = Some(Gate::start_by(command, &self.config)?);
        Ok(())
    }

    /// The store's file.
    pub(crate) fn database(&self) -> PathBuf {
        self.lab.path().join("data/tapgate.db")
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

/// A gate whose first administrator has enrolled and is not pinned yet.
pub(crate) struct Before {
    pub(crate) gate: Gate,
    pub(crate) olga: Client,
    pub(crate) first_pin: String,
    pub(crate) config: PathBuf,
    pub(crate) address: String,
    pub(crate) pin: String,
    pub(crate) user_ca: String,
    pub(crate) lab: Lab,
}

/// Enrols with an invite.
pub(crate) fn enrol(client: &Client, address: &str, pin: &str, token: &str) -> Result<Ran> {
    client.tap(["enrol", "--gate", address, "--ca-pin", pin, "--token", token, "--device-name", "software"])
}

/// Runs `tapgate` to its end.
pub(crate) fn tapgate(arguments: &[&str]) -> Result<Ran> {
    let mut command = std::process::Command::new(own_binary("tapgate")?);
    Process::start("tapgate", command.args(arguments))?.finish(std::time::Duration::from_mins(1))
}

fn trusting(user_ca: &str, env: &str) -> SshdOptions {
    SshdOptions {
        user_cas: vec![user_ca.to_owned()],
        labels: vec![("env".to_owned(), env.to_owned())],
        ..SshdOptions::default()
    }
}

fn config_text(lab: &Lab, port: u16) -> Result<String> {
    let data = lab.dir("data")?;
    Ok(format!(
        "cluster_name: localhost\napps_domain: apps.localhost\nlisten: \"127.0.0.1:{port}\"\npublic_addr: localhost:{port}\ndata_dir: {}\n\
         audit_log: {}\nwebauthn:\n  rp_id: localhost\n  origins: [\"https://localhost:{port}\"]\n",
        data.display(),
        log::path(lab).display()
    ))
}

pub(crate) fn word_after(text: &str, word: &str) -> Option<String> {
    let mut words = text.split_whitespace().skip_while(|candidate| *candidate != word);
    words.nth(1).map(str::to_owned)
}

pub(crate) fn pin_in(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("sha256:")?;
    let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    Some(format!("sha256:{digits}"))
}
