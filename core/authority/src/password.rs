//! Passwords: hashed with Argon2id, and as slow for a user who is not there as for one who is.

use std::sync::{Condvar, Mutex, PoisonError};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::limits::{ARGON2, HASHES_AT_ONCE, HASHES_WAITING, PASSWORD_MAX, PASSWORD_MIN};
use crate::token::random;
use crate::{AuthorityError, Fault};

/// Hashes and checks passwords, a few at a time.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    /// The hash of a password that nobody knows, for users who are not there.
    dummy: String,
    room: Mutex<Room>,
    freed: Condvar,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self, AuthorityError> {
        let (memory, passes, lanes) = ARGON2;
        let params = Params::new(memory, passes, lanes, None).map_err(AuthorityError::internal)?;
        let mut passwords = Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            dummy: String::new(),
            room: Mutex::new(Room { free: HASHES_AT_ONCE, waiting: 0 }),
            freed: Condvar::new(),
        };
        passwords.dummy = passwords.digest(&random::<32>()).map_err(AuthorityError::internal)?;
        Ok(passwords)
    }

    /// The hash of a new password, if it is one that may be chosen.
    pub(crate) fn hash(&self, password: &str) -> Result<String, Fault> {
        if password.chars().count() < PASSWORD_MIN {
            return Err(Fault::invalid(
                format!("the password is shorter than {PASSWORD_MIN} characters"),
                "a few random words make a good one",
            ));
        }
        if password.len() > PASSWORD_MAX {
            let what = format!("the password is longer than {PASSWORD_MAX} bytes");
            return Err(Fault::invalid(what, "choose a shorter one"));
        }
        let _turn = self.turn()?;
        self.digest(password.as_bytes()).map_err(Fault::internal)
    }

    /// Whether this is the password; without a hash, as much work for a `false`.
    pub(crate) fn check(&self, password: &str, hash: Option<&str>) -> Result<bool, Fault> {
        if password.len() > PASSWORD_MAX {
            return Ok(false);
        }
        let _turn = self.turn()?;
        let matches = PasswordHash::new(hash.unwrap_or(&self.dummy))
            .is_ok_and(|parsed| self.argon2.verify_password(password.as_bytes(), &parsed).is_ok());
        Ok(matches && hash.is_some())
    }

    fn digest(&self, password: &[u8]) -> Result<String, argon2::password_hash::Error> {
        let salt = SaltString::encode_b64(&random::<16>())?;
        Ok(self.argon2.hash_password(password, &salt)?.to_string())
    }

    /// Waits until there is room for another hash; where too many wait already, it is refused.
    fn turn(&self) -> Result<Turn<'_>, Fault> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if room.waiting >= HASHES_WAITING {
            return Err(Fault::too_many());
        }
        room.waiting += 1;
        let mut room = self.freed.wait_while(room, |room| room.free == 0).unwrap_or_else(PoisonError::into_inner);
        room.waiting -= 1;
        room.free -= 1;
        Ok(Turn(self))
    }
}

/// How many more hashes there is room for, and how many wait for it.
struct Room {
    free: usize,
    waiting: usize,
}

/// Room for one hash; given back when it is dropped.
struct Turn<'a>(&'a Passwords);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.room.lock().unwrap_or_else(PoisonError::into_inner).free += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_nothing_else_is() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"));
        let check = |password, hash| passwords.check(password, hash).unwrap();
        assert!(check("correct horse battery", Some(&*hash)));
        assert!(!check("correct horse batterx", Some(&*hash)));
        assert!(!check("correct horse battery", None));
        assert!(!check("correct horse battery", Some("not a hash")));
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        let passwords = Passwords::new().unwrap();
        assert_eq!(passwords.hash("elevenchars").unwrap_err().status, 400);
        assert_eq!(passwords.hash(&"x".repeat(513)).unwrap_err().status, 400);
        assert!(passwords.hash("zwölf zeichn").is_ok());
    }
}
