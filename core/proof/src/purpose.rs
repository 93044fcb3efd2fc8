//! What a tap is for, and how often it may be used.

use std::fmt;

use der::Enumerated;

/// What a tap is for. A tap for one purpose is refused for every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enumerated, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[asn1(type = "ENUMERATED")]
#[repr(u8)]
pub enum Purpose {
    /// Opening sessions to the targets that the statement lists.
    Session = 0,
    /// Signing in, that is getting a login certificate.
    Login = 1,
    /// Changing a resource, or inviting somebody.
    Admin = 2,
    /// Registering a further device or SSH key.
    AddDevice = 3,
    /// Running one dangerous statement inside an open session.
    Statement = 4,
}

impl Purpose {
    /// The name that logs and programs use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Login => "login",
            Self::Admin => "admin",
            Self::AddDevice => "add-device",
            Self::Statement => "statement",
        }
    }

    /// What the person is about to do, in words.
    pub(crate) const fn deed(self) -> &'static str {
        match self {
            Self::Session => "open sessions",
            Self::Login => "sign in",
            Self::Admin => "make an administrator's change",
            Self::AddDevice => "add a device",
            Self::Statement => "run a statement",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How often a tap may open a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enumerated, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[asn1(type = "ENUMERATED")]
#[repr(u8)]
pub enum Uses {
    /// One time.
    Once = 0,
    /// Until the statement expires, by its holder alone.
    Window = 1,
}
