//! Many real SSH clients in one process, asyncssh's, each held by the gate until its owner taps.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{Lab, Process, python_program};

const SOURCE: &str = include_str!("crowd.py");

/// Who they are, and what they want.
#[derive(Debug, Clone)]
pub struct SshWish<'a> {
    /// The gate's port.
    pub port: u16,
    /// The user name that they all give.
    pub user: String,
    /// The key that they all have; its certificate lies beside it.
    pub key: &'a Path,
    /// What they know the gate by, as `localhost`.
    pub known_hosts: &'a Path,
    /// What each runs.
    pub command: &'a str,
    /// From which address of loopback each of them comes.
    pub from: Vec<Ipv4Addr>,
    /// A port of loopback that each tries to reach through the gate, beside further channels, as soon as it is asked.
    pub service: Option<u16>,
}

/// The clients. Dropping them ends them all at once.
#[derive(Debug)]
pub struct SshCrowd {
    process: Process,
    size: usize,
}

impl SshCrowd {
    /// Starts them, and waits until each was asked for a tap or has heard why not.
    pub fn start(lab: &Lab, wish: &SshWish<'_>) -> Result<Self> {
        let from: Vec<String> = wish.from.iter().map(ToString::to_string).collect();
        let words = json!({
            "port": wish.port, "user": wish.user, "command": wish.command, "from": from, "service": wish.service,
            "key": path(wish.key)?, "known_hosts": path(wish.known_hosts)?,
        });
        let mut command = Command::new(python_program("python")?);
        command.arg(lab.write("crowd.py", SOURCE)?).arg(words.to_string());
        let crowd = Self { process: Process::start("a crowd of SSH clients", &mut command)?, size: wish.from.len() };
        for _ in 0..crowd.size {
            crowd.process.wait_for_line("a client that is held", |line| line.contains("\"heard\"").then_some(()))?;
        }
        Ok(crowd)
    }

    /// What those were told that were asked, in no order.
    pub fn asked(&self) -> Vec<String> {
        self.told("asked")
    }

    /// What those were told whose connection was ended.
    pub fn over(&self) -> Vec<String> {
        self.told("over")
    }

    /// What came of what they tried beside their first channel.
    pub fn further(&self) -> Vec<String> {
        self.told("further")
    }

    /// Waits until one of them has this to say, and answers it.
    pub fn wait_for(&self, field: &str) -> Result<String> {
        self.process.wait_for_line(field, |line| text_of(line, field))
    }

    /// All that was said under this name.
    fn told(&self, field: &str) -> Vec<String> {
        self.process.stdout().lines().filter_map(|line| text_of(line, field)).collect()
    }
}

fn text_of(line: &str, field: &str) -> Option<String> {
    let told: Value = serde_json::from_str(line).ok()?;
    told.get(field)?.as_str().map(str::to_owned)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}
