//! How MySQL says "tap here": in an error, which every client shows. It comes again after the tap.

use futures::future::{BoxFuture, FutureExt as _, ready};
use tapgate_session::{Challenge, Invitation, Manner, Prompt, PromptError, Refusal};

use crate::wire::error::ServerError;
use crate::wire::login::LoginPacket;

/// Turns a stock client away with the address of the page.
pub(crate) struct TurnAway<'a> {
    pub(crate) packet: &'a LoginPacket,
}

impl Prompt for TurnAway<'_> {
    fn manner(&self, _: &Challenge) -> Manner {
        Manner::Return
    }

    fn prepare(&mut self) -> BoxFuture<'_, Result<String, PromptError>> {
        let name = self.packet.attribute(b"program_name").or_else(|| self.packet.attribute(b"_client_name"));
        ready(Ok(name.unwrap_or_default())).boxed()
    }

    /// Never: nothing can be said to a client that waits for the end of its login.
    fn show<'a>(&'a mut self, _: &'a Challenge, _: &'a Invitation) -> BoxFuture<'a, Result<(), PromptError>> {
        ready(Err(PromptError::CannotAsk)).boxed()
    }
}

/// The error that a client reads. It has less room than the protocol: clients show 512 bytes.
pub(crate) fn refused(refusal: &Refusal) -> ServerError {
    let message = refusal.message();
    ServerError::access(match refusal.invitation() {
        None => message.to_owned(),
        Some(Invitation { url, code }) => {
            format!("{message}. Open {url} , type the code {code} there, and connect again within 60 seconds.")
        }
    })
}
