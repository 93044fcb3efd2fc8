//! Identifiers made of bytes: a target's uid, a session's id, a SHA-256 digest.

use std::fmt;
use std::str::FromStr;

macro_rules! bytes_id {
    ($(#[$doc:meta])* $type:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $type([u8; $len]);

        impl $type {
            /// The identifier with these bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // At once: the audit log is full of them.
                let mut digits = [0; 2 * $len];
                hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
                f.write_str(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $type {
            type Err = &'static str;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $len];
                if text.len() != 2 * $len {
                    return Err(concat!($what, " has the wrong length"));
                }
                let decoded = hex::decode_to_slice(text, &mut bytes);
                if decoded.is_err() || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return Err(concat!($what, " is not lower-case hex"));
                }
                Ok(Self(bytes))
            }
        }

        impl TryFrom<String> for $type {
            type Error = &'static str;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    };
}

bytes_id!(
    /// A target's own number, random at its creation: a target that is deleted and made again
    /// under the same name is another target, and an old tap does not open it.
    TargetUid, 16, "the uid"
);
bytes_id!(
    /// One session's number, in the audit log and on the command line.
    SessionId, 16, "the session id"
);
bytes_id!(
    /// A SHA-256 digest.
    Digest, 32, "the digest"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_both_ways() {
        let uid = TargetUid::from_bytes(*b"0123456789abcdef");
        assert_eq!(uid.to_string().parse(), Ok(uid));
        for bad in ["", "00", &"0".repeat(31), &"g".repeat(32), &"A".repeat(32), &"é".repeat(16)] {
            assert!(bad.parse::<TargetUid>().is_err(), "{bad:?}");
        }
    }
}
