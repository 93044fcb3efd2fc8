//! `tap desktop connect`: a viewer of this machine at a socket or a port that is gone with it.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tapgate_model::{DesktopProtocol, LoginName, TargetName};
use tokio::io::AsyncWriteExt as _;

use super::front::Front;
use super::one;
use super::viewer::{Aim, Viewer};
use crate::child;
use crate::cli::Context;
use crate::error::{Act as _, Result};
use crate::proxy::listen::{Listener, Place};
use crate::proxy::secret::Secret;

/// Which desktop, as whom, and what to tell the viewer.
#[derive(Debug, clap::Args)]
pub struct Connect {
    /// The desktop, as in tap desktop ls
    #[arg(value_name = "DESKTOP")]
    pub desktop: TargetName,
    /// Who to become there; may be left out where your roles allow one alone
    #[arg(long, value_name = "LOGIN")]
    pub login: Option<LoginName>,
    /// What xfreerdp or vncviewer is told, behind --
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub arguments: Vec<String>,
}

/// Opens the viewer; its exit status.
pub async fn run(context: Context, connect: Connect) -> Result<u8> {
    context.user()?;
    let desktop = one(&context, &connect.desktop).await?;
    // Before the tap: nobody taps for a viewer that is not there.
    let viewer = Viewer::find(desktop.speaks()?)?;
    let login = desktop.login(connect.login.as_ref())?;
    let folder = tempfile::Builder::new()
        .prefix("desktop-")
        .permissions(PermissionsExt::from_mode(0o700))
        .tempdir_in(context.home.run()?)
        .act(|| "a folder for the socket cannot be made".to_owned())?;
    let at_port = desktop.speaks()? == DesktopProtocol::Rdp && !desktop.is_opaque();
    let secret = if at_port { Some(Secret::generate()?) } else { None };
    let front = Arc::new(Front::new(context, &desktop, login.clone(), secret)?);
    front.prepare().await?;
    let path = folder.path().join("s");
    let place = if at_port { Place::Port(0) } else { Place::Socket(path.clone()) };
    let listener = Listener::bind(&place).await?;
    let aim = listener.address().map_or(Aim::Socket(&path), Aim::Port);
    let mut command = viewer.command(aim, &login, &connect.arguments);
    let act = || format!("{} cannot be started", viewer.name());
    let mut child = command.spawn().act(act)?;
    if let (Some(mut input), Some(secret)) = (child.stdin.take(), front.secret()) {
        input.write_all(secret.reveal().as_bytes()).await.act(act)?;
        input.write_all(b"\n").await.act(act)?;
    }
    tokio::select! {
        code = child::wait(child) => code,
        failed = front.serve(&listener) => failed.map(|()| 1),
    }
}
