//! The room in which every session is asked for, checked, granted and watched.
//!
//! No byte reaches a target without a [`Grant`]. Only [`check`](Gate::check) makes one, and only
//! [`Grant::dial`] spends one. A grant can't be made, copied or kept by anybody else:
//!
//! ```compile_fail
//! fn twice(grant: tapgate_session::Grant) -> (tapgate_session::Grant, tapgate_session::Grant) {
//!     (grant.clone(), grant)
//! }
//! ```

mod ask;
mod check;
mod dial;
mod evidence;
mod gate;
mod grant;
mod limits;
mod live;
mod prompt;
mod report;
mod snapshot;
#[cfg(feature = "testing")]
pub mod testing;
mod verdict;
mod waiting;

pub use ask::{Ask, ConnectionFacts, Door, ProtocolName};
pub use dial::{DialError, Upstream};
pub use evidence::Tap;
pub use gate::{Gate, GateParts, Requirement, Visible};
pub use grant::Grant;
pub use limits::{HOLD_MAX, WINDOW_MAX};
pub use live::{CutReason, CutWatch, EndReason, Live};
pub use prompt::{Invitation, NoPrompt, NoTaps, Prompt, PromptError, SpendError, Spender, Taps};
pub use snapshot::{NodeTrust, Snapshot};
pub use verdict::{Challenge, Denial, DenialReason, Refusal, Verdict};
