//! What an operator does on the gate's machine beside running it: backup, restore, another secrets' key, and the way back
//! in for an administrator who has lost every key. None of it goes over the network, and each deed is in the audit log.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use nix::unistd::{Gid, Uid, User, setgid, setgroups, setuid};
use tapgate_audit::{Event, Sink as _};
use tapgate_authority::{CARRIED, SecretsKey, fits, reseal};
use tapgate_config::{Config, SecretsKeyPlace};
use tapgate_model::{Clock as _, SystemClock, UserName};

use crate::run;
use crate::start::{self, Opened};
use crate::vault::{self, Vault};

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Care {
    /// Copy the store into a file, while the gate runs or not.
    #[command(after_help = "Example:\n  tapgate backup --config /etc/tapgate/tapgate.yaml /backup/tapgate-monday.db")]
    Backup {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/tapgate/tapgate.yaml")]
        config: PathBuf,
        /// The file to make.
        file: PathBuf,
    },
    /// Put a copy of the store in its place. The gate must be stopped.
    #[command(after_help = "Example:\n  tapgate restore --config /etc/tapgate/tapgate.yaml /backup/tapgate-monday.db")]
    Restore {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/tapgate/tapgate.yaml")]
        config: PathBuf,
        /// The copy.
        file: PathBuf,
    },
    /// Seal the secrets in the store with another key. The gate must be stopped.
    #[command(
        after_help = "Examples:\n  tapgate rekey --config tapgate.yaml\n  tapgate rekey --to env:TAPGATE_SECRETS_KEY"
    )]
    Rekey {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/tapgate/tapgate.yaml")]
        config: PathBuf,
        /// Where the other key is: a file, which is made, env:VARIABLE or credential:NAME; without it, in the same file.
        #[arg(long, value_name = "PLACE")]
        to: Option<SecretsKeyPlace>,
    },
    /// Let an administrator who has lost every key enrol anew. The gate must be stopped.
    #[command(after_help = "Example:\n  tapgate recover --config /etc/tapgate/tapgate.yaml --admin olga")]
    Recover {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/tapgate/tapgate.yaml")]
        config: PathBuf,
        /// The administrator's user name.
        #[arg(long, value_name = "USER")]
        admin: UserName,
    },
}

/// Runs the command.
pub(crate) fn run(command: &Care) -> Result<()> {
    match command {
        Care::Backup { config, file } => backup(&run::load(config)?, file),
        Care::Restore { config, file } => restore(&run::load(config)?, file),
        Care::Rekey { config, to } => rekey(&run::load(config)?, to.as_ref()),
        Care::Recover { config, admin } => recover(config, admin),
    }
}

fn backup(config: &Config, file: &Path) -> Result<()> {
    Vault::open_at_rest(config)?.file.copy_to(file)?;
    println!("{} holds the store as it is now; its private keys are sealed.", file.display());
    println!("Keep the key {} too, and elsewhere: without it the copy can't be used.", config.secrets_key);
    Ok(())
}

fn restore(config: &Config, file: &Path) -> Result<()> {
    ensure!(file.is_file(), "there is no copy {}", file.display());
    start::make_dir(&config.data_dir)?;
    let by = owner_for(&config.data_dir)?;
    let alone = start::alone_in(&config.data_dir)?;
    let key = vault::read(&config.secrets_key).context("the copy opens with the key that sealed it alone")?;
    let suffix = format!(".before-restore-{}", SystemClock.now().as_secs());
    let restored = tapgate_store::restore(file, &vault::path(config), &CARRIED, &suffix, |copy| fits(copy, &key));
    let restored = restored.with_context(|| format!("can't restore {}", file.display()))?;
    drop(alone);
    // Opened whole before anybody relies on it; the deed goes into the log.
    let opened = start::open(config)?;
    warn(&opened, &format!("the store was replaced by the copy {} by {by}", file.display()));
    println!("The store is the one of {}.", file.display());
    if let Some(before) = restored.before {
        println!("The one before is {}: remove it when all is well.", before.display());
    }
    if !restored.carried {
        println!(
            "It could not be read, so a tap of the last five minutes may count twice: wait as long before you start."
        );
    }
    println!("What was removed since that copy counts again: look through users, keys and locks before others come.");
    Ok(())
}

