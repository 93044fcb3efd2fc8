//! A TCP application behind the gate, behind a bare relay and behind HAProxy, and who reaches it by each.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tapgate_benches::bare;
use tapgate_benches::process::{allow_files, nanos};
use tapgate_benches::world::World;
use tapgate_client::gate_addr::CaPin;
use tapgate_lab::Process;

use crate::app;
use crate::haproxy::HaProxy;
use crate::line::{Door, Line};
use crate::papers::Papers;

/// The application's name at the gate.
const APP: &str = "echo";

/// Without a tap: what is measured here is what comes after the verdict.
const ROLE: &str = "kind: role\nversion: v7\nmetadata: { name: bench }\nspec:\n  allow:\n    app_labels: { env: bench \
                    }\n";

/// What a relay gets to write its records after a connection has ended for its client.
const LINGER: Duration = Duration::from_millis(30);

/// What is between the client and the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The gate, through a tunnel.
    Gate,
    /// A relay that does TLS, with a certificate of its client, and nothing else.
    Bare,
    /// The same by HAProxy.
    HaProxy,
}

/// What one operation cost, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// By the wall clock.
    pub(crate) wall: f64,
    /// In CPU time of the relay.
    pub(crate) cpu: f64,
}

/// Everything.
pub(crate) struct Scene {
    bare: Process,
    /// Where a figure wants it.
    haproxy: Option<HaProxy>,
    to_gate: Door,
    to_bare: Door,
    to_haproxy: Option<Door>,
    application: u16,
    pub(crate) world: World,
}

impl Scene {
    /// Sets everything up.
    pub(crate) fn new(with_haproxy: bool) -> Result<Self> {
        allow_files()?;
        let world = World::new("bench", ROLE)?;
        let application = app::start()?;
        world.put(&document(APP, application))?;
        let pass = world.pass()?;
        let key = PrivateKeyDer::from_pem_file(&pass.key)?;
        let papers = Papers::make(&world.lab, &key)?;
        let mut command =
            bare::command(&papers.chain, &papers.key, &format!("127.0.0.1:{application}"), Some(&papers.clients))?;
        let bare = Process::start("the bare relay", &mut command)?;
        let bare_port = bare.wait_for_line("the port", |line| line.strip_prefix("port ")?.trim().parse().ok())?;
        let haproxy = with_haproxy.then(|| HaProxy::start(&world.lab, &papers, application)).transpose()?;
        let pin: CaPin = world.pin.parse().map_err(|e| anyhow!("{e}"))?;
        let chain = CertificateDer::pem_file_iter(&pass.certificate)?.collect::<Result<Vec<_>, _>>()?;
        let to_gate = Door::new(world.port(), *pin.digest(), (chain, key.clone_key()), true)?;
        let to_other = |port| Door::new(port, papers.pin, (vec![papers.client.clone()], key.clone_key()), false);
        let to_haproxy = haproxy.as_ref().map(|haproxy| to_other(haproxy.port)).transpose()?;
        Ok(Self { bare, haproxy, to_gate, to_bare: to_other(bare_port)?, to_haproxy, application, world })
    }

    /// More names for the application at the gate.
    pub(crate) fn name(&self, names: &[String]) -> Result<()> {
        let documents: Vec<_> = names.iter().map(|name| document(name, self.application)).collect();
        self.world.put(&documents.join("---\n"))
    }

    /// The relay's process.
    pub(crate) fn relay(&self, way: Way) -> Result<u32> {
        match way {
            Way::Gate => Ok(self.world.gate()),
            Way::Bare => Ok(self.bare.id()),
            Way::HaProxy => self.haproxy.as_ref().map(HaProxy::id).context("HAProxy was not started"),
        }
    }

    fn door(&self, way: Way) -> Result<&Door> {
        match way {
            Way::Gate => Ok(&self.to_gate),
            Way::Bare => Ok(&self.to_bare),
            Way::HaProxy => self.to_haproxy.as_ref().context("HAProxy was not started"),
        }
    }

    /// A connection that has carried a byte there and back.
    pub(crate) fn open(&self, way: Way) -> Result<Line> {
        let mut line = self.door(way)?.connect(APP)?;
        line.again()?;
        Ok(line)
    }

    /// The same under another of the application's names.
    pub(crate) fn open_named(&self, name: &str) -> Result<Line> {
        let mut line = self.to_gate.connect(name)?;
        line.again()?;
        Ok(line)
    }

    /// So many connections one after the other; what one cost.
    pub(crate) fn connections(&self, way: Way, count: u32) -> Result<Cost> {
        self.costing(way, count, || self.open(way).map(drop))
    }

    /// Does this so many times; what it cost once.
    pub(crate) fn costing(&self, way: Way, count: u32, mut act: impl FnMut() -> Result<()>) -> Result<Cost> {
        let relay = [self.relay(way)?];
        let (cpu, start) = (nanos(&relay)?, Instant::now());
        for _ in 0..count {
            act()?;
        }
        let wall = start.elapsed().as_secs_f64() * 1e9;
        std::thread::sleep(LINGER);
        let cpu = nanos(&relay)? - cpu;
        Ok(Cost { wall: wall / f64::from(count), cpu: cpu / f64::from(count) })
    }
}

/// The application under this name.
fn document(name: &str, port: u16) -> String {
    format!(
        "kind: app\nversion: v3\nmetadata:\n  name: {name}\n  labels: {{ env: bench }}\nspec:\n  uri: \
         tcp://127.0.0.1:{port}\n"
    )
}
