//! Pingora by itself, on its own listener: what a request costs in the engine that the gate's door is built on.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use async_trait::async_trait;
use pingora::http::RequestHeader;
use pingora::prelude::{HttpPeer, Server, Session, http_proxy_service};
use pingora::proxy::ProxyHttp;
use tapgate_benches::process::listens;
use tapgate_lab::{Lab, Process};

/// The word by which this very program becomes the proxy.
pub(crate) const WORD: &str = "--bare-pingora";

/// What the gate says of each request, but for the address and the identity.
const ADDED: [(&str, &str); 5] = [
    ("host", "page.apps.example.test:3080"),
    ("x-forwarded-host", "page.apps.example.test:3080"),
    ("x-forwarded-port", "3080"),
    ("x-forwarded-proto", "https"),
    ("tapgate-user", "jerry"),
];

/// How long the signed identity is.
const TOKEN_LEN: usize = 420;

/// Passes everything to one application.
struct Bare {
    to: String,
    token: String,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut Self::CTX) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(&self.to, false, String::new())))
    }

    /// As many lines as the gate adds, of the same length, but always the same.
    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        (): &mut Self::CTX,
    ) -> pingora::Result<()> {
        let from = session.client_addr().map(ToString::to_string).unwrap_or_default();
        upstream.insert_header("x-forwarded-for", from)?;
        ADDED.iter().try_for_each(|(name, value)| upstream.insert_header(*name, *value))?;
        upstream.insert_header("tapgate-jwt", self.token.as_str())
    }
}

/// Is the proxy until the process is ended: listens at `words[0]`, passes on to `words[1]`, with this certificate and
/// key.
pub(crate) fn serve(words: &[String]) -> Result<()> {
    let [listen, to, certificate, key] = words else { anyhow::bail!("{WORD} LISTEN TO CERTIFICATE KEY") };
    let mut server = Server::new(None)?;
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { to: to.clone(), token: "x".repeat(TOKEN_LEN) });
    service.threads = Some(std::thread::available_parallelism()?.get());
    service.add_tls(listen, certificate, key)?;
    server.add_service(service);
    server.run_forever()
}

/// Starts the proxy before this application, with this certificate and key.
pub(crate) fn start(lab: &Lab, application: u16, (certificate, key): (&Path, &Path)) -> Result<(Process, u16)> {
    let port = lab.port()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).arg(format!("127.0.0.1:{port}")).arg(format!("127.0.0.1:{application}"));
    let mut process = Process::start("pingora", command.arg(certificate).arg(key))?;
    listens(&mut process, port)?;
    Ok((process, port))
}
