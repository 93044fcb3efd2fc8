//! A program that was started for the person at the terminal: its signals and its exit status.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Act as _, Result};

/// Waits for a child. A key on the terminal reaches both of us, and is for the child to answer; what
/// was sent to us alone is passed on.
pub async fn wait(mut child: Child) -> Result<u8> {
    let act = || "signals cannot be awaited".to_owned();
    let mut terminate = signal(SignalKind::terminate()).act(act)?;
    let mut hangup = signal(SignalKind::hangup()).act(act)?;
    let mut interrupt = signal(SignalKind::interrupt()).act(act)?;
    let mut quit = signal(SignalKind::quit()).act(act)?;
    loop {
        let pass = tokio::select! {
            status = child.wait() => return Ok(code(status.act(|| "the program cannot be awaited".to_owned())?)),
            _ = terminate.recv() => Some(Signal::SIGTERM),
            _ = hangup.recv() => Some(Signal::SIGHUP),
            _ = interrupt.recv() => None,
            _ = quit.recv() => None,
        };
        if let (Some(pass), Some(pid)) = (pass, child.id().and_then(|id| i32::try_from(id).ok())) {
            // It may have ended already, which the next turn sees.
            kill(Pid::from_raw(pid), pass).ok();
        }
    }
}

/// What a shell says of a child: its code, or 128 and the signal.
pub fn code(status: ExitStatus) -> u8 {
    let shell = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    shell.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        assert_eq!(code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code(ExitStatus::from_raw(255 << 8)), 255);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
    }
}
