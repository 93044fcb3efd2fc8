//! `tap db connect`: the database's own client at a socket that is gone with it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapgate_model::{LoginName, TargetName};

use super::find::one;
use super::front::Front;
use super::program::{Aim, Program};
use crate::child;
use crate::cli::Context;
use crate::error::{Act as _, Result};
use crate::profile::Home;
use crate::proxy::listen::{Listener, Place};

/// A folder that only its owner can enter, and that is removed at the end.
pub(super) fn folder(home: &Home) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("db-")
        .permissions(PermissionsExt::from_mode(0o700))
        .tempdir_in(home.run()?)
        .act(|| "a folder for the socket cannot be made".to_owned())
}

/// A socket of this protocol in a folder.
pub(super) async fn socket(folder: &Path, name: &str) -> Result<(Listener, PathBuf)> {
    let path = folder.join(name);
    Ok((Listener::bind(&Place::Socket(path.clone())).await?, path))
}

/// Who to be in which database, and what to tell the client.
#[derive(Debug, clap::Args)]
pub struct Connect {
    /// The database, as in tap db ls
    #[arg(value_name = "DB")]
    pub db: TargetName,
    /// The database user; may be left out where your roles allow one alone
    #[arg(long, value_name = "USER")]
    pub db_user: Option<LoginName>,
    /// The name of the database within the server
    #[arg(long, value_name = "NAME")]
    pub db_name: Option<String>,
    /// What psql or mariadb is told, behind --
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub arguments: Vec<String>,
}

/// Connects; the client's exit status. The session key is in this process or in the agent, never in a file.
pub async fn run(context: Context, connect: Connect) -> Result<u8> {
    context.user()?;
    let database = one(&context, &connect.db).await?;
    // Before the tap: nobody taps for a client that is not there.
    let program = Program::find(database.protocol)?;
    let user = database.user(connect.db_user.as_ref(), "--db-user")?;
    let folder = folder(&context.home)?;
    let protocol = database.protocol;
    let name = match protocol {
        // Named to the front too, so that the tap can be asked for before the client starts.
        super::find::Protocol::Postgres => Some(connect.db_name.clone().unwrap_or_else(|| user.to_string())),
        super::find::Protocol::Mysql => connect.db_name.clone(),
    };
    let front = Arc::new(Front::new(Arc::new(context), database, Some(user.clone()), name.clone()));
    front.prepare().await?;
    let (listener, path) = socket(folder.path(), protocol.socket_name()).await?;
    let aim = Aim { socket: &path, user: &user, database: name.as_deref() };
    let mut command = program.command(&aim);
    let child = command.args(&connect.arguments).spawn().act(|| format!("{} cannot be started", program.name()))?;
    tokio::select! {
        code = child::wait(child) => code,
        failed = front.serve(&listener) => failed.map(|()| 1),
    }
}
