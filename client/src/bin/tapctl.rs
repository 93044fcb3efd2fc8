//! The administrator's command.

use std::process::ExitCode;

use clap::Parser as _;
use tapgate_client::cli::{block_on, tapctl};

fn main() -> ExitCode {
    tapgate_client::tls::install_provider();
    block_on(tapctl::run(tapctl::Tapctl::parse()))
}
