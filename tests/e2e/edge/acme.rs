//! A certificate for browsers from a real authority that issues by itself: Pebble, by both ways of looking at the gate.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_api::path;
use tapgate_lab::{Gate, Lab, Pebble};

use super::bare::{curl, run};
use crate::world::until;

/// How long an authority may take, on a busy machine.
const ISSUED: Duration = Duration::from_mins(1);

const NAME: &str = "gate.example.com";

/// A gate that asks an authority, and what stands around it.
struct Scene {
    gate: Gate,
    config: PathBuf,
    port: u16,
    admin: u16,
    pebble: Pebble,
    lab: Lab,
}

impl Scene {
    /// By HTTP-01 where it listens for that. The authority looks at the gate's port, or at another one, where nobody is.
    fn new(by_http: bool, looks_at_the_gate: bool) -> Result<Self> {
        let lab = Lab::new()?;
        let (port, admin, http, nobody) = (lab.port()?, lab.port()?, lab.port()?, lab.port()?);
        let pebble = Pebble::start(&lab, http, if looks_at_the_gate { port } else { nobody })?;
        let by_http = if by_http { format!("  http_listen: \"127.0.0.1:{http}\"\n") } else { String::new() };
        let text = format!(
            "cluster_name: {NAME}\nlisten: \"127.0.0.1:{port}\"\npublic_addr: {NAME}:{port}\nadmin_listen: \
             \"127.0.0.1:{admin}\"\ndata_dir: {}\nacme:\n  directory: {}\n  names: [{NAME}]\n  contact: \
             ops@example.com\n  trust: {}\n{by_http}",
            lab.path().join("data").display(),
            pebble.directory,
            pebble.trust.display()
        );
        let config = lab.write("tapgate.yaml", &text)?;
        let gate = Gate::start_again(&config)?;
        Ok(Self { gate, config, port, admin, pebble, lab })
    }

    /// Whether a browser that trusts this authority alone is at the gate.
    fn is_trusted(&self) -> Result<bool> {
        let root = self.lab.path().join("root.pem");
        if !root.exists() {
            let (trust, to) = (self.pebble.trust.display().to_string(), root.display().to_string());
            run("curl", "curl", ["-sS", "--noproxy", "*", "--cacert", &trust, "-o", &to, &self.pebble.root_url()])?
                .success()?;
        }
        let (root, resolve) = (root.display().to_string(), format!("{NAME}:{}:127.0.0.1", self.port));
        let url = format!("https://{NAME}:{}{}", self.port, path::FIND);
        let words = ["-sS", "--noproxy", "*", "--cacert", &root, "--resolve", &resolve, "-o", "/dev/null", &url];
        Ok(run("curl", "curl", words)?.status.success())
    }

    fn orders(&self, result: &str) -> Result<u32> {
        let page = curl(&format!("http://127.0.0.1:{}/metrics", self.admin), &[])?.body;
        let name = format!("tapgate_acme_orders_total{{result=\"{result}\"}} ");
        Ok(page.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0))
    }
}

#[test]
fn a_certificate_comes_by_the_one_port_and_is_kept() -> Result<()> {
    let Scene { gate, config, port, admin, pebble, lab } = Scene::new(false, true)?;
    let mut scene = Scene { gate, config, port, admin, pebble, lab };
    until("a certificate that browsers trust", ISSUED, || scene.is_trusted())?;
    assert_eq!(scene.orders("good")?, 1);
    // It looked by itself, and nothing listens where HTTP-01 would: this was TLS-ALPN-01.
    let said = scene.pebble.process().stdout();
    assert!(said.contains("set VALID by completed challenge"), "{said}");
    let folder = scene.lab.path().join("data/acme");
    let modes = std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.metadata()?.mode() & 0o777));
    let modes = modes.collect::<Result<Vec<u32>>>()?;
    assert!(modes.len() == 3 && modes.iter().all(|mode| *mode == 0o600), "{modes:?}");

    // After a restart nobody is asked again.
    assert!(scene.gate.stop()?.success());
    scene.gate = Gate::start_again(&scene.config)?;
    assert!(scene.is_trusted()?);
    assert_eq!((scene.orders("good")?, scene.orders("broken")?), (0, 0));
    let issued = scene.pebble.process().stdout().matches("Issued certificate serial").count();
    assert_eq!(issued, 1);
    Ok(())
}

#[test]
fn a_certificate_comes_by_plain_http_as_well() -> Result<()> {
    let scene = Scene::new(true, false)?;
    until("a certificate that browsers trust", ISSUED, || scene.is_trusted())?;
    // Nothing is shown any more, and whoever comes to that port is told where the gate is.
    let text = std::fs::read_to_string(&scene.config)?;
    let http = text.split("http_listen: \"").nth(1).and_then(|rest| rest.split('"').next()).context("no port")?;
    let answer = curl(&format!("http://{http}/.well-known/acme-challenge/x"), &[])?;
    assert_eq!(answer.status, 308, "{answer:?}");
    Ok(())
}

#[test]
fn where_no_certificate_comes_the_gate_serves_and_says_why() -> Result<()> {
    let scene = Scene::new(false, false)?;
    scene.gate.process().wait_for_error("No certificate was issued: what there is stays")?;
    let log = scene.gate.process().stderr();
    assert!(log.contains("\"error\":\"the order ") && log.contains("next_in_secs"), "{log}");
    assert!(!scene.is_trusted()?);
    let resolve = format!("{NAME}:{}:127.0.0.1", scene.port);
    let answer = curl(&format!("https://{NAME}:{}{}", scene.port, path::FIND), &["--resolve", &resolve])?;
    assert_eq!(answer.status, 200);
    assert_eq!(scene.orders("broken")?, 1);
    Ok(())
}
