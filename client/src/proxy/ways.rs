//! The ways to several targets that one tap opens.

use std::collections::BTreeMap;
use std::sync::Arc;

use tapgate_model::{Clock as _, SystemClock, TargetName};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::client::TlsStream;

use super::{Opened, aside};
use crate::ceremony::Goal;
use crate::cli::Context;
use crate::error::{Failure, Result};
use crate::session;
use crate::tls::Alpn;

/// The ways to several targets, each of which is gone once. Where the tap's window is over before the last of them
/// was, the next tap names those that are left.
pub struct Ways {
    context: Arc<Context>,
    state: Mutex<State>,
}

struct State {
    left: BTreeMap<TargetName, Goal>,
    open: Open,
}

enum Open {
    /// Nothing is open.
    Shut,
    /// One tap, or none, opens all.
    All(Opened),
    /// A role wants a tap for every single session.
    OneByOne,
}

impl Ways {
    /// The ways to these targets.
    pub fn new(context: Arc<Context>, goals: impl IntoIterator<Item = Goal>) -> Self {
        let left = goals.into_iter().map(|goal| (goal.target.clone(), goal)).collect();
        Self { context, state: Mutex::new(State { left, open: Open::Shut }) }
    }

    /// The person's own context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Asks for the tap now, if one is due, so that it is not the first tunnel that waits for it.
    pub async fn prepare(&self) -> Result<()> {
        self.ready(&mut *self.state.lock().await).await
    }

    /// A tunnel to one of the targets.
    pub async fn tunnel(&self, target: &TargetName, alpn: &'static [u8]) -> Result<TlsStream<TcpStream>> {
        let tls = {
            let mut state = self.state.lock().await;
            self.ready(&mut state).await?;
            let tls = match &state.open {
                Open::All(opened) => opened.tls(&self.context)?,
                Open::OneByOne | Open::Shut => {
                    let goal = state.left.get(target).cloned();
                    let goal = goal.ok_or_else(|| Failure::new(format!("\"{target}\" was not asked for")))?;
                    let context = Arc::clone(&self.context);
                    let one = aside(move || async move {
                        session::open(&context, goal.kind, &goal.target, &goal.login).await.map(Opened::from)
                    });
                    one.await?.tls(&self.context)?
                }
            };
            state.left.remove(target);
            tls
        };
        tls.connect(Alpn::Tunnel(alpn)).await
    }

    /// Asks for what is left where nothing is open any more.
    async fn ready(&self, state: &mut State) -> Result<()> {
        match &state.open {
            Open::OneByOne => return Ok(()),
            Open::All(opened) if opened.holds(SystemClock.now()) => return Ok(()),
            Open::All(_) | Open::Shut => {}
        }
        let goals: Vec<Goal> = state.left.values().cloned().collect();
        let context = Arc::clone(&self.context);
        let opened = aside(move || async move { session::open_all(&context, &goals).await }).await?;
        state.open = opened.map_or(Open::OneByOne, |access| Open::All(access.into()));
        Ok(())
    }
}
