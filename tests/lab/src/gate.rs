//! The real gate: the binary `tapgate`, started as an operator would.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};

use crate::{Lab, Process, own_binary, program};

/// A running gate. Dropping it ends it.
#[derive(Debug)]
pub struct Gate {
    process: Process,
    config: PathBuf,
    address: SocketAddr,
}

impl Gate {
    /// Writes the configuration into the lab and runs `tapgate start` on it; back when the gate says that it
    /// is open. The port in the configuration is best one of [`Lab::port`].
    pub fn start(lab: &Lab, config: &str) -> Result<Self> {
        let config = lab.write("tapgate.yaml", config)?;
        Self::start_again(&config)
    }

    /// The same with a configuration that lies there already: after a stop, or a kill.
    pub fn start_again(config: &Path) -> Result<Self> {
        Self::run(Command::new(own_binary("tapgate")?), config)
    }

    /// The same with a file of its own in the place of the system's `/etc/hosts`, for this process alone: what is
    /// written there is what names lead to from then on.
    pub fn start_with_hosts(config: &Path, hosts: &Path) -> Result<Self> {
        let mut command = Command::new(program("unshare", "util-linux")?);
        if !nix::unistd::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "--propagation", "private", "sh", "-c"]);
        command.arg("mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"").arg("sh").arg(hosts);
        command.arg(own_binary("tapgate")?);
        Self::run(command, config)
    }

    /// The same by a command that becomes the gate: what stands behind it are the gate's own words.
    pub fn start_by(command: Command, config: &Path) -> Result<Self> {
        Self::run(command, config)
    }

    fn run(mut command: Command, config: &Path) -> Result<Self> {
        command.arg("start").arg("--config").arg(config);
        // Where the program looks for further files must not depend on who runs the tests.
        command.env("HOME", config.parent().context("the configuration lies in no directory")?);
        let process = Process::start("tapgate", &mut command)?;
        let address = process.wait_for_error_line("the line that says that the gate is open", address_in)?;
        Ok(Self { process, config: config.to_path_buf(), address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its configuration's file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The process itself: its output, signals to it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Asks it to end in peace.
    pub fn stop(self) -> Result<ExitStatus> {
        self.process.stop()
    }

    /// Kills it at once, as a power cut would.
    pub fn kill(self) -> Result<ExitStatus> {
        self.process.kill()
    }
}

/// The address in the line of the log that says that the gate is open:
/// `{…,"fields":{"message":"The gate is open","listen":"127.0.0.1:41873",…},…}`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let entry: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = entry.get("fields")?;
    let is_open = fields.get("message")?.as_str()? == "The gate is open";
    is_open.then(|| fields.get("listen")?.as_str()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_open() {
        let line = |message: &str, listen: &str| {
            format!(r#"{{"level":"INFO","fields":{{"message":"{message}","listen":"{listen}"}},"target":"tapgate"}}"#)
        };
        let address = "127.0.0.1:41873".parse().ok();
        assert_eq!(address_in(&line("The gate is open", "127.0.0.1:41873")), address);
        assert_eq!(address_in(&line("The gate is open", "somewhere")), None);
        assert_eq!(address_in(&line("The gate is closing", "127.0.0.1:41873")), None);
        assert_eq!(address_in("The gate is open on 127.0.0.1:41873"), None);
    }
}
