//! The user's command.

use std::process::ExitCode;

use tapgate_client::cli::{block_on, parse, tap};

fn main() -> ExitCode {
    tapgate_client::tls::install_provider();
    match parse() {
        Ok(args) => block_on(tap::run(args)),
        Err(code) => code,
    }
}
