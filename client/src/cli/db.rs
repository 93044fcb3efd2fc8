//! `tap db`: listing databases, connecting to one, running a statement in many.

use clap::Subcommand;

use super::{Context, output};
use crate::db::connect::{self, Connect};
use crate::db::exec::{self, Exec};
use crate::db::find::{Database, all};
use crate::db::select::Selection;
use crate::error::Result;

/// The commands of `tap db`.
#[derive(Debug, Subcommand)]
pub enum Db {
    /// List the databases that you may open
    #[command(after_help = "Examples:\n  tap db ls\n  tap db ls --labels env=prod --format json")]
    Ls(Selection),
    /// Open a database with psql or mariadb
    #[command(
        after_help = "Examples:\n  tap db connect orders --db-user app --db-name shop\n  tap db connect orders --db-user app -- -c 'select 1'"
    )]
    Connect(Connect),
    /// Run a statement in several databases, with one tap for all of them
    #[command(
        after_help = "Examples:\n  tap db exec \"select 1\" --labels env=prod --db-user app --output-dir=logs\n  tap db exec \"select 1\" --dbs orders,stock --db-user app --yes"
    )]
    Exec(Exec),
}

/// Runs one of them.
pub async fn run(context: Context, command: Db) -> Result<u8> {
    match command {
        Db::Ls(selection) => list(&context, &selection).await.map(|()| 0),
        Db::Connect(connect) => connect::run(context, connect).await,
        Db::Exec(exec) => exec::run(context, exec).await,
    }
}

async fn list(context: &Context, selection: &Selection) -> Result<()> {
    let found = selection.of(all(context).await?);
    output::show(context.format(), &found, |found| rows(found))
}

fn rows(databases: &[Database]) -> String {
    let row = |database: &Database| {
        vec![
            database.name.to_string(),
            database.description.clone(),
            database.protocol.as_str().to_owned(),
            database.users.join(","),
            database.labels_text(),
            if database.mfa_required { "required" } else { "" }.to_owned(),
        ]
    };
    let rows: Vec<_> = databases.iter().map(row).collect();
    output::headed(&["Name", "Description", "Protocol", "Allowed Users", "Labels", "MFA"], &rows)
}
