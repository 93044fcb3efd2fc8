//! How soon a held client goes on: from the tap on its way to the gate to the first byte at the target.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::json;
use tapgate_benches::harness::middle;
use tapgate_benches::post::post;
use tapgate_benches::report::{Figure, Report};
use tapgate_client::gate_addr::{CaPin, GateAddr};
use tapgate_client::solver::{SoftwareKey, Solver as _};
use tapgate_client::tls::{Alpn, Tls, install_provider};
use tokio::runtime::{Builder, Runtime};

use crate::target::Target;

/// Its name among the figures.
pub(crate) const NAME: &str = "ssh-tap-to-first-byte";

/// How many taps are made, each for a client that waits: two requests each, of which the gate takes so many at once of one
/// address.
const TAPS: usize = 7;

/// What may pass: nobody looks now and then.
const GOAL: f64 = 50e6;

/// How long a target waits for its first byte.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A target that hears its first byte, and hangs up.
fn ear(listener: TcpListener) -> Receiver<Instant> {
    let (tell, hears) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // One that says nothing has no first byte; whoever listened may be gone.
            if stream.read_exact(&mut [0]).is_err() || tell.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    hears
}

/// Has clients held, taps for one after the other, and reads both ends' one clock.
pub(crate) fn measure(target: &Target, report: &mut Report) -> Result<()> {
    if !report.wants(NAME) {
        return Ok(());
    }
    target.want_taps(true)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    target.put_node("ear", listener.local_addr()?)?;
    let hears = ear(listener);
    let clients = target.held("ear", vec![Ipv4Addr::LOCALHOST; TAPS])?;
    let tapper = Tapper::new(target)?;
    let mut taken = Vec::new();
    for asked in clients.asked() {
        let begun = tapper.tap(&asked)?;
        let first = hears.recv_timeout(SILENCE_MAX).context("the target heard nothing")?;
        taken.push(first.saturating_duration_since(begun).as_secs_f64() * 1e9);
    }
    ensure!(taken.len() == TAPS, "of {TAPS} clients {} were asked: {:?}", taken.len(), clients.over().first());
    drop(clients);
    target.want_taps(false)?;
    let what = "from the tap's request at the gate to the first byte at the target of a held client: the middle one of \
                7, the lower quarter and the longest";
    report.add(NAME, Figure::nanoseconds(what, Some(GOAL), middle(taken)));
    Ok(())
}

/// jerry at a page, with his key.
struct Tapper<'a> {
    target: &'a Target,
    tls: Tls,
    runtime: Runtime,
}

impl<'a> Tapper<'a> {
    fn new(target: &'a Target) -> Result<Self> {
        install_provider();
        let gate: GateAddr = target.world().address.parse().map_err(|e| anyhow!("{e}"))?;
        let pin: CaPin = target.world().pin.parse().map_err(|e| anyhow!("{e}"))?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { target, tls: Tls::anonymous(gate, &pin), runtime })
    }

    /// Types the code, taps, and answers when the tap went to the gate.
    fn tap(&self, asked: &str) -> Result<Instant> {
        let after = |mark: &str| asked.split_once(mark).map(|(_, rest)| rest);
        let page = after("/web/ask/").and_then(|rest| rest.split_whitespace().next()).context("no page")?;
        let code = after("type the code ").and_then(|rest| rest.get(..7)).context("no code")?;
        self.runtime.block_on(async {
            let mut stream = self.tls.connect(Alpn::Http).await.map_err(|e| anyhow!("{e}"))?;
            let typed = json!({ "code": code, "also": [] });
            let address = &self.target.world().address;
            let from_page = format!("Origin: https://{address}\r\nSec-Fetch-Site: same-origin\r\n");
            let path = format!("/web/ask/{page}/code");
            let ceremony = post(&mut stream, address, &path, &from_page, &typed).await?;
            let origin = format!("https://{address}").parse()?;
            let mut key = SoftwareKey::at(self.target.world().jerry.home().join("software-key.json"));
            let request = ceremony.get("webauthn").cloned().context("no challenge")?;
            let signed = key.authenticate(&origin, serde_json::from_value(request)?).map_err(|e| anyhow!("{e}"))?;
            let tap = json!({ "id": ceremony.get("id"), "webauthn": signed });
            let begun = Instant::now();
            post(&mut stream, address, &format!("/web/ask/{page}/approve"), &from_page, &tap).await?;
            Ok(begun)
        })
    }
}
