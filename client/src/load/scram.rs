//! SCRAM-SHA-256 as a client (RFC 5802, RFC 7677), for ways that go straight to a database.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Act as _, Failure, Result};
use crate::limits::LOAD_SCRAM_ROUNDS_MAX;
use crate::scram::{Salted, masked};

/// An exchange that has begun.
pub(super) struct Scram {
    /// The first message without its header.
    bare: String,
    nonce: String,
}

impl Scram {
    /// A fresh one for this user; PostgreSQL knows who it is from the startup packet, and wants none.
    pub(super) fn begin(user: &str) -> Result<Self> {
        let mut random = [0; 18];
        aws_lc_rs::rand::fill(&mut random).act(|| "the system gives no random bytes".to_owned())?;
        Ok(Self::with_nonce(user, STANDARD.encode(random)))
    }

    fn with_nonce(user: &str, nonce: String) -> Self {
        Self { bare: format!("n={user},r={nonce}"), nonce }
    }

    /// The client's first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// The client's last message, for the server's first. A direct way measures a server of one's own, so that what
    /// the server proves in its last message is not asked for.
    pub(super) fn last(&self, first: &[u8], password: &str) -> Result<String> {
        let wrong = || Failure::new("the server's SCRAM message cannot be read");
        let first = std::str::from_utf8(first).map_err(|_| wrong())?;
        let field = |name: &str| first.split(',').find_map(|field| field.strip_prefix(name)).ok_or_else(wrong);
        let nonce = field("r=")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() <= self.nonce.len() {
            return Err(wrong());
        }
        let salt = STANDARD.decode(field("s=")?).map_err(|_| wrong())?;
        let rounds: NonZeroU32 = field("i=")?.parse().map_err(|_| wrong())?;
        if rounds.get() > LOAD_SCRAM_ROUNDS_MAX {
            return Err(Failure::new("the server wants too many rounds of its password's hash"));
        }
        let salted = Salted::new(password, &salt, rounds);
        let without = format!("c=biws,r={nonce}");
        let signature = salted.client_signature(&format!("{},{first},{without}", self.bare));
        let proof = masked(salted.client_key().as_ref(), signature.as_ref());
        Ok(format!("{without},p={}", STANDARD.encode(proof)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        let scram = Scram::with_nonce("user", "rOprNGfwEbeRWgbNEkqO".to_owned());
        let first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(
            scram.last(first, "pencil").unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        for bad in ["r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=1", "r=other,s=W22Z,i=1", "r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=0", ""]
        {
            assert!(scram.last(bad.as_bytes(), "pencil").is_err(), "{bad}");
        }
    }
}
