//! `tapgate`: the gate's command line.

mod accept;
mod acme;
mod admin;
mod bench;
mod care;
mod certificate;
mod demo;
mod doors;
mod handover;
mod handshakes;
mod keys;
mod limits;
mod notify;
mod outward;
mod plain;
mod proxied;
mod reload;
mod run;
mod running;
mod shelf;
mod sniff;
mod sockets;
mod start;
#[cfg(feature = "s3")]
mod store;
mod tls;
mod traces;
mod vault;
mod web;
mod witness;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// A protocol-aware reverse proxy that opens a session only for somebody who has just tapped.
#[derive(Parser)]
#[command(name = "tapgate", version, after_help = "Example:\n  tapgate start --config /etc/tapgate/tapgate.yaml")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gate.
    #[command(after_help = "Example:\n  tapgate start --config /etc/tapgate/tapgate.yaml")]
    Start {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/tapgate/tapgate.yaml")]
        config: PathBuf,
        /// A running gate has started this one to take over; its sockets and standard input are that gate's.
        #[arg(long, hide = true)]
        heir: bool,
    },
    /// Read the configuration and the resource files and print every error in them.
    #[command(after_help = "Example:\n  tapgate check --config tapgate.yaml")]
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/tapgate/tapgate.yaml")]
        config: PathBuf,
    },
    /// Prepare the data directory and invite the first administrator.
    #[command(after_help = "Example:\n  tapgate init --config tapgate.yaml --admin olga")]
    Init {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/tapgate/tapgate.yaml")]
        config: PathBuf,
        /// The first administrator's user name.
        #[arg(long, value_name = "USER")]
        admin: tapgate_model::UserName,
    },
    /// Print what the targets' sshd must trust, as a file for `TrustedUserCAKeys`.
    #[command(after_help = "Example:\n  tapgate ca --config tapgate.yaml > tapgate_user_ca.pub")]
    Ca {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/tapgate/tapgate.yaml")]
        config: PathBuf,
        /// Print the host authority's certificate instead, for browsers to trust
        #[arg(long)]
        browsers: bool,
        /// Print the authority of the gate's TLS client certificates instead, for databases to trust
        #[arg(long, conflicts_with = "browsers")]
        databases: bool,
    },
    /// Keep private keys for nodes that do not trust the gate's authority (`spec.ssh.key`).
    #[command(subcommand, after_help = "Example:\n  tapgate keys make --config tapgate.yaml legacy-switches")]
    Keys(keys::Keys),
    #[command(flatten)]
    Care(care::Care),
    /// Open sessions through a running gate at a steady rate, and tell what they took (by `tap`, as a user of that gate).
    #[command(
        disable_help_flag = true,
        after_help = "Example:\n  tapgate bench --protocol ssh --targets dev1 --rate 50 --duration 1m"
    )]
    Bench {
        /// What `tap bench` takes; `--help` shows it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
        words: Vec<std::ffi::OsString>,
    },
    /// Run a gate with demo users and targets on this machine.
    #[command(after_help = "Examples:\n  tapgate demo\n  tapgate demo --script")]
    Demo(demo::Options),
    /// Write the manual pages into a folder.
    #[command(hide = true, after_help = "Example:\n  tapgate manual /tmp/man")]
    Manual {
        /// The folder.
        folder: PathBuf,
    },
    /// Print the version.
    #[command(after_help = "Example:\n  tapgate version")]
    Version,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Command::Manual { folder } = &arguments.command {
        return manual(folder);
    }
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("ERROR: another TLS provider was installed before the gate's own (this is a bug)");
        return ExitCode::FAILURE;
    }
    if let Err(error) = tls::assert_fips() {
        eprintln!("ERROR: {error}");
        return ExitCode::FAILURE;
    }
    match run::run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ERROR: {}", words::words(&error));
            ExitCode::FAILURE
        }
    }
}

/// Writes the manual pages of the gate's commands.
fn manual(folder: &Path) -> ExitCode {
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Arguments::command(), folder));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ERROR: the manual pages can't be written to {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
