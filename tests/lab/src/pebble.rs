//! A real certificate authority that issues by ACME: Pebble, and a name server that leads every name to this machine.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::missing::cached;
use crate::{CertAuthority, Lab, Process};

/// The folder below the cache, with the number of its recipe; the same stands in xtask.
const FOLDER: &str = "tapgate/pebble-1";

/// How long its certificates are valid, in seconds.
const VALID: u32 = 90 * 86_400;

/// A running authority. Dropping it ends it.
#[derive(Debug)]
pub struct Pebble {
    process: Process,
    _names: Process,
    /// The URL of its directory.
    pub directory: String,
    /// The file of the authority that its own certificate comes from.
    pub trust: PathBuf,
    management: u16,
}

impl Pebble {
    /// Starts it in the lab. It looks for the applicant at these ports: for HTTP-01, and for TLS-ALPN-01.
    pub fn start(lab: &Lab, http: u16, tls: u16) -> Result<Self> {
        let (port, management, dns) = (lab.port()?, lab.port()?, lab.port()?);
        let authority = CertAuthority::make(lab, "pebble")?;
        let server = authority.server("pebble", "DNS:localhost,IP:127.0.0.1")?;
        let config = format!(
            "{{\"pebble\": {{\"listenAddress\": \"127.0.0.1:{port}\", \"managementListenAddress\": \
             \"127.0.0.1:{management}\", \"certificate\": {:?}, \"privateKey\": {:?}, \"httpPort\": {http}, \"tlsPort\": \
             {tls}, \"keyAlgorithm\": \"ecdsa\", \"retryAfter\": {{\"authz\": 1, \"order\": 1}}, \"profiles\": \
             {{\"default\": {{\"description\": \"lab\", \"validityPeriod\": {VALID}}}}}}}}}",
            server.certificate.display().to_string(),
            server.key.display().to_string()
        );
        let config = lab.write("pebble.json", &config)?;
        let mut command = Command::new(built("pebble-challtestsrv")?);
        let dns = format!("127.0.0.1:{dns}");
        command.args(["-http01", "", "-https01", "", "-doh", "", "-tlsalpn01", "", "-management", "127.0.0.1:0"]);
        let names = Process::start("pebble-challtestsrv", command.args(["-dnsserver", &dns, "-defaultIPv6", ""]))?;
        names.wait_for("Starting management server")?;
        let mut command = Command::new(built("pebble")?);
        // Some nonces are refused, as in the world; the pauses that the world makes are not.
        command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "5");
        let process = Process::start("pebble", command.arg("-config").arg(&config).args(["-dnsserver", &dns]))?;
        process.wait_for("ACME directory available")?;
        let directory = format!("https://localhost:{port}/dir");
        Ok(Self { process, _names: names, directory, trust: authority.path(), management })
    }

    /// Where its root certificate is to be had, as PEM.
    pub fn root_url(&self) -> String {
        format!("https://localhost:{}/roots/0", self.management)
    }

    /// The process itself.
    pub const fn process(&self) -> &Process {
        &self.process
    }
}

fn built(name: &str) -> Result<PathBuf> {
    let found = cached("TAPGATE_PEBBLE", FOLDER).map(|folder| folder.join(name)).filter(|path| path.is_file());
    found.with_context(|| format!("{name} is not there for the tests (run `cargo xtask setup`)"))
}
