//! The two sides of a relay, and what there is once for each.

use std::fmt;
use std::ops::Not;

/// Which side of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client, to whom we are the server.
    Client,
    /// The target, to which we are the client.
    Target,
}

impl Not for Side {
    type Output = Self;
    fn not(self) -> Self {
        match self {
            Self::Client => Self::Target,
            Self::Target => Self::Client,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Target => "target",
        })
    }
}

/// One of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Both<T> {
    /// The client's.
    pub(crate) client: T,
    /// The target's.
    pub(crate) target: T,
}

impl<T> Both<T> {
    /// This side's.
    pub(crate) const fn of(&self, side: Side) -> &T {
        match side {
            Side::Client => &self.client,
            Side::Target => &self.target,
        }
    }

    /// This side's, to change it.
    pub(crate) const fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Client => &mut self.client,
            Side::Target => &mut self.target,
        }
    }
}
