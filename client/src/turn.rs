//! Turns: what only one command of a user's may do at a time, and the others after it.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::{Act as _, Failure, Result};
use crate::limits::{TURN_LOOK, TURN_TOLD};

/// Locks this file, which is the turn until it is dropped or unlocked; the system gives it back where the process dies.
/// `busy` says what another command is at, for whoever waits and for whoever has waited too long.
pub async fn turn(path: &Path, at_most: Duration, busy: &str) -> Result<File> {
    let act = || format!("{} cannot be locked", path.display());
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path).act(act)?;
    let start = Instant::now();
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error).act(act),
            Err(TryLockError::WouldBlock) if start.elapsed() >= at_most => {
                return Err(Failure::new(busy).advise("answer that one, or end it"));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if start.elapsed() >= TURN_TOLD && !std::mem::replace(&mut told, true) {
            eprintln!("Waiting: {busy}");
        }
        sleep(TURN_LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tap.lock");
        let soon = Duration::from_mins(1);
        let first = turn(&path, soon, "another taps").await.unwrap();
        let late = turn(&path, Duration::ZERO, "another taps").await.unwrap_err();
        assert_eq!(late.to_string(), "another taps (answer that one, or end it)");
        let next = turn(&path, soon, "another taps");
        tokio::pin!(next);
        assert!(tokio::time::timeout(TURN_LOOK * 2, &mut next).await.is_err());
        drop(first);
        next.await.unwrap();
    }
}
