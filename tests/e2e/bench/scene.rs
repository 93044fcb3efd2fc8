//! What the tests of the load tool share: a gate that tells what it counts, and a load to its end.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tapgate_lab::{Client, Ran, own_binary};

use crate::world::World;

/// How long a load of a second or two may take: a machine that compiles at the same time takes its time.
const SOON: Duration = Duration::from_mins(3);

/// Gives the world's gate a place for its metrics; answers their address.
pub(super) fn measured(world: &mut World) -> Result<String> {
    let port = world.lab.port()?;
    world.stop()?;
    let mut config = std::fs::OpenOptions::new().append(true).open(&world.config)?;
    writeln!(config, "admin_listen: \"127.0.0.1:{port}\"")?;
    world.start()?;
    Ok(format!("http://127.0.0.1:{port}/metrics"))
}

/// A load to its end.
pub(super) fn bench(client: &Client, words: &[&str]) -> Result<Ran> {
    let words = std::iter::once("bench").chain(words.iter().copied());
    client.start(&own_binary("tapgate")?, words)?.finish(SOON)
}

/// The report of a load in which everything went well; looks at what every report must hold.
pub(super) fn good(client: &Client, words: &[&str], sessions: u64) -> Result<Value> {
    let ran = bench(client, &[words, &["--format", "json"]].concat())?.success()?;
    let report = ran.json()?;
    let number = |path: &str| report.pointer(path).and_then(Value::as_u64).with_context(|| format!("no {path}: {ran}"));
    ensure!(number("/sessions/succeeded")? == sessions && number("/sessions/failed")? == 0, "{ran}");
    ensure!(report["errors"].as_array().is_some_and(Vec::is_empty), "{ran}");
    for latency in ["connect", "session"] {
        let shares = ["min", "p50", "p90", "p99", "p99_9", "p99_99", "max"];
        let values: Vec<u64> =
            shares.iter().map(|share| number(&format!("/{latency}/{share}_us"))).collect::<Result<_>>()?;
        ensure!(values.is_sorted() && values.first().is_some_and(|least| *least > 0), "{latency}: {ran}");
        ensure!(number(&format!("/{latency}/count"))? == sessions, "{ran}");
    }
    ensure!(number("/connect/p50_us")? <= number("/session/p50_us")?, "{ran}");
    // Neither keys nor certificates are told.
    ensure!(!ran.stdout.contains("-----BEGIN") && !ran.stderr.contains("-----BEGIN"), "{ran}");
    Ok(report)
}

/// How many checks of this result the gate has made, warm and cold together.
pub(super) fn checks(report: &Value, result: &str) -> u64 {
    let results = report["checks"]["results"].as_array().into_iter().flatten();
    results.filter(|outcome| outcome["result"] == result).filter_map(|outcome| outcome["count"].as_u64()).sum()
}
