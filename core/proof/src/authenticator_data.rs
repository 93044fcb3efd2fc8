//! What the authenticator says of the tap.

use crate::ProofError;

/// The flags that an authenticator signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// Somebody was there, and no more is known.
    pub(crate) const fn present() -> Self {
        Self(0x01)
    }

    /// Somebody touched it.
    pub const fn user_present(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// It verified who, by a PIN or a fingerprint.
    pub const fn user_verified(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// The credential may be copied to other devices, as passkeys of a platform are.
    pub const fn backup_eligible(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// The credential has been copied.
    pub const fn backed_up(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// All bits, as they were signed.
    pub const fn bits(self) -> u8 {
        self.0
    }

    const fn attested(self) -> bool {
        self.0 & 0x40 != 0
    }

    const fn extended(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// The authenticator's data of an authentication.
pub(crate) struct AuthenticatorData<'a> {
    pub(crate) relying_party_digest: &'a [u8; 32],
    pub(crate) flags: Flags,
    pub(crate) sign_count: u32,
}

impl<'a> AuthenticatorData<'a> {
    /// Reads 32 bytes of digest, the flags and the counter. Extensions may follow where the flags say so; they
    /// are signed and decide nothing here. A key may not follow: that is a registration's.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, ProofError> {
        let error = ProofError::AuthenticatorData;
        let (relying_party_digest, rest) = bytes.split_first_chunk::<32>().ok_or(error.clone())?;
        let (&flags, rest) = rest.split_first().ok_or(error.clone())?;
        let (&counter, extensions) = rest.split_first_chunk::<4>().ok_or(error.clone())?;
        let flags = Flags(flags);
        if flags.attested() || flags.extended() == extensions.is_empty() {
            return Err(error);
        }
        Ok(Self { relying_party_digest, flags, sign_count: u32::from_be_bytes(counter) })
    }
}
