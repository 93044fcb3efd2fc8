//! Names that were parsed once and are safe everywhere after: in certificates, logs, paths and on a terminal.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{what} is empty")]
    Empty {
        /// What the name is for, in words.
        what: &'static str,
    },
    /// The text is longer than such a name may be.
    #[error("{what} is longer than {max} characters")]
    TooLong {
        /// What the name is for, in words.
        what: &'static str,
        /// The limit, in bytes.
        max: usize,
    },
    /// A character that such a name may not hold.
    #[error("{what} may not contain {character:?} (use {allowed})")]
    Character {
        /// What the name is for, in words.
        what: &'static str,
        /// The first offending character.
        character: char,
        /// What is allowed, in words.
        allowed: &'static str,
    },
}

fn parse(
    text: &str,
    what: &'static str,
    max: usize,
    extra: &str,
    allowed: &'static str,
) -> Result<Arc<str>, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > max {
        return Err(NameError::TooLong { what, max });
    }
    let first_leads = !text.starts_with(['-', '.']);
    let bad = text
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !extra.contains(*c))
        .or_else(|| text.chars().next().filter(|_| !first_leads));
    match bad {
        Some(character) => Err(NameError::Character { what, character, allowed }),
        None => Ok(text.into()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $max:literal, $extra:literal, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                parse(text, $what, $max, $extra, $allowed).map(Self)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(
    /// A person's name at the gate. No comma or space, so that it can stand in a certificate's
    /// principal list and be nobody else's (CVE-2026-35414).
    UserName, "the user name", 64, "._-@+", "letters, digits and ._-@+, not starting with - or ."
);
name!(
    /// A target's name, as people type it: a host name's characters.
    TargetName, "the target name", 253, "._-", "letters, digits and ._-, not starting with - or ."
);
name!(
    /// A login on a target, such as a Unix user or a database user.
    LoginName, "the login", 64, "._-@+$", "letters, digits and ._-@+$, not starting with - or ."
);
name!(
    /// A role's name.
    RoleName, "the role name", 64, "._-@", "letters, digits and ._-@, not starting with - or ."
);
name!(
    /// The name of any other resource: a lock, a connector, a preference.
    ObjectName, "the name", 253, "._-@+", "letters, digits and ._-@+, not starting with - or ."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_principal_list_would_misread_is_no_name() {
        for bad in ["", "-o", ".ssh", "a,b", "a b", "a\nb", "a/b", "é", "a\u{0}", &"x".repeat(65)] {
            assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
        }
        for good in ["jerry", "ann.lee+ops@example.com", "j-1"] {
            assert_eq!(good.parse::<UserName>().map(|n| n.to_string()), Ok(good.to_owned()));
        }
    }

    #[test]
    fn the_error_says_what_to_use() {
        let error = "a b".parse::<TargetName>().map(|n| n.to_string());
        assert_eq!(
            error.map_err(|e| e.to_string()),
            Err("the target name may not contain ' ' (use letters, digits and ._-, not starting with - or .)"
                .to_owned())
        );
    }
}
