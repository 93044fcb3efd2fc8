//! What web applications cost through the gate: beside nginx in the same place, and in memory.

#[path = "http/bare.rs"]
mod bare;
#[path = "http/hop.rs"]
mod hop;
#[path = "http/scene.rs"]
mod scene;

use std::process::ExitCode;

use anyhow::Result;
use tapgate_benches::harness::{ROUNDS, in_turns, weigh};
use tapgate_benches::process::{memory, rest};
use tapgate_benches::report::{Figure, Report};

use crate::scene::{Scene, Way};

/// How many rounds there are of programs that run for a second or so.
const PROGRAM_ROUNDS: usize = ROUNDS / 4;

/// Requests of a run.
const REQUESTS: u32 = 8_000;

/// Connections of a run that makes one for each request.
const CONNECTIONS: u32 = 60;

/// How many idle connections are held at once.
const IDLE: u32 = 100;

/// What an idle connection may take: pingora's buffers and one end of TLS.
const IDLE_GOAL: f64 = 24.0 * 1024.0;

/// What a request may cost against nginx: most of it is what pingora costs by itself.
const REQUEST_GOAL: f64 = 2.0;

/// What a connection may cost against nginx, whose TLS is OpenSSL's.
const HANDSHAKE_GOAL: f64 = 0.8;

/// What a request may cost against the engine by itself: what the door adds is a look-up.
const BARE_GOAL: f64 = 1.03;

const BARE: &str = "http-request-bare-cpu";
const BARE_NGINX: &str = "http-request-engine-cpu";
const REQUEST: &str = "http-request-cpu";
const HANDSHAKE: &str = "http-handshake-cpu";
const IDLE_MEMORY: &str = "http-idle-connection-memory";

fn main() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().collect();
    if let [_, word, rest @ ..] = words.as_slice()
        && word == bare::WORD
    {
        return bare::serve(rest).map(|()| ExitCode::SUCCESS);
    }
    let mut report = Report::from_arguments()?;
    if report.wants_any(&[BARE, BARE_NGINX, REQUEST, HANDSHAKE, IDLE_MEMORY]) {
        let scene = Scene::new()?;
        idle(&scene, &mut report)?;
        let sides = ["the gate", "nginx"];
        if report.wants(REQUEST) {
            let run = |way| scene.requests(way, REQUESTS);
            let rounds = in_turns(PROGRAM_ROUNDS, || run(Way::Gate), || run(Way::Nginx))?;
            let what = "CPU time of the proxy for a request on a connection that stays, TLS before it, HTTP behind it";
            report.add(REQUEST, Figure::ratio(what, Some(REQUEST_GOAL), sides, &weigh(&rounds)));
        }
        if report.wants(BARE_NGINX) {
            let run = |way| scene.requests(way, REQUESTS);
            let rounds = in_turns(PROGRAM_ROUNDS, || run(Way::Bare), || run(Way::Nginx))?;
            let what = "what of that is the engine's: pingora by itself, adding as many headers, against nginx";
            report.add(BARE_NGINX, Figure::ratio(what, None, ["pingora", "nginx"], &weigh(&rounds)));
        }
        if report.wants(BARE) {
            let run = |way| scene.requests(way, REQUESTS);
            let rounds = in_turns(PROGRAM_ROUNDS, || run(Way::Gate), || run(Way::Bare))?;
            let what =
                "the same, against pingora on its own listener, which adds as many headers and looks up no session";
            report.add(BARE, Figure::ratio(what, Some(BARE_GOAL), ["the gate", "pingora"], &weigh(&rounds)));
        }
        if report.wants(HANDSHAKE) {
            let run = |way| scene.connections(way, CONNECTIONS);
            let rounds = in_turns(PROGRAM_ROUNDS, || run(Way::Gate), || run(Way::Nginx))?;
            let what = "CPU time of the proxy for a connection with a client certificate and one request";
            report.add(HANDSHAKE, Figure::ratio(what, Some(HANDSHAKE_GOAL), sides, &weigh(&rounds)));
        }
    }
    report.finish()
}

fn idle(scene: &Scene, report: &mut Report) -> Result<()> {
    if !report.wants(IDLE_MEMORY) {
        return Ok(());
    }
    let gate = scene.gate();
    let first = scene.hold(1)?;
    rest(gate)?;
    let before = memory(gate, "VmRSS")?;
    let held = scene.hold(IDLE)?;
    rest(gate)?;
    let each = (memory(gate, "VmRSS")? - before) / f64::from(IDLE);
    drop((first, held));
    let what = "the gate's memory for one of 100 connections that have asked once and stay, over a first one";
    report.add(IDLE_MEMORY, Figure::bytes(what, IDLE_GOAL, each));
    Ok(())
}
