//! Identifiers made of bytes: a target's uid, a session's id, a SHA-256 digest.

use std::fmt;
use std::str::FromStr;

macro_rules! bytes_id {
    ($(#[$doc:meta])* $type:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
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
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
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
                let digits = text.as_bytes();
                if digits.len() != 2 * $len {
                    return Err(concat!($what, " has the wrong length"));
                }
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = hex(pair).ok_or(concat!($what, " is not lower-case hex"))?;
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

        impl From<$type> for String {
            fn from(id: $type) -> Self {
                id.to_string()
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

fn hex(pair: &[u8]) -> Option<u8> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

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
