//! What the edge costs and bears: memory at rest, a start and a reload with ten thousand resources, and what a
//! legitimate connection takes while ten thousand others stall.

#[path = "edge/flood.rs"]
mod flood;
#[path = "edge/resources.rs"]
mod resources;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tapgate_benches::harness::{Compared, Estimate};
use tapgate_benches::process::{memory, rest};
use tapgate_benches::report::{Figure, Report};
use tapgate_benches::world::{Pass, World};
use tapgate_lab::{Gate, Lab, Process, program};

use crate::flood::Flood;

/// What a gate at rest may take.
const IDLE_GOAL: f64 = 40.0 * 1024.0 * 1024.0;

/// What a start or a reload with all those resources may take, in nanoseconds.
const SECOND: f64 = 1e9;

/// What a flood may do to the slowest of a hundred legitimate connections.
const FLOOD_GOAL: f64 = 2.0;

/// How often each is repeated.
const ROUNDS: usize = 5;

/// Connections of a legitimate user, in each round.
const CONNECTIONS: u32 = 300;

/// The seconds between two of them: they are spread over the whole flood, which takes ten seconds to come.
const PACE: f64 = 0.035;

/// How long a program may take.
const RUN_MAX: Duration = Duration::from_mins(3);

const IDLE: &str = "edge-idle-memory";
const START: &str = "edge-start-wall";
const RELOAD: &str = "edge-reload-wall";
const CONNECT: &str = "edge-flood-connect-p99";

const ROLE: &str = "kind: role\nversion: v7\nmetadata: { name: bench }\nspec:\n  allow:\n    node_labels: { env: bench \
                    }\n    logins: [jerry]\n";

fn main() -> Result<ExitCode> {
    let mut report = Report::from_arguments()?;
    if report.wants(IDLE) {
        let lab = Lab::new()?;
        let gate = Gate::start(&lab, &bare(&lab)?)?;
        rest(gate.process().id())?;
        let what = "the memory of a gate that was just started and serves nobody";
        report.add(IDLE, Figure::bytes(what, IDLE_GOAL, memory(gate.process().id(), "VmRSS")?));
    }
    if report.wants_any(&[START, RELOAD]) {
        with_resources(&mut report)?;
    }
    if report.wants(CONNECT) {
        report.add(CONNECT, connect()?);
    }
    report.finish()
}

/// A gate's configuration, but for its resources.
fn bare(lab: &Lab) -> Result<String> {
    let (port, data) = (lab.port()?, lab.dir("data")?);
    Ok(format!("listen: \"127.0.0.1:{port}\"\npublic_addr: localhost:{port}\ndata_dir: {}\n", data.display()))
}

fn with_resources(report: &mut Report) -> Result<()> {
    let lab = Lab::new()?;
    let folder = lab.dir("resources")?;
    resources::write(&folder, 0)?;
    let config = lab.write("tapgate.yaml", &format!("{}resources: {}\n", bare(&lab)?, folder.display()))?;
    // The first start makes keys, which no other one does.
    Gate::start_again(&config)?.stop()?;
    let mut starts = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let gate = Gate::start_again(&config)?;
        starts.push(nanos(start));
        gate.stop()?;
    }
    let what = format!("from the program's start to its first accept, with {} resources in files", resources::COUNT);
    report.add(START, Figure::nanoseconds(&what, Some(SECOND), middle(starts)));
    if !report.wants(RELOAD) {
        return Ok(());
    }
    let gate = Gate::start_again(&config)?;
    let held = Held::new(&lab, gate.address().port())?;
    let mut reloads = Vec::new();
    for round in 1..=ROUNDS {
        resources::write(&folder, round)?;
        let start = Instant::now();
        gate.process().signal(Signal::SIGHUP);
        gate.process().wait_for_error_line("the reload", |line| line.contains("Read anew").then_some(()))?;
        reloads.push(nanos(start));
        // The certificate is read after the resources.
        gate.process().wait_for_error("Read anew")?;
    }
    held.all_answer()?;
    let what = format!(
        "a reload of {} changed resources; 50 connections that were open before are asked after",
        resources::COUNT
    );
    report.add(RELOAD, Figure::nanoseconds(&what, Some(SECOND), middle(reloads)));
    Ok(())
}

