//! The seams of the room: how a protocol says "tap here", who makes taps, who spends one-time taps.

use futures::future::{BoxFuture, FutureExt, ready};
use tapgate_model::{Digest, UnixTime};
use tapgate_proof::Holder;

use crate::{Ask, Challenge};

/// Where a person may tap for a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The page that shows what is asked for.
    pub url: String,
    /// The code that the person types there, so that nobody approves another one's ask.
    pub code: String,
}

/// How a client that is asked gets its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It is held until the tap is there.
    Hold,
    /// It is turned away with the page's address, and comes again after the tap.
    Return,
}

/// Ends a ceremony when it is dropped.
pub type Keep = Box<dyn Send + Sync>;

/// What a ceremony is begun for.
#[derive(Debug, Clone)]
pub struct Occasion<'a> {
    /// What the tap shall be good for.
    pub holder: Holder,
    /// How the client gets its answer.
    pub manner: Manner,
    /// What the client says of itself, to be shown on the page.
    pub client: &'a str,
}

/// A ceremony that was begun.
pub struct Invited {
    /// Where the person may tap.
    pub invitation: Invitation,
    /// Ends the ceremony when it is dropped; none where the client comes again.
    pub keep: Option<Keep>,
}

/// Why a prompt could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// This door, or this client, can't be asked.
    #[error("the client can't be asked here")]
    CannotAsk,
    /// The client went away.
    #[error("the client went away")]
    Gone,
    /// Another reason, with what can be done.
    #[error("{0}")]
    No(String),
}

/// How a protocol says "tap here" to the client that is waiting.
pub trait Prompt: Send {
    /// How this client gets its answer.
    fn manner(&self, _: &Challenge) -> Manner {
        Manner::Hold
    }

    /// Whether a tap could be asked for under these terms.
    fn suits(&self, _: &Challenge) -> bool {
        true
    }

    /// Makes ready for showing something; answers what the client says of itself, for the page.
    fn prepare(&mut self) -> BoxFuture<'_, Result<String, PromptError>> {
        ready(Ok(String::new())).boxed()
    }

    /// Whether a client that was held in vain may come again after a tap.
    fn may_return(&self) -> bool {
        false
    }

    /// Shows the challenge; answers once it is shown, not once it is met.
    fn show<'a>(
        &'a mut self,
        challenge: &'a Challenge,
        invitation: &'a Invitation,
    ) -> BoxFuture<'a, Result<(), PromptError>>;

    /// Whether this prompt can ask at all. The certificate door's can't: its client taps first.
    fn can_ask(&self) -> bool {
        true
    }
}

/// The certificate door: the client taps before it connects, so nothing is asked here.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPrompt;

impl Prompt for NoPrompt {
    fn show<'a>(&'a mut self, _: &'a Challenge, _: &'a Invitation) -> BoxFuture<'a, Result<(), PromptError>> {
        ready(Err(PromptError::CannotAsk)).boxed()
    }

    fn can_ask(&self) -> bool {
        false
    }
}

/// Who makes taps: the authority, by its pages.
pub trait Taps: Send + Sync {
    /// Begins a ceremony for this challenge. What it leads to is given to [`crate::Gate::deposit`] or
    /// [`crate::Gate::bring`], a no to [`crate::Gate::turn_down`].
    fn invite<'a>(
        &'a self,
        challenge: &'a Challenge,
        ask: &'a Ask<'a>,
        occasion: Occasion<'a>,
    ) -> BoxFuture<'a, Result<Invited, PromptError>>;
}

/// A gate without tap pages: nobody is asked in-band.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTaps;

impl Taps for NoTaps {
    fn invite<'a>(
        &'a self,
        _: &'a Challenge,
        _: &'a Ask<'a>,
        _: Occasion<'a>,
    ) -> BoxFuture<'a, Result<Invited, PromptError>> {
        ready(Err(PromptError::CannotAsk)).boxed()
    }
}

/// Why a one-time tap could not be spent.
#[derive(Debug, thiserror::Error)]
#[error("the store can't say whether the tap is spent: {0}")]
pub struct SpendError(pub String);

/// Who spends one-time taps, once and for all: a compare-and-swap in the store.
pub trait Spender: Send + Sync {
    /// Spends a proof; `false` when it is spent already. It may be forgotten after `until`.
    fn spend(&self, proof: Digest, until: UnixTime) -> BoxFuture<'_, Result<bool, SpendError>>;

    /// Moves the count of an SSH key's touches on; `false` when it would not go forward, so that there may be a copy of
    /// the key. A key that counts nothing says 0 each time.
    fn count(&self, key: Digest, to: u32) -> BoxFuture<'_, Result<bool, SpendError>>;
}
