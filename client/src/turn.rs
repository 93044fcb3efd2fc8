//! One tap at a time: of two that a key signs at once the later may reach the gate first, and the earlier then looks
//! like a copied key's, whose counter lags behind.

use std::fs::{File, OpenOptions, TryLockError};

use tapgate_model::{Clock as _, SystemClock, UnixTime};
use tokio::time::sleep;

use crate::error::{Act as _, Failure, Result};
use crate::limits::TURN_LOOK;
use crate::profile::Home;

/// The right to ask for a tap, until this is dropped. The system gives it back where the process dies.
#[derive(Debug)]
pub struct Turn {
    _file: File,
}

impl Turn {
    /// Waits for the taps of this user's other commands, at most until this one's ceremony is over.
    pub async fn wait(home: &Home, expires: UnixTime) -> Result<Self> {
        let path = home.run()?.join("tap.lock");
        let act = || format!("{} cannot be locked", path.display());
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).act(act)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(error)) => return Err(error).act(act),
                Err(TryLockError::WouldBlock) if SystemClock.now() >= expires => {
                    return Err(Failure::new("another command has asked for a tap all this while")
                        .advise("answer it or end it, and start again"));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if !std::mem::replace(&mut told, true) {
                eprintln!("Another command asks for a tap; this one follows it");
            }
            sleep(TURN_LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn taps_follow_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().as_os_str().to_owned();
        let home = Home::find(&|name| (name == "TAP_HOME").then(|| root.clone()), &|_| true).unwrap();
        std::fs::create_dir_all(folder.path()).unwrap();
        let soon = SystemClock.now().plus(Duration::from_secs(60));
        let first = Turn::wait(&home, soon).await.unwrap();
        let late = Turn::wait(&home, SystemClock.now()).await.unwrap_err();
        assert!(late.to_string().starts_with("another command has asked for a tap all this while"), "{late}");
        let next = Turn::wait(&home, soon);
        tokio::pin!(next);
        assert!(tokio::time::timeout(TURN_LOOK * 2, &mut next).await.is_err());
        drop(first);
        next.await.unwrap();
    }
}
