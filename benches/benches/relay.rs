//! What a TCP application costs through the gate: beside a bare relay with TLS in the same place, beside HAProxy, and in
//! memory; and how soon a lock cuts it.

#[path = "relay/app.rs"]
mod app;
#[path = "relay/haproxy.rs"]
mod haproxy;
#[path = "relay/line.rs"]
mod line;
#[path = "relay/lock.rs"]
mod lock;
#[path = "relay/papers.rs"]
mod papers;
#[path = "relay/scene.rs"]
mod scene;

use std::process::ExitCode;

use anyhow::Result;
use tapgate_benches::bare;
use tapgate_benches::harness::{Compared, ROUNDS, Round, in_turns, weigh};
use tapgate_benches::process::{memory, rest};
use tapgate_benches::report::{Figure, Report};

use crate::scene::{Cost, Scene, Way};

/// How many rounds of connections and of batches there are.
const LONG_ROUNDS: usize = ROUNDS / 2;

/// How many connections a run makes: enough for what its last one leaves to do to vanish.
const CONNECTIONS: u32 = 20;

/// How many bytes a run sends there and back.
const TRIPS: u32 = 500;

/// How many batches make a GiB.
const BATCHES_A_GIB: f64 = 32.0;

/// How many idle sessions are held at once.
const IDLE: u32 = 1_000;

/// What an idle session may take: one end of TLS and two buffers of a TLS record.
const IDLE_GOAL: f64 = 40.0 * 1024.0;

/// What a connection may take longer than through a relay with the same handshake: a policy is asked, and records are
/// written.
const CONNECT_GOAL: f64 = 1.05;

/// What a byte may take longer there and back: two reads and two writes are all that it needs.
const TRIP_GOAL: f64 = 1.05;

/// What bulk may cost against a relay that does nothing but TLS.
const BULK_GOAL: f64 = 1.0;

const IDLE_MEMORY: &str = "relay-idle-session-memory";

/// One relay that the gate is measured beside, and the names of the figures.
struct Rival {
    way: Way,
    side: &'static str,
    connect: &'static str,
    connect_cpu: &'static str,
    trip: &'static str,
    bulk: &'static str,
    /// Whether there are goals: the bare relay is what the gate is built on.
    has_goals: bool,
}

const RIVALS: [Rival; 2] = [
    Rival {
        way: Way::Bare,
        side: "a bare relay that verifies its client",
        connect: "relay-connect",
        connect_cpu: "relay-connect-cpu",
        trip: "relay-round-trip",
        bulk: "relay-bulk-cpu",
        has_goals: true,
    },
    Rival {
        way: Way::HaProxy,
        side: "HAProxy, `verify required`",
        connect: "relay-connect-haproxy",
        connect_cpu: "relay-connect-haproxy-cpu",
        trip: "relay-round-trip-haproxy",
        bulk: "relay-bulk-haproxy-cpu",
        has_goals: false,
    },
];

impl Rival {
    fn names(&self) -> [&str; 4] {
        [self.connect, self.connect_cpu, self.trip, self.bulk]
    }

    fn goal(&self, goal: f64) -> Option<f64> {
        self.has_goals.then_some(goal)
    }

    fn sides(&self) -> [&str; 2] {
        ["the gate", self.side]
    }
}

fn main() -> Result<ExitCode> {
    if let Some(relay) = bare::asked() {
        return relay.run();
    }
    let mut report = Report::from_arguments()?;
    let wanted = RIVALS.each_ref().map(|rival| report.wants_any(&rival.names()));
    let [_, with_haproxy] = wanted;
    if wanted.contains(&true) || report.wants_any(&[IDLE_MEMORY, lock::NAME]) {
        let scene = Scene::new(with_haproxy)?;
        // Memory goes first: what came before would be held against it, or for it.
        idle(&scene, &mut report)?;
        for rival in &RIVALS {
            connections(&scene, &mut report, rival)?;
            trips(&scene, &mut report, rival)?;
            bulk(&scene, &mut report, rival)?;
        }
        lock::measure(&scene, &mut report)?;
    }
    report.finish()
}