/// Connections that stay open over a reload.
struct Held(Process);

impl Held {
    fn new(lab: &Lab, port: u16) -> Result<Self> {
        let text = format!(
            "{ASK}\nheld = [connect({port}) for _ in range(50)]\nfor s in held: ask(s, {port})\nprint('up', \
             flush=True)\nsys.stdin.readline()\nfor s in held: ask(s, {port})\nprint('answered', flush=True)\n"
        );
        let script = lab.write("held.py", &text)?;
        let process = Process::start("python3", Command::new(program("/usr/bin/python3", "python3")?).arg(script))?;
        process.wait_for("up")?;
        Ok(Self(process))
    }

    fn all_answer(mut self) -> Result<()> {
        self.0.write(b"\n")?;
        self.0.wait_for("answered").context("a connection did not outlast the reloads")
    }
}

/// One who connects and asks.
const ASK: &str = "import socket, ssl, sys, time
c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
def connect(port):
    return c.wrap_socket(socket.create_connection(('127.0.0.1', port)), server_hostname='localhost')
def ask(s, port):
    s.sendall(b'GET /v1/webapi/find HTTP/1.1\\r\\nHost: localhost:%d\\r\\n\\r\\n' % port)
    answer, whole = b'', None
    while whole is None or len(answer) < whole:
        more = s.recv(65536)
        assert more, answer
        answer += more
        head, end, _ = answer.partition(b'\\r\\n\\r\\n')
        if end and whole is None:
            lengths = [l.split(b':')[1] for l in head.lower().split(b'\\r\\n') if l.startswith(b'content-length:')]
            whole = len(head) + len(end) + int(lengths[0])
    assert answer.startswith(b'HTTP/1.1 200'), answer";

/// The slowest of a hundred connections: TLS with a certificate and one request, in quiet and in a flood.
fn connect() -> Result<Figure> {
    let world = World::new("bench", ROLE)?;
    let pass = world.pass()?;
    let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
    slowest(&world, &pass)?;
    for _ in 0..ROUNDS {
        quiet.push(slowest(&world, &pass)?);
        let flood = Flood::begin(world.running().address())?;
        flooded.push(slowest(&world, &pass)?);
        flood.end()?;
        rest(world.gate())?;
    }
    let ratios = flooded.iter().zip(&quiet).map(|(flooded, quiet)| flooded / quiet).collect();
    let found = Compared { a: middle(flooded), b: middle(quiet), ratio: middle(ratios) };
    let what = format!(
        "the 99th percentile of {CONNECTIONS} connections (TLS with a certificate, and a request) while {} handshakes \
         stall, as they come within ten seconds, against quiet",
        flood::COUNT
    );
    Ok(Figure::ratio(&what, Some(FLOOD_GOAL), ["in the flood", "in quiet"], &found))
}

fn slowest(world: &World, pass: &Pass) -> Result<f64> {
    let (port, certificate, key) = (world.port(), pass.certificate.display(), pass.key.display());
    let text = format!(
        "{ASK}\nc.load_cert_chain('{certificate}', '{key}')\ntook = []\nbegan = time.perf_counter()\nfor n in \
         range({CONNECTIONS}):\n    time.sleep(max(0, began + n * {PACE} - time.perf_counter()))\n    start = \
         time.perf_counter()\n    s = connect({port}); ask(s, {port}); s.close()\n    took.append(time.perf_counter() - \
         start)\ntook.sort()\nprint(took[int(len(took) * 0.99) - 1] * 1e9)\n"
    );
    let script = world.lab.write("slowest.py", &text)?;
    let ran = Process::start("python3", Command::new(program("/usr/bin/python3", "python3")?).arg(script))?
        .finish(RUN_MAX)?
        .success()?;
    Ok(ran.stdout.trim().parse()?)
}

fn nanos(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e9
}

/// The middle one, between the least and the most.
fn middle(mut values: Vec<f64>) -> Estimate {
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or_default();
    Estimate::new(at(values.len() / 2), at(0), at(values.len().saturating_sub(1)))
}
