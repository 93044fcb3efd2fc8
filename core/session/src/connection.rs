//! Which connection it is, from its acceptance to the audit log: one number, carried beside the task that serves it.

use std::fmt;
use std::future::Future;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static CURRENT: ConnectionId;
}

/// A number that no other connection of this gate has, nor one of the gate's earlier lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    life: u64,
    count: u64,
}

impl ConnectionId {
    /// The next one.
    pub fn next() -> Self {
        static LIFE: LazyLock<u64> = LazyLock::new(rand::random);
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Self { life: *LIFE, count: COUNT.fetch_add(1, Ordering::Relaxed) }
    }

    /// The connection that this task serves, where it serves one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|id| *id).ok()
    }

    /// What is done for this connection: asks within it are told to be its own.
    pub fn carry<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}", self.life, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_connection_does_knows_its_number_and_nothing_else_does() {
        let (one, other) = (ConnectionId::next(), ConnectionId::next());
        assert_ne!(one, other);
        assert_eq!(ConnectionId::current(), None);
        let seen = one.carry(async { (ConnectionId::current(), other.carry(async { ConnectionId::current() }).await) });
        assert_eq!(seen.await, (Some(one), Some(other)));
        assert_eq!(one.to_string().split_once('-').map(|(life, _)| life.len()), Some(16));
    }
}
