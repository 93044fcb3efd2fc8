//! The room in which every session is asked for, checked, granted and watched.
//!
//! No byte reaches a target without a [`Grant`]. Only the check makes one, and only
//! [`Grant::dial`] spends one. What follows must not compile.
//!
//! A grant can't be forged:
//! ```compile_fail,E0451
//! let id = tapgate_model::SessionId::from_bytes([0; 16]);
//! let grant = tapgate_session::Grant { id, ..unreachable!() };
//! ```
//! or cloned:
//! ```compile_fail,E0599
//! fn twice(grant: tapgate_session::Grant) -> (tapgate_session::Grant, tapgate_session::Grant) {
//!     (grant.clone(), grant)
//! }
//! ```
//! or spent twice:
//! ```compile_fail,E0382
//! async fn twice(grant: tapgate_session::Grant) {
//!     let first = grant.dial().await;
//!     let second = grant.dial().await;
//! }
//! ```
//! or asked for the target's address:
//! ```compile_fail,E0616
//! fn address(grant: &tapgate_session::Grant) -> String {
//!     grant.basis.record.address.clone()
//! }
//! ```
//! and there is no connection to a target without one:
//! ```compile_fail,E0451
//! let stream: tokio::net::TcpStream = unreachable!();
//! let upstream = tapgate_session::Upstream { stream, ..unreachable!() };
//! ```
//! An identity can't be claimed, only verified:
//! ```compile_fail,E0451
//! let identity = tapgate_identity::Identity { key: tapgate_model::Digest::from_bytes([0; 32]), ..unreachable!() };
//! ```

mod about;
mod ask;
mod brought;
mod check;
mod connection;
mod deeds;
mod dial;
mod evidence;
mod gate;
mod grant;
mod health;
pub mod limits;
mod live;
mod meter;
mod node;
mod own;
mod prompt;
mod report;
mod resolve;
mod snapshot;
mod sso;
mod tape;
#[cfg(feature = "testing")]
pub mod testing;
mod touched;
mod verdict;
mod waiting;

pub use about::About;
pub use ask::{Ask, ConnectionFacts, Door, ProtocolName, network};
pub use connection::ConnectionId;
pub use dial::{DialError, Meter, Upstream};
pub use evidence::Tap;
pub use gate::{Gate, GateParts, Requirement, Visible, Wish};
pub use grant::Grant;
pub use health::Health;
pub use live::{CutReason, CutWatch, EndReason, Live};
pub use node::{Hop, NodeTrust, NodeWay};
pub use own::LiveSession;
pub use prompt::{
    Invitation, Invited, Keep, Manner, NoPrompt, NoTaps, Occasion, Prompt, PromptError, SpendError, Spender, Taps,
};
pub use report::tap_record;
pub use snapshot::Snapshot;
pub use sso::ProviderKeys;
// What a protocol must know of its targets; the policy itself is not a protocol's.
pub use tapgate_policy::{
    AppResource, AuditText, DbAuth, DbProtocol, DbResource, DbTerms, DesktopMode, DesktopResource, DesktopSecurity,
    DesktopTerms, DesktopTls, DesktopTrust, KubeAccess, KubeObjects, KubeResource, KubeScope, KubeVerb, NodeSsh,
    StatementVerdict,
};
pub use verdict::{Challenge, Denial, DenialReason, Refusal, Verdict};
pub use waiting::WaitKey;
