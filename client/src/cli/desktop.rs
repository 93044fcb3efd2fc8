//! `tap desktop`: listing desktops and opening one.

use clap::Subcommand;

use super::{Context, output};
use crate::desktop::connect::{self, Connect};
use crate::desktop::{Desktop, all};
use crate::error::Result;

/// The commands of `tap desktop`.
#[derive(Debug, Subcommand)]
pub enum Desktops {
    /// List the desktops that you may open
    #[command(after_help = "Example:\n  tap desktop ls --format json")]
    Ls,
    /// Open a desktop with xfreerdp or TigerVNC's viewer
    #[command(
        after_help = "Examples:\n  tap desktop connect win1 --login ann\n  tap desktop connect win1 --login ann -- /size:1280x800 +clipboard"
    )]
    Connect(Connect),
}

/// Runs one of them.
pub async fn run(context: Context, command: Desktops) -> Result<u8> {
    match command {
        Desktops::Ls => list(&context).await.map(|()| 0),
        Desktops::Connect(connect) => connect::run(context, connect).await,
    }
}

async fn list(context: &Context) -> Result<()> {
    let found = all(context).await?;
    output::show(context.format(), &found, |found| rows(found))
}

fn rows(desktops: &[Desktop]) -> String {
    let row = |desktop: &Desktop| {
        let labels: Vec<_> = desktop.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        vec![
            desktop.name.to_string(),
            desktop.description.clone(),
            desktop.protocol.clone(),
            desktop.logins.join(","),
            labels.join(","),
            if desktop.mfa_required { "required" } else { "" }.to_owned(),
        ]
    };
    let rows: Vec<_> = desktops.iter().map(row).collect();
    output::headed(&["Name", "Description", "Protocol", "Allowed Logins", "Labels", "MFA"], &rows)
}