/// One thing of what both sides cost.
fn only(rounds: &[Round<Cost>], pick: impl Fn(Cost) -> f64) -> Compared {
    weigh(&rounds.iter().map(|round| round.only(&pick)).collect::<Vec<Round>>())
}

fn idle(scene: &Scene, report: &mut Report) -> Result<()> {
    if !report.wants(IDLE_MEMORY) {
        return Ok(());
    }
    let gate = scene.relay(Way::Gate)?;
    let first = scene.open(Way::Gate)?;
    rest(gate)?;
    let before = memory(gate, "VmRSS")?;
    let held = (0..IDLE).map(|_| scene.open(Way::Gate)).collect::<Result<Vec<_>>>()?;
    rest(gate)?;
    let each = (memory(gate, "VmRSS")? - before) / f64::from(IDLE);
    drop((first, held));
    let what = "the gate's memory for one of 1,000 idle sessions of a TCP application, TLS before it, over a first one";
    report.add(IDLE_MEMORY, Figure::bytes(what, IDLE_GOAL, each));
    // Their ends are work that nobody else shall pay for.
    rest(gate)
}

fn connections(scene: &Scene, report: &mut Report, rival: &Rival) -> Result<()> {
    if !report.wants_any(&[rival.connect, rival.connect_cpu]) {
        return Ok(());
    }
    let run = |way| scene.connections(way, CONNECTIONS);
    let rounds = in_turns(LONG_ROUNDS, || run(Way::Gate), || run(rival.way))?;
    let what = "wall-clock time to connect with a client certificate, TLS 1.3, and to send a byte to a TCP application and \
                back; at the gate with the line that names the application, and its answer";
    let found = only(&rounds, |cost| cost.wall);
    report.add(rival.connect, Figure::ratio(what, rival.goal(CONNECT_GOAL), rival.sides(), &found));
    let what = "CPU time of the relay for such a connection, its end and what is written of it included";
    report.add(rival.connect_cpu, Figure::ratio(what, None, rival.sides(), &only(&rounds, |cost| cost.cpu)));
    Ok(())
}

fn trips(scene: &Scene, report: &mut Report, rival: &Rival) -> Result<()> {
    if !report.wants(rival.trip) {
        return Ok(());
    }
    let (mut ours, mut theirs) = (scene.open(Way::Gate)?, scene.open(rival.way)?);
    let rounds = in_turns(
        ROUNDS,
        || scene.costing(Way::Gate, TRIPS, || ours.again()),
        || scene.costing(rival.way, TRIPS, || theirs.again()),
    )?;
    let what = "wall-clock time of one byte to a TCP application and back on an open connection, TLS before the relay";
    let found = only(&rounds, |cost| cost.wall);
    report.add(rival.trip, Figure::ratio(what, rival.goal(TRIP_GOAL), rival.sides(), &found));
    Ok(())
}

fn bulk(scene: &Scene, report: &mut Report, rival: &Rival) -> Result<()> {
    if !report.wants(rival.bulk) {
        return Ok(());
    }
    let (mut ours, mut theirs) = (scene.open(Way::Gate)?, scene.open(rival.way)?);
    let rounds = in_turns(
        LONG_ROUNDS,
        || scene.costing(Way::Gate, 1, || ours.batch()),
        || scene.costing(rival.way, 1, || theirs.batch()),
    )?;
    let what = "CPU time of the relay for a GiB, half of it from a TCP application and half of it to it, AES-256-GCM before \
                the relay";
    let found = only(&rounds, |cost| cost.cpu * BATCHES_A_GIB);
    report.add(rival.bulk, Figure::ratio(what, rival.goal(BULK_GOAL), rival.sides(), &found));
    Ok(())
}
