//! SCRAM-SHA-256 as a server (RFC 5802, RFC 7677), for the one password of a run: bytes in, bytes out.

use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::scram::{Salted, masked, stored_key};

/// The mechanism's name.
pub(super) const MECHANISM: &[u8] = b"SCRAM-SHA-256";

/// What is random in one exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct Random {
    pub(super) salt: [u8; 16],
    pub(super) nonce: [u8; 18],
}

/// An exchange whose first half is over.
#[derive(Debug)]
pub(super) struct Exchange {
    /// What the client must say of its channel again.
    header: String,
    nonce: String,
    /// The client's first message without its header, and the server's first.
    said: String,
    salt: [u8; 16],
    rounds: u32,
}

/// Why an exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A message is none of this mechanism's.
    Malformed,
    /// The client wants its TLS to be part of it, and there is none.
    Binding,
    /// The password is another one.
    Password,
}

impl Exchange {
    /// Reads the client's first message; the answer is [`Exchange::challenge`].
    pub(super) fn begin(first: &[u8], random: &Random, rounds: u32) -> Result<Self, Refusal> {
        let first = std::str::from_utf8(first).map_err(|_| Refusal::Malformed)?;
        // `n,,n=user,r=nonce`: the user is the one of the startup packet, so that nothing is read of it here.
        let mut parts = first.splitn(3, ',');
        let (flag, identity, bare) = (parts.next(), parts.next(), parts.next().ok_or(Refusal::Malformed)?);
        match (flag, identity) {
            (Some("n" | "y"), Some("")) => {}
            (Some(flag), _) if flag.starts_with("p=") => return Err(Refusal::Binding),
            _ => return Err(Refusal::Malformed),
        }
        let header = first.strip_suffix(bare).ok_or(Refusal::Malformed)?.to_owned();
        let mut attributes = bare.split(',');
        let named = attributes.next().is_some_and(|user| user.starts_with("n="));
        let theirs = attributes.next().and_then(|nonce| nonce.strip_prefix("r=")).filter(|nonce| !nonce.is_empty());
        let theirs = theirs.filter(|_| named && attributes.next().is_none()).ok_or(Refusal::Malformed)?;
        let nonce = format!("{theirs}{}", STANDARD.encode(random.nonce));
        let said = format!("{bare},r={nonce},s={},i={rounds}", STANDARD.encode(random.salt));
        Ok(Self { header, nonce, said, salt: random.salt, rounds })
    }

    /// The server's first message.
    pub(super) fn challenge(&self) -> String {
        format!("r={},s={},i={}", self.nonce, STANDARD.encode(self.salt), self.rounds)
    }

    /// Reads the client's final message, and answers the server's own.
    pub(super) fn finish(&self, last: &[u8], password: &str) -> Result<String, Refusal> {
        let last = std::str::from_utf8(last).map_err(|_| Refusal::Malformed)?;
        let (without, proof) = last.rsplit_once(",p=").ok_or(Refusal::Malformed)?;
        if without != format!("c={},r={}", STANDARD.encode(&self.header), self.nonce) {
            return Err(Refusal::Malformed);
        }
        let proof = STANDARD.decode(proof).map_err(|_| Refusal::Malformed)?;
        let said = format!("{},{without}", self.said);
        let rounds = NonZeroU32::new(self.rounds).ok_or(Refusal::Malformed)?;
        let salted = Salted::new(password, &self.salt, rounds);
        let signature = salted.client_signature(&said);
        if proof.len() != signature.as_ref().len() {
            return Err(Refusal::Malformed);
        }
        let shown = stored_key(&masked(&proof, signature.as_ref()));
        verify_slices_are_equal(shown.as_ref(), salted.stored_key().as_ref()).map_err(|_| Refusal::Password)?;
        Ok(format!("v={}", STANDARD.encode(salted.server_signature(&said).as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3; its nonce and salt are not of our lengths, so the exchange is laid out here.
    #[test]
    fn the_example_of_the_rfc() {
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let salt: [u8; 16] = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let said = format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let exchange = Exchange { header: "n,,".into(), nonce: nonce.into(), said, salt, rounds: 4096 };
        assert_eq!(exchange.challenge(), format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        let last = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let own = exchange.finish(last.as_bytes(), "pencil");
        assert_eq!(own.as_deref(), Ok("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert_eq!(exchange.finish(last.as_bytes(), "pencil2"), Err(Refusal::Password));
        let other = last.replace("biws", "eSws");
        assert_eq!(exchange.finish(other.as_bytes(), "pencil"), Err(Refusal::Malformed));
    }

    #[test]
    fn the_first_message() {
        let random = Random { salt: [1; 16], nonce: [2; 18] };
        let begin = |text: &str| Exchange::begin(text.as_bytes(), &random, 4096);
        let exchange = begin("n,,n=,r=abc").unwrap();
        assert!(exchange.challenge().starts_with("r=abcAgICAgICAgICAgICAgICAgIC,s=AQEB"));
        assert_eq!(begin("y,,n=app,r=abc").unwrap().header, "y,,");
        assert_eq!(begin("p=tls-server-end-point,,n=,r=abc").unwrap_err(), Refusal::Binding);
        for bad in ["", "n", "n,,", "n,a=x,n=,r=abc", "n,,r=abc", "n,,n=,r=", "n,,m=x,n=,r=abc", "n,,n=,r=abc,x=y"] {
            assert_eq!(begin(bad).unwrap_err(), Refusal::Malformed, "{bad:?}");
        }
        assert_eq!(Exchange::begin(&[0xff], &random, 1).unwrap_err(), Refusal::Malformed);
    }
}
