//! A target that lets everybody in and then says what a test puts into its mouth.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use russh::keys::ssh_key::{Certificate, PrivateKey, Signature};
use russh::server::{Auth, Handle, Handler, PublicKeyOffer, Session};
use tokio::io::{AsyncWriteExt as _, copy, sink};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// The running target. It ends when this is dropped.
pub(crate) struct Hostile {
    pub(crate) address: SocketAddr,
    pub(crate) host_key: String,
    script: Script,
    task: AbortHandle,
}

/// What is said once the first channel is asked for.
type Script = Arc<Mutex<Vec<Bytes>>>;

impl Hostile {
    pub(crate) async fn start(key: PrivateKey) -> Result<Self, Box<dyn std::error::Error>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, host_key) = (listener.local_addr()?, key.public_key().to_openssh()?);
        let script = Script::default();
        let config = Arc::new(russh::server::Config { keys: vec![key], ..russh::server::Config::default() });
        let said = Arc::clone(&script);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mouth = Mouth { script: Arc::clone(&said), handle: None };
                tokio::spawn(russh::server::run_stream(Arc::clone(&config), stream, mouth));
            }
        });
        Ok(Self { address, host_key, script, task: task.abort_handle() })
    }

    /// Puts these packets into its mouth.
    pub(crate) fn will_say(&self, packets: &[Vec<u8>]) {
        let packets = packets.iter().map(|packet| Bytes::copy_from_slice(packet)).collect();
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = packets;
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A target below SSH: it says these bytes to whoever connects, and listens.
pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    bytes: Arc<Mutex<Vec<u8>>>,
    task: AbortHandle,
}

impl Raw {
    pub(crate) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, bytes) = (listener.local_addr()?, Arc::<Mutex<Vec<u8>>>::default());
        let said = Arc::clone(&bytes);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let bytes = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                tokio::spawn(async move {
                    // The gate may have heard enough.
                    drop(stream.write_all(&bytes).await);
                    drop(copy(&mut stream, &mut sink()).await);
                });
            }
        });
        Ok(Self { address, bytes, task: task.abort_handle() })
    }

    /// What it says from now on.
    pub(crate) fn will_say(&self, bytes: Vec<u8>) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Mouth {
    script: Script,
    handle: Option<Handle>,
}

impl Handler for Mouth {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _: &str, _: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn auth_openssh_certificate(&mut self, _: &str, _: &Certificate, _: &Signature) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Self::Error> {
        self.handle = Some(session.handle());
        Ok(())
    }

    async fn raw_packet(&mut self, packet: &[u8]) -> Result<bool, Self::Error> {
        if let (Some(90), Some(handle)) = (packet.first(), self.handle.take()) {
            let script = std::mem::take(&mut *self.script.lock().unwrap_or_else(PoisonError::into_inner));
            let _all_said = script.into_iter().all(|packet| handle.send_raw(packet));
            self.handle = Some(handle);
        }
        Ok(true)
    }
}
