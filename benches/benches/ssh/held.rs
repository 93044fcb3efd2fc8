//! What a client costs the gate that is held until its owner has tapped.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Stdio};

use anyhow::{Context as _, Result, ensure};
use tapgate_benches::process::{memory, rest};
use tapgate_benches::report::{Figure, Report};

use crate::target::{Target, Way};

/// Its name among the figures.
pub(crate) const NAME: &str = "ssh-held-client-memory";

/// How many are held at once from each address: the gate holds no more of one user.
const EACH: u32 = 30;

/// From how many addresses.
const ADDRESSES: u32 = 4;

/// What one may take: one end of SSH, and a place in the queue.
const GOAL: f64 = 20.0 * 1024.0;

/// A client that was asked and waits. Dropping it ends it.
struct Held {
    ssh: Child,
    // Closed, it would end the client with its next word.
    _said: BufReader<ChildStderr>,
}

impl Held {
    fn open(target: &Target, address: &str) -> Result<Self> {
        let mut ssh = target.ssh_from(address, Way::Gate, "true")?;
        let mut ssh = ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(ssh.stderr.take().context("ssh has no error stream")?);
        let mut line = String::new();
        while !line.contains("/web/ask/") {
            line.clear();
            ensure!(said.read_line(&mut line)? > 0, "ssh ended and was not asked");
        }
        Ok(Self { ssh, _said: said })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // One that has ended by itself is as good.
        self.ssh.kill().unwrap_or_default();
        self.ssh.wait().map(drop).unwrap_or_default();
    }
}

/// Holds many, and weighs the gate before and with them.
pub(crate) fn measure(target: &Target, report: &mut Report) -> Result<()> {
    if !report.wants(NAME) {
        return Ok(());
    }
    target.want_taps(true)?;
    let first = Held::open(target, "127.0.0.1")?;
    rest(target.gate())?;
    let before = memory(target.gate(), "VmRSS")?;
    let mut held = Vec::new();
    for address in 0..ADDRESSES {
        let address = format!("127.0.0.{}", address + 2);
        for _ in 0..EACH {
            held.push(Held::open(target, &address)?);
        }
    }
    rest(target.gate())?;
    let each = (memory(target.gate(), "VmRSS")? - before) / f64::from(EACH * ADDRESSES);
    drop((first, held));
    target.want_taps(false)?;
    let what = "the gate's memory for one of 120 ssh clients that are held until their owner taps";
    report.add(NAME, Figure::bytes(what, GOAL, each));
    Ok(())
}
