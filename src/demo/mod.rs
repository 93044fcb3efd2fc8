//! `tapgate demo`: a whole gate with users and targets on this machine, without a server to install.

mod database;
mod narrate;
mod script;
mod setup;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use setup::Demo;

/// How to run the demo.
#[derive(Args)]
#[command(after_help = "Examples:\n  tapgate demo\n  tapgate demo --script\n  tapgate demo --port 4443")]
pub(crate) struct Options {
    /// Play the whole story without a person, and end.
    #[arg(long)]
    script: bool,
    /// The port on localhost; the script takes a free one.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Keep everything in this new directory instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The port that the demo takes when none is asked for.
const PORT: u16 = 3080;

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let port = options.port.or(if options.script { None } else { Some(PORT) });
    let demo = Demo::set_up(options.dir, port).await?;
    let played = if options.script {
        script::play(&demo).await
    } else {
        demo.greet();
        tokio::signal::ctrl_c().await.map_err(Into::into)
    };
    demo.stop().await;
    played.map(|()| ExitCode::SUCCESS)
}
