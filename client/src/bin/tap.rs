//! The user's command.

use std::process::ExitCode;

use clap::Parser as _;
use tapgate_client::cli::{block_on, tap};

fn main() -> ExitCode {
    tapgate_client::tls::install_provider();
    block_on(tap::run(tap::Tap::parse()))
}
