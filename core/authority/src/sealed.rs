//! Secrets at rest: sealed with a key that is no part of the database.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use tapgate_model::Digest;
use zeroize::Zeroizing;

use crate::{AuthorityError, token};

/// How long the key is, in bytes: AES-256.
const KEY_LEN: usize = 32;

/// The most that is read of a key: as hexadecimal digits with the end of a line, and one byte that is too many.
const KEY_TEXT_MAX: usize = KEY_LEN * 2 + 3;

/// What a sealed text begins with, so that another way of sealing can follow.
const VERSION: &str = "v1.";

/// The key that seals the secrets in the database. Whoever copies the database alone has none of them.
pub struct SecretsKey(RandomizedNonceKey);

/// Why a sealed text can't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret can't be opened (is the secrets' key the one that sealed it?)")]
pub(crate) struct Unopened;

impl SecretsKey {
    /// The key in this file, which is made where there is none. A file that others can read is refused.
    pub fn of_file(path: &Path) -> Result<Self, AuthorityError> {
        let unreadable = |source| AuthorityError::Directory { path: path.to_owned(), source };
        match make(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(unreadable)?,
        }
        Self::in_file(path)
    }

    /// The key in this file, which must be there. A file that others can read is refused.
    pub fn in_file(path: &Path) -> Result<Self, AuthorityError> {
        let unreadable = |source| AuthorityError::Directory { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.mode() & 0o077 != 0 {
            return Err(AuthorityError::Internal(format!(
                "others can read the key {} (make it yours alone with chmod 600, and make another one with \
                 `tapgate rekey`)",
                path.display()
            )));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_TEXT_MAX));
        file.take(u64::try_from(KEY_TEXT_MAX).unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::parse(&bytes).ok_or_else(|| {
            AuthorityError::Internal(format!("the key {} is damaged (bring it back from a backup)", path.display()))
        })
    }

    /// A key that is kept nowhere, for what lives no longer than the process.
    pub fn fresh() -> Result<Self, AuthorityError> {
        let bytes = Zeroizing::new(token::random::<KEY_LEN>());
        Self::of_bytes(&*bytes).ok_or_else(|| AuthorityError::internal("a key can't be made"))
    }

    /// The key in these bytes: 32 of them, or 64 hexadecimal digits for where a key must be a text.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok().map(str::trim);
        match text.filter(|text| text.len() == KEY_LEN * 2).and_then(|text| text.parse::<Digest>().ok()) {
            Some(bytes) => Self::of_bytes(bytes.as_bytes()),
            None => Self::of_bytes(bytes),
        }
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        RandomizedNonceKey::new(&AES_256_GCM, bytes).ok().map(Self)
    }

    /// Seals a secret for one place: elsewhere, such as under another user's name, it can't be opened.
    pub(crate) fn seal(&self, place: &str, secret: &[u8]) -> Result<String, AuthorityError> {
        let mut sealed = secret.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut sealed);
        let nonce = nonce.map_err(|_| AuthorityError::internal("a secret can't be sealed"))?;
        Ok(format!("{VERSION}{}", token::to_text(&[nonce.as_ref().as_slice(), &sealed].concat())))
    }

    /// The secret that was sealed for this place.
    pub(crate) fn open(&self, place: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let text = text.strip_prefix(VERSION).ok_or(Unopened)?;
        let bytes = Zeroizing::new(token::from_text(text).ok_or(Unopened)?);
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(Unopened)?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let place = Aad::from(place.as_bytes());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.0.open_in_place(nonce, place, &mut opened).map_err(|_| Unopened)?.len();
        opened.truncate(length);
        Ok(opened)
    }
}

/// Writes a new key, of which a crash leaves nothing or all.
fn make(path: &Path) -> io::Result<()> {
    if fs::exists(path)? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let name = format!("{}.{}", path.display(), token::to_text(&token::random::<6>()));
    let beside = Path::new(&name);
    let bytes = Zeroizing::new(token::random::<KEY_LEN>());
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
        file.write_all(&*bytes)?;
        file.sync_all()?;
        // Unlike a rename, a link replaces nothing that is there.
        fs::hard_link(beside, path)
    })();
    fs::remove_file(beside)?;
    written?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Never prints the key.
impl fmt::Debug for SecretsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretsKey")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_opens_in_its_place_with_its_key_alone() {
        let key = SecretsKey::fresh().unwrap();
        let sealed = key.seal("otp/jerry", b"secret").unwrap();
        assert_eq!(*key.open("otp/jerry", &sealed).unwrap(), b"secret");
        assert_ne!(sealed, key.seal("otp/jerry", b"secret").unwrap(), "each has a nonce of its own");
        assert_eq!(key.open("otp/olga", &sealed), Err(Unopened));
        assert_eq!(SecretsKey::fresh().unwrap().open("otp/jerry", &sealed), Err(Unopened));
        for length in 0..sealed.len() {
            assert_eq!(key.open("otp/jerry", &sealed[..length]), Err(Unopened), "{length}");
        }
    }

    #[test]
    fn the_file_is_made_once_is_private_and_must_stay_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets.key");
        let sealed = SecretsKey::of_file(&path).unwrap().seal("x", b"secret").unwrap();
        assert_eq!(*SecretsKey::of_file(&path).unwrap().open("x", &sealed).unwrap(), b"secret");
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!((mode(), fs::read_dir(dir.path()).unwrap().count()), (0o600, 1));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(SecretsKey::of_file(&path).unwrap_err().to_string().contains("others can read the key"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, format!("{}\n", "0f".repeat(32))).unwrap();
        assert!(SecretsKey::of_file(&path).is_ok(), "hexadecimal digits are a key, too");
        for bad in [&[][..], &[1; 31], &[1; 33], &[b'0'; 63], &[b'0'; 65], &[b'0'; 99]] {
            fs::write(&path, bad).unwrap();
            assert!(SecretsKey::of_file(&path).unwrap_err().to_string().contains("is damaged"));
        }
    }
}
