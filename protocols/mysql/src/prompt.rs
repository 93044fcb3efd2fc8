//! How MySQL says "tap here": in an error, which every client shows. It comes again after the tap.

use futures::future::{BoxFuture, FutureExt as _, ready};
use tapgate_session::{Challenge, Invitation, Manner, Prompt, PromptError, Refusal};
use tokio::sync::mpsc;

use crate::wire::error::ServerError;
use crate::wire::login::LoginPacket;

/// What the client calls itself.
fn program(packet: &LoginPacket) -> String {
    packet.attribute(b"program_name").or_else(|| packet.attribute(b"_client_name")).unwrap_or_default()
}

/// Turns a stock client away with the address of the page.
pub(crate) struct TurnAway<'a> {
    pub(crate) packet: &'a LoginPacket,
}

impl Prompt for TurnAway<'_> {
    fn manner(&self, _: &Challenge) -> Manner {
        Manner::Return
    }

    fn prepare(&mut self) -> BoxFuture<'_, Result<String, PromptError>> {
        ready(Ok(program(self.packet))).boxed()
    }

    /// Never: nothing can be said to a client that waits for the end of its login.
    fn show<'a>(&'a mut self, _: &'a Challenge, _: &'a Invitation) -> BoxFuture<'a, Result<(), PromptError>> {
        ready(Err(PromptError::CannotAsk)).boxed()
    }
}

/// Asks a client that was started with MariaDB's `dialog` plugin: it shows the question and sends a line for an answer.
/// What is to be said goes to whoever has the connection.
pub(crate) struct Dialog<'a> {
    pub(crate) packet: &'a LoginPacket,
    pub(crate) question: mpsc::Sender<Vec<u8>>,
}

/// The last question, whose answer may be seen as it is typed.
const LAST_QUESTION: u8 = 3;

impl Prompt for Dialog<'_> {
    fn prepare(&mut self) -> BoxFuture<'_, Result<String, PromptError>> {
        ready(Ok(program(self.packet))).boxed()
    }

    fn may_return(&self) -> bool {
        true
    }

    fn show<'a>(
        &'a mut self,
        challenge: &'a Challenge,
        Invitation { url, code }: &'a Invitation,
    ) -> BoxFuture<'a, Result<(), PromptError>> {
        let words =
            format!("{challenge}\nOpen {url} and type the code {code} there. Press Enter here once you have tapped:");
        let packet = [&[LAST_QUESTION], words.as_bytes(), &[0]].concat();
        ready(self.question.try_send(packet).map_err(|_| PromptError::Gone)).boxed()
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