fn rekey(config: &Config, to: Option<&SecretsKeyPlace>) -> Result<()> {
    let by = owner_for(&config.data_dir)?;
    // The log of this deed is written by an open authority, which has the old key; the store changes after that.
    let opened = start::open(config)?;
    let to = to.unwrap_or(&config.secrets_key);
    warn(&opened, &format!("the secrets' key is replaced by the one at {to}, by {by}"));
    drop(opened);
    let _alone = start::alone_in(&config.data_dir)?;
    let vault = Vault::open(config)?;
    let done = |count: usize| println!("{count} secrets are sealed with the key {to}.");
    if let SecretsKeyPlace::File(path) = to {
        let next = vault::next_key(path);
        let in_place = *to == config.secrets_key;
        ensure!(in_place || !path.exists(), "{} is there already (name another file)", path.display());
        ensure!(!next.exists(), "{} is there already (remove it)", next.display());
        let new = SecretsKey::of_file(&next)?;
        done(reseal(&*vault.file, &vault.secrets, &new, SystemClock.now())?);
        std::fs::rename(&next, path).with_context(|| format!("can't put {} in its place", next.display()))?;
    } else {
        let new = vault::read(to)?;
        done(reseal(&*vault.file, &vault.secrets, &new, SystemClock.now())?);
    }
    vault.file.settle_log()?;
    if *to != config.secrets_key {
        println!("Write `secrets_key: {to}` into the configuration before the gate starts, and destroy the old key.");
    }
    println!("Copies of the store that were made before open with the old key alone.");
    Ok(())
}

fn recover(path: &Path, admin: &UserName) -> Result<()> {
    let config = run::load(path)?;
    let by = owner_for(&config.data_dir)?;
    let opened = start::open(&config)?;
    let invite = opened.authority.recover(admin).context("can't let the administrator enrol anew")?;
    let what = format!("break-glass: {admin} may enrol anew without anybody's tap, by {by} on the gate's machine");
    warn(&opened, &what);
    eprintln!("WARNING: {what}. It is in the audit log.");
    run::show_invite(&config, &opened.authority, &invite);
    println!(
        "Either shows a line for first_admins in {}; add its pin to those that are there, which still vouch for others.",
        path.display()
    );
    println!("The new key counts from the next start with that line. The old keys end when the new one is enrolled.");
    Ok(())
}

/// Only root and the data directory's owner: whoever may write there by some other way gets no administrator out of it.
/// Root becomes the owner, so that the gate can read what is written. Says who it was before.
fn owner_for(directory: &Path) -> Result<String> {
    let about = std::fs::metadata(directory).with_context(|| format!("can't read {}", directory.display()))?;
    let (own, by) = (Uid::effective(), who());
    ensure!(
        own.is_root() || own.as_raw() == about.uid(),
        "only root or the owner of {} may do this (use sudo)",
        directory.display()
    );
    if own.as_raw() != about.uid() {
        let (user, group) = (Uid::from_raw(about.uid()), Gid::from_raw(about.gid()));
        let become_owner = || setgroups(&[group]).and_then(|()| setgid(group)).and_then(|()| setuid(user));
        become_owner().with_context(|| format!("can't become the owner of {}", directory.display()))?;
    }
    Ok(by)
}

/// Who sits at the machine, as far as the system says; behind sudo, who called it.
fn who() -> String {
    let uid = Uid::current();
    let name = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    match std::env::var("SUDO_USER") {
        Ok(by) if !by.is_empty() => format!("{name} (sudo of {})", by.escape_debug()),
        _ => name,
    }
}

fn warn(opened: &Opened, what: &str) {
    tracing::warn!(what, "Security warning");
    opened.sink.record(Event::security_warning(what));
    if let Err(error) = opened.sink.end() {
        tracing::error!(%error, "The audit log could not be written to its end");
    }
}
