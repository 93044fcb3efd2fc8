//! HAProxy in mode tcp: what a relay costs that many have made quick, with OpenSSL's TLS.

use std::process::Command;

use anyhow::Result;
use tapgate_benches::process::listens;
use tapgate_lab::{Lab, Process, program};

use crate::papers::Papers;

/// A running HAProxy. Dropping it ends it.
pub(crate) struct HaProxy {
    pub(crate) port: u16,
    process: Process,
}

impl HaProxy {
    /// Starts it before the application at this port: TLS 1.3, a certificate of every client, nothing resumed, and a thread
    /// for each processor, as the gate has.
    pub(crate) fn start(lab: &Lab, papers: &Papers, application: u16) -> Result<Self> {
        let haproxy = program("haproxy", "haproxy")?;
        let (port, threads) = (lab.port()?, std::thread::available_parallelism()?);
        let text = format!(
            "global\n  nbthread {threads}\n  maxconn 4000\n  tune.ssl.cachesize 0\n  ssl-default-bind-options ssl-min-ver \
             TLSv1.3 no-tls-tickets\ndefaults\n  mode tcp\n  timeout connect 10s\n  timeout client 10m\n  timeout server \
             10m\nlisten relay\n  bind 127.0.0.1:{port} ssl crt {} ca-file {} verify required\n  server app \
             127.0.0.1:{application}\n",
            papers.all.display(),
            papers.clients.display()
        );
        let config = lab.write("haproxy.cfg", &text)?;
        let mut process = Process::start("haproxy", Command::new(haproxy).arg("-db").arg("-f").arg(config))?;
        listens(&mut process, port)?;
        Ok(Self { port, process })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}
