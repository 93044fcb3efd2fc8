//! How soon a lock cuts: from the administrator's tap on its way to the gate until the client sees the end.

use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::json;
use tapgate_api::{AdminAction, path};
use tapgate_benches::harness::middle;
use tapgate_benches::post::post;
use tapgate_benches::report::{Figure, Report};
use tapgate_benches::world::World;
use tapgate_client::gate_addr::{CaPin, GateAddr};
use tapgate_client::keys::LoginFiles;
use tapgate_client::solver::{SoftwareKey, Solver as _};
use tapgate_client::tls::{Alpn, Tls, install_provider};
use tokio::runtime::{Builder, Runtime};

use crate::scene::Scene;

/// Its name among the figures.
pub(crate) const NAME: &str = "relay-cut";

/// How many locks are made: two requests each, of which the gate takes sixty at once of one administrator.
const LOCKS: u32 = 15;

/// What may pass: nobody looks now and then.
const GOAL: f64 = 50e6;

/// Locks one application after the other while its client listens, and reads both ends' one clock.
pub(crate) fn measure(scene: &Scene, report: &mut Report) -> Result<()> {
    if !report.wants(NAME) {
        return Ok(());
    }
    let names: Vec<String> = (0..LOCKS).map(|number| format!("cut{number}")).collect();
    scene.name(&names)?;
    let locker = Locker::new(&scene.world)?;
    let mut taken = Vec::new();
    for name in &names {
        let line = scene.open_named(name)?;
        let client = std::thread::spawn(move || line.end());
        let begun = locker.lock(name)?;
        let ended = client.join().map_err(|_| anyhow!("the client broke"))??;
        let passed = ended.checked_duration_since(begun).context("the line ended before the lock")?;
        taken.push(passed.as_secs_f64() * 1e9);
        ensure!(scene.open_named(name).is_err(), "{name} opens though it is locked");
    }
    let what = "from the tap for a lock on an application, written to a connection that is open, until the client of its open \
                session has seen the end, by the wall clock: the tap's verification and the write to the store lie in it; \
                the middle one of 15, the lower quarter and the longest";
    report.add(NAME, Figure::nanoseconds(what, Some(GOAL), middle(taken)));
    Ok(())
}

/// olga, with her key.
struct Locker<'a> {
    world: &'a World,
    tls: Tls,
    runtime: Runtime,
}

impl<'a> Locker<'a> {
    fn new(world: &'a World) -> Result<Self> {
        install_provider();
        let gate: GateAddr = world.address.parse().map_err(|e| anyhow!("{e}"))?;
        let pin: CaPin = world.pin.parse().map_err(|e| anyhow!("{e}"))?;
        let files = LoginFiles::within(&world.olga.tap_home().join("keys").join(&world.address));
        let tls = Tls::with_login(gate, &pin, &files).map_err(|e| anyhow!("{e}"))?;
        Ok(Self { world, tls, runtime: Builder::new_current_thread().enable_all().build()? })
    }

    /// Locks the application, as `tapctl` would, and answers when the tap went to the gate.
    fn lock(&self, app: &str) -> Result<Instant> {
        let yaml = format!(
            "kind: lock\nversion: v2\nmetadata: {{ name: {app} }}\nspec: {{ target: {{ target: app/{app} }} }}\n"
        );
        let action = serde_json::to_value(AdminAction::PutResources { yaml, replace: false })?;
        let address = &self.world.address;
        self.runtime.block_on(async {
            let mut stream = self.tls.connect(Alpn::Http).await.map_err(|e| anyhow!("{e}"))?;
            let ceremony = post(&mut stream, address, path::ADMIN_BEGIN, "", &action).await?;
            let origin = format!("https://{address}").parse()?;
            let mut key = SoftwareKey::at(self.world.olga.home().join("software-key.json"));
            let request = ceremony.get("webauthn").cloned().context("no challenge")?;
            let signed = key.authenticate(&origin, serde_json::from_value(request)?).map_err(|e| anyhow!("{e}"))?;
            let tap = json!({ "id": ceremony.get("id"), "webauthn": signed });
            let begun = Instant::now();
            post(&mut stream, address, path::ADMIN_FINISH, "", &tap).await?;
            Ok(begun)
        })
    }
}
