//! The one client that every relay has: TLS 1.3 with a client's certificate, and then the application's bytes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tapgate_identity::PinnedGate;
use tapgate_model::{Digest, SystemClock, tunnel};

use crate::app::{AGAIN, CHUNK, HALF, SEND, TAKE};

/// How long a line may say nothing: only reached when something is broken.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How the client gets to the application by one way.
pub(crate) struct Door {
    port: u16,
    tls: Arc<ClientConfig>,
    hails: bool,
}

impl Door {
    /// A relay's at this port, whose authority has this pin. The client shows this certificate; whether it speaks the
    /// gate's tunnel is all that differs between the ways.
    pub(crate) fn new(
        port: u16,
        pin: Digest,
        (chain, key): (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
        hails: bool,
    ) -> Result<Self> {
        // One exchange of keys for all, as OpenSSL of these years lacks the one that rustls would rather have.
        let kx_groups = vec![aws_lc_rs::kx_group::X25519];
        let provider = CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() };
        let mut tls = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinnedGate::new(pin, Arc::new(SystemClock))))
            .with_client_auth_cert(chain, key)?;
        tls.resumption = Resumption::disabled();
        if hails {
            tls.alpn_protocols = vec![tunnel::TCP.to_vec()];
        }
        Ok(Self { port, tls: Arc::new(tls), hails })
    }

    /// A connection to the application of this name, which the gate alone is told.
    #[expect(clippy::disallowed_methods, reason = "the benches are the gate's clients")]
    pub(crate) fn connect(&self, app: &str) -> Result<Line> {
        let tcp = TcpStream::connect(("127.0.0.1", self.port))?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(SILENCE_MAX))?;
        let name = ServerName::try_from("localhost")?;
        let mut line = Line(StreamOwned::new(ClientConnection::new(Arc::clone(&self.tls), name)?, tcp));
        if self.hails {
            line.hail(app)?;
        }
        Ok(line)
    }
}

/// An open connection. Dropping it ends it.
pub(crate) struct Line(StreamOwned<ClientConnection, TcpStream>);

impl Line {
    /// Says to whom the tunnel leads, and waits for the gate's word, as `tap` does.
    fn hail(&mut self, app: &str) -> Result<()> {
        let hail = tunnel::Hail { target: app.parse()?, port: None };
        self.say(format!("{hail}\n").as_bytes())?;
        let mut answer = vec![0; tunnel::OPEN.len() + 1];
        self.0.read_exact(&mut answer).context("the gate ended the tunnel")?;
        ensure!(answer == format!("{}\n", tunnel::OPEN).as_bytes(), "the gate refused {app}");
        Ok(())
    }

    fn say(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes)?;
        Ok(self.0.flush()?)
    }

    /// Waits for this byte.
    fn hear(&mut self, due: u8) -> Result<()> {
        let mut said = [0];
        self.0.read_exact(&mut said).context("the line ended")?;
        ensure!(said == [due], "the application said something else");
        Ok(())
    }

    /// One byte there and back.
    pub(crate) fn again(&mut self) -> Result<()> {
        self.say(&[AGAIN])?;
        self.hear(AGAIN)
    }

    /// A whole batch: half of it down, half of it up.
    pub(crate) fn batch(&mut self) -> Result<()> {
        let (mut chunk, mut left) = (vec![0; CHUNK], HALF);
        self.say(&[SEND])?;
        while left > 0 {
            let room = chunk.get_mut(..left.min(CHUNK)).context("a chunk fits into its buffer")?;
            let read = self.0.read(room)?;
            ensure!(read > 0, "the line ended with {left} bytes to come");
            left -= read;
        }
        self.say(&[TAKE])?;
        for _ in 0..HALF / CHUNK {
            self.0.write_all(&chunk)?;
        }
        self.0.flush()?;
        self.hear(TAKE)
    }

    /// Waits until the other end has gone; answers when it had.
    pub(crate) fn end(mut self) -> Result<Instant> {
        match self.0.read(&mut [0]) {
            Ok(1..) => bail!("the application said something"),
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                bail!("the line has not ended")
            }
            // Many hang up without a word within TLS.
            Ok(0) | Err(_) => Ok(Instant::now()),
        }
    }
}
