//! `ssh -J gate login@target`: whoever jumps ends up at the gate again, which shows itself as the target there.
//!
//! The connection that is jumped over opens no session. The one inside logs in by itself, and earns its own grant.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use tapgate_identity::Identity;
use tapgate_model::TargetName;
use tapgate_relay::{Accepted, Io, TlsFacts};

use crate::limits::JUMPS_MAX;
use crate::serve::{Ssh, serve_behind};

/// The port that a jump names where nothing else is said; there is no other behind the gate.
const PORT: u32 = 22;

/// Somebody who has logged in to jump.
#[derive(Clone)]
pub(crate) struct Jumper {
    ssh: Arc<Ssh>,
    identity: Arc<Identity>,
    peer: SocketAddr,
    /// How many jumps are under way.
    jumps: Arc<AtomicUsize>,
}

/// One jump, to this target under this host name.
pub(crate) struct Jump {
    target: TargetName,
    host: String,
    jumper: Jumper,
}

impl Jumper {
    pub(crate) fn new(ssh: Arc<Ssh>, identity: Arc<Identity>, peer: SocketAddr) -> Self {
        Self { ssh, identity, peer, jumps: Arc::default() }
    }

    /// Whether no jump is under way.
    pub(crate) fn rests(&self) -> bool {
        self.jumps.load(Ordering::SeqCst) == 0
    }

    /// A jump to this host, `TARGET` or `TARGET.GATE`. That there is such a target is not told here.
    pub(crate) fn jump(&self, host: &str, port: u32) -> Option<Jump> {
        let target = self.ssh.target_of(host)?;
        // Jumps are asked for one after the other, in the one loop of their connection.
        if port != PORT || self.jumps.load(Ordering::SeqCst) >= JUMPS_MAX {
            return None;
        }
        self.jumps.fetch_add(1, Ordering::SeqCst);
        Some(Jump { target, host: host.to_owned(), jumper: self.clone() })
    }
}

impl Jump {
    /// Serves the connection inside. It must be the same user's as the one around it.
    pub(crate) fn land(self, io: Box<dyn Io>) -> BoxFuture<'static, ()> {
        let (ssh, tls) = (Arc::clone(&self.jumper.ssh), Some(Arc::clone(&self.jumper.identity)));
        let conn = Accepted { io, peer: self.jumper.peer, tls: tls.map(within), handshake: None };
        let (target, host) = (self.target.clone(), self.host.clone());
        Box::pin(async move {
            serve_behind(ssh, conn, target, &host).await;
            drop(self);
        })
    }
}

impl Drop for Jump {
    fn drop(&mut self) {
        self.jumper.jumps.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a jump knows of the TLS that it came through: who opened it.
fn within(identity: Arc<Identity>) -> TlsFacts {
    TlsFacts { identity: Some(identity), ..TlsFacts::default() }
}
