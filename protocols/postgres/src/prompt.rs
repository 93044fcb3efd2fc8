//! How PostgreSQL says "tap here": a notice after `AuthenticationOk`, which clients print at once; and where they can't
//! be held, an error with the page's address in its detail.

use futures::future::{BoxFuture, FutureExt as _, ready};
use tapgate_session::{Challenge, Invitation, Manner, Prompt, PromptError};
use tokio::sync::mpsc;

use crate::startup::Startup;
use crate::wire::{self, Severity};

/// Asks a stock client. What is to be said goes to whoever holds the connection.
pub(crate) struct Asking<'a> {
    pub(crate) startup: &'a Startup,
    pub(crate) say: mpsc::Sender<Vec<u8>>,
}

impl Prompt for Asking<'_> {
    fn manner(&self, challenge: &Challenge) -> Manner {
        if challenge.about().db().is_some_and(|db| db.turns_away) { Manner::Return } else { Manner::Hold }
    }

    fn prepare(&mut self) -> BoxFuture<'_, Result<String, PromptError>> {
        let name = self.startup.text("application_name").unwrap_or_default().to_owned();
        ready(Ok(name)).boxed()
    }

    fn may_return(&self) -> bool {
        true
    }

    fn show<'a>(
        &'a mut self,
        challenge: &'a Challenge,
        Invitation { url, code }: &'a Invitation,
    ) -> BoxFuture<'a, Result<(), PromptError>> {
        let detail = format!("Open {url}");
        let hint = format!("Type the code {code} there and tap your key; this connection then goes on by itself.");
        let told = wire::Told { message: &challenge.to_string(), detail: Some(&detail), hint: Some(&hint) };
        let notice = wire::said(Severity::Notice, "01000", &told);
        // Nothing else may follow before the tap: no setting, no key, no word that the session is ready.
        let words = [wire::frame(b'R', &[0; 4]), notice].concat();
        async move { self.say.send(words).await.map_err(|_| PromptError::Gone) }.boxed()
    }
}

/// The error for a client that comes again after its tap.
pub(crate) fn come_again(message: &str, Invitation { url, code }: &Invitation) -> Vec<u8> {
    let detail = format!("Open {url}");
    let hint = format!("Type the code {code} there, tap your key, and connect again within 60 seconds.");
    wire::said(Severity::Fatal, "28000", &wire::Told { message, detail: Some(&detail), hint: Some(&hint) })
}
