//! The kinds of authority: separate keys, so that who signed a certificate says what it is.

use std::fmt;

/// What an authority signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaKind {
    /// X.509 login certificates.
    Login,
    /// X.509 session certificates.
    Session,
    /// The gate's own TLS certificate.
    Host,
    /// SSH login certificates.
    LoginSsh,
    /// SSH session certificates.
    SessionSsh,
    /// The gate's own SSH host certificate.
    HostSsh,
    /// The SSH certificates that the gate shows to targets.
    TargetSsh,
    /// The TLS client certificates that the gate shows to targets, such as databases.
    TargetTls,
}

impl CaKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Login,
        Self::Session,
        Self::Host,
        Self::LoginSsh,
        Self::SessionSsh,
        Self::HostSsh,
        Self::TargetSsh,
        Self::TargetTls,
    ];

    /// The kind's name in storage and in the authority's own subject.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Session => "session",
            Self::Host => "host",
            Self::LoginSsh => "login-ssh",
            Self::SessionSsh => "session-ssh",
            Self::HostSsh => "host-ssh",
            Self::TargetSsh => "target-ssh",
            Self::TargetTls => "target-tls",
        }
    }

    /// Whether it signs SSH certificates; the others sign X.509.
    pub const fn is_ssh(self) -> bool {
        matches!(self, Self::LoginSsh | Self::SessionSsh | Self::HostSsh | Self::TargetSsh)
    }
}

impl fmt::Display for CaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
