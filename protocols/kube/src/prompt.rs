//! How Kubernetes says "tap here": in the `Status` of a refusal, which kubectl prints. Requests that come again find the
//! tap by the login key, which a role must have opted in to.

use futures::future::{BoxFuture, FutureExt as _, ready};
use tapgate_session::{Challenge, Invitation, Manner, Prompt, PromptError, Refusal};

use crate::status::Refused;

/// Turns a stock client away with the address of the page.
pub(crate) struct TurnAway<'a> {
    /// What the client calls itself.
    pub(crate) agent: &'a str,
}

impl Prompt for TurnAway<'_> {
    fn manner(&self, _: &Challenge) -> Manner {
        Manner::Return
    }

    /// One command makes many requests over several connections, so a tap for one of them is of no use: without the
    /// opt-in there is nothing to be asked for.
    fn suits(&self, challenge: &Challenge) -> bool {
        challenge.terms().reuse_login_key && !challenge.terms().window.is_zero()
    }

    fn prepare(&mut self) -> BoxFuture<'_, Result<String, PromptError>> {
        let agent = self.agent.split_whitespace().next().unwrap_or_default();
        ready(Ok(agent.to_owned())).boxed()
    }

    /// Never: a request has one answer.
    fn show<'a>(&'a mut self, _: &'a Challenge, _: &'a Invitation) -> BoxFuture<'a, Result<(), PromptError>> {
        ready(Err(PromptError::CannotAsk)).boxed()
    }
}

/// The answer to a request that opens no session.
pub(crate) fn refused(refusal: &Refusal) -> Refused {
    let message = refusal.message();
    match refusal.invitation() {
        // kubectl shows what a 403 says.
        Some(Invitation { url, code }) => Refused::forbidden(format!(
            "{message}. Open {url} , type the code {code} there, tap your key, and run the command again."
        )),
        // A credential plugin that reads 401 taps anew; nothing would help after 403.
        None if refusal.needs_tap() => Refused::unauthorized(message),
        None => Refused::forbidden(message),
    }
}
