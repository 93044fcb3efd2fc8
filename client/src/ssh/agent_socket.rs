//! What one `ssh` signs through: one certificate, one user name, for one login; and the socket of `tap ssh` for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ssh_key::Certificate;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::error::{Act as _, Failure, Result};
use crate::limits::{BATCH_SIGNATURES_MAX, SSH_AGENT_MESSAGE_BYTES_MAX, SSH_SIGNATURES_MAX};
use crate::profile::{Home, socket_path};
use crate::session::Signer;
use crate::ssh_agent::{Request, Response, UserAuth};

/// The socket and the certificate beside it, in a private folder that is removed at the end.
pub struct AgentSocket {
    folder: tempfile::TempDir,
    listener: UnixListener,
    desk: Arc<Desk>,
}

/// The certificate, the user name that it is shown for, and who signs.
pub(super) struct Desk {
    certificate: Vec<u8>,
    user: String,
    signer: Signer,
    signatures_left: AtomicU32,
}

impl AgentSocket {
    /// Makes the folder, the socket and the certificate file.
    pub fn new(home: &Home, certificate: &str, user: String, signer: Signer) -> Result<Self> {
        Self::of(home, certificate, Desk::new(certificate, user, signer)?)
    }

    /// The same for a command that opens many connections, all of them under one login.
    pub fn for_many(home: &Home, certificate: &str, user: String, signer: Signer) -> Result<Self> {
        let desk = Desk::new(certificate, user, signer)?;
        Self::of(home, certificate, Desk { signatures_left: BATCH_SIGNATURES_MAX.into(), ..desk })
    }

    fn of(home: &Home, certificate: &str, desk: Desk) -> Result<Self> {
        let act = || "the socket for ssh cannot be made".to_owned();
        let desk = Arc::new(desk);
        let folder = tempfile::Builder::new()
            .prefix("ssh-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir_in(home.run()?)
            .act(act)?;
        let socket = folder.path().join("agent");
        socket_path(&socket)?;
        let listener = UnixListener::bind(&socket).act(act)?;
        crate::files::write_private(&folder.path().join(CERTIFICATE), crate::keys::line(certificate).as_bytes())?;
        Ok(Self { folder, listener, desk })
    }

    /// Where the socket is.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// Where the certificate is.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join(CERTIFICATE)
    }

    /// Serves until it is dropped; each connection by itself, so that none waits for another's login.
    pub async fn serve(&mut self) -> Result<()> {
        let mut tasks = JoinSet::new();
        loop {
            let (stream, _) = self.listener.accept().await.act(|| "the socket for ssh has failed".to_owned())?;
            let desk = Arc::clone(&self.desk);
            tasks.spawn(async move {
                if let Err(failure) = desk.connection(stream).await {
                    eprintln!("WARNING: {failure}");
                }
            });
            while tasks.try_join_next().is_some() {}
        }
    }

    /// The private folder, for what else a command needs; it goes with the socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Desk {
    pub(super) fn new(certificate: &str, user: String, signer: Signer) -> Result<Self> {
        let blob = Certificate::from_openssh(certificate.trim()).and_then(|c| c.to_bytes());
        let certificate = blob.act(|| "the SSH certificate cannot be read".to_owned())?;
        Ok(Self { certificate, user, signer, signatures_left: SSH_SIGNATURES_MAX.into() })
    }

    /// Whether it has signed.
    pub(super) fn has_signed(&self) -> bool {
        self.signatures_left.load(Ordering::SeqCst) < SSH_SIGNATURES_MAX
    }

    /// Serves one connection to its end.
    pub(super) async fn connection(&self, mut stream: UnixStream) -> Result<()> {
        let peer = stream.peer_cred().act(|| "the peer cannot be told".to_owned())?;
        if peer.uid() != nix::unistd::geteuid().as_raw() {
            return Err(Failure::new("another user has opened the socket for ssh"));
        }
        let mut forwarded = false;
        while let Some(message) = read(&mut stream).await? {
            let answer = match Request::parse(&message) {
                Some(Request::SessionBind { forwarded: bound }) => {
                    forwarded |= bound;
                    Response::Success.encode()
                }
                Some(Request::Identities) if !forwarded => {
                    Response::Identity { key: &self.certificate, comment: "tapgate session" }.encode()
                }
                Some(Request::Sign { key, data }) if !forwarded => match self.sign(key, data).await? {
                    Some(signature) => Response::Signature(&signature).encode(),
                    None => Response::Failure.encode(),
                },
                _ => Response::Failure.encode(),
            };
            let answer = answer.ok_or_else(|| Failure::new("the certificate is too large for ssh"))?;
            stream.write_all(&answer).await.act(|| "ssh does not read from its agent".to_owned())?;
        }
        Ok(())
    }

    /// Signs the login that this socket was made for. `None`: it is another one.
    async fn sign(&self, key: &[u8], data: &[u8]) -> Result<Option<Vec<u8>>> {
        let ours = key == self.certificate.as_slice()
            && UserAuth::parse(data).is_some_and(|auth| auth.key == key && auth.user == self.user);
        let left = self
            .signatures_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| if ours { left.checked_sub(1) } else { None });
        if left.is_err() {
            return Ok(None);
        }
        self.signer.sign(data).await.map(Some)
    }
}

const CERTIFICATE: &str = "session-cert.pub";

async fn read(stream: &mut UnixStream) -> Result<Option<Vec<u8>>> {
    let mut len = [0; 4];
    // An end between two messages is how ssh says goodbye.
    if stream.read_exact(&mut len).await.is_err() {
        return Ok(None);
    }
    let len = usize::try_from(u32::from_be_bytes(len)).act(|| "the message is too large".to_owned())?;
    if len > SSH_AGENT_MESSAGE_BYTES_MAX {
        return Err(Failure::new("the message to the ssh agent is too large"));
    }
    let mut message = vec![0; len];
    stream.read_exact(&mut message).await.act(|| "the message to the ssh agent is cut off".to_owned())?;
    Ok(Some(message))
}
