//! Where a local proxy listens: a socket that its owner alone can open, or a port of loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::error::{Act as _, Failure, Result};
use crate::profile::{Home, socket_path};

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A Unix socket, mode 0600.
    Socket(PathBuf),
    /// A port of 127.0.0.1; 0 for any. Every user of this machine can connect there.
    Port(u16),
}

impl Place {
    /// What the flags say; without any, a socket of this name in the client's own folder.
    pub fn chosen(home: &Home, name: &str, socket: Option<PathBuf>, port: Option<u16>) -> Result<Self> {
        match (socket, port) {
            (Some(path), _) => Ok(Self::Socket(std::path::absolute(path).act(|| "the path is none".to_owned())?)),
            (None, Some(port)) => Ok(Self::Port(port)),
            (None, None) => Ok(Self::Socket(home.run()?.join(format!("{name}.sock")))),
        }
    }
}

/// A place that listens; a socket goes with it.
pub struct Listener {
    inner: Inner,
}

enum Inner {
    Socket { listener: UnixListener, path: PathBuf },
    Port { listener: TcpListener, address: SocketAddr },
}

/// A connection of a local program.
pub enum Local {
    /// Over the socket, by this very user.
    Socket(UnixStream),
    /// Over loopback, by anybody on this machine.
    Port(TcpStream),
}

impl Listener {
    /// Begins to listen. A socket that was left behind is taken away; one that is served is not.
    pub async fn bind(place: &Place) -> Result<Self> {
        let inner = match place {
            Place::Socket(path) => {
                make_way(path).await?;
                let act = || format!("{} cannot be served", path.display());
                let listener = bind_private(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).act(act)?;
                Inner::Socket { listener, path: path.clone() }
            }
            Place::Port(port) => {
                let act = || format!("port {port} of 127.0.0.1 cannot be served");
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).await.act(act)?;
                let address = listener.local_addr().act(act)?;
                Inner::Port { listener, address }
            }
        };
        Ok(Self { inner })
    }

    /// The socket, where it is one.
    pub fn socket(&self) -> Option<&Path> {
        match &self.inner {
            Inner::Socket { path, .. } => Some(path),
            Inner::Port { .. } => None,
        }
    }

    /// The address, where it is a port.
    pub const fn address(&self) -> Option<SocketAddr> {
        match &self.inner {
            Inner::Socket { .. } => None,
            Inner::Port { address, .. } => Some(*address),
        }
    }

    /// The next connection. On a socket, those of other users are turned away (root can always open it).
    pub async fn accept(&self) -> Result<Local> {
        let act = || "the proxy's place has failed".to_owned();
        loop {
            match &self.inner {
                Inner::Port { listener, .. } => {
                    let (stream, _) = listener.accept().await.act(act)?;
                    stream.set_nodelay(true).ok();
                    return Ok(Local::Port(stream));
                }
                Inner::Socket { listener, .. } => {
                    let (stream, _) = listener.accept().await.act(act)?;
                    let own = nix::unistd::geteuid().as_raw();
                    if stream.peer_cred().is_ok_and(|peer| peer.uid() == own) {
                        return Ok(Local::Socket(stream));
                    }
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Inner::Socket { path, .. } = &self.inner {
            // Another one removes what is left behind, so a failure here is none.
            std::fs::remove_file(path).ok();
        }
    }
}

/// Binds the socket so that there is no moment at which another user could open it.
fn bind_private(path: &Path) -> Result<UnixListener> {
    let act = || format!("{} cannot be served", path.display());
    socket_path(path)?;
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(path);
    nix::sys::stat::umask(mask);
    bound.act(act)
}

/// Takes a socket away that nobody serves.
async fn make_way(path: &Path) -> Result<()> {
    let Ok(there) = std::fs::symlink_metadata(path) else { return Ok(()) };
    // A file refuses connections just as a socket does that nobody serves.
    if !there.file_type().is_socket() {
        return Err(
            Failure::new(format!("{} is there, and is no socket", path.display())).advise("name another with --socket")
        );
    }
    match UnixStream::connect(path).await {
        Ok(_) => {
            Err(Failure::new(format!("{} is served already", path.display())).advise("name another with --socket"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).act(|| format!("{} is in the way", path.display()))
        }
        Err(_) => Err(Failure::new(format!("{} is no socket that was left behind", path.display()))
            .advise("name another with --socket")),
    }
}

impl AsyncRead for Local {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Port(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Local {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Port(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_flush(cx),
            Self::Port(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Socket(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Port(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_its_owners_and_goes_with_its_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let place = Place::Socket(path.clone());
        let listener = Listener::bind(&place).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Listener::bind(&place).await.is_err(), "a socket that is served was taken away");
        let client = UnixStream::connect(&path).await.unwrap();
        assert!(matches!(listener.accept().await.unwrap(), Local::Socket(_)));
        drop((client, listener));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_was_left_behind_is_taken_away_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        Listener::bind(&Place::Socket(path)).await.unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(Listener::bind(&Place::Socket(file.clone())).await.is_err());
        assert_eq!(std::fs::read_to_string(file).unwrap(), "x");
    }
}
