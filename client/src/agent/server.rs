//! The agent's process: a socket for its own user only, memory that is not swapped, an end in sight.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{Resource, setrlimit};
use tapgate_model::{Clock, SystemClock};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

use super::Keep;
use super::wire::{Answer, Ask, receive, send};
use crate::error::{Act as _, Failure, Result};
use crate::limits::{AGENT_ANSWER_WAIT, AGENT_FIRST_WAIT};

/// What the agent writes when its socket is there.
pub const READY: &[u8; 6] = b"ready\n";

/// The agent's socket, held by this process alone.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    // Held to the end: it says that the socket beside it is in use.
    _lock: File,
}

impl Socket {
    /// Takes the socket at this path; `None` where another agent serves it. The folder must be
    /// private already.
    pub fn bind(path: &Path) -> Result<Option<Self>> {
        let act = || format!("{} cannot be served", path.display());
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.with_extension("lock"))
            .act(act)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(error) => return Err(Failure::new(format!("{}: {error}", act()))),
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::new(format!("{}: {error}", act())));
            }
            _ => {}
        }
        let listener = UnixListener::bind(path).act(act)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).act(act)?;
        Ok(Some(Self { listener, path: path.to_owned(), _lock: lock }))
    }

    /// Serves until the last window ends, or until it is told to forget everything.
    pub async fn serve(self) -> Result<()> {
        let (keep, changed) = (Rc::new(RefCell::new(Keep::default())), Rc::new(Notify::new()));
        LocalSet::new().run_until(self.accept(&keep, &changed)).await
    }

    async fn accept(&self, keep: &Rc<RefCell<Keep>>, changed: &Rc<Notify>) -> Result<()> {
        let mut end = Instant::now() + AGENT_FIRST_WAIT;
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    let (stream, _) = accepted.act(|| "the agent's socket has failed".to_owned())?;
                    let (keep, changed) = (Rc::clone(keep), Rc::clone(changed));
                    tokio::task::spawn_local(async move {
                        // A client that misbehaves loses its connection; the agent goes on.
                        serve_one(stream, &keep, &changed).await.ok();
                    });
                }
                () = changed.notified() => {
                    let now = SystemClock.now();
                    let last = keep.borrow().last_end();
                    let Some(last) = last else { return Ok(()) };
                    end = Instant::now() + last.since(now);
                }
                () = sleep_until(end) => {
                    let now = SystemClock.now();
                    keep.borrow_mut().sweep(now);
                    let Some(last) = keep.borrow().last_end() else { return Ok(()) };
                    end = Instant::now() + last.since(now).max(Duration::from_secs(1));
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The next agent removes what is left behind, so a failure here is none.
        std::fs::remove_file(&self.path).ok();
    }
}

async fn serve_one(mut stream: UnixStream, keep: &RefCell<Keep>, changed: &Notify) -> Result<()> {
    let peer = stream.peer_cred().act(|| "the peer cannot be told".to_owned())?;
    if peer.uid() != nix::unistd::geteuid().as_raw() {
        return Err(Failure::new("the peer is another user"));
    }
    while let Some(ask) = receive::<Ask>(&mut stream).await? {
        let puts = matches!(ask, Ask::Put { .. });
        let answer = keep.borrow_mut().answer(ask, SystemClock.now());
        let is_change = matches!(answer, Answer::Cleared) || (puts && matches!(answer, Answer::Window { .. }));
        let written = tokio::time::timeout(AGENT_ANSWER_WAIT, send::<Answer>(&mut stream, &answer)).await;
        if is_change {
            lock_memory();
            changed.notify_one();
        }
        written.map_err(|_| Failure::new("the peer does not read"))??;
    }
    Ok(())
}

/// The agent's whole life: `tap agent SOCKET`.
pub async fn run(socket: &Path) -> Result<()> {
    harden();
    let bound = Socket::bind(socket)?;
    let mut output = std::io::stdout();
    output.write_all(READY).and_then(|()| output.flush()).act(|| "tap is not there any more".to_owned())?;
    match bound {
        Some(bound) => bound.serve().await,
        None => Ok(()),
    }
}

/// Leaves the terminal's session and keeps the keys out of swap and core files.
fn harden() {
    // Each of these is best effort: a system that refuses one still has the others.
    nix::unistd::setsid().ok();
    nix::sys::prctl::set_dumpable(false).ok();
    setrlimit(Resource::RLIMIT_CORE, 0, 0).ok();
    lock_memory();
}

/// Locks the pages that are in use now. Not the future ones: under a small `RLIMIT_MEMLOCK` an
/// allocation would then fail, which ends the process. So it is called again when a key came in.
fn lock_memory() {
    mlockall(MlockAllFlags::MCL_CURRENT).ok();
}
