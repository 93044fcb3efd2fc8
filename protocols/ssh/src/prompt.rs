//! How SSH says "tap here": on the stderr of the client's first channel, where every stock client shows it.

use futures::future::{BoxFuture, FutureExt as _};
use russh::server::Handle;
use tapgate_session::{Challenge, Invitation, Prompt, PromptError};
use tokio::time::timeout;

use crate::limits::{COMMAND_MAX, FIRST_WISH_MAX};
use crate::link::Link;

/// What a client reads that has no channel to be asked on.
const NO_CHANNEL: &str = "this connection opens no session first, in which the gate could ask; use `tap ssh`, or \
                          leave out -N";

/// Asks a stock client on its first channel.
pub(crate) struct ChannelPrompt<'a> {
    pub(crate) link: &'a Link,
    pub(crate) client: &'a Handle,
    /// What the client calls itself.
    pub(crate) version: &'a str,
}

impl Prompt for ChannelPrompt<'_> {
    fn prepare(&mut self) -> BoxFuture<'_, Result<String, PromptError>> {
        async {
            let opened = timeout(FIRST_WISH_MAX, self.link.hold_first_channel(self.client)).await;
            opened.map_err(|_| PromptError::No(NO_CHANNEL.to_owned()))?;
            let version = self.version.trim_start_matches("SSH-2.0-");
            let command = timeout(COMMAND_MAX, self.link.first_command()).await;
            Ok(command.map_or_else(|_| version.to_owned(), |command| format!("{version} runs {command}")))
        }
        .boxed()
    }

    fn show<'a>(
        &'a mut self,
        challenge: &'a Challenge,
        Invitation { url, code }: &'a Invitation,
    ) -> BoxFuture<'a, Result<(), PromptError>> {
        // A terminal that is in raw mode by now wants both ends of a line.
        let text = format!("{challenge}\r\nOpen this page and type the code {code} there:\r\n {url}\r\n");
        let said = self.link.say(&text);
        std::future::ready(if said { Ok(()) } else { Err(PromptError::Gone) }).boxed()
    }
}
