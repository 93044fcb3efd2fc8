//! `tapgate keys`: private keys for nodes that do not trust the gate's authority. They go in and never come out.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Subcommand;
use serde::Serialize;
use tapgate_authority::Authority;
use tapgate_model::ObjectName;
use tapgate_ssh::StoredKey;
use zeroize::Zeroizing;

use crate::limits::KEY_FILE_MAX;
use crate::{run, start};

/// What is to be done with stored keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make an Ed25519 key, and print its line for `authorized_keys`.
    #[command(after_help = "Example:\n  tapgate keys make --config tapgate.yaml legacy-switches")]
    Make(One),
    /// Take in a private key from a file, and print its line for `authorized_keys`.
    #[command(after_help = "Example:\n  tapgate keys import --config tapgate.yaml legacy-switches ./id_rsa")]
    Import {
        #[command(flatten)]
        one: One,
        /// The private key, without a passphrase; - is standard input.
        file: PathBuf,
    },
    /// Print the keys' names and public lines.
    #[command(after_help = "Example:\n  tapgate keys ls --config tapgate.yaml --format json")]
    Ls {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/tapgate/tapgate.yaml")]
        config: PathBuf,
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Forget a key. Sessions that it opened go on.
    #[command(after_help = "Example:\n  tapgate keys rm --config tapgate.yaml legacy-switches")]
    Rm(One),
}

/// One key.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/tapgate/tapgate.yaml")]
    config: PathBuf,
    /// The key's name, as nodes call it in `spec.ssh.key`.
    name: ObjectName,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A line each, for people.
    Text,
    /// One list, for programs.
    Json,
}

/// A key as it is listed.
#[derive(Serialize)]
struct Listed {
    name: String,
    public_key: String,
}

/// Runs the command. The gate may be running: it reads a key when it needs it.
pub(crate) fn run(command: &Keys) -> Result<()> {
    match command {
        Keys::Make(one) => add(one, &StoredKey::generate()?),
        Keys::Import { one, file } => {
            let key = StoredKey::parse(&read(file)?).with_context(|| format!("can't take {}", file.display()))?;
            add(one, &key)
        }
        Keys::Ls { config, format } => list(config, *format),
        Keys::Rm(one) => {
            ensure!(authority(&one.config)?.remove_node_key(&one.name)?, "there is no key \"{}\"", one.name);
            println!("key \"{}\" has been removed", one.name);
            Ok(())
        }
    }
}

fn authority(config: &Path) -> Result<Authority> {
    start::authority_at_rest(&run::load(config)?)
}

fn add(one: &One, key: &StoredKey) -> Result<()> {
    if !authority(&one.config)?.put_node_key(&one.name, &key.to_text()?)? {
        bail!("there is a key \"{}\" already (remove it first: tapgate keys rm)", one.name);
    }
    println!("{}", key.public_line(one.name.as_str())?);
    Ok(())
}

fn list(config: &Path, format: Format) -> Result<()> {
    let authority = authority(config)?;
    let mut all = Vec::new();
    for name in authority.node_keys()? {
        // One that was removed meanwhile is none.
        let Some(text) = authority.node_key(&name)? else { continue };
        let public_key = StoredKey::parse(&text)?.public_line(name.as_str())?;
        all.push(Listed { name: name.to_string(), public_key });
    }
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&all)?),
        Format::Text => all.iter().for_each(|key| println!("{}", key.public_key)),
    }
    Ok(())
}

fn read(file: &Path) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let unreadable = || format!("can't read {}", file.display());
    let read = if file.as_os_str() == "-" {
        std::io::stdin().take(KEY_FILE_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).with_context(unreadable)?.take(KEY_FILE_MAX).read_to_string(&mut text)
    };
    read.with_context(unreadable)?;
    Ok(text)
}
