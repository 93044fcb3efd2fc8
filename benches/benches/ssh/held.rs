//! What a client costs the gate that is held until its owner has tapped.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};
use tapgate_benches::process::{memory, rest};
use tapgate_benches::report::{Figure, Report};

use crate::target::Target;

/// Its name among the figures.
pub(crate) const NAME: &str = "ssh-held-client-memory";

/// How many are held at once.
const HELD: u32 = 1_000;

/// How many of them come from one address: the gate holds few more of one user.
const EACH: u32 = 25;

/// What one may take: one end of SSH, and a place in the queue.
const GOAL: f64 = 20.0 * 1024.0;

/// Holds many, and weighs the gate before and with them.
pub(crate) fn measure(target: &Target, report: &mut Report) -> Result<()> {
    target.want_taps(true)?;
    let first = target.held("bench", vec![Ipv4Addr::LOCALHOST])?;
    rest(target.gate())?;
    let before = memory(target.gate(), "VmRSS")?;
    let held = target.held("bench", (0..HELD).map(address).collect())?;
    rest(target.gate())?;
    let each = (memory(target.gate(), "VmRSS")? - before) / f64::from(HELD);
    ensure!(held.over().is_empty(), "some were sent away: {:?}", held.over().first());
    drop((first, held));
    target.want_taps(false)?;
    let what = "the gate's memory for one of 1,000 SSH clients that are held at once until their owner taps";
    report.add(NAME, Figure::bytes(what, GOAL, each));
    Ok(())
}

/// The address of the client with this number.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 1, 1).to_bits() + number / EACH)
}
