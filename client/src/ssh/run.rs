//! One `tap ssh` or `tap scp`: certificates first, then OpenSSH as a child whose exit status is passed on.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tapgate_model::Kind;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Context;
use crate::error::{Act as _, Failure, Result};
use crate::session::{Access, open};
use crate::ssh::agent_socket::AgentSocket;
use crate::ssh::destination::Destination;
use crate::ssh::options::{Identity, Invocation, Job};

/// Opens the session and runs the job; its exit status, as a shell would give it.
pub async fn run(context: &Context, destination: &Destination, job: &Job, forward: bool) -> Result<u8> {
    let forward = if forward { Some(own_agent()?) } else { None };
    let access = open(context, Kind::Node, &destination.target, &destination.as_login()).await?;
    let files = context.login_files();
    let program = std::env::current_exe().act(|| "the path of tap cannot be told".to_owned())?;
    let start = |identity| -> Result<Child> {
        let invocation = Invocation {
            program: &program,
            gate: &context.profile.gate,
            destination,
            known_hosts: &files.known_hosts,
            identity,
            forward: forward.clone(),
            job,
        };
        Command::new(job.program())
            .args(invocation.arguments()?)
            .kill_on_drop(true)
            .spawn()
            .act(|| format!("{} cannot be started", job.program()))
            .map_err(|failure| failure.advise("install OpenSSH's client"))
    };
    match access {
        Access::Login => {
            let identity = Identity::Login { key: &files.ssh_key, certificate: &files.ssh_certificate };
            wait(start(identity)?).await
        }
        Access::Window { certificates, signer } => {
            let ssh_certificate = &certificates.ssh_certificate;
            let mut agent = AgentSocket::new(&context.home, ssh_certificate, destination.ssh_user(), signer)?;
            let (socket, certificate) = (agent.socket(), agent.certificate());
            let child = start(Identity::Session { certificate: &certificate, socket: &socket })?;
            tokio::select! {
                code = wait(child) => code,
                failed = agent.serve() => failed.map(|()| 1),
            }
        }
    }
}

/// Waits for `ssh`. A key on the terminal reaches both of us, and is for `ssh` to answer; what
/// was sent to us alone is passed on.
async fn wait(mut child: Child) -> Result<u8> {
    let act = || "signals cannot be awaited".to_owned();
    let mut terminate = signal(SignalKind::terminate()).act(act)?;
    let mut hangup = signal(SignalKind::hangup()).act(act)?;
    let mut interrupt = signal(SignalKind::interrupt()).act(act)?;
    let mut quit = signal(SignalKind::quit()).act(act)?;
    loop {
        let pass = tokio::select! {
            status = child.wait() => return Ok(code(status.act(|| "ssh cannot be awaited".to_owned())?)),
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
fn code(status: ExitStatus) -> u8 {
    let shell = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    shell.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The user's own agent, for `-A`.
fn own_agent() -> Result<PathBuf> {
    let own = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
    own.filter(|path| path.is_absolute())
        .ok_or_else(|| Failure::new("there is no agent to forward").advise("start ssh-agent, or leave out -A"))
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
