//! Pingora by itself, on its own listener: what a request costs in the engine that the gate's door is built on.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use async_trait::async_trait;
use pingora::http::RequestHeader;
use pingora::prelude::{HttpPeer, Server, Session, http_proxy_service};
use pingora::proxy::ProxyHttp;
use tapgate_benches::process::listens;
use tapgate_lab::{Lab, Process, app_identity};

/// The word by which this very program becomes the proxy.
pub(crate) const WORD: &str = "--bare-pingora";

/// Passes everything to one application.
struct Bare {
    to: String,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut Self::CTX) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(&self.to, false, String::new())))
    }

    /// The headers that nginx and the gate add as well.
    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        (): &mut Self::CTX,
    ) -> pingora::Result<()> {
        let from = session.client_addr().map(ToString::to_string).unwrap_or_default();
        upstream.insert_header("x-forwarded-for", from)
    }
}

/// Is the proxy until the process is ended: listens at `words[0]`, passes on to `words[1]`, with this certificate and
/// key.
pub(crate) fn serve(words: &[String]) -> Result<()> {
    let [listen, to, certificate, key] = words else { anyhow::bail!("{WORD} LISTEN TO CERTIFICATE KEY") };
    let mut server = Server::new(None)?;
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { to: to.clone() });
    service.threads = Some(std::thread::available_parallelism()?.get());
    service.add_tls(listen, certificate, key)?;
    server.add_service(service);
    server.run_forever()
}

/// Starts the proxy before this application.
pub(crate) fn start(lab: &Lab, application: u16) -> Result<(Process, u16)> {
    let (certificate, key): (PathBuf, PathBuf) = app_identity(lab)?;
    let port = lab.port()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).arg(format!("127.0.0.1:{port}")).arg(format!("127.0.0.1:{application}"));
    let mut process = Process::start("pingora", command.arg(certificate).arg(key))?;
    listens(&mut process, port)?;
    Ok((process, port))
}
