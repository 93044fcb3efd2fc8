//! One test's own place: a temporary directory that everything it starts lives in.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, sockopt};

/// A directory that goes away with the test; kept and named when the test panics, or when `TAPGATE_LAB_KEEP`
/// is set.
#[derive(Debug)]
pub struct Lab {
    dir: Option<tempfile::TempDir>,
    path: PathBuf,
    /// What keeps the ports of this lab from being given to anybody else.
    ports: Mutex<Vec<OwnedFd>>,
}

impl Lab {
    /// A new, empty place.
    pub fn new() -> Result<Self> {
        // A short name: paths of Unix sockets below it have at most 107 bytes.
        let dir = tempfile::Builder::new().prefix("tg").tempdir().context("cannot make a temporary directory")?;
        let path = dir.path().canonicalize().context("the temporary directory has no real path")?;
        Ok(Self { dir: Some(dir), path, ports: Mutex::default() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A port on 127.0.0.1 that is this lab's until it goes, for a program that must know its port beforehand.
    ///
    /// The lab holds it bound without listening: the system gives it to nobody who asks for any port, and a
    /// server that asks for this one, with `SO_REUSEADDR` as servers do, gets it, also a second time.
    pub fn port(&self) -> Result<u16> {
        let held = socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        socket::setsockopt(&held, sockopt::ReuseAddr, &true)?;
        socket::bind(held.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
        let port = socket::getsockname::<SockaddrIn>(held.as_raw_fd())?.port();
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).push(held);
        Ok(port)
    }

    /// A directory in it, made if it is not there, for its owner only.
    pub fn dir(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&path, mode).with_context(|| format!("cannot protect {}", path.display()))?;
        Ok(path)
    }

    /// Writes a file in it; answers its path.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let keep = std::thread::panicking() || std::env::var_os("TAPGATE_LAB_KEEP").is_some();
        if let Some(dir) = self.dir.take().filter(|_| keep) {
            eprintln!("lab: kept {}", dir.keep().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_held_and_can_be_listened_on_again_and_again() {
        let lab = Lab::new().unwrap();
        let port = lab.port().unwrap();
        assert_ne!(port, lab.port().unwrap());
        for _ in 0..2 {
            let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
            assert_eq!(listener.local_addr().unwrap().port(), port);
        }
    }

    #[test]
    fn a_lab_leaves_nothing_behind() {
        let lab = Lab::new().unwrap();
        let file = lab.write("a/b.txt", "c").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "c");
        assert!(lab.dir("a").unwrap().starts_with(lab.path()));
        drop(lab);
        assert!(!file.exists());
    }
}
