//! One `tap ssh` or `tap scp`: certificates first, then OpenSSH as a child whose exit status is passed on.

use std::path::PathBuf;

use tapgate_model::Kind;
use tokio::process::{Child, Command};

use crate::child::wait;
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

/// The user's own agent, for `-A`.
fn own_agent() -> Result<PathBuf> {
    let own = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
    own.filter(|path| path.is_absolute())
        .ok_or_else(|| Failure::new("there is no agent to forward").advise("start ssh-agent, or leave out -A"))
}
