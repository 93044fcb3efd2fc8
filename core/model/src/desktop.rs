//! Which protocol a desktop speaks.

/// Which protocol a desktop speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DesktopProtocol {
    /// Remote Desktop.
    Rdp,
    /// Virtual Network Computing.
    Vnc,
}

impl DesktopProtocol {
    /// The name that resources and tunnels use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rdp => "rdp",
            Self::Vnc => "vnc",
        }
    }

    /// The protocol of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Rdp, Self::Vnc].into_iter().find(|protocol| protocol.as_str() == name)
    }
}
