//! A witness elsewhere that checkpoints are posted to: it goes away, comes back, and finds a log whose end was cut off.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tapgate_lab::{Lab, Process, program};

use super::audit::text;
use crate::world::{World, until};

/// How long a checkpoint may be on its way: it is due ten seconds after a record, and tried again as often.
const SOON: Duration = Duration::from_mins(1);

const WITNESS: &str = r#"
import http.server, sys
class Elsewhere(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        line = self.rfile.read(int(self.headers["content-length"]))
        good = self.path == "/tapgate" and self.headers["content-type"] == "application/json"
        if good:
            with open(sys.argv[2], "ab") as file: file.write(line.strip() + b"\n")
        self.send_response(204 if good else 400)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Elsewhere)
print("ready", flush=True)
server.serve_forever()
"#;

fn witness(lab: &Lab, port: u16, file: &Path) -> Result<Process> {
    let mut command = Command::new(program("/usr/bin/python3", "python3")?);
    command.arg(lab.write("witness.py", WITNESS)?).arg(port.to_string()).arg(file);
    let process = Process::start("the witness", &mut command)?;
    process.wait_for("ready")?;
    Ok(process)
}

/// What the witness has seen.
fn seen(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_witness_by_address_that_was_away_hears_of_all_again() -> Result<()> {
    let mut world = World::new()?;
    let (port, file) = (world.lab.port()?, world.lab.path().join("witness.jsonl"));
    let keys = text(&world.lab.path().join("keys.json"));
    assert!(world.stop()?.success());
    let mut config = fs::OpenOptions::new().append(true).open(&world.config)?;
    writeln!(config, "audit:\n  witness: http://127.0.0.1:{port}/tapgate")?;
    let elsewhere = witness(&world.lab, port, &file)?;
    world.start()?;
    world.ssh("dev1", &["true"])?.success()?;
    until("a checkpoint at the witness", SOON, || Ok(!seen(&file).is_empty()))?;

    // While it is away, sessions go on, and the operator is told.
    elsewhere.kill()?;
    world.ssh("dev1", &["true"])?.success()?;
    until("a word in the operator's log", SOON, || {
        Ok(world.gate().process().stderr().contains("can't be posted to its witness"))
    })?;
    let before = seen(&file).len();
    // It comes back to a gate at rest, and hears what it has missed.
    let elsewhere = witness(&world.lab, port, &file)?;
    until("the checkpoint that it has missed", SOON, || Ok(seen(&file).len() > before))?;
    until("a word of that", SOON, || Ok(world.gate().process().stderr().contains("takes checkpoints again")))?;

    // What a gate says last is there before it ends.
    world.ssh("dev1", &["true"])?.success()?;
    world.olga.tapctl(["audit", "export-keys", "--out", &keys])?.success()?;
    assert!(world.stop()?.success());
    let last = seen(&file).last().cloned().context("nothing was posted")?;
    assert_eq!(last["records"].as_u64(), u64::try_from(world.records().len()).ok(), "{last}");
    drop(elsewhere);
    let (log, head) = (text(&world.audit_log()), text(&file));
    let verify = |log: &str| {
        let words = ["audit", "verify", "--log", log, "--keys", &keys, "--expect-head", &head, "--format", "json"];
        world.olga.tapctl(words)
    };
    verify(&log)?.success()?;
    let whole = fs::read_to_string(&log)?;
    let cut = world.lab.write("cut.jsonl", whole.trim_end().rsplit_once('\n').context("one line")?.0)?;
    verify(&text(&cut))?.failure(1).map(drop)
}
