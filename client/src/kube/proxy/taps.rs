//! The taps of a local proxy for clusters: one for all of them, and another where its window is over.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tapgate_model::{Clock as _, Login, SystemClock, TargetName};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::client::TlsStream;

use crate::ceremony::Goal;
use crate::cli::Context;
use crate::error::{Act as _, Failure, Result};
use crate::proxy::{Opened, aside};
use crate::session;
use crate::tls::Alpn;

/// The way to the clusters that one proxy serves.
pub(super) struct Taps {
    context: Arc<Context>,
    goals: Vec<Goal>,
    host: ServerName<'static>,
    /// What the last tap gave, and the how manieth it was. Held while a tap is asked for: requests that come together
    /// ask once.
    open: Mutex<(u64, Option<Opened>)>,
}

/// A connection to the gate.
pub(super) struct Reached {
    pub(super) stream: TlsStream<TcpStream>,
    /// Under which tap.
    pub(super) tap: u64,
    /// Whether no tap was due: then the gate is told by each request who to be.
    pub(super) by_login: bool,
}

impl Taps {
    pub(super) fn new(context: Arc<Context>, goals: Vec<Goal>) -> Result<Self> {
        let host = ServerName::try_from(context.profile.cluster_door());
        let host = host.act(|| "the gate has no door for clusters".to_owned())?;
        Ok(Self { context, goals, host, open: Mutex::new((0, None)) })
    }

    /// Who to be in this cluster; `None` where the proxy does not serve it.
    pub(super) fn login(&self, cluster: &str) -> Option<&Login> {
        self.goals.iter().find(|goal| goal.target.as_str() == cluster).map(|goal| &goal.login)
    }

    pub(super) fn clusters(&self) -> Vec<TargetName> {
        self.goals.iter().map(|goal| goal.target.clone()).collect()
    }

    /// The name of the gate's door.
    pub(super) fn host(&self) -> String {
        self.host.to_str().into_owned()
    }

    /// Asks for the tap now, if one is due, so that it is not the first request that waits for it.
    pub(super) async fn prepare(&self) -> Result<()> {
        self.ready(&mut *self.open.lock().await).await
    }

    /// The number of the tap that is good now, for which one is asked where that is due.
    pub(super) async fn current(&self) -> Result<u64> {
        let mut open = self.open.lock().await;
        self.ready(&mut open).await?;
        Ok(open.0)
    }

    /// A tap that is made now, unless somebody else's request has had one made since this one.
    pub(super) async fn anew(&self, since: u64) -> Result<()> {
        let mut open = self.open.lock().await;
        if open.0 == since {
            open.1 = None;
        }
        self.ready(&mut open).await
    }

    /// A connection to the gate's door for clusters.
    pub(super) async fn reach(&self) -> Result<Reached> {
        let (tls, tap, by_login) = {
            let mut open = self.open.lock().await;
            self.ready(&mut open).await?;
            let opened = open.1.as_ref().ok_or_else(|| Failure::new("nothing is open"))?;
            (opened.tls(&self.context)?, open.0, matches!(opened, Opened::Login))
        };
        let stream = tls.connect_to(Alpn::Cluster, self.host.clone()).await?;
        Ok(Reached { stream, tap, by_login })
    }

    async fn ready(&self, (count, open): &mut (u64, Option<Opened>)) -> Result<()> {
        if open.as_ref().is_some_and(|opened| opened.holds(SystemClock.now())) {
            return Ok(());
        }
        let (context, goals) = (Arc::clone(&self.context), self.goals.clone());
        let opened = aside(move || async move { session::open_all(&context, &goals).await }).await?;
        let opened = opened.ok_or_else(|| {
            Failure::new("your roles want a tap for every single session of one of these clusters")
                .advise("start a proxy for each of them")
        })?;
        *count += 1;
        *open = Some(opened.into());
        Ok(())
    }
}
