//! What Kubernetes costs through the gate: beside no gate, beside the API server itself, beside a proxy with nothing in
//! it, and in memory.

#[path = "kube/bare.rs"]
mod bare;
#[path = "kube/scene.rs"]
mod scene;

use std::process::ExitCode;

use anyhow::Result;
use tapgate_benches::harness::{ROUNDS, in_turns, weigh};
use tapgate_benches::process::{memory, nanos, rest};
use tapgate_benches::report::{Figure, Report};

use crate::scene::{Scene, Way};

/// How many rounds there are of programs that run for a second or so. A build that is not optimised is only tried out.
const PROGRAM_ROUNDS: usize = if cfg!(debug_assertions) { 2 } else { ROUNDS / 4 };

/// How many times kubectl runs in a row.
const COMMANDS: u32 = 3;

/// Requests of a run over one connection.
const REQUESTS: u32 = 300;

/// How many objects the long list has.
const OBJECTS: u32 = if cfg!(debug_assertions) { 500 } else { 10_000 };

/// How many idle watches are held at once.
const WATCHES: u32 = if cfg!(debug_assertions) { 100 } else { 1_000 };

/// How much longer `kubectl get` may take.
const GET_GOAL: f64 = 1.1;

/// What a long list may cost the gate, against what it costs the API server.
const LIST_GOAL: f64 = 0.15;

/// What a request may cost, against a proxy that checks and tells nothing.
const REQUEST_GOAL: f64 = 1.1;

/// What an idle watch may take: two ends of TLS and of HTTP.
const WATCH_GOAL: f64 = 40.0 * 1024.0;

const GET: &str = "kube-get-wall";
const PLUGIN: &str = "kube-get-plugin-wall";
const LIST: &str = "kube-list-cpu";
const LIST_BARE: &str = "kube-list-bare-cpu";
const PACKED: &str = "kube-list-packed-cpu";
const PART: &str = "kube-list-part-cpu";
const REQUEST: &str = "kube-request-cpu";
const WATCH: &str = "kube-idle-watch-memory";
const SHARED: &str = "kube-idle-watch-shared-memory";

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(bare::WORD) {
        return bare::run(arguments).map(|()| ExitCode::SUCCESS);
    }
    let mut report = Report::from_arguments()?;
    watches(&mut report)?;
    if report.wants_any(&[GET, PLUGIN, LIST, LIST_BARE, PACKED, PART, REQUEST]) {
        let scene = Scene::new()?;
        requests(&scene, &mut report)?;
        commands(&scene, &mut report)?;
        lists(&scene, &mut report)?;
    }
    report.finish()
}

/// Each with a gate of its own: what came before would be held against it, or for it.
fn watches(report: &mut Report) -> Result<()> {
    let each = [
        (WATCH, false, "each over a connection of its own, TLS on both sides, over a first one"),
        (
            SHARED,
            true,
            "all over two connections of HTTP/2, as client-go makes them, TLS on both sides, over a first one",
        ),
    ];
    for (name, shared, how) in each {
        if !report.wants(name) {
            continue;
        }
        let scene = Scene::new()?;
        let gate = scene.gate();
        let first = scene.watch(1, shared)?;
        rest(gate)?;
        let before = memory(gate, "VmRSS")?;
        let held = scene.watch(WATCHES, shared)?;
        rest(gate)?;
        let one = (memory(gate, "VmRSS")? - before) / f64::from(WATCHES);
        drop((first, held));
        let what = format!("the gate's memory for one of {WATCHES} idle watches, {how}");
        report.add(name, Figure::bytes(&what, WATCH_GOAL, one));
    }
    Ok(())
}

fn requests(scene: &Scene, report: &mut Report) -> Result<()> {
    if !report.wants(REQUEST) {
        return Ok(());
    }
    let run = |way| scene.requests(way, REQUESTS);
    let rounds = in_turns(PROGRAM_ROUNDS, || run(Way::Gate), || run(Way::Bare))?;
    let what = "CPU time of the proxy for a small request on a connection that stays, TLS on both sides";
    let sides = ["the gate", "hyper-util with nothing in it"];
    report.add(REQUEST, Figure::ratio(what, Some(REQUEST_GOAL), sides, &weigh(&rounds)));
    Ok(())
}

fn commands(scene: &Scene, report: &mut Report) -> Result<()> {
    let each = [
        (GET, Way::Gate, Some(GET_GOAL), "with a certificate in its kubeconfig"),
        (PLUGIN, Way::Plugin, None, "with `tap` as its credential plugin, within the window"),
    ];
    for (name, way, goal, how) in each {
        if report.wants(name) {
            let rounds =
                in_turns(PROGRAM_ROUNDS, || scene.kubectl(way, COMMANDS), || scene.kubectl(Way::Direct, COMMANDS))?;
            let what = format!("wall-clock time of `kubectl get`, {how}");
            report.add(name, Figure::ratio(&what, goal, ["through the gate", "direct"], &weigh(&rounds)));
        }
    }
    Ok(())
}

fn lists(scene: &Scene, report: &mut Report) -> Result<()> {
    if !report.wants_any(&[LIST, LIST_BARE, PACKED, PART]) {
        return Ok(());
    }
    scene.fill(OBJECTS)?;
    // What one and the same list costs a process.
    let list = |id: u32, way, cluster, packed| {
        let before = nanos(&[id])?;
        scene.list(way, cluster, OBJECTS, packed)?;
        Ok::<_, anyhow::Error>(nanos(&[id])? - before)
    };
    let each = [
        (LIST, "bench", false, Some(LIST_GOAL), "of which nothing is taken out"),
        (PACKED, "bench", true, Some(LIST_GOAL), "packed by gzip, as client-go and so kubectl ask for it"),
        (PART, "part", false, None, "of which every other object is taken out"),
    ];
    for (name, cluster, packed, goal, how) in each {
        if !report.wants(name) {
            continue;
        }
        let cost = |id| list(id, Way::Gate, cluster, packed);
        let rounds = in_turns(PROGRAM_ROUNDS, || cost(scene.gate()), || cost(scene.api_server()))?;
        let what = format!("CPU time for a list of {OBJECTS} objects as JSON, {how}");
        report.add(name, Figure::ratio(&what, goal, ["the gate", "the API server"], &weigh(&rounds)));
    }
    if report.wants(LIST_BARE) {
        let cost = |way| list(scene.proxy(way), way, "bench", false);
        let rounds = in_turns(PROGRAM_ROUNDS, || cost(Way::Gate), || cost(Way::Bare))?;
        let what = format!("CPU time of the proxy for a list of {OBJECTS} objects as JSON, not packed");
        let sides = ["the gate", "hyper-util with nothing in it"];
        report.add(LIST_BARE, Figure::ratio(&what, None, sides, &weigh(&rounds)));
    }
    Ok(())
}
