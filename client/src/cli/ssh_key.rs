//! `tap ssh-key`: the SSH keys with which a user logs in at the gate, each vouched for by a tap.

use std::path::PathBuf;

use clap::Subcommand;
use tapgate_api::{DeviceAction, SshKeyCertificate, SshKeyCertify, SshKeyEntry, SshKeyList, path};
use tapgate_model::UnixTime;
use tapgate_proof::{SshKey, SshRegistration};

use super::mfa::{change, show};
use super::{Context, output};
use crate::ceremony::Deed;
use crate::error::{Act as _, Failure, Result, printable};
use crate::limits::SSH_PUBLIC_KEY_MAX;

/// What can be done with SSH keys.
#[derive(Debug, Subcommand)]
pub enum SshKeys {
    /// Register an SSH key: plain `ssh` logs in with it from then on, after a tap of your security key now
    #[command(
        after_help = "Examples:\n  tap ssh-key add ~/.ssh/id_ed25519_sk.pub\n  tap ssh-key add ~/.ssh/id_ed25519.pub --name laptop"
    )]
    Add {
        /// The key's .pub file
        file: PathBuf,
        /// What you call it; the key's comment or the file's name otherwise
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// List your SSH keys
    #[command(after_help = "Example:\n  tap ssh-key ls --format json")]
    Ls,
    /// Print a login certificate over one of your security keys, as long as your login
    #[command(after_help = "Example:\n  tap ssh-key certify yubi > ~/.ssh/id_ed25519_sk-cert.pub")]
    Certify {
        /// The key's name
        name: String,
    },
    /// Remove an SSH key; sessions that it opened end at once
    #[command(after_help = "Example:\n  tap ssh-key rm laptop")]
    Rm {
        /// Its name
        name: String,
    },
}

/// Runs the command.
pub async fn run(context: &Context, command: SshKeys) -> Result<()> {
    match command {
        SshKeys::Add { file, name } => add(context, file, name).await,
        SshKeys::Ls => list(context).await,
        SshKeys::Certify { name } => {
            let wanted = SshKeyCertify { name };
            let given: SshKeyCertificate = context.with_login()?.post(path::SSH_KEY_CERTIFY, &wanted).await?;
            output::show(context.format(), &given, |given| format!("{}\n", given.certificate.trim()))
        }
        SshKeys::Rm { name } => show(context, &change(context, &DeviceAction::RemoveSshKey { name }, None).await?),
    }
}

async fn add(context: &Context, file: PathBuf, name: Option<String>) -> Result<()> {
    let text = tokio::fs::read_to_string(&file).await.act(|| format!("{} cannot be read", file.display()))?;
    if text.len() > SSH_PUBLIC_KEY_MAX || text.contains("PRIVATE KEY") {
        return Err(Failure::new(format!("{} is no public key", file.display())).advise("give the .pub file"));
    }
    let key: SshKey = text.parse().act(|| format!("{} cannot be registered", file.display()))?;
    let comment = text.split_ascii_whitespace().skip(2).collect::<Vec<_>>().join(" ");
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.unwrap_or(if comment.is_empty() { stem } else { comment });
    // The tap signs the key itself, put together here, so that no gate can put another in its place.
    let deed = Deed::AddDevice(SshRegistration::digest_of(context.user()?, &key));
    eprintln!("The key is {}", key.fingerprint());
    let action = DeviceAction::AddSshKey { name, key: key.to_string() };
    show(context, &change(context, &action, Some(deed)).await?)
}

async fn list(context: &Context) -> Result<()> {
    let keys: SshKeyList = context.with_login()?.get(path::SSH_KEYS, &[]).await?;
    output::show(context.format(), &keys, |keys| {
        let row = |key: &SshKeyEntry| {
            let kind = if key.touched { "security key (its touch is a tap)" } else { "file" };
            let added = UnixTime::from_secs(key.added).to_string();
            [&key.name, &key.algorithm, &key.fingerprint, kind, &added].map(printable).to_vec()
        };
        output::table(&keys.keys.iter().map(row).collect::<Vec<_>>())
    })
}
