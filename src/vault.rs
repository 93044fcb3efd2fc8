//! The store of a data directory, and the key that seals its secrets.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use tapgate_authority::{AuthorityError, SealedStore, SecretsKey};
use tapgate_config::{Config, SecretsKeyPlace};
use tapgate_store::{SCHEMA, SqliteStore, Store, schema_of};
use zeroize::Zeroizing;

use crate::start;

/// The store, opened, with its secrets behind their key.
pub(crate) struct Vault {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) secrets: Arc<SecretsKey>,
    /// The file as it is, whose secrets are sealed.
    pub(crate) file: Arc<SqliteStore>,
}

/// The store's file.
pub(crate) fn path(config: &Config) -> PathBuf {
    config.data_dir.join("tapgate.db")
}

impl Vault {
    /// Opens the store or makes it. Where it is older than this program it is brought forward, so the caller holds the
    /// lock on the data directory.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        let path = path(config);
        let file = SqliteStore::open(&path).with_context(|| format!("can't open the store {}", path.display()))?;
        let file = Arc::new(file);
        let sealed = SealedStore::is_sealed(&*file)?;
        let secrets = Arc::new(present(&config.secrets_key, sealed)?);
        let (store, secrets) = match SealedStore::open(file.clone(), Arc::clone(&secrets)) {
            Err(AuthorityError::WrongKey) => finish_rekey(&config.secrets_key, &file)?,
            opened => (opened.context("can't open the secrets in the store")?, secrets),
        };
        if !sealed {
            file.settle_log()?;
        }
        Ok(Self { store: Arc::new(store), secrets, file })
    }

    /// Opens the store of a gate that may be running. One that is older than this program is a running gate's own
    /// business.
    pub(crate) fn open_at_rest(config: &Config) -> Result<Self> {
        let path = path(config);
        ensure!(path.is_file(), "there is no store {} (run `tapgate init` first)", path.display());
        let known = schema_of(&path).with_context(|| format!("can't open the store {}", path.display()))?;
        let _alone = if known < SCHEMA {
            let older = "the gate that is running is older than this program (restart it first)";
            Some(start::alone_in(&config.data_dir).context(older)?)
        } else {
            None
        };
        Self::open(config)
    }
}

/// The key at this place. A file is made where there is none, but not for a store that another key has sealed.
fn present(place: &SecretsKeyPlace, sealed: bool) -> Result<SecretsKey> {
    let SecretsKeyPlace::File(path) = place else { return read(place) };
    if sealed && !path.exists() {
        bail!(
            "the secrets' key {} is gone, and the store is sealed with it (bring it back, from where it is kept apart)",
            path.display()
        );
    }
    SecretsKey::of_file(path).context("can't read the secrets' key")
}

/// The key at this place, which must be there.
pub(crate) fn read(place: &SecretsKeyPlace) -> Result<SecretsKey> {
    let unfit =
        || format!("the secrets' key {place} is none (it has 64 hexadecimal digits, as of `openssl rand -hex 32`)");
    match place {
        SecretsKeyPlace::File(path) => SecretsKey::in_file(path).context("can't read the secrets' key"),
        SecretsKeyPlace::Environment(variable) => {
            let text = std::env::var(variable).map(Zeroizing::new).ok();
            let text = text.with_context(|| {
                format!("the environment variable {variable} is not set (it holds the secrets' key)")
            })?;
            SecretsKey::parse(text.as_bytes()).with_context(unfit)
        }
        SecretsKeyPlace::Credential(name) => {
            let unset =
                "there are no credentials (start the gate by systemd with LoadCredential= or LoadCredentialEncrypted=)";
            let directory = std::env::var_os("CREDENTIALS_DIRECTORY").context(unset)?;
            let path = Path::new(&directory).join(name);
            let bytes =
                std::fs::read(&path).with_context(|| format!("can't read the credential {}", path.display()))?;
            SecretsKey::parse(&Zeroizing::new(bytes)).with_context(unfit)
        }
    }
}

/// Whether the key is there and fit, as far as that can be seen without the store.
pub(crate) fn look_at_key(config: &Config) -> Result<()> {
    match &config.secrets_key {
        SecretsKeyPlace::File(path) if !path.exists() => {
            // A store of schema 1 has yet to be sealed, and its key to be made.
            let store = self::path(config);
            let sealed = store.exists() && schema_of(&store).is_ok_and(|schema| schema > 1);
            ensure!(!sealed, "the secrets' key {} is gone, and there is a store (bring it back)", path.display());
            Ok(())
        }
        place => read(place).map(drop),
    }
}

/// Where the next key lies until it has sealed the store.
pub(crate) fn next_key(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".next");
    PathBuf::from(name)
}

/// A change of the key that was cut short after the store had its new one: its file has yet to take its name.
fn finish_rekey(place: &SecretsKeyPlace, file: &Arc<SqliteStore>) -> Result<(SealedStore, Arc<SecretsKey>)> {
    let next = match place {
        SecretsKeyPlace::File(path) if next_key(path).exists() => (next_key(path), path),
        _ => return Err(AuthorityError::WrongKey).context("can't open the secrets in the store"),
    };
    let secrets = Arc::new(SecretsKey::in_file(&next.0)?);
    let store = SealedStore::open(file.clone(), Arc::clone(&secrets)).context("can't open the secrets in the store")?;
    std::fs::rename(&next.0, next.1).with_context(|| format!("can't put {} in its place", next.0.display()))?;
    Ok((store, secrets))
}
